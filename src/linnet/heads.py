"""From vectors to scores over the tree."""

from __future__ import annotations

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
