"""What any model has to beat: the commonest lineage, and the nearest reference by shared k-mers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linnet.compact import Tensors
from linnet.kmers import BLOCK, KmerReader, Reading, count, count_all, log_odds
from linnet.taxonomy import Taxonomy


class Commonest:
    """Every record gets the references' own distribution, hence their commonest path."""

    def __init__(self, tensors: Tensors, taxonomy: Taxonomy) -> None:
        self.reader = KmerReader(np.asarray(tensors["log_odds_V"], np.float32))
        records_N = np.asarray(tensors["records_N"], np.float32)
        self._place_N = records_N / records_N.sum()

    @classmethod
    def fit(cls, sequences: Sequence[str], nodes: NDArray[np.integer], taxonomy: Taxonomy) -> Tensors:
        """Arrays from references and the taxon of each."""
        return {
            "log_odds_V": log_odds(count_all(sequences, 7)),
            "records_N": np.bincount(nodes, minlength=len(taxonomy)).astype(np.float32),
        }

    def place(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, N)."""
        return np.repeat(self._place_N[None], len(reading.sequences), axis=0)


class Nearest:
    """The references that share most of a record's k-mers vote; what they do not share is left to the root.

    References are kept as an inverted index: for each k-mer, the references that have it.
    """

    def __init__(self, tensors: Tensors, taxonomy: Taxonomy) -> None:
        self.reader = KmerReader(np.asarray(tensors["log_odds_V"], np.float32))
        self._start_V = np.asarray(tensors["posting_start"], np.int64)
        self._postings = np.asarray(tensors["postings"], np.int32)
        self._nodes = np.asarray(tensors["nodes"], np.int64)
        self._n_taxa = len(taxonomy)

    @classmethod
    def fit(cls, sequences: Sequence[str], nodes: NDArray[np.integer], taxonomy: Taxonomy) -> Tensors:
        """Arrays from references and the taxon of each."""
        k = 8
        kmers, owners = [], []
        for a in range(0, len(sequences), BLOCK):
            row, kmer = np.nonzero(count(sequences[a : a + BLOCK], k))
            kmers.append(kmer.astype(np.int32))
            owners.append((row + a).astype(np.int32))
        kmer, owner = np.concatenate(kmers), np.concatenate(owners)
        return {
            "log_odds_V": log_odds(count_all(sequences, k)),
            "posting_start": np.concatenate([[0], np.cumsum(np.bincount(kmer, minlength=4**k))]),
            "postings": owner[np.argsort(kmer, kind="stable")],
            "nodes": np.asarray(nodes, np.int32),
        }

    def place(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, N)."""
        place = np.zeros((len(reading.sequences), self._n_taxa), np.float32)
        for row, counts_V in enumerate(reading.counts_BV):
            kmers = np.flatnonzero(counts_V)
            lists = [self._postings[self._start_V[v] : self._start_V[v + 1]] for v in kmers]
            shared = np.bincount(np.concatenate(lists) if lists else [], minlength=len(self._nodes))
            best = np.flatnonzero(shared == shared.max())
            likeness = shared[best[0]] / max(len(kmers), 1)
            np.add.at(place[row], self._nodes[best], likeness / len(best))
            place[row, 0] += 1 - likeness
        return place
