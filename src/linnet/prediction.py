"""What a model says of a record: a posterior over the tree, and the lineage read from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linnet.taxonomy import Lineage, Taxonomy

DEFAULT_CONFIDENCE = 0.7
"""The cut used unless another is asked for: of names kept at exactly this confidence, 7 in 10 are right."""


class Stopped(StrEnum):
    """Why a lineage ends where it is cut."""

    NAMED = "named"
    """It reached a taxon that has nothing below it in the tree."""
    UNSURE = "unsure"
    """The next name would have been below the cut."""
    NOVEL = "novel"
    """More probably than not, the organism is new below the last taxon: none of those the reference has there."""
    UNREADABLE = "unreadable"
    """The record cannot be judged; the reason is given."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """For B records, how probable it is that the organism's place in the tree is each taxon.

    Attributes:
        taxonomy: the tree, N taxa.
        place_BN: float (B, N), each row summing to 1. For a leaf: the organism is of that taxon. For any
            other taxon: it is in that clade but in none of its children, new to the reference.
    """

    taxonomy: Taxonomy
    place_BN: NDArray[np.floating]

    def clades(self, row: int, nodes: NDArray[np.integer]) -> NDArray[np.float64]:
        """The probability that the organism of one record lies in each of these clades, 1 for the root."""
        sums = self._sums[row]
        return np.asarray(sums[self.taxonomy.end[nodes]] - sums[nodes])

    @cached_property
    def _sums(self) -> NDArray[np.float64]:
        """(B, N + 1): as a clade is a slice, its probability is a difference of two of these."""
        sums = np.zeros((self.place_BN.shape[0], self.place_BN.shape[1] + 1))
        np.cumsum(self.place_BN, axis=1, out=sums[:, 1:])
        return sums


class Neighbour(NamedTuple):
    """A reference that is like a record.

    Attributes:
        reference: its id.
        likeness: 1 for a copy (of genes: `gene_neighbours`).
        lineage: its names, joined by ';'; empty where only its id is known.
    """

    reference: str
    likeness: float
    lineage: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable lineage of one record, whole, and how much of it is kept.

    Attributes:
        lineage: the uncut path, as deep as the tree goes.
        confidence: probability of each clade on the path, never rising with depth; () where another tool
            gave none.
        novelty: probability that the organism is new below the root and below each taxon of the path
            (0 below a leaf); one longer than the path.
        cut: how many taxa of the path are kept.
        stopped: why it ends there.
        strand: '+' as read, '-' reverse complement, '.' where it was not decided.
        reason: a sentence where the record has no name.
        agreement: of several models' answer, the share of them whose own path passes each taxon; else ().
        flags: what is unusual about the record (of proteins: `protein_flags`).
        neighbours: the references most like it, where they were asked for.
    """

    record_id: str
    lineage: Lineage = ()
    confidence: tuple[float, ...] = ()
    novelty: tuple[float, ...] = (0.0,)
    cut: int = 0
    stopped: Stopped = Stopped.UNREADABLE
    strand: str = "."
    reason: str = ""
    agreement: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

    @property
    def kept(self) -> Lineage:
        """The lineage down to the cut."""
        return self.lineage[: self.cut]

    @property
    def kept_confidence(self) -> float:
        """Confidence of the deepest taxon kept; of nothing kept, how sure it is that nothing can be said."""
        if self.cut:
            return self.confidence[self.cut - 1] if self.confidence else 1.0
        return 1.0 - self.confidence[0] if self.confidence else 0.0

    def recut(self, minimum: float) -> Prediction:
        """The same prediction, kept down to the last taxon whose confidence is at least `minimum`."""
        if self.stopped == Stopped.UNREADABLE or (self.lineage and not self.confidence):
            return self
        cut = 0
        while cut < len(self.lineage) and self.confidence[cut] >= minimum:
            cut += 1
        if cut and cut == len(self.lineage):
            stopped = Stopped.NAMED
        else:
            stopped = Stopped.NOVEL if cut < len(self.novelty) and self.novelty[cut] > 0.5 else Stopped.UNSURE
        reason = "" if cut else self._nameless(stopped, minimum)
        if (cut, stopped, reason) == (self.cut, self.stopped, self.reason):
            return self
        return Prediction(  # in half the time of `replace`
            self.record_id, self.lineage, self.confidence, self.novelty, cut, stopped, self.strand, reason,
            self.agreement, self.flags, self.neighbours,
        )  # fmt: skip

    def _nameless(self, stopped: Stopped, minimum: float) -> str:
        if stopped == Stopped.NOVEL:
            return "more probably than not like none of the model's references"
        return f"no domain reaches the confidence {minimum:g}" if self.lineage else "its place in the tree is not known"


def unreadable(record_id: str, reason: str) -> Prediction:
    """A record that gets a row but no name."""
    return Prediction(record_id, reason=reason)


def foreign(record_id: str, lineage: Lineage, confidence: tuple[float, ...]) -> Prediction:
    """Another tool's answer: its names, with no word of what may be new.

    Args:
        confidence: one a taxon, one for all, or none: ().
    """
    if len(confidence) == 1:
        confidence *= len(lineage)
    stopped = Stopped.NAMED if lineage else Stopped.UNSURE
    no_novelty = (0.0,) * (len(lineage) + 1)
    return Prediction(record_id, lineage, confidence[: len(lineage)], no_novelty, len(lineage), stopped)
