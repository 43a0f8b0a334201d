"""TaxoFormer's released folder: settings, weights, its code of names as bins, and its table of parents and children.

Files, keys and shapes: the published code of TaxoFormer (2025), commit 24b056a. Nothing in the folder is executed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from linnet.errors import UserError
from linnet.released import taxoformer_esm as esm
from linnet.released import taxoformer_names
from linnet.released.taxoformer_names import Collisions, Mapping, collisions

__all__ = ["FILES", "Collisions", "Config", "Mapping", "Released", "collisions", "read", "shapes"]

FILES = ("config.json", "model.safetensors", "phylo2_mapping.json", "parent_to_child_mapping.csv")
"""The files of a release."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A release's `config.json`; names as published, and the published value where a file lacks one."""

    esm_model_name: str = "esm2_t33_650M_UR50D"
    embed_dim: int = 1280
    """D, width of residues, pooled vector and decoder."""
    vocab_size: int = 15_000
    """V, ids of a slot."""
    taxonomy_seq_length: int = 118
    """S, slots of a path."""
    num_levels: int = 37
    decoder_layers: int = 4
    decoder_heads: int = 8
    pooling_heads: int = 5
    """Not in the published file: heads of the pooling layer."""
    esm_heads: int | None = None
    """Not in the published file: heads of the encoder, where its size does not tell."""
    dropout: float = 0.1
    lora_rank: int = 8
    lora_alpha: float = 16.0
    max_seq_len_esm: int = 1022
    """Residues read of a sequence."""
    bos_token_id: int = 0
    """The id a path is started from; the published file has 1."""


@dataclass(frozen=True, eq=False)
class Released:
    """What a release holds.

    Attributes:
        weights: of pooling and decoder, float32, by the file's names, low-rank factors merged.
        encoder: None where the folder has none and none was given.
        facts: what else config.json says.
        notes: sentences for a person.
    """

    config: Config
    weights: dict[str, Tensor]
    mapping: Mapping
    encoder: esm.Encoder | None
    facts: dict[str, Any]
    notes: tuple[str, ...]


def read(folder: Path, encoder: Path | None = None) -> Released:
    """A release: config.json, model.safetensors, phylo2_mapping.json and parent_to_child_mapping.csv.

    Args:
        encoder: an ESM-2 of Hugging Face or fair-esm, for a release that leaves its encoder out, as the published does.

    Raises:
        UserError: a file is missing or not what it should be; weights do not fit the settings.
    """
    if not folder.is_dir():
        raise UserError("no such folder", where=str(folder), remedy="Download the whole release into one folder.")
    config, facts = _config(folder / "config.json")
    mapping = taxoformer_names.read(
        folder / "phylo2_mapping.json", folder / "parent_to_child_mapping.csv",
        config.taxonomy_seq_length, config.num_levels, config.vocab_size,
    )  # fmt: skip
    file = folder / "model.safetensors"
    weights, own, lora = _weights(file, config)
    scale = config.lora_alpha / config.lora_rank
    left = {layer: both for layer, both in lora.items() if not _is_ours(layer)}
    notes = [
        f"{file.name}: low-rank factors of {len(lora)} layers, merged" if lora else f"{file.name}: no low-rank factors"
    ]
    found = None
    if own.keys() - {"rotary_embeddings.inv_freq"}:
        found = esm.encoder(own, str(file), config.esm_heads, left, scale)
        notes += [f"{file.name} holds an encoder; {encoder} is not used"] if encoder else []
    elif encoder is not None:
        found = esm.read(encoder, config.esm_heads, left, scale)
    else:
        notes.append(f"{file.name}: the encoder, {config.esm_model_name}, is left out")
    if found is not None:
        _check_encoder(found, config)
    return Released(config, weights, mapping, found, facts, tuple(notes))


def _config(path: Path) -> tuple[Config, dict[str, Any]]:
    content = taxoformer_names.json_of(path)
    if not isinstance(content, dict):
        raise UserError(f"holds a {type(content).__name__}", where=str(path), expected="settings by name")
    settings: dict[str, Any] = {}
    for field in fields(Config):
        names = ("esm_heads", "num_attention_heads") if field.name == "esm_heads" else (field.name,)
        value = next((content[name] for name in names if content.get(name) is not None), None)
        if value is None:
            continue
        least = 0 if field.name in ("dropout", "bos_token_id") else 1
        if field.type == "str":
            fits, wanted = isinstance(value, str), "a name"
        elif field.type == "float":
            fits, wanted = isinstance(value, int | float) and value >= least, f"a number of at least {least}"
        else:
            fits, wanted = isinstance(value, int) and value >= least, f"a whole number of at least {least}"
        if not fits or isinstance(value, bool):
            raise UserError(f"{field.name} is {value!r}", where=str(path), expected=wanted)
        settings[field.name] = value
    config = Config(**settings)
    for name in ("pooling_heads", "decoder_heads"):
        if config.embed_dim % getattr(config, name):
            raise UserError(f"embed_dim {config.embed_dim} with {getattr(config, name)} {name}", where=str(path),
                            expected="a width that the heads divide")  # fmt: skip
    if config.bos_token_id >= config.vocab_size:
        raise UserError(f"bos_token_id is {config.bos_token_id}", where=str(path),
                        expected=f"less than vocab_size, {config.vocab_size}")  # fmt: skip
    return config, {key: value for key, value in content.items() if key not in settings}


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of pooling and decoder, by its name in model.safetensors."""
    d, inner = config.embed_dim, 4 * config.embed_dim
    linear: dict[str, tuple[int, int]] = {
        **{f"feature_extractor.{part}": (d, d) for part in ("q_proj", "k_proj", "v_proj", "out_proj", "mlp.0")},
        "decoder.output_head": (config.vocab_size, d),
    }
    norms = ["feature_extractor.mlp.2"]
    found: dict[str, tuple[int, ...]] = {
        "decoder.token_embedding.weight": (config.vocab_size, d),
        "decoder.positional_embedding.weight": (config.taxonomy_seq_length + 1, d),
        "decoder.level_embedding.weight": (config.num_levels + 1, d),
    }
    for n in range(config.decoder_layers):
        layer = f"decoder.decoder.layers.{n}."
        linear |= {f"{layer}linear1": (inner, d), f"{layer}linear2": (d, inner)}
        norms += [f"{layer}norm{i}" for i in (1, 2, 3)]
        for attention in (f"{layer}self_attn.", f"{layer}multihead_attn."):
            found |= {f"{attention}in_proj_weight": (3 * d, d), f"{attention}in_proj_bias": (3 * d,)}
            linear[f"{attention}out_proj"] = (d, d)
    for name, shape in linear.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        found |= {f"{name}.weight": (d,), f"{name}.bias": (d,)}
    return found


def _weights(path: Path, config: Config) -> tuple[dict[str, Tensor], dict[str, Tensor], esm.Lora]:
    """Weights of pooling and decoder, of an encoder by EsmModel's names, and low-rank factors by the file's names."""
    others = [*path.parent.glob("*.bin"), *path.parent.glob("*.pt")]
    if others and not path.is_file():
        raise UserError("no such file", where=str(path), expected=f"weights as safetensors, not as {others[0].name}",
                        remedy="Other kinds of file can run code when read; they are not read.")  # fmt: skip
    state = esm.load(path)
    try:
        lora, state = esm.factors(state)
        for layer, (a_ir, _) in lora.items():
            if a_ir.shape[-1] != config.lora_rank:
                raise UserError(f"lora_A of {layer} has shape {tuple(a_ir.shape)}",
                                expected=f"(width, {config.lora_rank}), by lora_rank of config.json")  # fmt: skip
        ours = {key: tensor.float() for key, tensor in state.items() if _is_ours(key)}
        for layer in filter(_is_ours, lora):
            esm.merge(ours, layer, *lora[layer], config.lora_alpha / config.lora_rank, str(path))
        own, strange = esm.named({key: tensor for key, tensor in state.items() if key not in ours})
    except UserError as error:
        raise UserError(error.found, where=str(path), expected=error.expected, remedy=error.remedy) from error
    if strange:
        raise UserError(f"has weights that no TaxoFormer has, '{strange[0]}'", where=str(path))
    esm.check(shapes(config), ours, str(path))
    return ours, own, lora


def _is_ours(key: str) -> bool:
    return key.startswith(("decoder.", "feature_extractor."))


def _check_encoder(encoder: esm.Encoder, config: Config) -> None:
    """Refuse an encoder that is not the one a release was trained on, as far as sizes tell."""
    named = re.search(r"_t(\d+)_", config.esm_model_name)
    layers = int(named[1]) if named else encoder.layers
    if (encoder.layers, encoder.width) != (layers, config.embed_dim):
        raise UserError(
            f"an encoder of {encoder.layers} layers of width {encoder.width}",
            where=encoder.source,
            expected=f"{config.esm_model_name}, {layers} layers of width {config.embed_dim}",
            remedy="Give the encoder that config.json names.",
        )
