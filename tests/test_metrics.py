"""Outcomes, figures and significance: against plain loops, worked cases and the benchmark's evaluator."""

from __future__ import annotations

import importlib.util
import math
import os
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.errors import UserError
from linnet.metrics import (
    debiased_ece,
    recall_at_precision,
    reliability,
    scores,
    weighted_recall_at_precision,
    weighted_scores,
    wilson,
)
from linnet.outcomes import Outcomes, depths, judge
from linnet.prediction import Prediction
from linnet.significance import (
    bootstrap,
    fair_coin_p,
    mcnemar,
    percentile_interval,
    resampled_weights,
    reversed_interval,
)
from linnet.taxonomy import RANKS, Taxon


def lineage(*names):
    """Names at the seven ranks in order, None for a missing rank."""
    return tuple(Taxon(rank, name) for rank, name in zip(RANKS, names, strict=False) if name)


def predicted(names, *confidence):
    return Prediction("q", lineage(*names), confidence)


def outcomes_of(right, classified, confidence, known=None):
    """Outcomes of one taxon, enough for every figure but F1."""
    n, classified = len(right), np.array(classified, bool)
    confidence = np.array(confidence, float)
    return Outcomes(
        rank="genus",
        queries=tuple(f"q{i}" for i in range(n)),
        right=np.array(right, bool),
        classified=classified,
        known=None if known is None else np.array(known, bool),
        confidence=confidence,
        path_confidence=confidence,
        true_label=np.zeros(n, int),
        predicted_label=np.where(classified, 0, -1),
    )


# One phylum of the reference, four queries: right, wrong, unnamed, and new to the reference but named.
TRUTH = {"a": lineage("B", "P"), "b": lineage("B", "P"), "c": lineage("B", "P"), "d": lineage("B", "N")}
PREDICTIONS = {
    "a": predicted("BP", 0.95, 0.9),
    "b": predicted("BX", 0.95, 0.65),
    "c": predicted("B", 0.85),
    "d": predicted("BP", 0.75, 0.35),
}
REFERENCE = {lineage("B", "P"), lineage("B", "X")}


def test_figures_of_a_hand_worked_case():
    phylum = judge(PREDICTIONS, TRUTH, REFERENCE)["phylum"]
    found = scores(phylum)
    assert (found.n, found.n_known, found.ceiling) == (4, 3, 0.75)
    assert (found.accuracy, found.coverage) == (0.25, 0.75)
    assert found.precision == found.acc_known == found.mc == found.uc == pytest.approx(1 / 3)
    assert found.oc == 1.0
    # P: 1 right, 1 wrongly given, 2 missed; N and X: never right. Weights: 3 P, 1 N.
    assert found.f1_macro == pytest.approx((2 / 5 + 0 + 0) / 3)
    assert found.f1_weighted == pytest.approx(3 / 4 * 2 / 5)
    assert found.ece == pytest.approx((0.1 + 0.65 + 0.35) / 3)
    assert found.ece_debiased == pytest.approx(found.ece)  # bins of one query show no noise
    assert found.brier == pytest.approx((0.1**2 + 0.65**2 + 0.35**2) / 3)


def test_a_cut_drops_names_from_the_first_low_confidence_down():
    low_above = {"a": predicted("BP", 0.4, 0.9)}
    uncut = judge(low_above, {"a": TRUTH["a"]})["phylum"]
    assert uncut.right.all()
    after = uncut.cut(0.5)
    assert not after.classified.any() and not after.right.any() and after.predicted_label[0] == -1
    assert uncut.cut(0.4).right.all()


def test_a_cut_spares_tools_that_give_no_confidence():
    for confidence in ((), (math.nan, math.nan)):
        outcomes = judge({"a": predicted("BP", *confidence)}, {"a": TRUTH["a"]})["phylum"]
        assert outcomes.cut(0.9).right.all()
        assert scores(outcomes).ece is None and recall_at_precision(outcomes) is None


def test_a_name_below_a_wrong_name_is_wrong():
    outcomes = judge({"a": predicted("XP", 0.9, 0.9)}, {"a": TRUTH["a"]})
    assert not outcomes["phylum"].right[0] and outcomes["phylum"].classified[0]


def test_ranks_that_the_truth_leaves_out_are_not_compared():
    truth = {"q": lineage("B", "P", None, "O")}
    outcomes = judge({"q": predicted(("B", "P", "C", "O"))}, truth, {lineage("B", "P", "D", "O")})
    assert list(outcomes) == ["domain", "phylum", "order"]
    assert outcomes["order"].right[0] and outcomes["order"].known[0]
    assert outcomes["order"].true_label[0] == outcomes["order"].predicted_label[0]


def test_other_ranks_are_passed_over_and_superkingdom_is_a_domain():
    truth = {"q": (Taxon("superkingdom", "B"), Taxon("clade", "K"), Taxon("phylum", "P"))}
    outcomes = judge({"q": predicted("BP", 0.9, 0.8)}, truth)
    assert outcomes["phylum"].right[0] and outcomes["phylum"].confidence[0] == 0.8


def test_without_a_reference_nothing_is_said_of_known_taxa():
    found = scores(judge(PREDICTIONS, TRUTH)["phylum"])
    assert found.accuracy == 0.25
    assert {found.n_known, found.ceiling, found.acc_known, found.mc, found.uc, found.oc} == {None}


def test_ranks_can_have_queries_of_their_own():
    outcomes = judge(PREDICTIONS, TRUTH, queries={"domain": ["a"], "phylum": ["b", "c"]})
    assert outcomes["domain"].queries == ("a",) and outcomes["phylum"].queries == ("b", "c")
    with pytest.raises(UserError, match="'kingdom'"):
        judge(PREDICTIONS, TRUTH, queries={"kingdom": ["a"]})


def test_a_query_without_a_truth_is_an_error_that_names_it():
    with pytest.raises(UserError, match="query 'z'"):
        judge(PREDICTIONS, TRUTH, queries=["a", "z"])


NAMES = st.lists(st.sampled_from([None, "a", "b"]), max_size=4)
CONFIDENCES = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.5000001, 0.9, 1.0]), min_size=4, max_size=4)


@given(
    rows=st.lists(st.tuples(NAMES, NAMES, CONFIDENCES), min_size=1, max_size=8),
    reference=st.lists(NAMES, max_size=5),
    minimum=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_outcomes_equal_a_plain_loop(rows, reference, minimum):
    truth = {str(i): lineage(*names) for i, (names, _, _) in enumerate(rows)}
    predictions = {}
    for i, (_, names, confidence) in enumerate(rows):
        named = lineage(*names)
        predictions[str(i)] = Prediction(str(i), named, tuple(confidence[: len(named)]))
    found = judge(predictions, truth, [lineage(*names) for names in reference])
    for level, rank in enumerate(RANKS[:4]):
        queries = [i for i, (names, _, _) in enumerate(rows) if len(names) > level and names[level]]
        assert (rank in found) == bool(queries)
        for row, i in enumerate(queries):
            true, given_names, confidence = rows[i]
            steps = iter(confidence)
            kept, stopped = {}, False
            for k, name in enumerate(given_names):
                if name:
                    stopped = stopped or next(steps) < minimum
                    if not stopped:
                        kept[k] = name
            compared = {k: name for k, name in enumerate(true[: level + 1]) if name}
            after = found[rank].cut(minimum)
            assert after.queries[row] == str(i)
            assert after.classified[row] == (level in kept)
            good = level in kept and all(kept.get(k) == name for k, name in compared.items())
            assert after.right[row] == good
            assert after.known[row] == any(
                all(dict(enumerate(names)).get(k) == name for k, name in compared.items()) for names in reference
            )
            same_label = after.true_label[row] == after.predicted_label[row]
            assert same_label == good


@st.composite
def random_outcomes(draw):
    n = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    true, given_label = rng.integers(0, 3, (2, n))
    given_label[rng.random(n) < 0.2] = -1
    confidence = rng.choice([0.05, 0.3, 0.31, 0.6, 0.8, 0.99, 1.0], n)
    return Outcomes(
        "genus",
        tuple(map(str, range(n))),
        true == given_label,
        given_label >= 0,
        rng.random(n) < 0.7,
        confidence,
        confidence,
        true,
        given_label,
    )


@given(random_outcomes(), st.integers(0, 10**6))
def test_weights_mean_the_same_as_repeating_queries(outcomes, seed):
    drawn = np.random.default_rng(seed).integers(0, len(outcomes), len(outcomes))
    weights = np.bincount(drawn, minlength=len(outcomes))[None].astype(float)
    arrays = {k: v[drawn] for k, v in vars(outcomes).items() if isinstance(v, np.ndarray)}
    repeated = Outcomes(rank="genus", queries=tuple(map(str, drawn)), **arrays)
    expected = scores(repeated)
    for name, value in weighted_scores(outcomes, weights).items():
        wanted = getattr(expected, name)
        assert math.isnan(value[0]) if wanted is None else value[0] == pytest.approx(wanted)
    best = weighted_recall_at_precision(outcomes, weights, 0.6)[0]
    wanted = recall_at_precision(repeated, 0.6)
    assert wanted is None or best == pytest.approx(wanted.recall)


@given(random_outcomes(), st.sampled_from([0.5, 0.75, 0.95]))
def test_recall_at_precision_equals_trying_every_cut(outcomes, target):
    best = 0.0
    for cut in outcomes.confidence:
        after = outcomes.cut(cut)
        if after.classified.any() and after.right.sum() / after.classified.sum() >= target:
            best = max(best, after.right.mean())
    found = recall_at_precision(outcomes, target)
    assert found is None if not outcomes.classified.any() else found.recall == pytest.approx(best)
    if found and found.recall:
        assert outcomes.cut(found.cut).right.mean() == pytest.approx(best)


def test_debiased_ece_subtracts_what_simulated_noise_adds():
    rng = np.random.default_rng(3)
    count, right = np.array([40.0, 200.0, 25.0]), np.array([22.0, 171.0, 25.0])
    confidence = np.array([0.7, 0.85, 0.97])
    accuracy = right / count
    noise = rng.normal(accuracy, np.sqrt(accuracy * (1 - accuracy) / count), (200_000, 3))
    plain = np.abs(confidence - accuracy) @ count / count.sum()
    simulated = 2 * plain - (np.abs(confidence - noise) @ count / count.sum()).mean()
    found = debiased_ece(count[None], (confidence * count)[None], right[None])[0]
    assert found == pytest.approx(simulated, abs=3e-4) and 0 < found < plain


def test_debiased_ece_is_nearer_to_the_truth_for_a_calibrated_tool():
    rng = np.random.default_rng(5)
    plain, debiased = [], []
    for _ in range(50):
        confidence = rng.beta(5, 1, 400)
        found = scores(outcomes_of(rng.random(400) < confidence, np.ones(400), confidence))
        plain.append(found.ece)
        debiased.append(found.ece_debiased)
    assert np.mean(debiased) < 0.75 * np.mean(plain)
    assert min(debiased) >= 0


def test_reliability_bins_hold_every_classified_query_once():
    outcomes = outcomes_of([1, 0, 1, 1, 0], [1, 1, 1, 1, 0], [1.0, 0.95, 0.1, 0.19, 0.5])
    bins = reliability(outcomes)
    assert [b.count for b in bins] == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[1].low, bins[1].high, bins[1].accuracy) == (0.1, 0.2, 1.0)
    assert bins[1].confidence == pytest.approx(0.145)
    assert bins[9].accuracy == 0.5 and bins[9].interval == wilson(1, 2)
    assert bins[0].accuracy is None


@given(st.integers(1, 200), st.data())
def test_wilson_bounds_are_the_shares_that_a_score_test_just_keeps(n, data):
    successes = data.draw(st.integers(0, n))
    for bound in wilson(successes, n):
        if 1e-9 < bound < 1 - 1e-9:
            gap = abs(successes / n - bound)
            assert gap == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / n), abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_test_equals_summed_binomials(heads, tails):
    n = heads + tails
    tail = sum(math.comb(n, k) for k in range(min(heads, tails) + 1))
    assert fair_coin_p(heads, tails) == pytest.approx(min(1.0, float(Fraction(2 * tail, 2**n))))


def test_mcnemar_counts_only_queries_that_one_tool_alone_has_right():
    a, b = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    found = mcnemar(a, b)
    assert (found.a_only, found.b_only, found.p_value) == (2, 1, 1.0)


def test_resamples_draw_n_queries_and_depend_on_the_seed_alone():
    blocks = np.concatenate(list(resampled_weights(400_000, 3, seed=1)))
    assert blocks.shape == (3, 400_000) and (blocks.sum(1) == 400_000).all()
    again = np.concatenate(list(resampled_weights(400_000, 3, seed=1)))
    assert (blocks == again).all()
    assert (blocks[:2] != np.concatenate(list(resampled_weights(400_000, 2, seed=2)))).any()


def test_the_accuracy_interval_is_as_wide_as_the_binomial_says():
    right = np.arange(1000) < 800
    resampled = bootstrap(lambda w: {"accuracy": w @ right / w.sum(1)}, 1000, 2000, seed=0)
    low, high = percentile_interval(resampled["accuracy"])
    half = 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert (low, high) == (pytest.approx(0.8 - half, abs=2e-3), pytest.approx(0.8 + half, abs=2e-3))


def test_a_calibrated_tools_error_has_an_interval_down_to_0_only_when_reversed():
    rng = np.random.default_rng(0)
    confidence = rng.beta(5, 1, 1000)
    outcomes = outcomes_of(rng.random(1000) < confidence, np.ones(1000), confidence)
    draws = bootstrap(lambda w: weighted_scores(outcomes, w), 1000, 300, seed=0)["ece_debiased"]
    found = reversed_interval(scores(outcomes).ece_debiased, draws)
    assert found[0] <= 0 < found[1]
    assert percentile_interval(draws)[0] > 0


def test_an_interval_of_a_figure_that_is_never_defined_is_none():
    assert percentile_interval(np.full(5, np.nan)) is None
    assert reversed_interval(math.nan, np.full(5, np.nan)) is None


def test_a_novel_query_can_stop_right_or_below_or_above_or_take_a_wrong_branch():
    truth = dict.fromkeys("abcdefg", lineage("B", "P", "C", "new"))
    reference = {lineage("B", "P", "C", "O"), lineage("B", "Q")}
    predictions = {
        "a": predicted("BPC", 0.9, 0.9, 0.9),
        "b": predicted("BPCO", 0.9, 0.9, 0.9, 0.9),
        "c": predicted("BP", 0.9, 0.9),
        "d": predicted("BQ", 0.9, 0.9),
        "e": predicted("BPCO", 0.9, 0.9, 0.9, 0.1),
        "f": predicted("BQ", 0.9, 0.1),
    }
    found = depths(predictions, truth, reference, list(truth), minimum=0.5)
    assert found.n == 7
    assert [7 * x for x in (found.exact, found.below, found.above, found.wrong_branch)] == [
        pytest.approx(x) for x in (2, 1, 3, 1)
    ]
    assert depths(predictions, truth, reference, []) is None


@pytest.fixture(scope="module")
def evaluator():
    folder = os.environ.get("LINNET_DATA")
    if not folder:
        pytest.skip("LINNET_DATA, the folder with the benchmark's evaluator, is not set")
    path = Path(folder) / "bench" / "16s" / "evaluate.py"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    spec = importlib.util.spec_from_file_location("bench_evaluate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_table(seed):
    """A reference, truths, and predictions of every awkward kind, as the benchmark's evaluator reads them."""
    rng = random.Random(seed)
    paths = [tuple(f"{r[0]}__{rng.choice('ab')}" for r in RANKS) for _ in range(40)]
    taxonomy = {f"t{i}": p[: rng.randint(1, 7)] for i, p in enumerate(paths)}
    taxonomy |= {f"q{i}": rng.choice(paths)[: rng.choice((0, 2, 4, 6, 7, 7))] for i in range(60)}
    queries = [name for name in taxonomy if name[0] == "q"]
    predictions = {}
    for query in queries:
        path = list(taxonomy[query] + rng.choice(paths)[len(taxonomy[query]) :])
        if rng.random() < 0.4:
            path[rng.randrange(7)] = f"x__{rng.choice('cd')}"
        path = tuple(path[: rng.randint(0, 7)])
        confidence = [round(rng.random() ** 0.3, 2) for _ in path]
        if rng.random() < 0.7:
            confidence.sort(reverse=True)
        kind = rng.random()
        if kind < 0.1:
            confidence = None
        elif kind < 0.2:
            confidence = confidence[: rng.randint(0, 7)]
        if kind < 0.95:
            predictions[query] = (path, confidence)
    sample = {query: rng.choice(("uniform", "extra")) for query in queries if rng.random() < 0.8}
    flags = {query: rng.choice(("novel", "control")) for query in queries}
    return taxonomy, [name for name in taxonomy if name[0] == "t"], queries, predictions, sample, flags


def same(ours, theirs):
    if theirs is None or ours is None:
        return ours is theirs
    return abs(ours - theirs) <= 0.5e-4 + 1e-9  # theirs are rounded to 4 digits


@pytest.mark.parametrize("sampled", [False, True])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_every_figure_equals_that_of_the_benchmarks_evaluator(evaluator, sampled, seed):
    taxonomy, train, queries, table, sample, flags = random_table(seed)
    cuts = (0.0, 0.7, 0.9)
    theirs = evaluator.evaluate(table, taxonomy, train, queries, cuts, sample if sampled else None, flags)
    truth = {query: lineage(*taxonomy[query]) for query in queries}
    known = [lineage(*taxonomy[name]) for name in train]
    predictions = {
        query: Prediction(query, lineage(*path), tuple(confidence or ())) for query, (path, confidence) in table.items()
    }
    asked = queries
    if sampled:
        uniform = [query for query in queries if sample.get(query) == "uniform"]
        asked = dict.fromkeys(RANKS[:6], uniform) | {"species": [q for q in queries if q in sample]}
    found = judge(predictions, truth, known, asked)
    novel = [query for query in queries if flags[query] == "novel"]
    for cut in cuts:
        expected = theirs["cuts"][str(cut)]
        for rank in RANKS:
            if expected[rank]["n"] == 0:
                assert rank not in found
                continue
            ours = scores(found[rank].cut(cut))
            for name, value in expected[rank].items():
                assert same(getattr(ours, name), value), (cut, rank, name)
        stopped = depths(predictions, truth, known, novel, cut)
        for name, value in expected["novel"]["depth"].items():
            assert same(getattr(stopped, name), value), (cut, name)
        of_novel = judge(predictions, truth, known, novel)
        for rank in RANKS[4:]:
            if expected["novel"][rank]["n"]:
                ours = scores(of_novel[rank].cut(cut))
                assert all(same(getattr(ours, k), v) for k, v in expected["novel"][rank].items())
    for rank, expected in theirs["recall_at_p95"].items():
        ours = recall_at_precision(found[rank]) if rank in found else None
        assert (ours is None) == (expected is None)
        if ours:
            assert same(ours.recall, expected["recall"]) and ours.cut == expected["cut"]
