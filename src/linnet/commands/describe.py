"""Say what a model is: its parts, tree, training, figures, sources, licences, digests.

Of an ensemble: what its models share, and a row for each; --out has all of each. Reads model folders, ensemble folders,
and DeepTaxa's released '.pt' files. Nothing in them is executed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", nargs="?", type=Path, metavar="MODEL", help="the model; rrna (default) and proteins come with linnet")
    add("--out", type=Path, metavar="FILE", help="write everything as JSON instead")


def run(args: argparse.Namespace) -> None:
    from linnet.describe import describe, lines
    from linnet.outputs import open_output
    from linnet.predictor import SHIPPED

    found = describe(args.model or SHIPPED)
    if args.out:
        with open_output(args.out) as file:
            json.dump(found, file, indent=1, ensure_ascii=False)
            file.write("\n")
    else:
        print("\n".join(lines(found)))
