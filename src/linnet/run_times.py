"""How long runs took and how much they held: a table that grows by a row a run, and how time grows with volume."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnet.errors import UserError
from linnet.inputs import open_text

HEADER = ("contigs", "bases", "seconds", "cpu_seconds", "peak_mb", "threads", "tool")

_COLUMNS = {
    "contigs": "contigs", "bases": "bases", "bp": "bases",
    "seconds": "seconds", "wall_seconds": "seconds", "wall_s": "seconds",
    "cpu_seconds": "cpu_seconds", "cpu_s": "cpu_seconds",
    "memory": "peak_mb", "peak_mb": "peak_mb", "threads": "threads", "tool": "tool",
}  # fmt: skip
"""What a column of this name holds; others are not looked at."""

_EXPECTED = "a head with 'contigs' or 'bases', 'seconds' and perhaps 'cpu_seconds', 'peak_mb', 'threads', 'tool'"


@dataclass(frozen=True)
class RunTime:
    """One run; None where the table does not say.

    Attributes:
        contigs, bases: what it worked on.
        seconds: by the clock.
        cpu_seconds: of all threads together.
        peak_mb: the most memory it held, in 10^6 bytes.
        tool: its name and version.
    """

    contigs: int | None
    bases: int | None
    seconds: float
    cpu_seconds: float | None = None
    peak_mb: float | None = None
    threads: int | None = None
    tool: str = ""

    @property
    def group(self) -> str:
        """Tool and threads: runs that can be compared."""
        threads = "" if self.threads is None else f"{self.threads} thread{'s' * (self.threads != 1)}"
        return ", ".join(part for part in (self.tool, threads) if part) or "runs"


@dataclass(frozen=True)
class Scaling:
    """`seconds = factor * volume ^ exponent`, by least squares of logarithms.

    Attributes:
        error: standard error of the exponent; None with two runs.
    """

    runs: int
    exponent: float
    error: float | None
    factor: float


def check(path: Path) -> None:
    """Refuse a table that a row cannot be added to.

    Raises:
        UserError: the file is there and is another table, or it has no folder.
    """
    if path.exists() and path.stat().st_size:
        with open_text(path, "a table of runs") as file:
            head = file.readline().rstrip("\r\n").split("\t")
        if head != list(HEADER):
            raise UserError("is another table", where=str(path), expected=f"the head {' '.join(HEADER)}",
                            remedy="Choose another file for --times.")  # fmt: skip


def append(path: Path, run: RunTime) -> None:
    """Add a row; a new file gets a head.

    Raises:
        UserError: as `check`, or it cannot be written.
    """
    check(path)
    row = [run.contigs, run.bases, f"{run.seconds:.2f}", _written(run.cpu_seconds, 2), _written(run.peak_mb, 1),
           run.threads, run.tool]  # fmt: skip
    try:
        with path.open("a", encoding="utf-8") as file:
            if not file.tell():
                file.write("\t".join(HEADER) + "\n")
            file.write("\t".join("" if cell is None else str(cell) for cell in row) + "\n")
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=str(path)) from error


def read(path: Path) -> list[RunTime]:
    """The runs of a table whose columns have names.

    Raises:
        UserError: no such file; no head; a row that does not fit.
    """
    with open_text(path, "a table of runs") as file:
        lines = [(n, line.rstrip("\r\n").split("\t")) for n, line in enumerate(file, 1) if line.strip()]
    if not lines:
        raise UserError("empty", where=str(path), expected=_EXPECTED)
    head = [_COLUMNS.get(cell.strip().lower(), "") for cell in lines[0][1]]
    if "seconds" not in head or not {"contigs", "bases"} & set(head):
        raise UserError("no table of runs", where=f"{path}, line {lines[0][0]}", expected=_EXPECTED)
    return [_run(dict(zip(head, cells, strict=False)), f"{path}, line {line}") for line, cells in lines[1:]]


def _run(cells: dict[str, str], where: str) -> RunTime:
    def number(name: str) -> float | None:
        text = cells.get(name, "").strip().replace(",", "")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise UserError(f"{name} '{text}'", where=where, expected="a number above 0")
        return value

    def whole(name: str) -> int | None:
        value = number(name)
        return None if value is None else round(value)

    seconds, contigs, bases = number("seconds"), whole("contigs"), whole("bases")
    if seconds is None or (contigs is None and bases is None):
        raise UserError("no seconds, or neither contigs nor bases", where=where, expected=_EXPECTED)
    return RunTime(contigs, bases, seconds, number("cpu_seconds"), number("peak_mb"), whole("threads"),
                   cells.get("tool", "").strip())  # fmt: skip


def volume(runs: Iterable[RunTime]) -> str:
    """By what the runs can be compared: `bases` where all tell them, else `contigs`, else nothing: ''."""
    runs = list(runs)
    return next((name for name in ("bases", "contigs") if all(getattr(run, name) for run in runs)), "")


def scaling(volumes: Sequence[float], seconds: Sequence[float]) -> Scaling | None:
    """How time grows with volume; None with fewer than two different volumes."""
    if len(set(volumes)) < 2:
        return None
    x, y = np.log(np.asarray(volumes, float)), np.log(np.asarray(seconds, float))
    spread = float(((x - x.mean()) ** 2).sum())
    exponent = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    constant = float(y.mean() - exponent * x.mean())
    left = y - constant - exponent * x
    error = math.sqrt(float((left**2).sum()) / (len(x) - 2) / spread) if len(x) > 2 else None
    return Scaling(len(x), exponent, error, math.exp(constant))


def peak_mb() -> float | None:
    """The most memory that this process has held, in 10^6 bytes; None where the system does not tell."""
    try:
        import resource
        import sys
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _written(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"
