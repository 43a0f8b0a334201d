"""How like a query is to the nearest of the references that a model was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from linnet.errors import missing_extra
from linnet.kmers import encode, kmer_positions
from linnet.records import BASES_OF

K = 8
_TOGETHER = 512
_COMMON = 0.05  # k-mers that a larger share of the references has tell little and cost most
_FEW = 100  # references below which no k-mer is common
_CIGAR = re.compile(r"(\d+)([=XID])")
_SAME = [(code, base) for code, bases in BASES_OF.items() if code not in "ACGT" for base in bases]


class References:
    """References to be compared with: for each 8-mer those that have it, unless more than a twentieth have.

    Args:
        sequences: R of them, on one strand.

    Raises:
        UserError: edlib is not installed.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        try:
            import edlib
        except ImportError:
            raise missing_extra("edlib", "report", "identity to the nearest reference") from None
        self._align = edlib.align
        self._sequences = sequences
        has_V = np.zeros(4**K, np.int64)
        for _, kmers in _blocks(sequences):
            has_V += np.bincount(kmers, minlength=4**K)
        wanted_V = has_V <= max(_FEW, _COMMON * len(sequences))
        owners, found = [], []
        for owner, kmers in _blocks(sequences):
            keep = wanted_V[kmers]
            owners.append(owner[keep])
            found.append(kmers[keep].astype(np.uint16))  # so small a type is sorted by counting
        order = np.argsort(np.concatenate([np.empty(0, np.uint16), *found]), kind="stable")
        self._owners = np.concatenate([np.empty(0, np.int32), *owners])[order]
        self._start_V = np.concatenate([[0], np.cumsum(np.where(wanted_V, has_V, 0))])

    def __len__(self) -> int:
        return len(self._sequences)

    def identities(self, queries: Sequence[str], tried: int = 10) -> NDArray[np.float64]:
        """float64 (Q,): the identity of each query to its nearest reference, 0 where nothing is like it.

        The `tried` references that share most 8-mers with the query are aligned with edlib (Sosic & Sikic 2017): the
        shorter of the two sequences whole, within the longer. Identity is the share of that alignment's columns in
        which both have the same base; a code fits every base it may stand for. References shorter than half of the
        query are passed over.

        Args:
            queries: on the strand of the references.
        """
        found = np.zeros(len(queries))
        for block_start, block in ((a, queries[a : a + _TOGETHER]) for a in range(0, len(queries), _TOGETHER)):
            owner, kmers = next(_blocks(block), (np.empty(0, np.int32), np.empty(0, np.int32)))
            bounds = np.searchsorted(owner, np.arange(len(block) + 1))
            for row, query in enumerate(block):
                near = self._sharing_most(kmers[bounds[row] : bounds[row + 1]], tried)
                found[block_start + row] = max((self._identity(query, self._sequences[r]) for r in near), default=0.0)
        return found

    def _sharing_most(self, kmers: NDArray[np.int32], tried: int) -> list[int]:
        lists = [self._owners[self._start_V[v] : self._start_V[v + 1]] for v in kmers.tolist()]
        if not lists:
            return []
        shared = np.bincount(np.concatenate(lists), minlength=len(self))
        most = np.argpartition(-shared, tried)[:tried] if tried < len(shared) else np.arange(len(shared))
        return [int(r) for r in most if shared[r]]

    def _identity(self, a: str, b: str) -> float:
        if 2 * len(b) < len(a):
            return 0.0
        shorter, longer = sorted((a, b), key=len)
        path = self._align(shorter, longer, mode="HW", task="path", additionalEqualities=_SAME)["cigar"]
        steps = [(int(length), step) for length, step in _CIGAR.findall(path)]
        return sum(n for n, step in steps if step == "=") / sum(n for n, _ in steps)


def _blocks(sequences: Sequence[str]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """The distinct 8-mers of each sequence, some hundred sequences at a time: whose, ascending, and which."""
    for a in range(0, len(sequences), _TOGETHER):
        kmer, row = kmer_positions(*encode(sequences[a : a + _TOGETHER]), K)
        both = np.sort(row * np.int32(4**K) + kmer)
        distinct = both[np.r_[True, both[1:] != both[:-1]]] if len(both) else both
        yield distinct // 4**K + np.int32(a), distinct % 4**K
