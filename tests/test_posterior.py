"""Sibling groups, decoding and cutting: whatever the scores are, the answer is a path and never grows surer."""

from __future__ import annotations

import numpy as np
from conftest import lineage
from hypothesis import given
from hypothesis import strategies as st

from linnet.decode import LineageCache, descend
from linnet.prediction import Posterior, Prediction, Stopped, unreadable
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

trees = st.lists(
    st.lists(st.sampled_from("ABCD"), min_size=1, max_size=6).map(lambda n: lineage(";".join(n))),
    min_size=1, max_size=20,
).map(Taxonomy.from_lineages)  # fmt: skip


def scores(groups: SiblingGroups, seed: int, records: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3, size=(len(groups), records)).astype(np.float32)


@given(trees, st.integers(0, 99))
def test_places_equal_products_of_conditionals_along_each_path(tree: Taxonomy, seed: int) -> None:
    groups = SiblingGroups(tree)
    score = scores(groups, seed)
    place = groups.place(groups.log_softmax(score))
    for b in range(score.shape[1]):
        for node in range(len(tree)):
            p = 1.0
            for child in tree.path(node):
                siblings = [*tree.children(tree.parent[child]).tolist(), None]
                a = groups.start[groups.group_of_node[tree.parent[child]]]
                group = np.exp(score[a : a + len(siblings), b].astype(float))
                p *= group[siblings.index(child)] / group.sum()
            if not tree.is_leaf(node):
                a, z = groups.start[groups.group_of_node[node] :][:2]
                group = np.exp(score[a:z, b].astype(float))
                p *= group[-1] / group.sum()
            assert np.isclose(place[b, node], p, rtol=1e-3, atol=1e-6)


@given(trees, st.integers(0, 99))
def test_places_sum_to_one_and_clades_to_their_parts(tree: Taxonomy, seed: int) -> None:
    groups = SiblingGroups(tree)
    posterior = Posterior(tree, groups.place(groups.log_softmax(scores(groups, seed))))
    assert np.allclose(posterior.place_BN.sum(axis=1), 1, atol=1e-4)
    for row in range(3):
        clades = posterior.clades(row, np.arange(len(tree)))
        expected = [posterior.place_BN[row, tree.clade(node)].sum() for node in range(len(tree))]
        assert np.allclose(clades, expected, atol=1e-5)


@given(trees, st.integers(0, 99), st.floats(0, 1), st.floats(0, 1))
def test_a_lineage_is_a_path_that_a_higher_cut_never_deepens(tree: Taxonomy, seed: int, p: float, q: float) -> None:
    groups = SiblingGroups(tree)
    posterior = Posterior(tree, groups.place(groups.log_softmax(scores(groups, seed))))
    for prediction in descend(posterior, ["a", "b", "c"], "+-+", LineageCache(tree)):
        node, depth = tree.find(prediction.lineage)
        assert depth == len(prediction.lineage)
        assert tree.is_leaf(node)
        assert all(x >= y for x, y in zip(prediction.confidence, prediction.confidence[1:], strict=False))
        assert len(prediction.novelty) == len(prediction.lineage) + 1
        low, high = sorted((p, q))
        assert prediction.recut(high).cut <= prediction.recut(low).cut
        assert prediction.recut(high).recut(low) == prediction.recut(low)
        assert prediction.recut(0.0).stopped == Stopped.NAMED


def test_why_a_lineage_stops() -> None:
    whole = Prediction("r", lineage("B;P;C"), (0.99, 0.8, 0.3), (0.0, 0.02, 0.55, 0.0), 3, Stopped.NAMED, "+")
    assert whole.recut(0.2).stopped == Stopped.NAMED
    novel = whole.recut(0.7)
    assert (novel.cut, novel.stopped, novel.kept_confidence) == (2, Stopped.NOVEL, 0.8)
    assert whole.recut(0.9).stopped == Stopped.UNSURE
    nothing = whole.recut(1.0)
    assert (nothing.kept, nothing.reason) == ((), "no domain reaches the confidence 1")
    assert unreadable("r", "no sequence").recut(0.0).reason == "no sequence"
