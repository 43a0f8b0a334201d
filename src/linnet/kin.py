"""Neighbours of records among the references, and their ways down the tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Hits:
    """K references for each of B records, the likest first.

    Attributes:
        reference_BK: int, their numbers, -1 after the last.
        score_BK: float32, how like they are, 1 for a copy; 0 after the last.
    """

    reference_BK: NDArray[np.signedinteger]
    score_BK: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Kin:
    """Neighbours of B records, with their ways down the tree.

    Attributes:
        hits: the neighbours.
        way_BKD: int32, the taxon at each depth that a neighbour lies in, -1 below its label; of no account after the
            last neighbour.
        length_B: float32, ln(letters / 400) of the records.
    """

    hits: Hits
    way_BKD: NDArray[np.int32]
    length_B: NDArray[np.float32]

    @classmethod
    def of(cls, hits: Hits, way_RD: NDArray[np.int32], lengths: NDArray[np.integer]) -> Kin:
        """Args:
        way_RD: of every reference, by its number.
        lengths: letters of the records.
        """
        of_length = np.log(np.maximum(lengths, 1) / 400).astype(np.float32)
        return cls(hits, way_RD[hits.reference_BK], of_length)

    @property
    def score_BK(self) -> NDArray[np.float32]:
        """float32 (B, K), 0 after the last neighbour."""
        return self.hits.score_BK


def ways(nodes: NDArray[np.integer], tree: Taxonomy) -> NDArray[np.int32]:
    """int32 (R, D): the taxon at each depth on the way to each of R taxa, the root first; -1 below them.

    In the last column all are -1.
    """
    at, depth = nodes.astype(np.int64), tree.depth.astype(np.int64)
    way = np.full((len(at), int(depth.max(initial=0)) + 2), -1, np.int32)
    row = np.arange(len(at))
    while True:
        way[row, depth[at]] = at
        if not at.any():
            return way
        at = tree.parent[at].astype(np.int64)
