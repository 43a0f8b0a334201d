"""Train a model on your own references.

  linnet train rrna --sequences genes.fasta --taxonomy taxonomy.tsv --out model
  linnet train rrna --encoder hybrid --region V4 --seeds 42,123,456,789,1011 --sequences ... --taxonomy ... --out v4
  linnet train proteins --sequences proteins.faa.gz --taxonomy taxdump.tar.gz --out model

rrna: SEQUENCES are reference genes, whole ones where you have them: windows and in-silico amplicons are cut while
training. TAXONOMY is 'id TAB lineage' (QIIME 2, Greengenes, GTDB, SILVA, mothur), a table with a column for
each rank, or is left out where the FASTA headers hold the lineages (SINTAX, DADA2, SILVA). A lineage that
ends early counts as unknown from there on. In each of --rounds 5 another fifth of the references and a few whole clades
are held out, to learn from what is said of them, to calibrate and measure (of networks over tokens in one round, and no
clades); the model is then fitted once more on everything. --encoder kmer (default) is the compact network; hybrid, cnn,
bert and onehot are DeepTaxa's, trained as published unless flags say otherwise.

An interrupted training is kept in the folder OUT.training: the same command goes on from there and ends with the same
weights. Several --seeds make an ensemble, a folder of models, and figures with mean and standard deviation. Several
processes share a training when started by 'accelerate launch -m linnet train ...', on GPUs, or by 'torchrun
--nproc_per_node 4 -m linnet train ...', also without.

proteins: TAXONOMY is a taxdump, or another tree that 'linnet code' reads. The taxon of a protein stands in its header
(UniProt's OX=, RefSeq's [Organism]) or in --accessions. The proteins are first put into a folder of shards, which
--shards keeps: training reads them from there, however many they are. --encoder words (default) is the compact network;
esm is ESM-2 with --weights (a folder, or hf://facebook/esm2_t6_8M_UR50D), frozen (--lora 0), with low-rank adapters, or
with these and weights of 4 bits (--quantised), under TaxoFormer's decoder (--head decoder) or the light head.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from linnet import processes, references
from linnet.errors import UsageError, UserError, torch_for
from linnet.options import Several, add_flags, build, names, positive, refuse_foreign, seeds
from linnet.taxonomy import Taxonomy

if TYPE_CHECKING:
    from linnet.checkpoint import Checkpoint
    from linnet.preparation import HeldOut
    from linnet.shards import Shards

_NETWORKS: dict[str, dict[str, str]] = {
    "hybrid": {"model_type": "hybrid"},
    "cnn": {"model_type": "cnn"},
    "bert": {"model_type": "bert"},
    "onehot": {"model_type": "cnn", "encoding": "onehot"},
}
"""DeepTaxa's encoders, as settings."""

_BASELINES = ("nearest", "commonest")

_PROTEINS = {"words": "train_proteins", "esm": "train_protein_transformer"}
"""Encoders of proteins, and the modules that train them."""

_DRAWN = ("layers", "width", "heads", "inner")
"""Sizes of an ESM-2 drawn at random; one that is given has its own, and the first three are the decoder's."""

_HEADS = {"decoder": {"width", "layers", "heads", "dropout", "vocabulary", "forced"}, "light": {"taxa", "hidden"}}
"""Heads on an ESM-2, and the settings that only they have."""


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
    parser.add_argument("--encoder", choices=["kmer", *_NETWORKS, *_BASELINES, *_PROTEINS],
        help="rrna: kmer: bag of k-mers (default); hybrid, cnn, bert: over tokens; onehot: convolutions over single "
        "bases; nearest, commonest: baselines that learn nothing; proteins: words: bag of words (default); esm: "
        "ESM-2")  # fmt: skip
    parser.add_argument("--weights", metavar="MODEL",
        help="proteins, esm: the ESM-2 to begin with: a folder, or hf://OWNER/MODEL[@REVISION]")  # fmt: skip
    parser.add_argument("--pooling", choices=["latents", "query", "residues", "published"],
        help="proteins, esm: what the head sees of the residues: latents: learned queries (default); query: <cls> as "
        "the query; residues: all; published: TaxoFormer's code")  # fmt: skip
    parser.add_argument("--seeds", type=seeds, metavar="N,N",
        help="one model for each; the first also draws the held-out references of all")  # fmt: skip
    parser.add_argument("--start", type=Path, metavar="MODEL",
        help="networks over tokens: begin with the weights of this model, whatever its taxa")  # fmt: skip
    parser.add_argument("--tokenizer", type=Path, metavar="FILE",
        help="networks over tokens: a tokenizer.json (default: learnt from the references)")  # fmt: skip
    parser.add_argument("--device", default="cpu", metavar="NAME",
        help="networks over tokens, esm: as torch names it: cpu (default), cuda, mps")  # fmt: skip
    parser.add_argument("--save-every", type=positive, default=600, metavar="SECONDS",
        help="how often an unfinished pass is saved (default: 600)")  # fmt: skip
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="threads (default: 2)")
    add_flags(parser, verb("train").Config())
    add_flags(parser, verb("train_network").Config(), "networks", without=("model_type", "encoding"))
    add_flags(parser, verb("train_proteins").Config(), "proteins")
    without = ("weights", "revision", "inner", "pooling", "head")
    add_flags(parser, verb("train_protein_transformer").Config(), "esm", without=without)


def run(args: argparse.Namespace) -> None:
    import torch

    from linnet.checkpoint import save
    from linnet.fitting import Keeping

    torch.set_num_threads(args.threads)
    own = _PROTEINS if args.family == "proteins" else ("kmer", *_NETWORKS, *_BASELINES)
    args.encoder = args.encoder or next(iter(own))
    if args.encoder not in own:
        raise UsageError(f"train {args.family} --encoder {args.encoder}", expected=", ".join(own))
    if args.family == "proteins":
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
    others = set().union(*map(names, kinds.values()), *map(_names, _PROTEINS))
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


def _names(encoder: str) -> set[str]:
    """The settings of a training of proteins."""
    found = names(verb(_PROTEINS[encoder]).Config())
    return found - {"revision", "inner"} if encoder == "esm" else found


def _check_proteins(args: argparse.Namespace) -> None:
    """Refuse flags that have no effect on a training of proteins.

    Raises:
        UsageError: one is given.
    """
    others = set().union(*map(_names, _PROTEINS), names(verb("train").Config()), names(verb("train_network").Config()))
    refuse_foreign(args, _names(args.encoder), others, f"--encoder {args.encoder}")
    refuse_foreign(args, (), ("start", "tokenizer", "taxdump", "groups", "region"), "proteins")
    if args.encoder == "words":
        if args.device != "cpu":
            raise UsageError(f"--device {args.device} with --encoder words", expected="--encoder esm, or cpu")
        return
    if not args.weights:
        raise UsageError("--encoder esm without --weights", expected="a folder, or hf://facebook/esm2_t6_8M_UR50D")
    head = args.head or "decoder"
    if head not in _HEADS:
        raise UsageError(f"--head {head} with --encoder esm", expected=", ".join(_HEADS))
    refuse_foreign(args, _HEADS[head], set().union(*_HEADS.values()), f"--head {head}")


def _configured_proteins(args: argparse.Namespace) -> Any:
    """The settings of the training of proteins asked for."""
    defaults = verb(_PROTEINS[args.encoder]).Config()
    if args.encoder == "words":
        return build(defaults, args)
    from linnet.released import source

    given = {name: value for name, value in vars(args).items() if name not in _DRAWN}
    weights = source.folder(args.weights, ("config.json", "*.safetensors", "*.safetensors.index.json"))
    if not (weights / "config.json").is_file():
        raise UserError("no config.json there", where=str(weights), expected="a folder with an ESM-2 of the hub",
                        remedy="Give such a folder, or hf://OWNER/MODEL.")  # fmt: skip
    config = build(defaults, argparse.Namespace(**given | {"weights": str(weights)}))
    return replace(config, model=replace(config.model, decoder=build(config.model.decoder, args)))


def _proteins(args: argparse.Namespace) -> None:
    """Shards of labelled proteins, and models from these."""
    from linnet import devices, training_runs
    from linnet.fitting import Keeping
    from linnet.taxonomies import read_taxonomy

    _check_proteins(args)
    devices.own(args.device)
    if args.taxonomy is None:
        raise UsageError("no --taxonomy", expected="the tree that the taxids are of, such as NCBI's taxdump.tar.gz")
    if not args.sequences and not args.shards:
        raise UsageError("neither --sequences nor --shards", expected="one of them, or both")
    config = _configured_proteins(args)
    all_seeds = args.seeds or (config.seed,)
    training_runs.check_out(args.out, all_seeds)  # before hours of training, not after
    tree = read_taxonomy(args.taxonomy)
    unfinished = args.out.absolute().with_name(f"{args.out.name}.training")
    kept: dict[str, Any] = {"keeping": Keeping(folder=unfinished, every=args.save_every)}
    if args.encoder == "esm":
        kept["device"] = args.device
    least = config.model.least if args.encoder == "esm" else config.least
    with _shards(args, tree, least, unfinished) as store:

        def train(seed: int, split_seed: int) -> tuple[Checkpoint, HeldOut]:
            family = verb(_PROTEINS[args.encoder])
            found: tuple[Checkpoint, HeldOut] = family.train(
                store, tree, replace(config, seed=seed), _log, split_seed=split_seed, **kept
            )
            if args.encoder == "esm" and args.weights.startswith("hf://"):
                found[0].model["pretrained"] = args.weights
            return found

        training_runs.run(train, all_seeds, args.out, unfinished, _log)


@contextmanager
def _shards(args: argparse.Namespace, tree: Taxonomy, least: int, unfinished: Path) -> Iterator[Shards]:
    """The labelled proteins; the first process writes them and the others wait."""
    from linnet import shards
    from linnet.protein_labels import labelled
    from linnet.team import Team

    if args.shards and args.sequences and args.shards.exists() and unfinished.exists():
        _log(f"an interrupted training goes on with the proteins in {args.shards}; --sequences is not read again")
    elif args.sequences:
        with TemporaryDirectory(dir=args.out.absolute().parent, prefix=f".{args.out.name}.shards.") as temporary:
            folder = Team.of_this_run(args.device).agreed(args.shards or Path(temporary) / "shards")
            if processes.main_process():
                found = labelled(args.sequences, tree, args.accessions, _log, eggnog=args.eggnog)
                store = shards.write(found, tree, folder, least=least, distinct=True)
                counts = "".join(f"; {reason}: {n:,}" for reason, n in sorted(store.left_out.items()))
                _log(f"{len(store):,} proteins of {store.residues:,} residues{counts}")
            while not (folder / "index.json").exists():  # it appears when all is written
                time.sleep(0.5)
            yield shards.Shards.open(folder, tree)
        return
    yield shards.Shards.open(args.shards, tree)


def verb(name: str) -> ModuleType:
    with torch_for("training"):
        return import_module(f"linnet.{name}")


def _log(text: str) -> None:
    if processes.main_process():
        print(f"linnet: {text}", file=sys.stderr, flush=True)
