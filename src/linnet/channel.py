"""What a search tool's label says about the truth: the label channel, learnt from the labels themselves.

The truth of a contig is a place t in the tree: a taxon of the last rank, or "in this clade, but in none of the
taxa below it that the labels know": new. The channel gives

    P(label y with evidence e | t) = table[rank of t, rank of the last common ancestor of y and t, rank of y, e] / ways

where `ways` counts the taxa y that stand so to t. The table starts from a shape that only says that labels are
more often right than wrong, and is learnt by expectation-maximisation (Dempster, Laird & Rubin 1977) with that
shape as a prior. A known species then shows by labels that agree, a new one by labels that scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.label_tree import LEVELS, LabelTree

EVIDENCE = 6
"""Kinds of evidence: few, some or many pieces of it, each agreeing little or much."""
SPECIES_KNOWN = np.array([0.01, 0.01, 0.01, 0.01, 0.05, 0.10, 0.12, 0.69])
"""Before anything is learnt: the share of contigs whose truth is new below each level; the last is known species."""
INSIDE_KNOWN, INSIDE_NEW, CUT = 0.95, 0.7, 0.3
"""Before anything is learnt: how many labels lie in the clade of the truth, if its species is known to the reference
or is new; and how many of the others are only cut short."""
UNLABELLED = 0.1
"""Before anything is learnt: how many contigs get no label, wherever they belong."""
LEAST_SHARE = 0.002
"""Of any such share, whatever is learnt."""


@dataclass(frozen=True, eq=False)
class Observed:
    """The labels of C contigs, as the channel sees them.

    Attributes:
        tree: the labels' tree.
        evidence_C: int8, which of the `EVIDENCE` kinds stands behind each label.
    """

    tree: LabelTree
    evidence_C: NDArray[np.int8]

    @property
    def label_level_C(self) -> NDArray[np.int8]:
        """int8 (C,): the level of each label, 0 for none."""
        return self.tree.level_N[self.tree.label_C]

    def background(self) -> NDArray[np.float64]:
        """float64 (C,): how probable each contig's label is of a stranger, by how common it is."""
        label_C, n = self.tree.label_C, len(self.tree)
        common_N = np.bincount(label_C, minlength=n) + 0.5
        named_C = label_C > 0
        kind = [np.bincount(self.evidence_C[m], minlength=EVIDENCE) + 0.5 for m in (~named_C, named_C)]
        of_kind = np.stack([k / k.sum() for k in kind])
        return np.asarray(common_N[label_C] / common_N.sum() * of_kind[named_C.astype(int), self.evidence_C])


@dataclass(frozen=True, eq=False)
class Channel:
    """How labels arise.

    Attributes:
        table_TADE: float64 (8, 8, 8, EVIDENCE): by level of the truth, of the last common ancestor, of the
            label, and evidence; each truth's sums to 1.
        share_T: float64 (8,), share of contigs whose truth is of each level.
    """

    table_TADE: NDArray[np.float64]
    share_T: NDArray[np.float64]

    def log_likelihood(
        self, observed: Observed, truth: NDArray[np.integer], contig: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """ln P(label and evidence of `contig` | `truth`), for taxa and contigs (broadcast)."""
        tree = observed.tree
        label = tree.label_C[contig]
        common, level = tree.common_level(truth, label), tree.level_N[label]
        table = np.log(self.table_TADE + 1e-12).astype(np.float32)
        return np.asarray(
            table[tree.level_N[truth], common, level, observed.evidence_C[contig]] - tree.log_ways[truth, common, level]
        )

    def log_prior(self, observed: Observed) -> NDArray[np.float64]:
        """float64 (N,): ln of how probable each taxon is as a truth: its level's share, divided by how many labels
        lie in each taxon of that level."""
        tree = observed.tree
        common_N = tree.taxonomy.clade_counts(tree.label_C) + 0.5
        total_L = np.bincount(tree.level_N, common_N, LEVELS)
        share_N = np.maximum(self.share_T, LEAST_SHARE)[tree.level_N]
        return np.asarray(np.log(share_N * common_N / total_L[tree.level_N]))


def first_channel() -> Channel:
    """The shape that learning starts from: labels lie in the truth's clade or near it rather than far from it."""
    table = np.zeros((LEVELS, LEVELS, LEVELS, EVIDENCE))
    table[:, 0, 0] = UNLABELLED
    for truth in range(LEVELS):
        inside = INSIDE_KNOWN if truth == LEVELS - 1 else INSIDE_NEW if truth else 1.0
        first = max(truth, 1)
        table[truth, truth, first:] = (1 - UNLABELLED) * inside / (LEVELS - first)
        nearness = 0.5 ** np.arange(truth)[::-1]
        for common in range(truth):
            outside = (1 - UNLABELLED) * (1 - inside)
            if common:
                table[truth, common, common] = outside * CUT / (truth - 1)
            wrong = 1 - CUT if truth > 1 else 1.0
            astray = outside * wrong * nearness[common] / nearness.sum()
            table[truth, common, common + 1 :] = astray / (LEVELS - 1 - common)
    return Channel(_normalised(table), SPECIES_KNOWN)


def learnt(
    observed: Observed,
    candidate_CM: NDArray[np.integer],
    posterior_CM: NDArray[np.floating],
    prior: Channel,
    pseudo: float,
) -> Channel:
    """The channel that the posteriors of contigs' truths make likeliest (M step).

    Args:
        candidate_CM: taxa that each contig's truth may be, -1 for none.
        pseudo: how many contigs of each level of truth the prior counts for.
    """
    tree = observed.tree
    of, at = np.nonzero(candidate_CM >= 0)
    truth, weight, label = candidate_CM[of, at], posterior_CM[of, at].astype(np.float64), tree.label_C[of]
    shape = prior.table_TADE.shape
    cell = np.ravel_multi_index(
        (tree.level_N[truth], tree.common_level(truth, label), tree.level_N[label], observed.evidence_C[of]), shape
    )
    counts = np.bincount(cell, weight, prior.table_TADE.size).reshape(shape)
    share = np.bincount(tree.level_N[truth], weight, LEVELS) + pseudo * prior.share_T
    return Channel(_normalised(counts + pseudo * prior.table_TADE), share / share.sum())


def kinds_of_evidence(
    named_C: NDArray[np.bool_],
    pieces_C: NDArray[np.integer],
    support_C: NDArray[np.floating],
    length_C: NDArray[np.integer],
) -> NDArray[np.int8]:
    """int8 (C,): of labelled contigs, in which third their number of pieces of evidence lies (their length, where
    the tool tells of no pieces), and whether these agree at least as well as the median; of others, the third of
    their length."""
    amount = np.where(pieces_C > 0, pieces_C, 0) if (pieces_C > 0).any() else length_C
    kind = np.zeros(len(named_C), np.int8)
    for inside, values in ((named_C, amount), (~named_C, length_C)):
        if inside.any():
            edges = np.quantile(values[inside], [1 / 3, 2 / 3])
            kind[inside] = np.searchsorted(edges, values[inside], "left")
    known = named_C & ~np.isnan(support_C)
    if known.any():
        middle = np.median(support_C[known])
        agrees = known & (support_C >= middle)
        return np.asarray(np.where(named_C, 2 * kind + agrees, kind), np.int8)
    return np.asarray(np.where(named_C, 2 * kind, kind), np.int8)


def _normalised(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(table / table.sum(axis=(1, 2, 3), keepdims=True))
