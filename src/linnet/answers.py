"""What a model answers to queries whose truth is known: predictions, and what its posterior says of each rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linnet.places import TrueNodes
from linnet.prediction import Posterior, Prediction
from linnet.predictor import Predictor
from linnet.records import SequenceRecord
from linnet.taxonomy import RANKS, Lineage, Taxonomy

CLASSES = 100
"""Taxa of a rank that may occur in the truth for its scores to be kept: as many as published AUCs are given for."""


@dataclass(frozen=True, eq=False)
class RankAnswers:
    """What the posterior says of one rank, for Q queries.

    Attributes:
        ahead_Q: int, how many clades of the rank are more probable than the true one; -1 where the model's tree
            lacks the true one, or the record could not be read.
        entropy_Q: float, nats, of the distribution over the clades of the rank and 'none of these'; NaN where the
            record could not be read.
        score_QC: float, the probability of each of the C true taxa that occur; None where there are more than CLASSES.
        class_Q: int, which of these is the true one, -1 for none.
    """

    ahead_Q: NDArray[np.int64]
    entropy_Q: NDArray[np.float64]
    score_QC: NDArray[np.float32] | None
    class_Q: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers to Q queries, by query and by rank, and what it makes of each rank."""

    queries: tuple[str, ...]
    predictions: Mapping[str, Prediction]
    ranks: Mapping[str, RankAnswers]


def ask(predictor: Predictor, records: Sequence[SequenceRecord], truth: Mapping[str, Lineage]) -> Answers:
    """A model's answers, a block at a time; no posterior is kept.

    Args:
        truth: by record id.
    """
    tree = predictor.taxonomy
    true_nodes = TrueNodes(tree)
    nodes_of = [true_nodes(truth[record.id]) for record in records]
    ranks = [_Rank(tree, level, [nodes[level] for nodes in nodes_of]) for level in range(len(RANKS))]
    predictions: dict[str, Prediction] = {}
    for start in range(0, len(records), predictor.block):
        judged = predictor.judge(records[start : start + predictor.block])
        predictions.update((p.record_id, p) for p in judged.predictions)
        for row, i in enumerate(judged.rows):
            for rank in ranks:
                rank.take(judged.posterior, row, start + i)
    found = {name: rank.answers() for name, rank in zip(RANKS, ranks, strict=True)}
    return Answers(tuple(r.id for r in records), predictions, found)


class Asked(Protocol):
    """A predictor of any family, asked a block of records at a time."""

    @property
    def block(self) -> int: ...

    def predict(self, records: Sequence[SequenceRecord]) -> Sequence[Prediction]: ...

    def vectors(self, records: Sequence[SequenceRecord]) -> NDArray[np.float32] | None: ...


def predict(predictor: Asked, records: Sequence[SequenceRecord]) -> dict[str, Prediction]:
    """The predictions of as many records as you like, by id."""
    return {p.record_id: p for block in _blocks(predictor, records) for p in predictor.predict(block)}


def embed(predictor: Asked, records: Sequence[SequenceRecord]) -> NDArray[np.float32] | None:
    """float32 (N, width): the vectors before the head, of as many records as you like; None where it has none."""
    vectors = [predictor.vectors(block) for block in _blocks(predictor, records)]
    return np.concatenate([v for v in vectors if v is not None]) if vectors and vectors[0] is not None else None


def _blocks(predictor: Asked, records: Sequence[SequenceRecord]) -> Iterator[Sequence[SequenceRecord]]:
    return (records[start : start + predictor.block] for start in range(0, len(records), predictor.block))


class _Rank:
    """The answers at one rank, filled in query by query."""

    def __init__(self, taxonomy: Taxonomy, level: int, true: Sequence[Sequence[int]]) -> None:
        self._nodes = np.flatnonzero(taxonomy.canonical_level == level)
        self._true = [np.searchsorted(self._nodes, nodes) for nodes in true]
        first = [int(at[0]) if len(at) else -1 for at in self._true]
        self._classes = np.unique([c for c in first if c >= 0]).astype(np.int64)
        few = 0 < len(self._classes) <= CLASSES
        self._class_Q = np.array([int(np.searchsorted(self._classes, c)) if c >= 0 else -1 for c in first], np.int64)
        self._score_QC = np.zeros((len(true), len(self._classes)), np.float32) if few else None
        self._ahead_Q = np.full(len(true), -1)
        self._entropy_Q = np.full(len(true), np.nan)

    def take(self, posterior: Posterior, row: int, query: int) -> None:
        p = np.clip(posterior.clades(row, self._nodes), 0.0, 1.0)
        likely = np.append(p[p > 0], max(1.0 - p.sum(), 0.0))
        self._entropy_Q[query] = -(likely * np.log(np.maximum(likely, 1e-300))).sum()
        true = self._true[query]
        if len(true):
            best = int(true[np.argmax(p[true])])
            self._ahead_Q[query] = (p > p[best]).sum() + (p[:best] == p[best]).sum()
        if self._score_QC is not None:
            self._score_QC[query] = p[self._classes]

    def answers(self) -> RankAnswers:
        return RankAnswers(self._ahead_Q, self._entropy_Q, self._score_QC, self._class_Q)
