"""Score predictions, linnet's or any tool's, against known lineages.

  linnet evaluate ours.jsonl --truth truth.tsv --reference reference.tsv
  linnet evaluate ours.jsonl qiime.tsv --truth truth.tsv --plot compare.svg
  linnet evaluate corrected.tsv --truth gsa_mapping.tsv --taxonomy taxdump --contigs contigs.fna --before mmseqs.tsv

PREDICTIONS may be linnet's jsonl, tsv or csv, a QIIME 2 taxonomy, a DADA2 table, SINTAX or mothur output, or
'id TAB lineage [TAB confidences]'. A name is right only if the whole path down to it is; a record without a
row counts as unclassified; a record counts at a rank only if its truth reaches it. With --reference, the
lineages that the tools could know, errors on known taxa and on taxa absent from it are told apart.
Further tables are compared with the first (McNemar's exact test, on the same records).

With --contigs, labels of metagenomic contigs are judged, of linnet or of a search tool (MMseqs2, Kraken2 ...): all
contigs of that file, also where the truth ends above a rank, by number and by bases; --before shows what became of
the labels they were made from. The truth may then be CAMISIM's gsa_mapping.tsv or a biobox binning file. Intervals
and comparisons resample whole genomes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.errors import UsageError, UserError
from linnet.inputs import names_of, open_text
from linnet.options import positive, probability

if TYPE_CHECKING:
    from linnet.prediction import Prediction


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("predictions", nargs="+", type=Path, metavar="PREDICTIONS", help="one table for each tool")
    add("--truth", required=True, type=Path, metavar="TABLE", help="lineages of the records (any dialect of 'train')")
    add("--reference", type=Path, metavar="TABLE", help="lineages of the references the tools were given")
    add("--queries", type=Path, metavar="FILE", help="judge only these records: FASTA, or an id a line")
    add("--confidence", type=probability, default=0.0, metavar="P",
        help="cut names below this confidence first (default: 0, all names; of linnet whole paths)")  # fmt: skip
    add("--resamples", type=positive, default=1000, metavar="N", help="bootstrap resamples (default: 1000)")
    add("--out", type=Path, metavar="FILE", help="write everything as JSON")
    add("--plot", type=Path, metavar="FILE",
        help="accuracy by rank and reliability, as .svg or .png (needs linnet[report])")  # fmt: skip
    contigs = parser.add_argument_group("contigs")
    add = contigs.add_argument
    add("--contigs", type=Path, metavar="FILE",
        help="judge all these contigs: FASTA, or a table of ids and lengths")  # fmt: skip
    add("--min-length", type=positive, metavar="N", help="only contigs of at least N bases (default: all)")
    add("--before", type=Path, metavar="TABLE", help="the labels that the predictions were made from")
    add("--taxonomy", type=Path, metavar="TAXDUMP",
        help="NCBI taxdump (folder or taxdump.tar.gz), where a table has taxids")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    wrong = ("queries", "plot") if args.contigs else ("min_length", "before", "taxonomy")
    for flag in wrong:
        if getattr(args, flag) is not None:
            raise UsageError(
                f"--{flag.replace('_', '-')} {'with' if args.contigs else 'without'} --contigs",
                remedy="--contigs says which contigs are judged; without it, records are.",
            )
    if args.contigs:
        _judge_contigs(args)
    else:
        _judge_records(args)


def _judge_records(args: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    from linnet import evaluate
    from linnet.formats import read_predictions
    from linnet.lineages import read_lineages

    names = names_of(args.predictions)
    truth = {i: row for i, row in read_lineages(args.truth).lineages.items() if row}
    known = set(read_lineages(args.reference).lineages.values()) - {()} if args.reference else None
    queries = _ids(args.queries) if args.queries else list(truth)
    lacking = [i for i in queries if i not in truth]
    if lacking:
        raise UserError(f"no lineage for {len(lacking):,} records, '{lacking[0]}' for one", where=str(args.truth))
    tables = {name: read_predictions(path) for name, path in zip(names, args.predictions, strict=True)}
    _check_ids(tables, queries, "--truth")
    with threadpool_limits(limits=1):  # more threads make such small products slower
        results = {
            name: evaluate.evaluate(table, truth, known, queries, minimum=args.confidence, resamples=args.resamples)
            for name, table in tables.items()
        }
        first, *others = names
        comparisons = {
            name: evaluate.compare(
                tables[first], tables[name], truth, known, queries,
                minima=(args.confidence,) * 2, resamples=args.resamples,
            )
            for name in others
        }  # fmt: skip
    for name, result in results.items():
        print(f"{name}\n{evaluate.table(result)}\n")
    print(f"{evaluate.explanation()}\n")
    for name, comparison in comparisons.items():
        print(f"{first} against {name}: records that only one of them names rightly")
        for rank, row in comparison.ranks.items():
            m = row.mcnemar
            print(f"  {rank:8} {m.a_only:6,} : {m.b_only:<6,} p = {m.p_value:.2g}")
        print()
    _write(args.out, results, comparisons, first)
    if args.plot:
        from linnet.report.evaluation import plot

        plot(results, args.plot)


def _judge_contigs(args: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    from linnet import contig_evaluation as evaluation
    from linnet.gold_standard import read_gold_standard, read_lengths
    from linnet.lineages import read_lineages
    from linnet.ncbi import read_taxdump

    names = names_of(args.predictions)
    taxonomy = read_taxdump(args.taxonomy) if args.taxonomy else None
    gold = read_gold_standard(args.truth, taxonomy)
    for note, count in gold.notes.items():
        print(f"linnet: {args.truth}: {count:,} contigs {note}", file=sys.stderr)
    least = args.min_length or 0
    lengths = {contig: length for contig, length in read_lengths(args.contigs).items() if length >= least}
    if not lengths:
        raise UserError(f"no contig has {least:,} bases", where=str(args.contigs), remedy="Lower --min-length.")
    known = None
    if args.reference:
        known = set(read_lineages(args.reference, taxonomy=taxonomy).lineages.values()) - {()}
    before = evaluation.read_calls(args.before, lengths, taxonomy) if args.before else None
    tables = {
        name: evaluation.read_calls(path, lengths, taxonomy) for name, path in zip(names, args.predictions, strict=True)
    }
    with threadpool_limits(limits=1):
        results = {
            name: evaluation.evaluate_contigs(
                table, gold, lengths, before, known, minimum=args.confidence, resamples=args.resamples
            )
            for name, table in tables.items()
        }
        first, *others = names
        comparisons = {
            name: evaluation.compare_contigs(
                tables[first], tables[name], gold, lengths,
                minima=(args.confidence,) * 2, resamples=args.resamples,
            )
            for name in others
        }  # fmt: skip
    for name, result in results.items():
        print(f"{name}\n{evaluation.table(result)}\n")
    print(f"{evaluation.explanation()}\n")
    for name, comparison in comparisons.items():
        print(f"{first} less {name}, per cent (95 % interval, genomes resampled)")
        print(f"{evaluation.differences(comparison)}\n")
    _write(args.out, results, comparisons, first)


def _check_ids(tables: Mapping[str, Mapping[str, Prediction]], ids: Iterable[str], flag: str) -> None:
    ids = list(ids)
    for name, table in tables.items():
        if not any(i in table for i in ids):
            raise UserError("has none of the records to be judged", where=name, expected=f"the ids of {flag}")


def _write(path: Path | None, results: Mapping[str, Any], comparisons: Mapping[str, Any], first: str) -> None:
    """Everything as JSON."""
    from linnet.outputs import open_output

    if path:
        found = {
            "evaluations": {name: result.to_json() for name, result in results.items()},
            "comparisons": {f"{first} against {name}": c.to_json() for name, c in comparisons.items()},
        }
        with open_output(path) as file:
            json.dump(found, file, indent=1)


def _ids(path: Path) -> list[str]:
    with open_text(path, "FASTA, or an id a line") as file:
        lines = [line.strip() for line in file if line.strip()]
    headers = [line[1:] for line in lines if line.startswith(">")]
    return list(dict.fromkeys(line.split()[0] for line in headers or lines))
