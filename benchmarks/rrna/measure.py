"""What a command costs: processor time, wall time and peak memory, as /usr/bin/time has them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import linnet
from linnet.errors import UserError

TIME = Path("/usr/bin/time")


@dataclass(frozen=True)
class Usage:
    """The cost of a command and of the processes that it started.

    Attributes:
        cpu_s: user and system time.
        peak_mb: resident memory of the largest single process, in MiB.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float


class CommandFailed(Exception):
    """A command that did not exit with 0; says which, and the last lines that it wrote."""


def measure(command: Sequence[str], log: Path, threads: int) -> Usage:
    """Run a command to its end; what it says goes to `log`.

    Args:
        threads: the most that numerical libraries may use; the command has a flag of its own for its own.

    Raises:
        CommandFailed: it did not exit with 0.
    """
    if not TIME.exists():
        raise UserError(f"no {TIME}", remedy="Install it with: apt-get install time")
    report = log.with_suffix(".time")
    timed = [str(TIME), "-o", str(report), "-f", "%e %U %S %M", *command]
    with log.open("w") as file:
        done = subprocess.run(timed, stdout=file, stderr=subprocess.STDOUT, env=_environment(threads))
    if done.returncode:
        said = "\n    ".join(log.read_text(errors="replace").splitlines()[-8:])
        raise CommandFailed(f"exit {done.returncode}: {shlex.join(command)}\n    {said}")
    wall, user, system, kib = map(float, report.read_text().splitlines()[-1].split())
    return Usage(round(user + system, 2), wall, round(kib / 1024, 1))


def _environment(threads: int) -> dict[str, str]:
    """This process's, with the same linnet importable and the threads of numerical libraries limited."""
    package = str(Path(linnet.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return os.environ | limits | {"PYTHONPATH": path}
