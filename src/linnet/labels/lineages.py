"""Tables of contigs and lineages: Taxometer's, and any other with an id and a lineage (or taxid) a row.

    contigs	predictions	scores
    k141_7	d_Bacteria;p_Bacillota	0.99;0.87

The header may have other names or be missing. Tables with a column for each rank are read as `linnet train` reads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

from linnet.errors import UserError
from linnet.labels.label import Label, share
from linnet.labels.taxa import Taxa, is_no_taxon
from linnet.lineages import read_lineages
from linnet.taxonomy import CANONICAL

TOOL = "contigs and lineages"
_LINEAGES = ("predictions", "lineage", "taxonomy", "taxon", "classification", "taxid", "tax_id")
_SCORES = ("scores", "score", "confidence")


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a row; its support is the last score."""
    line, head = next(rows)
    if len(head) == 1 or sum(cell.strip().lower() in (*CANONICAL, "kingdom") for cell in head) > 1:
        yield from _otherwise(taxa)
        return
    names = [cell.strip().lower() for cell in head]
    at = next((names.index(name) for name in _LINEAGES if name in names), None)
    if at is None:
        at, id_at, scores_at, rows = 1, 0, 2, chain([(line, head)], rows)
    else:
        id_at = 0 if at else 1
        scores_at = next((names.index(name) for name in _SCORES if name in names), len(names))
    for line, cells in rows:
        if cells[0].startswith("#"):
            continue
        if len(cells) <= id_at or (len(cells) <= at and names[at] != "predictions"):
            raise UserError(
                f"{len(cells)} cells: {' '.join(cells)[:60]!r}",
                where=taxa.at(line),
                expected="a contig and its lineage, separated by a tab",
            )
        written = cells[at].strip() if at < len(cells) else ""
        scores = cells[scores_at].strip() if scores_at < len(cells) else ""
        yield line, _label(line, cells[id_at], written, scores, taxa)


def _label(line: int, contig: str, written: str, scores: str, taxa: Taxa) -> Label:
    if is_no_taxon(written):
        return Label(contig)
    given = tuple(share(s, "score", taxa.at(line)) for s in scores.replace(",", ";").split(";")) if scores else ()
    if written.isdecimal():
        lineage = taxa.called(line, taxid=written)
    elif len(given) > 1:
        lineage, each = taxa.scored(line, written, given)
        return Label(contig, lineage, each[-1] if each else math.nan, 0, each)
    else:
        lineage = taxa.called(line, names=written)
    support = given[-1] if lineage and given else math.nan
    return Label(contig, lineage, support, 0, given if len(lineage) == len(given) else ())


def _otherwise(taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """A column for each rank, tabs or commas between them; the reader says itself what does not fit."""
    table = read_lineages(taxa.path, taxonomy=taxa.taxonomy)
    for contig, lineage in table.lineages.items():
        yield 0, Label(contig, taxa.placed(lineage))
    taxa.notes.update({note: n for note, n in table.notes.items() if note in ("blank ranks", "repeated ids")})
