"""A figure of evaluations: accuracy by rank, and whether confidence means what it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from linnet.errors import UsageError, missing_extra
from linnet.evaluate import Evaluation
from linnet.metrics import ReliabilityBin
from linnet.outputs import whole
from linnet.report.style import COLOURS, MARKERS, STYLE, percent
from linnet.taxonomy import RANKS


def plot(evaluations: Mapping[str, Evaluation], out: Path) -> None:
    """Draw the evaluations, by name of the tool, into an SVG or PNG file that appears when it is whole.

    Raises:
        UserError: matplotlib is not installed.
        UsageError: no or too many evaluations, or a file name that is neither .svg nor .png.
    """
    if not 0 < len(evaluations) <= len(COLOURS):
        raise UsageError(f"{len(evaluations)} evaluations to draw", expected=f"1 to {len(COLOURS)}")
    if out.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"a plot cannot be written to '{out}'", expected="a name that ends in .svg or .png")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "report", "a plot") from None

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12, 5.6), dpi=100, layout="constrained")
        ranks = [rank for rank in ("genus", "species") if any(rank in e.ranks for e in evaluations.values())]
        grid = figure.add_gridspec(2, 2 + len(ranks), height_ratios=(4, 1))
        _draw_accuracy(figure.add_subplot(grid[:, :2]), evaluations)
        for column, rank in enumerate(ranks, 2):
            upper = figure.add_subplot(grid[0, column])
            lower = figure.add_subplot(grid[1, column], sharex=upper)
            _draw_reliability(upper, lower, rank, evaluations)
            if column == 2:
                upper.set_ylabel("share that is right")
                lower.set_ylabel("of names")
        _draw_legend(figure, evaluations)
        _save(figure, out)


def _draw_accuracy(axes: Any, evaluations: Mapping[str, Evaluation]) -> None:
    ranks = [rank for rank in RANKS if any(rank in e.ranks for e in evaluations.values())]
    for i, evaluation in enumerate(evaluations.values()):
        shift = 0.1 * (i - (len(evaluations) - 1) / 2)
        found = [(x + shift, evaluation.ranks[r]) for x, r in enumerate(ranks) if r in evaluation.ranks]
        known = [(x, r.scores.acc_known) for x, r in found if r.scores.acc_known is not None]
        style = {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 5.5}
        if known:
            axes.plot(*zip(*known, strict=True), **style, alpha=0.45, linestyle=":", markerfacecolor="white")
        accuracy = [r.scores.accuracy for _, r in found]
        axes.plot([x for x, _ in found], accuracy, **style, linewidth=1.5)
        for x, rank in found:
            if "accuracy" in rank.intervals:
                axes.vlines(x, *rank.intervals["accuracy"], color=COLOURS[i], linewidth=2.5)
    axes.set_xticks(range(len(ranks)), ranks)
    axes.set_ylim(0, 1.02)
    percent(axes.yaxis)
    axes.set_ylabel("queries named right, with the whole path")
    axes.set_title("Accuracy by rank, with 95 % intervals")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)


def _draw_reliability(upper: Any, lower: Any, rank: str, evaluations: Mapping[str, Evaluation]) -> None:
    upper.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
    for i, evaluation in enumerate(evaluations.values()):
        if rank not in evaluation.ranks:
            continue
        bins = evaluation.ranks[rank].reliability
        total = sum(b.count for b in bins)
        if not total:
            continue
        _draw_bins(upper, [b for b in bins if b.count], total, i)
        edges = [*(b.low for b in bins), bins[-1].high]
        lower.stairs([b.count / total for b in bins], edges, color=COLOURS[i], linewidth=1.5)
    upper.set_xlim(-0.03, 1.03)
    upper.set_ylim(-0.03, 1.03)
    upper.set_title(f"Reliability, {rank}")
    upper.tick_params(labelbottom=False)
    lower.set_ylim(0, None)
    lower.set_xlabel("confidence")
    for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
        percent(axis)


def _draw_bins(axes: Any, bins: list[ReliabilityBin], total: int, tool: int) -> None:
    x = [b.confidence for b in bins]
    intervals = np.array([b.interval for b in bins])
    axes.vlines(x, intervals[:, 0], intervals[:, 1], color=COLOURS[tool], alpha=0.6, linewidth=1.2)
    area = [15 + 150 * b.count / total for b in bins]
    style = {"color": COLOURS[tool], "marker": MARKERS[tool], "alpha": 0.8, "linewidths": 0}
    axes.scatter(x, [b.accuracy for b in bins], area, **style)


def _draw_legend(figure: Any, evaluations: Mapping[str, Evaluation]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[i], marker=MARKERS[i], label=_label(name, evaluation))
        for i, (name, evaluation) in enumerate(evaluations.items())
    ]
    if any(r.scores.acc_known is not None for e in evaluations.values() for r in e.ranks.values()):
        label = "only taxa in the reference"
        handles.append(Line2D([], [], color="0.5", linestyle=":", marker="o", markerfacecolor="white", label=label))
    handles.append(Line2D([], [], color="0.6", linestyle="--", label="confidence = share that is right"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)


def _label(name: str, evaluation: Evaluation) -> str:
    name = name if len(name) <= 36 else f"…{name[-35:]}"  # longer ones would leave the figure
    return f"{name} (cut {evaluation.minimum:g})" if evaluation.minimum > 0 else name


def _save(figure: Any, out: Path) -> None:
    kind = out.suffix.lower()[1:]
    with whole(out) as temporary:
        figure.savefig(temporary, format=kind, metadata={"Date": None} if kind == "svg" else None)
