"""Trainings that are killed before a step, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DYING = """
import os, signal, sys
from linnet import fitting
from linnet.__main__ import main

steps, last, step = 0, int(sys.argv[1]), fitting._step

def dying(*given):
    global steps
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*given)

signal.alarm(290)  # processes that wait for one another end, too
fitting._step = dying
every = 0.0 if os.environ.get("RANK", "0") == "0" else 1e9  # clocks differ
fitting.Keeping.file = lambda self, name, of: fitting.Kept(self.folder / f"{name}.safetensors", of, every)
sys.exit(main(sys.argv[2:]))
"""
"""The command, killed before a step; it saves after each."""


def killed(arguments: list[str], step: int, *launcher: str) -> subprocess.CompletedProcess[str]:
    """The command, killed before a step, counted from 1, if it gets so far."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    script = list(launcher) or ["-c", DYING]
    return subprocess.run(
        [sys.executable, *script, str(step), *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


def two_processes(folder: Path) -> list[str]:
    """A launcher of `killed` for two that share the training; its script is the folder's dying.py."""
    script = folder / "dying.py"
    script.write_text(DYING)
    return ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
