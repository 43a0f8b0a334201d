"""Where the labels of points go, so that none lies on another.

Point by point, the label goes where it is least bad: near its point, not over lines, and not nearer to another point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STEP = 4.0
"""From one place that is tried to the next, in pixels."""

COVERED_LINE, NEARER_POINT = 15.0, 40.0
"""How much further away a label would rather be, in pixels, than cover a line or lie nearer to another point."""

Point = tuple[float, float]
"""x and y in pixels; y grows downwards."""


@dataclass(frozen=True)
class Box:
    """A rectangle with sides along the axes."""

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

    def nearest(self, point: Point) -> Point:
        """Of the box, what is nearest to a point."""
        return min(max(point[0], self.left), self.right), min(max(point[1], self.top), self.bottom)

    def distance(self, point: Point) -> float:
        return math.dist(self.nearest(point), point)


def label_boxes(
    points: Sequence[Point],
    sizes: Sequence[tuple[float, float]],
    gap: float,
    marks: Sequence[Box],
    lines: Sequence[Box],
    frame: Box,
) -> list[Box]:
    """The box of each label, placed in the order of the points.

    Where there is no room within the frame, marks are covered, and where there is none even so, labels.

    Args:
        sizes: width and height of each label.
        gap: between a point and a label beside it.
        marks: what labels are not to cover.
        lines: what they should not.
    """
    placed: list[Box] = []
    for point, size in zip(points, sizes, strict=True):

        def cost(box: Box, point: Point = point) -> float:
            away = box.distance(point)
            nearer = any(box.distance(other) < away for other in points)
            return away + COVERED_LINE * sum(map(box.overlaps, lines)) + NEARER_POINT * nearer

        places = list(_places(point, size, gap, max(frame.right - frame.left, frame.bottom - frame.top)))
        inside = [box for box in places if box.within(frame)]
        free = [box for box in inside if not any(map(box.overlaps, placed))]
        clear = [box for box in free if not any(map(box.overlaps, marks))]
        placed.append(min(clear or free or inside or places, key=cost))
    return placed


def _places(point: Point, size: tuple[float, float], gap: float, reach: float) -> Iterator[Box]:
    """To the right, to the left, below and above, at growing distance up to `reach`."""
    (x, y), (width, height) = point, size
    for step in range(int(reach / STEP)):
        away = step * STEP
        for shift in (0.0, away):
            for top in (y - height / 2 + away, y - height / 2 - away):
                for left in (x + gap + shift, x - gap - shift - width):
                    yield Box(left, top, left + width, top + height)
        for top in (y + gap + away, y - gap - away - height):
            yield Box(x - width / 2, top, x + width / 2, top + height)
