"""Words of residues, against a loop that goes through each protein letter by letter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.residues import RESIDUES, WordReader, Words, looks_like_bases

MASK = (1 << 64) - 1
READ_AS = {"U": "C", "O": "K", "J": "L"}

proteins = st.text("ACDEFGHIKLMNPQRSTVWYUOJXBZ*-acdxuoj\n é\N{DNA DOUBLE HELIX}", max_size=30) | st.text(max_size=8)
readers = st.builds(
    WordReader,
    st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True).map(tuple),
    st.sampled_from([20, 97, 8000, 65_536]),
)


def split_mix(x: int) -> int:
    """The finaliser of SplitMix64, in whole numbers."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def words_of(sequence: str, reader: WordReader) -> list[int]:
    """The numbers of a protein's different words, one word after the other."""
    letters = [READ_AS.get(a.upper() if a.isascii() else a, a.upper() if a.isascii() else a) for a in sequence]
    found, first = set(), 0
    for k in reader.ks:
        size = min(20**k, reader.buckets)
        for a in range(len(letters) - k + 1):
            word = letters[a : a + k]
            if all(x in RESIDUES for x in word):
                value = sum(RESIDUES.index(x) * 20 ** (k - 1 - i) for i, x in enumerate(word))
                found.add(first + (split_mix(value) % size if 20**k > size else value))
        first += size
    return sorted(found)


def of(words: Words) -> list[list[int]]:
    return [words.index_F[a:z].tolist() for a, z in zip(words.start, words.start[1:], strict=False)]


@settings(max_examples=300, deadline=None)
@given(st.lists(proteins, max_size=5), readers)
def test_words_of_any_text_are_those_of_a_plain_loop(sequences: list[str], reader: WordReader) -> None:
    words = reader.read(sequences)
    assert of(words) == [words_of(s, reader) for s in sequences]
    assert words.counts.tolist() == [len(words_of(s, reader)) for s in sequences]
    assert words.index_F.dtype == words.start.dtype == np.int64
    assert len(words.start) == len(sequences) + 1


@given(st.lists(proteins, min_size=1, max_size=5), readers, st.randoms(use_true_random=False))
def test_a_protein_has_its_words_whatever_it_is_read_with(sequences: list[str], reader: WordReader, random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(sequences)))
    random.shuffle(order)
    together, shuffled = of(reader.read(sequences)), of(reader.read([sequences[i] for i in order]))
    assert [together[i] for i in order] == shuffled
    assert [of(reader.read([s]))[0] for s in sequences] == together


def test_rare_residues_are_read_as_their_likes() -> None:
    reader = WordReader((1, 2, 3), 8000)
    (rare, usual, lower) = of(reader.read(["MUKOAJW", "MCKKALW", "mukoajw"]))
    assert rare == usual == lower


@pytest.mark.parametrize("letter", [*"XBZ*-. ", "\n", "é", "1"])
def test_any_other_letter_breaks_words_and_nothing_else(letter: str) -> None:
    reader = WordReader((3,), 8000)
    (broken, left, right) = of(reader.read([f"MKVLA{letter}WFYHT", "MKVLA", "WFYHT"]))
    assert broken == sorted(left + right)
    assert len(broken) == 6


def test_no_word_goes_on_from_one_protein_to_the_next() -> None:
    reader = WordReader((2,), 400)
    assert of(reader.read(["MK", "VL"])) == [words_of("MK", reader), words_of("VL", reader)]


def test_a_word_counts_once() -> None:
    assert WordReader((2,), 400).read(["MKMKMKMK", "AAAAAAA"]).counts.tolist() == [2, 1]


def test_there_are_no_words_where_there_is_too_little() -> None:
    reader = WordReader((3, 4), 65_536)
    assert of(reader.read([])) == []
    assert of(reader.read([""])) == [[]]
    assert of(reader.read(["", "MK", "XXXXXXX", ""])) == [[]] * 4
    assert [len(w) for w in of(reader.read(["MKV", "", "MKVL"]))] == [1, 0, 3]


def test_lengths_share_no_number() -> None:
    reader = WordReader((1, 2, 4), 5000)
    assert reader.sizes() == [20, 400, 5000]
    assert len(reader) == 5420
    alone = [of(WordReader((k,), 5000).read(["MKVLAWFYHT"]))[0] for k in reader.ks]
    expected = [first + w for first, found in zip((0, 20, 420), alone, strict=True) for w in found]
    assert of(reader.read(["MKVLAWFYHT"]))[0] == expected


def test_words_that_share_numbers_are_spread_over_all_of_them() -> None:
    """10,000 neighbouring words in 1,000 numbers: as many in each as dice would put there."""
    reader = WordReader((4,), 1000)
    words = [a + b + c + d for a in "A" for b in RESIDUES for c in RESIDUES for d in RESIDUES] + [
        "C" + b + c + d for b in "ACDEF" for c in RESIDUES for d in RESIDUES
    ]
    numbers = reader.read(words).index_F
    assert len(numbers) == len(words) == 10_000
    held = np.bincount(numbers, minlength=1000)
    chi_squared = float(((held - 10) ** 2 / 10).sum())
    assert abs(chi_squared - 999) < 5 * np.sqrt(2 * 999)
    assert np.unique(numbers).max() == 999 and np.unique(numbers).min() == 0


@pytest.mark.parametrize(
    ("sequence", "bases"),
    [
        ("ACGT" * 10, True),
        ("acguN" * 6, True),
        ("ACGT" * 7 + "A", False),  # 29 letters: too short to tell
        ("ACGT" * 10 + "M", False),
        ("MKVLAACDEFGHIKLMNPQRSTVWYMKVLAAC", False),
        ("", False),
    ],
)
def test_bases_are_told_from_residues(sequence: str, bases: bool) -> None:
    assert looks_like_bases(sequence) is bases
