"""Reference genes and their lineages, as a user names the files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import UserError
from linnet.inputs import read_groups
from linnet.lineages import id_of_reference, read_lineages
from linnet.ncbi import read_taxdump
from linnet.records import read
from linnet.regions import REGIONS, amplicons
from linnet.taxonomy import Lineage


@dataclass(frozen=True, eq=False)
class References:
    """Genes by id, the lineages of at least some of them, and which belong together."""

    sequences: dict[str, str]
    lineages: dict[str, Lineage]
    groups: dict[str, str] | None = None


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What `read_references` needs, but for the sequences and the table of lineages."""
    parser.add_argument("--taxdump", type=Path, metavar="DIR",
        help="NCBI taxdump (folder or taxdump.tar.gz), where the table has taxids")  # fmt: skip
    parser.add_argument("--groups", type=Path, metavar="TABLE",
        help="'id TAB group': records of one group, as copies in one genome are, are set aside together")  # fmt: skip
    parser.add_argument("--region", choices=["full", *REGIONS], metavar="REGION",
        help=f"rrna: first cut the genes to this amplicon ({', '.join(REGIONS)}); full: whole genes")  # fmt: skip


def read_references(
    fasta: Path,
    table: Path | None,
    log: Callable[[str], None],
    *,
    taxdump: Path | None = None,
    groups: Path | None = None,
    region: str | None = None,
) -> References:
    """The genes of a FASTA file, cut to a region if asked, with their lineages.

    Args:
        table: of lineages; None: they stand in the headers.

    Raises:
        UserError: no records, none with a lineage, none with the region's primers; an id with two sequences.
    """
    sequences, twice = _sequences(fasta, numbered=table is None)
    if not sequences:
        raise UserError("no records", where=str(fasta))
    if twice:
        log(f"{twice:,} records repeat an id and its sequence; they count once")
    found = read_lineages(table or fasta, taxonomy=read_taxdump(taxdump) if taxdump else None)
    notes = "; ".join(f"{note}: {n:,}" for note, n in sorted(found.notes.items()))
    log(f"{len(found.lineages):,} lineages ({found.dialect}{'; ' + notes if notes else ''})")
    if table is None and not any(found.lineages.values()):
        raise UserError("its headers hold no lineages", where=str(fasta), remedy="Give a table: --taxonomy TABLE.")
    missing = [i for i in sequences if i not in found.lineages]
    if len(missing) == len(sequences):
        raise UserError(
            f"none of its records is in {table or 'its headers'}, '{missing[0]}' for one",
            where=str(fasta),
            expected="the same record ids in both",
        )
    if len({found.lineages[i] for i in sequences if i in found.lineages}) == 1:
        log("note: all references have one lineage: there is nothing to tell apart")
    if missing:
        log(f"{len(missing):,} records have no lineage, '{missing[0]}' for one; they are left out")
    if region in REGIONS:
        sequences = _cut(sequences, region, fasta, log)
    return References(sequences, found.lineages, read_groups(groups) if groups else None)


def _sequences(path: Path, *, numbered: bool) -> tuple[dict[str, str], int]:
    """Sequences by id, and how many records were there twice; where lineages stand in the headers, the id is that
    which goes with them."""
    sequences: dict[str, str] = {}
    count = 0
    for count, record in enumerate(read(path), 1):
        id = id_of_reference(record.header, count) if numbered else record.id
        if sequences.setdefault(id, record.sequence) != record.sequence:
            raise UserError(
                f"record '{id}' occurs twice, with different sequences",
                where=f"{path}, record {count}",
                expected="one sequence for each id",
            )
    return sequences, count - len(sequences)


def _cut(sequences: dict[str, str], region: str, path: Path, log: Callable[[str], None]) -> dict[str, str]:
    spans = zip(sequences.items(), amplicons(sequences.values(), REGIONS[region]), strict=True)
    found = {id: sequence[slice(*span)] for (id, sequence), span in spans if span}
    log(f"{len(found):,} of {len(sequences):,} records have the amplicon {region}; the others are left out")
    if not found:
        raise UserError(
            f"no record has both primers of {region}", where=str(path), remedy="Amplicons already cut need no --region."
        )
    return found
