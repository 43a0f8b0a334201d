"""Contigs' labels against a gold standard: figures with intervals per rank, two tools compared, a table to read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet import formats, metrics
from linnet.columns import aligned
from linnet.contig_outcomes import RankCalls, judge_contigs
from linnet.contig_scores import (
    Figures,
    NovelRetention,
    PairedDifference,
    PublishedF1,
    Shares,
    absent_shares,
    call_shares,
    change_shares,
    compare,
    deepest_right,
    figures,
    novel_retention,
    precision_coverage_area,
    published_f1,
    resample,
    share,
    transitions,
)
from linnet.errors import UserError
from linnet.gold_standard import GoldStandard
from linnet.inputs import open_text
from linnet.labels import predictions, read_labels
from linnet.prediction import Prediction
from linnet.significance import percentile_interval
from linnet.taxonomy import Lineage, Taxonomy

Interval = tuple[float, float]

_STATES = ("right", "wrong", "none")
"""What a contig can be at a rank, in the order of `linnet.contig_scores.transitions`."""


@dataclass(frozen=True)
class Change:
    """What became of the names that the contigs had before; shares are None where there is nothing to share.

    Attributes:
        corrected: of names that were wrong, those now right.
        harmed: of names that were right, those now wrong.
        cut: of names that were right, those now missing.
        newly_right: of contigs without a name, those that now have a right one.
        transitions: contigs by what they were before, then by what they are now: right, wrong, none.
    """

    corrected: float | None
    harmed: float | None
    cut: float | None
    newly_right: float | None
    transitions: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class RankContigs:
    """One rank.

    Attributes:
        contigs: figures of contigs, after the cut, as is everything but `area`.
        bases: the same of their bases; None where lengths are not known.
        intervals: figure of contigs -> 95 % interval of a bootstrap over genomes.
        base_intervals: the same of precision, recall, F1 and coverage of bases; empty where `bases` is None.
        ece: gap between confidence and the share right, over 10 bins; see `linnet.metrics`.
        ece_debiased: the same, less what chance alone adds to it.
        area: under precision against coverage, over all cuts; see `precision_coverage_area`.
        reliability: confidence against accuracy in bins.
        absent: contigs whose true taxon the reference lacks; None without a reference.
        wrong_on_absent: share of those with a wrong name.
        change: against the names before; None where none were given.
    """

    contigs: Figures
    bases: Figures | None
    intervals: Mapping[str, Interval]
    base_intervals: Mapping[str, Interval]
    ece: float | None
    ece_debiased: float | None
    area: float
    reliability: tuple[metrics.ReliabilityBin, ...]
    absent: int | None
    wrong_on_absent: float | None
    change: Change | None


@dataclass(frozen=True)
class ContigEvaluation:
    """One set of calls for the contigs of a gold standard.

    Attributes:
        contigs: how many are judged: all that have a truth, with a call or without.
        without_truth: contigs of the list that the gold standard says nothing of; they are not judged.
        bases: of the contigs judged; None where lengths are not known.
        genomes: how many the bootstrap draws from; contigs of no named genome go by their true lineage.
        minimum: the cut on confidence, 0 for none.
        ranks: those that some truth reaches, general to specific.
        deepest_right: contigs that are right down to each rank and no further, and to none.
        novel: contigs of species that the reference lacks; None without such or without one.
        published: the species score of TaxDistill's own script, of the uncut calls.
    """

    contigs: int
    without_truth: int
    bases: int | None
    genomes: int
    minimum: float
    resamples: int
    seed: int
    ranks: Mapping[str, RankContigs]
    deepest_right: Mapping[str, int]
    novel: NovelRetention | None
    published: PublishedF1

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


@dataclass(frozen=True)
class ContigComparison:
    """Two sets of calls, a and b, for the same contigs. The p-values are not corrected for the number of ranks.

    Attributes:
        minima: the cuts of a and of b.
        genomes: how many the bootstrap draws from.
        ranks: rank -> figure -> difference.
    """

    minima: tuple[float, float]
    contigs: int
    genomes: int
    resamples: int
    seed: int
    ranks: Mapping[str, Mapping[str, PairedDifference]]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Judged:
    """The contigs that have a truth: ids, int (n,) bases or None, int (n,) genomes, and how many those are.

    Contigs of no named genome go by their true lineage.
    """

    contigs: list[str]
    without_truth: int
    bases: NDArray[np.int64] | None
    genome: NDArray[np.int64]
    genomes: int


def evaluate_contigs(
    calls: Mapping[str, Prediction],
    gold: GoldStandard,
    lengths: Mapping[str, int] | None = None,
    before: Mapping[str, Prediction] | None = None,
    known: Collection[Lineage] | None = None,
    minimum: float = 0.0,
    resamples: int = 1000,
    seed: int = 0,
) -> ContigEvaluation:
    """The figures of one set of calls.

    Args:
        calls: by contig; a contig without one has no name. Whole lineages, whatever their own cut.
        lengths: the contigs to be judged, in bases; None: all of the gold standard.
        before: the labels that the calls were made from, whole.
        known: lineages of the reference; None: the figures of absent taxa are None.
        minimum: names are used down to the first rank whose confidence is below; 0: all.
        resamples: of the bootstrap over genomes; 0: no intervals.

    Raises:
        UserError: none of the contigs has a truth.
    """
    judged = select(gold, lengths)
    uncut = judge_contigs(calls, gold.lineages, judged.contigs, known)
    earlier = None if before is None else judge_contigs(before, gold.lineages, judged.contigs)
    after = {rank: found.cut(minimum) for rank, found in uncut.items()}
    ranks = {
        rank: _evaluate_rank(uncut[rank], found, earlier[rank] if earlier else None, judged, resamples, seed)
        for rank, found in after.items()
    }
    n = len(judged.contigs)
    return ContigEvaluation(
        contigs=n,
        without_truth=judged.without_truth,
        bases=None if judged.bases is None else int(judged.bases.sum()),
        genomes=judged.genomes,
        minimum=minimum,
        resamples=resamples,
        seed=seed,
        ranks=ranks,
        deepest_right=deepest_right(after, n),
        novel=novel_retention(after, n),
        published=published_f1(calls, {contig: gold.lineages[contig] for contig in judged.contigs}),
    )


def compare_contigs(
    a: Mapping[str, Prediction],
    b: Mapping[str, Prediction],
    gold: GoldStandard,
    lengths: Mapping[str, int] | None = None,
    minima: tuple[float, float] = (0.0, 0.0),
    resamples: int = 1000,
    seed: int = 0,
) -> ContigComparison:
    """Two sets of calls for the same contigs: precision, recall and F1 subtracted, genomes resampled in pairs.

    Args:
        minima: the cut of `a` and of `b`; tools scale their confidence differently.

    Raises:
        UserError: as `evaluate_contigs`.
    """
    judged = select(gold, lengths)
    of_a, of_b = (
        {rank: found.cut(cut) for rank, found in judge_contigs(calls, gold.lineages, judged.contigs).items()}
        for calls, cut in zip((a, b), minima, strict=True)
    )
    ranks = {rank: compare(of_a[rank], of_b[rank], judged.genome, judged.genomes, resamples, seed) for rank in of_a}
    return ContigComparison(minima, len(judged.contigs), judged.genomes, resamples, seed, ranks)


def table(evaluation: ContigEvaluation) -> str:
    """The figures as text, ranks as rows."""
    columns = [c for c in _COLUMNS if any(c.cell(rank) != "-" for rank in evaluation.ranks.values())]
    rows = [["rank", *(c.title for c in columns)]]
    rows += [[rank, *(c.cell(found) for c in columns)] for rank, found in evaluation.ranks.items()]
    lines = aligned(rows)
    e, found = evaluation, evaluation.novel
    lines += ["", "Right down to: " + ", ".join(f"{rank} {count:,}" for rank, count in e.deepest_right.items()) + "."]
    if found:
        lines.append(
            f"Of {found.n:,} contigs of species that the reference lacks, {100 * found.retained:.1f} % keep a right "
            f"name that ends\nwhere the reference does or above, {100 * found.exact:.1f} % exactly there."
        )
    if e.published.f1 is not None:
        lines.append(
            f"TaxDistill's own script (species, score > 0.80, only contigs with a row): F1 {e.published.f1:.4f}."
        )
    size = "" if e.bases is None else f" of {e.bases / 1e6:,.1f} Mbp"
    cut = f"cut at confidence {e.minimum:g}" if e.minimum > 0 else "no cut"
    lines.append(f"{e.contigs:,} contigs{size} of {e.genomes:,} genomes, {cut}.")
    if e.without_truth:
        lines.append(f"Not judged, for want of a truth: {e.without_truth:,} more.")
    return "\n".join(lines)


def differences(comparison: ContigComparison) -> str:
    """The differences as text, a line a rank and figure."""
    lines = []
    for rank, found in comparison.ranks.items():
        for name, d in found.items():
            interval = "" if d.interval is None else f" ({100 * d.interval[0]:+.1f} to {100 * d.interval[1]:+.1f})"
            p = "" if d.p_value is None else f"  p = {d.p_value:.2g}"
            lines.append(f"  {rank:8} {name:9} {100 * d.difference:+.1f}{interval}{p}")
    return "\n".join(lines)


def explanation() -> str:
    """What the columns of `table` mean."""
    width = max(len(c.title) for c in _COLUMNS)
    lines = (f"  {c.title.ljust(width)}  {c.meaning}" for c in _COLUMNS)
    return "\n".join(
        ["All but true and area are per cent; - is not defined, and columns without figures are left out.", *lines]
    )


def _percent(value: float | None, interval: Interval | None = None) -> str:
    if value is None:
        return "-"
    text = f"{100 * value:.1f}"
    return text if interval is None else f"{text} ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})"


@dataclass(frozen=True)
class _Column:
    title: str
    meaning: str
    cell: Callable[[RankContigs], str]


_COLUMNS = (
    _Column("true", "contigs whose true lineage reaches this rank", lambda r: str(r.contigs.with_truth)),
    _Column("precision", "of the names given, those right with the whole path above; a name below the end of the "
            "truth is wrong", lambda r: _percent(r.contigs.precision)),
    _Column("recall", "of the contigs whose truth reaches the rank, those named rightly",
            lambda r: _percent(r.contigs.recall)),
    _Column("F1", "harmonic mean of the two (95 % interval, genomes resampled)",
            lambda r: _percent(r.contigs.f1, r.intervals.get("f1"))),
    _Column("bases F1", "the same, each contig counting as many times as it has bases",
            lambda r: _percent(r.bases.f1 if r.bases else None)),
    _Column("macro F1", "mean over the true taxa", lambda r: _percent(r.contigs.macro_f1)),
    _Column("coverage", "of all contigs, those named, rightly or wrongly", lambda r: _percent(r.contigs.coverage)),
    _Column("beyond", "of all contigs, those named although their truth ends above this rank",
            lambda r: _percent(r.contigs.beyond_truth / r.contigs.total if r.contigs.beyond_truth else None)),
    _Column("ECE", "gap between confidence and the share right, less what chance adds",
            lambda r: _percent(r.ece_debiased)),
    _Column("area", "under precision against coverage, over all cuts", lambda r: f"{r.area:.3f}"),
    _Column("absent", "of the contigs whose true taxon the reference lacks, those with a wrong name",
            lambda r: _percent(r.wrong_on_absent)),
    _Column("corrected", "of the names that were wrong before, those now right",
            lambda r: _percent(r.change.corrected if r.change else None)),
    _Column("harmed", "of the names that were right before, those now wrong",
            lambda r: _percent(r.change.harmed if r.change else None)),
    _Column("cut", "of the names that were right before, those now missing",
            lambda r: _percent(r.change.cut if r.change else None)),
    _Column("new", "of the contigs without a name before, those now named rightly",
            lambda r: _percent(r.change.newly_right if r.change else None)),
)  # fmt: skip


def select(gold: GoldStandard, lengths: Mapping[str, int] | None) -> Judged:
    """The contigs of a list that have a truth; without a list, all that have one.

    Raises:
        UserError: none has.
    """
    asked = gold.lineages if lengths is None else lengths
    contigs = [contig for contig in asked if contig in gold.lineages]
    if not contigs:
        raise UserError(
            "none of the contigs has a true lineage",
            expected="a gold standard with the ids of the contigs, and with their lineages or taxids",
            remedy=f"One of the contigs is '{next(iter(asked))}'." if asked else "",
        )
    of_contig = gold.lengths if lengths is None else lengths
    measured = all(contig in of_contig for contig in contigs)
    number: dict[str | Lineage, int] = {}
    genome = [number.setdefault(gold.genomes.get(c, gold.lineages[c]), len(number)) for c in contigs]
    return Judged(
        contigs,
        len(asked) - len(contigs),
        np.array([of_contig[contig] for contig in contigs], np.int64) if measured else None,
        np.array(genome, np.int64),
        len(number),
    )


def _evaluate_rank(
    uncut: RankCalls, after: RankCalls, before: RankCalls | None, judged: Judged, resamples: int, seed: int
) -> RankContigs:
    one = np.ones(len(after.contig), np.int64)
    changes = {} if before is None else change_shares(before, after, one)
    absent = absent_shares(after, one)
    shares = {**call_shares(after, one), **absent, **changes}
    intervals = _intervals(shares, after, judged, resamples, seed)
    bases = None if judged.bases is None else judged.bases[after.contig]
    scores = metrics.scores(after.outcomes)
    change = None
    if before is not None:
        counts = {
            was: dict(zip(_STATES, row, strict=True))
            for was, row in zip(_STATES, transitions(before, after, one).tolist(), strict=True)
        }
        change = Change(**{name: share(*pair) for name, pair in changes.items()}, transitions=counts)
    return RankContigs(
        contigs=figures(after, one),
        bases=None if bases is None else figures(after, bases),
        intervals=intervals,
        base_intervals={} if bases is None else _intervals(call_shares(after, bases), after, judged, resamples, seed),
        ece=scores.ece,
        ece_debiased=scores.ece_debiased,
        area=precision_coverage_area(uncut, one),
        reliability=metrics.reliability(after.outcomes),
        absent=int(absent["wrong_on_absent"][1].sum()) if absent else None,
        wrong_on_absent=share(*absent["wrong_on_absent"]) if absent else None,
        change=change,
    )


def _intervals(shares: Shares, calls: RankCalls, judged: Judged, resamples: int, seed: int) -> dict[str, Interval]:
    draws = resample(shares, judged.genome[calls.contig], judged.genomes, resamples, seed)
    return {name: found for name, values in draws.items() if (found := percentile_interval(values))}


def read_calls(path: Path, contigs: Collection[str], taxonomy: Taxonomy | None = None) -> dict[str, Prediction]:
    """One of linnet's tables, or what a search tool wrote.

    Raises:
        UserError: neither, or none of the contigs is in it.
    """
    with open_text(path, "a table of labels") as file:
        head = next((line.rstrip("\r\n") for line in file if line.strip()), "")
    if any(formats.load(name).recognises(head) for name in ("jsonl", "tsv", "csv", "taxometer")):
        calls = formats.read_predictions(path)
    else:
        calls = predictions(read_labels(path, taxonomy))
    if not any(contig in calls for contig in contigs):
        raise UserError("has none of the contigs", where=str(path), expected=f"ids such as '{next(iter(contigs))}'")
    return calls
