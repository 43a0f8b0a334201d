"""Many contigs, samples and taxa: what linnet takes.

Made up: each genome has a composition and depths of its own, most labels are right, the others name any species of
the tree, so that all its taxa occur.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from cells import correct, write
from costs import measured
from numpy.typing import NDArray
from score import Row

TAXA = {"d": 2, "p": 60, "c": 140, "o": 400, "f": 1200, "g": 6000, "s": 22198}
"""Taxa by the first letter of their rank: 30,000."""

CONTIGS, GENOMES, SAMPLES = 100_000, 4000, 10
THREADS = 2
MEAN_LENGTH, SHORTEST = 3000, 500
WRONG = 0.3
"""Share of the labels that name any species."""

_QUADS = np.array([[a, b, c, d] for a in b"ACGT" for b in b"ACGT" for c in b"ACGT" for d in b"ACGT"], np.uint8)


def put_right(work: Path) -> None:
    """Make the set and run linnet on it, unless that was done before.

    Raises:
        CommandFailed: linnet failed.
    """
    folder, record = work / "scale", work / "scale" / "linnet.json"
    if not (folder / "made.json").exists():
        make(folder, CONTIGS)
    if not record.exists():
        fasta, labels, depth = (folder / name for name in ("contigs.fna", "labels.tsv", "depth.tsv"))
        command = correct(fasta, labels, depth, 1, folder / "linnet.tsv", threads=THREADS)
        write(record, json.dumps(asdict(measured(command, folder / "linnet.log"))) + "\n")


def scale(work: Path) -> Row | None:
    """Its size and what linnet took; None where it was not run."""
    paths = [work / "scale" / name for name in ("made.json", "linnet.json")]
    if not all(path.exists() for path in paths):
        return None
    made, cost = (json.loads(path.read_text()) for path in paths)
    return {**made, "cost": cost}


def make(folder: Path, contigs: int, seed: int = 1) -> None:
    """Write contigs.fna, labels.tsv and depth.tsv."""
    random = np.random.default_rng(seed)
    species = lineages(random)
    genomes = min(GENOMES, len(species))
    genome_C = random.integers(genomes, size=contigs)
    label_C = random.permutation(len(species))[:genomes][genome_C]
    wrong = random.random(contigs) < WRONG
    label_C[wrong] = np.resize(random.permutation(len(species)), int(wrong.sum()))
    depth_CS = random.lognormal(0, 1.5, (genomes, SAMPLES))[genome_C] * random.lognormal(0, 0.2, (contigs, SAMPLES))
    length_C = SHORTEST + random.exponential(MEAN_LENGTH - SHORTEST, contigs).astype(int)
    bounds_GQ = random.dirichlet(np.full(len(_QUADS), 4.0), genomes).cumsum(axis=1)
    labels, fasta = ["contigs\tpredictions"], []
    depths = ["\t".join(["contigname", *(f"s{sample}" for sample in range(SAMPLES))])]
    for number, (genome, label, length) in enumerate(zip(genome_C, label_C, length_C.tolist(), strict=True)):
        labels.append(f"c{number}\t{species[label]}")
        depths.append("\t".join([f"c{number}", *(f"{depth:.3f}" for depth in depth_CS[number])]))
        fasta.append(f">c{number}\n{sequence(length, bounds_GQ[genome], random)}")
    for name, lines in {"labels.tsv": labels, "depth.tsv": depths, "contigs.fna": fasta}.items():
        write(folder / name, "\n".join(lines) + "\n")
    taxa = {name for label in set(label_C.tolist()) for name in species[label].split(";")}
    made = {"contigs": contigs, "bases": int(length_C.sum()), "samples": SAMPLES, "taxa": len(taxa)}
    write(folder / "made.json", json.dumps(made) + "\n")


def lineages(random: np.random.Generator) -> list[str]:
    """One for each species; each taxon has a child at least, and its own name."""
    paths = [""]
    for letter, count in TAXA.items():
        parents = [*range(len(paths)), *random.integers(len(paths), size=count - len(paths))]
        paths = [f"{paths[parent]};{letter}__{letter.upper()}{child}" for child, parent in enumerate(parents)]
    return [path.lstrip(";") for path in paths]


def sequence(length: int, bounds_Q: NDArray[np.float64], random: np.random.Generator) -> str:
    """Tetranucleotides one after another, drawn by their cumulative shares."""
    drawn = np.searchsorted(bounds_Q[:-1], random.random(length // 4 + 1), side="right")
    return bytes(_QUADS[drawn].tobytes()[:length]).decode()
