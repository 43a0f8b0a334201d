"""Loops compiled by numba, wherever their code can be kept."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from linnet.machine_code import compiled


def total(x: Any) -> float:
    found = 0.0
    for value in x:
        found += value
    return found


def test_it_says_what_python_says() -> None:
    x = np.arange(10.0)
    assert compiled(total)(x) == total(x) == 45.0


def test_where_no_code_can_be_kept_it_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    njit, asked = numba.njit, []

    def no_folder(**how: Any) -> Any:
        asked.append(how)
        if how.get("cache"):
            raise RuntimeError("cannot cache function 'total': no locator available")
        return njit(**how)

    monkeypatch.setattr(numba, "njit", no_folder)
    assert compiled(total)(np.arange(3.0)) == 3.0
    assert [bool(how.get("cache")) for how in asked] == [True, False]
