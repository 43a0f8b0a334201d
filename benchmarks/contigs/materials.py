"""What the referee's experiments are made on: sets of `sets.py`, or the contigs of the project's examples."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import annotators
import numpy as np
from arms import SAMPLES
from cells import SOURCES, Cell, depth_table, write
from costs import CommandFailed
from numpy.typing import NDArray
from sets import ContigSet, truth

from linnet.composition import Contigs, read_contigs
from linnet.depths import Depths, read_depths
from linnet.embed import embed
from linnet.embeddings import read_embeddings
from linnet.gold_standard import GoldStandard, read_gold_standard
from linnet.labels import Label, predictions, read_labels
from linnet.prediction import Prediction, unreadable
from linnet.records import read
from linnet.spectra import Spectra
from linnet.taxonomy import Lineage, Taxonomy

EXAMPLES = Path(__file__).parents[2] / "examples"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """A set, its labels by source, and where what is made of it is kept; files are read once, when they are asked for.

    Attributes:
        known: lineages of the species that the reference has.
        teacher: vectors, with `{set}` for the set's name; '': spectra, made here.
    """

    name: str
    folder: Path
    seed: int
    fasta: Path
    depth: Path
    labels: Mapping[str, Path]
    gold: GoldStandard
    known: Collection[Lineage]
    taxonomy: Taxonomy | None = None
    teacher: str = ""

    @cached_property
    def contigs(self) -> Contigs:
        return read_contigs(read(self.fasta))

    @cached_property
    def depths(self) -> Depths:
        return read_depths([self.depth], self.contigs.ids)

    @cached_property
    def vectors_CW(self) -> NDArray[np.float32]:
        if self.teacher:
            return read_embeddings(Path(self.teacher.format(set=self.name)), self.contigs.ids)
        out, record = self.folder / "spectra.npz", self.folder / "spectra.json"
        if not out.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            started = time.process_time()
            embed(self.fasta, Spectra(), out)
            write(record, json.dumps({"cpu_s": round(time.process_time() - started, 1)}) + "\n")
        return read_embeddings(out, self.contigs.ids)

    @property
    def teacher_name(self) -> str:
        """Stands in the names of what is made with vectors."""
        return Path(self.teacher.format(set=self.name)).stem if self.teacher else "spectra"

    def given(self, source: str) -> dict[str, Label]:
        """The labels of that source, by contig."""
        return read_labels(self.labels[source], self.taxonomy).labels

    def before(self, source: str) -> dict[str, Prediction]:
        """The same as calls, one for every contig."""
        found = predictions(read_labels(self.labels[source], self.taxonomy))
        return {contig: found.get(contig) or unreadable(contig, "no label") for contig in self.gold.lineages}


def of_set(contigs: ContigSet, sources: Collection[str], teacher: str, say: Say) -> tuple[Material, list[str]]:
    """A set that is made, with the labels that its tools can give; and a sentence for each that cannot."""
    about, lacking = truth(contigs), []
    labels = {SOURCES[0]: Cell(contigs, SOURCES[0], SAMPLES).labels}
    for source in SOURCES[1:]:
        cell = Cell(contigs, source, SAMPLES)
        if source in sources and not cell.labels.exists():
            try:
                if why := annotators.missing(source):
                    lacking.append(f"{contigs.name}: {why}")
                    continue
                annotators.label(contigs, source, say)
            except CommandFailed as error:
                lacking.append(f"{contigs.name}: {source} failed: {error}")
                continue
        labels[source] = cell.labels
    depth = depth_table(Cell(contigs, SOURCES[0], SAMPLES))
    fasta, folder = contigs.folder / "contigs.fna", contigs.folder / "referee"
    made = Material(
        contigs.name, folder, contigs.seed, fasta, depth, labels, about.gold, about.known, about.taxonomy, teacher
    )
    return made, lacking


def example(folder: Path, teacher: str) -> Material:
    """The examples' contigs; the reference has the species that occur as labels."""
    labels = EXAMPLES / "contig_labels.tsv"
    known = {label.lineage for label in read_labels(labels).labels.values() if len(label.lineage) == 7}
    gold = read_gold_standard(EXAMPLES / "contig_truth.tsv", None)
    depth, fasta = EXAMPLES / "contig_depths.tsv", EXAMPLES / "contigs.fna.gz"
    return Material(
        "example", folder / "example" / "referee", 1, fasta, depth, {SOURCES[0]: labels}, gold, known, teacher=teacher
    )
