"""How far a figure may be chance: the bootstrap over queries, and McNemar's test between two tools."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Statistics = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]
"""Weights (R, n) -> figures by name, each (R,)."""

_CELLS = 500_000
"""Weights held at a time, so that memory does not grow with the number of queries."""


@dataclass(frozen=True)
class McNemar:
    """Two tools on the same queries.

    Attributes:
        a_only: queries that only the first has right.
        b_only: queries that only the second has right.
        p_value: two-sided, exact.
    """

    a_only: int
    b_only: int
    p_value: float


def mcnemar(a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]) -> McNemar:
    """McNemar's test in its exact form (McNemar 1947; Dietterich 1998): of the queries that one tool alone
    has right, is either tool's share further from a half than a fair coin would bring?
    """
    a_only, b_only = int((a_right & ~b_right).sum()), int((~a_right & b_right).sum())
    return McNemar(a_only, b_only, fair_coin_p(a_only, b_only))


def fair_coin_p(heads: int, tails: int) -> float:
    """Two-sided exact binomial p-value of a fair coin: 2 P(X <= min), at most 1."""
    n = heads + tails
    tail = 0.0
    for k in range(min(heads, tails) + 1):
        log_ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        tail += math.exp(log_ways - n * math.log(2))
    return min(1.0, 2 * tail)


def resampled_weights(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Blocks (R, n) of how often each of n queries is drawn, n draws with replacement in every row."""
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // n)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)


def bootstrap(statistics: Statistics, n: int, resamples: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Figures over resamples of the n queries (Efron & Tibshirani 1993), each float (resamples,)."""
    blocks = [statistics(weights_RN) for weights_RN in resampled_weights(n, resamples, seed)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks else {}


def percentile_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """The middle `level` of the resampled values that are defined; None where none is."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def reversed_interval(value: float, values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """The percentile interval mirrored at the figure's own value, which it always holds (the basic
    bootstrap; Davison & Hinkley 1997, section 5.2).

    For a calibration error: a resample repeats queries, so its bins are noisier and its error is too large
    in the same direction as the figure's own. The percentiles of a calibrated tool then miss 0 for certain.
    """
    found = percentile_interval(values, level)
    if found is None:
        return None
    return min(value, 2 * value - found[1]), max(value, 2 * value - found[0])


@dataclass(frozen=True)
class PairedT:
    """A figure of two methods in n paired runs, and whether they differ (Student 1908).

    Attributes:
        mean: of the differences.
        sd: their standard deviation (n - 1).
        p_value: two-sided; 1 where all differences are 0, 0 where they are all the same and not 0.
    """

    n: int
    mean: float
    sd: float
    p_value: float


def paired_t(differences: Sequence[float]) -> PairedT:
    """Student's t test of paired differences, two or more."""
    values = np.asarray(differences, float)
    n, mean, sd = len(values), float(values.mean()), float(values.std(ddof=1))
    if sd == 0:
        return PairedT(n, mean, sd, 1.0 if mean == 0 else 0.0)
    return PairedT(n, mean, sd, student_p(mean / (sd / math.sqrt(n)), n - 1))


def student_p(t: float, freedom: int) -> float:
    """Two-sided p-value of Student's t with whole degrees of freedom, as finite sums (Abramowitz & Stegun 26.7.3-4)."""
    angle = math.atan2(abs(t), math.sqrt(freedom))
    c, s = math.cos(angle), math.sin(angle)
    first = freedom % 2
    term, total = (c if first else 1.0), 0.0
    for k in range(first, freedom - 1, 2):
        total += term
        term *= c * c * (k + 1) / (k + 2)
    inside = 2 / math.pi * (angle + s * total) if first else s * total
    return max(0.0, 1.0 - inside)
