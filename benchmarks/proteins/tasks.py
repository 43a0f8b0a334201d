"""The proteins of the benchmark: which are trained on, which are asked, and what is true of them.

FOLDER/bench/proteins/split.tsv.gz names the proteins of FOLDER/data/protein/proteins_taxid.tsv.xz that are trained on,
those drawn at random, and those of 96 genera and of 48 families held out whole. With a seed of its own,
`held_out` draws other genera and families of the same proteins.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
HIDDEN = {"random": None, "genus": "genus", "family": "family"}
"""Sets of queries, and the rank whose taxa were held out."""


@dataclass(frozen=True)
class Protein:
    """One of them.

    Attributes:
        id: p and the number of its row; MMseqs2 shortens ids such as sp|P12345|NAME.
        taxa: taxids at `RANKS`, 0 where the lineage has no such rank.
    """

    id: str
    sequence: str
    taxid: int
    taxa: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """Proteins to learn from, and sets of others to name."""

    folder: Path
    train: list[Protein]
    queries: Mapping[str, list[Protein]]

    def file(self, name: str) -> Path:
        """The FASTA of a set."""
        return self.folder / f"{name}.faa"

    @property
    def taxids(self) -> Path:
        """Taxids of those to learn from, `id TAB taxid`."""
        return self.folder / "taxids.tsv"

    def write(self) -> None:
        """The files that programs are given."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, proteins in {"train": self.train, **self.queries}.items():
            if not self.file(name).exists():
                part = self.file(name).with_suffix(".part")
                part.write_text("".join(f">{p.id}\n{p.sequence}\n" for p in proteins))
                part.replace(self.file(name))
        self.taxids.write_text("".join(f"{p.id}\t{p.taxid}\n" for p in self.train))


def given(data: Path, folder: Path, *, validation: bool = False) -> Task:
    """The split as it is given; `validation` asks for the sets to choose settings on in place of those to report."""
    proteins = _proteins(data)
    prefix = "v" if validation else ""
    queries = {name: proteins[prefix + name] for name in HIDDEN}
    return Task(folder / ("validation" if validation else "given"), proteins["train"], queries)


def held_out(data: Path, folder: Path, seed: int) -> Task:
    """Other proteins, genera and families set aside, as many as in the split that is given; clades of more than 330
    proteins never are."""
    proteins = [p for some in _proteins(data).values() for p in some]
    random = np.random.default_rng(seed)
    taxa = np.array([p.taxa for p in proteins])
    of = np.full(len(proteins), "train", dtype=object)
    for name, count in (("family", 48), ("genus", 96)):
        column = taxa[:, RANKS.index(name)]
        clades, size = np.unique(column, return_counts=True)
        drawn = random.permutation(clades[(clades > 0) & (size <= 330) & (size >= 2)])[:count]
        of[np.isin(column, drawn) & (of == "train")] = name
    rest = np.flatnonzero(of == "train")
    of[random.permutation(rest)[:2000]] = "random"
    sets = {name: [proteins[i] for i in np.flatnonzero(of == name)] for name in ("train", *HIDDEN)}
    for name in ("genus", "family"):
        some = sets[name]
        sets[name] = [some[i] for i in np.sort(random.permutation(len(some))[:2000])]
    return Task(folder / f"seed{seed}", sets.pop("train"), sets)


def truth(proteins: list[Protein]) -> NDArray[np.int64]:
    """int64 (N, 7): taxids at `RANKS`."""
    return np.array([p.taxa for p in proteins], np.int64)


def _proteins(data: Path) -> dict[str, list[Protein]]:
    """By set."""
    csv.field_size_limit(1 << 24)
    with lzma.open(data / "data" / "protein" / "proteins_taxid.tsv.xz", "rt") as file:
        sequences: dict[tuple[str, str], str] = {}
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["source"] != "treebase":
                sequences.setdefault((row["accession"], row["taxid"]), row["sequence"])
    found: dict[str, list[Protein]] = {}
    with gzip.open(data / "bench" / "proteins" / "split.tsv.gz", "rt") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            sequence = sequences[row["accession"], row["taxid"]].replace("*", "")
            taxa = tuple(int(row[rank] or 0) for rank in RANKS)
            found.setdefault(row["split"], []).append(Protein(f"p{number}", sequence, int(row["taxid"]), taxa))
    return found


@dataclass(frozen=True, eq=False)
class Calls:
    """What an arm said of N proteins.

    Attributes:
        taxid_NR: int64 (N, 7), the taxids named at `RANKS`, 0 where none.
        confidence_NR: float64 (N, 7), of these; 1 where the arm has none.
        cpu_s: what naming all took, reading and loading included.
    """

    taxid_NR: NDArray[np.int64]
    confidence_NR: NDArray[np.float64]
    cpu_s: float

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, taxid=self.taxid_NR, confidence=self.confidence_NR, cpu_s=np.array(self.cpu_s))
        part.replace(path)

    @classmethod
    def join(cls, parts: list[Calls]) -> Calls:
        """Of one arm on several sets."""
        return cls(
            np.concatenate([part.taxid_NR for part in parts]),
            np.concatenate([part.confidence_NR for part in parts]),
            sum(part.cpu_s for part in parts),
        )

    @classmethod
    def load(cls, path: Path) -> Calls:
        with np.load(path) as file:
            return cls(file["taxid"], file["confidence"], float(file["cpu_s"]))


def record(path: Path, values: Mapping[str, object]) -> None:
    """Write what a run took."""
    path.write_text(json.dumps(values, indent=1) + "\n")
