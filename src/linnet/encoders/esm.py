"""ESM-2 of any size, its residues' vectors pooled for a decoder; frozen, or learning through low-rank adapters.

Weights come from a folder or from the Hugging Face hub as safetensors, or are drawn at random (a small encoder of the
same shape). LoRA (Hu et al. 2021) adds a product of two narrow matrices to the query, key and value of each layer;
QLoRA (Dettmers et al. 2023) does the same to weights kept in 4 bits.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from linnet.encoders.pooling import PublishedPooling, QueryPooling
from linnet.errors import UserError, missing_extra, require
from linnet.lineage_decoder import Memory
from linnet.released.taxoformer_esm import LETTERS, residues

Pooling = Literal["latents", "query", "residues", "published"]
ADAPTED = ("query", "key", "value")
"""The linear layers of each attention that adapters go to."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """An ESM-2 and what is made of its output."""

    weights: str = ""
    """A folder or a model of the hub (facebook/esm2_t6_8M_UR50D); without: drawn at random, in the sizes below."""
    revision: str = ""
    """Of the hub's model."""
    layers: int = 6
    """Of an encoder drawn at random, as are the next three."""
    width: int = 320
    """Of its vectors."""
    heads: int = 20
    """Of each attention."""
    inner: int = 1280
    """Of the layer between."""
    max_length: int = 1022
    """Residues that are read of a protein."""
    pooling: Pooling = "latents"
    """latents: learned queries; query: <cls> as the query; residues: none; published: TaxoFormer's code."""
    latents: int = 8
    """Learned queries."""
    lora: int = 0
    """Rank of the adapters (8 as published); 0: the encoder stays as it is, or, drawn at random, learns whole."""
    lora_alpha: int = 16
    """What the adapters' product is multiplied by, times the rank."""
    quantised: bool = False
    """Whether the encoder's weights are kept in 4 bits (NF4), as QLoRA has it."""

    def __post_init__(self) -> None:
        require(min(self.layers, self.heads, self.inner, self.max_length) >= 1, "a size of 0", "1 or more")
        require(
            self.width % (2 * self.heads) == 0, f"width {self.width}", f"a multiple of twice the {self.heads} heads"
        )
        require(self.pooling != "latents" or self.latents >= 1, f"{self.latents} latents", "1 or more")
        require(self.lora >= 0, f"lora {self.lora}", "0 or more")
        require(not self.quantised or bool(self.weights), "quantised without weights", "weights that were trained")


class EsmEncoder(nn.Module):
    """Proteins to a decoder's memory.

    Raises:
        UserError: a library is missing; the weights cannot be had.
    """

    body: Any

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        body = _pretrained(config) if config.weights else _drawn(config)
        body.contact_head = None  # of no use here, and in the way of counting
        self.width = int(body.config.hidden_size)
        if config.lora:
            body = _adapted(body, config)
        elif config.weights:
            body.requires_grad_(False)
        self.body = body
        heads = int(body.config.num_attention_heads)
        if config.pooling == "published":
            self.pooling: nn.Module | None = PublishedPooling(self.width, 5)
        elif config.pooling == "residues":
            self.pooling = None
        else:
            self.pooling = QueryPooling(self.width, heads, config.latents if config.pooling == "latents" else 0)

    def collate(self, sequences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and which are real, (B, L) each: <cls>, residues, <eos>, padding."""
        return residues(sequences, self.config.max_length)

    def forward(self, batch: tuple[Tensor, Tensor]) -> Memory:
        """A memory of `latents` vectors a protein, of one, or of one for each residue."""
        device = next(self.parameters()).device
        ids, real = (t.to(device) for t in batch)
        states = self.body(input_ids=ids, attention_mask=real.long()).last_hidden_state.float()
        if self.pooling is None:
            return Memory(states, real)
        pooled = self.pooling(states, real)
        return Memory(pooled if pooled.ndim == 3 else pooled[:, None])

    def train(self, mode: bool = True) -> EsmEncoder:
        """As usual; weights of 4 bits, which evaluation packs in a form without gradients, are unpacked first."""
        if mode and self.config.quantised:
            self.body.state_dict()
        return super().train(mode)

    def merged(self) -> EsmEncoder:
        """The same encoder with its adapters multiplied into its weights, as it is kept."""
        if self.config.lora:
            self.body = self.body.merge_and_unload()
        return self


def adapters(encoder: EsmEncoder) -> dict[str, nn.Parameter]:
    """The adapters' matrices by name."""
    return {name: p for name, p in encoder.body.named_parameters() if ".lora_" in name}


def _drawn(config: Config) -> Any:
    library = _library("transformers")
    return library.EsmModel(
        library.EsmConfig(
            vocab_size=len(LETTERS), pad_token_id=1, mask_token_id=len(LETTERS) - 1, hidden_size=config.width,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, intermediate_size=config.inner,
            layer_norm_eps=1e-5, position_embedding_type="rotary", token_dropout=True, emb_layer_norm_before=False,
        ),
        add_pooling_layer=False,
    )  # fmt: skip


def _pretrained(config: Config) -> Any:
    library = _library("transformers")
    more: dict[str, Any] = {}
    if config.quantised:
        _library("bitsandbytes")
        more["quantization_config"] = library.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )  # fmt: skip
        more["device_map"] = {"": "cuda" if torch.cuda.is_available() else "cpu"}
    library.logging.set_verbosity_error()  # it would report the weights of heads that are not used
    library.logging.disable_progress_bar()
    try:
        body = library.EsmModel.from_pretrained(
            config.weights, revision=config.revision or "main", use_safetensors=True, trust_remote_code=False,
            add_pooling_layer=False, **more,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(
            f"cannot be loaded ({str(error).partition(chr(10))[0]})", where=config.weights,
            expected="an ESM-2 with config.json and model.safetensors: a folder, or a model of the hub",
            remedy="Check the name and the connection, or download it elsewhere and give its folder.",
        ) from error  # fmt: skip
    if body.config.model_type != "esm" or body.config.vocab_size != len(LETTERS):
        raise UserError(f"is a {body.config.model_type} of {body.config.vocab_size} letters", where=config.weights,
                        expected="an ESM-2, which has 33")  # fmt: skip
    return body


def _adapted(body: Any, config: Config) -> Any:
    """The encoder, frozen, with adapters; each attention must have got its three."""
    library = _library("peft")
    lora = library.LoraConfig(
        r=config.lora, lora_alpha=config.lora_alpha, target_modules=list(ADAPTED), lora_dropout=0.0
    )
    adapted = library.get_peft_model(body, lora)
    found = sum(name.endswith(".lora_A.default") for name, _ in adapted.named_modules())
    wanted = len(ADAPTED) * int(body.config.num_hidden_layers)
    if found != wanted:
        raise UserError(f"adapters went to {found} layers", expected=f"{wanted}: query, key and value of each")
    return adapted


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise missing_extra(name, "proteins", "an ESM-2 encoder") from error
