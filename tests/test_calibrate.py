from __future__ import annotations

import numpy as np
from conftest import lineage

from linnet.calibrate import Calibration, Steps, fit
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

TREE = Taxonomy.from_lineages([lineage(f"B;P{i};C{i}{j}") for i in range(4) for j in range(5)])
GROUPS = SiblingGroups(TREE)


def drawn(records: int, scale: float, offset: float, seed: int) -> Steps:
    """Scores, and truths drawn from the softmax of scale * scores with the stop raised by offset."""
    random = np.random.default_rng(seed)
    score = random.normal(scale=2, size=(len(GROUPS), records)).astype(np.float32)
    true = score * scale
    true[GROUPS.stop] += offset
    conditional = np.exp(GROUPS.log_softmax(true))
    nodes, new = np.zeros(records, int), np.zeros(records, bool)
    for b in range(records):
        while (group := GROUPS.group_of_node[nodes[b]]) >= 0 and not new[b]:
            a, z = GROUPS.start[group : group + 2]
            pick = random.choice(z - a, p=conditional[a:z, b] / conditional[a:z, b].sum())
            if pick == z - a - 1:
                new[b] = True
            else:
                nodes[b] = TREE.children(nodes[b])[pick]
    return Steps.of(GROUPS, score, nodes, new, np.ones(records, bool))


def test_the_temperature_and_offset_that_made_the_truth_are_found() -> None:
    calibration = fit(drawn(6000, scale=0.5, offset=-1.0, seed=1), GROUPS.levels)
    assert np.allclose(calibration.temperature[1:], 2.0, atol=0.25)
    assert np.allclose(calibration.stop[1:], -1.0, atol=0.25)


def test_scores_that_are_right_already_are_left_alone() -> None:
    calibration = fit(drawn(6000, scale=1.0, offset=0.0, seed=2), GROUPS.levels)
    assert np.allclose(calibration.temperature, 1.0, atol=0.12)
    assert np.allclose(calibration.stop, 0.0, atol=0.15)


def test_clades_hidden_on_purpose_do_not_raise_the_rate_of_new_taxa() -> None:
    natural = drawn(4000, scale=1.0, offset=-2.0, seed=3)
    extra = drawn(4000, scale=1.0, offset=8.0, seed=4)  # nearly all of them new
    extra.natural[:] = False
    both = fit(Steps.join([natural, extra]), GROUPS.levels)
    assert all(abs(b - -2.0) < 0.8 for b in both.stop[1:])


def test_without_held_out_records_nothing_is_changed() -> None:
    assert fit(drawn(0, 1, 0, 0), 3) == Calibration.none(3)
    factor, offset = Calibration.none(3).scale(GROUPS)
    assert np.all(factor == 1)
    assert np.all(offset == 0)
