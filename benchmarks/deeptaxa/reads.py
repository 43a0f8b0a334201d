"""Sets of reads: some of a file, written as plain FASTA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from linnet.errors import UserError
from linnet.records import SequenceRecord, read

T = TypeVar("T")


def some_reads(path: Path, count: int) -> list[SequenceRecord]:
    """At most `count` reads of A, C, G and T alone, from all over a FASTA or FASTQ file."""
    plain = [record for record in read(path) if record.sequence and not record.sequence.strip("ACGT")]
    if not plain:
        raise UserError("no read of A, C, G and T alone", where=str(path))
    return spread(plain, count)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly from first to last."""
    kept = min(count, len(items))
    return [items[number * len(items) // kept] for number in range(kept)]


def fasta(records: Sequence[SequenceRecord]) -> str:
    """Two lines a record, the sequence whole."""
    return "".join(f">{record.id}\n{record.sequence}\n" for record in records)
