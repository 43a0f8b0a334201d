"""Small encoders of ESM-2's shape: padding, pooling, adapters that learn, weights in 4 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from test_lineage_code import of_parents  # noqa: E402
from tiny_esm import save_esm  # noqa: E402

from linnet.encoders.esm import Config, EsmEncoder, adapters  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.lineage_code import LineageCode  # noqa: E402
from linnet.lineage_decoder import Config as DecoderConfig  # noqa: E402
from linnet.lineage_decoder import LineageDecoder, Memory, Tables, lessons, path_loss  # noqa: E402
from linnet.taxonomy import Taxonomy  # noqa: E402

TINY = {"layers": 2, "width": 40, "heads": 4, "inner": 64}
PROTEINS = ["MKTAYIAKQRQISFVKSHFSRQ", "MK", "GGSGGSPLVWXBACDEFGHIKLMNPQRSTVWY"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ESM-2 as the hub has it."""
    return save_esm(tmp_path_factory.mktemp("esm"))


@pytest.mark.parametrize(("pooling", "vectors"), [("latents", 8), ("query", 1), ("residues", 34), ("published", 1)])
def test_each_pooling_gives_its_vectors(pooling: str, vectors: int) -> None:
    encoder = EsmEncoder(Config(**TINY, pooling=pooling)).eval()  # type: ignore[arg-type]
    memory = encoder(encoder.collate(PROTEINS))
    assert memory.vectors.shape == (3, vectors, 40)
    assert (memory.real is None) == (pooling != "residues")


@pytest.mark.parametrize("pooling", ["latents", "query", "residues"])
def test_batch_mates_and_padding_change_nothing(pooling: str) -> None:
    torch.manual_seed(0)
    encoder = EsmEncoder(Config(**TINY, pooling=pooling)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        together = encoder(encoder.collate(PROTEINS))
        for i, protein in enumerate(PROTEINS):
            alone = encoder(encoder.collate([protein])).vectors[0]
            torch.testing.assert_close(together.vectors[i, : len(alone)], alone, atol=1e-5, rtol=1e-4)


def test_the_published_pooling_has_the_published_number_of_parameters() -> None:
    from linnet.encoders.pooling import PublishedPooling

    with torch.device("meta"):
        assert sum(p.numel() for p in PublishedPooling(1280, 5).parameters()) == 8_200_960


def test_weights_of_a_folder_are_those_that_were_saved(folder: Path) -> None:
    from transformers import EsmModel

    encoder = EsmEncoder(Config(weights=str(folder), pooling="residues")).eval()
    assert not any(p.requires_grad for p in encoder.parameters())
    plain = EsmModel.from_pretrained(folder, add_pooling_layer=False).eval()
    ids, real = encoder.collate(PROTEINS)
    with torch.no_grad():
        wanted = plain(input_ids=ids, attention_mask=real.long()).last_hidden_state
        torch.testing.assert_close(encoder((ids, real)).vectors, wanted)


def learnt(encoder: EsmEncoder, steps: int = 12) -> list[float]:
    """Losses of an encoder and a decoder that learn three proteins."""
    torch.manual_seed(0)
    tree: Taxonomy = of_parents([0, 0, 0, 1, 1, 2])
    tables = Tables(LineageCode(tree))
    decoder = LineageDecoder(
        DecoderConfig(width=encoder.width, layers=1, heads=4, dropout=0.0), tables.code.slots, tables.code.levels
    )
    work = lessons(tables, np.array([3, 2, 5]), np.zeros(3, bool), True)
    parameters = [p for p in (*encoder.parameters(), *decoder.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 3e-3)
    encoder.train()
    losses = []
    for _ in range(steps):
        loss = path_loss(decoder, tables, encoder(encoder.collate(PROTEINS)), work)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_adapters_are_attached_to_every_attention_and_learn(folder: Path) -> None:
    pytest.importorskip("peft")
    encoder = EsmEncoder(Config(weights=str(folder), lora=8))
    matrices = adapters(encoder)
    assert len(matrices) == 2 * 3 * 2  # A and B of query, key and value of 2 layers
    assert sum(p.numel() for p in matrices.values()) == 2 * 3 * 2 * 8 * 64
    assert {n for n, p in encoder.body.named_parameters() if p.requires_grad} == set(matrices)
    before = {n: p.detach().clone() for n, p in encoder.named_parameters()}
    losses = learnt(encoder)
    assert losses[-1] < losses[0]
    for name, p in encoder.named_parameters():
        if ".lora_" in name:
            assert p.grad is not None and float(p.grad.abs().max()) > 0, name
            assert not torch.equal(p, before[name]), name
        elif name.startswith("body."):
            assert torch.equal(p, before[name]), name


def test_merged_adapters_say_what_adapters_said(folder: Path) -> None:
    pytest.importorskip("peft")
    encoder = EsmEncoder(Config(weights=str(folder), lora=4))
    learnt(encoder, 3)
    encoder.eval()
    with torch.no_grad():
        apart = encoder(encoder.collate(PROTEINS)).vectors
        torch.testing.assert_close(encoder.merged()(encoder.collate(PROTEINS)).vectors, apart, atol=1e-5, rtol=1e-4)
    assert not adapters(encoder)


def test_weights_in_4_bits_learn_after_an_evaluation_too(folder: Path) -> None:
    pytest.importorskip("peft")
    pytest.importorskip("bitsandbytes")
    encoder = EsmEncoder(Config(weights=str(folder), lora=8, quantised=True))
    assert sum(type(m).__name__ == "Linear4bit" for m in encoder.modules()) >= 6 * 2
    first = learnt(encoder)
    assert first[-1] < first[0]
    encoder.eval()
    with torch.no_grad():
        encoder(encoder.collate(PROTEINS))
    again = learnt(encoder, 4)
    assert np.isfinite(again).all()
    assert all(p.grad is not None for p in adapters(encoder).values())


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        EsmEncoder(Config(weights=str(tmp_path)))
    with pytest.raises(UserError, match="quantised without weights"):
        Config(quantised=True)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(UserError, match="cannot be loaded"):
        EsmEncoder(Config(weights=str(tmp_path)))


def test_memory_may_have_as_many_vectors_as_residues() -> None:
    torch.manual_seed(1)
    encoder = EsmEncoder(Config(**TINY, pooling="residues"))
    assert learnt(encoder)[-1] < learnt(encoder)[0] + 10
    assert isinstance(encoder(encoder.collate(PROTEINS)), Memory)
