"""What a command costs on one thread, measured as the 16S benchmark does; anything else on the machine goes first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from rrna.measure import CommandFailed, Usage, measure

__all__ = ["CommandFailed", "Usage", "measured"]


def measured(command: Sequence[str], log: Path) -> Usage:
    """Run a command to its end; what it says goes to `log`.

    Raises:
        CommandFailed: it did not exit with 0.
    """
    return measure(["nice", "-n", "10", *command], log, 1)
