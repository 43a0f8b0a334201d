"""A model of proteins at work: one by one, several models together, all proteins of a contig together, and the command."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_fasta

torch = pytest.importorskip("torch")

from protein_world import evolve, records, trained, world  # noqa: E402

from linnet import checkpoint, formats, walk  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.group_by import by_contig, by_table, contig_of, vote  # noqa: E402
from linnet.kin import Hits  # noqa: E402
from linnet.prediction import Prediction, Stopped  # noqa: E402
from linnet.predictor import SHIPPED, load  # noqa: E402
from linnet.protein_neighbours import MOST, ProteinIndex  # noqa: E402
from linnet.protein_predictor import ProteinPredictor  # noqa: E402
from linnet.records import SequenceRecord  # noqa: E402
from linnet.taxonomy import RANKS, Taxonomy  # noqa: E402

pytestmark = pytest.mark.slow  # trains models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proteins") / "model"
    checkpoint.save(trained()[0], folder)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proteins") / "other"
    checkpoint.save(trained(7)[0], folder)
    return folder


@pytest.fixture(scope="module")
def queries() -> list[SequenceRecord]:
    """Proteins of new genomes, fragments, mixtures that no genome has, and what cannot be read."""
    random = np.random.default_rng(5)
    known = records()
    some = [known[i] for i in random.permutation(len(known))[:60].tolist()]
    new = [SequenceRecord(f"q{i}", evolve(r.sequence, 0.02 + 0.13 * (i % 3 == 0), random)) for i, r in enumerate(some)]
    mixed = [
        SequenceRecord(f"m{i}", a.sequence[:50] + b.sequence[-50:])
        for i, (a, b) in enumerate(zip(some[:10], some[10:20], strict=True))
    ]
    strange = [
        SequenceRecord("empty", ""),
        SequenceRecord("short", "MKVLAWFYHT"),
        SequenceRecord("read", "ACGTTGCA" * 12),
        SequenceRecord("unknown", "X" * 80 + "MKVLA"),
        SequenceRecord("shuffled", "".join(random.permutation(list(some[0].sequence)))),
    ]
    return [strange[0], *new[:30], *strange[1:3], *mixed, *new[30:], *strange[3:]]


@pytest.fixture
def faa(tmp_path: Path, queries: list[SequenceRecord]) -> Path:
    return write_fasta(tmp_path / "x.faa", {r.id: r.sequence for r in queries})


def classified(out: Path, *argv: Any) -> Path:
    """What the command writes."""
    assert main(["classify", *map(str, argv), "--out", str(out)]) == 0
    return out


def steps_of(walker: walk.Walker, record: int) -> dict[int, np.ndarray]:
    """Of every taxon with children, p of each and of stopping: the record by itself, gone down every way."""
    tree, found, waiting = walker.taxonomy, {}, [(0, walker.begin()[record])]
    while waiting:
        node, state = waiting.pop()
        if tree.child_count[node]:
            fan, (after,) = walker.step([state], np.array([node]))
            found[node] = np.exp(fan.row(0).astype(np.float64))
            waiting += [(child, after) for child in tree.children(node).tolist()]
    return found


def ends_of(tree: Taxonomy, steps: dict[int, np.ndarray]) -> np.ndarray:
    """How probable it is to end at each taxon: products down the tree."""
    clade, ends = np.ones(len(tree)), np.zeros(len(tree))
    for node in range(len(tree)):  # parents come before children
        if node in steps:
            clade[tree.children(node)] = clade[node] * steps[node][:-1]
        ends[node] = clade[node] * (steps[node][-1] if node in steps else 1)
    return ends


def clades_of(tree: Taxonomy, ends: np.ndarray) -> np.ndarray:
    return np.array([ends[tree.clade(node)].sum() for node in range(len(tree))])


# ---------------------------------------------------------------------- one by one


def test_new_genomes_of_known_species_are_named(model: Path) -> None:
    store, tree = world()
    random = np.random.default_rng(9)
    usual = [i for i in range(0, len(store), 5) if store.names[i][3] != "2"]
    asked = [SequenceRecord(store.id(i), evolve(store.sequence(i), 0.02, random)) for i in usual]
    found = list(load(model).classify(asked))
    right = [p.kept == tree.lineage(int(store.nodes[i])) for p, i in zip(found, usual, strict=True)]
    assert np.mean(right) > 0.9
    assert {p.strand for p in found} == {"."}


def test_each_protein_has_one_answer_in_order_whatever_stands_beside_it(
    model: Path, queries: list[SequenceRecord]
) -> None:
    predictor = load(model)
    together = predictor.predict(queries)
    assert [p.record_id for p in together] == [r.id for r in queries]
    for record, answer in zip(queries, together, strict=True):
        (alone,) = predictor.predict([record])
        assert (alone.lineage, alone.stopped, alone.reason) == (answer.lineage, answer.stopped, answer.reason)
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-5)


def test_blocks_change_nothing(model: Path, queries: list[SequenceRecord]) -> None:
    predictor = load(model)
    many = [SequenceRecord(f"{n}{r.id}", r.sequence) for n in range(5) for r in queries]
    assert len(many) > predictor.block
    found = list(predictor.classify(many, confidence=0.5))
    assert [p.record_id for p in found] == [r.id for r in many]
    for i, p in enumerate(found):
        assert p.kept == found[i % len(queries)].kept


def test_plain_strings_are_named_by_their_number(model: Path) -> None:
    found = list(load(model).classify([records()[0].sequence, "MK"]))
    assert [p.record_id for p in found] == ["seq1", "seq2"]
    assert found[0].kept and not found[1].kept


def test_what_cannot_be_judged_says_why(model: Path, queries: list[SequenceRecord]) -> None:
    found = {p.record_id: p for p in load(model).classify(queries)}
    reasons = {
        "empty": "no sequence",
        "short": "10 residues; at least 30 are needed",
        "read": "letters of bases; a protein model reads amino acids",
        "unknown": "5 residues; at least 30 are needed",
    }
    for id, reason in reasons.items():
        assert (found[id].stopped, found[id].reason, found[id].lineage) == (Stopped.UNREADABLE, reason, ())
    assert all(p.stopped != Stopped.UNREADABLE for id, p in found.items() if id not in reasons)


def test_a_protein_like_no_reference_gets_no_name_but_keeps_its_path(
    model: Path, queries: list[SequenceRecord]
) -> None:
    found = {p.record_id: p for p in load(model).classify(queries)}
    strange = found["shuffled"]
    assert strange.stopped == Stopped.NOVEL
    assert not strange.kept
    assert strange.reason == "more probably than not like none of the model's references"
    assert len(strange.lineage) == len(strange.confidence) > 0
    assert strange.confidence[0] < 0.5 < strange.novelty[0]
    assert np.mean([p.novelty[0] > 0.5 for p in map(found.get, (r.id for r in readable(queries))) if p]) < 0.1


def readable(queries: list[SequenceRecord]) -> list[SequenceRecord]:
    return [r for r in queries if r.id[0] in "qm"]


def test_confidence_and_novelty_are_products_down_the_tree(model: Path, queries: list[SequenceRecord]) -> None:
    predictor = load(model)
    tree, some = predictor.taxonomy, readable(queries)
    walker = predictor.walker([r.sequence for r in some])
    for i, answer in enumerate(predictor.predict(some)):
        steps = steps_of(walker, i)
        ends = ends_of(tree, steps)
        clades = clades_of(tree, ends)
        assert ends.sum() == pytest.approx(1, abs=1e-5)
        node = tree.find(answer.lineage)[0]
        path = tree.path(node)
        assert answer.confidence == pytest.approx(clades[path], abs=1e-5)
        new = [ends[n] if n in steps else 0 for n in [0, *path]]
        assert answer.novelty == pytest.approx(new, abs=1e-5)
        greedy = [0]
        while greedy[-1] in steps:
            greedy.append(int(tree.children(greedy[-1])[steps[greedy[-1]][:-1].argmax()]))
        assert path == greedy[1:]


@pytest.mark.parametrize("search", ["end", "beam"])
def test_a_search_for_the_end_finds_the_most_probable_of_all(
    model: Path, queries: list[SequenceRecord], search: Any
) -> None:
    predictor = load(model, search=search)
    tree, some = predictor.taxonomy, readable(queries)
    walker = predictor.walker([r.sequence for r in some])
    for i, answer in enumerate(predictor.predict(some)):
        ends = ends_of(tree, steps_of(walker, i))
        assert ends[tree.find(answer.lineage)[0]] == pytest.approx(ends.max(), rel=1e-4)


# ---------------------------------------------------------------------- several models


def test_an_ensemble_is_the_mean_of_how_probable_its_models_find_each_end(
    model: Path, other: Path, queries: list[SequenceRecord]
) -> None:
    some = readable(queries)[::3]
    sequences = [r.sequence for r in some]
    alone, both = [load(m).walker(sequences) for m in (model, other)], load(model, other)
    tree, together = both.taxonomy, both.walker(sequences)
    best = load(model, other, search="end").predict(some)
    differ = 0.0
    for i, (answer, end) in enumerate(zip(both.predict(some), best, strict=True)):
        members = [ends_of(tree, steps_of(w, i)) for w in alone]
        mean = np.mean(members, axis=0)
        differ = max(differ, np.abs(members[0] - members[1]).max())
        np.testing.assert_allclose(ends_of(tree, steps_of(together, i)), mean, atol=1e-5)
        if answer.lineage:
            path = tree.path(tree.find(answer.lineage)[0])
            assert answer.confidence == pytest.approx(clades_of(tree, mean)[path], abs=1e-5)
        if end.lineage:
            assert mean[tree.find(end.lineage)[0]] == pytest.approx(mean.max(), rel=1e-4)
    assert differ > 1e-3
    found = walk.top(both.walker(sequences), len(tree))
    for i, ways in enumerate(found):
        mean = np.mean([ends_of(tree, steps_of(w, i)) for w in alone], axis=0)
        assert [math.exp(w.log_p) for w in ways[:5]] == pytest.approx(sorted(mean, reverse=True)[:5], rel=1e-3)


def test_a_model_twice_is_that_model(model: Path, queries: list[SequenceRecord]) -> None:
    for one, two in zip(load(model).predict(queries), load(model, model).predict(queries), strict=True):
        assert one.lineage == two.lineage
        assert one.confidence == pytest.approx(two.confidence, abs=1e-6)


def test_models_that_do_not_go_together_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="models of genes and of proteins together"):
        load(model, SHIPPED)
    smaller = Taxonomy.from_lineages([world()[1].lineage(5)])
    fewer = checkpoint.Checkpoint(trained()[0].model, {}, smaller, trained()[0].calibration)
    with pytest.raises(UserError, match="the models name different taxa"):
        ProteinPredictor(trained()[0], fewer)


def test_weights_that_do_not_fit_are_told(model: Path) -> None:
    whole = trained()[0]
    for tensors in ({}, {**whole.tensors, "head.taxa": np.zeros((3, 12), np.float16)}):
        with pytest.raises(UserError, match="the model's weights do not fit its tree"):
            ProteinPredictor(checkpoint.Checkpoint(whole.model, tensors, whole.taxonomy, whole.calibration))


# ---------------------------------------------------------------------- a contig's proteins


def voted(walkers: list[dict[int, np.ndarray]], tree: Taxonomy) -> dict[int, np.ndarray]:
    """The formula of `group_by`, taxon by taxon: V = 8 votes at most, e = 0.02 of anything."""
    found = {}
    for node in walkers[0]:
        options = len(walkers[0][node])
        total = [0.0] * options
        for steps in walkers:
            for c in range(options):
                total[c] += math.log(0.98 * float(steps[node][c]) + 0.02 / options)
        scaled = [t * 8 / (8 + len(walkers) - 1) for t in total]
        p = [math.exp(s - max(scaled)) for s in scaled]
        found[node] = np.array(p) / sum(p)
    return found


def contigs() -> list[tuple[str, list[SequenceRecord]]]:
    """Genomes as contigs of 1 to 6 proteins, changed a little; the last has no protein that can be judged."""
    random = np.random.default_rng(3)
    by_genome: dict[str, list[SequenceRecord]] = {}
    for r in records():
        by_genome.setdefault(r.id.split("_")[0], []).append(r)
    found = []
    for n, proteins in enumerate(list(by_genome.values())[::6]):
        some = [evolve(r.sequence, 0.1, random) for r in proteins[: 1 + n % 6]]
        found.append((f"k1_{n}", [SequenceRecord(f"k1_{n}_{i + 1}", s) for i, s in enumerate(some)]))
    return [*found, ("none", [SequenceRecord("none_1", "MK"), SequenceRecord("none_2", "ACGT" * 20)])]


def gone_down(tree: Taxonomy, steps: dict[int, np.ndarray]) -> tuple[list[int], np.ndarray]:
    clades, path = clades_of(tree, ends_of(tree, steps)), [0]
    while path[-1] in steps:
        best = int(tree.children(path[-1])[steps[path[-1]][:-1].argmax()])
        if clades[best] < 0.01:
            break
        path.append(best)
    return path[1:], clades


@pytest.mark.parametrize("models", [1, 2])
def test_a_contigs_proteins_vote_by_the_formula(model: Path, other: Path, models: int) -> None:
    predictor = load(*[model, other][:models])
    assert isinstance(predictor, ProteinPredictor)
    tree = predictor.taxonomy
    groups = contigs()
    answers = list(vote(iter(groups), predictor, 0.5))
    assert [a.record_id for a in answers] == [name for name, _ in groups]
    for (_, proteins), answer in zip(groups[:-1], answers, strict=False):
        walker = predictor.walker([r.sequence for r in proteins])
        path, clades = gone_down(tree, voted([steps_of(walker, i) for i in range(len(proteins))], tree))
        assert answer.lineage == tree.lineage(path[-1])
        assert answer.confidence == pytest.approx(clades[path], abs=1e-5)
        assert answer.kept == tuple(tree.taxon(n) for n in path if clades[n] >= 0.5)
    assert answers[-1].reason == "none of 2 proteins can be judged"
    assert answers[-1].stopped == Stopped.UNREADABLE


def test_one_protein_that_lies_elsewhere_does_not_decide(model: Path) -> None:
    store, tree = world()
    predictor = load(model)
    assert isinstance(predictor, ProteinPredictor)
    home = [r for r in records() if r.id.startswith("p00000_")]
    (stranger,) = (r for r in records() if r.id == "p11110_5")
    (alone,) = vote([("c", [stranger])], predictor, 0.5)
    assert alone.kept[1].name == "P1"
    (mixed,) = vote([("c", [stranger, *home])], predictor, 0.5)
    assert mixed.kept == tree.lineage(int(store.nodes[0]))
    (even,) = vote([("c", [stranger, home[0]])], predictor, 0.9)
    assert len(even.kept) < 2  # one against one: no phylum is sure


def test_more_proteins_make_surer_but_no_more_than_eight_votes(model: Path) -> None:
    predictor = load(model)
    assert isinstance(predictor, ProteinPredictor)
    weak = next(r for r in contigs()[0][1])
    p = steps_of(predictor.walker([weak.sequence]), 0)[0]
    for n in (1, 2, 50):
        (answer,) = vote([("c", [weak] * n)], predictor, 0.5)
        weight = n * 8 / (8 + n - 1)
        assert weight < 8 or n == 1
        q = (0.98 * p + 0.02 / len(p)) ** weight
        assert answer.confidence[0] == pytest.approx(float(q[0] / q.sum()), abs=1e-6)


def test_the_order_of_proteins_does_not_matter(model: Path) -> None:
    predictor = load(model)
    assert isinstance(predictor, ProteinPredictor)
    for name, proteins in contigs():
        (one,), (two,) = (list(vote([(name, some)], predictor, 0.5)) for some in (proteins, proteins[::-1]))
        assert (one.kept, one.reason) == (two.kept, two.reason)
        assert one.confidence == pytest.approx(two.confidence, abs=1e-5)


def test_contigs_are_told_by_the_ids_of_their_proteins() -> None:
    assert [contig_of(id) for id in ("k141_7_12", "c_1", "a|b_3_1")] == ["k141_7", "c", "a|b_3"]
    groups = list(by_contig(SequenceRecord(id, "M") for id in ("a_1", "a_2", "b_1", "a_b_1")))
    assert [(name, [r.id for r in rs]) for name, rs in groups] == [
        ("a", ["a_1", "a_2"]), ("b", ["b_1"]), ("a_b", ["a_b_1"])]  # fmt: skip
    for id in ("protein", "a_b", "_1", "a_1x", "a_"):
        with pytest.raises(UserError, match=f"'{id}' is not called after a contig.*--group-by"):
            contig_of(id)
    with pytest.raises(UserError, match="the proteins of contig 'a' stand in two places"):
        list(by_contig(SequenceRecord(id, "M") for id in ("a_1", "b_1", "a_2")))


def test_a_table_tells_groups_in_order_of_first_appearance() -> None:
    some = [SequenceRecord(id, "M") for id in "dacbe"]
    groups = list(by_table(some, {"a": "two", "b": "one", "c": "one", "d": "two", "z": "three"}))
    assert [(name, [r.id for r in rs]) for name, rs in groups] == [("two", ["d", "a"]), ("one", ["c", "b"])]
    assert list(by_table([], {"a": "one"})) == []
    with pytest.raises(UserError, match="none of 5 proteins is in the table"):
        list(by_table(some, {"x": "one"}))


# ---------------------------------------------------------------------- the command


def test_one_row_a_protein_in_order_and_threads_change_no_byte(
    tmp_path: Path, model: Path, queries: list[SequenceRecord]
) -> None:
    many = {f"{n}{r.id}": r.sequence for n in range(6) for r in queries}  # more than a block
    faa = write_fasta(tmp_path / "x.faa", many)
    for ending in ("tsv", "jsonl"):
        one = classified(tmp_path / f"1.{ending}", faa, "--model", model)
        two = classified(tmp_path / f"2.{ending}", faa, "--model", model, "--threads", 2)
        assert one.read_bytes() == two.read_bytes()
        assert [p.record_id for p in formats.iterate(one)] == list(many)


def same(one: Prediction, other: Prediction, places: float = 1e-6) -> bool:
    return (
        (one.record_id, one.lineage, one.kept, one.stopped, one.reason)
        == (other.record_id, other.lineage, other.kept, other.stopped, other.reason)
    ) and one.confidence == pytest.approx(other.confidence, abs=places)


def test_the_command_writes_what_the_predictor_says(
    tmp_path: Path, model: Path, faa: Path, queries: list[SequenceRecord]
) -> None:
    said = list(load(model).classify(queries, confidence=0.8))
    written = list(formats.iterate(classified(tmp_path / "x.jsonl", faa, "--model", model, "--confidence", 0.8)))
    assert all(same(a, b) for a, b in zip(said, written, strict=True))
    assert {t.taxid is None for p in written for t in p.lineage} == {False}


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_tables_have_the_taxid_and_the_whole_lineage_of_what_is_kept(
    tmp_path: Path, model: Path, faa: Path, queries: list[SequenceRecord], delimiter: str
) -> None:
    ending = "tsv" if delimiter == "\t" else "csv"
    with classified(tmp_path / f"x.{ending}", faa, "--model", model).open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=delimiter))
    said = list(load(model).classify(queries))
    for row, p in zip(rows, said, strict=True):
        assert (row["record"], row["stopped"], row["reason"], row["strand"]) == (p.record_id, p.stopped, p.reason, ".")
        assert row["taxid"] == (str(p.kept[-1].taxid) if p.kept else "")
        assert row["kept"] == "; ".join(t.name for t in p.kept)
        names = {t.rank: t.name for t in p.kept}
        assert [row[rank] for rank in RANKS] == [names.get(rank, "") for rank in RANKS]
    assert any("group 1" in row["kept"] for row in rows)  # a rank that is none of the seven
    assert {len(p.kept) for p in said} >= {0, 8}


def test_summaries_count_what_the_rows_say(tmp_path: Path, model: Path, faa: Path) -> None:
    rows = list(formats.iterate(classified(tmp_path / "x.jsonl", faa, "--model", model)))
    counts = Counter("\t".join(t.name for t in p.kept) or "Unassigned" for p in rows)
    krona = classified(tmp_path / "x.krona", faa, "--model", model, "--format", "krona").read_text().splitlines()
    assert {name: int(n) for n, _, name in (line.partition("\t") for line in krona)} == counts
    report = classified(tmp_path / "x.kreport", faa, "--model", model, "--format", "kreport").read_text().splitlines()
    in_clade: Counter[int] = Counter(t.taxid or 0 for p in rows for t in p.kept)
    last: Counter[int] = Counter((p.kept[-1].taxid or 0) if p.kept else 0 for p in rows)
    found = {}
    for line in report:
        _, clade, own, code, taxid, name = line.split("\t")
        found[int(taxid)] = (int(clade), int(own), name.strip(), code)
    assert found[0][:2] == (last[0], last[0])
    assert found[1][:2] == (len(rows) - last[0], 0)
    tree = load(model).taxonomy
    for taxid, (clade, own, name, code) in found.items():
        if taxid > 1:
            assert (clade, own) == (in_clade[taxid], last[taxid])
            taxon = tree.taxon(tree.by_taxid(taxid) or 0)
            assert (name, code) == (taxon.name, "P1" if taxon.rank == "clade" else taxon.rank[0].upper())
    assert set(found) == {0, 1, *in_clade}


@pytest.mark.parametrize("search", ["end", "beam"])
def test_the_command_searches_as_asked(
    tmp_path: Path, model: Path, faa: Path, queries: list[SequenceRecord], search: Any
) -> None:
    out = classified(tmp_path / "x.jsonl", faa, "--model", model, "--search", search)
    said = load(model, search=search).classify(queries)
    assert all(same(a, b) for a, b in zip(said, formats.iterate(out), strict=True))


def test_several_models_are_asked_together(tmp_path: Path, model: Path, other: Path, faa: Path, queries: Any) -> None:
    out = classified(tmp_path / "x.jsonl", faa, "--model", model, "--model", other)
    said = load(model, other).classify(queries)
    assert all(same(a, b) for a, b in zip(said, formats.iterate(out), strict=True))


def test_a_cut_is_moved_where_every_taxon_is_held(
    tmp_path: Path, model: Path, faa: Path, queries: list[SequenceRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    said = load(model).predict(queries)
    whole = classified(tmp_path / "x.jsonl", faa, "--model", model, "--confidence", 0.7)
    for minimum in (0.0, 0.5, 0.95):
        out = tmp_path / "cut.jsonl"
        assert main(["recut", str(whole), "--confidence", str(minimum), "--out", str(out)]) == 0
        for p, q in zip(said, formats.iterate(out), strict=True):
            assert q.kept == p.recut(minimum).kept
            assert (q.record_id, q.reason) == (p.record_id, p.recut(minimum).reason)
    for ending in ("tsv", "csv"):  # the taxids of all but one taxon would be lost
        table = classified(tmp_path / f"x.{ending}", faa, "--model", model)
        assert main(["recut", str(table), "--confidence", "0.5", "--out", str(tmp_path / "no.tsv")]) == 1
        assert "Classify with --out x.jsonl" in capsys.readouterr().err
        assert not (tmp_path / "no.tsv").exists()


LAST = ["agreement", "taxid", "kept", "flags", "neighbours"]


@pytest.mark.parametrize("lacking", [LAST[-1:], LAST[-2:], LAST[-4:], LAST])
def test_tables_of_before_there_were_taxids_are_read_too(
    tmp_path: Path, model: Path, faa: Path, lacking: list[str]
) -> None:
    table, old = classified(tmp_path / "x.tsv", faa, "--model", model), tmp_path / "old.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert rows[0][-len(lacking) :] == lacking
    old.write_text("".join("\t".join(row[: -len(lacking)]) + "\n" for row in rows))
    assert list(formats.iterate(old)) == [replace(p, flags=()) for p in formats.iterate(table)]


def test_proteins_have_no_strand_and_no_mates(tmp_path: Path, model: Path, faa: Path) -> None:
    plain = classified(tmp_path / "a.tsv", faa, "--model", model).read_bytes()
    for flags in (["--strand", "reverse"], ["--mates", "forward"], ["--mates", "refuse"]):
        assert classified(tmp_path / "b.tsv", faa, "--model", model, *flags).read_bytes() == plain


def test_shares_of_a_cluster_job_are_the_whole(tmp_path: Path, model: Path, faa: Path) -> None:
    whole = list(formats.iterate(classified(tmp_path / "a.jsonl", faa, "--model", model)))
    shares = [
        list(formats.iterate(classified(tmp_path / "b.jsonl", faa, "--model", model, "--shard", f"{i}/3")))
        for i in (1, 2, 3)
    ]
    for i, share in enumerate(shares):
        assert all(same(a, b, 1e-5) for a, b in zip(whole[i::3], share, strict=True))


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--ranks", "published"], 2, "--ranks asked of a model of proteins"),
        (["--letters", "published"], 2, "--letters asked of a model of proteins"),
        (["--group-by", "contig", "--shard", "1/2"], 2, "both --group-by and --shard"),
        (["--group-by", "no_such.tsv"], 1, "no_such.tsv: no such file"),
        (["--group-by", "contig"], 1, "protein 'empty' is not called after a contig"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    capsys: Any, tmp_path: Path, model: Path, faa: Path, flags: Sequence[str], code: int, message: str
) -> None:
    out = tmp_path / "out.tsv"
    assert main(["classify", str(faa), "--model", str(model), "--out", str(out), *flags]) == code
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not out.exists()


def test_what_only_proteins_have_is_refused_of_genes(capsys: Any, tmp_path: Path) -> None:
    reads = write_fasta(tmp_path / "r.fasta", {"r_1": "ACGT" * 50})
    assert main(["classify", str(reads), "--group-by", "contig"]) == 2
    assert "--group-by asked of a model of genes" in capsys.readouterr().err
    assert main(["classify", str(reads), "--search", "end"]) == 2
    assert "--search end asked of a model of genes" in capsys.readouterr().err


def test_contigs_are_voted_on_by_the_command(tmp_path: Path, model: Path) -> None:
    groups = contigs()
    faa = write_fasta(tmp_path / "x.faa", {r.id: r.sequence for _, rs in groups for r in rs})
    predictor = load(model)
    assert isinstance(predictor, ProteinPredictor)
    said = list(vote(iter(groups), predictor, 0.6))
    flags = ["--model", model, "--confidence", 0.6]
    by_contigs = classified(tmp_path / "a.jsonl", faa, *flags, "--group-by", "contig")
    assert all(same(a, b) for a, b in zip(said, formats.iterate(by_contigs), strict=True))
    table = tmp_path / "groups.tsv"
    table.write_text("".join(f"{r.id}\t{name}\n" for name, rs in groups for r in rs))
    by_groups = classified(tmp_path / "b.jsonl", faa, *flags, "--group-by", table)
    assert by_contigs.read_bytes() == by_groups.read_bytes()
    report = classified(tmp_path / "c.kreport", faa, *flags, "--group-by", "contig", "--format", "kreport")
    assert report.read_text().splitlines()[0].split("\t")[1:] == ["1", "1", "U", "0", "unclassified"]


def test_tables_of_groups_that_do_not_fit_are_refused(capsys: Any, tmp_path: Path, model: Path) -> None:
    faa = write_fasta(tmp_path / "x.faa", {r.id: r.sequence for r in records()[:3]})
    table, argv = tmp_path / "g.tsv", ["classify", str(faa), "--model", str(model), "--group-by"]
    for text, message in (("p00000_0 one\n", "line 1: one cell"), ("x\tone\n", "none of 3 proteins is in the table")):
        table.write_text(text)
        assert main([*argv, str(table)]) == 1
        assert message in capsys.readouterr().err


def test_reads_given_to_a_model_of_proteins_are_told(capsys: Any, tmp_path: Path, model: Path) -> None:
    reads = write_fasta(tmp_path / "r.fasta", {f"r{i}": "ACGTTGCAAC" * 15 for i in range(4)})
    out = classified(tmp_path / "x.jsonl", reads, "--model", model)
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(a["record"], a["lineage"]) for a in answers] == [(f"r{i}", []) for i in range(4)]
    assert all("a protein model reads amino acids" in a["reason"] for a in answers)
    assert "4 unreadable: letters of bases" in capsys.readouterr().err


def test_a_saved_model_says_what_the_one_in_memory_said(model: Path, queries: list[SequenceRecord]) -> None:
    assert load(model).predict(queries) == ProteinPredictor(trained()[0]).predict(queries)


def test_an_error_rate_is_a_cut_that_the_model_states(
    tmp_path: Path, model: Path, faa: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = checkpoint.load(model)
    stating = replace(known, origin={**known.origin, "held_out": {"cuts": {"0.05": 0.93}}})
    checkpoint.save(stating, tmp_path / "stating")
    by_rate = classified(tmp_path / "rate.tsv", faa, "--model", tmp_path / "stating", "--error-rate", "0.05")
    assert "cut at the confidence 0.93" in capsys.readouterr().err
    by_confidence = classified(tmp_path / "cut.tsv", faa, "--model", model, "--confidence", "0.93")
    assert by_rate.read_text() == by_confidence.read_text()
    command = ["classify", str(faa), "--model", str(tmp_path / "stating"), "--out", str(tmp_path / "no.tsv")]
    assert main([*command, "--error-rate", "0.03"]) == 1
    assert "0.05" in capsys.readouterr().err
    assert main([*command, "--error-rate", "0.05", "--confidence", "0.5"]) == 2
    assert not (tmp_path / "no.tsv").exists()


def test_models_with_the_same_proteins_to_compare_with_search_them_once(
    tmp_path: Path, model: Path, other: Path, queries: list[SequenceRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []
    search = ProteinIndex.search

    def counted(self: ProteinIndex, sequences: Sequence[str], most: int = MOST) -> Hits:
        searched.append(len(self))
        return search(self, sequences, most)

    monkeypatch.setattr(ProteinIndex, "search", counted)
    some = readable(queries)[:5]
    load(model, model).predict(some)
    assert len(searched) == 1
    load(model, other).predict(some)  # of another seed, and the same proteins
    assert len(searched) == 2
    known = checkpoint.load(model)
    whole = ProteinIndex.from_tensors(known.tensors)
    fewer = ProteinIndex.of([whole.sequence(i) for i in range(len(whole) - 1)], whole.nodes[:-1])
    checkpoint.save(replace(known, tensors={**known.tensors, **fewer.tensors()}), tmp_path / "fewer")
    load(model, tmp_path / "fewer").predict(some)
    assert searched[2:] == [len(whole), len(whole) - 1]
