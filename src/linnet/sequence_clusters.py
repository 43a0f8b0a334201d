"""Clusters of like sequences by the k-mers they share, without alignments.

Greedy incremental clustering, as CD-HIT has it (Li & Godzik 2006), with shared k-mers in the place of identity: the
longest sequence represents the first cluster; each further one, in order of length, joins the first representative
that has enough of its k-mers, or else represents a cluster of its own.

How many of a sequence's k-mers a representative has is counted on a sample of them, those with the smallest hashes
(Broder 1997), so that memory does not grow with the lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linnet.errors import require
from linnet.kmers import encode, kmer_positions
from linnet.residues import RESIDUES, WordReader

Kind = Literal["dna", "protein"]

IDENTITY = 0.5
K = {"dna": 15, "protein": 5}
"""Letters of a k-mer: so many that unrelated sequences share few."""

SAMPLE = 64
"""K-mers of a sequence that are looked at: of a true share of one half, the counted one has a standard error of 6 %."""

_BLOCK = 256
_PRIME = 2**31 - 1  # above every k-mer's number, so that different k-mers have different hashes
_WORDS = WordReader((K["protein"],), len(RESIDUES) ** K["protein"])


def clusters(sequences: Sequence[str], kind: Kind, identity: float = IDENTITY) -> NDArray[np.int64]:
    """int64 (N,): the number of the sequence that represents each one's cluster; its own for a representative.

    A sequence joins a representative that has at least `identity` of its distinct k-mers: of all, where they are no
    more than SAMPLE, else of those SAMPLE with the smallest hashes. Of equally long ones the first comes first. A
    k-mer with an ambiguous letter does not count, and a sequence without k-mers stands alone. A nucleotide k-mer and
    its reverse complement are one, so that strands do not matter.

    Takes some 20 bytes for each k-mer looked at, besides the sequences. A new representative is compared only with
    those sequences left over that share a k-mer with it.

    Raises:
        UsageError: an `identity` that is no share.
    """
    require(0 < identity <= 1, f"--identity {identity}", "more than 0, at most 1")
    order = np.argsort([-len(s) for s in sequences], kind="stable")
    index = _Index(*_samples(sequences, order, kind), len(order))
    enough = np.maximum(1, np.ceil(identity * index.counts - 1e-9))
    joined = np.full(len(order), -1)  # by place in `order`, as everything in `index`
    left = len(order)
    for start in range(0, len(order), _BLOCK):
        places = start + np.flatnonzero(joined[start : start + _BLOCK] < 0)
        hashes, bounds = _hashes([sequences[i] for i in order[places]], kind)
        for row, place in enumerate(places.tolist()):
            if joined[place] >= 0:  # by now
                continue
            joined[place] = place
            sharing, times = np.unique(index.having(hashes[bounds[row] : bounds[row + 1]]), return_counts=True)
            members = sharing[(times >= enough[sharing]) & (joined[sharing] < 0)]
            joined[members] = place
            left -= 1 + len(members)
        if left < 0.8 * index.size:
            index.keep(joined < 0)
    representatives = np.empty(len(order), np.int64)
    representatives[order] = order[joined]
    return representatives


class _Index:
    """For each hash the sequences that have it in their samples.

    Args:
        hashes, owners: int32, one for each k-mer looked at, and whose it is.
        size: how many sequences there are.

    Attributes:
        counts: int64, how large each sequence's sample is.
        size: how many sequences are in it still.
    """

    def __init__(self, hashes: NDArray[np.int32], owners: NDArray[np.int32], size: int) -> None:
        self.counts = np.bincount(owners, minlength=size)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners, self.size = hashes[order], owners[order], size
        self._look()

    def _look(self) -> None:
        self._starts = np.flatnonzero(np.diff(self._hashes, prepend=-1))
        self._different = self._hashes[self._starts]
        self._lengths = np.diff(self._starts, append=len(self._hashes))

    def having(self, hashes: NDArray[np.int32]) -> NDArray[np.int32]:
        """The sequences that have one of these in their samples, as often as they have them."""
        at = np.searchsorted(self._different, hashes)
        at[at == len(self._different)] = 0
        at = at[self._different[at] == hashes] if len(self._different) else at[:0]
        lengths = self._lengths[at]
        ends = np.cumsum(lengths)
        places = np.repeat(self._starts[at] - (ends - lengths), lengths) + np.arange(lengths.sum())
        return np.asarray(self._owners[places], np.int32)

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Forget the other sequences."""
        self.size = int(wanted.sum())
        kept = wanted[self._owners]
        self._hashes, self._owners = self._hashes[kept], self._owners[kept]
        self._look()


def _samples(
    sequences: Sequence[str], order: NDArray[np.intp], kind: Kind
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The smallest hashes of each sequence, and the place of that in `order`."""
    found, owners = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for start in range(0, len(order), _BLOCK):
        hashes, bounds = _hashes([sequences[i] for i in order[start : start + _BLOCK]], kind)
        row = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        small = np.arange(len(hashes)) - bounds[row] < SAMPLE
        found.append(hashes[small])
        owners.append((start + row[small]).astype(np.int32))
    return np.concatenate(found), np.concatenate(owners)


def _hashes(sequences: Sequence[str], kind: Kind) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Hashes of the distinct k-mers, ascending within a sequence; sequence b has those from bounds[b] to bounds[b + 1].

    The hash of k-mer v is (a v + b) mod p, which has no two k-mers alike (linear permutations; Bohman et al. 2000).
    """
    if kind == "protein":
        words = _WORDS.read(sequences)
        kmer, row = words.index_F, np.repeat(np.arange(len(sequences)), words.counts)
    else:
        kmer, row = _either_strand(sequences)
    both = np.sort(row * _PRIME + (kmer * 1_103_515_245 + 12_345) % _PRIME)
    row, hashes = np.divmod(both[np.diff(both, prepend=-1) > 0], _PRIME)
    return hashes.astype(np.int32), np.searchsorted(row, np.arange(len(sequences) + 1))


def _either_strand(sequences: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The k-mer at each position or, where that has the smaller number, its reverse complement; and whose it is."""
    kmer, row = (part.astype(np.int64) for part in kmer_positions(*encode(sequences), K["dna"]))
    left, reverse = kmer, np.zeros_like(kmer)
    for _ in range(K["dna"]):
        reverse = reverse * 4 + (3 - left % 4)
        left = left // 4
    return np.minimum(kmer, reverse), row
