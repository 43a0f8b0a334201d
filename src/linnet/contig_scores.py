"""How well contigs are named: figures over all contigs, by number or by bases.

Figures that get an interval are shares, one sum over contigs divided by another: a bootstrap over genomes needs
only the sums of each genome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.contig_outcomes import RankCalls
from linnet.lineages import bare_name
from linnet.prediction import Prediction
from linnet.significance import bootstrap, percentile_interval
from linnet.taxonomy import Lineage, canonical

Weights = NDArray[np.int64]
"""How much each contig counts: 1, or its bases."""

Shares = Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Figure -> what each of n contigs adds to its numerator and to its denominator, both (n,)."""

PUBLISHED_MINIMUM = 0.80
"""Score that a call has to exceed in TaxDistill's published evaluation."""


@dataclass(frozen=True)
class Figures:
    """Figures of one rank, of contigs or of their bases; None where one is not defined.

    Attributes:
        total: all that are judged.
        with_truth: those whose truth reaches the rank.
        right: named rightly.
        wrong: named wrongly, `beyond_truth` among them.
        beyond_truth: named although the truth ends above the rank.
        missing: not named although the truth reaches the rank.
        precision: right / (right + wrong).
        recall: right / with_truth.
        f1: their harmonic mean, 2 right / (right + wrong + with_truth).
        coverage: (right + wrong) / total.
        macro_precision: mean over the taxa named of the share of their members named so that is right.
        macro_recall: mean over the true taxa of the share of their members that is named rightly.
        macro_f1: mean over the true taxa of 2 right / (named so + true members).
    """

    total: int
    with_truth: int
    right: int
    wrong: int
    beyond_truth: int
    missing: int
    precision: float | None
    recall: float | None
    f1: float | None
    coverage: float | None
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None


@dataclass(frozen=True)
class NovelRetention:
    """Contigs of species that the reference lacks: are they kept where their place can be known?

    Attributes:
        n: such contigs.
        retained: share that is named, rightly down to its last name, and not below the deepest true taxon
            that the reference has.
        exact: share whose last name is that very taxon.
    """

    n: int
    retained: float
    exact: float


@dataclass(frozen=True)
class PublishedF1:
    """Species as TaxDistill's own script scores them; see `published_f1`."""

    correct: int
    wrong: int
    missing: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class PairedDifference:
    """A figure of two sets of calls, `a - b`, resampled together.

    Attributes:
        interval: 95 % percentile interval of the difference; None without resamples, as is the next.
        p_value: two-sided, 2 min(share of resamples <= 0, share >= 0), never below 1 / resamples.
    """

    a: float
    b: float
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None


# ---------------------------------------------------------------------- figures


def figures(calls: RankCalls, weight: Weights) -> Figures:
    """The figures of one rank; `weight` (n,) is ones for contigs, or their bases."""
    o = calls.outcomes
    values = {name: share(part, whole) for name, (part, whole) in call_shares(calls, weight).items()}

    def total(members: NDArray[np.bool_]) -> int:
        return int(weight[members].sum())

    return Figures(
        total=int(weight.sum()),
        with_truth=total(calls.reached),
        right=total(o.right),
        wrong=total(calls.wrong),
        beyond_truth=total(calls.wrong & ~calls.reached),
        missing=total(calls.reached & ~o.classified),
        **values,
        **_macro(calls, weight),
    )


def call_shares(calls: RankCalls, weight: Weights) -> Shares:
    """Precision, recall, F1 and coverage, as `Figures` defines them."""
    right, named = calls.outcomes.right * weight, calls.outcomes.classified * weight
    true = calls.reached * weight
    return {
        "precision": (right, named),
        "recall": (right, true),
        "f1": (2 * right, named + true),
        "coverage": (named, weight),
    }


def absent_shares(calls: RankCalls, weight: Weights) -> Shares:
    """`wrong_on_absent`: of the contigs whose true taxon the reference lacks, those with a wrong name.

    {} where no reference was given.
    """
    if calls.outcomes.known is None:
        return {}
    absent = calls.reached & ~calls.outcomes.known
    return {"wrong_on_absent": ((calls.wrong & absent) * weight, absent * weight)}


def change_shares(before: RankCalls, after: RankCalls, weight: Weights) -> Shares:
    """What became of the names before: `corrected`, wrong ones that are now right; `harmed`, right ones that are
    now wrong; `cut`, right ones that are now missing; `newly_right`, of contigs without a name, those now right.
    """
    was_right, was_wrong, had_none = _states(before)
    right, wrong, none = _states(after)
    return {
        "corrected": ((was_wrong & right) * weight, was_wrong * weight),
        "harmed": ((was_right & wrong) * weight, was_right * weight),
        "cut": ((was_right & none) * weight, was_right * weight),
        "newly_right": ((had_none & right) * weight, had_none * weight),
    }


def transitions(before: RankCalls, after: RankCalls, weight: Weights) -> NDArray[np.int64]:
    """int (3, 3): how many were right, wrong, without a name (rows), and are now (columns)."""
    return np.array([[int(weight[a & b].sum()) for b in _states(after)] for a in _states(before)])


def _states(calls: RankCalls) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    return calls.outcomes.right, calls.wrong, ~calls.outcomes.classified


def share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> float | None:
    """The sum of the one divided by the sum of the other; None where there is nothing to divide by."""
    total = int(whole.sum())
    return int(part.sum()) / total if total else None


def _macro(calls: RankCalls, weight: Weights) -> dict[str, float | None]:
    o = calls.outcomes
    taxa = 1 + max(int(o.true_label.max()), int(o.predicted_label.max()))

    def members(label: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(label[inside], weight[inside], taxa).astype(float)

    true, named = members(o.true_label, calls.reached), members(o.predicted_label, o.classified)
    both = members(o.true_label, o.right)
    return {
        "macro_precision": _mean(both[named > 0] / named[named > 0]),
        "macro_recall": _mean(both[true > 0] / true[true > 0]),
        "macro_f1": _mean(2 * both[true > 0] / (true + named)[true > 0]),
    }


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def precision_coverage_area(calls: RankCalls, weight: Weights) -> float:
    """The area under precision against coverage, as the cut on the confidence falls from 1 to 0.

    It is the mean over contigs of the precision among the names at least as confident as the contig's own; a
    contig without a name adds 0. So it is a step function without interpolation, names of equal confidence come
    in together, and the most that can be reached is the coverage. The confidence is the lowest on the way down
    to the name, which decides a cut; names of a tool that gives none count as 1.
    """
    o = calls.outcomes
    named = np.flatnonzero(o.classified)
    confidence = np.where(np.isnan(o.path_confidence[named]), 1.0, o.path_confidence[named])
    order = named[np.argsort(-confidence, kind="stable")]
    falling = np.sort(confidence)[::-1]
    last_of_tie = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True]) if len(named) else named
    given = np.cumsum(weight[order])[last_of_tie]
    right = np.cumsum(weight[order] * o.right[order])[last_of_tie]
    return float((np.diff(given, prepend=0) * right / given).sum() / weight.sum())


# ---------------------------------------------------------------------- all ranks


def deepest_right(ranks: Mapping[str, RankCalls], n: int) -> dict[str, int]:
    """How many of n contigs are right down to each rank and no further, and to none."""
    deepest = np.zeros(n, np.int64)
    for number, calls in enumerate(ranks.values(), 1):
        deepest[calls.contig[calls.outcomes.right]] = number
    return dict(zip(("none", *ranks), np.bincount(deepest, minlength=len(ranks) + 1).tolist(), strict=True))


def novel_retention(ranks: Mapping[str, RankCalls], n: int) -> NovelRetention | None:
    """Where the calls of contigs of absent species end; None where no reference or no such contig is given."""
    species = ranks.get("species")
    if species is None or species.outcomes.known is None:
        return None
    novel = species.contig[species.reached & ~species.outcomes.known]
    goal, last, good = np.full(n, -1), np.full(n, -1), np.zeros(n, bool)
    for level, calls in enumerate(ranks.values()):
        o = calls.outcomes
        if o.known is None:
            return None
        goal[calls.contig[calls.reached & o.known]] = level  # a reference that has a path has what is above, too
        named = calls.contig[o.classified]
        last[named], good[named] = level, o.right[o.classified]
    if not len(novel):
        return None
    retained, exact = good & (last <= goal), good & (last == goal)
    return NovelRetention(len(novel), float(retained[novel].mean()), float(exact[novel].mean()))


def published_f1(
    calls: Mapping[str, Prediction], truth: Mapping[str, Lineage], minimum: float = PUBLISHED_MINIMUM
) -> PublishedF1:
    """TaxDistill's own score (the script published with its code, May 2026), for comparison with its paper only.

    Species alone. Contigs that the calls leave out are not counted. A call is dropped unless its last score is
    above `minimum`; calls without scores are all kept. Names are equal in lower case with blanks as underscores,
    whatever stands above them. A call where the truth has no species is wrong. N = correct + wrong + missing;
    precision = correct / (correct + wrong), recall = correct / N, F1 = 2 correct / (correct + wrong + N).
    """
    correct = wrong = missing = 0
    for contig in calls.keys() & truth.keys():
        call = calls[contig]
        name = _species(call.lineage)
        if not name or (call.confidence and not call.confidence[-1] > minimum):
            missing += 1
        elif name == _species(truth[contig]):
            correct += 1
        else:
            wrong += 1
    n, named = correct + wrong + missing, correct + wrong
    return PublishedF1(
        correct, wrong, missing,
        correct / named if named else None, correct / n if n else None, 2 * correct / (named + n) if n else None,
    )  # fmt: skip


def _species(lineage: Lineage) -> str:
    taxon = canonical(lineage)[-1]
    return bare_name(taxon.name).lower().replace(" ", "_") if taxon else ""


# ---------------------------------------------------------------------- chance


def resample(
    shares: Shares, genome: NDArray[np.int64], genomes: int, resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Shares over resamples of whole genomes, drawn with replacement: contigs of one genome err together.

    Args:
        genome: int (n,), the genome of each contig, below `genomes`.

    Returns:
        figure -> float (resamples,), NaN where there is nothing to divide by. Equal seeds and genomes draw
        alike, so that the draws of two sets of calls can be subtracted.
    """
    sums_GF = np.column_stack([np.bincount(genome, column, genomes) for pair in shares.values() for column in pair])

    def statistics(weights_RG: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        sums_RF = weights_RG @ sums_GF
        with np.errstate(invalid="ignore", divide="ignore"):
            return dict(zip(shares, (sums_RF[:, ::2] / sums_RF[:, 1::2]).T, strict=True))

    return bootstrap(statistics, genomes, resamples, seed)


def compare(
    a: RankCalls, b: RankCalls, genome: NDArray[np.int64], genomes: int, resamples: int, seed: int
) -> dict[str, PairedDifference]:
    """Precision, recall and F1 of two sets of calls for the same contigs; those not defined for both are left out."""
    one = np.ones(len(a.contig), np.int64)
    of_a, of_b = call_shares(a, one), call_shares(b, one)
    draws_a, draws_b = (resample(shares, genome[a.contig], genomes, resamples, seed) for shares in (of_a, of_b))
    differences = {}
    for name in ("precision", "recall", "f1"):
        value_a, value_b = share(*of_a[name]), share(*of_b[name])
        if value_a is None or value_b is None:
            continue
        draws = draws_a[name] - draws_b[name] if resamples else np.empty(0)
        interval, p = percentile_interval(draws), two_sided_p(draws)
        differences[name] = PairedDifference(value_a, value_b, value_a - value_b, interval, p)
    return differences


def two_sided_p(draws: NDArray[np.float64]) -> float | None:
    """2 min(share of the defined draws <= 0, share >= 0), from 1 / draws to 1; None where none is defined."""
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return None
    p = 2 * min(float((defined <= 0).mean()), float((defined >= 0).mean()))
    return min(1.0, max(p, 1 / len(defined)))
