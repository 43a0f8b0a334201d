"""The truth about contigs: the organism and the genome that each comes from, and how long it is.

CAMISIM's `gsa_mapping.tsv`, the biobox binning files of CAMI and tables of lineages are all tables with named
columns, and only the names say what a column holds.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from linnet import records
from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.lineages import parse_lineage, read_lineages
from linnet.taxonomy import Lineage, Taxonomy, canonical

_COLUMNS = {
    "anonymous_contig_id": "contig", "sequenceid": "contig", "contig": "contig", "contigs": "contig",
    "genome_id": "genome", "binid": "genome", "genome": "genome",
    "tax_id": "taxid", "taxid": "taxid",
    "lineage": "lineage", "predictions": "lineage", "ground_truth_label": "lineage",
    "length": "length", "_length": "length", "start_position": "start", "end_position": "end",
}  # fmt: skip
"""What a column of this name, in lower case, holds; columns of other names are not looked at."""

_EXPECTED = "CAMISIM's gsa_mapping.tsv, a biobox binning file, or a table with the columns 'contig' and 'lineage'"
_NO_TAXON = frozenset(["", "0", "na", "nan", "-"])
_UNKNOWN_TAXID = "with a taxid that the taxonomy lacks"


@dataclass(frozen=True)
class GoldStandard:
    """The truth about contigs. What a file does not say of a contig is left out.

    Attributes:
        lineages: by contig; each has a name at one canonical rank at least.
        genomes: the genome that the contig comes from, by contig.
        lengths: in bases, by contig.
        notes: how many contigs have no lineage, and why.
    """

    lineages: dict[str, Lineage]
    genomes: dict[str, str]
    lengths: dict[str, int]
    notes: Counter[str] = field(default_factory=Counter)


def read_gold_standard(path: str | Path, taxonomy: Taxonomy | None = None) -> GoldStandard:
    """The truth about contigs, from any of the files that hold it.

    Args:
        path: CAMISIM's `gsa_mapping.tsv`, with or without positions; a biobox binning file (0.9, 0.10), also of
            several samples; a table, with tabs or commas, of a column `contig` or `contigs`, one of `lineage`,
            `predictions` or `taxid`, and perhaps `genome` and `length`; or any other table of lineages.
        taxonomy: where taxids are looked up; merged ones stand for what they were merged into.

    Raises:
        UserError: no such file; a row that does not fit, or contradicts an earlier one; taxids without a
            taxonomy, or of another one.
    """
    gold = GoldStandard({}, {}, {})
    if not _has_named_columns(path):
        for contig, lineage in read_lineages(path, taxonomy=taxonomy).lineages.items():
            _add(gold, contig, lineage, "", None)
        return gold
    resolve = cache(lambda cell: _of_taxid(cell, taxonomy))
    parse = cache(parse_lineage)
    seen: dict[str, tuple[Lineage | None, str, int | None]] = {}
    for where, cells in _rows(path):
        contig = cells["contig"]
        try:
            taxa = parse(cells["lineage"]) if "lineage" in cells else resolve(cells.get("taxid", ""))
            row = taxa, cells.get("genome", ""), _length(cells)
        except UserError as error:
            raise UserError(error.found, where=where, expected=error.expected, remedy=error.remedy) from None
        if contig not in seen:
            seen[contig] = row
            _add(gold, contig, *row)
        elif seen[contig] != row:
            raise UserError(f"contig '{contig}' has a different row above", where=where, expected="one truth")
    if not seen:
        raise UserError("there are no contigs below the header", where=str(path), expected=_EXPECTED)
    if (lost := gold.notes[_UNKNOWN_TAXID]) > len(gold.lineages):
        raise UserError(
            f"the taxonomy lacks the taxids of {lost:,} of {len(seen):,} contigs",
            where=str(path),
            remedy="Give the taxdump that came with the gold standard: these numbers may be another taxonomy's.",
        )
    return gold


def read_lengths(path: str | Path) -> dict[str, int]:
    """The length of each contig, in bases, in the order of the file.

    Args:
        path: the contigs (FASTA); or a table of id and length, further columns are not looked at: a samtools
            index (.fai), say. A first line whose second column is no number is its header.

    Raises:
        UserError: no such file; a row that does not fit; an id that comes twice; no contigs.
    """
    with open_text(path, "FASTA, or a table of contigs and lengths") as file:
        first = next((line for line in file if line.strip()), "")
    lengths: dict[str, int] = {}
    for where, contig, length in _of_sequences(path) if first.startswith((">", ";")) else _of_table(path):
        if contig in lengths:
            raise UserError(f"a second contig '{contig}'", where=where, expected="each id once")
        lengths[contig] = length
    if not lengths:
        raise UserError("there are no contigs", where=str(path), expected="FASTA, or a table of contigs and lengths")
    return lengths


def _of_sequences(path: str | Path) -> Iterator[tuple[str, str, int]]:
    for number, record in enumerate(records.read(path), 1):
        yield f"{path}, record {number}", record.id, len(record.sequence)


def _of_table(path: str | Path) -> Iterator[tuple[str, str, int]]:
    with open_text(path, "a table of contigs and lengths") as file:
        rows = ((f"{path}, line {n}", line.split()) for n, line in enumerate(file, 1) if line.strip())
        for count, (where, cells) in enumerate(rows):
            if len(cells) > 1 and cells[1].isdecimal():
                yield where, cells[0], int(cells[1])
            elif count:
                raise UserError(f"no length: {' '.join(cells)[:60]!r}", where=where, expected="id and length")


def _has_named_columns(path: str | Path) -> bool:
    """Whether the first line that is neither blank nor a remark names columns that tell the truth.

    Raises:
        UserError: it names columns as a biobox file does, but others: a profile, say.
    """
    with open_text(path, _EXPECTED) as file:
        for number, line in enumerate(file, 1):
            if _roles(line):
                return True
            if line.startswith("@@"):
                where = f"{path}, line {number}"
                raise UserError(f"the columns {line[2:60].split()}", where=where, expected=_EXPECTED)
            if line.strip() and line[0] not in "#@":
                return False
    return False


def _rows(path: str | Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands, and what it holds; a file of several samples names its columns for each."""
    roles: dict[str, int] = {}
    with open_text(path, _EXPECTED) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if line[0] in "#@" or not roles:
                roles = _roles(line) or roles
                continue
            cells, where = _cells(line), f"{path}, line {number}"
            if len(cells) <= max(roles.values()) or not cells[roles["contig"]]:
                raise UserError(
                    f"{len(cells)} cells: {line.strip()[:60]!r}",
                    where=where,
                    expected=f"{', '.join(roles)}, as the header names them",
                )
            yield where, {role: cells[column] for role, column in roles.items()}


def _roles(line: str) -> dict[str, int]:
    """Which column of a header holds what; {} where the line is no header of a gold standard."""
    held = [_COLUMNS.get(name.lower()) for name in _cells(line.lstrip("#@"))]
    roles = {role: held.index(role) for role in held if role}
    return roles if "contig" in roles and roles.keys() & {"genome", "taxid", "lineage"} else {}


def _cells(line: str) -> list[str]:
    delimiter = "\t" if "\t" in line else ","
    return [cell.strip() for cell in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter))]


def _add(gold: GoldStandard, contig: str, lineage: Lineage | None, genome: str, length: int | None) -> None:
    """Keep what is known of a contig, or note why it has no lineage: it needs a name at some canonical rank."""
    if lineage is None:
        gold.notes[_UNKNOWN_TAXID] += 1
    elif any(canonical(lineage)):
        gold.lineages[contig] = lineage
    else:
        gold.notes["without a taxon"] += 1
    if genome:
        gold.genomes[contig] = genome
    if length is not None:
        gold.lengths[contig] = length


def _of_taxid(cell: str, taxonomy: Taxonomy | None) -> Lineage | None:
    """The lineage of a taxid; None where the taxonomy lacks it."""
    if cell.lower() in _NO_TAXON:
        return ()
    if not cell.isdecimal():
        raise UserError(f"'{cell}' is not a taxid", expected="a whole number, or 0 where there is none")
    if taxonomy is None:
        raise UserError(
            f"taxid {cell} instead of a lineage",
            expected="a taxonomy in which to look it up",
            remedy="Give the taxdump that came with the gold standard with --taxonomy.",
        )
    node = taxonomy.by_taxid(int(cell))
    return None if node is None else taxonomy.lineage(node)


def _length(cells: dict[str, str]) -> int | None:
    """In bases; CAMISIM's positions both lie in the contig."""
    numbers = [cells.get(name, "") for name in ("length", "start", "end")]
    for number in numbers:
        if number and not number.isdecimal():
            raise UserError(f"'{number}' where a length or position belongs", expected="a whole number")
    length, start, end = (int(number) if number else None for number in numbers)
    if length is None and start is not None and end is not None:
        return abs(end - start) + 1
    return length
