"""The tree of labels, against walks up the tree, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from linnet.label_tree import LEVELS, LabelTree
from linnet.taxonomy import RANKS, Lineage, Taxon


def random_lineages(seed: int, count: int = 60, gaps: float = 0.25) -> list[Lineage]:
    """Lineages of few names, some cut short, some without a rank in between."""
    random = np.random.default_rng(seed)
    lineages = []
    for _ in range(count):
        name, taxa = "", []
        for rank in RANKS[: random.integers(0, 8)]:
            name += str(random.integers(2))
            if random.random() >= gaps:
                taxa.append(Taxon(rank, name))
        lineages.append(tuple(taxa))
    return lineages


def plain_common_level(tree: LabelTree, a: int, b: int) -> int:
    """The level of the deepest taxon on both paths."""
    both = [n for n in tree.taxonomy.path(a) if n in tree.taxonomy.path(b)]
    return int(tree.level_N[both[-1]]) if both else 0


@pytest.fixture(params=[1, 2, 3])
def tree(request: pytest.FixtureRequest) -> LabelTree:
    return LabelTree(random_lineages(request.param))


def test_each_label_is_found_again() -> None:
    lineages = random_lineages(5)
    tree = LabelTree(lineages)
    assert [tree.taxonomy.lineage(int(n)) for n in tree.label_C] == lineages


def test_ancestors_stand_at_their_ranks(tree: LabelTree) -> None:
    for node in range(len(tree)):
        expected = [-1] * LEVELS
        expected[0] = 0
        for n in tree.taxonomy.path(node):
            expected[1 + RANKS.index(tree.taxonomy.rank(n))] = n
        assert tree.ancestor_NL[node].tolist() == expected


def test_common_levels_are_those_of_paths_walked(tree: LabelTree) -> None:
    nodes = np.arange(len(tree))
    found = tree.common_level(nodes[:, None], nodes[None])
    expected = [[plain_common_level(tree, a, b) for b in nodes.tolist()] for a in nodes.tolist()]
    assert found.tolist() == expected
    assert len(np.unique(found)) == LEVELS


def test_ways_are_counts_of_taxa(tree: LabelTree) -> None:
    n = len(tree)
    ways = np.zeros((n, LEVELS, LEVELS))
    for a in range(n):
        for b in range(n):
            ways[a, plain_common_level(tree, a, b), tree.level_N[b]] += 1
    np.testing.assert_allclose(np.exp(tree.log_ways), np.maximum(ways, 1), rtol=1e-5)


def test_a_tree_without_labels_is_a_root() -> None:
    tree = LabelTree([(), ()])
    assert len(tree) == 1
    assert tree.label_C.tolist() == [0, 0]
    assert tree.log_ways.shape == (1, LEVELS, LEVELS)
