"""Layers that the small networks share, evaluated without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linnet.machine_code import compiled


def bag_vectors(
    word_F: NDArray[np.integer], start: NDArray[np.int64], w: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """float32 (B, width): what an encoder of bags makes of B records (`encoders.kmer`, `encoders.residue_words`).

    Args:
        word_F, start: the rows of the embedding that the records' words have, and where each record's begin (B + 1).
        w: the encoder's weights, by the names torch gives them.
    """
    root_B1 = np.sqrt(np.maximum(np.diff(start), 1).astype(np.float32))[:, None]
    return hidden_block(np.asarray(_bags(w["encoder.embedding"], word_F, start) / root_B1, np.float32), w)


@compiled
def _bags(
    embedding_VW: NDArray[np.float32], word_F: NDArray[np.integer], start: NDArray[np.int64]
) -> NDArray[np.float32]:
    """float32 (B, W): the sum of the embeddings of each record's words."""
    bag_BW = np.zeros((len(start) - 1, embedding_VW.shape[1]), np.float32)
    for b in range(len(bag_BW)):
        bag = bag_BW[b]
        for f in range(start[b], start[b + 1]):
            row = embedding_VW[word_F[f]]
            for w in range(len(bag)):
                bag[w] += row[w]
    return bag_BW


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
