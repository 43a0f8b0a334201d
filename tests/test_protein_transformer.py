"""A small encoder and decoder trained together, kept, loaded and asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from test_lineage_code import of_parents  # noqa: E402

from linnet import checkpoint as checkpoints  # noqa: E402
from linnet import walk  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.encoders import esm  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.families.protein_transformer import Config, ProteinTransformer, load  # noqa: E402
from linnet.lineage_decoder import Config as Decoder  # noqa: E402

PROTEINS = ["MKTAYIAKQRQISFVKSHFSRQMKTAY", "GGSGGSPLVWACDEFGHIKLMNPQRSTVWY", "WWHHDDEEKKRRLLVVIIMMAACCFFYYTT"]
LABELS = np.array([2, 3, 6])  # leaves, as numbered depth-first


@pytest.fixture(scope="module")
def trained() -> ProteinTransformer:
    torch.manual_seed(0)
    encoder = esm.Config(layers=1, width=16, heads=4, inner=40, latents=3)
    model = ProteinTransformer(
        Config(encoder=encoder, decoder=Decoder(width=24, layers=1, heads=4, dropout=0.0)),
        of_parents([0, 0, 0, 1, 1, 2, 2]),
    )
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(120):
        loss = model.loss(PROTEINS, LABELS, np.zeros(3, bool))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None for n, p in model.named_parameters() if "position_embeddings" not in n)
    return model.eval()


def test_it_learns_three_proteins(trained: ProteinTransformer) -> None:
    assert [ends[0].node for ends in walk.top(trained.walker_of(PROTEINS))] == LABELS.tolist()


def test_a_kept_model_answers_as_before(trained: ProteinTransformer, tmp_path: Path) -> None:
    checkpoints.save(trained.checkpoint(), tmp_path / "m")
    again = load(checkpoints.load(tmp_path / "m"))
    for old, new in zip(
        walk.descend(trained.walker_of(PROTEINS)), walk.descend(again.walker_of(PROTEINS)), strict=True
    ):
        assert old.nodes == new.nodes
        np.testing.assert_allclose(old.clade, new.clade, atol=0.02)  # kept in half precision


def test_a_model_without_a_weight_is_refused(trained: ProteinTransformer) -> None:
    whole = trained.checkpoint()
    broken = dict(whole.tensors)
    del broken["decoder.output_head.bias"]
    with pytest.raises(UserError, match=r"no weights decoder\.output_head\.bias"):
        load(checkpoints.Checkpoint(whole.model, broken, whole.taxonomy, whole.calibration))


def test_a_kept_model_names_proteins(
    trained: ProteinTransformer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints.save(trained.checkpoint(), tmp_path / "m")
    (tmp_path / "p.faa").write_text("".join(f">p{i}\n{s}\n" for i, s in enumerate(PROTEINS)))
    argv = ["classify", str(tmp_path / "p.faa"), "--model", str(tmp_path / "m"), "--format", "jsonl"]
    assert main(argv) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    tree = trained.tables.taxonomy
    assert [a["lineage"][-1]["name"] for a in answers] == [tree.names[int(n)] for n in LABELS]
    both = [*argv, "--model", str(tmp_path / "m"), "--search", "end"]  # the same twice: a mean of equals
    assert main(both) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [a["lineage"][-1]["name"] for a in again] == [a["lineage"][-1]["name"] for a in answers]
