"""linnet's models beside the other tools: every training and every tool on the same queries, all uncut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from cells import Cell
from judged import ByCell
from numpy.typing import NDArray
from prepare import RANKS

from linnet.significance import bootstrap, mcnemar, percentile_interval

Row = dict[str, Any]

COMPARED = RANKS[1:]
FLOOR = "linnet-commonest"  # what knowing nothing of a query reaches; no rival of anything


def is_linnet(tool: str) -> bool:
    return tool.startswith("linnet")


def beside_peers(judged: ByCell) -> list[Row]:
    """McNemar's test of each training of each of linnet's models against each other tool, at each rank and region."""
    return [
        {"tool": seeds[0].tool, "region": seeds[0].region, "rank": rank, "peer": peer.tool}
        | {"n": len(judged[peer][rank]), "seeds": [_test(judged, seed, peer, rank) for seed in seeds]}
        for seeds, peers in _models(judged)
        for rank in COMPARED
        for peer in peers
    ]


def against_best_peer(judged: ByCell, ranks: Iterable[str], resamples: int) -> list[Row]:
    """Each of linnet's models, in the mean of its seeds, less the other tool that has most right, by rank and region.

    The interval is of that difference over the queries, by the bootstrap.
    """
    return [
        _difference(judged, seeds, max(peers, key=lambda peer: _accuracy(judged, peer, rank)), rank, resamples)
        for seeds, peers in _models(judged)
        for rank in ranks
    ]


def _models(judged: ByCell) -> list[tuple[list[Cell], list[Cell]]]:
    """The trainings of each of linnet's models, by region, and the other tools there, if any."""
    models: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    peers: dict[str, list[Cell]] = defaultdict(list)
    for cell in judged:
        if not is_linnet(cell.tool):
            peers[cell.region].append(cell)
        elif cell.tool != FLOOR:
            models[cell.tool, cell.region].append(cell)
    return [
        (sorted(seeds, key=lambda cell: cell.seed or 0), peers[region])
        for (_, region), seeds in models.items()
        if peers[region]
    ]


def _test(judged: ByCell, ours: Cell, peer: Cell, rank: str) -> Row:
    found = mcnemar(judged[ours][rank].right, judged[peer][rank].right)
    return {"seed": ours.seed, "won": found.a_only, "lost": found.b_only, "p_value": found.p_value}


def _difference(judged: ByCell, seeds: Sequence[Cell], peer: Cell, rank: str, resamples: int) -> Row:
    of_peer = judged[peer][rank].right.astype(float)
    of_ours = np.mean([judged[cell][rank].right for cell in seeds], axis=0)
    n = len(of_peer)

    def difference(weights_RN: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"accuracy": weights_RN @ (of_ours - of_peer) / n}

    tests = [_test(judged, cell, peer, rank) for cell in seeds]
    return {
        "tool": seeds[0].tool,
        "seeds": [cell.seed for cell in seeds],
        "region": seeds[0].region,
        "rank": rank,
        "best_peer": peer.tool,
        "n": n,
        "accuracy": float(of_ours.mean()),
        "peer_accuracy": float(of_peer.mean()),
        "difference": float((of_ours - of_peer).mean()),
        "interval": percentile_interval(bootstrap(difference, n, resamples, 0)["accuracy"]),
        "won": fmean(test["won"] for test in tests),
        "lost": fmean(test["lost"] for test in tests),
        "greatest_p_value": max(test["p_value"] for test in tests),
    }


def _accuracy(judged: ByCell, cell: Cell, rank: str) -> float:
    return float(judged[cell][rank].right.mean())
