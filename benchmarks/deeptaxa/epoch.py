"""What an epoch of training costs: linnet beside DeepTaxa itself, the published network on the same reads.

    python benchmarks/deeptaxa/epoch.py --work DIR --deeptaxa PYTHON --tokenizer FOLDER --taxonomy TABLE \\
        --reads V4=FILE --reads full=FILE

PYTHON and FOLDER as for run.py; TABLE has 'id TAB lineage' of the reads. Each tool trains one epoch with its own
command on few and on twice as many references (four fifths of them; the rest is held out) with one thread; the
difference of the processor times is what so many references cost, without start-up, saving and loading. The results
are in DIR/epoch.json; finished measurements are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from measure import CommandFailed, measure
from reads import fasta, some_reads

from linnet.lineages import read_lineages
from linnet.records import SequenceRecord
from linnet.taxonomy import RANKS, canonical

THREADS = 1
BATCH = "16"
"""A quarter of the published batch: with 64, each padded to 512 tokens, DeepTaxa needs 15 GB on a CPU."""


def main() -> int:
    """0 done, 1 a tool failed."""
    args = _parser().parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    lineages = read_lineages(args.taxonomy).lineages
    found = {}
    for name, path in (pair.split("=", 1) for pair in args.reads):
        records = [r for r in some_reads(Path(path), 8 * args.references) if r.id in lineages][: 2 * args.references]
        for tool, command in _tools(args).items():
            costs = []
            for count in (len(records) // 2, len(records)):
                cell = work / f"{name}.{tool}.{count}"
                try:
                    costs.append(_cost(cell, records[:count], lineages, command))
                except CommandFailed as error:
                    print(f"{tool} failed: {error}", file=sys.stderr)
                    return 1
            seconds = costs[1] - costs[0]
            found[f"{name} {tool}"] = {"references": len(records) // 2, "cpu_s": seconds, "commands": costs}
            print(f"{name:6} {tool:14} {len(records) / 2 / seconds:8.2f} references a CPU second", flush=True)
    (work / "epoch.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR")
    add("--deeptaxa", required=True, metavar="PYTHON", help="the interpreter of an environment with deeptaxa-rrna")
    add("--tokenizer", type=Path, required=True, metavar="FOLDER", help="with DNABERT-2's tokenizer.json")
    add("--taxonomy", type=Path, required=True, metavar="TABLE")
    add("--reads", action="append", required=True, metavar="NAME=FILE")
    add("--references", type=int, default=160, metavar="N", help="few: N, then twice as many (default: 160)")
    return parser


Command = Callable[[Path], list[str]]


def _tools(args: argparse.Namespace) -> dict[str, Command]:
    """The command that trains one epoch in a folder, by tool."""
    tokenizer = str(args.tokenizer.resolve())

    def deeptaxa(folder: Path) -> list[str]:
        command = [args.deeptaxa, "-m", "deeptaxa.cli", "train", "--epochs", "1", "--tokenizer-name", tokenizer]
        files = ["--fasta-file", str(folder / "reads.fasta"), "--taxonomy-file", str(folder / "columns.tsv")]
        return [*command, *files, "--output-dir", str(folder / "out"), "--num-workers", "0", "--batch-size", BATCH]

    def linnet(precision: str) -> Command:
        def command(folder: Path) -> list[str]:
            train = [sys.executable, "-m", "linnet", "train", "rrna", "--encoder", "hybrid", "--epochs", "1"]
            files = ["--sequences", str(folder / "reads.fasta"), "--taxonomy", str(folder / "lineages.tsv")]
            how = ["--hold-out", "0.2", "--no-refit", "--threads", str(THREADS), "--batch", BATCH]
            how += ["--precision", precision, "--tokenizer", tokenizer]
            return [*train, *files, *how, "--out", str(folder / "model")]

        return command

    return {"DeepTaxa": deeptaxa, "linnet fp32": linnet("fp32"), "linnet bf16": linnet("bf16")}


def _cost(
    cell: Path, records: Sequence[SequenceRecord], lineages: dict, command: Command  # type: ignore[type-arg]
) -> float:
    """CPU seconds of one training, measured now unless it was before."""
    kept = cell / "cost.json"
    if kept.exists():
        return float(json.loads(kept.read_text())["cpu_s"])
    cell.mkdir(exist_ok=True)
    (cell / "reads.fasta").write_text(fasta(records))
    rows, columns = [], ["\t".join(("sequence_id", *RANKS))]
    for record in records:
        names = [taxon.name if taxon else "" for taxon in canonical(lineages[record.id])]
        rows.append(f"{record.id}\t" + ";".join(f"{r[0]}__{n}" for r, n in zip(RANKS, names, strict=True)))
        columns.append("\t".join((record.id, *names)))
    (cell / "lineages.tsv").write_text("\n".join(rows) + "\n")
    (cell / "columns.tsv").write_text("\n".join(columns) + "\n")
    usage = measure(command(cell), cell / "log", THREADS, cell)
    kept.write_text(json.dumps({"cpu_s": usage.cpu_s, "wall_s": usage.wall_s, "peak_mb": usage.peak_mb}) + "\n")
    return usage.cpu_s


if __name__ == "__main__":
    sys.exit(main())
