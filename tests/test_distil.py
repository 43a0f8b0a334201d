"""A teacher and its students, end to end on tiny genes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import evolve, write_fasta

pytest.importorskip("torch")

from linnet.__main__ import main
from linnet.distil import LABELS, TEACHER, UNIFORM, Config, Distilled, Gain, distil
from linnet.errors import UserError
from linnet.predictor import load
from linnet.references import References
from linnet.significance import PairedT, paired_t, student_p


@pytest.fixture(scope="module")
def material(genes: Any) -> tuple[References, References]:
    """References, and more genes of the same species."""
    random = np.random.default_rng(5)
    tests = {f"t{i}": evolve(s, 0.01, random) for i, s in list(genes[0].items())[::4]}
    return References(*genes), References(tests, {f"t{i}": genes[1][i] for i in list(genes[0])[::4]})


@pytest.mark.slow
def test_all_arms_are_trained_and_measured(material: Any, tiny_config: Any, tiny_model: Path) -> None:
    recipe = replace(tiny_config.recipe, epochs=6)
    config = Config(student=replace(tiny_config, recipe=recipe, refit=False))
    found = distil(load(tiny_model), *material, config, (1, 2))
    assert set(found.students) == {1, 2}
    assert set(found.accuracy) == {LABELS, UNIFORM, TEACHER}
    assert found.records["species"] == len(material[1].sequences)
    for of_rank in found.accuracy.values():
        assert all(len(v) == 2 and min(v) >= 0 for v in of_rank.values())
    gain = found.gains[LABELS]["species"]
    by_hand = np.subtract(found.accuracy[TEACHER]["species"], found.accuracy[LABELS]["species"])
    assert gain.mean == pytest.approx(by_hand.mean()) and gain.seeds is not None
    assert gain.seeds.sd == pytest.approx(by_hand.std(ddof=1))
    one, two = found.students.values()
    assert any(not np.array_equal(one.tensors[n], two.tensors[n]) for n in one.tensors)


@pytest.mark.slow
def test_labels_alone_is_the_training_that_train_does(material: Any, tiny_config: Any, tiny_model: Path) -> None:
    from linnet import train
    from linnet.outcomes import judge
    from linnet.predictor import Predictor
    from linnet.records import SequenceRecord

    small = replace(tiny_config, recipe=replace(tiny_config.recipe, epochs=3), refit=False, seed=3)
    found = distil(load(tiny_model), *material, Config(student=small), (3,))
    plain, _ = train.train(material[0].sequences, material[0].lineages, small)
    records = [SequenceRecord(i, s) for i, s in material[1].sequences.items()]
    said = {p.record_id: p for p in Predictor(plain).classify(records, confidence=0.0)}
    right = judge(said, material[1].lineages)["species"].right.mean()
    assert found.accuracy[LABELS]["species"] == [pytest.approx(right)]


def test_a_test_record_among_the_references_is_refused(material: Any, tiny_model: Path) -> None:
    with pytest.raises(UserError, match="among the references and the test records"):
        distil(load(tiny_model), material[0], material[0], Config(), (1,))


def distilled(teacher: float, alone: list[float], uniform: list[float], taught: list[float]) -> Distilled:
    def gain(control: list[float]) -> Gain:
        differences = np.subtract(taught, control).tolist()
        return Gain(paired_t(differences), float(np.mean(differences)), None)

    accuracy = {LABELS: {"species": alone}, UNIFORM: {"species": uniform}, TEACHER: {"species": taught}}
    gains = {LABELS: {"species": gain(alone)}, UNIFORM: {"species": gain(uniform)}}
    return Distilled({}, {"species": 100}, {"species": teacher}, accuracy, gains)


@pytest.mark.parametrize(
    ("teacher", "taught", "uniform", "helped"),
    [
        (0.9, [0.83, 0.84, 0.83], 0.80, True),
        (0.805, [0.83, 0.84, 0.83], 0.80, False),  # the teacher is not a point ahead
        (0.9, [0.81, 0.79, 0.80], 0.78, False),  # no gain over labels
        (0.9, [0.83, 0.84, 0.83], 0.85, False),  # a uniform target brings more
    ],
)
def test_help_is_claimed_only_by_the_rule(teacher: float, taught: list[float], uniform: float, helped: bool) -> None:
    found = distilled(teacher, [0.80, 0.80, 0.801], [uniform] * 3, taught)
    assert ("It helped" in found.verdict) == helped
    assert ("is not shown to have helped" in found.verdict) != helped


def test_one_seed_can_show_nothing() -> None:
    found = Distilled(
        {}, {"species": 9}, {"species": 0.9}, {a: {"species": [0.8]} for a in (LABELS, UNIFORM, TEACHER)},
        {control: {"species": Gain(None, 0.1, None)} for control in (LABELS, UNIFORM)},
    )  # fmt: skip
    assert "one seed: no test" in found.verdict and "not shown" in found.verdict


def test_students_p_agrees_with_tables() -> None:
    # Two-sided 5 % points of Student's t, as printed in any table.
    for freedom, t in ((1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042)):
        assert student_p(t, freedom) == pytest.approx(0.05, abs=1e-4)
    assert student_p(0.0, 4) == pytest.approx(1.0)
    assert paired_t([0.0, 0.0]) == PairedT(2, 0.0, 0.0, 1.0)
    found = paired_t([1.0, 2.0, 3.0, 4.0])
    assert found.p_value == pytest.approx(student_p(2.5 / (np.std([1, 2, 3, 4], ddof=1) / 2), 3))


@pytest.mark.slow
def test_the_command_writes_students_and_a_report(capsys: Any, tmp_path: Path, material: Any, tiny_model: Path) -> None:
    references, test = material
    fasta = write_fasta(tmp_path / "r.fasta", references.sequences)
    queries = write_fasta(tmp_path / "t.fasta", test.sequences)
    rows = {**references.lineages, **test.lineages}.items()
    (tmp_path / "t.tsv").write_text("".join(f"{i}\t{';'.join(t.name for t in row)}\n" for i, row in rows))
    words = ["distil", "--teacher", tiny_model, "--sequences", fasta, "--taxonomy", tmp_path / "t.tsv",
             "--test", queries, "--seeds", "1,2", "--out", tmp_path / "s", "--k", "5", "--width", "16", "--epochs", "2",
             "--batch", "32", "--amplicons", "0", "--no-refit"]  # fmt: skip
    assert main([str(w) for w in words]) == 0
    out = capsys.readouterr().out
    assert "the teacher" in out and "paired seeds" in out and "points from students of labels alone" in out
    report = json.loads((tmp_path / "s" / "report.json").read_text())
    assert report["seeds"] == [1, 2] and report["verdict"] in out
    assert main(["classify", str(queries), "--model", str(tmp_path / "s"), "--out", str(tmp_path / "o.tsv")]) == 0
    assert not (tmp_path / "s.training").exists()


def test_a_teacher_of_another_taxonomy_is_refused(material: Any, tiny_model: Path) -> None:
    references, test = material
    renamed = {i: tuple(t._replace(name=f"other {t.name}") for t in row) for i, row in references.lineages.items()}
    with pytest.raises(UserError, match=r"the teacher knows 0 of the references' 24 lineages.*the same taxonomy"):
        distil(load(tiny_model), References(references.sequences, renamed), test, Config(), (1,))


def test_twins_of_references_among_the_test_records_are_counted(
    material: Any, tiny_config: Any, tiny_model: Path
) -> None:
    references, _ = material
    some = list(references.sequences)[:5]
    twins = References(
        {f"t{i}": references.sequences[i] for i in some}, {f"t{i}": references.lineages[i] for i in some}
    )
    said: list[str] = []

    class Enough(Exception):
        pass

    def log(text: str) -> None:
        said.append(text)
        if text.startswith("seed"):
            raise Enough

    with pytest.raises(Enough):
        distil(load(tiny_model), references, twins, Config(student=tiny_config), (1,), log)
    assert "note: 5 of 5 test records are letter by letter among the references" in said
    assert "the teacher knows 24 of the references' 24 lineages" in said


def test_harm_is_called_harm() -> None:
    found = distilled(0.9, [0.80, 0.81, 0.80], [0.79] * 3, [0.70, 0.71, 0.70])
    assert "It did harm" in found.verdict
    assert "names nothing rightly" in distilled(0.0, [0.8, 0.8, 0.81], [0.8] * 3, [0.8, 0.8, 0.8]).verdict
