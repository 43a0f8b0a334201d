"""The 16S benchmark: its splits, what it reads from other tools, and going on where it was stopped."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

from linnet.outcomes import Outcomes

FOLDER = Path(__file__).parents[1] / "benchmarks" / "rrna"


def load(name: str) -> ModuleType:
    """A module of the benchmark, by path; neither it nor its siblings stay importable by their bare names."""
    return load_all(name)[0]


def load_all(*names: str) -> list[ModuleType]:
    """Several of them, which share what they import."""
    siblings = [path.stem for path in FOLDER.glob("*.py")]
    sys.path.insert(0, str(FOLDER))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(FOLDER))
        for sibling in siblings:
            sys.modules.pop(sibling, None)


prepare = load("prepare")


def made_up(n: int = 600) -> dict[str, tuple[str, ...]]:
    """Lineages of n sequences: 40 genera of 3 species; every third is named to genus, every fifth to family."""
    lineages = {}
    for number in range(n):
        genus, species = number % 40, number % 120
        whole = ("k__B", "p__P", "c__C", "o__O", f"f__F{genus // 4}", f"g__G{genus}", f"s__S{species}")
        depth = 5 if number % 5 == 0 else 6 if number % 3 == 0 else 7
        lineages[str(number + 1)] = whole[:depth]
    return lineages


# ---------------------------------------------------------------------- splits


def test_the_random_split_takes_four_fifths_and_leaves_nothing_out():
    ids = list(made_up())
    split = prepare.random_split(ids)
    assert len(split.train) == 480
    assert sorted(split.train + split.test) == sorted(ids)
    assert split.scored == split.test
    assert split == prepare.random_split(ids)
    assert split != prepare.random_split(ids, seed=43)


@pytest.mark.parametrize(("rank", "depth"), [("genus", 6), ("species", 7)])
def test_novel_taxa_are_wholly_absent_from_the_references(rank, depth):
    lineages = made_up()
    split = prepare.novel_split(lineages, rank)
    novel = {lineages[i][:depth] for i, part in split.part.items() if part.startswith("novel")}
    taxa = {lineage[:depth] for lineage in lineages.values() if len(lineage) >= depth}
    assert len(novel) == round(0.1 * len(taxa))
    assert not any(lineages[i][:depth] in novel for i in split.train)
    assert all(lineages[i][:depth] in novel for i in split.test if split.part[i] != "control")


@pytest.mark.parametrize(("rank", "depth"), [("genus", 6), ("species", 7)])
def test_controls_keep_a_reference_of_their_taxon(rank, depth):
    lineages = made_up()
    split = prepare.novel_split(lineages, rank)
    controls = [i for i, part in split.part.items() if part == "control"]
    kept = {lineages[i][:depth] for i in split.train}
    assert len(controls) == sum(part != "control" for part in split.part.values())
    assert all(lineages[i][:depth] in kept for i in controls)


def test_a_large_novel_taxon_is_not_scored_in_full():
    lineages = made_up()
    split = prepare.novel_split(lineages, "genus", most_scored=2)
    scored = Counter(lineages[i][5] for i, part in split.part.items() if part == "novel")
    left_out = Counter(lineages[i][5] for i, part in split.part.items() if part == "novel_unscored")
    assert set(scored.values()) == {2}
    assert set(left_out) == set(scored)
    assert not set(split.scored) & {i for i, part in split.part.items() if part == "novel_unscored"}


def test_splits_are_the_same_every_time_and_lose_no_sequence():
    lineages = made_up()
    first, again = prepare.make_splits(lineages), prepare.make_splits(dict(lineages))
    assert first == again
    for split in first.values():
        assert sorted(split.train + split.test) == sorted(lineages)


def test_queries_hold_every_test_sequence_whose_species_is_known():
    lineages = made_up()
    test = prepare.random_split(list(lineages)).test
    queries = prepare.draw_queries(test, lineages)
    assert {i for i in test if len(lineages[i]) == 7} <= set(queries["sample"])
    assert set(queries["mini"]) <= set(queries["sample"])
    assert all(len(lineages[i]) == 7 for i, part in queries["sample"].items() if part == "species_only")


def test_ids_are_read_as_they_were_written(tmp_path):
    prepare.write_ids(tmp_path / "a.gz", ["3", "1"], {"1": "novel"})
    assert prepare.read_ids(tmp_path / "a.gz") == {"3": "", "1": "novel"}


def test_a_lineage_ends_before_its_first_blank():
    assert prepare.named_part("k__Bacteria; p__P; c__; o__O") == ("k__Bacteria", "p__P")
    assert prepare.named_part("k__Bacteria") == ("k__Bacteria",)


def test_another_archive_is_refused(tmp_path):
    (tmp_path / "wrong.tar.gz").write_bytes(b"x")
    with pytest.raises(prepare.UserError, match="sha256"):
        prepare.open_archive(tmp_path / "wrong.tar.gz")


@pytest.fixture(scope="module")
def published(shared_data) -> Path:
    folder = shared_data / "bench" / "16s" / "split"
    if not folder.exists():
        pytest.skip(f"there is no {folder} to compare with")
    return folder


def test_the_random_split_is_the_published_one(published):
    train, test = (list(prepare.read_ids(published / "random" / f"{part}.ids.gz")) for part in ("train", "test"))
    split = prepare.random_split(sorted(train + test, key=int))
    assert (split.train, split.test) == (train, test)


def test_all_splits_and_queries_of_greengenes_are_the_published_ones(published):
    archive = os.environ.get("LINNET_GREENGENES")
    if not archive:
        pytest.skip(f"LINNET_GREENGENES, the path of {prepare.ARCHIVE}, is not set")
    with prepare.open_archive(Path(archive)) as tar:
        lineages = prepare.read_taxonomy(tar)
    splits = prepare.make_splits(lineages)
    compared = [folder.name for folder in sorted(published.iterdir()) if folder.is_dir()]
    assert "random" in compared
    for name in compared:
        test = prepare.read_ids(published / name / "test.ids.gz")
        assert splits[name].train == list(prepare.read_ids(published / name / "train.ids.gz"))
        assert splits[name].test == list(test)
        assert splits[name].part == {i: part for i, part in test.items() if part}
    for name, parts in prepare.draw_queries(splits["random"].test, lineages).items():
        assert list(parts.items()) == list(prepare.read_ids(published / "random" / f"{name}.tsv.gz").items())


# ---------------------------------------------------------------------- amplicons


def test_a_false_forward_site_is_passed_over(tmp_path):
    pytest.importorskip("cutadapt")
    primers = prepare.PRIMERS["V3-V4"]
    forward = "CCTACGGGAGGCAGCAG"
    false_site, inside = "CCTACGGGGGAAAGCAG", "ACTGATCAGTTCAGGATCAC" * 15
    spacer = "TTGACGATTACAGCATTCGA" * 12
    true = prepare.trim_again({"1": spacer + forward + inside, "2": inside}, primers, tmp_path)
    assert true == {"2": inside, "1": inside}
    assert not prepare.trim_again({"1": false_site + spacer * 3}, primers, tmp_path)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- other tools


@pytest.fixture
def model(tmp_path):
    """References named to species, to genus and to phylum."""
    peers = load("peers")
    lineages = {"1": "k__B;p__P;c__C;o__O;f__F;g__G;s__S", "2": "k__B;p__P;c__C;o__O;f__F;g__H", "3": "k__B;p__Q"}
    (tmp_path / "taxonomy.tsv").write_text("".join(f"{i}\t{text}\n" for i, text in lineages.items()))
    (tmp_path / "train.fasta").write_text("".join(f">{i}\nACGT\n" for i in lineages))
    return peers, peers.Model(tmp_path, tmp_path / "train.fasta", tmp_path / "taxonomy.tsv", 42, False)


def answers(tool, model, text):
    peers, made = model
    (made.folder / "raw").write_text(text)
    return list(peers.TOOLS[tool].answers(made, made.folder / "raw"))


def test_kraken2_taxids_are_turned_back_into_lineages(model):
    peers, made = model
    peers.TOOLS["kraken2"].train(made)
    dump = made.folder / "database" / "taxonomy"
    assert len((dump / "nodes.dmp").read_text().splitlines()) == 1 + 9  # the root, and as many taxa
    header = (made.folder / "references.fasta").read_text().splitlines()[0]
    taxid = header.rpartition("|")[2]
    found = answers("kraken2", model, f"C\tq\t{taxid}\t4\tx\nU\tr\t0\t4\tx\n")
    assert found == [("q", "k__B;p__P;c__C;o__O;f__F;g__G;s__S", []), ("r", "", [])]


def test_sintax_names_end_where_a_rank_leaves_the_path(model):
    peers, made = model
    peers.TOOLS["sintax"].train(made)
    taxa = (made.folder / "taxa.txt").read_text().splitlines()
    number = {lineage: taxa.index(lineage) + 1 for lineage in taxa}
    other = f"c:t{number['k__B;p__P;c__C']}(0.50)"
    row = f"q\td:t{number['k__B']}(1.00),p:t{number['k__B;p__Q']}(0.75),{other}\t+\t\nr\t\t\t\n"
    assert answers("sintax", model, row) == [("q", "k__B;p__Q", [1.0, 0.75]), ("r", "", [])]


def test_the_most_identical_hit_gives_the_lineage(model):
    found = answers("vsearch", model, "q\t3\t90.0\nq\t2\t97.5\n")
    assert found == [("q", "k__B;p__P;c__C;o__O;f__F;g__H", [0.975] * 6)]


def test_mothurs_names_end_where_it_repeats_the_last_or_knows_none(model):
    peers, made = model
    peers.TOOLS["mothur"].train(made)
    named = "t1(100);t2(100);t4(90);t5(90);t6(85);t8(70);"
    rows = f"q\t{named}t8x6(70);\nr\t{named}t8_unclassified(70);\ns\tunknown;unknown_unclassified(0);\n"
    lineage = ("k__B;p__P;c__C;o__O;f__F;g__H", [1.0, 1.0, 0.9, 0.9, 0.85, 0.7])
    assert answers("mothur", model, rows) == [("q", *lineage), ("r", *lineage), ("s", "", [])]


def test_rdps_names_end_at_a_placeholder(model):
    peers, made = model
    peers.TOOLS["rdp"].train(made)
    ranks = "t1\tdomain\t1.0\tt3\tphylum\t0.75\tt3x2\tclass\t0.75\tt3x3\torder\t0.75"
    assert answers("rdp", model, f"q\t-\tRoot\trootrank\t1.0\t{ranks}\n") == [("q", "k__B;p__Q", [1.0, 0.75])]


def test_rdp_is_given_a_tree_in_which_every_reference_has_all_ranks(model):
    peers, made = model
    peers.TOOLS["rdp"].train(made)
    headers = [line for line in (made.folder / "references.fasta").read_text().splitlines() if line.startswith(">")]
    paths = [header.partition("\t")[2].split(";") for header in headers]
    assert [len(path) for path in paths] == [8, 8, 8]
    rows = [line.split("*") for line in (made.folder / "tree.txt").read_text().splitlines()]
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    place = {name: (parent, int(depth), rank) for _, name, parent, depth, rank in rows}
    number = {row[1]: row[0] for row in rows}
    ranks = ["rootrank", *prepare.RANKS]
    for path in paths:
        assert [place[name] for name in path] == [
            (number[path[depth - 1]] if depth else "-1", depth, ranks[depth]) for depth in range(8)
        ]


@pytest.mark.parametrize(("tool", "ranks"), [("mothur", [7, 7, 7]), ("mothur-uneven", [7, 6, 2])])
def test_mothur_is_given_complete_lineages_unless_it_is_to_see_where_names_end(model, tool, ranks):
    peers, made = model
    peers.TOOLS[tool].train(made)
    rows = [line.split("\t")[1] for line in (made.folder / "references.tax").read_text().splitlines()]
    assert [row.count(";") for row in rows] == ranks
    assert rows[1].startswith("t1;t2;t4;t5;t6;t8;")


def test_taxonovas_names_end_at_an_empty_one(model):
    peers, made = model
    peers.TOOLS["taxonova"].train(made)
    named = "t1\t0.99\tt2\t0.98\tt4\t0.9\tt5\t0.8\tt6\t0.7\tt7\t0.6"
    found = answers("taxonova", model, f"sequence_id\tdomain\t...\nq\t{named}\tUnknown\t0.5\nr\t{named}\tt9\t0.5\n")
    lineage, confidences = "k__B;p__P;c__C;o__O;f__F;g__G", [0.99, 0.98, 0.9, 0.8, 0.7, 0.6]
    assert found == [("q", lineage, confidences), ("r", f"{lineage};s__S", [*confidences, 0.5])]


def test_taxonova_is_calibrated_on_references_that_it_was_not_trained_on(model):
    peers, made = model
    lineages = {"1": "k__B;p__P", "2": "k__B;p__Q"} | {str(i): "k__B;p__P;c__C" for i in range(3, 43)}
    made.taxonomy.write_text("".join(f"{i}\t{text}\n" for i, text in lineages.items()))
    made.references.write_text("".join(f">{i}\nACGT\n" for i in lineages))
    peers.TOOLS["taxonova"].train(made)
    taught, aside = (
        [line for line in (made.folder / f"{name}.fasta").read_text().splitlines() if line.startswith(">")]
        for name in ("references", "aside")
    )
    assert len(aside) == 2  # a twentieth
    assert sorted(header[1:].split()[0] for header in taught + aside) == sorted(lineages)
    assert taught[:2] == [">1 d__t1; p__t2; c__; o__; f__; g__; s__", ">2 d__t1; p__t3; c__; o__; f__; g__; s__"]


def test_a_tool_that_is_not_installed_says_where_it_comes_from(monkeypatch):
    monkeypatch.setenv("PATH", "")
    peers = load("peers")
    assert peers.TOOLS["mothur"].missing() == "the program mothur is not installed (Debian package mothur)"
    assert peers.TOOLS["linnet"].missing() is None


def test_naive_bayes_names_what_it_was_taught(model, tmp_path):
    pytest.importorskip("sklearn")
    peers, made = model
    records = {"1": "ACGTTGCAAC" * 5, "2": "TTGGCCATAG" * 5, "3": "GATTACAGAT" * 5}
    text = "".join(f">{i}\n{sequence}\n" for i, sequence in records.items())
    made.references.write_text(text)
    naive_bayes = load("naive_bayes")
    naive_bayes.fit(made.references, made.taxonomy, tmp_path / "model.npz")
    naive_bayes.classify(made.references, tmp_path / "model.npz", tmp_path / "raw")
    found = list(peers.TOOLS["naive-bayes"].answers(made, tmp_path / "raw"))
    lineages = dict(line.split("\t") for line in made.taxonomy.read_text().splitlines())
    assert [(i, lineage) for i, lineage, _ in found] == list(lineages.items())
    assert all(sorted(confidence, reverse=True) == confidence for _, _, confidence in found)
    assert [len(confidence) for _, _, confidence in found] == [7, 6, 2]


# ---------------------------------------------------------------------- cells


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The cells module with one tool, `copy`, that counts its runs, and data of three sequences."""
    cells = load("cells")
    if not cells.measure.__globals__["TIME"].exists():
        pytest.skip("/usr/bin/time is not installed")
    place = tmp_path / "data" / "random" / "V4"
    place.mkdir(parents=True)
    for name in ("train", "sample"):
        (place / f"{name}.fasta").write_text(">1\nACGT\n>2\nACCT\n>3\nAGGT\n")

    def classify(model, queries, out):
        return ["bash", "-c", f"echo run >> {tmp_path}/runs; cp {queries} {out}"]

    tool = cells.TOOLS["vsearch"]
    copy = type(tool)(
        "copies", lambda model: ["true"], classify, lambda model, out: [("1", "k__B", [0.5])], lambda: "1"
    )
    monkeypatch.setitem(cells.TOOLS, "copy", copy)
    return cells, cells.Bench(tmp_path, quick=False), cells.Cell("copy", "random", "V4", "sample", None)


def test_a_finished_cell_is_not_run_again(bench):
    cells, work, cell = bench
    first = cells.run(work, cell, lambda text: None)
    runs = (work.work / "runs").read_text()
    assert runs.count("run") == 2 + cells.STARTS  # once more, to be timed
    assert cells.run(work, cell, lambda text: None) == first
    assert (work.work / "runs").read_text() == runs
    assert first.record["reads"] == 3
    assert (first.folder / "predictions.tsv").read_text() == "1\tk__B\t0.5\n"
    assert cells.finished(work) == [first]


def test_a_failed_cell_keeps_its_log_and_is_tried_again(bench, monkeypatch):
    cells, work, cell = bench
    good = cells.TOOLS["copy"]
    broken = cells.CommandFailed
    tool = type(good)("", good.train, lambda *_: ["bash", "-c", "echo oh no; exit 3"], good.answers, good.version)
    monkeypatch.setitem(cells.TOOLS, "copy", tool)
    with pytest.raises(broken, match="exit 3"):
        cells.run(work, cell, lambda text: None)
    assert "oh no" in (work.results / "cells" / f"{cell.name}.failed" / "classify.log").read_text()
    assert cells.finished(work) == []
    monkeypatch.setitem(cells.TOOLS, "copy", good)
    assert cells.run(work, cell, lambda text: None).record["reads"] == 3


def test_start_up_is_taken_off_the_speed():
    cells = load("cells")
    usage = cells.Usage
    known = cells.reads_per_cpu_second(100, usage(1.0, 1.0, 1.0), usage(3.0, 3.0, 1.0))
    assert known == {"reads_per_cpu_s": 50.0, "at_least": False}
    assert cells.reads_per_cpu_second(100, usage(1.0, 1.0, 1.0), usage(1.01, 3.0, 1.0))["at_least"]


def test_quick_tools_are_timed_on_more_reads() -> None:
    cells = load("cells")
    usage = cells.Usage
    start_up = usage(0.5, 1.0, 1.0)
    assert cells.repeats(start_up, usage(1.0, 1.0, 1.0)) == 10  # ten times as long as start-up
    assert cells.repeats(usage(0.01, 1.0, 1.0), usage(0.31, 1.0, 1.0)) == 10  # three seconds
    assert cells.repeats(start_up, usage(90.0, 1.0, 1.0)) == 1
    assert cells.repeats(start_up, start_up) == cells.MOST_REPEATS


# ---------------------------------------------------------------------- what is reported

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
