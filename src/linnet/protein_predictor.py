"""A loaded protein model, or several as one: proteins in, predictions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from linnet import walk
from linnet.checkpoint import Checkpoint, check_one_tree
from linnet.compact_lineage import CompactLineageNetwork
from linnet.decode import LineageCache
from linnet.errors import UserError
from linnet.kmers import Strand
from linnet.prediction import DEFAULT_CONFIDENCE, Prediction, unreadable
from linnet.records import SequenceRecord, as_records
from linnet.residues import WordReader, looks_like_bases
from linnet.walk import Fan, Walk, Walker

Search = Literal["descend", "end", "beam"]
"""Down to the most probable child each time; to the most probable end of all; to the best end that a beam finds."""
FLOOR = 0.01
"""Paths are not followed below this probability."""
BEAM = 8


class ProteinPredictor:
    """One checkpoint of kind `lineage`, or an ensemble of several on one tree; safe to share between threads.

    Attributes:
        block: proteins judged at once.
        filled: always 0: proteins are read whole.

    Raises:
        UserError: weights that do not fit their tree; models on different trees.
    """

    block = 256
    filled = 0

    def __init__(self, *checkpoints: Checkpoint, search: Search = "descend") -> None:
        check_one_tree(checkpoints)
        self.checkpoint = first = checkpoints[0]
        self.taxonomy, self.search = first.taxonomy, search
        self.networks = [_network(c) for c in checkpoints]
        self.least = first.calibration.kmers
        self._lineages = LineageCache(first.taxonomy)
        self._blas = ThreadpoolController()

    def classify(
        self, records: Iterable[str | SequenceRecord], *, confidence: float = DEFAULT_CONFIDENCE
    ) -> Iterator[Prediction]:
        """One prediction a protein, in order, a block at a time; plain sequences are named seq1, seq2 ..."""
        stream = as_records(records, "protein")
        while block := list(islice(stream, self.block)):
            yield from (p.recut(confidence) for p in self.predict(block))

    def predict(self, records: Sequence[SequenceRecord], strand: Strand = "auto") -> list[Prediction]:
        """Uncut predictions of one block of proteins; a protein has no strand."""
        with self._blas.limit(limits=1, user_api="blas"):
            reasons = [self.refusal(r.sequence) for r in records]
            readable = [i for i, reason in enumerate(reasons) if not reason]
            found = [unreadable(r.id, reason) for r, reason in zip(records, reasons, strict=True)]
            if readable:
                walker = self.walker([records[i].sequence for i in readable])
                for i, prediction in zip(readable, self.named(walker, [records[i].id for i in readable]), strict=True):
                    found[i] = prediction
            return found

    def named(self, walker: Walker, ids: Sequence[str]) -> list[Prediction]:
        """Uncut predictions of a walker's records."""
        found = walk.predictions(self._walks(walker), ids, self._lineages)
        strange = "unlike anything the model was trained on"
        return [unreadable(p.record_id, strange) if p.novelty[0] > 0.5 else p for p in found]

    def walker(self, sequences: Sequence[str]) -> Walker:
        """The model, or the mean of several, at work on these proteins."""
        walkers = [network.walker(network.reader.read(sequences)) for network in self.networks]
        return walkers[0] if len(walkers) == 1 else Mean(walkers)

    def _walks(self, walker: Walker) -> list[Walk]:
        if self.search == "descend":
            return walk.descend(walker, FLOOR)
        ends = walk.top(walker, 1) if self.search == "end" else walk.beam(walker, BEAM)
        return [found[0] for found in ends]

    def refusal(self, sequence: str) -> str:
        """Why a protein cannot be judged, or nothing."""
        if not sequence:
            return "no sequence"
        if looks_like_bases(sequence):
            return "letters of bases; a protein model reads amino acids"
        residues = len(sequence) - sum(map(sequence.count, "X*-."))
        return f"{residues} residues; at least {self.least} are needed" if residues < self.least else ""


class Mean:
    """Several walkers as one: the mean of their probabilities of each way, as far as it has come.

    A state holds each one's own, and how probable each finds the way so far: by these its next answer is weighed.
    """

    def __init__(self, walkers: Sequence[Walker]) -> None:
        self.taxonomy, self.forced, self._walkers = walkers[0].taxonomy, walkers[0].forced, walkers

    def begin(self) -> list[Any]:
        states = zip(*(w.begin() for w in self._walkers), strict=True)
        return [(state, np.zeros(len(self._walkers)), -1) for state in states]

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        steps = [w.step([s[0][m] for s in states], nodes) for m, w in enumerate(self._walkers)]
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
    return np.asarray(before + fans[int(np.flatnonzero(taxonomy.children(parent) == node)[0])])


def _network(checkpoint: Checkpoint) -> CompactLineageNetwork:
    try:
        settings = checkpoint.model["config"]["model"]["encoder"]
        reader = WordReader(tuple(settings["ks"]), int(settings["buckets"]))
        return CompactLineageNetwork(checkpoint.tensors, reader, checkpoint.taxonomy, checkpoint.calibration)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"the model's weights do not fit its tree ({error})", remedy="Copy or train the model again."
        ) from error
