"""Paired reads: two reads of one fragment, noticed before both are named as if they were two fragments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, permutations
from pathlib import Path
from typing import Literal, NamedTuple

from linnet.errors import UsageError, UserError
from linnet.records import Alphabet, SequenceRecord, read

Mates = Literal["refuse", "forward"]

_FIRST = 32  # records of each file whose ids are compared
_IN_ID = re.compile(r"(.+/|[DES]RR\d+\.\d+\.)([12])")  # read/1; SRR1.1.1, as fastq-dump -I writes
_IN_DESCRIPTION = re.compile(r"([12]):[YN]:\d")  # 1:N:0:ATCACG, as Casava 1.8 and later write
_IN_NAME = {"forward": "reverse", "fwd": "rev", "f": "r", "1": "2"}
_MERELY_COUNTED = re.compile(r"\D*\d*")  # 17, seq17, ASV_17: what the records of any sample may be called


@dataclass
class LeftOut:
    """Reverse reads that were left out for their mates.

    Attributes:
        files: whole files, which were not read.
        reads: reads of interleaved files, counted while these are read.
    """

    files: list[str] = field(default_factory=list)
    reads: int = 0


def read_all(
    paths: Sequence[str | Path],
    mates: Mates = "refuse",
    *,
    alphabet: Alphabet = "dna",
    left_out: LeftOut | None = None,
) -> Iterator[SequenceRecord]:
    """Records of several files, in order, holding one at a time.

    Two files are a pair when most of their first reads have the same ids and either the headers say which read is
    which or the files' names do: they differ by R1 and R2, _1 and _2, forward and reverse, and the like. A pair
    within a file is two records in a row whose headers call them read 1 and read 2 of one fragment. A file of
    reverse reads alone is read like any other.

    Args:
        mates: `refuse` pairs, or take the `forward` read of each. Nothing changes for reads that are not paired.
        left_out: told what `forward` leaves out.

    Raises:
        UserError: paired reads, at once for two files and at the first pair within a file; whatever `records.read`
            raises.
        UsageError: standard input is named twice.
    """
    names = [str(path) for path in paths]
    left_out = left_out or LeftOut()
    if names.count("-") > 1:
        raise UsageError("standard input is named twice", expected="'-' once at most")
    reverse_files: dict[str, None] = {}
    for forward, reverse, shared in _pairs(names, alphabet):
        if mates == "refuse":
            raise _refusal(f"{forward} and {reverse}", f"hold the two reads of each fragment ('{shared}' is in both)")
        reverse_files[reverse] = None
    left_out.files += reverse_files
    return (r for name in names if name not in reverse_files for r in _unpaired(name, mates, alphabet, left_out))


def _unpaired(name: str, mates: Mates, alphabet: Alphabet, left_out: LeftOut) -> Iterator[SequenceRecord]:
    """Records of one file without those that follow their forward reads."""
    before = ("", 0)
    for number, record in enumerate(read(name, alphabet=alphabet), 1):
        fragment, mate = which = _which(record)
        if mate == 2 and before == (fragment, 1):
            if mates == "refuse":
                raise _refusal(f"{name}, record {number}", f"reads 1 and 2 of '{fragment}' follow each other")
            left_out.reads += 1
        else:
            yield record
        before = which


def _which(record: SequenceRecord) -> tuple[str, int]:
    """The fragment a record was read from, and whether it is read 1 or 2 of it; 0 where the header does not say."""
    if match := _IN_ID.fullmatch(record.id):
        return match[1][:-1], int(match[2])
    match = _IN_DESCRIPTION.match(record.description)
    return record.id, int(match[1]) if match else 0


class _Head(NamedTuple):
    """The first records of a file: fragments in order, which of their two reads they are, and whether equal ids
    in another file mean the same fragment."""

    fragments: dict[str, None]
    mates: set[int]
    telling: bool


def _head(name: str, alphabet: Alphabet) -> _Head:
    records = list(islice(read(name, alphabet=alphabet), _FIRST))
    fragments = dict.fromkeys(_which(record)[0] for record in records)
    telling = any(r.quality is not None or not _MERELY_COUNTED.fullmatch(r.id) for r in records)
    return _Head(fragments, {_which(record)[1] for record in records}, telling)


def _pairs(names: Sequence[str], alphabet: Alphabet) -> Iterator[tuple[str, str, str]]:
    """Forward file, reverse file, and a fragment that is in both; pipes are not looked into, they read only once."""
    files = [name for name in dict.fromkeys(names) if Path(name).is_file()]
    heads = {name: _head(name, alphabet) for name in files} if len(files) > 1 else {}
    for forward, reverse in permutations(heads, 2):
        a, b = heads[forward], heads[reverse]
        shared = [fragment for fragment in a.fragments if fragment in b.fragments]
        if 2 * len(shared) > min(len(a.fragments), len(b.fragments)) and _are_mates(forward, reverse, a, b):
            yield forward, reverse, shared[0]


def _are_mates(forward: str, reverse: str, a: _Head, b: _Head) -> bool:
    """Whether two files with the same ids are forward and reverse reads, by headers or names, not two samples."""
    if (a.mates, b.mates) != ({0}, {0}):
        return (a.mates, b.mates) == ({1}, {2})
    for tag in re.finditer("|".join(_IN_NAME), forward, re.IGNORECASE):
        other = forward[: tag.start()] + _IN_NAME[tag[0].lower()] + forward[tag.end() :]
        if other.lower() == reverse.lower():
            sample_number = tag[0] == "1" and forward[: tag.start()][-1:] not in ("r", "R")
            return a.telling or not sample_number
    return False


def _refusal(where: str, found: str) -> UserError:
    return UserError(
        found,
        where=where,
        expected="one read of each fragment",
        remedy="Merge pairs first (vsearch --fastq_mergepairs R1 --reverse R2 --fastqout MERGED, fastp --merge, or "
        "mergePairs of DADA2), or take the forward reads alone with --mates forward. Files that are no pairs can be "
        "read one by one, records that are none renamed.",
    )
