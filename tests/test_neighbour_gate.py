"""The gate between network and neighbours: figures as a plain loop makes them, and what is learnt from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from linnet.kin import Hits, Kin, ways
from linnet.neighbour_evidence import CHILD, LEAST, NOBODY, STEP, VOTES, Evidence, Witness
from linnet.neighbour_gate import Gate
from linnet.taxonomy import Taxon, Taxonomy

torch = pytest.importorskip("torch", reason="training is tested where torch is installed")
from linnet import gate_fitting  # noqa: E402
from linnet.gate_fitting import Batch, Lesson, Member  # noqa: E402


def tree() -> Taxonomy:
    """Three phyla of three genera of three species."""
    ways = [(f"p{i}", f"g{i}{j}", f"s{i}{j}{k}") for i in range(3) for j in range(3) for k in range(3)]
    ranks = ("phylum", "genus", "species")
    return Taxonomy.from_lineages([tuple(Taxon(r, n) for r, n in zip(ranks, way, strict=True)) for way in ways])


def some_kin(taxonomy: Taxonomy, proteins: int, most: int, seed: int) -> tuple[Kin, list[list[tuple[int, float]]]]:
    """Neighbours at any taxa, also above species; of the first protein none."""
    random = np.random.default_rng(seed)
    nodes = random.integers(1, len(taxonomy), size=60)
    reference = random.integers(60, size=(proteins, most))
    score = -np.sort(-random.uniform(0.05, 1, (proteins, most)).round(2), axis=1).astype(np.float32)
    reference[0], score[0] = -1, 0
    reference[1, 2:], score[1, 2:] = -1, 0
    kin = Kin.of(Hits(reference, score), ways(nodes, taxonomy), np.full(proteins, 200))
    listed = [
        [(int(nodes[r]), float(s)) for r, s in zip(reference[b], score[b], strict=True) if r >= 0]
        for b in range(proteins)
    ]
    return kin, listed


def plain(
    taxonomy: Taxonomy, counts: NDArray[np.int64], hits: list[tuple[int, float]], node: int, net: list[float]
) -> tuple[dict[int, list[float]], list[float]]:
    """Figures of one step: of each child that has a neighbour, by its number; of the step."""
    children = [int(c) for c in taxonomy.children(node)]
    net = [x - max(net) for x in net]
    log_p = [x - math.log(sum(map(math.exp, net))) for x in net]

    def child_of(h: int) -> int | None:
        return next((c for c in children if c <= h < taxonomy.end[c]), None)

    near = {c: sorted((s for h, s in hits if child_of(h) == c), reverse=True) for c in children}
    near = {c: scores for c, scores in near.items() if scores}
    top = max((scores[0] for scores in near.values()), default=0.0)
    ended = max((s for h, s in hits if h == node), default=0.0)
    outside = {c: max((s for h, s in hits if child_of(h) != c and h != node), default=0.0) for c in near}
    votes = [{c: sum(math.exp((s - top) / t) for s in scores) for c, scores in near.items()} for t in VOTES]
    share = [{c: v / sum(of.values()) for c, v in of.items()} for of in votes]
    rows = {}
    for c, scores in near.items():
        i, s = children.index(c), scores[0]
        rows[i] = [
            net[i], log_p[i], *(math.log(1 + of[c] / NOBODY) for of in share), s, s - outside[c],
            math.log(max(s, LEAST) / max(top, LEAST)), s - top, float(s > outside[c]), math.log(1 + len(scores)),
            scores[1] if len(scores) > 1 else 0.0, math.log(1 + counts[c]), math.log(1 + len(net)),
        ]  # fmt: skip
    first = next((c for c in children if c in near and near[c][0] == top), None)
    rest = outside[first] if first is not None else 0.0
    step = [
        net[-1], log_p[-1], top, top - rest, max(top - rest, 0.0), math.log(max(top, LEAST) / max(rest, LEAST)),
        float(rest > 0), float(first is not None), share[1].get(first, 0.0), share[2].get(first, 0.0),
        math.log(1 + len(near)), math.log(200 / 400), ended, top - ended, math.log(1 + len(net)),
        math.log(1 + len(near.get(first, []))), log_p[children.index(first)] if first is not None else 0.0,
        math.log(1 + counts[node]),
    ]  # fmt: skip
    return rows, step


def test_figures_are_those_of_a_plain_loop() -> None:
    taxonomy = tree()
    kin, listed = some_kin(taxonomy, 12, 6, 1)
    random = np.random.default_rng(2)
    inner = np.flatnonzero(taxonomy.child_count > 0)
    records = random.integers(12, size=80)
    nodes = random.choice(inner, size=80)
    start = np.concatenate([[0], np.cumsum(taxonomy.child_count[nodes].astype(np.int64) + 1)])
    net = random.normal(size=start[-1]).astype(np.float32)
    references = random.integers(len(taxonomy), size=300)
    found = Witness(taxonomy, references).evidence(kin, records, nodes, net, start)
    counts = np.array([((references >= n) & (references < taxonomy.end[n])).sum() for n in range(len(taxonomy))])
    assert found.child_CP.shape[1] == CHILD and found.step_SQ.shape == (80, STEP)
    at = 0
    for s in range(80):
        a, z = start[s : s + 2]
        children, step = plain(taxonomy, counts, listed[records[s]], int(nodes[s]), net[a:z].tolist())
        np.testing.assert_allclose(found.step_SQ[s], step, rtol=1e-4, atol=1e-5)
        for option, figures in sorted(children.items()):
            assert (found.option_C[at], found.step_C[at]) == (a + option, s)
            np.testing.assert_allclose(found.child_CP[at], figures, rtol=1e-4, atol=1e-5)
            at += 1
    assert at == len(found.option_C) > 50


def some_lesson(seed: int, count: int = 1000) -> Lesson:
    """Steps in which the first figure of a child decides, and nothing that the network says does; two to a protein."""
    random = np.random.default_rng(seed)
    size = random.integers(3, 7, size=count)
    start = np.concatenate([[0], np.cumsum(size)])
    near = [np.sort(random.permutation(n - 1)[: random.integers(n)]) for n in size]
    option = np.concatenate([a + some for a, some in zip(start, near, strict=False)])
    step = np.repeat(np.arange(count), [len(some) for some in near])
    child = random.normal(size=(len(option), CHILD)).astype(np.float32)
    target = size - 1  # to stop
    for s in range(count):
        own = np.flatnonzero(step == s)
        if len(own) and child[own, 0].max() > 0:
            target[s] = option[own[child[own, 0].argmax()]] - start[s]
    figures = random.normal(size=(count, STEP)).astype(np.float32)
    net = random.normal(size=start[-1]).astype(np.float32)
    level = random.integers(3, size=count)
    return Lesson(net, start, Evidence(option, step, child, figures), target, level, np.arange(count) // 2)


def right(lesson: Lesson, score: NDArray[np.float32]) -> float:
    pairs = zip(lesson.start, lesson.start[1:], lesson.target_S, strict=False)
    return float(np.mean([score[a:z].argmax() == target for a, z, target in pairs]))


@pytest.fixture
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_fitting, "BATCH", 128)


def test_what_neighbours_say_is_learnt_and_holds_for_others(shorter: None) -> None:
    gate, *_ = gate_fitting.fit(some_lesson(3), 25, 1)
    other = some_lesson(4)
    assert right(other, other.net_F) < 0.4
    assert right(other, gate.scores(other.net_F, other.start, other.evidence, other.level_S)) > 0.9


def test_before_anything_is_learnt_the_network_stands_alone() -> None:
    lesson = some_lesson(5, 50)
    gate = Gate((Member(lesson.evidence, 3).arrays(),))
    score = gate.scores(lesson.net_F, lesson.start, lesson.evidence, lesson.level_S)
    highest = np.maximum.reduceat(lesson.net_F, lesson.start[:-1])
    np.testing.assert_allclose(score, lesson.net_F - np.repeat(highest, np.diff(lesson.start)), atol=1e-6)


def test_numpy_scores_as_torch_does() -> None:
    lesson = some_lesson(6, 60)
    member = Member(lesson.evidence, 3)
    torch.manual_seed(0)
    for weight in member.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    steps = np.sort(np.random.default_rng(0).permutation(60)[:40])
    kept = np.repeat(np.isin(np.arange(60), steps), np.diff(lesson.start))
    found = Gate((member.arrays(),)).scores(lesson.net_F, lesson.start, lesson.evidence, lesson.level_S)
    with torch.no_grad():
        np.testing.assert_allclose(found[kept], member(Batch.of(lesson, steps)).numpy(), rtol=1e-4, atol=1e-4)


def test_unseen_scores_come_from_members_that_have_not_seen_the_protein(shorter: None) -> None:
    lesson = some_lesson(7, 300)
    _, unseen, member = gate_fitting.fit(lesson, 25, 1)
    turned = lesson.target_S.copy()
    size = np.diff(lesson.start)
    turned[:2] = (turned[:2] + 1) % size[:2]  # the first protein learns another answer
    changed = Lesson(lesson.net_F, lesson.start, lesson.evidence, turned, lesson.level_S, lesson.record_S)
    _, after, _ = gate_fitting.fit(changed, 25, 1)
    assert all(len(np.unique(member[lesson.record_S == record])) == 1 for record in range(150))
    same = np.repeat(lesson.record_S == 0, size)
    np.testing.assert_array_equal(unseen[same], after[same])
    assert not np.array_equal(unseen[~same], after[~same])


def test_a_gate_comes_back_from_a_checkpoint_as_it_was() -> None:
    lesson = some_lesson(8, 50)
    gate = Gate(tuple(Member(lesson.evidence, levels).arrays() for levels in (2, 3)))
    back = Gate.from_tensors({**gate.tensors(), "head.taxa": np.zeros(1)})
    assert back is not None and len(back.members) == 2
    level = np.full(50, 9)  # deeper than any that was fitted
    arguments = lesson.net_F, lesson.start, lesson.evidence, level
    np.testing.assert_array_equal(back.scores(*arguments), gate.scores(*arguments))
    assert Gate.from_tensors({"head.taxa": np.zeros(1)}) is None


def test_blocks_join_to_one() -> None:
    taxonomy = tree()
    kin, _ = some_kin(taxonomy, 12, 6, 9)
    random = np.random.default_rng(9)
    nodes = random.choice(np.flatnonzero(taxonomy.child_count > 0), size=30)
    records = random.integers(12, size=30)
    sizes = taxonomy.child_count[nodes].astype(np.int64) + 1
    net = random.normal(size=sizes.sum()).astype(np.float32)
    witness = Witness(taxonomy, np.arange(len(taxonomy)))

    def of(a: int, z: int) -> Evidence:
        start = np.concatenate([[0], np.cumsum(sizes)])
        return witness.evidence(kin, records[a:z], nodes[a:z], net[start[a] : start[z]], start[a : z + 1] - start[a])

    whole, joined = of(0, 30), Evidence.join([of(0, 11), of(11, 30)], [int(sizes[:11].sum()), int(sizes[11:].sum())])
    for name in ("option_C", "step_C", "child_CP", "step_SQ"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(joined, name))
