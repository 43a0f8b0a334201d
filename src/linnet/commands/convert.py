"""Turn another system's published model into a linnet model, without running anything in its files.

  linnet convert deeptaxa deeptaxa-v4-v2.pt --taxonomy greengenes2.tsv --out v4
  linnet convert deeptaxa hf://systems-genomics-lab/deeptaxa/deeptaxa-v4-v2.pt --taxonomy greengenes2.tsv --out v4

FILES are released checkpoints, on this machine or on the Hugging Face hub; several make an ensemble. A file that
a SHA256SUMS beside it lists is checked first. TABLE holds the lineages that the model was trained with: a column of
bare names for each rank, or QIIME 2's 'Feature ID' and 'Taxon'; the released files do not hold which label lies
within which. The tokenizer that a file names is looked for beside it, then fetched from the hub at a fixed revision.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.errors import UsageError, UserError, missing_extra

if TYPE_CHECKING:
    from linnet.checkpoint import Checkpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("system", choices=["deeptaxa"], help="whose files they are")
    add("files", nargs="+", metavar="FILES", help="released checkpoints, or hf://OWNER/REPOSITORY/FILE[@REVISION]")
    add("--taxonomy", required=True, type=Path, metavar="TABLE", help="the lineages that the model was trained with")
    add("--tokenizer", metavar="FILE", help="tokenizer.json, a folder with one, or hf://OWNER/REPOSITORY@REVISION")
    add("--region", choices=["any", "full", "V4", "V3-V4"],
        help="what it was trained on, to notice reads of another region (default: by the file's name)")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FOLDER", help="the model; of several files, a folder of models")


def run(args: argparse.Namespace) -> None:
    from linnet.checkpoint import check_free, save

    names = [Path(file.partition("@")[0]).stem for file in args.files]
    if len(set(names)) < len(names):
        raise UsageError("one file is named twice", expected="the members of an ensemble once each")
    folders = [args.out] if len(names) == 1 else [args.out / name for name in names]
    if len(names) > 1 and args.out.exists() and not args.out.is_dir():
        raise UserError("is a file", where=str(args.out), remedy="Choose another --out.")
    for folder in folders:
        check_free(folder)
    for file, folder in zip(args.files, folders, strict=True):
        checkpoint = _converted(file, args)
        save(checkpoint, folder)
        parameters = checkpoint.model["parameters"]
        print(f"linnet: wrote {folder}: {parameters:,} parameters, {len(checkpoint.taxonomy) - 1:,} taxa",
              file=sys.stderr)  # fmt: skip


def _converted(file: str, args: argparse.Namespace) -> Checkpoint:
    import numpy as np

    from linnet import checkpoint as checkpoints
    from linnet.predictor import SHIPPED

    try:
        from linnet.released import deeptaxa, labels, source
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "train", "converting") from error
    found = source.find(file)
    for note in found.notes:
        _log(note)
    released = deeptaxa.read(found.path)
    table = labels.join(args.taxonomy, released.ranks, released.labels)
    for note in table.notes:
        _log(note)
    tokenizer = None
    if released.config.encoding == "bpe":
        tokenizer = source.tokenizer(
            args.tokenizer, released.tokenizer_name, released.tokenizer_revision, found.path.parent
        )
    return deeptaxa.checkpoint(
        released,
        table.labels,
        tokenizer,
        np.asarray(checkpoints.load(SHIPPED).tensors["encoder.log_odds_V"], np.float32),
        region=args.region or deeptaxa.region(found.path.name),
        origin={"file": file, "sha256": found.sha256},
    )


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr)
