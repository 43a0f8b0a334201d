"""Ragged arrays: rows of different length, end to end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranges(start: NDArray[np.integer], size: NDArray[np.integer]) -> NDArray[np.int64]:
    """start[0], start[0] + 1 ... for size[0] numbers, then those of the next: ragged slices as one index."""
    offset = np.cumsum(size) - size
    return np.asarray(np.repeat(start - offset, size) + np.arange(int(size.sum())), np.int64)
