"""The gate between network and neighbours: features as a plain loop makes them, weights that a search cannot better."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from linnet import neighbour_gate
from linnet.neighbour_gate import CHILD, LEAST, NOBODY, STOP, VOTES, Gate, Kin, features
from linnet.protein_neighbours import Hits
from linnet.taxonomy import Taxon, Taxonomy


def tree() -> Taxonomy:
    """Three phyla of three genera of three species."""
    ways = [(f"p{i}", f"g{i}{j}", f"s{i}{j}{k}") for i in range(3) for j in range(3) for k in range(3)]
    ranks = ("phylum", "genus", "species")
    return Taxonomy.from_lineages([tuple(Taxon(r, n) for r, n in zip(ranks, way, strict=True)) for way in ways])


def place_of(taxonomy: Taxonomy) -> NDArray[np.int64]:
    place = np.empty(len(taxonomy), np.int64)
    place[taxonomy.level_order] = np.arange(len(taxonomy))
    return place


def some_kin(taxonomy: Taxonomy, proteins: int, most: int, seed: int) -> tuple[Kin, list[list[tuple[int, float]]]]:
    """Neighbours at any taxa, also above species; of the first protein none."""
    random = np.random.default_rng(seed)
    nodes = random.integers(1, len(taxonomy), size=60)
    reference = random.integers(60, size=(proteins, most))
    score = -np.sort(-random.uniform(0.05, 1, (proteins, most)).round(2), axis=1).astype(np.float32)
    reference[0], score[0] = -1, 0
    reference[1, 2:], score[1, 2:] = -1, 0
    kin = Kin.of(Hits(reference, score), nodes, np.full(proteins, 200), taxonomy)
    listed = [
        [(int(nodes[r]), float(s)) for r, s in zip(reference[b], score[b], strict=True) if r >= 0]
        for b in range(proteins)
    ]
    return kin, listed


def plain(taxonomy: Taxonomy, hits: list[tuple[int, float]], node: int, net: list[float]) -> NDArray[np.float64]:
    """Features of one step, option by option."""
    children = [int(c) for c in taxonomy.children(node)]

    def child_of(h: int) -> int | None:
        return next((c for c in children if c <= h < taxonomy.end[c]), None)

    below = [(child_of(h), s) for h, s in hits if child_of(h) is not None]
    top = max((s for _, s in below), default=0.0)
    leader = next((c for c, s in below if s == top), None)
    other = max((s for h, s in hits if leader is None or child_of(h) != leader), default=0.0)
    margin = max(0.0, top - other) if below else 0.0
    shares = []
    for t in VOTES:
        votes = {c: sum(math.exp((s - top) / t) for of, s in below if of == c) for c in children}
        total = sum(votes.values()) or 1.0
        shares.append({c: v / total for c, v in votes.items()})
    rows = []
    for c, score in zip(children, net, strict=False):
        near = any(of == c for of, _ in below)
        row = [score, math.log1p(shares[0][c] / NOBODY), math.log1p(shares[1][c] / NOBODY), near]
        rows.append([*row, margin if c == leader else 0, *[0] * STOP])
    share = shares[0][leader] if leader is not None else 0
    ratio = math.log(max(top, LEAST) / max(other, LEAST))
    stop = [net[-1], 1, top, margin, share, ratio, other > 0, math.log(200 / 400), bool(below)]
    return np.array([*rows, [0] * CHILD + stop], float)


def test_features_are_those_of_a_plain_loop() -> None:
    taxonomy = tree()
    kin, listed = some_kin(taxonomy, 12, 6, 1)
    random = np.random.default_rng(2)
    inner = np.flatnonzero(taxonomy.child_count > 0)
    records = random.integers(12, size=80)
    nodes = random.choice(inner, size=80)
    start = np.concatenate([[0], np.cumsum(taxonomy.child_count[nodes].astype(np.int64) + 1)])
    net = random.normal(size=start[-1]).astype(np.float32)
    found = features(kin, taxonomy, place_of(taxonomy), records, nodes, net, start)
    for s in range(80):
        a, z = start[s : s + 2]
        expected = plain(taxonomy, listed[records[s]], int(nodes[s]), net[a:z].tolist())
        np.testing.assert_allclose(found[a:z], expected, rtol=1e-4, atol=1e-5)


def some_steps(seed: int, count: int = 400) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Steps whose right options are drawn by known weights."""
    random = np.random.default_rng(seed)
    size = random.integers(2, 6, size=count)
    start = np.concatenate([[0], np.cumsum(size)])
    x = random.normal(size=(start[-1], CHILD + STOP)).astype(np.float32)
    weights = np.linspace(-1.5, 1.5, CHILD + STOP)
    target = np.empty(count, np.int64)
    for s in range(count):
        logit = x[start[s] : start[s + 1]] @ weights
        p = np.exp(logit - logit.max())
        target[s] = random.choice(len(p), p=p / p.sum())
    return x, start, target


def likelihood(gate: Gate, x: NDArray[np.float32], start: NDArray[np.int64], target: NDArray[np.int64]) -> float:
    scores = gate.scores(x, start, np.zeros(len(target), int)).astype(float)
    total = 0.0
    for s, right in enumerate(target):
        row = scores[start[s] : start[s + 1]]
        total += row[right] - row.max() - math.log(np.exp(row - row.max()).sum())
    return total


def test_no_small_change_makes_the_right_options_likelier_and_the_weights_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbour_gate, "SHRINK", 1e-6)  # else the pull may outweigh a change
    x, start, target = some_steps(3)
    level, ones = np.zeros(len(target), np.int64), np.ones(len(target))
    gate = neighbour_gate.fit(x, start, target, level, ones, 1)
    here = likelihood(gate, x, start, target)
    for at in range(CHILD + STOP):
        for change in (-0.05, 0.05):
            moved = gate.weight_LP.copy()
            moved[0, at] += change
            assert likelihood(Gate(moved), x, start, target) < here
    np.testing.assert_allclose(gate.weight_LP[0], np.linspace(-1.5, 1.5, CHILD + STOP), atol=0.5)


def test_a_level_with_hardly_any_steps_has_the_weights_of_all() -> None:
    x, start, target = some_steps(4)
    level = np.zeros(len(target), np.int64)
    level[:5] = 1
    gate = neighbour_gate.fit(x, start, target, level, np.ones(len(target)), 3)
    np.testing.assert_array_equal(gate.weight_LP[1], gate.weight_LP[2])
    assert (gate.weight_LP[0] != gate.weight_LP[2]).any()


def test_steps_that_count_for_nothing_change_nothing() -> None:
    x, start, target = some_steps(5)
    level = np.zeros(len(target), np.int64)
    half = np.arange(len(target)) < 200
    both = neighbour_gate.fit(x, start, target, level, half.astype(float), 1)
    alone = neighbour_gate.fit(x[: start[200]], start[:201], target[:200], level[:200], np.ones(200), 1)
    np.testing.assert_allclose(both.weight_LP, alone.weight_LP, atol=1e-3)
