"""The sets of contigs: simulated communities, each with a reference database that lacks some of its taxa.

The simulator, its genomes and MMseqs2's way of running are a kit beside the project, in the folder of LINNET_DATA.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import UsageError, UserError
from linnet.gold_standard import GoldStandard, read_gold_standard
from linnet.lineages import parse_lineage
from linnet.ncbi import read_taxdump
from linnet.taxonomy import Lineage, Taxonomy

OPTIONS = {
    "seed": (),
    "short": ("--len-scale", "0.4", "--mean-depth", "5"),
    "quick": ("--pool", "0.5", "--genome-bp", "60000"),
}
"""Settings of the simulator by the kind of set."""

DEVELOPMENT = 11
"""Sets `seed` from this number on may be looked at while linnet's settings are chosen."""

QUICK_PHYLA = ("p__Firmicutes", "p__Actinobacteriota")
"""A quick run's genomes, in the community and in the reference database alike."""


@dataclass(frozen=True)
class ContigSet:
    """A set as the simulator, the database builder and MMseqs2 leave it in a folder."""

    folder: Path
    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}{self.seed}"

    @property
    def group(self) -> str:
        """Sets of one group are averaged."""
        return "development" if self.kind == "seed" and self.seed >= DEVELOPMENT else self.kind


@dataclass(frozen=True)
class Truth:
    """What is true of a set.

    Attributes:
        known: lineages of the species in the reference database.
        samples: how many the set has.
    """

    taxonomy: Taxonomy
    gold: GoldStandard
    known: frozenset[Lineage]
    samples: int


def named(name: str, work: Path) -> ContigSet:
    """The set of that name.

    Raises:
        UsageError: no kind of set and number.
    """
    found = re.fullmatch(rf"({'|'.join(OPTIONS)})(\d+)", name)
    if not found:
        raise UsageError(f"no set '{name}'", expected=f"one of {', '.join(f'{kind}1' for kind in OPTIONS)} and so on")
    return ContigSet(work / name, found[1], int(found[2]))


def finished(work: Path) -> list[ContigSet]:
    """The sets that are made, in order."""
    names = [path.parent.name for path in work.glob("*/done")]
    return sorted((named(name, work) for name in names), key=lambda found: ([*OPTIONS].index(found.kind), found.seed))


def kit() -> Path:
    """The folder with `bench/contigs`, `data/genomes` and `parity/taxometer`.

    Raises:
        UserError: LINNET_DATA is not set, or holds something else.
    """
    folder = Path(os.environ.get("LINNET_DATA", ""))
    if not (folder / "bench" / "contigs" / "simulate.py").exists():
        raise UserError(
            "LINNET_DATA does not name the folder with the simulator and the genomes",
            expected="bench/contigs/simulate.py and data/genomes/MANIFEST.tsv in it",
            remedy="Set it to the folder that has both; it is not part of the project.",
        )
    return folder.resolve()


def make(contigs: ContigSet, genes: Path, threads: int, say: Callable[[str], None]) -> None:
    """Simulate, build the database, have MMseqs2 label; what is finished is not made again.

    Args:
        genes: a cache of the proteins of each genome.

    Raises:
        UserError: one of the steps failed.
    """
    folder = contigs.folder
    if (folder / "done").exists():
        return
    scripts = kit() / "bench" / "contigs"
    genomes = quick_genomes(folder.parent / "genomes") if contigs.kind == "quick" else kit() / "data" / "genomes"
    folder.mkdir(parents=True, exist_ok=True)
    place = ["--genomes", str(genomes)]
    options = ["--out", str(folder), "--seed", str(contigs.seed), *OPTIONS[contigs.kind]]
    steps = {
        "simulating": [sys.executable, str(scripts / "simulate.py"), *place, *options],
        "the proteins of its database": [
            *(sys.executable, str(scripts / "build_db.py"), *place, "--sim", str(folder)),
            *("--cache", str(genes), "--procs", str(threads)),
        ],
        "MMseqs2": ["bash", str(scripts / "annotate.sh"), str(folder), str(threads)],
    }
    with (folder / "make.log").open("w") as log:
        for step, command in steps.items():
            say(f"{contigs.name}: {step}")
            if subprocess.run(["nice", *command], stdout=log, stderr=subprocess.STDOUT).returncode:
                raise UserError(f"{step} failed", where=contigs.name, remedy=f"See {folder / 'make.log'}.")
    shutil.rmtree(folder / "mmseqs")
    (folder / "done").touch()


def quick_genomes(folder: Path) -> Path:
    """Some of the genomes: a folder like the kit's, whose sequences are links."""
    source = kit() / "data" / "genomes"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "fasta").exists():
        (folder / "fasta").symlink_to(source / "fasta")
    header, *rows = (source / "MANIFEST.tsv").read_text().splitlines(keepends=True)
    column = header.split("\t").index("gtdb_r202_lineage")
    kept = [row for row in rows if row.split("\t")[column].split(";")[1] in QUICK_PHYLA]
    (folder / "MANIFEST.tsv").write_text("".join([header, *kept]))
    return folder


def truth(contigs: ContigSet) -> Truth:
    """What is true of a set that is made."""
    taxonomy = read_taxdump(contigs.folder / "taxonomy")
    gold = read_gold_standard(contigs.folder / "gsa_mapping.binning", taxonomy)
    known = {parse_lineage(row["lineage"]) for row in rows_of(contigs.folder / "split.tsv") if row["status"] == "in_db"}
    with (contigs.folder / "depth.tsv").open() as file:
        samples = len(file.readline().split("\t")) - 1
    return Truth(taxonomy, gold, frozenset(known), samples)


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """A table with a header."""
    with path.open(newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
