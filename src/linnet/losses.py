"""Cross-entropy along a path of the tree, with labels that end early and children that are hidden; or rank by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linnet.ragged import ranges
from linnet.sibling_groups import SiblingGroups


@dataclass(frozen=True)
class PathTargets:
    """The sibling groups that a batch's labels pass through: S steps over F columns, ragged.

    Attributes:
        flat: int64 (F,), indices into the flattened (B, M) scores of every column of every step.
        step: int64 (F,), the step each of them belongs to.
        target: int64 (S,), where in `flat` each step's right column stands.
        level: int64 (S,), the level of the tree at which each step is taken.
        hidden: int64 (H,), where in `flat` the columns stand that are hidden from their step.
        batch: number of records.
    """

    flat: Tensor
    step: Tensor
    target: Tensor
    level: Tensor
    hidden: Tensor
    batch: int

    def to(self, device: str) -> PathTargets:
        def there(t: Tensor) -> Tensor:
            return t.to(device)

        return PathTargets(
            there(self.flat), there(self.step), there(self.target), there(self.level), there(self.hidden), self.batch
        )

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
        flat = ranges(first_S + rows_S * len(groups), size_S)
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
            torch.from_numpy(groups.level_of_column[columns_S].astype(np.int64)),
            torch.from_numpy(hidden),
            len(nodes),
        )


def path_loss(
    score_BM: Tensor, targets: PathTargets, *, level_weights: Tensor | None = None, gamma: float = 0.0
) -> Tensor:
    """Mean over records of -log p(path): the sum of cross-entropies within the groups on the path.

    Args:
        level_weights: (levels,), how much each level of the tree counts; the lowest given counts for those below it.
        gamma: of the focal loss (1 - p)^gamma * cross-entropy (Lin et al. 2017); 0 is plain cross-entropy.
    """
    score_F = score_BM.reshape(-1)[targets.flat].float()
    if len(targets.hidden):
        score_F = score_F.index_fill(0, targets.hidden, -1e4)
    loss_S = log_total(score_F, targets.step, len(targets.target)) - score_F[targets.target]
    if gamma:
        loss_S = focal(loss_S, gamma)
    if level_weights is not None:
        loss_S = loss_S * level_weights[targets.level.clamp(max=len(level_weights) - 1)]
    return loss_S.sum() / targets.batch


@dataclass(frozen=True)
class SoftTargets:
    """What a teacher says of a batch: S steps over F columns, as in `PathTargets`, each with a distribution.

    Attributes:
        flat, step: as in `PathTargets`.
        at: int64 (E,), where in `flat` the columns stand that have a share of their step.
        share: float32 (E,), those shares; a step's sum is how probable the teacher thinks that the step is taken.
        mass: float32 (S,), these sums.
        batch: number of records.
    """

    flat: Tensor
    step: Tensor
    at: Tensor
    share: Tensor
    mass: Tensor
    batch: int


def soft_loss(score_BM: Tensor, targets: SoftTargets, temperature: float) -> Tensor:
    """Mean over records of the cross-entropy with the teacher, down the tree, times temperature^2.

    The student's scores are divided by the temperature, as the teacher's were; the factor keeps the gradient's size
    (Hinton, Vinyals & Dean 2015). Less a constant it is KL(teacher || student).
    """
    score_F = score_BM.reshape(-1)[targets.flat].float() / temperature
    total_S = log_total(score_F, targets.step, len(targets.mass))
    loss = (targets.mass * total_S).sum() - (targets.share * score_F[targets.at]).sum()
    return loss * temperature**2 / targets.batch


def rank_loss(
    logits: Sequence[Tensor],
    class_BR: Tensor,
    *,
    level_weights: Tensor | None = None,
    class_weights: Sequence[Tensor] | None = None,
    gamma: float = 0.0,
) -> Tensor:
    """DeepTaxa's loss: the sum over ranks of the mean cross-entropy of that rank's own labels.

    Args:
        logits: (B, labels) for each of R ranks.
        class_BR: int64, the label of each record at each rank; -1 where it has none, which then does not count.
        level_weights: (R,), how much each rank counts.
        class_weights: for each rank (labels,), how much each label counts; means are weighted by them.
        gamma: of the focal loss.
    """
    total = logits[0].new_zeros((), dtype=torch.float32)
    for r, logits_BC in enumerate(logits):
        labelled = class_BR[:, r] >= 0
        if not bool(labelled.any()):
            continue
        right = class_BR[labelled, r]
        loss_B = torch.nn.functional.cross_entropy(logits_BC[labelled].float(), right, reduction="none")
        if gamma:
            loss_B = focal(loss_B, gamma)
        if class_weights is None:
            loss = loss_B.mean()
        else:
            weight_B = class_weights[r][right]
            loss = (loss_B * weight_B).sum() / weight_B.sum()
        total = total + (loss if level_weights is None else loss * level_weights[r])
    return total


def focal(cross_entropy: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma * -ln p, with p = exp(-cross-entropy): what is right already counts less (Lin et al. 2017)."""
    wrong = (1 - torch.exp(-cross_entropy)).clamp(min=1e-7)  # of 0, the gradient of a root is no number
    return torch.as_tensor(wrong**gamma * cross_entropy)


def log_total(score_F: Tensor, step_F: Tensor, steps: int) -> Tensor:
    """ln of the sum of exp(score) within each step, (S,), from ragged scores and the step that each belongs to."""
    highest_S = score_F.new_full((steps,), -torch.inf).scatter_reduce(0, step_F, score_F.detach(), "amax")
    total_S = score_F.new_zeros(steps).index_add(0, step_F, torch.exp(score_F - highest_S[step_F]))
    return total_S.log() + highest_S
