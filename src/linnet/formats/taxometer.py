"""Taxometer's results, as Vamb takes them: contigs, predictions, scores.

    contigs	predictions	scores
    k141_7	d__Bacteria;p__Bacillota;c__Bacilli	0.99990;0.99710;0.90210

Ranks stop at the cut; a contig without a name has two empty cells. Vamb allows no rank to be skipped and no name to
stand at two ranks: names have their rank in front, and a rank missing in between is written `c__unnamed class of
Bacillota`, with the score of the name below it. Read are also Taxometer's own results and its input, which has no
scores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TextIO

from linnet.errors import UserError
from linnet.lineages import parse_scored
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import RANKS, Lineage, Taxon, canonical_positions

_HEADER = ["contigs", "predictions", "scores"]
_UNNAMED = re.compile(rf"unnamed ({'|'.join(RANKS)})(?: of .*)?")


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Scores to five decimals, as Taxometer rounds them; 1 where there is no confidence."""
    file.write("\t".join(_HEADER) + "\n")
    for prediction in predictions:
        names, scores = _cells(prediction)
        file.write(f"{prediction.record_id}\t{';'.join(names)}\t{';'.join(scores)}\n")


def _cells(prediction: Prediction) -> tuple[list[str], list[str]]:
    names, scores, parent = [], [], ""
    positions = canonical_positions(prediction.kept)
    for level, (rank, at) in enumerate(zip(RANKS, positions, strict=True)):
        below = next((i for i in positions[level:] if i is not None), None)
        if below is None:
            break
        if at is None:
            name = f"unnamed {rank} of {parent}" if parent else f"unnamed {rank}"
        else:
            name = parent = prediction.kept[at].name
        names.append(f"{rank[0]}__{name}")
        scores.append(f"{prediction.confidence[below] if prediction.confidence else 1:.5f}")
    return names, scores


def recognises(line: str) -> bool:
    cells = line.lower().split("\t")
    return cells[:2] == _HEADER[:2] and cells[2:3] in ([], _HEADER[2:])


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    """The names and their scores, without those that only fill a gap."""
    for number, line in enumerate(lines, 1):
        if number == 1 or not line.strip():
            continue
        cells = line.rstrip("\r\n").split("\t")
        try:
            if len(cells) < 2:
                raise UserError("one cell", expected="contigs, predictions, scores")
            yield foreign(cells[0], *_scored(cells[1], cells[2] if len(cells) > 2 else ""))
        except UserError as error:
            where = f"{path}, line {number}"
            raise UserError(error.found, where=where, expected=error.expected, remedy=error.remedy) from None


def _scored(names: str, scores: str) -> tuple[Lineage, tuple[float, ...]]:
    if scores.strip():
        parts, numbers = names.split(";"), [_number(cell) for cell in scores.split(";")]
        if len(parts) != len(numbers):
            raise UserError(f"{len(parts)} names, {len(numbers)} scores", expected="a score for each name")
        # Written behind the names, the scores of those that are no names, such as 'unknown', go with them.
        names = ";".join(f"{part}({number:.6f})" for part, number in zip(parts, numbers, strict=True))
    lineage, confidence = parse_scored(names)
    kept = [i for i, taxon in enumerate(lineage) if not _fills_a_gap(taxon)]
    return tuple(lineage[i] for i in kept), tuple(confidence[i] for i in kept if confidence)


def _fills_a_gap(taxon: Taxon) -> bool:
    match = _UNNAMED.fullmatch(taxon.name)
    return match is not None and match[1] == taxon.rank


def _number(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise UserError(f"score {cell!r}", expected="a number from 0 to 1")
    return number
