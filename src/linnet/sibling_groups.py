"""How a tree head lays out its scores: one group of columns for each taxon that has children."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linnet.taxonomy import Taxonomy


class SiblingGroups:
    """The M columns of a tree head over N taxa.

    Each taxon with children owns a group: a column for each child, in order, then a last one, `stop`, for
    "in this clade but in none of these children". Groups stand in the tree's level order, so that a softmax
    within each group gives p(child | parent), and sums along paths give every clade.

    Attributes:
        start: int64 (G + 1,): group g is columns `start[g]:start[g + 1]`, its stop the last of them.
        owner: int32 (G,): the taxon that owns each group.
        group_of_node: int32 (N,): the group a taxon owns, -1 for a leaf.
        column_of_node: int64 (N,): the column of a taxon among its siblings, -1 for the root.
        level_of_column: int32 (M,): depth of the group's owner.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        order = taxonomy.level_order
        self.owner = order[taxonomy.child_count[order] > 0]
        sizes = taxonomy.child_count[self.owner].astype(np.int64) + 1
        self.start = np.concatenate([[0], np.cumsum(sizes)])
        self.group_of_node = np.full(len(taxonomy), -1, np.int32)
        self.group_of_node[self.owner] = np.arange(len(self.owner))
        is_stop = np.zeros(len(self), bool)
        is_stop[self.stop] = True
        self.column_of_node = np.full(len(taxonomy), -1, np.int64)
        self.column_of_node[order[1:]] = np.flatnonzero(~is_stop)  # children of a node follow one another there
        self.level_of_column = np.repeat(taxonomy.depth[self.owner], sizes)

    def __len__(self) -> int:
        return int(self.start[-1])

    @property
    def stop(self) -> NDArray[np.int64]:
        """int64 (G,): the stop column of each group."""
        return self.start[1:] - 1

    @cached_property
    def levels(self) -> int:
        """How many levels have groups: the tree's depth."""
        return int(self.level_of_column.max(initial=-1)) + 1

    def steps(self, node: int, *, new: bool) -> list[tuple[int, int]]:
        """The way down to a taxon: each group passed and the right column in it.

        Args:
            new: the organism is in none of the taxon's children, so that the last step is to stop there.
        """
        parent, way = self.taxonomy.parent, self.taxonomy.path(node)
        steps = [(int(self.group_of_node[parent[n]]), int(self.column_of_node[n])) for n in way]
        if new and (group := int(self.group_of_node[node])) >= 0:
            steps.append((group, int(self.start[group + 1]) - 1))
        return steps

    def log_softmax(self, score_MB: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-probabilities within each group, (M, B), from scores (M, B)."""
        sizes = np.diff(self.start)
        highest = np.maximum.reduceat(score_MB, self.start[:-1], axis=0)
        shifted = score_MB - np.repeat(highest, sizes, axis=0)
        total = np.add.reduceat(np.exp(shifted), self.start[:-1], axis=0)
        return np.asarray(shifted - np.repeat(np.log(total), sizes, axis=0))

    def place(self, log_MB: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability that the organism's place is each taxon, (B, N), from conditional logs (M, B).

        A leaf gets its clade's probability; any other taxon that of stopping there.
        """
        tree = self.taxonomy
        order, bounds = tree.level_order, tree.level_bounds
        position = tree.level_place
        clade = np.zeros((len(tree), log_MB.shape[1]), np.float32)  # in level order: each level is a slice
        for a, b in zip(bounds[1:], bounds[2:], strict=False):
            nodes = order[a:b]
            clade[a:b] = clade[position[tree.parent[nodes]]] + log_MB[self.column_of_node[nodes]]
        clade[position[self.owner]] += log_MB[self.stop]
        return np.exp(clade)[position].T
