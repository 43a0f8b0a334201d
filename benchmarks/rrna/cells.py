"""One cell of the benchmark: a tool, a split and a region, trained, measured and kept.

A finished model is `models/NAME/` and a finished cell `cells/NAME/`, each with a `record.json`. Both are made
under a temporary name and renamed when whole; what is there already is not made again. Delete a folder to have
it made again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from measure import CommandFailed, Usage, measure
from peers import TOOLS
from prepare import QUICK_REFERENCES, inputs, parse_fasta, write_fasta, write_lines
from tool import Answer, Model

MOST_REPEATS = 50
"""How many times over the queries are classified, at most, to be timed."""

STARTS = 3
"""How often the classification of a single sequence is measured; the median counts."""

RESOLUTION_S = 0.05
"""Processor time that cannot be told from nothing, in seconds."""


@dataclass(frozen=True)
class Bench:
    """Where things are kept.

    Attributes:
        quick: small models, kept apart from the others.
    """

    work: Path
    quick: bool

    @property
    def data(self) -> Path:
        return self.work / "data"

    @property
    def results(self) -> Path:
        return self.work / "quick" if self.quick else self.work


@dataclass(frozen=True)
class Cell:
    """A tool on one set of queries; seed None where the tool has none."""

    tool: str
    split: str
    region: str
    queries: str
    seed: int | None

    @property
    def name(self) -> str:
        return _name(self.tool, self.split, self.region, self.seed)

    @property
    def label(self) -> str:
        """The tool, and its seed where it has one."""
        return self.tool if self.seed is None else f"{self.tool}, seed {self.seed}"


@dataclass(frozen=True)
class Finished:
    """A cell's folder and its record, see `_measured`."""

    cell: Cell
    folder: Path
    record: dict[str, Any]


def run(bench: Bench, cell: Cell, say: Callable[[str], None]) -> Finished:
    """The finished cell, measured now unless it was before.

    Raises:
        CommandFailed: the tool failed; what it wrote is kept in a folder ending in `.failed`.
    """
    folder = bench.results / "cells" / cell.name
    if not (folder / "record.json").exists():
        model = trained(bench, cell, say)
        say("classifying")
        _make(folder, lambda temporary: _measured(bench, cell, model, temporary))
    return _read(folder)


def finished(bench: Bench) -> list[Finished]:
    """All finished cells."""
    return [_read(path.parent) for path in sorted((bench.results / "cells").glob("*/record.json"))]


def _read(folder: Path) -> Finished:
    record = json.loads((folder / "record.json").read_text())
    return Finished(Cell(**record["cell"]), folder, record)


def trained(bench: Bench, cell: Cell, say: Callable[[str], None]) -> Model:
    """The model of a cell, which cells may share, trained now unless it was before."""
    tool = TOOLS[cell.tool]
    region = cell.region if tool.own_region else "full"
    folder = bench.results / "models" / _name(tool.model_of or cell.tool, cell.split, region, cell.seed)
    files = inputs(bench.data, cell.split, region, cell.queries, QUICK_REFERENCES if bench.quick else None)

    def at(place: Path) -> Model:
        return Model(place, files.references, bench.data / "taxonomy.tsv", cell.seed, bench.quick)

    def train(temporary: Path) -> dict[str, Any]:
        command = tool.train(at(temporary))
        usage = measure(command, temporary / "train.log", threads=2) if command else None
        return {"training": asdict(usage) if usage else None, "command": command}

    if not (folder / "record.json").exists():
        say("training")
        _make(folder, train)
    return at(folder)


def _measured(bench: Bench, cell: Cell, model: Model, folder: Path) -> dict[str, Any]:
    """Classify one sequence, then all; write `predictions.tsv` or `predictions.jsonl`.

    Returns:
        The record: cell, usage of each step, how many reads a CPU second, and how it was done.
    """
    tool = TOOLS[cell.tool]
    subset = QUICK_REFERENCES if bench.quick else None
    queries = inputs(bench.data, cell.split, cell.region, cell.queries, subset).queries
    with queries.open() as file:
        first, *others = parse_fasta(file)
    write_fasta(folder / "one.fasta", [first])
    raw = folder / "raw"
    log = folder / "classify.log"
    starts = [measure(tool.classify(model, folder / "one.fasta", raw), log, 1) for _ in range(STARTS)]
    start_up = min(starts, key=lambda usage: abs(usage.cpu_s - median(s.cpu_s for s in starts)))
    command = tool.classify(model, queries, raw)
    load = os.getloadavg()[0]
    usage = measure(command, log, 1)
    times = repeats(start_up, usage)
    timed = usage
    if times > 1:
        again = ((f"{id}-{n}", sequence) for n in range(times) for id, sequence in [first, *others])
        write_fasta(folder / "repeated.fasta", again)
        timed = measure(tool.classify(model, folder / "repeated.fasta", folder / "repeated"), folder / "timed.log", 1)
        for name in ("repeated.fasta", "repeated"):
            (folder / name).unlink()
    if tool.answers:
        write_lines(folder / "predictions.tsv", map(_row, tool.answers(model, raw)))
        raw.unlink()
    else:
        raw.rename(folder / "predictions.jsonl")
    model_record = json.loads((model.folder / "record.json").read_text())
    return {
        "cell": asdict(cell),
        "reads": len(others) + 1,
        "training": model_record["training"],
        "start_up": asdict(start_up),
        "classification": asdict(usage),
        "timed": asdict(timed) | {"reads": (len(others) + 1) * times},
        **reads_per_cpu_second((len(others) + 1) * times - 1, start_up, timed),
        "load": round(load, 2),
        "version": tool.version(),
        "references": str(model.references.relative_to(bench.work)),
        "queries": str(queries.relative_to(bench.work)),
        "model": model.folder.name,
        "commands": {"train": model_record["command"], "classify": command},
    }


def repeats(start_up: Usage, whole: Usage) -> int:
    """How many times over the queries are classified to be timed: ten times as long as start-up takes, 3 s at least.

    Two runs of a second or less that differ by a tenth of one tell little of the difference.
    """
    spent = max(whole.cpu_s - start_up.cpu_s, RESOLUTION_S)
    return min(ceil(max(10 * start_up.cpu_s, 3.0) / spent), MOST_REPEATS)


def reads_per_cpu_second(reads: int, start_up: Usage, whole: Usage) -> dict[str, Any]:
    """The speed with start-up taken off, and whether it is only known to be at least that."""
    spent = whole.cpu_s - start_up.cpu_s
    return {"reads_per_cpu_s": reads / max(spent, RESOLUTION_S), "at_least": spent < RESOLUTION_S}


def _row(answer: Answer) -> str:
    query, lineage, confidence = answer
    return f"{query}\t{lineage}\t{','.join(f'{p:.5g}' for p in confidence)}"


def _name(tool: str, split: str, region: str, seed: int | None) -> str:
    return ".".join([tool, split, region, *([] if seed is None else [f"seed{seed}"])])


def _make(folder: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Fill a folder under a temporary name, write the record into it, and give it its name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{os.getpid()}.{folder.name}")
    temporary.mkdir()
    try:
        record = fill(temporary) | {"finished": time.strftime("%Y-%m-%d %H:%M:%S")}
        (temporary / "record.json").write_text(json.dumps(record, indent=1) + "\n")
        temporary.rename(folder)
    except CommandFailed:
        failed = folder.with_name(f"{folder.name}.failed")
        shutil.rmtree(failed, ignore_errors=True)
        temporary.rename(failed)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def plan(
    tools: Sequence[str], splits: Sequence[str], regions: Sequence[str], seeds: Sequence[int], quick: bool
) -> Iterator[Cell]:
    """Every cell that was asked for, those that share data side by side."""
    for split in splits:
        queries = ("mini" if quick else "sample") if split == "random" else "test"
        for region in regions:
            for tool in tools:
                for seed in seeds if TOOLS[tool].seeded else [None]:
                    yield Cell(tool, split, region, queries, seed)
