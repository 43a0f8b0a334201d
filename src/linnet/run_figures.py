"""The figures of one model at one rank, published and honest ones side by side, and their spread over runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.answers import Answers
from linnet.metrics import chosen, scores, weighted_precision
from linnet.outcomes import Outcomes
from linnet.ranking import auroc, one_vs_rest, risk_coverage
from linnet.taxon_errors import is_placeholder
from linnet.taxonomy import RANKS, Lineage, canonical


@dataclass(frozen=True)
class Figures:
    """One run at one rank: shares of queries unless said otherwise; None where a figure is not defined.

    The first ten are of every name given, whatever its confidence. Those that end in `_published` are defined as
    papers of the field have them.

    Attributes:
        n: queries whose truth reaches the rank.
        n_unknown: those whose true taxon the reference lacks.
        accuracy, acc_known, ceiling, f1_weighted, f1_macro, ece, ece_debiased, brier: as `metrics.Scores`.
        precision_weighted: as `metrics.weighted_precision`; recall weighted so is the accuracy.
        ece_published: `ece` of queries of known taxa alone.
        n_placeholders: queries whose true name is a placeholder (`taxon_errors.is_placeholder`).
        accuracy_named, accuracy_placeholders: of the queries whose true name is none, or one.
        top1, top3, top5, top10: the true clade is among so many most probable ones of the rank.
        auc_published: `ranking.one_vs_rest` over queries of known taxa; None for more than 100 taxa.
        auroc: chance that a right name is surer than a wrong one, over names given.
        entropy_right, entropy_wrong, entropy_unknown: mean entropy in nats of the rank's distribution where the name
            is right, where it is wrong though the taxon is known, and of queries of unknown taxa.
        aurc: as `ranking.RiskCoverage`.
        cut_coverage, cut_precision, cut_accuracy, cut_mc, cut_uc, cut_oc: `coverage`, `precision` ... of
            `metrics.Scores`, after the cut.
    """

    n: int
    n_unknown: int
    accuracy: float | None
    acc_known: float | None
    ceiling: float | None
    f1_weighted: float | None
    f1_macro: float | None
    precision_weighted: float | None
    ece: float | None
    ece_debiased: float | None
    ece_published: float | None
    brier: float | None
    n_placeholders: int
    accuracy_named: float | None
    accuracy_placeholders: float | None
    top1: float | None
    top3: float | None
    top5: float | None
    top10: float | None
    auc_published: float | None
    auroc: float | None
    entropy_right: float | None
    entropy_wrong: float | None
    entropy_unknown: float | None
    aurc: float | None
    cut_coverage: float | None
    cut_precision: float | None
    cut_accuracy: float | None
    cut_mc: float | None
    cut_uc: float | None
    cut_oc: float | None


@dataclass(frozen=True)
class Spread:
    """A figure over runs: its mean, and its standard deviation (n - 1), None for a single run."""

    mean: float
    sd: float | None


def figures(outcomes: Outcomes, answers: Answers, truth: Mapping[str, Lineage], confidence: float) -> Figures:
    """The figures of one rank.

    Args:
        outcomes: uncut, judged with a reference.
        confidence: the cut of the figures that have one.
    """
    assert outcomes.known is not None
    uncut, cut = scores(outcomes), scores(outcomes.cut(confidence))
    level = RANKS.index(outcomes.rank)
    names = [canonical(truth[query])[level] for query in outcomes.queries]
    placeholder = np.array([taxon is not None and is_placeholder(taxon.name) for taxon in names])
    of_query = {query: i for i, query in enumerate(answers.queries)}
    rows = np.array([of_query[query] for query in outcomes.queries])
    said = answers.ranks[outcomes.rank]
    ahead, entropy, class_ = said.ahead_Q[rows], said.entropy_Q[rows], said.class_Q[rows]
    top = {k: float(((ahead >= 0) & (ahead < k)).mean()) for k in (1, 3, 5, 10)}
    wrong = ~outcomes.right & outcomes.known
    scored = outcomes.classified & ~np.isnan(outcomes.confidence)
    curve = risk_coverage(outcomes)
    readable = (class_ >= 0) & outcomes.known & ~np.isnan(entropy)
    return Figures(
        n=uncut.n,
        n_unknown=int((~outcomes.known).sum()),
        accuracy=uncut.accuracy,
        acc_known=uncut.acc_known,
        ceiling=uncut.ceiling,
        f1_weighted=uncut.f1_weighted,
        f1_macro=uncut.f1_macro,
        precision_weighted=weighted_precision(outcomes),
        ece=uncut.ece,
        ece_debiased=uncut.ece_debiased,
        ece_published=scores(chosen(outcomes, outcomes.known)).ece if outcomes.known.any() else None,
        brier=uncut.brier,
        n_placeholders=int(placeholder.sum()),
        accuracy_named=_mean(outcomes.right, ~placeholder),
        accuracy_placeholders=_mean(outcomes.right, placeholder),
        top1=top[1],
        top3=top[3],
        top5=top[5],
        top10=top[10],
        auc_published=None if said.score_QC is None else one_vs_rest(said.score_QC[rows[readable]], class_[readable]),
        auroc=auroc(outcomes.confidence[scored], outcomes.right[scored]),
        entropy_right=_mean(entropy, outcomes.right & ~np.isnan(entropy)),
        entropy_wrong=_mean(entropy, wrong & ~np.isnan(entropy)),
        entropy_unknown=_mean(entropy, ~outcomes.known & ~np.isnan(entropy)),
        aurc=curve.aurc if curve else None,
        cut_coverage=cut.coverage,
        cut_precision=cut.precision,
        cut_accuracy=cut.accuracy,
        cut_mc=cut.mc,
        cut_uc=cut.uc,
        cut_oc=cut.oc,
    )


def _mean(values: NDArray[Any], which: NDArray[np.bool_]) -> float | None:
    return float(values[which].mean()) if which.any() else None


def spreads(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Spread]]:
    """Means and deviations of the figures that every run has.

    Args:
        runs: of each, by rank, a dataclass of numbers, such as `Figures`.
    """
    found: dict[str, dict[str, Spread]] = {}
    for rank in runs[0]:
        found[rank] = {}
        for item in fields(runs[0][rank]):
            values = [getattr(run[rank], item.name) for run in runs]
            if None not in values:
                sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
                found[rank][item.name] = Spread(float(np.mean(values)), sd)
    return found
