"""The ESM-2 encoder of a TaxoFormer release: weights under fair-esm's or Hugging Face's names, and the model they make.

Names, letters and sizes: ESM-2 (Lin et al. 2023) as fair-esm and transformers publish it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from linnet.errors import UserError, missing_extra

LETTERS = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")
"""ESM-2's alphabet, in the order of its embedding's rows."""
_CLS, _PAD, _EOS, _UNK = range(4)
_ID = {letter: i for i, letter in enumerate(LETTERS) if len(letter) == 1}

_HEADS = {(6, 320): 20, (12, 480): 20, (30, 640): 20, (33, 1280): 20, (36, 2560): 40, (48, 5120): 40}
"""Attention heads of the published sizes, by layers and width."""

_TO_HF = {
    "embed_tokens": "embeddings.word_embeddings",
    "emb_layer_norm_after": "encoder.emb_layer_norm_after",
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn.rot_emb": "attention.self.rotary_embeddings",
    "self_attn_layer_norm": "attention.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "LayerNorm",
}
_IN_LAYER = [name for name in _TO_HF if not name.startswith("emb")]
_FAIR = re.compile(
    r"(?:.*\.)?(?:(embed_tokens|emb_layer_norm_after)|layers\.(\d+)\.(" + "|".join(map(re.escape, _IN_LAYER)) + "))"
)
_HF = re.compile(
    r"(?:.*\.)?(embeddings\.word_embeddings|encoder\.emb_layer_norm_after|rotary_embeddings"
    r"|encoder\.layer\.\d+\.(?:" + "|".join(re.escape(_TO_HF[name]) for name in _IN_LAYER) + "))"
)
_LORA = re.compile(r"(?P<layer>.+)\.lora_(?P<which>[AB])(?:\.weight)?")
_UNUSED = re.compile(r"(?:^|\.)(lm_head|contact_head|pooler|position_ids|position_embeddings|_float_tensor)(?:\.|$)")

Lora = dict[str, tuple[Tensor, Tensor]]
"""Factors A (in, r) and B (r, out) by the name of the linear layer they are added to."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """An ESM-2 encoder: its sizes, and its weights in float32 by the names of `transformers.EsmModel`.

    Attributes:
        width: D, entries of a residue's vector.
        inner: width within a feed-forward net.
        source: the file the weights came from.
    """

    width: int
    layers: int
    heads: int
    inner: int
    weights: dict[str, Tensor]
    source: str


def read(path: Path, heads: int | None = None, lora: Mapping[str, tuple[Tensor, Tensor]] | None = None,
         scale: float = 2.0) -> Encoder:  # fmt: skip
    """An encoder by itself: a Hugging Face folder, a fair-esm `.pt`, or either's weights as safetensors.

    Args:
        path: a folder or a file.
        heads: attention heads, where the caller knows them.
        lora, scale: factors to merge, by any name of their linear layer, and what to multiply their product by.

    Raises:
        UserError: no such file; not an ESM-2 encoder; objects other than weights and plain values; misshapen weights.
    """
    file, *others = weight_files(path)
    state, said = (load(file), None) if file.suffix == ".safetensors" else _load_fair(file)
    for other in others:
        state.update(load(other))
    if path.is_dir() and (path / "config.json").is_file():
        said = _hf_heads(path / "config.json") or said
    weights, strange = named(state)
    if strange or not weights:
        found = f"has weights that no ESM-2 has, '{strange[0]}'" if strange else "has no weights of an ESM-2"
        raise UserError(found, where=str(file), expected="an ESM-2 encoder, by fair-esm's or Hugging Face's names")
    return encoder(weights, str(file), heads or said, lora, scale)


def weight_files(path: Path) -> list[Path]:
    """The files of weights that an encoder is read from: one, or all parts.

    Args:
        path: a folder or a file.

    Raises:
        UserError: there is none, or more than one in a folder.
    """
    file = _file_in(path) if path.is_dir() else path
    if not file.is_file():
        raise UserError("no such file or folder", where=str(path), remedy="Check the path.")
    if re.fullmatch(r"model-\d+-of-\d+\.safetensors", file.name):
        return sorted(file.parent.glob("model-*-of-*.safetensors"))
    return [file]


def load(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name.

    Raises:
        UserError: there is no such file, or it is cut short or no safetensors file.
    """
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Download the whole folder again.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"is not a safetensors file, or is cut short ({str(error).partition(chr(10))[0]})",
            where=str(path),
            remedy="Download it again.",
        ) from error


def factors(state: Mapping[str, Tensor]) -> tuple[Lora, dict[str, Tensor]]:
    """Low-rank factors of a state by the name of their layer, and what else it holds.

    Raises:
        UserError: one factor of a layer without the other.
    """
    found: dict[str, dict[str, Tensor]] = {}
    rest = {}
    for key, tensor in state.items():
        if match := _LORA.fullmatch(key):
            found.setdefault(match["layer"], {})[match["which"]] = tensor.float()
        else:
            rest[key] = tensor
    for layer, both in found.items():
        if len(both) != 2:
            raise UserError(f"holds lora_{min(both)} of {layer} alone", expected="lora_A and lora_B of each layer")
    return {layer: (both["A"], both["B"]) for layer, both in found.items()}, rest


def named(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Encoder weights of a state by EsmModel's names, in float32, and keys that are none.

    A wrapper's level between a linear layer's name and its `weight` is looked through.

    Raises:
        UserError: two weights of one meaning.
    """
    weights: dict[str, Tensor] = {}
    strange = []
    for key, tensor in state.items():
        within, _, kind = key.rpartition(".")
        kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)  # as transformers 5 writes layer norms
        module = _module(within) or _module(within.rpartition(".")[0])
        name = "rotary_embeddings.inv_freq" if kind == "inv_freq" else f"{module}.{kind}"
        if module and kind == "inv_freq":  # the same in every layer
            weights[name] = tensor.float()
        elif module and kind in ("weight", "bias"):
            if name in weights:
                raise UserError(f"holds two weights that would both be {name}, '{key}' the second of them")
            weights[name] = tensor.float()
        elif not _UNUSED.search(key):
            strange.append(key)
    return weights, strange


def encoder(weights: Mapping[str, Tensor], source: str, heads: int | None = None,
            lora: Mapping[str, tuple[Tensor, Tensor]] | None = None, scale: float = 2.0) -> Encoder:  # fmt: skip
    """An encoder from its weights, sizes read off their shapes.

    Args:
        weights: by EsmModel's names, as `named` gives them.
        source: the file, for messages.
        heads: attention heads; without them those of the published size.

    Raises:
        UserError: a weight is missing, misshapen or not a number; the heads are not known; factors fit no layer.
    """
    letters_D = weights.get("embeddings.word_embeddings.weight")
    if letters_D is None or letters_D.ndim != 2 or len(letters_D) != len(LETTERS):
        shape = None if letters_D is None else tuple(letters_D.shape)
        raise UserError(
            "has no embedding of residues" if shape is None else f"embeds residues as {shape}",
            where=source,
            expected=f"embed_tokens.weight of ESM-2, ({len(LETTERS)}, width)",
        )
    width = letters_D.shape[1]
    numbers = {int(match[1]) for name in weights if (match := re.match(r"encoder\.layer\.(\d+)\.", name))}
    layers = 1 + max(numbers, default=-1)
    first = weights.get("encoder.layer.0.intermediate.dense.weight")
    inner = first.shape[0] if first is not None else 4 * width
    check(_shapes(width, layers, inner), weights, source, optional=("rotary_embeddings.inv_freq",))
    heads = heads or _HEADS.get((layers, width))
    if heads is None:
        raise UserError(
            f"does not say how many attention heads its {layers} layers of width {width} have",
            where=source,
            remedy='Add "esm_heads": NUMBER to the release\'s config.json.',
        )
    if width % (2 * heads):
        raise UserError(f"a width of {width} with {heads} heads", where=source, expected="an even width of each head")
    merged = dict(weights)
    frequencies = merged.get("rotary_embeddings.inv_freq")
    if frequencies is not None and tuple(frequencies.shape) != (width // heads // 2,):
        raise UserError(f"has {frequencies.numel()} rotary frequencies", where=source,
                        expected=f"{width // heads // 2}, half the width of one of {heads} heads")  # fmt: skip
    for layer, (a_ir, b_ro) in (lora or {}).items():
        merge(merged, _module(layer) or layer, a_ir, b_ro, scale, source)
    return Encoder(width, layers, heads, inner, merged, source)


def merge(weights: dict[str, Tensor], layer: str, a_ir: Tensor, b_ro: Tensor, scale: float, source: str) -> None:
    """Add scale * (A B)^T to a linear layer's weight (Hu et al. 2022), in place in the dictionary.

    Raises:
        UserError: there is no such layer, or the factors do not fit it.
    """
    weight = weights.get(f"{layer}.weight")
    if weight is None:
        raise UserError(f"holds low-rank factors of {layer}, which is no layer of the model", where=source)
    fits = a_ir.ndim == b_ro.ndim == 2 and a_ir.shape[1] == b_ro.shape[0]
    if not fits or (b_ro.shape[1], a_ir.shape[0]) != tuple(weight.shape):
        raise UserError(
            f"low-rank factors of {layer} have shapes {tuple(a_ir.shape)} and {tuple(b_ro.shape)}",
            where=source,
            expected=f"({weight.shape[1]}, r) and (r, {weight.shape[0]})",
        )
    weights[f"{layer}.weight"] = weight + scale * (a_ir @ b_ro).T


def check(wanted: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor], source: str, *,
          optional: Iterable[str] = ()) -> None:  # fmt: skip
    """Refuse weights that are not exactly those wanted.

    Raises:
        UserError: one is missing, has another shape, is not all numbers, or is not provided for.
    """
    for name, shape in wanted.items():
        if name not in weights:
            raise UserError(f"has no weights {name}", where=source, expected=f"shape {shape}")
        if tuple(weights[name].shape) != shape:
            raise UserError(f"weights {name} have shape {tuple(weights[name].shape)}", where=source,
                            expected=f"{shape}, by the release's own settings")  # fmt: skip
        if not bool(torch.isfinite(weights[name]).all()):
            raise UserError(f"weights {name} are not all numbers", where=source, remedy="Download the file again.")
    strange = sorted(set(weights) - set(wanted) - set(optional))
    if strange:
        raise UserError(f"has weights that its own settings do not provide for, '{strange[0]}'", where=source)


def build(encoder: Encoder) -> Any:
    """`transformers.EsmModel` with these weights, in evaluation mode, without a contact head.

    Raises:
        UserError: transformers is not installed.
    """
    try:
        library = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise missing_extra("transformers", "proteins", "running TaxoFormer's encoder") from error
    config = library.EsmConfig(
        vocab_size=len(LETTERS), pad_token_id=_PAD, mask_token_id=len(LETTERS) - 1, hidden_size=encoder.width,
        num_hidden_layers=encoder.layers, num_attention_heads=encoder.heads, intermediate_size=encoder.inner,
        layer_norm_eps=1e-5, position_embedding_type="rotary", token_dropout=True, emb_layer_norm_before=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = library.EsmModel(config, add_pooling_layer=False)
    model.contact_head = None
    weights, width = dict(encoder.weights), encoder.width // encoder.heads
    frequencies = weights.pop("rotary_embeddings.inv_freq", 1 / 10000.0 ** (torch.arange(0, width, 2) / width))
    # Where transformers keeps them has changed with its versions.
    weights |= {name: frequencies for name in model.state_dict() if name.endswith("inv_freq")}
    missing, strange = model.load_state_dict(weights, strict=False, assign=True)
    if missing or strange:
        name = [*missing, *strange][0]
        raise UserError(f"transformers {library.__version__} names ESM-2's weights differently, '{name}'",
                        remedy="Install transformers 5.")  # fmt: skip
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:  # positions counted from nought, which a rotary model does not use
                setattr(module, name, torch.arange(buffer.numel()).view(buffer.shape))
    return model.eval()


def residues(sequences: Sequence[str], limit: int = 1022) -> tuple[Tensor, Tensor]:
    """Token ids (B, L) and which of them are no padding (B, L): <cls>, at most `limit` residues, <eos>.

    Letters are read in upper case; one that ESM-2 does not know is <unk>.
    """
    rows = [[_CLS, *(_ID.get(letter, _UNK) for letter in one[:limit].upper()), _EOS] for one in sequences]
    ids_BL = torch.full((len(rows), max(map(len, rows), default=0)), _PAD)
    for ids_L, row in zip(ids_BL, rows, strict=True):
        ids_L[: len(row)] = torch.tensor(row)
    return ids_BL, ids_BL != _PAD


def states(model: Any, sequences: Sequence[str], limit: int = 1022) -> Tensor:
    """Last-layer vectors (B, L, D) after the final norm, of <cls>, residues, <eos> and padding alike."""
    ids_BL, mask_BL = (t.to(model.device) for t in residues(sequences, limit))
    with torch.inference_mode():
        return torch.as_tensor(model(input_ids=ids_BL, attention_mask=mask_BL.long()).last_hidden_state)


def _module(name: str) -> str | None:
    """EsmModel's name for a module, whatever stands before it; None for one that ESM-2 has not."""
    if fair := _FAIR.fullmatch(name):
        return _TO_HF[fair[1]] if fair[1] else f"encoder.layer.{fair[2]}.{_TO_HF[fair[3]]}"
    return hf[1] if (hf := _HF.fullmatch(name)) else None


def _shapes(width: int, layers: int, inner: int) -> dict[str, tuple[int, ...]]:
    square: tuple[int, ...] = (width, width)
    linear = dict.fromkeys(("attention.self.query", "attention.self.key", "attention.self.value",
                            "attention.output.dense"), square)  # fmt: skip
    linear |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
    modules: dict[str, tuple[int, ...]] = {"encoder.emb_layer_norm_after": (width,)}
    for n in range(layers):
        modules |= {f"encoder.layer.{n}.{name}": shape for name, shape in linear.items()}
        modules |= {f"encoder.layer.{n}.{name}": (width,) for name in ("attention.LayerNorm", "LayerNorm")}
    shapes: dict[str, tuple[int, ...]] = {"embeddings.word_embeddings.weight": (len(LETTERS), width)}
    for name, shape in modules.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def _file_in(folder: Path) -> Path:
    """The one file of weights in a folder."""
    if (folder / "model.safetensors").is_file():
        return folder / "model.safetensors"
    if parts := sorted(folder.glob("model-*-of-*.safetensors")):
        return parts[0]
    files = [*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.pt"))]
    files = [file for file in files if not file.stem.endswith("contact-regression")]
    if len(files) != 1:
        raise UserError(f"holds {len(files) or 'no'} files of weights", where=str(folder),
                        expected="model.safetensors, or one .pt of fair-esm")  # fmt: skip
    return files[0]


def _load_fair(path: Path) -> tuple[dict[str, Tensor], int | None]:
    """A fair-esm `.pt`, and how many heads it says it has, by a loader that knows weights and plain values only."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # attributes by name, and nothing that runs
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            "holds more than weights and plain values, which could run code when read; it was not read",
            where=str(path),
            remedy="Take the encoder as safetensors.",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(f"is not a file that torch wrote, or is cut short ({str(error).partition(chr(10))[0]})",
                        where=str(path), remedy="Download it again.") from error  # fmt: skip
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise UserError("is not laid out as fair-esm's models are", where=str(path), expected="weights under 'model'")
    said = content["cfg"].get("model") if isinstance(content.get("cfg"), dict) else content.get("args")
    said = vars(said) if isinstance(said, argparse.Namespace) else said
    heads = said.get("encoder_attention_heads") if isinstance(said, dict) else None
    return state, heads if isinstance(heads, int) else None


def _hf_heads(path: Path) -> int | None:
    """Attention heads by a Hugging Face config.json, which must be an ESM-2's."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"is not JSON ({error})", where=str(path), remedy="Download it again.") from error
    wanted = {"model_type": "esm", "position_embedding_type": "rotary", "token_dropout": True,
              "emb_layer_norm_before": False, "layer_norm_eps": 1e-5, "rope_theta": 10000.0}  # fmt: skip
    for key, value in wanted.items():
        if isinstance(config, dict) and key in config and (config[key] or False) != value:
            raise UserError(f"{key} is {config[key]!r}", where=str(path), expected=f"{value!r}, as ESM-2 has it")
    heads = config.get("num_attention_heads") if isinstance(config, dict) else None
    return heads if isinstance(heads, int) else None
