"""16S reads on Greengenes: linnet beside the tools that users would reach for today.

    python benchmarks/rrna/run.py --work /tmp/rrna                every tool, split and region: many hours
    python benchmarks/rrna/run.py --work /tmp/rrna --quick        V4, few references and queries: under 10 minutes
    python benchmarks/rrna/run.py --work /tmp/rrna --tools vsearch,kraken2 --regions V4 --splits random

Every tool is given the same references and the same queries, runs in a process of its own with one thread, and
is scored by the same code. Finished cells are kept under --work, so that the same command goes on where it was
stopped; results.json, results.md and accuracy_speed.svg there cover all that is finished. Exit 1: a tool failed.

Needs cutadapt and scikit-learn (pip install 'linnet[benchmark,train]') and, from Debian, time, vsearch, kraken2,
mothur and rdp-classifier; a tool whose program is missing is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from cells import Bench, Cell, finished, plan, run
from measure import CommandFailed
from peers import TOOLS
from prepare import REGIONS, SPLITS, prepare
from score import score
from speed_figure import speed_figure
from tables import FIGURE, render, summary

import linnet
from main import exit_status, numbers, of, write

NETWORKS = ("linnet-hybrid", "linnet-hybrid-tree", "linnet-cnn", "linnet-bert", "linnet-onehot", "taxonova")
"""An hour of training each, or more: only where asked for."""

QUICK_TOOLS = ("linnet", "linnet-nearest", "naive-bayes", "vsearch", "kraken2")


def main() -> int:
    """0 done, 1 a tool failed or data is wrong, 2 asked wrongly, 130 interrupted."""
    return exit_status(partial(_run, _parser().parse_args()), _say)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="data, models, predictions and results")
    add("--archive", type=Path, metavar="FILE", help="qiime-default-reference-0.1.3.tar.gz (default: downloaded)")
    add("--quick", action="store_true", help="a small run, kept apart under DIR/quick")
    add("--tools", type=of(list(TOOLS)), metavar="LIST",
        help=f"of {', '.join(TOOLS)} (default: all but {', '.join(NETWORKS)})")  # fmt: skip
    add("--regions", type=of(REGIONS), metavar="LIST", help=f"of {', '.join(REGIONS)} (default: all)")
    add("--splits", type=of(SPLITS), metavar="LIST", help=f"of {', '.join(SPLITS)} (default: all)")
    add("--seeds", type=numbers, default=[42], metavar="LIST", help="of linnet's training (default: 42)")
    return parser


def _run(args: argparse.Namespace) -> int:
    bench = Bench(args.work.resolve(), args.quick)
    tools = args.tools or (QUICK_TOOLS if args.quick else tuple(name for name in TOOLS if name not in NETWORKS))
    regions = args.regions or (("V4",) if args.quick else REGIONS)
    splits = args.splits or (("random",) if args.quick else SPLITS)
    _say(f"preparing {bench.data}")
    prepare(bench.data, args.archive)
    skipped = _missing(tools)
    present = [tool for tool in tools if tool not in skipped]
    cells = list(plan(present, splits, regions, args.seeds, args.quick))
    failed = _run_all(bench, cells)
    return _report(bench, list(skipped.values()), failed)


def _missing(tools: Sequence[str]) -> dict[str, str]:
    """Tool -> the sentence that says why it is left out."""
    found = {tool: reason for tool in tools if (reason := TOOLS[tool].missing())}
    sentences = {tool: f"{tool} was left out: {reason}." for tool, reason in found.items()}
    for sentence in sentences.values():
        _say(sentence)
    return sentences


def _run_all(bench: Bench, cells: Sequence[Cell]) -> list[str]:
    """Run what is not finished; returns a sentence for each cell that failed."""
    failed = []
    for number, cell in enumerate(cells, 1):
        name = f"{cell.label}, {cell.split}, {cell.region}"
        line = f"[{number}/{len(cells)}] {name}"
        try:
            record = run(bench, cell, partial(_step, line)).record
        except CommandFailed as error:
            _say(f"{line}: failed, {error}")
            failed.append(f"{name} failed; its log is in a folder ending in `.failed`.")
            continue
        speed = f"{'over ' if record['at_least'] else ''}{record['reads_per_cpu_s']:,.0f} reads per CPU s"
        _say(f"{line}: {record['reads']:,} reads, {record['classification']['cpu_s']:.1f} CPU s, {speed}")
    return failed


def _report(bench: Bench, skipped: list[str], failed: list[str]) -> int:
    """Score all finished cells, write results, tables and the picture, print the summary."""
    done = finished(bench)
    if not done:
        _say("nothing is finished, so there is nothing to report")
        return 1
    _say(f"scoring {len(done)} cells")
    results = {
        "linnet": linnet.__version__,
        "quick": bench.quick,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "data": json.loads((bench.data / "stats.json").read_text()),
        "skipped": skipped,
        "failed": failed,
        **score(bench, done),
    }
    write(bench.results / "results.json", json.dumps(results, indent=1) + "\n")
    write(bench.results / "results.md", render(results))
    figure = speed_figure(results["cells"])
    if figure:
        write(bench.results / FIGURE, figure)
    print(summary(results))
    print(f"\n{bench.results / 'results.md'}")
    return 1 if failed else 0


def _step(line: str, text: str) -> None:
    _say(f"{line}: {text}")


def _say(text: str) -> None:
    print(f"rrna: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
