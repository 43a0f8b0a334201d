"""Amplicons cut out of records: both strands, the reasons of those without one, and how many of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

from linnet.errors import UserError
from linnet.kmers import Strand
from linnet.records import SequenceRecord, reverse_complement
from linnet.regions import Hit, Outcome, Region, blocks, search, with_primers

Format = Literal["fasta", "fastq"]

# How near to an amplicon a search came: what is said of a record is said of its better strand.
_MISSED_BY = {Outcome.FOUND: 0, Outcome.NO_FORWARD: 2, Outcome.NO_REVERSE: 2, Outcome.NEITHER: 3}


@dataclass(frozen=True, slots=True)
class Extraction:
    """What became of a record.

    Attributes:
        amplicon: the record cut to its amplicon, on the forward primer's strand; None where it has none.
        turned: the amplicon lay on the other strand.
        length: bases between the primers.
        rivals: the record has another amplicon with as few errors.
    """

    outcome: Outcome
    amplicon: SequenceRecord | None = None
    turned: bool = False
    length: int = 0
    rivals: bool = False


def extract(
    records: Iterable[SequenceRecord], region: Region, *, strand: Strand = "auto", keep_primers: bool = False
) -> Iterator[Extraction]:
    """The amplicon of each record, in order, holding some megabases at a time.

    Raises:
        UserError: a record whose qualities are not one for each base.
    """
    for block in blocks(records, lambda record: len(record.sequence)):
        sequences = [record.sequence for record in block]
        for record, (hit, turned) in zip(block, _on_strands(sequences, region, strand), strict=True):
            if hit.outcome is not Outcome.FOUND:
                yield Extraction(hit.outcome)
                continue
            record = _turned(record) if turned else record
            span = with_primers(record.sequence, hit, region) if keep_primers else (hit.start, hit.end)
            yield Extraction(hit.outcome, _cut(record, *span), turned, hit.end - hit.start, hit.rivals)


def _on_strands(sequences: list[str], region: Region, strand: Strand) -> list[tuple[Hit, bool]]:
    """The better hit of the strands asked for, and whether it is on the other strand; of equals, that of this one."""
    if strand == "reverse":
        return [(hit, True) for hit in search([reverse_complement(s) for s in sequences], region)]
    hits = [(hit, False) for hit in search(sequences, region)]
    if strand == "auto":
        open_ = [i for i, (hit, _) in enumerate(hits) if _shortfall(hit) > (0, 0)]
        for i, other in zip(open_, search([reverse_complement(sequences[i]) for i in open_], region), strict=True):
            if _shortfall(other) < _shortfall(hits[i][0]):
                hits[i] = (other, True)
    return hits


def _shortfall(hit: Hit) -> tuple[int, int]:
    return _MISSED_BY.get(hit.outcome, 1), hit.errors


def _turned(record: SequenceRecord) -> SequenceRecord:
    quality = record.quality and record.quality[::-1]
    return replace(record, sequence=reverse_complement(record.sequence), quality=quality)


def _cut(record: SequenceRecord, start: int, end: int) -> SequenceRecord:
    quality = record.quality
    if quality is not None:
        if len(quality) != len(record.sequence):
            raise UserError(
                f"record '{record.id}' has {len(quality)} qualities for {len(record.sequence)} bases",
                expected="one for each",
                remedy="Gaps ('-' and '.') in reads are dropped when reading; write unknown bases as N.",
            )
        quality = quality[start:end]
    return replace(record, sequence=record.sequence[start:end], quality=quality)


def texts(amplicons: Iterable[SequenceRecord], format: Format | None = None) -> Iterator[str]:
    """Records as FASTA or FASTQ; unless one is asked for, as the first has qualities or not.

    Raises:
        UserError: FASTQ of a record without qualities, or qualities that nobody asked to drop.
    """
    chosen = format
    for record in amplicons:
        own: Format = "fasta" if record.quality is None else "fastq"
        chosen = chosen or own
        if own != chosen and format != "fasta":
            raise UserError(
                f"record '{record.id}' has {'no ' if own == 'fasta' else ''}qualities",
                expected=f"records as {chosen.upper()} has them",
                remedy="Extract from FASTA and from FASTQ separately, or name --out .fasta.",
            )
        if chosen == "fasta":
            yield f">{record.header}\n{record.sequence}\n"
        else:
            yield f"@{record.header}\n{record.sequence}\n+\n{record.quality}\n"


@dataclass
class Tally:
    """How many records came to what, for the last lines of a run."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    turned: int = 0
    rivals: int = 0

    def watch(self, extractions: Iterable[Extraction]) -> Iterator[SequenceRecord]:
        """Pass the amplicons on, counting all."""
        for extraction in extractions:
            self.outcomes[extraction.outcome] += 1
            self.turned += extraction.turned
            self.rivals += extraction.rivals
            if extraction.amplicon:
                self.lengths[extraction.length] += 1
                yield extraction.amplicon

    @property
    def records(self) -> int:
        return self.outcomes.total()

    def lines(self) -> list[str]:
        """Sentences for a person."""
        if not self.records:
            return ["no records"]
        found = self.outcomes[Outcome.FOUND]
        lines = [f"{self.records:,} records; amplicon found in {found:,} ({found / self.records:.1%})"]
        if found:
            lines[0] += f", {self.turned:,} of them turned from the other strand"
            low, median, high = self._spread()
            lines.append(f"{low:,} to {high:,} bases between the primers, median {median:,}")
        if self.rivals:
            lines.append(f"{self.rivals:,} of them have another amplicon with as few errors; the shortest is taken")
        for outcome, n in self.outcomes.most_common():
            if outcome is not Outcome.FOUND:
                lines.append(f"{outcome}: {n:,} ({n / self.records:.1%})")
        if not found:
            lines.append(_WHAT_TO_TRY)
        return lines

    def _spread(self) -> tuple[int, int, int]:
        """Shortest, median (the lower of two) and longest, in bases."""
        lengths, half = sorted(self.lengths), (self.lengths.total() + 1) // 2
        running = accumulate(self.lengths[length] for length in lengths)
        return lengths[0], next(n for n, upto in zip(lengths, running, strict=True) if upto >= half), lengths[-1]


_WHAT_TO_TRY = (
    "no amplicon at all. Perhaps the primers are others (both are written 5' to 3', without adapters), the reads are "
    "trimmed of them already, or mates are not merged yet; a higher --mismatches lets sites differ more"
)
