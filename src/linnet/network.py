"""A torch model at work: oriented sequences in, scores out, in batches of like length."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linnet import devices
from linnet.checkpoint import Checkpoint
from linnet.compiled import Compiled
from linnet.encoders import hybrid
from linnet.encoders.hybrid import Batch
from linnet.errors import UserError
from linnet.kmers import KmerReader, Reading
from linnet.model import Model, build
from linnet.rank_scores import RankScores
from linnet.sibling_groups import SiblingGroups
from linnet.tokens import Bases, Letters, Pieces

Precision = Literal["fp32", "bf16"]
Engine = Literal["auto", "torch", "openvino"]
TOKENS = 8192
"""Tokens of a batch, padding included."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a network is run.

    Attributes:
        letters: what becomes of letters other than A, C, G and T.
        precision: bf16 does the transformer's matrix products in bfloat16, which is faster where the processor
            has it, and less exact.
        device: as torch names it: cpu, cuda, mps.
        engine: what runs the encoder; auto is OpenVINO in fp32 on a CPU where it is installed, else torch.
        threads: how many threads ask at once, each served by one core; None: one asks, served by all cores.
    """

    letters: Letters = "tidy"
    precision: Precision = "fp32"
    device: str = "cpu"
    engine: Engine = "auto"
    threads: int | None = None


class Network:
    """A checkpoint of kind `network`, ready to score; safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint, running: Running) -> None:
        self.running = running
        self.taxonomy, self.calibration, self.labels = checkpoint.taxonomy, checkpoint.calibration, checkpoint.labels
        self.reader = KmerReader(np.asarray(checkpoint.tensors["encoder.log_odds_V"], np.float32))
        self.groups = SiblingGroups(checkpoint.taxonomy)
        with devices.used(running.device):
            self._model = _model(checkpoint, self.groups).to(running.device)
        self._encoder = self._model.encoder
        self._encoder.bf16 = running.precision == "bf16"
        self.filled = 0
        """Sequences so far that filled the window; what lay beyond it was not read."""
        self._counting = threading.Lock()
        self._vectors: Callable[[Batch], Tensor] = self._encoder
        if _chosen(running) == "openvino":
            self._vectors = Compiled(self._encoder, running.threads)

    def place(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, N): the posterior over places in the tree."""
        if self.labels is not None:
            return self.labels.place(self.ranks(reading))
        score_MB = self.calibration.apply(self.scores(reading), reading.kmers_B, self.groups)
        return self.groups.place(self.groups.log_softmax(score_MB))

    def scores(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (M, B): what a tree head says, before calibration and the softmax among siblings."""
        (score_BM,) = self._scores(reading.oriented)
        return np.ascontiguousarray(score_BM.T)

    def ranks(self, reading: Reading) -> RankScores:
        """What the published heads say of each rank."""
        logits = (torch.from_numpy(s) for s in self._scores(reading.oriented))
        return RankScores(tuple(torch.log_softmax(s, dim=1).numpy() for s in logits))

    def vectors(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, width): what the head is given of each sequence."""
        (vectors_BW,) = self._through(reading.oriented, lambda vectors: (vectors,))
        return vectors_BW

    def _scores(self, sequences: Sequence[str]) -> list[NDArray[np.float32]]:
        """One array (B, scores) for each part of the head."""

        def head(vectors: Tensor) -> tuple[Tensor, ...]:
            scores = self._model.head(vectors)
            return scores if isinstance(scores, tuple) else (scores,)

        return self._through(sequences, head)

    @torch.inference_mode()
    def _through(
        self, sequences: Sequence[str], end: Callable[[Tensor], tuple[Tensor, ...]]
    ) -> list[NDArray[np.float32]]:
        """What `end` makes of the sequences' vectors, each part (B, ...) in the order of the sequences."""
        rows = self._encoder.tokens(sequences, self.running.letters)
        with self._counting:
            self.filled += sum(len(row) == self._encoder.config.max_length for row in rows)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        parts = []
        for a, z in _batches([len(rows[i]) + self._encoder.padding for i in order]):
            batch = self._encoder.batch([rows[i] for i in order[a:z]]).to(self.running.device)
            parts.append(end(self._vectors(batch).float()))
        back = torch.from_numpy(np.argsort(order))
        return [torch.cat(same)[back].cpu().numpy() for same in zip(*parts, strict=True)]


def _batches(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Slices of ascending lengths such that each, padded, has at most TOKENS tokens, or is a single row."""
    slices, a = [], 0
    for z in range(1, len(lengths) + 1):
        if z == len(lengths) or lengths[z] * (z + 1 - a) > TOKENS:
            slices.append((a, z))
            a = z
    return slices


def _chosen(running: Running) -> str:
    if running.engine != "auto":
        return running.engine
    fits = running.precision == "fp32" and running.device == "cpu" and find_spec("openvino") is not None
    return "openvino" if fits else "torch"


def _model(checkpoint: Checkpoint, groups: SiblingGroups) -> Model:
    settings = dict(checkpoint.model["encoder"])
    settings["kernel_sizes"] = tuple(settings["kernel_sizes"])
    config = hybrid.Config(**settings)
    if config.encoding == "bpe" and checkpoint.tokenizer is None:
        raise UserError("the model has no tokenizer.json", remedy="Copy or convert the model again.")
    tokenizer = Bases() if checkpoint.tokenizer is None else Pieces(checkpoint.tokenizer)
    with torch.device("meta"):  # no numbers drawn only to be overwritten
        labels = checkpoint.labels
        model = build(config, tokenizer, groups if labels is None else [len(some) for some in labels.labels])
    weights = {
        name: torch.from_numpy(np.asarray(t, np.float32))
        for name, t in checkpoint.tensors.items()
        if name != "encoder.log_odds_V"
    }
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise UserError(
            f"the model's weights do not fit its settings ({str(error).splitlines()[-1].strip()})",
            remedy="Copy or convert the model again.",
        ) from error
    return model.eval()
