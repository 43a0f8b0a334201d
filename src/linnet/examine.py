"""A 16S model, or several runs of one, looked at from all sides on queries whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from linnet import caveats, projection
from linnet.answers import ask, embed, predict
from linnet.errors import UserError
from linnet.extract import extract
from linnet.importance import Importance, importance
from linnet.likeness import References
from linnet.metrics import ReliabilityBin, reliability
from linnet.outcomes import Outcomes, judge
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.predictor import Predictor
from linnet.ranking import RiskCoverage, risk_coverage
from linnet.records import SequenceRecord, reverse_complement
from linnet.regions import parse_region
from linnet.run_figures import Figures, Spread, figures, spreads
from linnet.strata import FEW, IDENTITY, REFERENCES, ReferenceCounts, Stratum, reference_counts, stratify
from linnet.taxon_errors import Confusion, Kinship, confusions, kinship
from linnet.taxonomy import RANKS, Lineage, canonical

WHOLE = "full"
"""The 'region' that stands for queries as they are given."""


@dataclass(frozen=True)
class Settings:
    """How to look.

    Attributes:
        confidence: the cut of the figures that have one.
        regions: regions that queries are cut to; `full` leaves them as they are.
        importance: queries whose windows are swapped, at most; 0 leaves that out.
        swaps: how often each window is.
        method: of laying vectors out in a plane.
        seed: of all that is drawn.
    """

    confidence: float = DEFAULT_CONFIDENCE
    regions: tuple[str, ...] = (WHOLE, "V3-V4", "V4")
    importance: int = 500
    swaps: int = 3
    method: projection.Method = "tsne"
    seed: int = 0


@dataclass(frozen=True)
class Model:
    """One run: a model, or an ensemble that answers as one.

    Attributes:
        averaged: it counts in means over runs.
        origin: what it is, as plain values, for the record.
    """

    name: str
    predictor: Predictor
    averaged: bool
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Regions:
    """Every model on the same queries cut to every region.

    Attributes:
        found: by region asked for, the queries that have it.
        used: the regions compared: those that enough queries have.
        queries: how many have all of these, on which accuracies are.
        accuracy: by rank, model and region.
    """

    found: Mapping[str, int]
    used: tuple[str, ...]
    queries: int
    accuracy: Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Plane:
    """Queries' vectors in a plane: where, of which phylum, and whether the genus is right (None: not judged)."""

    method: str
    width: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    phylum: tuple[str, ...]
    genus_right: tuple[bool | None, ...]


@dataclass(frozen=True)
class Examination:
    """Everything found. What is of one model is of the first.

    Attributes:
        settings: as asked.
        warnings: sentences on what makes figures mean something else than they seem to (`caveats`).
        models: by name, what each is.
        counts: queries, references and the like, by what they are.
        figures: by run and rank.
        averaged: the runs that `spread` is over.
        spread: by rank and figure.
        identity: by rank, strata of identity to the nearest reference; None without reference sequences.
        references: by rank, strata of the number of references of the true taxon.
        kinship, confusions, curves, reliability: by rank.
    """

    settings: Settings
    warnings: tuple[str, ...]
    models: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, int]
    figures: Mapping[str, Mapping[str, Figures]]
    averaged: tuple[str, ...]
    spread: Mapping[str, Mapping[str, Spread]]
    identity: Mapping[str, tuple[Stratum, ...]] | None
    references: Mapping[str, tuple[Stratum, ...]]
    regions: Regions | None
    kinship: Mapping[str, Kinship]
    confusions: Mapping[str, tuple[Confusion, ...]]
    curves: Mapping[str, RiskCoverage]
    reliability: Mapping[str, tuple[ReliabilityBin, ...]]
    plane: Plane | None
    importance: Importance | None

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Question:
    """What the models are asked.

    Attributes:
        records: queries, each with a true lineage.
        truth: by query.
        references: lineages by reference id.
        sequences: of references, by id; none where likeness is not asked for.
    """

    records: Sequence[SequenceRecord]
    truth: Mapping[str, Lineage]
    references: Mapping[str, Lineage]
    sequences: Mapping[str, str]


def examine(
    models: Sequence[Model], question: Question, settings: Settings, say: Callable[[str], None] = lambda _: None
) -> Examination:
    """Look at the models from all sides.

    Args:
        say: is told what is being done, and each warning.

    Raises:
        UserError: no query has a true taxon at any rank.
    """
    truth, queries = question.truth, [r.id for r in question.records]
    known = set(question.references.values()) - {()}
    first = models[0]
    warnings = _warnings_before(models, question, known)
    for warning in warnings:
        say(f"warning: {warning}")
    of_run: dict[str, dict[str, Figures]] = {}
    judged: dict[str, dict[str, Outcomes]] = {}
    for model in models:
        say(f"{model.name}: {len(queries):,} queries")
        answers = ask(model.predictor, question.records, truth)
        outcomes = judged[model.name] = judge(answers.predictions, truth, known, queries)
        of_run[model.name] = {r: figures(o, answers, truth, settings.confidence) for r, o in outcomes.items()}
        if model is first:
            first_answers, first_outcomes = answers, outcomes
    if not first_outcomes:
        raise UserError("no query has a true taxon at any rank", expected="true lineages at canonical ranks")
    for warning in (after := caveats.of_unknown(judged)):
        say(f"warning: {warning}")
    strands = {id: p.strand for id, p in first_answers.predictions.items()}
    identity, counts = _identity(question, strands, first_outcomes, say)
    of_reference = ReferenceCounts(question.references.values())
    averaged = tuple(model.name for model in models if model.averaged)
    return Examination(
        settings=settings,
        warnings=(*warnings, *after),
        models={model.name: model.origin for model in models},
        counts={
            "queries": len(queries),
            "queries without any name": sum(not p.lineage for p in first_answers.predictions.values()),
            "references": len(question.references),
            "lineages of references": len(known),
            "queries with the id of a reference": sum(q in question.references for q in queries),
            **counts,
        },
        figures=of_run,
        averaged=averaged,
        spread=spreads([of_run[name] for name in averaged]),
        identity=identity,
        references={
            rank: stratify(o, reference_counts(o, truth, of_reference), REFERENCES)
            for rank, o in first_outcomes.items()
        },
        regions=_regions(models, question, settings.regions, judged, say),
        kinship={rank: kinship(first_outcomes, rank) for rank in first_outcomes},
        confusions={r: confusions(o, first_answers.predictions, truth) for r, o in first_outcomes.items()},
        curves={r: curve for r, o in first_outcomes.items() if (curve := risk_coverage(o))},
        reliability={rank: reliability(o) for rank, o in first_outcomes.items()},
        plane=_plane(first.predictor, question, first_outcomes, settings, say),
        importance=_importance(first.predictor, question, strands, settings, say),
    )


def _warnings_before(models: Sequence[Model], question: Question, known: Collection[Lineage]) -> list[str]:
    """What can be warned of before anything is asked."""
    named = {model.name: model.predictor for model in models}
    return [
        *caveats.of_queries(named, question.records),
        *caveats.of_reference(named, known),
        *caveats.of_runs({model.name: model.predictor for model in models if model.averaged}),
    ]


def _identity(
    question: Question, strands: Mapping[str, str], outcomes: Mapping[str, Outcomes], say: Callable[[str], None]
) -> tuple[dict[str, tuple[Stratum, ...]] | None, dict[str, int]]:
    """Strata by identity to the nearest reference, and what there is to count of it."""
    sequences = [s for id, s in question.sequences.items() if id in question.references]
    if not sequences:
        return None, {}
    say(f"identity to the nearest of {len(sequences):,} references")
    references = References(sequences)
    oriented = [reverse_complement(r.sequence) if strands[r.id] == "-" else r.sequence for r in question.records]
    found = references.identities(oriented)
    either = [i for i, r in enumerate(question.records) if strands[r.id] == "."]
    found[either] = np.maximum(found[either], references.identities([reverse_complement(oriented[i]) for i in either]))
    of_query = {r.id: value for r, value in zip(question.records, found.tolist(), strict=True)}
    strata = {
        rank: stratify(o, np.array([of_query[query] for query in o.queries]), IDENTITY) for rank, o in outcomes.items()
    }
    return strata, {
        "references with a sequence": len(sequences),
        "queries that a reference holds letter by letter, or that hold one": int((found == 1).sum()),
    }


def _regions(
    models: Sequence[Model],
    question: Question,
    regions: Sequence[str],
    whole: Mapping[str, Mapping[str, Outcomes]],
    say: Callable[[str], None],
) -> Regions | None:
    """Accuracy by region; `whole` has each model's outcomes for queries as they are given."""
    cut = {name: question.records if name == WHOLE else _amplicons(question.records, name) for name in regions}
    found = {name: len(records) for name, records in cut.items()}
    used = [name for name, n in found.items() if n >= min(FEW, len(question.records))]
    if not used:
        return Regions(found, (), 0, {}) if regions else None
    shared = set.intersection(*({r.id for r in cut[name]} for name in used))
    accuracy: dict[str, dict[str, dict[str, float]]] = {}
    for name in used:
        records = [r for r in cut[name] if r.id in shared]
        for model in models:
            judged = whole[model.name]
            if name != WHOLE:
                say(f"{model.name}: {len(records):,} queries, {name}")
                judged = judge(predict(model.predictor, records), question.truth, queries=[r.id for r in records])
            for rank, o in judged.items():
                right = [r for query, r in zip(o.queries, o.right.tolist(), strict=True) if query in shared]
                if right:
                    accuracy.setdefault(rank, {}).setdefault(model.name, {})[name] = float(np.mean(right))
    return Regions(found, tuple(used), len(shared), accuracy)


def _amplicons(records: Sequence[SequenceRecord], region: str) -> list[SequenceRecord]:
    return [found.amplicon for found in extract(records, parse_region(region)) if found.amplicon]


def _plane(
    predictor: Predictor,
    question: Question,
    outcomes: Mapping[str, Outcomes],
    settings: Settings,
    say: Callable[[str], None],
) -> Plane | None:
    drawn = projection.drawn(len(question.records), settings.seed)
    records = [question.records[i] for i in drawn]
    vectors_NW = embed(predictor, records)
    if vectors_NW is None:
        return None
    say(f"{len(records):,} vectors by {settings.method}")
    places = projection.project(vectors_NW, settings.method, settings.seed)
    if places is None:
        return None
    genus = outcomes.get("genus")
    right = dict(zip(genus.queries, genus.right.tolist(), strict=True)) if genus else {}
    phyla = [canonical(question.truth[r.id])[RANKS.index("phylum")] for r in records]
    return Plane(
        settings.method,
        vectors_NW.shape[1],
        tuple(places[:, 0].tolist()),
        tuple(places[:, 1].tolist()),
        tuple(taxon.name if taxon else "" for taxon in phyla),
        tuple(right.get(r.id) for r in records),
    )


def _importance(
    predictor: Predictor,
    question: Question,
    strands: Mapping[str, str],
    settings: Settings,
    say: Callable[[str], None],
) -> Importance | None:
    if not settings.importance:
        return None
    say(f"swapping windows of {min(settings.importance, len(question.records)):,} queries")
    return importance(
        predictor, question.records, question.truth, strands,
        most=settings.importance, swaps=settings.swaps, seed=settings.seed,
    )  # fmt: skip
