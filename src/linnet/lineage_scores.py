"""How near an answer's path through a tree is to the true one, and how two such figures go together.

A path is the taxa from below the root down to a node. Of a true path of t taxa and an answer's of a, which share the
first s, the shared prefix is s / t, the hops from one end to the other are t + a - 2 s, and nRF, after the distance of
Robinson & Foulds 1981 (Math Biosci 53:131), is |A xor B| / (|A| + |B|) over the two sets of taxa, which is
(t + a - 2 s) / (t + a).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.ranking import mean_ranks
from linnet.taxonomy import Taxonomy

BINS = 20
"""Bins of equal width of figures between 0 and 1."""


@dataclass(frozen=True, eq=False)
class LineageScores:
    """Of N answers, one a row.

    Attributes:
        shared_N: float, the share of the true path that the answer shares.
        hops_N: int, steps in the tree from the answer to the truth.
        inverted_rf_N: float, 1 - nRF.
    """

    shared_N: NDArray[np.float64]
    hops_N: NDArray[np.int64]
    inverted_rf_N: NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """A figure over N lineages: mean, quartiles, and counts in BINS bins of equal width from 0 to 1, or none."""

    n: int
    mean: float
    quartiles: tuple[float, float, float]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Correlation:
    """How two figures of the same lineages go together; None where one of them does not vary.

    Attributes:
        pearson: of the figures (Pearson 1895).
        spearman: of their ranks, ties sharing the mean of theirs (Spearman 1904).
    """

    n: int
    pearson: float | None
    spearman: float | None


@dataclass(frozen=True)
class Level:
    """One depth of a tree, the root's being 0: taxa there with sequences in their clades, and how many these are."""

    depth: int
    taxa: int
    sequences: int


def lowest_common(taxonomy: Taxonomy, a_N: NDArray[np.integer], b_N: NDArray[np.integer]) -> NDArray[np.int64]:
    """int64 (N,): of each pair of nodes the lowest taxon whose clade holds both."""
    low, high = np.minimum(a_N, b_N).astype(np.int64), np.maximum(a_N, b_N)
    while (outside := high >= taxonomy.end[low]).any():
        low[outside] = taxonomy.parent[low[outside]]
    return np.asarray(low)


def lineage_scores(
    taxonomy: Taxonomy,
    true_N: NDArray[np.integer],
    answer_N: NDArray[np.integer],
    beyond_N: NDArray[np.integer] | None = None,
) -> LineageScores:
    """The figures of N answers.

    Args:
        true_N: nodes of the true taxa, none of them the root.
        answer_N: nodes of the answers, the root (0) where there is none.
        beyond_N: how many taxa of each answer lie further down and are not in the tree: each is one too many.
    """
    shared = taxonomy.depth[lowest_common(taxonomy, true_N, answer_N)].astype(np.int64)
    true, given = (taxonomy.depth[nodes].astype(np.int64) for nodes in (true_N, answer_N))
    if beyond_N is not None:
        given = given + beyond_N
    return LineageScores(shared / true, true + given - 2 * shared, 2 * shared / (true + given))


def distribution(values_N: NDArray[np.floating]) -> Distribution | None:
    """A figure between 0 and 1 over N lineages; None for none."""
    if not len(values_N):
        return None
    counts, _ = np.histogram(values_N, BINS, (0.0, 1.0))
    low, middle, high = np.quantile(values_N, (0.25, 0.5, 0.75)).tolist()
    return Distribution(len(values_N), float(values_N.mean()), (low, middle, high), tuple(counts.tolist()))


def correlation(a_N: NDArray[np.floating], b_N: NDArray[np.floating]) -> Correlation:
    """How two figures of N lineages go together."""
    return Correlation(len(a_N), _pearson(a_N, b_N), _pearson(mean_ranks(a_N), mean_ranks(b_N)))


def _pearson(a_N: NDArray[np.floating], b_N: NDArray[np.floating]) -> float | None:
    if len(a_N) < 2 or np.ptp(a_N) == 0 or np.ptp(b_N) == 0:
        return None
    a, b = a_N - a_N.mean(), b_N - b_N.mean()
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), -1.0, 1.0))


def levels(taxonomy: Taxonomy, in_clade: NDArray[np.int64]) -> tuple[Level, ...]:
    """Taxa and sequences at every depth below the root, down to the last that has any.

    Args:
        in_clade: of each taxon of the tree, as `Taxonomy.clade_counts` gives them.
    """
    used = np.flatnonzero(in_clade)
    depth = taxonomy.depth[used]
    taxa = np.bincount(depth)
    sequences = np.bincount(depth, in_clade[used]).astype(np.int64)
    return tuple(Level(d, int(taxa[d]), int(sequences[d])) for d in range(1, len(taxa)))
