"""An encoder and a head on one tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from linnet.encoders import hybrid
from linnet.heads import RankHead, TreeHead
from linnet.sibling_groups import SiblingGroups
from linnet.tokens import Tokenizer


class Model(nn.Module):
    """Inputs of the encoder to scores of the head."""

    encoder: Any
    head: Any

    def __init__(self, encoder: nn.Module, head: TreeHead | RankHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, inputs: Any) -> Any:
        """Scores as the head gives them, from inputs as the encoder's `collate` makes them."""
        return self.head(self.encoder(inputs))

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Weights by name, in half precision: the form in which a model is kept.

        The log-odds stay float32: a strand is chosen by their sum over many k-mers.
        """
        state = {name: t.detach().cpu().numpy() for name, t in self.state_dict().items()}
        return {n: t if n.endswith("log_odds_V") else t.astype(np.float16) for n, t in state.items()}


def build(config: hybrid.Config, tokenizer: Tokenizer, over: SiblingGroups | Sequence[int]) -> Model:
    """An untrained DeepTaxa network: over a tree, or, with the published heads, over so many labels a rank."""
    encoder = hybrid.build(config, tokenizer)
    if isinstance(over, SiblingGroups):
        return Model(encoder, TreeHead(over, encoder.width))
    between = config.hidden_dropout_prob if config.model_type == "cnn" else None
    return Model(encoder, RankHead(over, encoder.width, between))


def parameters(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(p.numel() for p in model.parameters())
