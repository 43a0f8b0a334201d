"""Answers at each rank by itself, and the lineage they are resolved to."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import lineage

from linnet.rank_scores import RankLabels, RankScores
from linnet.taxonomy import Taxonomy

RANKS = ("domain", "phylum", "class")
LABELS = (("Archaea", "Bacteria"), ("P1", "P2", "Twin"), ("C1", "C2", "Unclassified_Twin"))
LINEAGES = ["Archaea;Twin;C1", "Bacteria;P1;C1", "Bacteria;P2;C2", "Bacteria;Twin"]


@pytest.fixture
def joined() -> RankLabels:
    tree = Taxonomy.from_lineages(map(lineage, LINEAGES))
    classes = {(0, 2, 0): LINEAGES[0], (1, 0, 0): LINEAGES[1], (1, 1, 1): LINEAGES[2], (1, 2, 2): LINEAGES[3]}
    place = {c: tree.find(lineage(text))[0] for c, text in classes.items()}
    order = sorted(classes, key=place.__getitem__)
    return RankLabels(RANKS, LABELS, np.array(order, np.int32), np.array([place[c] for c in order], np.int32), tree)


def some_scores(seed: int = 1, records: int = 5) -> RankScores:
    random = np.random.default_rng(seed)
    p = [random.dirichlet(np.ones(len(some)), records) for some in LABELS]
    return RankScores(tuple(np.log(x).astype(np.float32) for x in p))


def test_a_lineages_probability_is_its_labels_product_among_lineages_that_exist(joined: RankLabels) -> None:
    scores = some_scores()
    place_BN = joined.place(scores)
    for row in range(5):
        slow = {}
        for classes, place in zip(joined.class_PR.tolist(), joined.place_P.tolist(), strict=True):
            product = np.prod([np.exp(scores.log_p[r][row, c]) for r, c in enumerate(classes)])
            slow[place] = product ** (1 / joined.temperature)
        total = sum(slow.values())
        for node in range(len(joined.taxonomy)):
            assert place_BN[row, node] == pytest.approx(slow.get(node, 0) / total, abs=1e-6)


def test_a_placeholder_stops_above_what_has_no_name(joined: RankLabels) -> None:
    certain = [np.full((1, len(some)), -20.0, np.float32) for some in LABELS]
    for rank, label in enumerate(("Bacteria", "Twin", "Unclassified_Twin")):
        certain[rank][0, LABELS[rank].index(label)] = 0
    place_BN = joined.place(RankScores(tuple(certain)))
    node = int(place_BN[0].argmax())
    assert [t.name for t in joined.taxonomy.lineage(node)] == ["Bacteria", "Twin"]


def test_ranks_by_themselves_may_form_no_lineage(joined: RankLabels) -> None:
    certain = [np.full((1, len(some)), -20.0, np.float32) for some in LABELS]
    for rank, label in enumerate(("Archaea", "P1", "C2")):
        certain[rank][0, LABELS[rank].index(label)] = 0
    (answer,) = joined.independent(RankScores(tuple(certain)), ["r"], ["+"])
    assert [t.name for t in answer.lineage] == ["Archaea", "P1", "C2"]
    assert answer.recut(0.7).cut == 3


def test_published_answers_are_cut_at_the_first_rank_below_the_cut(joined: RankLabels) -> None:
    p = [np.array([[0.1, 0.9]]), np.array([[0.5, 0.3, 0.2]]), np.array([[0.0001, 0.9998, 0.0001]])]
    (answer,) = joined.independent(RankScores(tuple(np.log(x).astype(np.float32) for x in p)), ["r"], ["+"])
    assert np.allclose(answer.confidence, [0.9, 0.5, 0.9998], atol=1e-5)
    assert answer.recut(0.7).cut == 1


def test_the_mean_of_models_is_of_probabilities(joined: RankLabels) -> None:
    members = [some_scores(seed) for seed in (1, 2, 3)]
    mean = RankScores.mean(members)
    for rank in range(3):
        slow = sum(np.exp(m.log_p[rank]) for m in members) / 3
        assert np.allclose(np.exp(mean.log_p[rank]), slow, atol=1e-6)


def test_labels_survive_a_round_trip(joined: RankLabels) -> None:
    again = RankLabels.from_json(joined.to_json(), joined.taxonomy)
    assert np.array_equal(again.place(some_scores()), joined.place(some_scores()))


@pytest.mark.parametrize(
    ("field", "value"),
    [("lineages", [[0, 5, 0, 0]]), ("lineages", [[99, 0, 0, 0]]), ("lineages", []), ("lineages", [[2, 0, 0, 0], [1, 1, 0, 0]]),
     ("temperature", 0), ("labels", [["a"]])],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(joined: RankLabels, field: str, value: object) -> None:
    with pytest.raises(ValueError):
        RankLabels.from_json({**joined.to_json(), field: value}, joined.taxonomy)
