"""Centrifuge's (and Centrifuger's) table of assignments, up to five rows a contig.

    readID	seqID	taxID	score	2ndBestScore	hitLength	queryLength	numMatches

A contig's label is the deepest taxon that holds the taxa of all its rows of the highest score, so that of rows which
disagree the best decide, and where those disagree too, what they share. Support is the sum of the scores of the rows
that lie in that taxon's clade, divided by the sum of all; pieces are the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from linnet.errors import UserError
from linnet.labels.label import Label, shared
from linnet.labels.taxa import Taxa
from linnet.taxonomy import Lineage

TOOL = "Centrifuge"
_NEEDED = ("readID", "taxID", "score")


def recognises(cells: list[str]) -> bool:
    return all(name in cells for name in _NEEDED)


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a contig, once all rows are read."""
    _, header = next(rows)
    id_at, taxid_at, score_at = (header.index(name) for name in _NEEDED)
    found: dict[str, list[tuple[float, Lineage]]] = {}
    first: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise UserError(f"{len(cells)} cells", where=taxa.at(line), expected=f"{len(header)}, as in the header")
        score, lineage = _score(cells[score_at], taxa.at(line)), taxa.called(line, taxid=cells[taxid_at])
        found.setdefault(cells[id_at], []).append((score, lineage))
        first.setdefault(cells[id_at], line)
    for contig, answers in found.items():
        best = max(score for score, _ in answers)
        lineage = shared([lineage for score, lineage in answers if score == best])
        total = sum(score for score, _ in answers)
        inside = sum(score for score, other in answers if other[: len(lineage)] == lineage)
        support = inside / total if lineage and total else math.nan
        yield first[contig], Label(contig, lineage, support, len(answers) if lineage else 0)


def _score(text: str, where: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score < math.inf:
        raise UserError(f"score {text[:40]!r}", where=where, expected="a number from 0 up")
    return score
