"""CAMI's binning format (biobox, versions 0.9 and 0.10), of tools and of gold standards.

@Version:0.9.1
@SampleID:marine
@@SEQUENCEID	BINID	TAXID	LENGTH
k141_7	G11	1280	2310
"""

from __future__ import annotations

from collections.abc import Iterator

from linnet.errors import UserError
from linnet.labels.label import Label
from linnet.labels.taxa import Taxa

TOOL = "CAMI binning"
_HEADERS = ("@version:", "@sampleid:", "@taxonomyid:", "@@sequenceid")


def recognises(cells: list[str]) -> bool:
    return cells[0].lower().startswith(_HEADERS)


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a row. Several samples may follow each other, each with a header of its own."""
    columns: list[str] = []
    for line, cells in rows:
        if cells[0].startswith("@@"):
            columns = [name.strip().upper() for name in cells]
            if columns[0] != "@@SEQUENCEID" or "TAXID" not in columns:
                raise UserError(f"columns {' '.join(cells)!r}", where=taxa.at(line), expected="@@SEQUENCEID and TAXID")
        elif not cells[0].startswith(("@", "#")):
            if len(cells) != len(columns):
                raise UserError(
                    f"{len(cells)} cells",
                    where=taxa.at(line),
                    expected=f"{len(columns)}, as in the header"
                    if columns
                    else "a line @@SEQUENCEID, TAXID ... before",
                )
            taxid = cells[columns.index("TAXID")].strip()
            yield line, Label(cells[0], taxa.called(line, taxid=taxid) if taxid else ())
