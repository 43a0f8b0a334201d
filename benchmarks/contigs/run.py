"""Labels of contigs put right: linnet beside Taxometer, on simulated communities whose truth is known.

    python benchmarks/contigs/run.py --work DIR                 every set, source of labels and tool: many hours
    python benchmarks/contigs/run.py --work DIR --quick         one small set: under 10 minutes
    python benchmarks/contigs/run.py --work DIR --sets seed1,seed2 --tools linnet
    python benchmarks/contigs/run.py --work DIR --scale         100,000 contigs and 30,000 taxa besides

Each set is a community of real genomes and a reference database that lacks some of its species, genera and families.
MMseqs2 labels the contigs; Kraken2 and Centrifuge label them too; Taxometer and linnet get the same labels, contigs
and depths, one thread each. Finished cells are kept under --work, so that the same command goes on where it was
stopped; results.json and results.md there cover what is finished. Exit 1: a tool failed.

Needs the folder with the simulator and the genomes in LINNET_DATA, pyrodigal, and from Debian time, mmseqs2, kraken2
and centrifuge; Taxometer gets an environment of its own under --work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
import annotators
import scale
import taxometer
import toy
from cells import LINNET, SAMPLES, SOURCES, TOOLS, Cell, plan, run
from costs import CommandFailed
from score import score
from sets import finished, make, named
from tables import main_tables, render

import linnet
from linnet.errors import UsageError
from main import exit_status, numbers, of, words, write

SETS = (*(f"seed{n}" for n in range(1, 6)), *(f"short{n}" for n in range(1, 4)))
THREADS = 2
"""Of what makes the sets; the tools have one."""


def main() -> int:
    """0 done, 1 a tool failed or data is wrong, 2 asked wrongly, 130 interrupted."""
    return exit_status(partial(_run, _parser().parse_args()), _say)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="sets, measurements and results")
    add("--quick", action="store_true", help="a small run, kept apart under DIR/quick")
    add("--sets", type=words, metavar="LIST", help=f"seedN, shortN (default: {','.join(SETS)})")
    add("--sources", type=of(SOURCES), metavar="LIST", help=f"of labels: {', '.join(SOURCES)} (default: all)")
    add("--samples", type=numbers, metavar="LIST", help=f"(default: {','.join(map(str, SAMPLES))})")
    add("--tools", type=of(list(TOOLS)), metavar="LIST", help=f"of {', '.join(TOOLS)} (default: all)")
    add("--scale", action="store_true", help="also time linnet on 100,000 contigs")
    return parser


def _run(args: argparse.Namespace) -> int:
    work: Path = args.work.resolve()
    results = work / "quick" if args.quick else work
    tools = list(dict.fromkeys(["labels", *(args.tools or TOOLS)]))
    sets = [named(name, results) for name in args.sets or (("quick1",) if args.quick else SETS)]
    sources = args.sources or (SOURCES[:2] if args.quick else SOURCES)
    samples = args.samples or (SAMPLES[:1] if args.quick else SAMPLES)
    if not set(samples) <= set(SAMPLES):
        raise UsageError(f"{max(samples)} samples", expected=f"of {', '.join(map(str, SAMPLES))}")
    for contigs in sets:
        make(contigs, results / "genes", THREADS, _say)
    missing = {source: annotators.missing(source) for source in sources}
    skipped = [why for why in missing.values() if why]
    sources = [source for source, why in missing.items() if not why]
    failed = _run_all(list(plan(sets, sources, samples)), tools, work)
    for tool in tools:
        if tool in LINNET:
            _attempt(f"{tool} on the toy set", failed, partial(toy.put_right, results, tool))
    if args.scale:
        _attempt("linnet on the large set", failed, partial(scale.put_right, results))
    return _report(results, {"quick": args.quick, "skipped": skipped, "failed": failed})


def _report(work: Path, about: Mapping[str, Any]) -> int:
    """Score all that is finished, write both files, print the main tables."""
    found = score(plan(finished(work), SOURCES, SAMPLES), work, _say)
    if not found["rows"]:
        _say("nothing is finished, so there is nothing to report")
        return 1
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    results = {
        **about,
        "linnet": linnet.__version__,
        "machine": machine,
        **found,
        "toy": toy.toy(work, LINNET),
        "scale": scale.scale(work),
    }
    write(work / "results.json", json.dumps(results, indent=1) + "\n")
    write(work / "results.md", render(results))
    print(main_tables(found["rows"]))
    print(f"\n{work / 'results.md'}")
    return 1 if about["failed"] else 0


def _run_all(cells: Sequence[Cell], tools: Sequence[str], work: Path) -> list[str]:
    """Run what is not finished; returns a sentence for each run that failed."""
    runs = list(dict.fromkeys(TOOLS[tool].run for tool in tools if TOOLS[tool].run))
    failed: list[str] = []
    for number, cell in enumerate(cells, 1):
        if cell.source in annotators.ANNOTATORS:
            step = partial(annotators.label, cell.contigs, cell.source, _say)
            _attempt(f"{cell.source} on {cell.contigs.name}", failed, step)
        for name in runs:
            if cell.labels.exists() and not cell.finished(name):
                _say(f"[{number}/{len(cells)}] {cell.name}: {name}")
                vamb = partial(taxometer.environment, work / "vamb", _say)
                _attempt(f"{name} on {cell.name}", failed, partial(run, cell, name, vamb))
    return failed


def _attempt(what: str, failed: list[str], step: Callable[[], Any]) -> Any:
    """Do a step; if its tool fails, say so and go on."""
    try:
        return step()
    except CommandFailed as error:
        _say(f"{what}: failed, {error}")
        failed.append(f"{what} failed; see its log.")
        return None


def _say(text: str) -> None:
    print(f"contigs: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
