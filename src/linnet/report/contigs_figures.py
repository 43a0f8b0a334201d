"""The figures of a correction: F1 by rank, by length and confidence, novel taxa, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from linnet.contig_curves import LengthBin
from linnet.contig_examination import BEFORE, ContigExamination
from linnet.contig_fates import FATES
from linnet.report.contigs_sankey import Measure
from linnet.report.drawing import drawn
from linnet.report.rank_figures import reliability_axes, reliability_bins
from linnet.report.style import COLOURS, MARKERS, percent
from linnet.taxonomy import RANKS

MOST_TABLES = len(COLOURS) - 1
"""Tables that colours tell apart, besides the one before."""

FEW = 20
"""Contigs below which a share is hardly worth telling."""

_FATE_STYLE = {
    "exact": (COLOURS[2], ""),
    "above": (COLOURS[4], ""),
    "below": (COLOURS[5], "//"),
    "wrong branch": (COLOURS[1], "xx"),
    "no name": ("#cccccc", ""),
}


def style_of(tables: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each table; the labels before are grey."""
    after = [name for name in tables if name != BEFORE]
    return {BEFORE: ("#666666", "x")} | {name: (COLOURS[i], MARKERS[i]) for i, name in enumerate(after)}


def short(name: str, letters: int = 30) -> str:
    """A name that fits into a legend: its end, which tells tables apart."""
    name = name if len(name) <= letters else f"…{name[1 - letters :]}"
    return f" {name}" if name.startswith("_") else name  # matplotlib leaves labels that begin so out of its legends


def f1_by_rank(found: ContigExamination, by: Measure) -> str:
    """F1 of every table at every rank, with intervals."""
    ranks = [rank for rank in RANKS if any(rank in e.ranks for e in found.evaluations.values())]
    styles = style_of([*found.evaluations])

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for i, (name, evaluation) in enumerate(found.evaluations.items()):
            colour, marker = styles[name]
            shift = 0.11 * (i - (len(found.evaluations) - 1) / 2)
            points = []
            for x, rank in enumerate(ranks):
                of = evaluation.ranks.get(rank)
                figures = getattr(of, by) if of else None
                if of is None or figures is None or figures.f1 is None:
                    continue
                points.append((x + shift, figures.f1))
                intervals = of.intervals if by == "contigs" else of.base_intervals
                if "f1" in intervals:
                    axes.vlines(x + shift, *intervals["f1"], color=colour, alpha=0.6, linewidth=1.6)
            style = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1}
            axes.plot([x for x, _ in points], [y for _, y in points], **style, label=short(name))
        axes.set_xticks(range(len(ranks)), ranks, rotation=30, ha="right")
        percent(axes.yaxis)
        axes.set(ylabel="F1", title=f"by {by}")
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)

    return drawn(draw, f"f1 {by}")


def by_length(bins: Sequence[LengthBin], rank: str, figure_name: str, tables: Sequence[str]) -> str:
    """One figure of every table, from short contigs to long ones."""
    styles = style_of(tables)
    words = {"f1": "F1", "precision": "of the names, right", "coverage": "of the contigs, named"}

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for i, name in enumerate(tables):
            colour, marker = styles[name]
            shift = 0.13 * (i - (len(tables) - 1) / 2)
            told = [
                (x + shift, e, b.contigs) for x, b in enumerate(bins)
                if (e := b.figures[rank].get(name, {}).get(figure_name)) and e.value is not None
            ]  # fmt: skip
            for x, e, _ in told:
                if e.interval:
                    axes.vlines(x, *e.interval, color=colour, alpha=0.6, linewidth=1.6)
            axes.plot([x for x, *_ in told], [e.value for _, e, _ in told], color=colour, linewidth=0.8)
            axes.plot([], [], color=colour, marker=marker, linewidth=0.8, label=short(name))
            for few, face in ((False, colour), (True, "white")):
                some = [(x, e.value) for x, e, n in told if (n < FEW) == few]
                if some:
                    axes.plot(*zip(*some, strict=True), linestyle="", color=colour, marker=marker, markerfacecolor=face)
        axes.set_xticks(range(len(bins)), [f"{length_word(b)}\n{b.contigs:,}" for b in bins], fontsize=8)
        axes.set(xlabel="length in bases (log), and contigs", ylabel=words[figure_name], title=rank)
        percent(axes.yaxis)
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)

    return drawn(draw, f"length {rank} {figure_name}")


def length_word(found: LengthBin) -> str:
    """`2-5 k`."""
    low = f"{found.low / 1000:g}"
    if found.high is None:
        return f"{low} k +"
    return f"{low}–{found.high / 1000:g} k" if found.low else f"< {found.high / 1000:g} k"


def reliability_of(found: ContigExamination, rank: str) -> str:
    """Confidence against the share that is right, of every table that has confidences."""
    styles = style_of([*found.evaluations])
    bins_of = {name: e.ranks[rank].reliability for name, e in found.evaluations.items() if rank in e.ranks}
    shown = {name: bins for name, bins in bins_of.items() if any(b.count for b in bins)}

    def draw(figure: Any) -> None:
        upper, lower = reliability_axes(figure, rank)
        for name, bins in shown.items():
            colour, marker = styles[name]
            points = {"color": colour, "marker": marker, "label": short(name)}
            reliability_bins(upper, lower, bins, points, linewidth=1.5)
        upper.legend(loc="upper left")

    return drawn(draw, f"reliability {rank}")


def precision_coverage(found: ContigExamination, rank: str) -> str:
    """Precision when only the surest names are given."""
    styles = style_of([*found.evaluations])

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for name, curve in found.curves[rank].items():
            colour, marker = styles[name]
            if not curve.coverage:
                continue
            end = {"color": colour, "marker": marker, "markersize": 6, "linestyle": ""}
            axes.plot(curve.coverage[-1:], curve.precision[-1:], **end)
            if curve.confident:
                axes.plot(curve.coverage, curve.precision, color=colour, linewidth=1.6)
            axes.plot([], [], color=colour, marker=marker, label=f"{short(name)}: {curve.area:.3f}")
        axes.set(
            xlabel="share of contigs named, the surest first", ylabel="of the names, right", title=rank, xlim=(0, 1.02)
        )
        percent(axes.xaxis)
        percent(axes.yaxis)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)

    return drawn(draw, f"coverage {rank}")


def fates_of(found: ContigExamination, words: Mapping[str, str]) -> str:
    """Where the names of contigs of absent taxa end, for every table."""
    bars = [(rank, name, fates) for rank, novel in found.novel.items() for name, fates in novel.fates.items()]
    places, y, last = [], 0.0, ""
    for rank, *_ in bars:
        y += 1.6 if rank != last and last else 1.0
        places.append(y)
        last = rank

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        left = np.zeros(len(bars))
        for fate in FATES:
            colour, hatch = _FATE_STYLE[fate]
            share = np.array([fates[fate] / max(sum(fates.values()), 1) for *_, fates in bars])
            axes.barh(places, share, left=left, color=colour, hatch=hatch, edgecolor="white", label=fate)
            left += share
        axes.set_yticks(places, [short(name, 26) for _, name, _ in bars])
        for rank, novel in found.novel.items():
            top = min(p for p, (r, *_) in zip(places, bars, strict=True) if r == rank)
            axes.text(0, top - 0.48, f"{words[rank]} ({novel.contigs:,} contigs)", va="bottom", fontsize=8, color="0.3")
        axes.set_ylim(max(places) + 0.6, min(places) - 1.1)
        axes.set_xlim(0, 1)
        percent(axes.xaxis)
        axes.set_xlabel("of the contigs")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return drawn(draw, "fates", (4.8, 1.4 + 0.28 * places[-1]))


def time_by_volume(found: ContigExamination, of: Literal["seconds", "peak_mb"]) -> str:
    """Time, or memory, of each run against what it worked on, both axes logarithmic."""
    from matplotlib.ticker import LogLocator, NullFormatter

    groups = list(dict.fromkeys(run.group for run in found.runs))

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for i, group in enumerate(groups):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            runs = [(getattr(r, found.volume), getattr(r, of)) for r in found.runs if r.group == group]
            told = sorted((x, y) for x, y in runs if y is not None)
            if not told:
                continue
            axes.plot(*zip(*told, strict=True), linestyle="", color=colour, marker=marker, label=short(group))
            fit = found.scaling.get(group)
            if fit and of == "seconds":
                x = np.array([told[0][0], told[-1][0]], float)
                axes.plot(x, fit.factor * x**fit.exponent, color=colour, linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel=found.volume)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1,) if high / low > 300 else (1, 2, 5)))
            axis.set_major_formatter(lambda value, _: _number(value))
            axis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("seconds by the clock" if of == "seconds" else "peak memory, MB")
        axes.grid(color="0.9", which="both")
        axes.set_axisbelow(True)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)

    return drawn(draw, f"time {of}")


def _number(value: float) -> str:
    """`20 M`, `500 k`, `0.5`."""
    for unit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
