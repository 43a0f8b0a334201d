"""Taxids of accessions: NCBI's prot.accession2taxid, of which few rows are wanted, and plain tables.

The file is read a block of lines at a time. Which rows of a block may be wanted is told for all of them at once,
by a hash of the accession; only those are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from xopen import xopen

from linnet.errors import UserError
from linnet.inputs import raise_readable

BLOCK = 1 << 22  # bytes; with larger blocks, what is made of them no longer fits the processor's caches
LONGEST = 1 << 24  # bytes of a line
DIGITS = 18  # the longest number that is sure to fit int64
WORDS = 3  # of 8 bytes, as far as an accession is hashed
TAB, NEWLINE, DOT = b"\t\n."
EXPECTED = (
    "NCBI's prot.accession2taxid (accession, accession.version, taxid, gi) or its FULL form (accession.version, "
    "taxid), or two columns, id and taxid, with tabs between"
)
_DATABASES = frozenset(["sp", "tr", "ref", "gb", "emb", "dbj", "pir", "prf", "tpg", "tpe", "tpd", "lcl"])
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # the first n bytes of a little-endian word
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)  # odd, bits well mixed


def unversioned(accession: str) -> str:
    """An accession without its version: WP_003403669 for WP_003403669.1."""
    base, dot, version = accession.rpartition(".")
    return base if dot and len(version) <= 3 and version.isdigit() and version.isascii() else accession


def accession(id: str) -> str:
    """The accession in the id of a FASTA header.

    P12345 of `sp|P12345|NAME_ECOLI`, NP_1.1 of `gi|16|ref|NP_1.1|`, 1A02_F of `pdb|1A02|F`; any other id as it is,
    UniRef's too, which names a cluster.
    """
    parts = id.split("|")
    if parts[0] == "gi" and len(parts) > 3:
        parts = parts[2:]
    if parts[0] in _DATABASES and len(parts) > 1 and parts[1]:
        return parts[1]
    if parts[0] == "pdb" and len(parts) > 2:
        return f"{parts[1]}_{parts[2]}"
    return id


def read_accessions(path: str | Path, wanted: Collection[str] | None) -> dict[str, int]:
    """The taxid of each wanted accession that a table has one for.

    A row answers for an id that equals its own, or that lacks the version or has one where the row's does not; a
    row of NCBI's also for another version. The very id comes before any other, then the first row. Rows with
    taxid 0, NCBI's sign for none, are passed over. Columns other than these are not checked, nor are the taxids of
    rows that nobody asked for. Memory grows with the wanted ids (some 400 bytes each), not with the rows.

    Args:
        path: prot.accession2taxid or its FULL form as NCBI has them, or `id<TAB>taxid` with or without a header;
            plain or compressed.
        wanted: accessions with or without versions; None: every row by its id, NCBI's also without the version.

    Returns:
        taxids by the ids as they were wanted; those not found are left out.

    Raises:
        UserError: no such file, another kind of file, or one cut short; a row that does not fit (named); one id
            with two taxids.
    """
    kept = _Kept(str(path), wanted)
    try:
        with xopen(path, "rb", threads=0) as stream:
            kept.read(stream)
    except UserError:
        raise
    except Exception as error:
        raise_readable(error, str(path))
    return kept.taxids


@dataclass(frozen=True)
class _Layout:
    """Which of how many columns hold the id and the taxid; whether versions are NCBI's; whether line 1 is a header."""

    columns: int
    id: int
    taxid: int
    versions: bool
    header: bool


def _layout(first: bytes, where: str) -> _Layout:
    cells = [cell.strip().lower() for cell in first.decode(errors="replace").split("\t")]
    if "accession.version" in cells and "taxid" in cells:
        return _Layout(len(cells), cells.index("accession.version"), cells.index("taxid"), True, True)
    if len(cells) != 2:
        found = f"{len(cells)} column{'s' * (len(cells) > 1)}: '{_shown(first)}'"
        raise UserError(found, where=f"{where}, line 1", expected=EXPECTED)
    return _Layout(2, 0, 1, False, "tax" in cells[1] or "organism" in cells[1])


class _Kept:
    """The wanted ids and what is known of them so far."""

    def __init__(self, where: str, wanted: Collection[str] | None) -> None:
        self.where = where
        self.taxids: dict[str, int] = {}
        self._loose: set[str] = set()  # known from another version only
        self._wanted: dict[bytes, tuple[str, ...]] | None = None  # by the accession without its version
        self._sieve = np.zeros(0, np.bool_)
        if wanted is not None:
            self._wanted = {}
            for id in wanted:
                base = unversioned(id).encode()
                others = self._wanted.get(base)
                self._wanted[base] = (*others, id) if others else (id,)
            self._sieve = _sieve(self._wanted)

    def read(self, stream: IO[bytes]) -> None:
        line, layout = 1, None
        for piece in _pieces(stream, self.where):
            if layout is None:
                piece = piece.removeprefix(b"\xef\xbb\xbf")
                layout = _layout(piece[: piece.find(b"\n")].rstrip(b"\r"), self.where)
                if layout.header:
                    line, piece = 2, piece[piece.find(b"\n") + 1 :]
            for row, id, base, taxid in self._rows(piece, layout, line):
                if self._wanted is None or base in self._wanted:
                    self._take(row, id, base, taxid.rstrip(b"\r"), layout.versions)
            line += piece.count(b"\n")
        if layout is None:
            raise UserError("the file is empty", where=self.where, expected=EXPECTED)

    def _take(self, line: int, id_bytes: bytes, base_bytes: bytes, digits: bytes, versions: bool) -> None:
        if not digits.isdigit() or len(digits) > DIGITS:
            found, expected = f"'{_shown(digits)}' is not a taxid", f"a whole number of at most {DIGITS} digits"
            raise UserError(found, where=f"{self.where}, line {line}", expected=expected)
        taxid = int(digits)
        if not taxid:
            return
        id, base = id_bytes.decode(errors="replace"), base_bytes.decode(errors="replace")
        if self._wanted is None:
            asking: tuple[str, ...] = (id, base) if versions and id != base else (id,)
        else:
            asking = self._wanted[base_bytes]
        for one in asking:
            if one == id:
                if self.taxids.get(one, taxid) != taxid and one not in self._loose:
                    found = f"'{id}' has taxid {taxid} here and {self.taxids[one]} further up"
                    raise UserError(found, where=f"{self.where}, line {line}", expected="one taxid for each accession")
                self.taxids[one] = taxid
                self._loose.discard(one)
            elif one not in self.taxids and (versions or one == base or id == base):
                self.taxids[one] = taxid
                self._loose.add(one)

    def _rows(self, piece: bytes, layout: _Layout, line: int) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        """Of the rows that may be wanted, line, id, id without version, taxid."""
        data = np.frombuffer(piece + bytes(8 * WORDS), np.uint8)
        marks = np.flatnonzero(data - TAB < 2)  # tabs and newlines, which are 9 and 10
        if len(marks) % layout.columns or not len(marks):
            yield from self._by_line(piece, layout, line)
            return
        edges = marks.reshape(-1, layout.columns)  # where each cell ends
        newline = data[edges] == NEWLINE
        if not newline[:, -1].all() or newline[:, :-1].any():
            yield from self._by_line(piece, layout, line)
            return
        starts = np.concatenate([np.zeros(1, np.int64), marks[:-1] + 1]).reshape(edges.shape)
        start, end = starts[:, layout.id], edges[:, layout.id]
        base = _base_ends(data, start, end)
        rows = np.arange(len(edges))
        if self._wanted is not None:
            rows = np.flatnonzero(self._sieve[_slots(_hashes(data, start, base), len(self._sieve))])
        places = (rows, start[rows], end[rows], base[rows], starts[rows, layout.taxid], edges[rows, layout.taxid])
        for row, a, b, c, d, e in zip(*(place.tolist() for place in places), strict=True):
            yield line + row, piece[a:b], piece[a:c], piece[d:e]

    def _by_line(self, piece: bytes, layout: _Layout, line: int) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        """The same, of a block with blank lines in it, or with a row that does not fit."""
        for number, text in enumerate(piece.split(b"\n"), line):
            if not text.strip():
                continue
            cells = text.split(b"\t")
            if len(cells) != layout.columns:
                found = f"{len(cells)} column{'s' * (len(cells) > 1)}: '{_shown(text)}'"
                where, expected = f"{self.where}, line {number}", f"{layout.columns} columns, as on line 1"
                remedy = "The file may be cut short: fetch it again."
                raise UserError(found, where=where, expected=expected, remedy=remedy)
            id = cells[layout.id]
            yield number, id, unversioned(id.decode("latin-1")).encode("latin-1"), cells[layout.taxid]


def _pieces(stream: IO[bytes], where: str) -> Iterator[bytes]:
    """The bytes of a stream in pieces of whole lines."""
    rest = b""
    while read := stream.read(BLOCK):
        cut = read.rfind(b"\n") + 1
        if cut:
            yield rest + read[:cut]
            rest = read[cut:]
        else:
            rest += read
            if len(rest) > LONGEST:  # refused before all of it is in memory
                raise UserError(f"a line of more than {LONGEST:,} bytes", where=where, expected=EXPECTED)
    if rest:
        yield rest + b"\n"


def _sieve(bases: Collection[bytes]) -> NDArray[np.bool_]:
    """A table in which the slot of each of these is True: 8 to 16 slots, a byte each, for one; at most 2**30."""
    sieve = np.zeros(1 << min(max(8 * len(bases), 1).bit_length(), 30), np.bool_)
    remaining = iter(bases)
    while encoded := list(islice(remaining, 1 << 18)):
        ends = np.cumsum([len(base) for base in encoded])
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        hashes = _hashes(np.frombuffer(b"".join([*encoded, bytes(8 * WORDS)]), np.uint8), starts, ends)
        sieve[_slots(hashes, len(sieve))] = True
    return sieve


def _slots(hashes: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """The highest bits of hashes, so many that they number `size`, a power of two."""
    return hashes >> np.uint64(65 - size.bit_length())


def _base_ends(data: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the accessions end without their versions, as `unversioned` has it."""
    ends = end.copy()
    left = np.arange(len(end))
    for digits in (1, 2, 3):
        left = left[data[end[left] - digits] - np.uint8(ord("0")) < 10]
        dot = end[left] - digits - 1
        found = (dot >= start[left]) & (data[dot] == DOT)
        ends[left[found]] = dot[found]
    return ends


def _hashes(data: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of each text `data[start:end]` by its first bytes; `data` must go on for as many behind the last."""
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    hashes = np.zeros(len(start), np.uint64)
    for k in range(WORDS):
        inside = np.clip(end - start - 8 * k, 0, 8)
        hashes += (words[start + 8 * k] & _MASKS[inside]) * _FACTORS[k]
    hashes ^= hashes >> np.uint64(29)
    hashes *= _FACTORS[0]
    return hashes


def _shown(text: bytes) -> str:
    """Bytes of a file, fit for a message."""
    shown = text[:80].decode(errors="backslashreplace").replace("\t", "\\t")
    return shown if len(text) <= 80 else shown + "..."
