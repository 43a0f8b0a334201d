"""Many strings in one block of bytes: a tree of millions of names in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


class StringArray:
    """A read-only sequence of strings, kept as UTF-8 bytes and their offsets.

    Args:
        data: uint8, all strings end to end.
        offsets: int64, shape (n + 1,); string i is `data[offsets[i]:offsets[i + 1]]`.
    """

    __slots__ = ("data", "offsets")

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.data, self.offsets = data, offsets

    @classmethod
    def of(cls, strings: Iterable[str]) -> StringArray:
        encoded = [s.encode() for s in strings]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(s) for s in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> str:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return bytes(self.data[self.offsets[i] : self.offsets[i + 1]]).decode()

    def __iter__(self) -> Iterator[str]:
        block, offsets = self.data.tobytes(), self.offsets.tolist()
        for start, end in zip(offsets, offsets[1:], strict=False):
            yield block[start:end].decode()

    def take(self, order: NDArray[np.integer]) -> StringArray:
        """The strings at `order`, as a new array."""
        lengths = np.diff(self.offsets)[order]
        offsets = np.zeros(len(order) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        step = 1 << 18  # a block at a time: the index below is eight times the size of the bytes
        for a in range(0, len(order), step):
            n = lengths[a : a + step]
            out = slice(int(offsets[a]), int(offsets[a + len(n)]))
            shift = self.offsets[order[a : a + step]] - offsets[a : a + len(n)]
            data[out] = self.data[np.repeat(shift, n) + np.arange(out.start, out.stop)]
        return StringArray(data, offsets)
