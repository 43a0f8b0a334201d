"""A small release in TaxoFormer's format, of our own making, and a plain recomputation of what it answers.

Names, ids and keys as the published code (commit 24b056a) has them; one protein at a time, in float64, by loops.
"""

from __future__ import annotations

import csv
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

Array = NDArray[np.float64]

D, POOLING_HEADS, DECODER_HEADS, ESM_HEADS, ESM_LAYERS, V, LIMIT = 40, 5, 4, 20, 2, 40, 24
LETTERS = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"]
PROTEINS = ("MKTAYIAKQRQISFVK", "mkvxbuzoj*-.", "GG", "MSTNPKPQRKTKRNTNRRPQDVKFPGGQIVGGVYLLPRRG")


@cache
def paths() -> list[tuple[str, ...]]:
    """Every node of a made-up tree of five levels, as the path to it."""
    found: list[tuple[str, ...]] = []
    for domain in ("Cells", "Viruses"):
        for p in range(2):
            for c in range(2):
                for g in range(2):
                    genus = "Twin" if (c, g) == (1, 1) and domain == "Cells" else f"G {domain[0]}{p}{c}{g}"
                    above = (domain, f"P {domain[0]}{p}", f"C {domain[0]}{p}{c}", genus)
                    species = [f"{genus} {s}" for s in "abc"] + (["Foo, bar"] if (p, c, g) == (0, 0, 0) else [])
                    species += ["P V1"] if (domain, p, c, g) == ("Viruses", 1, 1, 0) else []  # as a level 2 name
                    if genus == "Twin":
                        species = [f"Twin {p} {s}" for s in "abc"]
                    found += [(*above, name) for name in species]
    return sorted({path[:n] for path in found for n in range(1, 6)})


@cache
def tables() -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The mapping and the rows of the edge table, by the published rules with V ids."""
    per_slot, wrap = V - 1, V - 2
    slots: list[list[str]] = []
    levels: list[int] = []
    for level in range(1, 6):
        names = sorted({path[-1] for path in paths() if len(path) == level})
        for start in range(0, len(names), per_slot):
            slots.append(([f"CONT_{level}"] if start else []) + names[start : start + per_slot])
            levels.append(level)
    ids = {"PAD": 0, "ABSENT": 2, **{f"CONT_{level}": 1 for level in range(1, 6)}}
    n = 12
    for names in slots:
        for name in names:
            if name not in ids:
                ids[name] = n if n < V else 2 + (n - 2) % wrap
                n += 1
    rows = []
    for path in paths():
        below = [one[-1] for one in paths() if one[:-1] == path]
        rows += [(path[-1], ",".join(below))] if below else []
    return {"level_mapping": slots, "level_positions": levels, "token2id": ids}, rows


def settings() -> dict[str, Any]:
    return {
        "esm_model_name": "esm2_t2_tiny", "embed_dim": D, "vocab_size": V, "num_levels": 5,
        "taxonomy_seq_length": len(tables()[0]["level_positions"]), "decoder_layers": 2, "decoder_heads": DECODER_HEADS,
        "dropout": 0.1, "lora_rank": 8, "lora_alpha": 16, "lora_target_modules": ["query", "key", "value"],
        "max_seq_len_esm": LIMIT, "bos_token_id": 1, "pad_token_id": 0, "trained_steps": 7, "esm_heads": ESM_HEADS,
    }  # fmt: skip


def draw(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        scale = 1.0 if "embedding" in name or "embed_tokens" in name else 0.1 if "output_head" in name else 0.2
        made[name] = torch.randn(*shape, generator=random) * scale + float("norm" in name and name.endswith("weight"))
    return made


def network(seed: int = 1) -> dict[str, Tensor]:
    """Pooling and decoder."""
    shapes: dict[str, tuple[int, ...]] = {}
    linear = {f"feature_extractor.{x}": (D, D) for x in ("q_proj", "k_proj", "v_proj", "out_proj", "mlp.0")}
    linear |= {"feature_extractor.mlp.2.norm": (D,), "decoder.output_head": (V, D)}
    slots = len(tables()[0]["level_positions"])
    for name, rows in (("token", V), ("positional", slots + 1), ("level", 6)):
        shapes[f"decoder.{name}_embedding.weight"] = (rows, D)
    for n in range(2):
        at = f"decoder.decoder.layers.{n}."
        linear |= {at + "linear1": (4 * D, D), at + "linear2": (D, 4 * D)}
        linear |= {at + f"norm{i}": (D,) for i in (1, 2, 3)}
        for part in ("self_attn", "multihead_attn"):
            shapes |= {f"{at}{part}.in_proj_weight": (3 * D, D), f"{at}{part}.in_proj_bias": (3 * D,)}
            linear[f"{at}{part}.out_proj"] = (D, D)
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {name.replace("mlp.2.norm", "mlp.2"): t for name, t in draw(shapes, seed).items()}


def encoder(seed: int = 2) -> dict[str, Tensor]:
    """An ESM-2 by fair-esm's names."""
    linear: dict[str, tuple[int, ...]] = {"emb_layer_norm_after": (D,)}
    for n in range(ESM_LAYERS):
        at = f"layers.{n}."
        linear |= {f"{at}self_attn.{x}_proj": (D, D) for x in ("q", "k", "v", "out")}
        linear |= {at + "self_attn_layer_norm": (D,), at + "final_layer_norm": (D,)}
        linear |= {at + "fc1": (4 * D, D), at + "fc2": (D, 4 * D)}
    shapes = {"embed_tokens.weight": (33, D)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return draw(shapes, seed)


def extras() -> dict[str, Tensor]:
    """What fair-esm's files hold besides, and nobody here needs."""
    rotary = {f"layers.{n}.self_attn.rot_emb.inv_freq": torch.ones(1) for n in range(ESM_LAYERS)}
    head = {"lm_head.weight": torch.zeros(33, D), "lm_head.dense.bias": torch.zeros(D)}
    return rotary | head | {"contact_head.regression.weight": torch.zeros(1, 40)}


def as_hugging_face(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """fair-esm's weights by Hugging Face's names."""
    parts = {"self_attn.q_proj": "attention.self.query", "self_attn.k_proj": "attention.self.key",
             "self_attn.v_proj": "attention.self.value", "self_attn.out_proj": "attention.output.dense",
             "self_attn_layer_norm": "attention.LayerNorm", "fc1": "intermediate.dense", "fc2": "output.dense",
             "final_layer_norm": "LayerNorm"}  # fmt: skip
    made = {}
    for name, tensor in weights.items():
        new = name.replace("embed_tokens", "embeddings.word_embeddings")
        new = new.replace("emb_layer_norm_after", "encoder.emb_layer_norm_after").replace("layers.", "encoder.layer.")
        for theirs, ours in parts.items():
            new = new.replace(f".{theirs}.", f".{ours}.")
        made[prefix + new] = tensor.clone()
    return made


def write(folder: Path, *, own_encoder: str | None = "esm_model.", more: dict[str, Tensor] | None = None) -> Path:
    """A release; with an encoder under a prefix, or without one."""
    folder.mkdir(parents=True, exist_ok=True)
    state = network() | (more or {})
    if own_encoder is not None:
        state |= {own_encoder + name: tensor for name, tensor in (encoder() | extras()).items()}
    save_file(state, folder / "model.safetensors")
    mapping, rows = tables()
    (folder / "config.json").write_text(json.dumps(settings()))
    (folder / "phylo2_mapping.json").write_text(json.dumps(mapping))
    with (folder / "parent_to_child_mapping.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Parent", "Children"), *rows])
    return folder


def numbers(weights: dict[str, Tensor]) -> dict[str, Array]:
    return {name: tensor.double().numpy() for name, tensor in weights.items()}


def linear(w: dict[str, Array], at: str, x: Array) -> Array:
    return x @ w[f"{at}.weight"].T + w[f"{at}.bias"]


def norm(w: dict[str, Array], at: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{at}.weight"] + w[f"{at}.bias"]


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x: Array) -> Array:
    p = np.exp(x - x.max())
    return p / p.sum()


def turned(x: Array, position: int) -> Array:
    """One head's vector, turned by its position (Su et al. 2021)."""
    half = len(x) // 2
    out = np.empty_like(x)
    for i in range(half):
        angle = position / 10000 ** (2 * i / len(x))
        out[i] = x[i] * math.cos(angle) - x[half + i] * math.sin(angle)
        out[half + i] = x[half + i] * math.cos(angle) + x[i] * math.sin(angle)
    return out


def states(w: dict[str, Array], sequence: str, padding: int = 0) -> Array:
    """ESM-2's last states (L, D), of `padding` positions after <eos> too."""
    known = [LETTERS.index(a) if a in LETTERS else 3 for a in sequence[:LIMIT].upper()]
    ids = [0, *known, 2]
    x = np.concatenate([w["embed_tokens.weight"][ids] * (1 - 0.15 * 0.8), np.zeros((padding, D))])
    width = D // ESM_HEADS
    for n in range(ESM_LAYERS):
        at = f"layers.{n}."
        h = norm(w, at + "self_attn_layer_norm", x)
        q, k, v = (linear(w, f"{at}self_attn.{part}_proj", h) for part in "qkv")
        mixed = np.zeros_like(x)
        for head in range(ESM_HEADS):
            cut = slice(head * width, (head + 1) * width)
            keys = np.array([turned(k[j, cut], j) for j in range(len(ids))])
            for i in range(len(x)):
                p = softmax(keys @ turned(q[i, cut], i) / math.sqrt(width))
                mixed[i, cut] = p @ v[: len(ids), cut]
        x = x + linear(w, at + "self_attn.out_proj", mixed)
        x = x + linear(w, at + "fc2", gelu(linear(w, at + "fc1", norm(w, at + "final_layer_norm", x))))
    return norm(w, "emb_layer_norm_after", x)


def pooled(w: dict[str, Array], states_LD: Array) -> Array:
    """z (D,): in each residue, each of five heads looks at the five heads of that residue."""
    at, width = "feature_extractor.", D // POOLING_HEADS
    total = np.zeros(D)
    for x in states_LD:
        q, k, v = (linear(w, f"{at}{part}_proj", x) for part in "qkv")
        mixed = np.zeros(D)
        for a in range(POOLING_HEADS):
            scores = [sum(q[a * width + i] * k[b * width + i] for i in range(width)) for b in range(POOLING_HEADS)]
            p = softmax(np.array(scores) / math.sqrt(width))
            for b in range(POOLING_HEADS):
                mixed[a * width : (a + 1) * width] += p[b] * v[b * width : (b + 1) * width]
        total += linear(w, at + "out_proj", mixed)
    return norm(w, at + "mlp.2", gelu(linear(w, at + "mlp.0", total / len(states_LD))))


def logits(w: dict[str, Array], z: Array, tokens: list[int]) -> Array:
    """Logits (V,) of the slot after the given tokens; cross-attention worked out with its queries and keys."""
    levels = tables()[0]["level_positions"]
    x = np.array([
        w["decoder.token_embedding.weight"][token] + w["decoder.positional_embedding.weight"][slot]
        + w["decoder.level_embedding.weight"][levels[slot - 1] if slot else 0]
        for slot, token in enumerate([1, *tokens])
    ])  # fmt: skip
    for n in range(2):
        at = f"decoder.decoder.layers.{n}."
        h = norm(w, at + "norm1", x)
        x = x + attention(w, at + "self_attn.", h, h, causal=True)
        x = x + attention(w, at + "multihead_attn.", norm(w, at + "norm2", x), z[None], causal=False)
        x = x + linear(w, at + "linear2", gelu(linear(w, at + "linear1", norm(w, at + "norm3", x))))
    return linear(w, "decoder.output_head", x[-1])


def attention(w: dict[str, Array], at: str, asking: Array, asked: Array, *, causal: bool) -> Array:
    weight, bias, width = w[at + "in_proj_weight"], w[at + "in_proj_bias"], D // DECODER_HEADS
    q = asking @ weight[:D].T + bias[:D]
    k, v = (asked @ weight[D * i : D * i + D].T + bias[D * i : D * i + D] for i in (1, 2))
    mixed = np.zeros_like(asking)
    for head in range(DECODER_HEADS):
        cut = slice(head * width, (head + 1) * width)
        for i in range(len(asking)):
            seen = i + 1 if causal else len(asked)
            mixed[i, cut] = softmax(k[:seen, cut] @ q[i, cut] / math.sqrt(width)) @ v[:seen, cut]
    return linear(w, at + "out_proj", mixed)
