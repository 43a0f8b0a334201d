"""The figures of answers to proteins whose taxon is known: by rank, of whole lineages, of known and of novel taxa."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.lineage_scores import BINS, Correlation, Distribution, LineageScores, correlation, distribution
from linnet.metrics import scores
from linnet.outcomes import Depths, Outcomes
from linnet.ranking import auroc, risk_coverage
from linnet.strata import REFERENCES, Stratum, stratify
from linnet.taxonomy import RANKS, Taxonomy

FARTHEST = 40
"""Hops that are counted one by one; more are counted with these."""


@dataclass(frozen=True)
class ProteinFigures:
    """One run at one rank, shares of queries unless said otherwise; None where a figure is not defined.

    Attributes:
        n: queries whose truth reaches the rank.
        n_novel: those whose true taxon the reference lacks.
        accuracy ... brier: as `metrics.Scores`, of every name, whatever its confidence.
        auroc: chance that a right name is surer than a wrong one, over names given.
        aurc: as `ranking.RiskCoverage`.
        cut_coverage, cut_precision, cut_recall, cut_mc, cut_uc, cut_oc: after the cut; recall is right names divided by
            all queries, `accuracy` in `metrics.Scores`.
    """

    n: int
    n_novel: int
    accuracy: float | None
    acc_known: float | None
    ceiling: float | None
    precision: float | None
    coverage: float | None
    f1_macro: float | None
    f1_weighted: float | None
    ece: float | None
    ece_debiased: float | None
    brier: float | None
    auroc: float | None
    aurc: float | None
    cut_coverage: float | None
    cut_precision: float | None
    cut_recall: float | None
    cut_mc: float | None
    cut_uc: float | None
    cut_oc: float | None


@dataclass(frozen=True)
class LineageFigures:
    """Figures of whole lineages.

    Attributes:
        shared, inverted_rf: as `lineage_scores.LineageScores` has them.
        exact: share of the answers that are the true taxon itself.
        hops: their mean.
        hop_counts: queries with 0, 1 ... hops, the last with FARTHEST or more.
        correlation: of shared prefix and inverted RF.
        joint: queries by the bins of both, (bin of the first, of the second, how many), where there are any.
    """

    shared: Distribution
    inverted_rf: Distribution
    exact: float
    hops: float
    hop_counts: tuple[int, ...]
    correlation: Correlation
    joint: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Novelty:
    """Queries whose deepest true taxon the reference has, or lacks.

    Attributes:
        label: 'known' or 'novel'.
        whole, kept: of their answers, uncut and cut; None where there are no such queries.
        stops: where they stopped after the cut, against the deepest of their taxa that the reference has.
    """

    label: str
    n: int
    whole: LineageFigures | None
    kept: LineageFigures | None
    stops: Depths | None


def figures(outcomes: Outcomes, confidence: float) -> ProteinFigures:
    """The figures of one rank.

    Args:
        outcomes: uncut, judged with a reference.
    """
    uncut, cut = scores(outcomes), scores(outcomes.cut(confidence))
    scored = outcomes.classified & ~np.isnan(outcomes.confidence)
    curve = risk_coverage(outcomes)
    return ProteinFigures(
        n=uncut.n,
        n_novel=uncut.n - (uncut.n_known or 0),
        accuracy=uncut.accuracy,
        acc_known=uncut.acc_known,
        ceiling=uncut.ceiling,
        precision=uncut.precision,
        coverage=uncut.coverage,
        f1_macro=uncut.f1_macro,
        f1_weighted=uncut.f1_weighted,
        ece=uncut.ece,
        ece_debiased=uncut.ece_debiased,
        brier=uncut.brier,
        auroc=auroc(outcomes.confidence[scored], outcomes.right[scored]),
        aurc=curve.aurc if curve else None,
        cut_coverage=cut.coverage,
        cut_precision=cut.precision,
        cut_recall=cut.accuracy,
        cut_mc=cut.mc,
        cut_uc=cut.uc,
        cut_oc=cut.oc,
    )


def lineages(found: LineageScores) -> LineageFigures:
    """The figures of N answers, at least one."""
    shared, inverted = distribution(found.shared_N), distribution(found.inverted_rf_N)
    assert shared and inverted
    joint = np.histogram2d(found.shared_N, found.inverted_rf_N, BINS, ((0, 1), (0, 1)))[0].astype(int)
    hops = np.bincount(np.minimum(found.hops_N, FARTHEST))
    return LineageFigures(
        shared,
        inverted,
        float((found.hops_N == 0).mean()),
        float(found.hops_N.mean()),
        tuple(hops.tolist()),
        correlation(found.shared_N, found.inverted_rf_N),
        tuple((int(i), int(j), int(joint[i, j])) for i, j in np.argwhere(joint)),
    )


def novelty(
    label: str, which: NDArray[np.bool_], whole: LineageScores, kept: LineageScores,
    stops: Callable[[Sequence[str]], Depths | None], queries: Sequence[str],
) -> Novelty:  # fmt: skip
    """Some of the queries.

    Args:
        which: bool (N,).
        whole, kept: of all N queries, uncut and cut.
        stops: where such queries stopped.
    """
    if not which.any():
        return Novelty(label, 0, None, None, None)
    some = [query for query, inside in zip(queries, which.tolist(), strict=True) if inside]
    return Novelty(label, len(some), lineages(_chosen(whole, which)), lineages(_chosen(kept, which)), stops(some))


def _chosen(found: LineageScores, which: NDArray[np.bool_]) -> LineageScores:
    return LineageScores(found.shared_N[which], found.hops_N[which], found.inverted_rf_N[which])


def by_references(
    tree: Taxonomy, nodes: Mapping[str, int], in_reference: NDArray[np.int64], outcomes: Mapping[str, Outcomes]
) -> dict[str, tuple[Stratum, ...]]:
    """Strata of how many reference proteins the true taxon of each rank has."""
    found = {}
    for rank, o in outcomes.items():
        level, of_node = RANKS.index(rank), {}
        for node in {nodes[query] for query in o.queries}:
            at = next(n for n in tree.path(node) if tree.canonical_level[n] == level)
            of_node[node] = int(in_reference[at])
        found[rank] = stratify(o, np.array([of_node[nodes[query]] for query in o.queries], float), REFERENCES)
    return found
