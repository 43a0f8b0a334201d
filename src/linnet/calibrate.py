"""Confidence that means what it says: a temperature and a stop offset for each level of the tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.ragged import ranges
from linnet.sibling_groups import SiblingGroups


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities, level by level of the tree (level 0: choosing the domain).

    Within each group of siblings the scores are divided by a temperature, and an offset is added to `stop`,
    before the softmax. Both depend on the level and on how much was read: for n k-mers, with
    x = ln(n / 400), the temperature is exp(t + u x) and the offset s + v x, where t, u, s, v are the level's
    numbers below. As only p(child | parent) is changed, clades still add up to their parents and confidence
    never rises with depth (temperature scaling: Guo et al. 2017).

    Attributes:
        log_temperature, log_temperature_slope, stop, stop_slope: t, u, s and v, one number a level each.
        kmers: least number of k-mers.
    """

    log_temperature: tuple[float, ...]
    log_temperature_slope: tuple[float, ...]
    stop: tuple[float, ...]
    stop_slope: tuple[float, ...]
    kmers: int = 1

    @classmethod
    def none(cls, levels: int, kmers: int = 1) -> Calibration:
        """What changes nothing."""
        return cls(*((0.0,) * levels,) * 4, kmers=kmers)

    def stretch(self, levels: int) -> Calibration:
        """The same for a tree of another depth: levels that were not calibrated change nothing."""
        t, u, s, v = ((*values, *(0.0,) * levels)[:levels] for values in self.by_level)
        return Calibration(t, u, s, v, self.kmers)

    def apply(
        self, score_MB: NDArray[np.float32], kmers_B: NDArray[np.integer], groups: SiblingGroups
    ) -> NDArray[np.float32]:
        """Calibrated scores (M, B) of records of which so many k-mers were read."""
        x_B = length_feature(kmers_B)
        t, u, s, v = (np.array(values, np.float32)[:, None] for values in self.by_level)
        factor_LB = np.exp(-(t + u * x_B))
        scaled = score_MB * factor_LB[groups.level_of_column]
        scaled[groups.stop] += (s + v * x_B)[groups.level_of_column[groups.stop]]
        return np.asarray(scaled, np.float32)

    def log_p(
        self,
        score_F: NDArray[np.floating],
        start: NDArray[np.int64],
        level_S: NDArray[np.integer],
        x_S: NDArray[np.floating],
    ) -> NDArray[np.floating]:
        """ln p (F,) of the options of S steps, ragged, stopping the last of each.

        Args:
            score_F, start: their scores, and where each step's begin (S + 1).
            level_S, x_S: each step's level, and its record's `length_feature`.
        """
        sizes = np.diff(start)
        t, u, s, v = (np.array(values)[level_S] for values in self.by_level)
        scaled = score_F * np.repeat(np.exp(-(t + u * x_S)), sizes)
        scaled[start[1:] - 1] += s + v * x_S
        scaled -= np.repeat(np.maximum.reduceat(scaled, start[:-1]), sizes)
        return np.asarray(scaled - np.repeat(np.log(np.add.reduceat(np.exp(scaled), start[:-1])), sizes))

    @property
    def by_level(self) -> tuple[tuple[float, ...], ...]:
        """t, u, s and v."""
        return self.log_temperature, self.log_temperature_slope, self.stop, self.stop_slope


def length_feature(kmers_B: NDArray[np.integer]) -> NDArray[np.float32]:
    """float32 (B,): ln(n / 400) of the numbers of k-mers read."""
    return np.asarray(np.log(np.maximum(kmers_B, 1) / 400), np.float32)


@dataclass
class Steps:
    """Steps down the tree whose right answer is known: S groups over F scores, ragged.

    Attributes:
        score: float32 (F,), the scores of each step's group, its stop last.
        start: int64 (S + 1,), where each step begins.
        target: int64 (S,), index of the right column within its step.
        level: int64 (S,).
        x: float32 (S,), the record's `length_feature`.
        stopped: bool (S,), whether the right answer is to stop: the taxon is new.
        natural: bool (S,), whether the record was held out at random, not because its clade was hidden.
    """

    score: NDArray[np.float32]
    start: NDArray[np.int64]
    target: NDArray[np.int64]
    level: NDArray[np.int64]
    x: NDArray[np.float32]
    stopped: NDArray[np.bool_]
    natural: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        groups: SiblingGroups,
        score_MB: NDArray[np.float32],
        kmers_B: NDArray[np.integer],
        nodes: NDArray[np.integer],
        new: NDArray[np.bool_],
        natural: NDArray[np.bool_],
    ) -> Steps:
        """The steps of B records along their labels' paths; labels as in `losses.PathTargets.of`."""
        scores, target, level, row = [], [], [], []
        for b, (node, is_new) in enumerate(zip(nodes.tolist(), new.tolist(), strict=True)):
            for group, column in groups.steps(node, new=is_new):
                a, z = groups.start[group : group + 2]
                scores.append(score_MB[a:z, b])
                target.append(column - a)
                level.append(int(groups.level_of_column[column]))
                row.append(b)
        start = np.cumsum([0, *map(len, scores)])
        score = np.concatenate(scores) if scores else np.empty(0, np.float32)
        right, rows = np.array(target, np.int64), np.array(row, np.int64)
        stopped = right == np.diff(start) - 1
        return cls(score, start, right, np.array(level, np.int64), length_feature(kmers_B)[rows],
                   stopped, np.asarray(natural, bool)[rows])  # fmt: skip

    @classmethod
    def join(cls, parts: list[Steps]) -> Steps:
        offsets = np.cumsum([0, *(p.start[-1] for p in parts)])
        start = [p.start[:-1] + o for p, o in zip(parts, offsets[:-1], strict=True)]
        return cls(
            np.concatenate([p.score for p in parts]),
            np.concatenate([*start, offsets[-1:]]),
            *(np.concatenate([getattr(p, f) for p in parts]) for f in ("target", "level", "x", "stopped", "natural")),
        )

    def at(self, level: int) -> Steps:
        """The steps of one level."""
        chosen = np.flatnonzero(self.level == level)
        size = np.diff(self.start)[chosen]
        start = np.concatenate([[0], np.cumsum(size)])
        index = ranges(self.start[chosen], size)
        return Steps(self.score[index], start, self.target[chosen], self.level[chosen], self.x[chosen],
                     self.stopped[chosen], self.natural[chosen])  # fmt: skip


def fit(steps: Steps, levels: int) -> Calibration:
    """Temperature and stop offset of each level by maximum likelihood on held-out steps.

    How often a taxon is new, and how new, is taken from the records held out at random: their singletons' taxa
    are then missing from the reference, as unseen taxa are in nature (Good 1953). Where these are few, steps of
    clades hidden on purpose add to what is known of new taxa without adding to how often they occur.
    """
    found = []
    for level in range(levels):
        here = steps.at(level)
        theta = _fit_level(here, _weights(here)) if len(here.target) >= 20 else np.zeros(4)
        found.append([round(float(value), 4) for value in theta])
    t, u, s, v = (tuple(values) for values in zip(*found, strict=True))
    return Calibration(t, u, s, v)


ENOUGH = 50
"""New taxa among a level's random hold-outs that make those of hidden clades unnecessary."""


def _weights(steps: Steps) -> NDArray[np.float64]:
    """(S,): what each step counts for, so that at every level new taxa are as frequent as nature has them."""
    counted = steps.natural.astype(float)
    for level in np.unique(steps.level):
        here = steps.level == level
        natural_new = np.count_nonzero(here & steps.stopped & steps.natural)
        hidden_new = np.count_nonzero(here & steps.stopped & ~steps.natural)
        if natural_new < ENOUGH and hidden_new:
            counted[here & steps.stopped] = (natural_new + 0.5) / (natural_new + hidden_new)
    return counted


_PRIOR = np.array([1.0, 10.0, 1.0, 10.0])
"""A weak pull of (t, u, s, v) towards 0, stronger for the slopes; in units of one record's evidence."""


def _fit_level(steps: Steps, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(t, u, s, v) by Fisher scoring with step halving."""
    theta = np.zeros(4)
    loss, gradient, information = _likelihood(steps, weights, theta)
    for _ in range(100):
        move = np.linalg.solve(information, gradient)
        move *= min(1.0, 1.0 / float(np.abs(move).max(initial=1e-12)))
        while True:
            new_loss, new_gradient, new_information = _likelihood(steps, weights, theta - move)
            if new_loss <= loss or np.abs(move).max() < 1e-6:
                break
            move /= 2
        theta, loss, gradient, information = theta - move, new_loss, new_gradient, new_information
        if np.abs(move).max() < 1e-5:
            break
    return theta


def _likelihood(
    steps: Steps, weights: NDArray[np.float64], theta: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Penalised -log likelihood at theta, its gradient (4,) and its Fisher information (4, 4)."""
    t, u, s, v = theta
    first, size, last = steps.start[:-1], np.diff(steps.start), steps.start[1:] - 1
    x = steps.x.astype(float)
    scaled = steps.score * np.repeat(np.exp(-(t + u * x)), size)
    logit = scaled.copy()
    logit[last] += s + v * x
    highest = np.maximum.reduceat(logit, first)
    p = np.exp(logit - np.repeat(highest, size))
    total = np.add.reduceat(p, first)
    p /= np.repeat(total, size)
    at_target = first + steps.target
    nll = np.log(total) + highest - logit[at_target]
    jacobian = np.zeros((len(p), 4))  # of each logit, by theta
    jacobian[:, 0] = -scaled
    jacobian[:, 1] = -scaled * np.repeat(x, size)
    jacobian[last, 2] = 1
    jacobian[last, 3] = x
    mean = np.add.reduceat(p[:, None] * jacobian, first, axis=0)
    w_F = p * np.repeat(weights, size)
    information = jacobian.T @ (w_F[:, None] * jacobian) - mean.T @ (weights[:, None] * mean)
    gradient = weights @ (mean - jacobian[at_target])
    return (
        float(weights @ nll + 0.5 * _PRIOR @ theta**2),
        gradient + _PRIOR * theta,
        information + np.diag(_PRIOR),
    )
