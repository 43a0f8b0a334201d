"""Corrected labels of contigs looked at from all sides, beside the labels they were made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from linnet.contig_curves import DEEP, Curve, LengthBin, by_length, curve
from linnet.contig_evaluation import ContigComparison, ContigEvaluation, compare_contigs, evaluate_contigs, select
from linnet.contig_examples import Example, Known, most_harmful, surest
from linnet.contig_fates import Judgement, Novel, Standing, judgements, novel
from linnet.contig_outcomes import judge_contigs
from linnet.contig_transitions import Amount, Case, Reason, Transitions, compared, kinds, reasons, transitions
from linnet.gold_standard import GoldStandard
from linnet.prediction import Prediction
from linnet.run_times import RunTime, Scaling, scaling, volume
from linnet.taxonomy import RANKS, Lineage, canonical

BEFORE = "before"
"""What the labels that were corrected are called among the tables."""


@dataclass(frozen=True)
class Settings:
    """How to look.

    Attributes:
        confidence: names below it are left out first; None: the tables' own cut.
        resamples: of the bootstrap over genomes.
        seed: of the bootstrap.
    """

    confidence: float | None = None
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Question:
    """What is looked at.

    Attributes:
        lengths: all contigs, in bases.
        before: the labels that were corrected.
        after: by name, corrected labels or other tools'; what is of one table is of the first.
        reasons: by contig; may be empty.
        gold: the truth, if known.
        known: lineages of the reference, if known.
        runs: how long runs took; may be empty.
    """

    lengths: Mapping[str, int]
    before: Mapping[str, Prediction]
    after: Mapping[str, Mapping[str, Prediction]]
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    gold: GoldStandard | None = None
    known: Collection[Lineage] | None = None
    runs: Sequence[RunTime] = ()


@dataclass(frozen=True)
class ContigExamination:
    """Everything found. What is of one table is of the first; what needs a truth is empty without one.

    Attributes:
        counts: contigs, labels and the like, by what they are.
        tables: by name, before and after: kept names at each rank.
        transitions: by rank.
        kinds: what became of whole labels.
        judged: by kind.
        reasons: kind and reason, commonest first, as amounts.
        surest: the most confident moves.
        most_harmful: right labels made wrong, at the highest ranks first, then the longest contigs.
        evaluations: by table, `before` first.
        differences: by table, less `before`.
        lengths: from short to long.
        curves: rank -> table.
        novel: by NOVELTY; needs a reference, too.
        runs: as given.
        volume: what `scaling` is by: bases or contigs.
        scaling: by tool and threads.
    """

    settings: Settings
    counts: Mapping[str, int]
    tables: Mapping[str, Mapping[str, int]]
    transitions: Mapping[str, Transitions]
    kinds: Mapping[str, Amount]
    judged: Mapping[str, Judgement]
    reasons: Sequence[tuple[str, str, Amount]]
    surest: Sequence[Example]
    most_harmful: Sequence[Example]
    evaluations: Mapping[str, ContigEvaluation]
    differences: Mapping[str, ContigComparison]
    lengths: Sequence[LengthBin]
    curves: Mapping[str, Mapping[str, Curve]]
    novel: Mapping[str, Novel]
    runs: Sequence[RunTime]
    volume: str
    scaling: Mapping[str, Scaling]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


def examine_contigs(
    question: Question, settings: Settings, say: Callable[[str], None] = lambda _: None
) -> ContigExamination:
    """Look at the tables from all sides.

    Args:
        say: is told what is being done.

    Raises:
        UserError: a truth is given, and none of the contigs has one.
    """
    whole = {BEFORE: question.before, **question.after}
    kept = {name: _kept(table, None if name == BEFORE else settings.confidence) for name, table in whole.items()}
    first = next(iter(question.after))
    cases = compared(question.lengths, kept[BEFORE], kept[first])
    truth = question.gold.lineages if question.gold else {}
    known = Known(kept[first], question.reasons, truth)
    by_volume = volume(question.runs)
    found = ContigExamination(
        settings=settings,
        counts={
            "contigs": len(cases),
            "bases": sum(case.bases for case in cases),
            "contigs with a label before": sum(any(case.old) for case in cases),
            "contigs with a label after": sum(any(case.new) for case in cases),
            f"rows of {first} that are of no contig": sum(c not in question.lengths for c in question.after[first]),
        },
        tables={name: _named(table, question.lengths) for name, table in kept.items()},
        transitions=transitions(cases),
        kinds=kinds(cases),
        judged={},
        reasons=reasons(cases, question.reasons),
        surest=surest(cases, known),
        most_harmful=(),
        evaluations={},
        differences={},
        lengths=(),
        curves={},
        novel={},
        runs=question.runs,
        volume=by_volume,
        scaling=_scaling(question.runs, by_volume),
    )
    drawn = (settings.resamples, settings.seed)
    if question.gold is None:
        return replace(found, lengths=by_length(kept, question.lengths, None, None, *drawn))
    return replace(found, **_with_truth(found.counts, question, question.gold, whole, kept, cases, known, drawn, say))


def _with_truth(
    counts: Mapping[str, int],
    question: Question,
    gold: GoldStandard,
    whole: Mapping[str, Mapping[str, Prediction]],
    kept: Mapping[str, Mapping[str, Prediction]],
    cases: Sequence[Case],
    known: Known,
    drawn: tuple[int, int],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What needs a truth, by its name in `ContigExamination`."""
    chosen = select(gold, question.lengths)
    evaluations, differences, calls = {}, {}, {}
    curves: dict[str, dict[str, Curve]] = {rank: {} for rank in DEEP}
    for name, table in kept.items():
        say(f"{name}: figures of {len(chosen.contigs):,} contigs with a truth")
        before = None if name == BEFORE else kept[BEFORE]
        evaluations[name] = evaluate_contigs(
            table, gold, question.lengths, before, question.known, resamples=drawn[0], seed=drawn[1]
        )
        if before is not None:
            differences[name] = compare_contigs(
                table, before, gold, question.lengths, resamples=drawn[0], seed=drawn[1]
            )
        calls[name] = judge_contigs(table, gold.lineages, chosen.contigs, question.known)
        uncut = judge_contigs(whole[name], gold.lineages, chosen.contigs)
        for rank in DEEP:
            if rank in uncut:
                curves[rank][name] = curve(uncut[rank])
    of_contig = {case.contig: case for case in cases}
    judged = [of_contig[contig] for contig in chosen.contigs]
    was, now = (Standing.of(calls[name], len(judged)) for name in (BEFORE, next(iter(question.after))))
    more = {"contigs with a truth": len(judged), "genomes": chosen.genomes}
    if question.known is not None:
        more["lineages of the reference"] = len(question.known)
    return {
        "counts": {**counts, **more},
        "judged": judgements([case.kind for case in judged], was, now),
        "most_harmful": most_harmful(judged, known, was, now),
        "evaluations": evaluations,
        "differences": differences,
        "lengths": by_length(kept, question.lengths, chosen, calls, *drawn),
        "curves": {rank: of for rank, of in curves.items() if of},
        "novel": novel(calls, chosen),
    }


def _kept(table: Mapping[str, Prediction], confidence: float | None) -> dict[str, Prediction]:
    """The table's answers, without the names below the cut."""
    answers = {}
    for contig, answer in table.items():
        cut = answer if confidence is None else answer.recut(confidence)
        answers[contig] = replace(cut, lineage=cut.kept, confidence=cut.confidence[: cut.cut])
    return answers


def _named(table: Mapping[str, Prediction], contigs: Collection[str]) -> dict[str, int]:
    """How many contigs have a name at each rank."""
    kept = [canonical(table[contig].kept) for contig in contigs if contig in table]
    return {rank: sum(taxa[level] is not None for taxa in kept) for level, rank in enumerate(RANKS)}


def _scaling(runs: Sequence[RunTime], by: str) -> dict[str, Scaling]:
    if not by:
        return {}
    found = {}
    for group in dict.fromkeys(run.group for run in runs):
        mine = [run for run in runs if run.group == group]
        if fit := scaling([getattr(run, by) for run in mine], [run.seconds for run in mine]):
            found[group] = fit
    return found
