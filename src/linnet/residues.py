"""Proteins as numbers: which short words of residues each one holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
"""The twenty amino acids, in the order of their codes."""
_ALSO = {"U": "C", "O": "K", "J": "L"}
"""Letters read as another: selenocysteine, pyrrolysine, leucine or isoleucine."""
_NONE = 20
_CODE = np.full(256, _NONE, np.uint8)
for _code, _letter in enumerate(RESIDUES):
    _CODE[[ord(_letter), ord(_letter.lower())]] = _code
for _letter, _other in _ALSO.items():
    _CODE[[ord(_letter), ord(_letter.lower())]] = RESIDUES.index(_other)


@dataclass(frozen=True, eq=False)
class Words:
    """The different words in each of B proteins, ragged.

    Attributes:
        index_F: int64 (F,), words by number, ascending within a protein.
        start: int64 (B + 1,): protein b has `index_F[start[b]:start[b + 1]]`.
    """

    index_F: NDArray[np.int64]
    start: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 (B,): how many different words each protein has."""
        return np.diff(self.start)


@dataclass(frozen=True)
class WordReader:
    """Words of the lengths `ks`; of lengths with more than `buckets` words, several share a number by a hash.

    A word with any other letter (X, B, Z, a gap, a stop) is left out.
    """

    ks: tuple[int, ...]
    buckets: int

    def sizes(self) -> list[int]:
        """Of each length, how many numbers its words have."""
        return [min(len(RESIDUES) ** k, self.buckets) for k in self.ks]

    def __len__(self) -> int:
        return sum(self.sizes())

    def read(self, sequences: Sequence[str]) -> Words:
        """The words of each protein."""
        text = "\n".join(sequences)
        codes = _CODE[np.frombuffer(text.encode("ascii", "replace"), np.uint8)].astype(np.int64)
        ends = np.cumsum([len(s) + 1 for s in sequences])
        owner = np.searchsorted(ends, np.arange(len(codes)), "right")
        bad = np.concatenate([[0], np.cumsum(codes == _NONE)])
        keys, first = [np.empty(0, np.int64)], 0
        for k, size in zip(self.ks, self.sizes(), strict=True):
            at = np.flatnonzero(bad[k:] == bad[: len(bad) - k]) if len(codes) >= k else np.empty(0, np.int64)
            value = np.zeros(len(at), np.int64)
            for offset in range(k):
                value = value * len(RESIDUES) + codes[at + offset]
            if len(RESIDUES) ** k > size:
                value = (_mixed(value) % np.uint64(size)).astype(np.int64)
            keys.append(owner[at] * len(self) + first + value)
            first += size
        found = np.concatenate(keys)
        found.sort()  # several times as fast as np.unique, which hashes
        found = found[np.diff(found, prepend=-1) > 0]
        row, index = np.divmod(found, len(self))
        return Words(index, np.searchsorted(row, np.arange(len(sequences) + 1)))


def _mixed(value: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers that lie close together, far apart (the finaliser of SplitMix64; Steele et al. 2014)."""
    x = value.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def looks_like_bases(sequence: str) -> bool:
    """Whether a sequence of some length is all A, C, G, T, U and N, as a gene is and a protein hardly ever."""
    return len(sequence) >= 30 and set(sequence.upper()) <= set("ACGTUN")
