"""The tools that are measured: linnet's models and what users would reach for today."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from prepare import parse_fasta, write_lines
from taxonova import TAXONOVA
from tool import (
    Answer,
    Model,
    Tool,
    first_line,
    lineage_of_names,
    lineages_by_id,
    named_part,
    number_taxa,
    read_taxa,
    references,
)
from wang import MOTHUR, MOTHUR_UNEVEN, RDP

import linnet

HERE = Path(__file__).parent
QUICK_TRAINING = ("--rounds", "1", "--no-refit")
RANK_LETTERS = "dpcofgs"
KRAKEN_RANKS = ("superkingdom", "phylum", "class", "order", "family", "genus", "species")

# ---------------------------------------------------------------------- linnet


def _linnet_train(kind: str) -> Callable[[Model], list[str]]:
    def command(model: Model) -> list[str]:
        files = ["--sequences", str(model.references), "--taxonomy", str(model.taxonomy)]
        how = ["--encoder", kind, "--threads", "1"]
        if model.seed is not None:
            how += ["--seed", str(model.seed)]
        less = QUICK_TRAINING if model.quick else ()
        return [*_linnet("train", "rrna"), *files, "--out", str(model.folder / "model"), *how, *less]

    return command


SMALL = ("--embed-dim", "256", "--num-filters", "128", "--hidden-size", "256", "--num-hidden-layers", "2",
         "--num-attention-heads", "4", "--intermediate-size", "1024", "--hidden-dropout-prob", "0.1",
         "--hold-out", "0.05", "--no-refit", "--precision", "bf16")  # fmt: skip
"""A fourteenth of the published network, a twentieth of the references held out: what a core trains in an hour."""


def _network_train(encoder: str, head: str, *settings: str) -> Callable[[Model], list[str]]:
    def command(model: Model) -> list[str]:
        files = ["--sequences", str(model.references), "--taxonomy", str(model.taxonomy)]
        how = ["--encoder", encoder, "--head", head, "--threads", "1", "--seed", str(model.seed), *SMALL, *settings]
        shared = os.environ.get("LINNET_DATA")
        if shared and encoder != "onehot":
            how += ["--tokenizer", f"{shared}/data/dnabert2-tokenizer"]
        less = ["--epochs", "1"] if model.quick else []
        return [*_linnet("train", "rrna"), *files, "--out", str(model.folder / "model"), *how, *less]

    return command


def _linnet_classify(model: Model, queries: Path, out: Path) -> list[str]:
    how = ["--format", "jsonl", "--confidence", "0", "--threads", "1"]
    return [*_linnet("classify"), str(queries), "--model", str(model.folder / "model"), "--out", str(out), *how]


def _linnet(*words: str) -> list[str]:
    return [sys.executable, "-m", "linnet", *words]


# ---------------------------------------------------------------------- vsearch


def _top_hit_index(model: Model) -> list[str]:
    return ["vsearch", "--makeudb_usearch", str(model.references), "--output", str(model.folder / "index.udb")]


def _top_hit(model: Model, queries: Path, out: Path) -> list[str]:
    index = str(model.folder / "index.udb")
    hits = ["--id", "0.7", "--maxaccepts", "1", "--maxrejects", "32", "--strand", "plus", "--threads", "1"]
    table = ["--userout", str(out), "--userfields", "query+target+id"]
    return ["vsearch", "--usearch_global", str(queries), "--db", index, *hits, *table]


def _top_hit_answers(model: Model, out: Path) -> Iterator[Answer]:
    """The lineage of the hit; its identity stands in for the confidence of every name."""
    lineages = lineages_by_id(model.taxonomy)
    best: dict[str, tuple[float, str]] = {}
    for line in out.read_text().splitlines():
        query, target, identity = line.split("\t")
        best[query] = max(best.get(query, (-1.0, "")), (float(identity) / 100, target), key=lambda hit: hit[0])
    for query, (likeness, hit) in best.items():
        yield query, lineages[hit], [likeness] * len(lineages[hit].split(";"))


def _sintax_references(model: Model) -> None:
    def line(i: str, sequence: str, names: list[str]) -> str:
        ranks = zip(RANK_LETTERS, names, strict=False)
        return f">{i};tax={','.join(f'{letter}:{name}' for letter, name in ranks)};\n{sequence}"

    write_lines(model.folder / "references.fasta", (line(*reference) for reference in references(model)))


def _sintax(model: Model, queries: Path, out: Path) -> list[str]:
    how = ["--sintax_cutoff", "0.8", "--strand", "plus", "--threads", "1", "--randseed", "1"]
    references = str(model.folder / "references.fasta")
    return ["vsearch", "--sintax", str(queries), "--db", references, "--tabbedout", str(out), *how]


def _sintax_answers(model: Model, out: Path) -> Iterator[Answer]:
    """The uncut lineages. Each rank has a winner of its own: names end where one is off the path above it."""
    lineages = lineage_of_names(model)
    for line in out.read_text().splitlines():
        cells = line.split("\t")
        found = re.findall(r"[a-z]:(t\d+)?\(([\d.]+)\)", cells[1] if len(cells) > 1 else "")
        yield cells[0], *named_part(lineages, ((name, float(support)) for name, support in found))


# ---------------------------------------------------------------------- kraken2


def _kraken_build(model: Model) -> list[str]:
    """Write a taxonomy and labelled references. The taxid of a taxon is its number plus 1; 1 is the root."""
    taxa = number_taxa(model)
    lineages = lineages_by_id(model.taxonomy)
    dump = model.folder / "database" / "taxonomy"
    dump.mkdir(parents=True)
    nodes, names = ["1\t|\t1\t|\tno rank\t|\t-\t|"], ["1\t|\troot\t|\t-\t|\tscientific name\t|"]
    for lineage, number in taxa.items():
        above, _, _ = lineage.rpartition(";")
        rank = KRAKEN_RANKS[lineage.count(";")]
        nodes.append(f"{number + 1}\t|\t{taxa[above] + 1 if above else 1}\t|\t{rank}\t|\t-\t|")
        names.append(f"{number + 1}\t|\tt{number}\t|\t-\t|\tscientific name\t|")
    write_lines(dump / "nodes.dmp", nodes)
    write_lines(dump / "names.dmp", names)
    labelled = model.folder / "references.fasta"
    with model.references.open() as file:
        records = parse_fasta(file)
        write_lines(labelled, (f">{i}|kraken:taxid|{taxa[lineages[i]] + 1}\n{s}" for i, s in records))
    build = f"kraken2-build --db {shlex.quote(str(model.folder / 'database'))} --no-masking"
    added = f"{build} --add-to-library {shlex.quote(str(labelled))}"
    return ["bash", "-c", f"{added} && {build} --build --fast-build --threads 1"]


def _kraken(model: Model, queries: Path, out: Path) -> list[str]:
    database = str(model.folder / "database")
    return ["kraken2", "--db", database, "--threads", "1", "--confidence", "0", "--output", str(out), str(queries)]


def _kraken_answers(model: Model, out: Path) -> Iterator[Answer]:
    lineages = {number + 1: lineage for lineage, number in read_taxa(model).items()}
    for line in out.read_text().splitlines():
        _, query, taxid, *_ = line.split("\t")
        yield query, lineages.get(int(taxid), ""), []


# ---------------------------------------------------------------------- naive Bayes


def _naive_bayes_fit(model: Model) -> list[str]:
    files = [model.references, model.taxonomy, model.folder / "model.npz"]
    return [sys.executable, str(HERE / "naive_bayes.py"), "fit", *map(str, files)]


def _naive_bayes(model: Model, queries: Path, out: Path) -> list[str]:
    files = [queries, model.folder / "model.npz", out]
    return [sys.executable, str(HERE / "naive_bayes.py"), "classify", *map(str, files)]


def _naive_bayes_answers(model: Model, out: Path) -> Iterator[Answer]:
    """The names before the first blank, with their confidences."""
    for line in out.read_text().splitlines():
        query, lineage, confidence = line.split("\t")
        names = [name for name in lineage.split(";") if len(name) > 3]
        yield query, ";".join(names), [float(p) for p in confidence.split(",")][: len(names)]


def _linnet_version() -> str:
    return f"linnet {linnet.__version__}"


_VSEARCH = ("vsearch", "Debian package vsearch")


def _network(settings: str, encoder: str, head: str, *flags: str) -> Tool:
    train = _network_train(encoder, head, *flags)
    return Tool(settings, train, _linnet_classify, None, _linnet_version, cut=0.7, seeded=True)


TOOLS = {
    "linnet": Tool(
        "compact model, default settings, trained on the references cut to the queries' region",
        _linnet_train("kmer"), _linnet_classify, None, _linnet_version, cut=0.7, seeded=True,
    ),
    "linnet-any": Tool(
        "compact model, default settings, trained once on whole genes and used for every region",
        _linnet_train("kmer"), _linnet_classify, None, _linnet_version, cut=0.7, seeded=True,
        own_region=False, model_of="linnet",
    ),
    "linnet-nearest": Tool(
        "linnet's baseline: the references that share most 8-mers",
        _linnet_train("nearest"), _linnet_classify, None, _linnet_version, cut=0.7,
    ),
    "linnet-commonest": Tool(
        "linnet's baseline: the commonest lineage of the references",
        _linnet_train("commonest"), _linnet_classify, None, _linnet_version, cut=0.7,
    ),
    "linnet-hybrid": _network(
        "DeepTaxa's hybrid, small, with its own heads, trained as published (8 passes) on the queries' region",
        "hybrid", "ranks", "--epochs", "8",
    ),
    "linnet-hybrid-tree": _network(
        "the same encoder and training with linnet's tree head", "hybrid", "tree", "--epochs", "8",
    ),
    "linnet-cnn": _network(
        "its convolutions alone, 8 passes", "cnn", "ranks", "--epochs", "8",
    ),
    "linnet-bert": _network(
        "its transformer alone, 8 passes", "bert", "ranks", "--epochs", "8",
    ),
    "linnet-onehot": _network(
        "convolutions over 7, 11 and 15 single bases of the whole gene, 5 passes",
        "onehot", "ranks", "--epochs", "5", "--max-length", "1600", "--kernel-sizes", "7,11,15",
        "--hidden-dropout-prob", "0",
    ),
    "naive-bayes": Tool(
        "as QIIME 2 does it (naive_bayes.py); cut 0.7",
        _naive_bayes_fit, _naive_bayes, _naive_bayes_answers,
        lambda: f"scikit-learn {version('scikit-learn')}", cut=0.7,
    ),
    "sintax": Tool(
        "vsearch --sintax, 100 bootstraps; cut 0.8",
        _sintax_references, _sintax, _sintax_answers, first_line("vsearch", "--version"), _VSEARCH, cut=0.8,
    ),
    "vsearch": Tool(
        "top hit: --usearch_global --id 0.7 --maxaccepts 1 --maxrejects 32, indexed; the confidence is the identity",
        _top_hit_index, _top_hit, _top_hit_answers, first_line("vsearch", "--version"), _VSEARCH,
        probability=False,
    ),
    "kraken2": Tool(
        "k 35, l 31, --confidence 0, built with --no-masking --fast-build",
        _kraken_build, _kraken, _kraken_answers, first_line("kraken2", "--version"),
        ("kraken2", "Debian package kraken2"),
    ),
    "mothur": MOTHUR,
    "mothur-uneven": MOTHUR_UNEVEN,
    "rdp": RDP,
    "taxonova": TAXONOVA,
}  # fmt: skip
