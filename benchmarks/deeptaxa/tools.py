"""Both tools: the command that classifies a file, and what it answered."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lineages import RANKS

import linnet

Answers = dict[str, list[tuple[str, float]]]
"""Read -> label and probability at each rank."""

PUBLISHED = ("--ranks", "published", "--letters", "published", "--strand", "forward")
"""The seven independent labels, letters read as DeepTaxa's tokenizer reads them, and the strand as it comes."""


@dataclass(frozen=True)
class Job:
    """A file to be classified.

    Attributes:
        data: the folder of prepare.py; DeepTaxa runs in it, since the checkpoint names its tokenizer relative to it.
        model: the same checkpoint, converted by linnet.
        deeptaxa: the interpreter of DeepTaxa's environment.
        out: a folder for the answers.
        batch: DeepTaxa's batch size.
    """

    data: Path
    model: Path
    deeptaxa: str
    reads: Path
    out: Path
    threads: int
    batch: int


@dataclass(frozen=True)
class Tool:
    """A tool with its settings; `compared` where its answers should be DeepTaxa's."""

    title: str
    command: Callable[[Job], list[str]]
    answers: Callable[[Path], Answers]
    environment: Mapping[str, str]
    compared: bool = False


def _deeptaxa(job: Job) -> list[str]:
    command = [job.deeptaxa, "-m", "deeptaxa.cli", "predict", "--checkpoint", str(job.data / "model.pt")]
    return [*command, "--fasta-file", str(job.reads), "--output-dir", str(job.out), "--batch-size", str(job.batch)]


def _deeptaxa_answers(out: Path) -> Answers:
    (path,) = out.glob("*_deeptaxa_predictions.json")
    found = json.loads(path.read_text())
    each = zip(found["sequence_ids"], found["predictions"], strict=True)
    return {name: [(ranks[rank]["label"], ranks[rank]["raw_score"]) for rank in RANKS] for name, ranks in each}


def _linnet(*options: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        files = [str(job.reads), "--model", str(job.model), "--format", "jsonl", "--out", str(job.out / "out.jsonl")]
        return [sys.executable, "-m", "linnet", "classify", *files, "--threads", str(job.threads), *options]

    return command


def _linnet_answers(out: Path) -> Answers:
    with (out / "out.jsonl").open() as lines:
        found = [json.loads(line) for line in lines]
    return {row["record"]: [(step["name"], step["confidence"]) for step in row["lineage"]] for row in found}


def convert(deeptaxa_data: Path, out: Path) -> list[str]:
    """The command that makes linnet's model of the checkpoint."""
    files = [str(deeptaxa_data / "model.pt"), "--taxonomy", str(deeptaxa_data / "taxonomy.tsv")]
    tokenizer = ["--tokenizer", str(deeptaxa_data / "tokenizer")]
    return [sys.executable, "-m", "linnet", "convert", "deeptaxa", *files, *tokenizer, "--out", str(out)]


def this_linnet() -> dict[str, str]:
    """Variables that make a child import the linnet that this process has."""
    package = str(Path(linnet.__file__).parents[1])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}


def _ours(title: str, *options: str, compared: bool) -> Tool:
    return Tool(title, _linnet(*options), _linnet_answers, this_linnet(), compared)


DEEPTAXA = "deeptaxa"
TOOLS = {
    DEEPTAXA: Tool("DeepTaxa", _deeptaxa, _deeptaxa_answers, {}),
    "linnet-fp32": _ours("linnet, fp32", *PUBLISHED, "--precision", "fp32", compared=True),
    "linnet-bf16": _ours("linnet, bf16", *PUBLISHED, "--precision", "bf16", compared=True),
    "linnet": _ours("linnet, its own decoding", compared=False),
}
