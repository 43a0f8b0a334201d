"""A network and what neighbours say, at work together on some records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from linnet.calibrate import Calibration, length_feature
from linnet.kin import Kin
from linnet.neighbour_evidence import Evidence, Witness
from linnet.neighbour_gate import Gate
from linnet.taxonomy import Taxonomy
from linnet.walk import Fan

Ragged = tuple[NDArray[np.float32], NDArray[np.int64]]

Scores = Callable[[NDArray[np.int64], NDArray[np.int64]], Ragged]
"""Records and taxa (S,), the steps -> scores (F,) of the taxa's children and of stopping there, uncalibrated, ragged;
and where each step's begin (S + 1,)."""


class Network(Protocol):
    """What weighs the scores of its own head against neighbours."""

    taxonomy: Taxonomy
    calibration: Calibration
    gate: Gate | None

    @property
    def witness(self) -> Witness: ...


class WeighedWalker:
    """A walker on B records; a state is a record's number.

    Args:
        scores: what the network's head says of the records.
        read_B: how many words of each record were read.
        kin: their neighbours; None: none are asked.
    """

    forced = False

    def __init__(self, network: Network, scores: Scores, read_B: NDArray[np.int64], kin: Kin | None) -> None:
        self.taxonomy, self._network, self.scores, self.kin = network.taxonomy, network, scores, kin
        self._x_B = length_feature(read_B)

    def begin(self) -> list[Any]:
        return list(range(len(self._x_B)))

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        records, level = np.array(states, np.int64), self.taxonomy.depth[nodes].astype(np.int64)
        score_F, start = self.scores(records, nodes)
        if self._network.gate is not None:
            of = self.evidence(records, nodes, score_F, start)
            score_F = self._network.gate.scores(score_F, start, of, level)
        return Fan(self._network.calibration.log_p(score_F, start, level, self._x_B[records]), start), list(states)

    def evidence(
        self,
        records: NDArray[np.int64],
        nodes: NDArray[np.int64],
        score_F: NDArray[np.float32],
        start: NDArray[np.int64],
    ) -> Evidence:
        """What the gate weighs, as `Witness.evidence` has it."""
        if self.kin is None:
            raise ValueError("neighbours are weighed, but there are none")
        return self._network.witness.evidence(self.kin, records, nodes, score_F, start)


class HasTensors(Protocol):
    """What a checkpoint can keep."""

    def tensors(self) -> Mapping[str, NDArray[np.generic]]: ...


def kept_beside(index: HasTensors | None, gate: Gate | None) -> dict[str, NDArray[np.generic]]:
    """What a checkpoint keeps beside the network's weights: the references, and what they count for."""
    return {**(index.tensors() if index else {}), **(gate.tensors() if gate else {})}
