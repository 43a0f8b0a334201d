"""Functions that numba turns into machine code: loops over reads that numpy has no words for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The function, compiled when it is first called, which takes seconds; the code is kept for later runs where a
    folder for it can be written. Other threads may run meanwhile."""
    jit: Any = numba.njit
    try:
        return jit(nogil=True, cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return jit(nogil=True)(function)  # type: ignore[no-any-return]
