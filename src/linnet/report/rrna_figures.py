"""The figures of an examination, each as one SVG element with its text as text."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from linnet.examine import Plane
from linnet.importance import Importance
from linnet.report.drawing import drawn
from linnet.report.rank_figures import RANK_STYLE, scatter, scatter_by
from linnet.report.style import COLOURS, percent

_DEEP = ("phylum", "family", "genus", "species")

# Chakravorty et al. 2007 (J Microbiol Methods 69:330): the variable regions, in positions of E. coli's gene.
_VARIABLE = {
    "V1": (69, 99), "V2": (137, 242), "V3": (433, 497), "V4": (576, 682), "V5": (822, 879), "V6": (986, 1043),
    "V7": (1117, 1173), "V8": (1243, 1294), "V9": (1435, 1465),
}  # fmt: skip


def plane_by_phylum(plane: Plane) -> str:
    """Vectors in the plane, coloured by true phylum."""
    return scatter_by(np.array(plane.x), np.array(plane.y), plane.phylum, "plane phylum", "by true phylum")


def plane_by_outcome(plane: Plane) -> str:
    """Vectors in the plane, by whether the genus was named right."""
    right = np.array([-1 if r is None else int(r) for r in plane.genus_right])
    groups = [
        ("no true genus", right == -1, "0.85", "."),
        ("right", right == 1, COLOURS[4], "o"),
        ("wrong", right == 0, COLOURS[1], "X"),
    ]
    x, y = np.array(plane.x), np.array(plane.y)
    return scatter(x, y, groups, "plane outcome", "by whether the genus is named right")


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
            colour, marker = RANK_STYLE[rank]
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
