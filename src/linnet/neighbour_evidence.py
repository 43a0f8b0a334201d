"""What neighbours say of a step down the tree, in figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.kin import Kin
from linnet.machine_code import compiled
from linnet.reference_kin import COPY, ENDS, ReferenceKin
from linnet.taxonomy import Taxonomy

CHILD, STEP = 14, 18
"""Numbers of figures of a child and of a step."""
AROUND = 4
"""More figures of each, where it is known how references lie among each other."""
VOTES = (0.3, 0.1, 0.02)
"""Of three ways to count votes: a neighbour that scores so much less counts for 1 / e."""
NOBODY = 0.02
"""The share of the votes from which a child counts."""
LEAST = 0.02
"""Scores below this are alike where their ratio is taken."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What neighbours say at S steps, of the C children that have any.

    Attributes:
        option_C: int64, which of the steps' options each child is, ascending.
        step_C: int64, which step it is of.
        child_CP: float32 (C, CHILD or CHILD + AROUND).
        step_SQ: float32 (S, STEP or STEP + AROUND).
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


class Witness:
    """What is asked of neighbours, on one tree with so many references.

    Args:
        nodes: (R,), the taxon of each reference.
        around: how the references lie among each other, where that is known.
    """

    def __init__(self, tree: Taxonomy, nodes: NDArray[np.integer], around: ReferenceKin | None = None) -> None:
        self.around = around or ReferenceKin.none()
        self.place = tree.level_place
        self.count_N = tree.clade_counts(nodes).astype(np.int64)
        self.depth = np.asarray(tree.depth, np.int64)
        self.child_start = np.asarray(tree.child_start, np.int64)

    def evidence(
        self,
        kin: Kin,
        records: NDArray[np.int64],
        nodes: NDArray[np.int64],
        net_F: NDArray[np.floating],
        start: NDArray[np.int64],
    ) -> Evidence:
        """What the gate is given.

        Of a child c, with s its highest neighbour and s' the highest of all those that are not in c: net(c); ln p(c) by
        the network; ln(1 + share / NOBODY) of its share in the votes of the neighbours below the taxon, three ways; s;
        s - s'; ln of s over the highest below the taxon, and the difference of the two; whether s > s'; ln(1 + its
        neighbours); its second highest; ln(1 + references in it); ln(1 + options of the step).

        Of a step, with s and s' as they are of the child with the highest score: net(stop); ln p(stop); s; s - s', and
        the same if positive; ln(s / s'); whether there is an s' and whether there is an s; shares of two votes; ln(1 +
        children with neighbours); ln(letters / 400); the highest e of the neighbours whose label ends at the taxon, and
        s - e; ln(1 + options); ln(1 + neighbours) of that child; its ln p by the network; ln(1 + references) of the
        taxon.

        Where it is known how references lie among each other, four more of a child, and of a step those of the child
        with the highest score. They are of the child's highest neighbour n, with t its likest other reference in the
        child and t' its likest elsewhere: s - t; s - t'; ln(1 + references in the child that are liker to n than the
        record is), ln(1 + those elsewhere), as far as n's neighbours are kept.

        A neighbour whose label ends at the taxon says nothing of what is below: it counts as e alone, and of n's not at
        all.

        Args:
            records, nodes: (S,), the record and the taxon of each step.
            net_F, start: the network's scores of the options, stopping the last of a step; where each step's begin
                (S + 1).
        """
        return Evidence(
            *_evidence(
                kin.way_BKD, kin.score_BK, kin.length_B, records, nodes.astype(np.int64), net_F.astype(np.float32),
                start, self.depth, self.place, self.child_start, self.count_N, kin.hits.reference_BK,
                self.around.likeness_RK, self.around.shared_RK,
            )
        )  # fmt: skip


@compiled
def _around(
    out: NDArray[np.float32], score: float, likeness_K: NDArray[np.uint8], shared_K: NDArray[np.uint8], depth: int
) -> None:
    """The AROUND figures of a child of a taxon at such a depth, whose highest neighbour has such a score and such
    neighbours of its own."""
    within = beyond = 0.0
    nearer_within = nearer_beyond = 0
    for h in range(len(likeness_K)):
        if likeness_K[h] == 0 or shared_K[h] == depth + ENDS:
            continue
        likeness = likeness_K[h] / COPY
        nearer = likeness > score + 0.5 / COPY
        if shared_K[h] % ENDS > depth:
            within, nearer_within = max(within, likeness), nearer_within + nearer
        else:
            beyond, nearer_beyond = max(beyond, likeness), nearer_beyond + nearer
    out[0], out[1] = score - within, score - beyond
    out[2], out[3] = math.log(1.0 + nearer_within), math.log(1.0 + nearer_beyond)


@compiled
def _evidence(
    way_BKD: NDArray[np.int32],
    score_BK: NDArray[np.float32],
    length_B: NDArray[np.float32],
    records: NDArray[np.int64],
    nodes: NDArray[np.int64],
    net_F: NDArray[np.float32],
    start: NDArray[np.int64],
    depth_N: NDArray[np.int64],
    place_N: NDArray[np.int64],
    child_start_N: NDArray[np.int64],
    count_N: NDArray[np.int64],
    reference_BK: NDArray[np.signedinteger],
    likeness_RK: NDArray[np.uint8],
    shared_RK: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """`Witness.evidence`, one step after another: `option_C`, `step_C`, `child_CP`, `step_SQ`."""
    steps, most = len(nodes), score_BK.shape[1]
    option_C, step_C = np.empty(steps * most, np.int64), np.empty(steps * most, np.int64)
    more = AROUND if likeness_RK.size else 0
    child_CP = np.zeros((steps * most, CHILD + more), np.float32)
    step_SQ = np.zeros((steps, STEP + more), np.float32)
    taxon_E, option_E, of_K = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    nearest_E = np.empty(most, np.int64)
    highest_E, second_E, count_E = np.empty(most), np.empty(most), np.empty(most)
    other_E, vote_VE = np.empty(most), np.empty((len(VOTES), most))
    found = 0
    for i in range(steps):
        b, node, first, stop = records[i], nodes[i], start[i], start[i + 1] - 1
        depth = depth_N[node]
        peak = net_F[first]
        for f in range(first, stop + 1):
            peak = max(peak, net_F[f])
        total = 0.0
        for f in range(first, stop + 1):
            total += math.exp(net_F[f] - peak)
        total = math.log(total)

        children, ended = 0, 0.0
        for h in range(most):
            of_K[h] = -1
            if score_BK[b, h] <= 0 or way_BKD[b, h, depth] != node:
                continue
            taxon = way_BKD[b, h, depth + 1]
            if taxon < 0:
                of_K[h] = -2  # its label ends here
                ended = max(ended, score_BK[b, h])
                continue
            c = 0
            while c < children and taxon_E[c] != taxon:
                c += 1
            if c == children:
                taxon_E[c], highest_E[c], second_E[c], count_E[c] = taxon, 0.0, 0.0, 0.0
                option_E[c] = first + place_N[taxon] - child_start_N[node]
                children += 1
            score = score_BK[b, h]
            of_K[h] = c
            count_E[c] += 1
            if score > highest_E[c]:
                highest_E[c], second_E[c], nearest_E[c] = score, highest_E[c], reference_BK[b, h]
            else:
                second_E[c] = max(second_E[c], score)
        top, leading = 0.0, -1
        for c in range(children):
            if highest_E[c] > top or (highest_E[c] == top and option_E[c] < option_E[leading]):
                top, leading = highest_E[c], c

        vote_VE[:, :children] = 0
        other_E[:children] = 0
        votes = np.zeros(len(VOTES))
        for h in range(most):
            score = score_BK[b, h]
            if score <= 0 or of_K[h] == -2:
                continue
            for c in range(children):
                if of_K[h] != c:
                    other_E[c] = max(other_E[c], score)
            if of_K[h] >= 0:
                for v in range(len(VOTES)):
                    vote = math.exp((score - top) / VOTES[v])
                    vote_VE[v, of_K[h]] += vote
                    votes[v] += vote

        options = math.log(1.0 + stop + 1 - first)
        for _ in range(children):  # in the order of the options
            c = -1
            for other in range(children):
                if option_E[other] >= 0 and (c < 0 or option_E[other] < option_E[c]):
                    c = other
            net = net_F[option_E[c]] - peak
            high = highest_E[c]
            out = child_CP[found]
            out[0], out[1] = net, net - total
            for v in range(len(VOTES)):
                out[2 + v] = math.log(1 + vote_VE[v, c] / votes[v] / NOBODY)
            out[5], out[6] = high, high - other_E[c]
            out[7], out[8] = math.log(max(high, LEAST) / max(top, LEAST)), high - top
            out[9], out[10], out[11] = high > other_E[c], math.log(1 + count_E[c]), second_E[c]
            out[12], out[13] = math.log(1.0 + count_N[taxon_E[c]]), options
            if more:
                _around(out[CHILD:], high, likeness_RK[nearest_E[c]], shared_RK[nearest_E[c]], depth)
            option_C[found], step_C[found] = option_E[c], i
            found += 1
            if c == leading:
                against, step = other_E[c], step_SQ[i]
                step[3], step[4] = high - against, max(high - against, 0.0)
                step[5] = math.log(max(high, LEAST) / max(against, LEAST))
                step[6], step[7] = against > 0, 1
                step[8], step[9] = vote_VE[1, c] / votes[1], vote_VE[2, c] / votes[2]
                step[15], step[16] = math.log(1 + count_E[c]), net - total
                step[STEP:] = out[CHILD:]
            option_E[c] = -1
        step = step_SQ[i]
        step[0], step[1], step[2] = net_F[stop] - peak, net_F[stop] - peak - total, top
        step[10], step[11] = math.log(1.0 + children), length_B[b]
        step[12], step[13], step[14] = ended, top - ended, options
        step[17] = math.log(1.0 + count_N[node])
    return option_C[:found].copy(), step_C[:found].copy(), child_CP[:found].copy(), step_SQ
