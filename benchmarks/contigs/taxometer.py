"""Vamb's Taxometer: an environment of its own, its input, its command."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from linnet.errors import UserError
from linnet.formats import taxometer
from linnet.prediction import Prediction

TORCH = ("--extra-index-url", "https://download.pytorch.org/whl/cpu", "torch==2.13.0+cpu")
"""Vamb asks for 2.6.0, with the libraries of a GPU: 4 GB more, for the same scores."""

PINNED = (
    *("vambcore==0.1.2", "numpy==1.26.4", "pycoverm==0.6.2", "networkx==3.4.2", "scikit-learn==1.6.1"),
    *("loguru==0.7.3", "pyhmmer==0.10.15", "pyrodigal==3.6.3", "setuptools"),
)
"""What else it asks for."""

VAMB = ("--no-deps", "dadaptation==3.2", "vamb==5.0.4")

SHORTEST = 500
"""Contigs below have no row in its results; the sets have none."""


def environment(folder: Path, say: Callable[[str], None]) -> Path:
    """The `vamb` of an environment, made now (two minutes, 1.3 GB) unless it was before.

    Raises:
        UserError: it cannot be installed.
    """
    program = folder / "bin" / "vamb"
    if program.exists():
        return program
    say(f"installing vamb in {folder}")
    pip = [str(folder / "bin" / "pip"), "install", "--quiet"]
    steps = [[sys.executable, "-m", "venv", "--clear", str(folder)], *([*pip, *what] for what in (TORCH, PINNED, VAMB))]
    for command in steps:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise UserError(
                f"vamb cannot be installed: {done.stderr.strip()[-300:]}",
                where=str(folder),
                remedy="Leave it out with --tools, or make the environment by hand.",
            )
    return program


def labels_table(labels: Iterable[Prediction]) -> str:
    """Its input: all contigs, the names of each, nothing behind those that have no label (its best setting)."""
    written = io.StringIO()
    taxometer.write(labels, written)
    return "".join("\t".join(line.split("\t")[:2]) + "\n" for line in written.getvalue().splitlines())


def command(vamb: Path, fasta: Path, labels: Path, depth: Path, seed: int, out: Path) -> list[str]:
    """Its defaults, on one thread; `out` must not exist."""
    inputs = ["--fasta", str(fasta), "--abundance_tsv", str(depth), "--taxonomy", str(labels)]
    options = ["-m", str(SHORTEST), "-p", "1", "--seed", str(seed)]
    return [str(vamb), "taxometer", "--outdir", str(out), *inputs, *options]
