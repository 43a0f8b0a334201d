"""Soft targets down the tree, against plain loops over taxa."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import lineage

torch = pytest.importorskip("torch")

from linnet.losses import PathTargets, path_loss, soft_loss  # noqa: E402
from linnet.prediction import Posterior  # noqa: E402
from linnet.sibling_groups import SiblingGroups  # noqa: E402
from linnet.taxonomy import Taxonomy  # noqa: E402
from linnet.teaching import Answers, Lessons  # noqa: E402

TREE = Taxonomy.from_lineages(
    lineage(text) for text in ("B;P;C1", "B;P;C2", "B;P;C3", "B;Q;D1", "B;Q;D2", "A;R", "A;S;E1")
)
GROUPS = SiblingGroups(TREE)


def answers_of(place_BN: np.ndarray, taxonomy: Taxonomy = TREE) -> Answers:
    rows = list(range(len(place_BN)))
    return Answers.of(taxonomy, iter([(len(place_BN), rows, Posterior(taxonomy, place_BN))]))


def random_places(rows: int, seed: int, least: float = 0.02) -> np.ndarray:
    """Posteriors of which nothing is too small to be kept."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(len(TREE), 0.8), rows) + least
    return p / p.sum(1, keepdims=True)


def slow_loss(score_BM: np.ndarray, place_BN: np.ndarray, temperature: float) -> float:
    """The cross-entropy with the teacher, group by group, child by child."""
    total = 0.0
    for score_M, place_N in zip(score_BM, place_BN, strict=True):
        clade = [place_N[n : TREE.end[n]].sum() for n in range(len(TREE))]
        for node in range(len(TREE)):
            children = TREE.children(node).tolist()
            if not children or clade[node] == 0:
                continue
            masses = np.array([clade[c] for c in children] + [place_N[node]]) / clade[node]
            target = masses ** (1 / temperature) / (masses ** (1 / temperature)).sum()
            group = GROUPS.group_of_node[node]
            scores = score_M[GROUPS.start[group] : GROUPS.start[group + 1]] / temperature
            log_p = scores - np.log(np.exp(scores).sum())
            total -= clade[node] * float(target @ log_p)
    return total * temperature**2 / len(score_BM)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_the_loss_is_the_cross_entropy_with_the_teacher_at_every_step(temperature: float) -> None:
    place_BN = random_places(5, 1)
    score_BM = np.random.default_rng(2).normal(size=(5, len(GROUPS))).astype(np.float32)
    lessons = Lessons.taught(answers_of(place_BN), GROUPS, temperature)
    rows = np.arange(5)
    loss = soft_loss(torch.tensor(score_BM), lessons.batch(rows, rows >= 0), temperature)
    assert float(loss) == pytest.approx(slow_loss(score_BM, place_BN, temperature), rel=1e-5)


def test_a_teacher_that_is_certain_teaches_what_a_label_does() -> None:
    nodes = np.array([TREE.find(lineage("B;P;C2"))[0], TREE.find(lineage("A;R"))[0]])
    place_BN = np.eye(len(TREE))[nodes]
    score_BM = torch.randn(2, len(GROUPS), generator=torch.Generator().manual_seed(3))
    lessons = Lessons.taught(answers_of(place_BN), GROUPS, 1.0)
    rows = np.arange(2)
    soft = soft_loss(score_BM, lessons.batch(rows, rows >= 0), 1.0)
    hard = path_loss(score_BM, PathTargets.of(GROUPS, nodes, np.zeros(2, bool)))
    assert float(soft) == pytest.approx(float(hard), rel=1e-6)


def test_the_student_that_agrees_with_the_teacher_has_the_least_loss() -> None:
    place_BN = random_places(1, 4)
    lessons = Lessons.taught(answers_of(place_BN), GROUPS, 2.0)
    score = torch.zeros(1, len(GROUPS), requires_grad=True)
    optimizer = torch.optim.LBFGS([score], max_iter=200, tolerance_grad=1e-9)

    def closure() -> float:
        optimizer.zero_grad()
        loss = soft_loss(score, lessons.batch(np.array([0]), np.array([True])), 2.0)
        loss.backward()
        return float(loss)

    optimizer.step(closure)
    log_MB = GROUPS.log_softmax(score.detach().numpy().T)
    assert np.allclose(GROUPS.place(log_MB)[0], place_BN[0], atol=1e-3)


def test_rows_are_taken_in_any_order_and_decoys_are_taught_nothing() -> None:
    place_BN = random_places(4, 5)
    lessons = Lessons.taught(answers_of(place_BN), GROUPS, 2.0)
    score_BM = np.random.default_rng(6).normal(size=(3, len(GROUPS))).astype(np.float32)
    rows, taught = np.array([3, 0, 2]), np.array([True, False, True])
    loss = soft_loss(torch.tensor(score_BM), lessons.batch(rows, taught), 2.0)
    alone = [slow_loss(score_BM[[i]], place_BN[[r]], 2.0) for i, r in ((0, 3), (2, 2))]
    assert float(loss) == pytest.approx(sum(alone) / 3, rel=1e-5)
    nothing = soft_loss(torch.tensor(score_BM), lessons.batch(rows, np.zeros(3, bool)), 2.0)
    assert float(nothing) == 0.0


def test_the_uniform_target_spreads_over_the_siblings_on_the_way() -> None:
    node = TREE.find(lineage("B;P;C2"))[0]
    lessons = Lessons.uniform(GROUPS, np.array([node]))
    batch = lessons.batch(np.array([0]), np.array([True]))
    score = torch.zeros(1, len(GROUPS))
    # A student that knows nothing meets the target exactly: its loss is the target's entropy, ln of each group's size.
    sizes = [np.diff(GROUPS.start)[g] for g, _ in GROUPS.steps(node, new=False)]
    assert float(soft_loss(score, batch, 1.0)) == pytest.approx(sum(np.log(sizes)), rel=1e-6)
    assert batch.mass.tolist() == pytest.approx([1.0] * 3)


def test_a_taxon_that_the_student_lacks_is_a_stop_above_it() -> None:
    larger = Taxonomy.from_lineages([lineage("B;P;C9"), *(TREE.lineage(n) for n in range(1, len(TREE)))])
    place_BN = np.zeros((1, len(larger)))
    place_BN[0, larger.find(lineage("B;P;C9"))[0]] = 1.0
    lessons = Lessons.taught(answers_of(place_BN, larger), GROUPS, 1.0)
    score_BM = torch.randn(1, len(GROUPS), generator=torch.Generator().manual_seed(7))
    soft = soft_loss(score_BM, lessons.batch(np.array([0]), np.array([True])), 1.0)
    above = np.array([TREE.find(lineage("B;P"))[0]])
    hard = path_loss(score_BM, PathTargets.of(GROUPS, above, np.array([True])))
    assert float(soft) == pytest.approx(float(hard), rel=1e-6)


def test_answers_are_joined_and_taken() -> None:
    place_BN = random_places(5, 8)
    whole, first, second = answers_of(place_BN), answers_of(place_BN[:2]), answers_of(place_BN[2:])
    joined = first.joined(second)
    assert np.array_equal(joined.start, whole.start) and np.array_equal(joined.node, whole.node)
    some = whole.take([4, 1])
    alone = answers_of(place_BN[[4, 1]])
    assert np.array_equal(some.node, alone.node) and np.allclose(some.p, alone.p)


def test_a_reference_that_the_teacher_cannot_read_is_taught_nothing() -> None:
    place_BN = random_places(1, 9)
    answers = Answers.of(TREE, iter([(2, [1], Posterior(TREE, place_BN))]))
    assert answers.start.tolist()[:2] == [0, 0]
    lessons = Lessons.taught(answers, GROUPS, 1.0)
    score_BM = torch.zeros(1, len(GROUPS))
    assert float(soft_loss(score_BM, lessons.batch(np.array([0]), np.array([True])), 1.0)) == 0.0
