"""The tree of all labels in a set, by rank: what lies how far from what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linnet.taxonomy import RANKS, Lineage, Taxonomy

LEVELS = len(RANKS) + 1
"""The root, 0, and the seven canonical ranks."""


class LabelTree:
    """The tree that holds the C labels of a set, of canonical ranks only.

    Attributes:
        taxonomy: N taxa.
        label_C: int32, the taxon of each contig's label, 0 for none.
        level_N: int8, 0 for the root, else 1 + the index of the taxon's rank in RANKS.
        ancestor_NL: int32 (N, 8), the taxon at each level of each taxon's path, -1 where it has none.
        inside_NL: float32 (N, 8), how many taxa of each level lie in a taxon's clade, itself included.
    """

    def __init__(self, lineages: Sequence[Lineage]) -> None:
        self.taxonomy = Taxonomy.from_lineages(lineages)
        node_of = {lineage: self.taxonomy.find(lineage)[0] for lineage in set(lineages)}
        self.label_C = np.array([node_of[lineage] for lineage in lineages], np.int32)
        self.level_N = (self.taxonomy.canonical_level + 1).astype(np.int8)
        n = len(self)
        self.ancestor_NL = np.full((n, LEVELS), -1, np.int32)
        self.ancestor_NL[:, 0] = 0
        for node in range(1, n):  # parents come first
            self.ancestor_NL[node] = self.ancestor_NL[self.taxonomy.parent[node]]
            self.ancestor_NL[node, self.level_N[node]] = node
        at_level = (np.flatnonzero(self.level_N == level) for level in range(LEVELS))
        self.inside_NL = np.stack([*map(self.taxonomy.clade_counts, at_level)], axis=1).astype(np.float32)

    def __len__(self) -> int:
        return len(self.taxonomy)

    @cached_property
    def log_ways(self) -> NDArray[np.float32]:
        """float32 (N, 8, 8): ln of how many taxa of level d have their last common ancestor with n at level a."""
        ways = np.zeros((len(self), LEVELS, LEVELS), np.float32)
        below = np.full(len(self), -1, np.int32)  # the next taxon down the path to n, already passed
        for level in range(LEVELS - 1, -1, -1):
            here = self.ancestor_NL[:, level]
            has = here >= 0
            inside = np.where(has[:, None], self.inside_NL[here], 0)
            ways[:, level] = inside - np.where((has & (below >= 0))[:, None], self.inside_NL[below], 0)
            below = np.where(has, here, below)
        return np.log(np.maximum(ways, 1))

    def common_level(self, a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.int8]:
        """The level of the last common ancestor of taxa a and b (broadcast)."""
        level = np.zeros(np.broadcast_shapes(a.shape, b.shape), np.int8)
        for k in range(1, LEVELS):
            of_a = self.ancestor_NL[:, k][a]
            level[(of_a == self.ancestor_NL[:, k][b]) & (of_a >= 0)] = k
        return level
