"""What is said where torch is not installed."""

from __future__ import annotations

import pytest

from linnet.errors import UserError, torch_for


def test_a_missing_torch_is_said_with_what_installs_it() -> None:
    said = r"training needs the package 'torch'.*pip install 'linnet\[train\]'"
    with pytest.raises(UserError, match=said), torch_for("training"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_another_missing_module_is_not_taken_for_torch() -> None:
    with pytest.raises(ModuleNotFoundError, match="other"), torch_for("training"):
        raise ModuleNotFoundError("No module named 'other'", name="other")
