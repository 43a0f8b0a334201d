"""Answers at each rank by itself, as DeepTaxa gives them, and the lineages that they can make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.prediction import Prediction, Stopped
from linnet.taxonomy import Taxon, Taxonomy


@dataclass(frozen=True, eq=False)
class RankScores:
    """For B records, one distribution over the labels of each of R ranks; nothing ties them together.

    Attributes:
        log_p: R arrays (B, C_r) of log-probabilities.
    """

    log_p: tuple[NDArray[np.float32], ...]

    @classmethod
    def mean(cls, members: Sequence[RankScores]) -> RankScores:
        """The mean of several models' probabilities, rank by rank."""
        if len(members) == 1:
            return members[0]
        ranks = zip(*(m.log_p for m in members), strict=True)
        return cls(tuple(np.log(np.mean([np.exp(p) for p in same], axis=0)) for same in ranks))


@dataclass(frozen=True, eq=False)
class RankLabels:
    """The labels of each rank, and which of them stand together in a lineage.

    Attributes:
        ranks: R rank words.
        labels: for each rank, C_r labels.
        class_PR: int32 (P, R), the labels of each of P lineages, from the first rank down.
        place_P: int32 (P,), the place of each lineage in `taxonomy`, ascending. A lineage whose lower ranks have
            placeholders ends above them: the organism is in that clade, and in none of its named children.
        taxonomy: the tree of the lineages, N taxa.
        temperature: how much the ranks repeat one another, from 1 (not at all) to R (each says the same). 3 was
            chosen on held-out reads of a small model trained as published: docs/decisions, lineages from ranks.
    """

    ranks: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    class_PR: NDArray[np.int32]
    place_P: NDArray[np.int32]
    taxonomy: Taxonomy
    temperature: float = 3.0

    def __post_init__(self) -> None:
        sizes = [len(labels) for labels in self.labels]
        shape = (len(self.place_P), len(self.ranks))
        if self.class_PR.shape != shape or len(sizes) != len(self.ranks) or not shape[0]:
            raise ValueError(f"lineages of shape {self.class_PR.shape}, labels of {len(sizes)} ranks")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature {self.temperature}")
        if (self.class_PR < 0).any() or (self.class_PR >= sizes).any():
            raise ValueError("a lineage with a label that there is not")
        if (np.diff(self.place_P) < 0).any() or self.place_P[0] < 0 or self.place_P[-1] >= len(self.taxonomy):
            raise ValueError("places that are not in the tree, or not in its order")

    def to_json(self) -> dict[str, object]:
        lineages = np.column_stack([self.place_P, self.class_PR])
        return {
            "ranks": self.ranks,
            "labels": self.labels,
            "lineages": lineages.tolist(),
            "temperature": self.temperature,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], taxonomy: Taxonomy) -> RankLabels:
        """Raises ValueError, KeyError or TypeError where it is not what `to_json` gives."""
        lineages = np.array(value["lineages"], np.int32).reshape(len(value["lineages"]), -1)
        labels = tuple(tuple(map(str, some)) for some in value["labels"])
        return cls(tuple(map(str, value["ranks"])), labels, lineages[:, 1:], lineages[:, 0], taxonomy,
                   float(value["temperature"]))  # fmt: skip

    def place(self, scores: RankScores) -> NDArray[np.float32]:
        """The posterior over places, (B, N): the ranks' joint distribution, given that their labels form a lineage.

        p(lineage) is proportional to the product of its labels' probabilities, as for independent ranks, to the
        power of 1 / temperature: they all come from one vector, and their plain product would count its
        evidence several times over.
        """
        joint_BP = sum(p[:, self.class_PR[:, r]] for r, p in enumerate(scores.log_p)) / self.temperature
        p_BP = np.exp(joint_BP - np.max(joint_BP, axis=1, keepdims=True))
        p_BP /= p_BP.sum(axis=1, keepdims=True)
        place_BN = np.zeros((len(p_BP), len(self.taxonomy)), np.float32)
        places, first = np.unique(self.place_P, return_index=True)
        place_BN[:, places] = np.add.reduceat(p_BP, first, axis=1)
        return place_BN

    def tempered(self, held_out: Iterable[tuple[RankScores, NDArray[np.integer]]]) -> RankLabels:
        """The same with the temperature that makes held-out records' places most probable.

        Args:
            held_out: blocks of answers, and the place of each record; places that no lineage has do not count.
        """
        grid = [replace(self, temperature=float(t)) for t in np.geomspace(0.5, 2 * len(self.ranks), 27)]
        loss, counted = np.zeros(len(grid)), 0
        for scores, nodes in held_out:
            rows = np.flatnonzero(np.isin(nodes, self.place_P))
            counted += len(rows)
            for number, labels in enumerate(grid):
                p = labels.place(scores)[rows, nodes[rows]]
                loss[number] -= np.log(np.maximum(p, np.finfo(np.float32).tiny)).sum()
        return grid[int(loss.argmin())] if counted else self

    def independent(self, scores: RankScores, ids: Sequence[str], strands: Sequence[str]) -> list[Prediction]:
        """The most probable label of each rank by itself, with its own probability, as published.

        Such a row need not be a lineage that exists, and its confidence may rise with depth.
        """
        best = [p.argmax(axis=1) for p in scores.log_p]
        sure = [np.exp(p.max(axis=1)) for p in scores.log_p]
        predictions = []
        for row, (id, strand) in enumerate(zip(ids, strands, strict=True)):
            lineage = tuple(
                Taxon(rank, labels[int(b[row])]) for rank, labels, b in zip(self.ranks, self.labels, best, strict=True)
            )
            confidence = tuple(min(float(p[row]), 1.0) for p in sure)
            nothing_new = (0.0,) * (len(lineage) + 1)
            predictions.append(Prediction(id, lineage, confidence, nothing_new, len(lineage), Stopped.NAMED, strand))
        return predictions
