"""Results: to standard output, or to a file that appears only when it is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from xopen import xopen

from linnet import formats
from linnet.errors import UserError
from linnet.prediction import Prediction


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
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # the ending tells how to compress
    try:
        with xopen(temporary, "wt", encoding="utf-8", newline="", threads=0) as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        if error.filename is None or Path(error.filename) not in (temporary, path):
            raise
        raise UserError(
            f"cannot be written ({error.strerror})", where=str(path), remedy="Choose another --out."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_predictions(predictions: Iterable[Prediction], path: Path | None, format: str | None) -> None:
    """Predictions as they come, in the format asked for or the one that the file's ending asks for."""
    writer = formats.load(format or formats.for_path(path))
    with open_output(path) as file:
        writer.write(predictions, file)
