"""The light head: in torch, in numpy and by a loop over taxa and their children in double precision."""

from __future__ import annotations

from math import erf, exp, log, sqrt, tanh

import numpy as np
import pytest
from conftest import lineage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lineage_code import of_parents, trees

torch = pytest.importorskip("torch")

from linnet import light_head, walk  # noqa: E402
from linnet.calibrate import Calibration  # noqa: E402
from linnet.compact_lineage import CompactLineageNetwork  # noqa: E402
from linnet.encoders import residue_words  # noqa: E402
from linnet.errors import UsageError  # noqa: E402
from linnet.families.proteins import Config, ProteinModel, Views  # noqa: E402
from linnet.light_head import LightHead, path_loss  # noqa: E402
from linnet.residues import RESIDUES  # noqa: E402
from linnet.taxonomy import Taxonomy  # noqa: E402
from linnet.weighed_walk import WeighedWalker  # noqa: E402

SMALL = Config(encoder=residue_words.Config(ks=(2, 3), buckets=500, width=12), head=light_head.Config(taxa=5, hidden=7))


def tree_of(seed: int, taxa: int = 40) -> Taxonomy:
    random = np.random.default_rng(seed)
    return of_parents([0, *(int(random.integers(max(0, i - 12), i + 1)) for i in range(taxa))])


def model_of(tree: Taxonomy, seed: int = 0) -> ProteinModel:
    """A model with every weight drawn, those that begin as zeros too."""
    torch.manual_seed(seed)
    model = ProteinModel(SMALL, tree).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return model


def some_proteins(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list(RESIDUES), int(random.integers(5, 200)))) for _ in range(count)]


class Plain:
    """The head's formula for one taxon and one vector at a time, in double precision."""

    def __init__(self, head: LightHead) -> None:
        self.tree = head.taxonomy
        self.w = {name: t.detach().double().numpy() for name, t in head.state_dict().items()}
        self.row = {node: row for row, node in enumerate(self.tree.level_order.tolist())}

    def scores(self, z: np.ndarray, node: int) -> list[float]:
        """Of each child in order, and of stopping."""
        w = self.w
        total = sum((w["taxa"][self.row[n]] for n in self.tree.path(node)), np.zeros(w["taxa"].shape[1]))
        inner = w["protein.weight"] @ z + w["protein.bias"] + w["node.weight"] @ total
        gelu = np.array([0.5 * x * (1 + tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))) for x in inner])
        query = w["query.weight"] @ gelu + w["query.bias"]
        rows = [self.row[c] for c in self.tree.children(node).tolist()]
        children = [float(w["taxa"][row] @ query + w["bias"][row]) for row in rows]
        return [*children, float(w["stop"] @ query + w["stop_bias"][self.row[node]])]

    def answers(self, node: int, new: bool) -> list[tuple[int, int]]:
        """The taxa that a label passes, and which of their options is right."""
        path = [0, *self.tree.path(node)]
        found = [(a, self.tree.children(a).tolist().index(b)) for a, b in zip(path, path[1:], strict=False)]
        children = len(self.tree.children(node))
        return [*found, (node, children)] if new and children else found


def minus_log_softmax(scores: list[float], at: int, without: int | None = None) -> float:
    return log(sum(exp(s - scores[at]) for i, s in enumerate(scores) if i != without))


labels = given(trees(), st.integers(0, 9), st.sampled_from([0.0, 0.4, 1.0]))


@labels
@settings(max_examples=60, deadline=None)
def test_scores_and_loss_are_those_of_a_loop_over_taxa_and_their_children(
    tree: Taxonomy, seed: int, hide: float
) -> None:
    random = np.random.default_rng(seed)
    model = model_of(tree, seed)
    plain = Plain(model.head)
    nodes, new = random.integers(0, len(tree), 6), random.random(6) < 0.5
    vectors = torch.randn(6, 12)
    steps = model.head.steps(nodes, new, hide, random)
    score_F = model.head.scores(vectors, steps)
    hidden = set(steps.hidden.tolist())
    total, at, step = 0.0, 0, 0
    for b in range(6):
        for node, right in plain.answers(int(nodes[b]), bool(new[b])):
            expected = plain.scores(vectors[b].double().numpy(), node)
            stop = len(expected) - 1
            np.testing.assert_allclose(score_F[at : at + stop + 1].detach(), expected, atol=2e-4)
            assert steps.row[step] == b and steps.node[step] == plain.row[node]
            if at + right in hidden:  # the right child is unknown: stopping is right
                assert node and right < stop and hide
                assert steps.target[step] == at + stop
                total += minus_log_softmax(expected, stop, without=right)
            else:
                assert steps.target[step] == at + right
                assert hide < 1 or right == stop or node == 0
                total += minus_log_softmax(expected, right)
            at, step = at + stop + 1, step + 1
    assert (at, step) == (len(score_F), len(steps.target))
    assert path_loss(score_F, steps).item() == pytest.approx(total / 6, rel=1e-4, abs=1e-4)


def test_the_share_hidden_is_the_share_asked_for() -> None:
    head = model_of(tree_of(1)).head
    nodes, new = np.arange(len(head.taxonomy)).repeat(50), np.zeros(50 * len(head.taxonomy), bool)
    below_root = int((head.steps(nodes, new).node > 0).sum())
    hidden = len(head.steps(nodes, new, 0.2, np.random.default_rng(0)).hidden)
    assert abs(hidden - 0.2 * below_root) < 4 * sqrt(0.16 * below_root)


def test_a_label_that_ends_early_says_nothing_of_what_is_below_unless_that_is_new() -> None:
    tree = Taxonomy.from_lineages([lineage("B;P1;C1"), lineage("B;P1;C2"), lineage("B;P2"), lineage("A")])
    head = model_of(tree).head
    phylum, _ = tree.find(lineage("B;P1"))
    leaf, _ = tree.find(lineage("B;P1;C2"))
    cases = [(phylum, False, 2), (phylum, True, 3), (leaf, False, 3), (leaf, True, 3), (0, False, 0), (0, True, 1)]
    for node, new, count in cases:
        assert len(head.steps(np.array([node]), np.array([new])).target) == count
    decoy = head.steps(np.array([0]), np.array([True]))
    assert decoy.column[decoy.target].tolist() == [-1]


def test_a_batch_that_says_nothing_costs_nothing_and_can_be_learnt_from() -> None:
    model = model_of(tree_of(2))
    steps = model.head.steps(np.array([0, 0]), np.array([False, False]))
    loss = path_loss(model(model.encoder.collate(["MKVLAW", "MK"]), steps), steps)
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(model.encoder.embedding.grad.abs().sum()) == 0


def test_gradients_are_those_of_small_differences() -> None:
    tree = tree_of(3, 12)
    head = model_of(tree).head.double()
    nodes, random = np.array([5, 12, 3]), np.random.default_rng(1)
    steps = head.steps(nodes, np.array([False, False, True]), 0.5, random)
    vectors = torch.randn(3, 12, dtype=torch.float64)

    def loss() -> torch.Tensor:
        # float64 all the way: `log_total` sums in single precision, which is too coarse here
        score_F = head.scores(vectors, steps).index_fill(0, steps.hidden, -1e4)
        total = torch.zeros(len(steps.target), dtype=torch.float64).index_add(0, steps.step, score_F.exp())
        return (total.log() - score_F[steps.target]).sum() / steps.batch

    loss().backward()
    with torch.no_grad():
        assert float(path_loss(head.scores(vectors, steps).float(), steps)) == pytest.approx(float(loss()), rel=1e-5)
        for p in head.parameters():
            flat, grad = p.view(-1), p.grad.view(-1)
            for i in random.integers(0, len(flat), 6).tolist():
                old, moved = float(flat[i]), []
                for change in (1e-6, -1e-6):
                    flat[i] = old + change
                    moved.append(float(loss()))
                flat[i] = old
                assert float(grad[i]) == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-4, abs=1e-8)


# ---------------------------------------------------------------------- in numpy


def network_of(model: ProteinModel, calibration: Calibration | None = None) -> CompactLineageNetwork:
    tensors = {name: t.detach().numpy() for name, t in model.state_dict().items()}
    return CompactLineageNetwork(tensors, model.encoder.reader, model.head.taxonomy, calibration)


@pytest.mark.parametrize("seed", range(3))
def test_numpy_scores_every_step_of_every_label_as_torch_does(seed: int) -> None:
    tree = tree_of(seed)
    model = model_of(tree, seed)
    proteins = some_proteins(len(tree), seed)
    proteins[3:5] = ["", "XX"]  # no words at all
    nodes, new = np.arange(len(tree)), np.ones(len(tree), bool)
    steps = model.head.steps(nodes, new)
    words = model.encoder.collate(proteins)
    with torch.no_grad():
        expected, vectors = model(words, steps).numpy(), model.encoder(words)[:, 0].numpy()
    network = network_of(model)
    np.testing.assert_allclose(network.vectors(words), vectors, atol=2e-5)
    at = tree.level_order[steps.node.numpy()].astype(np.int64)
    score_F, start = network.walker(network.vectors(words), words.counts).scores(steps.row.numpy(), at)
    np.testing.assert_allclose(score_F, expected, atol=1e-4)
    assert np.diff(start).tolist() == (tree.child_count[at] + 1).tolist()


def test_a_proteins_vector_does_not_depend_on_its_batch() -> None:
    network = network_of(model_of(tree_of(0)))
    proteins = [*some_proteins(9), "", "MK"]
    together = network.vectors(network.reader.read(proteins))
    for i, protein in enumerate(proteins):
        np.testing.assert_allclose(together[i], network.vectors(network.reader.read([protein]))[0], atol=1e-5)


def drawn_calibration(tree: Taxonomy, seed: int) -> Calibration:
    random = np.random.default_rng(seed)
    values = random.normal(0, 0.4, (4, len(tree.level_bounds) - 2))
    return Calibration(*(tuple(row.tolist()) for row in values))


def all_ends(walker: WeighedWalker, proteins: list[str], record: int, calibration: Calibration) -> dict[int, float]:
    """Of every taxon, how probable it is to end there: calibrated scores of one taxon after the other."""
    tree, p_clade, ends = walker.taxonomy, {0: 1.0}, {}
    for node in range(len(tree)):
        children = tree.children(node).tolist()
        if not children:
            ends[node] = p_clade[node]
            continue
        score, _ = walker.scores(np.array([record]), np.array([node]))
        level = len(tree.path(node))
        t, u, s, v = (values[level] for values in calibration.by_level)
        words = sum(len({proteins[record][i : i + k] for i in range(len(proteins[record]) - k + 1)}) for k in (2, 3))
        x = log(max(words, 1) / 400)
        scaled = [float(a) / exp(t + u * x) for a in score]
        scaled[-1] += s + v * x
        p = [exp(-minus_log_softmax(scaled, i)) for i in range(len(scaled))]
        ends[node] = p_clade[node] * p[-1]
        p_clade |= {c: p_clade[node] * q for c, q in zip(children, p, strict=False)}
    return ends


@pytest.mark.parametrize("calibrated", [False, True])
def test_all_ends_are_as_probable_as_a_loop_finds_and_sum_to_1(calibrated: bool) -> None:
    tree = tree_of(4)
    model = model_of(tree, 4)
    model.encoder.reader = residue_words.Config(ks=(2, 3), buckets=8000, width=12).reader  # no two words share a row
    model.encoder.embedding = torch.nn.Parameter(torch.randn(len(model.encoder.reader), 12))
    calibration = drawn_calibration(tree, 4) if calibrated else Calibration.none(len(tree.level_bounds) - 2)
    proteins = some_proteins(5, 4)
    network = network_of(model, calibration)
    walker = network.walker_of(proteins)
    for record, found in enumerate(walk.top(walker, len(tree))):
        ends = all_ends(walker, proteins, record, calibration)
        assert sum(ends.values()) == pytest.approx(1)
        assert {w.node for w in found} == set(ends)
        for w in found:
            assert exp(w.log_p) == pytest.approx(ends[w.node], rel=1e-3, abs=1e-7)
        assert sum(exp(w.log_p) for w in found) == pytest.approx(1, abs=1e-5)


@given(trees(), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_answers_of_each_taxon_sum_to_1_whatever_is_asked_together(tree: Taxonomy, seed: int) -> None:
    network = network_of(model_of(tree, seed), drawn_calibration(tree, seed))
    walker = network.walker_of(some_proteins(4, seed))
    inner = np.flatnonzero(tree.child_count)
    random = np.random.default_rng(seed)
    nodes = random.choice(inner, 12) if len(inner) else np.empty(0, np.int64)
    states = random.integers(0, 4, len(nodes)).tolist()
    if not len(nodes):
        return
    fan, after = walker.step(states, nodes.astype(np.int64))
    assert after == states
    for r, (state, node) in enumerate(zip(states, nodes.tolist(), strict=True)):
        assert np.exp(fan.row(r).astype(float)).sum() == pytest.approx(1, abs=1e-5)
        alone, _ = walker.step([state], np.array([node]))
        np.testing.assert_allclose(fan.row(r), alone.row(0), atol=1e-4)


def test_weights_that_do_not_fit_are_refused() -> None:
    model = model_of(tree_of(0))
    tensors = {name: t.detach().numpy() for name, t in model.state_dict().items()}
    for reader, tree, calibration in (
        (residue_words.Config(ks=(2,), buckets=500).reader, tree_of(0), None),
        (model.encoder.reader, tree_of(0, 39), None),
        (model.encoder.reader, tree_of(0), Calibration.none(1)),
    ):
        with pytest.raises(ValueError, match="expected"):
            CompactLineageNetwork(tensors, reader, tree, calibration)


# ---------------------------------------------------------------------- views and settings


def test_views_are_parts_of_the_protein_with_some_residues_changed() -> None:
    random = np.random.default_rng(0)
    protein = some_proteins(1, 7)[0] * 3
    whole = Views(fragments=0.0, changes=0.0)
    assert whole.draw(protein, random) == protein
    lengths = []
    for _ in range(300):
        part = Views(fragments=1.0, changes=0.0).draw(protein, random)
        assert part in protein
        lengths.append(len(part) / len(protein))
    assert 0.29 < min(lengths) < 0.35 and 0.95 < max(lengths) <= 1
    changed = [Views(fragments=0.0, changes=0.1).draw(protein, random) for _ in range(300)]
    assert {len(c) for c in changed} == {len(protein)}
    share = np.mean([a != b for c in changed for a, b in zip(c, protein, strict=True)])
    assert share == pytest.approx((1 - exp(-0.1)) * 0.95, rel=0.1)  # a place may be hit twice, or changed to itself


def test_a_decoy_has_the_proteins_residues_in_another_order() -> None:
    random = np.random.default_rng(0)
    protein = some_proteins(1, 7)[0]
    decoy = Views().decoy(protein, random)
    assert sorted(decoy) == sorted(protein) and decoy != protein


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: residue_words.Config(ks=()), "ks"),
        (lambda: residue_words.Config(ks=(0, 3)), "ks"),
        (lambda: residue_words.Config(ks=(9,)), "lengths from 1 to 8"),
        (lambda: residue_words.Config(buckets=10), "10 buckets"),
        (lambda: residue_words.Config(dropout=1.0), "dropout 1.0"),
        (lambda: light_head.Config(taxa=0), "widths 0"),
        (lambda: Views(decoys=1.5), "decoys 1.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=message):
        make()


def test_the_gelu_is_near_the_one_of_the_error_function() -> None:
    from linnet.layers import gelu

    x = np.linspace(-6, 6, 1001, dtype=np.float32)
    np.testing.assert_allclose(gelu(x), [0.5 * a * (1 + erf(a / sqrt(2))) for a in x.tolist()], atol=1e-3)
