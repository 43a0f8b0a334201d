"""Several models as one: their walkers together, and the references that they share looked through once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from linnet.walk import Fan, Walker


class HasIndex(Protocol):
    """A network that may keep references."""

    index: Any
    """What has `tensors` and `make_ready`, as `GeneIndex`; or None."""


N = TypeVar("N", bound=HasIndex)


class Mean:
    """Several walkers as one: the mean of their probabilities of each way, as far as it has come.

    A state holds each one's own, and how probable each finds the way so far: by these its next answer is weighed.
    """

    def __init__(self, walkers: Sequence[Walker]) -> None:
        self.taxonomy, self.forced, self.walkers = walkers[0].taxonomy, walkers[0].forced, walkers

    def begin(self) -> list[Any]:
        states = zip(*(w.begin() for w in self.walkers), strict=True)
        return [(state, np.zeros(len(self.walkers)), -1) for state in states]

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        steps = [w.step([s[0][m] for s in states], nodes) for m, w in enumerate(self.walkers)]
        start = steps[0][0].start
        before = np.array([_way(s, int(n), self.taxonomy) for s, n in zip(states, nodes, strict=True)])
        log_FM = np.stack([np.asarray(fan.log_F, np.float64) for fan, _ in steps], 1)
        sizes = np.diff(start)
        joint = log_FM + np.repeat(before, sizes, axis=0)
        log_F = np.logaddexp.reduce(joint, 1) - np.repeat(np.logaddexp.reduce(before, 1), sizes)
        after = []
        for r, node in enumerate(nodes.tolist()):
            fans = log_FM[start[r] : start[r + 1]]
            after.append((tuple(s[r] for _, s in steps), before[r], (node, fans)))
        return Fan(log_F, start), after


def _way(state: Any, node: int, taxonomy: Any) -> NDArray[np.float64]:
    """ln of how probable each member finds the way to a taxon (members,)."""
    _, before, came = state
    if came == -1:
        return np.asarray(before)
    parent, fans = came
    while int(taxonomy.parent[node]) != parent:  # passed without asking, from the child that was chosen
        node = int(taxonomy.parent[node])
    return np.asarray(before + fans[int(np.flatnonzero(taxonomy.children(parent) == node)[0])])


def sharing(networks: Sequence[N]) -> list[N]:
    """Networks that keep the same references are given one index of them, ready to be searched; one network of each."""
    firsts: list[N] = []
    for network in networks:
        if network.index is None:
            continue
        same = (first.index for first in firsts if _same(network.index.tensors(), first.index.tensors()))
        if (index := next(same, None)) is not None:
            network.index = index
        else:
            network.index.make_ready()
            firsts.append(network)
    return firsts


def _same(a: Mapping[str, NDArray[np.generic]], b: Mapping[str, NDArray[np.generic]]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
