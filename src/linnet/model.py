"""An encoder and a head on one tree."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.encoders.kmer import KmerEncoder
from linnet.heads import TreeHead


class Model(nn.Module):
    """Inputs of the encoder to scores of the head."""

    def __init__(self, encoder: KmerEncoder, head: TreeHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.encoder(inputs)))

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Weights by name, in half precision: the form in which a model is kept.

        The log-odds stay float32: a strand is chosen by their sum over many k-mers.
        """
        state = {name: t.detach().cpu().numpy() for name, t in self.state_dict().items()}
        return {n: t if n.endswith("log_odds_V") else t.astype(np.float16) for n, t in state.items()}
