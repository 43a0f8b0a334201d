"""The compact network, evaluated with numpy alone: a bag of k-mers, one hidden block, a tree head."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linnet.calibrate import Calibration
from linnet.kmers import KmerReader, Reading
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

Tensors = Mapping[str, NDArray[np.generic]]


class CompactNetwork:
    """Scores of every column of the tree head, from k-mer counts.

    Args:
        tensors: by the names torch gives them (`encoders.kmer`, `heads`); any float type.
    """

    def __init__(self, tensors: Tensors, taxonomy: Taxonomy, calibration: Calibration | None = None) -> None:
        self.groups = SiblingGroups(taxonomy)
        self.weight = {name: np.asarray(t, np.float32) for name, t in tensors.items()}
        self.reader = KmerReader(self.weight["encoder.log_odds_V"])
        self.calibration = calibration or Calibration.none(self.groups.levels)
        columns = len(self.weight["head.scores.bias"])
        if columns != len(self.groups) or len(self.calibration.stop) != self.groups.levels:
            raise ValueError(f"{columns} columns for a tree that needs {len(self.groups)}")

    def scores(self, counts_BV: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (M, B): scores as trained, before calibration and the softmax among siblings."""
        w, x = self.weight, self._vectors(counts_BV)
        return np.asarray(w["head.scores.weight"] @ x.T + w["head.scores.bias"][:, None], np.float32)

    def vectors(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, width): what the head is given of each sequence."""
        return self._vectors(reading.counts_BV)

    def _vectors(self, counts_BV: NDArray[np.float32]) -> NDArray[np.float32]:
        length_B1 = np.maximum(counts_BV.sum(axis=1, keepdims=True), 1.0)
        return hidden_block((counts_BV @ self.weight["encoder.embedding"]) / np.sqrt(length_B1), self.weight)

    def place(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, N): the posterior over places in the tree."""
        score_MB = self.calibration.apply(self.scores(reading.counts_BV), reading.kmers_B, self.groups)
        return self.groups.place(self.groups.log_softmax(score_MB))


def hidden_block(bag_BW: NDArray[np.float32], w: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """A bag's vector (B, width) through the encoder's norm, hidden block and last norm, as `encoders.kmer` has them."""
    x = _layer_norm(bag_BW, w["encoder.norm.weight"], w["encoder.norm.bias"])
    hidden = x @ w["encoder.expand.weight"].T + w["encoder.expand.bias"]
    x = x + gelu(hidden) @ w["encoder.contract.weight"].T + w["encoder.contract.bias"]
    return _layer_norm(x, w["encoder.out_norm.weight"], w["encoder.out_norm.bias"])


def _layer_norm(x: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.mean(centred**2, axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + 1e-5) * weight + bias, np.float32)


def gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """GELU in its tanh form (Hendrycks & Gimpel 2016), which needs no error function."""
    inner = np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(np.float32(0.5) * x * (np.float32(1) + np.tanh(inner)), np.float32)
