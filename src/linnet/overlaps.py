"""Contigs that share sequence: parts of one genome assembled from several samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 4
"""K-mers of the sketch that two contigs must share to count as overlapping."""
COMMON = 50
"""A k-mer in more contigs than this is a repeat and says nothing."""
_PARTS = 16


@dataclass(frozen=True, eq=False)
class Overlaps:
    """P pairs of contigs that share sequence, each in both directions, in order of `a`, then `b`.

    Attributes:
        a, b: int32 (P,).
        share: float32 (P,), shared k-mers of the sketch over those of the contig that has fewer.
    """

    a: NDArray[np.int32]
    b: NDArray[np.int32]
    share: NDArray[np.float32]


def find_overlaps(contig_H: NDArray[np.int32], hash_H: NDArray[np.uint64], contigs: int) -> Overlaps:
    """Pairs that share at least `LEAST` k-mers of the sketch."""
    order = np.lexsort((contig_H, hash_H))
    hash_H, contig_H = hash_H[order], contig_H[order]
    once = np.ones(len(order), bool)  # a contig may hold a k-mer twice
    once[1:] = (hash_H[1:] != hash_H[:-1]) | (contig_H[1:] != contig_H[:-1])
    hash_H, contig_H = hash_H[once], contig_H[once]
    size_C = np.bincount(contig_H, minlength=contigs)
    step = int(hash_H.max(initial=0)) // _PARTS + 1
    bounds = np.searchsorted(hash_H, np.arange(_PARTS + 1, dtype=np.uint64) * np.uint64(step))
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):  # in parts, for the pairs' memory
        found, of = np.unique(_pairs(hash_H[low:high], contig_H[low:high], contigs), return_counts=True)
        keys, inverse = np.unique(np.concatenate([keys, found]), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate([counts, of]), len(keys)).astype(np.int64)
    keys, counts = keys[counts >= LEAST], counts[counts >= LEAST]
    a, b = keys // contigs, keys % contigs
    share = counts / np.minimum(size_C[a], size_C[b])
    order = np.lexsort((np.r_[b, a], np.r_[a, b]))
    return Overlaps(
        np.r_[a, b][order].astype(np.int32), np.r_[b, a][order].astype(np.int32),
        np.r_[share, share][order].astype(np.float32),
    )  # fmt: skip


def _pairs(hash_H: NDArray[np.uint64], contig_H: NDArray[np.int32], contigs: int) -> NDArray[np.int64]:
    """`a * contigs + b`, a < b, for every two contigs with one hash; sorted hashes with sorted contigs are given."""
    if not len(hash_H):
        return np.empty(0, np.int64)
    first = np.flatnonzero(np.r_[True, hash_H[1:] != hash_H[:-1]])
    size = np.diff(np.r_[first, len(hash_H)])
    left = np.repeat(np.where(size <= COMMON, size, 1), size) - (np.arange(len(hash_H)) - np.repeat(first, size)) - 1
    found = []
    for step in range(1, int(min(size.max(), COMMON))):
        here = np.flatnonzero(left >= step)
        found.append(contig_H[here].astype(np.int64) * contigs + contig_H[here + step])
    return np.concatenate(found) if found else np.empty(0, np.int64)
