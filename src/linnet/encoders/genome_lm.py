"""Vectors of contigs from a genomic language model of Mistral's architecture, such as GenomeOcean (Zhou et al. 2025).

The model's folder is laid out as on the Hugging Face hub: config.json, tokenizer.json, and weights as safetensors, in
one file or several with an index. No code of it is run: the architecture is that of the library transformers, and
pickled weights are not read.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from linnet import devices
from linnet.errors import UserError, missing_extra, require
from linnet.inputs import sha256
from linnet.records import SequenceRecord, reverse_complement
from linnet.released import source
from linnet.tokens import tidy
from linnet.windows import spread

PUBLISHED_TOKENS = 512
"""Tokens that TaxDistill reads of each contig."""
_FILES = ("config.json", "tokenizer.json", "*.safetensors", "*.safetensors.index.json")
_EXPECTED = "a Mistral model with config.json, tokenizer.json and safetensors: a folder, or hf://OWNER/NAME[@REVISION]"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is read of each contig, and what is made of the states of its tokens."""

    windows: int = 8
    """Windows read of a contig, spread evenly along it; one that they cover is read whole."""
    window: int = 4096
    """Bases of a window: about 820 tokens of GenomeOcean's, which was trained on 1,024 and more."""
    pooling: Literal["mean", "last"] = "mean"
    """Of the last layer's states: their mean over all tokens, or that of each window's last token."""
    strands: Literal["both", "forward"] = "both"
    """Whether the mean is taken with the vector of the other strand."""
    published: bool = False
    """As TaxDistill does it instead: the state of the last of the first 512 tokens, forward strand alone."""

    def __post_init__(self) -> None:
        require(self.windows >= 1, f"windows {self.windows}", "1 or more")
        require(self.window >= 16, f"window {self.window}", "16 bases or more")
        require(self.pooling in ("mean", "last"), f"pooling {self.pooling}", "mean or last")
        require(self.strands in ("both", "forward"), f"strands {self.strands}", "both or forward")


class GenomeLM:
    """A language model from a folder or the hub, ready to read contigs.

    Args:
        weights: a folder, or hf://OWNER/NAME[@REVISION].
        precision: of matrix products.
        batch_tokens: tokens read at once, padding included; a single window may have more.

    Raises:
        UserError: transformers is missing; the model cannot be had, or is of another kind.
    """

    block = 32

    def __init__(
        self,
        weights: str,
        config: Config | None = None,
        *,
        device: str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
        batch_tokens: int = 16_384,
    ) -> None:
        require(batch_tokens >= 1, f"batch_tokens {batch_tokens}", "1 or more")
        self.config, self.precision, self.batch_tokens = config or Config(), precision, batch_tokens
        folder = source.folder(weights, _FILES)
        size = _check(folder)
        self.digests = _digests(folder)
        self.tokenizer = _tokenizer(folder, size)
        if self.config.published:
            self.tokenizer.enable_truncation(PUBLISHED_TOKENS)
        with devices.used(device):
            self.device = torch.device(device)
            self.body = _body(folder).to(self.device)
        self.width = int(self.body.config.hidden_size)

    def settings(self) -> dict[str, Any]:
        return {
            "encoder": "genome_lm",
            "weights": self.digests,
            "settings": {"precision": self.precision, **asdict(self.config)},
        }

    def prepare(
        self, blocks: Callable[[], Iterable[Sequence[SequenceRecord]]], folder: Path, log: Callable[[str], None]
    ) -> None:
        """Nothing is learnt from the contigs."""

    def vectors(self, contigs: Sequence[SequenceRecord]) -> NDArray[np.float32]:
        """float32 (B, W). Windows of all contigs are sorted by length, so that batches hold little padding."""
        rows: list[list[int]] = []
        owner: list[tuple[int, int]] = []
        for number, contig in enumerate(contigs):
            for strand, texts in enumerate(self._texts(contig.sequence)):
                pieces = [p for encoded in self._encoded(texts) for p in self._within_context(encoded)]
                rows += pieces
                owner += [(number, strand)] * len(pieces)
        strands = 1 + max((s for _, s in owner), default=0)
        sums = np.zeros((len(contigs), strands, self.width))
        counts = np.zeros((len(contigs), strands, 1))
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for batch in _batches(order, [len(r) for r in rows], self.batch_tokens):
            pooled = self._pooled([rows[i] for i in batch])
            for i, vector in zip(batch, pooled, strict=True):
                sums[owner[i]] += vector
                counts[owner[i]] += len(rows[i]) if self._mean else 1
        return np.asarray((sums / counts).mean(1), np.float32)

    @property
    def _mean(self) -> bool:
        return self.config.pooling == "mean" and not self.config.published

    def _texts(self, sequence: str) -> list[list[str]]:
        """What is read, by strand."""
        if self.config.published:
            return [[sequence]]
        plain = tidy(sequence)
        strands = [plain, reverse_complement(plain)] if self.config.strands == "both" else [plain]
        return [[s[w] for w in spread(len(s), self.config.window, self.config.windows)] for s in strands]

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(e.ids) for e in self.tokenizer.encode_batch(list(texts))]

    def _within_context(self, ids: list[int]) -> list[list[int]]:
        """A window's tokens; in equal parts where they are more than the model can attend to."""
        parts = -(-len(ids) // int(self.body.config.max_position_embeddings))
        return [ids[i * len(ids) // parts : (i + 1) * len(ids) // parts] for i in range(parts)]

    @torch.inference_mode()
    def _pooled(self, rows: Sequence[list[int]]) -> NDArray[np.float64]:
        """float64 (B, W): sums over each row's tokens, or the states of the last ones.

        Rows are filled up on the right, where no token of a causal model looks, so that no mask is needed.
        """
        length = max(map(len, rows))
        ids_BL = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=self.device)
        length_B = torch.tensor([len(row) for row in rows], device=self.device)
        bf16 = torch.autocast(self.device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()
        with bf16:
            state_BLW: Tensor = self.body(input_ids=ids_BL, use_cache=False).last_hidden_state
        if self._mean:
            real_BL = torch.arange(length, device=self.device) < length_B[:, None]
            pooled = (state_BLW.float() * real_BL[:, :, None]).sum(1)
        else:
            pooled = state_BLW[torch.arange(len(rows), device=self.device), length_B - 1].float()
        return np.asarray(pooled.cpu().numpy(), np.float64)


def _batches(order: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """Rows of ascending length, as many at a time as have `most` tokens when padded, one at least."""
    batches: list[list[int]] = []
    for i in order:
        if not batches or lengths[i] * (len(batches[-1]) + 1) > most:
            batches.append([])
        batches[-1].append(i)
    return batches


def _check(folder: Path) -> int:
    """Number of tokens that the model knows.

    Raises:
        UserError: not a folder with a Mistral model as safetensors.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, size = str(config.get("model_type")), int(config.get("vocab_size", 0))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"config.json cannot be read ({error})", where=str(folder), expected=_EXPECTED) from error
    if kind != "mistral":
        raise UserError(f"is a model of type '{kind}'", where=str(folder), expected=_EXPECTED)
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            "has no safetensors", where=str(folder), expected=_EXPECTED,
            remedy="Pickled weights (.bin, .pt) are not read, since they may run code: convert them to safetensors.",
        )  # fmt: skip
    return size


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that answers depend on."""
    files = [folder / "config.json", folder / "tokenizer.json", *folder.glob("*.safetensors")]
    return {path.name: sha256(path) for path in sorted(files) if path.exists()}


def _tokenizer(folder: Path, size: int) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # --threads decides, not the library
    path = folder / "tokenizer.json"
    try:
        tokenizer = _library("tokenizers").Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"cannot be read ({error})", where=str(path), expected="a tokenizer.json") from error
    if tokenizer.get_vocab_size() > size:
        raise UserError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the model {size}", where=str(folder),
            expected="the model's own tokenizer.json",
        )  # fmt: skip
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _body(folder: Path) -> Any:
    library = _library("transformers")
    library.logging.set_verbosity_error()  # it would report the head, which is not used
    library.logging.disable_progress_bar()
    try:
        body, told = library.MistralModel.from_pretrained(
            str(folder), use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"cannot be loaded ({str(error).partition(chr(10))[0]})", where=str(folder), expected=_EXPECTED
        ) from error
    lacking = sorted(told["missing_keys"])
    if lacking:
        raise UserError(
            f"{len(lacking)} weights are missing, '{lacking[0]}' for one", where=str(folder), expected=_EXPECTED,
            remedy="Download the model again.",
        )  # fmt: skip
    return body.eval().requires_grad_(False)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise missing_extra(name, "contigs", "a genomic language model") from error
