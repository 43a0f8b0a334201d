"""What a teacher's vectors say of contigs: a linear classifier trained on the labels of other contigs.

This is the teacher of TaxDistill, a linear layer on frozen vectors to the leaves of the label tree, but each contig is
asked of one that has not seen its label, and that was stopped when held-out labels became no likelier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.errors import UserError
from linnet.families.contigs_published import ask, flat_loss, label_bounds, leaves_of
from linnet.label_tree import LabelTree
from linnet.prediction import Prediction, Stopped

FOLDS = 5
PASSES, PATIENCE = 40, 3
BATCH, RATE = 256, 3e-3
STEPS = 8
"""In a pass at least, of smaller batches where there are few labels."""


def out_of_fold(vectors_CW: NDArray[np.floating], tree: LabelTree, ids: Sequence[str], seed: int) -> list[Prediction]:
    """The most probable leaf of each contig, by a probe that has not seen its label.

    Raises:
        UserError: a fold leaves no labels to learn from.
    """
    leaves = leaves_of(tree)
    bounds = label_bounds(tree, leaves)
    spread = np.maximum(vectors_CW.std(0), 1e-6)
    x = torch.from_numpy(np.asarray((vectors_CW - vectors_CW.mean(0)) / spread, np.float32))
    random = np.random.default_rng(seed)
    fold_C = random.permutation(len(ids)) % FOLDS
    score_CL = torch.zeros(len(ids), len(leaves))
    for fold in range(FOLDS):
        torch.manual_seed(seed + fold)
        others = random.permutation(np.flatnonzero((fold_C != fold) & (tree.label_C > 0)))
        if len(others) < 2:
            raise UserError("hardly any labels", expected="labels for a probe to learn from in each fold")
        mine = torch.from_numpy(np.flatnonzero(fold_C == fold))
        layer = _trained(x, bounds, others, len(leaves), random)
        score_CL[mine] = ask(layer, x[mine])
    return most_probable(score_CL, ids, tree, leaves)


def _trained(
    x: Tensor, bounds: Tensor, labelled: NDArray[np.intp], leaves: int, random: np.random.Generator
) -> nn.Linear:
    """The linear layer of the pass after which a tenth of the labels, held out, was likeliest."""
    aside = max(1, len(labelled) // 10)
    held_out, fitted = torch.from_numpy(labelled[:aside]), labelled[aside:]
    layer = nn.Linear(x.shape[1], leaves)
    optimiser = torch.optim.AdamW(layer.parameters(), RATE, weight_decay=1e-2)
    best, since, state = float("inf"), 0, dict(layer.state_dict())
    for _ in range(PASSES):
        for part in np.array_split(random.permutation(fitted), min(len(fitted), max(STEPS, len(fitted) // BATCH))):
            rows = torch.from_numpy(part)
            loss = flat_loss(layer(x[rows]), bounds[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            now = float(flat_loss(layer(x[held_out]), bounds[held_out]))
        since += 1
        if now < best - 1e-3:
            best, since, state = now, 0, {name: value.clone() for name, value in layer.state_dict().items()}
        if since >= PATIENCE:
            break
    layer.load_state_dict(state)
    return layer


def most_probable(score_CL: Tensor, ids: Sequence[str], tree: LabelTree, leaves: NDArray[np.intp]) -> list[Prediction]:
    """The lineage of each contig's most probable leaf, whole, with the probability of each clade on the way."""
    taxonomy = tree.taxonomy
    paths = {int(leaf): taxonomy.path(int(leaf)) for leaf in leaves}
    lineages = {leaf: taxonomy.lineage(leaf) for leaf in paths}
    spans = {
        n: (np.searchsorted(leaves, n), np.searchsorted(leaves, taxonomy.end[n])) for p in paths.values() for n in p
    }
    predictions = []
    for id, scores in zip(ids, score_CL, strict=True):
        p_L = torch.softmax(scores.double(), 0).numpy()
        leaf = int(leaves[p_L.argmax()])
        sure = np.minimum.accumulate([p_L[a:b].sum() for a, b in (spans[n] for n in paths[leaf])]).clip(0, 1)
        novelty = (0.0,) * (len(sure) + 1)
        predictions.append(
            Prediction(id, lineages[leaf], tuple(sure.tolist()), novelty, len(sure), Stopped.NAMED, reason="")
        )
    return predictions
