"""The references most like a read, beside a plain loop over all of them."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import evolved_genes

from linnet import gene_neighbours
from linnet.gene_neighbours import COMPARED, MOST, GeneIndex, K
from linnet.kmers import KmerReader, Reading, count_all, log_odds
from linnet.records import reverse_complement

GENES = list(evolved_genes()[0].values())
IDS = list(evolved_genes()[0])
INDEX = GeneIndex.of(GENES, np.arange(len(GENES)), IDS)
READER = KmerReader(log_odds(count_all(GENES, 5)))


def read(*texts: str) -> Reading:
    return READER.read(list(texts))


def kmers(text: str) -> set[str]:
    return {w for i in range(len(text) - K + 1) if set(w := text[i : i + K]) <= set("ACGT")}


def likeness(text: str, reference: str) -> float:
    own = kmers(text)
    of = min(len(own), len(reference) - K + 1)
    return min(len(own & kmers(reference)) / of, 1.0)


def test_scores_are_those_of_a_plain_loop_and_fall() -> None:
    reads = [g[50:300] for g in GENES[::7]] + GENES[::50] + [g[: 40 + i] for i, g in enumerate(GENES[:9])]
    hits = INDEX.search(read(*reads))
    assert hits.reference_BK.shape == (len(reads), MOST)
    for text, references, scores in zip(reads, hits.reference_BK, hits.score_BK, strict=True):
        found = references >= 0
        assert found.any() and not scores[~found].any()
        assert (np.diff(scores[found]) <= 0).all()
        assert scores[found] == pytest.approx([likeness(text, GENES[r]) for r in references[found]])


def test_the_nearest_reference_is_found() -> None:
    """Where the shares of all references are known, by a plain loop."""
    random = np.random.default_rng(1)
    for i in random.choice(len(GENES), 30, replace=False).tolist():
        text = GENES[i][100:400]
        best = max(likeness(text, other) for other in GENES)
        hits = INDEX.search(read(text))
        assert hits.score_BK[0, 0] == pytest.approx(best) == 1.0
        assert text in GENES[hits.reference_BK[0, 0]]


def test_of_equals_the_first_comes_first() -> None:
    twins = GeneIndex.of([GENES[0], GENES[5], GENES[0], GENES[0]], np.zeros(4, np.int64))
    found = twins.search(read(GENES[0])).reference_BK[0]
    assert found[:3].tolist() == [0, 2, 3]


def test_both_strands_have_the_same_neighbours() -> None:
    reads = [g[20:320] for g in GENES[:20]]
    one, other = INDEX.search(read(*reads)), INDEX.search(read(*map(reverse_complement, reads)))
    assert np.array_equal(one.reference_BK, other.reference_BK) and np.array_equal(one.score_BK, other.score_BK)


def test_together_and_alone_are_alike() -> None:
    reads = [g[20:320] for g in GENES[:20]]
    together = INDEX.search(read(*reads))
    for i, text in enumerate(reads):
        alone = INDEX.search(read(text))
        assert np.array_equal(alone.reference_BK[0], together.reference_BK[i])


def test_what_has_no_word_in_common_has_no_neighbour() -> None:
    nothing = INDEX.search(read("A" * 300, "ACGTACGT", "", "N" * 300))
    assert (nothing.reference_BK == -1).all() and not nothing.score_BK.any()


def test_ambiguous_letters_break_words_but_not_the_search() -> None:
    text = GENES[3][:150] + "N" + GENES[3][151:300]
    hits = INDEX.search(read(text))
    at = hits.reference_BK[0].tolist().index(3)
    assert hits.score_BK[0, at] == pytest.approx(likeness(text, GENES[3]))


def test_an_index_comes_back_from_its_arrays() -> None:
    tensors = INDEX.tensors()
    assert tensors["index.bases"].nbytes == -(-sum(map(len, GENES)) // 4)
    back = GeneIndex.from_tensors(tensors)
    assert np.array_equal(back.quad_Q, INDEX.quad_Q) and np.array_equal(back.start, INDEX.start)
    assert np.array_equal(back.nodes, INDEX.nodes) and list(back.ids) == IDS
    query = read(GENES[8][:200])
    assert np.array_equal(back.search(query).reference_BK, INDEX.search(query).reference_BK)


def test_fewer_words_are_kept_of_many_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gene_neighbours, "WORDS_KEPT", 1000)
    few = GeneIndex.of(GENES, np.arange(len(GENES)))
    assert len(few._postings[1]) < len(INDEX._postings[1]) / 3


def test_a_read_alike_to_more_references_than_are_compared() -> None:
    many = GeneIndex.of([GENES[0]] * (3 * COMPARED[1]), np.zeros(3 * COMPARED[1], np.int64))
    hits = many.search(read(GENES[0][:250]))
    assert (hits.score_BK == 1).all() and (np.diff(hits.reference_BK[0]) > 0).all()
