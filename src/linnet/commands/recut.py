"""Move the confidence cut of predictions without classifying again.

Reads what 'linnet classify' wrote as jsonl (everything) or as tsv or csv (the seven ranks).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from linnet import formats
from linnet.errors import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", help="a jsonl, tsv or csv file of linnet's")
    parser.add_argument("--confidence", type=float, required=True, metavar="P", help="keep names that are at least this probable, 0 to 1")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here")
    parser.add_argument("--format", choices=[*formats.writable()], metavar="FORMAT", help=f"one of {', '.join(formats.writable())} (default: told by --out)")


def run(args: argparse.Namespace) -> None:
    from linnet.outputs import open_output

    if not 0 <= args.confidence <= 1:
        raise UsageError(f"--confidence {args.confidence:g}", expected="a probability from 0 to 1")
    predictions = (p.recut(args.confidence) for p in formats.iterate(args.predictions))
    with open_output(args.out) as file:
        formats.load(args.format or formats.for_path(args.out)).write(predictions, file)
