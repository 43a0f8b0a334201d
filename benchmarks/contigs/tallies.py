"""What became of contigs, counted by rank, group of contigs, figure and genome; figures are ratios of such sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from materials import Material
from numpy.typing import NDArray

from linnet.contig_evaluation import select
from linnet.contig_outcomes import RankCalls, judge_contigs
from linnet.contig_scores import absent_shares, call_shares, change_shares, two_sided_p
from linnet.prediction import Prediction
from linnet.significance import bootstrap, percentile_interval
from linnet.taxonomy import RANKS

FIGURES = ("precision", "recall", "f1", "coverage", "wrong", "wrong_on_absent", "harmed", "corrected")
NOVELTY = ("species in the reference", "absent species", "absent genera", "absent families")
EDGES = (0, 1000, 2000, 4000, 8000, 16000)
"""Bases from which a bin of lengths begins; each but the first and last is twice as long as the one before."""
LENGTHS = (
    *(f"{low:,} to {high:,} b" for low, high in zip(EDGES, EDGES[1:], strict=False)),
    f"from {EDGES[-1]:,} b",
)
GROUPS = ("all", *NOVELTY, *LENGTHS)

FEWEST = 6
"""Genomes that a difference must be of to have an interval: draws of fewer say little, and of one nothing."""

Tally = NDArray[np.int64]
"""(ranks, groups, figures, 2, genomes): what each genome adds to numerator and denominator."""


def tally(calls: Mapping[str, Prediction], before: Mapping[str, Prediction], about: Material) -> Tally:
    """Count one set of calls.

    Args:
        before: the labels that the calls were made of.
    """
    judged = select(about.gold, None)
    found = judge_contigs(calls, about.gold.lineages, judged.contigs, about.known)
    labels = judge_contigs(before, about.gold.lineages, judged.contigs, about.known)
    groups = _groups(found, np.array([about.gold.lengths[contig] for contig in judged.contigs]))
    counted = np.zeros((len(RANKS), len(GROUPS), len(FIGURES), 2, judged.genomes), np.int64)
    for rank, after in found.items():
        genome = judged.genome[after.contig]
        for group, inside_C in enumerate(groups):
            weight = inside_C[after.contig].astype(np.int64)
            shares = {
                **call_shares(after, weight),
                **absent_shares(after, weight),
                **change_shares(labels[rank], after, weight),
                "wrong": (after.wrong * weight, weight),
            }
            for figure, name in enumerate(FIGURES):
                for side, values in enumerate(shares[name]):
                    sums = np.bincount(genome, values, judged.genomes)
                    counted[RANKS.index(rank), group, figure, side] = sums.astype(np.int64)
    return counted


def _groups(calls: Mapping[str, RankCalls], length_C: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Who is in each of `GROUPS`: by the highest rank at which the reference lacks the true taxon, and by length.

    A truth that ends above species, and that the reference has as far as it goes, is in none of `NOVELTY`.
    """
    lacking_C = np.full(len(length_C), -1)  # 0 species known, 1 absent species, 2 genera, 3 families or what is above
    for depth, rank in enumerate(("species", "genus", "family")):
        if rank in calls:
            o, at = calls[rank].outcomes, calls[rank].contig
            assert o.known is not None
            absent = calls[rank].reached & ~o.known
            lacking_C[at[absent]] = depth + 1
            if rank == "species":
                lacking_C[at[calls[rank].reached & o.known]] = 0
    bin_C = np.searchsorted(EDGES, length_C, "right") - 1
    return [
        np.ones(len(length_C), bool),
        *(lacking_C == n for n in range(len(NOVELTY))),
        *(bin_C == n for n in range(len(LENGTHS))),
    ]


def figures(counted: Tally) -> NDArray[np.float64]:
    """(ranks, groups, figures): the ratio of the sums over genomes, NaN where there is nothing to divide by."""
    sums = counted.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def difference(
    a: Sequence[Tally], b: Sequence[Tally], rank: str, group: str, figure: str, resamples: int
) -> dict[str, float | None]:
    """One arm less another over the contigs of all sets together, with a paired bootstrap over their genomes.

    A genome of two sets counts as two. The p-value is two-sided and not corrected for the number of comparisons. There
    is neither it nor an interval where contigs of fewer than `FEWEST` genomes count.
    """
    at = RANKS.index(rank), GROUPS.index(group), FIGURES.index(figure)
    sums_4G = np.concatenate([np.concatenate([x[at], y[at]]) for x, y in zip(a, b, strict=True)], 1).astype(float)

    def less(weight_RG: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        top_a, all_a, top_b, all_b = sums_4G @ weight_RG.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"less": top_a / all_a - top_b / all_b}

    genomes, counting = sums_4G.shape[1], (sums_4G != 0).any(0).sum()
    whole = float(less(np.ones((1, genomes)))["less"][0])
    if np.isnan(whole):
        return {"difference": None, "low": None, "high": None, "p": None}
    if counting < FEWEST:
        return {"difference": whole, "low": None, "high": None, "p": None}
    draws = bootstrap(less, genomes, resamples, 0)["less"]
    low, high = percentile_interval(draws) or (None, None)
    return {"difference": whole, "low": low, "high": high, "p": two_sided_p(draws)}
