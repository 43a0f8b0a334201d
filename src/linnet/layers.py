"""Layers that the small networks share, evaluated with numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


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
