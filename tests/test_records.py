from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tracemalloc
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import UserError
from linnet.records import SequenceRecord, read, reverse_complement

FASTA = b">a first one\nACGT\nacgu\n>b\n\n>c\nNNRY\n"
EXPECTED = [
    SequenceRecord("a", "ACGTACGT", "first one"),
    SequenceRecord("b", ""),
    SequenceRecord("c", "NNRY"),
]
FASTQ = b"@a first one\nACGT\n+\nIIII\n@b\nGG\n+\n!I\n"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_every_compression_is_told_by_content(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "reads"
    path.write_bytes(compress(FASTA))
    assert list(read(path)) == EXPECTED


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress])
def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, compress) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(compress(FASTA))))
    assert list(read("-")) == EXPECTED


def test_fastq_keeps_qualities(tmp_path: Path) -> None:
    path = tmp_path / "r.fastq"
    path.write_bytes(FASTQ)
    assert list(read(path)) == [
        SequenceRecord("a", "ACGT", "first one", "IIII"),
        SequenceRecord("b", "GG", "", "!I"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        FASTA.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + FASTA,
        b"\n\n" + FASTA,
        FASTA.rstrip(b"\n"),
        b";old comment\n" + FASTA,
        FASTA.replace(b"ACGT\nacgu", b"AC-GT...\n a c g u"),
    ],
    ids=["CRLF", "BOM", "leading blank lines", "no last newline", "comment", "gaps and blanks"],
)
def test_harmless_variations_read_alike(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.fa"
    path.write_bytes(content)
    assert list(read(path)) == EXPECTED


@pytest.mark.parametrize(("raw", "id"), [("naïve".encode(), "naïve"), ("naïve".encode("latin-1"), "naïve")])
def test_headers_outside_ascii_are_read(tmp_path: Path, raw: bytes, id: str) -> None:
    path = tmp_path / "r.fa"
    path.write_bytes(b">" + raw + b" x\nACGT\n")
    assert [r.id for r in read(path)] == [id]


def test_repeated_ids_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.fa"
    path.write_text(">a\nA\n>a\nC\n")
    assert [(r.id, r.sequence) for r in read(path)] == [("a", "A"), ("a", "C")]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "r.fa"
    path.write_bytes(b"")
    assert list(read(path)) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x42\x41\x4d\x01", r"r\.fa, line 1: begins with 'B'. Expected FASTA"),
        (b">a\nACGT\n>\nACGT\n", r"r\.fa, line 3: a header without an id"),
        (b">p1 protein\nMKVLLAEFW\n", r"r\.fa, line 1: record 'p1' has 'E', 'F', 'L'.*looks like a protein"),
        (b">a\nACGT\n>b\nACGT!ACGTACGTACGTACGT\n", r"r\.fa, line 3: record 'b' has '!', 1 of 21 letters.*Mend or remove"),
        (b"@a\nACGT\n+\nIII\n", r"r\.fa, line 4: Length of sequence and qualities differ.*cut short"),
        (b">a\rACGT\r>b\rGG\r", r"r\.fa, line 1: carriage returns within a line"),
        (b"@a\nACGT\n+\n", r"r\.fa, line 4.*cut short"),
        ("@ñ\nACGT\n+\nIIII\n".encode(), r"r\.fa.*Non-ASCII.*FASTA"),
    ],
)  # fmt: skip
def test_a_bad_record_names_file_place_and_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.fa"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read(path))


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("content", [FASTA * 2000, FASTQ * 2000], ids=["fasta", "fastq"])
def test_a_truncated_archive_is_an_error(tmp_path: Path, compress, content: bytes) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "r.gz"
    whole = compress(content)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(UserError, match=r"r\.gz.*ends or breaks after record \d+"):
        list(read(path))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        list(read(tmp_path / "none.fa"))
    with pytest.raises(UserError, match=r"Is a directory"):
        list(read(tmp_path))


@given(st.lists(st.tuples(st.from_regex(r"[!-~]{1,8}", fullmatch=True), st.text("ACGTN", max_size=80)), max_size=20),
       st.integers(1, 20))  # fmt: skip
def test_wrapped_fasta_is_read_back(rows: list[tuple[str, str]], width: int) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".fa") as file:
        for id, sequence in rows:
            lines = [sequence[i : i + width] for i in range(0, len(sequence), width)]
            file.write(("\n".join([f">{id}", *lines]) + "\n").encode())
        file.flush()
        assert [(r.id, r.sequence) for r in read(file.name)] == rows


@given(st.text("ACGTRYKMSWBDHVN"))
def test_reversing_twice_changes_nothing(sequence: str) -> None:
    assert reverse_complement(reverse_complement(sequence)) == sequence


def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    path = tmp_path / "r.fa"

    def peak(records: int) -> int:
        path.write_text(">a\n" + "\n>a\n".join(["ACGT" * 100] * records))
        tracemalloc.start()
        for _ in read(path):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(20_000) < peak(2_000) + 500_000
