"""A summary as Kraken2's report: for each taxon, how many records lie in it.

     25.00	1	1	U	0	unclassified
     75.00	3	0	R	1	root
     75.00	3	1	D	2	  Bacteria
     50.00	2	2	P	1239	    Bacillota

Percent of all records, records in the clade, records named no deeper, rank, taxid (0 where there is none) and name.
Siblings are in order of falling count, then of name. A rank that has no letter has that of the nearest rank above
that has one, and the steps below it: `G2`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TextIO

from linnet.prediction import Prediction
from linnet.taxonomy import CANONICAL, RANKS, Lineage

_LETTER = {rank: rank[0].upper() for rank in RANKS} | {"kingdom": "K"}


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Lineages down to the cut; the counts of different lineages are held, not the predictions."""
    direct = Counter(prediction.kept for prediction in predictions)
    total, unclassified = direct.total(), direct.pop((), 0)

    def line(count: int, own: int, code: str, taxid: int, name: str) -> None:
        file.write(f"{100 * count / total:6.2f}\t{count}\t{own}\t{code}\t{taxid}\t{name}\n")

    if unclassified:
        line(unclassified, unclassified, "U", 0, "unclassified")
    clade: Counter[Lineage] = Counter()
    for lineage, count in direct.items():
        for depth in range(len(lineage) + 1):
            clade[lineage[:depth]] += count
    children: defaultdict[Lineage, list[Lineage]] = defaultdict(list)
    for path in filter(None, clade):
        children[path[:-1]].append(path)
    waiting: list[Lineage] = [()] if clade else []
    while waiting:
        path = waiting.pop()
        taxid, name = (path[-1].taxid or 0, path[-1].name) if path else (1, "root")
        line(clade[path], direct[path], _rank_code(path), taxid, "  " * len(path) + name)
        waiting += sorted(children[path], key=lambda c: (-clade[c], c[-1].name, c[-1].rank), reverse=True)


def _rank_code(path: Lineage) -> str:
    code, steps = "R", 0
    for taxon in path:
        letter = _LETTER.get(CANONICAL.get(taxon.rank, taxon.rank))
        code, steps = (letter, 0) if letter else (code, steps + 1)
    return f"{code}{steps}" if steps else code
