"""What a command costs on given cores: wall time, processor time and peak memory."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
"""Nothing is fetched, and no GPU is seen."""


@dataclass(frozen=True)
class Usage:
    """The cost of a command and of the processes that it started.

    Attributes:
        cpu_s: user and system time.
        peak_mb: resident memory of the largest single process, in MiB.
        others: cores that anything else on the machine kept busy meanwhile, in the mean.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    others: float


class CommandFailed(Exception):
    """A command that did not exit with 0; says which, and the last lines that it wrote."""


def cores(threads: int) -> list[int]:
    """The first cores that this process may use; fewer where there are not so many."""
    return sorted(os.sched_getaffinity(0))[:threads]


def measure(
    command: Sequence[str], log: Path, threads: int, folder: Path, environment: Mapping[str, str] | None = None
) -> Usage:
    """Run a command to its end, bound to as many cores as it has threads.

    Args:
        log: gets what the command says.
        folder: where it runs.
        environment: variables on top of this process's and of the limits on threads.

    Raises:
        CommandFailed: it did not exit with 0.
    """
    bound = ["taskset", "--cpu-list", ",".join(map(str, cores(threads))), *command]
    variables = os.environ | OFFLINE | dict.fromkeys(LIBRARIES, str(threads)) | dict(environment or {})
    with log.open("w") as file:
        before = _busy_s()
        start = time.perf_counter()
        process = subprocess.Popen(bound, stdout=file, stderr=subprocess.STDOUT, env=variables, cwd=folder)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        wall = time.perf_counter() - start
        busy = _busy_s() - before
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = "\n    ".join(log.read_text(errors="replace").splitlines()[-8:])
        raise CommandFailed(f"exit {process.returncode}: {shlex.join(bound)}\n    {said}")
    cpu = used.ru_utime + used.ru_stime
    others = max(0.0, busy - cpu) / wall
    return Usage(round(wall, 3), round(cpu, 3), round(used.ru_maxrss / 1024, 1), round(others, 3))


def _busy_s() -> float:
    """Processor time of all that ran since the machine was started."""
    user, nice, system, _, _, interrupts, soft_interrupts, stolen, *_ = Path("/proc/stat").read_text().split()[1:11]
    ticks = sum(map(int, (user, nice, system, interrupts, soft_interrupts, stolen)))
    return ticks / os.sysconf("SC_CLK_TCK")
