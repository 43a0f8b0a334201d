"""The scores of finished cells, all by linnet's own evaluation.

In the random split ranks above species are judged on the queries that were drawn uniformly, and species on all
queries whose species is known. A reference is known to a tool if it was among the references that this tool
was given. Every cell is scored uncut and at the tool's customary cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from cells import Bench, Cell, Finished
from judged import Judged
from kept import digest, kept
from operating import operating_points
from peers import TOOLS
from prepare import RANKS, SPLITS, query_parts
from rivals import against_best_peer, beside_peers
from seeds import over_seeds
from threadpoolctl import threadpool_limits

from linnet.evaluate import evaluate
from linnet.formats import load
from linnet.lineages import read_lineages
from linnet.outcomes import depths, judge
from linnet.prediction import Prediction
from linnet.taxonomy import Lineage

SCORED_AS = 1
"""To be raised with every change, here or in linnet's evaluation, that makes other figures of the same predictions:
scores that were kept are then made again."""

RESAMPLES = 1000
WITH_INTERVALS = ("genus", "species")
NOVEL_RANK = {"novel_species": "species", "novel_genus": "genus"}
RANK_ABOVE = {"species": "genus", "genus": "family"}

Predictions = Mapping[str, Prediction]


def score(bench: Bench, cells: Sequence[Finished]) -> dict[str, Any]:
    """Scores of each cell, models over their seeds, and linnet's models beside the other tools."""
    scorer = Scorer(bench)
    with threadpool_limits(limits=1):  # more threads make such small products slower
        found = {f.cell: scorer.found(f) for f in cells}
        rows = [f.record | {"label": f.cell.label, "scores": found[f.cell]["scores"]} for f in cells]
        judged = {
            cell: {rank: Judged.from_json(row) for rank, row in made["judged"].items()} for cell, made in found.items()
        }
        of_split = {split: {c: j for c, j in judged.items() if c.split == split} for split in SPLITS}
        ranks = {"random": WITH_INTERVALS} | {split: (rank,) for split, rank in NOVEL_RANK.items()}
        return {
            "cells": rows,
            "over_seeds": over_seeds(rows),
            "beside_peers": beside_peers(of_split["random"]),
            "against_best_peer": against_best_peer(of_split["random"], WITH_INTERVALS, RESAMPLES),
            "operating_points": [
                point for split in SPLITS for point in operating_points(of_split[split], ranks[split])
            ],
        }


def cuts(tool: str) -> list[float]:
    """The cuts at which a tool is scored; 0 is none."""
    customary = TOOLS[tool].cut
    return [0.0] if customary is None else [0.0, customary]


@dataclass(frozen=True)
class Scorer:
    """Scores cells against one truth, which is read when it is needed."""

    bench: Bench

    @cached_property
    def truth(self) -> Mapping[str, Lineage]:
        return read_lineages(self.bench.data / "taxonomy.tsv").lineages

    def found(self, finished: Finished) -> dict[str, Any]:
        """`scores`: cut, as text -> figures, those of the random split by rank, those of the others by part; `judged`:
        rank -> what became of each query. Kept in the cell's folder until something that they come from is another.
        """
        cell = finished.cell
        files = [
            predictions_file(finished.folder),
            *(self.bench.work / finished.record[name] for name in ("references", "queries")),
            self.bench.data / "taxonomy.tsv",
        ]
        how = [SCORED_AS, RESAMPLES, cell.split, cuts(cell.tool), TOOLS[cell.tool].probability, self._parts(finished)]
        return kept(finished.folder, digest(files, how), lambda: self._found(finished))

    def _found(self, finished: Finished) -> dict[str, Any]:
        cell = finished.cell
        predictions = read_predictions(finished.folder)
        known = {self.truth[i] for i in _ids(self.bench.work / finished.record["references"])}
        score_at, queries = self._random, self._queries_of_rank(finished)
        if cell.split != "random":
            score_at, queries = self._novel, {NOVEL_RANK[cell.split]: list(self._parts(finished))}
        judged = judge(predictions, self.truth, known, queries)
        return {
            "scores": {f"{cut:g}": score_at(finished, predictions, known, cut) for cut in cuts(cell.tool)},
            "judged": {rank: Judged.of(outcomes).to_json() for rank, outcomes in judged.items()},
        }

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

    def _queries_of_rank(self, finished: Finished) -> dict[str, list[str]]:
        parts = self._parts(finished)
        uniform = [i for i, part in parts.items() if part == "uniform"]
        return {rank: list(parts) if rank == "species" else uniform for rank in RANKS}

    def _parts(self, finished: Finished) -> dict[str, str]:
        """What each query is for, of those that have the region."""
        cell = finished.cell
        asked = _ids(self.bench.work / finished.record["queries"])
        return {i: p for i, p in query_parts(self.bench.data, cell.split, cell.queries).items() if i in asked}


def predictions_file(folder: Path) -> Path:
    """Where a cell's predictions lie."""
    own = folder / "predictions.jsonl"
    return own if own.exists() else folder / "predictions.tsv"


def read_predictions(folder: Path) -> Predictions:
    """A cell's predictions by query."""
    path = predictions_file(folder)
    with path.open() as file:
        return {p.record_id: p for p in load("jsonl" if path.suffix == ".jsonl" else "pairs").read(file, str(path))}


@cache
def _ids(path: Path) -> frozenset[str]:
    with path.open() as file:
        return frozenset(line[1:].split()[0] for line in file if line.startswith(">"))


def _without_meaningless(cell: Cell, figures: dict[str, Any]) -> dict[str, Any]:
    """Calibration says nothing of a confidence that is not meant as a probability."""
    if not TOOLS[cell.tool].probability:
        figures |= dict.fromkeys(("ece", "ece_debiased", "brier"))
    return figures
