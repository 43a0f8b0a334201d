"""A model that begins with another's weights: what is copied, what is drawn, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import deeptaxa_files  # noqa: E402
from conftest import evolved_genes, lineage, write_fasta  # noqa: E402

from linnet import checkpoint, fine_tuning, train, train_network  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.calibrate import Calibration  # noqa: E402
from linnet.checkpoint import Checkpoint  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.families import rrna_network  # noqa: E402
from linnet.model import Model  # noqa: E402
from linnet.rank_scores import RankLabels  # noqa: E402
from linnet.sibling_groups import SiblingGroups  # noqa: E402
from linnet.taxonomy import Taxonomy  # noqa: E402
from linnet.tokens import Pieces  # noqa: E402

GENES, LINEAGES = evolved_genes(length=240, species=2, copies=3)
CONFIG = train_network.Config()
ENCODER = replace(
    CONFIG.model.encoder, embed_dim=8, num_filters=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=16, max_length=128,
)  # fmt: skip
VOCABULARY = Pieces.learn(list(GENES.values()), 64)

OLD = [
    "Bacteria;P1;C1;O1;F1;Twin;Twin a",
    "Bacteria;P1;C1;O1;F2;Twin;Twin b",
    "Bacteria;P2",
    "Archaea;P3;C3",
    "Aquatica;P4",
]
NEW = ["Archaea;P3;C3;O3", "Bacteria;P1;C1;O1;F1;Twin;Twin a", "Bacteria;P1;C1;O1;F1;Twin;Twin new", "Bacteria;P0;C1"]
"""Of the old taxa some are gone (a domain, too), some go deeper, and there is a C1 elsewhere."""


def settings(head: str, **more: Any) -> train_network.Config:
    """A training of a few seconds."""
    recipe = replace(CONFIG.recipe, epochs=2, batch=16, learning_rate=0.01, clip=5.0)
    model = replace(CONFIG.model, encoder=ENCODER, vocabulary=64, head=head)
    return replace(CONFIG, model=model, recipe=recipe, hold_out=0.25, **more)


def made(
    texts: Sequence[str], head: str, seed: int, model_type: str = "hybrid"
) -> tuple[Model, Taxonomy, RankLabels | None]:
    """A network with random weights, biases too."""
    torch.manual_seed(seed)
    config = replace(settings(head).model, encoder=replace(ENCODER, model_type=model_type))
    tree = Taxonomy.from_lineages(map(lineage, texts))
    nodes = np.array([tree.find(lineage(text))[0] for text in texts])
    labels = rrna_network.rank_labels(tree, nodes) if head == "ranks" else None
    model = rrna_network.build(config, VOCABULARY, tree, labels)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    return model, tree, labels


def kept(model: Model, tree: Taxonomy, labels: RankLabels | None, model_type: str = "hybrid") -> Checkpoint:
    """The network as a checkpoint, in full precision."""
    tensors = {name: t.detach().numpy().copy() for name, t in model.state_dict().items()}
    described = {"family": "rrna", "kind": "network", "encoder": vars(replace(ENCODER, model_type=model_type))}
    calibration = Calibration.none(SiblingGroups(tree).levels)
    return Checkpoint(described, tensors, tree, calibration, tokenizer=VOCABULARY.json, labels=labels)


def begun(head: str, model_type: str = "hybrid") -> tuple[Any, ...]:
    """The new model begun with the old one, its weights before, the old model, both trees and labels."""
    old, old_tree, old_labels = made(OLD, head, 1, model_type)
    new, new_tree, new_labels = made(NEW, head, 2, model_type)
    before = {name: t.clone() for name, t in new.state_dict().items()}
    copied = fine_tuning.begin(new, kept(old, old_tree, old_labels, model_type), new_tree, new_labels)
    return new.state_dict(), before, old.state_dict(), new_tree, old_tree, new_labels, old_labels, copied


def names(tree: Taxonomy, node: int) -> str:
    return ";".join(t.name for t in tree.lineage(node))


# ---------------------------------------------------------------------- what is copied


@pytest.mark.parametrize("model_type", ["hybrid", "cnn", "bert"])
@pytest.mark.parametrize("head", ["ranks", "tree"])
def test_the_encoder_is_copied_whole(head: str, model_type: str) -> None:
    now, before, old, *_ = begun(head, model_type)
    own = [name for name in now if name.startswith("encoder.")]
    assert len(own) > 4
    for name in own:
        assert torch.equal(now[name], old[name]) and not torch.equal(before[name], old[name]), name


def test_columns_of_taxa_that_both_trees_have_are_copied() -> None:
    now, before, old, new_tree, old_tree, _, _, copied = begun("tree")
    new_groups, old_groups = SiblingGroups(new_tree), SiblingGroups(old_tree)
    known = {names(old_tree, n): n for n in range(len(old_tree))}
    rows: dict[int, int] = {}
    for node in range(len(new_tree)):
        if (same := known.get(names(new_tree, node))) is None:
            continue
        if node:
            rows[int(new_groups.column_of_node[node])] = int(old_groups.column_of_node[same])
        group, older = new_groups.group_of_node[node], old_groups.group_of_node[same]
        if group >= 0 and older >= 0:
            rows[int(new_groups.start[group + 1]) - 1] = int(old_groups.start[older + 1]) - 1
    assert copied == len(rows)
    assert 10 < len(rows) < len(new_groups)
    for part in ("head.scores.weight", "head.scores.bias"):
        for row in range(len(new_groups)):
            expected = old[part][rows[row]] if row in rows else before[part][row]
            assert torch.equal(now[part][row], expected), (part, row)


@pytest.mark.parametrize(("model_type", "layer"), [("hybrid", ""), ("bert", ""), ("cnn", ".3")])
def test_labels_that_both_heads_have_are_copied(model_type: str, layer: str) -> None:
    now, before, old, _, _, labels, old_labels, copied = begun("ranks", model_type)
    shared = 0
    for r, some in enumerate(labels.labels):
        for part in ("weight", "bias"):
            name = f"head.ranks.{r}{layer}.{part}"
            for row, label in enumerate(some):
                known = label in old_labels.labels[r]
                expected = old[name][old_labels.labels[r].index(label)] if known else before[name][row]
                assert torch.equal(now[name][row], expected), (name, label)
                shared += known and part == "weight"
        if model_type == "cnn":
            assert torch.equal(now[f"head.ranks.{r}.0.weight"], old[f"head.ranks.{r}.0.weight"])
            assert torch.equal(now[f"head.ranks.{r}.0.bias"], old[f"head.ranks.{r}.0.bias"])
    assert copied == shared
    assert "Twin a" in old_labels.labels[6] and "Twin new" not in old_labels.labels[6]


@pytest.mark.parametrize(("old_head", "new_head"), [("ranks", "tree"), ("tree", "ranks")])
def test_heads_of_two_kinds_share_nothing_but_the_encoder(old_head: str, new_head: str) -> None:
    old, old_tree, old_labels = made(OLD, old_head, 1)
    new, new_tree, new_labels = made(OLD, new_head, 2)
    before = {name: t.clone() for name, t in new.state_dict().items()}
    assert fine_tuning.begin(new, kept(old, old_tree, old_labels), new_tree, new_labels) == 0
    for name, t in new.state_dict().items():
        assert torch.equal(t, (old.state_dict() if name.startswith("encoder.") else before)[name]), name


def test_the_same_taxa_in_another_order_give_the_same_answers() -> None:
    old, old_tree, _ = made(OLD, "tree", 1)
    longer = [*OLD, "Bacteria;A0;A1"]  # stands before the others and moves every column
    new, new_tree, _ = made(longer, "tree", 2)
    fine_tuning.begin(new, kept(old, old_tree, None), new_tree, None)
    inputs = old.encoder.collate(list(GENES.values())[:3])
    one, other = old.eval()(inputs), new.eval()(inputs)
    for node in range(1, len(old_tree)):
        column = SiblingGroups(new_tree).column_of_node[new_tree.find(old_tree.lineage(node))[0]]
        assert torch.equal(one[:, SiblingGroups(old_tree).column_of_node[node]], other[:, column])


# ---------------------------------------------------------------------- what is refused


def test_a_model_of_another_kind_is_refused(genes: Any, tiny_model: Path) -> None:
    with pytest.raises(UserError, match="a model of kind 'compact' to begin with.*--encoder hybrid"):
        fine_tuning.encoder(checkpoint.load(tiny_model))
    with pytest.raises(UserError, match="'nearest'"):
        fine_tuning.encoder(train.baseline("nearest", *genes))


def test_another_vocabulary_than_the_models_is_refused() -> None:
    start = kept(*made(OLD, "tree", 1))
    assert fine_tuning.tokenizer(start, None) == start.tokenizer
    assert fine_tuning.tokenizer(start, VOCABULARY.json) == start.tokenizer
    with pytest.raises(UserError, match="another tokenizer.*Leave --tokenizer out"):
        fine_tuning.tokenizer(start, Pieces.learn(["ACGGTTCA" * 20], 32).json)


# ---------------------------------------------------------------------- whole trainings


@pytest.mark.slow
@pytest.mark.parametrize("head", ["ranks", "tree"])
def test_training_that_begins_with_a_model_begins_lower(head: str) -> None:
    said: list[str] = []
    longer = settings(head, refit=False)
    longer = replace(longer, recipe=replace(longer.recipe, epochs=10))
    start, _ = train_network.train(GENES, LINEAGES, longer, tokenizer=VOCABULARY.json)
    train_network.train(GENES, LINEAGES, settings(head, refit=False), said.append)
    again, _ = train_network.train(GENES, LINEAGES, settings(head), said.append, start=start)
    first = [float(line.partition("loss ")[2].partition(",")[0]) for line in said if line.startswith("epoch 1 of")]
    assert len(first) == 3  # from scratch; then with a start, twice
    assert max(first[1:]) < 0.8 * first[0]
    assert again.tokenizer == VOCABULARY.json


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"model_type": "cnn", "encoding": "onehot", "window": 120}])
def test_a_published_model_may_be_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: dict[str, Any]
) -> None:
    file, table, _ = deeptaxa_files.write(tmp_path / "files", **how)
    published = tmp_path / "published"
    assert main(["convert", "deeptaxa", str(file), "--taxonomy", str(table), "--out", str(published)]) == 0
    random = np.random.default_rng(1)
    genes = {f"g{i}": "".join(random.choice(list("ACGT"), 90)) for i in range(24)}
    labels = ["Bacteria;P1;C1;O1;F1;G1;G1 a", "Bacteria;P1;C1;O1;F1;G1;G1 b", "Bacteria;P9;C9;O9;F9;G9;G9 z"]
    rows = tmp_path / "t.tsv"
    rows.write_text("".join(f"{i}\t{labels[n % 3]}\n" for n, i in enumerate(genes)))
    out = tmp_path / "out"
    arguments = ["train", "rrna", "--encoder", "onehot" if how else "hybrid", "--sequences",
                 str(write_fasta(tmp_path / "g.fasta", genes)), "--taxonomy", str(rows), "--start", str(published), "--out",
                 str(out), "--epochs", "1", "--learning-rate", "1e-9", "--threads", "1"]  # fmt: skip
    for flags, said in (
        (["--encoder", "bert"], "the model to begin with has"),
        (["--num-filters", "999"], "--num-filters 999, but the model to begin with has num_filters"),
    ):
        assert main([*arguments, *flags]) == 2
        assert said in capsys.readouterr().err
    assert main(arguments) == 0
    before, after = checkpoint.load(published), checkpoint.load(out)
    assert after.model["encoder"] == before.model["encoder"]
    assert after.tokenizer == before.tokenizer
    assert [t.name for t in after.taxonomy.lineage(len(after.taxonomy) - 1)][-1] == "G9 z"
    name = next(n for n in before.tensors if "conv" in n and n.endswith("weight"))
    assert np.allclose(before.tensors[name], after.tensors[name].astype(np.float32), atol=2e-3)
    assert before.labels is not None and after.labels is not None
    layer = ".3" if how else ""
    for label in ("G1 a", "G1 b"):
        old, new = before.labels.labels[6].index(label), after.labels.labels[6].index(label)
        weight = f"head.ranks.6{layer}.weight"
        assert np.allclose(before.tensors[weight][old], after.tensors[weight][new].astype(np.float32), atol=2e-3)
    assert json.loads((out / "model.json").read_text())["kind"] == "network"
    assert (
        main(
            [
                "classify",
                str(tmp_path / "g.fasta"),
                "--model",
                str(out),
                "--engine",
                "torch",
                "--out",
                str(tmp_path / "p"),
            ]
        )
        == 0
    )
