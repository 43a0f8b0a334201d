"""How much neighbours count beside a network, at each step down the tree.

At a taxon, for a protein with neighbours h of scores s(h), each option has a score; a softmax makes them probabilities.
With net the network's scores less the highest of the step:

    child c that has a neighbour:   net(c) + f(c, step, level)
    child that has none:            (1 + tanh p) net(c) + q       p, q = h(step, level)
    stop:                           net(stop) + g(step, level)

f, g and h are small networks (two hidden layers, GELU); every figure they are given is brought to mean 0 and deviation
1. f is given CHILD figures of the child and STEP of the step, g and h those of the step; `evidence` says which. A
protein of a known genus is nearer to one of its genus than to any other; one of a new genus is about as near to
several: hence the differences between the nearest in a child and the nearest elsewhere. Before anything is learnt f, g,
p and q are 0, and the network stands alone.

The scores are the mean of several members, each fitted on other proteins (`gate_fitting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.compact import gelu
from linnet.protein_neighbours import Hits
from linnet.taxonomy import Taxonomy

CHILD, STEP = 14, 18
"""Numbers of figures of a child and of a step."""
VOTES = (0.3, 0.1, 0.02)
"""Of three ways to count votes: a neighbour that scores so much less counts for 1 / e."""
NOBODY = 0.02
"""The share of the votes from which a child counts."""
LEAST = 0.02
"""Scores below this are alike where their ratio is taken."""
FAR = 5.0
"""A figure farther from its mean, in deviations, counts as if it were so far."""

Member = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Kin:
    """Neighbours of B proteins, with their ways down the tree.

    Attributes:
        way_BKD: int32, the taxon at each depth that a neighbour lies in, -1 below its label.
        score_BK: float32, 0 after the last neighbour.
        length_B: float32, ln(residues / 400).
    """

    way_BKD: NDArray[np.int32]
    score_BK: NDArray[np.float32]
    length_B: NDArray[np.float32]

    @classmethod
    def of(cls, hits: Hits, nodes: NDArray[np.integer], lengths: NDArray[np.integer], tree: Taxonomy) -> Kin:
        """Args:
        nodes: the taxon of each reference, as the tree has it.
        lengths: residues of the proteins.
        """
        at = np.where(hits.reference_BK >= 0, nodes[hits.reference_BK], 0).astype(np.int64)
        depth = tree.depth.astype(np.int64)
        way = np.full((*at.shape, int(depth.max(initial=0)) + 2), -1, np.int32)
        while True:
            np.put_along_axis(way, depth[at][:, :, None], at[:, :, None].astype(np.int32), 2)
            if not at.any():
                break
            at = tree.parent[at].astype(np.int64)
        return cls(way, hits.score_BK, np.log(np.maximum(lengths, 1) / 400).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What neighbours say at S steps, of the C children that have any.

    Attributes:
        option_C: int64, which of the steps' options each child is, ascending.
        step_C: int64, which step it is of.
        child_CP: float32 (C, CHILD).
        step_SQ: float32 (S, STEP).
    """

    option_C: NDArray[np.int64]
    step_C: NDArray[np.int64]
    child_CP: NDArray[np.float32]
    step_SQ: NDArray[np.float32]

    @classmethod
    def join(cls, parts: Sequence[Evidence], options: Sequence[int]) -> Evidence:
        """Those of several blocks of steps, with so many options each."""
        option = np.cumsum([0, *options])
        step = np.cumsum([0, *(len(p.step_SQ) for p in parts)])
        return cls(
            np.concatenate([p.option_C + a for p, a in zip(parts, option, strict=False)]),
            np.concatenate([p.step_C + a for p, a in zip(parts, step, strict=False)]),
            np.concatenate([p.child_CP for p in parts]),
            np.concatenate([p.step_SQ for p in parts]),
        )


def evidence(
    kin: Kin,
    tree: Taxonomy,
    place: NDArray[np.int64],
    count_N: NDArray[np.int64],
    records: NDArray[np.int64],
    nodes: NDArray[np.int64],
    net_F: NDArray[np.floating],
    start: NDArray[np.int64],
) -> Evidence:
    """What the gate is given.

    Of a child c, with s its highest neighbour and s' the highest of all those that are not in c: net(c); ln p(c) by the
    network; ln(1 + share / NOBODY) of its share in the votes of the neighbours below the taxon, three ways; s; s - s';
    ln of s over the highest below the taxon, and the difference of the two; whether s > s'; ln(1 + its neighbours); its
    second highest; ln(1 + references in it); ln(1 + options of the step).

    Of a step, with s and s' as they are of the child with the highest score: net(stop); ln p(stop); s; s - s', and the
    same if positive; ln(s / s'); whether there is an s' and whether there is an s; shares of two votes; ln(1 + children
    with neighbours); ln(residues / 400); the highest e of the neighbours whose label ends at the taxon, and s - e;
    ln(1 + options); ln(1 + neighbours) of that child; its ln p by the network; ln(1 + references) of the taxon.

    A neighbour whose label ends at the taxon says nothing of what is below: it counts as e alone.

    Args:
        place: where each taxon stands in level order.
        count_N: references in the clade of each taxon.
        records, nodes: (S,), the protein and the taxon of each step.
        net_F, start: the network's scores of the options, stopping the last of a step; where each step's begin (S + 1).
    """
    sizes, steps = np.diff(start), len(nodes)
    highest = np.maximum.reduceat(net_F, start[:-1])
    net = (net_F - np.repeat(highest, sizes)).astype(np.float64)
    log_p = net - np.repeat(np.log(np.add.reduceat(np.exp(net), start[:-1])), sizes)

    depth = tree.depth[nodes].astype(np.int64)[:, None, None]
    way, score = kin.way_BKD[records], kin.score_BK[records].astype(np.float64)
    inside = (np.take_along_axis(way, depth, 2)[:, :, 0] == nodes[:, None]) & (score > 0)
    child = np.take_along_axis(way, depth + 1, 2)[:, :, 0].astype(np.int64)
    below, ends = inside & (child >= 0), inside & (child < 0)

    step_M = np.repeat(np.arange(steps), below.sum(1))  # every neighbour below the taxon of a step, by child
    option_M = start[step_M] + place[child[below]] - tree.child_start[nodes].astype(np.int64)[step_M]
    order = np.lexsort((-score[below], option_M))
    option_M, step_M, score_M, child_M = option_M[order], step_M[order], score[below][order], child[below][order]
    first = np.flatnonzero(np.diff(option_M, prepend=-1))
    of_M = np.cumsum(np.diff(option_M, prepend=-1) != 0) - 1
    option, step, taxon, s = option_M[first], step_M[first], child_M[first], score_M[first]
    count = np.diff(np.append(first, len(option_M)))
    second = np.where(count > 1, np.append(score_M, 0.0)[first + 1], 0.0)
    top = np.zeros(steps)
    np.maximum.at(top, step, s)
    shares = [_shares(np.exp((score_M - top[step_M]) / t), of_M, step, steps) for t in VOTES]
    elsewhere = np.where(ends[step] | (below[step] & (child[step] == taxon[:, None])), 0, score[step])
    other = elsewhere.max(1, initial=0.0)
    behind = s - top[step]
    votes = [np.log1p(share / NOBODY) for share in shares]
    ratio = np.log(np.maximum(s, LEAST) / np.maximum(top[step], LEAST))
    references, options = np.log1p(count_N[taxon]), np.log1p(sizes)
    child_figures = [
        net[option], log_p[option], *votes, s, s - other, ratio, behind, s > other, np.log1p(count), second, references,
        options[step],
    ]  # fmt: skip

    leading = np.full(steps, -1)  # the child with the highest score, the first of equals
    in_order = np.lexsort((-s, step))
    leads = np.flatnonzero(np.diff(step[in_order], prepend=-1))
    leading[step[in_order][leads]] = in_order[leads]
    has, stop = leading >= 0, start[1:] - 1

    def of_leading(figure: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.append(figure, 0.0)[leading])  # -1, where there is none, is the last: 0

    against, ended = of_leading(other), np.where(ends, score, 0).max(1, initial=0.0)
    step_figures = [
        net[stop], log_p[stop], top, top - against, np.maximum(top - against, 0),
        np.log(np.maximum(top, LEAST) / np.maximum(against, LEAST)), against > 0, has,
        of_leading(shares[1]), of_leading(shares[2]), np.log1p(np.bincount(step, minlength=steps)),
        kin.length_B[records], ended, top - ended, options, of_leading(np.log1p(count)), of_leading(log_p[option]),
        np.log1p(count_N[nodes]),
    ]  # fmt: skip
    child_CP = np.stack(child_figures, 1).astype(np.float32)
    return Evidence(option, step, child_CP, np.stack(step_figures, 1).astype(np.float32))


def _shares(
    vote_M: NDArray[np.float64], child_M: NDArray[np.int64], step_C: NDArray[np.int64], steps: int
) -> NDArray[np.float64]:
    """(C,): each child's share of its step's votes."""
    vote_C = np.bincount(child_M, vote_M, len(step_C))
    return np.asarray(vote_C / np.bincount(step_C, vote_C, steps)[step_C], np.float64)


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
