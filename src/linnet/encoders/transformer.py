"""A BERT-style transformer: post-norm layers over tokens and learned positions (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention


@dataclass(frozen=True, kw_only=True)
class Size:
    """Numbers of a transformer: tokens known, longest sequence, width, layers, heads, width within a layer."""

    vocabulary: int
    window: int
    width: int
    layers: int
    heads: int
    inner: int
    dropout: float


class Transformer(nn.Module):
    """Token ids to a vector for each of them.

    `types` and `pooler` are parts of BERT that say nothing here: every token is of type 0, and no output
    depends on the pooler. They are kept as the published model has them, and counts them.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.positions = nn.Embedding(size.window, size.width)
        self.types = nn.Embedding(2, size.width)
        self.norm = nn.LayerNorm(size.width, eps=1e-12)
        self.dropout = nn.Dropout(size.dropout)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.pooler = nn.Linear(size.width, size.width)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, *, first: bool = False) -> Tensor:
        """Vectors (B, L, width), or with `first` those of the first position only, (B, 1, width).

        Args:
            mask_BL: bool, which positions hold tokens; the others are not attended to.
        """
        x = self.tokens(ids_BL) + self.positions.weight[: ids_BL.shape[1]] + self.types.weight[0]
        x = self.dropout(self.norm(x))
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            x = layer(x, mask_BL[:, None, None], first=first and number == last)
        return torch.as_tensor(x)


class Layer(nn.Module):
    """Attention, then a feed-forward net, each added to its input and normed."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, self.attention_dropout = size.heads, size.dropout
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.attention_norm = nn.LayerNorm(size.width, eps=1e-12)
        self.expand = nn.Linear(size.width, size.inner)
        self.contract = nn.Linear(size.inner, size.width)
        self.norm = nn.LayerNorm(size.width, eps=1e-12)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, x_BLW: Tensor, mask: Tensor, *, first: bool = False) -> Tensor:
        """As long as what comes in, or with `first` the first position alone: nothing else is then needed of it."""
        width = x_BLW.shape[2]
        if first:
            q = nn.functional.linear(x_BLW[:, :1], self.qkv.weight[:width], self.qkv.bias[:width])
            kv = nn.functional.linear(x_BLW, self.qkv.weight[width:], self.qkv.bias[width:])
            k, v = kv.chunk(2, dim=2)
            x_BLW = x_BLW[:, :1]
        else:
            q, k, v = self.qkv(x_BLW).chunk(3, dim=2)
        q, k, v = (t.view(*t.shape[:2], self.heads, -1).transpose(1, 2) for t in (q, k, v))
        dropout = self.attention_dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        mixed = self.out(mixed.transpose(1, 2).flatten(2))
        x = self.attention_norm(x_BLW + self.dropout(mixed))
        return torch.as_tensor(self.norm(x + self.dropout(self.contract(gelu(self.expand(x))))))
