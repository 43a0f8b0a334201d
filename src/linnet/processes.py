"""The processes of one run: this one alone, or several that `accelerate launch` or `torchrun` started."""

from __future__ import annotations

import os


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def size() -> int:
    """How many there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def main_process() -> bool:
    """Whether this process is the one that speaks and writes."""
    return rank() == 0
