"""Scores kept in the folder of their cell, beside a digest of everything that they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from prepare import write_lines

SCORES = "scores.json"


def kept(folder: Path, digest: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What lies in a cell's folder under this digest, made and left there if there is nothing."""
    path = folder / SCORES
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if found.get("digest") != digest:
        text = json.dumps({"digest": digest, **make()})
        write_lines(path, [text])
        found = json.loads(text)  # in every run the same
    return found


def digest(files: Iterable[Path], settings: Iterable[object]) -> str:
    """Of the bytes of files, wherever they lie, and of what settings look like."""
    parts = [*map(_of_file, files), *map(repr, settings)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
