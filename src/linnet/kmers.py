"""Sequences as counts of their k-mers, and the strand that the counts reveal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
    """B sequences as a model sees them.

    Attributes:
        sequences: as given.
        counts_BV: float32 (B, 4^k), each sequence on the strand chosen for it.
        strand: '+' or '-' for each.
        kmers_B: int64 (B,), how many k-mers were read.
    """

    sequences: Sequence[str]
    counts_BV: NDArray[np.float32]
    strand: list[str]
    kmers_B: NDArray[np.int64]

    @property
    def oriented(self) -> list[str]:
        """The sequences on the strands chosen."""
        return [reverse_complement(s) if t == "-" else s for s, t in zip(self.sequences, self.strand, strict=True)]

    def take(self, rows: Sequence[int]) -> Reading:
        """The same of some of the sequences."""
        if len(rows) == len(self.sequences):
            return self
        chosen = np.asarray(rows, np.int64)
        sequences, strand = [self.sequences[i] for i in rows], [self.strand[i] for i in rows]
        return Reading(sequences, self.counts_BV[chosen], strand, self.kmers_B[chosen])


Strand = Literal["auto", "forward", "reverse"]


class KmerReader:
    """Counts k-mers on the strand that looks more like the references.

    Args:
        log_odds_V: float32 (4^k,), from `log_odds` of the references, all on one strand.
    """

    def __init__(self, log_odds_V: NDArray[np.float32]) -> None:
        self.log_odds_V = log_odds_V
        self.k = round(math.log(len(log_odds_V), 4))
        self.complement_V = reverse_complements(self.k)
        both = np.stack([log_odds_V, log_odds_V[self.complement_V]], axis=1)
        self._both_V2 = np.ascontiguousarray(both, np.float32)

    def read(self, sequences: Sequence[str], strand: Strand = "auto") -> Reading:
        counts_BV = count(sequences, self.k)
        score_B2 = counts_BV @ self._both_V2
        if strand == "auto":
            turn = score_B2[:, 1] > score_B2[:, 0]
        else:
            turn = np.full(len(sequences), strand == "reverse")
        counts_BV[turn] = counts_BV[np.ix_(turn, self.complement_V)]
        kmers_B = counts_BV.sum(axis=1).astype(np.int64)
        return Reading(sequences, counts_BV, ["-" if t else "+" for t in turn], kmers_B)

    def strands(self, sequences: Sequence[str]) -> list[str]:
        """The strand of each of any number of sequences."""
        blocks = (sequences[a : a + BLOCK] for a in range(0, len(sequences), BLOCK))
        return [strand for block in blocks for strand in self.read(block).strand]
