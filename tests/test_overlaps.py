"""Pairs of contigs that share sequence, against every pair compared by sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from linnet.composition import Contigs, read_contigs
from linnet.overlaps import COMMON, LEAST, find_overlaps
from linnet.records import SequenceRecord, reverse_complement


def pairs(contigs: Contigs) -> dict[tuple[int, int], float]:
    found = find_overlaps(contigs.sketch_contig, contigs.sketch_hash, len(contigs))
    keys = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert keys == sorted(set(keys))
    result = dict(zip(keys, found.share.tolist(), strict=True))
    assert all(result[b, a] == share for (a, b), share in result.items())
    return result


def plain_pairs(contigs: Contigs) -> dict[tuple[int, int], float]:
    """Every pair by its sets of hashes, without those that too many contigs hold."""
    sets = [set(contigs.sketch_hash[contigs.sketch_contig == i].tolist()) for i in range(len(contigs))]
    holders: dict[int, int] = {}
    for hashes in sets:
        for h in hashes:
            holders[h] = holders.get(h, 0) + 1
    result = {}
    for i, a in enumerate(sets):
        for j, b in enumerate(sets):
            shared = sum(holders[h] <= COMMON for h in a & b)
            if i != j and shared >= LEAST:
                result[i, j] = shared / min(len(a), len(b))
    return result


def contigs_of(*sequences: str) -> Contigs:
    return read_contigs(SequenceRecord(f"c{i}", s) for i, s in enumerate(sequences))


def genome(length: int = 30_000, seed: int = 1) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def hashed(*sets: set[int]) -> Contigs:
    """Contigs that are known by their hashes only."""
    owner = [i for i, hashes in enumerate(sets) for _ in hashes]
    hashes = [h for one in sets for h in sorted(one)]
    none = np.zeros((len(sets), 136), np.float32)
    ids = [str(i) for i in range(len(sets))]
    return Contigs(ids, none[:, 0].astype(np.int64), none, np.array(owner, np.int32), np.array(hashes, np.uint64))


def test_overlaps_are_those_of_every_pair_compared() -> None:
    random, whole = np.random.default_rng(2), genome()
    pieces = []
    for start in random.integers(0, 27_000, 60):
        piece = whole[start : start + int(random.integers(300, 4000))]
        pieces.append(reverse_complement(piece) if random.random() < 0.5 else piece)
    contigs = contigs_of(*pieces, genome(3000, 3))
    highest = replace(
        contigs, sketch_contig=np.append(contigs.sketch_contig, np.int32(60)),
        sketch_hash=np.append(contigs.sketch_hash, np.uint64(2**59 - 1)),
    )  # fmt: skip
    found = pairs(highest)
    assert found == pytest.approx(plain_pairs(highest))
    assert len(found) > 200
    assert not any(60 in pair for pair in found)


def test_the_highest_hash_of_all_counts_too() -> None:
    shared = {2**58 + i * 2**40 for i in range(LEAST)}
    contigs = hashed(shared, shared)
    assert pairs(contigs) == plain_pairs(contigs) == {(0, 1): 1.0, (1, 0): 1.0}


def test_less_than_a_few_shared_kmers_are_chance() -> None:
    top = {2**58}
    for shared, overlap in ((LEAST - 1, False), (LEAST, True)):
        both = set(range(1000, 1000 + shared))
        assert bool(pairs(hashed(both | {1}, both | {2, 3}, top))) == overlap


def test_repeats_say_nothing() -> None:
    repeat = set(range(10, 30))
    for many, said in ((COMMON, True), (COMMON + 1, False)):
        contigs = hashed(*[repeat | {1000 + i} for i in range(many)], {2**58})
        assert bool(pairs(contigs)) == said
        assert pairs(contigs) == pytest.approx(plain_pairs(contigs))


def test_a_kmer_twice_in_one_contig_counts_once() -> None:
    tandem = genome(2000) * 2
    found = pairs(contigs_of(tandem, genome(2000), genome(40_000, 9)))
    assert found[0, 1] == pytest.approx(1, abs=0.05)
    assert found[0, 1] <= 1


def test_contigs_without_a_sketch_have_no_overlaps() -> None:
    assert pairs(contigs_of("ACGTACGT", "ACGTACGT")) == {}
