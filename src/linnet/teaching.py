"""What a teacher says of references, as targets for a tree head; and the uniform target it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from linnet.losses import SoftTargets
from linnet.prediction import Posterior
from linnet.ragged import ranges
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

PLACES = 16
"""Places kept of a teacher's posterior, the most probable ones; what is left of it is spread over them."""

LEAST = 1e-3
"""Probability below which a place is not kept."""


@dataclass(frozen=True, eq=False)
class Answers:
    """A teacher's posteriors of N references, each the few places that matter.

    Attributes:
        taxonomy: the teacher's tree.
        start: int64 (N + 1,), where each reference's places begin.
        node: int64 (E,), the places.
        p: float64 (E,), their probabilities, 1 in sum for each reference; none for one that the teacher cannot read.
    """

    taxonomy: Taxonomy
    start: NDArray[np.int64]
    node: NDArray[np.int64]
    p: NDArray[np.float64]

    @classmethod
    def of(cls, taxonomy: Taxonomy, posteriors: Iterator[tuple[int, Sequence[int], Posterior]]) -> Answers:
        """From blocks: how many references, which of them were read, and the posterior of these."""
        nodes: list[NDArray[np.int64]] = []
        shares: list[NDArray[np.float64]] = []
        for count, rows, posterior in posteriors:
            empty = (np.empty(0, np.int64), np.empty(0))
            found = [empty] * count
            for row, place_N in zip(rows, posterior.place_BN, strict=True):
                few = np.argpartition(place_N, -min(PLACES, len(place_N)))[-PLACES:]
                few = np.sort(few[place_N[few] >= LEAST]).astype(np.int64)
                p = place_N[few].astype(float)
                found[row] = (few, p / p.sum()) if len(few) else empty
            nodes += [node for node, _ in found]
            shares += [p for _, p in found]
        start = np.cumsum([0, *map(len, nodes)])
        node, p = np.concatenate([np.empty(0, np.int64), *nodes]), np.concatenate([np.empty(0), *shares])
        return cls(taxonomy, start, node, p)

    def take(self, rows: Sequence[int]) -> Answers:
        """Those of some references, in this order."""
        chosen = np.asarray(rows, np.int64)
        count = (self.start[1:] - self.start[:-1])[chosen]
        at = ranges(self.start[chosen], count)
        return Answers(self.taxonomy, np.concatenate([[0], np.cumsum(count)]), self.node[at], self.p[at])

    def joined(self, others: Answers) -> Answers:
        """These, then those of more references."""
        start = np.concatenate([self.start, others.start[1:] + self.start[-1]])
        node, p = np.concatenate([self.node, others.node]), np.concatenate([self.p, others.p])
        return Answers(self.taxonomy, start, node, p)


@dataclass(frozen=True, eq=False)
class Lessons:
    """Soft targets of N references: S steps down the tree, E shares of their columns.

    Attributes:
        groups: of the student's tree.
        start: int64 (N + 1,), where each reference's steps begin.
        group: int64 (S,), the sibling group of each step.
        entry: int64 (S + 1,), where each step's shares begin.
        column: int64 (E,), columns of the head.
        share: float32 (E,).
    """

    groups: SiblingGroups
    start: NDArray[np.int64]
    group: NDArray[np.int64]
    entry: NDArray[np.int64]
    column: NDArray[np.int64]
    share: NDArray[np.float32]

    @classmethod
    def taught(cls, answers: Answers, groups: SiblingGroups, temperature: float) -> Lessons:
        """The teacher's distribution among siblings at every step it thinks possible, softened by the temperature.

        A taxon that the student does not know counts as stopping at the deepest one above it that the student knows.
        """
        tree = groups.taxonomy
        same = {n: tree.find(answers.taxonomy.lineage(n))[0] for n in np.unique(answers.node).tolist()}
        return cls._of(groups, (_shares(groups, answers, i, same, temperature) for i in range(len(answers.start) - 1)))

    @classmethod
    def uniform(cls, groups: SiblingGroups, nodes: NDArray[np.integer]) -> Lessons:
        """On the way to each reference's own taxon, all siblings alike: a target of equal weight that knows nothing."""

        def even(node: int) -> dict[int, dict[int, float]]:
            steps = {}
            for group, _ in groups.steps(node, new=False):
                a, z = groups.start[group : group + 2].tolist()
                steps[group] = dict.fromkeys(range(a, z), 1.0 / (z - a))
            return steps

        return cls._of(groups, (even(node) for node in np.asarray(nodes).tolist()))

    @classmethod
    def _of(cls, groups: SiblingGroups, rows: Iterator[dict[int, dict[int, float]]]) -> Lessons:
        """From shares by column by group of each reference."""
        steps: list[int] = []
        sizes: list[int] = []
        group: list[int] = []
        column: list[int] = []
        share: list[float] = []
        for row in rows:
            steps.append(len(row))
            for g, shares in row.items():
                group.append(g)
                sizes.append(len(shares))
                column += shares.keys()
                share += shares.values()
        return cls(
            groups,
            np.cumsum([0, *steps]),
            np.array(group, np.int64),
            np.cumsum([0, *sizes]),
            np.array(column, np.int64),
            np.array(share, np.float32),
        )

    def batch(self, rows: NDArray[np.integer], taught: NDArray[np.bool_]) -> SoftTargets:
        """Targets of some references.

        Args:
            taught: which of them; of the others, decoys say, the teacher says nothing.
        """
        count = np.where(taught, self.start[rows + 1] - self.start[rows], 0)
        steps_S = ranges(self.start[rows], count)
        row_S = np.repeat(np.arange(len(rows)), count)
        group_S = self.group[steps_S]
        first_S, size_S = self.groups.start[group_S], np.diff(self.groups.start)[group_S]
        offset_S = np.cumsum(size_S) - size_S
        flat = ranges(first_S + row_S * len(self.groups), size_S)
        entries_S = np.diff(self.entry)[steps_S]
        entry = ranges(self.entry[steps_S], entries_S)
        step_E = np.repeat(np.arange(len(steps_S)), entries_S)
        share = self.share[entry]
        return SoftTargets(
            torch.from_numpy(flat),
            torch.from_numpy(np.repeat(np.arange(len(steps_S)), size_S)),
            torch.from_numpy(offset_S[step_E] + self.column[entry] - first_S[step_E]),
            torch.from_numpy(share),
            torch.from_numpy(np.bincount(step_E, share, len(steps_S)).astype(np.float32)),
            len(rows),
        )


@dataclass(frozen=True, eq=False)
class Teaching:
    """How a student learns from labels and a teacher at once: alpha * labels + (1 - alpha) * teacher.

    Attributes:
        lessons: of the references, in their order.
        alpha: weight of the labels.
        temperature: that the lessons were softened by.
    """

    lessons: Lessons
    alpha: float
    temperature: float


def _shares(
    groups: SiblingGroups, answers: Answers, i: int, same: dict[int, int], temperature: float
) -> dict[int, dict[int, float]]:
    """Of one reference: group -> column -> share, of every step the teacher thinks possible."""
    tree = groups.taxonomy
    steps: dict[int, dict[int, float]] = {}
    for e in range(int(answers.start[i]), int(answers.start[i + 1])):
        node, p = same[int(answers.node[e])], float(answers.p[e])
        way = tree.path(node)
        columns = [int(groups.column_of_node[n]) for n in way]
        owners = [int(groups.group_of_node[tree.parent[n]]) for n in way]
        if (own := int(groups.group_of_node[node])) >= 0:
            columns.append(int(groups.stop[own]))
            owners.append(own)
        for group, column in zip(owners, columns, strict=True):
            shares = steps.setdefault(group, {})
            shares[column] = shares.get(column, 0.0) + p
    for shares in steps.values():
        mass = sum(shares.values())
        soft = {column: (p / mass) ** (1 / temperature) for column, p in shares.items()}
        total = sum(soft.values())
        shares.update((column, mass * s / total) for column, s in soft.items())
    return steps
