"""Neighbours of proteins: those that a plain loop finds, with the scores that a plain loop gives."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scoring_matrices import ScoringMatrix

from linnet import protein_neighbours
from linnet.protein_neighbours import ProteinIndex
from linnet.residues import RESIDUES, codes, letters

BLOSUM62 = ScoringMatrix.from_name("BLOSUM62")
AT = {letter: i for i, letter in enumerate(BLOSUM62.alphabet)}


def some_proteins(count: int, seed: int) -> list[str]:
    """Families of five, each a third changed."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count // 5):
        first = [RESIDUES[i] for i in random.integers(20, size=int(random.integers(60, 120)))]
        for _ in range(5):
            found.append("".join(RESIDUES[random.integers(20)] if random.random() < 0.3 else x for x in first))
    return found


def words(sequence: str) -> set[str]:
    return {w for i in range(len(sequence) - 3) if set(w := sequence[i : i + 4]) <= set(RESIDUES)}


def aligned(a: str, b: str) -> float:
    """Score of the best local alignment; a gap of n residues costs 10 + n (Gotoh 1982)."""
    low = -math.inf
    best, h, e = 0.0, [0.0] * (len(b) + 1), [low] * (len(b) + 1)
    for x in a:
        before, h[0], f = h[0], 0.0, low
        for j, y in enumerate(b, 1):
            e[j] = max(e[j] - 1, h[j] - 11)
            f = max(f - 1, h[j - 1] - 11)
            here = max(0.0, before + BLOSUM62[AT[x]][AT[y]], e[j], f)
            before, h[j] = h[j], here
            best = max(best, here)
    return best


@pytest.mark.parametrize("looked_at", [6, 20])
def test_the_neighbours_are_those_whose_rare_words_are_shared_and_the_scores_those_of_alignments(
    looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protein_neighbours, "ALIGNED", looked_at)
    references, queries = some_proteins(40, 1), some_proteins(40, 1)[3:30:7]
    queries = [q[4:] + "X" + q[:20] for q in queries]
    hits = ProteinIndex.of(references, np.arange(40)).search(queries, most=6)
    size = Counter(w for r in references for w in words(r))
    for b, query in enumerate(queries):
        own = words(query)
        likeness = []
        for r in references:
            weight = {w: math.log(40 / size[w]) for w in words(r) if size[w]}
            shared = sum(weight[w] for w in own & set(weight))
            whole = sum(math.log(40 / size[w]) if size[w] else math.log(40) for w in own | set(weight))
            likeness.append(shared / whole)
        likest = [i for i in np.argsort(-np.array(likeness), kind="stable")[:looked_at].tolist() if likeness[i] > 0]
        plain = {i: aligned(query, references[i]) / aligned(query, query) for i in likest}
        found = [i for i in hits.reference_BK[b].tolist() if i >= 0]
        assert sorted((plain[i] for i in found), reverse=True) == sorted(plain.values(), reverse=True)[:6]
        scores = [plain[i] for i in found]
        np.testing.assert_allclose(hits.score_BK[b, : len(found)], scores, rtol=1e-5)
        assert scores == sorted(scores, reverse=True)


def test_a_protein_that_is_among_them_comes_first_with_a_score_of_one() -> None:
    references = some_proteins(30, 2)
    hits = ProteinIndex.of(references, np.zeros(30, int)).search(references, most=3)
    assert hits.reference_BK[:, 0].tolist() == list(range(30))
    np.testing.assert_array_equal(hits.score_BK[:, 0], 1)


def test_what_shares_no_word_has_no_neighbours() -> None:
    hits = ProteinIndex.of(some_proteins(10, 3), np.zeros(10, int)).search(["WWWWWWWWWWWW", "XX", "MK"], most=4)
    assert (hits.reference_BK == -1).all()
    assert not hits.score_BK.any()


def test_an_index_survives_its_arrays() -> None:
    references = some_proteins(20, 4)
    index = ProteinIndex.of(references, np.arange(20))
    again = ProteinIndex.from_tensors(index.tensors())
    assert [again.sequence(i) for i in range(20)] == references
    np.testing.assert_array_equal(again.nodes, index.nodes)
    a, b = (i.search(references[:3]) for i in (index, again))
    np.testing.assert_array_equal(a.reference_BK, b.reference_BK)


def test_with_few_postings_the_rarest_words_still_find_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    references = some_proteins(100, 5)
    index = ProteinIndex.of(references, np.arange(100))
    full = index.search(references, most=3)
    monkeypatch.setattr(protein_neighbours, "POSTINGS", 40)
    few = index.search(references, most=3)
    assert (few.reference_BK[:, 0] == full.reference_BK[:, 0]).all()


def test_letters_that_are_no_residue_are_kept_as_x() -> None:
    assert letters(codes("MKB*Zu-")) == "MKXXXCX"
