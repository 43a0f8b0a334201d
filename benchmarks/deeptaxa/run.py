"""A full-size DeepTaxa network: linnet beside DeepTaxa itself, on the same weights, reads and cores.

    python benchmarks/deeptaxa/run.py --work DIR --deeptaxa PYTHON --tokenizer FOLDER \\
        --reads V4=FILE --reads full=FILE                 an hour or two on two cores
    python benchmarks/deeptaxa/run.py ... --quick         few reads, under 10 minutes

PYTHON is the interpreter of an environment of its own that has deeptaxa-rrna 1.3.0. FOLDER has DNABERT-2's
tokenizer.json and tokenizer_config.json. The files are FASTA or FASTQ; benchmarks/rrna/run.py leaves amplicons and
genes of Greengenes in its data/random/V4/sample.fasta and data/random/full/sample.fasta.

DeepTaxa runs with the batch size that a trial finds fastest. linnet runs with DeepTaxa's decoding in single precision
and in bfloat16, whose answers are compared with DeepTaxa's, and once more as it runs by itself. Finished measurements
are kept under DIR, so that the same command goes on where it was stopped; results.json and results.md there cover all
that is finished. Run it on a machine that does nothing else. Exit 1: a tool failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from cells import Bench, Block, block, converted, run, tried_batches
from measure import CommandFailed, cores
from results import agreement, render, speed_table, speeds
from tools import DEEPTAXA, TOOLS

import linnet
from linnet.errors import UsageError, UserError
from main import exit_status, numbers, of, words, write

ASK_VERSIONS = """\
import importlib.metadata as found
print(*(f"{name} {found.version(name)}" for name in ("deeptaxa-rrna", "torch", "transformers")), sep=", ")
"""


def main() -> int:
    """0 done, 1 a tool failed or data is wrong, 2 asked wrongly, 130 interrupted."""
    return exit_status(partial(_run, _parser().parse_args()), _say)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="data, measurements and results")
    add("--deeptaxa", required=True, metavar="PYTHON", help="the interpreter of an environment with deeptaxa-rrna")
    add("--tokenizer", type=Path, metavar="FOLDER", help="with DNABERT-2's tokenizer.json; until DIR/data is there")
    add("--reads", action="append", default=[], metavar="NAME=FILE", help="a set of reads; until DIR/data is there")
    add("--quick", action="store_true", help="a small run, kept apart under DIR/quick")
    add("--threads", type=numbers, metavar="LIST", help="(default: 1,2; quick: 2)")
    add("--repeats", type=int, metavar="N", help="(default: 3; quick: 2)")
    add("--sets", type=words, metavar="LIST", help="of the names of the sets (default: all)")
    add("--tools", type=of([*TOOLS]), default=[*TOOLS], metavar="LIST", help=f"of {', '.join(TOOLS)} (default: all)")
    return parser


def _run(args: argparse.Namespace) -> int:
    bench = Bench(args.work.resolve(), args.quick, _interpreter(args.deeptaxa))
    versions = _versions(bench.deeptaxa)
    _prepare(bench, args)
    data: dict[str, Any] = json.loads((bench.data / "data.json").read_text())
    repeats = args.repeats or (2 if args.quick else 3)
    threads = args.threads or ([2] if args.quick else [1, 2])
    blocks = _blocks(data["reads"], args.sets, threads, args.quick)
    failed, conversion = _convert(bench, args.tools)
    tools = [tool for tool in args.tools if not (failed and tool != DEEPTAXA)]
    for each in blocks:
        failed += run(bench, each, tools, repeats, _say)
    about = {"versions": versions, "machine": _machine(), "data": data, "quick": args.quick, **conversion}
    return _report(bench, blocks, args.tools, repeats, about | {"failed": failed})


def _prepare(bench: Bench, args: argparse.Namespace) -> None:
    """Make the inputs, unless they are there, in a process of its own: torch stays out of this one."""
    if bench.data.exists():
        return
    if not (args.tokenizer and args.reads):
        raise UsageError(f"no {bench.data}", expected="--tokenizer and --reads, to make it")
    _say(f"preparing {bench.data}")
    named = [word for reads in args.reads for word in ("--reads", reads)]
    command = [sys.executable, str(Path(__file__).with_name("prepare.py")), "--work", str(bench.work)]
    done = subprocess.run([*command, "--tokenizer", str(args.tokenizer), *named])
    if done.returncode:
        raise UserError("the inputs could not be made", remedy="See above.")


def _blocks(sets: Mapping[str, Any], wanted: Sequence[str] | None, threads: Sequence[int], quick: bool) -> list[Block]:
    """What is asked for and can be run here."""
    unknown = [name for name in wanted or [] if name not in sets]
    if unknown:
        raise UsageError(f"no set of reads '{unknown[0]}'", expected=f"of {', '.join(sets)}")
    for count in threads:
        if len(cores(count)) < count:
            raise UsageError(f"{count} threads", expected=f"at most {len(cores(count))}, as there are cores")
    return [block(name, sets[name], count, quick) for name in wanted or sets for count in threads]


def _convert(bench: Bench, tools: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """What failed, as a sentence, and what converting took."""
    if set(tools) == {DEEPTAXA}:
        return [], {}
    try:
        return [], {"conversion": converted(bench, _say)}
    except CommandFailed as error:
        _say(f"converting failed, {error}")
        return ["linnet could not convert the checkpoint; see convert.log."], {}


def _report(bench: Bench, blocks: Sequence[Block], tools: Sequence[str], repeats: int, about: Mapping[str, Any]) -> int:
    """Write both files and print the table of speeds."""
    rows = [row for each in blocks for row in speeds(bench, each, tools, repeats)]
    if not rows:
        _say("nothing is finished, so there is nothing to report")
        return 1
    results = {
        **about,
        "speeds": rows,
        "agreement": [row for each in blocks for row in agreement(bench, each, tools)],
        "batches": {each.name: found for each in blocks if (found := tried_batches(bench, each))},
    }
    write(bench.results / "results.json", json.dumps(results, indent=1) + "\n")
    write(bench.results / "results.md", render(results))
    print(speed_table(rows))
    print(f"\n{bench.results / 'results.md'}")
    return 1 if about["failed"] else 0


def _interpreter(name: str) -> str:
    """A path that holds in any folder. Links are kept: an interpreter's environment is where its link lies."""
    return str(Path(name).absolute()) if os.sep in name else name


def _versions(deeptaxa: str) -> str:
    """linnet's, and those of DeepTaxa and what it stands on."""
    try:
        done = subprocess.run([deeptaxa, "-c", ASK_VERSIONS], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"'{deeptaxa}' is not the interpreter of an environment with deeptaxa-rrna",
            remedy="Make one: python -m venv peer && peer/bin/pip install deeptaxa-rrna==1.3.0",
        ) from error
    return f"linnet {linnet.__version__}; {done.stdout.strip()}"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(f"deeptaxa: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
