"""Fitting the gate between network and neighbours (`neighbour_gate`), on records that neither has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet import neighbour_gate
from linnet.losses import log_total
from linnet.neighbour_evidence import Evidence
from linnet.neighbour_gate import FAR, Gate, member_scores
from linnet.ragged import ranges

MEMBERS = 3
"""Members, each fitted on all records but its own share of them."""
HIDDEN = 48
LEVEL = 8
"""Width of the hidden layers, and of what stands for the level."""
FEWEST = 20
"""Steps that a level must have to be told apart; deeper ones are as the last that has them."""
BATCH, RATE, DECAY = 4096, 3e-3, 1e-3
"""Steps in a batch; AdamW's highest learning rate, one cycle; its weight decay."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """S steps whose right answer is known, over F options.

    Attributes:
        net_F, start: the network's scores, and where each step's begin (S + 1).
        evidence: what neighbours say.
        target_S: int64, the right option, counted from the step's first.
        level_S: int64.
        record_S: int64, the record that each step is of.
    """

    net_F: NDArray[np.float32]
    start: NDArray[np.int64]
    evidence: Evidence
    target_S: NDArray[np.int64]
    level_S: NDArray[np.int64]
    record_S: NDArray[np.int64]


class Member(nn.Module):
    """One member."""

    child_mean: Tensor
    child_scale: Tensor
    step_mean: Tensor
    step_scale: Tensor

    def __init__(self, of: Evidence, levels: int) -> None:
        super().__init__()
        for name, x in (("child", of.child_CP), ("step", of.step_SQ)):
            some = x if len(x) else np.zeros((1, x.shape[1]), np.float32)
            self.register_buffer(f"{name}_mean", torch.from_numpy(some.mean(0)))
            self.register_buffer(f"{name}_scale", torch.from_numpy(some.std(0) + 1e-3))
        self.level = nn.Embedding(levels, LEVEL)
        child, step = of.child_CP.shape[1], of.step_SQ.shape[1]
        self.child, self.stop, self.others = (_small(n, m) for n, m in ((child + step, 1), (step, 1), (step, 2)))

    def forward(self, batch: Batch) -> Tensor:
        """(F,): as `neighbour_gate.member_scores`."""
        usual = ((batch.step_SQ - self.step_mean) / self.step_scale).clamp(-FAR, FAR)
        step = torch.cat([usual, self.level(batch.level_S)], 1)
        usual = ((batch.child_CP - self.child_mean) / self.child_scale).clamp(-FAR, FAR)
        child = torch.cat([usual, step[batch.step_C]], 1)
        others = self.others(step)[batch.step_F]
        found = (1 + torch.tanh(others[:, 0])) * batch.net_F + others[:, 1]
        found = found.index_copy(0, batch.option_C, batch.net_F[batch.option_C] + self.child(child)[:, 0])
        found = found.index_copy(0, batch.stop_S, batch.net_F[batch.stop_S] + self.stop(step)[:, 0])
        return torch.as_tensor(found)

    def arrays(self) -> neighbour_gate.Member:
        return {name: t.detach().numpy().astype(np.float32) for name, t in self.state_dict().items()}


def _small(figures: int, outputs: int) -> nn.Sequential:
    """Two hidden layers; 0 comes out at first."""
    gelu = nn.GELU(approximate="tanh")
    last = nn.Linear(HIDDEN, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(figures + LEVEL, HIDDEN), gelu, nn.Linear(HIDDEN, HIDDEN), gelu, last)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some steps of a lesson, numbered anew; `net_F` less the highest of each step."""

    net_F: Tensor
    step_F: Tensor
    stop_S: Tensor
    option_C: Tensor
    step_C: Tensor
    child_CP: Tensor
    step_SQ: Tensor
    level_S: Tensor
    right_S: Tensor

    @classmethod
    def of(cls, lesson: Lesson, steps: NDArray[np.int64]) -> Batch:
        """Args:
        steps: which, ascending.
        """
        first, of = lesson.start[steps], lesson.evidence
        size = lesson.start[steps + 1] - first
        start = np.concatenate([[0], np.cumsum(size)])
        net = lesson.net_F[ranges(first, size)]
        net = net - np.repeat(np.maximum.reduceat(net, start[:-1]), size)
        low, high = np.searchsorted(of.step_C, steps), np.searchsorted(of.step_C, steps, side="right")
        children = ranges(low, high - low)
        step = np.repeat(np.arange(len(steps)), high - low)
        option = of.option_C[children] - first[step] + start[:-1][step]
        arrays = (
            net, np.repeat(np.arange(len(steps)), size), start[1:] - 1, option, step, of.child_CP[children],
            of.step_SQ[steps], lesson.level_S[steps], start[:-1] + lesson.target_S[steps],
        )  # fmt: skip
        return cls(*map(torch.from_numpy, arrays))


def fit_one(lesson: Lesson, passes: int, seed: int) -> Gate:
    """A gate of a single member, fitted on all records."""
    return Gate((_fit(lesson, np.arange(len(lesson.level_S)), _levels(lesson), passes, seed),))


def fit(lesson: Lesson, passes: int, seed: int) -> tuple[Gate, NDArray[np.float32], NDArray[np.int64]]:
    """The gate that makes the right options likeliest; what the options come to (F,), by the member that has not seen
    the record, to calibrate on; and which member that is (S,).

    Records are dealt out among the members by chance; each member is fitted on those of the others.
    """
    records, of = np.unique(lesson.record_S, return_inverse=True)
    own_S = np.random.default_rng(seed).permutation(np.arange(len(records)) % MEMBERS)[of]
    levels = _levels(lesson)
    members, unseen_F = [], np.empty_like(lesson.net_F)
    for number in range(MEMBERS):
        member = _fit(lesson, np.flatnonzero(own_S != number), levels, passes, seed + number)
        members.append(member)
        own_F = np.repeat(own_S == number, np.diff(lesson.start))
        unseen_F[own_F] = member_scores(member, lesson.net_F, lesson.start, lesson.evidence, lesson.level_S)[own_F]
    return Gate(tuple(members)), unseen_F, own_S


def _levels(lesson: Lesson) -> int:
    """How many levels are told apart."""
    return int(np.flatnonzero(np.bincount(lesson.level_S) >= FEWEST).max(initial=0)) + 1


def _fit(lesson: Lesson, steps: NDArray[np.int64], levels: int, passes: int, seed: int) -> neighbour_gate.Member:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    member = Member(lesson.evidence, levels)
    level_S = np.minimum(lesson.level_S, levels - 1)
    lesson = Lesson(lesson.net_F, lesson.start, lesson.evidence, lesson.target_S, level_S, lesson.record_S)
    optimizer = torch.optim.AdamW(member.parameters(), lr=RATE, weight_decay=DECAY)
    batches = -(-len(steps) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=passes * batches + 1)
    for _ in range(passes):
        order = random.permutation(steps)
        for low in range(0, len(order), BATCH):
            batch = Batch.of(lesson, np.sort(order[low : low + BATCH]))
            score_F = member(batch)
            loss = (log_total(score_F, batch.step_F, len(batch.right_S)) - score_F[batch.right_S]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return member.arrays()
