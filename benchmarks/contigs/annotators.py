"""The second and third source of labels: Kraken2 and Centrifuge, each with a database of the set's references."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from costs import measured
from references import references
from sets import ContigSet, kit


@dataclass(frozen=True)
class Annotator:
    """A search tool.

    Attributes:
        programs: what has to be installed.
        header: how its references are called, of taxid and name.
        build: the commands that make its database of `references.fna`, in a folder.
        classify: the command that labels contigs with it: database, contigs, out.
    """

    programs: tuple[str, ...]
    header: str
    build: Callable[[Path, Path], list[list[str]]]
    classify: Callable[[Path, Path, Path], list[str]]


def label(contigs: ContigSet, source: str, say: Callable[[str], None]) -> Path:
    """The table of labels, made now unless it was before; the database is deleted again.

    Raises:
        CommandFailed: the tool failed; its database and its log are kept.
    """
    out = contigs.folder / f"{source}.tsv"
    if out.exists():
        return out
    say(f"{contigs.name}: labels by {source}")
    folder = contigs.folder / f"{source}.part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tool = ANNOTATORS[source]
    _write_references(contigs, folder, tool.header)
    log = folder / "log"
    usages = [measured(command, log) for command in tool.build(folder, contigs.folder / "taxonomy")]
    found = folder / "labels.tsv"
    cost = measured(tool.classify(folder, contigs.folder / "contigs.fna", found), log)
    record = {"build": [asdict(usage) for usage in usages], "classify": asdict(cost)}
    (contigs.folder / f"{source}.json").write_text(json.dumps(record, indent=1) + "\n")
    found.replace(out)
    shutil.rmtree(folder)
    return out


def missing(source: str) -> str:
    """Why the source cannot be used here; '' where it can."""
    programs = ANNOTATORS[source].programs if source in ANNOTATORS else ()
    absent = [name for name in programs if not shutil.which(name)]
    return f"{source} was left out: {', '.join(absent)} is not installed." if absent else ""


def _write_references(contigs: ContigSet, folder: Path, header: str) -> None:
    genomes = contigs.folder.parent / "genomes" if contigs.kind == "quick" else kit() / "data" / "genomes"
    with (folder / "references.fna").open("w") as fasta, (folder / "taxids.tsv").open("w") as taxids:
        for name, taxid, sequence in references(contigs, genomes):
            fasta.write(f">{header.format(taxid=taxid, name=name)}\n{sequence}\n")
            taxids.write(f"{name}\t{taxid}\n")


def _build_kraken2(folder: Path, taxdump: Path) -> list[list[str]]:
    shutil.copytree(taxdump, folder / "taxonomy")
    masking = [] if shutil.which("dustmasker") else ["--no-masking"]
    build = ["kraken2-build", "--db", str(folder), "--threads", "1"]
    return [[*build, "--add-to-library", str(folder / "references.fna"), *masking], [*build, "--build"]]


def _classify_kraken2(folder: Path, contigs: Path, out: Path) -> list[str]:
    return ["kraken2", "--db", str(folder), "--threads", "1", "--output", str(out), str(contigs)]


def _build_centrifuge(folder: Path, taxdump: Path) -> list[list[str]]:
    tables = ["--conversion-table", str(folder / "taxids.tsv"), "--taxonomy-tree", str(taxdump / "nodes.dmp")]
    names = ["--name-table", str(taxdump / "names.dmp")]
    return [["centrifuge-build", "-p", "1", *tables, *names, str(folder / "references.fna"), str(folder / "index")]]


def _classify_centrifuge(folder: Path, contigs: Path, out: Path) -> list[str]:
    files = ["-x", str(folder / "index"), "-f", "-U", str(contigs), "-S", str(out)]
    return ["centrifuge", "-p", "1", *files, "--report-file", str(folder / "report.tsv")]


ANNOTATORS: Mapping[str, Annotator] = {
    "kraken2": Annotator(
        ("kraken2", "kraken2-build"), "kraken:taxid|{taxid}|{name}", _build_kraken2, _classify_kraken2
    ),
    "centrifuge": Annotator(("centrifuge", "centrifuge-build"), "{name}", _build_centrifuge, _classify_centrifuge),
}
