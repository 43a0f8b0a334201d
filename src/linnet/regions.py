"""Amplicons: the stretch of a gene between two primers, found as PCR would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.records import reverse_complement

_BASES = {
    "A": 1, "C": 2, "G": 4, "T": 8, "R": 5, "Y": 10, "S": 6, "W": 9, "K": 12, "M": 3,
    "B": 14, "D": 13, "H": 11, "V": 7, "N": 15,
}  # fmt: skip
_MASK = np.zeros(256, np.uint8)
for _letter, _bits in _BASES.items():
    _MASK[ord(_letter)] = _bits


@dataclass(frozen=True)
class Region:
    """A stretch amplified by a primer pair.

    Attributes:
        forward, reverse: primers, 5' to 3', IUPAC.
        shortest, longest: product lengths taken as real, in bases, primers not counted.
    """

    name: str
    forward: str
    reverse: str
    shortest: int
    longest: int


REGIONS = {
    region.name: region
    for region in (
        # 515F (Parada 2016) and 806R (Apprill 2015); 341F and 805R (Klindworth 2013).
        Region("V4", "GTGYCAGCMGCCGCGGTAA", "GGACTACNVGGGTWTCTAAT", 150, 500),
        Region("V3-V4", "CCTACGGGNGGCWGCAG", "GACTACHVGGGTATCTAATCC", 250, 550),
    )
}

_BLOCK = 512  # sequences searched at once


def amplicons(sequences: Sequence[str], region: Region, *, max_error: float = 0.2) -> Iterator[tuple[int, int] | None]:
    """Where the amplicon lies in each sequence, primers left out, as (start, end); None where there is none.

    Of all pairs of sites at most `max_error` of each primer away, and a product of a real length, the pair
    with fewest mismatches counts: the leftmost acceptable site of 341F is a false one in many
    Proteobacteria, which have a near-match in V2.
    """
    forward, reverse = region.forward, reverse_complement(region.reverse)
    for a in range(0, len(sequences), _BLOCK):
        block = sequences[a : a + _BLOCK]
        bits = _MASK[np.frombuffer("".join(block).encode("ascii"), np.uint8)]
        ends = np.cumsum([len(s) for s in block])
        f_at, f_miss = _sites(bits, forward, max_error)
        r_at, r_miss = _sites(bits, reverse, max_error)
        for start, end in zip(ends - [len(s) for s in block], ends, strict=True):
            f, r = _within(f_at, start, end - len(forward)), _within(r_at, start, end - len(reverse))
            yield _best_pair(f_at[f] - start + len(forward), f_miss[f], r_at[r] - start, r_miss[r], region)


def _sites(bits: NDArray[np.uint8], primer: str, max_error: float) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Positions where the primer fits with few enough mismatches, and how many."""
    n = max(len(bits) - len(primer) + 1, 0)
    mismatches = np.zeros(n, np.uint8)
    for j, letter in enumerate(primer):
        mismatches += (bits[j : j + n] & _BASES[letter]) == 0
    at = np.flatnonzero(mismatches <= int(max_error * len(primer)))
    return at, mismatches[at]


def _within(at: NDArray[np.int64], start: int, last: int) -> slice:
    return slice(int(np.searchsorted(at, start)), int(np.searchsorted(at, last, "right")))


def _best_pair(
    starts: NDArray[np.int64],
    start_miss: NDArray[np.uint8],
    ends: NDArray[np.int64],
    end_miss: NDArray[np.uint8],
    region: Region,
) -> tuple[int, int] | None:
    length = ends[None, :] - starts[:, None]
    misses = start_miss[:, None].astype(int) + end_miss[None, :]
    misses = np.where((length >= region.shortest) & (length <= region.longest), misses, 1 << 20)
    if not misses.size or misses.min() == 1 << 20:
        return None
    i, j = np.unravel_index(int(misses.argmin()), misses.shape)
    return int(starts[i]), int(ends[j])
