"""What a measured tool is, the lineages of its references, and taxa as numbers.

A tool is two command lines, one that makes a model or an index of the references and one that names queries
with it, and a function that reads what it wrote. Taxa are passed to tools as `t17`, one name for each lineage,
and turned back, so that no tool is hurt by homonyms or odd letters in names.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prepare import RANKS, parse_fasta, write_lines

Answer = tuple[str, str, list[float]]
"""Id, lineage `k__Bacteria;p__...`, and a confidence for each of its names, or none."""


@dataclass(frozen=True)
class Model:
    """A folder for a tool's model, and what the model is made of.

    Attributes:
        seed: of the training; None where nothing is drawn by chance.
        quick: train for less time than one would.
    """

    folder: Path
    references: Path
    taxonomy: Path
    seed: int | None
    quick: bool


@dataclass(frozen=True)
class Tool:
    """One row of the tables.

    Attributes:
        settings: what it was asked to do, for the reader of the results.
        train: writes what the command needs, and returns the command; None: there is nothing to run.
        classify: the command that names queries (FASTA) with a model and writes a file.
        answers: reads that file; None: it is linnet's own format.
        version: of the program.
        program: what must be installed, and where it comes from.
        cut: the customary least confidence; None: the tool has no such thing.
        probability: whether what it gives as confidence is meant as one.
        own_region: trained on the references cut to the queries' region, else on whole genes.
        seeded: its training depends on a seed.
        model_of: the tool whose models it uses, where that is another.
    """

    settings: str
    train: Callable[[Model], list[str] | None]
    classify: Callable[[Model, Path, Path], list[str]]
    answers: Callable[[Model, Path], Iterator[Answer]] | None
    version: Callable[[], str]
    program: tuple[str, str] | None = None
    cut: float | None = None
    probability: bool = True
    own_region: bool = True
    seeded: bool = False
    model_of: str | None = None

    def missing(self) -> str | None:
        """Why it cannot be run here, or nothing."""
        if self.program is None or shutil.which(self.program[0]):
            return None
        program, source = self.program
        return f"the program {program} is not installed ({source})"


# ---------------------------------------------------------------------- lineages and their numbers


def lineages_by_id(taxonomy: Path) -> dict[str, str]:
    with taxonomy.open() as file:
        return dict(line.rstrip("\n").split("\t") for line in file)


def way_down(lineage: str) -> list[str]:
    """The lineage of each taxon on the way down: `k__B`, `k__B;p__P` ..."""
    names = lineage.split(";")
    return [";".join(names[:depth]) for depth in range(1, len(names) + 1)]


def number_taxa(model: Model) -> dict[str, int]:
    """A number for each lineage that the references hold, parents first; kept beside the model."""
    lineages = lineages_by_id(model.taxonomy)
    with model.references.open() as file:
        held = {lineages[line[1:].split()[0]] for line in file if line.startswith(">")}
    taxa = sorted({taxon for lineage in held for taxon in way_down(lineage)}, key=lambda t: (t.count(";"), t))
    write_lines(model.folder / "taxa.txt", taxa)
    return {taxon: number for number, taxon in enumerate(taxa, 1)}


def read_taxa(model: Model) -> dict[str, int]:
    return {taxon: n for n, taxon in enumerate((model.folder / "taxa.txt").read_text().splitlines(), 1)}


def references(model: Model) -> Iterator[tuple[str, str, list[str]]]:
    """Id, sequence and taxa of each reference, the domain first: `t1`, `t17` ..."""
    taxa = number_taxa(model)
    lineages = lineages_by_id(model.taxonomy)
    with model.references.open() as file:
        for i, sequence in parse_fasta(file):
            yield i, sequence, [f"t{taxa[taxon]}" for taxon in way_down(lineages[i])]


def complete(names: Sequence[str]) -> list[str]:
    """A name for each of the seven ranks: `t17` with nothing below it goes on as `t17x5`, `t17x6`, no taxa."""
    return [*names, *(f"{names[-1]}x{depth}" for depth in range(len(names), len(RANKS)))]


def lineage_of_names(model: Model) -> dict[str, str]:
    """`t17` -> its lineage."""
    return {f"t{number}": lineage for lineage, number in read_taxa(model).items()}


def named_part(lineages: Mapping[str, str], found: Iterable[tuple[str, float]]) -> tuple[str, list[float]]:
    """The lineage down to the first name that is no taxon or lies off the path above it, with its confidences."""
    path = ""
    confidences: list[float] = []
    for name, confidence in found:
        if name not in lineages or lineages[name].rpartition(";")[0] != path:
            break
        path = lineages[name]
        confidences.append(confidence)
    return path, confidences


# ---------------------------------------------------------------------- programs


def first_line(*command: str) -> Callable[[], str]:
    """A question for a program's version, answered by the first line that it writes."""

    def ask() -> str:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.splitlines()[0].split(",")[0]

    return ask
