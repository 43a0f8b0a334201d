"""A sparse bag of words of residues, embedded and passed through one hidden block: order-free and fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linnet.errors import require
from linnet.residues import WordReader, Words


@dataclass(frozen=True, kw_only=True)
class Config:
    """Size of the word encoder."""

    ks: tuple[int, ...] = (3, 4)
    """Lengths of the words, in residues."""
    buckets: int = 65_536
    """Rows of the embedding for the words of one length; where there are more words, several share a row."""
    width: int = 96
    """Width of the embedding and of the vector that comes out."""
    dropout: float = 0.1
    """Share of the vector's entries left out at each training step."""

    def __post_init__(self) -> None:
        require(bool(self.ks) and all(1 <= k <= 8 for k in self.ks), f"ks {self.ks}", "lengths from 1 to 8")
        require(
            self.buckets >= 20 and self.width >= 1,
            f"{self.buckets} buckets of width {self.width}",
            "20 or more, of 1 or more",
        )
        require(0 <= self.dropout < 1, f"dropout {self.dropout}", "0 to 1, without 1")

    @property
    def reader(self) -> WordReader:
        return WordReader(self.ks, self.buckets)


class WordEncoder(nn.Module):
    """Words to one vector a protein."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.reader, self.width = config.reader, config.width
        self.embedding = nn.Parameter(torch.randn(len(self.reader), config.width) * 0.02)
        self.norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, 2 * config.width)
        self.contract = nn.Linear(2 * config.width, config.width)
        self.out_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def collate(self, sequences: Sequence[str]) -> Words:
        """The words of each protein."""
        return self.reader.read(sequences)

    def forward(self, words: Words) -> Tensor:
        """Vectors (B, 1, width)."""
        bag = nn.functional.embedding_bag(
            torch.from_numpy(words.index_F), self.embedding, torch.from_numpy(words.start[:-1]), mode="sum"
        )
        x = self.norm(bag / torch.from_numpy(words.counts).clamp(min=1).sqrt()[:, None])
        x = x + self.contract(nn.functional.gelu(self.expand(self.dropout(x)), approximate="tanh"))
        return torch.as_tensor(self.dropout(self.out_norm(x)).unsqueeze(1))
