"""Parts of the correction left out one at a time: each turns off what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contig_sets import ContigSet, contig_set

pytest.importorskip("torch")

from linnet import belief
from linnet.belief import Weights
from linnet.channel import CUT, UNLABELLED, first_channel
from linnet.correct import WITHOUT, Config, Correction, correct
from linnet.errors import UsageError, UserError
from linnet.families import contigs as student
from linnet.neighbours import Neighbours

pytestmark = pytest.mark.slow  # trains models

QUICK = Config(student=student.Config(width=8, epochs=2, rare=2))


@pytest.fixture(scope="module")
def made() -> ContigSet:
    return contig_set(1, contigs=160, least=1500, most=2500)


@pytest.fixture(scope="module")
def usual(made: ContigSet) -> Correction:
    return correct(made.contigs, made.labels, made.depths, config=QUICK)


def without(made: ContigSet, *parts: str) -> Correction:
    return correct(made.contigs, made.labels, made.depths, config=replace(QUICK, without=parts))


def sureness(found: Correction) -> list[tuple[float, ...]]:
    return [p.confidence for p in found.predictions]


@pytest.mark.parametrize("part", WITHOUT)
def test_each_part_matters_and_every_contig_still_has_an_answer(part: str, made: ContigSet, usual: Correction) -> None:
    found = without(made, part)
    assert [p.record_id for p in found.predictions] == made.ids
    assert found.cut == usual.cut
    assert sureness(found) != sureness(usual)


def test_nothing_left_out_is_the_default(made: ContigSet, usual: Correction) -> None:
    assert without(made) == usual


def test_without_depths_is_with_none_given(made: ContigSet) -> None:
    none = correct(made.contigs, made.labels, None, config=QUICK)
    assert without(made, "depths") == none


def test_without_composition_sequences_tell_only_by_what_they_share(made: ContigSet) -> None:
    """Other counts of tetranucleotides do not change an answer."""
    counts = np.random.default_rng(0).permuted(made.contigs.tetramers_CV, axis=1)
    config = replace(QUICK, without=("composition",))
    found = correct(replace(made.contigs, tetramers_CV=counts), made.labels, made.depths, config=config)
    assert found == without(made, "composition")


def test_without_both_there_is_nothing_to_go_by(made: ContigSet) -> None:
    with pytest.raises(UserError, match="neither composition nor depths nor vectors"):
        without(made, "composition", "depths")
    vectors = np.random.default_rng(0).normal(size=(len(made.ids), 4))
    config = replace(QUICK, without=("composition", "depths"))
    assert len(correct(made.contigs, made.labels, None, embeddings_CW=vectors, config=config).predictions) == 160


def asked_for(part: str, made: ContigSet, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What `believe` is asked, each time: whether with neighbours, powers, stops, student."""
    asked: list[dict[str, object]] = []
    believe = belief.believe

    def noting(observed, neighbours, known, weights, threads, ratio_CM=None):  # type: ignore[no-untyped-def]
        asked.append(
            {"neighbours": bool(neighbours.same_CK.any()), "own": weights.own, "stops": known.stops,
             "student": ratio_CM is not None, "channel": known.channel}
        )  # fmt: skip
        return believe(observed, neighbours, known, weights, threads, ratio_CM)

    monkeypatch.setattr(belief, "believe", noting)
    without(made, *([part] if part else []))
    return asked


@pytest.mark.parametrize(
    ("part", "last"),
    [
        ("", {}),
        ("own label", {"own": 0.0}),
        ("neighbours", {"neighbours": False}),
        ("student", {"student": False}),
        ("cross-fitting", {}),
    ],
)
def test_evidence_is_left_out_of_the_last_posterior_alone(
    part: str, last: dict[str, object], made: ContigSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is learnt of the labels before is the same."""
    whole = {"neighbours": True, "own": 1.0, "stops": True, "student": True}
    *before, final = asked_for(part, made, monkeypatch)
    assert {k: final[k] for k in whole} == whole | last
    assert len(before) == 2 * (Weights().rounds + 1)
    assert all({k: one[k] for k in whole} == whole | {"student": False} for one in before)


def test_without_a_channel_nothing_is_learnt_of_how_labels_err(
    made: ContigSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_for("channel", made, monkeypatch)
    assert len(asked) == 3  # no rounds: what follows of the first and of the second neighbours, and the end
    for one in asked:
        np.testing.assert_array_equal(one["channel"].table_TADE, belief.labels_at_their_word().table_TADE)  # type: ignore[attr-defined]


def test_labels_at_their_word_are_hardly_ever_off_the_truth_s_path() -> None:
    table, usual = belief.labels_at_their_word().table_TADE, first_channel().table_TADE
    np.testing.assert_allclose(table.sum(axis=(1, 2, 3)), 1)
    assert (table > 0).sum() == (usual > 0).sum()  # nothing that may be becomes impossible
    for truth in range(1, 8):
        on_path = sum(table[truth, level, level].sum() for level in range(truth + 1))
        assert 0.999 <= on_path < 1
        exact = table[truth, truth, truth].sum() / (1 - UNLABELLED)
        assert exact == pytest.approx(1 - CUT if truth > 1 else 1, abs=2e-3)


def test_without_stops_no_contig_is_new_above_another_candidate(
    made: ContigSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[belief.Belief] = []
    lineages = belief.lineages
    trees = []

    def noting(known, observed, ids):  # type: ignore[no-untyped-def]
        found.append(known)
        trees.append(observed.tree.taxonomy)
        return lineages(known, observed, ids)

    monkeypatch.setattr(belief, "lineages", noting)
    without(made, "stops")
    without(made)
    above = []
    for known, tree in zip(found, trees, strict=True):
        total = 0.0
        for row, posterior in zip(known.candidate_CM, known.posterior_CM, strict=True):
            here = [int(n) for n in row if n >= 0]
            inner = [m for m, n in enumerate(here) if any(n < other < tree.end[n] for other in here)]
            total += float(posterior[[m for m in inner if m > 0]].sum())  # the root's holds places that are not known
        above.append(total)
    assert above[0] == 0
    assert above[1] > 1


def test_a_contig_s_own_label_has_no_say_when_it_is_left_out() -> None:
    """Two contigs exchange labels, so that counts stay; neither is a neighbour of any, and both weigh the same taxa."""
    from test_belief import random_set

    observed, near = random_set(5)
    label_C = observed.tree.label_C
    a = int(np.flatnonzero(label_C > 0)[0])
    b = int(next(i for i in np.flatnonzero(label_C > 0) if label_C[i] != label_C[a]))
    near = Neighbours(near.index_CK, np.where(np.isin(near.index_CK, [a, b]), 0, near.same_CK).astype(np.float32))
    weights = Weights(own=0.0)
    known = belief.learn(observed, near, weights, 1)
    before = belief.believe(observed, near, known, weights, 1)
    label_C[[a, b]] = label_C[[b, a]]
    observed.evidence_C[[a, b]] = observed.evidence_C[[b, a]]
    after = belief.believe(observed, near, known, weights, 1)
    np.testing.assert_array_equal(before.posterior_CM[[a, b]], after.posterior_CM[[a, b]])
    seen = [belief.believe(observed, near, known, Weights(), 1)]
    label_C[[a, b]] = label_C[[b, a]]
    seen.append(belief.believe(observed, near, known, Weights(), 1))
    assert (seen[0].posterior_CM[[a, b]] != seen[1].posterior_CM[[a, b]]).any()


def test_unknown_parts_and_other_recipes_are_refused(made: ContigSet) -> None:
    with pytest.raises(UsageError, match="without 'hope'"):
        Config(without=("hope",))
    with pytest.raises(UsageError, match="linnet's recipe"):
        correct(made.contigs, made.labels, recipe="taxometer", config=Config(without=("student",)))
