"""The modules of the 16S benchmark, which are scripts and no package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "benchmarks" / "rrna"


def load(name: str) -> ModuleType:
    """A module of the benchmark, by path; neither it nor its siblings stay importable by their bare names."""
    return load_all(name)[0]


def load_all(*names: str) -> list[ModuleType]:
    """Several of them, which share what they import."""
    siblings = [path.stem for path in FOLDER.glob("*.py")]
    sys.path.insert(0, str(FOLDER))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(FOLDER))
        for sibling in siblings:
            sys.modules.pop(sibling, None)
