"""What vsearch and USEARCH write for SINTAX (read only).

    read1 and its description	d:Bacteria(1.00),p:Bacillota(0.98)	+	d:Bacteria

The id is the header up to the first blank; the second column is the uncut lineage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from linnet.lineages import parse_scored
from linnet.prediction import Prediction, foreign

_ROW = re.compile(r"^[^\t]*\t[a-z]:[^\t]*\(\d(\.\d+)?\)")


def recognises(line: str) -> bool:
    return bool(_ROW.match(line))


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    """Lineages with a confidence at each rank."""
    for line in lines:
        cells = line.rstrip("\r\n").split("\t")
        if cells[0]:
            lineage, support = parse_scored(cells[1]) if len(cells) > 1 else ((), ())
            yield foreign(cells[0].split()[0], lineage, support)
