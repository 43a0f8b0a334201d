from __future__ import annotations

import numpy as np
from conftest import evolved_genes

from linnet import split
from linnet.taxonomy import Taxonomy

LINEAGES = list(evolved_genes()[1].values())
TREE = Taxonomy.from_lineages(LINEAGES)
NODES = np.array([TREE.find(row)[0] for row in LINEAGES])


def test_a_share_is_drawn_at_random_and_repeatably() -> None:
    names = [str(i) for i in range(200)]
    one, two = (split.at_random(names, 0.1, np.random.default_rng(7)) for _ in range(2))
    assert one.sum() == 20
    assert np.array_equal(one, two)


def test_a_group_is_never_divided() -> None:
    groups = np.array([f"g{i % 30}" for i in range(300)])
    chosen = split.at_random(groups.tolist(), 0.1, np.random.default_rng(7))
    assert chosen.sum() == 30
    assert not set(groups[chosen]) & set(groups[~chosen])


def test_hidden_clades_are_hidden_whole_and_keep_a_sibling() -> None:
    hidden = split.whole_clades(TREE, NODES, 0.2, np.random.default_rng(1), largest=0.5)
    assert 0 < hidden.sum() < len(NODES)
    left = Taxonomy.from_lineages(row for row, h in zip(LINEAGES, hidden, strict=True) if not h)
    for row, is_hidden in zip(LINEAGES, hidden, strict=True):
        assert (left.find(row)[1] < len(row)) == is_hidden


def test_large_clades_are_left_alone() -> None:
    hidden = split.whole_clades(TREE, NODES, 1.0, np.random.default_rng(1), largest=4 / len(NODES))
    species = {row[:7] for row, h in zip(LINEAGES, hidden, strict=True) if h}
    genera = {row[:6] for row in species}
    assert all(sum(other[:6] == genus for other in LINEAGES) >= 4 for genus in genera)
    assert hidden.sum() == len(NODES)
