"""Sequences as counts of their k-mers, and the strand that the counts reveal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linnet.machine_code import compiled
from linnet.ragged import ranges
from linnet.records import reverse_complement

BLOCK = 256
"""Sequences counted at once: 4^7 counts for each are 16 MiB."""

_CODE = np.full(256, 4, np.uint8)
_CODE[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4)


def encode(sequences: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Letters of all sequences end to end as 0..3 (4 for anything but ACGT), and their lengths (B,)."""
    letters = np.frombuffer("".join(sequences).encode("ascii"), np.uint8)
    return _CODE[letters], np.array([len(s) for s in sequences], np.int64)


def kmer_positions(
    codes: NDArray[np.uint8], lengths: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The k-mer at each position that holds k plain bases, and the sequence it belongs to.

    Args:
        codes: uint8, B sequences end to end, 0..3 or 4.
        lengths: int64 (B,).

    Returns:
        k-mer numbers (base 4, first base highest) and sequence numbers, both int32 (positions,).
    """
    n = len(codes) - k + 1
    if n <= 0:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    kmer = np.zeros(n, np.int32)
    for j in range(k):
        kmer *= 4
        kmer += codes[j : j + n] & 3
    bad = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(codes == 4, out=bad[1:])
    row = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    good = (bad[k:] == bad[:n]) & (row[:n] == row[k - 1 :])
    return kmer[good], row[:n][good]


def count(sequences: Sequence[str], k: int) -> NDArray[np.float32]:
    """float32 (B, 4^k): how often each k-mer occurs in each sequence."""
    codes, lengths = encode(sequences)
    counts = np.zeros(len(sequences) * 4**k, np.float32)
    kmer, row = kmer_positions(codes, lengths, k)
    np.add.at(counts, row.astype(np.int64) * 4**k + kmer, np.float32(1))
    return counts.reshape(len(sequences), 4**k)


def count_all(sequences: Sequence[str], k: int) -> NDArray[np.float64]:
    """float64 (4^k,): how often each k-mer occurs in all sequences together."""
    total = np.zeros(4**k)
    for a in range(0, len(sequences), BLOCK):
        total += count(sequences[a : a + BLOCK], k).sum(axis=0)
    return total


def reverse_complements(k: int) -> NDArray[np.int64]:
    """int64 (4^k,): the number of each k-mer's reverse complement."""
    kmers = np.arange(4**k)
    result = np.zeros_like(kmers)
    for _ in range(k):
        result = result * 4 + (3 - kmers % 4)
        kmers //= 4
    return result


def log_odds(total_V: NDArray[np.floating]) -> NDArray[np.float32]:
    """How much likelier each k-mer is in these references than in random sequence, in nats.

    Args:
        total_V: (4^k,) counts over all references; one is added to each (Laplace).

    Returns:
        float32 (4^k,): log(frequency) - log(4^-k). A sequence reads like the references on the strand on
        which this sums to more over its k-mers.
    """
    smooth = total_V + 1.0
    return np.asarray(np.log(smooth / smooth.sum() * len(smooth)), np.float32)


@dataclass(frozen=True, eq=False)
class Reading:
    """B sequences as a model sees them, each on the strand chosen for it.

    Attributes:
        sequences: as given.
        strand: '+' or '-' for each.
        k: bases of a k-mer.
        code_L, start: uint8, the bases of all sequences end to end, 0..3 (4 for anything but ACGT); int64 (B + 1,),
            where each begins.
        kmer_F, first: int32, the k-mers of all sequences; int64 (B + 1,), where each one's begin.
    """

    sequences: Sequence[str]
    strand: list[str]
    k: int
    code_L: NDArray[np.uint8]
    start: NDArray[np.int64]
    kmer_F: NDArray[np.int32]
    first: NDArray[np.int64]

    @property
    def kmers_B(self) -> NDArray[np.int64]:
        """int64 (B,): how many k-mers were read."""
        return np.diff(self.first)

    @property
    def lengths_B(self) -> NDArray[np.int64]:
        """int64 (B,): bases."""
        return np.diff(self.start)

    @property
    def counts_BV(self) -> NDArray[np.float32]:
        """float32 (B, 4^k): how often each k-mer was read."""
        rows = len(self.sequences)
        key = np.repeat(np.arange(rows), self.kmers_B) * 4**self.k + self.kmer_F
        return np.bincount(key, minlength=rows * 4**self.k).astype(np.float32).reshape(rows, 4**self.k)

    @property
    def oriented(self) -> list[str]:
        """The sequences on the strands chosen."""
        return [reverse_complement(s) if t == "-" else s for s, t in zip(self.sequences, self.strand, strict=True)]

    def take(self, rows: Sequence[int]) -> Reading:
        """The same of some of the sequences."""
        if len(rows) == len(self.sequences):
            return self
        chosen = np.asarray(rows, np.int64)
        bases, kmers = self.lengths_B[chosen], self.kmers_B[chosen]
        return Reading(
            [self.sequences[i] for i in rows], [self.strand[i] for i in rows], self.k,
            self.code_L[ranges(self.start[chosen], bases)], np.concatenate([[0], np.cumsum(bases)]),
            self.kmer_F[ranges(self.first[chosen], kmers)], np.concatenate([[0], np.cumsum(kmers)]),
        )  # fmt: skip


Strand = Literal["auto", "forward", "reverse"]


class KmerReader:
    """Reads k-mers on the strand that looks more like the references.

    Args:
        log_odds_V: float32 (4^k,), from `log_odds` of the references, all on one strand.
    """

    def __init__(self, log_odds_V: NDArray[np.float32]) -> None:
        self.log_odds_V = np.asarray(log_odds_V, np.float32)
        self.k = round(math.log(len(log_odds_V), 4))
        self.complement_V = reverse_complements(self.k).astype(np.int32)

    def read(self, sequences: Sequence[str], strand: Strand = "auto") -> Reading:
        code_L, lengths = encode(sequences)
        start = np.concatenate([[0], np.cumsum(lengths)])
        reverse = {"auto": -1, "forward": 0, "reverse": 1}[strand]
        kmer_F, first, turned = _read(code_L, start, self.k, self.log_odds_V, self.complement_V, reverse)
        return Reading(sequences, ["-" if t else "+" for t in turned.tolist()], self.k, code_L, start, kmer_F, first)

    def strands(self, sequences: Sequence[str]) -> list[str]:
        """The strand of each of any number of sequences."""
        blocks = (sequences[a : a + BLOCK] for a in range(0, len(sequences), BLOCK))
        return [strand for block in blocks for strand in self.read(block).strand]


@compiled
def _read(
    code_L: NDArray[np.uint8],
    start: NDArray[np.int64],
    k: int,
    log_odds_V: NDArray[np.float32],
    complement_V: NDArray[np.int32],
    reverse: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
    """K-mers in the order of the strand chosen, where each sequence's begin, and which sequences were turned.

    `code_L` is turned with them.

    Args:
        reverse: 1: all are; 0: none is; -1: those whose other strand has the higher sum of log-odds.
    """
    sequences, last = len(start) - 1, 4**k - 1
    kmer_F, first = np.empty(len(code_L), np.int32), np.zeros(sequences + 1, np.int64)
    turned = np.zeros(sequences, np.bool_)
    n = 0
    for b in range(sequences):
        kmer, run, ahead, back = 0, 0, 0.0, 0.0
        for i in range(start[b], start[b + 1]):
            code = code_L[i]
            run = 0 if code > 3 else run + 1
            kmer = ((kmer << 2) | (code & 3)) & last
            if run >= k:
                kmer_F[n] = kmer
                n += 1
                ahead += log_odds_V[kmer]
                back += log_odds_V[complement_V[kmer]]
        first[b + 1] = n
        if reverse == 1 or (reverse == -1 and back > ahead):
            turned[b] = True
            a, z = first[b], n - 1
            while a <= z:
                left, right = kmer_F[a], kmer_F[z]
                kmer_F[a], kmer_F[z] = complement_V[right], complement_V[left]
                a, z = a + 1, z - 1
            a, z = start[b], start[b + 1] - 1
            while a <= z:
                x, y = code_L[a], code_L[z]
                code_L[a], code_L[z] = (y if y > 3 else 3 - y), (x if x > 3 else 3 - x)
                a, z = a + 1, z - 1
    return kmer_F[:n].copy(), first, turned
