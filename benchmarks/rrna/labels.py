"""Where the labels of points go, so that none lies on another.

Point by point: the label goes to the first free place of a list, which begins beside the point and goes on around
it, further and further away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STEP = 4.0
"""From one distance to the next, in pixels."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share an area."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, other: Box) -> bool:
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The box's point that is nearest to one outside."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


def label_boxes(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    gap: float,
    marks: Sequence[Box],
    frame: Box,
) -> list[Box]:
    """The box of each label, the first points' nearest to them.

    Where no place within the frame is free, marks may be covered, and after that anything.

    Args:
        sizes: width and height of each label.
        gap: between a point and a label beside it.
        marks: what labels should not cover.
    """
    placed: list[Box] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        inside = [box for box in _places(x, y, width, height, gap, frame) if box.within(frame)]
        free = [box for box in inside if not any(box.overlaps(other) for other in placed)]
        clear = (box for box in free if not any(box.overlaps(mark) for mark in marks))
        placed.append(next(clear, (free or inside)[0]))
    return placed


def _places(x: float, y: float, width: float, height: float, gap: float, frame: Box) -> Iterator[Box]:
    """To the right, to the left, below and above, at growing distance; then anywhere in the frame."""
    reach = max(frame.right - frame.left, frame.bottom - frame.top)
    for step in range(int(reach / STEP)):
        away = step * STEP
        rows = [y - height / 2] if step == 0 else [y - height / 2 + away, y - height / 2 - away]
        for top in rows:
            for left in (x + gap, x - gap - width):
                yield Box(left, top, left + width, top + height)
        for top in (y + gap + away, y - gap - away - height):
            yield Box(x - width / 2, top, x + width / 2, top + height)
        for top in rows:
            for left in (x + gap + away, x - gap - away - width):
                yield Box(left, top, left + width, top + height)
