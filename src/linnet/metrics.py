"""The measure: figures of how well a tool names queries at one rank, needing no model.

Every figure is a function of the arrays in `Outcomes` and of a weight per query, so that a figure and its
bootstrap are the same code. The definitions are those of the 16S benchmark's `evaluate.py`; sources stand
with each figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linnet.outcomes import Outcomes

TARGET_PRECISION = 0.95
"""The precision at which `recall_at_p95` is read."""

BINS = 10
"""Equal-width bins of confidence in the calibration errors."""


@dataclass(frozen=True)
class Scores:
    """Figures at one rank, each a share of queries; None where it is not defined.

    Attributes:
        n: queries whose truth reaches the rank.
        n_known: those whose true taxon occurs in the reference.
        ceiling: n_known / n.
        accuracy: right / n; unclassified is wrong.
        acc_known: right / n, over queries with a known taxon.
        precision: right / classified.
        coverage: classified / n.
        f1_macro: mean of 2 tp / (2 tp + fp + fn) over the union of true and predicted taxa. Unclassified
            is no taxon of its own; it only lowers recall.
        f1_weighted: the same, weighted by the number of true members.
        mc: misclassified, a wrong name, among queries with a known taxon.
        uc: under-classified, no name, among queries with a known taxon.
        oc: over-classified, any name, among queries whose taxon the reference lacks. These four splits by
            known taxon follow Edgar 2018 (PeerJ 6:e4652).
        ece: sum over 10 equal-width bins of count / total * |mean confidence - accuracy|, classified
            queries with a confidence (Naeini, Cooper & Hauskrecht 2015).
        ece_debiased: `ece` less what chance alone adds to it; see `debiased_ece`.
        brier: mean of (confidence - right)^2 over classified queries (Brier 1950).
    """

    n: int
    n_known: int | None
    ceiling: float | None
    accuracy: float | None
    acc_known: float | None
    precision: float | None
    coverage: float | None
    f1_macro: float | None
    f1_weighted: float | None
    mc: float | None
    uc: float | None
    oc: float | None
    ece: float | None
    ece_debiased: float | None
    brier: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """The classified queries whose confidence lies in [low, high), or [low, high] in the last bin.

    Attributes:
        confidence: their mean confidence; None in an empty bin, as are the next two.
        accuracy: the share that is right.
        interval: 95 % Wilson interval of `accuracy`.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class RecallAtPrecision:
    """The best recall (right / n) over all cuts that reach a precision, and the cut; None: no cut does."""

    recall: float
    cut: float | None


def scores(outcomes: Outcomes) -> Scores:
    """The figures of one rank."""
    each = weighted_scores(outcomes, np.ones((1, len(outcomes))))
    n_known = None if outcomes.known is None else int(outcomes.known.sum())
    return Scores(len(outcomes), n_known, **{name: _number(value[0]) for name, value in each.items()})


def chosen(outcomes: Outcomes, which: NDArray[np.bool_]) -> Outcomes:
    """The outcomes of some of the queries.

    Args:
        which: bool (n,).
    """
    return replace(
        outcomes,
        queries=tuple(query for query, wanted in zip(outcomes.queries, which.tolist(), strict=True) if wanted),
        right=outcomes.right[which],
        classified=outcomes.classified[which],
        known=None if outcomes.known is None else outcomes.known[which],
        confidence=outcomes.confidence[which],
        path_confidence=outcomes.path_confidence[which],
        true_label=outcomes.true_label[which],
        predicted_label=outcomes.predicted_label[which],
    )


def weighted_precision(outcomes: Outcomes) -> float | None:
    """Each true taxon's precision, weighted by its number of queries, as papers print it; None without queries.

    A taxon that nothing was named counts as 0. Recall weighted so is the accuracy.
    """
    if not len(outcomes):
        return None
    labels = 1 + max(int(outcomes.true_label.max()), int(outcomes.predicted_label.max()))
    true = np.bincount(outcomes.true_label, minlength=labels)
    given = np.bincount(outcomes.predicted_label[outcomes.classified], minlength=labels)
    right = np.bincount(outcomes.true_label[outcomes.right], minlength=labels)
    return float((true * right / np.maximum(given, 1)).sum() / len(outcomes))


def weighted_scores(outcomes: Outcomes, weights_RN: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The float figures of `Scores`, for R weightings of the n queries at once.

    Args:
        weights_RN: float (R, n), how often each query counts.

    Returns:
        name -> float (R,), NaN where a figure is not defined.
    """
    right, named = outcomes.right, outcomes.classified
    everyone = np.ones_like(right)
    known, novel = (~everyone, ~everyone) if outcomes.known is None else (outcomes.known, ~outcomes.known)
    shares = {
        "ceiling": (known, known | novel),
        "accuracy": (right, everyone),
        "acc_known": (known & right, known),
        "precision": (right, named),
        "coverage": (named, everyone),
        "mc": (known & named & ~right, known),
        "uc": (known & ~named, known),
        "oc": (novel & named, novel),
    }
    columns = np.column_stack([column for pair in shares.values() for column in pair])
    counts = weights_RN @ columns.astype(float)
    found = dict(zip(shares, _ratio(counts[:, ::2], counts[:, 1::2]).T, strict=True))
    found["f1_macro"], found["f1_weighted"] = _f1(outcomes, weights_RN)
    found["ece"], found["ece_debiased"], found["brier"] = _calibration(outcomes, weights_RN)
    return found


def recall_at_precision(outcomes: Outcomes, target: float = TARGET_PRECISION) -> RecallAtPrecision | None:
    """The best recall over all cuts of the path confidence whose precision is at least `target`.

    Returns:
        None where no name has a confidence.
    """
    if not _confident(outcomes).any():
        return None
    recall_RC, cuts = _recall_by_cut(outcomes, np.ones((1, len(outcomes))), target)
    best = int(recall_RC[0].argmax())
    recall = float(recall_RC[0, best])
    return RecallAtPrecision(recall, float(cuts[best]) if recall else None)


def weighted_recall_at_precision(
    outcomes: Outcomes, weights_RN: NDArray[np.float64], target: float = TARGET_PRECISION
) -> NDArray[np.float64]:
    """float (R,): the recall of `recall_at_precision` for R weightings, NaN where there is no confidence."""
    if not _confident(outcomes).any():
        return np.full(len(weights_RN), np.nan)
    best: NDArray[np.float64] = _recall_by_cut(outcomes, weights_RN, target)[0].max(axis=1)
    return best


def reliability(outcomes: Outcomes, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Confidence against accuracy in equal-width bins, over the classified queries with a confidence."""
    inside = _scored(outcomes)
    of_query = _bin(outcomes.confidence[inside], bins)
    count = np.bincount(of_query, minlength=bins)
    total = np.bincount(of_query, outcomes.confidence[inside], bins)
    right = np.bincount(of_query, outcomes.right[inside], bins)
    rows = []
    for b, (n, confidence, good) in enumerate(zip(count.tolist(), total, right, strict=True)):
        mean = float(confidence / n) if n else None
        accuracy = float(good / n) if n else None
        interval = wilson(float(good), n) if n else None
        rows.append(ReliabilityBin(b / bins, (b + 1) / bins, n, mean, accuracy, interval))
    return tuple(rows)


def wilson(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % by default (Wilson 1927, J Am Stat Assoc 22:209)."""
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def debiased_ece(
    count_RB: NDArray[np.float64], confidence_RB: NDArray[np.float64], right_RB: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected calibration error less what the noise of the accuracies adds to it, at least 0.

    The accuracy a of a bin with n queries has about the standard deviation s = sqrt(a (1 - a) / n), so that
    |d|, d = confidence - a, comes out too large by about E|N(d, s)| - |d|, where the folded normal has
    E|N(d, s)| = s sqrt(2 / pi) exp(-d^2 / 2 s^2) + d erf(d / (s sqrt 2)). This is the correction of Kumar,
    Liang & Ma 2019 ('Verified Uncertainty Calibration'), which they simulate, in closed form.

    Args:
        count_RB: queries in each of B bins, for R weightings.
        confidence_RB: the sum of their confidences.
        right_RB: how many of them are right.

    Returns:
        float (R,), NaN where all bins are empty.
    """
    n = np.where(count_RB > 0, count_RB, 1.0)
    accuracy = right_RB / n
    gap = (confidence_RB - right_RB) / n
    noise = np.sqrt(np.clip(accuracy * (1 - accuracy), 0, None) / n)
    z = gap / np.where(noise > 0, noise, 1.0)
    erf = np.vectorize(math.erf, otypes=[float])(z / math.sqrt(2))
    folded = noise * math.sqrt(2 / math.pi) * np.exp(-z * z / 2) + gap * erf
    bias = np.where(noise > 0, folded - np.abs(gap), 0.0)
    error = _ratio((count_RB * (np.abs(gap) - bias)).sum(1), count_RB.sum(1))
    return np.maximum(error, 0.0)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: NDArray[np.float64] = part / whole
    return quotient


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _f1(outcomes: Outcomes, weights_RN: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Macro and weighted F1, each float (R,)."""
    labels = 1 + max(int(outcomes.true_label.max()), int(outcomes.predicted_label.max()))
    rows = np.arange(len(weights_RN))[:, None] * labels

    def members(label: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        index, weight = rows + label[inside], weights_RN[:, inside]
        count = np.bincount(index.ravel(), weight.ravel(), rows.size * labels).astype(float)
        return count.reshape(-1, labels)

    true = members(outcomes.true_label, np.ones(len(outcomes), bool))
    given = members(outcomes.predicted_label, outcomes.classified)
    both = members(outcomes.true_label, outcomes.right)
    f1 = 2 * both / np.maximum(true + given, np.finfo(float).tiny)
    macro = _ratio(f1.sum(1), np.count_nonzero(true + given, axis=1).astype(float))
    return macro, _ratio((f1 * true).sum(1), true.sum(1))


def _calibration(
    outcomes: Outcomes, weights_RN: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Expected calibration error, the same debiased, and Brier score, each float (R,)."""
    inside = _scored(outcomes)
    confidence, right, weight = outcomes.confidence[inside], outcomes.right[inside], weights_RN[:, inside]
    in_bin = (_bin(confidence, BINS)[:, None] == np.arange(BINS)).astype(float)
    squared = (confidence - right)[:, None] ** 2
    sums = weight @ np.hstack([in_bin, in_bin * confidence[:, None], in_bin * right[:, None], squared])
    count_RB, confidence_RB, right_RB = (sums[:, b * BINS : (b + 1) * BINS] for b in range(3))
    ece = _ratio(np.abs(confidence_RB - right_RB).sum(1), count_RB.sum(1))
    brier = _ratio(sums[:, -1], count_RB.sum(1))
    return ece, debiased_ece(count_RB, confidence_RB, right_RB), brier


def _bin(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def _scored(outcomes: Outcomes) -> NDArray[np.bool_]:
    """bool (n,): a name with a confidence of its own."""
    return outcomes.classified & ~np.isnan(outcomes.confidence)


def _confident(outcomes: Outcomes) -> NDArray[np.bool_]:
    """bool (n,): a name with a confidence at every rank on the way to it."""
    return outcomes.classified & np.isfinite(outcomes.path_confidence)


def _recall_by_cut(
    outcomes: Outcomes, weights_RN: NDArray[np.float64], target: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall (R, C) at each of C cuts, 0 where precision is below the target, and the cuts (C,), falling."""
    usable = np.flatnonzero(_confident(outcomes))
    order = usable[np.argsort(-outcomes.path_confidence[usable], kind="stable")]
    confidence = outcomes.path_confidence[order]
    last_of_tie = np.flatnonzero(np.r_[confidence[1:] != confidence[:-1], True])
    weight = weights_RN[:, order]
    given_RC = weight.cumsum(axis=1)[:, last_of_tie]
    right_RC = (weight * outcomes.right[order]).cumsum(axis=1)[:, last_of_tie]
    recall_RC = right_RC / weights_RN.sum(1, keepdims=True)
    return np.where(_ratio(right_RC, given_RC) >= target, recall_RC, 0.0), confidence[last_of_tie]
