"""What makes a compact network's scores mean what they say: the neighbours' gate and the calibration, learnt from what
the networks of several rounds say of the references that each has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linnet import calibrate, gate_fitting, walk
from linnet.calibrate import Calibration, Steps, length_feature
from linnet.compact import CompactNetwork
from linnet.decode import LineageCache
from linnet.families.rrna import References, Views
from linnet.gate_fitting import Lesson
from linnet.kmers import BLOCK
from linnet.neighbour_evidence import Evidence
from linnet.neighbour_gate import Gate
from linnet.prediction import Prediction
from linnet.preparation import Prepared, subset, views

STEPS = 15_000
"""Steps of one level that are learnt from, of all rounds together; of more, some are drawn."""
PASSES = 30
"""Of the gate's fit."""


@dataclass(frozen=True, eq=False)
class Round:
    """What the network of one round says of the references set aside in it.

    Attributes:
        steps: on the ways to their taxa.
        evidence: what their neighbours say; None: none are asked.
        record_S: int64, the reference that each step is of, by its number among all.
    """

    steps: Steps
    evidence: Evidence | None
    record_S: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Learnt:
    """Gate and calibration.

    Attributes:
        gate: for use; None where no neighbours are asked.
        members: gates that have each seen some of the references only; () without neighbours.
        member_R: int64, which of these has not seen each reference.
    """

    gate: Gate | None
    members: tuple[Gate, ...]
    member_R: NDArray[np.int64]
    calibration: Calibration


def ask(network: CompactNetwork, prepared: Prepared, seen: Views, most: int, random: np.random.Generator) -> Round:
    """What a round's network, and their neighbours, say of views of the references set aside, decoys among them.

    Args:
        network: fitted on the others, and with an index of these if neighbours are to be asked.
        most: steps of one level.
    """
    aside, groups = np.flatnonzero(~prepared.fitted), network.groups
    data = subset(prepared.data, ~prepared.fitted)
    texts, nodes, new = views(References(data.sequences, seen), data, np.arange(len(aside)), random)
    natural = prepared.natural[aside] | (nodes == 0)
    record, group, target = _ways(network, nodes, new)
    level_of_group = groups.level_of_column[groups.start[:-1]].astype(np.int64)
    chosen = _some(level_of_group[group], most, random)
    record, group, target = record[chosen], group[chosen], target[chosen]
    parts: list[Steps] = []
    evidence: list[Evidence] = []
    for low in range(0, len(texts), BLOCK):
        a, z = np.searchsorted(record, [low, low + BLOCK])
        if a == z:
            continue
        reading = network.reader.read(texts[low : low + BLOCK], "forward")
        walker = network.walker_of(reading)
        rows, at, level = record[a:z] - low, groups.owner[group[a:z]].astype(np.int64), level_of_group[group[a:z]]
        score, start = walker.scores(rows, at)
        if network.index is not None:
            evidence.append(walker.evidence(rows, at, score, start))
        stopped = target[a:z] == np.diff(start) - 1
        x = length_feature(reading.kmers_B)[rows]
        parts.append(Steps(score, start, target[a:z], level, x, stopped, natural[record[a:z]]))
    of_all = Evidence.join(evidence, [len(p.score) for p in parts]) if evidence else None
    return Round(Steps.join(parts), of_all, aside[record])


def learn(rounds: Sequence[Round], references: int, levels: int, shortest: int, seed: int) -> Learnt:
    """Gate and calibration from what was said in all rounds.

    Each reference is judged for the calibration by a gate that has not seen it.

    Args:
        references: how many there are in all.
        levels: of the tree.
        shortest: bases of the shortest read that is to be judged.
    """
    if not any(len(r.steps.target) for r in rounds):
        return Learnt(None, (), np.zeros(references, np.int64), Calibration.none(levels, shortest // 2))
    steps = Steps.join([r.steps for r in rounds])
    record_S = np.concatenate([r.record_S for r in rounds])
    member_R = np.zeros(references, np.int64)
    gate: Gate | None = None
    members: tuple[Gate, ...] = ()
    evidence = [(r.evidence, len(r.steps.score)) for r in rounds if r.evidence is not None]
    if evidence:
        of = Evidence.join([e for e, _ in evidence], [n for _, n in evidence])
        lesson = Lesson(steps.score, steps.start, of, steps.target, steps.level, record_S)
        several, unseen_F, member_S = gate_fitting.fit(lesson, PASSES, seed)
        steps, member_R[record_S] = replace(steps, score=unseen_F), member_S
        gate, members = gate_fitting.fit_one(lesson, PASSES, seed), tuple(Gate((m,)) for m in several.members)
    calibration = calibrate.fit(steps, levels)
    return Learnt(gate, members, member_R, replace(calibration, kmers=shortest // 2))


def answers(
    network: CompactNetwork, learnt: Learnt, prepared: Prepared, seen: Views, random: np.random.Generator
) -> Iterator[Prediction]:
    """What is said of views of the references set aside in a round, by gates that have not seen them."""
    aside, cache = np.flatnonzero(~prepared.fitted), LineageCache(network.taxonomy)
    references = References([prepared.texts[i] for i in aside.tolist()], seen)
    texts = [references.draw(i, random) for i in range(len(aside))]
    network.calibration = learnt.calibration.stretch(network.groups.levels)
    for number, gate in enumerate(learnt.members or (None,)):
        network.gate = gate
        rows = np.flatnonzero(learnt.member_R[aside] == number).tolist()
        for low in range(0, len(rows), BLOCK):
            block = rows[low : low + BLOCK]
            reading = network.reader.read([texts[i] for i in block], "forward")
            ids = [prepared.ids[aside[i]] for i in block]
            walks = walk.descend(network.walker_of(reading))
            yield from walk.predictions(walks, ids, cache, reading.strand)


def _ways(
    network: CompactNetwork, nodes: NDArray[np.int64], new: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The steps on the ways to taxa: which of the taxa's, the group, and the right option in it."""
    found = [
        (record, group, column - int(network.groups.start[group]))
        for record, (node, is_new) in enumerate(zip(nodes.tolist(), new.tolist(), strict=True))
        for group, column in network.groups.steps(node, new=is_new)
    ]
    record, group, target = np.array(found, np.int64).reshape(-1, 3).T
    return record, group, target


def _some(level_S: NDArray[np.int64], most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """At most so many steps of each level, ascending."""
    shuffled = random.permutation(len(level_S))
    chosen = [shuffled[level_S[shuffled] == level][:most] for level in np.unique(level_S)]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)
