"""What became of each label: kept, extended, cut, moved, newly given or taken away, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

from linnet.prediction import Prediction, Stopped
from linnet.taxonomy import Lineage


class Kind(StrEnum):
    """How a corrected lineage stands to the label it came from."""

    KEPT = "kept"
    EXTENDED = "extended"
    CUT = "cut"
    MOVED = "moved"
    NEW = "newly labelled"
    NONE = "no label"


@dataclass(frozen=True)
class Change:
    """One contig.

    Attributes:
        before: confidence that the old label is right, as far down as it goes; None without a label or estimate.
        neighbours: how many other contigs of its genome there are, as far as is known; None where nobody asked.
        agree: share of these, of those that have a label, whose label lies within what is kept, or above it.
        note: the reason, where the contig was not judged.
    """

    contig: str
    old: Lineage
    new: Prediction
    before: float | None = None
    neighbours: float | None = None
    agree: float | None = None
    note: str = ""

    @property
    def kind(self) -> Kind:
        old, kept = self.old, self.new.kept
        shared = self._shared
        if not old:
            return Kind.NEW if kept else Kind.NONE
        if shared < min(len(old), len(kept)):
            return Kind.MOVED
        return Kind.KEPT if len(old) == len(kept) else Kind.EXTENDED if len(kept) > len(old) else Kind.CUT

    @property
    def rank(self) -> str:
        """The rank at which old and new part: the first moved, added or cut one."""
        if self.kind in (Kind.KEPT, Kind.NONE):
            return ""
        longer = self.old if self.kind == Kind.CUT else self.new.kept
        return longer[self._shared].rank

    @property
    def why(self) -> str:
        """The reason in words."""
        kind, kept = self.kind, self.new.kept
        if self.note:
            return self.note
        parts = []
        if self.neighbours is not None:
            n = round(self.neighbours)
            if n == 0:
                parts.append("no contig of the same genome was found")
            elif self.agree is None:
                parts.append(f"no label among about {n} contigs of its genome")
            elif not kept:
                parts.append(f"the labels of about {n} contigs of its genome settle nothing")
            else:
                parts.append(f"{100 * self.agree:.0f} % of the labels of about {n} contigs of its genome agree")
        if self.new.stopped == Stopped.NOVEL:
            parts.append(f"probably new to the reference below {kept[-1].name}" if kept else "its place is not known")
        elif kind in (Kind.CUT, Kind.NONE) and self.new.stopped == Stopped.UNSURE:
            parts.append("no deeper name reaches the cut")
        if kind == Kind.MOVED and self.before is not None:
            parts.append(f"its own label is right with {self.before:.2f}")
        return "; ".join(parts)

    @property
    def _shared(self) -> int:
        pairs = zip(self.old, self.new.kept, strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(self.old), len(self.new.kept)))


HEADER = ("contig", "change", "rank", "old", "new", "confidence_before", "confidence_after", "why")


def write(changes: Iterable[Change], file: TextIO) -> None:
    """A row a contig: lineages joined by ';' with the ranks' letters, confidences to four decimals."""
    file.write("\t".join(HEADER) + "\n")
    for change in changes:
        kept = change.new.kept
        cells = (
            change.contig, change.kind.value, change.rank, written(change.old), written(kept),
            "" if change.before is None else f"{change.before:.4f}",
            f"{change.new.kept_confidence:.4f}" if kept else "", change.why,
        )  # fmt: skip
        file.write("\t".join(cells) + "\n")


def written(lineage: Lineage) -> str:
    """`d__Bacteria;p__...`"""
    return ";".join(f"{taxon.rank[0]}__{taxon.name}" for taxon in lineage)
