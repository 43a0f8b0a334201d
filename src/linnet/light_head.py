"""A head without memory: the score of a child given its parent and the protein.

    score(child | parent n, protein z) = u(child) . W g(P z + Q sum of u over n and all it lies in) + b(child)

with u an embedding for each taxon and g the GELU. The sum lets a taxon with few proteins be asked as its relatives are;
a way down the tree needs nothing but the taxon it has come to, so that no step depends on the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.errors import require
from linnet.losses import log_total
from linnet.taxonomy import Taxonomy


@dataclass(frozen=True, kw_only=True)
class Config:
    """The light head's sizes."""

    taxa: int = 48
    """Width of a taxon's embedding."""
    hidden: int = 192
    """Width of the layer between."""

    def __post_init__(self) -> None:
        require(min(self.taxa, self.hidden) >= 1, f"widths {self.taxa} and {self.hidden}", "1 or more")


class LightHead(nn.Module):
    """For a tree of N taxa and proteins' vectors of some width. Taxa are kept in the tree's level order."""

    def __init__(self, config: Config, taxonomy: Taxonomy, width: int) -> None:
        super().__init__()
        self.taxonomy = taxonomy
        n = len(taxonomy)
        self.taxa = nn.Parameter(torch.randn(n, config.taxa) * 0.1)
        self.bias = nn.Parameter(torch.zeros(n))
        self.stop = nn.Parameter(torch.zeros(config.taxa))
        self.stop_bias = nn.Parameter(torch.zeros(n))
        self.protein = nn.Linear(width, config.hidden)
        self.node = nn.Linear(config.taxa, config.hidden, bias=False)
        self.query = nn.Linear(config.hidden, config.taxa)
        place = np.empty(n, np.int64)
        place[taxonomy.level_order] = np.arange(n)
        self._place = place

    def scores(self, vectors_BW: Tensor, steps: Steps) -> Tensor:
        """(F,): scores of the children of the steps' taxa and of stopping there, ragged."""
        summed = nn.functional.embedding_bag(steps.above, self.taxa, steps.above_start, mode="sum")
        inner = self.protein(vectors_BW)[steps.row] + self.node(summed)
        query = self.query(nn.functional.gelu(inner, approximate="tanh"))
        column = steps.column
        stopping = column < 0
        at = column.clamp(min=0)
        rows = torch.where(stopping[:, None], self.stop, self.taxa[at])
        bias = torch.where(stopping, self.stop_bias[steps.node][steps.step], self.bias[at])
        return torch.as_tensor((rows * query[steps.step]).sum(1) + bias)

    def steps(
        self,
        nodes: NDArray[np.integer],
        new: NDArray[np.bool_],
        hide: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> Steps:
        """The steps of B labels, as `losses.PathTargets.of` has them: taxa passed, right answers, answers hidden."""
        tree = self.taxonomy
        row, at, right = [], [], []
        for b, (node, is_new) in enumerate(zip(nodes.tolist(), new.tolist(), strict=True)):
            path = [0, *tree.path(node)]
            for parent, child in zip(path, path[1:], strict=False):
                row.append(b)
                at.append(parent)
                right.append(int(self._place[child]) - int(tree.child_start[parent]))
            if is_new and tree.child_count[node]:
                row.append(b)
                at.append(int(node))
                right.append(int(tree.child_count[node]))
        row_S, at_S, right_S = (np.array(x, np.int64) for x in (row, at, right))
        children = tree.child_count[at_S].astype(np.int64)
        start = np.concatenate([[0], np.cumsum(children + 1)])
        step = np.repeat(np.arange(len(at_S)), children + 1)
        within = np.arange(start[-1]) - start[step]
        column = np.where(within < children[step], tree.child_start[at_S][step] + within, -1)
        target = start[:-1] + right_S
        hidden = np.empty(0, np.int64)
        if hide and random is not None:
            chosen = (random.random(len(at_S)) < hide) & (right_S < children) & (at_S > 0)
            hidden = target[chosen]
            target = np.where(chosen, start[1:] - 1, target)
        paths = [[0, *tree.path(n)] for n in at_S.tolist()]
        above = np.fromiter((int(self._place[n]) for path in paths for n in path[1:]), np.int64)
        above_start = np.concatenate([[0], np.cumsum([len(path) - 1 for path in paths])])[: len(paths)]
        arrays = (row_S, self._place[at_S], above, above_start, column, step, target, hidden)
        return Steps(len(nodes), *(torch.from_numpy(np.asarray(x, np.int64)) for x in arrays))


@dataclass(frozen=True)
class Steps:
    """S steps down the tree over F scores, ragged; int64 tensors.

    Attributes:
        batch: number of records.
        row, node: (S,), the record and the taxon come to, in level order.
        above, above_start: the taxa whose embeddings are summed for each step, and where each step's begin.
        column, step: (F,), the child that each score is of, in level order, -1 for stopping; and its step.
        target: (S,), which score is the right one.
        hidden: scores that are left out, their children being taken for unknown.
    """

    batch: int
    row: Tensor
    node: Tensor
    above: Tensor
    above_start: Tensor
    column: Tensor
    step: Tensor
    target: Tensor
    hidden: Tensor


def path_loss(score_F: Tensor, steps: Steps) -> Tensor:
    """Mean over records of -ln p(path)."""
    if len(steps.hidden):
        score_F = score_F.index_fill(0, steps.hidden, -1e4)
    loss_S = log_total(score_F, steps.step, len(steps.target)) - score_F[steps.target]
    return loss_S.sum() / steps.batch
