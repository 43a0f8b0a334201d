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


_LETTERS = np.frombuffer(f"{RESIDUES}X".encode(), np.uint8)


def codes(sequence: str) -> NDArray[np.uint8]:
    """uint8 (residues,): each residue by its place in `RESIDUES`, 20 where it is none of these."""
    return _CODE[np.frombuffer(sequence.encode("ascii", "replace"), np.uint8)]


def letters(code_R: NDArray[np.uint8]) -> str:
    """The protein of such numbers, X for 20."""
    return _LETTERS[code_R].tobytes().decode()


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
        start = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
        word, owner = self.places(codes("".join(sequences)), start)
        found = owner * len(self) + word
        found.sort()  # several times as fast as np.unique, which hashes
        found = found[np.diff(found, prepend=-1) > 0]
        row, index = np.divmod(found, len(self))
        return Words(index, np.searchsorted(row, np.arange(len(sequences) + 1)))

    def places(
        self, code_R: NDArray[np.uint8], start: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every word wherever it stands, and the protein that it stands in.

        Args:
            code_R: residues by number, one protein after another.
            start: int64 (B + 1,), where each protein begins.
        """
        words, owners, first = [], [], 0
        for k, size in zip(self.ks, self.sizes(), strict=True):
            within = max(0, len(code_R) - k + 1)
            number = np.zeros(within, np.int64 if len(RESIDUES) ** (k + 1) >= 2**31 else np.int32)
            whole = np.ones(within, bool)
            for offset in range(k):
                here = code_R[offset : offset + within]
                np.multiply(number, len(RESIDUES), out=number)
                np.add(number, here, out=number)
                np.logical_and(whole, here != _NONE, out=whole)
            for back in range(1, k):  # from one protein into the next
                crossing = start[1:] - back
                whole[crossing[(crossing >= 0) & (crossing < within)]] = False
            value = number[whole].astype(np.int64)
            if len(RESIDUES) ** k > size:
                value = (_mixed(value) % np.uint64(size)).astype(np.int64)
            so_far = np.searchsorted(np.flatnonzero(whole), start)
            owners.append(np.repeat(np.arange(len(start) - 1), np.diff(so_far)))
            value += first
            words.append(value)
            first += size
        if len(words) == 1:  # the copies of large ones take long
            return words[0], owners[0]
        return np.concatenate([np.empty(0, np.int64), *words]), np.concatenate([np.empty(0, np.int64), *owners])


def _mixed(value: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers that lie close together, far apart (the finaliser of SplitMix64; Steele et al. 2014)."""
    x = value.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def looks_like_bases(sequence: str) -> bool:
    """Whether a sequence of some length is all A, C, G, T, U and N, as a gene is and a protein hardly ever."""
    return len(sequence) >= 30 and set(sequence.upper()) <= set("ACGTUN")
