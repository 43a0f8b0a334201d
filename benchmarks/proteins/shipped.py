"""The protein model that comes with linnet, on proteins of collections that it was not made from.

    LINNET_DATA=FOLDER python benchmarks/proteins/shipped.py [--model proteins] [--each 700]

Takes so many proteins of at least 60 residues, drawn by a seed, of each source in
FOLDER/data/protein/proteins_taxid.tsv.xz that is none of the recipe's, and none whose sequence is among the recipe's;
names them at the default cut, and says at each rank how many got a name and how many of these are right, with the whole
path above.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from xopen import xopen

from linnet.predictor import load
from linnet.records import record
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import RANKS, canonical_positions

MADE_FROM = ("mmseqs2_db", "viral_annotation", "gruber_viral")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="proteins")
    parser.add_argument("--each", type=int, default=700)
    args = parser.parse_args()
    folder = os.environ.get("LINNET_DATA")
    if not folder:
        print("LINNET_DATA is not set: the folder with the proteins", file=sys.stderr)
        return 2
    data = Path(folder) / "data" / "protein"
    tree = read_taxonomy(data / "ncbi_partial_nodes.tsv.gz")
    of_source, own = defaultdict(list), set()
    csv.field_size_limit(1 << 24)
    with xopen(data / "proteins_taxid.tsv.xz", "rt", threads=0) as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["source"] in MADE_FROM:
                own.add(row["sequence"])
            elif len(row["sequence"]) >= 60 and (node := tree.by_taxid(int(row["taxid"]))):
                of_source[row["source"]].append((row["sequence"], node))
    random = np.random.default_rng(0)
    chosen = []
    for rows in of_source.values():
        rows = [row for row in rows if row[0] not in own]
        chosen += [rows[i] for i in random.permutation(len(rows))[: args.each]]
    model = load(args.model)
    records = [record(str(i), s.replace("*", ""), alphabet="protein") for i, (s, _) in enumerate(chosen)]
    started = time.process_time()
    predictions = list(model.classify(records))
    spent = time.process_time() - started
    named, right, sure, sure_right = (np.zeros(len(RANKS), int) for _ in range(4))
    for prediction, (_, node) in zip(predictions, chosen, strict=True):
        truth = {t.taxid for t in tree.lineage(node)}
        for level, at in enumerate(canonical_positions(prediction.kept)):
            if at is not None:
                good = all(t.taxid in truth for t in prediction.kept[: at + 1])
                named[level] += 1
                right[level] += good
                sure[level] += prediction.confidence[at] >= 0.9
                sure_right[level] += good and prediction.confidence[at] >= 0.9
    print(f"{len(chosen):,} proteins of {len(of_source)} sources, {len(chosen) / spent:,.0f} a CPU second")
    print("rank     named, %  of these right, %  of those at 0.9 or more")
    for rank, n, r, s, g in zip(RANKS, named, right, sure, sure_right, strict=True):
        shares = [f"{100 * a / b:.1f} ({b:,})" if b else "-" for a, b in ((r, n), (g, s))]
        print(f"{rank:8} {100 * n / len(chosen):8.1f}  {shares[0]:>17}  {shares[1]:>22}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
