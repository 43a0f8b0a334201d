"""What a search tool says of one contig."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from linnet.errors import UserError
from linnet.taxonomy import Lineage


@dataclass(frozen=True, slots=True)
class Label:
    """The lineage that a search tool gives a contig, and how much of what it found speaks for it.

    Attributes:
        lineage: general to specific, the seven canonical ranks only, named as in `RANKS`; () where it says nothing.
        support: share, 0 to 1, of the tool's own evidence on this contig that agrees with the deepest taxon of
            `lineage`; nan where the tool gives none.
        pieces: how many pieces of evidence that is a share of (labelled fragments, k-mers, ORFs, matches); 0 where
            the tool does not say.
        scores: such a share for each taxon of `lineage`, where the tool gives them all; else ().
    """

    contig: str
    lineage: Lineage = ()
    support: float = math.nan
    pieces: int = 0
    scores: tuple[float, ...] = ()


def shared(lineages: Iterable[Lineage]) -> Lineage:
    """The deepest lineage that holds all of these."""
    first, *others = lineages
    for other in others:
        agreeing = 0
        while agreeing < min(len(first), len(other)) and first[agreeing] == other[agreeing]:
            agreeing += 1
        first = first[:agreeing]
    return first


def whole(text: str, what: str, where: str) -> int:
    """A cell that holds a count.

    Raises:
        UserError: it does not.
    """
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise UserError(f"{what} {text[:40]!r}", where=where, expected="a whole number")
    return int(text)


def share(text: str, what: str, where: str) -> float:
    """A cell that holds a number from 0 to 1.

    Raises:
        UserError: it does not.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UserError(f"{what} {text[:40]!r}", where=where, expected="a number from 0 to 1")
    return value
