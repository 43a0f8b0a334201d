"""What became of every query at every rank: named or not, right or not, known to the reference or not.

A name is right only when the whole canonical path down to it is right. Ranks that the truth leaves out are
not compared, and a query counts at a rank only when its own truth reaches that rank. Paths are compared by
name, because tools do not share taxids. The definitions are those of the 16S benchmark's `evaluate.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.prediction import Prediction
from linnet.taxonomy import CANONICAL, RANKS, Lineage, canonical

Queries = Sequence[str] | Mapping[str, Sequence[str]]
"""The queries that are judged: the same at every rank, or rank -> queries (other ranks are not judged)."""

NamePath = tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of n queries at one rank, uncut unless `cut` was called.

    Attributes:
        rank: one of RANKS.
        queries: the n judged queries; the true path of each reaches the rank.
        right: bool (n,), the whole path down to the rank is right.
        classified: bool (n,), a name was given at the rank.
        known: bool (n,), the true taxon occurs in the reference; None where no reference was given.
        confidence: float (n,), of the name at the rank, within [0, 1]; NaN where there is none.
        path_confidence: float (n,), the lowest on the way down to the name, which decides a cut; NaN where
            the tool gives none (never cut), -inf where its confidences end before the rank (always cut).
        true_label: int (n,), code of the true path.
        predicted_label: int (n,), code of the predicted path, -1 where unclassified.
    """

    rank: str
    queries: tuple[str, ...]
    right: NDArray[np.bool_]
    classified: NDArray[np.bool_]
    known: NDArray[np.bool_] | None
    confidence: NDArray[np.float64]
    path_confidence: NDArray[np.float64]
    true_label: NDArray[np.int64]
    predicted_label: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.queries)

    def cut(self, minimum: float) -> Outcomes:
        """Only the names down to the first rank whose confidence is below `minimum`; 0 keeps everything."""
        if minimum <= 0:
            return self
        kept = self.classified & ~(self.path_confidence < minimum)
        return replace(
            self,
            right=self.right & kept,
            classified=kept,
            predicted_label=np.where(kept, self.predicted_label, -1),
        )


@dataclass(frozen=True)
class Depths:
    """Where n novel queries stopped, as shares: the right place is the deepest taxon the reference knows.

    Attributes:
        exact: there.
        below: on that path, and further down.
        above: on that path, and short of it.
        wrong_branch: off that path.
    """

    n: int
    exact: float
    below: float
    above: float
    wrong_branch: float


class _Answer(NamedTuple):
    """A prediction at the seven ranks; the two confidences as in `Outcomes`."""

    names: NamePath
    confidence: tuple[float, ...]
    path_confidence: tuple[float, ...]


def judge(
    predictions: Mapping[str, Prediction],
    truth: Mapping[str, Lineage],
    known: Collection[Lineage] | None = None,
    queries: Queries | None = None,
) -> dict[str, Outcomes]:
    """The outcomes at every rank that some query's truth reaches, general to specific.

    The whole predicted lineage is judged, whatever its own cut; `Outcomes.cut` shortens it.

    Args:
        predictions: by query; a query without one is unclassified.
        truth: by query.
        known: lineages of the reference; None: nothing is said about known and novel taxa.
        queries: which to judge; None: all that have a truth.

    Raises:
        UserError: a query has no truth, or `queries` names an unknown rank.
    """
    of_rank = _queries_of_rank(queries, truth)
    asked = dict.fromkeys(query for some in of_rank.values() for query in some)
    paths = {query: _true_path(query, truth) for query in asked}
    answers = {query: _answer(predictions.get(query)) for query in asked}
    in_reference = None if known is None else _membership(known)
    found = {}
    for level, rank in enumerate(RANKS):
        judged = [query for query in of_rank.get(rank, ()) if paths[query][level] is not None]
        if judged:
            found[rank] = _judge_rank(level, judged, paths, answers, in_reference)
    return found


def depths(
    predictions: Mapping[str, Prediction],
    truth: Mapping[str, Lineage],
    known: Collection[Lineage],
    queries: Iterable[str],
    minimum: float = 0.0,
) -> Depths | None:
    """Whether each query stopped at the deepest of its true taxa that the reference knows; None: no query.

    Only ranks that both the truth and the prediction have can conflict.
    """
    in_reference = _membership(known)
    tally = [0, 0, 0, 0]
    for query in queries:
        path, answer = _true_path(query, truth), _answer(predictions.get(query))
        goal = _deepest_known(path, in_reference)
        given = [
            level
            for level, low in enumerate(answer.path_confidence)
            if answer.names[level] is not None and not (minimum > 0 and low < minimum)
        ]
        deepest = max(given, default=-1)
        shared = [level for level in given if level <= goal and path[level] is not None]
        if any(answer.names[level] != path[level] for level in shared):
            tally[3] += 1
        else:
            tally[0 if deepest == goal else 1 if deepest > goal else 2] += 1
    n = sum(tally)
    return Depths(n, *(count / n for count in tally)) if n else None


def _deepest_known(path: NamePath, in_reference: Callable[[NamePath], bool]) -> int:
    """The index in RANKS of the last taxon before the first that the reference lacks, -1 for none."""
    goal = -1
    for level, name in enumerate(path):
        if name is not None:
            if not in_reference(path[: level + 1]):
                break
            goal = level
    return goal


def _membership(known: Iterable[Lineage]) -> Callable[[NamePath], bool]:
    """A question to a reference: does it hold this path? Ranks that the path leaves out are not compared."""
    paths = {names(lineage) for lineage in known}

    @cache
    def at(levels: tuple[int, ...]) -> set[NamePath]:
        return {tuple(path[level] for level in levels) for path in paths}

    def holds(path: NamePath) -> bool:
        levels = tuple(level for level, name in enumerate(path) if name is not None)
        return tuple(path[level] for level in levels) in at(levels)

    return holds


def _queries_of_rank(queries: Queries | None, truth: Mapping[str, Lineage]) -> Mapping[str, Sequence[str]]:
    if queries is None:
        queries = list(truth)
    if not isinstance(queries, Mapping):
        return dict.fromkeys(RANKS, queries)
    for rank in queries:
        if rank not in RANKS:
            raise UserError(f"queries are given for the rank '{rank}'", expected=", ".join(RANKS))
    return queries


def _true_path(query: str, truth: Mapping[str, Lineage]) -> NamePath:
    if query not in truth:
        raise UserError(
            "there is no true lineage for this query",
            where=f"query '{query}'",
            remedy="Add it to the truth, or leave it out of the queries.",
        )
    return names(truth[query])


def names(lineage: Lineage) -> NamePath:
    """The names at the seven ranks, spelt as they are compared; None where the lineage has none."""
    return tuple(spelt(taxon.name) if taxon else None for taxon in canonical(lineage))


def spelt(name: str) -> str:
    """A name as it is compared: tools that cannot write blanks (vsearch, say) put underscores in their stead."""
    return name.replace("_", " ")


def _answer(prediction: Prediction | None) -> _Answer:
    names: list[str | None] = [None] * len(RANKS)
    confidence, path_confidence = [math.nan] * len(RANKS), [math.nan] * len(RANKS)
    if prediction is not None:
        given = prediction.confidence + (math.nan,) * (len(prediction.lineage) - len(prediction.confidence))
        scored = not all(map(math.isnan, given))
        lowest = math.inf
        for taxon, p in zip(prediction.lineage, given, strict=False):
            lowest = min(lowest, -math.inf if math.isnan(p) else p)
            rank = CANONICAL.get(taxon.rank)
            level = RANKS.index(rank) if rank else -1
            if level >= 0 and names[level] is None:
                names[level], confidence[level] = spelt(taxon.name), p
                path_confidence[level] = lowest if scored else math.nan
    return _Answer(tuple(names), tuple(confidence), tuple(path_confidence))


def _judge_rank(
    level: int,
    queries: Sequence[str],
    paths: Mapping[str, NamePath],
    answers: Mapping[str, _Answer],
    in_reference: Callable[[NamePath], bool] | None,
) -> Outcomes:
    codes: dict[NamePath, int] = {}
    true_label, predicted_label, right = [], [], []
    for query in queries:
        true, given = paths[query][: level + 1], answers[query].names[: level + 1]
        good = all(t is None or t == g for t, g in zip(true, given, strict=True))
        label = codes.setdefault(true, len(codes))
        true_label.append(label)
        right.append(good)
        if given[level] is None:
            predicted_label.append(-1)
        else:
            predicted_label.append(label if good else codes.setdefault(given, len(codes)))
    known = None
    if in_reference is not None:
        holds = {path: in_reference(path) for path in {paths[query][: level + 1] for query in queries}}
        known = np.array([holds[paths[query][: level + 1]] for query in queries])
    predicted = np.array(predicted_label, np.int64)
    return Outcomes(
        rank=RANKS[level],
        queries=tuple(queries),
        right=np.array(right),
        classified=predicted >= 0,
        known=known,
        confidence=np.clip([answers[query].confidence[level] for query in queries], 0.0, 1.0),
        path_confidence=np.array([answers[query].path_confidence[level] for query in queries]),
        true_label=np.array(true_label, np.int64),
        predicted_label=predicted,
    )
