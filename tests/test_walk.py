"""Searches that ask about one taxon at a time, against all paths of a small tree gone through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_lineage_code import of_parents, trees

from linnet import walk
from linnet.decode import LineageCache
from linnet.prediction import Prediction
from linnet.taxonomy import Taxonomy
from linnet.walk import Fan, Walk


class Drawn:
    """A walker whose probabilities are drawn once for each record and taxon. Its state is the way come by."""

    def __init__(self, tree: Taxonomy, records: int, seed: int, forced: bool) -> None:
        self.taxonomy, self.forced, self.records = tree, forced, records
        random = np.random.default_rng(seed)
        self.fans = [[random.dirichlet(np.full(int(n) + 1, 0.5)) for n in tree.child_count] for _ in range(records)]
        self.asked = 0

    def begin(self) -> list[tuple[int, ...]]:
        return [(record,) for record in range(self.records)]

    def step(self, states: Sequence[tuple[int, ...]], nodes: NDArray[np.int64]) -> tuple[Fan, list[tuple[int, ...]]]:
        self.asked += len(nodes)
        fans = []
        for state, node in zip(states, nodes.tolist(), strict=True):
            assert state[1:] == () or state[-1] in [0, *self.taxonomy.path(node)[:-1]]  # the state of the way there
            assert self.taxonomy.child_count[node] > int(self.forced)
            with np.errstate(divide="ignore"):
                fans.append(np.log(self.fans[state[0]][node]))
        start = np.cumsum([0, *map(len, fans)])
        return Fan(np.concatenate(fans), start), [(*s, n) for s, n in zip(states, nodes.tolist(), strict=True)]


def all_ends(walker: Drawn, record: int) -> dict[int, float]:
    """Of every taxon, how probable it is to end there, multiplied down its path."""
    tree, ends, clade = walker.taxonomy, {}, np.ones(len(walker.taxonomy))
    for node in range(len(tree)):  # parents come before children
        p, children = walker.fans[record][node], tree.children(node).tolist()
        passed = walker.forced and len(children) == 1
        for child, share in zip(children, [1.0] if passed else p[:-1], strict=True):
            clade[child] = clade[node] * share
        ends[node] = 0.0 if passed else clade[node] * (p[-1] if children else 1.0)
    return ends


cases = given(trees(), st.integers(0, 5), st.booleans())


@cases
@settings(max_examples=60, deadline=None)
def test_the_ends_found_first_are_the_most_probable_of_all(tree: Taxonomy, seed: int, forced: bool) -> None:
    walker = Drawn(tree, 3, seed, forced)
    for record, found in enumerate(walk.top(walker, k=5)):
        ends = all_ends(walker, record)
        assert sum(ends.values()) == pytest.approx(1)
        best = sorted((p for p in ends.values() if p > 0), reverse=True)[:5]
        assert [np.exp(w.log_p) for w in found] == pytest.approx(best)
        assert all(ends[w.node] == pytest.approx(np.exp(w.log_p)) for w in found)


@cases
@settings(max_examples=60, deadline=None)
def test_every_answer_is_a_path_with_its_probabilities(tree: Taxonomy, seed: int, forced: bool) -> None:
    walker = Drawn(tree, 2, seed, forced)
    for record in range(2):
        ends = all_ends(walker, record)
        ways: list[Walk] = [walk.descend(walker, f)[record] for f in (0.0, 0.3, 0.9)]
        ways += walk.top(walker, 3)[record] + walk.beam(walker, 2)[record]
        for way in ways:
            assert list(way.nodes) == tree.path(way.node)
            assert len(way.stop) == len(way.nodes) + 1
            below = [sum(ends[n] for n in range(node, tree.end[node])) for node in way.nodes]
            assert np.exp(way.clade) == pytest.approx(below)
            assert np.exp((0.0, *way.clade)) * np.exp(way.stop) == pytest.approx([ends[n] for n in (0, *way.nodes)])


@cases
@settings(max_examples=60, deadline=None)
def test_backing_off_keeps_the_deepest_taxon_that_is_as_probable(tree: Taxonomy, seed: int, forced: bool) -> None:
    walker = Drawn(tree, 2, seed, forced)
    for floor in (0.5, 0.7, 0.95):
        for record, way in enumerate(walk.descend(walker, floor)):
            ends = all_ends(walker, record)
            sure = [n for n in range(len(tree)) if sum(ends[m] for m in range(n, tree.end[n])) >= floor - 1e-9]
            assert way.node == max(sure, key=lambda n: len(tree.path(n)))


def test_a_beam_wide_enough_finds_what_best_first_search_finds() -> None:
    tree = of_parents([0, 0, 0, 1, 1, 2, 2, 2, 5, 5, 3])
    walker = Drawn(tree, 4, 3, False)
    wide = walk.beam(walker, 100)
    assert [w[0].nodes for w in wide] == [w[0].nodes for w in walk.top(walker, 1)]
    assert all(len(w) == len(tree) for w in wide)


def test_a_narrow_beam_is_greedy() -> None:
    tree = of_parents([0, 0, 0, 1, 1, 2, 2])
    walker = Drawn(tree, 1, 0, False)
    walker.fans[0][0] = np.array([0.6, 0.4, 0.0])
    walker.fans[0][1] = np.array([0.5, 0.5, 0.0])
    walker.fans[0][tree.children(0)[1]] = np.array([1.0, 0.0, 0.0])
    assert walk.beam(walker, 1)[0][0].log_p == pytest.approx(np.log(0.3))
    assert walk.top(walker, 1)[0][0].log_p == pytest.approx(np.log(0.4))


def test_only_what_is_needed_is_asked() -> None:
    chain = of_parents([0, 0, 1, 2, 3])
    passing, asking = Drawn(chain, 1, 0, True), Drawn(chain, 1, 0, False)
    assert walk.descend(passing)[0].nodes == walk.descend(asking)[0].nodes == (1, 2, 3, 4)
    assert (passing.asked, asking.asked) == (0, 4)
    assert walk.top(passing, 1)[0][0].nodes == (1, 2, 3, 4)
    assert walk.beam(passing, 1)[0][0].nodes == (1, 2, 3, 4)
    wide = Drawn(of_parents([0] + [0] * 9), 1, 0, False)
    walk.top(wide, 3)
    assert wide.asked == 1


def test_predictions_hold_the_whole_way() -> None:
    tree = of_parents([0, 0, 0, 1, 1])
    walker = Drawn(tree, 1, 0, False)
    walker.fans[0][0] = np.array([0.7, 0.2, 0.1])
    walker.fans[0][1] = np.array([0.1, 0.5, 0.4])
    cache = LineageCache(tree)

    def of(floor: float) -> Prediction:
        return next(walk.predictions(walk.descend(walker, floor), ["a"], cache))

    whole = of(0.0)
    assert whole.confidence == pytest.approx((0.7, 0.35))
    assert whole.novelty == pytest.approx((0.1, 0.28, 0.0))
    part = of(0.6)
    assert part.confidence == pytest.approx((0.7,))
    assert part.novelty == pytest.approx((0.1, 0.28))
    assert [t.name for t in whole.recut(0.6).kept] == [t.name for t in part.lineage]
