"""What the benchmarks' commands share: how a run ends, lists in flags, results that are whole."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path

from linnet.errors import UserError


def exit_status(run: Callable[[], int], say: Callable[[str], None]) -> int:
    """What a run returns; 1 data is wrong, 2 asked wrongly, 130 interrupted, of which it says so."""
    try:
        return run()
    except UserError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return 130


def words(text: str) -> list[str]:
    """A flag's words, with commas between them, each once."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """A reader of words, all among those known."""

    def read(text: str) -> list[str]:
        for word in words(text):
            if word not in known:
                raise ArgumentTypeError(f"'{word}' is not one of {', '.join(known)}")
        return words(text)

    return read


def write(path: Path, text: str) -> None:
    """A file that is whole as soon as it has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    temporary.write_text(text)
    temporary.replace(path)
