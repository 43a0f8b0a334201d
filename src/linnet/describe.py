"""What a model is, as plain values: its parts, tree, training, figures, sources and digests. Nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from linnet import checkpoint as checkpoints
from linnet.checkpoint import Checkpoint
from linnet.columns import aligned
from linnet.errors import UserError, torch_for
from linnet.evaluate import Evaluation, RankEvaluation, explanation, table
from linnet.metrics import RecallAtPrecision, Scores
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

_OF_MEMBERS = {"accuracy": "accuracy", "precision": "precision", "coverage": "coverage", "ECE": "ece_debiased"}
"""Figures of an ensemble's members, by their titles in the table that training prints."""

_TITLES = {"acc_known": "known", "f1_weighted": "F1", "ece": "ECE, not debiased", "ece_debiased": "ECE"}
"""The titles of figures over seeds."""

_KMERS = "a record of fewer k-mers, or a protein of fewer residues, is not judged"


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
    return _ensemble(folders)


def settings(model: Mapping[str, Any]) -> dict[str, Any]:
    """What `model.json` says but for versions: all that is within something by a dotted name."""
    found: dict[str, Any] = {}
    for key, value in model.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": x for inner, x in settings(value).items()}
        elif key not in ("format", "linnet", "torch"):
            found[key] = value
    return found


def _ensemble(folders: Sequence[Path]) -> dict[str, Any]:
    """What the models share, a row each of the rest, figures over seeds where training left them, and each in full."""
    models = {folder.name: _model(folder) for folder in folders}
    facts = {name: _facts(model) for name, model in models.items()}
    first, *others = facts.values()
    shared = {key: value for key, value in first.items() if all(key in of and of[key] == value for of in others)}
    told = {*shared, "config.seed"}
    rows = {name: {k: v for k, v in of.items() if k not in told} | _row(models[name]) for name, of in facts.items()}
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    summary = folders[0].parent / "seeds.json"
    return {
        "shared": shared,
        "members": {name: {column: row.get(column) for column in columns} for name, row in rows.items()},
        **({"mean and deviation": _over_seeds(summary)} if summary.is_file() else {}),
        "ensemble": models,
    }


def _facts(model: Mapping[str, Any]) -> dict[str, Any]:
    """What models of one ensemble mostly share, parts and tree before settings."""
    described = settings(model["model"])
    parts = {key: value for key, value in described.items() if not key.startswith("config.")}
    region = {"region": model["model"].get("region", "any")} if model["model"].get("family") == "rrna" else {}
    origin = {name: model["origin"][name] for name in ("references", "references_sha256") if name in model["origin"]}
    tree = {"taxa": model["taxonomy"]["taxa"], "digest of the tree": model["taxonomy"]["digest"]}
    return parts | region | tree | origin | described


def _row(model: Mapping[str, Any]) -> dict[str, Any]:
    """The seed of a member, and its figures at the deeper ranks on records held out of training."""
    held_out = model["origin"].get("held_out", {})
    ranks = held_out.get("ranks", {})
    return {
        "seed": model["model"].get("config", {}).get("seed"),
        **({"held out": held_out["records"]} if "records" in held_out else {}),
        **{f"{rank} {title}": ranks[rank].get(figure)
           for rank in ("genus", "species") if rank in ranks for title, figure in _OF_MEMBERS.items()},
    }  # fmt: skip


def _over_seeds(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["mean and deviation"]
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"cannot be read ({error})", where=str(path), remedy="Copy the ensemble again, or delete the file."
        ) from error


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
        "origin": _origin(checkpoint),
        "SHA-256": checkpoints.digests(folder),
    }


def _origin(checkpoint: Checkpoint) -> dict[str, Any]:
    """As it was written, but that the root, which training counts, is no taxon."""
    origin, size = checkpoint.origin, len(checkpoint.taxonomy)
    return origin | {"taxa": size - 1} if origin.get("taxa") == size else origin


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
    with torch_for("reading a released file"):
        from linnet.released import deeptaxa, source
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


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same for reading; of an ensemble what its models share, and a row each."""
    if "ensemble" not in found:
        yield from _lines(found)
        return
    yield f"ensemble of {len(found['ensemble'])}; --out FILE has each model in full, as 'describe' of its folder has"
    told = {key: value for key, value in found.items() if key != "ensemble"}
    told["members"] = {
        name: {
            column: f"{100 * value:.1f}" if isinstance(value, float) and column.split()[0] in RANKS else value
            for column, value in row.items()
        }
        for name, row in found["members"].items()
    }
    if "mean and deviation" in told:
        told["mean and deviation"] = _spreads(told["mean and deviation"])
    yield from _lines(told)
    yield "Figures are of records held out of training: of members after the cut at their confidence."
    yield explanation()
    if "mean and deviation" in told:
        yield "  F1: of each true taxon, weighted by its records; ± standard deviation over seeds (n - 1)."


def _spreads(value: Any) -> Any:
    """Means and deviations as text, per cent, by the titles that training prints."""
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"mean", "sd"}:
        return f"{100 * value['mean']:.2f} ± {100 * value['sd']:.2f}"
    return {_TITLES.get(key, key): _spreads(inner) for key, inner in value.items()}


def _lines(value: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """A name and its value a line, what lies within indented; figures by rank as a table."""
    margin = "  " * depth
    width = max((len(key) for key, inner in value.items() if not isinstance(inner, Mapping)), default=0)
    for key, inner in value.items():
        if not isinstance(inner, Mapping):
            meaning = f" ({_KMERS})" if key == "kmers" else ""
            yield f"{margin}{key:{width}}  {_text(inner)}{meaning}".rstrip()
        elif inner:
            yield f"{margin}{key}"
            if key == "held_out" and {"confidence", "records", "ranks"} <= set(inner):
                yield from (f"{margin}  {line}".rstrip() for line in _held_out(inner))
            else:
                yield from _table(inner, depth + 1) if _is_table(inner) else _lines(inner, depth + 1)


def _held_out(found: Mapping[str, Any]) -> Iterator[str]:
    """Figures on records held out of training, as the table that training prints, and what its columns mean."""
    for cut, ranks in ((found["confidence"], found["ranks"]), (0.0, found.get("uncut", {}))):
        if ranks:
            evaluated = {rank: _evaluated(ranks[rank]) for rank in RANKS if rank in ranks}
            yield from table(Evaluation(found["records"], cut, 0, 0, evaluated, None)).splitlines()
    yield from explanation().splitlines()
    if cuts := found.get("cuts"):
        yield "cuts for stated error rates: " + ", ".join(f"{rate} at {cut:g}" for rate, cut in cuts.items())


def _evaluated(row: Mapping[str, Any]) -> RankEvaluation:
    """A rank's figures as they were before they were written; those that were not kept are None."""
    recall = row.get("recall_at_p95")
    kept: dict[str, Any] = {item.name: row.get(item.name) for item in fields(Scores)}
    scores = Scores(**kept)
    return RankEvaluation(scores, None if recall is None else RecallAtPrecision(recall, 0.0), {}, ())


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
    for line in aligned(rows):
        yield f"{'  ' * depth}{line}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
