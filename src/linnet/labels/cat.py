"""CAT's contig2classification, with or without names, official or all.

    # contig	classification	reason	lineage	lineage scores	[superkingdom	phylum ...] or [full lineage names]
    k141_7	taxid assigned	based on 2/3 ORFs	1;131567;2*	1.00;1.00;0.80	Bacteria*: 0.80	no support ...

The scores are shares of the bit-scores of all ORFs. With a fraction below one half a contig may have several
answers, `taxid assigned (1/2)`: they are combined to what they share. A `*`, by which CAT marks a taxon as
suggestive, is dropped and counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from linnet.errors import UserError
from linnet.labels.label import Label, share, shared, whole
from linnet.labels.taxa import Taxa, is_no_taxon, needs_taxonomy
from linnet.taxonomy import CANONICAL, Lineage, Taxon

TOOL = "CAT"
SUGGESTIVE = "labels that CAT marks as suggestive (*)"
COMBINED = "labels combined from several of CAT's"
_UNCLASSIFIED = ("no taxid assigned", "unclassified", "not classified")
_ONE_OF = re.compile(r"\(([0-9]+)/([0-9]+)\)$")
_ORFS = re.compile(r"([0-9]+)/[0-9]+ ORF")
_SCORED = re.compile(r"(?P<name>.+?)(?:: (?P<score>[0-9.]+))?")
_RANKED = re.compile(r"(?P<name>.+?)\*? \((?P<rank>[^()]+)\)")


def recognises(cells: list[str]) -> bool:
    return cells[0].startswith("#") and cells[1:3] == ["classification", "reason"]


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a contig; its pieces are the ORFs that CAT could use."""
    _, header = next(rows)
    parts: dict[str, list[Label]] = {}
    for line, cells in rows:
        if len(cells) < 2:
            raise UserError("one cell", where=taxa.at(line), expected="contig, classification, reason, lineage, scores")
        if cells[1].startswith(_UNCLASSIFIED):
            yield line, Label(cells[0])
            continue
        label = _label(line, cells, header, taxa)
        one_of = _ONE_OF.search(cells[1])
        if one_of is None:
            yield line, label
            continue
        others = parts.setdefault(cells[0], [])
        others.append(label)
        if len(others) == int(one_of[2]):
            taxa.notes[COMBINED] += 1
            yield line, _combined(parts.pop(cells[0]))
    if parts:
        contig, labels = next(iter(parts.items()))
        raise UserError(
            f"{len(labels)} of the answers to contig '{contig}', others of which are missing",
            where=taxa.path,
            expected="as many rows as the last number in 'taxid assigned (1/2)' says",
            remedy="Give the table as CAT wrote it.",
        )


def _combined(labels: list[Label]) -> Label:
    lineage = shared([label.lineage for label in labels])
    scores = labels[0].scores[: len(lineage)]
    return replace(labels[0], lineage=lineage, scores=scores, support=scores[-1] if scores else math.nan)


def _label(line: int, cells: list[str], header: list[str], taxa: Taxa) -> Label:
    if len(cells) < 4:
        raise UserError(
            f"{len(cells)} cells", where=taxa.at(line), expected="contig, classification, reason, lineage and scores"
        )
    where = taxa.at(line)
    taxids = [str(whole(taxid.strip().rstrip("*"), "taxid", where)) for taxid in cells[3].split(";")]
    scores = [share(s, "score", where) for s in cells[4].split(";")] if len(cells) > 4 and cells[4] else []
    if scores and len(scores) != len(taxids):
        raise UserError(f"{len(scores)} scores for {len(taxids)} taxids", where=where, expected="a score for each")
    taxa.notes[SUGGESTIVE] += "*" in cells[3]
    if taxa.taxonomy is not None:
        lineage = taxa.called(line, taxid=taxids[-1])
        of_taxon: dict[Taxon, float] = {}
        for taxid, score in zip(taxids, scores, strict=False):
            if above := taxa.lineage(taxid):
                of_taxon.setdefault(above[-1], score)
        found = [of_taxon.get(taxon, math.nan) for taxon in lineage]
    else:
        lineage, found = _named(cells[5:], header[5:], where)
    orfs = _ORFS.search(cells[2])
    pieces = int(orfs[1]) if orfs and lineage else 0
    complete = bool(found) and not any(map(math.isnan, found))
    return Label(cells[0], lineage, found[-1] if found else math.nan, pieces, tuple(found) if complete else ())


def _named(cells: list[str], header: list[str], where: str) -> tuple[Lineage, list[float]]:
    """The names that `CAT add_names` put behind the scores: a column a rank, or `name (rank): score` for each taxid."""
    if not cells:
        raise needs_taxonomy("taxids without names", where)
    ranks = [CANONICAL.get(rank, "") for rank in header] if any(rank in CANONICAL for rank in header) else None
    taxa, scores = list[Taxon](), list[float]()
    for i, cell in enumerate(cells):
        scored = _SCORED.fullmatch(cell.strip())
        if scored is None:
            continue
        name, rank = scored["name"], ranks[i] if ranks and i < len(ranks) else ""
        if ranks is None:
            ranked = _RANKED.fullmatch(name)
            if ranked is None:
                raise UserError(f"name {cell[:40]!r}", where=where, expected="name (rank), with or without its score")
            name, rank = ranked["name"], CANONICAL.get(ranked["rank"], "")
        name = name.rstrip("*")
        if rank and not is_no_taxon(name) and all(taxon.rank != rank for taxon in taxa):
            taxa.append(Taxon(rank, name))
            scores.append(share(scored["score"], "score", where) if scored["score"] else math.nan)
    return tuple(taxa), scores
