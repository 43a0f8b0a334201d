"""A new model that begins with the weights of another, whatever taxa that one knew."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from linnet.checkpoint import Checkpoint
from linnet.encoders import hybrid
from linnet.errors import UserError
from linnet.model import Model
from linnet.rank_scores import RankLabels
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

_BETWEEN = re.compile(r"head\.ranks\.\d+\.0\.(weight|bias)")
"""Names of the hidden layers that some published heads have."""


def encoder(start: Checkpoint) -> hybrid.Config:
    """The settings of its encoder, which the new model takes over.

    Raises:
        UserError: it is no network over tokens.
    """
    if start.model.get("family") != "rrna" or start.model.get("kind") != "network":
        raise UserError(
            f"a model of kind {start.model.get('kind')!r} to begin with",
            expected="a network over tokens, as 'train rrna --encoder hybrid' or 'convert deeptaxa' makes",
        )
    settings = dict(start.model["encoder"])
    settings["kernel_sizes"] = tuple(settings["kernel_sizes"])
    return hybrid.Config(**settings)


def tokenizer(start: Checkpoint, given: str | None) -> str | None:
    """Its vocabulary.

    Raises:
        UserError: another one is given: its tokens would meet weights learnt for others.
    """
    if given is not None and given != start.tokenizer:
        raise UserError("another tokenizer than that of the model to begin with", remedy="Leave --tokenizer out.")
    return start.tokenizer


def begin(model: Model, start: Checkpoint, tree: Taxonomy, labels: RankLabels | None) -> int:
    """Copy the encoder's weights, and of the head's those of taxa that both models know; the others stay as drawn.

    Taxa are the same where their lineages are, labels of published heads where rank and text are. A tree head learns
    nothing from published heads, nor these from it.

    Returns:
        How many rows of the head were copied.
    """
    state = model.state_dict()
    old = {n: torch.from_numpy(np.asarray(t, np.float32)) for n, t in start.tensors.items()}
    for name in state:
        if name.startswith("encoder.") or (_BETWEEN.fullmatch(name) and name in old):
            state[name].copy_(old[name])
    copied = 0
    for new_rows, old_rows, names in _shared(start, tree, labels):
        copied += len(new_rows)
        for name in names:
            if name in old and state[name].shape[1:] == old[name].shape[1:]:
                state[name][new_rows] = old[name][old_rows]
    return copied


def _shared(
    start: Checkpoint, tree: Taxonomy, labels: RankLabels | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]]:
    """Rows of the new head, the rows of the old one that say the same, and the names of both."""
    if labels is None and start.labels is None:
        new, old = _columns(tree, start.taxonomy)
        yield new, old, ("head.scores.weight", "head.scores.bias")
    elif labels is not None and start.labels is not None and labels.ranks == start.labels.ranks:
        for r, (known, some) in enumerate(zip(start.labels.labels, labels.labels, strict=True)):
            before = {label: row for row, label in reversed(list(enumerate(known)))}
            pairs = [(row, before[label]) for row, label in enumerate(some) if label in before]
            new, old = np.array(pairs, np.int64).reshape(-1, 2).T
            layers = ("", ".3")  # heads of one layer, or the last layer of two
            yield new, old, tuple(f"head.ranks.{r}{layer}.{part}" for layer in layers for part in ("weight", "bias"))


def _columns(tree: Taxonomy, before: Taxonomy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns of two tree heads that stand for the same taxon, or for stopping at it."""
    new_groups, old_groups = SiblingGroups(tree), SiblingGroups(before)
    same = np.full(len(tree), -1, np.int64)  # each taxon's node in the older tree
    same[0] = 0
    pairs: list[tuple[int, int]] = []
    for node in range(len(tree)):
        if node:
            lineage = tree.lineage(node)
            found, depth = before.find(lineage)
            same[node] = found if depth == len(lineage) else -1
        if same[node] < 0:
            continue
        if node:
            pairs.append((int(new_groups.column_of_node[node]), int(old_groups.column_of_node[same[node]])))
        group, older = int(new_groups.group_of_node[node]), int(old_groups.group_of_node[same[node]])
        if group >= 0 and older >= 0:
            pairs.append((int(new_groups.stop[group]), int(old_groups.stop[older])))
    new, old = np.array(pairs, np.int64).reshape(-1, 2).T
    return new, old
