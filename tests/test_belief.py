"""Posteriors of contigs, against the formula worked out a contig, a candidate and a neighbour at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import lineage
from numpy.typing import NDArray
from test_channel import random_channel
from test_label_tree import random_lineages

from linnet import belief
from linnet.belief import CANDIDATES, OFFSET, SLOPE, STRANGERS, Belief, Learnt, Weights
from linnet.channel import EVIDENCE, Observed, first_channel
from linnet.label_tree import LabelTree
from linnet.neighbours import Neighbours
from linnet.prediction import Stopped
from linnet.taxonomy import Lineage

WEIGHTS = Weights()


def random_set(seed: int = 0, contigs: int = 60, k: int = 12) -> tuple[Observed, Neighbours]:
    """Labels all over a small tree, neighbours at random."""
    random = np.random.default_rng(seed)
    observed = Observed(
        LabelTree(random_lineages(seed, contigs)), random.integers(EVIDENCE, size=contigs).astype(np.int8)
    )
    index = np.array([random.permutation(np.delete(np.arange(contigs), i))[:k] for i in range(contigs)], np.int32)
    same = np.sort(random.random((contigs, k)) ** 2)[:, ::-1].astype(np.float32)
    same[random.random((contigs, k)) < 0.2] = 0
    return observed, Neighbours(index, same)


def genomes(*labels: list[str]) -> tuple[Observed, Neighbours]:
    """Contigs of some genomes, labelled so; all others of its genome are a contig's neighbours."""
    tree = LabelTree([lineage(x) if x else () for one in labels for x in one])
    contigs, most = len(tree.label_C), max(map(len, labels)) - 1
    index, same = np.zeros((contigs, max(most, 1)), np.int32), np.zeros((contigs, max(most, 1)), np.float32)
    start = 0
    for one in labels:
        for i in range(len(one)):
            others = [start + j for j in range(len(one)) if j != i]
            index[start + i, : len(others)] = others
            same[start + i, : len(others)] = 0.95
        start += len(one)
    return Observed(tree, np.zeros(contigs, np.int8)), Neighbours(index, same)


def first(observed: Observed, neighbours: Neighbours) -> Learnt:
    """What is known before anything is learnt."""
    candidates = belief.find_candidates(observed, neighbours)
    return Learnt(candidates, first_channel(), np.full(len(candidates), WEIGHTS.astray))


def names_of(observed: Observed, neighbours: Neighbours) -> list[str]:
    """The deepest name kept of each contig, after learning, at a cut of one half."""
    known = belief.learn(observed, neighbours, WEIGHTS, 1)
    found = belief.believe(observed, neighbours, known, WEIGHTS, 1)
    ids = [str(i) for i in range(len(found.stray_C))]
    kept = [p.recut(0.5).kept for p in belief.lineages(found, observed, ids)]
    return [lineage[-1].name if lineage else "" for lineage in kept]


def in_clade(tree: LabelTree, node: int, clade: int) -> bool:
    return clade == 0 or clade in tree.taxonomy.path(node)


# ---------------------------------------------------------------------- posteriors


@pytest.mark.parametrize("with_student", [False, True])
def test_posteriors_are_those_of_the_formula_worked_out_plainly(with_student: bool) -> None:
    observed, neighbours = random_set(2)
    random = np.random.default_rng(1)
    contigs = len(observed.evidence_C)
    candidates = belief.find_candidates(observed, neighbours)
    astray = random.uniform(0.01, 0.3, contigs)
    channel = random_channel(1)
    student = random.normal(size=candidates.shape) if with_student else None
    known = Learnt(candidates, channel, astray)
    found = belief.believe(observed, neighbours, known, WEIGHTS, 1, student)
    prior_N, stranger_C = np.exp(channel.log_prior(observed)), observed.background()
    for i in range(contigs):
        here = [int(t) for t in candidates[i] if t >= 0]
        votes, own, prior = [], [], []
        rest_total, weight = 0.0, float(neighbours.same_CK[i].sum())
        tempered = WEIGHTS.votes / (WEIGHTS.votes + weight)
        for t in here:
            total = 0.0
            for j, said in zip(neighbours.index_CK[i], neighbours.same_CK[i], strict=True):
                w = min(float(said), 1 - STRANGERS)
                p = float(np.exp(channel.log_likelihood(observed, np.array(t), np.array(j))))
                total += np.log(w * p + (1 - w) * stranger_C[j]) - np.log(stranger_C[j])
            votes.append(prior_N[t] * np.exp(total * tempered))
            own.append(float(np.exp(channel.log_likelihood(observed, np.array(t), np.array(i)))))
            prior.append(prior_N[t])
        for j, said in zip(neighbours.index_CK[i], neighbours.same_CK[i], strict=True):
            w = min(float(said), 1 - STRANGERS)
            rest_total += 0.0 if observed.tree.label_C[j] == 0 else np.log(1 - w)
        rest = 1 - sum(prior)  # all taxa that are no candidates, of which a label says nothing
        votes.append(rest * np.exp(rest_total * tempered))
        far = float(channel.table_TADE[-1, 0, 1:].sum())  # labels of another domain
        own.append(stranger_C[i] * (far if observed.tree.label_C[i] else 1))
        prior.append(rest)
        v = np.array(votes) / sum(votes)
        by_votes, by_chance = (1 - astray[i]) * v * own, astray[i] * np.array(prior) * own
        posterior = by_votes + by_chance
        if student is not None:
            posterior[:-1] *= np.exp(WEIGHTS.student * student[i, : len(here)])
        posterior = np.append(posterior[0] + posterior[-1], posterior[1:-1]) / posterior.sum()
        np.testing.assert_allclose(found.posterior_CM[i, : len(here)], posterior, rtol=2e-3, atol=1e-6)
        stray = by_chance.sum() / (by_chance + by_votes).sum()
        assert found.stray_C[i] == pytest.approx(stray, rel=2e-3)


def test_posteriors_sum_to_1_and_are_0_where_there_is_no_candidate() -> None:
    observed, neighbours = random_set(3)
    known = first(observed, neighbours)
    found = belief.believe(observed, neighbours, known, WEIGHTS, 1)
    np.testing.assert_allclose(found.posterior_CM.sum(1), 1, rtol=1e-5)
    assert (found.posterior_CM[known.candidate_CM < 0] == 0).all()
    assert (known.candidate_CM < 0).any()


def test_threads_and_blocks_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, neighbours = random_set(4)
    one = belief.learn(observed, neighbours, WEIGHTS, 1)
    monkeypatch.setattr(belief, "_BLOCK", 7)
    three = belief.learn(observed, neighbours, WEIGHTS, 3)
    np.testing.assert_array_equal(one.candidate_CM, three.candidate_CM)
    np.testing.assert_array_equal(one.channel.table_TADE, three.channel.table_TADE)
    np.testing.assert_array_equal(one.astray_C, three.astray_C)


# ---------------------------------------------------------------------- candidates


@pytest.mark.parametrize("k", [3, 30])
def test_candidates_are_the_heaviest_taxa_on_paths(k: int) -> None:
    observed, neighbours = random_set(5, 80, k)
    tree = observed.tree
    found = belief.find_candidates(observed, neighbours)
    full = 0
    for i in range(80):
        weight = {}
        labels = [(int(tree.label_C[i]), 1.0)]
        labels += [
            (int(tree.label_C[j]), float(w))
            for j, w in zip(neighbours.index_CK[i], neighbours.same_CK[i], strict=True)
            if w > 0
        ]
        for label, w in labels:
            for node in (0, *tree.taxonomy.path(label)):
                weight[node] = weight.get(node, 0.0) + w
        heaviest = sorted(weight, key=lambda node: (-round(weight[node], 6), node))[:CANDIDATES]
        full += len(weight) > CANDIDATES
        assert found[i].tolist() == [*sorted(heaviest), *[-1] * (CANDIDATES - len(heaviest))]
    assert (full > 0) == (k == 30)


def test_candidates_hold_all_that_lies_above_them() -> None:
    observed, neighbours = random_set(6, 80, 30)
    parent = observed.tree.taxonomy.parent
    for row in belief.find_candidates(observed, neighbours).tolist():
        there = {node for node in row if node >= 0}
        assert 0 in there
        assert {int(parent[node]) for node in there} <= there


# ---------------------------------------------------------------------- clades and lineages


def test_clades_are_sums_over_all_that_lies_in_them() -> None:
    observed, neighbours = random_set(7)
    found = belief.believe(observed, neighbours, first(observed, neighbours), WEIGHTS, 1)
    clades = found.clades(observed.tree.taxonomy.end)
    for i, row in enumerate(found.candidate_CM.tolist()):
        for m, node in enumerate(row):
            if node >= 0:
                inside = [p for n, p in zip(row, found.posterior_CM[i], strict=True) if n >= 0]
                mine = [in_clade(observed.tree, n, node) for n in row if n >= 0]
                expected = sum(float(p) for p, yes in zip(inside, mine, strict=True) if yes)
                assert clades[i, m] == pytest.approx(expected, abs=1e-6)


def test_confidence_never_rises_and_paths_go_to_the_most_probable_clade() -> None:
    observed, neighbours = random_set(8)
    tree = observed.tree
    found = belief.believe(observed, neighbours, first(observed, neighbours), WEIGHTS, 1)
    ids = [f"c{i}" for i in range(60)]
    predictions = belief.lineages(found, observed, ids)
    assert [p.record_id for p in predictions] == ids
    clades = found.clades(tree.taxonomy.end)
    for i, prediction in enumerate(predictions):
        assert list(prediction.confidence) == sorted(prediction.confidence, reverse=True)
        assert len(prediction.novelty) == len(prediction.lineage) + 1
        at = {int(n): m for m, n in enumerate(found.candidate_CM[i]) if n >= 0}
        node = 0
        for taxon in prediction.lineage:
            below = [n for n in at if n and tree.taxonomy.parent[n] == node]
            best = max(clades[i, at[n]] for n in below)
            node = next(n for n in below if tree.taxonomy.taxon(n) == taxon)
            assert clades[i, at[node]] == best
        assert not [n for n in at if n and tree.taxonomy.parent[n] == node]


def test_confidence_is_the_clade_s_scaled_by_rank() -> None:
    for level, p in ((1, 0.97), (5, 0.6), (7, 0.3)):
        odds = SLOPE[level] * np.log(p / (1 - p)) + OFFSET[level]
        assert belief.calibrated([level], [p])[0] == pytest.approx(1 / (1 + np.exp(-odds)))
    rising = belief.calibrated([1, 2, 7], [0.5, 0.99, 0.4])
    assert rising[0] == rising[1] >= rising[2]
    assert 0 < belief.calibrated([7], [0.0])[0] < 0.01 < 0.99 < belief.calibrated([7], [1.0])[0] < 1


def test_only_leaves_that_are_nearly_certain_are_sure() -> None:
    tree = LabelTree([lineage("B;P;C;O;F;G;S"), lineage("B;P;C;O;F;G;T"), lineage("B;Q")])
    s, t, q = tree.label_C.tolist()
    genus = int(tree.taxonomy.parent[s])
    rows = np.array([[0, genus, s, t], [0, genus, s, t], [0, genus, s, t], [0, genus, s, t], [0, q, -1, -1]], np.int32)
    p = np.array([[0, 0.05, 0.95, 0], [0.1, 0, 0.45, 0.45], [0, 0.95, 0.05, 0], [0.95, 0, 0.05, 0], [0.05, 0.95, 0, 0]])
    found = Belief(rows, p.astype(np.float32), np.zeros(5)).sure_leaves(tree.taxonomy.end)
    assert found.tolist() == [s, -1, -1, -1, q]


# ---------------------------------------------------------------------- what follows


SPECIES = [f"B;P{p};C{p};O{p};F{p};G{p}{g};S{p}{g}{s}" for p in range(2) for g in range(3) for s in range(4)]


def genus_of(text: str) -> str:
    return text.rsplit(";", 1)[0]


def test_agreement_of_neighbours_names_contigs_and_moves_those_labelled_otherwise() -> None:
    right, far = SPECIES[0], SPECIES[-1]
    sister = SPECIES[1]
    observed, neighbours = genomes([right] * 40 + ["", genus_of(right), sister, far], [far] * 40)
    names = names_of(observed, neighbours)
    assert names[:44] == ["S000"] * 43 + names[43:44]
    assert names[43] != "S123"
    assert names[44:] == ["S123"] * 40


def test_labels_that_scatter_stop_where_they_scatter() -> None:
    of_genus = [x for x in SPECIES if ";G00;" in x]
    observed, neighbours = genomes(of_genus * 10, [SPECIES[4]] * 40, [SPECIES[5]] * 40)
    assert names_of(observed, neighbours) == ["G00"] * 40 + ["S010"] * 40 + ["S011"] * 40
    of_family = [x for x in SPECIES if ";F1;" in x]
    observed, neighbours = genomes(of_family * 4, *([x] * 40 for x in SPECIES[:12]))
    assert names_of(observed, neighbours)[:48] == ["F1"] * 48


def test_a_contig_without_neighbours_keeps_its_label_and_without_one_gets_no_name() -> None:
    observed, neighbours = genomes([SPECIES[0]] * 30, [SPECIES[5]], [""])
    known = belief.learn(observed, neighbours, WEIGHTS, 1)
    found = belief.believe(observed, neighbours, known, WEIGHTS, 1)
    *_, labelled, bare = belief.lineages(found, observed, [str(i) for i in range(32)])
    assert labelled.lineage[-1].name == "S011"
    assert bare.lineage == ()
    assert bare.stopped == Stopped.UNSURE


def test_more_neighbours_that_agree_make_surer_but_count_for_so_many_at_most() -> None:
    sure = []
    for n in (1, 4, 16, 64):
        observed, neighbours = genomes([SPECIES[0]] * n + [""], [SPECIES[5]] * 30, [SPECIES[20]] * 30)
        found = belief.believe(observed, neighbours, first(observed, neighbours), WEIGHTS, 1)
        row, leaf = n, int(observed.tree.label_C[0])
        sure.append(float(found.posterior_CM[row][found.candidate_CM[row] == leaf].sum()))
    assert sure[0] < 0.9 < sure[1] < sure[2]
    assert sure[3] == pytest.approx(sure[2], abs=0.01)


def test_neighbours_that_are_hardly_of_the_same_genome_hardly_count() -> None:
    """What a contig's own label weighs where its neighbours, all labelled otherwise, are never astray."""
    observed, neighbours = genomes([SPECIES[0]] * 30 + [SPECIES[20]], *([x] * 30 for x in SPECIES[10:22]))
    own = int(observed.tree.label_C[30])
    kept = []
    for scale in (1.0, 0.1, 0.01, 0.0):
        weaker = replace(neighbours, same_CK=neighbours.same_CK * np.float32(scale))
        known = replace(first(observed, weaker), astray_C=np.full(len(observed.evidence_C), 1e-6))
        found = belief.believe(observed, weaker, known, WEIGHTS, 1)
        kept.append(float(found.posterior_CM[30][found.candidate_CM[30] == own].sum()))
    assert kept[0] < 0.1 < 0.7 < min(kept[1:])


def test_classes_of_contigs_whose_neighbours_disagree_with_them_are_astray() -> None:
    """Where neighbours' labels are always others than the own, learning finds that neighbours are strangers."""
    random = np.random.default_rng(0)
    labels: list[Lineage] = [lineage(SPECIES[i % 24]) for i in range(480)]
    tree = LabelTree(labels)
    index = np.zeros((480, 10), np.int32)
    for i in range(480):
        same = np.flatnonzero((np.arange(480) % 24 == i % 24) & (np.arange(480) != i))
        wrong = np.flatnonzero(np.arange(480) % 24 == (i + 13) % 24)
        index[i] = random.permutation(same if i < 240 else wrong)[:10]
    sure: NDArray[np.float32] = np.where(np.arange(480)[:, None] < 240, 0.9, 0.8).astype(np.float32)
    neighbours = Neighbours(index, np.repeat(sure, 10, 1))
    learnt = belief.learn(Observed(tree, np.zeros(480, np.int8)), neighbours, WEIGHTS, 1)
    assert learnt.astray_C[:240].max() < WEIGHTS.astray * 2
    assert learnt.astray_C[240:].min() > 0.3
