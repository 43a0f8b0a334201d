"""Accuracy against speed as an SVG: a panel for each region, one below the other, of the random split uncut."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from labels import Box, label_boxes
from prepare import REGIONS
from rivals import FLOOR, is_linnet
from seeds import one_per_model

from linnet.report.style import COLOURS

WIDTH, PANEL_HEIGHT = 900, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 34, 44
"""Margins of a panel, in pixels."""
LEGEND_HEIGHT = 60
FONT = "system-ui, 'DejaVu Sans', sans-serif"
SIZE = 13
LETTER = 0.6
"""Width of a letter, in sizes: the mean of a wide sans-serif, so that labels are hardly ever wider than thought."""
RADIUS = 5
GAP = 9
"""From a point to a label beside it."""
OURS, OUR_OTHERS, OTHERS = COLOURS[1], COLOURS[0], "#444444"


@dataclass(frozen=True)
class Tool:
    """One tool in one region.

    Attributes:
        speed: reads per CPU second.
        at_least: it may be faster.
        species, genus: shares of queries named right.
    """

    name: str
    speed: float
    at_least: bool
    species: float
    genus: float

    @property
    def label(self) -> str:
        return f"{self.name} →" if self.at_least else self.name

    @property
    def colour(self) -> str:
        return OURS if self.name == "linnet" else OUR_OTHERS if is_linnet(self.name) else OTHERS

    @property
    def strong(self) -> bool:
        return self.name == "linnet"


@dataclass(frozen=True)
class Axes:
    """Where values lie in a panel, in pixels.

    Attributes:
        slowest, fastest: speeds at the left and right end, on a log scale.
        least: share at the lower end; 1 is at the upper.
    """

    slowest: float
    fastest: float
    least: float

    def x(self, speed: float) -> float:
        inside = WIDTH - LEFT - RIGHT
        return LEFT + inside * math.log(speed / self.slowest) / math.log(self.fastest / self.slowest)

    def y(self, share: float) -> float:
        return TOP + (PANEL_HEIGHT - TOP - BOTTOM) * (1 - share) / (1 - self.least)


def speed_figure(cells: Iterable[dict[str, Any]]) -> str | None:
    """The picture of the cells of results.json; None without any of the random split."""
    panels = {region: tools for region in REGIONS if (tools := _tools(cells, region))}
    if not panels:
        return None
    everything = [tool for tools in panels.values() for tool in tools]
    axes = Axes(
        min(tool.speed for tool in everything) / 1.5,
        max(tool.speed for tool in everything) * 1.5,
        math.floor(9.8 * min(share for tool in everything for share in (tool.species, tool.genus))) / 10,
    )
    height = LEGEND_HEIGHT + PANEL_HEIGHT * len(panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="{FONT}" font-size="{SIZE}">',
        "<title>Names that are right and reads per CPU second, by region and tool</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(any(tool.at_least for tool in everything)),
    ]
    for number, (region, tools) in enumerate(panels.items()):
        moved = f'<g transform="translate(0 {LEGEND_HEIGHT + number * PANEL_HEIGHT})">'
        lines += [moved, *_frame(region, axes), *_drawn(tools, axes), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _tools(cells: Iterable[dict[str, Any]], region: str) -> list[Tool]:
    """The tools of a region, linnet first, then the most accurate."""
    found = []
    for model in one_per_model(cells):
        its, uncut = model["cell"], model["scores"]["0"]
        if (its["split"], its["region"]) == ("random", region) and its["tool"] != FLOOR:
            accuracy = (uncut[rank]["accuracy"] for rank in ("species", "genus"))
            found.append(Tool(its["tool"], model["reads_per_cpu_s"], model["at_least"], *accuracy))
    return sorted(found, key=lambda tool: (not tool.strong, -tool.species))


def _drawn(tools: Sequence[Tool], axes: Axes) -> Iterator[str]:
    """Points and labels, linnet's last and so on top."""
    frame = Box(LEFT, TOP, WIDTH - RIGHT, PANEL_HEIGHT - BOTTOM)
    places = [(axes.x(tool.speed), axes.y(tool.species), axes.y(tool.genus)) for tool in tools]
    marks = [Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, *both in places for y in both]
    joins = [Box(x - 1, min(both), x + 1, max(both)) for x, *both in places]
    sizes = [(_width(tool), SIZE * 1.2) for tool in tools]
    boxes = label_boxes([(x, y) for x, y, _ in places], sizes, GAP, marks, joins, frame)
    for tool, place, box in reversed(list(zip(tools, places, boxes, strict=True))):
        yield from _one(tool, place, box)


def _width(tool: Tool) -> float:
    return len(tool.label) * SIZE * LETTER * (1.1 if tool.strong else 1.0)


def _one(tool: Tool, place: tuple[float, float, float], box: Box) -> Iterator[str]:
    x, species, genus = place
    radius = RADIUS + 2 if tool.strong else RADIUS
    what = f"{tool.name}: species {100 * tool.species:.1f} %, genus {100 * tool.genus:.1f} %, {tool.speed:,.0f} reads/s"
    yield f'<g fill="{tool.colour}" stroke="{tool.colour}"><title>{escape(what)}</title>'
    if box.distance((x, species)) > GAP + 1:
        end = box.nearest((x, species))
        yield f'<path d="M{x:.1f} {species:.1f}L{end[0]:.1f} {end[1]:.1f}" stroke-width="0.7"/>'
    yield f'<path d="M{x:.1f} {species:.1f}V{genus:.1f}" stroke-width="1.5" opacity="0.45"/>'
    yield f'<circle cx="{x:.1f}" cy="{species:.1f}" r="{radius}"/>'
    yield f'<circle cx="{x:.1f}" cy="{genus:.1f}" r="{radius - 1}" fill="#ffffff" stroke-width="2"/>'
    weight = ' font-weight="bold"' if tool.strong else ""
    anchor, start = ("start", box.left) if box.left >= x else ("end", box.right) if box.right <= x else ("middle", x)
    where = f'x="{start:.1f}" y="{(box.top + box.bottom) / 2 + SIZE * 0.35:.1f}" text-anchor="{anchor}"{weight}'
    label, halo = escape(tool.label), 'fill="#ffffff" stroke="#ffffff" stroke-width="3" aria-hidden="true"'
    yield f'<text {where} {halo}>{label}</text>'  # a text of its own: not every viewer knows paint-order
    yield f'<text {where} stroke="none">{label}</text></g>'


def _frame(region: str, axes: Axes) -> Iterator[str]:
    """Title, grid and the axes' names and numbers."""
    bottom, right = PANEL_HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f'<text x="{LEFT}" y="{TOP - 12}" font-weight="bold" font-size="{SIZE + 2}">{escape(region)}</text>'
    yield '<g stroke="#dddddd">'
    shares = [tenth / 10 for tenth in range(round(10 * axes.least), 11)]
    speeds = [10.0**power for power in range(math.ceil(math.log10(axes.slowest)), 9) if 10**power < axes.fastest]
    yield from (f'<path d="M{LEFT} {axes.y(share):.1f}H{right}"/>' for share in shares)
    yield from (f'<path d="M{axes.x(speed):.1f} {TOP}V{bottom}"/>' for speed in speeds)
    yield '</g><g fill="#333333">'
    for share in shares:
        yield f'<text x="{LEFT - 8}" y="{axes.y(share) + 4.5:.1f}" text-anchor="end">{100 * share:.0f} %</text>'
    for speed in speeds:
        yield f'<text x="{axes.x(speed):.1f}" y="{bottom + 18}" text-anchor="middle">{speed:,.0f}</text>'
    yield f'<text x="{right}" y="{bottom + 36}" text-anchor="end">reads per CPU second</text></g>'


def _legend(arrows: bool) -> Iterator[str]:
    texts = [
        (LEFT, f'<circle cx="{LEFT}" cy="20" r="{RADIUS}" fill="{OTHERS}"/>', "species named right"),
        (LEFT + 180, f'<circle cx="{LEFT + 180}" cy="20" r="{RADIUS - 1}" fill="#ffffff" stroke="{OTHERS}" '
                     'stroke-width="2"/>', "genus named right"),
    ]  # fmt: skip
    for x, mark, text in texts:
        yield f'{mark}<text x="{x + 12}" y="24.5">{text}</text>'
    yield (
        f'<text x="{LEFT - 5}" y="46"><tspan fill="{OURS}" font-weight="bold">linnet</tspan>'
        f'<tspan dx="16" fill="{OUR_OTHERS}">linnet\'s other models and baselines</tspan>'
        f'<tspan dx="16" fill="{OTHERS}">other tools</tspan>'
        + ('<tspan dx="16">→ at least so fast</tspan>' if arrows else "")
        + "</text>"
    )
