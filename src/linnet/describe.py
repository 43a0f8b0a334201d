"""What a model is, as plain values: its parts, tree, training, figures, sources and digests. Nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from linnet import checkpoint as checkpoints
from linnet.checkpoint import Checkpoint
from linnet.errors import missing_extra
from linnet.predictor import members
from linnet.released import taxoformer_names
from linnet.taxonomy import RANKS

_KINDS = {
    "same_id": "behind another of their id",
    "special": "with an id that is no name's",
    "places": "in several places",
    "parents": "below several parents",
    "unknown": "children in no level",
    "repeated": "parents on several rows",
    "undecodable": "not read back",
}
"""What TaxoFormer's code cannot tell apart (`taxoformer_names.Collisions`), for a table."""


def describe(path: Path) -> dict[str, Any]:
    """Everything known of a model folder, an ensemble folder, or a released file of DeepTaxa.

    Raises:
        UserError: it is none of these, or damaged.
    """
    if path.is_file():
        return _released(path)
    folders = members(path)
    if len(folders) == 1:
        return _model(folders[0])
    return {"ensemble": {folder.name: _model(folder) for folder in folders}}


def _model(folder: Path) -> dict[str, Any]:
    checkpoint = checkpoints.load(folder)
    tree = checkpoint.taxonomy
    ranks = {rank: int((tree.canonical_level == level).sum()) for level, rank in enumerate(RANKS)}
    labels = checkpoint.labels
    return {
        "model": {
            **checkpoint.model,
            "parameters": sum(_sizes(checkpoint).values()),
            **({"parameters by part": _parts(checkpoint)} if checkpoint.mapping else {}),
        },
        "taxonomy": {"taxa": len(tree) - 1, "digest": tree.digest, **ranks},
        **({"labels of each rank": _counts(labels.ranks, labels.labels)} if labels else {}),
        **(_names(checkpoint.mapping) if checkpoint.mapping else {}),
        "calibration": asdict(checkpoint.calibration),
        "origin": checkpoint.origin,
        "SHA-256": checkpoints.digests(folder),
    }


def _parts(checkpoint: Checkpoint) -> dict[str, int]:
    """Parameters of a TaxoFormer, by the names of its weights."""
    parts = {"encoder": "esm.", "pooling": "feature_extractor.", "decoder": "decoder."}
    sizes = _sizes(checkpoint)
    return {part: sum(n for name, n in sizes.items() if name.startswith(key)) for part, key in parts.items()}


def _sizes(checkpoint: Checkpoint) -> dict[str, int]:
    """Parameters by name, without what is computed and not learnt."""
    return {n: t.size for n, t in checkpoint.tensors.items() if not n.endswith(("log_odds_V", "inv_freq"))}


def _names(mapping: dict[str, Any]) -> dict[str, Any]:
    """TaxoFormer's code of names, and what it cannot tell apart."""
    code = taxoformer_names.Mapping.from_json(mapping)
    found = asdict(taxoformer_names.collisions(code))
    counts = {"names": found.pop("entries"), "slots": len(code.levels), "levels": len(code.slots)}
    table = {_KINDS[kind]: {"names": one["number"], "examples": one["examples"]} for kind, one in found.items()}
    return {"code of names": counts, "collisions": table}


def _released(path: Path) -> dict[str, Any]:
    try:
        from linnet.released import deeptaxa, source
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "train", "reading a released file") from error
    released = deeptaxa.read(path)
    found = source.find(str(path))
    return {
        "model": {
            "system": "DeepTaxa",
            **asdict(released.config),
            "parameters": sum(t.numel() for t in released.weights.values()),
            "tokenizer": {"name": released.tokenizer_name, "revision": released.tokenizer_revision},
        },
        "labels of each rank": _counts(released.ranks, released.labels),
        "origin": released.facts,
        "SHA-256": {path.name: found.sha256},
    }


def _counts(ranks: tuple[str, ...], labels: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {rank: len(some) for rank, some in zip(ranks, labels, strict=True)}


def lines(value: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """The same for reading: a name and its value a line, what lies within indented; figures by rank as a table."""
    margin = "  " * depth
    width = max((len(key) for key, inner in value.items() if not isinstance(inner, Mapping)), default=0)
    for key, inner in value.items():
        if not isinstance(inner, Mapping):
            yield f"{margin}{key:{width}}  {_text(inner)}".rstrip()
        elif inner:
            yield f"{margin}{key}"
            yield from _table(inner, depth + 1) if _is_table(inner) else lines(inner, depth + 1)


def _is_table(value: Mapping[str, Any]) -> bool:
    rows = list(value.values())
    return (
        len(rows) > 1
        and all(isinstance(r, Mapping) and set(r) == set(rows[0]) for r in rows)
        and not any(isinstance(cell, Mapping) for row in rows for cell in row.values())
    )


def _table(value: Mapping[str, Mapping[str, Any]], depth: int) -> Iterator[str]:
    names = sorted(value, key=lambda name: (RANKS.index(name) if name in RANKS else -1, name))
    columns = list(value[names[0]])
    rows = [["", *columns], *([name, *(_text(value[name][c]) for c in columns)] for name in names)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        shown = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield f"{'  ' * depth}{name:{widths[0]}}  {shown}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
