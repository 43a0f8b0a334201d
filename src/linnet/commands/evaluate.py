"""Score predictions, linnet's or any tool's, against known lineages.

  linnet evaluate ours.jsonl --truth truth.tsv --reference reference.tsv
  linnet evaluate ours.jsonl qiime.tsv --truth truth.tsv --plot compare.svg

PREDICTIONS may be linnet's jsonl, tsv or csv, a QIIME 2 taxonomy, a DADA2 table, SINTAX or mothur output, or
'id TAB lineage [TAB confidences]'. A name is right only if the whole path down to it is; a record without a
row counts as unclassified; a record counts at a rank only if its truth reaches it. With --reference, the
lineages that the tools could know, errors on known taxa and on taxa absent from it are told apart.
Further tables are compared with the first (McNemar's exact test, on the same records).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.options import positive, probability


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


def run(args: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    from linnet import evaluate
    from linnet.formats import read_predictions
    from linnet.lineages import read_lineages
    from linnet.outputs import open_output

    names = [p.name for p in args.predictions]
    if len(set(names)) < len(names):
        names = [f"{number}: {p.parent.name}/{p.name}" for number, p in enumerate(args.predictions, 1)]
    truth = {i: row for i, row in read_lineages(args.truth).lineages.items() if row}
    known = set(read_lineages(args.reference).lineages.values()) - {()} if args.reference else None
    queries = _ids(args.queries) if args.queries else list(truth)
    lacking = [i for i in queries if i not in truth]
    if lacking:
        raise UserError(f"no lineage for {len(lacking):,} records, '{lacking[0]}' for one", where=str(args.truth))
    tables = {name: read_predictions(path) for name, path in zip(names, args.predictions, strict=True)}
    for name, table in tables.items():
        if not any(i in table for i in queries):
            raise UserError("has none of the records to be judged", where=name, expected="the ids of --truth")
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
    if args.out:
        found = {
            "evaluations": {name: result.to_json() for name, result in results.items()},
            "comparisons": {f"{first} against {name}": c.to_json() for name, c in comparisons.items()},
        }
        with open_output(args.out) as file:
            json.dump(found, file, indent=1)
    if args.plot:
        from linnet.report.evaluation import plot

        plot(results, args.plot)


def _ids(path: Path) -> list[str]:
    with open_text(path, "FASTA, or an id a line") as file:
        lines = [line.strip() for line in file if line.strip()]
    headers = [line[1:] for line in lines if line.startswith(">")]
    return list(dict.fromkeys(line.split()[0] for line in headers or lines))
