"""Ribbons from the labels before to the labels after, as wide as the contigs or bases that went that way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from linnet.changes import Kind
from linnet.contig_transitions import Flow, Transitions
from linnet.report.drawing import drawn
from linnet.report.style import COLOURS

Measure = Literal["contigs", "bases"]

KINDS = {
    Kind.KEPT: (COLOURS[4], "kept"),
    Kind.EXTENDED: (COLOURS[2], "extended"),
    Kind.NEW: (COLOURS[3], "newly labelled"),
    Kind.CUT: (COLOURS[5], "cut"),
    Kind.MOVED: (COLOURS[1], "moved"),
    Kind.NONE: ("#bbbbbb", "no name"),
}
"""Colours and words of the kinds, in the order of the legend."""

# In points, as the drawing's own units are.
_WIDTH, _TOP, _SLOT, _GAP = 346.0, 42.0, 21.0, 2.0
_LEFT, _RIGHT, _NODE = 112.0, 234.0, 5.0
_BODY = 250.0
"""Height of all contigs together, were there no nodes too thin for their labels."""
_LETTERS = 21


def sankey(rank: str, found: Transitions, by: Measure) -> str:
    """The drawing of one rank: left the names before, right those after."""
    sides = [_heights(found, side, by) for side in (0, 1)]
    tops, bottom = zip(*(_tops(heights) for heights in sides), strict=True)
    height = max(bottom) + 4

    def draw(figure: Any) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
        axes.axis("off")
        _legend(axes, {flow.kind for flow in found.flows})
        axes.text(_LEFT + _NODE, _TOP - 6, "before", ha="right", fontsize=8.5, weight="bold")
        axes.text(_RIGHT - _NODE, _TOP - 6, "after", ha="left", fontsize=8.5, weight="bold")
        _ribbons(axes, found, by, tops)
        for side, x in ((0, _LEFT), (1, _RIGHT)):
            for node, amount in _amounts(found, side, by).items():
                top, size = tops[side][node], sides[side][node]
                axes.fill_between([x - _NODE, x] if side == 0 else [x, x + _NODE], top, top + size, color="0.25", lw=0)
                _label(axes, side, x, top + size / 2, found.nodes[node], amount, by)

    return drawn(draw, f"sankey {rank} {by}", (_WIDTH / 72, height / 72))


def _amounts(found: Transitions, side: int, by: Measure) -> dict[int, int]:
    """What each node has on one side, in their order, without empty ones."""
    amounts = dict.fromkeys(range(len(found.nodes)), 0)
    for flow in found.flows:
        amounts[(flow.before, flow.after)[side]] += getattr(flow, by)
    return {node: amount for node, amount in amounts.items() if amount}


def _heights(found: Transitions, side: int, by: Measure) -> dict[int, float]:
    amounts = _amounts(found, side, by)
    total = sum(amounts.values())
    return {node: _BODY * amount / total for node, amount in amounts.items()}


def _tops(heights: dict[int, float]) -> tuple[dict[int, float], float]:
    """Where each node begins, so that no two labels meet; and where the last one ends."""
    tops, y = {}, _TOP
    for node, height in heights.items():
        slot = max(height, _SLOT)
        tops[node] = y + (slot - height) / 2
        y += slot + _GAP
    return tops, y


def _ribbons(axes: Any, found: Transitions, by: Measure, tops: Sequence[Mapping[int, float]]) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    total = sum(getattr(flow, by) for flow in found.flows)
    some = [flow for flow in found.flows if getattr(flow, by)]
    starts = _stacked(sorted(some, key=lambda f: (f.before, f.after, f.kind)), 0, by, tops[0], total)
    ends = _stacked(sorted(some, key=lambda f: (f.after, f.before, f.kind)), 1, by, tops[1], total)
    middle = (_LEFT + _RIGHT) / 2
    curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    for flow in sorted(some, key=lambda f: -getattr(f, by)):  # thin ones lie on top
        size = _BODY * getattr(flow, by) / total
        a, b = starts[flow], ends[flow]
        points = [
            (_LEFT, a), (middle, a), (middle, b), (_RIGHT, b),
            (_RIGHT, b + size), (middle, b + size), (middle, a + size), (_LEFT, a + size), (_LEFT, a),
        ]  # fmt: skip
        faint = 0.5 if flow.kind in (Kind.KEPT, Kind.NONE) else 0.85
        axes.add_patch(PathPatch(Path(points, curve), facecolor=KINDS[flow.kind][0], alpha=faint, linewidth=0))


def _stacked(flows: Sequence[Flow], side: int, by: Measure, tops: Mapping[int, float], total: int) -> dict[Flow, float]:
    """Where each flow begins on one side: within their node, one below another."""
    below, places = dict(tops), {}
    for flow in flows:
        node = (flow.before, flow.after)[side]
        places[flow] = below[node]
        below[node] += _BODY * getattr(flow, by) / total
    return places


def _label(axes: Any, side: int, x: float, y: float, name: str, amount: int, by: Measure) -> None:
    at = x - _NODE - 3 if side == 0 else x + _NODE + 3
    align = "right" if side == 0 else "left"
    told = f"{amount:,}" if by == "contigs" else f"{amount / 1e6:,.2f} Mbp" if amount >= 1e4 else f"{amount:,} bp"
    axes.text(at, y - 0.5, _short(name), ha=align, va="bottom", fontsize=8)
    axes.text(at, y + 0.5, told, ha=align, va="top", fontsize=7, color="0.35")


def _short(name: str) -> str:
    """A name that fits; of a species, the genus is what is shortened first."""
    if len(name) > _LETTERS and " " in name:
        name = f"{name[0]}. {name.split(' ', 1)[1]}"
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _legend(axes: Any, kinds: set[Kind]) -> None:
    x, y = 4.0, 7.0
    for kind, (colour, word) in KINDS.items():
        if kind in kinds:
            axes.fill_between([x, x + 9], y - 3, y + 4, color=colour, lw=0)
            axes.text(x + 12, y, word, va="center", fontsize=8)
            x += 24 + 4.2 * len(word)
