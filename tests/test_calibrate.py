from __future__ import annotations

import numpy as np
from conftest import lineage

from linnet.calibrate import Calibration, Steps, fit
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

TREE = Taxonomy.from_lineages([lineage(f"B;P{i};C{i}{j}") for i in range(4) for j in range(5)])
GROUPS = SiblingGroups(TREE)


def drawn(records: int, truth: Calibration, seed: int) -> Steps:
    """Scores, and truths drawn from what the calibration `truth` makes of them."""
    random = np.random.default_rng(seed)
    score = random.normal(scale=2, size=(len(GROUPS), records)).astype(np.float32)
    kmers = random.integers(100, 1500, records)
    conditional = np.exp(GROUPS.log_softmax(truth.apply(score, kmers, GROUPS)))
    nodes, new = np.zeros(records, int), np.zeros(records, bool)
    for b in range(records):
        while (group := GROUPS.group_of_node[nodes[b]]) >= 0 and not new[b]:
            a, z = GROUPS.start[group : group + 2]
            pick = random.choice(z - a, p=conditional[a:z, b] / conditional[a:z, b].sum())
            if pick == z - a - 1:
                new[b] = True
            else:
                nodes[b] = TREE.children(nodes[b])[pick]
    return Steps.of(GROUPS, score, kmers, nodes, new, np.ones(records, bool))


def constant(t: float, u: float, s: float, v: float) -> Calibration:
    return Calibration(*((value,) * GROUPS.levels for value in (t, u, s, v)))


def test_the_temperature_and_offset_that_made_the_truth_are_found() -> None:
    truth = constant(np.log(2), -0.2, -1.0, 0.3)
    found = fit(drawn(8000, truth, seed=1), GROUPS.levels)
    assert np.allclose(found.log_temperature[1:], truth.log_temperature[1:], atol=0.1)
    assert np.allclose(found.log_temperature_slope[1:], truth.log_temperature_slope[1:], atol=0.1)
    assert np.allclose(found.stop[1:], truth.stop[1:], atol=0.2)
    assert np.allclose(found.stop_slope[1:], truth.stop_slope[1:], atol=0.2)


def test_scores_that_are_right_already_are_left_alone() -> None:
    found = fit(drawn(8000, Calibration.none(GROUPS.levels), seed=2), GROUPS.levels)
    assert np.allclose(found.log_temperature, 0, atol=0.12)
    assert np.allclose(found.stop, 0, atol=0.2)


def test_clades_hidden_on_purpose_do_not_raise_the_rate_of_new_taxa() -> None:
    natural = drawn(4000, constant(0, 0, -2.0, 0), seed=3)
    extra = drawn(4000, constant(0, 0, 8.0, 0), seed=4)  # nearly all of them new
    extra.natural[:] = False
    both = fit(Steps.join([natural, extra]), GROUPS.levels)
    assert all(abs(stop - -2.0) < 0.8 for stop in both.stop[1:])


def test_without_held_out_records_nothing_is_changed() -> None:
    none = Calibration.none(3)
    assert fit(drawn(0, Calibration.none(GROUPS.levels), 0), 3) == none
    score = np.random.default_rng(0).normal(size=(len(GROUPS), 4)).astype(np.float32)
    assert np.array_equal(none.apply(score, np.array([1, 50, 500, 5000]), GROUPS), score)


def test_calibration_of_a_shallower_tree_is_stretched() -> None:
    short = Calibration((1.0,), (2.0,), (3.0,), (4.0,), 44)
    assert short.stretch(2) == Calibration((1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0), 44)
