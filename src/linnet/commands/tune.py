"""Find good settings for 'linnet train' by trying them.

  linnet tune rrna --encoder hybrid --sequences genes.fasta --taxonomy taxonomy.tsv --out study --trials 30 --epochs 5
  linnet train rrna --config study/best.toml --sequences genes.fasta --taxonomy taxonomy.tsv --out model

Each trial is a training with settings of its own; the one with the least loss on held-out references, which are the
same in all of them, is the best. Trials that do worse than most after as many passes are stopped early. A flag of
'linnet train' that is given has that value in all trials; --list shows what is searched. STUDY has trials.tsv, a row
for each trial, best.toml, the best one's settings as flags of 'linnet train', and study.db, Optuna's: the same command
goes on with it, after an interruption or with more --trials.

The held-out references have chosen the settings: measure the model on records that are not among the references.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet import processes, references, search_space
from linnet.commands import train as training
from linnet.errors import UsageError
from linnet.options import add_flags, build, positive

if TYPE_CHECKING:
    from linnet.fitting import AfterPass
    from linnet.preparation import HeldOut


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", choices=["rrna"], help="what the sequences are")
    parser.add_argument("--encoder", choices=["kmer", "hybrid", "cnn", "bert", "onehot"], default="kmer",
        help="what is tuned (default: kmer)")  # fmt: skip
    parser.add_argument("--sequences", type=Path, metavar="FASTA", help="references")
    parser.add_argument("--taxonomy", type=Path, metavar="TABLE", help="their lineages (default: in the headers)")
    references.add_flags(parser)
    parser.add_argument("--out", type=Path, metavar="STUDY", help="folder of the study")
    parser.add_argument("--trials", type=positive, default=30, metavar="N",
        help="trials, those of former runs included (default: 30)")  # fmt: skip
    parser.add_argument("--small", action="store_true", help="search networks that a laptop can train")
    parser.add_argument("--list", action="store_true", help="show what is searched, and stop")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE",
        help="networks over tokens: a tokenizer.json (default: learnt from the references)")  # fmt: skip
    parser.add_argument("--device", default="cpu", metavar="NAME",
        help="networks over tokens: as torch names it: cpu (default), cuda, mps")  # fmt: skip
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="threads (default: 2)")
    parser.set_defaults(start=None)
    add_flags(parser, training.verb("train").Config(), without=("refit", "rounds"))
    without = ("model_type", "encoding", "refit")
    add_flags(parser, training.verb("train_network").Config(), "networks", without=without)


def run(args: argparse.Namespace) -> None:
    defaults = training.configured(argparse.Namespace(encoder=args.encoder))
    once = {"rounds": 1} if args.encoder == "kmer" else {}
    defaults = replace(defaults, refit=False, **once)
    given = {flag: value for flag in _flags(defaults) if (value := getattr(args, flag, None)) is not None}
    space = search_space.space(args.encoder, small=args.small, focal=given.get("loss_type") == "focal")
    space = search_space.without(space, given)
    config = build(defaults, argparse.Namespace(**given, **search_space.first(space)))
    if args.list:
        for flags, values in space.items():
            print(f"{search_space.name(flags)}\t{values}")
        return
    _check(args, config, space)
    training.check_flags(args)

    import torch

    from linnet.preparation import digest, usable
    from linnet.train import train as train_kmer
    from linnet.train_network import train as train_network
    from linnet.tune import Search, tune

    torch.set_num_threads(args.threads)
    _, tokenizer = training.beginning(args)
    data = references.read_references(
        args.sequences, args.taxonomy, _log, taxdump=args.taxdump, groups=args.groups, region=args.region
    )
    ids = usable(data.sequences, data.lineages, _log)
    seen = digest(ids, [data.sequences[i] for i in ids], [data.lineages[i] for i in ids])
    groups = sorted((data.groups or {}).items())
    what = sha256(f"{seen}\n{groups}\n{tokenizer}".encode()).hexdigest()
    named = {"encoder": args.encoder, "region": args.region}
    if tokenizer is not None:
        named["tokenizer"] = args.tokenizer.absolute()

    def train(config: Any, after_pass: AfterPass) -> HeldOut:
        arguments = (data.sequences, data.lineages, config, lambda _: None, data.groups)
        if args.encoder == "kmer":
            return train_kmer(*arguments, after_pass=after_pass)[1]
        return train_network(*arguments, tokenizer=tokenizer, device=args.device, after_pass=after_pass)[1]

    same = {**{flag: value for flag, value in named.items() if value is not None}, **given}
    tune(train, Search(config, same, space, what), args.out, trials=args.trials, log=_log)
    _log(f"wrote {args.out}")


def _check(args: argparse.Namespace, config: Any, space: search_space.Space) -> None:
    """Refuse what cannot be tuned.

    Raises:
        UsageError: a flag is missing, nothing is searched or held out, or this is one of several processes.
    """
    for flag in ("sequences", "out"):
        if getattr(args, flag) is None:
            raise UsageError(f"no --{flag}")
    if not space:
        raise UsageError("every setting is given, so that none is searched", remedy="Leave one of them out.")
    if not config.hold_out:
        raise UsageError("--hold-out 0", expected="more than 0: settings are compared on held-out references")
    if processes.size() > 1:
        raise UsageError("several processes", expected="one process; 'linnet train' can be shared by several")


def _flags(config: Any) -> Iterator[str]:
    """Names of all settings, dataclasses within included."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from _flags(value)
        else:
            yield item.name


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
