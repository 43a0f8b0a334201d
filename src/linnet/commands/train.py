"""Train a model on your own references.

  linnet train rrna --sequences genes.fasta --taxonomy taxonomy.tsv --out model
  linnet train proteins --sequences proteins.faa.gz --taxonomy taxdump.tar.gz --out model

rrna: SEQUENCES are reference genes, whole ones where you have them: windows and in-silico amplicons are cut while
training. TAXONOMY is 'id TAB lineage' (QIIME 2, Greengenes, GTDB, SILVA, mothur), a table with a column for
each rank, or is left out where the FASTA headers hold the lineages (SINTAX, DADA2, SILVA). A lineage that
ends early counts as unknown from there on. A tenth of the references and a few whole clades are held out to
calibrate and measure; the model is then fitted once more on everything.

proteins: TAXONOMY is a taxdump, or another tree that 'linnet code' reads. The taxon of a protein stands in its header
(UniProt's OX=, RefSeq's [Organism]) or in --accessions. The proteins are first put into a folder of shards, which
--shards keeps: training reads them from there, however many they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING

from linnet.errors import UsageError, UserError, missing_extra
from linnet.inputs import read_groups
from linnet.lineages import id_of_reference, read_lineages
from linnet.ncbi import read_taxdump
from linnet.options import Several, add_flags, build, positive
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.records import SequenceRecord, read
from linnet.taxonomy import Lineage, Taxonomy

if TYPE_CHECKING:
    from linnet.train import HeldOut


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", choices=["rrna", "proteins"], help="what the sequences are")
    parser.add_argument("--sequences", type=Path, action=Several, metavar="FASTA",
        help="references; several times for several files")  # fmt: skip
    parser.add_argument("--taxonomy", type=Path, metavar="TABLE",
        help="rrna: their lineages (default: in the headers); proteins: the tree (NCBI's taxdump.tar.gz)")  # fmt: skip
    parser.add_argument("--accessions", type=Path, action=Several, metavar="TABLE",
        help="proteins: taxids by accession, as NCBI's prot.accession2taxid.gz, or 'id TAB taxid'")  # fmt: skip
    parser.add_argument("--eggnog", action="store_true", help="proteins: ids are eggNOG's, 'taxid.locus'")
    parser.add_argument("--shards", type=Path, metavar="FOLDER",
        help="proteins: keep them here, or without --sequences take them from here")  # fmt: skip
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
    add_flags(parser, _verb("train").Config)
    add_flags(parser, _verb("train_proteins").Config, "proteins")


def run(args: argparse.Namespace) -> None:
    import torch

    from linnet.checkpoint import check_free, save

    check_free(args.out)  # before hours of training, not after
    torch.set_num_threads(args.threads)
    if args.family == "proteins":
        _proteins(args)
        return
    if not args.sequences or len(args.sequences) > 1:
        raise UsageError("no --sequences" if not args.sequences else "several --sequences", expected="one FASTA file")
    args.sequences = args.sequences[0]
    train = _verb("train")
    config = build(train.Config, args)
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
    if args.kind == "compact":
        checkpoint, held_out = train.train(
            sequences, lineages, config, _log, read_groups(args.groups) if args.groups else None
        )
        if held_out.natural:
            checkpoint.origin["held_out"] = measured(held_out)
    else:
        checkpoint = train.baseline(args.kind, sequences, lineages)
    save(checkpoint, args.out)
    _log(f"wrote {args.out}")


def _proteins(args: argparse.Namespace) -> None:
    """Shards of labelled proteins, and a model from these."""
    from linnet import shards
    from linnet.checkpoint import save
    from linnet.taxonomies import read_taxonomy

    verb = _verb("train_proteins")
    config = build(verb.Config, args)
    if args.taxonomy is None:
        raise UsageError("no --taxonomy", expected="the tree that the taxids are of, such as NCBI's taxdump.tar.gz")
    tree = read_taxonomy(args.taxonomy)
    with TemporaryDirectory(dir=args.out.absolute().parent, prefix=f".{args.out.name}.shards.") as temporary:
        folder = args.shards or Path(temporary) / "shards"
        if args.sequences:
            store = shards.write(_labelled(args, tree), tree, folder, least=config.least, distinct=True)
            counts = "".join(f"; {reason}: {n:,}" for reason, n in sorted(store.left_out.items()))
            _log(f"{len(store):,} proteins of {store.residues:,} residues{counts}")
        elif args.shards:
            store = shards.Shards.open(folder, tree)
        else:
            raise UsageError("neither --sequences nor --shards", expected="one of them, or both")
        checkpoint, held_out = verb.train(store, tree, config, _log)
        if held_out.natural:
            checkpoint.origin["held_out"] = measured(held_out)
        save(checkpoint, args.out)
    _log(f"wrote {args.out}")


FOUND = ("accession table", "OX=", "[TaxId:]", "TaxID=", "taxid.locus", "[Organism]")
"""Notes of a labeller on proteins whose taxon it has found."""


def _labelled(args: argparse.Namespace, tree: Taxonomy) -> Iterator[tuple[SequenceRecord, int]]:
    """Proteins whose taxon is known, and its node."""
    from linnet.accessions import accession, read_accessions
    from linnet.protein_labels import Labeller

    accessions: dict[str, int] = {}
    if args.accessions:
        records = (r for path in args.sequences for r in read(path, alphabet="protein"))
        wanted = {id for r in records for id in (r.id, accession(r.id))}
        for table in reversed(args.accessions):
            accessions |= read_accessions(table, wanted)
    labeller = Labeller(tree, accessions, eggnog=args.eggnog)
    count = 0
    for path in args.sequences:
        for record in read(path, alphabet="protein"):
            count += 1
            if (node := labeller.node(record)) is not None:
                yield record, node
    notes = labeller.notes
    if not count:
        raise UserError("no records", where=", ".join(map(str, args.sequences)), expected="proteins as FASTA")
    _log(f"{count:,} records; " + "; ".join(f"{note}: {n:,}" for note, n in notes.most_common()))
    unknown = notes["unknown taxid"]
    without = count - sum(n for note, n in notes.items() if note in FOUND)
    if without == count:
        raise UserError(
            f"none of {count:,} proteins has a taxon of {args.taxonomy}", where=", ".join(map(str, args.sequences)),
            expected="headers with OX= or [Organism], or --accessions TABLE",
        )  # fmt: skip
    if unknown > count / 4:
        _log(f"note: {unknown:,} taxids are not in {args.taxonomy}: is it the tree that they are of?")


def _verb(name: str) -> ModuleType:
    try:
        return import_module(f"linnet.{name}")
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


def measured(held_out: HeldOut) -> dict[str, object]:
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
