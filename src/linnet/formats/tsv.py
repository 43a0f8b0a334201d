"""A wide table: the name kept and the confidence at each of the seven ranks, and why it stopped.

The columns `<rank>_confidence` go on below the cut, and `uncut` and `novelty` hold the whole path, so that
`linnet recut` can move the cut. `novelty` has one number more than `uncut` has names: the probability that
the organism is new below the root and below each of them. `agreement`, of several models' answer, is the share of
them whose own path passes each name of `uncut`. `taxid` is that of the deepest taxon kept, where the tree has taxids,
and `kept` its whole lineage, taxa of other than the seven ranks among them. `flags` says what is unusual about the
record; `neighbours`, where they were asked for, are the references most like it, each with its likeness.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, TextIO

from linnet.errors import UserError
from linnet.prediction import Neighbour, Prediction, Stopped
from linnet.taxonomy import RANKS, Lineage, Taxon, canonical_positions

HEADER = [
    "record", "strand", "stopped", *RANKS, *(f"{rank}_confidence" for rank in RANKS), "uncut", "novelty", "reason",
    "agreement", "taxid", "kept", "flags", "neighbours",
]  # fmt: skip
OPTIONAL = 5
"""Columns at the end that tables of earlier versions lack."""
DELIMITER = "\t"
NEIGHBOURS = True


def write(predictions: Iterable[Prediction], file: TextIO, delimiter: str = DELIMITER) -> None:
    """Confidences to six decimals, so that a cut falls where it fell before; empty where a lineage has no such rank."""
    quoting = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    for row in chain([HEADER], map(_row, predictions)):
        line = delimiter.join(row)
        if line.count(delimiter) == len(row) - 1 and not any(mark in line for mark in '"\r\n'):
            file.write(line + "\n")  # the same in half the time
        else:
            quoting.writerow(row)


def _row(p: Prediction) -> list[str]:
    names = _names(p.lineage, p.cut)
    return [
        p.record_id,
        p.strand,
        p.stopped.value,
        *names.at_ranks,
        *(names.confidences % tuple([p.confidence[i] for i in names.at])).split(" "),
        names.uncut,
        names.novelties % (p.novelty[0], *[p.novelty[i + 1] for i in names.at]),
        p.reason,
        "; ".join([f"{p.agreement[i]:.4f}" for i in names.at]) if p.agreement else "",
        names.taxid,
        names.kept,
        "; ".join(p.flags),
        "; ".join([f"{n.reference} {n.likeness:.4f}" for n in p.neighbours]),
    ]


class _Names(NamedTuple):
    """What rows of the same lineage and cut share.

    Attributes:
        at: where in the lineage the taxa of the seven ranks are.
        at_ranks: the name kept at each of the seven, or nothing.
        confidences, novelties: with a `%.6f` for each number.
        uncut, taxid, kept: cells as they are.
    """

    at: tuple[int, ...]
    at_ranks: tuple[str, ...]
    confidences: str
    novelties: str
    uncut: str
    taxid: str
    kept: str


@lru_cache(maxsize=1 << 14)
def _names(lineage: Lineage, cut: int) -> _Names:
    positions = canonical_positions(lineage)
    at = tuple(i for i in positions if i is not None)
    kept = lineage[:cut]
    return _Names(
        at,
        tuple("" if i is None or i >= cut else lineage[i].name for i in positions),
        " ".join("" if i is None else "%.6f" for i in positions),
        "; ".join(["%.6f"] * (len(at) + 1)),
        "; ".join(f"{RANKS[positions.index(i)][0]}__{lineage[i].name}" for i in at),
        str(kept[-1].taxid or "") if kept else "",
        "; ".join(taxon.name for taxon in kept),
    )


def recognises(line: str, delimiter: str = DELIMITER) -> bool:
    return line.split(delimiter) in [HEADER[: len(HEADER) - n] for n in range(OPTIONAL + 1)]


def read(lines: Iterable[str], path: str, delimiter: str = DELIMITER) -> Iterator[Prediction]:
    """The predictions written, at the seven ranks."""
    rows = csv.reader(lines, delimiter=delimiter)
    header = next(rows)
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(f"{len(row)} cells", where=f"{path}, line {number}", expected=str(len(header)))
        cell = {"agreement": "", "flags": "", "neighbours": "", **dict(zip(header, row, strict=True))}
        try:
            yield _prediction(cell)
        except ValueError as error:
            raise UserError(str(error), where=f"{path}, line {number}", expected="a table written by linnet") from None


def _prediction(cell: dict[str, str]) -> Prediction:
    ranks = [rank for rank in RANKS if cell[f"{rank}_confidence"]]
    names = [part[3:] for part in cell["uncut"].split("; ")] if cell["uncut"] else []
    return Prediction(
        cell["record"],
        tuple(Taxon(rank, name) for rank, name in zip(ranks, names, strict=True)),
        tuple(float(cell[f"{rank}_confidence"]) for rank in ranks),
        tuple(float(x) for x in cell["novelty"].split("; ") if x),
        cut=sum(bool(cell[rank]) for rank in RANKS),
        stopped=Stopped(cell["stopped"]),
        strand=cell["strand"],
        reason=cell["reason"],
        agreement=tuple(float(x) for x in cell["agreement"].split("; ") if x),
        flags=tuple(x for x in cell["flags"].split("; ") if x),
        neighbours=tuple(
            Neighbour(reference, float(likeness))
            for reference, _, likeness in (x.rpartition(" ") for x in cell["neighbours"].split("; ") if x)
        ),
    )
