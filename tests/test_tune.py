"""Tuning: trials on disk, gone on with, failed ones said; a search space that fits; best settings that train takes."""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_fasta

pytest.importorskip("torch")
pytest.importorskip("optuna")

import torch

from linnet import search_space, train_network, tune
from linnet.__main__ import main
from linnet.encoders import hybrid
from linnet.errors import UsageError, UserError
from linnet.fitting import AfterPass
from linnet.preparation import HeldOut, labelled
from linnet.search_space import Between, OneOf
from linnet.train import CompactLesson
from linnet.tune import Search

pytestmark = pytest.mark.slow  # trains models

SPACE = {("learning_rate",): Between(1e-5, 5e-3, log=True), ("batch",): OneOf(((8,), (16,), (32,)))}
NOTHING = HeldOut({}, {}, set(), [])


def search(**other: Any) -> Search:
    usual = {"config": train_network.Config(), "flags": {"encoder": "cnn"}, "space": SPACE, "references": "abc"}
    return Search(**{**usual, **other})


def falling(losses: Callable[[int, Any], float], passes: int = 1) -> tuple[list[Any], tune.Train]:
    """Settings that a training was given, and this training: it only says that its loss falls to `losses(trial,
    settings)`, and of several passes is higher again in the last."""
    seen: list[Any] = []

    def train(config: Any, after_pass: AfterPass) -> HeldOut:
        seen.append(config)
        for left in range(passes)[::-1]:
            after_pass(passes - left, losses(len(seen) - 1, config) + abs(left - (passes > 1)))
        return NOTHING

    return seen, train


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def rates(seen: list[Any]) -> list[tuple[float, int]]:
    return [(config.recipe.learning_rate, config.recipe.batch) for config in seen]


def test_each_trial_has_a_row_and_the_least_loss_is_the_best(tmp_path: Path) -> None:
    seen, train = falling(lambda trial, config: [3.0, 1.5, 2.0][trial])
    tune.tune(train, search(), tmp_path, trials=3)
    table = rows(tmp_path)
    assert [row["state"] for row in table] == ["finished"] * 3
    assert [float(row["loss"]) for row in table] == [3.0, 1.5, 2.0]
    assert [(float(row["learning_rate"]), int(row["batch"])) for row in table] == rates(seen)
    best = tomllib.loads((tmp_path / "best.toml").read_text())
    assert best == {"encoder": "cnn", "learning_rate": rates(seen)[1][0], "batch": rates(seen)[1][1]}


def test_a_study_in_two_runs_is_the_study_of_one(tmp_path: Path) -> None:
    def loss(_: int, config: Any) -> float:
        return abs(np.log(config.recipe.learning_rate / 1e-3))

    whole, train = falling(loss)
    tune.tune(train, search(), tmp_path / "whole", trials=4)
    parts, train = falling(loss)
    for trials in (2, 4, 4):
        tune.tune(train, search(), tmp_path / "parts", trials=trials)
    assert rates(whole) == rates(parts)
    assert len(set(rates(whole))) == 4
    assert all(1e-5 <= rate <= 5e-3 and batch in (8, 16, 32) for rate, batch in rates(whole))


def test_a_trial_worse_than_the_others_is_stopped_after_its_third_pass(tmp_path: Path) -> None:
    _, train = falling(lambda trial, config: [1.0, 1.1, 0.9, 7.0][trial], passes=4)
    tune.tune(train, search(), tmp_path, trials=4)
    assert [(row["state"], row["passes"]) for row in rows(tmp_path)] == [("finished", "4")] * 3 + [("stopped", "3")]
    assert [(row["loss"], row["best_pass"]) for row in rows(tmp_path)][:3] == [("1.0", "3"), ("1.1", "3"), ("0.9", "3")]
    assert "loss 0.9 on" in (tmp_path / "best.toml").read_text()


def test_a_killed_trial_has_failed_and_is_tried_once_more(tmp_path: Path) -> None:
    def killed(trial: int, config: Any) -> float:
        if trial in (1, 2):
            raise KeyboardInterrupt
        return 1.0

    seen, train = falling(killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune.tune(train, search(), tmp_path, trials=3)
    tune.tune(train, search(), tmp_path, trials=3)
    table = rows(tmp_path)
    assert [row["state"] for row in table] == ["finished", "failed", "failed", "finished", "finished"]
    assert [row["reason"] for row in table] == ["", "interrupted", "interrupted", "", ""]
    assert rates(seen)[1] == rates(seen)[2] != rates(seen)[3]


def test_a_failed_trial_is_told_and_the_study_goes_on(tmp_path: Path) -> None:
    def failing(trial: int, config: Any) -> float:
        if trial == 0:
            raise UserError("the loss of pass 1 is not a number")
        if trial == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1.0 if trial != 3 else np.nan

    said: list[str] = []
    tune.tune(falling(failing)[1], search(), tmp_path, trials=2, log=said.append)
    table = rows(tmp_path)
    assert [row["state"] for row in table] == ["failed", "failed", "finished", "failed", "finished"]
    assert [row["reason"] for row in table][:3] == ["the loss of pass 1 is not a number.", "out of memory", ""]
    assert "not a number after pass 1" in table[3]["reason"]
    assert len(said) == 5
    assert "out of memory" in said[1]


def test_three_failed_trials_in_a_row_stop_the_study(tmp_path: Path) -> None:
    def failing(trial: int, config: Any) -> float:
        raise MemoryError

    seen, train = falling(failing)
    with pytest.raises(UserError, match="3 trials in a row failed, the last with: out of memory"):
        tune.tune(train, search(), tmp_path, trials=9)
    assert len(seen) == len(rows(tmp_path)) == 3
    assert not (tmp_path / "best.toml").exists()


def test_a_bug_is_no_failed_trial(tmp_path: Path) -> None:
    def broken(trial: int, config: Any) -> float:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        tune.tune(falling(broken)[1], search(), tmp_path, trials=2)


def test_another_study_is_refused(tmp_path: Path) -> None:
    _, train = falling(lambda trial, config: 1.0)
    tune.tune(train, search(), tmp_path / "study", trials=1)
    others = {
        "other references": {"references": "abd"},
        "other settings": {"config": replace(train_network.Config(), seed=7)},
        "another search space": {"space": {("batch",): SPACE["batch",]}},
    }
    for what, other in others.items():
        with pytest.raises(UserError, match=f"is a study with {what}"):
            tune.tune(train, search(**other), tmp_path / "study", trials=2)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "study.db").write_text("hello, I am no database at all\n" * 50)
    with pytest.raises(UserError, match=r"study\.db: cannot be opened"):
        tune.tune(train, search(), tmp_path / "text", trials=1)
    with pytest.raises(UserError, match="exists and is no study"):
        tune.tune(train, search(), tmp_path, trials=1)


def test_without_optuna_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"optuna.*linnet\[tune\]"):
        tune.tune(falling(lambda trial, config: 1.0)[1], search(), tmp_path / "study", trials=1)
    assert not (tmp_path / "study").exists()


# ---------------------------------------------------------------------- the search space


@pytest.mark.parametrize("small", [False, True])
def test_all_that_may_be_drawn_makes_an_encoder(small: bool) -> None:
    found = search_space.space("hybrid", small=small, focal=True)
    assert ("focal_gamma",) in found
    drawn = 0
    for flags, values in found.items():
        for row in values.rows if isinstance(values, OneOf) else ((values.low,), (values.high,)):
            settings = {f: v for f, v in zip(flags, row, strict=True) if hasattr(hybrid.Config(), f)}
            hybrid.Config(**settings)
            drawn += len(settings)
            assert settings.get("intermediate_size") == (4 * row[0] if len(row) == 3 else None)
    assert drawn > 20


@pytest.mark.parametrize(
    ("encoder", "has", "lacks"),
    [
        ("cnn", {"embed_dim", "num_filters", "kernel_sizes"}, {"hidden_size", "num_hidden_layers"}),
        ("onehot", {"num_filters", "num_conv_layers"}, {"embed_dim", "hidden_size"}),
        ("bert", {"hidden_size", "num_hidden_layers"}, {"embed_dim", "num_filters", "kernel_sizes"}),
        ("kmer", {"k", "width", "hide"}, {"batch", "num_filters", "hidden_size"}),
    ],
)
def test_only_what_the_encoder_has_is_searched(encoder: str, has: set[str], lacks: set[str]) -> None:
    flags = {flag for group in search_space.space(encoder) for flag in group}
    assert has <= flags
    assert not lacks & flags
    assert "focal_gamma" not in flags


def test_a_given_flag_is_not_searched_and_what_belongs_to_it_fits() -> None:
    space = search_space.space("bert")
    narrow = search_space.without(space, {"hidden_size": 512, "batch": 8})
    assert ("batch",) not in narrow
    assert narrow["num_attention_heads", "intermediate_size"] == OneOf(((4, 2048), (8, 2048), (16, 2048)))
    inner = search_space.without(space, {"intermediate_size": 100})["hidden_size", "num_attention_heads"]
    assert isinstance(inner, OneOf)
    assert (896, 7) in inner.rows
    both = search_space.without(space, {"hidden_size": 60, "num_attention_heads": 6})
    assert all("intermediate_size" not in flags for flags in both)
    with pytest.raises(UsageError, match="hidden_size 60.*--num-attention-heads"):
        search_space.without(space, {"hidden_size": 60})


def test_what_was_drawn_becomes_flags() -> None:
    space = search_space.space("hybrid")
    drawn = {"kernel_sizes": "3,7,11", "hidden_size/num_attention_heads/intermediate_size": "256/8/1024"}
    expected = {"kernel_sizes": (3, 7, 11), "hidden_size": 256, "num_attention_heads": 8, "intermediate_size": 1024}
    assert search_space.settings(space, drawn) == expected


# ---------------------------------------------------------------------- with trainings


def test_the_compact_network_is_checked_on_what_is_held_out(genes, tiny_config) -> None:  # type: ignore[no-untyped-def]
    from linnet.taxonomy import Taxonomy

    sequences, lineages = genes
    texts, labels = list(sequences.values()), list(lineages.values())
    tree = Taxonomy.from_lineages(labels[:-4])  # the last species is new
    views = replace(tiny_config.model.views, windows=0.0, decoys=0.0, error_rate=0.0)
    config = replace(tiny_config, model=replace(tiny_config.model, views=views))
    data, held = labelled(texts[:-4], labels[:-4], tree), labelled(texts[-9:], labels[-9:], tree)
    assert CompactLesson(data, tree, config).check() is None
    lesson = CompactLesson(data, tree, config, held=held)
    lesson.model.eval()
    found, total = lesson.check(), 0.0
    for text, node, new in zip(held.sequences, held.nodes, held.new, strict=True):
        with torch.no_grad():
            score_MB = lesson.model(lesson.model.encoder.collate([text])).numpy().T
            place = lesson.targets.place(lesson.targets.log_softmax(score_MB))[0]
        total -= np.log(place[node] if new else place[node : tree.end[node]].sum())
    assert held.new.sum() == 4
    assert found == pytest.approx(total / 9, rel=1e-4)


@pytest.fixture
def files(tmp_path: Path, genes) -> list[object]:  # type: ignore[no-untyped-def]
    sequences, lineages = genes
    table = tmp_path / "taxonomy.tsv"
    table.write_text("".join(f"{i}\t{';'.join(t.name for t in path)}\n" for i, path in lineages.items()))
    return ["--sequences", write_fasta(tmp_path / "genes.fasta", sequences), "--taxonomy", table, "--threads", 1]


def command(*words: object) -> int:
    return main([str(word) for word in words])


def test_train_with_the_best_settings_finds_the_loss_of_the_trial(tmp_path: Path, files: list[object]) -> None:
    study, model = tmp_path / "study", tmp_path / "model"
    same = ["--epochs", 2, "--vocabulary", 64, "--max-length", 64, "--num-filters", 8, "--embed-dim", 8, "--batch", 16]
    assert command("tune", "rrna", "--encoder", "cnn", *files, *same, "--out", study, "--trials", 2) == 0
    assert command("train", "rrna", "--config", study / "best.toml", *files, "--no-refit", "--out", model) == 0
    best = min(rows(study), key=lambda row: float(row["loss"]))
    origin = json.loads((model / "origin.json").read_text())
    assert min(origin["loss_held_out"]) == float(best["loss"])
    f1 = [rank["f1_weighted"] for rank in origin["held_out"]["uncut"].values()]
    assert float(best["weighted_f1"]) == pytest.approx(np.mean(f1))
    settings = json.loads((model / "model.json").read_text())["config"]
    assert settings["recipe"]["epochs"] == 2
    assert settings["model"]["encoder"]["num_filters"] == 8
    assert ",".join(map(str, settings["model"]["encoder"]["kernel_sizes"])) == best["kernel_sizes"]


def test_the_kmer_network_can_be_tuned(tmp_path: Path, files: list[object]) -> None:
    study, model = tmp_path / "study", tmp_path / "model"
    same = ["--epochs", 2, "--k", 5, "--width", 16, "--batch", 32]
    assert command("tune", "rrna", *files, *same, "--out", study, "--trials", 2) == 0
    table = rows(study)
    assert [row["state"] for row in table] == ["finished"] * 2
    assert 0 < float(table[0]["loss"]) != float(table[1]["loss"]) > 0
    assert command("train", "rrna", "--config", study / "best.toml", *files, "--no-refit", "--out", model) == 0
    best = min(table, key=lambda row: float(row["loss"]))
    assert json.loads((model / "model.json").read_text())["config"]["hide"] == float(best["hide"])


def test_the_search_space_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("tune", "rrna", "--encoder", "onehot", "--batch", 8, "--list") == 0
    shown = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert shown["num_filters"] == "256 to 1024 by 128"
    assert "batch" not in shown


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--out", "x"], "no --sequences"),
        (["--sequences", "x"], "no --out"),
        (["--sequences", "x", "--out", "x", "--hold-out", "0"], "held-out references"),
        (["--sequences", "x", "--out", "x", "--k", "6", "--width", "9", "--dropout", "0", "--learning-rate", "0.1",
          "--hide", "0"], "none is searched"),
    ],
)  # fmt: skip
def test_what_cannot_be_tuned_is_said(capsys: pytest.CaptureFixture[str], asked: list[str], said: str) -> None:
    assert command("tune", "rrna", *asked) == 2
    assert said in capsys.readouterr().err
