"""Results: to standard output, or to a file that appears only when it is whole."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import TextIO, TypeVar

from xopen import xopen

from linnet import formats
from linnet.errors import UserError
from linnet.prediction import Prediction

T = TypeVar("T")


@contextmanager
def open_output(path: str | Path | None) -> Iterator[TextIO]:
    """A text file to write; None or `-` is standard output. A name ending in .gz, .zst ... is compressed.

    The file is written under a temporary name beside it and renamed at the end: an interrupted run leaves
    what was there before.

    Raises:
        UserError: the folder does not exist or cannot be written to.
    """
    if path is None or str(path) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    given = Path(path)
    path = given.resolve()  # the file that a link points to is renewed, not the link
    if path.is_dir():
        raise UserError("is a directory", where=str(path), remedy="Choose a file for --out.")
    try:
        if (given.is_absolute() and given.parts[1] in ("dev", "proc")) or (given.exists() and not given.is_file()):
            with given.open("w", encoding="utf-8", newline="") as file:  # a pipe or device: not to be renamed over
                yield file
            return
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error, path) from error
    with whole(path) as temporary, xopen(temporary, "wt", encoding="utf-8", newline="", threads=0) as file:
        yield file


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write a file under, beside `path`, which it gets when it is written to its end; else it goes away.

    Raises:
        UserError: it cannot be written.
    """
    path = path.resolve()  # the file that a link points to is renewed, not the link
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # the ending tells how to compress
    try:
        try:
            yield temporary
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error, path) from error


def _unwritable(error: OSError, path: Path) -> UserError:
    return UserError(f"cannot be written ({error.strerror})", where=str(path), remedy="Choose another --out.")


def reported(items: Iterable[T], say: Callable[[str], None]) -> Iterator[T]:
    """Pass records' results on; every few seconds say how many there were."""
    started = said = 0.0
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if count == 1:  # what came before it is start-up
            started = said = now
        elif now - said > 5:
            said = now
            say(f"{count:,} records, {count / (now - started):,.0f} a second")


def write_predictions(predictions: Iterable[Prediction], path: Path | None, format: str | None) -> None:
    """Predictions as they come, in the format asked for or the one that the file's ending asks for."""
    writer = formats.load(format or formats.for_path(path))
    with open_output(path) as file:
        rows = iter(predictions)
        first = list(islice(rows, 1))  # an error in it leaves no head of a table behind
        writer.write(chain(first, rows), file)
