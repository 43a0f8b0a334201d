"""A protein model, or several runs of one, looked at from all sides on proteins whose taxon is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet import caveats, projection
from linnet.answers import embed, predict
from linnet.errors import UserError
from linnet.lineage_scores import Level, LineageScores, levels, lineage_scores
from linnet.metrics import ReliabilityBin, reliability
from linnet.outcomes import Depths, depths, judge
from linnet.places import Places
from linnet.prediction import DEFAULT_CONFIDENCE, Prediction
from linnet.protein_confusions import Crossings, Sisters, crossings, sisters
from linnet.protein_figures import LineageFigures, Novelty, ProteinFigures, by_references, figures, lineages, novelty
from linnet.protein_groups import Cladogram, Group, cladogram, groups
from linnet.protein_predictor import ProteinPredictor
from linnet.ranking import RiskCoverage, risk_coverage
from linnet.records import SequenceRecord
from linnet.run_figures import Spread, spreads
from linnet.strata import Stratum
from linnet.taxon_errors import Confusion, Kinship, confusions, kinship
from linnet.taxonomy import Lineage, Taxon, Taxonomy, canonical
from linnet.trajectories import Order, Trajectory, trajectory


@dataclass(frozen=True)
class Settings:
    """How to look.

    Attributes:
        confidence: the cut of the figures that have one.
        method: of laying vectors out in a plane.
        order: in which the differences of two orthologues are applied.
        points: on the way from one to the other, at most.
        seed: of all that is drawn.
    """

    confidence: float = DEFAULT_CONFIDENCE
    method: projection.Method = "tsne"
    order: Order = "random"
    points: int = 60
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """A model, or an ensemble that answers as one, or a table of anybody's answers.

    Attributes:
        predictor: the model; None for a table.
        predictions: the table's, by query; of a model {}.
        averaged: it counts in means over runs.
        origin: what it is, as plain values, for the record.
    """

    name: str
    predictor: ProteinPredictor | None
    predictions: Mapping[str, Prediction]
    averaged: bool
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What the runs are asked.

    Attributes:
        taxonomy: the tree that true taxa are of.
        records: N queries, each of its own id.
        nodes: int (N,), the true taxon of each.
        references: int, the taxon of each reference protein.
        pairs: of ids of queries, between which mutations are followed.
    """

    taxonomy: Taxonomy
    records: Sequence[SequenceRecord]
    nodes: NDArray[np.int64]
    references: NDArray[np.int64]
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Plane:
    """Vectors in a plane: queries, and proteins on the ways between orthologues.

    Attributes:
        width: of the vectors.
        x, y: of each query.
        depth: of its true taxon in the tree.
        domain, phylum: '' for none.
        shared: the share of the true path that its uncut answer shares.
        ways: of each trajectory its points' x and y.
    """

    method: str
    width: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    depth: tuple[int, ...]
    domain: tuple[str, ...]
    phylum: tuple[str, ...]
    shared: tuple[float, ...]
    ways: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]


@dataclass(frozen=True)
class ProteinExamination:
    """Everything found. What is of one run is of the first; of one model, of the first model.

    Attributes:
        warnings: sentences on what makes figures mean something else than they seem to (`caveats`).
        runs: by name, what each is.
        counts: queries, references and the like, by what they are.
        figures: by run and rank.
        averaged: the runs that `spread` is over.
        spread: by rank and figure.
        lineages: by run, of its answers whole ('whole') and cut ('kept').
        novelty: of queries of known taxa, and of novel ones.
        references: by rank, strata of the number of references of the true taxon.
        levels: taxa and proteins at each depth of the tree, of 'reference' and 'queries'.
    """

    settings: Settings
    warnings: tuple[str, ...]
    runs: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, int]
    figures: Mapping[str, Mapping[str, ProteinFigures]]
    averaged: tuple[str, ...]
    spread: Mapping[str, Mapping[str, Spread]]
    lineages: Mapping[str, Mapping[str, LineageFigures]]
    novelty: tuple[Novelty, ...]
    references: Mapping[str, tuple[Stratum, ...]]
    groups: tuple[Group, ...]
    levels: Mapping[str, tuple[Level, ...]]
    cladogram: Cladogram
    kinship: Mapping[str, Kinship]
    confusions: Mapping[str, tuple[Confusion, ...]]
    sisters: tuple[Sisters, ...]
    crossings: Crossings
    curves: Mapping[str, RiskCoverage]
    reliability: Mapping[str, tuple[ReliabilityBin, ...]]
    trajectories: tuple[Trajectory, ...]
    plane: Plane | None

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


def examine_proteins(
    runs: Sequence[Run], question: Question, settings: Settings, say: Callable[[str], None] = lambda _: None
) -> ProteinExamination:
    """Look at the runs from all sides.

    Args:
        say: is told what is being done, and each warning.

    Raises:
        UserError: no query has a true taxon at any of the seven ranks.
    """
    tree, nodes = question.taxonomy, question.nodes
    queries = [r.id for r in question.records]
    truth = {query: tree.lineage(node) for query, node in zip(queries, nodes.tolist(), strict=True)}
    known = {tree.lineage(int(node)) for node in np.unique(question.references)} - {()}
    in_reference = tree.clade_counts(question.references)
    novel_N = in_reference[nodes] == 0
    models = {run.name: run.predictor for run in runs if run.predictor}
    warnings = caveats.of_reference(models, known) if models else []
    averaged = {run.name: run.predictor for run in runs if run.averaged and run.predictor}
    warnings += caveats.of_runs(averaged) if averaged else []
    answers = {run.name: _renamed(_answers(run, question.records, say), tree) for run in runs}
    judged = {name: judge(of, truth, known, queries) for name, of in answers.items()}
    first, outcomes = runs[0].name, judged[runs[0].name]
    if not outcomes:
        raise UserError("no query has a true taxon at any rank", expected="true taxa at canonical ranks")
    warnings += caveats.of_unknown(judged)
    for warning in warnings:
        say(f"warning: {warning}")
    places = Places(tree)
    whole = {name: _scores(of, queries, nodes, places, tree) for name, of in answers.items()}
    cut = {name: {q: p.recut(settings.confidence) for q, p in of.items()} for name, of in answers.items()}
    kept = {name: _scores(of, queries, nodes, places, tree, True) for name, of in cut.items()}
    of_run = {n: {rank: figures(o, settings.confidence) for rank, o in of.items()} for n, of in judged.items()}
    in_means = tuple(run.name for run in runs if run.averaged)
    ways, points = _trajectories(runs, question, truth, settings, say)
    said = answers[first]

    def stops(some: Sequence[str]) -> Depths | None:
        return depths(said, truth, known, some, settings.confidence)

    return ProteinExamination(
        settings=settings,
        warnings=tuple(warnings),
        runs={run.name: run.origin for run in runs},
        counts={
            "queries": len(queries),
            "queries without any name": sum(q not in said or not said[q].lineage for q in queries),
            "queries of a taxon that the reference lacks": int(novel_N.sum()),
            "taxa of queries": len(np.unique(nodes)),
            "references": len(question.references),
            "taxa of references": len(np.unique(question.references)),
        },
        figures=of_run,
        averaged=in_means,
        spread=spreads([of_run[name] for name in in_means]),
        lineages={n: {"whole": lineages(whole[n]), "kept": lineages(kept[n])} for n in answers},
        novelty=tuple(
            novelty(label, which, whole[first], kept[first], stops, queries)
            for label, which in (("known", ~novel_N), ("novel", novel_N))
        ),
        references=by_references(tree, dict(zip(queries, nodes.tolist(), strict=True)), in_reference, outcomes),
        groups=groups(queries, truth, novel_N, whole[first], outcomes),
        levels={"reference": levels(tree, in_reference), "queries": levels(tree, tree.clade_counts(nodes))},
        cladogram=cladogram([*truth.values()]),
        kinship={rank: kinship(outcomes, rank) for rank in outcomes},
        confusions={rank: confusions(o, said, truth) for rank, o in outcomes.items()},
        sisters=sisters(outcomes, said, truth),
        crossings=crossings(said, truth, settings.confidence),
        curves={rank: curve for rank, o in outcomes.items() if (curve := risk_coverage(o))},
        reliability={rank: reliability(o) for rank, o in outcomes.items()},
        trajectories=ways,
        plane=_plane(runs, question, truth, whole, points, settings, say),
    )


def _answers(run: Run, records: Sequence[SequenceRecord], say: Callable[[str], None]) -> Mapping[str, Prediction]:
    if run.predictor is None:
        return run.predictions
    say(f"{run.name}: {len(records):,} queries")
    return predict(run.predictor, records)


def _renamed(answers: Mapping[str, Prediction], tree: Taxonomy) -> dict[str, Prediction]:
    """The same answers with ranks and names as this tree has them for their taxids, which outlive names."""

    @cache
    def own(taxon: Taxon) -> Taxon:
        node = tree.by_taxid(taxon.taxid) if taxon.taxid else None
        return tree.taxon(node) if node else taxon

    return {query: replace(p, lineage=tuple(map(own, p.lineage))) for query, p in answers.items()}


def _scores(
    answers: Mapping[str, Prediction], queries: Sequence[str], nodes: NDArray[np.int64], places: Places,
    tree: Taxonomy, kept: bool = False,
) -> LineageScores:  # fmt: skip
    """Of the answers' whole lineages, or of what is kept of them."""
    nothing = Prediction("")
    given = [answers.get(query, nothing) for query in queries]
    placed = np.array([places(p.kept if kept else p.lineage) for p in given], np.int64)
    return lineage_scores(tree, nodes, placed[:, 0], placed[:, 1])


def _trajectories(
    runs: Sequence[Run], question: Question, truth: Mapping[str, Lineage], settings: Settings,
    say: Callable[[str], None],
) -> tuple[tuple[Trajectory, ...], list[list[SequenceRecord]]]:  # fmt: skip
    """The ways of the first model, and the proteins on each."""
    predictor = next((run.predictor for run in runs if run.predictor), None)
    if predictor is None or not question.pairs:
        return (), []
    of_id = {r.id: r for r in question.records}
    found, points = [], []
    for number, (source, target) in enumerate(question.pairs):
        say(f"from {source} to {target}")
        way, records = trajectory(
            predictor, (of_id[source], truth[source]), (of_id[target], truth[target]), order=settings.order,
            seed=settings.seed + number, points=settings.points, confidence=settings.confidence,
        )  # fmt: skip
        found.append(way)
        points.append(records)
    return tuple(found), points


def _plane(
    runs: Sequence[Run],
    question: Question,
    truth: Mapping[str, Lineage],
    whole: Mapping[str, LineageScores],
    points: Sequence[Sequence[SequenceRecord]],
    settings: Settings,
    say: Callable[[str], None],
) -> Plane | None:
    """Queries and the proteins between them, as the first model sees them."""
    run = next((run for run in runs if run.predictor), None)
    if run is None or run.predictor is None:
        return None
    drawn = projection.drawn(len(question.records), settings.seed)
    records = [question.records[i] for i in drawn]
    everything = [*records, *(r for way in points for r in way)]
    say(f"{len(everything):,} vectors by {settings.method}")
    vectors = embed(run.predictor, everything)
    laid = None if vectors is None else projection.project(vectors, settings.method, settings.seed)
    if vectors is None or laid is None:
        return None
    ends = len(records) + np.cumsum([0, *map(len, points)])
    ways = [laid[a:b].T.tolist() for a, b in zip(ends, ends[1:], strict=False)]
    names = [[taxon.name if taxon else "" for taxon in canonical(truth[r.id])[:2]] for r in records]
    return Plane(
        settings.method,
        vectors.shape[1],
        tuple(laid[: len(records), 0].tolist()),
        tuple(laid[: len(records), 1].tolist()),
        tuple(question.taxonomy.depth[question.nodes[drawn]].tolist()),
        tuple(domain for domain, _ in names),
        tuple(phylum for _, phylum in names),
        tuple(whole[run.name].shared_N[drawn].tolist()),
        tuple((tuple(x), tuple(y)) for x, y in ways),
    )
