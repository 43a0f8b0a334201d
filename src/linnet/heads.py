"""From vectors to scores: over the tree, or over each rank by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from linnet.sibling_groups import SiblingGroups


class TreeHead(nn.Module):
    """A score for every taxon among its siblings, and for stopping at every taxon that has children.

    A softmax within each group of siblings gives p(child | parent); products along a path give clades.
    """

    def __init__(self, groups: SiblingGroups, width: int) -> None:
        super().__init__()
        self.groups = groups
        self.scores = nn.Linear(width, len(groups))
        nn.init.normal_(self.scores.weight, std=0.02)
        nn.init.zeros_(self.scores.bias)

    def forward(self, vectors_BMW: Tensor) -> Tensor:
        """Scores (B, columns) from vectors (B, 1, width)."""
        return torch.as_tensor(self.scores(vectors_BMW[:, 0]))


class RankHead(nn.Module):
    """DeepTaxa's heads: one classifier for each rank, that knows nothing of the others.

    Args:
        labels: how many labels each rank has.
        dropout: of the layer between, or None for heads of one layer, as the hybrid and the transformer have.
    """

    def __init__(self, labels: Sequence[int], width: int, dropout: float | None = None) -> None:
        super().__init__()
        self.ranks = nn.ModuleList(
            nn.Linear(width, n)
            if dropout is None
            else nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, n))
            for n in labels
        )

    def forward(self, vectors_BMW: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, labels) for each rank, from vectors (B, 1, width)."""
        return tuple(rank(vectors_BMW[:, 0]) for rank in self.ranks)
