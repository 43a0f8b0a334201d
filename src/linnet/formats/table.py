"""A table for reading on a screen: the deepest name kept, its rank and confidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from linnet.prediction import Prediction, Stopped
from linnet.taxonomy import CANONICAL

_COLUMNS = (("record", 22), ("strand", 6), ("rank", 8), ("name", 34), ("conf.", 5), ("within", 0))


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """One line a record: id, strand, rank, name, confidence, and what the name stands within."""
    _line(file, [name for name, _ in _COLUMNS])
    _line(file, ["-" * (width or 6) for _, width in _COLUMNS])
    for prediction in predictions:
        _line(file, _cells(prediction))


def _cells(prediction: Prediction) -> list[str]:
    kept = prediction.kept
    if not kept:
        name = "(unreadable)" if prediction.stopped == Stopped.UNREADABLE else "(unassigned)"
        return [prediction.record_id, prediction.strand, "", name, "", prediction.reason]
    within = " > ".join(t.name for t in kept[-4:-1])
    if prediction.stopped == Stopped.NOVEL:
        within += f"  [new below {kept[-1].rank}?]"
    if prediction.flags:
        within += f"  [{', '.join(prediction.flags)}]"
    return [
        prediction.record_id,
        prediction.strand,
        CANONICAL.get(kept[-1].rank, kept[-1].rank),
        kept[-1].name,
        f"{prediction.kept_confidence:.2f}",
        within,
    ]


def _line(file: TextIO, cells: list[str]) -> None:
    shown = (_fit(cell, width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
    file.write("  ".join(shown).rstrip() + "\n")


def _fit(text: str, width: int) -> str:
    if not width:
        return text
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)
