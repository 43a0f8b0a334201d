"""Two or three columns, as most tools can be made to write (read only): id, lineage, confidences.

    read1	k__Bacteria;p__Firmicutes	0.99,0.87
    read2	Bacteria(100);Firmicutes(87);

Confidences are missing, one for all names, or one a name, separated by commas; or, as mothur writes them, in
percent behind the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from linnet.errors import UserError
from linnet.lineages import parse_scored
from linnet.prediction import Prediction, foreign


def recognises(line: str) -> bool:
    """Any line with a tab: this format is tried when no other has recognised the table."""
    return "\t" in line


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    """Lineages, with confidences where the table has them."""
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r\n").split("\t")
        if not line.strip() or line.startswith("#") or cells[0].lower() in ("id", "feature id", "contigs"):
            continue
        if len(cells) < 2:
            raise UserError("one cell", where=f"{path}, line {number}", expected="id<TAB>lineage[<TAB>confidences]")
        lineage, percent = parse_scored(cells[1])
        try:
            given = tuple(float(x) for x in cells[2].split(",") if x) if len(cells) > 2 else ()
        except ValueError:
            raise UserError(
                f"confidences {cells[2]!r}",
                where=f"{path}, line {number}",
                expected="numbers separated by commas",
            ) from None
        if not all(0 <= x <= 1 for x in given):
            raise UserError(f"confidences {cells[2]!r}", where=f"{path}, line {number}", expected="numbers from 0 to 1")
        yield foreign(cells[0], lineage, given or tuple(x / 100 for x in percent))
