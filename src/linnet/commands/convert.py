"""Turn another system's published model into a linnet model, without running anything in its files.

  linnet convert deeptaxa deeptaxa-v4-v2.pt --taxonomy greengenes2.tsv --out v4
  linnet convert deeptaxa hf://systems-genomics-lab/deeptaxa/deeptaxa-v4-v2.pt --taxonomy greengenes2.tsv --out v4
  linnet convert taxoformer DIR --encoder hf://facebook/esm2_t33_650M_UR50D --out taxoformer

deeptaxa: FILES are released checkpoints, on this machine or on the Hugging Face hub; several make an ensemble. A file
that a SHA256SUMS beside it lists is checked first. TABLE holds the lineages that the model was trained with: a column
of bare names for each rank, or QIIME 2's 'Feature ID' and 'Taxon'; the released files do not hold which label lies
within which. The tokenizer that a file names is looked for beside it, then fetched from the hub at a fixed revision.

taxoformer: FILES is the one folder of the release, with config.json, model.safetensors, phylo2_mapping.json and
parent_to_child_mapping.csv. Its ESM-2, which the published release leaves out, is given with --encoder and becomes part
of the model. The release holds names alone: with --taxonomy taxdump.tar.gz they get NCBI's ranks and taxids.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.errors import UsageError, UserError, torch_for

if TYPE_CHECKING:
    from linnet.checkpoint import Checkpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("system", choices=["deeptaxa", "taxoformer"], help="whose files they are")
    add("files", nargs="+", metavar="FILES",
        help="released checkpoints, or hf://OWNER/REPOSITORY/FILE[@REVISION]; of TaxoFormer its folder")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FOLDER", help="the model; of several files, a folder of models")
    add("--taxonomy", type=Path, metavar="TABLE",
        help="deeptaxa: the lineages that the model was trained with, needed; taxoformer: a taxdump, or another tree "
        "that 'linnet code' reads, for ranks and taxids")  # fmt: skip
    deeptaxa = parser.add_argument_group("DeepTaxa")
    add = deeptaxa.add_argument
    add("--tokenizer", metavar="FILE", help="tokenizer.json, a folder with one, or hf://OWNER/REPOSITORY@REVISION")
    add("--region", choices=["any", "full", "V4", "V3-V4"],
        help="what it was trained on, to notice reads of another region (default: by the file's name)")  # fmt: skip
    taxoformer = parser.add_argument_group("TaxoFormer")
    add = taxoformer.add_argument
    add("--encoder", metavar="FOLDER",
        help="ESM-2 of Hugging Face or fair-esm, a folder or a file, or hf://OWNER/REPOSITORY[@REVISION]; needed where "
        "the release leaves it out")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    from linnet.checkpoint import check_free, save

    _check(args)
    names = [Path(file.partition("@")[0]).stem for file in args.files]
    if len(set(names)) < len(names):
        raise UsageError("one file is named twice", expected="the members of an ensemble once each")
    folders = [args.out] if len(names) == 1 else [args.out / name for name in names]
    if len(names) > 1 and args.out.exists() and not args.out.is_dir():
        raise UserError("is a file", where=str(args.out), remedy="Choose another --out.")
    for folder in folders:
        check_free(folder)
    converted = _taxoformer if args.system == "taxoformer" else _deeptaxa
    for file, folder in zip(args.files, folders, strict=True):
        with torch_for("converting"):
            checkpoint = converted(file, args)
        save(checkpoint, folder)
        parameters = checkpoint.model["parameters"]
        print(f"linnet: wrote {folder}: {parameters:,} parameters, {len(checkpoint.taxonomy) - 1:,} taxa",
              file=sys.stderr)  # fmt: skip


def _check(args: argparse.Namespace) -> None:
    """Refuse what one system needs and another has no use for."""
    own = {"deeptaxa": ("tokenizer", "region"), "taxoformer": ("encoder",)}
    for system, flags in own.items():
        for flag in flags:
            if system != args.system and getattr(args, flag) is not None:
                raise UsageError(f"--{flag} for {args.system}", expected=f"it for {system}", remedy="Leave it out.")
    if args.system == "deeptaxa" and args.taxonomy is None:
        raise UsageError("no --taxonomy", expected="--taxonomy TABLE, the lineages that the model was trained with")
    if args.system == "taxoformer" and len(args.files) > 1:
        raise UsageError(f"{len(args.files)} folders", expected="one release of TaxoFormer at a time")


def _taxoformer(folder: str, args: argparse.Namespace) -> Checkpoint:
    from linnet.released import source, taxoformer, taxoformer_esm, taxoformer_model
    from linnet.taxonomies import read_taxonomy

    encoder = source.encoder(args.encoder) if args.encoder else None
    released = taxoformer.read(Path(folder), encoder)
    files = [source.find(str(Path(folder) / name)) for name in taxoformer.FILES]
    origin: dict[str, object] = {"folder": folder, "sha256": {file.path.name: file.sha256 for file in files}}
    if encoder is not None and released.encoder is not None and Path(released.encoder.source) != files[1].path:
        weights = [source.find(str(file)) for file in taxoformer_esm.weight_files(encoder)]
        origin["encoder"] = {"from": args.encoder, "sha256": {file.path.name: file.sha256 for file in weights}}
    tree = taxoformer_model.tree(released.mapping)
    if args.taxonomy:
        taxonomy, count = taxoformer_model.ranked(tree.taxonomy, read_taxonomy(args.taxonomy))
        tree = replace(tree, taxonomy=taxonomy)
        _log(f"{count:,} of {len(taxonomy) - 1:,} taxa have got a rank and a taxid of {args.taxonomy}")
    for line in (*released.notes, *taxoformer.collisions(released.mapping).lines(), *tree.lines()):
        _log(line)
    return taxoformer_model.checkpoint(released, tree, origin)


def _deeptaxa(file: str, args: argparse.Namespace) -> Checkpoint:
    import numpy as np

    from linnet import checkpoint as checkpoints
    from linnet.predictor import SHIPPED
    from linnet.released import deeptaxa, labels, source

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
