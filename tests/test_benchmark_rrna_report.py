"""What the 16S benchmark reports: several seeds, every other tool, points of operation, the picture."""

from __future__ import annotations

import json
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from rrna_benchmark import load, load_all

from linnet.outcomes import Outcomes

prepare = load("prepare")

UP_TO_FAMILY = "k__B;p__P;c__C;o__O;f__F"
TRUTH = {
    "r1": f"{UP_TO_FAMILY};g__G;s__S",
    "r2": f"{UP_TO_FAMILY};g__G;s__T",
    "q1": f"{UP_TO_FAMILY};g__G;s__S",
    "q2": f"{UP_TO_FAMILY};g__G;s__S",
    "q3": f"{UP_TO_FAMILY};g__G;s__T",
    "q4": f"{UP_TO_FAMILY};g__G;s__T",
    "q5": f"{UP_TO_FAMILY};g__G;s__U",
    "q6": f"{UP_TO_FAMILY};g__H;s__V",
}
"""References, queries of known species, and at the end one of a new species and one of a new genus."""

SPECIES_NAMED: dict[tuple[str, int | None], dict[str, tuple[str, float]]] = {
    ("naive-bayes", None): {"q1": ("S", 0.9), "q2": ("T", 0.6), "q3": ("T", 0.8), "q5": ("S", 0.5)},
    ("vsearch", None): {f"q{i}": ("S", 0.99) for i in range(1, 7)},
    ("kraken2", None): {},
    ("linnet-commonest", None): {f"q{i}": ("T", 0.5) for i in range(1, 7)},
    ("linnet", 1): {"q1": ("S", 0.9), "q2": ("S", 0.8), "q3": ("T", 0.7), "q4": ("T", 0.3), "q5": ("S", 0.6), "q6": ("S", 0.2)},
    ("linnet", 2): {"q1": ("S", 0.9), "q2": ("T", 0.8), "q3": ("T", 0.7), "q4": ("T", 0.5), "q5": ("S", 0.4), "q6": ("S", 0.1)},
}  # fmt: skip
"""Tool and seed -> the species of each query and its confidence; those above are always named, to the genus G."""


@pytest.fixture
def reported(tmp_path):
    """A folder with finished cells of four tools, one of them with two seeds, and of the floor of all."""
    place = tmp_path / "data" / "random" / "V4"
    place.mkdir(parents=True)
    (tmp_path / "data" / "taxonomy.tsv").write_text("".join(f"{i}\t{text}\n" for i, text in TRUTH.items()))
    for name, letter in (("train", "r"), ("sample", "q")):
        (place / f"{name}.fasta").write_text("".join(f">{i}\nACGT\n" for i in TRUTH if i[0] == letter))
    queries = [i for i in TRUTH if i[0] == "q"]
    prepare.write_ids(tmp_path / "data" / "random" / "sample.tsv.gz", queries, dict.fromkeys(queries, "uniform"))
    for (tool, seed), named in SPECIES_NAMED.items():
        write_cell(tmp_path, tool, seed, named)
    return tmp_path


def write_cell(work, tool, seed, named):
    cells = load("cells")
    cell = cells.Cell(tool, "random", "V4", "sample", seed)
    folder = work / "cells" / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    usage = {"cpu_s": 2.0, "wall_s": 2.0, "peak_mb": 10.0}
    record = {
        "cell": vars(cell), "reads": 6, "training": None, "start_up": usage, "classification": usage,
        "reads_per_cpu_s": 100.0 * (seed or 1), "at_least": tool == "kraken2", "load": 1.0, "version": "1",
        "references": "data/random/V4/train.fasta", "queries": "data/random/V4/sample.fasta",
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record))
    lines = []
    for query in (i for i in TRUTH if i[0] == "q"):
        name, confidence = named.get(query, (None, 0.0))
        lineage = f"{UP_TO_FAMILY};g__G" + (f";s__{name}" if name else "")
        confidences = [] if tool == "kraken2" else [1.0] * 6 + [confidence] * (name is not None)
        lines.append(f"{query}\t{lineage}\t{','.join(map(str, confidences))}\n")
    (folder / "predictions.tsv").write_text("".join(lines))


def results_of(work, *modules):
    """The results of a folder, and the modules asked for, loaded with those that made them."""
    cells, score, *others = load_all("cells", "score", *modules)
    bench = cells.Bench(work, quick=False)
    data = {"sequences": 8, "splits": {"random": {"references": 2}}}
    about = {"linnet": "0", "quick": False, "machine": "a machine", "data": data, "skipped": [], "failed": []}
    return about | score.score(bench, cells.finished(bench)), *others


def row_of(text, label, after=""):
    """The cells of the first row of a table that begins so, in the text from `after` on."""
    lines = text[text.index(after) :].splitlines()
    return next(c for line in lines if label in (c := [cell.strip() for cell in line.strip("|").split("|")])[:2])


def test_trainings_that_differ_in_their_seed_share_a_row_of_mean_least_and_greatest(reported):
    results, tables = results_of(reported, "tables")
    region, label, genus, species, known, *_, speed, _, _ = row_of(tables.summary(results), "linnet, 2 seeds")
    assert (region, label, genus) == ("V4", "linnet, 2 seeds", "83.3 [83.3 to 83.3]")
    assert species == "58.3 [50.0 to 66.7]"
    assert known == "87.5 [75.0 to 100.0]"
    assert speed == "150"
    assert row_of(tables.summary(results), "naive-bayes")[3] == "33.3"
    (found,) = results["over_seeds"]
    assert found["seeds"] == [1, 2]
    assert [found[how]["0"]["species"]["accuracy"] for how in ("least", "greatest")] == [3 / 6, 4 / 6]


def test_a_figure_that_a_seed_lacks_has_no_mean():
    seeds = load("seeds")
    runs = [
        {"a": 1.0, "b": None, "c": [1, 2], "d": {"x": 1.0, "y": 2.0}},
        {"a": 2.0, "b": 1.0, "c": [3, 2], "d": {"x": 3.0}},
    ]
    assert seeds.together(runs, max) == {"a": 2.0, "b": None, "c": [3, 2], "d": {"x": 3.0}}


def test_a_figure_over_seeds_is_a_dash_unless_every_seed_has_it():
    text = load("text")
    assert [text.over(values) for values in ([0.5, None], [0.5], [0.5, 0.25])] == ["-", "50.0", "37.5 [25.0 to 50.0]"]


def test_every_seed_is_set_beside_every_other_tool(reported):
    results, tables = results_of(reported, "tables")
    found = {(row["peer"], row["rank"]): row["seeds"] for row in results["beside_peers"] if row["tool"] == "linnet"}
    assert {rank for _, rank in found} == set(prepare.RANKS[1:])
    assert {row["tool"] for row in results["beside_peers"]} == {"linnet"}  # and not the floor
    won_and_lost = {
        peer: [(s["won"], s["lost"]) for s in found[peer, "species"]] for peer in ("naive-bayes", "vsearch")
    }
    assert won_and_lost == {"naive-bayes": [(2, 0), (1, 0)], "vsearch": [(2, 0), (2, 1)]}
    page = tables.render(results)
    assert row_of(page, "naive-bayes", "**V4: linnet**")[-2:] == ["0:0 (0)", "1.5:0 (0)"]
    assert "No other tool is significantly ahead of it in any seed" in page
    assert "More right than every other tool in the mean of its seeds: species (V4)." in page


def compared(peer, rank, *seeds):
    shown = [{"seed": i, "won": won, "lost": lost, "p_value": p} for i, (won, lost, p) in enumerate(seeds)]
    return {"tool": "linnet", "region": "V4", "rank": rank, "peer": peer, "n": 50, "seeds": shown}


def test_it_is_said_where_another_tool_is_ahead_and_where_linnet_is_ahead_of_all():
    (rival_tables,) = load_all("rival_tables")
    even = [(1, 1, 1.0)] * 2
    rows = [compared(peer, rank, *even) for peer in ("rdp", "vsearch") for rank in prepare.RANKS[1:4]]
    rows += [compared("rdp", "family", (1, 9, 0.02), (2, 9, 0.07)), compared("vsearch", "family", *even)]
    rows += [
        compared("rdp", "genus", (9, 0, 0.004), (9, 1, 0.02)),
        compared("vsearch", "genus", (9, 1, 0.02), (8, 2, 0.1)),
    ]
    rows += [
        compared("rdp", "species", (9, 0, 0.004), (9, 0, 0.004)),
        compared("vsearch", "species", *[(9, 1, 0.02)] * 2),
    ]
    said, _, table, _ = rival_tables.beside(rows)
    assert "Significantly ahead of it in some seed: rdp at family (V4, 1 of 2 seeds)." in said
    assert "Significantly ahead of every other tool in every seed: species (V4)." in said
    assert "in the mean of its seeds: genus, species (V4)." in said
    assert row_of(table, "rdp")[-3:] == ["1.5:9 (-1)", "9:0.5 (+2)", "9:0 (+2)"]
    assert row_of(table, "vsearch")[-3:] == ["1:1 (0)", "8.5:1.5 (+1)", "9:1 (+2)"]


def test_tools_are_compared_where_they_name_as_many_unknown_or_known_taxa_as_naive_bayes(reported):
    results, tables = results_of(reported, "tables")
    species = next(row for row in results["operating_points"] if row["rank"] == "species")
    assert (species["rank"], species["n_known"], species["n_unknown"]) == ("species", 4, 2)
    assert species["standard"] == {"right": 0.5, "wrong": 0.25, "over": 0.5}
    found = {tool["tool"]: tool["seeds"] for tool in species["tools"]}
    assert set(found) == {"linnet", "vsearch"}  # kraken2 has no confidence
    first, second = found["linnet"]
    assert first["same_over"] == {"cut": 0.3, "right": 1.0, "wrong": 0.0, "over": 0.5}
    assert first["same_right"] == {"cut": 0.8, "right": 0.5, "wrong": 0.0, "over": 0.0}
    assert second["same_over"] == {"cut": 0.4, "right": 0.75, "wrong": 0.25, "over": 0.5}
    assert found["vsearch"][0]["same_over"] is None
    page = tables.render(results)
    shown = row_of(page, "linnet, 2 seeds", "## At naive Bayes's operating point")[-3:]
    assert shown == ["12.5 [0.0 to 25.0]", "12.5 [0.0 to 25.0]", "0.0 [0.0 to 0.0]"]
    assert row_of(page, "vsearch", "## At naive Bayes's operating point")[-3:] == ["-", "-", "100.0"]


def test_the_points_of_all_cuts_are_what_cutting_leaves():
    judged, operating = load_all("judged", "operating")
    random = np.random.default_rng(3)
    n = 60
    confidence = random.choice([0.0, 0.2, 0.35, 0.5, 0.9, 1.0, -np.inf, np.nan], n)
    named = random.random(n) < 0.8
    right = named & (random.random(n) < 0.5)
    known = right | (random.random(n) < 0.5)
    label = np.arange(n)
    of = Outcomes("genus", tuple(map(str, label)), right, named, known, confidence, confidence, label, label)
    cuts, points = operating.points(judged.Judged.of(of))
    assert cuts.tolist() == [-np.inf, *sorted(set(confidence[named & (confidence > 0)]))]
    for cut, point in zip(cuts, points, strict=True):
        left = of.cut(cut)
        named_right = sum(left.right[known]) / sum(known)
        named_wrong = sum(left.classified[known] & ~left.right[known]) / sum(known)
        named_new = sum(left.classified[~known]) / sum(~known)
        assert (point.right, point.wrong, point.over) == pytest.approx((named_right, named_wrong, named_new))


def test_scores_are_kept_until_what_they_come_from_is_another(reported, monkeypatch):
    first, score = results_of(reported, "score")
    monkeypatch.setitem(score.evaluate.__globals__, "_evaluate_rank", None)  # whatever is scored now fails
    monkeypatch.setitem(score.judge.__globals__, "_judge_rank", None)
    again, _ = results_of(reported, "score")
    assert again == first
    monkeypatch.undo()
    write_cell(reported, "vsearch", None, {})
    changed, _ = results_of(reported, "score")
    accuracy = {
        row["label"]: [of["cells"][i]["scores"]["0"]["species"]["accuracy"] for of in (first, changed)]
        for i, row in enumerate(first["cells"])
    }
    assert accuracy["vsearch"] == [2 / 6, 0.0]
    assert accuracy["naive-bayes"] == [2 / 6, 2 / 6]


def test_what_became_of_queries_is_kept_whole():
    judged = load("judged")
    flags = [np.array([bool(n & bit) for n in range(8)]) for bit in (1, 2, 4)]
    first = judged.Judged(*flags, np.array([0.1, 1 / 3, 1.0, 0.0, np.nan, -np.inf, 1e-17, 0.7]))
    again = judged.Judged.from_json(json.loads(json.dumps(first.to_json())))
    for name in vars(first):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_a_digest_is_of_what_files_hold_and_of_settings(tmp_path):
    kept = load("kept")
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
    digests = [kept.digest([tmp_path / name], [setting]) for name, setting in (("a", 1), ("b", 1), ("c", 1), ("a", 2))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("n", [1, 5, 30])
def test_no_label_of_a_crowd_lies_on_another_or_leaves_the_frame(n):
    labels = load("labels")
    random = np.random.default_rng(n)
    frame = labels.Box(0, 0, 800, 300)
    points = list(zip(random.normal(400, 40, n).tolist(), random.normal(150, 30, n).tolist(), strict=True))
    sizes = [(float(width), 15.0) for width in random.integers(30, 140, n)]
    marks = [labels.Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    boxes = labels.label_boxes(points, sizes, 9, marks, [], frame)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert not any(box.overlaps(mark) for box in boxes for mark in marks)
    assert all(box.within(frame) for box in boxes)
    assert [(round(box.right - box.left), round(box.bottom - box.top)) for box in boxes] == sizes


def test_a_lone_point_has_its_label_to_the_right_and_not_over_a_line():
    labels = load("labels")
    frame, size = labels.Box(0, 0, 400, 200), (60.0, 16.0)
    assert labels.label_boxes([(100, 100)], [size], 9, [], [], frame) == [labels.Box(109, 92, 169, 108)]
    line = labels.Box(120, 0, 121, 200)
    assert labels.label_boxes([(100, 100)], [size], 9, [], [line], frame) == [labels.Box(31, 92, 91, 108)]


def test_the_picture_has_a_point_and_a_label_for_each_tool(reported):
    results, speed_figure = results_of(reported, "speed_figure")
    picture = ElementTree.fromstring(speed_figure.speed_figure(results["cells"]))
    text = {"".join(found.itertext()): found for found in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"naive-bayes", "vsearch", "kraken2 →", "linnet", "V4", "reads per CPU second"} <= set(text)
    assert text["linnet"].get("font-weight") == "bold"
    said = [found.text for found in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert "linnet: species 58.3 %, genus 83.3 %, 150 reads/s" in said
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2 * 4 + 2  # and the legend's
    assert speed_figure.speed_figure([]) is None
