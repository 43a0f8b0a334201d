"""Training ESM-2 with a decoder or the light head on a little world: what is learnt, kept, resumed and calibrated."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import protein_world  # noqa: E402
from protein_world import Listed  # noqa: E402
from safetensors import torch as tensors  # noqa: E402
from tiny_esm import save_esm  # noqa: E402

from linnet import checkpoint as checkpoints  # noqa: E402
from linnet import light_head, lineage_decoder, train_protein_transformer, walk  # noqa: E402
from linnet.encoders import esm  # noqa: E402
from linnet.errors import UsageError, UserError  # noqa: E402
from linnet.families import protein_transformer  # noqa: E402
from linnet.families.proteins import Views  # noqa: E402
from linnet.fitting import Keeping, Recipe  # noqa: E402
from linnet.protein_predictor import ProteinPredictor  # noqa: E402
from linnet.protein_preparation import Rows  # noqa: E402
from linnet.taxonomy import Taxonomy  # noqa: E402
from linnet.train_protein_transformer import Config, Lesson, of_like_length, train  # noqa: E402

pytestmark = pytest.mark.slow  # models are trained, or whole commands run


@dataclass
class Store(Listed):
    """Proteins of the little world, in lists as `Shards` has them."""

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        return np.array([len(s) for s in self.sequences], np.int32)


def world() -> tuple[Store, Taxonomy]:
    store, tree = protein_world.world()
    return Store(store.names, [s[:40] for s in store.sequences], store.nodes), tree


def few(n: int = 40) -> tuple[Store, Taxonomy]:
    store, tree = world()
    some = np.linspace(0, len(store) - 1, n).astype(int).tolist()
    return Store([store.names[i] for i in some], [store.sequences[i] for i in some], store.nodes[some]), tree


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ESM-2 as the hub has it."""
    return save_esm(tmp_path_factory.mktemp("esm"))


def settings(folder: Path, *, head: Any = "decoder", lora: int = 4, epochs: int = 2, **more: Any) -> Config:
    encoder = {name: more.pop(name) for name in ("quantised", "pooling") if name in more}
    model = protein_transformer.Config(
        encoder=esm.Config(weights=str(folder), latents=2, lora=lora, **encoder), head=head,
        decoder=lineage_decoder.Config(width=32, layers=1, heads=4, vocabulary=50), light=light_head.Config(taxa=12, hidden=24),
    )  # fmt: skip
    recipe = Recipe(epochs=epochs, batch=16, learning_rate=5e-3, clip=1.0)
    defaults = Config(model=model, recipe=recipe, hold_out=0.15, hidden_clades=0.3, refit=False)
    return replace(defaults, **more)


def lesson(folder: Path, *, of: tuple[Store, Taxonomy] | None = None, **more: Any) -> Lesson:
    store, tree = of or few()
    return Lesson(
        store, Rows(np.arange(len(store)), store.nodes.astype(np.int64), np.zeros(len(store), bool), tree),
        settings(folder, **more), "cpu", (np.arange(10), store.nodes[:10].astype(np.int64)),
    )  # fmt: skip


def trained(folder: Path, *, n: int = 40, **more: Any) -> checkpoints.Checkpoint:
    return train(*few(n), settings(folder, **more))[0]


def same(one: checkpoints.Checkpoint, other: checkpoints.Checkpoint) -> bool:
    return one.calibration == other.calibration and all(
        np.array_equal(one.tensors[name], other.tensors[name]) for name in {*one.tensors, *other.tensors}
    )


# ---------------------------------------------------------------------- what is learnt


@pytest.mark.parametrize("head", ["decoder", "light"])
def test_it_learns_and_what_it_has_learnt_is_kept(folder: Path, tmp_path: Path, head: str) -> None:
    views = Views(fragments=0.0, changes=0.0, decoys=0.0)
    config = settings(folder, head=head, lora=0, epochs=60, views=views, hide=0.0, hold_out=0.0, hidden_clades=0.0)
    store, tree = few(14)
    model, _ = train(store, tree, replace(config, recipe=replace(config.recipe, learning_rate=1e-2)))
    checkpoints.save(model, tmp_path / "m")
    predictor = ProteinPredictor(checkpoints.load(tmp_path / "m"))
    said = [p.lineage[:5] for p in predictor.classify(store.sequences, confidence=0.0)]
    right = np.mean([a == tree.lineage(int(node))[:5] for a, node in zip(said, store.nodes, strict=True)])
    assert right > 0.85
    assert predictor.checkpoint.model["head"] == head


def test_a_model_needs_nothing_of_what_it_began_with(folder: Path, tmp_path: Path) -> None:
    model = trained(folder, epochs=1)
    text = json.dumps({**model.model, **model.origin})
    assert str(folder) not in text
    assert not [name for name in model.tensors if "lora" in name or "base_layer" in name]
    assert (model.model["config"]["encoder"]["lora"], model.model["training"]["checkpointing"]) == (0, False)


@pytest.mark.parametrize("lora", [pytest.param(0, marks=pytest.mark.slow), 4])
def test_weights_in_4_bits_are_trained_checked_and_trained_and_kept_whole(folder: Path, lora: int) -> None:
    pytest.importorskip("bitsandbytes")
    learning = lesson(folder, quantised=True, lora=lora, epochs=3)
    before = learning.check()
    learning.fit(lambda _: None, Keeping().file("x", ""))
    after = learning.check()
    assert after is not None and before is not None and after < before
    whole = protein_transformer.load(learning.whole.checkpoint())
    assert not any(type(m).__name__ == "Linear4bit" for m in whole.modules())
    learning.whole = whole
    assert learning.check() == pytest.approx(after, rel=0.01)  # arithmetic of 4-bit layers is bfloat16


def test_4_bits_need_no_width_that_can_be_packed(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    save_esm(tmp_path, width=96, layers=1)
    learning = lesson(tmp_path, quantised=True, epochs=2)
    assert len(learning.fit(lambda _: None, Keeping().file("x", "")).checks) == 2  # as in ESM-2 35M, 480 wide


def test_checkpointing_changes_no_gradient(folder: Path) -> None:
    gradients = []
    for checkpointing in (False, True):
        learning = lesson(folder, checkpointing=checkpointing)
        learning.model.train()
        learning.loss(learning.model, np.arange(8), np.random.default_rng(3)).backward()
        body: Any = learning.whole.encoder.body
        assert body.base_model.model.encoder.gradient_checkpointing == checkpointing
        gradients.append({n: p.grad for n, p in learning.model.named_parameters() if ".lora_B" in n})
    assert len(gradients[0]) == 6
    for name, gradient in gradients[0].items():
        assert gradient is not None and float(gradient.abs().max()) > 0, name
        torch.testing.assert_close(gradients[1][name], gradient)


def test_only_what_learns_is_learnt(folder: Path) -> None:
    learning = lesson(folder, epochs=1)
    before = {name: p.detach().clone() for name, p in learning.model.named_parameters()}
    assert {id(p) for group in learning.groups() for p in group["params"]} == {
        id(p) for p in learning.model.parameters() if p.requires_grad
    }
    learning.fit(lambda _: None, Keeping().file("x", ""))
    for name, p in learning.model.named_parameters():
        assert p.requires_grad or torch.equal(p, before[name]), name
        if ".lora_" in name:
            assert not torch.equal(p, before[name]), name


# ---------------------------------------------------------------------- what a pass sees


def test_batches_are_of_like_length_and_differ_from_pass_to_pass() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(30, 1000, 5003)
    passes = [of_like_length(rows, lengths[rows], 8, random) for rows in (random.permutation(5003) for _ in range(2))]
    for order in passes:
        assert sorted(order.tolist()) == list(range(5003))
        runs = [lengths[order[a : a + 8]] for a in range(0, 5003, 8)]
        padded = sum(len(run) * int(run.max()) for run in runs)
        assert padded < 1.03 * lengths.sum()  # at random: 1.7 times
        longest = np.array([run.max() for run in runs])
        assert abs(np.corrcoef(longest[1:], longest[:-1])[0, 1]) < 0.2  # short and long come in turns
    mates = [{frozenset(order[a : a + 8].tolist()) for a in range(0, 5000, 8)} for order in passes]
    assert len(mates[0] & mates[1]) < 5


def test_a_pass_has_of_each_taxon_all_or_the_cap(folder: Path) -> None:
    store, _ = world()
    learning = lesson(folder, of=world(), per_taxon=3)
    order = learning.order(np.random.default_rng(0))
    taken, there = (np.unique(store.nodes[rows], return_counts=True) for rows in (order, np.arange(len(store))))
    assert len(set(order.tolist())) == len(order)
    assert taken[0].tolist() == there[0].tolist()
    assert taken[1].tolist() == np.minimum(there[1], 3).tolist()


def test_the_held_out_loss_is_the_mean_over_held_out_proteins_one_by_one(folder: Path) -> None:
    learning, again = lesson(folder), lesson(folder)
    learning.model.eval()
    again.model.eval()
    store, _ = few()
    with torch.no_grad():
        alone = [
            float(learning.whole.loss([store.sequences[i]], store.nodes[i : i + 1], np.zeros(1, bool)))
            for i in range(10)
        ]
    assert learning.check() == pytest.approx(np.mean(alone), rel=1e-4)
    assert again.check() == learning.check()


# ---------------------------------------------------------------------- what is held out


def test_seeds_share_what_is_held_out(folder: Path) -> None:
    one, other = (train(*few(60), settings(folder, epochs=1, seed=seed), split_seed=7) for seed in (1, 2))
    assert one[1].truth == other[1].truth
    assert set(one[1].predictions) == set(one[1].truth) and len(one[1].natural) > 5
    assert not same(one[0], other[0])


def test_held_out_proteins_are_named_by_the_model_that_is_kept(folder: Path) -> None:
    store, tree = few(60)
    whole = Views(fragments=0.0, changes=0.0, decoys=0.0)  # then what is measured on is the protein itself
    model, held = train(store, tree, settings(folder, views=whole))
    predictor = ProteinPredictor(model)
    for id, prediction in held.predictions.items():
        number = int(id.rpartition("|")[2])
        again = walk.descend(predictor.walker([store.sequences[number]]))[0]
        assert tuple(np.exp(again.clade)) == pytest.approx(prediction.confidence, abs=1e-4)


@pytest.mark.slow
def test_the_refit_has_as_many_passes_as_the_best_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, said = iter([3.0, 1.0, 2.0, 2.5]), list[str]()
    monkeypatch.setattr(Lesson, "check", lambda lesson: next(losses) if lesson.held else None)
    config = settings(folder, refit=True)
    config = replace(config, recipe=replace(config.recipe, epochs=9, patience=2))
    model, _ = train(*few(), config, said.append)
    assert "fitting again on all 40, for 2 passes" in said
    assert sum(line.startswith("epoch") for line in said) == 4 + 2
    assert (model.origin["passes"], model.origin["loss_held_out"]) == (2, [3.0, 1.0, 2.0, 2.5])
    assert len(model.taxonomy) == len(Taxonomy.from_lineages(few()[1].lineage(int(n)) for n in few()[0].nodes))


def test_calibration_makes_held_out_steps_more_probable(folder: Path) -> None:
    store, tree = world()
    model, _ = train(store, tree, settings(folder, epochs=1, hold_out=0.5, hidden_clades=0.0))
    assert any(map(any, model.calibration.by_level))
    assert model.calibration.kmers == model.model["config"]["least"]


# ---------------------------------------------------------------------- broken off, and gone on with


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    "more",
    [{"refit": True}, pytest.param({"head": "light"}, marks=pytest.mark.slow),
     pytest.param({"quantised": True}, marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_broken_training_ends_with_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    if more.get("quantised"):
        pytest.importorskip("bitsandbytes")
    config, straight = settings(folder, **more), trained(folder, **more)
    keeping, step, left = Keeping(folder=tmp_path / "t", every=0.0), train_protein_transformer.fitting._step, [4]

    def dying(*given: Any) -> float:
        left[0] -= 1
        if not left[0]:
            raise Killed
        return step(*given)

    monkeypatch.setattr(train_protein_transformer.fitting, "_step", dying)
    for steps in (5, 4) if more.get("refit") else (5,):  # in the second pass; then in the second fit
        left[0] = steps
        with pytest.raises(Killed):
            train(*few(), config, keeping=keeping)
    assert len(list((tmp_path / "t").iterdir())) == (2 if more.get("refit") else 1)
    monkeypatch.undo()
    said: list[str] = []
    again, _ = train(*few(), config, said.append, keeping=keeping)
    assert any(line.startswith("going on after") for line in said)
    assert same(straight, again)


def test_an_unfinished_training_holds_what_learns_and_knows_its_encoder(folder: Path, tmp_path: Path) -> None:
    keeping = Keeping(folder=tmp_path / "t")
    first, _ = train(*few(), settings(folder, epochs=1), keeping=keeping)
    sizes = sum(t.numel() for t in tensors.load_file(tmp_path / "t" / "seed-42.first.safetensors").values())
    learnt = sum(p.numel() for p in lesson(folder).model.parameters() if p.requires_grad)
    assert sizes == learnt
    moved = shutil.copytree(folder, tmp_path / "moved")
    said: list[str] = []
    again, _ = train(*few(), settings(moved, epochs=1), said.append, keeping=keeping)
    assert not any(line.startswith("epoch") for line in said)  # nothing was left to do
    assert same(first, again)
    weights = tensors.load_file(moved / "model.safetensors")
    tensors.save_file(
        {name: t * 1.01 for name, t in weights.items()}, moved / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(UserError, match="is of another training"):
        train(*few(), settings(moved, epochs=1), keeping=keeping)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"lora": 0, "checkpointing": True}, "does not learn"), ({"head": "other"}, "head other"), ({"hide": 0.7}, "hide"),
     ({"per_taxon": 0}, "per_taxon 0"), ({"seed": -1}, "seed -1")],
)  # fmt: skip
def test_what_cannot_be_is_refused(folder: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings(folder, **wrong)
