"""Give each contig a vector: from a genomic language model, or from counts of its words.

Writes an .npz with 'ids' and float16 'rows', which `linnet correct --teacher` reads. An interrupted run goes on when
the same command is given again. Several GPUs share a language model's work: accelerate launch -m linnet embed ...
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet import processes
from linnet.errors import UsageError, UserError, torch_for
from linnet.options import positive

if TYPE_CHECKING:
    from linnet.embed import Embedder

LEAST = 50
_OF_THE_MODEL = ("weights", "windows", "window", "pooling", "strands", "precision", "batch_tokens", "published")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("contigs", type=Path, metavar="CONTIGS", help="FASTA, plain or compressed")
    add("--out", type=Path, required=True, metavar="FILE", help="write here, an .npz; FILE.parts/ holds what is done "
        "until all is")  # fmt: skip
    add("--encoder", choices=["spectra", "genome_lm"], default="spectra",
        help="spectra (default): how often words of five letters and codons occur; genome_lm: a language model such as "
        "GenomeOcean")  # fmt: skip
    add("--min-length", type=positive, default=LEAST, metavar="N",
        help="contigs with fewer bases that are A, C, G or T get no vector (default: 50)")  # fmt: skip
    add("--device", default="cpu", metavar="NAME", help="cpu (default), cuda, or another that torch names")
    add("--threads", type=positive, default=1, metavar="N", help="threads (default: 1)")
    model = parser.add_argument_group("genome_lm")
    add = model.add_argument
    add("--weights", metavar="MODEL", help="a folder with config.json, tokenizer.json and safetensors of a Mistral "
        "model, or hf://OWNER/NAME[@REVISION]")  # fmt: skip
    add("--windows", type=positive, metavar="N", help="windows read of a contig (default: 8)")
    add("--window", type=positive, metavar="BASES", help="bases of a window (default: 4096)")
    add("--pooling", choices=["mean", "last"],
        help="mean of the states of all tokens (default), or the state of each window's last")  # fmt: skip
    add("--strands", choices=["both", "forward"], help="both (default): the mean of the two strands' vectors")
    add("--precision", choices=["bf16", "fp32"], help="of matrix products (default: fp32 on a CPU, else bf16)")
    add("--batch-tokens", type=positive, metavar="N", help="tokens read at once, padding included (default: 16384)")
    add("--published", action="store_true", default=None,
        help="as TaxDistill does it: the state of the last of the first 512 tokens, forward strand")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    from linnet.embed import embed
    from linnet.processes import main_process

    _check(args)
    started = time.monotonic()
    say = _log if main_process() else _silent
    embedder, device = _embedder(args)
    done = embed(args.contigs, embedder, args.out, least=args.min_length, device=device, log=say)
    if done.left_out:
        say(f"note: {done.left_out:,} contigs have fewer than {args.min_length} plain bases and got no vector")
    say(f"{done.contigs:,} contigs, {time.monotonic() - started:.1f} s")


def _check(args: argparse.Namespace) -> None:
    """What can be asked wrongly, before anything is read."""
    given = [name for name in _OF_THE_MODEL if getattr(args, name) is not None]
    if args.encoder != "genome_lm" and given:
        raise UsageError(f"--{_flag(given[0])} with --encoder {args.encoder}", expected="--encoder genome_lm")
    if args.encoder == "genome_lm" and not args.weights:
        raise UsageError("--encoder genome_lm without --weights", expected="a folder, or hf://OWNER/NAME[@REVISION]")
    fixed = [name for name in ("windows", "window", "pooling", "strands") if name in given]
    if args.published and fixed:
        raise UsageError(f"--published with --{_flag(fixed[0])}", expected="one of them")
    if args.encoder != "genome_lm" and processes.size() > 1:
        raise UsageError(
            f"several processes with --encoder {args.encoder}", expected="one",
            remedy="Only a language model's work is shared: start linnet by itself.",
        )  # fmt: skip
    if str(args.contigs) == "-":
        raise UsageError("contigs from standard input", expected="a file: it is read more than once")
    if args.out.suffix != ".npz":
        raise UsageError(f"--out {args.out}", expected="a name that ends in .npz")
    if args.out.is_dir() or (args.out.exists() and args.out.resolve() == args.contigs.resolve()):
        raise UsageError(f"--out {args.out}", expected="a file of its own")
    if not args.out.resolve().parent.is_dir():
        raise UserError("no such folder", where=str(args.out.parent), remedy="Make it, or choose another --out.")


def _embedder(args: argparse.Namespace) -> tuple[Embedder, str]:
    """The encoder asked for, and the device of this process."""
    if args.encoder == "spectra":
        from linnet.spectra import Spectra

        return Spectra(), "cpu"
    with torch_for(f"--encoder {args.encoder}"):
        import torch

        from linnet import devices
        from linnet.encoders import genome_lm
    torch.set_num_threads(args.threads)
    device = devices.own(args.device)
    names = ("windows", "window", "pooling", "strands", "published")
    config = genome_lm.Config(**{n: getattr(args, n) for n in names if getattr(args, n) is not None})
    more: dict[str, Any] = {} if args.batch_tokens is None else {"batch_tokens": args.batch_tokens}
    more["precision"] = args.precision or ("fp32" if device == "cpu" else "bf16")
    return genome_lm.GenomeLM(args.weights, config, device=device, **more), device


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _silent(text: str) -> None:
    pass


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
