"""Trainings of several seeds: an ensemble folder, figures with mean and deviation, one hold-out for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import evolved_genes, write_fasta

pytest.importorskip("torch")

from linnet import training_runs
from linnet.__main__ import main
from linnet.errors import UserError
from linnet.predictor import load
from linnet.preparation import HeldOut
from linnet.train import train

pytestmark = pytest.mark.slow  # trains models

GENES, LINEAGES = evolved_genes(length=240, species=2, copies=3)
SETTINGS = ["--k", "4", "--width", "16", "--epochs", "6", "--batch", "12", "--learning-rate", "0.02", "--hold-out", "0.25",
            "--threads", "1", "--precision", "fp32"]  # fmt: skip
SEEDS = (7, 3, 11)


def run(folder: Path, out: Path, *more: str, settings: Sequence[str] = SETTINGS) -> int:
    table = folder / "t.tsv"
    table.write_text("".join(f"{i}\t{';'.join(t.name for t in row)}\n" for i, row in LINEAGES.items()))
    fasta = write_fasta(folder / "s.fasta", GENES)
    return main(
        ["train", "rrna", "--sequences", str(fasta), "--taxonomy", str(table), "--out", str(out), *settings, *more]
    )


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of three seeds."""
    folder = tmp_path_factory.mktemp("seeds")
    assert run(folder, folder / "out", "--seeds", ",".join(map(str, SEEDS))) == 0
    return folder / "out"


def origin(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "origin.json").read_text())
    return found


def test_each_seed_has_a_model_of_its_own(ensemble: Path) -> None:
    assert {p.name for p in ensemble.iterdir()} == {"seed-7", "seed-3", "seed-11", "seeds.json"}
    assert [json.loads((ensemble / f"seed-{s}" / "model.json").read_text())["config"]["seed"] for s in SEEDS] == [
        *SEEDS
    ]
    weights = {(ensemble / f"seed-{s}" / "model.safetensors").read_bytes() for s in SEEDS}
    assert len(weights) == 3
    assert not ensemble.with_name("out.training").exists()


def test_the_folder_classifies_as_the_mean_of_its_models(ensemble: Path, tmp_path: Path) -> None:
    from linnet.records import SequenceRecord

    records = [SequenceRecord(i, s) for i, s in list(GENES.items())[:5]]
    together = load(ensemble)
    alone = [load(ensemble / f"seed-{s}") for s in SEEDS]
    assert len(together._networks) == 3
    mean = np.mean([one.judge(records).posterior.place_BN for one in alone], axis=0)
    assert np.allclose(together.judge(records).posterior.place_BN, mean, atol=1e-6)
    assert not np.allclose(alone[0].judge(records).posterior.place_BN, mean, atol=1e-3)
    out = tmp_path / "p.tsv"
    assert main(["classify", str(ensemble.parent / "s.fasta"), "--model", str(ensemble), "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) >= len(GENES)


def test_means_and_deviations_are_numpys(ensemble: Path) -> None:
    kept = json.loads((ensemble / "seeds.json").read_text())
    own = [origin(ensemble / f"seed-{s}")["held_out"] for s in SEEDS]
    assert [kept["seeds"][str(s)] for s in SEEDS] == own
    compared = 0
    found_at = kept["mean and deviation"]
    cells = [(cut, rank, name) for cut, ranks in found_at.items() for rank, row in ranks.items() for name in row]
    assert {cut for cut, _, _ in cells} == {"uncut", "cut at 0.7"}
    for cut, rank, name in cells:
        found = found_at[cut][rank][name]
        values = np.array([o["uncut" if cut == "uncut" else "ranks"][rank][name] for o in own])
        assert found["mean"] == pytest.approx(values.sum() / 3)
        assert found["sd"] == pytest.approx(np.sqrt(((values - values.mean()) ** 2).sum() / 2))
        compared += 1
    assert compared > 7
    assert any(found_at[cut][rank][name]["sd"] > 0 for cut, rank, name in cells)


def test_a_figure_that_a_seed_lacks_is_left_out() -> None:
    def of(ece: float | None) -> dict[str, Any]:
        return {"genus": {**dict.fromkeys(training_runs.FIGURES.values(), 0.5), "ece_debiased": ece}}

    summary = training_runs.over_seeds({1: of(0.1), 2: of(None)})
    assert "ece_debiased" not in summary["genus"] and summary["genus"]["accuracy"] == {"mean": 0.5, "sd": 0.0}
    header, row = training_runs.as_table(summary).splitlines()
    cells = dict(zip(header.split(), row.replace(" ± ", "±").split(), strict=True))
    assert cells["ECE"] == "-" and cells["accuracy"] == "50.00±0.00"


def test_the_same_references_are_held_out_for_every_seed(tiny_config: Any) -> None:
    from dataclasses import replace

    recipe = replace(tiny_config.recipe, epochs=1)

    def held(seed: int, split_seed: int | None) -> tuple[HeldOut, str]:
        config = replace(tiny_config, recipe=recipe, seed=seed, refit=False)
        checkpoint, held_out = train(GENES, LINEAGES, config, split_seed=split_seed)
        return held_out, checkpoint.taxonomy.digest

    (one, tree), (other, same_tree), (own, _) = held(7, 7), held(3, 7), held(3, None)
    assert one.natural == other.natural and one.truth == other.truth and tree == same_tree
    assert one.natural != own.natural


def test_a_folder_with_something_else_is_refused(tmp_path: Path, ensemble: Path) -> None:
    model = ensemble / "seed-7"
    with pytest.raises(UserError, match="is one model, not a folder of several"):
        training_runs.check_out(model, [1, 2])
    with pytest.raises(UserError, match="exists and is not a linnet model"):
        training_runs.check_out(ensemble, [1])
    (tmp_path / "seed-2").mkdir()
    with pytest.raises(UserError, match="seed-2: exists and is not a linnet model"):
        training_runs.check_out(tmp_path, [1, 2])
    training_runs.check_out(ensemble, SEEDS)  # models may be made anew
    training_runs.check_out(model, [1])
    training_runs.check_out(tmp_path / "new", [1])


def test_a_model_in_the_way_is_said_before_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ensemble: Path
) -> None:
    assert run(tmp_path, ensemble / "seed-7", "--seeds", "1,2") == 1
    err = capsys.readouterr().err
    assert "is one model, not a folder of several" in err and "epoch" not in err


def test_seeds_broken_off_between_two_go_on(tmp_path: Path, ensemble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = training_runs.save

    def breaking(checkpoint: Any, folder: Path) -> None:
        if folder.name == "seed-3":
            raise KeyboardInterrupt
        save(checkpoint, folder)

    monkeypatch.setattr(training_runs, "save", breaking)
    assert run(tmp_path, tmp_path / "out", "--seeds", "7,3,11") == 130
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["seed-7"]
    kept = {p.name for p in (tmp_path / "out.training").iterdir()}
    assert kept == {
        f"seed-{s}.{fit}.safetensors" for s in (7, 3) for fit in (*(f"round-{i}" for i in range(1, 5)), "again")
    }
    monkeypatch.undo()
    assert run(tmp_path, tmp_path / "out", "--seeds", "7,3,11") == 0
    for seed in SEEDS:
        name = Path(f"seed-{seed}") / "model.safetensors"
        assert (tmp_path / "out" / name).read_bytes() == (ensemble / name).read_bytes()
    assert json.loads((tmp_path / "out" / "seeds.json").read_text()) == json.loads(
        (ensemble / "seeds.json").read_text()
    )


def test_one_seed_is_a_model_and_no_ensemble(tmp_path: Path) -> None:
    assert run(tmp_path, tmp_path / "out", "--seeds", "5", "--epochs", "1", "--no-refit") == 0
    assert (tmp_path / "out" / "model.json").exists()
    assert json.loads((tmp_path / "out" / "model.json").read_text())["config"]["seed"] == 5
    assert not (tmp_path / "out" / "seeds.json").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--level-weights", "1,1,1,1,1,1,1"), "--level-weights with --encoder kmer"),
        (("--per-taxon", "3"), "--per-taxon with --encoder kmer"),
        (("--encoder", "hybrid", "--k", "5"), "--k with --encoder hybrid"),
        (("--encoder", "nearest", "--epochs", "2"), "--epochs with --encoder nearest"),
        (("--eggnog",), "--eggnog for genes"),
        (("--device", "cuda"), "--device cuda with --encoder kmer"),
        (("--encoder", "cnn", "--device", "banana"), "--device banana cannot be used"),
    ],
)
def test_flags_that_would_have_no_effect_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    assert run(tmp_path, tmp_path / "m", *flags, settings=()) == 2
    assert said in capsys.readouterr().err
