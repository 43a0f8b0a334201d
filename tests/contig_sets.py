"""Contig sets of our own making: genomes of distinct composition and depth, labelled as a search tool would, with its
errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from conftest import lineage, write_fasta
from numpy.typing import NDArray

from linnet.composition import Contigs, read_contigs
from linnet.depths import Depths
from linnet.labels import Label
from linnet.records import SequenceRecord
from linnet.taxonomy import Lineage

REFERENCE = [
    f"Bacteria;P{p};C{p};O{p};F{p}{f};G{p}{f}{g};S{p}{f}{g}{s}"
    for p in range(2) for f in range(2) for g in range(3) for s in range(2)
]  # fmt: skip
"""What the search tool knows: 24 species of 12 genera, 4 families, 2 phyla."""
GENOMES = [REFERENCE[i] for i in (0, 3, 6, 13, 14, 20)] + [
    "Bacteria;P0;C0;O0;F01;NewA;NewA1",
    "Bacteria;P1;C1;O1;F10;NewB;NewB1",
]
"""What the contigs are of; the last two are of genera that the tool does not know, in families that it does."""
NEW = (6, 7)


@dataclass(frozen=True, eq=False)
class ContigSet:
    """C contigs of 8 genomes in a mixed order, and what is known of them.

    Attributes:
        genome_C: int64, an index into `GENOMES`.
        kind_C: what the tool did: "right", "cut", "far", "sister", "scattered" or "none".
        depth_CS: float32, in 4 samples.
    """

    sequences: dict[str, str]
    genome_C: NDArray[np.int64]
    kind_C: list[str]
    labels: dict[str, Label] = field(repr=False)
    depth_CS: NDArray[np.float32]

    @property
    def ids(self) -> list[str]:
        return list(self.sequences)

    @property
    def truth(self) -> dict[str, Lineage]:
        """The deepest lineage of each contig that the labels can tell: families of new genera."""
        return {
            id: lineage(GENOMES[g])[: 5 if g in NEW else 7] for id, g in zip(self.sequences, self.genome_C, strict=True)
        }

    @property
    def contigs(self) -> Contigs:
        return read_contigs(SequenceRecord(id, s) for id, s in self.sequences.items())

    @property
    def depths(self) -> Depths:
        return Depths(tuple("abcd"[: self.depth_CS.shape[1]]), self.depth_CS, 0)

    def in_samples(self, samples: int) -> ContigSet:
        """The same with fewer samples."""
        return replace(self, depth_CS=self.depth_CS[:, :samples])

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Contigs, labels with scores, depths."""
        fasta = write_fasta(folder / "contigs.fna", self.sequences)
        labels, depth = folder / "labels.tsv", folder / "depth.tsv"
        rows = [
            f"{id}\t{';'.join(f'{t.rank[0]}__{t.name}' for t in label.lineage)}\t{label.support:.2f}\n"
            for id, label in self.labels.items()
            if label.lineage
        ]
        labels.write_text("contigs\tpredictions\tscores\n" + "".join(rows))
        names = [f"sample{s}" for s in range(self.depth_CS.shape[1])]
        cells = ["\t".join([id, *(f"{d:.4f}" for d in row)]) for id, row in zip(self.ids, self.depth_CS, strict=True)]
        depth.write_text("\n".join(["\t".join(["contigname", *names]), *cells]) + "\n")
        return fasta, labels, depth


def contig_set(seed: int = 1, contigs: int = 200, least: int = 700, most: int = 6000) -> ContigSet:
    """A set of `contigs` contigs of `least` to `most` bases; the same seed gives the same set."""
    random = np.random.default_rng(seed)
    genome_C = random.permutation(np.arange(contigs) % len(GENOMES))
    length_C = np.exp(random.uniform(np.log(least), np.log(most), contigs)).astype(int)
    sequences = _sequences(genome_C, length_C, random)
    ids = [f"k{i}" for i in range(contigs)]
    kind_C, labels = [], {}
    for id, genome in zip(ids, genome_C, strict=True):
        kind, text = _label(int(genome), random)
        kind_C.append(kind)
        support = random.uniform(0.7, 1) if kind == "right" else random.uniform(0.4, 0.9)
        labels[id] = Label(id, lineage(text) if text else (), round(float(support), 2) if text else float("nan"))
    mean_GS = np.exp(random.normal(1.5, 1.2, (len(GENOMES), 4)))
    noise_CS = np.exp(random.normal(0, 0.15, (contigs, 4)))
    depth_CS = (mean_GS[genome_C] * noise_CS).astype(np.float32)
    return ContigSet(dict(zip(ids, sequences, strict=True)), genome_C, kind_C, labels, depth_CS)


def _sequences(genome_C: NDArray[np.int64], length_C: NDArray[np.int64], random: np.random.Generator) -> list[str]:
    """Chains of bases, each drawn by the three before it, in the way of its genome; half of them of the other strand."""
    next_GKB = random.dirichlet(np.full(4, 8.0), (len(GENOMES), 64)).cumsum(2)
    state, columns = random.integers(64, size=len(genome_C)), []
    for _ in range(int(length_C.max())):
        base = (random.random(len(genome_C))[:, None] > next_GKB[genome_C, state][:, :3]).sum(1)
        state = (state * 4 + base) % 64
        columns.append(base)
    letters = np.array(list("ACGT"))[np.stack(columns, 1)]
    return ["".join(row[:n]) for row, n in zip(letters, length_C, strict=True)]


def _label(genome: int, random: np.random.Generator) -> tuple[str, str]:
    """What the tool says of a contig, and how that stands to the truth."""
    ranks = GENOMES[genome].split(";")
    known = genome not in NEW
    kind = str(random.choice(*_KNOWN if known else _NEW))
    family = [r for r in REFERENCE if r.split(";")[4] == ranks[4]]
    far = [r for r in REFERENCE if r.split(";")[1] != ranks[1]]
    sisters = [r for r in REFERENCE if r.split(";")[5] == ranks[5] and r != GENOMES[genome]]
    if kind == "cut":
        return kind, ";".join(ranks[: random.integers(2, 7 if known else 6)])
    text = {"right": [GENOMES[genome]], "sister": sisters, "far": far, "scattered": family, "none": [""]}[kind]
    return kind, str(random.choice(text))


_KNOWN = (["right", "cut", "far", "sister", "none"], None, True, [0.5, 0.2, 0.08, 0.07, 0.15])
_NEW = (["scattered", "cut", "far", "none"], None, True, [0.45, 0.3, 0.1, 0.15])
"""How often the tool does what, for genomes it knows and new ones: arguments of `Generator.choice`."""
