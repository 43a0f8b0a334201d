"""How near paths are to one another, against sets of taxa, and figures of them against scipy's."""

from __future__ import annotations

import numpy as np
import pytest

from linnet.lineage_scores import correlation, distribution, levels, lineage_scores, lowest_common
from linnet.taxonomy import Taxon, Taxonomy


@pytest.fixture(scope="module")
def tree() -> Taxonomy:
    """A few hundred taxa, up to nine deep, some of them in a chain of single children."""
    random = np.random.default_rng(3)
    lineages = []
    for _ in range(300):
        path = [f"{random.integers(3)}"]
        while len(path) < random.integers(1, 10):
            path.append(f"{path[-1]}{random.integers(3)}")
        lineages.append(tuple(Taxon("clade", name) for name in path))
    return Taxonomy.from_lineages(lineages)


def pairs(tree: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.integers(1, len(tree), 500), random.integers(0, len(tree), 500)


def test_the_lowest_common_taxon_is_that_of_the_tree_itself(tree: Taxonomy) -> None:
    a, b = pairs(tree)
    assert lowest_common(tree, a, b).tolist() == [tree.lca(pair) for pair in zip(a, b, strict=True)]


def test_scores_are_those_of_sets_of_taxa(tree: Taxonomy) -> None:
    true, answer = pairs(tree)
    found = lineage_scores(tree, true, answer)
    for i, (t, a) in enumerate(zip(true.tolist(), answer.tolist(), strict=True)):
        of_truth, of_answer = set(tree.path(t)), set(tree.path(a))
        assert found.shared_N[i] == pytest.approx(len(of_truth & of_answer) / len(of_truth))
        assert found.hops_N[i] == len(of_truth ^ of_answer)
        assert found.inverted_rf_N[i] == pytest.approx(1 - len(of_truth ^ of_answer) / (len(of_truth) + len(of_answer)))


def test_no_answer_shares_nothing_and_the_truth_shares_all(tree: Taxonomy) -> None:
    deep = int(np.argmax(tree.depth))
    found = lineage_scores(tree, np.array([deep, deep]), np.array([0, deep]))
    assert found.shared_N.tolist() == [0, 1]
    assert found.inverted_rf_N.tolist() == [0, 1]
    assert found.hops_N.tolist() == [tree.depth[deep], 0]


def test_taxa_that_the_tree_lacks_are_steps_too_many(tree: Taxonomy) -> None:
    deep = int(np.argmax(tree.depth))
    found = lineage_scores(tree, np.array([deep]), np.array([deep]), np.array([2]))
    n = int(tree.depth[deep])
    assert found.shared_N[0] == 1
    assert found.hops_N[0] == 2
    assert found.inverted_rf_N[0] == pytest.approx(1 - 2 / (2 * n + 2))


def test_correlations_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(5)
    a = random.integers(0, 8, 200) / 8  # many ties
    b = np.clip(a + random.normal(0, 0.3, 200), 0, 1).round(1)
    found = correlation(a, b)
    assert found.n == 200
    assert found.pearson == pytest.approx(stats.pearsonr(a, b).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(a, b).statistic)


def test_a_figure_that_does_not_vary_goes_together_with_nothing() -> None:
    found = correlation(np.full(9, 0.3), np.arange(9.0))
    assert (found.pearson, found.spearman) == (None, None)
    assert correlation(np.array([1.0]), np.array([1.0])).pearson is None


def test_a_distribution_counts_every_lineage_once() -> None:
    values = np.array([0.0, 0.5, 0.5, 0.999, 1.0, 1.0, 1.0])
    found = distribution(values)
    assert found is not None
    assert sum(found.counts) == found.n == 7
    assert found.counts[0] == 1 and found.counts[-1] == 4
    assert found.mean == pytest.approx(values.mean())
    assert found.quartiles[1] == 0.999
    assert distribution(np.empty(0)) is None


def test_levels_count_taxa_and_sequences_as_walking_up_does(tree: Taxonomy) -> None:
    nodes = np.random.default_rng(6).integers(1, len(tree), 80)
    counted = tree.clade_counts(nodes)
    taxa: dict[int, set[int]] = {}
    sequences: dict[int, int] = {}
    for node in nodes.tolist():
        for depth, taxon in enumerate(tree.path(node), 1):
            taxa.setdefault(depth, set()).add(taxon)
            sequences[depth] = sequences.get(depth, 0) + 1
    assert {x.depth: (x.taxa, x.sequences) for x in levels(tree, counted)} == {
        depth: (len(taxa[depth]), sequences[depth]) for depth in taxa
    }
