"""The student of a contig set: its loss against a sum over every truth, and what it may not have seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import lineage
from test_channel import random_channel
from test_label_tree import random_lineages

pytest.importorskip("torch")
import torch

from linnet.belief import labels_at_their_word
from linnet.channel import EVIDENCE, Channel, Observed, first_channel
from linnet.errors import UsageError
from linnet.families import contigs
from linnet.families.contigs import Config, Student, cross_fitted
from linnet.label_tree import LEVELS, LabelTree
from linnet.sibling_groups import SiblingGroups

TINY = Config(width=8, dropout=0.0, epochs=3, batch=32, rare=1)


def averaged(channel: Channel, tree: LabelTree, common: int, contig: int, evidence: int, truth: int | None) -> float:
    """P(label | truth), for a truth that is `common` itself, or (None) the mean of those below it that the label's
    path does not pass; the ways are counted as for `common`."""
    level, y = int(tree.level_N[common]), int(tree.level_N[tree.label_C[contig]])
    ways = max(sum(tree.level_N[n] == y for n in range(common, int(tree.taxonomy.end[common]))), 1)
    if truth is not None:
        return float(channel.table_TADE[level, level, y, evidence] / ways)
    deeper = range(min(level + 1, LEVELS - 1), LEVELS)
    of_level = [channel.share_T[t] * channel.table_TADE[t, level, y, evidence] for t in deeper]
    return float(sum(of_level) / sum(channel.share_T[t] for t in deeper) / ways)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_loss_is_that_of_all_truths_summed_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = [x for x in random_lineages(seed, 40) if x]
    tree = LabelTree(labels)
    observed = Observed(tree, random.integers(EVIDENCE, size=len(labels)).astype(np.int8))
    channel = random_channel(seed)
    groups = SiblingGroups(tree.taxonomy)
    everyone = np.ones(len(tree), bool)
    targets = contigs._targets(observed, channel, groups, np.arange(len(tree)), everyone)
    features = torch.from_numpy(random.normal(size=(len(labels), 5)).astype(np.float32))
    student = Student(5, groups, TINY, torch.Generator().manual_seed(seed)).eval()
    with torch.no_grad():
        student.head.scores.weight.mul_(30)  # far from even
        scores = student(features).T.numpy()
    place = groups.place(groups.log_softmax(scores)).astype(np.float64)
    np.testing.assert_allclose(place.sum(1), 1, rtol=1e-5)
    expected = []
    for i in range(len(labels)):
        path = [0, *tree.taxonomy.path(int(tree.label_C[i]))]
        total = 0.0
        for truth in range(len(tree)):
            on = [n for n in (0, *tree.taxonomy.path(truth)) if n in path]
            of = averaged(channel, tree, on[-1], i, int(observed.evidence_C[i]), truth if on[-1] == truth else None)
            total += place[i, truth] * of
        expected.append(-np.log(total))
    rows = np.arange(len(labels))
    found = [float(contigs._loss(student, features, targets, groups, rows[i : i + 1]).detach()) for i in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    together = float(contigs._loss(student, features, targets, groups, rows).detach())
    assert together == pytest.approx(np.mean(expected), rel=1e-3)


def rare_set() -> Observed:
    labels = [lineage("B;P;C;O;F;G;S")] * 6 + [lineage("B;P;C;O;F;G;T")] * 2 + [lineage("B;P;C;O;E;H;U")] * 3
    return Observed(LabelTree([*labels, ()]), np.zeros(12, np.int8))


def test_rare_taxa_are_left_to_their_parents() -> None:
    observed = rare_set()
    taxonomy = observed.tree.taxonomy
    kept = contigs._not_rare(observed, 3)
    assert {taxonomy.names[n] for n in np.flatnonzero(~kept)} == {"T"}
    kept = contigs._not_rare(observed, 4)
    assert {taxonomy.names[n] for n in np.flatnonzero(~kept)} == {"T", "E", "H", "U"}
    small, to = contigs._pruned(taxonomy, kept)
    assert len(small) == kept.sum()
    for node in range(len(taxonomy)):
        above = [n for n in (0, *taxonomy.path(node)) if kept[n]]
        assert small.lineage(int(to[node])) == taxonomy.lineage(above[-1])


def test_a_label_that_is_too_rare_counts_as_its_nearest_kept_taxon() -> None:
    """Its loss then has a term for all of that taxon's clade, whatever lies in it, of probability 1."""
    observed = rare_set()
    tree = observed.tree
    kept = contigs._not_rare(observed, 4)
    small, to = contigs._pruned(tree.taxonomy, kept)
    groups = SiblingGroups(small)
    table = np.zeros_like(first_channel().table_TADE)
    table[0, 0, 0] = 1  # nothing else is said: what is left is the clade's own probability
    targets = contigs._targets(observed, Channel(table, first_channel().share_T), groups, to, kept)
    features = torch.from_numpy(np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32))
    student = Student(3, groups, TINY, torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        place = groups.place(groups.log_softmax(student(features).T.numpy()))
    for row, name in ((6, "G"), (8, "O")):
        clade = next(n for n in range(len(small)) if small.names[n] == name)
        probability = place[row, small.clade(clade)].sum()
        found = float(contigs._loss(student, features, targets, groups, np.array([row])).detach())
        assert found == pytest.approx(-np.log(probability), abs=1e-4)


def small_set(contigs: int = 90, seed: int = 0) -> tuple[np.ndarray, Observed, np.ndarray]:
    """Features that tell three species of two families apart, labels of which one in six errs, candidates."""
    random = np.random.default_rng(seed)
    names = [lineage(x) for x in ("B;P;C;O;F;G;S", "B;P;C;O;F;G;T", "B;P;C;O;E;H;U")]
    true_C = np.arange(contigs) % 3
    said_C = np.where(random.random(contigs) < 1 / 6, random.integers(3, size=contigs), true_C)
    tree = LabelTree([names[i] for i in said_C])
    features = random.normal(size=(3, 4))[true_C] * 2 + random.normal(size=(contigs, 4))
    candidates = np.tile(np.arange(len(tree), dtype=np.int32), (contigs, 1))
    return features.astype(np.float32), Observed(tree, np.zeros(contigs, np.int8)), candidates


def test_a_contig_s_own_label_does_not_tell_on_it() -> None:
    """Two contigs of one fold exchange labels, so that the set's counts stay: what is said of their fold stays too."""
    features, observed, candidates = small_set()
    fold_C = np.random.default_rng(7).permutation(90) % TINY.folds
    mine = np.flatnonzero(fold_C == 1)
    label_C = observed.tree.label_C
    a = int(mine[0])
    b = next(int(i) for i in mine if label_C[i] != label_C[a])
    before = cross_fitted(features, observed, first_channel(), candidates, TINY, 7, 1)
    lineages = [observed.tree.taxonomy.lineage(int(n)) for n in label_C]
    lineages[a], lineages[b] = lineages[b], lineages[a]
    after = cross_fitted(
        features, Observed(LabelTree(lineages), observed.evidence_C), first_channel(), candidates, TINY, 7, 1
    )
    np.testing.assert_array_equal(after[mine], before[mine])
    assert (after[fold_C != 1] != before[fold_C != 1]).any(1).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_it_learns_what_features_tell_in_spite_of_wrong_labels(seed: int) -> None:
    """Nearly as well as the nearest of the three true means, which no label has troubled."""
    features, observed, candidates = small_set(600, seed)
    true_C = np.arange(600) % 3
    means = np.array([features[true_C == i].mean(0) for i in range(3)])
    nearest = ((features[:, None] - means) ** 2).sum(2).argmin(1)
    names = observed.tree.taxonomy.names
    leaves = [next(n for n in range(len(observed.tree)) if names[n] == name) for name in "STU"]
    config = Config(width=32, epochs=30, batch=32, folds=2)
    ratio = cross_fitted(features, observed, first_channel(), candidates, config, 1, 1)
    assert (ratio[:, leaves].argmax(1) == true_C).mean() > (nearest == true_C).mean() - 0.04


def test_what_it_says_is_a_probability_over_the_prior() -> None:
    features, observed, candidates = small_set()
    ratio = cross_fitted(features, observed, first_channel(), candidates, TINY, 1, 1)
    prior = np.exp(first_channel().log_prior(observed))
    np.testing.assert_allclose((np.exp(ratio) * prior / prior.sum()).sum(1), 1, rtol=1e-4)


def test_the_same_seed_gives_the_same_bits_with_any_threads() -> None:
    features, observed, candidates = small_set()
    config = Config(width=8, dropout=0.3, epochs=3, batch=16, rare=1)
    one, again, two = (
        cross_fitted(features, observed, first_channel(), candidates, config, 3, threads) for threads in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one, two)
    other = cross_fitted(features, observed, first_channel(), candidates, config, 4, 1)
    assert (one != other).any()


def test_it_stops_when_held_out_labels_become_no_likelier() -> None:
    features, observed, candidates = small_set(60)
    noise = np.random.default_rng(0).normal(size=features.shape)
    lines: list[str] = []
    config = Config(width=8, epochs=40, patience=2, batch=8, learning_rate=0.05, rare=1)
    cross_fitted(noise, observed, first_channel(), candidates, config, 0, 1, lines.append)
    assert len(lines) == config.folds
    assert max(int(line.split(": ")[1].split()[0]) for line in lines) < 40


def test_labels_that_all_are_rare_leave_nothing_to_say() -> None:
    features, observed, candidates = small_set(6)
    config = Config(width=8, epochs=1, rare=100)
    assert (cross_fitted(features, observed, first_channel(), candidates, config, 0, 1) == 0).all()


@pytest.mark.parametrize("labelled", [1, 2, 3])
def test_hardly_any_labels_are_no_hindrance(labelled: int) -> None:
    tree = LabelTree([lineage("B;P;C;O;F;G;S")] * labelled + [()] * 3)
    observed = Observed(tree, np.zeros(labelled + 3, np.int8))
    candidates = np.tile(np.arange(len(tree), dtype=np.int32), (labelled + 3, 1))
    found = cross_fitted(np.eye(labelled + 3), observed, first_channel(), candidates, TINY, 0, 1)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "wrong", [{"folds": 1}, {"width": 0}, {"dropout": 1.0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Config(**wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- controls


def test_without_stops_all_probability_is_at_leaves_and_inner_taxa_stand_for_their_clades() -> None:
    features, observed, candidates = small_set()
    config = replace(TINY, stops=False)
    ratio = cross_fitted(features, observed, first_channel(), candidates, config, 1, 1)
    prior = np.exp(first_channel().log_prior(observed))
    prior /= prior.sum()
    taxonomy = observed.tree.taxonomy
    clade = np.array([prior[n : taxonomy.end[n]].sum() for n in range(len(taxonomy))])
    said = np.exp(ratio) * clade
    leaves = [n for n in range(len(taxonomy)) if taxonomy.end[n] == n + 1]
    np.testing.assert_allclose(said[:, leaves].sum(1), 1, rtol=1e-4)
    for n in range(len(taxonomy)):
        below = [leaf for leaf in leaves if n <= leaf < taxonomy.end[n]]
        np.testing.assert_allclose(said[:, n], said[:, below].sum(1), rtol=1e-3)


def test_a_student_that_is_not_cross_fitted_has_seen_the_labels_that_it_is_asked_of() -> None:
    """Labels at random: one that saw them repeats some of them, one that did not is at chance."""
    random = np.random.default_rng(0)
    names = [lineage(x) for x in ("B;P;C;O;F;G;S", "B;P;C;O;F;G;T", "B;P;C;O;E;H;U")]
    tree = LabelTree([names[i] for i in random.integers(3, size=60)])
    observed = Observed(tree, np.zeros(60, np.int8))
    features = random.normal(size=(60, 40)).astype(np.float32)
    candidates = np.tile(np.arange(len(tree), dtype=np.int32), (60, 1))
    config = Config(width=32, dropout=0.0, epochs=12, patience=12, batch=30, rare=1, learning_rate=1e-2)
    leaves = np.unique(tree.label_C)

    def repeated(cross_fit: bool) -> float:
        lines: list[str] = []
        of = replace(config, cross_fit=cross_fit)
        ratio = cross_fitted(features, observed, labels_at_their_word(), candidates, of, 1, 1, lines.append)
        assert len(lines) == (config.folds if cross_fit else 1)
        return float((leaves[ratio[:, leaves].argmax(1)] == tree.label_C).mean())

    assert repeated(True) < 0.55
    assert repeated(False) > repeated(True) + 0.15
