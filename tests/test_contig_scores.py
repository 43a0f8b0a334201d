"""Figures of contigs' labels, against plain loops, hand-made cases and an independent script's scores."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from conftest import lineage

from linnet.__main__ import main
from linnet.contig_evaluation import compare_contigs, differences, evaluate_contigs, explanation, table
from linnet.contig_outcomes import RankCalls, judge_contigs
from linnet.contig_scores import (
    call_shares,
    compare,
    deepest_right,
    figures,
    novel_retention,
    precision_coverage_area,
    published_f1,
    resample,
    share,
    transitions,
    two_sided_p,
)
from linnet.errors import UserError
from linnet.gold_standard import GoldStandard, read_gold_standard
from linnet.lineages import parse_lineage
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import RANKS, Lineage, Taxon


def calls_of(rows: dict[str, str], confidence: dict[str, tuple[float, ...]] | None = None) -> dict[str, Prediction]:
    return {c: foreign(c, lineage(text) if text else (), (confidence or {}).get(c, ())) for c, text in rows.items()}


def judged(calls: dict[str, str], truth: dict[str, str], known: list[str] | None = None) -> dict[str, RankCalls]:
    paths = {contig: lineage(text) for contig, text in truth.items()}
    reference = None if known is None else [lineage(text) for text in known]
    return judge_contigs(calls_of(calls), paths, list(truth), reference)


def ones(calls: RankCalls) -> np.ndarray:
    return np.ones(len(calls.contig), np.int64)


def random_contigs(
    seed: int, n: int = 150
) -> tuple[dict[str, Prediction], dict[str, Prediction], GoldStandard, set[Lineage]]:
    """Calls, calls before, truths of every depth, some with a gap, and a reference that lacks some species."""
    rng = np.random.default_rng(seed)
    gold, after, before = GoldStandard({}, {}, {}), {}, {}
    for i in range(n):
        genome = int(rng.integers(12))
        code = [genome % 2, *(genome // k % 2 for k in (2, 2, 4, 4, 8)), genome]
        depth = int(rng.choice([3, 6, 7], p=[0.1, 0.2, 0.7]))
        taxa = [Taxon(rank, f"{rank} {code[: k + 1]}") for k, rank in enumerate(RANKS[:depth])]
        truth = tuple(t for t in taxa if not (t.rank == "class" and genome % 5 == 0 and depth > 3))
        contig = f"c{i}"
        gold.lineages[contig], gold.genomes[contig] = truth, f"G{genome}"
        gold.lengths[contig] = int(rng.integers(500, 9000))
        full = [Taxon(rank, f"{rank} {code[: k + 1]}") for k, rank in enumerate(RANKS)]
        for calls in (after, before):
            if rng.random() < 0.15:
                continue
            wrong_from = int(rng.integers(0, 14))
            path = [t if k < wrong_from else t._replace(name=f"{t.rank} wrong") for k, t in enumerate(full)]
            given = tuple(path[: int(rng.integers(0, 8))])
            scores = tuple(np.cumprod(rng.uniform(0.85, 1, len(given))).round(2).tolist())
            calls[contig] = foreign(contig, given, scores)
    known = {path for path in gold.lineages.values() if len(path) > 5 and path[-1].name[-2] in "02468"}
    return after, before, gold, known


def state(call: Prediction | None, truth: Lineage, rank: str, minimum: float) -> str:
    """right, wrong or none, the plain way; 'skipped' where the truth skips the rank."""
    true = {t.rank: t.name for t in truth}
    if rank not in true and any(r in true for r in RANKS[RANKS.index(rank) :]):
        return "skipped"
    given = {}
    for taxon, p in zip(call.lineage, call.confidence, strict=True) if call else ():
        if p < minimum:
            break
        given[taxon.rank] = taxon.name
    if rank not in given:
        return "none"
    above = RANKS[: RANKS.index(rank) + 1]
    return "right" if rank in true and all(true[r] == given.get(r) for r in above if r in true) else "wrong"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("minimum", [0.0, 0.6])
def test_figures_equal_those_of_a_plain_loop(seed: int, minimum: float) -> None:
    after, before, gold, known = random_contigs(seed)
    found = evaluate_contigs(after, gold, before=before, known=known, minimum=minimum, resamples=0)
    species_known = {path[-1].name for path in known if path[-1].rank == "species"}
    for rank in RANKS:
        one = found.ranks[rank]
        rows = [
            (state(after.get(c), path, rank, minimum), state(before.get(c), path, rank, 0.0),
             any(t.rank == rank for t in path), gold.lengths[c], c)
            for c, path in gold.lineages.items()
        ]  # fmt: skip
        rows = [row for row in rows if row[0] != "skipped"]
        for figure, weigh in ((one.contigs, lambda row: 1), (one.bases, lambda row: row[3])):
            assert figure is not None
            total = sum(map(weigh, rows))
            true = sum(weigh(r) for r in rows if r[2])
            right, wrong = (sum(weigh(r) for r in rows if r[0] == s) for s in ("right", "wrong"))
            assert (figure.total, figure.with_truth, figure.right, figure.wrong) == (total, true, right, wrong)
            assert figure.beyond_truth == sum(weigh(r) for r in rows if r[0] == "wrong" and not r[2])
            assert figure.missing == sum(weigh(r) for r in rows if r[0] == "none" and r[2])
            precision, recall = right / (right + wrong), right / true
            assert figure.precision == pytest.approx(precision)
            assert figure.recall == pytest.approx(recall)
            assert figure.f1 == pytest.approx(2 * precision * recall / (precision + recall))
            assert figure.coverage == pytest.approx((right + wrong) / total)
        change = one.change
        assert change is not None
        counts = {
            b: {a: sum(r[:2] == (a, b) for r in rows) for a in ("right", "wrong", "none")} for b in change.transitions
        }
        assert change.transitions == counts
        assert change.corrected == pytest.approx(counts["wrong"]["right"] / sum(counts["wrong"].values()))
        assert change.harmed == pytest.approx(counts["right"]["wrong"] / sum(counts["right"].values()))
        assert change.cut == pytest.approx(counts["right"]["none"] / sum(counts["right"].values()))
        assert change.newly_right == pytest.approx(counts["none"]["right"] / sum(counts["none"].values()))
        if rank == "species":
            absent = [r for r in rows if r[2] and gold.lineages[r[4]][-1].name not in species_known]
            assert one.absent == len(absent) > 0
            assert one.wrong_on_absent == pytest.approx(sum(r[0] == "wrong" for r in absent) / len(absent))


def test_a_name_below_the_end_of_the_truth_is_wrong_and_counted_apart() -> None:
    found = judged({"a": "B;P;C", "b": "B;P;C", "c": "B"}, {"a": "B;P", "b": "B;P;C", "c": "B;P"})["class"]
    f = figures(found, ones(found))
    assert (f.total, f.with_truth, f.right, f.wrong, f.beyond_truth, f.missing) == (3, 1, 1, 1, 1, 0)
    assert (f.precision, f.recall) == (0.5, 1.0)


def test_a_contig_without_a_row_is_a_contig_without_a_name() -> None:
    truth = {"a": "B;P", "b": "B;P"}
    absent, empty = judged({"a": "B;P"}, truth)["phylum"], judged({"a": "B;P", "b": ""}, truth)["phylum"]
    assert figures(absent, ones(absent)) == figures(empty, ones(empty))
    assert figures(absent, ones(absent)).missing == 1


def test_a_rank_that_the_truth_skips_is_not_compared() -> None:
    truth = {"a": (Taxon("domain", "B"), Taxon("class", "C")), "b": lineage("B;P;C")}
    found = judge_contigs(calls_of({"a": "B;X;C", "b": "B;P;C"}), truth, ["a", "b"])
    assert figures(found["phylum"], ones(found["phylum"])).total == 1
    assert figures(found["class"], ones(found["class"])).right == 2


def test_a_right_name_on_a_wrong_path_is_wrong() -> None:
    found = judged({"a": "B;X;C"}, {"a": "B;P;C"})["class"]
    assert figures(found, ones(found)).wrong == 1


def test_prefixes_that_a_taxdump_has_in_its_names_do_not_matter() -> None:
    truth = {"a": tuple(Taxon(t.rank, f"{t.rank[0]}__{t.name}") for t in lineage("B;P"))}
    found = judge_contigs(calls_of({"a": "B;P"}), truth, ["a"], known=[lineage("B;P")])["phylum"]
    assert found.outcomes.right.all() and found.outcomes.known is not None and found.outcomes.known.all()


def test_macro_means_give_each_taxon_the_same_weight() -> None:
    truth = {f"x{i}": "X" for i in range(8)} | {"y1": "Y", "y2": "Y"}
    calls = {f"x{i}": "X" for i in range(8)} | {"y1": "X", "y2": "Z"}
    found = judged(calls, truth)["domain"]
    f = figures(found, ones(found))
    assert f.macro_precision == pytest.approx((8 / 9 + 0) / 2)  # of X and Z; Y was never called
    assert f.macro_recall == pytest.approx((1 + 0) / 2)  # of X and Y
    assert f.macro_f1 == pytest.approx((16 / 17 + 0) / 2)


def slow_area(calls: RankCalls) -> float:
    """The definition, word by word."""
    o = calls.outcomes
    confidence = np.where(np.isnan(o.path_confidence), 1.0, o.path_confidence)
    total = 0.0
    for i in np.flatnonzero(o.classified):
        above = o.classified & (confidence >= confidence[i])
        total += o.right[above].mean()
    return float(total / len(o))


@pytest.mark.parametrize("seed", range(3))
def test_the_area_is_the_mean_precision_down_to_each_contig(seed: int) -> None:
    after, _, gold, _ = random_contigs(seed)
    for found in judge_contigs(after, gold.lineages, list(gold.lineages)).values():
        assert precision_coverage_area(found, ones(found)) == pytest.approx(slow_area(found))


def test_the_area_rewards_wrong_names_that_are_less_sure() -> None:
    truth = {"a": lineage("B"), "b": lineage("B"), "c": lineage("B"), "d": lineage("B")}
    calls = {"a": "B", "b": "X", "c": "B"}

    def area(**p: float) -> float:
        rows = calls_of(calls, {contig: (value,) for contig, value in p.items()})
        found = judge_contigs(rows, truth, list(truth))["domain"]
        return precision_coverage_area(found, ones(found))

    assert area(a=0.9, b=0.1, c=0.8) == pytest.approx((1 + 1 + 2 / 3) / 4)
    assert area(a=0.9, b=0.95, c=0.8) == pytest.approx((0 + 1 / 2 + 2 / 3) / 4)
    assert area(a=0.9, b=0.9, c=0.9) == area() == pytest.approx(3 * (2 / 3) / 4)  # ties, and no confidence at all
    assert area(b=0.5) == pytest.approx((1 + 1 + 2 / 3) / 4)  # no confidence counts as 1


def test_the_area_is_over_all_cuts_and_the_figures_after_one() -> None:
    after, _, gold, _ = random_contigs(0)
    whole, cut = (evaluate_contigs(after, gold, minimum=p, resamples=0).ranks["genus"] for p in (0.0, 0.7))
    assert whole.area == cut.area
    assert whole.contigs.coverage is not None and cut.contigs.coverage is not None
    assert whole.contigs.coverage > cut.contigs.coverage


def test_no_name_at_all_has_no_precision_and_no_area() -> None:
    found = judged({}, {"a": "B"})["domain"]
    f = figures(found, ones(found))
    assert (f.precision, f.recall, f.f1, f.coverage, f.macro_precision) == (None, 0.0, 0.0, 0.0, None)
    assert precision_coverage_area(found, ones(found)) == 0.0


def test_transitions_count_before_by_row_and_after_by_column() -> None:
    truth = dict.fromkeys("abcdef", "B")
    before = judged({"a": "B", "b": "B", "c": "B", "d": "X", "e": "X"}, truth)["domain"]
    after = judged({"a": "B", "b": "X", "d": "B", "e": "X", "f": "B"}, truth)["domain"]
    assert transitions(before, after, ones(after)).tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]


def test_novel_contigs_are_retained_above_where_the_reference_ends() -> None:
    truth = dict.fromkeys(("exact", "above", "none", "below", "wrong", "mixed"), "B;P;C;O;F;G;S new")
    calls = {
        "exact": "B;P;C;O;F;G", "above": "B;P", "below": "B;P;C;O;F;G;S old", "wrong": "B;X",
        "mixed": "B;P;C;O;X;G", "none": "",
    }  # fmt: skip
    truth |= {"known": "B;P;C;O;F;G;S old"}
    found = judged(calls, truth, ["B;P;C;O;F;G;S old"])
    retention = novel_retention(found, len(truth))
    assert retention is not None
    assert (retention.n, retention.retained, retention.exact) == (6, pytest.approx(2 / 6), pytest.approx(1 / 6))


def test_where_the_whole_genus_is_absent_the_family_is_the_place() -> None:
    truth = {"a": "B;P;C;O;F;G new;S new", "b": "B;P;C;O;F;G new;S new"}
    found = judged({"a": "B;P;C;O;F", "b": "B;P;C;O;F;G new"}, truth, ["B;P;C;O;F;G;S"])
    retention = novel_retention(found, 2)
    assert retention is not None and (retention.retained, retention.exact) == (0.5, 0.5)
    assert novel_retention(judged({}, truth), 2) is None
    assert novel_retention(judged({}, truth, ["B;P;C;O;F;G new;S new"]), 2) is None


def test_deepest_right_counts_every_contig_once() -> None:
    truth = dict.fromkeys("abcd", "B;P;C")
    found = judged({"a": "B;P;C", "b": "B;P;X", "c": "X;P;C"}, truth)
    assert deepest_right(found, 4) == {"none": 2, "domain": 0, "phylum": 1, "class": 1}


def test_the_published_score_follows_the_published_script() -> None:
    s = "B;P;C;O;F;G;"
    truth = {c: lineage(s + "Some species") for c in "abcdefg"} | {"h": lineage("B;P")}
    rows = {
        "a": (s + "some_species", (0.9,) * 7),  # lower case, underscores: right
        "b": (s + "Some species", (0.9,) * 6 + (0.80,)),  # not above 0.80: missing
        "c": (s + "Other", (0.9,) * 7),
        "d": ("B;P", (0.99, 0.99)),  # no species: missing
        "e": (s + "Some species", ()),  # no scores: kept
        "f": ("X;X;X;X;X;X;Some species", (0.9,) * 7),  # what is above does not matter
        "h": (s + "Some species", (0.9,) * 7),  # the truth has no species: wrong
        "elsewhere": (s + "Some species", (0.9,) * 7),  # not in the truth
    }  # and g is not in the calls: not counted
    score = published_f1({c: foreign(c, lineage(text), p) for c, (text, p) in rows.items()}, truth)
    assert (score.correct, score.wrong, score.missing) == (3, 2, 2)
    assert score.f1 == pytest.approx(2 * 3 / (3 + 2 + 7))
    assert score.precision == pytest.approx(3 / 5) and score.recall == pytest.approx(3 / 7)


def test_a_bootstrap_of_sums_equals_one_that_copies_contigs() -> None:
    after, _, gold, _ = random_contigs(1)
    found = judge_contigs(after, gold.lineages, list(gold.lineages))["genus"]
    number = {name: i for i, name in enumerate(dict.fromkeys(gold.genomes.values()))}
    genome = np.array([number[name] for name in gold.genomes.values()])[found.contig]
    draws = resample(call_shares(found, ones(found)), genome, len(number), 20, seed=4)
    rng = np.random.default_rng(4)
    drawn = rng.integers(0, len(number), (20, len(number)))
    for r in range(20):
        copies = np.concatenate([np.flatnonzero(genome == g) for g in drawn[r]])
        right, named, true = (x[copies].sum() for x in (found.outcomes.right, found.outcomes.classified, found.reached))
        assert draws["f1"][r] == pytest.approx(2 * right / (named + true))
        assert draws["precision"][r] == pytest.approx(right / named)


def test_contigs_of_one_genome_are_not_independent() -> None:
    """Four genomes of 50 contigs, each wholly right or wholly wrong: intervals over contigs would be far too narrow."""
    truth = {f"c{i}": "B" for i in range(200)}
    found = judged({c: "B" if i < 100 else "X" for i, c in enumerate(truth)}, truth)["domain"]
    shares, contig = call_shares(found, ones(found)), np.arange(200)

    def width(genome: np.ndarray, genomes: int) -> float:
        return float(np.ptp(np.quantile(resample(shares, genome, genomes, 500, 0)["precision"], [0.025, 0.975])))

    assert width(contig // 50, 4) > 4 * width(contig, 200)


def test_a_set_of_calls_does_not_differ_from_itself() -> None:
    after, _, gold, _ = random_contigs(2)
    for rank in compare_contigs(after, after, gold, resamples=50).ranks.values():
        for d in rank.values():
            assert (d.difference, d.interval, d.p_value) == (0, (0, 0), 1)


def test_better_calls_in_every_genome_are_better_beyond_chance() -> None:
    _, _, gold, _ = random_contigs(3)
    best = {c: foreign(c, path, ()) for c, path in gold.lineages.items()}
    worse = {c: call for i, (c, call) in enumerate(best.items()) if i % 3}
    d = compare_contigs(best, worse, gold, resamples=200).ranks["genus"]["recall"]
    assert d.a == 1 and d.difference == pytest.approx(1 - d.b)
    assert d.interval is not None and 0 < d.interval[0] < d.difference < d.interval[1]
    assert d.p_value == 1 / 200  # none of the resamples is on the other side


def test_the_p_value_counts_both_sides_and_ties() -> None:
    assert two_sided_p(np.array([-1.0, 1, 1, 1, 1, 1, 1, 1])) == pytest.approx(2 / 8)
    assert two_sided_p(np.array([0.0, 0, np.nan])) == 1
    assert two_sided_p(np.ones(10)) == pytest.approx(1 / 10)
    assert two_sided_p(np.array([np.nan])) is None


def test_a_cut_applies_to_each_tool_its_own() -> None:
    after, _, gold, _ = random_contigs(4)
    d = compare_contigs(after, after, gold, minima=(0.0, 0.9), resamples=0).ranks["genus"]["recall"]
    assert d.a == evaluate_contigs(after, gold, resamples=0).ranks["genus"].contigs.recall
    assert d.b == evaluate_contigs(after, gold, minimum=0.9, resamples=0).ranks["genus"].contigs.recall
    assert d.interval is None and d.p_value is None


def test_compared_shares_are_those_of_each_alone() -> None:
    found_a, found_b = (judged(c, {"a": "B", "b": "B"})["domain"] for c in ({"a": "B"}, {"a": "X", "b": "B"}))
    d = compare(found_a, found_b, np.array([0, 1]), 2, 10, 0)
    assert d["precision"].a == share(*call_shares(found_a, ones(found_a))["precision"]) == 1
    assert d["precision"].b == 0.5


def test_an_evaluation_is_json_and_a_table() -> None:
    after, before, gold, known = random_contigs(0)
    found = evaluate_contigs(after, gold, before=before, known=known, minimum=0.5, resamples=50)
    rank = json.loads(json.dumps(found.to_json(), allow_nan=False))["ranks"]["genus"]
    assert rank["contigs"]["f1"] == found.ranks["genus"].contigs.f1
    assert sum(sum(row.values()) for row in rank["change"]["transitions"].values()) == rank["contigs"]["total"]
    low, high = rank["intervals"]["f1"]
    assert low < rank["contigs"]["f1"] < high
    text = table(found)
    header, meanings = text.splitlines()[0], explanation()
    for title in ("bases F1", "macro F1", "beyond", "harmed", "absent", "area"):
        assert title in header and f"\n  {title} " in meanings
    assert [line.split()[0] for line in text.splitlines()[1:8]] == list(RANKS)
    assert "150 contigs of 0.7 Mbp of 12 genomes, cut at confidence 0.5." in text


def test_columns_without_figures_are_left_out() -> None:
    gold = GoldStandard({"a": lineage("B;P")}, {}, {})
    text = table(evaluate_contigs(calls_of({"a": "B;P"}), gold, resamples=10))
    assert not any(title in text for title in ("bases", "harmed", "absent", "ECE", "Mbp", "beyond"))


def test_the_list_of_contigs_decides_what_is_judged() -> None:
    gold = GoldStandard({"a": lineage("B"), "b": lineage("B"), "c": lineage("B")}, {}, {"a": 1, "b": 1})
    found = evaluate_contigs(calls_of({"a": "B", "c": "X"}), gold, {"a": 10, "b": 30, "stranger": 5}, resamples=0)
    assert (found.contigs, found.without_truth, found.bases) == (2, 1, 40)
    assert found.ranks["domain"].contigs.recall == 0.5
    assert found.ranks["domain"].bases is not None and found.ranks["domain"].bases.recall == 0.25
    assert "for want of a truth: 1 more" in table(found)
    assert evaluate_contigs({}, gold, resamples=0).bases is None  # c has no length
    with pytest.raises(UserError, match="none of the contigs has a true lineage.*'stranger'"):
        evaluate_contigs({}, gold, {"stranger": 5})


def test_contigs_without_a_genome_are_drawn_by_their_true_lineage() -> None:
    truth = {"a": lineage("B;P"), "b": lineage("B;P"), "c": lineage("B;Q"), "d": lineage("B;Q")}
    assert evaluate_contigs({}, GoldStandard(truth, {}, {}), resamples=0).genomes == 2
    assert evaluate_contigs({}, GoldStandard(truth, {"a": "G"}, {}), resamples=0).genomes == 3


def test_scores_of_an_independent_script_are_repeated(shared_data: Path) -> None:
    """The parity kit's evaluate.py keeps calls above 0.5 and compares names rank by rank."""
    folder = shared_data / "parity" / "taxometer"
    files = {
        "input labels": "taxonomy_noisy.tsv",
        "Taxometer 5.0.4 seed 1": "taxometer_out/results_taxometer.seed1.tsv",
        "plain 2x256 MLP, 40 epochs, 5-fold cross-fit": "taxometer_out/reference_mlp.40epochs.crossfit5.tsv",
    }
    gold = read_gold_standard(folder / "truth.tsv")
    expected: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(dict)
    with (folder / "scores.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            expected[row["run"], row["min_score"]][row["rank"]] = row
    compared = 0
    for (run, least), ranks in expected.items():
        if run in files:
            calls = {}
            with (folder / files[run]).open() as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    scores = tuple(float(x) for x in (row.get("scores") or "").split(";") if x)
                    calls[row["contigs"]] = foreign(row["contigs"], parse_lineage(row["predictions"]), scores)
            found = evaluate_contigs(calls, gold, minimum=np.nextafter(float(least), 1), resamples=0)
            for rank, row in ranks.items():
                f = found.ranks[rank].contigs
                assert [f.right, f.wrong, f.missing] == [int(row[k]) for k in ("correct", "wrong", "missing")]
                assert f.precision == pytest.approx(float(row["precision"]), abs=5e-5)
                assert f.recall == pytest.approx(float(row["recall"]), abs=5e-5)
                assert f.f1 == pytest.approx(float(row["f1"]), abs=5e-5)
                compared += 1
    assert compared == 7 * 6


# ---------------------------------------------------------------------- the command


@pytest.fixture
def contigs(tmp_path: Path) -> Path:
    """A folder with a truth, contigs, labels and two tables of linnet's."""

    def jsonl(name: str, rows: dict[str, str]) -> None:
        entries = [
            {"record": c, "strand": ".", "stopped": "named", "cut": len(lineage(t)), "novelty": [0] * (len(lineage(t)) + 1),
             "reason": "", "lineage": [{"rank": x.rank, "name": x.name, "confidence": 0.9} for x in lineage(t)]}
            for c, t in rows.items()
        ]  # fmt: skip
        (tmp_path / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    (tmp_path / "truth.tsv").write_text("contig\tlineage\tgenome\n" + "".join(
        f"c{i}\td__B;p__P{i % 2}\tG{i % 4}\n" for i in range(8)))  # fmt: skip
    (tmp_path / "contigs.fna").write_text("".join(f">c{i}\n{'ACGT' * (i + 1)}\n" for i in range(8)))
    jsonl("ours.jsonl", {f"c{i}": f"B;P{i % 2}" for i in range(8)})
    jsonl("labels.jsonl", {f"c{i}": "B;P0" for i in range(6)})
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = main([str(a) for a in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_evaluate_judges_all_contigs_of_a_file(capsys: pytest.CaptureFixture[str], contigs: Path) -> None:
    ours, labels, out = contigs / "ours.jsonl", contigs / "labels.jsonl", contigs / "e.json"
    code, text, err = run(capsys, "evaluate", ours, labels, "--truth", contigs / "truth.tsv", "--before", labels,
                          "--contigs", contigs / "contigs.fna", "--resamples", 20, "--out", out)  # fmt: skip
    assert code == 0, err
    assert "8 contigs of 0.0 Mbp of 4 genomes" in text and "ours.jsonl less labels.jsonl" in text
    found = json.loads(out.read_text())
    theirs = found["evaluations"]["labels.jsonl"]["ranks"]["phylum"]
    assert (theirs["contigs"]["right"], theirs["contigs"]["wrong"], theirs["contigs"]["missing"]) == (3, 3, 2)
    assert theirs["bases"]["total"] == 4 * 36
    change = found["evaluations"]["ours.jsonl"]["ranks"]["phylum"]["change"]
    assert (change["corrected"], change["harmed"], change["newly_right"]) == (1, 0, 1)
    d = found["comparisons"]["ours.jsonl against labels.jsonl"]["ranks"]["phylum"]["recall"]
    assert d["difference"] == pytest.approx(1 - 3 / 8)


def test_short_contigs_can_be_left_out(capsys: pytest.CaptureFixture[str], contigs: Path) -> None:
    argv = ["evaluate", contigs / "ours.jsonl", "--truth", contigs / "truth.tsv", "--contigs", contigs / "contigs.fna"]
    assert "4 contigs of 0.0 Mbp" in run(capsys, *argv, "--min-length", 20)[1]
    code, _, err = run(capsys, *argv, "--min-length", 1000)
    assert (code, "no contig has 1,000 bases" in err) == (1, True)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--before", "x"), "--before without --contigs"),
        (("--min-length", "5"), "--min-length without --contigs"),
        (("--contigs", "x", "--plot", "y.svg"), "--plot with --contigs"),
    ],
)
def test_flags_of_the_other_kind_of_figures_are_refused(
    capsys: pytest.CaptureFixture[str], contigs: Path, flags: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capsys, "evaluate", contigs / "ours.jsonl", "--truth", contigs / "truth.tsv", *flags)
    assert (code, message in err) == (2, True)


def test_calls_for_other_contigs_are_an_error(capsys: pytest.CaptureFixture[str], contigs: Path) -> None:
    (contigs / "other.tsv").write_text("x1\t500\n")
    code, _, err = run(capsys, "evaluate", contigs / "ours.jsonl", "--truth", contigs / "truth.tsv",
                       "--contigs", contigs / "other.tsv")  # fmt: skip
    assert (code, "ours.jsonl: has none of the contigs" in err) == (1, True)


def test_differences_are_a_line_for_each_rank_and_figure() -> None:
    after, before, gold, _ = random_contigs(5)
    text = differences(compare_contigs(after, before, gold, resamples=20))
    assert len(text.splitlines()) == 7 * 3 and "p = " in text
