"""Where torch computes: devices as it names them, and what a user is told of one that is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from linnet import processes
from linnet.errors import UsageError


@contextmanager
def used(device: str) -> Iterator[None]:
    """Where something is put on a device.

    Raises:
        UsageError: that cannot be.
    """
    try:
        yield
    except (RuntimeError, AssertionError) as error:  # torch has one for an unknown name, another for what it lacks
        said = str(error).partition("\n")[0]
        raise UsageError(f"--device {device} cannot be used ({said})", expected="cpu, cuda, mps ...") from error


def own(device: str) -> str:
    """The device of this process: of several on GPUs each has its own.

    Raises:
        UsageError: there is none such here.
    """
    number = os.environ.get("LOCAL_RANK", "0")
    mine = f"cuda:{number}" if device == "cuda" and processes.size() > 1 else device
    with used(device):
        torch.empty(0, device=mine)
    return mine
