"""Whole labels of contigs, right or wrong down to their last name; and where names end on taxa that are not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.changes import Kind
from linnet.contig_evaluation import Judged
from linnet.contig_outcomes import RankCalls
from linnet.taxonomy import RANKS

FATES = ("exact", "above", "below", "wrong branch", "no name")
"""Where the name of a contig of an absent taxon can end: at the deepest true taxon that the reference has; rightly, but
higher; with a name below it; off the true path; nowhere."""

NOVELTY = ("species", "genus", "family")
"""The highest rank at which the reference lacks a contig's true taxon; `family` stands for all above it, too."""


@dataclass(frozen=True)
class Judgement:
    """Labels of one kind of change, of contigs with a truth: right means right down to the last name.

    Attributes:
        right_before, right_after: how many were and are; a contig without a name is neither right nor wrong.
        mended: wrong before and right after.
        harmed: right before and wrong after.
    """

    contigs: int
    right_before: int
    right_after: int
    mended: int
    harmed: int


@dataclass(frozen=True)
class Novel:
    """Contigs of taxa that the reference lacks; `fates`: table -> FATES -> contigs."""

    contigs: int
    genomes: int
    fates: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, eq=False)
class Standing:
    """How far the names of n contigs go, and how far rightly.

    Attributes:
        last: int (n,), the level of the last name; -1 without one.
        good: bool (n,), whether that is right.
        first_wrong: int (n,), the level of the first wrong name; past the last level without one.
    """

    last: NDArray[np.int64]
    good: NDArray[np.bool_]
    first_wrong: NDArray[np.int64]

    @classmethod
    def of(cls, ranks: Mapping[str, RankCalls], n: int) -> Standing:
        last, good, first_wrong = np.full(n, -1), np.zeros(n, bool), np.full(n, len(RANKS))
        for rank, calls in ranks.items():
            level, o = RANKS.index(rank), calls.outcomes
            named = calls.contig[o.classified]
            last[named], good[named] = level, o.right[o.classified]
            wrong = calls.contig[calls.wrong]
            first_wrong[wrong] = np.minimum(first_wrong[wrong], level)
        return cls(last, good, first_wrong)

    @property
    def bad(self) -> NDArray[np.bool_]:
        """bool (n,), the last name is wrong."""
        return (self.last >= 0) & ~self.good


def judgements(kinds: Sequence[Kind], was: Standing, now: Standing) -> dict[str, Judgement]:
    """By kind of change, how many labels were right and are."""
    of = np.array([kind.value for kind in kinds])
    found = {}
    for kind in Kind:
        inside = of == kind.value
        parts = (inside, inside & was.good, inside & now.good, inside & was.bad & now.good, inside & was.good & now.bad)
        found[kind.value] = Judgement(*(int(part.sum()) for part in parts))
    return found


def novel(calls: Mapping[str, Mapping[str, RankCalls]], chosen: Judged) -> dict[str, Novel]:
    """By NOVELTY, where the names of contigs of absent taxa end in each table; {} where no reference was given."""
    n = len(chosen.contigs)
    goal, absent = np.full(n, -1), np.full(n, len(RANKS))
    for rank, found in next(iter(calls.values())).items():
        level, known = RANKS.index(rank), found.outcomes.known
        if known is None:
            return {}
        goal[found.contig[found.reached & known]] = level  # a reference that has a path has what is above it, too
        lacking = found.contig[found.reached & ~known]
        absent[lacking] = np.minimum(absent[lacking], level)
    fates = {name: _fates(found, goal, n) for name, found in calls.items()}
    answer = {}
    for rank in NOVELTY:
        level = RANKS.index(rank)
        inside = absent <= level if rank == "family" else absent == level
        if inside.any():
            counted = {
                name: dict(zip(FATES, np.bincount(fate[inside], minlength=len(FATES)).tolist(), strict=True))
                for name, fate in fates.items()
            }
            answer[rank] = Novel(int(inside.sum()), len(np.unique(chosen.genome[inside])), counted)
    return answer


def _fates(ranks: Mapping[str, RankCalls], goal: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """int (n,): positions in FATES."""
    standing = Standing.of(ranks, n)
    fate = np.full(n, FATES.index("wrong branch"))
    fate[standing.last > goal] = FATES.index("below")
    fate[standing.first_wrong <= goal] = FATES.index("wrong branch")
    fate[standing.good & (standing.last < goal)] = FATES.index("above")
    fate[standing.good & (standing.last == goal)] = FATES.index("exact")
    fate[standing.last < 0] = FATES.index("no name")
    return fate
