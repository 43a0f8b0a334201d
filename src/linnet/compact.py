"""The compact network, evaluated without torch: a bag of k-mers, one hidden block, a tree head that is asked one taxon
at a time, and the neighbours that count beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linnet.calibrate import Calibration
from linnet.gene_neighbours import GeneIndex
from linnet.kin import Kin, ways
from linnet.kmers import KmerReader, Reading
from linnet.layers import bag_vectors
from linnet.machine_code import compiled
from linnet.neighbour_evidence import Witness
from linnet.neighbour_gate import Gate
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy
from linnet.weighed_walk import Ragged, WeighedWalker

Tensors = Mapping[str, NDArray[np.generic]]
TOGETHER = 32
"""Reads whose places in the whole tree are found at once."""


class CompactNetwork:
    """K-mers of reads to a walker on the tree, or to their places in the whole of it.

    Args:
        tensors: by the names torch gives them (`encoders.kmer`, `heads`); any float type.
        index: the references among which neighbours are looked up.
        gate: how much these count.
    """

    def __init__(
        self,
        tensors: Tensors,
        taxonomy: Taxonomy,
        calibration: Calibration | None = None,
        index: GeneIndex | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.taxonomy, self.groups, self.index, self.gate = taxonomy, SiblingGroups(taxonomy), index, gate
        parts = ("encoder.", "head.")
        self.weight = {name: np.asarray(t, np.float32) for name, t in tensors.items() if name.startswith(parts)}
        self.reader = KmerReader(self.weight["encoder.log_odds_V"])
        self.calibration = calibration or Calibration.none(self.groups.levels)
        columns = len(self.weight["head.scores.bias"])
        if columns != len(self.groups) or len(self.calibration.stop) != self.groups.levels:
            raise ValueError(f"{columns} columns for a tree that needs {len(self.groups)}")

    @classmethod
    def kept(cls, tensors: Tensors, taxonomy: Taxonomy, calibration: Calibration) -> CompactNetwork:
        """The network of a checkpoint's arrays, with index and gate where it has them."""
        index = GeneIndex.from_tensors(tensors) if "index.bases" in tensors else None
        return cls(tensors, taxonomy, calibration, index, Gate.from_tensors(tensors))

    def vectors(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, width): what the head is given of each sequence."""
        return bag_vectors(reading.kmer_F, reading.first, self.weight)

    def walker_of(self, reading: Reading, kin: Kin | None = None) -> WeighedWalker:
        """The model at work on these sequences.

        Args:
            kin: their neighbours, where these are known already.
        """
        groups, w, vectors_BW = self.groups, self.weight, self.vectors(reading)

        def scores(records: NDArray[np.int64], nodes: NDArray[np.int64]) -> Ragged:
            group = groups.group_of_node[nodes]
            first = groups.start[group]
            start = np.concatenate([[0], np.cumsum(groups.start[group + 1] - first)])
            return _columns(vectors_BW, w["head.scores.weight"], w["head.scores.bias"], records, first, start), start

        return WeighedWalker(self, scores, reading.kmers_B, kin or self.kin(reading))

    def kin(self, reading: Reading) -> Kin | None:
        """The sequences' neighbours among the references, where the model keeps any."""
        if self.index is None:
            return None
        return Kin.of(self.index.search(reading), self._way_RD, reading.lengths_B)

    def place(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, N): the posterior over places in the tree."""
        return self.place_by(self.walker_of(reading))

    def place_by(self, walker: WeighedWalker) -> NDArray[np.float32]:
        """`place` of what a walker of this network is on."""
        sizes, reads = np.diff(self.groups.start), len(walker.begin())
        parts = []
        for low in range(0, reads, TOGETHER):  # every group of every read is a step
            records = np.arange(low, min(low + TOGETHER, reads))
            owners = np.tile(self.groups.owner.astype(np.int64), len(records))
            fan, _ = walker.step(np.repeat(records, len(sizes)).tolist(), owners)
            parts.append(self.groups.place(np.asarray(fan.log_F, np.float32).reshape(len(records), -1).T))
        return np.concatenate(parts) if parts else np.empty((0, len(self.taxonomy)), np.float32)

    @cached_property
    def witness(self) -> Witness:
        """What is asked of neighbours."""
        if self.index is None:
            return Witness(self.taxonomy, np.empty(0, np.int64))
        return Witness(self.taxonomy, self.index.nodes, self.index.around)

    @cached_property
    def _way_RD(self) -> NDArray[np.int32]:
        return ways(self.index.nodes if self.index else np.empty(0, np.int64), self.taxonomy)


@compiled
def _columns(
    vectors_BW: NDArray[np.float32],
    weight_MW: NDArray[np.float32],
    bias_M: NDArray[np.float32],
    records: NDArray[np.int64],
    first: NDArray[np.int64],
    start: NDArray[np.int64],
) -> NDArray[np.float32]:
    """float32 (F,): for each step the head's columns from `first` on, as many as the step has options."""
    score_F = np.empty(start[-1], np.float32)
    lanes = np.empty(16, np.float32)
    width = vectors_BW.shape[1]
    whole = width - width % 16
    for s in range(len(records)):
        vector = vectors_BW[records[s]]
        for f in range(start[s], start[s + 1]):
            column = first[s] + f - start[s]
            row = weight_MW[column]
            lanes[:] = 0
            for w in range(0, whole, 16):  # sixteen sums at once: what a processor adds in one go
                for i in range(16):
                    lanes[i] += vector[w + i] * row[w + i]
            total = bias_M[column]
            for i in range(16):
                total += lanes[i]
            for w in range(whole, width):
                total += vector[w] * row[w]
            score_F[f] = total
    return score_F
