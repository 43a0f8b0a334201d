"""How well contigs are named by their length, and by the confidence of their names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.contig_evaluation import Judged
from linnet.contig_outcomes import RankCalls
from linnet.contig_scores import call_shares, precision_coverage_area, resample, share
from linnet.prediction import Prediction
from linnet.ranking import risk_coverage
from linnet.significance import percentile_interval
from linnet.taxonomy import RANKS, canonical

DEEP = ("genus", "species")
"""Ranks of the figures that would be too many at all of them."""

LENGTHS = (0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Lower ends of the bins of contig length, in bases."""


@dataclass(frozen=True)
class Estimate:
    """A share and its 95 % interval; None where there is nothing to share, or nothing to resample."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class LengthBin:
    """Contigs of `low` to below `high` bases (None: no end).

    Attributes:
        figures: rank -> table -> figure (f1, precision, recall, coverage); without a truth coverage alone.
    """

    low: int
    high: int | None
    contigs: int
    bases: int
    figures: Mapping[str, Mapping[str, Mapping[str, Estimate]]]


@dataclass(frozen=True)
class Curve:
    """Precision among the surest names, by the share of contigs that these are.

    Attributes:
        coverage, precision: of at most 200 cuts; of a table without confidences its one point.
        area: under precision against coverage (`linnet.contig_scores.precision_coverage_area`).
        confident: whether the table has confidences.
    """

    coverage: tuple[float, ...]
    precision: tuple[float, ...]
    area: float
    confident: bool


def by_length(
    kept: Mapping[str, Mapping[str, Prediction]],
    lengths: Mapping[str, int],
    chosen: Judged | None,
    calls: Mapping[str, Mapping[str, RankCalls]] | None,
    resamples: int,
    seed: int,
) -> list[LengthBin]:
    """The bins that have contigs, from short to long.

    Args:
        kept: tables, by name.
        chosen, calls: the contigs with a truth, and what became of them by table and rank; None without a truth.
    """
    length_C = np.array([*lengths.values()], np.int64)
    judged_n = None if chosen is None else np.array([lengths[contig] for contig in chosen.contigs], np.int64)
    bins = []
    for low, high in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        inside = _between(length_C, low, high)
        if not inside.any():
            continue
        figures: dict[str, dict[str, dict[str, Estimate]]] = {rank: {} for rank in DEEP}
        for name, table in kept.items():
            for rank in DEEP:
                if calls is None or chosen is None or judged_n is None:
                    figures[rank][name] = _coverage(table, rank, lengths, inside)
                elif rank in calls[name]:
                    member_n = _between(judged_n, low, high)
                    figures[rank][name] = _estimates(calls[name][rank], member_n, chosen, resamples, seed)
        bins.append(LengthBin(low, high, int(inside.sum()), int(length_C[inside].sum()), figures))
    return bins


def _between(length: NDArray[np.int64], low: int, high: int | None) -> NDArray[np.bool_]:
    return (length >= low) & (length < (np.inf if high is None else high))


def _estimates(
    calls: RankCalls, member_n: NDArray[np.bool_], chosen: Judged, resamples: int, seed: int
) -> dict[str, Estimate]:
    weight = member_n[calls.contig].astype(np.int64)
    shares = call_shares(calls, weight)
    draws = resample(shares, chosen.genome[calls.contig], chosen.genomes, resamples, seed)
    return {
        name: Estimate(share(*pair), percentile_interval(draws[name]) if name in draws else None)
        for name, pair in shares.items()
    }


def _coverage(
    table: Mapping[str, Prediction], rank: str, contigs: Collection[str], inside: NDArray[np.bool_]
) -> dict[str, Estimate]:
    level = RANKS.index(rank)
    named = np.array([c in table and canonical(table[c].kept)[level] is not None for c in contigs])
    return {"coverage": Estimate(float(named[inside].mean()), None)}


def curve(calls: RankCalls) -> Curve:
    """The curve of one table at one rank."""
    one = np.ones(len(calls.contig), np.int64)
    area = precision_coverage_area(calls, one)
    found = risk_coverage(calls.outcomes)
    if found:
        return Curve(found.coverage, tuple(1 - risk for risk in found.risk), area, True)
    shares = call_shares(calls, one)
    coverage, precision = share(*shares["coverage"]), share(*shares["precision"])
    if precision is None or coverage is None:
        return Curve((), (), area, False)
    return Curve((coverage,), (precision,), area, False)
