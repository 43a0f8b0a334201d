"""Opening what a user names: every way in which that can fail, said in a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from xopen import xopen

from linnet.errors import UserError


@contextmanager
def open_text(path: str | Path, expected: str) -> Iterator[TextIO]:
    """A text file to read, plain or compressed.

    Args:
        expected: what the file should hold, for the message when it does not.

    Raises:
        UserError: it cannot be opened, is not text, or its compressed data ends early.
    """
    try:
        with xopen(path, "rt", encoding="utf-8-sig", newline="", threads=0) as file:
            yield file
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise UserError("not text", where=str(path), expected=expected) from error
    except Exception as error:
        raise_readable(error, str(path))


def sha256(path: Path) -> str:
    """Digest of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise_readable(error, str(path))
        raise


def names_of(paths: Sequence[Path], reserved: str = "") -> list[str]:
    """What to call each table: its file's name where that tells them apart, and is not reserved."""
    names = [path.name for path in paths]
    if len(set(names)) < len(names) or reserved in names:
        names = [f"{number}: {path.parent.name}/{path.name}" for number, path in enumerate(paths, 1)]
    return names


def read_groups(path: Path) -> dict[str, str]:
    """Groups by record id, from a table 'id TAB group'."""
    groups: dict[str, str] = {}
    with open_text(path, "id<TAB>group") as file:
        for number, line in enumerate(file, 1):
            id, tab, group = line.rstrip("\r\n").partition("\t")
            if not tab:
                raise UserError(f"one cell: {line[:40]!r}", where=f"{path}, line {number}", expected="id<TAB>group")
            if groups.setdefault(id, group) != group:
                raise UserError(
                    f"'{id}' is in '{groups[id]}' and in '{group}'", where=f"{path}, line {number}",
                    expected="one group for each id",
                )  # fmt: skip
    return groups


def raise_readable(error: Exception, where: str, place: str = "") -> None:
    """Turn what goes wrong in opening or decompressing a file into a `UserError`; anything else goes on."""
    if isinstance(error, FileNotFoundError):
        raise UserError("no such file", where=where, remedy="Check the path.") from error
    if isinstance(error, IsADirectoryError | PermissionError | NotADirectoryError):
        raise UserError(str(error.strerror), where=where) from error
    # Each decompressor has its own class of error; what they share is little more than their names.
    broken = ("error", "isalerror", "zstderror", "lzmaerror", "badgzipfile")
    if isinstance(error, EOFError | OSError) or type(error).__name__.lower() in broken:
        raise UserError(
            f"the compressed data ends or breaks{place} ({error})",
            where=where,
            remedy="Copy or download the file again; 'gzip -t' (or 'zstd -t') tests it.",
        ) from error
    raise error
