"""A little world of proteins of our own making: families evolved down a tree with taxids, and models trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from linnet import light_head, train_proteins
from linnet.checkpoint import Checkpoint
from linnet.encoders import residue_words
from linnet.families import proteins
from linnet.preparation import HeldOut
from linnet.records import SequenceRecord
from linnet.residues import RESIDUES
from linnet.taxonomy import Lineage, Taxon, Taxonomy

FAMILIES = 6
"""Proteins of a species, one of each family."""
RARE = 4
"""Genera of one species each, with two proteins: few enough for their clades to be hidden."""

CONFIG = train_proteins.Config(
    model=proteins.Config(
        encoder=residue_words.Config(ks=(3,), buckets=8000, width=24),
        head=light_head.Config(taxa=12, hidden=32),
        views=proteins.Views(decoys=0.15),
    ),
    recipe=replace(train_proteins.Config().recipe, epochs=12, batch=32, learning_rate=2e-2),
    hold_out=0.15,
    hidden_clades=0.5,
)


@dataclass
class Listed:
    """Labelled proteins in lists."""

    names: Sequence[str]
    sequences: Sequence[str]
    nodes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.names)

    def sequence(self, i: int) -> str:
        return self.sequences[i]

    def id(self, i: int) -> str:
        return self.names[i]


def evolve(parent: str, rate: float, random: np.random.Generator) -> str:
    letters = list(parent)
    for i in np.flatnonzero(random.random(len(letters)) < rate):
        letters[i] = RESIDUES[random.integers(20)]
    return "".join(letters)


def species_lineage(p: int, f: int, g: int, s: int, taxid: int) -> Lineage:
    """Eight taxa, one of them of a rank that is none of the seven; numbers of the taxa above by their place."""
    above = [("domain", "Bacteria", 2), ("phylum", f"P{p}", 100 + p), ("clade", f"group {p}", 200 + p),
             ("class", f"C{p}", 300 + p), ("order", f"O{p}", 400 + p), ("family", f"F{p}{f}", 500 + 10 * p + f),
             ("genus", f"G{p}{f}{g}", 1000 + 100 * p + 10 * f + g)]  # fmt: skip
    return tuple(Taxon(*taxon) for taxon in [*above, ("species", f"G{p}{f}{g} s{s}", taxid)])


@cache
def world() -> tuple[Listed, Taxonomy]:
    """2 phyla x 2 families x 2 genera x 2 species of 3 genomes each, and rare genera; the store and its tree."""
    random = np.random.default_rng(7)
    found: list[tuple[str, str, Lineage]] = []
    root = ["".join(random.choice(list(RESIDUES), int(random.integers(90, 220)))) for _ in range(FAMILIES)]
    taxid = 9000

    def below(above: list[str], rate: float) -> list[str]:
        return [evolve(protein, rate, random) for protein in above]

    for p in range(2):
        phylum = below(root, 0.35)
        for f in range(2):
            family = below(phylum, 0.2)
            for g in range(2 + RARE // 4):
                genus = below(family, 0.15)
                for s in range(2 if g < 2 else 1):
                    species, taxid = below(genus, 0.08), taxid + 1
                    for genome in range(3 if g < 2 else 1):
                        for i, protein in enumerate(below(species, 0.01)[: None if g < 2 else 2]):
                            name = f"p{p}{f}{g}{s}{genome}_{i}"
                            found.append((name, protein, species_lineage(p, f, g, s, taxid)))
    tree = Taxonomy.from_lineages([lineage for *_, lineage in found])
    nodes = np.array([tree.find(lineage)[0] for *_, lineage in found], np.int32)
    return Listed([name for name, *_ in found], [protein for _, protein, _ in found], nodes), tree


def records() -> list[SequenceRecord]:
    store, _ = world()
    return [SequenceRecord(store.id(i), store.sequence(i)) for i in range(len(store))]


@cache
def trained(seed: int = 42) -> tuple[Checkpoint, HeldOut]:
    """A model of about two seconds."""
    return train_proteins.train(*world(), replace(CONFIG, seed=seed))
