"""Trees of protein families: how near those of lineages, of vectors and of distances come to the published ones.

    LINNET_DATA=FOLDER python benchmarks/proteins/family_trees.py --model MODEL --work DIR
    python benchmarks/proteins/family_trees.py --model MODEL --work DIR --families FAMILIES

The families are the 264 of TreeBASE in FOLDER/data/protein, or those of the folder FAMILIES: of each an alignment
NAME.fa and a tree NAME.nwk. DIR/results.json and DIR/results.md hold the results; docs/family-trees.md says what they
mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xopen import xopen

from linnet.errors import UserError
from linnet.family_trees import (
    Tree,
    hamming_distances,
    lineage_tree,
    neighbour_joining,
    normalised_rf,
    random_tree,
    splits,
)
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.predictor import load
from linnet.protein_families import Family, read_folder, read_treebase
from linnet.protein_predictor import ProteinPredictor
from linnet.records import SequenceRecord
from linnet.significance import percentile_interval, resampled_weights
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy

RESAMPLES = 1000
LEAST_KNOWN = 6
"""Leaves of known taxa that a family must have, and half of all its leaves, to be set beside the taxonomy."""
SETS = {"all": "All leaves", "known": "Leaves whose taxon is known"}
RIVAL = "random"


@dataclass
class Clock:
    """CPU seconds that each arm took, of all families."""

    spent: dict[str, float] = field(default_factory=dict)

    def add(self, arms: Sequence[str], started: float) -> None:
        for arm in arms:
            self.spent[arm] = self.spent.get(arm, 0.0) + time.process_time() - started


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--model", required=True, help="a model of proteins")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--families", type=Path, help="a folder of alignments and trees in place of TreeBASE's")
    args = parser.parse_args()
    data = Path(os.environ.get("LINNET_DATA", "")) / "data" / "protein"
    if not (args.families or "LINNET_DATA" in os.environ):
        print("LINNET_DATA is not set: the folder with the families; or name a folder: --families", file=sys.stderr)
        return 2
    args.work.mkdir(parents=True, exist_ok=True)
    try:
        model = load(args.model)
        if not isinstance(model, ProteinPredictor):
            print(f"{args.model} is no model of proteins", file=sys.stderr)
            return 2
        if args.families:
            families, taxonomy = read_folder(args.families), None
        else:
            names = ("treebase_protein_families.jsonl.gz", "treebase_protein_aln.tsv.gz")
            families, taxonomy = read_treebase(*(data / name for name in names)), KnownTaxa(data)
        results = measured(families, model, taxonomy)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    (args.work / "results.json").write_text(json.dumps({"model": args.model, **results}, indent=1) + "\n")
    (args.work / "results.md").write_text(tables(results))
    print(args.work / "results.md")
    return 0


class KnownTaxa:
    """NCBI's tree of the shared data, asked by taxid, merged ones too."""

    def __init__(self, data: Path) -> None:
        self.tree: Taxonomy = read_taxonomy(data / "ncbi_partial_nodes.tsv.gz")
        with xopen(data / "ncbi_merged.dmp.gz", "rt", threads=0) as file:
            rows = (line.split("\t|")[:2] for line in file)
            self.merged = {int(old): int(new) for old, new in rows}

    def node(self, taxid: int) -> int | None:
        return self.tree.by_taxid(self.merged.get(taxid, taxid))


def measured(families: Iterable[Family], model: ProteinPredictor, known: KnownTaxa | None) -> dict[str, Any]:
    """Of each family and arm the figures, and what they come to."""
    clock, rows = Clock(), list[dict[str, Any]]()
    for number, family in enumerate(families):
        print(f"family trees: {family.name}", file=sys.stderr, flush=True)
        trees, named = of_model(family, model, clock)
        trees |= of_alignment(family, clock, number)
        row: dict[str, Any] = {"family": family.name, "leaves": len(family.leaves), "named": named}
        row["all"] = scored(family.tree, trees, family.leaves)
        nodes = {id: known.node(t) for id, t in zip(family.leaves, family.taxids or (), strict=True)} if known else {}
        leaves = [id for id, node in nodes.items() if node]
        if known and len(leaves) >= max(LEAST_KNOWN, len(family.leaves) / 2):
            started = time.process_time()
            trees["taxonomy"] = lineage_tree({id: known.tree.lineage(nodes[id] or 0) for id in leaves})
            clock.add(["taxonomy"], started)
            row |= {"leaves_known": len(leaves), "known": scored(family.tree, trees, leaves)}
        rows.append(row)
    summary = {name: summed([r[name] for r in rows if r.get(name)], clock) for name in SETS}
    proteins = sum(r["leaves"] for r in rows)
    shares = {arm: sum(r["named"][arm] for r in rows) / proteins for arm in rows[0]["named"]} if rows else {}
    return {"summary": summary, "proteins": proteins, "named": shares, "families": rows}


def of_model(family: Family, model: ProteinPredictor, clock: Clock) -> tuple[dict[str, Tree], dict[str, int]]:
    """The trees of direct lineages and of the model's vectors; how many proteins each kind of lineage names."""
    records = family.records()
    started = time.process_time()
    said = list(model.classify(records, confidence=DEFAULT_CONFIDENCE))
    trees = {"direct": lineage_tree({p.record_id: p.lineage for p in said})}
    trees["cut"] = lineage_tree({p.record_id: p.kept for p in said})
    clock.add(["direct", "cut"], started)
    started = time.process_time()
    vectors = [model.vectors(block) for block in blocks(records, model)]
    trees["vectors"] = neighbour_joining(family.leaves, cosine_distances(np.concatenate(vectors)))
    clock.add(["vectors"], started)
    named = {"direct": sum(bool(p.lineage) for p in said), "cut": sum(bool(p.kept) for p in said)}
    return trees, named


def blocks(records: Sequence[SequenceRecord], model: ProteinPredictor) -> list[Sequence[SequenceRecord]]:
    return [records[at : at + model.block] for at in range(0, len(records), model.block)]


def of_alignment(family: Family, clock: Clock, seed: int) -> dict[str, Tree]:
    """The trees that need no model."""
    makers: dict[str, Callable[[], Tree]] = {
        "hamming": lambda: neighbour_joining(family.leaves, hamming_distances(family.aligned)),
        "random": lambda: random_tree(family.leaves, seed),
    }
    trees = {}
    for arm, make in makers.items():
        started = time.process_time()
        trees[arm] = make()
        clock.add([arm], started)
    return trees


def cosine_distances(vectors_NW: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 (n, n): 1 less the cosine; 1 where a vector is 0."""
    vectors = vectors_NW.astype(float)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    distance = 1 - np.clip(vectors @ vectors.T, -1, 1)
    np.fill_diagonal(distance, 0)
    return np.asarray((distance + distance.T) / 2)


def scored(truth: Tree, trees: dict[str, Tree], leaves: Sequence[str]) -> dict[str, dict[str, float | None]] | None:
    """Of each arm its distance, how many of the splits that could be it has, and how many of these are right.

    None where the published tree has no split of these leaves.
    """
    true = splits(truth, leaves)
    found = {arm: splits(tree, leaves) for arm, tree in trees.items()}
    return {
        arm: {
            "nrf": normalised_rf(true, some),
            "resolved": len(some) / (len(leaves) - 3),
            "right": len(some & true) / len(some) if some else None,
        }
        for arm, some in found.items()
    } if true else None  # fmt: skip


def summed(families: Sequence[dict[str, dict[str, float | None]]], clock: Clock) -> dict[str, dict[str, Any]]:
    """Of each arm the mean over families and so on, with the middle 95 % of draws of families."""
    if not families:
        return {}
    weight_RF = np.concatenate(list(resampled_weights(len(families), RESAMPLES, 0))) / len(families)
    keys = [(arm, key) for arm, figures in families[0].items() for key in figures]
    value = {(arm, key): np.array([f[arm][key] for f in families], float) for arm, key in keys}
    return {
        arm: {
            "families": len(families),
            "nrf": float(value[arm, "nrf"].mean()),
            "interval": percentile_interval(weight_RF @ value[arm, "nrf"]),
            "median": float(np.median(value[arm, "nrf"])),
            "less_random": float((value[arm, "nrf"] - value[RIVAL, "nrf"]).mean()),
            "less_random_interval": percentile_interval(weight_RF @ (value[arm, "nrf"] - value[RIVAL, "nrf"])),
            "resolved": float(value[arm, "resolved"].mean()),
            "right": float(right.mean()) if len(right := _defined(value[arm, "right"])) else None,
            "cpu_s": round(clock.spent[arm], 2),
        }
        for arm in families[0]
    }


def _defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def tables(results: dict[str, Any]) -> str:
    """Everything as Markdown."""
    named = ", ".join(f"{arm} {100 * share:.1f} %" for arm, share in results["named"].items())
    lines = [f"{len(results['families'])} families, {results['proteins']:,} proteins. With a name: {named}."]
    head = ["", "families", "mean nRF (95 %)", "median", "less random (95 %)", "resolved, %", "right, %", "CPU s"]
    for name, title in SETS.items():
        if not (arms := results["summary"][name]):
            continue
        lines += ["", f"## {title}", ""]
        for row in (head, ["---", *["--:"] * (len(head) - 1)], *(_row(arm, f) for arm, f in arms.items())):
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _row(arm: str, found: dict[str, Any]) -> list[str]:
    (low, high), (less, more) = found["interval"], found["less_random_interval"]
    gain = "-" if arm == RIVAL else f"{found['less_random']:+.3f} ({less:+.3f} to {more:+.3f})"
    return [arm, str(found["families"]), f"{found['nrf']:.3f} ({low:.3f} to {high:.3f})", f"{found['median']:.3f}",
            gain, f"{100 * found['resolved']:.0f}",
            "-" if found["right"] is None else f"{100 * found['right']:.0f}", f"{found['cpu_s']:.1f}"]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
