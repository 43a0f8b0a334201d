"""The label channel: probabilities that sum to 1, and a table that is found again from labels drawn by it."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import lineage
from test_label_tree import random_lineages

from linnet.channel import EVIDENCE, LEAST_SHARE, Channel, Observed, first_channel, kinds_of_evidence, learnt
from linnet.label_tree import LEVELS, LabelTree
from linnet.taxonomy import Lineage


def full_tree() -> list[Lineage]:
    """Two children everywhere: 128 species and all that lies above them, so that every way of standing to a taxon
    is some taxon's."""
    lineages = []
    for number in range(128):
        bits = f"{number:07b}"
        whole = lineage(";".join("x" + bits[: i + 1] for i in range(7)))
        lineages += [whole[:n] for n in range(8)]
    return sorted(set(lineages))


def random_channel(seed: int = 0) -> Channel:
    """A channel that says anything that can be: the common ancestor is no deeper than the truth or the label, and a
    contig without a label has the root in common with all."""
    random = np.random.default_rng(seed)
    table = random.uniform(0.1, 1, (LEVELS, LEVELS, LEVELS, EVIDENCE))
    truth, common, label = np.ogrid[:LEVELS, :LEVELS, :LEVELS]
    table[(common > truth) | (common > label)] = 0
    table /= table.sum((1, 2, 3), keepdims=True)
    share = random.uniform(0.1, 1, LEVELS)
    return Channel(table, share / share.sum())


def everything(lineages: list[Lineage]) -> Observed:
    """Contigs that between them have every label with every kind of evidence, each once."""
    tree = LabelTree([x for x in lineages for _ in range(EVIDENCE)])
    return Observed(tree, np.tile(np.arange(EVIDENCE), len(lineages)).astype(np.int8))


@pytest.mark.parametrize("channel", [first_channel(), random_channel()])
def test_what_labels_there_may_be_sums_to_1_for_every_truth(channel: Channel) -> None:
    observed = everything(full_tree())
    truths = np.arange(len(observed.tree))
    total = np.exp(channel.log_likelihood(observed, truths[:, None], np.arange(255 * EVIDENCE)[None]))
    np.testing.assert_allclose(total.sum(1, dtype=np.float64), 1, atol=2e-4)


def test_where_no_taxon_stands_so_to_a_truth_its_share_is_lost() -> None:
    """In a tree with gaps the sum over labels is the table's over those ways of standing that some taxon has."""
    lineages = sorted({*random_lineages(1), ()})
    tree = LabelTree(lineages)
    observed = everything([tree.taxonomy.lineage(n) for n in range(len(tree))])
    tree, channel = observed.tree, random_channel()
    nodes = np.arange(len(tree))
    found = np.exp(channel.log_likelihood(observed, nodes[:, None], np.arange(len(tree) * EVIDENCE)[None])).sum(1)
    for truth in nodes.tolist():
        ways = {(int(tree.common_level(np.array(truth), np.array(y))), int(tree.level_N[y])) for y in nodes.tolist()}
        expected = sum(channel.table_TADE[tree.level_N[truth], a, d].sum() for a, d in ways)
        assert found[truth] == pytest.approx(expected, abs=1e-4)


def test_likelihoods_are_the_table_over_the_ways_of_standing_so() -> None:
    observed, channel = everything(full_tree()), random_channel(3)
    tree = observed.tree
    species = tree.taxonomy.find(lineage("x0;x00;x000;x0000;x00000;x000000;x0000000"))[0]
    cousin = tree.taxonomy.find(lineage("x0;x00;x001;x0010"))[0]  # of 8 such orders below the class, 4 in the other
    contig = int(np.flatnonzero((tree.label_C == cousin) & (observed.evidence_C == 4))[0])
    found = channel.log_likelihood(observed, np.array(species), np.array(contig))
    orders = [n for n in range(len(tree)) if tree.taxonomy.rank(n) == "order"]
    ways = sum(int(tree.common_level(np.array(species), np.array(n))) == 2 for n in orders)
    assert ways == 2
    assert float(found) == pytest.approx(np.log(channel.table_TADE[7, 2, 4, 4] / ways), rel=1e-5)


def test_the_first_channel_is_a_distribution_that_favours_labels_near_the_truth() -> None:
    channel = first_channel()
    np.testing.assert_allclose(channel.table_TADE.sum((1, 2, 3)), 1)
    assert channel.share_T.sum() == pytest.approx(1)
    assert (channel.table_TADE >= 0).all()
    for truth in range(2, LEVELS):
        astray = [channel.table_TADE[truth, a, 7].sum() for a in range(truth)]
        assert astray == sorted(astray)
        assert channel.table_TADE[truth, truth].sum() > 0.6
    truth, common, label = np.ogrid[:LEVELS, :LEVELS, :LEVELS]
    assert (channel.table_TADE[(common > truth) | (common > label)] == 0).all()


def test_no_label_is_as_probable_wherever_a_contig_belongs() -> None:
    tree = LabelTree([*random_lineages(2, gaps=0), ()])
    observed = Observed(tree, np.zeros(61, np.int8))
    found = first_channel().log_likelihood(observed, np.arange(len(tree)), np.array(60))
    np.testing.assert_allclose(found, found[0], atol=1e-5)


def drawn(channel: Channel, contigs: int, seed: int = 0) -> tuple[Observed, np.ndarray]:
    """Labels drawn by a channel, a truth and a label at a time, and the truths, as taxa of the labels' tree."""
    random = np.random.default_rng(seed)
    lineages = full_tree()
    whole = LabelTree(lineages)
    n = len(whole)
    standing: dict[tuple[int, int, int], list[int]] = {}
    truths, labels, evidence = [], [], []
    for _ in range(contigs):
        level = int(random.choice(LEVELS, p=channel.share_T))
        truth = int(random.choice(np.flatnonzero(whole.level_N == level)))
        cell = random.choice(LEVELS * LEVELS * EVIDENCE, p=channel.table_TADE[level].ravel())
        common, depth, kind = (int(x) for x in np.unravel_index(cell, (LEVELS, LEVELS, EVIDENCE)))
        if (truth, common, depth) not in standing:
            levels = whole.common_level(np.array(truth), np.arange(n))
            fitting = np.flatnonzero((levels == common) & (whole.level_N == depth))
            standing[truth, common, depth] = fitting.tolist()
        labels.append(whole.taxonomy.lineage(int(random.choice(standing[truth, common, depth]))))
        truths.append(whole.taxonomy.lineage(truth))
        evidence.append(kind)
    tree = LabelTree([*labels, *lineages])  # the further labels only fill the tree
    observed = Observed(tree, np.array([*evidence, *[0] * n], np.int8))
    return observed, np.array([tree.taxonomy.find(x)[0] for x in truths])


def test_a_channel_is_learnt_from_the_labels_that_it_made() -> None:
    channel = random_channel(5)
    observed, truths = drawn(channel, 6000)
    candidates = np.full((len(observed.tree.label_C), 2), -1)
    candidates[:6000, 0] = truths
    candidates[:6000, 1] = (truths + 1) % len(observed.tree)
    posterior = np.zeros(candidates.shape, np.float32)
    posterior[:6000, 0] = 1
    found = learnt(observed, candidates, posterior, first_channel(), 1e-3)
    np.testing.assert_allclose(found.table_TADE.sum((1, 2, 3)), 1)
    np.testing.assert_allclose(found.share_T, channel.share_T, atol=0.03)
    for axes in ((2, 3), (1, 3), (1, 2)):  # each table of two of the four sides
        np.testing.assert_allclose(found.table_TADE.sum(axes), channel.table_TADE.sum(axes), atol=0.06)
    before = np.abs(first_channel().table_TADE - channel.table_TADE).sum()
    assert np.abs(found.table_TADE - channel.table_TADE).sum() < 0.4 * before


def test_posteriors_weigh_and_the_prior_counts_for_so_many_contigs() -> None:
    tree = LabelTree([lineage("B;P;C;O;F;G;S"), lineage("B;P;C;O;F;G;T")])
    observed = Observed(tree, np.array([2, 5], np.int8))
    s, t = tree.label_C
    prior = first_channel()
    found = learnt(observed, np.array([[s, t], [t, -1]]), np.array([[0.75, 0.25], [1.0, 0.0]]), prior, 10.0)
    counts = 10 * prior.table_TADE[7]
    counts[7, 7, 2] += 0.75
    counts[6, 7, 2] += 0.25
    counts[7, 7, 5] += 1
    np.testing.assert_allclose(found.table_TADE[7], counts / counts.sum())
    np.testing.assert_allclose(found.table_TADE[:7], prior.table_TADE[:7])
    share = 10 * prior.share_T + np.eye(LEVELS)[7] * 2
    np.testing.assert_allclose(found.share_T, share / share.sum())


def test_priors_share_a_level_out_by_how_common_its_taxa_are() -> None:
    tree = LabelTree([*[lineage("B;P;C;O;F;G;S")] * 3, lineage("B;P;C;O;F;G;T"), lineage("B;P;C;O;F;G"), ()])
    channel = Channel(first_channel().table_TADE, np.array([0, 0.1, 0, 0, 0, 0.1, 0.2, 0.6]))
    prior = np.exp(channel.log_prior(Observed(tree, np.zeros(6, np.int8))))
    by_name = dict(zip(tree.taxonomy.names, prior.tolist(), strict=True))
    assert by_name["S"] == pytest.approx(0.6 * 3.5 / 5)
    assert by_name["T"] == pytest.approx(0.6 * 1.5 / 5)
    assert by_name["G"] == pytest.approx(0.2)
    assert by_name["P"] == pytest.approx(LEAST_SHARE)


def test_a_strangers_label_is_as_common_as_it_is_in_the_set() -> None:
    labels = [*[lineage("B;P")] * 5, lineage("A"), (), ()]
    tree = LabelTree(labels)
    evidence = np.array([0, 0, 0, 0, 1, 2, 0, 3], np.int8)
    observed = Observed(tree, evidence)
    assert observed.label_level_C.tolist() == [2, 2, 2, 2, 2, 1, 0, 0]
    found = observed.background()
    total = 8 + 0.5 * 4  # the root, A, B and P
    named, none = 6 + 0.5 * EVIDENCE, 2 + 0.5 * EVIDENCE
    np.testing.assert_allclose(found[0], 5.5 / total * 4.5 / named)
    np.testing.assert_allclose(found[5], 1.5 / total * 1.5 / named)
    np.testing.assert_allclose(found[7], 2.5 / total * 1.5 / none)


def test_kinds_of_evidence_by_thirds_and_agreement() -> None:
    named = np.array([True] * 6 + [False] * 3)
    pieces = np.array([1, 2, 3, 4, 5, 6, 0, 0, 0])
    support = np.array([0.9, 0.1, 0.9, 0.1, 0.9, 0.1, np.nan, np.nan, np.nan])
    length = np.array([9, 9, 9, 9, 9, 9, 100, 200, 300])
    assert kinds_of_evidence(named, pieces, support, length).tolist() == [1, 0, 3, 2, 5, 4, 0, 1, 2]


def test_lengths_stand_for_pieces_where_a_tool_tells_of_none() -> None:
    named, none = np.ones(3, bool), np.zeros(3, int)
    unknown = np.full(3, np.nan)
    assert kinds_of_evidence(named, none, unknown, np.array([300, 100, 200])).tolist() == [4, 0, 2]
    assert kinds_of_evidence(~named, none, unknown, np.array([300, 100, 200])).tolist() == [2, 0, 1]
