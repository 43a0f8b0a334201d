"""The figures of an examination of a protein model, each as one SVG element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnet.lineage_scores import BINS, Level
from linnet.protein_examination import Plane
from linnet.protein_figures import FARTHEST, LineageFigures
from linnet.protein_groups import ALL, Cladogram, Group
from linnet.report.drawing import drawn
from linnet.report.rank_figures import framed, scatter_by
from linnet.report.style import COLOURS, MARKERS, percent
from linnet.strata import FEW
from linnet.taxonomy import RANKS
from linnet.trajectories import Trajectory

LABELLED = 90
"""Tips of a tree up to which each has its name."""
_SIDES = {"source": COLOURS[0], "target": COLOURS[1]}
_PLACES = {"parting": "-", "deepest": ":"}


def distributions(found: Mapping[str, LineageFigures], field: str, label: str) -> str:
    """How a figure between 0 and 1 is spread over lineages, of several sets of answers."""
    edges = np.linspace(0, 1, BINS + 1)

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for i, (name, of) in enumerate(found.items()):
            one = getattr(of, field)
            style = {"color": COLOURS[i], "fill": i == 0, "alpha": 0.4 if i == 0 else 1.0, "linewidth": 1.6}
            shown = f"{name} (n = {one.n:,}, mean {100 * one.mean:.1f} %)"
            axes.stairs(np.array(one.counts) / one.n, edges, label=shown, **style)
            axes.axvline(one.mean, color=COLOURS[i], linestyle="--", linewidth=1)
        axes.set(xlabel=label, ylabel="share of proteins", xlim=(0, 1), ylim=(0, None))
        percent(axes.xaxis)
        percent(axes.yaxis)
        figure.legend(loc="outside upper center", ncols=1)

    return drawn(draw, f"distribution {field} {' '.join(found)}")


def hops(found: Mapping[str, LineageFigures]) -> str:
    """How many steps lie between the answer and the truth."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for i, (name, of) in enumerate(found.items()):
            counts = np.array(of.hop_counts) / of.shared.n
            axes.plot(range(len(counts)), np.cumsum(counts), color=COLOURS[i], drawstyle="steps-post",
                      label=f"{name} (n = {of.shared.n:,}, mean {of.hops:.1f})")  # fmt: skip
        longest = max(len(of.hop_counts) for of in found.values()) - 1
        more = " or more" if longest == FARTHEST else ""
        axes.set(xlabel=f"hops in the tree from the answer to the truth (up to {longest}{more})",
                 ylabel="share of proteins within", ylim=(0, 1.02), xlim=(0, None))  # fmt: skip
        percent(axes.yaxis)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=1)

    return drawn(draw, "hops")


def joint(found: LineageFigures) -> str:
    """Shared prefix against inverted RF; the area of a point is how many proteins it has."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        x, y, n = (np.array(column) for column in zip(*found.joint, strict=True))
        axes.scatter((x + 0.5) / BINS, (y + 0.5) / BINS, 4 + 260 * n / n.max(), c=COLOURS[0], alpha=0.55, linewidths=0)
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="shared prefix", ylabel="1 - nRF")
        percent(axes.xaxis)
        percent(axes.yaxis)

    return drawn(draw, "joint", (4.2, 3.8))


def domains(groups: Sequence[Group], colour_of: Mapping[str, str]) -> str:
    """Accuracy at each rank, of each domain."""
    ranks = [rank for rank in RANKS if any(rank in group.ranks for group in groups)]
    shown = groups[: len(MARKERS)]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for i, group in enumerate(shown):
            colour = colour_of[group.domain]
            shift = 0.1 * (i - (len(shown) - 1) / 2)
            told = [(x + shift, group.ranks[rank]) for x, rank in enumerate(ranks) if rank in group.ranks]
            for x, s in told:
                axes.vlines(x, *(s.interval or (0, 0)), color=colour, linewidth=1.6, alpha=0.6)
            axes.plot([x for x, _ in told], [s.accuracy for _, s in told], color=colour, linewidth=0.8)
            label = f"{group.domain or 'no domain'} (n = {group.n:,})"
            axes.plot([], [], color=colour, marker=MARKERS[i], linewidth=0.8, label=label)
            for few, face in ((False, colour), (True, "white")):
                some = [(x, s.accuracy) for x, s in told if (s.n < FEW) == few]
                if some:
                    style = {"color": colour, "marker": MARKERS[i], "markerfacecolor": face, "markersize": 5}
                    axes.plot(*zip(*some, strict=True), linestyle="", **style)
        axes.set_xticks(range(len(ranks)), ranks, rotation=25, ha="right")
        axes.set(ylim=(-0.03, 1.03), ylabel="named right, with the whole path")
        percent(axes.yaxis)
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=2)

    return drawn(draw, "domains", (5.6, 4.0))


def phyla(groups: Sequence[Group], colour_of: Mapping[str, str]) -> str:
    """Accuracy at phylum and genus of each phylum, one below another."""
    ranks = [rank for rank in ("phylum", "family", "genus") if any(rank in group.ranks for group in groups)]

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(ranks), sharey=True, squeeze=False)[0]
        for axes, rank in zip(panels, ranks, strict=True):
            for y, group in enumerate(groups):
                s, colour = group.ranks.get(rank), colour_of[group.domain]
                if s is None or s.interval is None:
                    continue
                axes.hlines(y, *s.interval, color=colour, linewidth=1.8, alpha=0.6)
                face = "white" if s.n < FEW else colour
                axes.plot([s.accuracy], [y], marker="o", color=colour, markerfacecolor=face, markersize=5)
            axes.set(xlim=(-0.03, 1.03), xlabel=f"right at {rank}")
            axes.grid(axis="both", color="0.92")
            axes.set_axisbelow(True)
            percent(axes.xaxis)
        panels[0].set_yticks(range(len(groups)), [f"{_short(g.phylum, 28)} ({g.n:,})" for g in groups])
        panels[0].set_ylim(len(groups) - 0.4, -0.6)
        for domain in dict.fromkeys(group.domain for group in groups):
            panels[0].plot([], [], marker="o", linestyle="", color=colour_of[domain], label=domain or "no domain")
        figure.legend(loc="outside upper center", ncols=4)

    return drawn(draw, "phyla", (9.4, 1.2 + 0.22 * len(groups)))


def levels(found: Mapping[str, Sequence[Level]]) -> str:
    """Taxa, and sequences, at every depth of the tree."""

    def draw(figure: Any) -> None:
        for axes, field, label in zip(
            figure.subplots(1, 2, sharex=True), ("taxa", "sequences"), ("taxa", "proteins in these"), strict=True
        ):
            for i, (name, of) in enumerate(found.items()):
                style = {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1.2}
                axes.plot([level.depth for level in of], [getattr(level, field) for level in of], label=name, **style)
            axes.set(xlabel="depth: steps below the root", ylabel=f"{label} (logarithmic)", yscale="log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.grid(color="0.9")
            axes.set_axisbelow(True)
            axes.legend(loc="lower center")

    return drawn(draw, "levels", (8.6, 3.4))


def tree(found: Cladogram, colour_of: Mapping[str, str]) -> str:
    """A radial cladogram: the root in the middle, a ring a rank, branches in the colour of their domain."""
    count = len(found.parent)
    inner = set(found.parent[1:])
    tips = [node for node in range(count) if node not in inner]
    angle = np.zeros(count)
    angle[tips] = 2 * np.pi * (np.arange(len(tips)) + 0.5) / max(len(tips), 1)
    children: list[list[int]] = [[] for _ in range(count)]
    for node in range(1, count):
        children[found.parent[node]].append(node)
    for node in range(count - 1, -1, -1):  # those below a node come after it
        if children[node]:
            angle[node] = (angle[children[node][0]] + angle[children[node][-1]]) / 2
    radius = np.array(found.level, float)
    labelled = tips if len(tips) <= LABELLED else [n for n in range(count) if found.level[n] == 2]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(projection="polar")
        for node in range(1, count):
            up, colour = found.parent[node], colour_of[found.domain[node]]
            axes.plot([angle[node]] * 2, [radius[up], radius[node]], color=colour, linewidth=0.9)
        for node in range(count):
            if len(children[node]) > 1:
                arc = np.linspace(angle[children[node][0]], angle[children[node][-1]], 40)
                colour = colour_of[found.domain[node]] if node else "0.4"
                axes.plot(arc, np.full(len(arc), radius[node]), color=colour, linewidth=0.9)
        sizes = [6 + 90 * np.sqrt(found.queries[tip] / max(found.queries)) for tip in tips]
        colours = [colour_of[found.domain[tip]] for tip in tips]
        axes.scatter(angle[tips], radius[tips], sizes, c=colours, alpha=0.6, linewidths=0, zorder=3)
        outer = radius.max() + 0.25
        for node in labelled:
            at, name = angle[node], f"{_short(found.name[node], 24)} ({found.queries[node]:,})"
            left = np.pi / 2 < at < 3 * np.pi / 2
            turn = np.degrees(at) + (180 if left else 0)
            axes.text(at, outer, name, rotation=turn, rotation_mode="anchor", ha="right" if left else "left",
                      va="center", fontsize=6.5, color=colour_of[found.domain[node]])  # fmt: skip
        for domain in dict.fromkeys(found.domain[1:]):
            axes.plot([], [], color=colour_of[domain], linewidth=3, label=domain or "no domain")
        axes.set(ylim=(0, outer + 0.9), yticks=[], xticks=[])
        axes.spines["polar"].set_visible(False)
        figure.legend(loc="outside lower center", ncols=4)

    return drawn(draw, "tree", (9.0, 9.4))


def plane_by_phylum(plane: Plane) -> str:
    """Queries in the plane, by true phylum."""
    labels = [
        phylum or (domain and f"{domain}, no phylum") for domain, phylum in zip(plane.domain, plane.phylum, strict=True)
    ]
    return scatter_by(np.array(plane.x), np.array(plane.y), labels, "plane phylum", "by true phylum (proteins)")


def plane_by_number(plane: Plane, values: Sequence[float], title: str, label: str, name: str) -> str:
    """Queries in the plane, by a number that each has."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        points = axes.scatter(plane.x, plane.y, 12, values, cmap="viridis", linewidths=0, alpha=0.85, rasterized=True)
        axes.set(xticks=[], yticks=[], title=title)
        framed(axes)
        bar = figure.colorbar(points, ax=axes, orientation="horizontal", shrink=0.8, label=label)
        if max(values) <= 1:
            percent(bar.ax.xaxis)

    return drawn(draw, name, (4.8, 4.8))


def plane_of_ways(plane: Plane, ways: Sequence[Trajectory]) -> str:
    """The ways from one protein to another among the queries in the plane."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.scatter(plane.x, plane.y, 6, "0.85", linewidths=0, rasterized=True)
        for i, ((x, y), way) in enumerate(zip(plane.ways, ways, strict=True)):
            colour = COLOURS[i % len(COLOURS)]
            style = "-" if i < len(COLOURS) else "--"
            axes.plot(x, y, color=colour, linewidth=1, marker=".", markersize=3, linestyle=style,
                      label=f"{i + 1}: {_short(way.source, 16)} to {_short(way.target, 16)}")  # fmt: skip
            axes.plot(x[:1], y[:1], color=colour, marker="o", markersize=7, markeredgecolor="white")
            axes.plot(x[-1:], y[-1:], color=colour, marker="s", markersize=7, markeredgecolor="white")
        axes.set(xticks=[], yticks=[])
        framed(axes)
        figure.legend(loc="outside lower center", ncols=2)

    return drawn(draw, "plane ways", (6.4, 5.4 + 0.1 * len(ways)))


def ways_along(ways: Sequence[Trajectory]) -> str:
    """The probability of the two lineages against the mutations done, a panel a pair."""
    columns = 2 if len(ways) > 1 else 1
    rows = -(-len(ways) // columns)

    def draw(figure: Any) -> None:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for i, (axes, way) in enumerate(zip(panels, ways, strict=False)):
            for clade in way.clades:
                axes.plot(way.mutations, clade.p, color=_SIDES[clade.side], linestyle=_PLACES[clade.place],
                          linewidth=1.5, label=f"{clade.side}: {_short(clade.name, 26)} ({clade.rank})")  # fmt: skip
            highest = max((max(clade.p) for clade in way.clades), default=0.0)
            top = 1.03 if highest > 0.5 else max(1.15 * highest, 0.01)
            axes.set(ylim=(-0.03 * top, top), xlabel=f"mutations done, of {way.differences:,}", ylabel="probability")
            axes.set_title(f"{i + 1}: {_short(way.source, 20)} to {_short(way.target, 20)}, "
                           f"{100 * way.identity:.0f} % identical", fontsize=9)  # fmt: skip
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axes.grid(color="0.92")
            axes.set_axisbelow(True)
            if way.clades:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7, ncols=1)
        for axes in panels[len(ways) :]:
            axes.set_visible(False)

    return drawn(draw, "ways", (4.9 * columns, 3.6 * rows))


def colours_of(domains_named: Sequence[str]) -> dict[str, str]:
    """A colour for each domain, the same in all figures; the last one is for those beyond the colours."""
    known = {"Bacteria": COLOURS[0], "Archaea": COLOURS[5], "Eukaryota": COLOURS[2], "Viruses": COLOURS[1],
             "": "0.55", ALL: COLOURS[6]}  # fmt: skip
    rest = iter([COLOURS[3], COLOURS[4], *["0.3"] * len(domains_named)])
    return {domain: known[domain] if domain in known else next(rest) for domain in dict.fromkeys(domains_named)}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
