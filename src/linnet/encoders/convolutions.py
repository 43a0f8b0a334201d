"""Parallel convolutions of several widths, and the strongest answer of each filter over the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class Convolutions(nn.Module):
    """Layers of parallel branches, one a kernel size; their outputs side by side feed the next layer.

    Args:
        width: channels that come in.
        filters: channels of each branch.
        kernels: kernel sizes, all odd, or all even: each layer then makes its input one longer.
        residual: add to each branch a shortcut from its input (a 1x1 convolution where widths differ).
    """

    def __init__(
        self, width: int, filters: int, kernels: Sequence[int], layers: int, dropout: float, *, residual: bool
    ) -> None:
        super().__init__()
        self.width = filters * len(kernels)
        self.branches = nn.ModuleList()
        self.shortcuts = nn.ModuleList()
        for _ in range(layers):
            self.branches.append(nn.ModuleList(nn.Conv1d(width, filters, k, padding=k // 2) for k in kernels))
            if residual:
                self.shortcuts.append(
                    nn.ModuleList(nn.Identity() if width == filters else nn.Conv1d(width, filters, 1) for _ in kernels)
                )
            width = self.width
        self.dropout = nn.Dropout(dropout)
        reach = max(kernels) // 2
        # Past a sequence's end come `layers` * reach positions that still feel its letters, and before the
        # window's end (`layers` - 1) * reach that feel the window. With one more between them, every value that
        # a longer window would give is among those of this one.
        self.padding = (2 * layers - 1) * reach + 1

    def forward(self, x_BCL: Tensor, mask_BL: Tensor | None) -> Tensor:
        """The highest value of each filter, (B, width), over all positions or over those of `mask_BL`."""
        for layer, branches in enumerate(self.branches):
            parts = [self.dropout(torch.relu(convolution(x_BCL))) for convolution in cast(nn.ModuleList, branches)]
            if self.shortcuts:
                shortcuts = cast(nn.ModuleList, self.shortcuts[layer])
                parts = [part + shortcut(x_BCL) for part, shortcut in zip(parts, shortcuts, strict=True)]
            x_BCL = torch.cat(parts, dim=1)
        if mask_BL is not None:
            x_BCL = x_BCL.masked_fill(~mask_BL[:, None], -torch.inf)
        return x_BCL.amax(dim=2)
