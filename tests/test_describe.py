"""What is told of a model and of an ensemble, as values and as lines to read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linnet import checkpoint
from linnet.__main__ import main
from linnet.describe import describe, lines
from linnet.errors import UserError

ROW = {"n": 40, "n_known": 30, "ceiling": 0.75, "accuracy": 0.5, "acc_known": 0.6667, "f1_weighted": 0.4, "precision": 0.8,
       "coverage": 0.625, "mc": 0.1, "uc": 0.2333, "oc": 0.3, "ece": 0.06, "ece_debiased": 0.05, "recall_at_p95": None}  # fmt: skip


@pytest.fixture
def ensemble(tiny_model: Path, tmp_path: Path) -> Path:
    """Two models of one training but for the seed, with figures as training leaves them."""
    one = checkpoint.load(tiny_model)
    for seed in (7, 42):
        model = one.model | {"region": "V4", "config": one.model["config"] | {"seed": seed}}
        held_out = {
            "confidence": 0.7,
            "records": 40,
            "cuts": {"0.05": 0.9, "0.1": 0.73},
            "ranks": {"species": ROW, "genus": ROW | {"accuracy": seed / 100}},
        }
        made = replace(one, model=model, origin=one.origin | {"held_out": held_out | {"uncut": held_out["ranks"]}})
        checkpoint.save(made, tmp_path / "both" / f"seed-{seed}")
    return tmp_path / "both"


def words(found: dict[str, Any]) -> list[list[str]]:
    return [line.split() for line in "\n".join(lines(found)).splitlines()]


def test_taxa_are_counted_without_the_root_wherever_they_are_told(tiny_model: Path) -> None:
    found = describe(tiny_model)
    assert found["origin"]["taxa"] == found["taxonomy"]["taxa"] == len(checkpoint.load(tiny_model).taxonomy) - 1
    assert len({line[1] for line in words(found) if line[:1] == ["taxa"]}) == 1


def test_held_out_figures_are_the_table_of_training_with_its_words(ensemble: Path) -> None:
    found = describe(ensemble / "seed-42")
    said = words(found)
    head = next(line for line in said if line[:1] == ["rank"])
    genus, species = (next(line for line in said if line[:2] == [rank, "40"]) for rank in ("genus", "species"))
    column = dict(zip(" ".join(head).replace("in ref", "in_ref").split(), genus, strict=True))
    assert column == {"rank": "genus", "n": "40", "in_ref": "75.0", "accuracy": "42.0", "known": "66.7",
                      "precision": "80.0", "coverage": "62.5", "wrong": "10.0", "unnamed": "23.3", "over": "30.0",
                      "ECE": "5.0", "R@P95": "-"}  # fmt: skip
    assert said.index(genus) < said.index(species)
    text = "\n".join(lines(found))
    assert "40 queries, cut at confidence 0.7." in text
    assert "40 queries, no cut." in text
    assert text.count("best accuracy of any cut that makes 95 % of the names right") == 1
    assert "cuts for stated error rates: 0.05 at 0.9, 0.1 at 0.73" in text
    assert "mc" not in text.split()


def test_the_least_number_of_kmers_is_told_in_words(tiny_model: Path) -> None:
    (line,) = [line for line in lines(describe(tiny_model)) if line.split()[0] == "kmers"]
    assert line.endswith("50 (a record of fewer k-mers, or a protein of fewer residues, is not judged)")


def test_an_ensemble_is_what_its_models_share_and_a_row_each(ensemble: Path) -> None:
    found = describe(ensemble)
    tree = checkpoint.load(ensemble / "seed-7").taxonomy
    assert found["shared"] | {"kind": "compact", "encoder": "kmer", "region": "V4", "taxa": len(tree) - 1,
                              "digest of the tree": tree.digest} == found["shared"]  # fmt: skip
    assert "config.seed" not in found["shared"]
    assert found["members"]["seed-7"] == {
        "seed": 7, "held out": 40,
        "genus accuracy": 0.07, "genus precision": 0.8, "genus coverage": 0.625, "genus ECE": 0.05,
        "species accuracy": 0.5, "species precision": 0.8, "species coverage": 0.625, "species ECE": 0.05,
    }  # fmt: skip
    assert found["ensemble"]["seed-42"] == describe(ensemble / "seed-42")
    said = words(found)
    assert ["region", "V4"] in said
    assert ["seed-42", "42", "40", "42.0", "80.0", "62.5", "5.0", "50.0", "80.0", "62.5", "5.0"] in said
    assert len(said) < 70


def test_what_members_differ_in_stands_in_their_rows(ensemble: Path) -> None:
    other = checkpoint.load(ensemble / "seed-42")
    config = {**other.model["config"], "refit": "other"}
    checkpoint.save(replace(other, model=other.model | {"region": "V3-V4", "config": config}), ensemble / "more")
    found = describe(ensemble)
    assert "region" not in found["shared"]
    assert [row["region"] for row in found["members"].values()] == ["V3-V4", "V4", "V4"]
    assert found["members"]["more"]["config.refit"] == "other"


def test_figures_over_seeds_are_told_where_training_left_them(ensemble: Path) -> None:
    cut = {"genus": {"accuracy": {"mean": 0.245, "sd": 0.0123}, "f1_weighted": {"mean": 1.0, "sd": 0.0}}}
    written = {"seeds": {}, "mean and deviation": {"uncut": {**cut, "species": cut["genus"]}, "cut at 0.7": cut}}
    (ensemble / "seeds.json").write_text(json.dumps(written))
    found = describe(ensemble)
    assert found["mean and deviation"] == written["mean and deviation"]
    text = "\n".join(lines(found))
    assert "24.50 ± 1.23" in text
    assert "F1: of each true taxon" in text


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_figures_over_seeds_that_cannot_be_read_are_named(ensemble: Path, text: str) -> None:
    (ensemble / "seeds.json").write_text(text)
    with pytest.raises(UserError, match=r"seeds\.json: cannot be read"):
        describe(ensemble)


def test_the_command_writes_every_model_in_full(ensemble: Path, tmp_path: Path) -> None:
    assert main(["describe", str(ensemble), "--out", str(tmp_path / "all.json")]) == 0
    found = json.loads((tmp_path / "all.json").read_text())
    assert set(found) == {"shared", "members", "ensemble"}
    assert found["ensemble"]["seed-7"]["origin"]["held_out"]["ranks"]["genus"]["mc"] == 0.1
