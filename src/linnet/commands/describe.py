"""Say what a model is: its tree, its training, its sources, what was measured."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        help="a trained model (default: the one that comes with linnet)",
    )


def run(args: argparse.Namespace) -> None:
    from linnet.checkpoint import load
    from linnet.predictor import SHIPPED
    from linnet.taxonomy import RANKS

    checkpoint = load(args.model or SHIPPED)
    tree = checkpoint.taxonomy
    print(f"taxonomy: {len(tree) - 1:,} taxa, digest {tree.digest[:16]}")
    for level, rank in enumerate(RANKS):
        print(f"  {rank:8} {int((tree.canonical_level == level).sum()):,}")
    for title, value in (
        ("model", checkpoint.model),
        ("calibration", vars(checkpoint.calibration)),
        ("origin", checkpoint.origin),
    ):
        print(f"{title}: {json.dumps(value, indent=2, ensure_ascii=False)}")
