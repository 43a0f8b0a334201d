"""From the vectors of a protein's residues to the few that a decoder attends to."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class QueryPooling(nn.Module):
    """Multi-head attention of queries to the residues, padding left out.

    Args:
        latents: how many learned queries, each giving a vector; 0: the query is the first position's vector, <cls>, as
            TaxoFormer's paper describes it, and there is one.
    """

    def __init__(self, width: int, heads: int, latents: int = 0) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.queries = nn.Parameter(torch.randn(latents, width) * 0.02) if latents else None
        self.norm = nn.LayerNorm(width)

    def forward(self, states_BLD: Tensor, real_BL: Tensor) -> Tensor:
        """Vectors (B, latents or 1, D)."""
        query = states_BLD[:, :1] if self.queries is None else self.queries.expand(len(states_BLD), -1, -1)
        pooled, _ = self.attention(query, states_BLD, states_BLD, key_padding_mask=~real_BL, need_weights=False)
        return torch.as_tensor(self.norm(query + pooled))


class PublishedPooling(nn.Module):
    """TaxoFormer's pooling as its code has it: attention among the heads of each residue, then the mean.

    Every position counts alike, <cls>, <eos> and padding too, so that batch mates matter (published code, commit
    24b056a).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))

    def forward(self, states_BLD: Tensor, real_BL: Tensor | None = None) -> Tensor:
        """Vectors z (B, D); `real_BL` is not used."""
        split = (*states_BLD.shape[:2], self.heads, -1)
        q, k, v = (p(states_BLD).reshape(split) for p in (self.q_proj, self.k_proj, self.v_proj))
        weights_BLHH = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=3)
        return torch.as_tensor(self.mlp(self.out_proj((weights_BLHH @ v).flatten(2)).mean(dim=1)))
