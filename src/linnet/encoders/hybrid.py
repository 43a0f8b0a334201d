"""DeepTaxa's encoders: convolutions and a transformer over the same tokens, or either alone.

Layers, sizes and their names: DeepTaxa's model card (2026) and its released files.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.encoders.convolutions import Convolutions
from linnet.encoders.transformer import Size, Transformer
from linnet.errors import require
from linnet.tokens import Letters, Tokenizer


@dataclass(frozen=True, kw_only=True)
class Config:
    """Size of DeepTaxa's encoder; names and defaults as published."""

    model_type: str = "hybrid"
    """hybrid: convolutions and transformer; cnn or bert: one of them alone."""
    encoding: str = "bpe"
    """bpe: byte-pair tokens; onehot: single bases (cnn only)."""
    max_length: int = 512
    """Longest input, in tokens or bases; what is longer is cut."""
    embed_dim: int = 896
    """Width of the token embedding that the convolutions read."""
    num_filters: int = 256
    """Filters of each kernel size."""
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    """Widths of the parallel convolutions, in tokens or bases."""
    num_conv_layers: int = 1
    """Layers of convolutions."""
    hidden_size: int = 896
    """Width of the transformer, and of the vector that comes out."""
    num_hidden_layers: int = 4
    """Layers of the transformer."""
    num_attention_heads: int = 7
    """Attention heads of a layer."""
    intermediate_size: int = 3584
    """Width within a layer's feed-forward net."""
    hidden_dropout_prob: float = 0.2
    """Share of entries left out at each training step, in both branches."""
    mask_padding: bool = True
    """Keep padding out of the convolutions' maximum. The released DeepTaxa models do not."""

    def __post_init__(self) -> None:
        known = ("hybrid", "cnn", "bert")
        require(self.model_type in known, f"model_type {self.model_type}", "hybrid, cnn or bert")
        require(self.encoding in ("bpe", "onehot"), f"encoding {self.encoding}", "bpe or onehot")
        require(self.encoding == "bpe" or self.model_type == "cnn", f"onehot for {self.model_type}", "onehot for cnn")
        numbers = ("max_length", "embed_dim", "num_filters", "num_conv_layers", "hidden_size", "num_hidden_layers",
                   "num_attention_heads", "intermediate_size")  # fmt: skip
        for name in numbers:
            require(getattr(self, name) >= 1, f"{name} {getattr(self, name)}", "1 or more")
        alike = len({k % 2 for k in self.kernel_sizes}) == 1 and min(self.kernel_sizes) >= 1
        require(alike, f"kernel_sizes {self.kernel_sizes}", "numbers that are all odd (or all even)")
        plain = self.model_type == "hybrid" and not self.mask_padding
        require(self.kernel_sizes[0] % 2 == 1 or plain, f"kernel_sizes {self.kernel_sizes}", "odd numbers")
        fits = self.hidden_size % self.num_attention_heads == 0
        require(fits, f"hidden_size {self.hidden_size}", f"a multiple of {self.num_attention_heads} heads")
        require(0 <= self.hidden_dropout_prob < 1, f"dropout {self.hidden_dropout_prob}", "0 to 1, without 1")


@dataclass(frozen=True)
class Batch:
    """B rows of tokens.

    Attributes:
        ids_BL: int64; each row ends in padding as long as the convolutions need, where the window has room.
        mask_BL: bool, which of them are tokens.
        longest: tokens of the longest row.
    """

    ids_BL: Tensor
    mask_BL: Tensor
    longest: int

    def to(self, device: str) -> Batch:
        return Batch(self.ids_BL.to(device), self.mask_BL.to(device), self.longest)


class Encoder(nn.Module):
    """What the three kinds share: how sequences become batches.

    Attributes:
        width: of the vector that comes out.
    """

    width: int
    padding: int = 0
    """Padding that must follow each row for the answer to be that of a full window."""
    bf16: bool = False
    """Do the transformer's matrix products in bfloat16; sums, norms and convolutions stay as they are."""

    def __init__(self, config: Config, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer

    def tokens(self, sequences: Sequence[str], letters: Letters = "tidy") -> list[NDArray[np.int64]]:
        return self.tokenizer.encode(sequences, letters, self.config.max_length)

    def batch(self, rows: Sequence[NDArray[np.int64]]) -> Batch:
        """Rows of tokens, padded to what they need."""
        longest = max(map(len, rows))
        ids = np.full((len(rows), min(longest + self.padding, self.config.max_length)), self.tokenizer.padding)
        for row, tokens in zip(ids, rows, strict=True):
            row[: len(tokens)] = tokens
        lengths = np.array([len(tokens) for tokens in rows])
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        return Batch(torch.from_numpy(ids), torch.from_numpy(mask), longest)

    def collate(self, sequences: Sequence[str]) -> Batch:
        return self.batch(self.tokens(sequences))

    def _convolutions(self, width: int, *, residual: bool) -> Convolutions:
        c = self.config
        return Convolutions(
            width, c.num_filters, c.kernel_sizes, c.num_conv_layers, c.hidden_dropout_prob, residual=residual
        )

    def _transformer(self) -> Transformer:
        c = self.config
        return Transformer(
            Size(
                vocabulary=self.tokenizer.size,
                window=c.max_length,
                width=c.hidden_size,
                layers=c.num_hidden_layers,
                heads=c.num_attention_heads,
                inner=c.intermediate_size,
                dropout=c.hidden_dropout_prob,
            )
        )

    def _precision(self, batch: Batch) -> AbstractContextManager[object]:
        return torch.autocast(batch.ids_BL.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def _pooled(self, batch: Batch) -> Tensor | None:
        """Where the convolutions' maximum is taken: None is everywhere."""
        return batch.mask_BL if self.config.mask_padding else None


class Hybrid(Encoder):
    """Both branches, added with learned weights: w_cnn * projected maxima + (1 + w_bert) * first vector."""

    def __init__(self, config: Config, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        self.width = config.hidden_size
        self.embedding = nn.Embedding(tokenizer.size, config.embed_dim, padding_idx=tokenizer.padding)
        self.convolutions = self._convolutions(config.embed_dim, residual=False)
        self.padding = self.convolutions.padding
        self.project = nn.Linear(self.convolutions.width, self.width)
        self.transformer = self._transformer()
        self.w_cnn = nn.Parameter(torch.ones(1))
        self.w_bert = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (B, 1, width)."""
        near = self.convolutions(self.embedding(batch.ids_BL).transpose(1, 2), self._pooled(batch))
        n = batch.longest
        with self._precision(batch):
            far = self.transformer(batch.ids_BL[:, :n], batch.mask_BL[:, :n], first=True)
        return torch.as_tensor(self.dropout(self.w_cnn * self.project(near)[:, None] + (1 + self.w_bert) * far))


class Convolutional(Encoder):
    """Residual convolutions alone, over embedded tokens or over bases as four channels."""

    def __init__(self, config: Config, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        width = 4
        if config.encoding == "bpe":
            width = config.embed_dim
            self.embedding = nn.Embedding(tokenizer.size, width, padding_idx=tokenizer.padding)
        self.convolutions = self._convolutions(width, residual=True)
        self.padding, self.width = self.convolutions.padding, self.convolutions.width

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (B, 1, width)."""
        if self.config.encoding == "bpe":
            x_BLC = self.embedding(batch.ids_BL)
        else:
            kind = next(self.parameters()).dtype
            x_BLC = nn.functional.one_hot(batch.ids_BL, 5)[:, :, :4].to(kind)
        return torch.as_tensor(self.convolutions(x_BLC.transpose(1, 2), self._pooled(batch))[:, None])


class Bert(Encoder):
    """The transformer alone: the mean of its vectors."""

    def __init__(self, config: Config, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer)
        self.width = config.hidden_size
        self.transformer = self._transformer()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (B, 1, width)."""
        mask = batch.mask_BL[:, : batch.longest]
        with self._precision(batch):
            vectors = self.transformer(batch.ids_BL[:, : batch.longest], mask) * mask[:, :, None]
        return torch.as_tensor(self.dropout(vectors.sum(dim=1, keepdim=True) / mask.sum(dim=1)[:, None, None]))


def build(config: Config, tokenizer: Tokenizer) -> Encoder:
    """The untrained encoder."""
    kinds: dict[str, type[Encoder]] = {"hybrid": Hybrid, "cnn": Convolutional, "bert": Bert}
    return kinds[config.model_type](config, tokenizer)
