"""One cell of the benchmark: a tool, a set of reads, how many of them, a number of threads, a repetition.

A finished measurement is a file under `cells/`; what is there is not measured again. Delete a file to have it made
again.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from measure import CommandFailed, Usage, measure
from reads import fasta, some_reads, spread
from tools import DEEPTAXA, TOOLS, Answers, Job, convert, this_linnet

from main import write

TRIED_BATCHES = (1, 8, 32, 64)
TRIED_READS = 64
"""How many reads each batch size is tried on."""

QUICK_BATCH = 32
QUICK_SIZES = (8, 40, 128)
"""How few, many and most reads; of the last, fewer where there are fewer."""


@dataclass(frozen=True)
class Bench:
    """Where things are, and who runs DeepTaxa.

    Attributes:
        data: what prepare.py made.
        results: measurements and answers; those of a quick run are kept apart.
        deeptaxa: the interpreter of DeepTaxa's environment.
    """

    work: Path
    quick: bool
    deeptaxa: str

    @property
    def data(self) -> Path:
        return self.work / "data"

    @property
    def model(self) -> Path:
        return self.work / "model"

    @property
    def results(self) -> Path:
        return self.work / "quick" if self.quick else self.work


@dataclass(frozen=True)
class Block:
    """What is compared side by side.

    Attributes:
        reads: the name of a set.
        few: reads, to tell start-up and rate apart.
        many: reads, that both tools answer.
        most: reads, that linnet has to be given for a run that is longer than its start-up.
    """

    reads: str
    few: int
    many: int
    most: int
    threads: int

    @property
    def name(self) -> str:
        return f"{self.reads}.t{self.threads}"

    def sizes(self, tool: str) -> tuple[int, ...]:
        """How many reads the tool is timed on, the fewest first."""
        return (self.few, self.many) if tool == DEEPTAXA else (self.few, self.many, self.most)


def block(reads: str, about: dict[str, Any], threads: int, quick: bool) -> Block:
    """A set of reads, as many of them as DeepTaxa, at a few reads a second, can be asked for."""
    labelled, kept = about["labelled"], about["reads"]
    if quick:
        few, many, most = QUICK_SIZES
        return Block(reads, min(few, labelled // 4), min(many, labelled), min(most, kept // 4), threads)
    return Block(reads, labelled // 4, labelled, kept, threads)


def run(bench: Bench, block: Block, tools: Sequence[str], repeats: int, say: Callable[[str], None]) -> list[str]:
    """Measure what is missing of a block; the tools take turns.

    Returns:
        A sentence for each tool that failed; it is left out from there on.
    """
    failed: dict[str, str] = {}

    def attempt(tool: str, step: Callable[[], Any]) -> None:
        try:
            step()
        except CommandFailed as error:
            say(f"{block.name}: {tool} failed, {error}")
            failed[tool] = f"{TOOLS[tool].title} failed on {block.reads}, {block.threads} threads."

    missing = [tool for tool in tools if _missing(bench, block, tool, repeats)]
    if not missing:
        return []
    if DEEPTAXA in missing:
        attempt(DEEPTAXA, partial(batch, bench, block, say))
    for tool in missing:
        if tool not in failed:
            say(f"{block.name}: warming up {tool}")
            attempt(tool, partial(_once, bench, block, tool, block.few, bench.results / "warm-up"))
    for repetition in range(repeats):
        turn = repetition % len(tools)
        for tool in [*tools[turn:], *tools[:turn]]:
            for size in block.sizes(tool):
                if tool not in failed and not _cell(bench, block, tool, size, repetition).exists():
                    say(f"{block.name}: {tool}, {size} reads, {repetition + 1} of {repeats}")
                    attempt(tool, partial(_measured, bench, block, tool, size, repetition))
    return list(failed.values())


def batch(bench: Bench, block: Block, say: Callable[[str], None]) -> int:
    """DeepTaxa's fastest batch size, tried now unless it was before; a quick run does not try."""
    if bench.quick:
        return QUICK_BATCH
    path = _batch_path(bench, block)
    if not path.exists():
        count = min(TRIED_READS, block.many)
        _once(bench, block, DEEPTAXA, 1, bench.results / "warm-up", batch_size=1)
        tried = {}
        for size in TRIED_BATCHES:
            say(f"{block.name}: DeepTaxa with batches of {size}")
            usage = _once(bench, block, DEEPTAXA, count, _batch_folder(bench, block, size), batch_size=size)
            tried[size] = asdict(usage)
        best = min(tried, key=lambda size: tried[size]["wall_s"])
        write(path, json.dumps({"best": best, "reads": count, "tried": tried}, indent=1) + "\n")
    return int(json.loads(path.read_text())["best"])


def tried_batches(bench: Bench, block: Block) -> dict[str, Any] | None:
    """What each batch size took, and the best, if they were tried."""
    path = _batch_path(bench, block)
    return json.loads(path.read_text()) if path.exists() else None


def converted(bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    """What it took to convert the checkpoint, which is done now unless it was before."""
    path = bench.work / "convert.json"
    if not (path.exists() and bench.model.exists()):
        say("converting the checkpoint")
        shutil.rmtree(bench.model, ignore_errors=True)
        log = bench.work / "convert.log"
        usage = measure(convert(bench.data, bench.model), log, 1, bench.work, this_linnet())
        write(path, json.dumps(asdict(usage)) + "\n")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def usages(bench: Bench, block: Block, tool: str, repeats: int) -> list[dict[int, Usage]]:
    """Number of reads -> cost, of each repetition that is finished."""
    found = []
    for repetition in range(repeats):
        paths = {size: _cell(bench, block, tool, size, repetition) for size in block.sizes(tool)}
        if all(path.exists() for path in paths.values()):
            found.append({size: Usage(**json.loads(path.read_text())) for size, path in paths.items()})
    return found


def answers(bench: Bench, block: Block, tool: str) -> Answers | None:
    """To the many reads, from the first repetition."""
    finished = _cell(bench, block, tool, block.many, 0).exists()
    return TOOLS[tool].answers(_answers_folder(bench, block, tool)) if finished else None


def batch_answers(bench: Bench, block: Block) -> list[Answers]:
    """DeepTaxa's to the same reads with each batch size that was tried."""
    tried = (tried_batches(bench, block) or {}).get("tried", {})
    return [TOOLS[DEEPTAXA].answers(_batch_folder(bench, block, size)) for size in tried]


def _measured(bench: Bench, block: Block, tool: str, size: int, repetition: int) -> None:
    keep = repetition == 0 and size == block.many
    out = _answers_folder(bench, block, tool) if keep else bench.results / "unkept"
    usage = _once(bench, block, tool, size, out)
    write(_cell(bench, block, tool, size, repetition), json.dumps(asdict(usage)) + "\n")


def _once(bench: Bench, block: Block, tool: str, size: int, out: Path, batch_size: int | None = None) -> Usage:
    """Classify some reads; the answers take the place of what was in `out`."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if batch_size is None and tool == DEEPTAXA:
        batch_size = batch(bench, block, lambda _: None)
    reads = _reads(bench, block.reads, size)
    job = Job(bench.data, bench.model, bench.deeptaxa, reads, out, block.threads, batch_size or 0)
    command = TOOLS[tool].command(job)
    return measure(command, bench.results / f"{tool}.log", block.threads, bench.data, TOOLS[tool].environment)


def _reads(bench: Bench, name: str, size: int) -> Path:
    """Some reads of a set; of those that were given a lineage, where these are enough."""
    path = bench.work / "reads" / f"{name}-{size}.fasta"
    if not path.exists():
        about = json.loads((bench.data / "data.json").read_text())["reads"][name]
        kept = some_reads(bench.data / f"{name}.fasta", about["reads"])
        labelled = spread(kept, about["labelled"])
        write(path, fasta(spread(labelled if size <= len(labelled) else kept, size)))
    return path


def _missing(bench: Bench, block: Block, tool: str, repeats: int) -> bool:
    return len(usages(bench, block, tool, repeats)) < repeats


def _cell(bench: Bench, block: Block, tool: str, size: int, repetition: int) -> Path:
    return bench.results / "cells" / f"{block.name}.{tool}.{size}.{repetition}.json"


def _answers_folder(bench: Bench, block: Block, tool: str) -> Path:
    return bench.results / "answers" / f"{block.name}.{tool}"


def _batch_folder(bench: Bench, block: Block, size: int | str) -> Path:
    return bench.results / "batches" / f"{block.name}.b{size}"


def _batch_path(bench: Bench, block: Block) -> Path:
    return bench.results / "batches" / f"{block.name}.json"
