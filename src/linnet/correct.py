"""Contig labels put right: what a search tool said, weighed against composition, depths and neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from linnet import belief
from linnet.belief import Belief, Weights
from linnet.changes import Change
from linnet.channel import Observed, kinds_of_evidence
from linnet.composition import Contigs, clr
from linnet.depths import Depths
from linnet.errors import UserError, require
from linnet.families import contigs as student
from linnet.families import contigs_published as published
from linnet.label_tree import LEVELS, LabelTree
from linnet.labels import Label
from linnet.neighbours import DEPTH_FLOOR, Neighbours, find_neighbours
from linnet.overlaps import find_overlaps
from linnet.prediction import Prediction, Stopped

Log = Callable[[str], None]
Recipe = Literal["linnet", "taxometer", "taxdistill"]
CUT = 0.53
"""The default: on the simulated sets that settings were chosen on, the cut of highest F1 at which 95 % of the species
names are right and at most 8 % of the contigs of absent species get one (docs/contigs.md)."""
LEAST_CUT = 0.5
"""A cut chosen for a precision is never lower: below it another name may be more probable."""
HIGHEST_CUT = 0.99
"""The highest cut tried for a precision."""
PUBLISHED_CUT = 0.5
"""Where Taxometer and TaxDistill cut."""


WITHOUT = {
    "own label": "the contig's own label does not enter its posterior",
    "neighbours": "the neighbours' labels do not enter the posterior",
    "student": "no student is trained",
    "stops": "no contig is new above a leaf of the labels' tree, for the student nor in the posterior",
    "channel": "labels are taken at their word: nothing is learnt of how they err",
    "cross-fitting": "one student is trained on all contigs and asked about the same ones",
    "composition": "neighbours and student do not see it",
    "depths": "neighbours and student do not see them",
}
"""Parts that can be left out of linnet's way, to see what each gives. Each switch turns one thing off and nothing else:
without the own label or the neighbours' the same taxa are weighed, by a channel learnt with all labels."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How labels are corrected."""

    without: tuple[str, ...] = ()
    """Parts left out, of `WITHOUT`; of linnet's own recipe only."""
    weights: Weights = field(default_factory=Weights)
    student: student.Config = field(default_factory=student.Config)
    published: published.Config = field(default_factory=published.Config)

    def __post_init__(self) -> None:
        for part in self.without:
            require(part in WITHOUT, f"without '{part}'", f"of {', '.join(WITHOUT)}")


@dataclass(frozen=True)
class Correction:
    """The corrected labels of a set of contigs.

    Attributes:
        predictions: one a contig, in their order, cut at `cut`.
        changes: what became of each label.
        cut: the confidence below which names are left out.
        expected: rank -> share of the names kept there that should be right, by their own confidence.
    """

    predictions: list[Prediction]
    changes: list[Change]
    cut: float
    expected: dict[str, float]

    def left_alone(self, id: str, label: Label, reason: str) -> tuple[Prediction, Change]:
        """A contig that was not judged keeps its label, with the mean confidence of those judged at each rank."""
        usual = expected_precision(self.predictions, 0.0)
        sure: list[float] = []
        for taxon in label.lineage:
            sure.append(min(usual.get(taxon.rank, 0.0), *sure[-1:], 1.0))
        novelty = (0.0,) * (len(sure) + 1)
        stopped = Stopped.NAMED if sure else Stopped.UNREADABLE
        kept = Prediction(id, label.lineage, tuple(sure), novelty, len(sure), stopped, reason="" if sure else reason)
        return kept, Change(id, label.lineage, kept, note=f"{reason}: left as it was")


def correct(
    contigs: Contigs,
    labels: Mapping[str, Label],
    depths: Depths | None = None,
    *,
    embeddings_CW: NDArray[np.floating] | None = None,
    recipe: Recipe = "linnet",
    confidence: float | None = None,
    precision: float | None = None,
    config: Config | None = None,
    seed: int = 42,
    threads: int = 1,
    log: Log = lambda _: None,
) -> Correction:
    """Correct the labels of contigs.

    Args:
        labels: by contig; a contig without one has no label.
        depths: rows in the order of the contigs; None: composition alone decides, which is weaker.
        embeddings_CW: float (C, W), a teacher's vector for each contig.
        recipe: linnet's way, or one of the published ones.
        confidence: the cut; None: the recipe's own.
        precision: cut instead so low that such a share of the names kept at each rank should be right.
        threads: answers do not depend on it.

    Raises:
        UserError: none of the labels is of one of the contigs; nothing is left to compare contigs by.
    """
    config = config or Config()
    require(recipe == "linnet" or not config.without, f"recipe {recipe} without {config.without}", "linnet's recipe")
    given = [labels.get(id, Label(id)) for id in contigs.ids]
    if not any(label.lineage for label in given):
        here, there = contigs.ids[0], next(iter(labels), "")
        raise UserError(
            "none of the contigs has a label",
            expected=f"labels of contigs such as '{here}'" + (f", not '{there}'" if there not in ("", here) else ""),
            remedy="Give the contigs that the labels were made of." if there != here else "",
        )
    require(seed >= 0, f"seed {seed}", "0 or more")
    tree = LabelTree([label.lineage for label in given])
    depth_CS = None if depths is None or "depths" in config.without else depths.depth_CS
    if "composition" in config.without:
        if depth_CS is None and embeddings_CW is None:
            raise UserError("neither composition nor depths nor vectors", expected="something to compare contigs by")
        contigs = replace(contigs, tetramers_CV=np.ones((len(contigs), 1), np.float32))  # all of the same composition
    if recipe != "linnet":
        trained = published.train(
            contigs, depth_CS, tree, config.published, seed, threads, embeddings_CW, recipe == "taxdistill", log
        )
        predictions = published.answers(trained.student, trained.features, contigs.ids, tree, trained.leaves)
        cut = _cut(predictions, PUBLISHED_CUT, confidence, precision)
        predictions = [p.recut(cut) for p in predictions]
        changes = [Change(p.record_id, label.lineage, p) for p, label in zip(predictions, given, strict=True)]
        return Correction(predictions, changes, cut, expected_precision(predictions, cut))
    with threadpool_limits(limits=1):  # so that answers do not depend on the number of threads
        observed, neighbours, found = _believe(
            contigs, given, tree, depth_CS, embeddings_CW, config, seed, threads, log
        )
    predictions = belief.lineages(found, observed, contigs.ids)
    alone = not neighbours.same_CK.any()
    if alone:
        log("note: too few labels, or all alike, to tell which contigs are of one genome: they are left as they are")
    cut = _cut(predictions, 0.0 if alone else CUT, confidence, precision)
    predictions = [p.recut(cut) for p in predictions]
    changes = _changes(given, predictions, observed, neighbours, found)
    return Correction(predictions, changes, cut, expected_precision(predictions, cut))


def expected_precision(predictions: Sequence[Prediction], cut: float) -> dict[str, float]:
    """Rank -> mean confidence of the names at least as probable as `cut`."""
    by_rank: dict[str, list[float]] = {}
    for prediction in predictions:
        for taxon, confidence in zip(prediction.lineage, prediction.confidence, strict=True):
            if confidence < cut:
                break
            by_rank.setdefault(taxon.rank, []).append(confidence)
    return {rank: float(np.mean(values)) for rank, values in by_rank.items()}


def lowest_cut(predictions: Sequence[Prediction], precision: float) -> float:
    """The lowest cut, in hundredths from `LEAST_CUT`, at which the expected precision is reached at every rank."""
    for cut in np.arange(LEAST_CUT, 0.995, 0.01):
        if all(p >= precision for p in expected_precision(predictions, float(cut)).values()):
            return round(float(cut), 2)
    return HIGHEST_CUT


def _cut(predictions: Sequence[Prediction], usual: float, confidence: float | None, precision: float | None) -> float:
    if precision is not None:
        return lowest_cut(predictions, precision)
    return usual if confidence is None else confidence


def _believe(
    contigs: Contigs,
    given: Sequence[Label],
    tree: LabelTree,
    depth_CS: NDArray[np.floating] | None,
    embeddings_CW: NDArray[np.floating] | None,
    config: Config,
    seed: int,
    threads: int,
    log: Log,
) -> tuple[Observed, Neighbours, Belief]:
    """Neighbours, channel, student, and what follows of them."""
    off, weights, stops = config.without, config.weights, "stops" not in config.without
    first = None
    if "channel" in off:
        weights, first = replace(weights, rounds=0), belief.labels_at_their_word()
    pieces_C = np.array([label.pieces for label in given])
    support_C = np.array([label.support for label in given])
    observed = Observed(tree, kinds_of_evidence(tree.label_C > 0, pieces_C, support_C, contigs.length_C))
    overlaps = find_overlaps(contigs.sketch_contig, contigs.sketch_hash, len(contigs))
    deepest = tree.taxonomy.end[tree.label_C] == tree.label_C + 1
    group_C = np.where((tree.label_C > 0) & deepest, tree.label_C, -1)
    for _ in range(2):  # what the first neighbours make of the labels shows better how one genome's contigs scatter
        neighbours = find_neighbours(contigs, depth_CS, overlaps, group_C, embeddings_CW, threads)
        known = belief.learn(observed, neighbours, weights, threads, first, stops)
        group_C = belief.believe(observed, neighbours, known, weights, threads).sure_leaves(tree.taxonomy.end)
    if neighbours.same_CK.any():
        log(f"{neighbours.same_CK.sum(1).mean():.1f} contigs of the same genome found for each contig, in the mean")
        share = known.channel.share_T[LEVELS - 1]
        log(f"label channel learnt: {100 * share:.0f} % of the contigs seem to be of species that the labels know")
    ratio_CM = None
    if "student" not in off:
        features_CD = student_features(contigs, depth_CS, embeddings_CW)
        settings = config.student if stops else replace(config.student, stops=False)
        if "cross-fitting" in off:
            settings = replace(settings, cross_fit=False)
        ratio_CM = student.cross_fitted(
            features_CD, observed, known.channel, known.candidate_CM, settings, seed, threads, log
        )
    voters = neighbours
    if "neighbours" in off:
        voters = Neighbours(neighbours.index_CK, np.zeros_like(neighbours.same_CK))
    if "own label" in off:
        weights = replace(weights, own=0.0)
    return observed, neighbours, belief.believe(observed, voters, known, weights, threads, ratio_CM)


def student_features(
    contigs: Contigs, depth_CS: NDArray[np.floating] | None, embeddings_CW: NDArray[np.floating] | None
) -> NDArray[np.float32]:
    """Composition as centred log-ratios, log depths and each sample's share of them, log length, embeddings: all of
    mean 0 and variance 1, (C, D)."""
    parts = [clr(contigs.tetramers_CV), np.log(np.maximum(contigs.length_C, 1))[:, None]]
    if depth_CS is not None:
        parts.append(np.log(depth_CS + DEPTH_FLOOR))
        parts.append(depth_CS / np.maximum(depth_CS.sum(1, keepdims=True), 1e-6))
    if embeddings_CW is not None:
        parts.append(embeddings_CW.astype(np.float64))
    x = np.hstack(parts)
    return np.asarray((x - x.mean(0)) / np.maximum(x.std(0), 1e-6), np.float32)


def _changes(
    given: Sequence[Label],
    predictions: Sequence[Prediction],
    observed: Observed,
    neighbours: Neighbours,
    found: Belief,
) -> list[Change]:
    """What became of each label, and how many of its neighbours' labels agree."""
    tree = observed.tree
    clade_CM = found.clades(tree.taxonomy.end)
    changes = []
    for row, (label, prediction) in enumerate(zip(given, predictions, strict=True)):
        own = int(tree.label_C[row])
        at = np.flatnonzero(found.candidate_CM[row] == own)
        raw = float(clade_CM[row, at[0]]) if len(at) else 0.0
        before = belief.calibrated([int(tree.level_N[own])], [raw])[0] if own else None
        same = neighbours.same_CK[row]
        theirs = tree.label_C[neighbours.index_CK[row]]
        named = theirs > 0
        kept = tree.taxonomy.find(prediction.kept)[0]
        level = tree.common_level(np.array(kept), theirs)
        agrees = named & ((level == tree.level_N[kept]) | (level == tree.level_N[theirs]))
        weight = float(same[named].sum())
        agree = float(same[agrees].sum()) / weight if weight > 0.5 else None
        changes.append(Change(prediction.record_id, label.lineage, prediction, before, float(same.sum()), agree))
    return changes
