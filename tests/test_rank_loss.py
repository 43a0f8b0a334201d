"""Losses, against plain loops over one record at a time: rank by rank, and along a path of the tree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from conftest import lineage

torch = pytest.importorskip("torch")

from linnet.families import rrna_network  # noqa: E402
from linnet.losses import PathTargets, focal, path_loss, rank_loss  # noqa: E402
from linnet.sibling_groups import SiblingGroups  # noqa: E402
from linnet.taxonomy import RANKS, Taxonomy  # noqa: E402

SIZES = (2, 3, 5)
GAMMAS = [0.0, 0.5, 1.0, 2.0]

TREE = Taxonomy.from_lineages(
    map(lineage, ["Bacteria;P1;C1", "Bacteria;P1;C2", "Bacteria;P2;C3", "Archaea;P3;C4", "Archaea;P3;C5"])
)
GROUPS = SiblingGroups(TREE)


def answers(seed: int = 3, records: int = 40) -> tuple[list[torch.Tensor], np.ndarray]:
    """Logits of three ranks, and labels of which a third is missing."""
    random = np.random.default_rng(seed)
    logits = [torch.from_numpy(random.normal(size=(records, n)).astype(np.float32)) for n in SIZES]
    class_BR = np.column_stack([random.integers(0, n, records) for n in SIZES])
    class_BR[random.random(class_BR.shape) < 1 / 3] = -1
    return logits, class_BR


def minus_log_p(scores: Sequence[float], right: int) -> float:
    return math.log(sum(math.exp(s) for s in scores)) - scores[right]


def focused(loss: float, gamma: float) -> float:
    return (1 - math.exp(-loss)) ** gamma * loss


def slow_rank_loss(
    logits: Sequence[torch.Tensor],
    class_BR: np.ndarray,
    level_weights: Sequence[float],
    class_weights: Sequence[Sequence[float]],
    gamma: float,
) -> float:
    """Record by record: the weighted mean within each rank, then the weighted sum of the ranks."""
    total = 0.0
    for r, scores in enumerate(logits):
        above, below = 0.0, 0.0
        for row, right in zip(scores.tolist(), class_BR[:, r].tolist(), strict=True):
            if right >= 0:
                above += class_weights[r][right] * focused(minus_log_p(row, right), gamma)
                below += class_weights[r][right]
        total += level_weights[r] * above / below
    return total


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("kind", ["none", "inverse", "sqrt_inverse"])
@pytest.mark.parametrize("levels", [(1.0, 1.0, 1.0), (0.5, 0.0, 3.0)])
def test_the_rank_loss_equals_a_plain_loop(gamma: float, kind: str, levels: tuple[float, ...]) -> None:
    logits, class_BR = answers()
    weights = rrna_network.class_weights(kind, class_BR, SIZES)
    alike = [[1.0] * n for n in SIZES]
    slow = slow_rank_loss(logits, class_BR, levels, alike if weights is None else [w.tolist() for w in weights], gamma)
    fast = rank_loss(
        logits, torch.from_numpy(class_BR), level_weights=torch.tensor(levels), class_weights=weights, gamma=gamma
    )
    assert float(fast) == pytest.approx(slow, rel=1e-5)


@pytest.mark.parametrize("kind", ["inverse", "sqrt_inverse"])
def test_class_weights_are_those_of_torchs_own_weighted_mean(kind: str) -> None:
    logits, class_BR = answers()
    weights = rrna_network.class_weights(kind, class_BR, SIZES)
    assert weights is not None
    expected = 0.0
    for r, scores in enumerate(logits):
        right = class_BR[:, r][class_BR[:, r] >= 0]
        by_hand = torch.tensor([len(right) / (SIZES[r] * (right == c).sum()) for c in range(SIZES[r])])
        by_hand = by_hand.sqrt() if kind == "sqrt_inverse" else by_hand
        assert torch.allclose(weights[r], by_hand.float())
        own = torch.nn.CrossEntropyLoss(weight=by_hand.float(), ignore_index=-1)
        expected += float(own(scores, torch.from_numpy(class_BR[:, r])))
    assert float(rank_loss(logits, torch.from_numpy(class_BR), class_weights=weights)) == pytest.approx(
        expected, rel=1e-5
    )


def test_a_label_that_no_reference_has_weighs_nothing() -> None:
    weights = rrna_network.class_weights("inverse", np.array([[0], [0], [2]]), [3])
    assert weights is not None
    assert weights[0].tolist() == pytest.approx([3 / (3 * 2), 0.0, 3 / 3])


def test_a_rank_without_a_label_counts_nothing() -> None:
    logits, class_BR = answers()
    class_BR[:, 1] = -1
    without = rank_loss([logits[0], logits[2]], torch.from_numpy(class_BR[:, [0, 2]]))
    assert torch.equal(rank_loss(logits, torch.from_numpy(class_BR)), without)
    assert float(rank_loss(logits, torch.full((40, 3), -1))) == 0


def slow_path_loss(score: np.ndarray, node: int, new: bool, levels: Sequence[float], gamma: float) -> float:
    """Group by group down from the root, with the group's columns found from the tree itself."""
    path = TREE.path(node)
    stops = [None] if new and not TREE.is_leaf(node) else []
    total = 0.0
    for depth, (owner, child) in enumerate(zip([0, *path], [*path, *stops], strict=False)):
        children = TREE.children(owner).tolist()
        first = GROUPS.start[list(GROUPS.owner).index(owner)]
        scores = score[first : first + len(children) + 1].tolist()
        right = len(children) if child is None else children.index(child)
        total += levels[min(depth, len(levels) - 1)] * focused(minus_log_p(scores, right), gamma)
    return total


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("levels", [(1.0,), (0.5, 2.0), (3.0, 0.0, 0.25), (1.0, 2.0, 3.0, 4.0)])
def test_the_path_loss_equals_a_plain_loop_with_weights_and_focus(gamma: float, levels: tuple[float, ...]) -> None:
    random = np.random.default_rng(5)
    nodes, new = random.integers(0, len(TREE), 50), random.random(50) < 0.5
    score = random.normal(size=(50, len(GROUPS)))
    targets = PathTargets.of(GROUPS, nodes, new)
    fast = path_loss(torch.from_numpy(score), targets, level_weights=torch.tensor(levels), gamma=gamma)
    slow = [slow_path_loss(s, int(n), bool(w), levels, gamma) for s, n, w in zip(score, nodes, new, strict=True)]
    assert float(fast) == pytest.approx(np.mean(slow), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_what_is_certain_and_right_gives_no_focal_gradient_that_is_no_number(gamma: float) -> None:
    loss = torch.tensor([0.0, 1e-9, 0.3], requires_grad=True)
    focal(loss, gamma).sum().backward()
    assert torch.isfinite(loss.grad).all()
    assert float(focal(torch.tensor(0.0), gamma)) == 0


def test_the_focal_gradient_is_that_of_finite_differences() -> None:
    loss = torch.tensor([0.05, 0.4, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: focal(x, 2.0), loss)
    assert torch.autograd.gradcheck(lambda x: focal(x, 0.7), loss)


def test_ranks_are_weighted_domain_first() -> None:
    assert len(rrna_network.Config().level_weights) == len(RANKS)
    logits, class_BR = answers()
    only_last = rank_loss(logits, torch.from_numpy(class_BR), level_weights=torch.tensor([0.0, 0.0, 1.0]))
    assert torch.equal(only_last, rank_loss(logits[2:], torch.from_numpy(class_BR[:, 2:])))
