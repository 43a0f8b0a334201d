"""Which stretches of the gene a model reads: how much worse it gets when a stretch is another gene's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet import ecoli
from linnet.outcomes import judge
from linnet.places import TrueNodes
from linnet.prediction import Prediction
from linnet.predictor import Predictor
from linnet.records import SequenceRecord, reverse_complement
from linnet.taxonomy import RANKS, Lineage

WINDOWS = 20
_SPREAD = 3.0
"""Windows' widths within which nine in ten reads must begin, and end, for them to have an axis in common."""


@dataclass(frozen=True)
class Importance:
    """Permutation importance of W windows along the read (Breiman 2001, 'Random forests', section 10).

    Attributes:
        queries: how many reads were changed.
        swaps: how often each window of each read was replaced by that of another read.
        accuracy: by rank, of the reads as they are.
        drop: by rank, for each window by how much accuracy falls.
        drop_error: its standard error, over queries.
        loss: by rank, for each window by how much the probability of the true taxon falls, in the mean of the queries
            whose true taxon the model's tree has: finer than accuracy, which moves only when a name does.
        loss_error: its standard error, over queries.
        position: of each window's middle, in the 16S gene of E. coli, the median of the reads; () where they do not
            begin and end near the same positions.
    """

    queries: int
    swaps: int
    accuracy: Mapping[str, float]
    drop: Mapping[str, tuple[float, ...]]
    drop_error: Mapping[str, tuple[float, ...]]
    loss: Mapping[str, tuple[float, ...]]
    loss_error: Mapping[str, tuple[float, ...]]
    position: tuple[float, ...]


def importance(
    predictor: Predictor,
    records: Sequence[SequenceRecord],
    truth: Mapping[str, Lineage],
    strands: Mapping[str, str],
    *,
    most: int = 500,
    swaps: int = 3,
    windows: int = WINDOWS,
    seed: int = 0,
) -> Importance | None:
    """Replace each of the windows of a read by the same stretch of another read, and judge it again.

    The windows are of equal share of the read's own length. Every read has another read as its donor.

    Args:
        strands: '-' for the records that are to be turned.
        most: reads looked at, drawn at random.

    Returns:
        None for fewer than two reads.
    """
    random = np.random.default_rng(seed)
    if len(records) < 2 or most < 2:
        return None
    drawn = np.sort(random.choice(len(records), min(most, len(records)), replace=False))
    reads = [_forward(records[i], strands[records[i].id]) for i in drawn]
    tester = _Tester(predictor, reads, truth)
    before = tester(reads)
    lost = [{rank: np.zeros((windows, len(x))) for rank, x in part.items()} for part in before]
    for _ in range(swaps):
        order = random.permutation(len(reads))
        donor = np.empty_like(order)
        donor[order] = np.roll(order, 1)
        for w in range(windows):
            after = tester([_swapped(a, reads[d], w, windows) for a, d in zip(reads, donor.tolist(), strict=True)])
            for part, was, now in zip(lost, before, after, strict=True):
                for rank in part:
                    part[rank][w] += (was[rank] - now[rank]) / swaps
    (drop, drop_error), (loss, loss_error) = (_mean_and_error(part) for part in lost)
    accuracy = {rank: float(right.mean()) for rank, right in before[0].items()}
    position = _positions([r.sequence for r in reads], windows)
    return Importance(len(reads), swaps, accuracy, drop, drop_error, loss, loss_error, position)


_ByRank = dict[str, NDArray[np.float64]]


class _Tester:
    """Judges the same reads again and again."""

    def __init__(self, predictor: Predictor, reads: Sequence[SequenceRecord], truth: Mapping[str, Lineage]) -> None:
        self._predictor, self._truth = predictor, truth
        true_nodes = TrueNodes(predictor.taxonomy)
        nodes_of = [true_nodes(truth[read.id]) for read in reads]
        self._true = {
            rank: {i: np.array(nodes[level]) for i, nodes in enumerate(nodes_of) if nodes[level]}
            for level, rank in enumerate(RANKS)
        }

    def __call__(self, reads: Sequence[SequenceRecord]) -> tuple[_ByRank, _ByRank]:
        """By rank: whether each read is named right, of those whose truth reaches it; how probable its true taxon is,
        of those for which the tree has it."""
        found: dict[str, Prediction] = {}
        p = {rank: np.zeros(len(reads)) for rank in RANKS}
        for start in range(0, len(reads), self._predictor.block):
            judged = self._predictor.judge(reads[start : start + self._predictor.block], "forward")
            found.update((answer.record_id, answer) for answer in judged.predictions)
            for row, i in enumerate(judged.rows):
                for rank, of in self._true.items():
                    if start + i in of:
                        p[rank][start + i] = judged.posterior.clades(row, of[start + i]).max()
        outcomes = judge(found, self._truth, queries=[r.id for r in reads])
        right = {rank: o.right.astype(float) for rank, o in outcomes.items()}
        return right, {rank: p[rank][list(of)] for rank, of in self._true.items() if of}


def _mean_and_error(lost: Mapping[str, NDArray[np.float64]]) -> tuple[dict[str, tuple[float, ...]], ...]:
    """Of what each query loses in each window, the mean and its standard error."""
    mean = {rank: tuple(x_WN.mean(axis=1).tolist()) for rank, x_WN in lost.items()}
    error = {rank: tuple((x_WN.std(axis=1) / np.sqrt(x_WN.shape[1])).tolist()) for rank, x_WN in lost.items()}
    return mean, error


def _forward(record: SequenceRecord, strand: str) -> SequenceRecord:
    return SequenceRecord(record.id, reverse_complement(record.sequence)) if strand == "-" else record


def _swapped(read: SequenceRecord, donor: SequenceRecord, window: int, windows: int) -> SequenceRecord:
    a, z = (len(read.sequence) * w // windows for w in (window, window + 1))
    b, y = (len(donor.sequence) * w // windows for w in (window, window + 1))
    return SequenceRecord(read.id, read.sequence[:a] + donor.sequence[b:y] + read.sequence[z:])


def _positions(sequences: Sequence[str], windows: int) -> tuple[float, ...]:
    plain = ["".join(c if c in "ACGT" else "A" for c in sequence) for sequence in sequences]
    places = ecoli.places(plain)
    placed = places.sure_B & places.forward_B
    if placed.mean() < 0.9:
        return ()
    first, last = places.first_B[placed], places.last_B[placed]
    width = float(np.median(last - first)) / windows
    if any(np.quantile(end, 0.95) - np.quantile(end, 0.05) > _SPREAD * width for end in (first, last)):
        return ()
    middle_W = (np.arange(windows) + 0.5) / windows
    return tuple(np.median(first[:, None] + (last - first)[:, None] * middle_W, axis=0).tolist())
