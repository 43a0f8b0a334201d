"""Name the organism behind each read, gene or protein.

Reads FASTA or FASTQ (plain or compressed; '-' is standard input) and writes one row a record, in order: a
lineage and its confidence, or the reason why there is none. Without --out a table for the screen is printed.
With a model of proteins the records are proteins; --group-by gives one row for all proteins of a contig or bin.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.errors import UsageError
from linnet.options import Several, add_output, positive, probability
from linnet.prediction import DEFAULT_CONFIDENCE, Prediction
from linnet.records import Alphabet, SequenceRecord

if TYPE_CHECKING:
    from linnet.mates import LeftOut
    from linnet.predictor import Predictor
    from linnet.protein_predictor import ProteinPredictor


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("sequences", nargs="+", metavar="SEQUENCES", help="FASTA or FASTQ files, or '-'")
    add("--model", type=Path, action=Several, metavar="FOLDER",
        help="a trained model, or 'proteins', the protein model that comes with linnet (default: its 16S model); given "
        "several times, or a folder of models: an ensemble, whose probabilities are averaged")  # fmt: skip
    add_output(parser)
    add("--confidence", type=probability, metavar="P",
        help=f"keep names at least this probable, 0 to 1 (default: {DEFAULT_CONFIDENCE}); 'recut' moves it "
        "later")  # fmt: skip
    add("--error-rate", metavar="RATE",
        help="instead of a confidence: the cut at which no more than this share, such as 0.05, of the records that the "
        "model set aside was named wrongly; 'describe' tells for which rates a model has one")  # fmt: skip
    add("--strand", choices=["auto", "forward", "reverse"], default="auto",
        help="strand of the reads; auto decides for each (default)")  # fmt: skip
    add("--neighbours", type=positive, default=0, metavar="N",
        help="tell the N references most like each record, in jsonl, tsv and csv (of models that keep "
        "references)")  # fmt: skip
    add("--threads", type=positive, default=1, metavar="N", help="threads (default: 1); answers do not depend on it")
    add("--mates", choices=["refuse", "forward"], default="refuse",
        help="paired reads: refuse them with advice (default), or take the forward read of each pair")  # fmt: skip
    add("--shard", metavar="I/N", help="take every Nth record, beginning with the Ith: one share of a cluster job")

    proteins = parser.add_argument_group("Models of proteins")
    add = proteins.add_argument
    add("--group-by", metavar="contig|TABLE",
        help="one row for the proteins of each contig (ids as Prodigal makes them: contig_1, contig_2), or of each "
        "group of a table 'protein TAB group'")  # fmt: skip
    add("--search", default="descend",
        choices=["descend", "end", "beam", "published", "greedy", "min-edit", "published-beam"],
        help="descend: to the most probable child each time (default); end: the taxon at which the organism most "
        "probably ends, by an exact search; beam: the same, searched along the 8 most probable paths. Of a model "
        "converted from TaxoFormer also the ways of its own code, which --confidence 0 gives whole: published (up from "
        "the deepest greedy name, its default), greedy, min-edit, published-beam")  # fmt: skip

    networks = parser.add_argument_group("Models that need torch (DeepTaxa's and their like)")
    add = networks.add_argument
    add("--ranks", choices=["lineage", "published"], default="lineage",
        help="lineage: one that exists (default); published: each rank by itself, as DeepTaxa answers")  # fmt: skip
    add("--letters", choices=["tidy", "published"], default="tidy",
        help="tidy: lower case and U count, ambiguity codes become one of their bases (default); published: each is an "
        "unknown token, as in DeepTaxa")  # fmt: skip
    add("--precision", choices=["fp32", "bf16"], default="fp32",
        help="fp32: to about six digits the same everywhere (default); bf16: faster where the processor has it, "
        "probabilities differ by about 0.01 where they are not clear")  # fmt: skip
    add("--device", default="cpu", help="cpu (default), cuda, or another that torch names")
    add("--engine", choices=["auto", "torch", "openvino"], default="auto",
        help="auto: OpenVINO for fp32 on a CPU where it is installed (linnet[fast]), else torch")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    from linnet import formats
    from linnet.classify import Summary, classify
    from linnet.mates import LeftOut
    from linnet.outputs import reported, write_predictions
    from linnet.predictor import load
    from linnet.protein_predictor import ProteinPredictor
    from linnet.records import read

    if args.out and args.out.is_file() and any(Path(p).is_file() and args.out.samefile(p) for p in args.sequences):
        raise UsageError(f"--out {args.out} is also read", remedy="Choose another file for the results.")
    if args.error_rate is not None and args.confidence is not None:
        raise UsageError("both --confidence and --error-rate", expected="one of them")
    format = args.format or formats.for_path(args.out)
    if args.neighbours and format not in (telling := formats.telling_neighbours()):
        raise UsageError(f"--neighbours with the format {format}", expected=f"one of {', '.join(telling)}",
                         remedy="Add --format tsv, or --out with such an ending.")  # fmt: skip
    predictor = load(
        *args.model or (),
        ranks=args.ranks,
        search=args.search,
        neighbours=args.neighbours,
        letters=args.letters,
        precision=args.precision,
        device=args.device,
        engine=args.engine,
        threads=args.threads,
    )
    if args.error_rate is not None:
        args.confidence = _cut(args.error_rate, predictor)
    elif args.confidence is None:
        args.confidence = DEFAULT_CONFIDENCE
    left_out = LeftOut()
    summary, started = Summary(), time.monotonic()
    if isinstance(predictor, ProteinPredictor):
        records = _shard(args, chain.from_iterable(read(path, alphabet="protein") for path in args.sequences))
    else:
        records = _records(args, predictor.checkpoint.model.get("region", "any"), left_out)
    if args.group_by:
        predictions = _voted(args, records, predictor)
    else:
        predictions = classify(records, predictor, confidence=args.confidence, strand=args.strand, threads=args.threads)
    write_predictions(reported(summary.watch(predictions), _log), args.out, format)
    spent = time.monotonic() - started
    if predictor.filled:
        _log(f"{predictor.filled:,} records fill the model's window; what lies beyond it was not read")
    for file in left_out.files:
        _log(f"{file} was left out: its reads are the mates of those read")
    if left_out.reads:
        _log(f"{left_out.reads:,} reverse reads were left out, mates of those read")
    for line in summary.lines():
        _log(line)
    _log(f"{spent:.1f} s, {summary.records / max(spent, 1e-9):,.0f} records/s")


def _cut(rate: str, predictor: Predictor | ProteinPredictor) -> float:
    from linnet.error_rates import cut_of

    cut = cut_of([c.origin for c in predictor.checkpoints], rate)
    _log(f"error rate {rate}: cut at the confidence {cut:g}")
    return cut


def _records(args: argparse.Namespace, region: str, left_out: LeftOut) -> Iterator[SequenceRecord]:
    from linnet.mates import read_all
    from linnet.notices import Notices

    alphabet: Alphabet = "raw" if args.letters == "published" else "dna"
    records = read_all(args.sequences, args.mates, alphabet=alphabet, left_out=left_out)
    return _shard(args, Notices(region, lambda text: _log(f"note: {text}")).watch(records))


def _voted(
    args: argparse.Namespace, records: Iterator[SequenceRecord], predictor: Predictor | ProteinPredictor
) -> Iterator[Prediction]:
    """One prediction for each group of proteins."""
    from linnet.group_by import by_contig, by_table, vote
    from linnet.inputs import read_groups
    from linnet.protein_predictor import ProteinPredictor

    if not isinstance(predictor, ProteinPredictor):
        raise UsageError("--group-by asked of a model of genes", expected="a model of proteins")
    if args.shard:
        raise UsageError("both --group-by and --shard", expected="one of them: a group's proteins belong together")
    groups = (
        by_contig(records) if args.group_by == "contig" else by_table(records, read_groups(Path(args.group_by)), _log)
    )
    return vote(groups, predictor, args.confidence)


def _shard(args: argparse.Namespace, records: Iterator[SequenceRecord]) -> Iterator[SequenceRecord]:
    from linnet.classify import shard as take

    if args.shard is None:
        return records
    number, _, of = args.shard.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {args.shard}", expected="I/N with I from 1 to N, as in 3/8")
    return take(records, int(number), int(of))


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr)
