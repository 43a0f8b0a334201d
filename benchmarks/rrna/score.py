"""The scores of finished cells, all by linnet's own evaluation.

In the random split ranks above species are judged on the queries that were drawn uniformly, and species on all
queries whose species is known. A reference is known to a tool if it was among the references that this tool
was given. Every cell is scored uncut and at the tool's customary cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cells import Bench, Cell, Finished
from peers import TOOLS
from prepare import RANKS, query_parts
from threadpoolctl import threadpool_limits

from linnet.evaluate import compare, evaluate
from linnet.formats import load
from linnet.lineages import read_lineages
from linnet.outcomes import depths
from linnet.prediction import Prediction
from linnet.taxonomy import Lineage

RESAMPLES = 1000
WITH_INTERVALS = ("genus", "species")
FLOOR = "linnet-commonest"  # what knowing nothing of a query reaches; no rival of anything
NOVEL_RANK = {"novel_species": "species", "novel_genus": "genus"}
RANK_ABOVE = {"species": "genus", "genus": "family"}

Predictions = Mapping[str, Prediction]


def score(bench: Bench, cells: Sequence[Finished]) -> dict[str, Any]:
    """Scores of each cell, and linnet's models beside the best of the other tools."""
    seeds = {f.cell.seed for f in cells} - {None}
    scorer = Scorer(bench, read_lineages(bench.data / "taxonomy.tsv").lineages, len(seeds) > 1)
    with threadpool_limits(limits=1):  # more threads make such small products slower
        return {
            "cells": [f.record | {"label": scorer.label(f.cell), "scores": scorer.scores(f)} for f in cells],
            "against_best_peer": scorer.against_best_peer([f for f in cells if f.cell.split == "random"]),
        }


def cuts(tool: str) -> list[float]:
    """The cuts at which a tool is scored; 0 is none."""
    customary = TOOLS[tool].cut
    return [0.0] if customary is None else [0.0, customary]


@dataclass(frozen=True)
class Scorer:
    """Scores cells against one truth."""

    bench: Bench
    truth: Mapping[str, Lineage]
    several_seeds: bool

    def label(self, cell: Cell) -> str:
        return cell.label if self.several_seeds else cell.tool

    def scores(self, finished: Finished) -> dict[str, Any]:
        """Cut, as text -> figures; those of the random split by rank, those of the others by part."""
        predictions = read_predictions(finished.folder)
        known = self._known(finished)
        judge = self._random if finished.cell.split == "random" else self._novel
        return {f"{cut:g}": judge(finished, predictions, known, cut) for cut in cuts(finished.cell.tool)}

    def _random(self, finished: Finished, predictions: Predictions, known: set[Lineage], cut: float) -> dict[str, Any]:
        queries = self._queries_of_rank(finished)
        few = {rank: queries[rank] for rank in WITH_INTERVALS}
        figures = evaluate(predictions, self.truth, known, queries, cut, resamples=0).to_json()["ranks"]
        figures |= evaluate(predictions, self.truth, known, few, cut, resamples=RESAMPLES).to_json()["ranks"]
        return {rank: _without_meaningless(finished.cell, figures[rank]) for rank in RANKS}

    def _novel(self, finished: Finished, predictions: Predictions, known: set[Lineage], cut: float) -> dict[str, Any]:
        """Queries of taxa that the references lack, and control queries of taxa that they have."""
        rank = NOVEL_RANK[finished.cell.split]
        parts = self._parts(finished)
        novel, control = ([i for i, p in parts.items() if p == part] for part in ("novel", "control"))
        stopped = depths(predictions, self.truth, known, novel, cut)
        of_novel = evaluate(predictions, self.truth, known, novel, cut, resamples=0).ranks
        of_control = evaluate(predictions, self.truth, known, control, cut, resamples=0).ranks[rank].scores
        assert stopped is not None
        return {
            "novel": {
                "n": stopped.n,
                "over_classified": of_novel[rank].scores.oc,
                "right_above": of_novel[RANK_ABOVE[rank]].scores.accuracy,
                "exact": stopped.exact,
                "below": stopped.below,
                "above": stopped.above,
                "wrong_branch": stopped.wrong_branch,
            },
            "control": {
                "n": of_control.n,
                "right": of_control.accuracy,
                "wrong": of_control.mc,
                "unnamed": of_control.uc,
            },
        }

    def against_best_peer(self, cells: Sequence[Finished]) -> list[dict[str, Any]]:
        """For each of linnet's models and each region: the most accurate other tool at genus and at species,
        both uncut, on the same queries.
        """
        groups: dict[tuple[str, str], list[Finished]] = defaultdict(list)
        for finished in cells:
            groups[finished.cell.region, finished.cell.queries].append(finished)
        rows = []
        for group in groups.values():
            peers = [f for f in group if not is_linnet(f.cell)]
            for ours in group:
                if is_linnet(ours.cell) and ours.cell.tool != FLOOR and peers:
                    rows += [self._against_best(ours, peers, rank) for rank in WITH_INTERVALS]
        return rows

    def _against_best(self, ours: Finished, peers: Sequence[Finished], rank: str) -> dict[str, Any]:
        queries = {rank: self._queries_of_rank(ours)[rank]}
        best = max(peers, key=lambda peer: self._accuracy(peer, rank))
        a, b = read_predictions(ours.folder), read_predictions(best.folder)
        found = compare(a, b, self.truth, None, queries, resamples=RESAMPLES).ranks[rank]
        accuracy = found.differences["accuracy"]
        return {
            "tool": ours.cell.tool,
            "model": self.label(ours.cell),
            "region": ours.cell.region,
            "rank": rank,
            "best_peer": best.cell.tool,
            "n": found.n,
            "accuracy": accuracy.a,
            "peer_accuracy": accuracy.b,
            "difference": accuracy.difference,
            "interval": accuracy.interval,
            "model_only": found.mcnemar.a_only,
            "peer_only": found.mcnemar.b_only,
            "p_value": found.mcnemar.p_value,
        }

    def _accuracy(self, finished: Finished, rank: str) -> float:
        queries = {rank: self._queries_of_rank(finished)[rank]}
        predictions = read_predictions(finished.folder)
        found = evaluate(predictions, self.truth, None, queries, resamples=0).ranks[rank].scores.accuracy
        return found or 0.0

    def _queries_of_rank(self, finished: Finished) -> dict[str, list[str]]:
        parts = self._parts(finished)
        uniform = [i for i, part in parts.items() if part == "uniform"]
        return {rank: list(parts) if rank == "species" else uniform for rank in RANKS}

    def _parts(self, finished: Finished) -> dict[str, str]:
        """What each query is for, of those that have the region."""
        cell = finished.cell
        asked = _ids(self.bench.work / finished.record["queries"])
        return {i: p for i, p in query_parts(self.bench.data, cell.split, cell.queries).items() if i in asked}

    def _known(self, finished: Finished) -> set[Lineage]:
        return {self.truth[i] for i in _ids(self.bench.work / finished.record["references"])}


@cache
def read_predictions(folder: Path) -> Predictions:
    """A cell's predictions by query."""
    path = folder / "predictions.jsonl"
    form = "jsonl" if path.exists() else "pairs"
    path = path if path.exists() else folder / "predictions.tsv"
    with path.open() as file:
        return {p.record_id: p for p in load(form).read(file, str(path))}


@cache
def _ids(path: Path) -> frozenset[str]:
    with path.open() as file:
        return frozenset(line[1:].split()[0] for line in file if line.startswith(">"))


def is_linnet(cell: Cell) -> bool:
    return cell.tool.startswith("linnet")


def _without_meaningless(cell: Cell, figures: dict[str, Any]) -> dict[str, Any]:
    """Calibration says nothing of a confidence that is not meant as a probability."""
    if not TOOLS[cell.tool].probability:
        figures |= dict.fromkeys(("ece", "ece_debiased", "brier"))
    return figures
