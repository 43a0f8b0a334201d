"""The 16S benchmark: its splits, what it reads from other tools, and going on where it was stopped."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from conftest import evolved_genes, write_fasta
from rrna_benchmark import load, load_all

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


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["linnet-nearest", "linnet-commonest"])
def test_linnets_baselines_are_trained_by_the_command_they_are_given(tmp_path, tool):
    """Every option of it must be one that linnet takes for them."""
    peers, cells = load_all("peers", "cells")
    sequences, lineages = evolved_genes()
    write_fasta(tmp_path / "train.fasta", sequences)
    texts = ["; ".join(f"{t.rank[0]}__{t.name}" for t in lineages[i]) for i in sequences]
    (tmp_path / "taxonomy.tsv").write_text("".join(f"{i}\t{t}\n" for i, t in zip(sequences, texts, strict=True)))
    (cell,) = cells.plan([tool], ["random"], ["V4"], [42], False)
    made = peers.Model(tmp_path, tmp_path / "train.fasta", tmp_path / "taxonomy.tsv", cell.seed, False)
    command = peers.TOOLS[tool].train(made)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / "model.json").exists()
