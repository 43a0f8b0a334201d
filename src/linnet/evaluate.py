"""Predictions against the truth: figures with intervals per rank, two tools compared, a table to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.columns import aligned
from linnet.errors import UserError
from linnet.metrics import (
    RecallAtPrecision,
    ReliabilityBin,
    Scores,
    recall_at_precision,
    reliability,
    scores,
    weighted_recall_at_precision,
    weighted_scores,
)
from linnet.outcomes import Depths, Outcomes, Queries, depths, judge
from linnet.prediction import Prediction
from linnet.significance import McNemar, bootstrap, mcnemar, percentile_interval, reversed_interval
from linnet.taxonomy import Lineage

Interval = tuple[float, float]

_ERRORS = ("ece", "ece_debiased")
_NO_INTERVAL = ("ceiling", "f1_macro")
"""The first is about the data, not the tool; a resample has fewer taxa, which moves the second."""


@dataclass(frozen=True)
class RankEvaluation:
    """One rank.

    Attributes:
        scores: after the cut.
        recall_at_p95: over all cuts, so before the cut.
        intervals: figure -> 95 % bootstrap interval over queries; figures that are not defined are left out.
        reliability: after the cut.
    """

    scores: Scores
    recall_at_p95: RecallAtPrecision | None
    intervals: Mapping[str, Interval]
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Evaluation:
    """One tool on one set of queries.

    Attributes:
        queries: how many are judged at some rank.
        minimum: the cut on confidence, 0 for none.
        resamples: of the bootstrap.
        ranks: those that some query's truth reaches, general to specific.
        novel: where the queries stopped that go deeper than the reference; None without such or without one.
    """

    queries: int
    minimum: float
    resamples: int
    seed: int
    ranks: Mapping[str, RankEvaluation]
    novel: Depths | None

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; a rank's figures lie side by side."""
        out = asdict(self)
        for rank in out["ranks"].values():
            recall = rank.pop("recall_at_p95") or {"recall": None, "cut": None}
            figures = rank.pop("scores")
            rank.update(figures, recall_at_p95=recall["recall"], cut_at_p95=recall["cut"])
        return out


@dataclass(frozen=True)
class Difference:
    """A figure of two tools, `a - b`, and its 95 % bootstrap interval over the queries they share."""

    a: float
    b: float
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class RankComparison:
    """Two tools at one rank.

    Attributes:
        n: queries.
        mcnemar: of right against not right.
        differences: by figure; those that are not defined for both are left out.
    """

    n: int
    mcnemar: McNemar
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Comparison:
    """Two tools, a and b, on the same queries. The p-values are not corrected for the number of ranks."""

    minima: tuple[float, float]
    resamples: int
    seed: int
    ranks: Mapping[str, RankComparison]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


def evaluate(
    predictions: Mapping[str, Prediction],
    truth: Mapping[str, Lineage],
    known: Collection[Lineage] | None = None,
    queries: Queries | None = None,
    minimum: float = 0.0,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """The figures of one tool.

    Args:
        predictions: by query; a query without one is unclassified. Whole lineages, whatever their own cut.
        truth: by query.
        known: lineages of the reference; None: the figures of known and novel taxa are None.
        queries: which to judge, or rank -> which; None: all that have a truth.
        minimum: names are used down to the first rank whose confidence is below; 0: all.
        resamples: of the bootstrap over queries; 0: no intervals.

    Raises:
        UserError: a query has no truth, or no query's truth has a name.
    """
    outcomes = _judge(predictions, truth, known, queries)
    ranks = {rank: _evaluate_rank(found, minimum, resamples, seed) for rank, found in outcomes.items()}
    judged = {query for found in outcomes.values() for query in found.queries}
    stopped = None
    if known is not None:
        stopped = depths(predictions, truth, known, _novel(outcomes), minimum)
    return Evaluation(len(judged), minimum, resamples, seed, ranks, stopped)


def compare(
    a: Mapping[str, Prediction],
    b: Mapping[str, Prediction],
    truth: Mapping[str, Lineage],
    known: Collection[Lineage] | None = None,
    queries: Queries | None = None,
    minima: tuple[float, float] = (0.0, 0.0),
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Two tools on the same queries: McNemar's test per rank, and figures subtracted, resampled in pairs.

    Args:
        minima: the cut of `a` and of `b`; tools scale their confidence differently.

    Raises:
        UserError: as `evaluate`.
    """
    outcomes_a, outcomes_b = (_judge(tool, truth, known, queries) for tool in (a, b))
    ranks = {rank: _compare_rank(outcomes_a[rank], outcomes_b[rank], minima, resamples, seed) for rank in outcomes_a}
    return Comparison(minima, resamples, seed, ranks)


def table(evaluation: Evaluation) -> str:
    """The figures as text, ranks as rows."""
    with_reference = any(rank.scores.n_known is not None for rank in evaluation.ranks.values())
    columns = [c for c in _COLUMNS if with_reference or c.figure not in _OF_REFERENCE]
    rows = [["rank", *(c.title for c in columns)]]
    rows += [[rank, *(_cell(c, found) for c in columns)] for rank, found in evaluation.ranks.items()]
    lines = aligned(rows)
    if evaluation.novel:
        lines += ["", _novel_line(evaluation.novel)]
    cut = f"cut at confidence {evaluation.minimum:g}" if evaluation.minimum > 0 else "no cut"
    return "\n".join([*lines, "", f"{evaluation.queries:,} queries, {cut}."])


def explanation() -> str:
    """What the columns of `table` mean."""
    width = max(len(c.title) for c in _COLUMNS)
    lines = (f"  {c.title.ljust(width)}  {c.meaning}" for c in _COLUMNS)
    return "\n".join(["All but n are per cent; - is not defined.", *lines])


@dataclass(frozen=True)
class _Column:
    title: str
    figure: str
    meaning: str


_COLUMNS = (
    _Column("n", "n", "queries whose true lineage reaches this rank"),
    _Column("in ref", "ceiling", "of n, those whose true taxon is in the reference; no other can be right"),
    _Column("accuracy", "accuracy", "of n, named right, with the whole path above (95 % interval)"),
    _Column("known", "acc_known", "accuracy among queries whose true taxon is in the reference"),
    _Column("precision", "precision", "of the names given, those that are right"),
    _Column("coverage", "coverage", "of n, those given a name, right or wrong"),
    _Column("wrong", "mc", "given a wrong name, among queries whose taxon is in the reference"),
    _Column("unnamed", "uc", "given no name, among queries whose taxon is in the reference"),
    _Column("over", "oc", "given a name nonetheless, among queries whose taxon the reference lacks"),
    _Column("ECE", "ece_debiased", "gap between confidence and the share right, less what chance adds"),
    _Column("R@P95", "recall_at_p95", "best accuracy of any cut that makes 95 % of the names right"),
)
_OF_REFERENCE = ("ceiling", "acc_known", "mc", "uc", "oc")


def _cell(column: _Column, rank: RankEvaluation) -> str:
    if column.figure == "recall_at_p95":
        value = rank.recall_at_p95.recall if rank.recall_at_p95 else None
    else:
        value = getattr(rank.scores, column.figure)
    if value is None:
        return "-"
    if column.figure == "n":
        return str(value)
    text = f"{100 * value:.1f}"
    if column.figure == "accuracy" and "accuracy" in rank.intervals:
        low, high = rank.intervals["accuracy"]
        text += f" ({100 * low:.1f}-{100 * high:.1f})"
    return text


def _novel_line(novel: Depths) -> str:
    return (
        f"Of {novel.n} queries that go deeper than the reference, {100 * novel.exact:.1f} % stopped at the "
        f"last taxon it knows,\n{100 * novel.below:.1f} % went on below it, "
        f"{100 * novel.above:.1f} % stopped above it, {100 * novel.wrong_branch:.1f} % took a wrong branch."
    )


def _judge(
    predictions: Mapping[str, Prediction],
    truth: Mapping[str, Lineage],
    known: Collection[Lineage] | None,
    queries: Queries | None,
) -> dict[str, Outcomes]:
    outcomes = judge(predictions, truth, known, queries)
    if not outcomes:
        raise UserError(
            "no query has a true taxon at any rank",
            expected="true lineages with at least one of the seven canonical ranks",
            remedy="Check that the ids of the truth are those of the queries.",
        )
    return outcomes


def _novel(outcomes: Mapping[str, Outcomes]) -> list[str]:
    """The queries whose true taxon is missing from the reference at some rank."""
    novel: dict[str, None] = {}
    for found in outcomes.values():
        if found.known is not None:
            novel |= {found.queries[i]: None for i in np.flatnonzero(~found.known)}
    return list(novel)


def _evaluate_rank(outcomes: Outcomes, minimum: float, resamples: int, seed: int) -> RankEvaluation:
    after = outcomes.cut(minimum)
    resampled = bootstrap(lambda weights_RN: _figures(outcomes, after, weights_RN), len(outcomes), resamples, seed)
    values = _figures(outcomes, after, np.ones((1, len(outcomes))))
    intervals = {}
    for name, draws in resampled.items():
        found = _interval(name, float(values[name][0]), draws)
        if found is not None:
            intervals[name] = (max(0.0, found[0]), found[1])
    return RankEvaluation(scores(after), recall_at_precision(outcomes), intervals, reliability(after))


def _compare_rank(a: Outcomes, b: Outcomes, minima: tuple[float, float], resamples: int, seed: int) -> RankComparison:
    cut_a, cut_b = a.cut(minima[0]), b.cut(minima[1])

    def both(weights_RN: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        of_b = _figures(b, cut_b, weights_RN)
        return {name: np.stack([x, of_b[name]], 1) for name, x in _figures(a, cut_a, weights_RN).items()}

    values = both(np.ones((1, len(a))))
    resampled = bootstrap(both, len(a), resamples, seed)
    differences = {}
    for name, pair in values.items():
        of_a, of_b = pair[0].tolist()
        if np.isnan(pair).any():
            continue
        draws = resampled[name] if resampled else np.empty((0, 2))
        interval = _interval(name, of_a - of_b, draws[:, 0] - draws[:, 1])
        differences[name] = Difference(of_a, of_b, of_a - of_b, interval)
    return RankComparison(len(a), mcnemar(cut_a.right, cut_b.right), differences)


def _figures(uncut: Outcomes, after: Outcomes, weights_RN: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The figures that get an interval, each float (R,)."""
    figures = weighted_scores(after, weights_RN)
    for name in _NO_INTERVAL:
        del figures[name]
    return figures | {"recall_at_p95": weighted_recall_at_precision(uncut, weights_RN)}


def _interval(name: str, value: float, draws: NDArray[np.float64]) -> Interval | None:
    return reversed_interval(value, draws) if name in _ERRORS else percentile_interval(draws)
