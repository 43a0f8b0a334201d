"""QIIME 2 taxonomy TSV: Feature ID, Taxon, Confidence.

    Feature ID	Taxon	Confidence
    asv1	d__Bacteria; p__Bacillota; c__Bacilli	0.98

As q2-types' TSVTaxonomyDirectoryFormat has it. Ranks stop at the cut; a rank missing in between is written
empty (`f__`), as Greengenes and SILVA do. A record without a name is `Unassigned`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TextIO

from linnet.errors import UserError
from linnet.lineages import parse_lineage
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import Lineage, canonical

_PREFIXES = ("d__", "p__", "c__", "o__", "f__", "g__", "s__")


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Confidence is that of the deepest name kept."""
    file.write("Feature ID\tTaxon\tConfidence\n")
    for prediction in predictions:
        file.write(f"{prediction.record_id}\t{_taxon(prediction.kept)}\t{prediction.kept_confidence:.4f}\n")


@lru_cache(maxsize=1 << 14)
def _taxon(kept: Lineage) -> str:
    names = ["" if t is None else t.name for t in canonical(kept)]
    while names and not names[-1]:
        names.pop()
    return "; ".join(p + n for p, n in zip(_PREFIXES, names, strict=False)) or "Unassigned"


def recognises(line: str) -> bool:
    return line.lower().startswith("feature id\ttaxon")


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    """Predictions of this or another tool; Consensus or Confidence, where there is one, holds for every rank."""
    for number, line in enumerate(lines, 1):
        if number == 1 or not line.strip():
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) < 2:
            raise UserError("one cell", where=f"{path}, line {number}", expected="Feature ID, Taxon, Confidence")
        lineage = parse_lineage(cells[1])
        if lineage and lineage[0].name.lower() == "unassigned":
            lineage = ()
        confidence = (_number(cells[2], path, number),) if len(cells) > 2 and cells[2].strip() else ()
        yield foreign(cells[0], lineage, confidence)


def _number(text: str, path: str, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"confidence {text!r}", where=f"{path}, line {line}", expected="a number from 0 to 1") from None
