"""A sparse bag of k-mers, embedded and passed through one hidden block: order-free, fast, any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.errors import require
from linnet.kmers import count


@dataclass(frozen=True, kw_only=True)
class Config:
    """Size of the k-mer encoder."""

    k: int = 7
    """Length of the k-mers, in bases."""
    width: int = 128
    """Width of the k-mer embedding and of the vector that comes out."""
    dropout: float = 0.1
    """Share of the vector's entries left out at each training step."""

    def __post_init__(self) -> None:
        require(2 <= self.k <= 9, f"k {self.k}", "2 to 9")
        require(self.width >= 1, f"width {self.width}", "1 or more")
        require(0 <= self.dropout < 1, f"dropout {self.dropout}", "0 to 1, without 1")


class KmerEncoder(nn.Module):
    """K-mer counts to one vector a record.

    Args:
        log_odds_V: float32 (4^k,), kept with the weights: by it a strand is chosen when classifying.
    """

    def __init__(self, config: Config, log_odds_V: NDArray[np.float32]) -> None:
        super().__init__()
        if len(log_odds_V) != 4**config.k:
            raise ValueError(f"{len(log_odds_V)} log-odds for {4**config.k} k-mers")
        self.k, self.width = config.k, config.width
        self.register_buffer("log_odds_V", torch.from_numpy(log_odds_V))
        self.embedding = nn.Parameter(torch.randn(4**config.k, config.width) * 0.02)
        self.norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, 2 * config.width)
        self.contract = nn.Linear(2 * config.width, config.width)
        self.out_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def collate(self, sequences: Sequence[str]) -> Tensor:
        """float32 (B, 4^k): k-mer counts of sequences on the references' strand."""
        return torch.from_numpy(count(sequences, self.k))

    def forward(self, counts_BV: Tensor) -> Tensor:
        """Vectors (B, 1, width)."""
        length_B1 = counts_BV.sum(dim=1, keepdim=True).clamp(min=1.0)
        x = self.norm((counts_BV @ self.embedding) / length_B1.sqrt())
        x = x + self.contract(nn.functional.gelu(self.expand(self.dropout(x)), approximate="tanh"))
        return torch.as_tensor(self.dropout(self.out_norm(x)).unsqueeze(1))
