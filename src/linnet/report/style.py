"""What all of linnet's figures look like."""

from __future__ import annotations

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe & Ito 2008, told apart by colour-blind readers; the strongest on white first."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "svg.hashsalt": "linnet",
}


def percent(axis: Any) -> None:
    """Shares as per cent along one axis."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
