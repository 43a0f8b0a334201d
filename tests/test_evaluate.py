"""Whole evaluations, comparisons, the table and the plot."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from linnet.errors import UsageError, UserError
from linnet.evaluate import compare, evaluate, explanation, table
from linnet.prediction import Prediction, foreign
from linnet.report.evaluation import plot
from linnet.taxonomy import RANKS, Taxon


def lineage(code):
    return tuple(Taxon(rank, f"{rank} {code[: k + 1]}") for k, rank in enumerate(RANKS[: len(code)]))


def make_data(n=120, seed=0):
    """Truths and a tool whose confidence is the share of its names that are right."""
    rng = np.random.default_rng(seed)
    codes = [tuple(map(int, row)) for row in np.c_[np.zeros(n, int), rng.integers(0, 2, (n, 6))]]
    truth = {f"q{i}": lineage(code[: 7 if i % 2 else 6]) for i, code in enumerate(codes)}
    predictions = {}
    for query, code in zip(truth, codes, strict=True):
        confidence = np.cumprod(rng.uniform(0.85, 1, 7))
        level = next((k for k, p in enumerate(confidence) if rng.random() > p ** (1 / (k + 1))), 7)
        path = (*code[:level], *(5 for _ in code[level:]))
        predictions[query] = Prediction(query, lineage(path), tuple(map(float, confidence)))
    known = {lineage(code) for code in codes if code[5] + code[6] < 2}
    return predictions, truth, known


PREDICTIONS, TRUTH, KNOWN = make_data()


def test_an_evaluation_is_json_and_the_same_each_time():
    first = evaluate(PREDICTIONS, TRUTH, KNOWN, minimum=0.5, resamples=50)
    again = evaluate(PREDICTIONS, TRUTH, KNOWN, minimum=0.5, resamples=50)
    text = json.dumps(first.to_json(), allow_nan=False)
    assert text == json.dumps(again.to_json())
    genus = json.loads(text)["ranks"]["genus"]
    assert genus["n"] == 120 and genus["accuracy"] == first.ranks["genus"].scores.accuracy
    assert genus["recall_at_p95"] == first.ranks["genus"].recall_at_p95.recall
    assert len(genus["reliability"]) == 10


def test_intervals_hold_their_figures():
    evaluation = evaluate(PREDICTIONS, TRUTH, KNOWN, resamples=300)
    for rank in evaluation.ranks.values():
        for name in ("accuracy", "acc_known", "precision", "coverage", "ece", "ece_debiased"):
            low, high = rank.intervals[name]
            assert 0 <= low <= getattr(rank.scores, name) <= high <= 1


def test_no_resamples_no_intervals():
    evaluation = evaluate(PREDICTIONS, TRUTH, KNOWN, resamples=0)
    assert all(not rank.intervals for rank in evaluation.ranks.values())


def test_novel_queries_are_those_that_the_reference_does_not_reach():
    evaluation = evaluate(PREDICTIONS, TRUTH, KNOWN, resamples=0)
    assert evaluation.novel.n == sum(
        not any(reference[: len(true)] == true for reference in KNOWN) for true in TRUTH.values()
    )
    assert evaluate(PREDICTIONS, TRUTH, resamples=0).novel is None


def test_a_truth_without_canonical_ranks_is_an_error():
    with pytest.raises(UserError, match="no query has a true taxon"):
        evaluate({}, {"q": (Taxon("strain", "S"),)})


def test_a_tool_does_not_differ_from_itself():
    comparison = compare(PREDICTIONS, PREDICTIONS, TRUTH, KNOWN, resamples=30)
    for rank in comparison.ranks.values():
        assert rank.mcnemar.p_value == 1.0
        assert all(d.difference == 0 and d.interval == (0, 0) for d in rank.differences.values())


def test_a_better_tool_is_told_from_a_worse_one_and_pairs_narrow_the_interval():
    spoiled = {q: p for i, (q, p) in enumerate(PREDICTIONS.items()) if i % 5}
    comparison = compare(PREDICTIONS, spoiled, TRUTH, KNOWN, resamples=300)
    genus = comparison.ranks["genus"]
    accuracy = genus.differences["accuracy"]
    assert genus.mcnemar.b_only == 0 and genus.mcnemar.p_value < 0.001
    assert accuracy.difference == pytest.approx(accuracy.a - accuracy.b)
    assert 0 < accuracy.interval[0] < accuracy.difference < accuracy.interval[1]
    alone = evaluate(PREDICTIONS, TRUTH, KNOWN, resamples=300).ranks["genus"].intervals["accuracy"]
    assert accuracy.interval[1] - accuracy.interval[0] < 1.41 * (alone[1] - alone[0])
    json.dumps(comparison.to_json(), allow_nan=False)


def test_each_tool_is_compared_at_its_own_cut():
    comparison = compare(PREDICTIONS, PREDICTIONS, TRUTH, minima=(0.0, 1.1), resamples=0)
    coverage = comparison.ranks["genus"].differences["coverage"]
    assert (coverage.a, coverage.b, coverage.interval) == (1.0, 0.0, None)


def test_the_table_has_a_row_for_each_rank_and_a_line_for_each_column():
    text = table(evaluate(PREDICTIONS, TRUTH, KNOWN, minimum=0.5, resamples=20))
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[1:8]] == list(RANKS)
    for title in ("accuracy", "precision", "coverage", "wrong", "over", "ECE", "R@P95"):
        assert title in lines[0] and f"\n  {title} " in explanation()
    assert "cut at confidence 0.5" in text and max(map(len, lines)) <= 110


def test_the_table_leaves_out_columns_that_need_a_reference():
    text = table(evaluate(PREDICTIONS, TRUTH, resamples=0))
    assert "in ref" not in text and "precision" in text


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_plot_is_written_whole_and_alone(tmp_path, suffix):
    pytest.importorskip("matplotlib", reason="matplotlib, which draws the plot, is not installed")
    unscored = {q: replace(p, confidence=()) for q, p in PREDICTIONS.items()}
    evaluations = {
        "cut": evaluate(PREDICTIONS, TRUTH, KNOWN, minimum=0.5, resamples=20),
        "no confidence": evaluate(unscored, TRUTH, resamples=0),
    }
    out = tmp_path / f"plot{suffix}"
    plot(evaluations, out)
    assert out.stat().st_size > 5000
    assert list(tmp_path.iterdir()) == [out]


def test_a_plot_of_nothing_or_of_an_unknown_kind_is_refused(tmp_path):
    evaluation = evaluate(PREDICTIONS, TRUTH, resamples=0)
    with pytest.raises(UsageError, match="0 evaluations"):
        plot({}, tmp_path / "p.png")
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        plot({"a": evaluation}, tmp_path / "p.jpg")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"linnet\[report\]"):
        plot({"a": evaluate(PREDICTIONS, TRUTH, resamples=0)}, tmp_path / "p.png")


def test_an_underscore_for_a_blank_is_no_error():
    truth = {"q": (Taxon("domain", "B"), Taxon("species", "Aus bus"))}
    answer = {"q": foreign("q", (Taxon("domain", "B"), Taxon("species", "Aus_bus")), ())}
    assert evaluate(answer, truth, resamples=0).ranks["species"].scores.accuracy == 1.0
