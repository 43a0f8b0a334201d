"""Proteins: an ESM-2 and a decoder that says lineages taxon by taxon, as TaxoFormer has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import devices, lineage_decoder
from linnet.calibrate import Calibration
from linnet.checkpoint import Checkpoint
from linnet.encoders import esm
from linnet.encoders.esm import EsmEncoder
from linnet.errors import UserError
from linnet.lineage_code import LineageCode
from linnet.lineage_decoder import DecoderWalker, LineageDecoder, Memory, Tables
from linnet.taxonomy import Taxonomy

KIND = "decoder"
"""Of such a model's checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A protein transformer."""

    encoder: esm.Config = field(default_factory=esm.Config)
    decoder: lineage_decoder.Config = field(default_factory=lineage_decoder.Config)
    least: int = 20
    """Residues that a protein must have to be judged."""


class ProteinTransformer(nn.Module):
    """Proteins to the ways of one tree."""

    def __init__(self, config: Config, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.config = config
        self.tables = Tables(LineageCode(taxonomy, config.decoder.vocabulary))
        self.encoder = EsmEncoder(config.encoder)
        width = config.decoder.width
        self.bridge = nn.Linear(self.encoder.width, width) if self.encoder.width != width else nn.Identity()
        self.decoder = LineageDecoder(config.decoder, self.tables.code.slots, self.tables.code.levels)

    def memory(self, sequences: Sequence[str]) -> Memory:
        """What the decoder attends to."""
        found = self.encoder(self.encoder.collate(sequences))
        return Memory(self.bridge(found.vectors), found.real)

    def loss(self, sequences: Sequence[str], nodes: NDArray[np.integer], new: NDArray[np.bool_]) -> Tensor:
        """Mean of -ln p(label); labels as in `lineage_decoder.lessons`."""
        work = lineage_decoder.lessons(self.tables, nodes, new, self.config.decoder.forced)
        return lineage_decoder.path_loss(self.decoder, self.tables, self.memory(sequences), work)

    @torch.inference_mode()
    def walker_of(self, sequences: Sequence[str]) -> DecoderWalker:
        """The model at work on these proteins."""
        return DecoderWalker(self.decoder, self.tables, self.memory(sequences))

    def checkpoint(self, origin: dict[str, Any] | None = None) -> Checkpoint:
        """All of it, adapters multiplied into the encoder, in half precision: nothing has to be fetched to use it."""
        self.encoder.merged()
        tree = self.tables.taxonomy
        body = self.encoder.body.config
        encoder = asdict(self.config.encoder) | {
            "weights": "", "revision": "", "lora": 0, "quantised": False, "width": body.hidden_size,
            "layers": body.num_hidden_layers, "heads": body.num_attention_heads, "inner": body.intermediate_size,
        }  # fmt: skip
        described = {
            "family": "proteins",
            "kind": KIND,
            "encoder": "esm",
            "head": "decoder",
            "config": asdict(self.config) | {"encoder": encoder},
            "pretrained": self.config.encoder.weights,
            "linnet": linnet.__version__,
            "torch": torch.__version__,
        }
        tensors = {
            name: t.detach().float().cpu().numpy().astype(np.float16)
            for name, t in self.state_dict().items()
            if t.is_floating_point()
        }
        levels = len(tree.level_bounds) - 2
        return Checkpoint(described, tensors, tree, Calibration.none(levels, self.config.least), origin or {})


def load(checkpoint: Checkpoint, device: str = "cpu") -> ProteinTransformer:
    """A model from its checkpoint.

    Raises:
        UserError: weights that do not fit its settings; transformers is missing.
        UsageError: the device cannot be used.
    """
    settings = checkpoint.model["config"]
    config = Config(
        encoder=esm.Config(**settings["encoder"]),
        decoder=lineage_decoder.Config(**settings["decoder"]),
        least=settings["least"],
    )
    model = ProteinTransformer(config, checkpoint.taxonomy)
    weights = {name: torch.from_numpy(np.asarray(t, np.float32)) for name, t in checkpoint.tensors.items()}
    missing = {name for name, t in model.state_dict().items() if t.is_floating_point()} - set(weights)
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise UserError(
            f"the model's weights do not fit its settings ({str(error).splitlines()[-1].strip()})",
            remedy="Copy or train the model again.",
        ) from error
    if missing:
        raise UserError(f"the model has no weights {min(missing)}", remedy="Copy or train the model again.")
    model.tables.device = device
    with devices.used(device):
        return model.to(device).eval()
