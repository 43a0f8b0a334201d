"""How much neighbours count beside a network, at each step down the tree.

At a taxon, for a record with neighbours h of scores s(h), each option has a score; a softmax makes them probabilities.
With net the network's scores less the highest of the step:

    child c that has a neighbour:   net(c) + f(c, step, level)
    child that has none:            (1 + tanh p) net(c) + q       p, q = h(step, level)
    stop:                           net(stop) + g(step, level)

f, g and h are small networks (two hidden layers, GELU); every figure they are given is brought to mean 0 and deviation
1. f is given figures of the child and of the step, g and h those of the step; `neighbour_evidence` says which. A record
of a known genus is nearer to one of its genus than to any other; one of a new genus is about as near to several: hence
the differences between the nearest in a child and the nearest elsewhere. Before anything is learnt f, g, p and q are 0,
and the network stands alone.

The scores are the mean of the members, which are fitted on different records (`gate_fitting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.layers import gelu
from linnet.neighbour_evidence import Evidence

FAR = 5.0
"""A figure farther from its mean, in deviations, counts as if it were so far."""

Member = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Gate:
    """The members' weights, by the names that `gate_fitting.Member` gives them."""

    members: tuple[Member, ...]

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> Gate | None:
        """From what `tensors` gave; None where there is none."""
        members: dict[str, dict[str, NDArray[np.float32]]] = {}
        for name, array in tensors.items():
            if name.startswith("gate."):
                _, number, rest = name.split(".", 2)
                members.setdefault(number, {})[rest] = np.asarray(array, np.float32)
        return cls(tuple(members[number] for number in sorted(members, key=int))) if members else None

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Arrays by name, as a checkpoint keeps them."""
        return {f"gate.{i}.{name}": array for i, member in enumerate(self.members) for name, array in member.items()}

    def scores(
        self, net_F: NDArray[np.floating], start: NDArray[np.int64], of: Evidence, level_S: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """(F,): what the options come to, of steps at such levels."""
        each = [member_scores(member, net_F, start, of, level_S) for member in self.members]
        return np.asarray(sum(each) / np.float32(len(each)), np.float32)


def member_scores(
    w: Member, net_F: NDArray[np.floating], start: NDArray[np.int64], of: Evidence, level_S: NDArray[np.integer]
) -> NDArray[np.float32]:
    """(F,): what the options come to by one member."""
    sizes = np.diff(start)
    net = (net_F - np.repeat(np.maximum.reduceat(net_F, start[:-1]), sizes)).astype(np.float32)
    level = w["level.weight"][np.minimum(level_S, len(w["level.weight"]) - 1)]
    step = np.concatenate([_usual(w, "step", of.step_SQ), level], 1)
    child = np.concatenate([_usual(w, "child", of.child_CP), step[of.step_C]], 1)
    scale, offset = _small(w, "others", step).T
    found = np.repeat(1 + np.tanh(scale), sizes) * net + np.repeat(offset, sizes)
    found[of.option_C] = net[of.option_C] + _small(w, "child", child)[:, 0]
    stop = start[1:] - 1
    found[stop] = net[stop] + _small(w, "stop", step)[:, 0]
    return np.asarray(found, np.float32)


def _usual(w: Member, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Figures in deviations from what is usual, FAR at most."""
    return np.asarray(np.clip((x - w[f"{name}_mean"]) / w[f"{name}_scale"], -FAR, FAR), np.float32)


def _small(w: Member, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two hidden layers and what comes out (rows, outputs)."""
    for layer in (0, 2):
        x = gelu(x @ w[f"{name}.{layer}.weight"].T + w[f"{name}.{layer}.bias"])
    return np.asarray(x @ w[f"{name}.4.weight"].T + w[f"{name}.4.bias"], np.float32)
