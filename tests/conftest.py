"""Tiny data of our own making: genes evolved down a small tree, and a model trained on them."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small gain nothing from more, and a busy machine loses much

import numpy as np
import pytest

from linnet.taxonomy import RANKS, Lineage, Taxon


def lineage(text: str) -> Lineage:
    """'Bacteria;Bacillota' as taxa of the canonical ranks in order."""
    return tuple(Taxon(rank, name) for rank, name in zip(RANKS, text.split(";"), strict=False))


def evolve(parent: str, rate: float, random: np.random.Generator) -> str:
    letters = list(parent)
    for i in np.flatnonzero(random.random(len(letters)) < rate):
        letters[i] = "ACGT"[random.integers(4)]
    return "".join(letters)


def evolved_genes(
    seed: int = 1, *, length: int = 500, species: int = 3, copies: int = 4
) -> tuple[dict[str, str], dict[str, Lineage]]:
    """Genes of 2 phyla x 2 families x 2 genera x `species` x `copies`, by id, and their lineages."""
    random = np.random.default_rng(seed)
    sequences, lineages = {}, {}
    root = "".join(random.choice(list("ACGT"), length))
    for p in range(2):
        phylum = evolve(root, 0.25, random)
        for f in range(2):
            family = evolve(phylum, 0.12, random)
            for g in range(2):
                genus = evolve(family, 0.08, random)
                for s in range(species):
                    kind = evolve(genus, 0.04, random)
                    path = f"Bacteria;P{p};C{p};O{p}{f};F{p}{f};G{p}{f}{g};S{p}{f}{g}{s}"
                    for c in range(copies):
                        id = f"r{p}{f}{g}{s}{c}"
                        sequences[id] = evolve(kind, 0.005, random)
                        lineages[id] = lineage(path)
    return sequences, lineages


def write_fasta(path: Path, sequences: dict[str, str]) -> Path:
    path.write_text("".join(f">{i}\n{s}\n" for i, s in sequences.items()))
    return path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Commands set torch's threads for the whole process; sums, and so the last digits, depend on their number."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared data; tests that want it are skipped without it."""
    folder = os.environ.get("LINNET_DATA")
    if not folder:
        pytest.skip("LINNET_DATA is not set: this test compares with data that is not part of the project")
    return Path(folder)


@pytest.fixture(scope="session")
def genes() -> tuple[dict[str, str], dict[str, Lineage]]:
    return evolved_genes()


@pytest.fixture(scope="session")
def tiny_config():  # type: ignore[no-untyped-def]
    """A training of a few seconds; needs torch."""
    pytest.importorskip("torch")
    from linnet import train
    from linnet.encoders import kmer
    from linnet.families import rrna

    model = rrna.Config(encoder=kmer.Config(k=5, width=32), views=rrna.Views(windows=0.3, amplicons=0.0))
    recipe = replace(train.Config().recipe, epochs=15, batch=32, learning_rate=1e-2, precision="fp32")
    return train.Config(model=model, recipe=recipe, rounds=2)


@pytest.fixture(scope="session")
def tiny_model(genes, tiny_config, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    """A trained model's folder."""
    from linnet import checkpoint, train

    folder = tmp_path_factory.mktemp("model") / "tiny"
    model, _ = train.train(*genes, tiny_config)
    checkpoint.save(model, folder)
    return folder
