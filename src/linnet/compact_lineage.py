"""The compact protein network, evaluated with numpy alone: a bag of words, one hidden block, a head that is asked
one taxon at a time, and the neighbours that count beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linnet.calibrate import Calibration
from linnet.kin import Kin, ways
from linnet.layers import bag_vectors, gelu
from linnet.neighbour_evidence import Witness
from linnet.neighbour_gate import Gate
from linnet.protein_neighbours import ProteinIndex
from linnet.residues import WordReader, Words
from linnet.taxonomy import Taxonomy
from linnet.weighed_walk import Ragged, WeighedWalker

Tensors = Mapping[str, NDArray[np.generic]]


class CompactLineageNetwork:
    """Words of proteins to a walker on the tree.

    Args:
        tensors: by the names torch gives them (`encoders.residue_words`, `light_head`); any float type.
        reader: of the words that the embedding has rows for.
        index: the proteins among which neighbours are looked up.
        gate: how much these count.
    """

    def __init__(
        self,
        tensors: Tensors,
        reader: WordReader,
        taxonomy: Taxonomy,
        calibration: Calibration | None = None,
        index: ProteinIndex | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.taxonomy, self.reader, self.index, self.gate = taxonomy, reader, index, gate
        parts = ("encoder.", "head.")
        self.weight = {name: np.asarray(t, np.float32) for name, t in tensors.items() if name.startswith(parts)}
        levels = len(taxonomy.level_bounds) - 2
        self.calibration = calibration or Calibration.none(levels)
        rows = len(self.weight["encoder.embedding"]), len(self.weight["head.taxa"])
        if rows != (len(reader), len(taxonomy)) or len(self.calibration.stop) != levels:
            raise ValueError(f"{rows[0]} words and {rows[1]} taxa, {len(reader)} and {len(taxonomy)} expected")

    @classmethod
    def kept(
        cls, tensors: Tensors, reader: WordReader, taxonomy: Taxonomy, calibration: Calibration
    ) -> CompactLineageNetwork:
        """The network of a checkpoint's arrays, with index and gate where it has them."""
        index = ProteinIndex.from_tensors(tensors) if "index.start" in tensors else None
        return cls(tensors, reader, taxonomy, calibration, index, Gate.from_tensors(tensors))

    def vectors(self, words: Words) -> NDArray[np.float32]:
        """float32 (B, width): the encoder's vectors."""
        return bag_vectors(words.index_F, words.start, self.weight)

    def walker_of(self, sequences: Sequence[str], kin: Kin | None = None) -> WeighedWalker:
        """The model at work on these proteins.

        Args:
            kin: their neighbours, where these are known already.
        """
        words = self.reader.read(sequences)
        return self.walker(self.vectors(words), words.counts, kin or self.kin(sequences))

    def walker(
        self, vectors_BW: NDArray[np.float32], read_B: NDArray[np.int64], kin: Kin | None = None
    ) -> WeighedWalker:
        """The light head at work on proteins of these vectors: the score of a child given its parent and the protein.

        Args:
            read_B: words read of each.
        """
        tree, w = self.taxonomy, self.weight
        protein_BH = vectors_BW @ w["head.protein.weight"].T + w["head.protein.bias"]

        def scores(records: NDArray[np.int64], nodes: NDArray[np.int64]) -> Ragged:
            inner = protein_BH[records] + self.path_sum[self.taxonomy.level_place[nodes]] @ w["head.node.weight"].T
            query = gelu(inner) @ w["head.query.weight"].T + w["head.query.bias"]
            start = np.concatenate([[0], np.cumsum(tree.child_count[nodes].astype(np.int64) + 1)])
            score_F = np.empty(start[-1], np.float32)
            taxa, of = np.unique(nodes, return_inverse=True)
            order = np.argsort(of, kind="stable")
            bounds = np.searchsorted(of[order], np.arange(len(taxa) + 1))
            for i, node in enumerate(taxa.tolist()):
                rows = order[bounds[i] : bounds[i + 1]]
                a = int(tree.child_start[node])
                z = a + int(tree.child_count[node])
                here = start[rows][:, None] + np.arange(z - a)
                score_F[here] = query[rows] @ w["head.taxa"][a:z].T + w["head.bias"][a:z]
            score_F[start[1:] - 1] = query @ w["head.stop"] + w["head.stop_bias"][self.taxonomy.level_place[nodes]]
            return score_F, start

        return WeighedWalker(self, scores, read_B, kin)

    def vectors_of(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """float32 (B, width): what the head is given of each protein."""
        return self.vectors(self.reader.read(sequences))

    def kin(self, sequences: Sequence[str]) -> Kin | None:
        """The proteins' neighbours among the references, where the model keeps any."""
        if self.index is None:
            return None
        return Kin.of(self.index.search(sequences), self._way_RD, np.array([len(s) for s in sequences]))

    @cached_property
    def _way_RD(self) -> NDArray[np.int32]:
        return ways(self.index.nodes if self.index else np.empty(0, np.int64), self.taxonomy)

    @cached_property
    def path_sum(self) -> NDArray[np.float32]:
        """float32 (N, taxa's width): the sum of the embeddings of each taxon and of all it lies in; in level order."""
        tree, embedding = self.taxonomy, self.weight["head.taxa"]
        sums = np.zeros_like(embedding)
        for a, b in zip(tree.level_bounds[1:], tree.level_bounds[2:], strict=False):
            sums[a:b] = sums[self.taxonomy.level_place[tree.parent[tree.level_order[a:b]]]] + embedding[a:b]
        return sums

    @property
    def longest(self) -> int | None:
        """Residues of the longest protein of the index."""
        return int(np.diff(self.index.start).max(initial=0)) if self.index else None

    @cached_property
    def witness(self) -> Witness:
        """What is asked of neighbours."""
        return Witness(self.taxonomy, self.index.nodes if self.index else np.empty(0, np.int64))
