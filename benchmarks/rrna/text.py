"""Figures as text, and tables of them in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

_TEXT = {"tool", "region", "split", "rank", "best other tool", "linnet's model"}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in the source too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text_columns = {i for i, title in enumerate(header) if title in _TEXT}

    def line(cells: Sequence[str]) -> str:
        padded = (
            c.ljust(w) if i in text_columns else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if i in text_columns else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(lines[0]), line(rule), *map(line, lines[1:])])


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def with_range(mean: float | None, least: float | None, greatest: float | None) -> str:
    """Per cent, and over seeds from the least to the greatest where both are known."""
    if mean is None or least is None or greatest is None:
        return percent(mean)
    return f"{percent(mean)} [{percent(least)} to {percent(greatest)}]"


def over(values: Sequence[float | None]) -> str:
    """Mean and range of one figure, a value a seed; - unless every seed has one."""
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        return "-"
    return percent(fmean(found)) if len(found) == 1 else with_range(fmean(found), min(found), max(found))


def interval(ends: Sequence[float] | None, sign: bool = False) -> str:
    """Per cent in round brackets, after a blank; nothing for nothing."""
    if ends is None:
        return ""
    low, high = (f"{100 * x:{'+' if sign else ''}.1f}" for x in ends)
    return f" ({low} to {high})"


def amount(x: float) -> str:
    """Three figures, or all before the point."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"
