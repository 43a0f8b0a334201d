"""Sequence records, read one at a time from FASTA and FASTQ, plain or compressed."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import dnaio
from xopen import xopen

from linnet.errors import UserError
from linnet.inputs import raise_readable

Alphabet = Literal["dna", "protein", "raw"]
"""What letters mean; `raw` keeps nucleotides as they are written, for models that were trained so."""

_TIDY = {
    "dna": bytes.maketrans(b"abcdefghijklmnopqrstuvwxyzUX", b"ABCDEFGHIJKLMNOPQRSTTVWNYZTN"),
    "protein": bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "raw": None,
}
_LETTERS = {"dna": b"ACGTRYKMSWBDHVN", "protein": b"ACDEFGHIKLMNPQRSTVWYBJOUXZ*", "raw": bytes(range(33, 127))}
_BLANKS = b" \t\r\n\v\f"
BASES_OF = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
"""Each nucleotide code of the IUPAC, and the bases it stands for (Cornish-Bowden 1985)."""

_COMPLEMENT = str.maketrans("ACGTRYKMSWBDHVNacgtrykmswbdhvn", "TGCAYRMKSWVHDBNtgcayrmkswvhdbn")


@dataclass(frozen=True, slots=True)
class SequenceRecord:
    """One read, gene, contig or protein.

    Attributes:
        id: the header up to the first blank.
        sequence: upper case, without gaps; nucleotides with U as T and IUPAC codes kept.
        description: the rest of the header.
        quality: Phred+33 string of FASTQ, or None.
    """

    id: str
    sequence: str
    description: str = ""
    quality: str | None = None

    @property
    def header(self) -> str:
        return f"{self.id} {self.description}".rstrip()


def reverse_complement(sequence: str) -> str:
    """The other strand, IUPAC codes included."""
    return sequence.translate(_COMPLEMENT)[::-1]


def record(id: str, sequence: str, *, alphabet: Alphabet = "dna", where: str = "") -> SequenceRecord:
    """A record from a header line and letters as a file has them.

    Gaps and blanks are dropped, lower case is raised, in nucleotides U reads as T and X as N.

    Raises:
        UserError: letters that the alphabet does not have.
    """
    return _record(id, sequence.encode("utf-8", "replace"), None, alphabet, where or f"record '{id}'")


def once(first: SequenceRecord, again: SequenceRecord, path: Path) -> None:
    """Refuse an id that comes again with another sequence.

    Raises:
        UserError: it does.
    """
    if first.sequence != again.sequence:
        raise UserError(
            f"record '{again.id}' is there twice, with different sequences", where=str(path),
            expected="one sequence for each id",
        )  # fmt: skip


def as_records(sequences: Iterable[str | SequenceRecord], alphabet: Alphabet = "dna") -> Iterator[SequenceRecord]:
    """Records as they are; plain strings become records named seq1, seq2 ..."""
    if isinstance(sequences, str):
        raise UserError("one string where a list of sequences belongs", remedy="Put it in a list: [sequence]")
    for number, item in enumerate(sequences, 1):
        yield item if isinstance(item, SequenceRecord) else record(f"seq{number}", item, alphabet=alphabet)


def read(path: str | Path, *, alphabet: Alphabet = "dna") -> Iterator[SequenceRecord]:
    """Records of a FASTA or FASTQ file, in its order, holding one at a time.

    Compression (gzip, bzip2, xz, zstd) is told by content. `-` reads standard input. An empty file has no records.

    Raises:
        UserError: no such file; neither FASTA nor FASTQ; cut short; letters that the alphabet does not have.
    """
    name = "standard input" if str(path) == "-" else str(path)
    count = 0
    try:
        with _open(path) as file:
            head = file.peek(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if head in (b">", b";", b""):
                records = _fasta(file, name, alphabet)
            elif head == b"@":
                records = _fastq(file, name, alphabet)
            else:
                raise UserError(
                    f"begins with {head.decode('latin-1')!r}",
                    where=f"{name}, line 1",
                    expected="FASTA ('>') or FASTQ ('@')",
                    remedy="Check that this is the sequence file; BAM and tables need converting first.",
                )
            for count, item in enumerate(records, 1):  # noqa: B007
                yield item
    except UserError:
        raise
    except Exception as error:
        raise_readable(error, name, f" after record {count}")


def _open(path: str | Path) -> io.BufferedReader:
    if str(path) == "-" and (sys.stdin is None or sys.stdin.closed):
        raise UserError("standard input is closed", where="-", remedy="Pipe a file into it, once.")
    source = sys.stdin.buffer if str(path) == "-" else path
    return io.BufferedReader(xopen(source, "rb", threads=0), 1 << 18)  # type: ignore[arg-type]


def _fasta(file: BinaryIO, name: str, alphabet: Alphabet) -> Iterator[SequenceRecord]:
    header: str | None = None
    lines: list[bytes] = []
    start = 0
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in line.rstrip(b"\r\n"):
            raise UserError(
                "carriage returns within a line",
                where=f"{name}, line {number}",
                expected="lines that end as on Linux, Windows or macOS",
                remedy="For files of the classic Mac: tr '\\r' '\\n' < old > new",
            )
        if line[:1] == b">":
            if header is not None:
                yield _record(header, b"".join(lines), None, alphabet, f"{name}, line {start}")
            header, lines, start = _text(line[1:]), [], number
        elif header is not None:
            lines.append(line)
        elif line.strip() and line[:1] != b";":
            raise UserError(
                f"sequence before the first header: {_text(line)[:40]!r}",
                where=f"{name}, line {number}",
                expected="a header line beginning with '>'",
            )
    if header is not None:
        yield _record(header, b"".join(lines), None, alphabet, f"{name}, line {start}")


def _fastq(file: BinaryIO, name: str, alphabet: Alphabet) -> Iterator[SequenceRecord]:
    number = 0
    try:
        with dnaio.open(file, fileformat="fastq") as reader:
            for number, read_ in enumerate(reader, 1):
                where = f"{name}, record {number}"
                yield _record(read_.name, read_.sequence.encode(), read_.qualities, alphabet, where)
    except dnaio.FastqFormatError as error:
        place = f"line {error.line + 1}" if error.line is not None else f"after record {number}"
        ascii_only = "ASCII" in error.message
        remedy = (
            "Rename the reads, or convert the file to FASTA, where such headers are read."
            if ascii_only
            else "The file may be cut short; copy or download it again."
        )
        raise UserError(error.message.rstrip("."), where=f"{name}, {place}", remedy=remedy) from error


def _record(header: str, letters: bytes, quality: str | None, alphabet: Alphabet, where: str) -> SequenceRecord:
    id, _, description = header.strip().partition(" ") if "\t" not in header else _split_blank(header)
    if not id:
        raise UserError("a header without an id", where=where, expected="'>id description'")
    sequence = letters.translate(_TIDY[alphabet], _BLANKS if alphabet == "raw" else b"-." + _BLANKS)
    strange = sequence.translate(None, _LETTERS[alphabet])
    if strange:
        raise _wrong_letters(id, sequence, strange, alphabet, where)
    return SequenceRecord(id, sequence.decode("ascii"), description.strip(), quality)


def _split_blank(header: str) -> tuple[str, str, str]:
    id, *rest = header.strip().split(None, 1)
    return id, " ", rest[0] if rest else ""


def _wrong_letters(id: str, sequence: bytes, strange: bytes, alphabet: Alphabet, where: str) -> UserError:
    found = ", ".join(repr(chr(c)) for c in sorted(set(strange))[:8])
    share = len(strange) / len(sequence)
    remedy = "Mend or remove the record."
    if alphabet == "dna" and share > 0.1 and not sequence.translate(None, _LETTERS["protein"]):
        remedy = "This looks like a protein; this model reads nucleotides. Use a protein model, or give the gene."
    return UserError(
        f"record '{id}' has {found}, {len(strange)} of {len(sequence)} letters",
        where=where,
        expected="amino acids" if alphabet == "protein" else "nucleotides (ACGTU and IUPAC codes)",
        remedy=remedy,
    )


def _text(line: bytes) -> str:
    line = line.strip()
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
