"""Confidence that means what it says: a temperature and a stop offset for each level of the tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.sibling_groups import SiblingGroups


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities, level by level of the tree (level 0: choosing the domain).

    Within each group of siblings the scores are divided by the level's temperature, and its offset is added
    to `stop`, before the softmax. As only p(child | parent) is changed, clades still add up to their parents
    and confidence never rises with depth (temperature scaling: Guo et al. 2017).

    Attributes:
        temperature, stop: one number a level.
        familiarity: least mean log-odds of a record's k-mers, nats; below, it is not what the model reads.
        kmers: least number of k-mers.
    """

    temperature: tuple[float, ...]
    stop: tuple[float, ...]
    familiarity: float = -1000.0
    kmers: int = 1

    @classmethod
    def none(cls, levels: int) -> Calibration:
        return cls((1.0,) * levels, (0.0,) * levels)

    def scale(self, groups: SiblingGroups) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Factor and offset of each column, float32 (M,) both."""
        factor = 1.0 / np.array(self.temperature, np.float32)[groups.level_of_column]
        offset = np.zeros(len(groups), np.float32)
        offset[groups.stop] = np.array(self.stop, np.float32)[groups.level_of_column[groups.stop]]
        return factor, offset


@dataclass
class Steps:
    """Steps down the tree whose right answer is known: S groups over F scores, ragged.

    Attributes:
        score: float32 (F,), the scores of each step's group, its stop last.
        start: int64 (S + 1,), where each step begins.
        target: int64 (S,), index of the right column within its step.
        level: int64 (S,).
        stopped: bool (S,), whether the right answer is to stop: the taxon is new.
        natural: bool (S,), whether the record was held out at random, not because its clade was hidden.
    """

    score: NDArray[np.float32]
    start: NDArray[np.int64]
    target: NDArray[np.int64]
    level: NDArray[np.int64]
    stopped: NDArray[np.bool_]
    natural: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        groups: SiblingGroups,
        score_MB: NDArray[np.float32],
        nodes: NDArray[np.integer],
        new: NDArray[np.bool_],
        natural: NDArray[np.bool_],
    ) -> Steps:
        """The steps of B records along their labels' paths; arguments as in `losses.PathTargets.of`."""
        tree = groups.taxonomy
        scores, target, level, stopped, is_natural = [], [], [], [], []
        for b, (node, is_new) in enumerate(zip(nodes.tolist(), new.tolist(), strict=True)):
            steps = [(int(tree.parent[n]), int(groups.column_of_node[n])) for n in tree.path(node)]
            if is_new and groups.group_of_node[node] >= 0:
                steps.append((node, int(groups.stop[groups.group_of_node[node]])))
            for owner, column in steps:
                group = groups.group_of_node[owner]
                a, z = groups.start[group : group + 2]
                scores.append(score_MB[a:z, b])
                target.append(column - a)
                level.append(int(tree.depth[owner]))
                stopped.append(column == z - 1)
                is_natural.append(bool(natural[b]))
        start = np.cumsum([0, *map(len, scores)])
        score = np.concatenate(scores) if scores else np.empty(0, np.float32)
        return cls(score, start, np.array(target, np.int64), np.array(level, np.int64),
                   np.array(stopped, bool), np.array(is_natural, bool))  # fmt: skip

    @classmethod
    def join(cls, parts: list[Steps]) -> Steps:
        offsets = np.cumsum([0, *(p.start[-1] for p in parts)])
        start = [p.start[:-1] + o for p, o in zip(parts, offsets[:-1], strict=True)]
        return cls(
            np.concatenate([p.score for p in parts]),
            np.concatenate([*start, offsets[-1:]]),
            *(np.concatenate([getattr(p, f) for p in parts]) for f in ("target", "level", "stopped", "natural")),
        )

    def at(self, level: int) -> Steps:
        """The steps of one level."""
        chosen = np.flatnonzero(self.level == level)
        size = np.diff(self.start)[chosen]
        start = np.concatenate([[0], np.cumsum(size)])
        index = np.repeat(self.start[chosen] - start[:-1], size) + np.arange(start[-1])
        return Steps(self.score[index], start, self.target[chosen], self.level[chosen],
                     self.stopped[chosen], self.natural[chosen])  # fmt: skip


def fit(steps: Steps, levels: int) -> Calibration:
    """Temperature and stop offset of each level by maximum likelihood on held-out steps.

    How often a taxon is new is taken from the records held out at random: their singletons' taxa are then
    missing from the reference, as unseen taxa are in nature (Good 1953). Steps of clades hidden on purpose
    add to what is known of new taxa without adding to how often they occur: they are weighted down to that.
    """
    temperature, stop = [], []
    for level in range(levels):
        here = steps.at(level)
        t, b = _fit_level(here, _weights(here)) if len(here.target) >= 20 else (1.0, 0.0)
        temperature.append(round(t, 4))
        stop.append(round(b, 4))
    return Calibration(tuple(temperature), tuple(stop))


def _weights(steps: Steps) -> NDArray[np.float64]:
    natural_new = np.count_nonzero(steps.stopped & steps.natural)
    all_new = np.count_nonzero(steps.stopped)
    share = (natural_new + 0.5) / (all_new + 0.5)
    return np.where(steps.stopped, share, steps.natural.astype(float))


def _fit_level(steps: Steps, weights: NDArray[np.float64]) -> tuple[float, float]:
    """Newton's method on (log temperature, stop offset), with a weak pull towards (0, 0)."""
    x = np.zeros(2)
    step = 1e-3
    offsets = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]]) * step
    for _ in range(50):
        f = [_loss(steps, weights, x + o) for o in offsets]
        gradient = np.array([f[1] - f[2], f[3] - f[4]]) / (2 * step)
        second = np.array([f[1] - 2 * f[0] + f[2], f[3] - 2 * f[0] + f[4]]) / step**2
        cross = (f[5] + f[6] + 2 * f[0] - f[1] - f[2] - f[3] - f[4]) / (2 * step**2)
        hessian = np.array([[second[0], cross], [cross, second[1]]])
        low = np.linalg.eigvalsh(hessian)[0]
        hessian += np.eye(2) * max(1e-3 - low, 0)
        move = np.linalg.solve(hessian, gradient)
        move *= min(1.0, 0.5 / max(float(np.abs(move).max()), 1e-12))
        x -= move
        if np.abs(move).max() < 1e-5:
            break
    return float(np.exp(x[0])), float(x[1])


def _loss(steps: Steps, weights: NDArray[np.float64], x: NDArray[np.float64]) -> float:
    score = steps.score / np.exp(x[0])
    score[steps.start[1:] - 1] += x[1]
    highest = np.maximum.reduceat(score, steps.start[:-1])
    total = np.add.reduceat(np.exp(score - np.repeat(highest, np.diff(steps.start))), steps.start[:-1])
    nll = np.log(total) + highest - score[steps.start[:-1] + steps.target]
    return float(weights @ nll + 0.5 * (x**2).sum())
