"""The toy set: 300 generated contigs whose labels have known errors, and what Taxometer made of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cells import LINNET, TOOLS, Calls, correct
from costs import measured
from score import Row
from sets import kit, rows_of

from linnet import formats
from linnet.contig_evaluation import evaluate_contigs
from linnet.gold_standard import GoldStandard, read_gold_standard

KINDS = {"far": "phylum", "sister": "species"}
"""Kinds of wrong labels, and the rank at which they are to be put right."""


def put_right(work: Path, run: str) -> None:
    """Run linnet on the toy set, unless it was run before.

    Raises:
        CommandFailed: it failed.
    """
    folder, out = _folder(), _out(work, run)
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part")
        fasta, labels, depth = folder / "contigs.fna.gz", folder / "taxonomy_noisy.tsv", folder / "abundance.tsv"
        measured(correct(fasta, labels, depth, 1, part, LINNET[run]), out.with_suffix(".log"))
        part.replace(out)


def toy(work: Path, runs: Iterable[str]) -> list[Row]:
    """A row for the labels, for Taxometer's three stored answers and for each of linnet's runs that is finished."""
    folder = _folder()
    gold = read_gold_standard(folder / "truth.tsv")
    kinds = {row["contig"]: row["noise_kind"] for row in rows_of(folder / "truth_detail.tsv")}
    answers = {TOOLS["labels"].title: folder / "taxonomy_noisy.tsv"}
    for seed in (1, 2, 3):
        stored = folder / "taxometer_out" / f"results_taxometer.seed{seed}.tsv"
        answers[f"{TOOLS['taxometer'].title}, seed {seed}"] = stored
    answers |= {TOOLS[run].title: out for run in runs if (out := _out(work, run)).exists()}
    return [_row(title, formats.read_predictions(path), gold, kinds) for title, path in answers.items()]


def _folder() -> Path:
    return kit() / "parity" / "taxometer"


def _out(work: Path, run: str) -> Path:
    return work / "toy" / f"{run}.tsv"


def _row(title: str, found: Calls, gold: GoldStandard, kinds: dict[str, str]) -> Row:
    ranks = evaluate_contigs(found, gold, resamples=0).ranks
    row: Row = {"tool": title, "precision species": ranks["species"].contigs.precision}
    row |= {f"f1 {rank}": ranks[rank].contigs.f1 for rank in ("species", "phylum")}
    for kind, rank in KINDS.items():
        some = {contig: 1 for contig, other in kinds.items() if other == kind}
        row[kind] = (evaluate_contigs(found, gold, some, resamples=0).ranks[rank].contigs.right, len(some))
    return row
