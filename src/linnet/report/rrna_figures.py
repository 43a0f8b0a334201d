"""The figures of an examination, each as one SVG element with its text as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from linnet.examine import Examination, Plane
from linnet.importance import Importance
from linnet.metrics import ReliabilityBin
from linnet.report.drawing import drawn
from linnet.report.style import COLOURS, MARKERS, percent
from linnet.strata import FEW, Stratum
from linnet.taxonomy import RANKS

_RANK_STYLE = {rank: (COLOURS[i], MARKERS[i]) for i, rank in enumerate(reversed(RANKS))}
_DEEP = ("phylum", "family", "genus", "species")

# Chakravorty et al. 2007 (J Microbiol Methods 69:330): the variable regions, in positions of E. coli's gene.
_VARIABLE = {
    "V1": (69, 99), "V2": (137, 242), "V3": (433, 497), "V4": (576, 682), "V5": (822, 879), "V6": (986, 1043),
    "V7": (1117, 1173), "V8": (1243, 1294), "V9": (1435, 1465),
}  # fmt: skip


def accuracy_by_rank(found: Examination) -> str:
    """Accuracy of each run and their mean, of all queries and of those of known taxa."""
    ranks = [rank for rank in RANKS if rank in found.spread]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for shift, figure_name, colour, marker, label in (
            (-0.08, "accuracy", COLOURS[0], "o", "all queries"),
            (0.08, "acc_known", COLOURS[1], "s", "taxa in the reference"),
        ):
            spreads = [(x + shift, found.spread[r].get(figure_name)) for x, r in enumerate(ranks)]
            points = [(x, s.mean, s.sd or 0.0) for x, s in spreads if s]
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
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="confidence = share right")
        full = [b for b in bins if b.count]
        total = sum(b.count for b in full)
        for b in full:
            if b.interval:
                upper.vlines(b.confidence, *b.interval, color=COLOURS[0], alpha=0.6, linewidth=1.5)
        upper.plot([b.confidence for b in full], [b.accuracy for b in full], color=COLOURS[0], marker="o", markersize=5)
        edges = [*(b.low for b in bins), bins[-1].high]
        lower.stairs([b.count / total for b in bins], edges, color=COLOURS[0], fill=True)
        upper.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="share right", title=rank)
        lower.set(xlabel="confidence", ylabel="of names")
        for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
            percent(axis)
        upper.legend(loc="upper left")

    return drawn(draw, f"reliability {rank}")


def risk_coverage(found: Examination) -> str:
    """The wrong share of the names given against the share of queries named."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for rank, curve in found.curves.items():
            axes.plot(curve.coverage, curve.risk, color=_RANK_STYLE[rank][0], linewidth=1.6, label=rank)
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
            colour, marker = _RANK_STYLE[rank]
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


def kinship_of(found: Examination) -> str:
    """Of the wrong names at each rank, how near they are to the right one."""
    ranks = [rank for rank in RANKS if rank in found.kinship and found.kinship[rank].wrong]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        left = np.zeros(len(ranks))
        parts = (("sister", COLOURS[4], ""), ("cousin", COLOURS[5], "//"), ("further", COLOURS[1], "xx"))
        for part, colour, hatch in parts:
            share = np.array([getattr(found.kinship[r], part) / found.kinship[r].wrong for r in ranks])
            axes.barh(range(len(ranks)), share, left=left, color=colour, hatch=hatch, edgecolor="white", label=part)
            left += share
        axes.set_yticks(range(len(ranks)), [f"{r} ({found.kinship[r].wrong:,})" for r in ranks])
        axes.invert_yaxis()
        axes.set_xlabel("of the wrong names")
        percent(axes.xaxis)
        figure.legend(loc="outside upper center", ncols=3)

    return drawn(draw, "kinship", (4.8, 3.2))


def plane_by_phylum(plane: Plane) -> str:
    """Vectors in the plane, coloured by true phylum."""
    phyla = np.array([p or "not told" for p in plane.phylum])
    common = [name for name, _ in Counter(p for p in plane.phylum if p).most_common(len(COLOURS) - 1)]
    groups = [("others", ~np.isin(phyla, common), "0.75", ".")]
    groups += [(name, phyla == name, COLOURS[i], MARKERS[i]) for i, name in enumerate(common)]
    return _scatter(plane, [g for g in groups if g[1].any()], "plane phylum", "by true phylum")


def plane_by_outcome(plane: Plane) -> str:
    """Vectors in the plane, by whether the genus was named right."""
    right = np.array([-1 if r is None else int(r) for r in plane.genus_right])
    groups = [
        ("no true genus", right == -1, "0.85", "."),
        ("right", right == 1, COLOURS[4], "o"),
        ("wrong", right == 0, COLOURS[1], "X"),
    ]
    return _scatter(plane, [g for g in groups if g[1].any()], "plane outcome", "by whether the genus is named right")


def _scatter(plane: Plane, groups: Sequence[tuple[str, Any, str, str]], name: str, title: str) -> str:
    x, y = np.array(plane.x), np.array(plane.y)

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for label, inside, colour, marker in groups:
            text = f"{label if len(label) <= 24 else label[:23] + '…'} ({int(inside.sum()):,})"
            style = {"c": colour, "marker": marker, "s": 12, "linewidths": 0, "rasterized": True}
            axes.scatter(x[inside], y[inside], alpha=0.8, label=text, **style)
        axes.set(xticks=[], yticks=[], title=title)
        for side in axes.spines.values():
            side.set_visible(True)
            side.set_color("0.8")
        figure.legend(loc="outside lower center", ncols=2, markerscale=1.6, handletextpad=0.2)

    return drawn(draw, name, (4.8, 4.8))


def ranks_drawn(found: Importance) -> list[str]:
    """The ranks whose importance is drawn."""
    return [rank for rank in _DEEP if rank in found.drop and rank in found.loss]


def importance_along(found: Importance, figure_name: Literal["drop", "loss"]) -> str:
    """What a swapped window costs, along the gene where reads can be placed in it: accuracy, or probability."""
    cost, error_of = getattr(found, figure_name), getattr(found, f"{figure_name}_error")
    ranks = ranks_drawn(found)
    windows = len(cost[ranks[0]])
    x = np.array(found.position or (np.arange(windows) + 0.5) / windows)

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        highest = 0.0
        for rank in ranks:
            colour, marker = _RANK_STYLE[rank]
            mean, error = np.array(cost[rank]), np.array(error_of[rank])
            axes.fill_between(x, mean - 1.96 * error, mean + 1.96 * error, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, mean, color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=rank)
            highest = max(highest, float((mean + 1.96 * error).max()))
        top = 1.15 * highest or 0.01
        if found.position:
            for region, (first, last) in _VARIABLE.items():
                if x[0] - 30 <= (first + last) / 2 <= x[-1] + 30:
                    axes.axvspan(first, last, color="0.92", zorder=0, linewidth=0)
                    axes.text((first + last) / 2, 0.98 * top, region, ha="center", va="top", fontsize=8, color="0.35")
        else:
            percent(axes.xaxis)
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_ylim(None, top)
        axes.set_xlabel("position in the 16S gene of E. coli" if found.position else "place along the read")
        axes.set_ylabel({"drop": "drop in accuracy", "loss": "drop in p(true taxon)"}[figure_name])
        percent(axes.yaxis)
        figure.legend(loc="outside upper center", ncols=4)

    return drawn(draw, f"importance {figure_name}", (9.8, 3.6))
