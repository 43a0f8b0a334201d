"""One answer for the proteins of a contig or a bin: their votes together.

At each taxon the answer of a group is the product of its proteins' answers, each mixed with a little of "anything",
so that no protein, transferred or misassembled, has a veto; and tempered, since proteins of one genome err alike:

    ln p(child) = V / (V + n) sum_i ln[(1 - e) p_i(child) + e / options] + const
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.prediction import Prediction, unreadable
from linnet.protein_predictor import ProteinPredictor
from linnet.records import SequenceRecord
from linnet.walk import Fan, Walker

VOTES = 8.0
"""V: proteins that any number of them counts for at most."""
ANYTHING = 0.02
"""e: how much of a protein's answer is taken to mean nothing."""
_OF_CONTIG = re.compile(r"(.+)_\d+")


def contig_of(id: str) -> str:
    """The contig of a gene that Prodigal, or a tool that names genes alike, has called: `k141_7_12` is on `k141_7`.

    Raises:
        UserError: an id without such a number at its end.
    """
    match = _OF_CONTIG.fullmatch(id)
    if match is None:
        raise UserError(
            f"protein '{id}' is not called after a contig", expected="ids as Prodigal makes them: contig_1, contig_2",
            remedy="Give a table 'protein TAB group' with --group-by.",
        )  # fmt: skip
    return match[1]


def by_contig(records: Iterable[SequenceRecord]) -> Iterator[tuple[str, list[SequenceRecord]]]:
    """Contigs and their proteins, which follow one another in the file.

    Raises:
        UserError: a contig's proteins stand in two places.
    """
    seen: set[int] = set()
    for contig, proteins in groupby(records, lambda r: contig_of(r.id)):
        if hash(contig) in seen:
            raise UserError(
                f"the proteins of contig '{contig}' stand in two places", expected="proteins in the order of contigs",
                remedy="Sort the file, or give a table 'protein TAB group' with --group-by.",
            )  # fmt: skip
        seen.add(hash(contig))
        yield contig, list(proteins)


def by_table(
    records: Iterable[SequenceRecord], groups: Mapping[str, str]
) -> Iterator[tuple[str, list[SequenceRecord]]]:
    """Groups and their proteins, in order of first appearance; all are held. A protein in no group is left out."""
    of: dict[str, list[SequenceRecord]] = {}
    for record in records:
        if record.id in groups:
            of.setdefault(groups[record.id], []).append(record)
    yield from of.items()


def vote(
    groups: Iterable[tuple[str, list[SequenceRecord]]], predictor: ProteinPredictor, confidence: float
) -> Iterator[Prediction]:
    """One prediction a group, in order."""
    for name, proteins in groups:
        sequences = [r.sequence for r in proteins if not predictor.refusal(r.sequence)]
        if sequences:
            yield predictor.named(Together(predictor.walker(sequences)), [name])[0].recut(confidence)
        else:
            yield unreadable(name, f"none of {len(proteins)} proteins can be judged")


class Together:
    """A walker on one record, the group of all that another walker is on."""

    def __init__(self, proteins: Walker) -> None:
        self.taxonomy, self.forced, self._proteins = proteins.taxonomy, proteins.forced, proteins

    def begin(self) -> list[Any]:
        return [self._proteins.begin()]

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        fans, after = [], []
        for state, node in zip(states, nodes.tolist(), strict=True):
            fan, now = self._proteins.step(state, np.full(len(state), node, np.int64))
            p_NO = np.exp(np.asarray(fan.log_F, np.float64)).reshape(len(state), -1)
            votes = np.log((1 - ANYTHING) * p_NO + ANYTHING / p_NO.shape[1]).sum(0)
            votes *= VOTES / (VOTES + len(state) - 1)
            fans.append(votes - np.logaddexp.reduce(votes))
            after.append(now)
        start = np.cumsum([0, *map(len, fans)])
        return Fan(np.concatenate(fans), start), after
