"""Move the confidence cut of predictions without classifying again.

Reads what 'linnet classify' wrote as jsonl (everything) or as tsv or csv (the seven ranks; one with taxids is refused,
since a table does not hold those of all taxa).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from linnet import formats
from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.options import add_output, probability


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("predictions", type=Path, metavar="PREDICTIONS", help="a jsonl, tsv or csv file of linnet's")
    add("--confidence", type=probability, required=True, metavar="P", help="keep names at least this probable, 0 to 1")
    add_output(parser)


def run(args: argparse.Namespace) -> None:
    from linnet.outputs import write_predictions

    _check_whole(args.predictions)
    predictions = (p.recut(args.confidence) for p in formats.iterate(args.predictions, only=("jsonl", "tsv", "csv")))
    write_predictions(predictions, args.out, args.format)


def _check_whole(path: Path) -> None:
    """Refuse a table of lineages with taxids: a recut one would have lost them, and every taxon of another rank."""
    if str(path) == "-":
        return
    with open_text(path, "a table of predictions") as file:
        head = next(file, "")
        delimiter = "\t" if "\t" in head else ","
        columns = head.rstrip("\r\n").split(delimiter)
        if head.startswith("{") or "taxid" not in columns:
            return
        at = columns.index("taxid")
        for row in csv.reader(file, delimiter=delimiter):
            if len(row) > at and row[at]:
                raise UserError(
                    "has taxids, which a table holds for the deepest taxon alone", where=str(path),
                    expected="jsonl, which holds every taxon", remedy="Classify with --out x.jsonl and recut that.",
                )  # fmt: skip
