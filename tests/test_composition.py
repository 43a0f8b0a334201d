"""Contigs as counts and sketches, against plain loops over their letters."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from linnet.composition import SKETCH_K, SKETCH_SHARE, Contigs, K, clr, projection, read_contigs
from linnet.errors import UserError
from linnet.records import SequenceRecord, reverse_complement

KMERS = sorted({min(k, reverse_complement(k)) for k in map("".join, product("ACGT", repeat=K))})


def contigs_of(*sequences: str) -> Contigs:
    return read_contigs(SequenceRecord(f"c{i}", s) for i, s in enumerate(sequences))


def random_sequence(length: int, seed: int = 1, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def sketch_of(contigs: Contigs, row: int) -> list[int]:
    return sorted(contigs.sketch_hash[contigs.sketch_contig == row].tolist())


def plain_sketch(sequence: str) -> list[int]:
    """The sketch by Python's own integers, a k-mer at a time."""
    found = []
    for i in range(len(sequence) - SKETCH_K + 1):
        kmer = sequence[i : i + SKETCH_K]
        if set(kmer) <= set("ACGT"):
            x = min(int("".join(str("ACGT".index(b)) for b in k), 4) for k in (kmer, reverse_complement(kmer)))
            for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
                x = ((x ^ (x >> 33)) * factor) % 2**64
            x ^= x >> 33
            found += [x] if x < 2**64 // SKETCH_SHARE else []
    return sorted(found)


def test_counts_are_those_of_a_plain_loop() -> None:
    sequences = [random_sequence(n, n, "ACGTN" if n % 2 else "ACGT") for n in (3, 4, 5, 300, 301)]
    found = contigs_of(*sequences)
    assert found.length_C.tolist() == [3, 4, 5, 300, 301]
    assert found.tetramers_CV.shape == (5, 136)
    for row, sequence in enumerate(sequences):
        seen = [sequence[i : i + K] for i in range(len(sequence) - K + 1)]
        both = [min(k, reverse_complement(k)) for k in seen if "N" not in k]
        assert found.tetramers_CV[row].tolist() == [both.count(k) for k in KMERS]


def test_the_sketch_is_that_of_a_plain_loop() -> None:
    sequences = [random_sequence(n, n, "ACGT" * 20 + "N" * (n % 2)) for n in (10, 24, 3000, 3001, 25)]
    found = contigs_of(*sequences)
    for row, sequence in enumerate(sequences):
        assert sketch_of(found, row) == plain_sketch(sequence)
    assert len(sketch_of(found, 2)) > 50


def test_strands_are_one() -> None:
    sequence = random_sequence(4000)
    found = contigs_of(sequence, reverse_complement(sequence))
    np.testing.assert_array_equal(*found.tetramers_CV)
    assert sketch_of(found, 0) == sketch_of(found, 1) != []


def test_other_letters_break_kmers() -> None:
    assert contigs_of("ACGNACG").tetramers_CV.sum() == 0
    a, b = random_sequence(2000, 1), random_sequence(2000, 2)
    broken = contigs_of(a + "N" + b, a, b)
    np.testing.assert_array_equal(broken.tetramers_CV[0], broken.tetramers_CV[1:].sum(0))
    assert sketch_of(broken, 0) == sorted(sketch_of(broken, 1) + sketch_of(broken, 2))


def test_contigs_do_not_run_into_one_another_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [random_sequence(500 + 7 * i, i) for i in range(9)]
    together = contigs_of(*sequences)
    monkeypatch.setattr("linnet.composition._BLOCK_BASES", 1200)
    in_blocks = contigs_of(*sequences)
    np.testing.assert_array_equal(together.tetramers_CV, in_blocks.tetramers_CV)
    for row in range(9):
        assert sketch_of(together, row) == sketch_of(in_blocks, row) == sketch_of(contigs_of(sequences[row]), 0)


def test_log_ratios_are_centred_and_draw_short_contigs_to_the_usual() -> None:
    a, b = random_sequence(20_000, 1, "AAACGT"), random_sequence(200, 2, "ACGGGT")
    counts = contigs_of(a, b, "ACG").tetramers_CV
    found = clr(counts)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-9)
    usual = counts.sum(0) / counts.sum()
    for row in range(3):
        logs = [np.log(n + 136 * max(u, 1e-9)) for n, u in zip(counts[row].astype(float), usual, strict=True)]
        np.testing.assert_allclose(found[row], np.array(logs) - np.mean(logs), atol=1e-6)
    with_nothing = np.log(np.maximum(usual, 1e-9))
    np.testing.assert_allclose(found[2], with_nothing - with_nothing.mean(), atol=1e-6)


def test_the_projection_keeps_all_that_the_laws_of_tetranucleotides_leave_free() -> None:
    sequences = [random_sequence(3000, i, "ACGT" + "ACGT"[i % 4] * (i % 5)) for i in range(12)]
    counts = contigs_of(*sequences).tetramers_CV
    found = projection(counts)
    assert found.shape == (12, 103)
    names = ["".join(k) for k in product("ACGT", repeat=K)]
    frequency = np.zeros((12, 256))
    for row, sequence in enumerate(sequences):
        strands = [s[i : i + K] for s in (sequence, reverse_complement(sequence)) for i in range(len(s) - K + 1)]
        frequency[row] = [strands.count(k) / len(strands) for k in names]
    laws = [[1.0] * 256]
    laws += [[float(k == x) - float(k == reverse_complement(x)) for k in names] for x in names]
    laws += [[float(k[:3] == t) - float(k[1:] == t) for k in names] for t in map("".join, product("ACGT", repeat=3))]
    law = np.array(laws)
    free = np.eye(256) - np.linalg.pinv(law) @ law
    direct = (frequency - 1 / 256) @ free
    np.testing.assert_allclose(found @ found.T, direct @ direct.T, atol=1e-12)  # the basis may be turned
    assert np.linalg.matrix_rank(free) == 103


def test_the_projection_looks_at_frequencies_only() -> None:
    counts = contigs_of(random_sequence(500, 1), random_sequence(500, 2)).tetramers_CV
    np.testing.assert_allclose(projection(3 * counts), projection(counts), atol=1e-12)


def test_no_contigs_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="there are no contigs"):
        read_contigs([])
    with pytest.raises(UserError, match="two contigs are called 'b'"):
        read_contigs(SequenceRecord(id, "ACGTACGT") for id in "abcbc")


def test_contigs_too_short_to_count_still_have_finite_numbers() -> None:
    assert np.isfinite(clr(contigs_of("ACG", "NNNNNN").tetramers_CV)).all()
