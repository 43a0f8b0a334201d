"""Windows spread evenly along a sequence."""

from __future__ import annotations


def spread(length: int, window: int, windows: int) -> list[slice]:
    """Slices of a sequence of so many letters: the whole of it where windows can cover it, else `windows` of them.

    A whole sequence is cut into as few pieces as possible, of equal length to a letter. Of a longer one the first
    window begins where it begins, the last ends where it ends, and the gaps between are equal to a letter.
    """
    pieces = -(-length // window)
    if pieces <= windows:
        return [slice(i * length // pieces, (i + 1) * length // pieces) for i in range(pieces)]
    if windows == 1:
        return [slice((length - window) // 2, (length - window) // 2 + window)]
    starts = [i * (length - window) // (windows - 1) for i in range(windows)]
    return [slice(a, a + window) for a in starts]
