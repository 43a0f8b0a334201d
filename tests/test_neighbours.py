"""Contigs of the same genome, looked for in sets whose genomes are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contig_sets import GENOMES, ContigSet, contig_set
from numpy.typing import NDArray

from linnet import neighbours
from linnet.composition import read_contigs
from linnet.neighbours import NEIGHBOURS, OFFSET, SLOPE, Neighbours, Space, find_neighbours, run_blocks, whiten
from linnet.overlaps import Overlaps, find_overlaps
from linnet.records import SequenceRecord

NONE = Overlaps(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


@pytest.fixture(scope="module")
def made() -> ContigSet:
    return contig_set(3, 400)


def species(made: ContigSet) -> NDArray[np.int64]:
    """The groups that the tool's labels make: each species it says, -1 where it says none."""
    names = [label.lineage[-1].name if len(label.lineage) == 7 else "" for label in made.labels.values()]
    known = sorted({*names} - {""})
    return np.array([known.index(n) if n else -1 for n in names])


def found_in(
    made: ContigSet, samples: int = 4, threads: int = 1, groups: NDArray[np.int64] | None = None
) -> Neighbours:
    depth = made.depth_CS[:, :samples] if samples else None
    return find_neighbours(made.contigs, depth, NONE, species(made) if groups is None else groups, threads=threads)


def first_right(made: ContigSet, found: Neighbours) -> float:
    return float((made.genome_C[found.index_CK[:, 0]] == made.genome_C).mean())


def test_first_neighbours_are_of_the_same_genome_though_labels_err(made: ContigSet) -> None:
    assert first_right(made, found_in(made)) > 0.98


def test_composition_alone_finds_them_less_surely(made: ContigSet) -> None:
    alone, with_depths = found_in(made, 0, groups=made.genome_C), found_in(made, groups=made.genome_C)
    assert first_right(made, alone) > 0.95
    right = [(made.genome_C[f.index_CK] == made.genome_C[:, None]) * f.same_CK for f in (alone, with_depths)]
    assert right[0].sum() < right[1].sum()


def test_a_small_set_is_enough() -> None:
    small = contig_set(1, 200)
    assert first_right(small, found_in(small)) > 0.95


def test_neighbours_stand_in_order_and_none_is_oneself_or_comes_twice(made: ContigSet) -> None:
    found = found_in(made)
    assert found.index_CK.shape == found.same_CK.shape == (400, NEIGHBOURS)
    assert (np.diff(found.same_CK, axis=1) <= 0).all()
    assert ((found.same_CK >= 0) & (found.same_CK <= 1)).all()
    for row, others in enumerate(found.index_CK.tolist()):
        assert row not in others
        assert len(set(others)) == NEIGHBOURS


def test_they_are_the_likeliest_of_all_contigs_by_a_plain_loop(made: ContigSet) -> None:
    features, lengths = neighbours._features(made.contigs, made.depth_CS, NONE, None)
    space = whiten(features, lengths, made.genome_C)
    assert space is not None
    found = found_in(made, groups=made.genome_C)
    for i in range(0, 400, 37):
        ratio = np.full(400, -np.inf)
        for j in set(range(400)) - {i}:
            total = 0.0
            for at_i, at_j, v_i, v_j, between in zip(
                space.at_CD[i], space.at_CD[j], space.noise_CD[i], space.noise_CD[j], space.between_D, strict=True
            ):
                v, d = v_i + v_j, at_i - at_j
                total += 0.5 * (np.log((v + 2 * between) / v) - d**2 / v + d**2 / (v + 2 * between))
            ratio[j] = total
        best = np.argsort(-ratio)[:20]
        assert len(set(best.tolist()) & set(found.index_CK[i, :20].tolist())) >= 19
        said = 1 / (1 + np.exp(-(SLOPE * ratio[found.index_CK[i]] + OFFSET)))
        assert (found.same_CK[i] <= said + 1e-5).all()


def test_whitened_groups_scatter_alike_in_every_direction(made: ContigSet) -> None:
    features, lengths = neighbours._features(made.contigs, made.depth_CS, NONE, None)
    space = whiten(features, lengths, made.genome_C)
    assert space is not None
    long = lengths >= 1500
    inside = np.concatenate(
        [space.at_CD[here] - space.at_CD[here].mean(0) for g in range(8) if (here := long & (made.genome_C == g)).any()]
    )
    scatter = np.cov(inside.T)
    np.testing.assert_allclose(np.diag(scatter), 1, atol=0.5)
    assert np.abs(scatter - np.diag(np.diag(scatter))).max() < 0.5
    assert (np.diff(space.between_D) <= 1e-9).all()
    short = np.argsort(lengths)[:20]
    assert np.median(space.noise_CD[short]) > np.median(space.noise_CD[np.argsort(lengths)[-20:]])


def test_the_approximate_search_finds_mostly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    genome = np.arange(4000) % 100
    at = random.normal(size=(100, 6))[genome] * 4 + random.normal(size=(4000, 6))
    space = Space(at, np.ones((4000, 6)), np.full(6, 16.0))
    exact, logit = neighbours._nearest(space, 20, 1)
    monkeypatch.setattr(neighbours, "EXACT", 1000)
    searched = [len(among) for _, among in neighbours._search_blocks(at.astype(np.float32))]
    assert np.mean(searched) < 2000
    near, near_logit = neighbours._nearest(space, 20, 1)
    same = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(exact, near, strict=True)]
    assert 0.95 < np.mean(same) / 20 < 1
    assert (near_logit <= logit + 1e-6).all()


@pytest.mark.parametrize("exact", [50, 30_000])
def test_threads_change_nothing(made: ContigSet, monkeypatch: pytest.MonkeyPatch, exact: int) -> None:
    monkeypatch.setattr(neighbours, "EXACT", exact)
    monkeypatch.setattr(neighbours, "_BLOCK", 64)
    one, three = found_in(made, threads=1), found_in(made, threads=3)
    np.testing.assert_array_equal(one.index_CK, three.index_CK)
    np.testing.assert_array_equal(one.same_CK, three.same_CK)


def test_too_few_groups_give_no_neighbours(made: ContigSet) -> None:
    two = np.where(made.genome_C < 2, made.genome_C, -1)
    small = np.where(np.arange(400) < 30, made.genome_C, -1)  # three or four contigs each
    for groups in (two, small, np.full(400, -1)):
        assert found_in(made, groups=groups).same_CK.max() == 0
    assert found_in(made, groups=np.where(made.genome_C < 3, made.genome_C, -1)).same_CK.max() > 0.3


def test_a_pair_of_contigs_is_no_set() -> None:
    two = read_contigs(SequenceRecord(f"c{i}", "ACGTTGCA" * 300) for i in range(2))
    found = find_neighbours(two, None, NONE, np.zeros(2, np.int64))
    assert found.same_CK.tolist() == [[0], [0]]


def test_probabilities_are_never_higher_than_labels_bear_out() -> None:
    random = np.random.default_rng(0)
    logit = random.uniform(-4, 4, 6000)
    truly = np.where(logit > 2, 1.0, 0.3)  # of pairs said to be likely, fewer are of one genome than was said
    same = random.random(6000) < truly
    a = random.integers(5, size=6000)
    b = np.where(same, a, 5 + random.integers(5, size=6000))
    found = neighbours._probability(logit, a, b)
    said = 1 / (1 + np.exp(-logit))
    assert (found <= said + 1e-6).all()
    assert found[(logit > 0) & (logit < 1.5)].max() < 0.4
    assert found[logit > 3.5].min() > 0.95
    few = neighbours._probability(logit, np.where(np.arange(6000) < neighbours.PAIRS - 1, a, -1), b)
    np.testing.assert_allclose(few, said, rtol=1e-6)


def test_shared_sequence_draws_contigs_together_wherever_they_lie(made: ContigSet) -> None:
    sequences = dict(made.sequences)
    a, b = (next(i for i in range(400) if made.genome_C[i] == g and len(sequences[f"k{i}"]) > 3000) for g in (0, 3))
    start = sequences[f"k{a}"]
    sequences[f"k{b}"] = sequences[f"k{b}"][:2000] + start[:1200]  # a chimera: less than half of it is shared
    made = replace(made, sequences=sequences)
    contigs = made.contigs
    overlaps = find_overlaps(contigs.sketch_contig, contigs.sketch_hash, 400)
    plain = find_neighbours(contigs, made.depth_CS, NONE, made.genome_C)
    drawn = find_neighbours(contigs, made.depth_CS, overlaps, made.genome_C)

    def of_b(found: Neighbours) -> float:
        return float(found.same_CK[a][found.index_CK[a] == b].sum())

    assert {(a, b), (b, a)} <= set(zip(overlaps.a.tolist(), overlaps.b.tolist(), strict=True))
    assert of_b(drawn) >= of_b(plain)
    others = np.setdiff1d(np.arange(400), [a, b])
    np.testing.assert_array_equal(drawn.index_CK[others, :5], plain.index_CK[others, :5])


def test_parts_of_one_contig_have_the_features_of_both() -> None:
    made = contig_set(5, 100, 3000, 3500)
    records = [SequenceRecord(i, s) for i, s in made.sequences.items()]
    records.append(SequenceRecord("copy", records[0].sequence[:-300]))
    contigs = read_contigs(records)
    overlaps = find_overlaps(contigs.sketch_contig, contigs.sketch_hash, 101)
    assert list(zip(overlaps.a.tolist(), overlaps.b.tolist(), strict=True)) == [(0, 100), (100, 0)]
    assert overlaps.share.min() > neighbours.CERTAIN
    depth = np.vstack([made.depth_CS, made.depth_CS[:1] * 3])
    features, lengths = neighbours._features(contigs, depth, overlaps, None)
    np.testing.assert_allclose(features[0], features[100])
    np.testing.assert_array_equal(lengths[[0, 100]], lengths[0])
    by_length = np.average(depth[[0, 100]], axis=0, weights=contigs.length_C[[0, 100]])
    np.testing.assert_allclose(features[0, -4:], np.log(by_length + neighbours.DEPTH_FLOOR), rtol=1e-5)


def test_genomes_that_each_live_in_one_sample_only_are_told_apart(made: ContigSet) -> None:
    assert len(GENOMES) == 8
    depth = np.zeros((400, 8), np.float32)
    depth[np.arange(400), made.genome_C] = made.depth_CS[:, 0]
    found = find_neighbours(made.contigs, depth, NONE, made.genome_C)
    assert first_right(made, found) > 0.98
    assert found.same_CK[:, :10].mean() > 0.5


def test_contigs_that_all_differ_somewhere_where_most_do_not_can_be_whitened() -> None:
    random = np.random.default_rng(1)
    genome = np.repeat(np.arange(8), 10)
    depth = np.zeros((80, 8))
    depth[np.arange(80), genome] = random.uniform(5, 10, 80)
    space = whiten(np.log(depth + 0.1), np.full(80, 2000), genome)
    assert space is not None
    assert np.isfinite(space.at_CD).all()


def test_further_features_are_used(made: ContigSet) -> None:
    random = np.random.default_rng(0)
    place = random.normal(size=(8, 6))[made.genome_C] * 5 + random.normal(size=(400, 6))
    with_vectors = find_neighbours(made.contigs, None, NONE, made.genome_C, place)
    without = find_neighbours(made.contigs, None, NONE, made.genome_C)
    gained = [
        ((made.genome_C[f.index_CK] == made.genome_C[:, None]) * f.same_CK).sum() for f in (without, with_vectors)
    ]
    assert gained[1] > 1.1 * gained[0]


def test_what_a_thread_raises_is_raised() -> None:
    def work(block: int) -> None:
        if block == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        run_blocks(work, range(5), 2)


def test_the_log_ratio_is_that_of_two_normal_densities() -> None:
    random = np.random.default_rng(4)
    at, noise, between = random.normal(size=(2, 3)), random.uniform(0.5, 2, (2, 3)), np.array([3.0, 1.0, 0.0])
    found = neighbours._log_ratio(Space(at, noise, between), np.array(0), np.array(1))

    def log_normal(x: float, variance: float) -> float:
        return float(-0.5 * (np.log(2 * np.pi * variance) + x * x / variance))

    v, d = noise.sum(0), at[0] - at[1]
    one = sum(log_normal(x, w) for x, w in zip(d, v, strict=True))
    two = sum(log_normal(x, w + 2 * b) for x, w, b in zip(d, v, between, strict=True))
    assert float(found) == pytest.approx(one - two)
