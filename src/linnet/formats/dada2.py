"""A table as DADA2's assignTaxonomy gives it: a row for each record, a column for each rank, NA below the cut.

    "","Kingdom","Phylum","Class","Order","Family","Genus","Species"
    "asv1","Bacteria","Bacillota","Bacilli","Lactobacillales",NA,NA,NA

As R's write.csv writes it; `read.csv(file, row.names = 1)` reads it back. DADA2's row names are the
sequences; here they are the record ids.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from linnet.errors import UserError
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import RANKS, Taxon, canonical

_COLUMNS = ("Kingdom", "Phylum", "Class", "Order", "Family", "Genus", "Species")
_RANK = {name.lower(): rank for name, rank in zip(_COLUMNS, RANKS, strict=True)} | {"domain": "domain"}


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Names down to the cut."""
    file.write(",".join(map(_quoted, ("", *_COLUMNS))) + "\n")
    for p in predictions:
        names = ["NA" if taxon is None else _quoted(taxon.name) for taxon in canonical(p.kept)]
        file.write(",".join([_quoted(p.record_id), *names]) + "\n")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _header(line: str) -> list[str]:
    return [cell.strip().lower() for cell in next(csv.reader([line]))]


def recognises(line: str) -> bool:
    names = _header(line)
    return "phylum" in names and names[0] in ("", "kingdom", "domain") and "uncut" not in names


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    """Names without confidences: assignTaxonomy keeps its bootstraps in another table."""
    lines = iter(lines)
    names = _header(next(lines).rstrip("\r\n"))
    names = names if names[0] not in _RANK else ["", *names]
    for number, row in enumerate(csv.reader(lines), 2):
        if not row:
            continue
        if len(row) != len(names):
            raise UserError(f"{len(row)} cells", where=f"{path}, line {number}", expected=str(len(names)))
        taxa = [
            Taxon(_RANK[n], cell) for n, cell in zip(names, row, strict=True) if n in _RANK and cell not in ("", "NA")
        ]
        yield foreign(row[0], tuple(taxa), ())
