"""The decoder step by step, against itself going through whole paths, and against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from test_lineage_code import of_parents

torch = pytest.importorskip("torch")

from linnet import walk  # noqa: E402
from linnet.lineage_code import LineageCode  # noqa: E402
from linnet.lineage_decoder import (  # noqa: E402
    Config,
    DecoderWalker,
    LineageDecoder,
    Memory,
    Tables,
    lessons,
    path_loss,
    row_loss,
)  # fmt: skip
from linnet.taxonomy import Taxonomy  # noqa: E402

SMALL = {"width": 16, "layers": 2, "heads": 4, "vocabulary": 7, "dropout": 0.0}


def tree_of(seed: int, taxa: int = 40) -> Taxonomy:
    random = np.random.default_rng(seed)
    return of_parents([0, *(int(random.integers(max(0, i - 12), i + 1)) for i in range(taxa))])


@pytest.fixture(scope="module", params=[False, True], ids=["every taxon asked", "single children passed"])
def trained(request: pytest.FixtureRequest) -> tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray]:
    """A decoder that learnt to name the taxon of vectors, one kind of vector a taxon."""
    torch.manual_seed(0)
    tables = Tables(LineageCode(tree_of(1), 7))
    decoder = LineageDecoder(Config(**SMALL, forced=request.param), tables.code.slots, tables.code.levels)
    kinds = torch.randn(len(tables.taxonomy), 16)
    random = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(decoder.parameters(), 3e-3)
    for _ in range(150):
        nodes = random.integers(0, len(tables.taxonomy), 64)
        vectors = kinds[nodes] + 0.3 * torch.randn(64, 16)
        work = lessons(tables, nodes, tables.taxonomy.child_count[nodes] > 0, decoder.config.forced)
        loss = path_loss(decoder, tables, Memory(vectors[:, None]), work)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return decoder.eval(), tables, kinds, random.integers(0, len(tables.taxonomy), 12)


def whole_path(decoder: LineageDecoder, tables: Tables, memory: Memory, row: int, nodes: list[int]) -> list[np.ndarray]:
    """ln p of children and stopping at each taxon of a way, all of it gone through at once; no cache."""
    alone = Memory(memory.vectors[row : row + 1], None if memory.real is None else memory.real[row : row + 1])
    with torch.no_grad():
        hidden, _ = decoder(tables.taxa(np.array([nodes])), decoder.remember(alone), alone.real)
        return [
            next(decoder.log_p(hidden[:, t], tables.asked(np.array([node]))))[0].numpy() for t, node in enumerate(nodes)
        ]


@pytest.mark.slow
def test_it_learns_to_name_what_vectors_tell(trained: tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray]) -> None:
    decoder, tables, kinds, nodes = trained
    walker = DecoderWalker(decoder, tables, Memory(kinds[nodes][:, None]))
    found = [ends[0].node for ends in walk.top(walker, 1)]
    tree = tables.taxonomy
    wanted = [int(n) for n in nodes]
    if decoder.config.forced:  # what stops at a taxon with a single child cannot be told from that child
        for i, n in enumerate(wanted):
            while tree.child_count[n] == 1:
                n = int(tree.children(n)[0])
            wanted[i] = n
    assert np.mean([f == w for f, w in zip(found, wanted, strict=True)]) > 0.8


@pytest.mark.parametrize("vectors", [1, 5])
def test_steps_with_kept_keys_give_what_whole_paths_give(
    trained: tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray], vectors: int
) -> None:
    decoder, tables, kinds, nodes = trained
    memory = Memory(kinds[nodes][:, None])
    if vectors > 1:
        several = torch.randn(len(nodes), vectors, 16)
        memory = Memory(several, torch.arange(vectors) < torch.randint(1, vectors + 1, (len(nodes), 1)))
    asked: dict[tuple[int, int], np.ndarray] = {}

    class Recorded(DecoderWalker):
        def step(self, states, at):  # type: ignore[no-untyped-def]
            fan, after = super().step(states, at)
            for r, (state, node) in enumerate(zip(states, at.tolist(), strict=True)):
                asked[state.record, node] = fan.row(r)
            return fan, after

    walk.descend(Recorded(decoder, tables, memory))
    walk.top(Recorded(decoder, tables, memory), 4)  # rows of unequal length
    tree = tables.taxonomy
    assert len({tree.depth[node] for _, node in asked}) > 3
    for (record, node), log_p in asked.items():
        way = [n for n in (0, *tree.path(node)) if tree.child_count[n] > int(decoder.config.forced)]
        np.testing.assert_allclose(whole_path(decoder, tables, memory, record, way)[-1], log_p, atol=1e-5)


def test_greedy_paths_are_the_same_with_and_without_kept_keys(
    trained: tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray],
) -> None:
    decoder, tables, kinds, nodes = trained
    memory, tree = Memory(kinds[nodes][:, None]), tables.taxonomy
    for row, way in enumerate(walk.descend(DecoderWalker(decoder, tables, memory))):
        node, asked = 0, []
        while tree.child_count[node]:
            if tree.child_count[node] > int(decoder.config.forced):
                asked.append(node)
                best = int(whole_path(decoder, tables, memory, row, asked)[-1][:-1].argmax())
            else:
                best = 0
            node = int(tree.children(node)[best])
        assert way.node == node


def test_probabilities_of_all_ends_sum_to_1(trained: tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray]) -> None:
    decoder, tables, kinds, nodes = trained
    walker = DecoderWalker(decoder, tables, Memory(kinds[nodes][:, None]))
    for ends in walk.top(walker, len(tables.taxonomy)):
        assert sum(np.exp(w.log_p) for w in ends) == pytest.approx(1, abs=1e-4)
        asked = [w.node for w in ends]
        assert len(set(asked)) == len(asked)


def test_the_loss_is_that_of_the_answers_down_each_path(
    trained: tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray],
) -> None:
    decoder, tables, kinds, _ = trained
    tree, forced = tables.taxonomy, int(decoder.config.forced)
    nodes = np.arange(len(tree))
    for is_new in (False, True):
        new = np.full(len(tree), is_new)
        with torch.no_grad():
            got = float(path_loss(decoder, tables, Memory(kinds[:, None]), lessons(tables, nodes, new, bool(forced))))
        total = 0.0
        for node in nodes.tolist():
            path = [0, *tree.path(node)]
            way = [n for n in path if tree.child_count[n] > forced]
            if not way:
                continue
            log_p = dict(zip(way, whole_path(decoder, tables, Memory(kinds[:, None]), node, way), strict=True))
            for a, b in zip(path, path[1:], strict=False):
                if a in log_p:
                    total -= float(log_p[a][tree.children(a).tolist().index(b)])
            if is_new and node in log_p:
                total -= float(log_p[node][-1])
        assert got == pytest.approx(total / len(tree), rel=1e-4)


def test_batch_mates_and_padding_change_nothing(
    trained: tuple[LineageDecoder, Tables, torch.Tensor, np.ndarray],
) -> None:
    decoder, tables, _, _ = trained
    memory = Memory(torch.randn(3, 4, 16), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]) > 0)
    together = walk.descend(DecoderWalker(decoder, tables, memory))
    for i, real in enumerate((4, 2, 1)):
        (alone,) = walk.descend(DecoderWalker(decoder, tables, Memory(memory.vectors[i : i + 1, :real])))
        assert alone.nodes == together[i].nodes
        np.testing.assert_allclose(alone.clade, together[i].clade, atol=1e-5)


def test_the_published_loss_is_the_mean_over_slots_that_are_not_padding() -> None:
    torch.manual_seed(1)
    tables = Tables(LineageCode(tree_of(2), 7))
    decoder = LineageDecoder(Config(**SMALL), tables.code.slots, tables.code.levels).eval()
    rows = tables.code.encode(np.arange(len(tables.taxonomy)))
    memory = Memory(torch.randn(len(rows), 1, 16))
    total, count = 0.0, 0
    with torch.no_grad():
        for i, row in enumerate(rows):
            keys = decoder.remember(Memory(memory.vectors[i : i + 1]))
            for slot in range(len(row)):
                if row[slot] == 0:
                    continue
                taxa = tables.rows(np.array([row]))
                cut = type(taxa)(*(getattr(taxa, f)[:, : slot + 1] for f in ("token", "slot", "level")))
                hidden, _ = decoder(cut, keys)
                total -= float(torch.log_softmax(decoder.output_head(hidden[0, -1]), 0)[int(row[slot])])
                count += 1
        assert float(row_loss(decoder, tables, memory, rows)) == pytest.approx(total / count, rel=1e-4)


def test_the_published_sizes_have_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        decoder = LineageDecoder(Config(width=1280, layers=4, heads=8), 118, 37)
    assert sum(p.numel() for p in decoder.parameters()) == 143_570_840
