"""The wide table of `tsv`, separated by commas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from linnet.formats import tsv
from linnet.prediction import Prediction

NEIGHBOURS = True


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    tsv.write(predictions, file, delimiter=",")


def recognises(line: str) -> bool:
    return tsv.recognises(line, delimiter=",")


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    return tsv.read(lines, path, delimiter=",")
