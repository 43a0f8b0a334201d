"""How much neighbours count beside a network, at each step down the tree.

At taxon n, for a protein with neighbours h of scores s(h), each option has a score; a softmax makes them probabilities:

    child c:  a0 net(c) + a1 ln(1 + V(c) / e) + a2 ln(1 + W(c) / e) + a3 [c has a neighbour] + a4 m(c)
    stop:     b0 net(stop) + b1 + b2 s + b3 m + b4 V + b5 ln(max(s, f) / max(s', f)) + b6 [s' > 0]
              + b7 ln(length / 400) + b8 [s > 0]

V(c) and W(c) are the shares of child c in the votes of the neighbours below n, each of weight exp(s(h) / t) with two
temperatures t. s is the highest score below n, s' the highest of all neighbours outside the child with s, V (of stop)
that child's share, and m = max(0, s - s') counts for that child alone. A protein of a known genus is nearer to one of
its genus than to any other; one of a new genus is about as near to several: m tells them apart.

The weights a and b are fitted level by level, on proteins held out at random and with their clades; those of a level
with few steps are drawn to those of all levels together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.protein_neighbours import Hits
from linnet.sibling_groups import ranges
from linnet.taxonomy import Taxonomy

CHILD, STOP = 5, 9
"""Numbers of weights: a0 to a4, b0 to b8."""
VOTES = (0.1, 0.02)
"""t of V and of W: a neighbour that scores so much less counts for 1 / e."""
NOBODY = 0.02
"""e: the share of the votes from which a child counts."""
LEAST = 0.02
"""f: scores below this are alike."""
SHRINK = 20.0
"""Strength of the pull of a level's weights to those of all levels, in units of one step's evidence."""
FEWEST = 20
"""Steps that a level must have for weights of its own."""


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


def features(
    kin: Kin,
    tree: Taxonomy,
    place: NDArray[np.int64],
    records: NDArray[np.int64],
    nodes: NDArray[np.int64],
    net_F: NDArray[np.floating],
    start: NDArray[np.int64],
) -> NDArray[np.float32]:
    """float32 (F, CHILD + STOP): what the weights multiply, of each option of S steps, children in order, stop last.

    Args:
        place: where each taxon stands in level order.
        records, nodes: (S,), the protein and the taxon of each step.
        net_F, start: the network's scores of the options, ragged, and where each step's begin (S + 1).
    """
    depth = tree.depth[nodes].astype(np.int64)[:, None, None]
    way = kin.way_BKD[records]
    score = kin.score_BK[records]
    inside = (np.take_along_axis(way, depth, 2)[:, :, 0] == nodes[:, None]) & (score > 0)
    child = np.take_along_axis(way, depth + 1, 2)[:, :, 0].astype(np.int64)
    below = inside & (child >= 0)
    column = np.where(below, place[np.maximum(child, 0)] - tree.child_start[nodes].astype(np.int64)[:, None], -1)
    highest = np.where(below, score, 0).max(1)
    flat = (start[:-1, None] + column)[below]
    behind = score - highest[:, None]
    shares = [_shares(np.where(below, np.exp(behind / t), 0), flat, below, len(net_F)) for t in VOTES]
    first = np.where(below, score, -1).argmax(1)  # the best below the taxon
    best = np.take_along_axis(column, first[:, None], 1)
    other = np.where(below & (column == best), 0, score).max(1)
    any_ = below.any(1)
    margin = np.where(any_, np.maximum(highest - other, 0), 0)
    at_best = (start[:-1] + best[:, 0])[any_]
    share = np.zeros(len(nodes))
    share[any_] = shares[0][at_best]
    x = np.zeros((len(net_F), CHILD + STOP), np.float32)
    x[:, 0] = net_F
    x[:, 1], x[:, 2] = (np.log1p(of / NOBODY) for of in shares)
    x[flat, 3] = 1
    x[at_best, 4] = margin[any_]
    stop = start[1:] - 1
    x[stop, 0] = 0
    x[stop, CHILD:] = np.stack(
        [
            net_F[stop],
            np.ones(len(nodes)),
            highest,
            margin,
            share,
            np.log(np.maximum(highest, LEAST) / np.maximum(other, LEAST)),
            other > 0,
            kin.length_B[records],
            any_,
        ],
        axis=1,
    )
    return x


def _shares(
    vote_SK: NDArray[np.floating], flat: NDArray[np.int64], below_SK: NDArray[np.bool_], options: int
) -> NDArray[np.float64]:
    """(F,): each option's share of its step's votes."""
    vote_SK = vote_SK / np.maximum(vote_SK.sum(1, keepdims=True), 1e-9)
    return np.asarray(np.bincount(flat, vote_SK[below_SK], options), np.float64)


@dataclass(frozen=True, eq=False)
class Gate:
    """The weights: float32 (levels, CHILD + STOP)."""

    weight_LP: NDArray[np.float32]

    def scores(
        self, x_FP: NDArray[np.float32], start: NDArray[np.int64], level_S: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """(F,): what the options come to, of steps at such levels."""
        weight_SP = self.weight_LP[np.minimum(level_S, len(self.weight_LP) - 1)]
        return np.asarray((x_FP * np.repeat(weight_SP, np.diff(start), axis=0)).sum(1))


_NETWORK = np.zeros(CHILD + STOP)
_NETWORK[[0, CHILD]] = 1
"""Weights that leave the network by itself."""


def fit(
    x_FP: NDArray[np.float32],
    start: NDArray[np.int64],
    target_S: NDArray[np.int64],
    level_S: NDArray[np.int64],
    weight_S: NDArray[np.float64],
    levels: int,
) -> Gate:
    """The weights that make the right options likeliest.

    Args:
        x_FP, start: as `features` has them, of S steps.
        target_S: the right option of each.
        weight_S: what each counts for.
    """
    of_all = _fit(x_FP, start, target_S, weight_S, _NETWORK, 1.0)
    found = []
    for level in range(levels):
        here = np.flatnonzero(level_S == level)
        size = np.diff(start)[here]
        if len(here) < FEWEST:
            found.append(of_all)
            continue
        some = np.concatenate([[0], np.cumsum(size)])
        found.append(_fit(x_FP[ranges(start[here], size)], some, target_S[here], weight_S[here], of_all, SHRINK))
    return Gate(np.array(found, np.float32))


def _fit(
    x_FP: NDArray[np.float32],
    start: NDArray[np.int64],
    target_S: NDArray[np.int64],
    weight_S: NDArray[np.float64],
    around: NDArray[np.float64],
    pull: float,
) -> NDArray[np.float64]:
    """Weights (P,), by Newton's method with step halving; drawn to `around`."""
    theta = around.copy()
    value, gradient, hessian = _likelihood(x_FP, start, target_S, weight_S, theta, around, pull)
    for _ in range(50):
        move = np.linalg.solve(hessian, gradient)
        while True:
            found = _likelihood(x_FP, start, target_S, weight_S, theta - move, around, pull)
            if found[0] <= value or np.abs(move).max() < 1e-6:
                break
            move /= 2
        gained, theta = value - found[0], theta - move
        value, gradient, hessian = found
        if gained < 1e-4:
            break
    return theta


def _likelihood(
    x_FP: NDArray[np.float32],
    start: NDArray[np.int64],
    target_S: NDArray[np.int64],
    weight_S: NDArray[np.float64],
    theta: NDArray[np.float64],
    around: NDArray[np.float64],
    pull: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Penalised -log likelihood of the right options, its gradient (P,) and Hessian (P, P)."""
    first, size = start[:-1], np.diff(start)
    logit = x_FP.astype(np.float64) @ theta
    top = np.maximum.reduceat(logit, first)
    p = np.exp(logit - np.repeat(top, size))
    total = np.add.reduceat(p, first)
    p /= np.repeat(total, size)
    right = first + target_S
    loss = weight_S @ (np.log(total) + top - logit[right])
    mean = np.add.reduceat(p[:, None] * x_FP, first, axis=0)
    gradient = weight_S @ (mean - x_FP[right])
    hessian = x_FP.T @ ((p * np.repeat(weight_S, size))[:, None] * x_FP) - mean.T @ (weight_S[:, None] * mean)
    away = theta - around
    return (
        float(loss + 0.5 * pull * away @ away),
        gradient + pull * away,
        hessian + pull * np.eye(len(theta)),
    )
