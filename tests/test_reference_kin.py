"""How references lie among each other, and the figures made of it, beside plain loops."""

from __future__ import annotations

import math

import numpy as np
from conftest import evolved_genes
from numpy.typing import NDArray

from linnet.gene_neighbours import MOST, GeneIndex
from linnet.kin import Hits, Kin, ways
from linnet.kmers import KmerReader, count_all, log_odds
from linnet.neighbour_evidence import AROUND, CHILD, STEP, Witness
from linnet.reference_kin import COPY, ReferenceKin
from linnet.taxonomy import Taxonomy

SEQUENCES, LINEAGES = evolved_genes()[:2]
IDS = list(SEQUENCES)
TREE = Taxonomy.from_lineages(LINEAGES.values())


def some_nodes(seed: int) -> NDArray[np.int64]:
    """The taxa of the genes, of a third of them only down to the second."""
    random = np.random.default_rng(seed)
    nodes = np.array([TREE.find(LINEAGES[i])[0] for i in IDS])
    return np.array([TREE.path(n)[:2][-1] if random.random() < 0.3 else n for n in nodes.tolist()])


def made(nodes: NDArray[np.int64]) -> GeneIndex:
    index = GeneIndex.of(list(SEQUENCES.values()), nodes, IDS)
    index.learn_around(TREE)
    return index


def path(node: int) -> list[int]:
    """From the root to a taxon."""
    way = [node]
    while way[-1]:
        way.append(int(TREE.parent[way[-1]]))
    return way[::-1]


def likest(index: GeneIndex, r: int) -> list[tuple[int, float]]:
    """The other references that a search with one finds, and how like they are."""
    reader = KmerReader(log_odds(count_all(list(SEQUENCES.values()), 5)))
    hits = index.search(reader.read([SEQUENCES[IDS[r]]], "forward"))
    pairs = zip(hits.reference_BK[0].tolist(), hits.score_BK[0].tolist(), strict=True)
    return [(other, score) for other, score in pairs if other not in (-1, r)][: MOST - 1]


def test_references_are_asked_for_their_neighbours() -> None:
    nodes = some_nodes(1)
    around = made(nodes).around
    index = made(nodes)
    assert around.likeness_RK.shape == (len(IDS), MOST - 1)
    for r in range(0, len(IDS), 7):
        expected = likest(index, r)
        assert len(expected) > 3
        assert around.likeness_RK[r, : len(expected)].tolist() == [math.floor(s * COPY + 0.5) for _, s in expected]
        assert not around.likeness_RK[r, len(expected) :].any()
        own = path(int(nodes[r]))
        for (other, _), shared in zip(expected, around.shared_RK[r].tolist(), strict=False):
            its = path(int(nodes[other]))
            depth = sum(a == b for a, b in zip(own, its, strict=False)) - 1
            assert shared == depth + 128 * (len(its) == depth + 1)


def test_a_copy_of_a_reference_is_as_like_as_can_be_and_it_is_not_its_own_neighbour() -> None:
    first, *_ = SEQUENCES.values()
    index = GeneIndex.of([first, first], np.zeros(2, np.int64), ["a", "b"])
    index.learn_around(TREE)
    assert (index.around.likeness_RK[:, 0] == COPY).all() and not index.around.likeness_RK[:, 1:].any()


def test_the_figures_are_those_of_a_plain_loop() -> None:
    nodes = some_nodes(2)
    index = made(nodes)
    random = np.random.default_rng(3)
    asked = random.permutation(len(IDS))[:40]
    reference = np.array([[r for r, _ in likest(index, i)][:6] for i in asked])
    score = -np.sort(-random.uniform(0.2, 1, reference.shape), axis=1).astype(np.float32)
    kin = Kin.of(Hits(reference, score), ways(nodes, TREE), np.full(len(asked), 300))
    steps = [(b, node) for b, r in enumerate(asked.tolist()) for node in path(int(nodes[r])) if TREE.child_count[node]]
    records, at = (np.array(column) for column in zip(*steps, strict=True))
    start = np.concatenate([[0], np.cumsum(TREE.child_count[at].astype(np.int64) + 1)])
    net = random.normal(size=start[-1]).astype(np.float32)
    bare = Witness(TREE, nodes).evidence(kin, records, at, net, start)
    found = Witness(TREE, nodes, index.around).evidence(kin, records, at, net, start)
    np.testing.assert_array_equal(found.child_CP[:, :CHILD], bare.child_CP)
    np.testing.assert_array_equal(found.step_SQ[:, :STEP], bare.step_SQ)
    assert found.child_CP.shape[1] == CHILD + AROUND and found.step_SQ.shape[1] == STEP + AROUND
    some_beyond = False
    for row, (option, s) in enumerate(zip(found.option_C, found.step_C, strict=True)):
        b, node = steps[s]
        child = int(TREE.children(node)[option - start[s]])
        h = next(h for h in range(6) if child in path(int(nodes[reference[b, h]])))
        within, beyond = [], []
        for other, its in likest(index, int(reference[b, h])):
            likeness = math.floor(its * COPY + 0.5) / COPY
            if child in path(int(nodes[other])):
                within.append(likeness)
            elif nodes[other] != node:
                beyond.append(likeness)
        own = float(score[b, h])
        counts = [math.log(1 + sum(x > own + 0.5 / COPY for x in some)) for some in (within, beyond)]
        expected = [own - max(within, default=0), own - max(beyond, default=0), *counts]
        np.testing.assert_allclose(found.child_CP[row, CHILD:], expected, atol=1e-5)
        if found.child_CP[row, 8] == 0:  # the child with the highest neighbour
            np.testing.assert_array_equal(found.step_SQ[s, STEP:], found.child_CP[row, CHILD:])
        some_beyond |= bool(counts[1]) and bool(counts[0])
    assert some_beyond
    without = np.setdiff1d(np.arange(len(steps)), found.step_C)
    assert not found.step_SQ[without, STEP:].any()


def test_an_index_comes_back_from_its_arrays_with_and_without() -> None:
    index = made(some_nodes(4))
    back = GeneIndex.from_tensors(index.tensors())
    np.testing.assert_array_equal(back.around.likeness_RK, index.around.likeness_RK)
    np.testing.assert_array_equal(back.around.shared_RK, index.around.shared_RK)
    bare = GeneIndex.of(list(SEQUENCES.values()), some_nodes(4), IDS)
    assert not any("kin" in name for name in bare.tensors())
    assert not GeneIndex.from_tensors(bare.tensors()).around and not ReferenceKin.none()
