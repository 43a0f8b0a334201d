"""Kraken2's answer for each sequence, with and without --use-names.

    C	k141_7	1280	2310	0:31 1280:12 1279:5 A:31 |:| 1280:7
    C	k141_7	Staphylococcus aureus (taxid 1280)	2310	0:31 1280:12

Support is the share of the k-mers with a taxon (column 5, where 0 has none and A is ambiguous) that lie in the clade of
the label's deepest taxon.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from linnet.errors import UserError
from linnet.labels.label import Label
from linnet.labels.taxa import Taxa

TOOL = "Kraken2"
_TAXON = re.compile(r"(?:(?P<name>.*) \(taxid )?(?P<taxid>[0-9]+)\)?")
_COUNT = re.compile(r"[0-9]{1,18}:[0-9]{1,18}")
_NO_TAXIDS = ("0", "A", "|", "-")  # no hit, ambiguous bases, between mates, between frames


def recognises(cells: list[str]) -> bool:
    return len(cells) in (4, 5) and cells[0] in ("C", "U") and bool(_TAXON.fullmatch(cells[2]))


def read(rows: Iterator[tuple[int, list[str]]], taxa: Taxa) -> Iterator[tuple[int, Label]]:
    """One label a row; its pieces are the k-mers with a taxon."""
    for line, cells in rows:
        match = _TAXON.fullmatch(cells[2]) if recognises(cells) else None
        if match is None:
            raise UserError(
                f"{len(cells)} cells: {' '.join(cells)[:60]!r}",
                where=taxa.at(line),
                expected="C or U, id, taxid, length and the taxids of the k-mers",
            )
        kmers = taxid_counts(cells[4] if len(cells) > 4 else "", taxa.at(line))
        taxid = match["taxid"] if cells[0] == "C" else "0"
        lineage = taxa.called(line, taxid=taxid, name=match["name"] or "")
        support = taxa.agreement(lineage, kmers) if lineage else math.nan
        yield line, Label(cells[1], lineage, support, kmers.total())


def taxid_counts(text: str, where: str) -> Counter[str]:
    """Counts by taxid from `taxid:count taxid:count ...`, without those of no taxid.

    Raises:
        UserError: something else is written.
    """
    counts: Counter[str] = Counter()
    for pair in text.split():
        taxid, _, count = pair.partition(":")
        if taxid in _NO_TAXIDS:
            continue
        if not _COUNT.fullmatch(pair):
            raise UserError(f"{pair[:40]!r} among the counts", where=where, expected="taxid:count")
        counts[taxid] += int(count)
    return counts
