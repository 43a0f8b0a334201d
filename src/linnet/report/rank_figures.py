"""Figures by rank, and vectors in the plane, as the reports of models have them; each one SVG element."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.metrics import ReliabilityBin
from linnet.ranking import RiskCoverage
from linnet.report.drawing import drawn
from linnet.report.style import COLOURS, MARKERS, percent
from linnet.run_figures import Spread
from linnet.strata import FEW, Stratum
from linnet.taxon_errors import Kinship
from linnet.taxonomy import RANKS

RANK_STYLE = {rank: (COLOURS[i], MARKERS[i]) for i, rank in enumerate(reversed(RANKS))}
"""Colour and marker of each rank."""


def accuracy_by_rank(spread: Mapping[str, Mapping[str, Spread]]) -> str:
    """Accuracy of each run and their mean, of all queries and of those of known taxa."""
    ranks = [rank for rank in RANKS if rank in spread]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for shift, figure_name, colour, marker, label in (
            (-0.08, "accuracy", COLOURS[0], "o", "all queries"),
            (0.08, "acc_known", COLOURS[1], "s", "taxa in the reference"),
        ):
            points_of = [(x + shift, spread[r].get(figure_name)) for x, r in enumerate(ranks)]
            points = [(x, s.mean, s.sd or 0.0) for x, s in points_of if s]
            style = {"color": colour, "marker": marker, "markersize": 5}
            axes.plot([x for x, *_ in points], [mean for _, mean, _ in points], label=label, **style)
            for x, mean, sd in points:
                axes.vlines(x, max(mean - sd, 0), min(mean + sd, 1), color=colour, linewidth=3, alpha=0.4)
        axes.set_xticks(range(len(ranks)), ranks, rotation=30, ha="right")
        percent(axes.yaxis)
        axes.set_ylabel("named right, with the whole path")
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        axes.legend(loc="lower left")

    return drawn(draw, "accuracy")


def reliability_of(rank: str, bins: Sequence[ReliabilityBin]) -> str:
    """Confidence against the share that is right, and how many names have it."""

    def draw(figure: Any) -> None:
        upper, lower = reliability_axes(figure, rank, label="confidence = share right")
        reliability_bins(upper, lower, bins, {"color": COLOURS[0], "marker": "o"}, fill=True)
        upper.legend(loc="upper left")

    return drawn(draw, f"reliability {rank}")


def reliability_axes(figure: Any, rank: str, **line: Any) -> tuple[Any, Any]:
    """Axes of names' confidence and of how many have it; `line` is how the diagonal looks."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", **line)
    upper.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="share right", title=rank)
    lower.set(xlabel="confidence", ylabel="of names")
    for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
        percent(axis)
    return upper, lower


def reliability_bins(
    upper: Any, lower: Any, bins: Sequence[ReliabilityBin], points: Mapping[str, Any], **stairs: Any
) -> None:
    """One model's or table's bins; `points` and `stairs` are how they look above and below."""
    full = [b for b in bins if b.count]
    total = sum(b.count for b in full)
    for b in full:
        if b.interval:
            upper.vlines(b.confidence, *b.interval, color=points["color"], alpha=0.6, linewidth=1.5)
    upper.plot([b.confidence for b in full], [b.accuracy for b in full], markersize=5, **points)
    edges = [*(b.low for b in bins), bins[-1].high]
    lower.stairs([b.count / total for b in bins], edges, color=points["color"], **stairs)


def risk_coverage(curves: Mapping[str, RiskCoverage]) -> str:
    """The wrong share of the names given against the share of queries named."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for rank, curve in curves.items():
            axes.plot(curve.coverage, curve.risk, color=RANK_STYLE[rank][0], linewidth=1.6, label=rank)
        axes.set(xlabel="share of queries named, the surest first", ylabel="wrong share of the names", xlim=(0, 1.02))
        axes.set_ylim(0, None)
        percent(axes.xaxis)
        percent(axes.yaxis)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.legend(loc="upper left")

    return drawn(draw, "risk")


def strata_of(strata: Mapping[str, Sequence[Stratum]], name: str, label: str) -> str:
    """Accuracy with its interval in each stratum, at the deeper ranks."""
    ranks = [rank for rank in ("family", "genus", "species") if rank in strata]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        bands = [s.label for s in strata[ranks[0]]]
        for i, rank in enumerate(ranks):
            colour, marker = RANK_STYLE[rank]
            shift = 0.14 * (i - (len(ranks) - 1) / 2)
            told = [(x + shift, s) for x, s in enumerate(strata[rank]) if s.n]
            for x, s in told:
                if s.interval:
                    axes.vlines(x, *s.interval, color=colour, linewidth=1.6, alpha=0.6)
            axes.plot([x for x, _ in told], [s.accuracy for _, s in told], color=colour, linewidth=0.8)
            axes.plot([], [], color=colour, marker=marker, linewidth=0.8, label=rank)
            for few, face in ((False, colour), (True, "white")):
                some = [(x, s.accuracy) for x, s in told if (s.n < FEW) == few]
                if some:
                    axes.plot(*zip(*some, strict=True), linestyle="", color=colour, marker=marker, markerfacecolor=face)
        axes.set_xticks(range(len(bands)), [b.replace(", ", "\n") for b in bands], rotation=25, ha="right")
        axes.set(ylim=(-0.03, 1.03), xlabel=label, ylabel="named right")
        percent(axes.yaxis)
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=3)

    return drawn(draw, name)


def kinship_of(kinship: Mapping[str, Kinship]) -> str:
    """Of the wrong names at each rank, how near they are to the right one."""
    ranks = [rank for rank in RANKS if rank in kinship and kinship[rank].wrong]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        left = np.zeros(len(ranks))
        parts = (("sister", COLOURS[4], ""), ("cousin", COLOURS[5], "//"), ("further", COLOURS[1], "xx"))
        for part, colour, hatch in parts:
            share = np.array([getattr(kinship[r], part) / kinship[r].wrong for r in ranks])
            axes.barh(range(len(ranks)), share, left=left, color=colour, hatch=hatch, edgecolor="white", label=part)
            left += share
        axes.set_yticks(range(len(ranks)), [f"{r} ({kinship[r].wrong:,})" for r in ranks])
        axes.invert_yaxis()
        axes.set_xlabel("of the wrong names")
        percent(axes.xaxis)
        figure.legend(loc="outside upper center", ncols=3)

    return drawn(draw, "kinship", (4.8, 3.2))


def scatter_by(x: NDArray[np.floating], y: NDArray[np.floating], labels: Sequence[str], name: str, title: str) -> str:
    """Points in the plane, those of the commonest labels in colours of their own; '' is no label."""
    of = np.array([label or "not told" for label in labels])
    common = [label for label, _ in Counter(label for label in labels if label).most_common(len(COLOURS) - 1)]
    groups = [("others", ~np.isin(of, common), "0.75", ".")]
    groups += [(label, of == label, COLOURS[i], MARKERS[i]) for i, label in enumerate(common)]
    return scatter(x, y, groups, name, title)


def scatter(
    x: NDArray[np.floating], y: NDArray[np.floating], groups: Sequence[tuple[str, Any, str, str]], name: str, title: str
) -> str:
    """Points in the plane, each group (label, which, colour, marker) in its own colour."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for label, inside, colour, marker in (group for group in groups if group[1].any()):
            text = f"{label if len(label) <= 24 else label[:23] + '…'} ({int(inside.sum()):,})"
            style = {"c": colour, "marker": marker, "s": 12, "linewidths": 0, "rasterized": True}
            axes.scatter(x[inside], y[inside], alpha=0.8, label=text, **style)
        axes.set(xticks=[], yticks=[], title=title)
        framed(axes)
        figure.legend(loc="outside lower center", ncols=2, markerscale=1.6, handletextpad=0.2)

    return drawn(draw, name, (4.8, 4.8))


def framed(axes: Any) -> None:
    """A thin frame around a plane whose axes mean nothing."""
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color("0.8")
