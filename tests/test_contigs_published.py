"""TaxDistill's recipe with other targets in the teacher's place: each against its formula, all on equal terms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contig_sets import contig_set

pytest.importorskip("torch")
import torch

from linnet.errors import UsageError
from linnet.families import contigs_published as published
from linnet.families.contigs_published import TARGETS, Config, Target, Trained
from linnet.label_tree import LabelTree

FEW = Config(epochs=2, batch=16)


@pytest.fixture(scope="module")
def few():  # type: ignore[no-untyped-def]
    """Forty contigs, their depths, the labels' tree, and vectors for a teacher."""
    made = contig_set(2, contigs=40, most=1500)
    tree = LabelTree([made.labels[id].lineage for id in made.ids])
    return made.contigs, made.depth_CS, tree, np.random.default_rng(0).normal(size=(40, 6))


def trained(few, config: Config) -> Trained:  # type: ignore[no-untyped-def]
    contigs, depths, tree, vectors = few
    return published.train(contigs, depths, tree, config, 1, 1, vectors, distil=True)


def weights(found: Trained) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in found.student.parameters()])


def test_without_a_teacher_is_with_one_of_no_weight(few) -> None:  # type: ignore[no-untyped-def]
    """So initial student, batches, dropout, steps and optimiser are the same."""
    none = trained(few, replace(FEW, target="none"))
    np.testing.assert_array_equal(weights(none), weights(trained(few, replace(FEW, alpha=1.0))))


def test_each_target_makes_another_student(few) -> None:  # type: ignore[no-untyped-def]
    found = [weights(trained(few, replace(FEW, target=target))) for target in TARGETS]
    assert all((a != b).any() for i, a in enumerate(found) for b in found[:i])


@pytest.mark.parametrize("target", TARGETS)
def test_each_takes_as_many_steps(target: Target, few, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    steps: list[int] = []
    step = torch.optim.AdamW.step

    def counting(self, *args):  # type: ignore[no-untyped-def]
        steps.append(id(self))
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", counting)
    trained(few, replace(FEW, target=target))
    last = [one for one in steps if one == steps[-1]]
    assert len(last) == 4  # two passes over 40 contigs, whose last batch of 8 is left out
    assert len(steps) == (8 if target == "self" else 4)  # the earlier self has as many


def test_a_student_s_earlier_self_is_the_student_without_a_teacher(few, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    asked: list[torch.nn.Module] = []
    ask = published.ask

    def noting(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        asked.append(network)
        assert not network.training
        return ask(network, x)

    monkeypatch.setattr(published, "ask", noting)
    trained(few, replace(FEW, target="self"))
    earlier = np.concatenate([p.detach().numpy().ravel() for p in asked[0].parameters()])
    np.testing.assert_array_equal(earlier, weights(trained(few, replace(FEW, target="none"))))


def test_what_stands_beside_the_labels_is_the_formula_worked_out() -> None:
    random = np.random.default_rng(3)
    student, teacher, t = random.normal(size=(4, 5)), random.normal(size=(4, 5)), 3.0

    def softened(scores: np.ndarray, by: float) -> np.ndarray:
        e = np.exp(scores / by)
        return np.asarray(e / e.sum(1, keepdims=True))

    p, q = softened(teacher, t), softened(student, t)
    expected = t * t * (p * np.log(p / q)).sum(1).mean()
    given = torch.from_numpy(student), torch.from_numpy(teacher)
    assert float(published._beside(*given, Config(temperature=t))) == pytest.approx(expected)
    own = softened(student, 1)
    hard = np.mean([-np.log(own[i, teacher[i].argmax()]) for i in range(4)])
    assert float(published._beside(*given, Config(temperature=t, target="hard"))) == pytest.approx(hard)


def test_a_uniform_target_evens_the_student_out(few) -> None:  # type: ignore[no-untyped-def]
    """With no weight on labels it must end near even; with a teacher it learns what the teacher says."""

    def evenness(target: Target) -> float:
        found = trained(few, replace(FEW, epochs=12, batch=40, learning_rate=3e-3, alpha=0.0, target=target))
        p = torch.softmax(published.ask(found.student, found.features), 1).numpy()
        return float(-(p * np.log(p)).sum(1).mean() / np.log(p.shape[1]))

    assert evenness("uniform") > 0.98
    assert evenness("teacher") < evenness("uniform")


def test_the_teacher_is_trained_only_where_a_target_is_made_of_it(few) -> None:  # type: ignore[no-untyped-def]
    by_target = {target: trained(few, replace(FEW, target=target)).teacher for target in TARGETS}
    rows = {t: np.asarray(n.weight.detach()) for t, n in by_target.items()}  # type: ignore[union-attr, arg-type]
    np.testing.assert_array_equal(rows["none"], rows["uniform"])
    assert (rows["none"] != rows["teacher"]).any()
    np.testing.assert_array_equal(rows["teacher"], rows["hard"])  # it learns from the labels alone in both


def test_a_target_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="target 'soft'"):
        Config(target="soft")  # type: ignore[arg-type]
