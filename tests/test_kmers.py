from __future__ import annotations

import numpy as np
from conftest import evolved_genes
from hypothesis import given
from hypothesis import strategies as st

from linnet.kmers import KmerReader, count, count_all, log_odds, reverse_complements
from linnet.records import reverse_complement

sequences = st.lists(st.text("ACGTNRY", max_size=40), min_size=1, max_size=8)


@given(sequences, st.integers(1, 4))
def test_counts_equal_those_of_a_plain_loop(texts: list[str], k: int) -> None:
    expected = np.zeros((len(texts), 4**k), np.float32)
    for row, text in enumerate(texts):
        for i in range(len(text) - k + 1):
            kmer = text[i : i + k]
            if set(kmer) <= set("ACGT"):
                expected[row, int("".join(str("ACGT".index(c)) for c in kmer), 4)] += 1
    assert np.array_equal(count(texts, k), expected)


@given(sequences, st.integers(1, 4))
def test_counts_of_the_other_strand_are_a_permutation(texts: list[str], k: int) -> None:
    turned = [reverse_complement(t) for t in texts]
    assert np.array_equal(count(turned, k), count(texts, k)[:, reverse_complements(k)])


def test_the_strand_is_found_for_each_sequence() -> None:
    genes = list(evolved_genes()[0].values())
    reader = KmerReader(log_odds(count_all(genes, 5)))
    mixed = [reverse_complement(g) if i % 3 == 0 else g for i, g in enumerate(genes)]
    assert reader.strands(mixed) == ["-" if i % 3 == 0 else "+" for i in range(len(genes))]
    one_way, other_way = reader.read(genes), reader.read([reverse_complement(g) for g in genes])
    assert np.array_equal(one_way.counts_BV, other_way.counts_BV)


def test_a_strand_can_be_imposed() -> None:
    genes = list(evolved_genes()[0].values())[:4]
    reader = KmerReader(log_odds(count_all(genes, 5)))
    assert reader.read(genes, "reverse").strand == ["-"] * 4
    assert np.array_equal(reader.read([reverse_complement(g) for g in genes], "reverse").counts_BV, count(genes, 5))
