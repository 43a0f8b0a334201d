"""Ways of writing predictions, and of reading anybody's: one file each.

A module here is a format by its file's name. Its docstring's first line is its help text. It offers
`write(predictions, file)`, or `read(lines)` with `recognises(line)`, or all three. `NEIGHBOURS` is true of those that
write the references most like a record.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from types import ModuleType

from linnet.errors import UsageError, UserError
from linnet.inputs import open_text
from linnet.prediction import Prediction


def names() -> list[str]:
    """Every format in this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def writable() -> dict[str, str]:
    """The formats that can be written, with a line about each."""
    modules = {name: load(name) for name in names()}
    return {n: (m.__doc__ or "").split("\n")[0].rstrip(".") for n, m in modules.items() if hasattr(m, "write")}


def telling_neighbours() -> list[str]:
    """The formats that write the references most like a record."""
    return [name for name in writable() if getattr(load(name), "NEIGHBOURS", False)]


def load(name: str) -> ModuleType:
    """The format of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in names():
        raise UsageError(f"no format '{name}'", expected=f"one of {', '.join(names())}")
    return import_module(f"linnet.formats.{name}")


def read_predictions(path: str | Path) -> dict[str, Prediction]:
    """Predictions by record id from any table that one of the formats recognises.

    Raises:
        UserError: no such file; a table that none recognises; a line that does not fit.
    """
    found: dict[str, Prediction] = {}
    for prediction in iterate(path):
        if found.setdefault(prediction.record_id, prediction) != prediction:
            raise UserError(
                f"two answers for '{prediction.record_id}'", where=str(path), expected="one row for each record id"
            )
    return found


def iterate(path: str | Path, only: Sequence[str] = ()) -> Iterator[Prediction]:
    """Predictions from a table, one at a time, in one of the formats `only` (of any, if none is named).

    Errors as in `read_predictions`.
    """
    with open_text(path, "a table of predictions") as file:
        head = _head(file)
        if not head:
            return
        for module in _readers():
            if only and module.__name__.rpartition(".")[2] not in only:
                continue
            if module.recognises(head[-1].rstrip("\r\n")):
                yield from module.read(chain(head, file), str(path))
                return
        raise UserError(
            f"a table of no known kind: {head[0].strip()[:60]!r}",
            where=f"{path}, line 1",
            expected=f"one of linnet's: {', '.join(only)}"
            if only
            else "predictions of linnet, QIIME 2, DADA2, SINTAX or mothur, or 'id<TAB>lineage<TAB>confidences'",
        )


def _head(file: Iterable[str]) -> list[str]:
    """The first lines, down to one that shows what kind of table it is: rows without an answer look alike."""
    head = []
    for line in islice((line for line in file if line.strip()), 1000):
        head.append(line)
        if "\t" not in line or line.split("\t")[1].strip():
            break
    return head


def _readers() -> list[ModuleType]:
    """The formats that can be read, the undemanding `pairs` last."""
    modules = [load(name) for name in sorted(names(), key=lambda name: (name == "pairs", name))]
    return [m for m in modules if hasattr(m, "read")]


def for_path(path: Path | None) -> str:
    """The format that a file's ending asks for: the screen's table for no file, `tsv` for other endings."""
    if path is None or str(path) == "-":
        return "table"
    endings = [s[1:] for s in path.suffixes if s[1:] in writable()]
    return endings[-1] if endings else "tsv"
