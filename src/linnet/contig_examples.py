"""Examples of labels that were moved, and of right ones that were harmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from linnet.changes import Kind
from linnet.contig_fates import Standing
from linnet.contig_transitions import Case, Names, Reason, names
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS, Lineage

EXAMPLES = 10
"""How many of each sort are told."""


@dataclass(frozen=True)
class Example:
    """One contig; names from the rank at which its label changed, joined by ';'.

    Attributes:
        true: as deep as the deeper of the two; '' without a truth; its last name where it ends above that rank.
        confidence: of the last name after; None where there is none.
        why: the reason, where one is told.
    """

    contig: str
    bases: int
    change: str
    rank: str
    old: str
    new: str
    true: str
    confidence: float | None
    why: str


@dataclass(frozen=True)
class Known:
    """What is known of contigs besides their labels: answers after, reasons and truth, by contig."""

    after: Mapping[str, Prediction]
    reasons: Mapping[str, Reason]
    truth: Mapping[str, Lineage]


def surest(cases: Iterable[Case], known: Known) -> list[Example]:
    """The moves of highest confidence; of equally sure ones the longest contigs."""
    moved = [_example(case, known) for case in cases if case.kind == Kind.MOVED]
    return sorted(moved, key=lambda e: (-(e.confidence or 0.0), -e.bases, e.contig))[:EXAMPLES]


def most_harmful(cases: list[Case], known: Known, was: Standing, now: Standing) -> list[Example]:
    """Right labels that are wrong now: those wrong at the highest rank first, then the longest contigs.

    Args:
        cases: as many, and in the same order, as `was` and `now` tell of.
    """
    harmed = np.flatnonzero(was.good & now.bad).tolist()
    harmed.sort(key=lambda i: (int(now.first_wrong[i]), -cases[i].bases, cases[i].contig))
    return [_example(cases[i], known) for i in harmed[:EXAMPLES]]


def _example(case: Case, known: Known) -> Example:
    level = RANKS.index(case.rank)
    reason = known.reasons.get(case.contig)
    answer = known.after.get(case.contig)
    confidence = answer.confidence[answer.cut - 1] if answer and answer.confidence and answer.cut else None
    true = names(known.truth.get(case.contig, ()))
    deep = max(i + 1 for label in (case.old, case.new) for i, name in enumerate(label) if name)
    return Example(
        case.contig,
        case.bases,
        case.kind.value,
        case.rank,
        _joined(case.old[level:]),
        _joined(case.new[level:]),
        _joined(true[level:deep]) or next((name for name in reversed(true) if name), ""),
        reason.after if confidence is None and reason else confidence,
        reason.why if reason else "",
    )


def _joined(label: Names) -> str:
    return ";".join(name for name in label if name)
