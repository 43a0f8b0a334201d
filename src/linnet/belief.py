"""Where each contig belongs, from its own label, its neighbours' labels and what a student says of its features.

For contig i with label y_i and neighbours j, of one genome with it with probability w_ij, and every candidate t:

    votes_i(t)  = sum_j log[w_ij P(y_j | t) + (1 - w_ij) P0(y_j)], tempered, since labels of one genome err alike
    posterior   ~ P(y_i | t) [(1 - a_i) v_i(t) + a_i prior(t)] (student_i(t) / prior(t))^g

where v is prior times exp(votes), normalised, and a_i the chance that all neighbours together are of another genome:
it is learnt with the channel, for contigs whose neighbours are as sure. P0 is a stranger's label. Candidates are the
taxa on the labels' paths, and all other taxa together: what falls to these is a place that is not known. Of them a
contig without a label says as much as any does; one with a label hardly anything, as seldom as labels go far astray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.channel import CUT, UNLABELLED, Channel, Observed, first_channel, learnt
from linnet.decode import LineageCache
from linnet.label_tree import LEVELS
from linnet.neighbours import Neighbours, run_blocks
from linnet.prediction import Prediction, Stopped

CANDIDATES = 28
"""Taxa weighed for a contig at most: those that most neighbours' labels lie in."""
SLOPE = (1.0, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4, 0.36)
OFFSET = (0.0, -0.5, 0.0, 0.0, -1.2, 0.3, 0.0, 0.0)
"""By level: the ln(p / (1 - p)) of a clade times SLOPE plus OFFSET is that of a calibrated confidence. Fitted on
simulated sets (docs/contigs.md)."""
STRANGERS = 0.02
"""Of neighbours that were found certain, how many are of another genome after all."""
SURE = 0.9
"""Probability from which a contig is taken for one of its species."""
SURENESS, FIRST = 10, 10
"""Into how many classes contigs are sorted by how sure they are of their first ten neighbours."""
ERRING = 0.001
"""Share of the labels that may be wrong where they are taken at their word."""
_BLOCK = 400


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much is made of each source; chosen on simulated sets (docs/contigs.md)."""

    votes: float = 12.0
    """Labels that any number of neighbours counts for at most."""
    astray: float = 0.02
    """Chance that all neighbours together are of another genome, before anything is learnt."""
    student: float = 0.25
    """Power of the student's probabilities."""
    own: float = 1.0
    """Power of the probability of the contig's own label."""
    rounds: int = 6
    """Rounds of expectation-maximisation."""
    pseudo: float = 100.0
    """Contigs that the channel's first shape counts for."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """What is learnt of all contigs together.

    Attributes:
        candidate_CM: int32, the taxa that each contig's truth may be, -1 after the last.
        channel: how labels arise.
        astray_C: float64, the chance that a contig's neighbours are all of another genome.
        stops: whether a contig may be new in a taxon of whose clade it has deeper candidates; else it is in one of
            these, or in a place that is not known.
    """

    candidate_CM: NDArray[np.int32]
    channel: Channel
    astray_C: NDArray[np.float64]
    stops: bool = True


@dataclass(frozen=True, eq=False)
class Belief:
    """Posteriors of C contigs over M candidates each.

    Attributes:
        candidate_CM: int32, taxa in depth-first order, -1 after the last.
        posterior_CM: float32, each row summing to 1: the contig's place is this taxon (of the last rank), or it is
            in its clade and new.
        stray_C: float64, how probable it is that the neighbours are all of another genome, the own label seen.
    """

    candidate_CM: NDArray[np.int32]
    posterior_CM: NDArray[np.float32]
    stray_C: NDArray[np.float64]

    def clades(self, ends: NDArray[np.integer]) -> NDArray[np.float64]:
        """float64 (C, M): the probability of each candidate's clade; `ends` are the tree's."""
        contigs, most = self.candidate_CM.shape
        sums = np.zeros((contigs, most + 1))
        np.cumsum(self.posterior_CM, axis=1, out=sums[:, 1:])
        big = np.iinfo(np.int32).max
        starts = np.where(self.candidate_CM >= 0, self.candidate_CM, big)
        stops = np.where(self.candidate_CM >= 0, ends[np.maximum(self.candidate_CM, 0)], 0)
        until = (starts[:, None, :] < stops[:, :, None]).sum(2)
        return np.asarray(np.take_along_axis(sums, until, 1) - sums[:, :most]).clip(0, 1)

    def sure_leaves(self, ends: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64 (C,): the leaf of the tree that a contig belongs to, if it is as probable as `SURE`, else -1."""
        best = self.posterior_CM.argmax(1)[:, None]
        node = np.take_along_axis(self.candidate_CM, best, 1)[:, 0].astype(np.int64)
        sure = (np.take_along_axis(self.posterior_CM, best, 1)[:, 0] > SURE) & (node > 0)
        return np.where(sure & (ends[node] == node + 1), node, -1)


def find_candidates(observed: Observed, neighbours: Neighbours) -> NDArray[np.int32]:
    """int32 (C, M): for each contig the taxa on its own and its neighbours' labels' paths, the heaviest M of them,
    in depth-first order, -1 after the last."""
    tree, n = observed.tree, len(observed.tree)
    contigs = len(tree.label_C)
    out = np.full((contigs, CANDIDATES), -1, np.int32)
    for a in range(0, contigs, 5 * _BLOCK):
        rows = np.arange(a, min(contigs, a + 5 * _BLOCK))
        member = np.concatenate([neighbours.index_CK[rows], rows[:, None]], 1)
        weight = np.concatenate([neighbours.same_CK[rows], np.ones((len(rows), 1), np.float32)], 1)
        path = tree.ancestor_NL[tree.label_C[member]]
        where = np.broadcast_to((rows - a)[:, None, None] * np.int64(n), path.shape)
        there = (path >= 0) & (weight > 0)[:, :, None]
        key, at = np.unique((where + path)[there], return_inverse=True)
        total = np.bincount(at, np.broadcast_to(weight[:, :, None], path.shape)[there])
        row, node = key // n, key % n
        order = np.lexsort((node, -total.round(6), row))
        kept = order[np.arange(len(order)) - np.searchsorted(row, row[order]) < CANDIDATES]
        kept.sort()
        out[a + row[kept], np.arange(len(kept)) - np.searchsorted(row[kept], row[kept])] = node[kept]
    return out


def learn(
    observed: Observed,
    neighbours: Neighbours,
    weights: Weights,
    threads: int,
    first: Channel | None = None,
    stops: bool = True,
) -> Learnt:
    """Channel and reliability of neighbours, by expectation-maximisation over all contigs.

    Args:
        first: what to begin with, and what is kept where there are no rounds; None: `first_channel`.
        stops: as `Learnt` has it.
    """
    prior = channel = first or first_channel()
    candidate_CM = find_candidates(observed, neighbours)
    sure_C = neighbours.same_CK[:, :FIRST].mean(1)
    edges = np.quantile(sure_C, np.arange(1, SURENESS) / SURENESS)
    class_C = np.searchsorted(edges, sure_C)
    named_C = observed.tree.label_C > 0
    members = np.bincount(class_C[named_C], minlength=SURENESS)
    astray_C = np.full(len(sure_C), weights.astray)
    for _ in range(weights.rounds):
        belief = believe(observed, neighbours, Learnt(candidate_CM, channel, astray_C, stops), weights, threads)
        channel = learnt(observed, candidate_CM, belief.posterior_CM, prior, weights.pseudo)
        stray = np.bincount(class_C[named_C], belief.stray_C[named_C], SURENESS)
        of_class = (stray + weights.pseudo * weights.astray) / (members + weights.pseudo)
        astray_C = of_class[class_C]
    return Learnt(candidate_CM, channel, astray_C, stops)


def labels_at_their_word() -> Channel:
    """Labels are right as far as they go, but for `ERRING` of them, which come as `first_channel` has it.

    As many are missing, and of the others as many end too early, as in `first_channel`.
    """
    usual = first_channel()
    table = np.zeros(usual.table_TADE.shape)
    table[0, 0, 0] = 1
    for truth in range(1, LEVELS):
        table[truth, 0, 0] = UNLABELLED
        above = np.arange(1, truth)
        table[truth, above, above] = (1 - UNLABELLED) * CUT / max(truth - 1, 1)
        table[truth, truth, truth] = (1 - UNLABELLED) * (1 - CUT if truth > 1 else 1)
    table /= table.sum(axis=(1, 2, 3), keepdims=True)
    return Channel((1 - ERRING) * table + ERRING * usual.table_TADE, usual.share_T)


def believe(
    observed: Observed,
    neighbours: Neighbours,
    known: Learnt,
    weights: Weights,
    threads: int,
    student_CM: NDArray[np.floating] | None = None,
) -> Belief:
    """The posterior of every contig.

    Args:
        student_CM: ln of the student's probability of each candidate over its prior.
    """
    candidate_CM, channel = known.candidate_CM, known.channel
    contigs, most = candidate_CM.shape
    prior_N, background_C = channel.log_prior(observed), observed.background()
    posterior_CM, stray_C = np.zeros((contigs, most), np.float32), np.zeros(contigs)
    sure, named_C = 1 - STRANGERS, observed.tree.label_C > 0
    far = channel.table_TADE[-1, 0, 1:].sum()  # how often a label is of another domain than the contig

    def work(start: int) -> None:
        rows = np.arange(start, min(contigs, start + _BLOCK))
        absent = candidate_CM[rows] < 0
        if not known.stops:
            absent |= _above_others(candidate_CM[rows], observed.tree.taxonomy.end)
        candidates = np.maximum(candidate_CM[rows], 0)
        member = neighbours.index_CK[rows]
        same = np.minimum(neighbours.same_CK[rows], sure)
        likelihood = np.exp(channel.log_likelihood(observed, candidates[:, :, None], member[:, None, :]))
        ratio = likelihood / background_C[member].astype(np.float32)[:, None, :]
        votes = np.log(same[:, None, :] * ratio + (1 - same)[:, None, :]).sum(2, dtype=np.float64)
        votes *= (weights.votes / (weights.votes + neighbours.same_CK[rows].sum(1)))[:, None]
        prior = np.where(absent, -np.inf, prior_N[candidates])
        rest = np.log(np.maximum(1 - np.exp(prior).sum(1), 1e-9))
        unnamed = np.where(named_C[member], 0, same)
        rest_votes = (
            np.log(unnamed + 1 - same).sum(1) * weights.votes / (weights.votes + neighbours.same_CK[rows].sum(1))
        )
        voted = _softmax(np.concatenate([votes + prior, (rest_votes + rest)[:, None]], 1))
        own = np.concatenate(
            [
                channel.log_likelihood(observed, candidates, rows[:, None]),
                np.log(background_C[rows] * np.where(named_C[rows], far, 1))[:, None],
            ],
            1,
        )
        by_votes = (1 - known.astray_C[rows])[:, None] * voted
        by_chance = known.astray_C[rows][:, None] * np.exp(np.concatenate([prior, rest[:, None]], 1))
        stray_C[rows] = (by_chance * np.exp(own)).sum(1) / ((by_votes + by_chance) * np.exp(own)).sum(1)
        with np.errstate(divide="ignore"):
            score = weights.own * own + np.log(by_votes + by_chance)
        if student_CM is not None:
            score[:, :most] += weights.student * student_CM[rows]
        score[:, :most][absent] = -np.inf
        posterior = _softmax(score)
        posterior[:, 0] += posterior[:, most]  # the first candidate is the root
        posterior_CM[rows] = posterior[:, :most]

    run_blocks(work, range(0, contigs, _BLOCK), threads)
    return Belief(candidate_CM, posterior_CM, stray_C)


def lineages(belief: Belief, observed: Observed, ids: Sequence[str]) -> list[Prediction]:
    """The most probable path of each contig, whole, with calibrated confidence, as `decode.descend` has it."""
    taxonomy = observed.tree.taxonomy
    lineage_of = LineageCache(taxonomy)
    clade_CM = belief.clades(taxonomy.end)
    predictions = []
    for id, candidates, clades, places in zip(ids, belief.candidate_CM, clade_CM, belief.posterior_CM, strict=True):
        position = {int(node): m for m, node in enumerate(candidates) if node >= 0}
        below: dict[int, list[int]] = {}
        for node in position:
            if node:
                below.setdefault(int(taxonomy.parent[node]), []).append(node)
        path, node = [], 0
        while node in below:
            node = max(below[node], key=lambda child: (clades[position[child]], -child))
            path.append(node)
        levels = [int(observed.tree.level_N[n]) for n in path]
        confidence = calibrated(levels, [float(clades[position[n]]) for n in path])
        novelty = [float(places[position[n]]) if n in below or n == 0 else 0.0 for n in (0, *path)]
        predictions.append(
            Prediction(
                id, lineage_of[node], tuple(confidence), tuple(novelty), cut=len(path),
                stopped=Stopped.NAMED if path else Stopped.UNSURE,
            )
        )  # fmt: skip
    return predictions


def calibrated(levels: Sequence[int], probabilities: Sequence[float]) -> list[float]:
    """Confidence of each clade down a path, never rising."""
    confidence, least = [], 1.0
    for level, p in zip(levels, probabilities, strict=True):
        p = min(max(p, 1e-7), 1 - 1e-7)
        least = min(least, 1 / (1 + math.exp(-(SLOPE[level] * math.log(p / (1 - p)) + OFFSET[level]))))
        confidence.append(least)
    return confidence


def _above_others(candidate_BM: NDArray[np.integer], ends: NDArray[np.integer]) -> NDArray[np.bool_]:
    """bool (B, M): candidates in whose clades other candidates lie; these follow them, in depth-first order."""
    above = np.zeros(candidate_BM.shape, bool)
    here, after = candidate_BM[:, :-1], candidate_BM[:, 1:]
    above[:, :-1] = (after >= 0) & (after < ends[here])
    return above


def _softmax(score: NDArray[np.floating]) -> NDArray[np.float64]:
    e = np.exp(score - score.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True), np.float64)
