"""Tools cut until they name as many unknown taxa, or as many known ones, as naive Bayes does without a cut.

Uncut tools differ in how often they name what their references lack, so that their errors on what the references
have cannot be set side by side; at a common operating point they can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from cells import Cell
from judged import ByCell, Judged
from numpy.typing import NDArray
from rivals import FLOOR

Row = dict[str, Any]

STANDARD = "naive-bayes"


@dataclass(frozen=True)
class Point:
    """What a tool does at a cut.

    Attributes:
        right, wrong: given the right name or a wrong one, of the queries whose taxon the references have.
        over: given a name, of the queries whose taxon they lack.
    """

    right: float
    wrong: float
    over: float


def operating_points(judged: ByCell, ranks: Iterable[str]) -> list[Row]:
    """For each region and rank the standard's point uncut, and every tool with a confidence at two cuts of its own:

    same_over: the lowest at which it names no more unknown taxa than the standard, and some taxa;
    same_right: the highest at which it has as many of the known ones right.
    None where there is no such cut. Nothing of a rank at which there are no queries of known or of unknown taxa.
    """
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in judged:
        if cell.tool != FLOOR:
            groups[cell.split, cell.region].append(cell)
    return [
        _row(judged, cells, standard, rank)
        for cells in groups.values()
        for standard in cells
        if standard.tool == STANDARD
        for rank in ranks
        if len(set(judged[standard][rank].known.tolist())) == 2
    ]


def _row(judged: ByCell, cells: Iterable[Cell], standard: Cell, rank: str) -> Row:
    its = judged[standard][rank]
    uncut = points(its)[1][0]
    tools: dict[str, list[Row]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell.seed or 0):
        found = judged[cell][rank]
        if cell != standard and np.isfinite(found.confidence).any():
            tools[cell.tool].append({"seed": cell.seed, **_at(found, uncut)})
    n_known = int(its.known.sum())
    return {
        "split": standard.split,
        "region": standard.region,
        "rank": rank,
        "n_known": n_known,
        "n_unknown": len(its) - n_known,
        "standard": asdict(uncut),
        "tools": [{"tool": tool, "seeds": seeds} for tool, seeds in tools.items()],
    }


def _at(judged: Judged, standard: Point) -> Row:
    cuts, found = points(judged)
    same_over = next((i for i, point in enumerate(found) if point.over <= standard.over), None)
    same_right = next((i for i in reversed(range(len(found))) if found[i].right >= standard.right), None)
    return {
        name: None if i is None else {"cut": max(0.0, float(cuts[i])), **asdict(found[i])}
        for name, i in (("same_over", same_over), ("same_right", same_right))
    }


def points(judged: Judged) -> tuple[NDArray[np.float64], list[Point]]:
    """All cuts that leave different names, none (-inf) first, and what each comes to.

    There must be queries of known and of unknown taxa.
    """
    confidence = np.where(np.isnan(judged.confidence), np.inf, judged.confidence)  # never cut
    its = confidence[judged.named & np.isfinite(confidence) & (confidence > 0)]
    cuts = np.r_[-np.inf, np.unique(its)]

    def left(which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of some of the names are left at each cut."""
        return np.asarray(which.sum() - np.searchsorted(np.sort(confidence[which]), cuts), np.int64)

    n_known, n_unknown = judged.known.sum(), (~judged.known).sum()
    right = left(judged.named & judged.known & judged.right) / n_known
    wrong = left(judged.named & judged.known & ~judged.right) / n_known
    over = left(judged.named & ~judged.known) / n_unknown
    return cuts, [Point(*values) for values in zip(right.tolist(), wrong.tolist(), over.tolist(), strict=True)]
