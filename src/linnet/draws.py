"""Which records an epoch has, and which of them make a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from linnet.errors import require


def buckets(
    indices: NDArray[np.int64], lengths: NDArray[np.integer], residues_per_batch: int, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Batches of records of like length, in random order; every index is in one of them.

    Args:
        indices: int64 (n,), records.
        lengths: (n,), the length of each of these, after cutting where the model cuts.
        residues_per_batch: at most, all records of a batch padded to its longest; a longer record is a batch itself.
    """
    require(residues_per_batch > 0, f"batches of {residues_per_batch} residues", "1 or more")
    order = random.permutation(len(indices))
    longest = int(lengths.max(initial=0))
    shorter_by = (longest - lengths[order]).astype(np.min_scalar_type(longest))  # of 16 bits the sort is a fast one
    order = order[np.argsort(shorter_by, kind="stable")]  # among those of one length, in an order drawn anew
    falling = lengths[order]
    bounds = [0]
    while bounds[-1] < len(order):
        fit = max(1, residues_per_batch // max(1, int(falling[bounds[-1]])))
        size = fit if len(bounds) > 1 else int(random.integers(1, fit + 1))  # shifts the bounds of all that follow
        bounds.append(min(bounds[-1] + size, len(order)))
    for k in random.permutation(len(bounds) - 1).tolist():
        yield indices[order[bounds[k] : bounds[k + 1]]]


def drawn(sizes: NDArray[np.int64], cap: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """bool (sum(sizes),): which places are drawn, of each run of so many places all or `cap`.

    Places are drawn until enough different ones are, or, of runs less than twice the cap, those to leave out: so
    no more than half of a run is ever drawn, and few draws fall on a place that is taken.
    """
    ends = np.cumsum(sizes)
    starts = ends - sizes
    hit = np.zeros(int(sizes.sum()), np.bool_)
    inverse = sizes < 2 * cap
    missing = np.where(sizes <= cap, 0, np.where(inverse, sizes - cap, cap))
    while missing.any():
        run = np.repeat(np.arange(len(sizes)), missing)
        place = starts[run] + random.integers(0, sizes[run])
        place = np.unique(place[~hit[place]])
        hit[place] = True
        missing -= np.bincount(np.searchsorted(ends, place, "right"), minlength=len(sizes))
    return hit ^ np.repeat(inverse, sizes)
