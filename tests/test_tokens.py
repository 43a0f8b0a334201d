"""Sequences as tokens: whatever letters they are written in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

from linnet.errors import UserError
from linnet.tokens import Bases, Pieces, tidy

GENES = ["ACGTTGCAACGGATCCGATTACAGGCATTAGACCAGTACC" * 3, "GGATTACAGATTACAGGCATCGATCGGATT" * 4, "TTGACCAGGATACC" * 9]


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    return Pieces.learn(GENES, size=40)


def test_a_learned_vocabulary_spells_every_sequence(pieces: Pieces) -> None:
    import tokenizers

    plain = tokenizers.Tokenizer.from_str(pieces.json)
    assert pieces.size == 40
    for gene in [*GENES, "ACGT", "G"]:
        (row,) = pieces.encode([gene], "tidy", 512)
        assert "".join(plain.id_to_token(i) for i in row[1:-1]) == gene
        assert [plain.id_to_token(i) for i in row[[0, -1]]] == ["[CLS]", "[SEP]"]
    assert len(pieces.encode([GENES[0]], "tidy", 512)[0]) < len(GENES[0]) / 2


def test_special_tokens_stand_where_dnabert_2_has_them(pieces: Pieces) -> None:
    import tokenizers

    plain = tokenizers.Tokenizer.from_str(pieces.json)
    ids = [plain.token_to_id(t) for t in ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "A", "C", "G", "T")]
    assert ids == list(range(9))
    assert pieces.padding == 3


def test_a_long_sequence_keeps_its_first_tokens_and_its_end_mark(pieces: Pieces) -> None:
    whole, cut = pieces.encode([GENES[0]], "tidy", 512)[0], pieces.encode([GENES[0]], "tidy", 10)[0]
    assert cut.tolist() == [*whole[:9].tolist(), 2]


def test_ambiguous_letters_are_never_unknown_unless_asked_for(pieces: Pieces) -> None:
    gene = GENES[0][:30] + "N" + GENES[0][31:60] + "RYSWKMBDHV" + GENES[0][70:]
    assert 0 not in pieces.encode([gene], "tidy", 512)[0]
    assert np.count_nonzero(pieces.encode([gene], "published", 512)[0] == 0) == 11


@given(st.text("ACGTRYSWKMBDHVN", max_size=60))
def test_each_letter_becomes_a_base_that_it_stands_for(text: str) -> None:
    bases = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
             "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"}  # fmt: skip
    if "N" * 10 not in text:
        read = tidy(text)
        assert len(read) == len(text)
        assert all(base in bases[letter] for base, letter in zip(read, text, strict=True))


def test_mates_joined_by_ns_read_as_what_they_hold() -> None:
    assert tidy("ACGT" + "N" * 10 + "TTGA") == "ACGTTTGA"


def test_single_bases_are_numbers_and_anything_else_is_none() -> None:
    rows = Bases().encode(["ACGTacgtuUN-R", "A" * 50], "published", 20)
    assert rows[0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 3, 3, 4, 4, 4]
    assert len(rows[1]) == 20


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"version": "1.0", "model": {"type": "BPE"}}'])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        Pieces.from_file(tmp_path)


def test_a_tokenizer_without_special_tokens_is_refused() -> None:
    import tokenizers

    bare = tokenizers.Tokenizer(tokenizers.models.BPE()).to_str()
    with pytest.raises(UserError, match="lacks"):
        Pieces(bare)


def test_the_true_tokenizer_reads_as_its_publishers_do(shared_data: Path) -> None:
    pieces = Pieces.from_file(shared_data / "data" / "dnabert2-tokenizer" / "tokenizer.json")
    assert pieces.encode(["ACGTN"], "published", 512)[0].tolist() == [1, 5, 6, 1049, 0, 2]
    kit = np.load(shared_data / "parity" / "deeptaxa" / "hybrid.npz")
    from linnet.records import read

    reads = list(read(shared_data / "parity" / "deeptaxa" / "queries.fasta", alphabet="raw"))
    for ids, real, row in zip(
        kit["input_ids"], kit["mask_sum"], pieces.encode([r.sequence for r in reads], "published", 512), strict=True
    ):
        assert row.tolist() == ids[: int(real)].tolist()
