"""The referee's experiments: their arms, a probe that has not seen the label, sums against plain loops, and a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import lineage
from contig_sets import contig_set

pytest.importorskip("torch")

from test_benchmark_contigs import bench

from linnet import formats
from linnet.contig_evaluation import compare_contigs, evaluate_contigs
from linnet.correct import WITHOUT
from linnet.families import contigs_published as published
from linnet.gold_standard import GoldStandard
from linnet.label_tree import LabelTree
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import RANKS

ARMS = bench.arms.ARMS

# ---------------------------------------------------------------------- arms


def test_every_part_and_every_target_has_an_arm_that_differs_from_its_control_in_that_alone() -> None:
    by_part = {arm.without: arm for arm in ARMS.values() if arm.without}
    assert by_part.keys() == {(part,) for part in WITHOUT}
    by_target = {arm.target: arm for arm in ARMS.values() if arm.target != "teacher"}
    assert {"teacher", *by_target} == set(published.TARGETS)
    for arm in (*by_part.values(), *by_target.values()):
        control = ARMS[arm.of]
        assert replace(arm, title=control.title, of=control.of, without=(), target="teacher") == control


def test_what_arms_are_compared_with_comes_along() -> None:
    assert list(bench.arms.chosen(["linnet-kraken2"])) == ["labels-kraken2", "linnet-kraken2"]
    assert list(bench.arms.chosen(["argmax"])) == ["labels", "argmax", "taxdistill"]
    for arm in ARMS.values():
        assert not arm.of or (ARMS[arm.of].source == arm.source and arm.of in ARMS)


# ---------------------------------------------------------------------- the probe


def labelled(contigs: int = 60) -> tuple[np.ndarray, LabelTree, list[str]]:
    """Vectors that tell three species apart; every seventh contig has no label, every fifth a wrong one."""
    names = [lineage(x) for x in ("B;P;C;O;F;G;S", "B;P;C;O;F;G;T", "B;P;C;O;E;H;U")]
    said = [() if i % 7 == 0 else names[(i + (i % 5 == 0)) % 3] for i in range(contigs)]
    random = np.random.default_rng(1)
    vectors = np.eye(3)[np.arange(contigs) % 3] * 6 + random.normal(size=(contigs, 3))
    return vectors, LabelTree(said), [str(i) for i in range(contigs)]


def test_a_probe_says_what_vectors_tell_in_spite_of_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.probe, "PASSES", 15)
    vectors, tree, ids = labelled()
    found = bench.probe.out_of_fold(vectors, tree, ids, 1)
    right = [p.lineage[-1].name == "STU"[i % 3] for i, p in enumerate(found)]
    labels = [tree.taxonomy.names[n] == "STU"[i % 3] for i, n in enumerate(tree.label_C)]
    assert np.mean(right) > np.mean(labels) + 0.15
    assert all(p.confidence == tuple(sorted(p.confidence, reverse=True)) for p in found)
    assert all(p.cut == 7 and p.confidence[0] == pytest.approx(1) for p in found)


def test_a_probe_has_not_seen_the_label_that_it_is_asked_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another label of a contig, of leaves that stay: it is told the same of it, and others are told something else."""
    monkeypatch.setattr(bench.probe, "PASSES", 2)
    vectors, tree, ids = labelled()
    before = bench.probe.out_of_fold(vectors, tree, ids, 1)
    said = [tree.taxonomy.lineage(int(n)) for n in tree.label_C]
    said[1] = lineage("B;P;C;O;F;G;S")
    after = bench.probe.out_of_fold(vectors, LabelTree(said), ids, 1)
    assert after[1] == before[1]
    assert after != before


def test_the_most_probable_leaf_comes_with_the_probability_of_each_clade() -> None:
    import torch

    tree = LabelTree([lineage(x) for x in ("B;P;C;O;F;G;S", "B;P;C;O;F;G;T", "B;P;C;O;E;H;U")])
    leaves = published.leaves_of(tree)
    p = {"S": 0.3, "T": 0.3, "U": 0.4}
    scores = torch.tensor([[np.log(p[tree.taxonomy.names[leaf]]) for leaf in leaves]])
    (found,) = bench.probe.most_probable(scores, ["x"], tree, leaves)
    assert found.lineage == lineage("B;P;C;O;E;H;U")  # the best leaf, though the family of the other two is likelier
    np.testing.assert_allclose(found.confidence, [1, 1, 1, 1, 0.4, 0.4, 0.4])


# ---------------------------------------------------------------------- sums


TRUTH = ("B;P;C;O;F;G;S", "B;P;C;O;F;G;N", "B;P;C;O;F;M;X", "B;P;C;O;E;L;Y", "B;Q;D;R;H;K;Z")
KNOWN = {lineage("B;P;C;O;F;G;S"), lineage("B;Q;D;R;H;K;Z")}


def random_calls(seed: int) -> dict[str, Prediction]:
    random = np.random.default_rng(seed)
    texts = [TRUTH[random.choice([i % 5, random.integers(5)])] for i in range(80)]
    lineages = [lineage(text)[: random.integers(0, 8)] for text in texts]
    return {f"c{i}": foreign(f"c{i}", path, ()) for i, path in enumerate(lineages)}


@pytest.fixture
def about() -> SimpleNamespace:
    """Eighty contigs of five species of ten genomes: one species known, absent species, genus, family, and one more."""
    ids = [f"c{i}" for i in range(80)]
    random = np.random.default_rng(0)
    gold = GoldStandard(
        {id: lineage(TRUTH[i % 5]) for i, id in enumerate(ids)},
        {id: f"{i % 5}{i % 2}" for i, id in enumerate(ids)},
        {id: int(n) for id, n in zip(ids, np.exp(random.uniform(6, 10, 80)), strict=True)},
    )
    return SimpleNamespace(gold=gold, known=KNOWN)


def test_figures_of_all_are_those_of_evaluate(about: SimpleNamespace) -> None:
    calls, before = random_calls(1), random_calls(2)
    values = bench.tallies.figures(bench.tallies.tally(calls, before, about))
    expected = evaluate_contigs(calls, about.gold, before=before, known=KNOWN, resamples=0)
    at = bench.tallies.FIGURES.index
    for level, rank in enumerate(RANKS):
        e = expected.ranks[rank]
        for name in ("precision", "recall", "f1", "coverage"):
            assert values[level, 0, at(name)] == pytest.approx(getattr(e.contigs, name))
        assert values[level, 0, at("wrong")] == pytest.approx(e.contigs.wrong / 80)
        if e.absent:
            assert values[level, 0, at("wrong_on_absent")] == pytest.approx(e.wrong_on_absent)
        for name in ("harmed", "corrected"):
            expected_share = getattr(e.change, name)
            found = values[level, 0, at(name)]
            assert np.isnan(found) if expected_share is None else found == pytest.approx(expected_share)


def test_groups_are_those_of_a_plain_loop(about: SimpleNamespace) -> None:
    calls, t = random_calls(3), bench.tallies
    values = t.figures(t.tally(calls, calls, about))
    paths = {k[:n] for k in KNOWN for n in range(8)}
    members: dict[str, list[str]] = {group: [] for group in t.GROUPS}
    for id, true in about.gold.lineages.items():
        deepest = next(n for n in range(7, -1, -1) if true[:n] in paths)
        members[{7: t.NOVELTY[0], 6: t.NOVELTY[1], 5: t.NOVELTY[2]}.get(deepest, t.NOVELTY[3])].append(id)
        length = about.gold.lengths[id]
        members[t.LENGTHS[max(n for n, edge in enumerate(t.EDGES) if length >= edge)]].append(id)
    members["all"] = list(calls)
    for g, group in enumerate(t.GROUPS):
        for level in range(7):
            right = wrong = 0
            for id in members[group]:
                said, true = calls[id].lineage, about.gold.lineages[id]
                right += len(said) > level and said[: level + 1] == true[: level + 1]
                wrong += len(said) > level and said[: level + 1] != true[: level + 1]
            n = len(members[group])
            row = dict(zip(t.FIGURES, values[level, g], strict=True))
            assert row["recall"] == pytest.approx(right / n)
            assert row["wrong"] == pytest.approx(wrong / n)
    assert sum(len(members[group]) for group in t.NOVELTY) == sum(len(members[group]) for group in t.LENGTHS) == 80
    assert all(members[group] for group in t.NOVELTY)


def test_differences_are_those_of_compare(about: SimpleNamespace) -> None:
    a, b, t = random_calls(4), random_calls(5), bench.tallies
    tallies = [t.tally(calls, b, about) for calls in (a, b)]
    expected = compare_contigs(a, b, about.gold, resamples=200).ranks
    for rank, name in (("species", "f1"), ("family", "precision"), ("domain", "recall")):
        found = t.difference([tallies[0]], [tallies[1]], rank, "all", name, 200)
        e = expected[rank][name]
        assert found["difference"] == pytest.approx(e.difference)
        assert (found["low"], found["high"]) == pytest.approx(e.interval)
        assert found["p"] == pytest.approx(e.p_value)


def test_genomes_of_several_sets_are_drawn_apart_and_an_arm_does_not_differ_from_itself(about: SimpleNamespace) -> None:
    t = bench.tallies
    one, other = t.tally(random_calls(6), {}, about), t.tally(random_calls(7), {}, about)
    same = t.difference([one, other], [one, other], "species", "all", "f1", 50)
    assert same == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    both = t.difference([one, one], [other, other], "species", "all", "f1", 200)
    single = t.difference([one], [other], "species", "all", "f1", 200)
    assert both["difference"] == pytest.approx(single["difference"])
    assert both["high"] - both["low"] < single["high"] - single["low"]
    nothing = t.difference([one], [other], "domain", "all", "wrong_on_absent", 50)
    assert nothing["difference"] is None  # the reference has the only domain


# ---------------------------------------------------------------------- a run


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of sixty short contigs in the place of the example, and recipes of two passes."""
    made = contig_set(3, contigs=60, most=1200)
    fasta, labels, depth = made.write(tmp_path)
    gold = GoldStandard(
        made.truth,
        {id: str(g) for id, g in zip(made.ids, made.genome_C, strict=True)},
        {id: len(s) for id, s in made.sequences.items()},
    )
    known = {label.lineage for label in made.labels.values() if len(label.lineage) == 7}

    def example(folder: Path, teacher: str) -> object:
        place = folder / "example" / "referee"
        return bench.materials.Material(
            "example", place, 1, fasta, depth, {"mmseqs": labels}, gold, known, teacher=teacher
        )

    few = published.Config
    monkeypatch.setattr(bench.referee, "example", example)
    monkeypatch.setattr(bench.referee.published, "Config", lambda target: few(target=target, epochs=1, batch=30))
    monkeypatch.setattr(bench.probe, "PASSES", 2)
    return tmp_path


def test_a_run_has_a_row_for_each_arm_and_goes_on_where_it_was_stopped(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "probe-50,argmax,taxdistill-none,linnet,without-student,samples-3,linnet-kraken2"
    command = ["--work", str(small), "--quick", "--arms", names, "--resamples", "20"]
    assert bench.referee.main(command) == 0
    results = json.loads((small / "quick" / "referee.json").read_text())
    arms = results["arms"]
    assert list(arms) == ["labels", "probe", "probe-50", "argmax", "taxdistill", "taxdistill-none", "linnet",
                          "without-student", "samples-3"]  # fmt: skip
    assert arms["labels"]["sets"]["example"]["cpu_s"] is None
    assert arms["linnet"]["less"]["all"]["species"]["f1"].keys() == {"difference", "low", "high", "p"}
    whole, cut = (formats.read_predictions(_calls(small, name)) for name in ("probe.spectra", "probe-50.spectra"))
    assert all(len(p.lineage) >= 1 for p in whole.values())
    assert all(len(cut[id].lineage) <= len(p.lineage) for id, p in whole.items())
    text = (small / "quick" / "referee.md").read_text()
    assert "| without student | linnet |" in text
    for title in ("## A. ", "## B. ", "## C. ", "## D. ", "**A quick run**", "Contigs of species in the reference"):
        assert title in text
    again: list[str] = []
    monkeypatch.setattr(bench.referee, "_make", lambda material, name: again.append(name))
    assert bench.referee.main(command) == 0
    assert not again
    assert (small / "quick" / "referee.md").read_text() == text
    _calls(small, "without-student").unlink()
    with pytest.raises(FileNotFoundError):  # it is asked for again, and the stand-in makes nothing
        bench.referee.main(command)
    assert again == ["without-student"]


def _calls(folder: Path, stem: str) -> Path:
    return folder / "quick" / "example" / "referee" / f"{stem}.tsv"


def test_another_teacher_s_runs_are_kept_apart(small: Path) -> None:
    ids = np.array([f"k{i}" for i in range(60)])
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float16)
    np.savez(small / "mine-example.npz", ids=ids, rows=rows)
    command = ["--work", str(small), "--quick", "--arms", "probe", "--resamples", "5"]
    assert bench.referee.main([*command, "--teacher", str(small / "mine-{set}.npz")]) == 0
    assert _calls(small, "probe.mine-example").exists()
    assert not _calls(small, "probe.spectra").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--arms", "hope"], "no arm 'hope'"),
        (["--seeds", "one"], "--seeds one"),
        (["--resamples", "0"], "--resamples 0"),
    ],
)
def test_mistakes_are_told_in_a_line(
    wrong: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.referee.main(["--work", str(tmp_path), *wrong]) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
