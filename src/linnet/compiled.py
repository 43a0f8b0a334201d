"""An encoder compiled by OpenVINO: the same numbers as torch's to rounding, in half the time on many CPUs."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnet.encoders.hybrid import Batch, Encoder
from linnet.errors import missing_extra


class Compiled:
    """Vectors (B, 1, width) of batches.

    Args:
        threads: how many threads ask at once, each served by one core; None: one asks, served by all cores.
    """

    def __init__(self, encoder: Encoder, threads: int | None) -> None:
        try:
            import openvino
        except ModuleNotFoundError as error:
            raise missing_extra("openvino", "fast", "--engine openvino") from error
        example = encoder.batch([np.arange(4) % encoder.tokenizer.size, np.arange(2)])
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer's, of numbers that really are the same for every batch
            traced = openvino.convert_model(_Plain(encoder), example_input=_inputs(example))
        cores = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            cores = {"INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": str(threads)}
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self._model: Any = openvino.Core().compile_model(traced, "CPU", {**exact, **cores})
        self._own = threading.local()

    def __call__(self, batch: Batch) -> Tensor:
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        answer = self._own.request.infer([t.numpy() for t in _inputs(batch)])
        return torch.from_numpy(answer[0].copy())  # the engine overwrites its own array next time


class _Plain(nn.Module):
    """The encoder on tensors alone, which is what can be traced."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, longest_L: Tensor) -> Tensor:
        return torch.as_tensor(self.encoder(Batch(ids_BL, mask_BL, longest_L.shape[0])))


def _inputs(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask, and an array as long as the longest row: a length that the tracer follows."""
    return batch.ids_BL, batch.mask_BL, torch.zeros(batch.longest)
