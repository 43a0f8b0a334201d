"""One cell of the benchmark: a set of contigs, a source of labels, a number of samples; and what is run on it.

What is finished, `cells/RUN.SOURCE.SAMPLESs.json` in the set's folder and the calls beside it, is not run again;
Taxometer's calls are `taxometer/` or `taxometer_SOURCE_SAMPLESs/`. Delete a file to have it made again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
import taxometer
from costs import measured
from sets import ContigSet, Truth, truth

from linnet import formats
from linnet.labels import predictions, read_labels
from linnet.prediction import Prediction, unreadable
from main import write

Calls = Mapping[str, Prediction]

SOURCES = ("mmseqs", "kraken2", "centrifuge")
SAMPLES = (5, 3, 2, 1)

LINNET = {"linnet": (), "linnet-taxometer": ("--recipe", "taxometer"), "linnet-taxdistill": ("--recipe", "taxdistill")}
"""Runs of linnet, and the options of each."""


@dataclass(frozen=True)
class Tool:
    """A row of the tables.

    Attributes:
        run: what makes its calls; '' for the labels themselves.
        minimum: names of a lower score are left out.
    """

    title: str
    run: str
    minimum: float = 0.0


TOOLS = {
    "labels": Tool("labels as they come", ""),
    "taxometer": Tool("Taxometer, score > 0.5", "taxometer"),
    "taxometer-95": Tool("Taxometer, score >= 0.95", "taxometer", 0.95),
    "linnet": Tool("linnet", "linnet"),
    "linnet-taxometer": Tool("linnet --recipe taxometer", "linnet-taxometer"),
    "linnet-taxdistill": Tool("linnet --recipe taxdistill", "linnet-taxdistill"),
}


@dataclass(frozen=True)
class Cell:
    """A set, whose labels they are, and of how many samples, the first ones, depths are given."""

    contigs: ContigSet
    source: str
    samples: int

    @property
    def name(self) -> str:
        return f"{self.contigs.name}, {self.source}, {self.samples} samples"

    @property
    def labels(self) -> Path:
        return self.contigs.folder / ("mmseqs_taxonomy.tsv" if self.source == "mmseqs" else f"{self.source}.tsv")

    def finished(self, run: str) -> bool:
        """Whether there is nothing to be run."""
        return self.record(run).exists() and self.calls(run).exists()

    def record(self, run: str) -> Path:
        """What a run took."""
        return self.contigs.folder / "cells" / f"{run}.{self.source}.{self.samples}s.json"

    def calls(self, run: str) -> Path:
        """What a run said."""
        if run != "taxometer":
            return self.record(run).with_suffix(".tsv")
        first = (self.source, self.samples) == (SOURCES[0], SAMPLES[0])
        folder = run if first else f"{run}_{self.source}_{self.samples}s"
        return self.contigs.folder / folder / "results_taxometer.tsv"


@dataclass(frozen=True)
class Data:
    """A set as it is read for scoring and for Taxometer's input."""

    contigs: ContigSet

    @cached_property
    def truth(self) -> Truth:
        return truth(self.contigs)

    def labels(self, path: Path) -> dict[str, Prediction]:
        """Every contig's label, by contig in the order of the contigs."""
        found = predictions(read_labels(path, self.truth.taxonomy))
        return {contig: found.get(contig) or unreadable(contig, "no label") for contig in self.truth.gold.lineages}


def plan(sets: Sequence[ContigSet], sources: Sequence[str], samples: Sequence[int]) -> Iterator[Cell]:
    """Every set with the first source and all samples; then, of full-length sets, what one change does."""
    first = (sources[0], samples[0])
    pairs = [first, *((s, samples[0]) for s in sources[1:]), *((sources[0], n) for n in samples[1:])]
    for source, number in pairs:
        for contigs in sets:
            if (source, number) == first or contigs.kind != "short":
                yield Cell(contigs, source, number)


def run(cell: Cell, name: str, vamb: Callable[[], Path]) -> None:
    """Run a tool on a cell, unless it was run before.

    Args:
        vamb: where Vamb's program is, asked when it is needed.

    Raises:
        CommandFailed: the tool failed; what it wrote is kept with `.part` in its name.
    """
    if cell.finished(name):
        return
    record, out = cell.record(name), cell.calls(name)
    record.parent.mkdir(exist_ok=True)
    depth, fasta = depth_table(cell), cell.contigs.folder / "contigs.fna"
    log = record.with_suffix(".log")
    if name == "taxometer":
        folder = out.parent.with_name(f"{out.parent.name}.part")
        shutil.rmtree(folder, ignore_errors=True)
        command = taxometer.command(vamb(), fasta, labels_table(cell), depth, cell.contigs.seed, folder)
    else:
        part = out.with_suffix(".part")
        taxonomy = ["--taxonomy", str(cell.contigs.folder / "taxonomy")]
        command = correct(fasta, cell.labels, depth, cell.contigs.seed, part, [*taxonomy, *LINNET[name]])
    load = os.getloadavg()[0]
    usage = measured(command, log)
    if name == "taxometer":
        out.parent.mkdir(exist_ok=True)
        (folder / out.name).replace(out)
        shutil.rmtree(folder)
    else:
        part.replace(out)
    record.write_text(json.dumps(asdict(usage) | {"load": round(load, 2)}) + "\n")


def correct(
    fasta: Path, labels: Path, depth: Path, seed: int, out: Path, options: Sequence[str] = (), threads: int = 1
) -> list[str]:
    """The command of linnet."""
    files = [str(fasta), "--labels", str(labels), "--depth", str(depth), "--out", str(out), "--format", "taxometer"]
    return [sys.executable, "-m", "linnet", "correct", *files, "--threads", str(threads), "--seed", str(seed), *options]


def answered(cell: Cell, tool: str) -> bool:
    """Whether a tool's calls, and the labels that they were made of, are there."""
    run = TOOLS[tool].run
    return cell.labels.exists() and (not run or cell.finished(run))


def cost(cell: Cell, run: str) -> dict[str, Any] | None:
    """What a finished run took; None of the labels themselves."""
    return json.loads(cell.record(run).read_text()) if run else None


def calls(cell: Cell, tool: str, data: Data) -> Calls:
    """A tool's calls by contig."""
    run = TOOLS[tool].run
    return formats.read_predictions(cell.calls(run)) if run else data.labels(cell.labels)


def depth_table(cell: Cell) -> Path:
    """Depths in the first samples of the cell, as both tools read them."""
    path = cell.contigs.folder / "inputs" / f"depth.{cell.samples}.tsv"
    if not path.exists():
        lines = (cell.contigs.folder / "depth.tsv").read_text().splitlines()
        rows = [line.split("\t")[: cell.samples + 1] for line in lines]
        rows[0][0] = "contigname"
        write(path, "".join("\t".join(row) + "\n" for row in rows))
    return path


def labels_table(cell: Cell) -> Path:
    """The labels of the cell's source, as Taxometer reads them."""
    path = cell.contigs.folder / "inputs" / f"{cell.source}.tsv"
    if not path.exists():
        write(path, taxometer.labels_table(Data(cell.contigs).labels(cell.labels).values()))
    return path
