"""Clusters by shared k-mers, against a plain loop over all pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conftest import evolve, evolved_genes

from linnet import sequence_clusters
from linnet.errors import UsageError
from linnet.records import reverse_complement
from linnet.residues import RESIDUES
from linnet.sequence_clusters import Kind, clusters


def kmers(sequence: str, kind: Kind) -> set[str]:
    """The distinct k-mers of plain letters, of a gene the lesser of each and its reverse complement."""
    k, plain = sequence_clusters.K[kind], set("ACGT" if kind == "dna" else RESIDUES)
    found = {sequence[i : i + k] for i in range(len(sequence) - k + 1)}
    found = {word for word in found if set(word) <= plain}
    return {min(word, reverse_complement(word)) for word in found} if kind == "dna" else found


def proteins() -> list[str]:
    """Relatives of three proteins, near and far, and pieces of them."""
    random = np.random.default_rng(4)
    found = []
    for _ in range(3):
        ancestor = random.choice(list(RESIDUES), 250)
        for rate in np.repeat([0.01, 0.05, 0.1, 0.2, 0.3], 8):
            changed = np.where(random.random(250) < rate, random.choice(list(RESIDUES), 250), ancestor)
            found.append("".join(changed[: int(random.integers(60, 250))]))
    return found


def slow(sequences: Sequence[str], kind: Kind, identity: float) -> list[int]:
    """Each sequence in order of length joins the first representative that has enough of all its k-mers."""
    words = [kmers(s, kind) for s in sequences]
    representative = [0] * len(sequences)
    representatives: list[int] = []
    for i in sorted(range(len(sequences)), key=lambda i: -len(sequences[i])):
        enough = [r for r in representatives if words[i] and len(words[i] & words[r]) >= identity * len(words[i])]
        representative[i] = enough[0] if enough else i
        if not enough:
            representatives.append(i)
    return representative


def genes_and_pieces() -> list[str]:
    random = np.random.default_rng(3)
    genes = [s[: int(random.integers(100, 500))] for s in evolved_genes()[0].values()]
    return [reverse_complement(s) if random.random() < 0.5 else s for s in genes]


@pytest.mark.parametrize("identity", [0.2, 0.5, 0.9, 1.0])
def test_genes_on_either_strand_cluster_as_a_loop_over_all_pairs_has_it(
    monkeypatch: pytest.MonkeyPatch, identity: float
) -> None:
    monkeypatch.setattr(sequence_clusters, "SAMPLE", 10**6)
    monkeypatch.setattr(sequence_clusters, "_BLOCK", 7)
    genes = genes_and_pieces()
    found = clusters(genes, "dna", identity).tolist()
    assert found == slow(genes, "dna", identity)
    assert 1 < len(set(found)) < len(genes)


@pytest.mark.parametrize("identity", [0.1, 0.5])
def test_proteins_cluster_as_a_loop_over_all_pairs_has_it(monkeypatch: pytest.MonkeyPatch, identity: float) -> None:
    monkeypatch.setattr(sequence_clusters, "SAMPLE", 10**6)
    found = clusters(proteins(), "protein", identity).tolist()
    assert found == slow(proteins(), "protein", identity)
    assert 1 < len(set(found)) < len(found)


def test_a_sample_of_k_mers_gives_nearly_the_clusters_of_all() -> None:
    assert max(len(kmers(s, "protein")) for s in proteins()) > 2 * sequence_clusters.SAMPLE
    found, exact = clusters(proteins(), "protein").tolist(), slow(proteins(), "protein", 0.5)
    pairs = [(i, j) for i in range(len(found)) for j in range(i)]
    together = [exact[i] == exact[j] for i, j in pairs]
    alike = [(found[i] == found[j]) == t for (i, j), t in zip(pairs, together, strict=True)]
    assert sum(alike) > 0.97 * len(pairs)
    assert sum(a for a, t in zip(alike, together, strict=True) if t) > 0.8 * sum(together)


def test_the_sample_is_drawn_evenly() -> None:
    """Of many proteins with half of their residues from one long protein, the shares counted scatter as they should."""
    random = np.random.default_rng(1)
    common = "".join(random.choice(list(RESIDUES), 4000))
    mixed = [common[a : a + 500] + "".join(random.choice(list(RESIDUES), 500)) for a in range(0, 3500, 50)]
    joined = [(clusters([common, *mixed], "protein", share)[1:] == 0).mean() for share in (0.38, 0.5, 0.62)]
    assert joined[0] > 0.9
    assert 0.25 < joined[1] < 0.75
    assert joined[2] < 0.1


def test_what_has_no_k_mers_stands_alone() -> None:
    assert clusters(["", "ACGT", "N" * 40, "ACGT"], "dna").tolist() == [0, 1, 2, 3]
    assert clusters(["MK", "MK", "X" * 30], "protein").tolist() == [0, 1, 2]
    assert clusters([], "protein").tolist() == []


def test_copies_and_pieces_join_the_longest_and_the_first_of_equals() -> None:
    random = np.random.default_rng(1)
    gene = "".join(random.choice(list("ACGT"), 300))
    assert clusters([gene[50:200], gene, gene, evolve(gene, 0.5, random)], "dna").tolist() == [1, 1, 1, 3]


@pytest.mark.parametrize("identity", [0.0, 1.5, float("nan")])
def test_an_identity_that_is_no_share_is_refused(identity: float) -> None:
    with pytest.raises(UsageError, match="at most 1"):
        clusters(["MKTAYIAK"], "protein", identity)
