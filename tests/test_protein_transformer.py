"""A small encoder and decoder trained together, kept, loaded and asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from test_lineage_code import of_parents  # noqa: E402

from linnet import calibrate, light_head, walk  # noqa: E402
from linnet import checkpoint as checkpoints  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.calibrate import Calibration  # noqa: E402
from linnet.encoders import esm  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.families.protein_transformer import CalibratedWalker, Config, Head, ProteinTransformer, load  # noqa: E402
from linnet.lineage_decoder import Config as Decoder  # noqa: E402
from linnet.lineage_decoder import DecoderWalker  # noqa: E402

PROTEINS = ["MKTAYIAKQRQISFVKSHFSRQMKTAY", "GGSGGSPLVWACDEFGHIKLMNPQRSTVWY", "WWHHDDEEKKRRLLVVIIMMAACCFFYYTT"]
LABELS = np.array([2, 3, 6])  # leaves, as numbered depth-first


@pytest.fixture(scope="module")
def trained() -> ProteinTransformer:
    torch.set_num_threads(1)  # whatever a command before has set; this is made before each test's own fixtures
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


# ---------------------------------------------------------------------- either head, its steps and its calibration

TREE = of_parents([0, 0, 0, 1, 1, 2, 2, 2])
NODES = np.array([3, 6, 4, 0])  # two leaves, a taxon that something new is below, and something that is nowhere
NEW = np.array([False, False, True, True])
SEQUENCES = [*PROTEINS, PROTEINS[0][::-1]]


def drawn(head: Head) -> ProteinTransformer:
    torch.manual_seed(5)
    encoder = esm.Config(layers=1, width=16, heads=4, inner=24, latents=3)
    decoder = Decoder(width=24, layers=1, heads=4, dropout=0.0, vocabulary=5)  # bins of one taxon or two
    config = Config(encoder=encoder, head=head, decoder=decoder, light=light_head.Config(taxa=6, hidden=10))
    model = ProteinTransformer(config, TREE)
    for p in model.parameters():
        p.data += 0.3 * torch.randn(p.shape)
    return model.eval()


def fans(model: ProteinTransformer, row: int) -> list[tuple[int, np.ndarray, int]]:
    """Taxa on a label's way, what a walker says at each of them, and which answer is right."""
    walker = model.walker_of(SEQUENCES)
    states = [walker.begin()[row]]
    path, found = [0, *TREE.path(int(NODES[row]))], []
    for here, child in zip(path, [*path[1:], -1], strict=True):
        if child < 0 and not NEW[row]:
            break
        fan, states = walker.step(states, np.array([here]))
        children = TREE.children(here).tolist()
        found.append((here, np.asarray(fan.log_F, float), children.index(child) if child >= 0 else len(children)))
    return found


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x - x.max()).sum()) - x.max()


@pytest.mark.parametrize("head", ["decoder", "light"])
def test_the_loss_is_what_the_walker_says_of_labels(head: Head) -> None:
    model = drawn(head)
    by_walker = -sum(log_p[right] for row in range(4) for _, log_p, right in fans(model, row)) / 4
    assert float(model.loss(SEQUENCES, NODES, NEW).detach()) == pytest.approx(by_walker, rel=1e-4)


@pytest.mark.parametrize("head", ["decoder", "light"])
def test_where_the_right_taxon_is_hidden_stopping_is_right_among_the_others(head: Head) -> None:
    model, total = drawn(head), 0.0
    for row in range(4):
        for here, log_p, right in fans(model, row):
            if here > 0 and right < len(log_p) - 1:
                total -= log_p[-1] - np.log(1 - np.exp(log_p[right]))
            else:  # nothing is hidden at the root
                total -= log_p[right]
    work = model.work(NODES, NEW, 1.0, np.random.default_rng(0))
    loss = model(model.encoder.collate(SEQUENCES), work)
    assert float(loss.detach()) == pytest.approx(total / 4, rel=1e-4)


@pytest.mark.parametrize("head", ["decoder", "light"])
def test_steps_to_calibrate_by_are_what_the_walker_says(head: Head) -> None:
    model = drawn(head)
    natural = np.array([True, False, True, False])
    steps = model.steps(SEQUENCES, NODES, NEW, natural)
    found = []
    for i, (a, z) in enumerate(zip(steps.start, steps.start[1:], strict=False)):
        log_p = log_softmax(np.asarray(steps.score[a:z], float))
        row = {(27, True): 0, (30, False): 1, (30, True): 2}
        of = row.get((round(400 * float(np.exp(steps.x[i]))), bool(steps.natural[i])), 3)
        found.append((of, int(steps.level[i]), int(steps.target[i]), bool(steps.stopped[i]), log_p.round(3).tolist()))
    wanted = [
        (row, int(TREE.depth[here]), right, right == len(log_p) - 1, log_p.round(3).tolist())
        for row in range(4) for here, log_p, right in fans(model, row)
    ]  # fmt: skip
    key = lambda step: step[:3]  # noqa: E731
    for one, other in zip(sorted(found, key=key), sorted(wanted, key=key), strict=True):
        assert one[:4] == other[:4]
        assert one[4] == pytest.approx(other[4], abs=2e-3)


@pytest.mark.parametrize("head", ["decoder", "light"])
def test_a_calibrated_model_answers_with_temperatures_and_stop_offsets(head: Head) -> None:
    model = drawn(head)
    before = [fans(model, row) for row in range(4)]
    calibration = Calibration((0.4, -0.2), (0.1, 0.3), (0.7, -0.5), (0.2, 0.1), 20)
    kept = model.checkpoint()
    again = load(checkpoints.Checkpoint(kept.model, kept.tensors, kept.taxonomy, calibration))
    for row, way in enumerate(before):
        x = float(calibrate.length_feature(np.array([len(SEQUENCES[row])]))[0])
        for (here, log_p, _), (_, found, _) in zip(way, fans(again, row), strict=True):
            t, u, s, v = (values[TREE.depth[here]] for values in calibration.by_level)
            scaled = log_p / np.exp(t + u * x)
            scaled[-1] += s + v * x
            np.testing.assert_allclose(found, log_softmax(scaled), rtol=0.02, atol=0.02)  # kept in half precision
            assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)
            assert np.abs(found - log_p).max() > 0.02


def test_a_calibration_of_nothing_leaves_answers_as_they_are() -> None:
    model = drawn("decoder")
    assert type(model.walker_of(SEQUENCES)) is DecoderWalker
    plain, none = DecoderWalker(model.decoder, model.tables, model.memory(SEQUENCES)), Calibration.none(2)
    same = CalibratedWalker(plain, none, np.full(4, 30))
    for one, other in zip(walk.descend(plain), walk.descend(same), strict=True):
        assert one.nodes == other.nodes
        np.testing.assert_allclose(one.clade, other.clade, atol=1e-6)


def test_a_light_head_on_vectors_is_kept_and_named(tmp_path: Path) -> None:
    model = drawn("light")
    checkpoints.save(model.checkpoint(), tmp_path / "m")
    again = load(checkpoints.load(tmp_path / "m"))
    assert json.loads((tmp_path / "m" / "model.json").read_text())["head"] == "light"
    for one, other in zip(walk.top(model.walker_of(SEQUENCES)), walk.top(again.walker_of(SEQUENCES)), strict=True):
        assert one[0].nodes == other[0].nodes
        assert one[0].log_p == pytest.approx(other[0].log_p, abs=0.05)


def test_where_nothing_is_asked_the_loss_is_nothing_and_has_a_gradient() -> None:
    model = ProteinTransformer(
        Config(encoder=esm.Config(layers=1, width=16, heads=4, inner=24), decoder=Decoder(width=24, layers=1, heads=4)),
        of_parents([0, 0, 1]),  # a chain, whose taxa are passed without asking
    )
    loss = model.loss(PROTEINS[:1], np.array([2]), np.zeros(1, bool))
    loss.backward()
    assert float(loss.detach()) == 0
