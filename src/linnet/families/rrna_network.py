"""16S rRNA through a network over tokens: DeepTaxa's encoders under its own heads, one a rank, or under a tree head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linnet.encoders import hybrid
from linnet.errors import require
from linnet.families.rrna import Views
from linnet.model import Model
from linnet.model import build as build_model
from linnet.rank_scores import RankLabels
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import RANKS, Taxonomy
from linnet.tokens import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Config:
    """A network over tokens, and its loss; defaults as DeepTaxa publishes them."""

    encoder: hybrid.Config = field(default_factory=hybrid.Config)
    views: Views = field(default_factory=lambda: Views(windows=0.0, amplicons=0.0, decoys=0.0, error_rate=0.0))
    head: str = "ranks"
    """ranks: one classifier for each rank, as published; tree: one over the tree, where ranks cannot disagree."""
    vocabulary: int = 4096
    """Tokens learnt from the references, where no tokenizer is given."""
    loss_type: str = "cross_entropy"
    """cross_entropy, or focal: what is right already counts less."""
    focal_gamma: float = 2.0
    """Exponent of the focal loss."""
    level_weights: tuple[float, ...] = (1.0,) * len(RANKS)
    """How much each rank counts in the loss, domain first."""
    class_weights: str = "none"
    """How much each label counts (published heads): none: alike; inverse: N / (C n) for a label of n references among C
    labels and N references; sqrt_inverse: its square root."""
    hide: float = 0.1
    """Share of steps down the tree in which the right taxon is hidden and stopping is right (tree head)."""

    def __post_init__(self) -> None:
        require(self.head in ("ranks", "tree"), f"head {self.head}", "ranks or tree")
        require(self.loss_type in ("cross_entropy", "focal"), f"loss_type {self.loss_type}", "cross_entropy or focal")
        require(0 < self.focal_gamma < np.inf, f"focal_gamma {self.focal_gamma}", "more than 0")
        fit = len(self.level_weights) == len(RANKS) and min(self.level_weights) >= 0 and max(self.level_weights) > 0
        require(fit, f"level_weights {self.level_weights}", f"{len(RANKS)} numbers, none below 0, one above")
        known = ("none", "inverse", "sqrt_inverse")
        require(self.class_weights in known, f"class_weights {self.class_weights}", "none, inverse or sqrt_inverse")
        alike = self.class_weights == "none" or self.head == "ranks"
        require(alike, f"class_weights {self.class_weights} with a tree head", "none, or --head ranks")
        require(0 <= self.hide <= 0.5, f"hide {self.hide}", "0 to 0.5")
        real = self.views.decoys == 0 or self.head == "tree"
        require(real, f"decoys {self.views.decoys} with published heads, which cannot refuse", "0, or --head tree")
        require(16 <= self.vocabulary <= 2**20, f"vocabulary {self.vocabulary}", "16 to 1048576")

    @property
    def gamma(self) -> float:
        """Of the focal loss; 0 for plain cross-entropy."""
        return self.focal_gamma if self.loss_type == "focal" else 0.0


def build(config: Config, tokenizer: Tokenizer, tree: Taxonomy, labels: RankLabels | None) -> Model:
    """The untrained network."""
    over = SiblingGroups(tree) if labels is None else [len(some) for some in labels.labels]
    return build_model(config.encoder, tokenizer, over)


def rank_labels(tree: Taxonomy, nodes: NDArray[np.integer]) -> RankLabels:
    """A label for each taxon at each rank, with placeholders where lineages leave a rank out, as DeepTaxa has them.

    A lineage that is silent at a rank gets `Unclassified_<deepest name above>` there. Labels belong to taxa, not to
    names: two taxa of one name are two labels.

    Args:
        nodes: the taxa of the references.
    """
    places = np.unique(nodes)
    at_PR = np.zeros((len(places), len(RANKS)), np.int64)
    for row, place in enumerate(places.tolist()):
        for node in tree.path(place):
            if (level := int(tree.canonical_level[node])) >= 0:
                at_PR[row, level:] = node
    class_PR = np.empty(at_PR.shape, np.int32)
    labels = []
    for r in range(len(RANKS)):
        taxa, class_PR[:, r] = np.unique(at_PR[:, r], return_inverse=True)
        labels.append(tuple(_label(tree, node, r) for node in taxa.tolist()))
    return RankLabels(RANKS, tuple(labels), class_PR, places.astype(np.int32), tree)


def _label(tree: Taxonomy, node: int, level: int) -> str:
    if node == 0:
        return "Unclassified"
    name = tree.taxon(node).name
    return name if tree.canonical_level[node] == level else f"Unclassified_{name}"


def classes(labels: RankLabels, nodes: NDArray[np.integer]) -> NDArray[np.int64]:
    """int64 (B, R): the label of each record at each rank; -1 at all of them for a taxon that no reference has."""
    row = np.searchsorted(labels.place_P, nodes)
    found = labels.place_P[np.minimum(row, len(labels.place_P) - 1)] == nodes
    return np.where(found[:, None], labels.class_PR[np.minimum(row, len(labels.place_P) - 1)], -1).astype(np.int64)


def class_weights(kind: str, class_BR: NDArray[np.int64], sizes: Sequence[int]) -> list[Tensor] | None:
    """How much each label counts at each rank, from the labels of the references; None: alike."""
    if kind == "none":
        return None
    weights = []
    for r, labels in enumerate(sizes):
        count = np.bincount(class_BR[class_BR[:, r] >= 0, r], minlength=labels)
        weight = np.divide(count.sum(), labels * count, out=np.zeros(labels), where=count > 0)
        weights.append(torch.tensor(weight if kind == "inverse" else np.sqrt(weight), dtype=torch.float32))
    return weights
