"""A big model or an ensemble teaches the compact one; what that brings, beside the same training without a teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.checkpoint import Checkpoint, weights_sha256
from linnet.errors import UserError, require
from linnet.fitting import Keeping, Log
from linnet.notices import wrong_stretch
from linnet.outcomes import Outcomes, judge
from linnet.prediction import Posterior
from linnet.predictor import Predictor
from linnet.preparation import Labelled
from linnet.records import SequenceRecord
from linnet.references import References
from linnet.sibling_groups import SiblingGroups
from linnet.significance import PairedT, bootstrap, paired_t, percentile_interval
from linnet.taxonomy import Lineage
from linnet.teaching import Answers, Lessons, Teaching
from linnet.train import Config as TrainConfig
from linnet.train import Teach, train

LABELS, UNIFORM, TEACHER = "labels alone", "uniform target", "teacher"
"""What a student learns from: the controls, and the teacher."""

SHARED = 0.5
"""Share of the references' lineages that a teacher must know to be one."""

AHEAD = 0.01
"""How far a teacher must be ahead of the student at the deepest rank before it is said to have helped."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a student is taught."""

    student: TrainConfig = field(default_factory=lambda: TrainConfig(rounds=1))
    alpha: float = 0.5
    """Weight of the labels; the teacher's is 1 - alpha."""
    temperature: float = 2.0
    """By which the teacher's and the student's scores are divided when compared."""

    def __post_init__(self) -> None:
        require(0 <= self.alpha <= 1, f"alpha {self.alpha}", "0 to 1")
        require(0 < self.temperature < np.inf, f"temperature {self.temperature}", "more than 0")


@dataclass(frozen=True)
class Gain:
    """How much more often students are right with the teacher than without, at one rank, as shares.

    Attributes:
        seeds: over the paired seeds, on these records.
        interval: 95 % bootstrap interval of the mean, over the records, with these seeds.
    """

    seeds: PairedT | None
    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Distilled:
    """Students, and how often each is right.

    Attributes:
        students: of the teacher, by seed.
        records: how many are judged at each rank.
        teacher: rank -> share of the records that the teacher names rightly, with the whole path.
        accuracy: arm -> rank -> the same of each student, in the order of the seeds.
        gains: control -> rank -> gain of the teacher over it.
    """

    students: dict[int, Checkpoint]
    records: dict[str, int]
    teacher: dict[str, float]
    accuracy: dict[str, dict[str, list[float]]]
    gains: dict[str, dict[str, Gain]]

    @property
    def verdict(self) -> str:
        """Whether the teacher helped, at the deepest rank, and by which rule that is said."""
        rank = list(self.records)[-1]
        gain = self.gains[LABELS][rank]
        ahead = self.teacher[rank] - float(np.mean(self.accuracy[LABELS][rank]))
        sure = gain.seeds is not None and gain.seeds.p_value < 0.05 and gain.mean > 0
        named = self.teacher[rank] > 0
        over_uniform = self.gains[UNIFORM][rank].mean
        harm = gain.seeds is not None and gain.seeds.p_value < 0.05 and gain.mean < 0
        said = "did harm" if harm else "is not shown to have helped"
        if sure and ahead >= AHEAD and over_uniform > 0:
            said = "helped"
        p = f"p = {gain.seeds.p_value:.2g} over {gain.seeds.n} paired seeds" if gain.seeds else "one seed: no test"
        return (
            f"At {rank} the teacher is {100 * ahead:+.1f} points from students of labels alone; its students are "
            f"{100 * gain.mean:+.2f} points from those ({p}) and {100 * over_uniform:+.2f} from those "
            f"of a uniform target. It {said} (it would have to be {100 * AHEAD:.0f} point ahead, the gain be "
            f"significant, and more than a uniform target brings)."
            + (" The teacher names nothing rightly: is it of the same taxonomy and region?" if not named else "")
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the students."""
        return {
            "records": self.records,
            "teacher": self.teacher,
            "accuracy": self.accuracy,
            "gains": {control: {rank: asdict(g) for rank, g in row.items()} for control, row in self.gains.items()},
            "verdict": self.verdict,
        }


def distil(
    teacher: Predictor,
    references: References,
    test: References,
    config: Config,
    seeds: Sequence[int],
    log: Log = lambda _: None,
    keeping: Keeping | None = None,
) -> Distilled:
    """Students of each seed, taught by labels alone, by a uniform target of the teacher's weight, and by the teacher.

    All three are trained on the same references in the same order by the same steps.

    Args:
        test: records that no model was trained on, to measure by.

    Raises:
        UserError: a test record is among the references; none of them has a lineage.
    """
    both = next((i for i in test.sequences if i in references.sequences), None)
    if both is not None:
        raise UserError(f"record '{both}' is among the references and the test records",
                        expected="test records that no model was trained on")  # fmt: skip
    _check(teacher, references, test, log)
    asked = _Asked(teacher, log)
    ways: dict[str, Teach | None] = {
        LABELS: None,
        UNIFORM: lambda data, g: Teaching(Lessons.uniform(g, data.nodes), config.alpha, config.temperature),
        TEACHER: lambda data, g: _taught(asked, data, g, config),
    }
    known = {references.lineages[i] for i in references.sequences if i in references.lineages}
    records = [SequenceRecord(id, s) for id, s in test.sequences.items() if test.lineages.get(id)]
    judged = {"": _judged(teacher, records, test, known)}
    students: dict[int, Checkpoint] = {}
    for seed in seeds:
        for arm, teach in ways.items():
            log(f"seed {seed}, {arm}")
            student, _ = train(
                references.sequences, references.lineages, replace(config.student, seed=seed), log, references.groups,
                keeping=_apart(keeping, arm, teacher, config), split_seed=seeds[0], teach=teach,
            )  # fmt: skip
            judged[f"{arm} {seed}"] = _judged(Predictor(student), records, test, known)
            if arm == TEACHER:
                students[seed] = student
    right = {run: {rank: o.right for rank, o in found.items()} for run, found in judged.items()}
    ranks = list(right[""])
    return Distilled(
        students,
        {rank: len(right[""][rank]) for rank in ranks},
        {rank: float(right[""][rank].mean()) for rank in ranks},
        {arm: {r: [float(right[f"{arm} {s}"][r].mean()) for s in seeds] for r in ranks} for arm in ways},
        {
            control: {
                r: _gain([right[f"{TEACHER} {s}"][r].astype(float) - right[f"{control} {s}"][r] for s in seeds])
                for r in ranks
            }
            for control in (LABELS, UNIFORM)
        },
    )


def _check(teacher: Predictor, references: References, test: References, log: Log) -> None:
    """Make sure that the teacher speaks of the same taxa; say what else may be amiss."""
    lineages = {lineage for i in references.sequences if (lineage := references.lineages.get(i))}
    known = sum(teacher.taxonomy.find(lineage)[1] == len(lineage) for lineage in lineages)
    if known < SHARED * len(lineages):
        example = next((x for x in lineages if teacher.taxonomy.find(x)[1] < len(x)), ())
        raise UserError(
            f"the teacher knows {known:,} of the references' {len(lineages):,} lineages, not "
            f"'{';'.join(t.name for t in example)}' for one",
            expected="a teacher trained on the same taxonomy",
        )
    log(f"the teacher knows {known:,} of the references' {len(lineages):,} lineages")
    some = list(references.sequences.values())[:1000]
    if amiss := wrong_stretch(some, str(teacher.checkpoint.model.get("region", "any"))):
        log(f"note: of the references, to the teacher: {amiss}")
    texts = set(references.sequences.values())
    if twins := sum(sequence in texts for sequence in test.sequences.values()):
        log(f"note: {twins:,} of {len(test.sequences):,} test records are letter by letter among the references")


class _Asked:
    """A teacher that is asked about each reference once."""

    def __init__(self, teacher: Predictor, log: Log) -> None:
        self.teacher, self.log = teacher, log
        self._answers: Answers | None = None
        self._row: dict[str, int] = {}

    def answers(self, texts: Sequence[str]) -> tuple[Answers, list[int]]:
        """What it says of these and earlier references, and where each of these is."""
        new = [text for text in dict.fromkeys(texts) if text not in self._row]
        if new or self._answers is None:
            self.log(f"asking the teacher about {len(new):,} references")
            found = Answers.of(self.teacher.taxonomy, self._judge(new))
            self._answers = found if self._answers is None else self._answers.joined(found)
            self._row |= {text: len(self._row) + n for n, text in enumerate(new)}
        return self._answers, [self._row[text] for text in texts]

    def _judge(self, texts: Sequence[str]) -> Iterator[tuple[int, Sequence[int], Posterior]]:
        for a in range(0, len(texts), self.teacher.block):
            block = [SequenceRecord(str(a + n), text) for n, text in enumerate(texts[a : a + self.teacher.block])]
            found = self.teacher.judge(block, "forward")
            yield len(block), found.rows, found.posterior


def _taught(asked: _Asked, data: Labelled, groups: SiblingGroups, config: Config) -> Teaching:
    answers, rows = asked.answers(data.sequences)
    lessons = Lessons.taught(answers.take(rows), groups, config.temperature)
    return Teaching(lessons, config.alpha, config.temperature)


def _apart(keeping: Keeping | None, arm: str, teacher: Predictor, config: Config) -> Keeping | None:
    """A folder for each arm: what a teacher says is not among what a training's own digest tells apart."""
    if keeping is None or keeping.folder is None:
        return keeping
    of = [arm, config.alpha, config.temperature]
    if arm == TEACHER:
        of += [weights_sha256(checkpoint) for checkpoint in teacher.checkpoints]
    digest = hashlib.sha256(repr(of).encode()).hexdigest()
    return replace(keeping, folder=keeping.folder / f"{arm.replace(' ', '-')}-{digest[:12]}")


def _judged(
    predictor: Predictor, records: Sequence[SequenceRecord], test: References, known: Collection[Lineage]
) -> dict[str, Outcomes]:
    found = {p.record_id: p for p in predictor.classify(records, confidence=0.0)}
    return judge(found, test.lineages, known, [r.id for r in records])


def _gain(differences: Sequence[NDArray[np.float64]]) -> Gain:
    """Of the differences right or wrong of each record, for each seed."""
    of_seed = [float(d.mean()) for d in differences]
    mean_N = np.mean(differences, axis=0)
    draws = bootstrap(lambda w_RN: {"gain": w_RN @ mean_N / w_RN.sum(1)}, len(mean_N), 1000, 0)["gain"]
    return Gain(paired_t(of_seed) if len(of_seed) > 1 else None, float(np.mean(of_seed)), percentile_interval(draws))
