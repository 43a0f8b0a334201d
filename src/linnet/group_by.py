"""One answer for the proteins of a contig or a bin: their votes together.

At each taxon the answer of a group is the product of its proteins' answers, each mixed with a little of "anything",
so that no protein, transferred or misassembled, has a veto; and tempered, since proteins of one genome err alike, so
that n proteins count for one where n is 1 and for less than V however many they are:

    ln p(child) = V / (V + n - 1) sum_i ln[(1 - e) p_i(child) + e / options] + const
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from linnet.errors import UserError
from linnet.prediction import Prediction, unreadable
from linnet.protein_predictor import ProteinPredictor
from linnet.records import SequenceRecord
from linnet.walk import Fan, Walker

VOTES = 8.0
"""V: how many votes any number of proteins counts for at most."""
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
    records: Iterable[SequenceRecord], groups: Mapping[str, str], say: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[str, list[SequenceRecord]]]:
    """Groups and their proteins, in order of first appearance; all are held. A protein in no group is left out.

    Args:
        say: is told how many proteins are in no group, and how many of the groups' are not there.

    Raises:
        UserError: none of the proteins is in a group.
    """
    of: dict[str, list[SequenceRecord]] = {}
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007
        if record.id in groups:
            of.setdefault(groups[record.id], []).append(record)
    if count and not of:
        raise UserError(
            f"none of {count:,} proteins is in the table of --group-by", expected="rows 'protein TAB group'",
            remedy="Check that the ids are those of the proteins, up to the first blank.",
        )  # fmt: skip
    there = sum(map(len, of.values()))
    if there < count:
        say(f"note: {count - there:,} of {count:,} proteins are in no group of the table; they are left out")
    if there < len(groups):
        say(f"note: {len(groups) - there:,} rows of the table are of proteins that are not in the file")
    yield from of.items()


def vote(
    groups: Iterable[tuple[str, list[SequenceRecord]]], predictor: ProteinPredictor, confidence: float
) -> Iterator[Prediction]:
    """One prediction a group, in order; groups are judged together while their proteins are few."""
    stream = iter(groups)
    with threadpool_limits(limits=1, user_api="blas"):  # as one by one: more threads may change the last digits
        while block := list(_at_least(predictor.block, stream)):
            readable = {
                i: sequences
                for i, (_, proteins) in enumerate(block)
                if (sequences := [r.sequence for r in proteins if not predictor.refusal(r.sequence)])
            }
            found = [unreadable(name, f"none of {len(proteins)} proteins can be judged") for name, proteins in block]
            if readable:
                walker = predictor.walker(list(chain.from_iterable(readable.values())))
                together = Together(walker, [len(sequences) for sequences in readable.values()])
                answers = predictor.named(together, [block[i][0] for i in readable])
                for i, answer in zip(readable, answers, strict=True):
                    found[i] = answer
            yield from (p.recut(confidence) for p in found)


def _at_least(
    proteins: int, groups: Iterator[tuple[str, list[SequenceRecord]]]
) -> Iterator[tuple[str, list[SequenceRecord]]]:
    """Groups until they have so many proteins together, or there are no more."""
    for group in groups:
        yield group
        proteins -= len(group[1])
        if proteins <= 0:
            return


class Together:
    """A walker on groups of records, which another walker is on one by one, the groups one after the other."""

    def __init__(self, proteins: Walker, sizes: Sequence[int]) -> None:
        self.taxonomy, self.forced, self._proteins, self._sizes = proteins.taxonomy, proteins.forced, proteins, sizes

    def begin(self) -> list[Any]:
        states = iter(self._proteins.begin())
        return [list(islice(states, size)) for size in self._sizes]

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        sizes = list(map(len, states))
        fan, after = self._proteins.step(list(chain.from_iterable(states)), np.repeat(nodes, sizes))
        p_F = np.exp(np.asarray(fan.log_F, np.float64))
        fans, first = [], 0
        for n in sizes:
            p_NO = p_F[fan.start[first] : fan.start[first + n]].reshape(n, -1)
            votes = np.log((1 - ANYTHING) * p_NO + ANYTHING / p_NO.shape[1]).sum(0) * (VOTES / (VOTES + n - 1))
            fans.append(votes - np.logaddexp.reduce(votes))
            first += n
        came = iter(after)
        return Fan(np.concatenate(fans), np.cumsum([0, *map(len, fans)])), [list(islice(came, n)) for n in sizes]
