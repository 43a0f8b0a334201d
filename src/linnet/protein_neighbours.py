"""The reference proteins most like a protein: found by the rare words that they share, then aligned.

Words are of four residues. A word counts for ln(N / n), with n the number of the N references that have it; the
likeness of two proteins is what the words in both count for over what those in either do. The likest are aligned
(Smith & Waterman 1981; BLOSUM62, a gap of n residues costs 10 + n; by the library Opal). A neighbour's score is that of
the alignment over that of the protein with itself: 1 for a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyopal
from numpy.typing import NDArray

from linnet.kin import Hits
from linnet.ragged import ranges
from linnet.residues import RESIDUES, WordReader, codes, letters

WORDS = WordReader((4,), 20**4)
MOST = 30
"""Neighbours of a protein."""
ALIGNED = 80
"""References that are aligned with a protein, the likest by words, for its neighbours to be found among them."""
POSTINGS = 30_000
"""References looked at for a protein, through its rarest words first; those of one more word may come on top."""


class ProteinIndex:
    """N reference proteins.

    Args:
        code_R: uint8 (residues,), all their residues by number (`residues.codes`), one protein after another.
        start: int64 (N + 1,), where each begins.
        nodes: int32 (N,), the taxon of each.
    """

    def __init__(self, code_R: NDArray[np.uint8], start: NDArray[np.int64], nodes: NDArray[np.int32]) -> None:
        self.code_R, self.start, self.nodes = code_R, start, nodes

    @classmethod
    def of(cls, sequences: Sequence[str], nodes: NDArray[np.integer]) -> ProteinIndex:
        start = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
        return cls(codes("".join(sequences)), start, nodes.astype(np.int32))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> ProteinIndex:
        """From what `tensors` gave."""
        residues, start, nodes = (np.asarray(tensors[f"index.{name}"]) for name in ("residues", "start", "nodes"))
        return cls(residues.astype(np.uint8), start.astype(np.int64), nodes.astype(np.int32))

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Arrays by name, as a checkpoint keeps them."""
        return {"index.residues": self.code_R, "index.start": self.start, "index.nodes": self.nodes}

    def make_ready(self) -> None:
        """Build now what the first search would: threads that come to it together would each do so."""
        _ = self._postings, self._aligner

    def __len__(self) -> int:
        return len(self.nodes)

    def sequence(self, i: int) -> str:
        return letters(self.code_R[self.start[i] : self.start[i + 1]])

    def search(self, sequences: Sequence[str], most: int = MOST) -> Hits:
        """The references likest to each protein, so many at most."""
        words = WORDS.read(sequences)
        reference_BK = np.full((len(sequences), most), -1, np.int64)
        score_BK = np.zeros((len(sequences), most), np.float32)
        for b, sequence in enumerate(sequences):
            found = self._alike(words.index_F[words.start[b] : words.start[b + 1]], max(most, ALIGNED))
            if not len(found):
                continue
            score = self._aligned(sequence, found)
            order = np.argsort(-score, kind="stable")[:most]
            found, score = found[order], score[order]
            reference_BK[b, : len(found)], score_BK[b, : len(found)] = found, score
        return Hits(reference_BK, score_BK)

    def _alike(self, word_W: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        """The references with the highest likeness by words, the likest first."""
        first, posting, weight, total = self._postings
        size_W = first[word_W + 1] - first[word_W]
        rarest = np.argsort(size_W, kind="stable")
        used = rarest[: np.searchsorted(np.cumsum(size_W[rarest]), POSTINGS) + 1]
        word_U, size_U = word_W[used], size_W[used]
        reference = posting[ranges(first[word_U], size_U)]
        shared_N = np.bincount(reference, np.repeat(weight[word_U], size_U), len(self))
        some = np.flatnonzero(shared_N > 0)
        likeness = shared_N[some] / (weight[word_W].sum() + total[some] - shared_N[some])
        if len(some) > most:
            best = np.argpartition(-likeness, most)[:most]
            some, likeness = some[best], likeness[best]
        return np.asarray(some[np.lexsort((some, -likeness))])

    def _aligned(self, sequence: str, references: NDArray[np.int64]) -> NDArray[np.float32]:
        """(K,): scores of local alignments, over that of the protein with itself."""
        database, aligner, itself = self._aligner
        query = codes(sequence)
        found = aligner.align(letters(query), database.extract(references.tolist()), mode="score", algorithm="sw")
        return np.array([f.score for f in found], np.float32) / np.float32(max(itself[query].sum(), 1))

    @cached_property
    def _postings(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """Where each word's references begin, these, and the word's weight; the weight of all words of a reference."""
        word, of = WORDS.places(self.code_R, self.start)
        bits = len(self).bit_length()
        key = (word << bits) | of
        key.sort()  # by word, then by reference; several times as fast as an argsort
        key = key[np.diff(key, prepend=-1) > 0]
        word, of = key >> bits, (key & ((1 << bits) - 1)).astype(np.int32)
        size = np.bincount(word, minlength=len(WORDS))
        weight = np.log(len(self) / np.maximum(size, 1)).astype(np.float32)
        total = np.bincount(of, weight[word], len(self)).astype(np.float32)
        return np.concatenate([[0], np.cumsum(size)]), np.asarray(of, np.int32), weight, total

    @cached_property
    def _aligner(self) -> tuple[Any, Any, NDArray[np.int64]]:
        """The references as Opal has them, what aligns, and what each residue scores with itself."""
        aligner = pyopal.Aligner("BLOSUM62", gap_open=11, gap_extend=1)
        known, matrix = list(aligner.alphabet), aligner.scoring_matrix
        itself = np.array([matrix[known.index(x)][known.index(x)] for x in f"{RESIDUES}X"], np.int64)
        return pyopal.Database(map(self.sequence, range(len(self)))), aligner, itself
