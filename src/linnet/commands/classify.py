"""Name the organism behind each read or gene.

Reads FASTA or FASTQ (plain or compressed; '-' is standard input) and writes one row a record, in order: a
lineage and its confidence, or the reason why there is none. Without --out a table for the screen is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from linnet.errors import UsageError
from linnet.options import add_output, positive, probability
from linnet.prediction import DEFAULT_CONFIDENCE, Prediction
from linnet.records import SequenceRecord


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("sequences", nargs="+", metavar="SEQUENCES", help="FASTA or FASTQ files, or '-'")
    add("--model", type=Path, metavar="FOLDER", help="a trained model (default: the 16S model that comes with linnet)")
    add_output(parser)
    add("--confidence", type=probability, default=DEFAULT_CONFIDENCE, metavar="P",
        help="keep names at least this probable, 0 to 1 (default: %(default)s); 'recut' moves it later")  # fmt: skip
    add("--strand", choices=["auto", "forward", "reverse"], default="auto",
        help="strand of the reads; auto decides for each (default)")  # fmt: skip
    add("--threads", type=positive, default=1, metavar="N", help="threads (default: 1); answers do not depend on it")
    add("--shard", metavar="I/N", help="take every Nth record, beginning with the Ith: one share of a cluster job")


def run(args: argparse.Namespace) -> None:
    from linnet.classify import Summary, classify
    from linnet.outputs import write_predictions
    from linnet.predictor import load

    if args.out and args.out.is_file() and any(Path(p).is_file() and args.out.samefile(p) for p in args.sequences):
        raise UsageError(f"--out {args.out} is also read", remedy="Choose another file for the results.")
    if args.sequences.count("-") > 1:
        raise UsageError("standard input is named twice", expected="'-' once at most")
    records = _records(args.sequences, args.shard)
    predictor = load(args.model)
    summary, started = Summary(), time.monotonic()
    predictions = classify(records, predictor, confidence=args.confidence, strand=args.strand, threads=args.threads)
    write_predictions(_reported(summary.watch(predictions)), args.out, args.format)
    spent = time.monotonic() - started
    for line in summary.lines():
        print(f"linnet: {line}", file=sys.stderr)
    print(f"linnet: {spent:.1f} s, {summary.records / max(spent, 1e-9):,.0f} records/s", file=sys.stderr)


def _records(paths: list[str], shard: str | None) -> Iterator[SequenceRecord]:
    from linnet.classify import shard as take
    from linnet.records import read

    records = (record for path in paths for record in read(path))
    if shard is None:
        return records
    number, _, of = shard.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {shard}", expected="I/N with I from 1 to N, as in 3/8")
    return take(records, int(number), int(of))


def _reported(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """Pass predictions on; every few seconds say how many there were."""
    started = said = time.monotonic()
    for count, prediction in enumerate(predictions, 1):
        yield prediction
        if count % 256 == 0 and (now := time.monotonic()) - said > 5:
            said = now
            print(f"linnet: {count:,} records, {count / (now - started):,.0f} a second", file=sys.stderr)
