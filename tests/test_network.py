"""The torch model, its loss, and its numpy twin."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import evolved_genes, lineage

from linnet.calibrate import Calibration
from linnet.compact import CompactNetwork
from linnet.kmers import count_all, log_odds
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

torch = pytest.importorskip("torch")

from linnet.encoders import kmer  # noqa: E402
from linnet.families import rrna  # noqa: E402
from linnet.losses import PathTargets, path_loss  # noqa: E402

GENES, LINEAGES = evolved_genes()
TREE = Taxonomy.from_lineages(LINEAGES.values())
GROUPS = SiblingGroups(TREE)
TEXTS = list(GENES.values())


@pytest.fixture(scope="module")
def model():  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    config = rrna.Config(encoder=kmer.Config(k=5, width=16))
    model = rrna.build(config, GROUPS, log_odds(count_all(TEXTS, 5))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
            parameter.copy_(parameter.half().float())  # as a checkpoint keeps them
    return model


def all_scores(network: CompactNetwork, texts: list[str]) -> np.ndarray:
    """(M, B): what the walker says of every taxon's children, and of stopping there."""
    walker, owners = network.walker_of(network.reader.read(texts, "forward")), GROUPS.owner.astype(np.int64)
    return np.stack([walker.scores(np.full(len(owners), i), owners)[0] for i in range(len(texts))], 1)


def test_the_numpy_network_equals_torch(model) -> None:  # type: ignore[no-untyped-def]
    counts = model.encoder.collate(TEXTS[:20])
    with torch.no_grad():
        expected = torch.softmax(model(counts)[:, : GROUPS.start[1]], 1).numpy()
    network = CompactNetwork(model.tensors(), TREE)
    found = all_scores(network, TEXTS[:20])
    log_MB = GROUPS.log_softmax(found)
    assert np.abs(np.exp(log_MB[: GROUPS.start[1]]).T - expected).max() < 1e-5
    with torch.no_grad():
        scores = model(counts).numpy()
    assert np.abs(found.T - scores).max() < 1e-5 * np.abs(scores).max()


def test_calibration_changes_each_level_as_documented(model) -> None:  # type: ignore[no-untyped-def]
    levels = range(GROUPS.levels)
    calibration = Calibration(*(tuple(c * (1 + i) for i in levels) for c in (0.1, 0.02, 0.5, -0.3)))
    kmers = np.array([50, 100, 400, 1000, 1400])
    plain = all_scores(CompactNetwork(model.tensors(), TREE), TEXTS[:5])
    scaled = calibration.apply(plain, kmers, GROUPS)
    for column in range(len(GROUPS)):
        level = GROUPS.level_of_column[column]
        x = np.log(kmers / 400)
        expected = plain[column] / np.exp((0.1 + 0.02 * x) * (1 + level))
        expected = expected + ((0.5 - 0.3 * x) * (1 + level) if column in GROUPS.stop else 0)
        assert np.allclose(scaled[column], expected, rtol=1e-4, atol=1e-3)


def test_a_walker_and_the_whole_tree_are_calibrated_alike(model) -> None:  # type: ignore[no-untyped-def]
    levels = range(GROUPS.levels)
    calibration = Calibration(*(tuple(c * (1 + i) for i in levels) for c in (0.1, 0.02, 0.5, -0.3)))
    network = CompactNetwork(model.tensors(), TREE, calibration)
    reading = network.reader.read([text[: 60 + 40 * i] for i, text in enumerate(TEXTS[:5])], "forward")
    owners = GROUPS.owner.astype(np.int64)
    scaled = calibration.apply(all_scores(CompactNetwork(model.tensors(), TREE), list(reading.sequences)),
                               reading.kmers_B, GROUPS)  # fmt: skip
    expected = GROUPS.log_softmax(scaled)
    for i in range(5):
        fan, _ = network.walker_of(reading).step([i] * len(owners), owners)
        assert np.abs(fan.log_F - expected[:, i]).max() < 1e-4
    assert np.abs(network.place(reading) - GROUPS.place(expected)).max() < 1e-5


def test_the_order_of_a_batch_does_not_matter(model) -> None:  # type: ignore[no-untyped-def]
    network = CompactNetwork(model.tensors(), TREE)
    reading = network.reader.read(TEXTS[:40], "forward")
    together = network.place(reading)
    alone = np.concatenate([network.place(reading.take([i])) for i in range(40)])
    assert np.abs(together - alone).max() < 1e-5


def slow_loss(score: np.ndarray, node: int, new: bool) -> float:
    """-log p of a label's path, group by group."""
    steps = [(int(TREE.parent[n]), n) for n in TREE.path(node)] + ([(node, None)] if new else [])
    total = 0.0
    for owner, child in steps:
        group = GROUPS.group_of_node[owner]
        if group < 0:
            continue
        a, z = GROUPS.start[group : group + 2]
        right = a + TREE.children(owner).tolist().index(child) if child is not None else z - 1
        total += np.log(np.exp(score[a:z]).sum()) - score[right]
    return float(total)


def test_the_path_loss_equals_a_plain_loop() -> None:
    random = np.random.default_rng(2)
    nodes = random.integers(0, len(TREE), 30)
    new = random.random(30) < 0.5
    score = random.normal(size=(30, len(GROUPS)))
    targets = PathTargets.of(GROUPS, nodes, new)
    expected = np.mean([slow_loss(s, int(n), bool(w)) for s, n, w in zip(score, nodes, new, strict=True)])
    assert abs(float(path_loss(torch.from_numpy(score), targets)) - expected) < 1e-4


def test_a_label_that_ends_early_teaches_nothing_below_it() -> None:
    score = torch.zeros(1, len(GROUPS), requires_grad=True)
    node = TREE.find(lineage("Bacteria;P0;C0"))[0]
    path_loss(score, PathTargets.of(GROUPS, np.array([node]), np.array([False]))).backward()
    touched_columns = torch.nonzero(score.grad[0]).flatten().tolist()
    touched = {int(GROUPS.owner[np.searchsorted(GROUPS.start, c, "right") - 1]) for c in touched_columns}
    assert touched == {0, *TREE.path(node)[:-1]} - {n for n in TREE.path(node) if TREE.is_leaf(n)}


def test_hiding_the_right_taxon_makes_stopping_right() -> None:
    node = TREE.find(LINEAGES["r00000"])[0]
    score = torch.zeros(1, len(GROUPS), requires_grad=True)
    targets = PathTargets.of(GROUPS, np.array([node]), np.array([False]), hide=1.0, random=np.random.default_rng(0))
    path_loss(score, targets).backward()
    domain, *path = TREE.path(node)
    assert score.grad[0, GROUPS.column_of_node[domain]] < 0  # what lies beside the domains only decoys show
    for child in path:
        assert score.grad[0, GROUPS.column_of_node[child]] == 0
        siblings = GROUPS.group_of_node[TREE.parent[child]]
        if TREE.child_count[TREE.parent[child]] > 1:
            assert score.grad[0, GROUPS.stop[siblings]] < 0


def test_training_learns_and_calibrates(genes, tiny_config) -> None:  # type: ignore[no-untyped-def]
    from linnet import train

    checkpoint, held_out = train.train(*genes, tiny_config)
    named = [held_out.predictions[i] for i in held_out.natural]
    right = [p.lineage[5] == held_out.truth[p.record_id][5] for p in named]
    assert np.mean(right) > 0.8
    assert checkpoint.tensors["encoder.embedding"].dtype == np.float16
    assert len(checkpoint.taxonomy) == len(TREE)


def test_the_same_seed_gives_the_same_model(genes, tiny_config) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from linnet import train

    short = replace(tiny_config, recipe=replace(tiny_config.recipe, epochs=2))
    one, two = (train.train(*genes, short)[0] for _ in range(2))
    assert all(np.array_equal(one.tensors[n], two.tensors[n]) for n in one.tensors)
    assert one.calibration == two.calibration
