"""Train a model on your own references.

  linnet train rrna --sequences genes.fasta --taxonomy taxonomy.tsv --out model

SEQUENCES are reference genes, whole ones where you have them: windows and in-silico amplicons are cut while
training. TAXONOMY is 'id TAB lineage' (QIIME 2, Greengenes, GTDB, SILVA, mothur), a table with a column for
each rank, or is left out where the FASTA headers hold the lineages (SINTAX, DADA2, SILVA). A lineage that
ends early counts as unknown from there on. A tenth of the references and a few whole clades are held out to
calibrate and measure; the model is then fitted once more on everything.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from linnet.errors import UserError, missing_extra
from linnet.inputs import read_groups
from linnet.lineages import id_of_reference, read_lineages
from linnet.ncbi import read_taxdump
from linnet.options import add_flags, build, positive
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.records import read
from linnet.taxonomy import Lineage

if TYPE_CHECKING:
    from linnet.train import HeldOut


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", choices=["rrna"], help="what the sequences are")
    parser.add_argument("--sequences", required=True, type=Path, metavar="FASTA", help="reference genes")
    parser.add_argument("--taxonomy", type=Path, metavar="TABLE", help="their lineages (default: in the headers)")
    parser.add_argument(
        "--taxdump",
        type=Path,
        metavar="DIR",
        help="NCBI taxdump (folder or taxdump.tar.gz), where the table has taxids",
    )
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="TABLE",
        help="'id TAB group': records of one group, such as gene copies of one genome, are set aside together",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the model")
    parser.add_argument(
        "--kind",
        choices=["compact", "nearest", "commonest"],
        default="compact",
        help="compact: the network (default); the others are baselines: nearest reference by k-mers, commonest lineage",
    )
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="threads (default: 2)")
    add_flags(parser, _train().Config)


def run(args: argparse.Namespace) -> None:
    import torch

    from linnet.checkpoint import check_free, save

    train = _train()
    config = build(train.Config, args)
    check_free(args.out)  # before hours of training, not after
    sequences = _sequences(args.sequences, numbered=args.taxonomy is None)
    if not sequences:
        raise UserError("no records", where=str(args.sequences))
    lineages = _lineages(args)
    missing = [i for i in sequences if i not in lineages]
    if len(missing) == len(sequences):
        raise UserError(
            f"none of its records is in {args.taxonomy or 'its headers'}, '{missing[0]}' for one",
            where=str(args.sequences),
            expected="the same record ids in both",
        )
    if missing:
        _log(f"{len(missing):,} records have no lineage, '{missing[0]}' for one; they are left out")
    torch.set_num_threads(args.threads)
    if args.kind == "compact":
        checkpoint, held_out = train.train(
            sequences, lineages, config, _log, read_groups(args.groups) if args.groups else None
        )
        if held_out.natural:
            checkpoint.origin["held_out"] = _measured(held_out)
    else:
        checkpoint = train.baseline(args.kind, sequences, lineages)
    save(checkpoint, args.out)
    _log(f"wrote {args.out}")


def _train() -> ModuleType:
    try:
        return import_module("linnet.train")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "train", "training") from error


def _sequences(path: Path, *, numbered: bool) -> dict[str, str]:
    """Sequences by id; where lineages stand in the headers, by the id that goes with them."""
    sequences: dict[str, str] = {}
    for count, record in enumerate(read(path), 1):
        id = id_of_reference(record.header, count) if numbered else record.id
        if sequences.setdefault(id, record.sequence) != record.sequence:
            raise UserError(
                f"record '{id}' occurs twice, with different sequences",
                where=f"{path}, record {count}",
                expected="one sequence for each id",
            )
    return sequences


def _lineages(args: argparse.Namespace) -> dict[str, Lineage]:
    taxonomy = read_taxdump(args.taxdump) if args.taxdump else None
    table = read_lineages(args.taxonomy or args.sequences, taxonomy=taxonomy)
    notes = "; ".join(f"{note}: {n:,}" for note, n in sorted(table.notes.items()))
    _log(f"{len(table.lineages):,} lineages ({table.dialect}{'; ' + notes if notes else ''})")
    return table.lineages


def _measured(held_out: HeldOut) -> dict[str, object]:
    """Figures of the records set aside at random, as the first fit named them; shown, and kept with the model."""
    from threadpoolctl import threadpool_limits

    from linnet.evaluate import evaluate, explanation, table

    with threadpool_limits(limits=1):
        found = evaluate(
            held_out.predictions,
            held_out.truth,
            held_out.known,
            held_out.natural,
            minimum=DEFAULT_CONFIDENCE,
            resamples=200,
        )
    title = f"records set aside at random (views as in training), cut at {DEFAULT_CONFIDENCE}"
    _log(f"{title}\n{table(found)}\n{explanation()}")
    kept = ("n", "n_known", "ceiling", "accuracy", "acc_known", "precision", "coverage", "mc", "uc", "oc",
            "ece_debiased", "recall_at_p95")  # fmt: skip
    ranks = {rank: {k: row[k] for k in kept} for rank, row in found.to_json()["ranks"].items()}
    return {"confidence": DEFAULT_CONFIDENCE, "records": found.queries, "ranks": ranks}


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
