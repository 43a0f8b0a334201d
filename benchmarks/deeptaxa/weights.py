"""Random weights for DeepTaxa's published hybrid network, and that network's arithmetic, on plain tensors by key name.

The network is small convolutions beside a small transformer over the same tokens. Each side makes one vector of a
read; their sum goes to one linear head for every rank. Only what is needed to set the heads is computed here: the
fused vector of one read, without a batch, a window or a mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

PAD = 3
"""The padding token; its row in the convolutions' table is zero. The transformer's table has another such row, 0."""

PUBLISHED_PARAMETERS = 76_365_205
"""What the full-length model has, with its 27,923 labels."""

TOP_PROBABILITY = 0.8
"""What the best label of a rank gets, in the mean over the reads."""

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Config:
    """The published configuration."""

    vocabulary: int = 4096
    window: int = 512
    embed_dim: int = 896
    filters: int = 256
    kernels: tuple[int, ...] = (3, 5, 7)
    hidden: int = 896
    layers: int = 4
    heads: int = 7
    feed_forward: int = 3584
    dropout: float = 0.2

    def released(self) -> dict[str, Any]:
        """As `model_config` of a released file has it."""
        cnn = {
            "embed_dim": self.embed_dim,
            "num_filters": self.filters,
            "kernel_sizes": list(self.kernels),
            "num_conv_layers": 1,
            "dropout_prob": self.dropout,
            "mask_padding": False,
        }
        bert = {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.feed_forward,
            "hidden_act": "gelu",
            "hidden_dropout_prob": self.dropout,
            "attention_probs_dropout_prob": self.dropout,
            "max_position_embeddings": self.window,
            "type_vocab_size": 2,
            "initializer_range": 0.02,
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
        }
        return {"cnn": cnn, "bert": bert}


def body(config: Config, generator: torch.Generator) -> Weights:
    """Every tensor but those of the heads, about as large as training would leave them."""
    embed, hidden = config.embed_dim, config.hidden
    weights = {"w_cnn": torch.ones(1), "w_bert": torch.ones(1)}

    def add(key: str, *shape: int, scale: float | None = None) -> None:
        """A random matrix; without a scale, one that keeps the size of what it is applied to."""
        scale = 1 / math.sqrt(math.prod(shape[1:])) if scale is None else scale
        weights[key] = scale * torch.randn(shape, generator=generator)

    def linear(key: str, outputs: int, *inputs: int) -> None:
        add(f"{key}.weight", outputs, *inputs)
        add(f"{key}.bias", outputs, scale=0.02)

    def norm(key: str) -> None:
        weights[f"{key}.weight"] = torch.ones(hidden)
        weights[f"{key}.bias"] = torch.zeros(hidden)

    add("embedding.weight", config.vocabulary, embed, scale=1.0)
    weights["embedding.weight"][PAD] = 0
    for branch, kernel in enumerate(config.kernels):
        linear(f"conv_stacks.0.{branch}.0", config.filters, embed, kernel)
    tables = {"word": config.vocabulary, "position": config.window, "token_type": 2}
    for table, rows in tables.items():
        add(f"bert.embeddings.{table}_embeddings.weight", rows, hidden, scale=1.0 if table == "word" else 0.3)
    weights["bert.embeddings.word_embeddings.weight"][0] = 0
    norm("bert.embeddings.LayerNorm")
    for layer in range(config.layers):
        at = f"bert.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear(f"{at}.attention.self.{part}", hidden, hidden)
        linear(f"{at}.attention.output.dense", hidden, hidden)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", config.feed_forward, hidden)
        linear(f"{at}.output.dense", hidden, config.feed_forward)
        norm(f"{at}.output.LayerNorm")
    linear("bert.pooler.dense", hidden, hidden)
    linear("cnn_proj", hidden, config.filters * len(config.kernels))
    return weights


def fused(weights: Mapping[str, Tensor], config: Config, tokens: Sequence[int]) -> Tensor:
    """What the heads see of one read, (hidden,).

    Args:
        tokens: with those for the start and the end of a read, without padding.
    """
    ids = torch.tensor(tokens)
    pooled = F.linear(_convolved(weights, config, ids), weights["cnn_proj.weight"], weights["cnn_proj.bias"])
    return weights["w_cnn"] * pooled + (1 + weights["w_bert"]) * _attended(weights, config, ids)[0]


def _convolved(weights: Mapping[str, Tensor], config: Config, ids: Tensor) -> Tensor:
    """The largest value of each filter, (filters of all kernels,). A margin of padding stands for the window's rest."""
    padded = F.pad(ids, (0, max(config.kernels) // 2 + 1), value=PAD)
    vectors_DL = weights["embedding.weight"][padded].T
    found = []
    for branch, kernel in enumerate(config.kernels):
        at = f"conv_stacks.0.{branch}.0"
        values = F.conv1d(vectors_DL, weights[f"{at}.weight"], weights[f"{at}.bias"], padding=kernel // 2)
        found.append(values.relu().amax(dim=1))
    return torch.cat(found)


def _attended(weights: Mapping[str, Tensor], config: Config, ids: Tensor) -> Tensor:
    """The transformer's last vectors, (tokens, hidden)."""

    def linear(key: str, x: Tensor) -> Tensor:
        return F.linear(x, weights[f"{key}.weight"], weights[f"{key}.bias"])

    def norm(key: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (config.hidden,), weights[f"{key}.weight"], weights[f"{key}.bias"], eps=1e-12)

    def split(x: Tensor) -> Tensor:
        return x.view(len(ids), config.heads, -1).transpose(0, 1)

    at = "bert.embeddings"
    x = weights[f"{at}.word_embeddings.weight"][ids] + weights[f"{at}.position_embeddings.weight"][: len(ids)]
    x = norm(f"{at}.LayerNorm", x + weights[f"{at}.token_type_embeddings.weight"][0])
    for layer in range(config.layers):
        at = f"bert.encoder.layer.{layer}"
        query, key, value = (split(linear(f"{at}.attention.self.{part}", x)) for part in ("query", "key", "value"))
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(0, 1).reshape(len(ids), -1)
        x = norm(f"{at}.attention.output.LayerNorm", x + linear(f"{at}.attention.output.dense", mixed))
        wider = F.gelu(linear(f"{at}.intermediate.dense", x))
        x = norm(f"{at}.output.LayerNorm", x + linear(f"{at}.output.dense", wider))
    return x


def heads(fused_RH: Tensor, chosen_RK: Tensor, labels: Sequence[int], generator: torch.Generator) -> Weights:
    """Linear heads that give each read its label with some confidence, as after training.

    A label's row points to where its reads lie, as seen from the mean of all; a row without reads points anywhere.
    All rows of a rank are as large as `TOP_PROBABILITY` needs. (Rows that all point anywhere name labels too, but
    close to one another: the arithmetic of any tool would decide between them, and no training leaves that so.)

    Args:
        fused_RH: what the heads see of some reads.
        chosen_RK: the label of each of them at each rank.
        labels: how many there are, for each rank.
    """
    centre = fused_RH.mean(dim=0)
    shared = F.normalize(centre, dim=0)
    towards_RH = F.normalize(fused_RH - centre, dim=1)
    weights = {}
    for rank, count in enumerate(labels):
        rows = torch.randn(count, fused_RH.shape[1], generator=generator)
        rows[chosen_RK[:, rank]] = 0
        rows.index_add_(0, chosen_RK[:, rank], towards_RH)
        rows -= torch.outer(rows @ shared, shared)
        rows = F.normalize(rows, dim=1)
        weights[f"classifiers.{rank}.weight"] = _scale((fused_RH @ rows.T).double()) * rows
        weights[f"classifiers.{rank}.bias"] = torch.zeros(count)
    return weights


def _scale(logits_RC: Tensor) -> float:
    """What to multiply the logits by, for a mean top probability of `TOP_PROBABILITY`; by halving."""
    low, high = math.log(1e-6), math.log(1e6)
    for _ in range(60):
        middle = (low + high) / 2
        top = (logits_RC * math.exp(middle)).softmax(dim=1).amax(dim=1).mean()
        low, high = (low, middle) if top > TOP_PROBABILITY else (middle, high)
    return math.exp(low)


def parameters(weights: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in weights.values())
