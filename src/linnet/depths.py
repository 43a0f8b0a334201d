"""How deeply the reads of each sample cover each contig: tables of every common tool, and BAM files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isnan, nan
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from xopen import xopen

from linnet.errors import UserError, missing_extra
from linnet.inputs import open_text, raise_readable

_EXPECTED = (
    "a table with the header 'contigname<TAB>sample1<TAB>sample2', one of jgi_summarize_bam_contig_depths, CoverM "
    "or 'strobealign --aemb', or a BAM file"
)
_ID_COLUMNS = frozenset(["", "contig", "contigs", "contigname", "contig_name", "contigid", "contig_id", "name"])
_NO_SAMPLES = frozenset(["length", "contiglen", "contig_length", "contiglength", "totalavgdepth"])
_METHOD = re.compile(
    r"(?:^| )(Trimmed Mean|Mean|Relative Abundance \(%\)|Covered Fraction|Covered Bases|Variance|Length|Read Count|"
    r"Count|Reads per base|RPKM|TPM|ANIr)$",
    re.IGNORECASE,
)
"""CoverM calls a column by its sample and one of these."""
_DEPTH_METHODS = ("", "mean", "trimmed mean")
"""Those that are depths, the best first; '' is a column that is not CoverM's."""

_LARGEST = float(np.finfo(np.float32).max)
_NOT_COUNTED = 0x4 | 0x100 | 0x400 | 0x800  # SAM flags: unmapped, secondary, duplicate, supplementary
_MATCHED = frozenset([0, 7, 8])  # CIGAR: M, =, X


@dataclass(frozen=True, eq=False)
class Depths:
    """Mean depths of C contigs in S samples.

    Attributes:
        samples: S names, each once.
        depth_CS: float32 (C, S), bases of reads for each base of the contig; rows in the order asked for.
        missing: how many contigs stand in no table; their rows are 0.
    """

    samples: tuple[str, ...]
    depth_CS: NDArray[np.float32]
    missing: int


@dataclass(frozen=True, eq=False)
class _Table:
    """What one file says.

    Attributes:
        samples: S names.
        depth_CS: float32 (C, S), 0 where the file lacks the contig.
        found_C: bool (C,), whether it has it.
        example: an id that stands in it; '' where there is none.
    """

    path: str
    samples: tuple[str, ...]
    depth_CS: NDArray[np.float32]
    found_C: NDArray[np.bool_]
    example: str


def read_depths(paths: Sequence[str | Path], contigs: Sequence[str]) -> Depths:
    """Depths from one or more files, side by side, told by their content.

    Ids are compared up to the first blank. Rows may come in any order; those of other contigs are left out.
    A sample's name that comes in several files gets the file's path behind it.

    Args:
        paths: tables of contigs and samples (Vamb), of jgi_summarize_bam_contig_depths, of `coverm contig`, of
            `strobealign --aemb` (no header, one sample a file), all plain or compressed; or BAM files in any order.
        contigs: C ids.

    Raises:
        UserError: no such file; none of these kinds; a row that does not fit, or stands twice; a depth that is
            not a number from 0 up; a table without any of the contigs; two samples that cannot be told apart.
    """
    row_of: dict[str, int] = {}
    for contig in map(_id, contigs):
        if contig in row_of:
            raise UserError(f"two contigs are called '{contig}', up to the first blank", expected="each id once")
        row_of[contig] = len(row_of)
    tables = []
    for path in map(str, paths):
        start = _first_bytes(path)
        if start == b"CRAM":
            raise UserError(
                "this is CRAM, which is not read",
                where=path,
                remedy=f"Make it BAM: samtools view -b -T contigs.fna -o {_sample_of(path)}.bam {path}",
            )
        table = (_read_bam if start == b"BAM\1" else _read_table)(path, row_of)
        if row_of and not table.found_C.any():
            raise UserError(
                f"none of the {len(row_of):,} contigs stands in it: its ids look like '{table.example}', theirs like "
                f"'{next(iter(row_of))}'"
                if table.example
                else "there are no contigs in it",
                where=path,
                expected="depths of the contigs given, under the ids of their FASTA headers",
            )
        tables.append(table)
    found_C = np.any([np.zeros(len(row_of), bool), *(t.found_C for t in tables)], axis=0)
    depth_CS = np.concatenate([np.zeros((len(row_of), 0), np.float32), *(t.depth_CS for t in tables)], axis=1)
    return Depths(_distinct(tables), depth_CS, int(np.count_nonzero(~found_C)))


def _distinct(tables: Sequence[_Table]) -> tuple[str, ...]:
    times = Counter(sample for table in tables for sample in table.samples)
    names = [s if times[s] == 1 else f"{s} ({table.path})" for table in tables for s in table.samples]
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{count} samples are called '{name}'", expected="each sample once, under its own name")
    return tuple(names)


def _id(text: str) -> str:
    return text.split(maxsplit=1)[0] if text.strip() else ""


def _sample_of(path: str) -> str:
    """What a sample is called whose file does not say it."""
    return re.sub(r"(\.(tsv|txt|tab|bam|cram))?(\.(gz|bz2|xz|zst))?$", "", Path(path).name)


def _first_bytes(path: str) -> bytes:
    """How a file begins, decompressed; nothing of a pipe, which can be read only once."""
    if Path(path).exists() and not Path(path).is_file():
        return b""
    start = b""
    try:
        with xopen(path, "rb", threads=0) as file:
            start = file.read(4)
    except Exception as error:
        raise_readable(error, path)
    return start


# ---------------------------------------------------------------------- tables


def _read_table(path: str, row_of: Mapping[str, int]) -> _Table:
    with open_text(path, _EXPECTED) as file:
        rows = _rows(file, path)
        where, first = next(rows, (path, []))
        if not first:
            raise UserError("the file is empty", where=path, expected=_EXPECTED)
        if _is_header(first):
            samples = _sample_columns(first, where, _sample_of(path))
        elif len(first) == 2 and not isnan(_depth(first[1])):
            samples, rows = [(_sample_of(path), 1)], chain([(where, first)], rows)
        else:
            raise UserError(
                f"neither a header nor a contig and its depth: {' '.join(first)[:60]!r}",
                where=where,
                expected=_EXPECTED,
                remedy="Where the table has no header, put 'contigname' and the names of the samples over it.",
            )
        return _filled(path, samples, len(first), rows, row_of)


def _rows(file: TextIO, path: str) -> Iterator[tuple[str, list[str]]]:
    """Where each row stands, and its cells."""
    for number, line in enumerate(file, 1):
        if line.strip():
            yield f"{path}, line {number}", line.rstrip().split("\t")


def _filled(
    path: str,
    samples: Sequence[tuple[str, int]],
    width: int,
    rows: Iterator[tuple[str, list[str]]],
    row_of: Mapping[str, int],
) -> _Table:
    """The wanted rows of a table.

    Args:
        samples: the name and the column of each.
        width: how many cells a row has.
        rows: as `_rows` gives them.
    """
    depth_CS = np.zeros((len(row_of), len(samples)), np.float32)
    found_C = np.zeros(len(row_of), bool)
    example = ""
    for where, cells in rows:
        if len(cells) != width:
            raise UserError(f"{len(cells)} cells", where=where, expected=f"{width}, as in the first line")
        contig = _id(cells[0])
        example = example or contig
        row = row_of.get(contig)
        if row is None:
            continue
        if found_C[row]:
            raise UserError(f"a second row for contig '{contig}'", where=where, expected="each contig once")
        depths = [_depth(cells[column]) for _, column in samples]
        for (sample, column), depth in zip(samples, depths, strict=True):
            if isnan(depth):
                raise UserError(
                    f"'{cells[column]}' as the depth of contig '{contig}' in sample '{sample}'",
                    where=where,
                    expected="a number, 0 or more",
                )
        found_C[row], depth_CS[row] = True, depths
    return _Table(path, tuple(sample for sample, _ in samples), depth_CS, found_C, example)


def _depth(cell: str) -> float:
    """A depth as it is written; NaN for anything else."""
    try:
        depth = float(cell)
    except ValueError:
        return nan
    return depth if 0 <= depth <= _LARGEST else nan


def _is_header(cells: list[str]) -> bool:
    return len(cells) > 1 and cells[0].strip().lstrip("#").lower() in _ID_COLUMNS


def _sample_columns(header: list[str], where: str, unnamed: str) -> list[tuple[str, int]]:
    """The name of each sample, and the column of its depths.

    Args:
        unnamed: what the sample is called where a column tells only the method.
    """
    columns_of: dict[str, dict[str, int]] = {}
    for column, name in enumerate(map(str.strip, header)):
        of_another = name.endswith("-var") and name.removesuffix("-var") in header
        if column == 0 or of_another or name.lower() in _NO_SAMPLES:
            continue
        method = _METHOD.search(name)
        sample, kind = (name[: method.start()], method[1].lower()) if method else (name, "")
        if columns_of.setdefault(sample or unnamed, {}).setdefault(kind, column) != column:
            raise UserError(f"two columns are called '{name}'", where=where, expected="each sample once")
    found = []
    for sample, columns in columns_of.items():
        kind = next((k for k in _DEPTH_METHODS if k in columns), None)
        if kind is None:
            raise UserError(
                f"for sample '{sample}' it tells {', '.join(columns)}, but no depth",
                where=where,
                expected="mean depths",
                remedy="Run 'coverm contig' with '--methods mean'.",
            )
        found.append((sample, columns[kind]))
    if not found:
        raise UserError("no column of a sample", where=where, expected=_EXPECTED)
    return found


# ---------------------------------------------------------------------- BAM


def _read_bam(path: str, row_of: Mapping[str, int]) -> _Table:
    """Depths from alignments, in one pass and any order.

    A contig's depth is the number of its bases that are aligned to a base of a read (M, = and X of the CIGAR
    strings), counted once for each read, over its length. Unmapped, secondary, supplementary and duplicate
    alignments do not count.
    """
    try:
        import pysam
    except ImportError:
        raise missing_extra("pysam", "bam", "reading BAM files") from None
    verbosity = pysam.set_verbosity(0)  # it says on the screen that there is no index, which is not needed
    try:
        with pysam.AlignmentFile(path, "rb") as file:
            bases = [0] * file.nreferences
            for read in file.fetch(until_eof=True):
                if not read.flag & _NOT_COUNTED:
                    bases[read.reference_id] += sum(n for kind, n in read.cigartuples or () if kind in _MATCHED)
            names, lengths = file.references, file.lengths
    except (OSError, ValueError) as error:
        raise UserError(
            f"it cannot be read as BAM ({error.__context__ or error})",  # closing a broken file fails as well
            where=path,
            expected="reads aligned to the contigs",
            remedy="It may be cut short: 'samtools quickcheck' tests it.",
        ) from None
    finally:
        pysam.set_verbosity(verbosity)
    depth_CS = np.zeros((len(row_of), 1), np.float32)
    found_C = np.zeros(len(row_of), bool)
    for name, length, count in zip(names, lengths, bases, strict=True):
        row = row_of.get(name)
        if row is not None:
            found_C[row], depth_CS[row] = True, count / max(length, 1)
    return _Table(path, (_sample_of(path),), depth_CS, found_C, names[0] if names else "")
