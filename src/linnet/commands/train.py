"""Train a model on your own references.

  linnet train rrna --sequences genes.fasta --taxonomy taxonomy.tsv --out model
  linnet train rrna --encoder hybrid --region V4 --seeds 42,123,456,789,1011 --sequences ... --taxonomy ... --out v4
  linnet train proteins --sequences proteins.faa.gz --taxonomy taxdump.tar.gz --out model

rrna: SEQUENCES are reference genes, whole ones where you have them: windows and in-silico amplicons are cut while
training. TAXONOMY is 'id TAB lineage' (QIIME 2, Greengenes, GTDB, SILVA, mothur), a table with a column for
each rank, or is left out where the FASTA headers hold the lineages (SINTAX, DADA2, SILVA). A lineage that
ends early counts as unknown from there on. A tenth of the references and a few whole clades (of networks over tokens
a fifth, and none) are held out to calibrate and measure; the model is then fitted once more on everything. --encoder
kmer (default) is the compact network; hybrid, cnn, bert and onehot are DeepTaxa's, trained as published unless flags
say otherwise.

An interrupted training is kept in the folder OUT.training: the same command goes on from there and ends with the same
weights. Several --seeds make an ensemble, a folder of models, and figures with mean and standard deviation. Several
processes share a training when started by 'accelerate launch -m linnet train ...', on GPUs, or by 'torchrun
--nproc_per_node 4 -m linnet train ...', also without.

proteins: TAXONOMY is a taxdump, or another tree that 'linnet code' reads. The taxon of a protein stands in its header
(UniProt's OX=, RefSeq's [Organism]) or in --accessions. The proteins are first put into a folder of shards, which
--shards keeps: training reads them from there, however many they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from linnet import processes, references
from linnet.errors import UsageError, UserError, missing_extra
from linnet.options import Several, add_flags, build, names, positive, refuse_foreign, seeds
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.records import SequenceRecord, read
from linnet.taxonomy import Taxonomy

if TYPE_CHECKING:
    from linnet.checkpoint import Checkpoint
    from linnet.preparation import HeldOut

_NETWORKS: dict[str, dict[str, str]] = {
    "hybrid": {"model_type": "hybrid"},
    "cnn": {"model_type": "cnn"},
    "bert": {"model_type": "bert"},
    "onehot": {"model_type": "cnn", "encoding": "onehot"},
}
"""DeepTaxa's encoders, as settings."""

_BASELINES = ("nearest", "commonest")


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
    references.add_flags(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the model")
    parser.add_argument("--encoder", choices=["kmer", *_NETWORKS, *_BASELINES], default="kmer",
        help="rrna: kmer: bag of k-mers (default); hybrid, cnn, bert: over tokens; onehot: convolutions over single "
        "bases; nearest, commonest: baselines that learn nothing")  # fmt: skip
    parser.add_argument("--seeds", type=seeds, metavar="N,N",
        help="rrna: one model for each; the first also draws the held-out references of all")  # fmt: skip
    parser.add_argument("--start", type=Path, metavar="MODEL",
        help="networks over tokens: begin with the weights of this model, whatever its taxa")  # fmt: skip
    parser.add_argument("--tokenizer", type=Path, metavar="FILE",
        help="networks over tokens: a tokenizer.json (default: learnt from the references)")  # fmt: skip
    parser.add_argument("--device", default="cpu", metavar="NAME",
        help="networks over tokens: as torch names it: cpu (default), cuda, mps")  # fmt: skip
    parser.add_argument("--save-every", type=positive, default=600, metavar="SECONDS",
        help="how often an unfinished pass is saved (default: 600)")  # fmt: skip
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="threads (default: 2)")
    add_flags(parser, verb("train").Config())
    add_flags(parser, verb("train_network").Config(), "networks", without=("model_type", "encoding"))
    add_flags(parser, verb("train_proteins").Config(), "proteins")


def run(args: argparse.Namespace) -> None:
    import torch

    from linnet.checkpoint import check_free, save
    from linnet.fitting import Keeping

    torch.set_num_threads(args.threads)
    if args.family == "proteins":
        check_free(args.out)  # before hours of training, not after
        _proteins(args)
        return
    if not args.sequences or len(args.sequences) > 1:
        raise UsageError("no --sequences" if not args.sequences else "several --sequences", expected="one FASTA file")
    from linnet import training_runs

    check_flags(args)
    config = configured(args)
    all_seeds = args.seeds or (config.seed,)
    training_runs.check_out(args.out, all_seeds)
    start, tokenizer = beginning(args)
    given = references.read_references(
        args.sequences[0], args.taxonomy, _log, taxdump=args.taxdump, groups=args.groups, region=args.region
    )
    if args.encoder in _BASELINES:
        save(verb("train").baseline(args.encoder, given.sequences, given.lineages), args.out)
        _log(f"wrote {args.out}")
        return
    unfinished = args.out.absolute().with_name(f"{args.out.name}.training")
    keeping = Keeping(folder=unfinished, every=args.save_every)

    def train(seed: int, split_seed: int) -> tuple[Checkpoint, HeldOut]:
        what = (given.sequences, given.lineages, replace(config, seed=seed), _log, given.groups)
        kept: dict[str, Any] = {"keeping": keeping, "split_seed": split_seed}
        if args.encoder == "kmer":
            checkpoint, held_out = verb("train").train(*what, **kept)
        else:
            kept |= {"device": args.device, "start": start, "tokenizer": tokenizer}
            checkpoint, held_out = verb("train_network").train(*what, **kept)
        if args.region:
            checkpoint.model["region"] = args.region
        return checkpoint, held_out

    training_runs.run(train, all_seeds, args.out, unfinished, _log)


def check_flags(args: argparse.Namespace) -> None:
    """Refuse flags of other families and encoders, which would have no effect.

    Raises:
        UsageError: one is given.
    """
    kinds = {"kmer": verb("train").Config(), "network": verb("train_network").Config()}
    kind = "network" if args.encoder in _NETWORKS else args.encoder
    own = names(kinds[kind]) if kind in kinds else set()
    others = set().union(*map(names, kinds.values())) | names(verb("train_proteins").Config())
    refuse_foreign(args, own, others | {"accessions", "shards"}, f"--encoder {args.encoder}")
    if args.encoder not in _NETWORKS:
        refuse_foreign(args, (), ("start", "tokenizer"), f"--encoder {args.encoder}")
    if args.encoder == "onehot":
        refuse_foreign(args, (), ("tokenizer",), "--encoder onehot, which reads bases")
    if getattr(args, "eggnog", False):
        raise UsageError("--eggnog for genes", expected="it for proteins")
    if args.encoder in _NETWORKS:
        from linnet import devices

        devices.own(args.device)
    elif args.device != "cpu":
        raise UsageError(f"--device {args.device} with --encoder {args.encoder}", expected="a network over tokens")


def configured(args: argparse.Namespace) -> Any:
    """The settings of the training asked for."""
    if args.encoder not in _NETWORKS:
        return build(verb("train").Config(), args)
    config = verb("train_network").Config()
    encoder = replace(config.model.encoder, **_NETWORKS[args.encoder])
    return build(replace(config, model=replace(config.model, encoder=encoder)), args)


def beginning(args: argparse.Namespace) -> tuple[Checkpoint | None, str | None]:
    """The model to begin with, and the vocabulary."""
    from linnet.checkpoint import load
    from linnet.predictor import members
    from linnet.tokens import Pieces

    if args.start and len(folders := members(args.start)) > 1:
        some = ", ".join(folder.name for folder in folders)
        raise UsageError("an ensemble to begin with", where=str(args.start), expected=f"one model of it: {some}")
    start = load(args.start) if args.start else None
    if start is not None:
        _check_start(start, args)
    return start, Pieces.from_file(args.tokenizer).json if args.tokenizer else None


def _check_start(start: Checkpoint, args: argparse.Namespace) -> None:
    """Refuse sizes that are not those of the model to begin with."""
    from linnet.fine_tuning import encoder

    of_start = asdict(encoder(start))
    given = {**_NETWORKS["hybrid"], "encoding": "bpe", **_NETWORKS[args.encoder]}
    given |= {name: value for name in of_start if (value := getattr(args, name, None)) is not None}
    for name, value in given.items():
        if value != of_start[name]:
            flag = "--encoder" if name in ("model_type", "encoding") else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} {args.encoder if flag == '--encoder' else value}, but the model to begin with has "
                f"{name} {of_start[name]}", remedy="Leave the flag out, or begin with another model.",
            )  # fmt: skip


def _proteins(args: argparse.Namespace) -> None:
    """Shards of labelled proteins, and a model from these."""
    from linnet import shards, training_runs
    from linnet.checkpoint import save
    from linnet.taxonomies import read_taxonomy

    if processes.size() > 1:  # each would write the shards and the model
        raise UsageError("several processes", expected="one process; 'train rrna' can be shared by several")
    family = verb("train_proteins")
    config = build(family.Config(), args)
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
        checkpoint, held_out = family.train(store, tree, config, _log)
        if held_out.natural:
            evaluation = training_runs.measure(held_out, DEFAULT_CONFIDENCE)
            _log(training_runs.text(evaluation))
            checkpoint.origin["held_out"] = training_runs.figures(evaluation)
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


def verb(name: str) -> ModuleType:
    try:
        return import_module(f"linnet.{name}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "train", "training") from error


def _log(text: str) -> None:
    if processes.main_process():
        print(f"linnet: {text}", file=sys.stderr, flush=True)
