"""A model as a folder: read and written whole, checked by digest, nothing in it ever executed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from linnet.calibrate import Calibration
from linnet.errors import UserError
from linnet.inputs import sha256
from linnet.rank_scores import RankLabels
from linnet.taxonomy import Taxonomy

FORMAT = 1
"""The number of the folder's format; a reader of a later version reads every earlier one."""

FILES = ("calibration.json", "model.json", "model.safetensors", "origin.json", "taxonomy.npz")
"""The files of every model, each of which SHA256SUMS must list."""

OPTIONAL = ("labels.json", "mapping.json", "tokenizer.json")
"""Files that only some have: the labels of heads that answer each rank by itself; another system's code of names; the
vocabulary of tokens."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything a model is.

    Attributes:
        model: what it is built of and how it was trained: format, family, kind, config, seed, versions.
        tensors: its weights by name.
        taxonomy: the tree that it answers in.
        calibration: how its scores become probabilities.
        origin: where it came from: sources, licences, digests, what was measured on held-out records.
        tokenizer: text of its `tokenizer.json`, where it reads tokens.
        labels: of heads that answer each rank by itself.
        mapping: another system's code of names as plain values, where the model speaks in it.
    """

    model: dict[str, Any]
    tensors: Mapping[str, NDArray[np.generic]]
    taxonomy: Taxonomy
    calibration: Calibration
    origin: dict[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    labels: RankLabels | None = None
    mapping: dict[str, Any] | None = None


def weights_sha256(checkpoint: Checkpoint) -> str:
    """Digest of the weights, wherever the model came from."""
    h = hashlib.sha256()
    for name in sorted(checkpoint.tensors):
        h.update(np.ascontiguousarray(checkpoint.tensors[name]).tobytes())
    return h.hexdigest()


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the folder under a temporary name and rename it when whole.

    Raises:
        UserError: `folder` exists and is not a checkpoint.
    """
    folder = Path(folder).resolve()
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    temporary.chmod(0o755)  # mkdtemp gives none but the owner a look
    try:
        _write_json(temporary / "model.json", {"format": FORMAT, **checkpoint.model})
        _write_json(temporary / "calibration.json", asdict(checkpoint.calibration))
        _write_json(temporary / "origin.json", checkpoint.origin)
        tensors = {name: np.ascontiguousarray(t) for name, t in checkpoint.tensors.items()}
        save_file(tensors, temporary / "model.safetensors")
        if checkpoint.tokenizer is not None:
            (temporary / "tokenizer.json").write_text(checkpoint.tokenizer, encoding="utf-8")
        if checkpoint.labels is not None:
            _write_json(temporary / "labels.json", checkpoint.labels.to_json(), indent=None)
        if checkpoint.mapping is not None:
            _write_json(temporary / "mapping.json", checkpoint.mapping, indent=None)
        np.savez_compressed(temporary / "taxonomy.npz", **checkpoint.taxonomy.to_arrays())  # type: ignore[arg-type]
        names = sorted(p.name for p in temporary.iterdir())
        sums = "".join(f"{sha256(temporary / name)}  {name}\n" for name in names)
        (temporary / "SHA256SUMS").write_text(sums)
        for path in temporary.iterdir():
            path.chmod(0o644)
        if folder.exists():
            old = temporary.with_name(f"{temporary.name}.old")
            folder.rename(old)
            temporary.rename(folder)
            shutil.rmtree(old)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_free(folder: Path) -> None:
    """Make sure that a model may be written to `folder`: that it is not there, or is a model and nothing else.

    Raises:
        UserError: it is something else, or holds something else.
    """
    found = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    strange = sorted(found - {*FILES, *OPTIONAL, "SHA256SUMS"})
    if folder.exists() and ("model.json" not in found or strange):
        raise UserError(
            f"exists and is not a linnet model{f' (it holds {strange[0]})' if strange else ''}",
            where=str(folder),
            remedy="Choose another --out.",
        )
    parent = next(p for p in folder.absolute().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError("cannot be made there", where=str(folder), remedy="Choose another --out.")


def load(folder: str | Path) -> Checkpoint:
    """Read a model folder, checking every file against SHA256SUMS.

    Raises:
        UserError: not a model folder, a later format, a file missing or changed.
    """
    folder = Path(folder)
    if not (folder / "model.json").is_file():
        raise UserError(
            "not a linnet model",
            where=str(folder),
            expected="a folder with model.json, as 'linnet train' writes it",
        )
    model = _read_json(folder / "model.json")
    if not isinstance(model.get("format"), int) or model["format"] > FORMAT:
        raise UserError(
            f"checkpoint format {model.get('format')}",
            where=str(folder),
            expected=f"format {FORMAT} or earlier",
            remedy="Update linnet: pip install -U linnet",
        )
    _check_digests(folder)
    try:
        tensors = load_file(folder / "model.safetensors")
        with np.load(folder / "taxonomy.npz", allow_pickle=False) as arrays:
            taxonomy = Taxonomy.from_arrays(dict(arrays))
        numbers = _read_json(folder / "calibration.json")
        levels: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in numbers.items()}
        calibration = Calibration(**levels)
        if not all(np.isfinite(t).all() for t in tensors.values()):
            raise ValueError("a weight is not a number")
        tokenizer, labels, mapping = (folder / name for name in ("tokenizer.json", "labels.json", "mapping.json"))
        return Checkpoint(
            model,
            tensors,
            taxonomy,
            calibration,
            _read_json(folder / "origin.json"),
            tokenizer.read_text(encoding="utf-8") if tokenizer.exists() else None,
            RankLabels.from_json(_read_json(labels), taxonomy) if labels.exists() else None,
            _read_json(mapping) if mapping.exists() else None,
        )
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        text = "it holds more than plain numbers" if "pickle" in str(error) else str(error)
        raise UserError(f"cannot be read ({text})", where=str(folder), remedy="Copy the model again.") from error


def check_one_tree(checkpoints: Sequence[Checkpoint]) -> None:
    """Make sure that models can be an ensemble.

    Raises:
        UserError: they name different taxa.
    """
    first, *others = (c.taxonomy for c in checkpoints)
    for other in others:
        if other.digest != first.digest:
            raise UserError(
                f"the models name different taxa: {len(first) - 1:,} and {len(other) - 1:,}",
                expected="an ensemble's models to share one taxonomy",
                remedy="Train or convert them with the same table.",
            )


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, as the model's own list has it.

    Raises:
        UserError: there is no such list.
    """
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        raise UserError("SHA256SUMS is missing", where=str(folder), remedy="Copy the model again.")
    return {name: digest for digest, _, name in (row.partition("  ") for row in sums.read_text().splitlines())}


def _check_digests(folder: Path) -> None:
    listed = digests(folder)
    for name in (*FILES, *(name for name in OPTIONAL if name in listed or (folder / name).exists())):
        path = folder / name
        if not path.is_file():
            raise UserError("missing", where=str(path), remedy="Copy the model again.")
        if sha256(path) != listed.get(name):
            raise UserError(
                "is not the file that was saved (its SHA-256 differs)",
                where=str(path),
                remedy="Copy the model again; if you changed it on purpose, renew SHA256SUMS.",
            )


def _write_json(path: Path, value: object, indent: int | None = 1) -> None:
    path.write_text(json.dumps(value, indent=indent, sort_keys=True, allow_nan=False) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({error})", where=str(path), remedy="Copy the model again.") from error
    if not isinstance(value, dict):
        raise UserError("is not a JSON object", where=str(path))
    return value
