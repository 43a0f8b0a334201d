"""Trainings that differ in their seed alone, as one model: every figure's mean, and its least and greatest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

Row = dict[str, Any]

MEASURED = ("scores", "reads_per_cpu_s", "at_least", "training", "start_up", "classification", "load")
"""What of a cell differs by seed; whatever is named so is put together, the rest is that of the first."""


def one_per_model(cells: Iterable[Row]) -> list[Row]:
    """Cells of the same tool, split and region as one row that looks like a cell, in the order of the first of each.

    Every number is the mean over the seeds, or nothing where a seed lacks it; true where any is true. `least` and
    `greatest` hold the scores as the seeds' least and greatest, and `seeds` the seeds, where there are several.
    """
    models: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in cells:
        models[row["cell"]["tool"], row["cell"]["split"], row["cell"]["region"]].append(row)
    return [_one(rows) if len(rows) > 1 else rows[0] | {"label": tool} for (tool, *_), rows in models.items()]


def over_seeds(cells: Iterable[Row]) -> list[Row]:
    """Tool, split, region, seeds, and the scores' mean, least and greatest, of models that have several seeds."""
    return [
        {name: row["cell"][name] for name in ("tool", "split", "region")}
        | {"seeds": row["seeds"], "mean": row["scores"], "least": row["least"], "greatest": row["greatest"]}
        for row in one_per_model(cells)
        if "seeds" in row
    ]


def together(values: Sequence[Any], how: Callable[[Sequence[float]], float]) -> Any:
    """Numbers put together, within dictionaries (of the keys that all have) and lists of the same form."""
    first = values[0]
    if any(value is None for value in values):
        return None
    if isinstance(first, dict):
        return {key: together([v[key] for v in values], how) for key in first if all(key in v for v in values)}
    if isinstance(first, list | tuple):
        return [together(each, how) for each in zip(*values, strict=True)]
    if isinstance(first, bool):
        return any(values)
    return first if all(value == first for value in values) else how(values)


def _one(rows: Sequence[Row]) -> Row:
    rows = sorted(rows, key=lambda row: row["cell"]["seed"])
    scores = [row["scores"] for row in rows]
    return rows[0] | {
        "label": f"{rows[0]['cell']['tool']}, {len(rows)} seeds",
        "seeds": [row["cell"]["seed"] for row in rows],
        **{name: together([row[name] for row in rows], fmean) for name in MEASURED},
        "least": together(scores, min),
        "greatest": together(scores, max),
    }
