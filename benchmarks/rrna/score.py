"""The scores of finished cells, all by linnet's own evaluation.

In the random split ranks above species are judged on the queries that were drawn uniformly, and species on all
queries whose species is known. A reference is known to a tool if it was among the references that this tool
was given. Every cell is scored uncut and at the tool's customary cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cells import Bench, Cell, Finished
from kept import digest, kept
from operating import operating_points
from peers import TOOLS
from prepare import RANKS, query_parts
from rivals import against_best_peer, beside_peers
from seeds import over_seeds
from threadpoolctl import threadpool_limits

from linnet.evaluate import evaluate
from linnet.formats import load
from linnet.lineages import read_lineages
from linnet.outcomes import Outcomes, depths, judge
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
    truth = read_lineages(bench.data / "taxonomy.tsv").lineages
    references = {f.record["references"] for f in cells}
    scorer = Scorer(bench, truth, {name: frozenset(truth[i] for i in _ids(bench.work / name)) for name in references})
    with threadpool_limits(limits=1):  # more threads make such small products slower
        rows = [f.record | {"label": f.cell.label, "scores": scorer.scores(f)} for f in cells]
        judged = {f.cell: scorer.outcomes(f) for f in cells}
        random = {cell: outcomes for cell, outcomes in judged.items() if cell.split == "random"}
        return {
            "cells": rows,
            "over_seeds": over_seeds(rows),
            "beside_peers": beside_peers(random),
            "against_best_peer": against_best_peer(random, WITH_INTERVALS, RESAMPLES),
            "operating_points": [
                *operating_points(random, WITH_INTERVALS),
                *(
                    point
                    for split, rank in NOVEL_RANK.items()
                    for point in operating_points({c: o for c, o in judged.items() if c.split == split}, [rank])
                ),
            ],
        }


def cuts(tool: str) -> list[float]:
    """The cuts at which a tool is scored; 0 is none."""
    customary = TOOLS[tool].cut
    return [0.0] if customary is None else [0.0, customary]


@dataclass(frozen=True)
class Scorer:
    """Scores cells against one truth.

    Attributes:
        known: the lineages of each file of references.
    """

    bench: Bench
    truth: Mapping[str, Lineage]
    known: Mapping[str, frozenset[Lineage]]

    def scores(self, finished: Finished) -> dict[str, Any]:
        """Cut, as text -> figures; those of the random split by rank, those of the others by part. Kept in the
        cell's folder until something that they depend on is another.
        """
        cell = finished.cell
        made_of = [
            predictions_file(finished.folder),
            *(self.bench.work / finished.record[name] for name in ("references", "queries")),
            self.bench.data / "taxonomy.tsv",
        ]
        how = [SCORED_AS, RESAMPLES, cell.split, cuts(cell.tool), TOOLS[cell.tool].probability, self._parts(finished)]
        return kept(finished.folder, digest(made_of, how), lambda: self._scores(finished))

    def _scores(self, finished: Finished) -> dict[str, Any]:
        predictions = read_predictions(finished.folder)
        known = self.known[finished.record["references"]]
        judge_at = self._random if finished.cell.split == "random" else self._novel
        return {f"{cut:g}": judge_at(finished, predictions, known, cut) for cut in cuts(finished.cell.tool)}

    def outcomes(self, finished: Finished) -> dict[str, Outcomes]:
        """What became of every query that is judged, uncut: at all ranks in the random split, else at the one that
        the split is about.
        """
        split = finished.cell.split
        known = self.known[finished.record["references"]]
        queries = self._queries_of_rank(finished)
        if split != "random":
            queries = {NOVEL_RANK[split]: list(self._parts(finished))}
        return judge(read_predictions(finished.folder), self.truth, known, queries)

    def _random(
        self, finished: Finished, predictions: Predictions, known: frozenset[Lineage], cut: float
    ) -> dict[str, Any]:
        queries = self._queries_of_rank(finished)
        few = {rank: queries[rank] for rank in WITH_INTERVALS}
        figures = evaluate(predictions, self.truth, known, queries, cut, resamples=0).to_json()["ranks"]
        figures |= evaluate(predictions, self.truth, known, few, cut, resamples=RESAMPLES).to_json()["ranks"]
        return {rank: _without_meaningless(finished.cell, figures[rank]) for rank in RANKS}

    def _novel(
        self, finished: Finished, predictions: Predictions, known: frozenset[Lineage], cut: float
    ) -> dict[str, Any]:
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


@cache
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
