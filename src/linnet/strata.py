"""Accuracy among queries that have something in common: how like their nearest reference is, how many references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.metrics import wilson
from linnet.outcomes import NamePath, Outcomes, names
from linnet.taxonomy import RANKS, Lineage

FEW = 20
"""Queries below which a share is hardly worth telling."""

IDENTITY = (
    ("99 % and more", 0.99),
    ("97 to 99 %", 0.97),
    ("95 to 97 %", 0.95),
    ("90 to 95 %", 0.90),
    ("below 90 %", 0.0),
)
"""Strata of identity to the nearest reference, by their lower ends."""

REFERENCES = (("50 and more", 50), ("10 to 49", 10), ("5 to 9", 5), ("2 to 4", 2), ("1", 1), ("0, unknown", 0))
"""Strata of how many references the true taxon has, by their lower ends."""


@dataclass(frozen=True)
class Stratum:
    """Queries of one rank that have something in common; None where there are none.

    Attributes:
        label: what they have in common.
        n: how many, of all queries whose truth reaches the rank.
        n_known: of these, those whose true taxon is in the reference.
        accuracy: right / n.
        interval: 95 % Wilson interval of `accuracy`.
        acc_known: right / n, among those of known taxa.
    """

    label: str
    n: int
    n_known: int
    accuracy: float | None
    interval: tuple[float, float] | None
    acc_known: float | None


def stratify(
    outcomes: Outcomes, values_n: NDArray[np.floating], bounds: Iterable[tuple[str, float]]
) -> tuple[Stratum, ...]:
    """The strata of one rank, from the highest values to the lowest.

    Args:
        values_n: of each query, 0 or more.
        bounds: label and lower end of each stratum, falling to 0.
    """
    upper, found = np.inf, []
    for label, lower in bounds:
        found.append(stratum(outcomes, (values_n >= lower) & (values_n < upper), label))
        upper = lower
    return tuple(found)


def stratum(outcomes: Outcomes, inside: NDArray[np.bool_], label: str) -> Stratum:
    """Some of the queries of one rank.

    Args:
        inside: bool (n,).
    """
    known_n = np.ones(len(outcomes), bool) if outcomes.known is None else outcomes.known
    n, right, known = (int(x.sum()) for x in (inside, inside & outcomes.right, inside & known_n))
    right_known = int((inside & known_n & outcomes.right).sum())
    return Stratum(
        label,
        n,
        known,
        right / n if n else None,
        wilson(right, n) if n else None,
        right_known / known if known else None,
    )


class ReferenceCounts:
    """How many references each taxon has, by name; ranks that a lineage leaves out may be anything."""

    def __init__(self, references: Iterable[Lineage]) -> None:
        self._of_path = Counter(names(lineage) for lineage in references)
        self._tables: dict[tuple[int, ...], Counter[NamePath]] = {}

    def __call__(self, lineage: Lineage, rank: str) -> int:
        """References of a lineage's taxon at a rank that it reaches."""
        path = names(lineage)[: RANKS.index(rank) + 1]
        levels = tuple(level for level, name in enumerate(path) if name is not None)
        if levels not in self._tables:
            table = self._tables[levels] = Counter()
            for other, count in self._of_path.items():
                table[tuple(other[level] for level in levels)] += count
        return self._tables[levels][tuple(path[level] for level in levels)]


def reference_counts(outcomes: Outcomes, truth: Mapping[str, Lineage], counts: ReferenceCounts) -> NDArray[np.float64]:
    """float64 (n,): how many references the true taxon of each query has at the outcomes' rank."""
    return np.array([counts(truth[query], outcomes.rank) for query in outcomes.queries], np.float64)
