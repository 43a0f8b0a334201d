"""A summary for Krona's ktImportText: how many records have each lineage.

    2	Bacteria	Bacillota
    1	Unassigned

The commonest lineage first; lineages end at the cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from linnet.prediction import Prediction


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Ranks are not written; the counts of different lineages are held, not the predictions."""
    counts = Counter(tuple(taxon.name for taxon in p.kept) or ("Unassigned",) for p in predictions)
    for names, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        file.write("\t".join([str(count), *names]) + "\n")
