"""Move the confidence cut of predictions without classifying again.

Reads what 'linnet classify' wrote as jsonl (everything) or as tsv or csv (the seven ranks).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from linnet import formats
from linnet.options import add_output, probability


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("predictions", type=Path, metavar="PREDICTIONS", help="a jsonl, tsv or csv file of linnet's")
    add("--confidence", type=probability, required=True, metavar="P", help="keep names at least this probable, 0 to 1")
    add_output(parser)


def run(args: argparse.Namespace) -> None:
    from linnet.outputs import write_predictions

    predictions = (p.recut(args.confidence) for p in formats.iterate(args.predictions, only=("jsonl", "tsv", "csv")))
    write_predictions(predictions, args.out, args.format)
