"""Small files in DeepTaxa's released format, of our own making, and a plain recomputation of what they answer.

Layers and keys as DeepTaxa 1.3.0 writes them; every read is padded to the whole window, as it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as f
from torch import Tensor

RANKS = ["domain", "phylum", "class", "order", "family", "genus", "species"]

LINEAGES = [
    "Bacteria;P1;C1;O1;F1;G1;G1 a",
    "Bacteria;P1;C1;O1;F1;G1;G1 b",
    "Bacteria;P1;C1;O1;F1;G1;Unclassified_G1",
    "Bacteria;P1;C1;O1;F2;Twin;Twin a",
    "Bacteria;P2;C2;O2;F3;Twin;Twin b",
    "Bacteria;P2;C2;O2;F3;G4;G4 a",
    "Bacteria;P2;Unclassified_P2;Unclassified_P2;Unclassified_P2;Unclassified_P2;Unclassified_P2",
    "Archaea;P3;C3;O3;F4;G5;G5 a",
]
"""One genus name stands under two families, and some names are missing."""

READS = {
    "plain": "ACGTTGCAACGGATCCGATTACAGGCATTAGACCAGTACCATGGATTACAGATTACAGGCATCGATCGGATT",
    "longer": "GGATTCCAGATTACAGGCATCGATCGGATTACAGGCATTAGACCAGTACCATGGATTACAGATTACAGGCATCGATCGGATTAC" * 3,
    "lower": "acgttgcaacggatccgattacaggcattagaccagtaccatggattacagattacaggcatcgatcggatt",
    "ambiguous": "ACGTTGCAACGGATCCGNTTACAGGRATTAGACCAGTACCATGUATTACAGATTACAGGCATCGATCGGATT",
}


def vocabulary() -> str:
    """A tokenizer.json of 64 tokens."""
    from linnet.tokens import Pieces

    return Pieces.learn([*READS.values(), "ACGGTTCCAATG" * 5], size=64).json


def labels() -> list[list[str]]:
    return [sorted({lineage.split(";")[r] for lineage in LINEAGES}) for r in range(7)]


def content(model_type: str = "hybridcnnbert", *, seed: int = 1, encoding: str = "dnabert", window: int = 64,
            mask_padding: bool = False, layers: int = 1, vocab: int = 64) -> dict[str, Any]:  # fmt: skip
    """A released file's dictionary with random weights."""
    random = torch.Generator().manual_seed(seed)
    embed, filters, kernels, width, heads, inner = 10, 4, [3, 5], 12, 3, 20

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random) * 0.4

    state: dict[str, Tensor] = {}
    cnn = {"embed_dim": embed, "num_filters": filters, "kernel_sizes": kernels, "num_conv_layers": layers,
           "mask_padding": mask_padding}  # fmt: skip
    if model_type != "bert":
        channels = 4 if encoding == "onehot" else embed
        if encoding != "onehot":
            state["embedding.weight"] = draw(vocab, embed)
            state["embedding.weight"][3] = 0
        for layer in range(layers):
            for b, k in enumerate(kernels):
                at = f"conv_stacks.{layer}.{b}." + ("0" if model_type == "hybridcnnbert" else "conv.0")
                state[f"{at}.weight"], state[f"{at}.bias"] = draw(filters, channels, k), draw(filters)
                if model_type == "cnn" and channels != filters:
                    proj = f"conv_stacks.{layer}.{b}.proj"
                    state[f"{proj}.weight"], state[f"{proj}.bias"] = draw(filters, channels, 1), draw(filters)
            channels = filters * len(kernels)
    if model_type != "cnn":
        emb = "bert.embeddings."
        state[emb + "word_embeddings.weight"] = draw(vocab, width)
        state[emb + "position_embeddings.weight"] = draw(window, width)
        state[emb + "token_type_embeddings.weight"] = draw(2, width)
        norms = [emb + "LayerNorm"]
        for n in range(2):
            at = f"bert.encoder.layer.{n}."
            for part in (
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
            ):
                state[f"{at}{part}.weight"], state[f"{at}{part}.bias"] = draw(width, width), draw(width)
            state[at + "intermediate.dense.weight"], state[at + "intermediate.dense.bias"] = (
                draw(inner, width),
                draw(inner),
            )
            state[at + "output.dense.weight"], state[at + "output.dense.bias"] = draw(width, inner), draw(width)
            norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
        for norm in norms:
            state[norm + ".weight"], state[norm + ".bias"] = 1 + draw(width), draw(width)
        state["bert.pooler.dense.weight"], state["bert.pooler.dense.bias"] = draw(width, width), draw(width)
        state["bert.embeddings.position_ids"] = torch.arange(window)[None]  # a buffer that older files hold
    out = width
    if model_type == "hybridcnnbert":
        state["w_cnn"], state["w_bert"] = draw(1), draw(1)
        state["cnn_proj.weight"], state["cnn_proj.bias"] = draw(width, filters * len(kernels)), draw(width)
    elif model_type == "cnn":
        out = filters * len(kernels)
    for r, some in enumerate(labels()):
        at = f"classifiers.{r}."
        if model_type == "cnn":
            state[at + "0.weight"], state[at + "0.bias"] = draw(out, out), draw(out)
            at += "3."
        state[at + "weight"], state[at + "bias"] = draw(len(some), out), draw(len(some))
    bert = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": heads, "intermediate_size": inner,
            "hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": window, "vocab_size": vocab}  # fmt: skip
    return {
        "model_type": model_type,
        "encoding": encoding,
        "state_dict": state,
        "model_config": {"cnn": cnn, "bert": bert}
        if model_type == "hybridcnnbert"
        else cnn
        if model_type == "cnn"
        else bert,
        "num_labels_per_level": {str(r): len(some) for r, some in enumerate(labels())},
        "taxonomic_ranks": RANKS,
        "level_label2id": {r: {label: i for i, label in enumerate(some)} for r, some in enumerate(labels())},
        "max_length": window,
        "tokenizer_name": "tokenizer",
        "tokenizer_revision": None,
        "hidden_dropout_prob": 0.2,
        "seed": seed,
        "metrics": {r: {"accuracy": 0.5} for r in range(7)},
    }


def answers(made: dict[str, Any], sequence: str, tokenizer: str) -> list[Tensor]:
    """The logits of each rank for one read, step by step, in double precision, over the whole window."""
    w = {name: t.double() for name, t in made["state_dict"].items()}
    kind, window = made["model_type"], made["max_length"]
    cnn = made["model_config"].get("cnn", made["model_config"])
    if made["encoding"] == "onehot":
        real = min(len(sequence), window)
        x_CL = torch.zeros(4, window, dtype=torch.float64)
        for at, letter in enumerate(sequence[:window].upper().replace("U", "T")):
            if letter in "ACGT":
                x_CL["ACGT".index(letter), at] = 1
    else:
        import tokenizers

        ids = tokenizers.Tokenizer.from_str(tokenizer).encode(sequence).ids
        ids = ids if len(ids) <= window else [*ids[: window - 1], ids[-1]]
        real = len(ids)
        ids = torch.tensor(ids + [3] * (window - real))
        x_CL = w["embedding.weight"][ids].T if kind != "bert" else torch.empty(0)
    if kind != "bert":
        layers = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("conv_stacks"))
        for layer in range(layers):
            parts = []
            for b, k in enumerate(cnn["kernel_sizes"]):
                at = f"conv_stacks.{layer}.{b}."
                conv = at + ("0" if kind == "hybridcnnbert" else "conv.0")
                y = f.conv1d(x_CL[None], w[conv + ".weight"], w[conv + ".bias"], padding=k // 2)[0].relu()
                if kind == "cnn":
                    shortcut = at + "proj"
                    same = shortcut + ".weight" not in w
                    y = y + (x_CL if same else f.conv1d(x_CL[None], w[shortcut + ".weight"], w[shortcut + ".bias"])[0])
                parts.append(y)
            x_CL = torch.cat(parts)
        near = (x_CL[:, :real] if cnn["mask_padding"] else x_CL).max(dim=1).values
    if kind != "cnn":
        far_LW = bert(w, ids[:real], made["model_config"].get("bert", made["model_config"]))
    if kind == "hybridcnnbert":
        z = w["w_cnn"] * f.linear(near, w["cnn_proj.weight"], w["cnn_proj.bias"]) + (1 + w["w_bert"]) * far_LW[0]
    else:
        z = near if kind == "cnn" else far_LW.mean(dim=0)
    logits = []
    for r in range(len(made["taxonomic_ranks"])):
        at, vector = f"classifiers.{r}.", z
        if kind == "cnn":
            vector, at = f.linear(z, w[at + "0.weight"], w[at + "0.bias"]).relu(), at + "3."
        logits.append(f.linear(vector, w[at + "weight"], w[at + "bias"]))
    return logits


def bert(w: dict[str, Tensor], ids: Tensor, size: dict[str, Any]) -> Tensor:
    """Post-norm transformer over the real tokens alone: what attends to no padding needs none."""

    def normed(x: Tensor, at: str) -> Tensor:
        return f.layer_norm(x, x.shape[-1:], w[at + ".weight"], w[at + ".bias"], 1e-12)

    def linear(x: Tensor, at: str) -> Tensor:
        return f.linear(x, w[at + ".weight"], w[at + ".bias"])

    emb, heads = "bert.embeddings.", size["num_attention_heads"]
    x = w[emb + "word_embeddings.weight"][ids] + w[emb + "position_embeddings.weight"][: len(ids)]
    x = normed(x + w[emb + "token_type_embeddings.weight"][0], emb + "LayerNorm")
    for n in range(size["num_hidden_layers"]):
        at = f"bert.encoder.layer.{n}."
        q, k, v = (
            linear(x, f"{at}attention.self.{part}").reshape(len(ids), heads, -1).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        weights = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(dim=2)
        mixed = (weights @ v).transpose(0, 1).reshape(len(ids), -1)
        x = normed(x + linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        inner = f.gelu(linear(x, at + "intermediate.dense"))
        x = normed(x + linear(inner, at + "output.dense"), at + "output.LayerNorm")
    return x


def write(
    folder: Path, name: str = "model.pt", lineages: Sequence[str] = LINEAGES, **how: Any
) -> tuple[Path, Path, dict[str, Any]]:
    """A released file with its tokenizer beside it, the table of its lineages, and its content."""
    folder.mkdir(parents=True, exist_ok=True)
    made = content(**how)
    torch.save(made, folder / name)
    (folder / "tokenizer").mkdir(exist_ok=True)
    (folder / "tokenizer" / "tokenizer.json").write_text(vocabulary())
    table = folder / "taxonomy.tsv"
    rows = ["\t".join([f"r{i}", *lineage.split(";")]) for i, lineage in enumerate(lineages)]
    table.write_text("\n".join(["\t".join(["sequence_id", *RANKS]), *rows, ""]))
    return folder / name, table, made
