"""Metabuli's classifications, of every version.

    #is_classified	name	taxID	query_length	score	[e_value]	rank	[lineage]	taxID:match_count
    1	k141_7	1280	2310	0.62	species	1280:14 1279:3

Support is the share of the matches that lie in the clade of the label's deepest taxon, for which a taxonomy is needed;
Metabuli's own score is an identity.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from linnet.errors import UserError
from linnet.labels.kraken2 import taxid_counts
from linnet.labels.label import Label
from linnet.labels.taxa import Taxa, is_lettered

TOOL = "Metabuli"
_HEADERS = ("#is_classified", "#query_id")
_SCORE = re.compile(r"-?[0-9.]+(e[-+]?[0-9]+)?")
_COUNTS = re.compile(r"[0-9]+:[0-9]+( |$)")
_GREENGENES = re.compile(r"[dk]__")


def recognises(cells: list[str]) -> bool:
    return cells[0] in _HEADERS or _fits(cells)


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a row; its pieces are the matches. What stands behind the score is told by its content."""
    for line, cells in rows:
        if cells[0] in _HEADERS:
            continue
        if not _fits(cells):
            raise UserError(
                f"{len(cells)} cells: {' '.join(cells)[:60]!r}",
                where=taxa.at(line),
                expected="1 or 0, name, taxID, length, score and more",
            )
        names = next((c for c in cells[5:] if is_lettered(c) or _GREENGENES.match(c)), None)
        matches = next((c for c in cells[5:] if _COUNTS.match(c)), "")
        counts = taxid_counts(matches, taxa.at(line)) if cells[0] == "1" else Counter[str]()
        lineage = taxa.called(line, taxid=cells[2] if cells[0] == "1" else "0", names=names)
        support = taxa.agreement(lineage, counts) if lineage else math.nan
        yield line, Label(cells[1], lineage, support, counts.total())


def _fits(cells: list[str]) -> bool:
    return (
        len(cells) >= 5
        and cells[0] in ("0", "1")
        and cells[2].isdecimal()
        and cells[3].isdecimal()
        and bool(_SCORE.fullmatch(cells[4]))
    )
