"""NCBI's taxdump, and other taxonomies published in its format (GTDB's, ICTV's), read into a `Taxonomy`.

A table is read a block of lines at a time, and each step is done for all rows of the block at once: a dump of
millions of taxa takes seconds.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray
from xopen import xopen

from linnet.errors import UserError
from linnet.strings import StringArray
from linnet.taxonomy import Taxonomy

BROKEN: tuple[type[Exception], ...] = (OSError, EOFError, tarfile.TarError, zlib.error, LZMAError)
try:  # xopen brings isal only to the machines it is built for
    from isal.igzip_lib import IsalError

    BROKEN += (IsalError,)  # type: ignore[operator]  # its stub takes the class for an instance
except ImportError:
    pass

COLUMNS = {
    "nodes.dmp": ("taxid", "parent", "rank"),
    "names.dmp": ("taxid", "name", "unique name", "name class"),
    "merged.dmp": ("old taxid", "new taxid"),
    "delnodes.dmp": ("taxid",),
}
"""The tables that are read, and the columns each must have; NCBI's nodes.dmp has ten more."""

NUMBERS = {"nodes.dmp": 2, "names.dmp": 1, "merged.dmp": 2, "delnodes.dmp": 1}
"""How many columns, the first ones, hold taxids."""

BLOCK = 1 << 22  # bytes; with larger blocks, what is made of them no longer fits the processor's caches
DIGITS = 18  # the longest number that is sure to fit int64
TAB, NEWLINE, RETURN, BAR = b"\t\n\r|"
WANTED = "a folder with nodes.dmp and names.dmp, or a taxdump.tar.gz that holds them"
AGAIN = "It may be cut short or edited: fetch the taxdump again."


def read_taxdump(path: Path) -> Taxonomy:
    """Read a taxdump: a folder, or a tar archive (compressed or not), of which nothing is written to disk.

    nodes.dmp and names.dmp must be there; merged.dmp and delnodes.dmp may be. A taxon is called by its
    scientific name, or by its taxid where it has none. A merged taxid stands for the live taxon at the end of
    its chain of mergers, or for nothing (0) where there is none. A taxid in nodes.dmp is live, whatever the
    other tables say.

    Raises:
        UserError: not a taxdump, or one that is incomplete, cut short or contradicts itself.
    """
    tables = _from_folder(path) if path.is_dir() else _from_archive(path)
    for name in ("nodes.dmp", "names.dmp"):
        if name not in tables:
            raise UserError(f"there is no {name}", where=str(path), expected=WANTED)
    nodes = tables["nodes.dmp"]
    taxids, parent_ids = nodes.numbers
    live = _Index(nodes)
    parents = live.find(parent_ids)
    if len(orphans := np.flatnonzero(parents < 0)):
        row = int(orphans[0])
        raise UserError(
            f"taxid {taxids[row]} has the parent {parent_ids[row]}, which has no line of its own",
            where=nodes.at(row),
            expected="every parent to be a taxid of the same file",
            remedy=AGAIN,
        )
    names = _names_of(taxids, tables["names.dmp"])
    retired = _retired(tables.get("merged.dmp"), tables.get("delnodes.dmp"), live)
    try:
        return Taxonomy.from_parents(parents, names, (nodes.codes, nodes.words), taxids, retired)
    except UserError as e:  # no root or several, or a circle
        raise UserError(e.found, where=nodes.where, expected=e.expected, remedy=AGAIN) from None


# ---------------------------------------------------------------------- files


def _from_folder(folder: Path) -> dict[str, _Table]:
    tables = {}
    for name in COLUMNS:
        if (folder / name).is_file():
            with (folder / name).open("rb") as stream:
                tables[name] = _read_table(name, str(folder / name), stream)
    return tables


def _from_archive(path: Path) -> dict[str, _Table]:
    """The tables among the plain files of an archive, by base name; nothing else in it is looked at."""
    if not path.exists():
        raise UserError("there is no such file or folder", where=str(path), expected=WANTED)
    tables: dict[str, _Table] = {}
    try:
        with (
            xopen(path, "rb", threads=0) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive,
        ):
            for member in archive:
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if member.isreg() and name in COLUMNS else None
                if content is None:
                    continue
                if name in tables:
                    raise UserError(
                        f"it holds a second {name}, '{member.name}'",
                        where=str(path),
                        expected="one taxdump in an archive",
                        remedy="Unpack it and give the folder of one of them.",
                    )
                tables[name] = _read_table(name, f"{path}: {member.name}", content)
    except BROKEN as e:
        found = f"it cannot be read as a tar archive ({e})"
        raise UserError(found, where=str(path), expected=WANTED, remedy=AGAIN) from None
    return tables


# ---------------------------------------------------------------------- tables


@dataclass(frozen=True)
class _Table:
    """What is kept of a table, R rows.

    Attributes:
        where: the file, for messages.
        lines: int64 (R,), the line each row stands on, from 1.
        numbers: int64 (columns of taxids, R).
        codes: of nodes.dmp, int16 (R,), the rank of each node, an index into `words`.
        names: of names.dmp, which keeps only the rows with a scientific name.
    """

    where: str
    lines: NDArray[np.int64]
    numbers: NDArray[np.int64]
    codes: NDArray[np.int16]
    words: tuple[str, ...]
    names: StringArray

    def at(self, row: int) -> str:
        return f"{self.where}, line {self.lines[row]}"


def _read_table(name: str, where: str, stream: IO[bytes]) -> _Table:
    words: dict[bytes, int] = {}
    lines, numbers = [np.empty(0, np.int64)], [np.empty((NUMBERS[name], 0), np.int64)]
    codes, names = [np.empty(0, np.int16)], [StringArray.of(())]
    for block in _blocks(name, where, stream):
        rows = np.arange(len(block.edges))
        if name == "names.dmp":
            rows = rows[block.equal(3, b"scientific name", rows)]
            names.append(block.strings(1, rows))
        elif name == "nodes.dmp":
            codes.append(block.codes(2, words))
        numbers.append(np.stack([block.numbers(column, rows) for column in range(NUMBERS[name])]))
        lines.append(block.line + rows)
    if len(lines) == 1 and name in ("nodes.dmp", "names.dmp"):
        raise UserError("the file is empty", where=where, expected=f"rows of {name}", remedy=AGAIN)
    ranks = tuple(word.decode(errors="replace") for word in words)
    joined = np.concatenate(numbers, axis=1)
    return _Table(where, np.concatenate(lines), joined, np.concatenate(codes), ranks, _joined(names))


def _blocks(name: str, where: str, stream: IO[bytes]) -> Iterator[_Block]:
    """A table in blocks of whole rows that are in the format."""
    line, columns, least = 1, 0, len(COLUMNS[name])
    for text in _pieces(stream):
        if text.strip() == b"#" and line == 1 and name in ("merged.dmp", "delnodes.dmp"):  # as GTDB's say "none"
            return
        columns = columns or max(least, (text[: text.find(b"\n")].count(b"\t") + 1) // 2)
        data = np.frombuffer(b"".join((b"\n", text, bytes(DIGITS))), np.uint8)
        marks = np.flatnonzero(data - TAB < 2)  # tabs and newlines, which are 9 and 10
        rows = int(np.count_nonzero(data == NEWLINE)) - 1
        whole = len(marks) == rows * 2 * columns + 1
        block = _Block(where, line, data, marks[:-1].reshape(rows, -1) if whole else marks[:0])
        if not whole or not block.well_formed(least, int(marks[-1])):
            raise _not_a_row(name, where, line, columns, text)
        yield block
        line += rows


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a stream in pieces that end with a line; one that is too long to be a row is the last."""
    rest = b""
    while len(rest) < BLOCK and (read := stream.read(BLOCK)):
        cut = read.rfind(b"\n") + 1
        if cut:
            yield rest + read[:cut]
            rest = b""
        rest += read[cut:]
    if rest:
        yield rest + b"\n"


def _not_a_row(name: str, where: str, line: int, columns: int, text: bytes) -> UserError:
    """The error that shows the first of these lines that is not in the format."""
    for row in (line.removesuffix(b"\r") for line in text.split(b"\n")):
        fields = row[:-2].split(b"\t|\t")
        if not row.endswith(b"\t|") or len(fields) != columns or row.count(b"\t") != 2 * columns - 1:
            break
        line += 1
    more = "" if columns == len(COLUMNS[name]) else ", ..."
    return UserError(
        f"'{_shown(row)}' is not a row of {name}",
        where=f"{where}, line {line}",
        expected=f"{columns} fields ({', '.join(COLUMNS[name])}{more}), each ended by a tab and a bar, "
        "and a tab before each but the first",
        remedy=AGAIN,
    )


@dataclass(frozen=True)
class _Block:
    """R whole rows of a table.

    Attributes:
        where: the file, for messages.
        line: the line of the first row, from 1.
        data: uint8; a newline, the rows, and as many zeros as a number may have digits, so that looking that
            far ahead stays inside.
        edges: int64 (R, 2 * columns); field k of row r is `data[edges[r, 2 * k] + 1 : edges[r, 2 * k + 1]]`.
    """

    where: str
    line: int
    data: NDArray[np.uint8]
    edges: NDArray[np.int64]

    def well_formed(self, columns: int, end: int) -> bool:
        """Whether bars and newlines are where they belong, at least around the first columns."""
        data, edges = self.data, self.edges
        last, inner = edges[:, -1], edges[:, 1 : 2 * columns - 1 : 2]
        to_newline = np.append(edges[1:, 0], end) - last
        closed = (to_newline == 2) | ((to_newline == 3) & (data[last + 2] == RETURN))
        return bool(
            np.all(data[edges[:, 0]] == NEWLINE)
            and np.all(edges[:, 2 : 2 * columns : 2] - inner == 2)
            and np.all(data[inner + 1] == BAR)
            and np.all(data[last + 1] == BAR)
            and np.all(closed)
        )

    def field(self, column: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where a field starts and ends in `data`."""
        return self.edges[rows, 2 * column] + 1, self.edges[rows, 2 * column + 1]

    def equal(self, column: int, word: bytes, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the field is `word`."""
        start, end = self.field(column, rows)
        same: NDArray[np.bool_] = end - start == len(word)
        width = len(word) + 1  # with the tab that ends the field: never nothing, never past the end
        windows = np.ndarray((len(self.data) - width + 1,), f"S{width}", self.data, strides=(1,))
        same[same] = windows[start[same]] == word + b"\t"
        return same

    def numbers(self, column: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """A column of taxids."""
        start, end = self.field(column, rows)
        length = end - start
        right = (length > 0) & (length <= DIGITS)
        value = np.zeros(len(rows), np.int64)
        for k in range(min(int(length.max(initial=0)), DIGITS)):
            digit = self.data[start + k] - np.uint8(ord("0"))
            inside = k < length
            right &= (digit < 10) | ~inside
            value = np.where(inside, value * 10 + digit, value)
        right &= value > 0
        if not right.all():
            row = int(np.argmin(right))
            found = f"'{_shown(self.data[start[row] : end[row]].tobytes())}' is not a taxid"
            raise self.error(rows[row], found, f"a whole number from 1 up, of at most {DIGITS} digits")
        return value

    def codes(self, column: int, words: dict[bytes, int]) -> NDArray[np.int16]:
        """A column of few different words, as indices into `words`, which grows by the new ones."""
        left = np.arange(len(self.edges))
        start, end = self.field(column, left)
        codes = np.full(len(left), -1, np.int16)
        while len(left):  # a round for each word: a dump has some fifty ranks, and most taxa are species
            row = left[0]
            word = self.data[start[row] : end[row]].tobytes()
            code = words.setdefault(word, len(words))
            if code >= 255:
                raise self.error(row, f"'{_shown(word)}' is the 256th different rank", "at most 255")
            codes[left[self.equal(column, word, left)]] = code
            left = left[codes[left] < 0]
        return codes

    def strings(self, column: int, rows: NDArray[np.int64]) -> StringArray:
        """A column of text."""
        edges = np.stack(self.field(column, rows), axis=1).ravel()
        texts = StringArray(self.data, edges).take(np.arange(0, len(edges), 2))  # the odd ones are gaps
        beyond_ascii = np.searchsorted(texts.offsets, np.flatnonzero(texts.data > 127), "right") - 1
        for i in np.unique(beyond_ascii).tolist():
            text = texts.data[texts.offsets[i] : texts.offsets[i + 1]].tobytes()
            try:
                text.decode()
            except UnicodeDecodeError:
                raise self.error(rows[i], f"'{_shown(text)}' is not UTF-8", "names in UTF-8") from None
        return texts

    def error(self, row: int, found: str, expected: str) -> UserError:
        where = f"{self.where}, line {self.line + row}"
        return UserError(found, where=where, expected=expected, remedy=AGAIN)


def _shown(text: bytes) -> str:
    """Bytes of a file, fit for a message."""
    shown = text[:100].decode(errors="backslashreplace").replace("\t", "\\t")
    return shown if len(text) <= 100 else shown + "..."


def _joined(parts: list[StringArray]) -> StringArray:
    ends = np.cumsum([0, *(len(part.data) for part in parts)])
    offsets = [part.offsets[1:] + end for part, end in zip(parts, ends.tolist(), strict=False)]
    return StringArray(np.concatenate([p.data for p in parts]), np.concatenate([ends[:1], *offsets]))


# ---------------------------------------------------------------------- between tables


class _Index:
    """Where taxids stand in the first column of a table, each once."""

    def __init__(self, table: _Table) -> None:
        taxids = table.numbers[0]
        order = np.argsort(taxids, kind="stable")
        ordered = taxids[order]
        if len(doubled := np.flatnonzero(ordered[1:] == ordered[:-1])):
            first, second = order[doubled[0] : doubled[0] + 2].tolist()
            raise UserError(
                f"taxid {taxids[first]} stands here again, after line {table.lines[first]}",
                where=table.at(second),
                expected="one scientific name for a taxid" if len(table.names) else "one line for a taxid",
                remedy=AGAIN,
            )
        self._order, self._ordered = np.append(order, -1), np.append(ordered, -1)  # -1: beyond the last

    def find(self, taxids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each taxid, -1 where there is none."""
        ascending = np.argsort(taxids)  # millions of searches in no order would wait for memory each time
        wanted = taxids[ascending]
        at = np.searchsorted(self._ordered[:-1], wanted)
        rows = np.empty(len(taxids), np.int64)
        rows[ascending] = np.where(self._ordered[at] == wanted, self._order[at], -1)
        return rows


def _names_of(taxids: NDArray[np.int64], names: _Table) -> StringArray:
    """The name of each taxid: the scientific one, or the taxid in digits."""
    if np.array_equal(names.numbers[0], taxids):  # as in NCBI's dumps, both in order of taxid
        return names.names
    row = _Index(names).find(taxids)
    nameless = np.flatnonzero(row < 0)
    row[nameless] = len(names.names) + np.arange(len(nameless))
    return _joined([names.names, StringArray.of(map(str, taxids[nameless].tolist()))]).take(row)


def _retired(merged: _Table | None, deleted: _Table | None, live: _Index) -> dict[int, int]:
    """What became of taxids that are no longer in use: the live taxid they were merged into, or 0."""
    retired: dict[int, int] = {}
    if deleted:
        old = deleted.numbers[0]
        retired = dict.fromkeys(old[live.find(old) < 0].tolist(), 0)
    if merged:
        mergers = _Index(merged)
        old, new = merged.numbers
        for _ in range(len(old).bit_length()):  # each round doubles how far along its chain a taxid is
            onward = np.where(live.find(new) < 0, mergers.find(new), -1)
            if onward.max(initial=-1) < 0:
                break
            new = np.where(onward < 0, new, new[onward])
        new = np.where(live.find(new) < 0, 0, new)
        gone = live.find(old) < 0
        retired |= zip(old[gone].tolist(), new[gone].tolist(), strict=True)
    return retired
