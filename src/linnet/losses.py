"""Cross-entropy along a path of the tree, with labels that end early and children that are hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linnet.sibling_groups import SiblingGroups


@dataclass(frozen=True)
class PathTargets:
    """The sibling groups that a batch's labels pass through: S steps over F columns, ragged.

    Attributes:
        flat: int64 (F,), indices into the flattened (B, M) scores of every column of every step.
        step: int64 (F,), the step each of them belongs to.
        target: int64 (S,), where in `flat` each step's right column stands.
        hidden: int64 (H,), where in `flat` the columns stand that are hidden from their step.
        batch: number of records.
    """

    flat: Tensor
    step: Tensor
    target: Tensor
    hidden: Tensor
    batch: int

    @classmethod
    def of(
        cls,
        groups: SiblingGroups,
        nodes: NDArray[np.integer],
        new: NDArray[np.bool_],
        *,
        hide: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> PathTargets:
        """Targets for records labelled with taxa.

        A label says nothing of what lies below it, unless the record is `new`: then the right answer below
        its taxon is to stop. In a share `hide` of all steps the right child is hidden and stopping is right
        instead: this is how a model learns what an absent taxon looks like. At the root nothing is hidden:
        to stop there says that a record is no such gene at all, which only decoys show.

        Args:
            nodes: (B,) the taxon of each record.
            new: (B,) whether the organism is known to be in none of that taxon's children.
        """
        row: list[int] = []
        group: list[int] = []
        column: list[int] = []
        for b, (node, is_new) in enumerate(zip(nodes.tolist(), new.tolist(), strict=True)):
            for of, right in groups.steps(node, new=is_new):
                row.append(b)
                group.append(of)
                column.append(right)
        groups_S, rows_S, columns_S = (np.array(x, np.int64) for x in (group, row, column))
        first_S = groups.start[groups_S]
        size_S = groups.start[groups_S + 1] - first_S
        offset_S = np.cumsum(size_S) - size_S
        flat = np.repeat(first_S - offset_S + rows_S * len(groups), size_S) + np.arange(size_S.sum())
        at_S = offset_S + columns_S - first_S
        target = at_S
        hidden = np.empty(0, np.int64)
        if hide and random is not None:
            chosen = (random.random(len(at_S)) < hide) & (columns_S != groups.stop[groups_S]) & (groups_S > 0)
            hidden = at_S[chosen]
            target = np.where(chosen, offset_S + size_S - 1, at_S)
        return cls(
            torch.from_numpy(flat),
            torch.from_numpy(np.repeat(np.arange(len(size_S)), size_S)),
            torch.from_numpy(target),
            torch.from_numpy(hidden),
            len(nodes),
        )


def path_loss(score_BM: Tensor, targets: PathTargets) -> Tensor:
    """Mean over records of -log p(path): the sum of cross-entropies within the groups on the path."""
    score_F = score_BM.reshape(-1)[targets.flat].float()
    if len(targets.hidden):
        score_F = score_F.index_fill(0, targets.hidden, -1e4)
    loss_S = log_total(score_F, targets.step, len(targets.target)) - score_F[targets.target]
    return loss_S.sum() / targets.batch


def log_total(score_F: Tensor, step_F: Tensor, steps: int) -> Tensor:
    """ln of the sum of exp(score) within each step, (S,), from ragged scores and the step that each belongs to."""
    highest_S = torch.full((steps,), -torch.inf).scatter_reduce(0, step_F, score_F.detach(), "amax")
    total_S = torch.zeros(steps).index_add(0, step_F, torch.exp(score_F - highest_S[step_F]))
    return total_S.log() + highest_S
