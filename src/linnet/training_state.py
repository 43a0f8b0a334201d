"""An unfinished training on disk: plain values and arrays, in one file that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from linnet.errors import UserError
from linnet.outputs import whole


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write dicts, lists, numbers, texts, tensors and arrays; tuples come back as lists."""
    tensors: dict[str, Tensor] = {}
    values = json.dumps(_take_out(state, tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        save_file(tensors, temporary, metadata={"values": values})


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote; arrays come back as tensors.

    Raises:
        UserError: not such a file.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
            state: dict[str, Any] = _put_back(json.loads((file.metadata() or {})["values"]), tensors)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"cannot be read ({error})",
            where=str(path),
            expected="an unfinished training",
            remedy="Delete it: this training then begins anew.",
        ) from error
    return state


def _take_out(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON has it, its tensors by number; a dict is a list of pairs, so that keys may be numbers."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, Tensor):
        tensors[str(len(tensors))] = value.detach().cpu().clone().contiguous()
        return {"tensor": len(tensors) - 1}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _take_out(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_take_out(item, tensors) for item in value]
    return value


def _put_back(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_put_back(item, tensors) for item in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[str(value["tensor"])]
        return {key: _put_back(item, tensors) for key, item in value["pairs"]}
    return value
