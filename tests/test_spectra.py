"""Spectra of contigs: words of five letters, and codons of open frames."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from linnet.errors import UsageError
from linnet.kmers import encode
from linnet.records import SequenceRecord, reverse_complement
from linnet.spectra import Config, Spectra, open_codons, roots

STOPS = {"TAA", "TAG", "TGA"}


def dna(length: int, seed: int, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def runs(sequence: str) -> dict[int, int]:
    """How many codons without a stop or a gap stand in a row about each start of a codon."""
    length: dict[int, int] = {}
    for frame in range(3):
        starts = range(frame, len(sequence) - 2, 3)
        row: list[int] = []
        for at in [*starts, -1]:
            codon = sequence[at : at + 3] if at >= 0 else "TAA"
            if codon in STOPS or set(codon) - set("ACGT"):
                length |= dict.fromkeys(row, len(row))
                if at >= 0:
                    length[at] = 0
                row = []
            else:
                row.append(at)
    return length


def slow_codons(sequence: str, least: int) -> Counter[str]:
    """By strand and place, one at a time."""
    turned, last = reverse_complement(sequence), len(sequence) - 3
    forward, backward = runs(sequence), {last - at: n for at, n in runs(turned).items()}
    found: Counter[str] = Counter()
    for at in range(last + 1):
        rival = max(max(forward.get(a, 0), backward.get(a, 0)) for a in range(at - 2, at + 3))
        if forward[at] >= least and forward[at] == rival:
            found[sequence[at : at + 3]] += 1
        if backward[at] >= least and backward[at] == rival:
            found[reverse_complement(sequence[at : at + 3])] += 1
    return found


def as_text(codon: int) -> str:
    return "ACGT"[codon // 16] + "ACGT"[codon // 4 % 4] + "ACGT"[codon % 4]


@pytest.mark.parametrize("least", [1, 5, 20])
def test_codons_are_those_that_a_plain_loop_finds(least: int) -> None:
    sequences = [dna(n, seed) for seed, n in enumerate((400, 2, 3, 0, 1_000, 61))]
    sequences += [dna(500, 9, "ACGTN"), dna(300, 10, "GC"), "N" * 50, dna(200, 11) + "N" * 7 + dna(201, 12)]
    codon, row = open_codons(*encode(sequences), least)
    for number, sequence in enumerate(sequences):
        found = Counter(as_text(int(c)) for c in codon[row == number])
        assert found == slow_codons(sequence, least)
    assert least > 1 or len(codon) > 1_000


def test_a_gene_is_read_in_its_frame_on_either_strand() -> None:
    random = np.random.default_rng(3)
    sense = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]
    gene = [sense[i] for i in random.integers(len(sense), size=120)]
    contig = "C" + "".join(gene) + "TAACC"
    for strand in (contig, reverse_complement(contig)):
        codon, _ = open_codons(*encode([strand]), 100)
        counted = Counter(as_text(int(c)) for c in codon)
        assert sum((Counter(gene) - counted).values()) == 0


def vectors(contigs: list[SequenceRecord], folder: Path, config: Config | None = None) -> np.ndarray:
    spectra = Spectra(config)
    spectra.prepare(lambda: [contigs[:2], contigs[2:]], folder, lambda _: None)
    return spectra.vectors(contigs)


def test_vectors_are_the_same_for_either_strand_and_any_company(tmp_path: Path) -> None:
    contigs = [SequenceRecord(f"c{i}", dna(3_000, i)) for i in range(5)]
    turned = [SequenceRecord(c.id, reverse_complement(c.sequence)) for c in contigs]
    there = vectors(contigs, tmp_path)
    assert there.shape == (5, 576)
    np.testing.assert_allclose(vectors(turned, tmp_path), there, atol=1e-5)
    spectra = Spectra()
    spectra.prepare(lambda: [contigs[:2], contigs[2:]], tmp_path, lambda _: None)
    assert (spectra.vectors(contigs[3:4]) == there[3:4]).all()
    assert (spectra.vectors(contigs[::-1]) == there[::-1]).all()


def test_roots_are_those_of_smoothed_proportions() -> None:
    counts, usual = np.array([[3, 0, 1], [0, 0, 0]]), np.array([49.0, 24.0, 24.0])
    smooth = np.array([[3 + 3, 1.5, 1 + 1.5], [3, 1.5, 1.5]])
    share = np.array([[c / sum(row) for c in row] for row in smooth])
    np.testing.assert_allclose(roots(counts, usual, 2.0) ** 2, 3 * share, rtol=1e-6)


def test_a_contig_without_a_word_is_as_usual(tmp_path: Path) -> None:
    contigs = [SequenceRecord("whole", dna(5_000, 1)), SequenceRecord("none", "ACN" * 30), SequenceRecord("short", "A")]
    found = vectors(contigs, tmp_path)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1], found[2], atol=1e-6)
    assert np.abs(found[1] - found[0]).max() < 0.2 < np.abs(found[0] - 1).max()


def test_genomes_that_prefer_other_codons_are_told_apart_where_words_hardly_differ(tmp_path: Path) -> None:
    """Codons GCT and GAC here, CTG and ACG there; both genomes are shuffled on both strands alike."""
    random = np.random.default_rng(5)

    def contig(id: str, codons: list[str]) -> SequenceRecord:
        gene = "".join(random.choice(codons, 150))
        return SequenceRecord(id, "".join(g if random.random() < 0.5 else reverse_complement(g) for g in [gene] * 4))

    one, two = ["GCT", "GAC", "AAA"], ["CTG", "ACG", "AAA"]
    contigs = [contig(f"a{i}", one) for i in range(6)] + [contig(f"b{i}", two) for i in range(6)]
    found = vectors(contigs, tmp_path)[:, 512:]
    inside = max(np.linalg.norm(a - b) for half in (found[:6], found[6:]) for a in half for b in half)
    across = min(np.linalg.norm(a - b) for a in found[:6] for b in found[6:])
    assert across > 2 * inside


def test_settings_without_sense_are_refused() -> None:
    for wrong in ({"open": 0}, {"pseudo": 0.0}, {"pseudo": float("nan")}):
        with pytest.raises(UsageError):
            Config(**wrong)  # type: ignore[arg-type]
