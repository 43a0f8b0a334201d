"""DeepTaxa's released files (`.pt`): read with torch's weights-only loader, into a checkpoint of ours.

Keys, shapes and meanings: the files of DeepTaxa 1.3.0 (2026) and its model card.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import linnet
from linnet.calibrate import Calibration
from linnet.checkpoint import Checkpoint
from linnet.encoders import hybrid
from linnet.errors import UserError
from linnet.model import Model, build
from linnet.rank_scores import RankLabels
from linnet.tokens import Bases, Pieces

SHORTEST = 50
"""Unambiguous bases that a record must have to be judged."""

_TYPES = {"hybridcnnbert": "hybrid", "cnn": "cnn", "bert": "bert"}
_WANTED = ("model_type", "state_dict", "num_labels_per_level", "level_label2id", "taxonomic_ranks", "model_config")


@dataclass(frozen=True)
class Released:
    """What a file says: an encoder, its weights by our names, and the labels of each rank.

    Attributes:
        facts: what else it records: seed, training set, figures.
    """

    config: hybrid.Config
    weights: dict[str, Tensor]
    ranks: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    tokenizer_name: str
    tokenizer_revision: str | None
    facts: dict[str, Any]


# ---------------------------------------------------------------------- the file


def read(path: Path) -> Released:
    """Read a released file; nothing in it is executed.

    Raises:
        UserError: no such file; it holds objects other than plain values and tensors; not a DeepTaxa model.
    """
    content = _load(path)
    absent = [key for key in _WANTED if key not in content]
    if absent:
        raise UserError(f"lacks {', '.join(absent)}", where=str(path), expected="a model that DeepTaxa wrote")
    try:
        config = _config(content)
        ranks = tuple(str(rank).lower() for rank in content["taxonomic_ranks"])
        labels = tuple(_labels(content["level_label2id"][level]) for level in range(len(ranks)))
        counts = [int(content["num_labels_per_level"][str(level)]) for level in range(len(ranks))]
        weights = _renamed(content["state_dict"], config)
        _apply_temperatures(weights, content.get("level_temperatures"), len(ranks))
    except UserError as error:
        raise UserError(error.found, where=str(path), expected=error.expected, remedy=error.remedy) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"is not laid out as DeepTaxa's models are ({type(error).__name__}: {error})", where=str(path)
        ) from error
    if counts != [len(some) for some in labels]:
        raise UserError(f"has {counts} labels by one count, {[len(some) for some in labels]} by another",
                        where=str(path))  # fmt: skip
    revision = content.get("tokenizer_revision")
    return Released(
        config,
        weights,
        ranks,
        labels,
        str(content.get("tokenizer_name") or ""),
        str(revision) if revision else None,
        _facts(content, ranks),
    )


def region(name: str) -> str:
    """What a released file was trained on, by its name: full, V3-V4, V4, or any."""
    for part, found in (("v3v4", "V3-V4"), ("v3-v4", "V3-V4"), ("v4", "V4"), ("full", "full")):
        if part in name.lower():
            return found
    return "any"


def _load(path: Path) -> dict[str, Any]:
    """The file's dictionary, by a loader that knows tensors, plain values and numpy's scalars only."""
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols: what cannot be read is an error below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Check the path.") from None
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            if file.read(1) not in (b"P", b"\x80"):  # an archive, or a pickle
                raise UserError(
                    "is not a file that torch wrote", where=str(path), expected="a DeepTaxa checkpoint",
                    remedy="Download it again.",
                ) from error  # fmt: skip
        raise UserError(
            "holds more than weights and plain values, which could run code when read; it was not read",
            where=str(path),
            expected="an inference-only DeepTaxa checkpoint",
            remedy="Download it again from its publisher and compare its SHA-256.",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f"is not a file that torch wrote, or is cut short ({str(error).partition(chr(10))[0]})",
            where=str(path),
            remedy="Download it again.",
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"holds a {type(content).__name__}", where=str(path), expected="a DeepTaxa checkpoint")
    return content


def _harmless() -> list[Any]:
    """Numpy's own numbers, which files with figures or random states hold; none of them runs anything."""
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.uint32, np.bool_)}
    parts: list[Any] = [np.dtype, np.ndarray, *kinds]
    # Files written under numpy 1 name these numpy.core, later ones numpy._core.
    scalar, rebuild = np._core.multiarray.scalar, np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    for home in ("numpy._core.multiarray", "numpy.core.multiarray"):
        parts += [(scalar, f"{home}.scalar"), (rebuild, f"{home}._reconstruct")]
    return parts


def _config(content: Mapping[str, Any]) -> hybrid.Config:
    kind = _TYPES.get(content["model_type"])
    if kind is None:
        raise UserError(f"a model of type {content['model_type']!r}", expected=f"one of {', '.join(_TYPES)}")
    settings = content["model_config"]
    cnn = settings["cnn"] if kind == "hybrid" else settings if kind == "cnn" else {}
    bert = settings["bert"] if kind == "hybrid" else settings if kind == "bert" else {}
    if bert.get("hidden_act", "gelu") != "gelu" or bert.get("layer_norm_eps", 1e-12) != 1e-12:
        raise UserError("a transformer of another make", expected="GELU, and layer norms with an epsilon of 1e-12")
    window = bert.get("max_position_embeddings") or content["max_length"]
    names = {"embed_dim", "num_filters", "num_conv_layers", "mask_padding"} & cnn.keys()
    names_bert = {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"} & bert.keys()
    return hybrid.Config(
        model_type=kind,
        encoding="onehot" if _reads_bases(content, kind) else "bpe",
        max_length=int(window),
        kernel_sizes=tuple(int(k) for k in cnn.get("kernel_sizes", (3, 5, 7))),
        hidden_dropout_prob=float(content.get("hidden_dropout_prob", 0.2)),
        **{"mask_padding": False, **{n: cnn[n] for n in names}, **{n: bert[n] for n in names_bert}},
    )


def _reads_bases(content: Mapping[str, Any], kind: str) -> bool:
    """Whether the model reads single bases; older files do not say, but their first convolution has four channels."""
    said = content.get("encoding")
    return said == "onehot" if said else kind == "cnn" and "embedding.weight" not in content["state_dict"]


def _labels(label2id: Mapping[str, int]) -> tuple[str, ...]:
    labels = [""] * len(label2id)
    for label, index in label2id.items():
        labels[int(index)] = str(label)
    if sorted(label2id.values()) != list(range(len(labels))):
        raise ValueError("labels are not numbered 0, 1, 2 ...")
    return tuple(labels)


def _facts(content: Mapping[str, Any], ranks: Sequence[str]) -> dict[str, Any]:
    """What a reader of `linnet describe` wants to know of the training."""
    facts: dict[str, Any] = {}
    for key in ("seed", "run_uuid", "epoch", "epochs", "batch_size", "dataset_size", "train_size", "val_size"):
        if content.get(key) is not None:
            facts[key] = content[key] if isinstance(content[key], int) else str(content[key])
    metrics = content.get("metrics") or {}
    facts["validation"] = {
        rank: {str(k): float(v) for k, v in metrics[level].items()}
        for level, rank in enumerate(ranks)
        if isinstance(metrics.get(level), dict)
    }
    return facts


# ---------------------------------------------------------------------- weights

_PLAIN_NAMES = {
    "w_cnn": "w_cnn",
    "w_bert": "w_bert",
    "embedding.": "embedding.",
    "cnn_proj.": "project.",
    "bert.embeddings.word_embeddings.": "transformer.tokens.",
    "bert.embeddings.position_embeddings.": "transformer.positions.",
    "bert.embeddings.token_type_embeddings.": "transformer.types.",
    "bert.embeddings.LayerNorm.": "transformer.norm.",
    "bert.pooler.dense.": "transformer.pooler.",
}
_LAYER_NAMES = {
    "attention.output.dense.": "out.",
    "attention.output.LayerNorm.": "attention_norm.",
    "intermediate.dense.": "expand.",
    "output.dense.": "contract.",
    "output.LayerNorm.": "norm.",
}


def _renamed(state: Mapping[str, Tensor], config: hybrid.Config) -> dict[str, Tensor]:
    """Weights by our names; queries, keys and values of a layer stacked into one matrix."""
    weights: dict[str, Tensor] = {}
    stacked: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        if key.endswith("position_ids"):  # a buffer that older versions of transformers kept
            continue
        tensor = tensor.float()
        part = key.removeprefix("bert.encoder.layer.")
        if part != key:
            number, _, rest = part.partition(".")
            layer = f"encoder.transformer.layers.{number}."
            if rest.startswith("attention.self."):
                which, kind = rest.removeprefix("attention.self.").split(".")
                stacked.setdefault(f"{layer}qkv.{kind}", {})[which] = tensor
            else:
                weights[layer + _replaced(rest, _LAYER_NAMES)] = tensor
        elif key.startswith("classifiers."):
            weights["head.ranks." + key.removeprefix("classifiers.")] = tensor
        elif key.startswith("conv_stacks."):
            weights["encoder.convolutions." + _convolution(key)] = tensor
        else:
            weights["encoder." + _replaced(key, _PLAIN_NAMES)] = tensor
    for name, parts in stacked.items():
        weights[name] = torch.cat([parts[which] for which in ("query", "key", "value")])
    return weights


def _apply_temperatures(weights: dict[str, Tensor], temperatures: Sequence[float] | None, ranks: int) -> None:
    """Divide the last layer of each rank's head by the temperature that a file may hold for it."""
    for rank, temperature in enumerate(temperatures or ()):
        if rank >= ranks or not 0 < float(temperature) < float("inf"):
            raise ValueError(f"level_temperatures {temperatures}")
        for kind in ("weight", "bias"):
            last = max(name for name in weights if name.startswith(f"head.ranks.{rank}.") and name.endswith(kind))
            weights[last] = weights[last] / float(temperature)


def _replaced(key: str, names: Mapping[str, str]) -> str:
    for theirs, ours in names.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    raise UserError(f"has weights that no DeepTaxa model has, '{key}'")


def _convolution(key: str) -> str:
    """`conv_stacks.LAYER.BRANCH` and one of `0`, `conv.0`, `proj`, as our branch or shortcut."""
    _, layer, branch, *rest = key.split(".")
    group = "shortcuts" if rest[0] == "proj" else "branches"
    return f"{group}.{layer}.{branch}.{rest[-1]}"


# ---------------------------------------------------------------------- the checkpoint


def checkpoint(
    released: Released,
    lineages: RankLabels,
    tokenizer: Pieces | None,
    log_odds_V: NDArray[np.float32],
    *,
    region: str = "any",
    origin: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """A model folder's content, weights in float32 as released.

    Args:
        tokenizer: the byte-pair vocabulary, which the file only names; None for a model of single bases.
        log_odds_V: float32 (4^k,), by which the strand of a read is chosen.
        region: what the model was trained on, as `notices` has it.

    Raises:
        UserError: the weights do not fit the configuration, or the vocabulary the weights.
    """
    reader = Bases() if tokenizer is None else tokenizer
    with torch.device("meta"):
        model = build(released.config, reader, [len(some) for some in released.labels])
    _check(model, released.weights)
    tensors = {name: tensor.numpy() for name, tensor in released.weights.items()}
    description = {
        "family": "rrna",
        "kind": "network",
        "encoder": asdict(released.config),
        "head": "ranks",
        "region": region,
        "seed": released.facts.get("seed"),
        "parameters": sum(t.numel() for t in released.weights.values()),
        "linnet": linnet.__version__,
        "torch": torch.__version__,
    }
    facts = {
        "system": "DeepTaxa",
        "licence": "not stated in the file; its publisher's",
        **released.facts,
        "tokenizer": {
            "name": released.tokenizer_name,
            "revision": released.tokenizer_revision,
            "sha256": hashlib.sha256(tokenizer.json.encode()).hexdigest() if tokenizer else None,
        },
    }
    return Checkpoint(
        description,
        {**tensors, "encoder.log_odds_V": log_odds_V},
        lineages.taxonomy,
        Calibration.none(int(lineages.taxonomy.depth.max()), kmers=SHORTEST - 6),
        {**facts, **(origin or {})},
        tokenizer=tokenizer.json if tokenizer else None,
        labels=lineages,
    )


def _check(model: Model, weights: Mapping[str, Tensor]) -> None:
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    for name, shape in wanted.items():
        if name not in weights:
            raise UserError(f"the file has no weights for {name}", expected=f"shape {shape}")
        if tuple(weights[name].shape) != shape:
            raise UserError(
                f"weights {name} have shape {tuple(weights[name].shape)}",
                expected=f"{shape}, by the file's own settings and the tokenizer's {shape[0]:,} entries",
            )
        if not bool(torch.isfinite(weights[name]).all()):
            raise UserError(f"weights {name} are not all numbers", remedy="The training of this model went wrong.")
    strange = sorted(set(weights) - set(wanted))
    if strange:
        raise UserError(f"weights that the file's own settings do not provide for, {strange[0]}")
