"""What makes a protein network's scores mean what they say: the neighbours' gate and the calibration, on proteins set
aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linnet import calibrate, gate_fitting, walk
from linnet.calibrate import Steps
from linnet.compact_lineage import CompactLineageNetwork
from linnet.decode import LineageCache
from linnet.families.proteins import ProteinModel, Views
from linnet.gate_fitting import Lesson
from linnet.neighbour_evidence import Evidence
from linnet.neighbour_gate import Gate
from linnet.prediction import Prediction
from linnet.protein_neighbours import ProteinIndex
from linnet.protein_preparation import PreparedProteins

BLOCK = 512
"""Proteins judged at once."""
PASSES = 80
"""Of the gate's fit."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A network that is ready, and what it was made ready on.

    Attributes:
        views: of each protein set aside, as it is to be measured.
        member_P: int64, which member of the gate has not seen it; 0 where there is no gate.
    """

    network: CompactLineageNetwork
    views: list[str]
    member_P: NDArray[np.int64]

    def answers(self, ids: list[str]) -> Iterator[Prediction]:
        """What is said of the proteins set aside, by those members of the gate that have not seen them."""
        whole, cache = self.network.gate, LineageCache(self.network.taxonomy)
        for number in np.unique(self.member_P).tolist():
            if whole:
                self.network.gate = Gate((whole.members[number],))
            rows = np.flatnonzero(self.member_P == number).tolist()
            for low in range(0, len(rows), BLOCK):
                block = rows[low : low + BLOCK]
                walks = walk.descend(self.network.walker_of([self.views[i] for i in block]))
                yield from walk.predictions(walks, [ids[i] for i in block], cache)
        self.network.gate = whole


def calibrated(
    model: ProteinModel, index: ProteinIndex | None, prepared: PreparedProteins, views: Views, least: int, seed: int
) -> Calibrated:
    """Gate and calibration are fitted on views of the proteins set aside, decoys among them. Proteins of hidden clades
    count as much as those drawn at random: in nature a taxon is new more often than among proteins that are drawn by
    chance from one collection.

    Args:
        index: proteins that the network was fitted on.
        least: residues that a protein must have.
    """
    sequences, held, tree = prepared.held_sequences(), prepared.held, prepared.held.tree
    random = np.random.default_rng(seed)
    network = CompactLineageNetwork(model.tensors(), model.encoder.reader, tree, index=index)
    member_P, levels = np.zeros(len(sequences), np.int64), len(tree.level_bounds) - 2
    parts: list[Steps] = []
    evidence: list[Evidence] = []
    records: list[NDArray[np.int64]] = []
    for low in range(0, len(sequences), BLOCK):
        block = slice(low, low + BLOCK)
        decoy = random.random(len(sequences[block])) < views.decoys
        seen = [(views.decoy if d else views.draw)(s, random) for s, d in zip(sequences[block], decoy, strict=True)]
        steps = model.head.steps(np.where(decoy, 0, held.nodes[block]), decoy | held.new[block])
        at = tree.level_order[steps.node.numpy()].astype(np.int64)
        row = steps.row.numpy()
        walker = network.walker_of(seen)
        score, start = walker.scores(row, at)
        if index is not None:
            evidence.append(walker.evidence(row, at, score, start))
        target = steps.target.numpy() - start[:-1]
        stopped = target == np.diff(start) - 1
        x = calibrate.length_feature(network.reader.read(seen).counts)[row]
        every = np.ones(len(at), bool)  # counts
        parts.append(Steps(score, start, target, tree.depth[at].astype(np.int64), x, stopped, every))
        records.append(low + row)
    if parts:
        joined, record_S = Steps.join(parts), np.concatenate(records)
        if evidence:
            of = Evidence.join(evidence, [len(part.score) for part in parts])
            lesson = Lesson(joined.score, joined.start, of, joined.target, joined.level, record_S)
            network.gate, unseen, member_S = gate_fitting.fit(lesson, PASSES, seed)
            joined, member_P[record_S] = replace(joined, score=unseen), member_S
        network.calibration = calibrate.fit(joined, levels)
    network.calibration = replace(network.calibration, kmers=least)
    return Calibrated(network, [views.draw(s, random) for s in sequences], member_P)
