"""How well numbers order queries: areas under curves, and what is risked by naming so many of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.outcomes import Outcomes

POINTS = 200
"""Points that a curve is kept at, at most."""


@dataclass(frozen=True)
class RiskCoverage:
    """What share of the names given is wrong, when only the surest are given.

    Attributes:
        coverage: share of all queries that are named, rising; at most POINTS of them.
        risk: at each, the share of the names that are wrong.
        aurc: mean risk over the cuts that give 1, 2 ... names (Geifman & El-Yaniv 2017, 'Selective classification
            for deep neural networks').
        best: the least that `aurc` could be with as many wrong names, all of them given last.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    aurc: float
    best: float


def risk_coverage(outcomes: Outcomes) -> RiskCoverage | None:
    """The curve of one rank, uncut; None where no name has a confidence.

    Names with equal confidence are taken to come in random order: their wrong ones are spread evenly.
    """
    named = np.flatnonzero(outcomes.classified & np.isfinite(outcomes.path_confidence))
    if not len(named):
        return None
    order = named[np.argsort(-outcomes.path_confidence[named], kind="stable")]
    confidence, wrong = outcomes.path_confidence[order], ~outcomes.right[order]
    counts = np.arange(1, len(order) + 1)
    last = np.flatnonzero(np.r_[confidence[1:] != confidence[:-1], True]) + 1
    wrong_so_far = np.interp(counts, np.r_[0, last], np.r_[0, np.cumsum(wrong)[last - 1]])
    risk = wrong_so_far / counts
    ideal = np.maximum(counts - (len(order) - wrong.sum()), 0) / counts
    kept = np.unique(np.linspace(0, len(order) - 1, POINTS).round().astype(np.int64))
    return RiskCoverage(
        tuple((counts[kept] / len(outcomes)).tolist()),
        tuple(risk[kept].tolist()),
        float(risk.mean()),
        float(ideal.mean()),
    )


def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """The chance that a positive scores above a negative, ties counting half; None without both.

    By ranks, ties sharing their mean (Mann & Whitney 1947; Hanley & McNeil 1982).
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    above = mean_ranks(score)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def mean_ranks(values_N: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 (N,): from 1 for the lowest; equal values share the mean of their ranks."""
    _, group, count = np.unique(values_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[group], np.float64)


def one_vs_rest(score_NC: NDArray[np.floating], class_N: NDArray[np.integer]) -> float | None:
    """Mean over classes of `auroc` of a class's score, its members against all others, weighted by members.

    Args:
        score_NC: of each query for each class.
        class_N: the class of each, 0 to C - 1.

    Returns:
        None where fewer than two classes occur.
    """
    total, members = 0.0, 0
    for c in np.unique(class_N):
        mine = class_N == c
        area = auroc(score_NC[:, c], mine)
        if area is not None:
            total += area * int(mine.sum())
            members += int(mine.sum())
    return total / members if members else None
