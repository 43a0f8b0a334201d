"""The processes that share one training: what each of them does of it, and what they must agree on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from linnet import processes
from linnet.errors import missing_extra

T = TypeVar("T")


class Team:
    """The processes of one training: this one alone, or several that `accelerate launch` started.

    Attributes:
        rank: number of this process.
        size: how many there are.
    """

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self.rank = accelerator.process_index if accelerator else 0
        self.size = accelerator.num_processes if accelerator else 1

    @classmethod
    def of_this_run(cls, device: str) -> Team:
        """This run's.

        Args:
            device: of this process; processes on CPUs and on GPUs speak to one another in different ways.
        """
        if processes.size() == 1:
            return cls(None)
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs
        except ModuleNotFoundError as error:
            raise missing_extra("accelerate", "train", "several processes") from error
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        return cls(Accelerator(cpu=torch.device(device).type == "cpu", kwargs_handlers=[unused]))

    def share(self, model: nn.Module) -> nn.Module:
        return self._accelerator.prepare_model(model) if self._accelerator else model

    def mine(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        """This process's part of a batch; of one too small for all, the whole."""
        return rows[self.rank :: self.size] if len(rows) >= self.size else rows

    def alone(self, model: nn.Module) -> AbstractContextManager[object]:
        """Where gradients are not yet exchanged."""
        return self._accelerator.no_sync(model) if self._accelerator else nullcontext()

    def agreed(self, value: T) -> T:
        """The first process's value: clocks and rounding differ, but all must stop, save and go on together."""
        if not self._accelerator:
            return value
        from accelerate.utils import broadcast_object_list

        values: list[T] = broadcast_object_list([value])
        return values[0]

    def mean(self, value: float) -> float:
        """The mean of the processes' values."""
        if not self._accelerator:
            return value
        here = torch.tensor(value, device=self._accelerator.device)
        return float(self._accelerator.reduce(here, reduction="mean"))

    def gathered(self, value: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """The values of all processes."""
        if not self._accelerator:
            return [value]
        from accelerate.utils import gather_object

        gathered: list[dict[str, Any]] = gather_object([value])
        return gathered

    def wait(self) -> None:
        if self._accelerator:
            self._accelerator.wait_for_everyone()
