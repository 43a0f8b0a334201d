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
from numpy.typing import NDArray
from rivals import FLOOR, Judged

from linnet.outcomes import Outcomes

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


def operating_points(judged: Judged, ranks: Iterable[str]) -> list[Row]:
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
        if 0 < np.sum(judged[standard][rank].known) < len(judged[standard][rank])
    ]


def _row(judged: Judged, cells: Iterable[Cell], standard: Cell, rank: str) -> Row:
    its = judged[standard][rank]
    uncut = points(its)[1][0]
    tools: dict[str, list[Row]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell.seed or 0):
        outcomes = judged[cell][rank]
        if cell != standard and np.isfinite(outcomes.path_confidence).any():
            tools[cell.tool].append({"seed": cell.seed, **_at(outcomes, uncut)})
    assert its.known is not None
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


def _at(outcomes: Outcomes, standard: Point) -> Row:
    cuts, found = points(outcomes)
    same_over = next((i for i, point in enumerate(found) if point.over <= standard.over), None)
    same_right = next((i for i in reversed(range(len(found))) if found[i].right >= standard.right), None)
    return {
        name: None if i is None else {"cut": max(0.0, float(cuts[i])), **asdict(found[i])}
        for name, i in (("same_over", same_over), ("same_right", same_right))
    }


def points(outcomes: Outcomes) -> tuple[NDArray[np.float64], list[Point]]:
    """All cuts that leave different names, none (-inf) first, and what each comes to.

    The outcomes are uncut, and hold queries of known and of unknown taxa.
    """
    known = outcomes.known
    assert known is not None
    least = np.where(np.isnan(outcomes.path_confidence), np.inf, outcomes.path_confidence)  # never cut
    least = np.where(outcomes.classified, least, -np.inf)
    cuts = np.r_[-np.inf, np.unique(least[np.isfinite(least)])]

    def kept(which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of some of the names are left at each cut."""
        return np.asarray(which.sum() - np.searchsorted(np.sort(least[which]), cuts), np.int64)

    right = kept(known & outcomes.right & outcomes.classified) / known.sum()
    wrong = kept(known & ~outcomes.right & outcomes.classified) / known.sum()
    over = kept(~known & outcomes.classified) / (~known).sum()
    return cuts, [Point(*values) for values in zip(right.tolist(), wrong.tolist(), over.tolist(), strict=True)]
