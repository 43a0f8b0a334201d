"""MMseqs2's LCA tables, as `easy-taxonomy` and `createtsv` write them.

    k141_7	1280	species	Staphylococcus aureus	[5	5	4	0.812]	[names of --lca-ranks]	[lineage]

The four numbers (fragments kept, labelled, agreeing with the label, and the share of support) are there if the
reference was proteins; contigs without a hit have no row then. The lineage is of names with a letter each, or of
taxids, or not there. The names of --lca-ranks are not read: which ranks they are is not written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from linnet.errors import UserError
from linnet.labels.label import Label, share, whole
from linnet.labels.taxa import Taxa, is_lettered

TOOL = "MMseqs2"
_SHORT, _LONG = 4, 8  # how many cells stand before the names and the lineage


def recognises(cells: list[str]) -> bool:
    return len(cells) in (4, 5, 6, 8, 9, 10) and cells[1].isdecimal() and bool(re.fullmatch(r"[a-z][a-z ]*", cells[2]))


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a row; its pieces are the fragments that have a label."""
    for line, cells in rows:
        if not recognises(cells):
            raise UserError(
                f"{len(cells)} cells: {' '.join(cells)[:60]!r}",
                where=taxa.at(line),
                expected="contig, taxid, rank and name, or these and four numbers, with up to two columns of names",
            )
        counted = len(cells) >= _LONG
        last = cells[-1] if len(cells) > (_LONG if counted else _SHORT) else ""
        names = last if is_lettered(last) else None
        lineage = taxa.called(line, taxid=cells[1], name=cells[3].strip(), names=names)
        support, pieces = math.nan, 0
        if counted:
            pieces = whole(cells[5], "labelled fragments", taxa.at(line))
            support = share(cells[7], "support", taxa.at(line))
        yield line, Label(cells[0], lineage, support if lineage else math.nan, pieces)
