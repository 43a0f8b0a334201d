"""How references lie among each other: what is as near to a read's nearest reference as the read itself.

A read of a genus that has references lies among them: some of them are farther from its nearest reference than it is. A
read of a new genus lies outside: its nearest reference is nearer to all of its own genus, often even to another genus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.kin import Hits, ways
from linnet.machine_code import compiled
from linnet.taxonomy import Taxonomy

COPY = 255
"""The likeness of a copy, as it is kept."""
ENDS = 128
"""Marks the depth of a shared taxon at which the other's label ends."""


@dataclass(frozen=True, eq=False)
class ReferenceKin:
    """The K references likest to each of R.

    Attributes:
        likeness_RK: uint8, how like they are, COPY for a copy, the likest first; 0 after the last.
        shared_RK: uint8, the depth of the deepest taxon that both lie in; ENDS more if the other's label ends there.
    """

    likeness_RK: NDArray[np.uint8]
    shared_RK: NDArray[np.uint8]

    @classmethod
    def none(cls) -> ReferenceKin:
        """Where nothing is known of the references' own neighbours."""
        return cls(np.empty((0, 0), np.uint8), np.empty((0, 0), np.uint8))

    @classmethod
    def of(cls, hits: Hits, nodes: NDArray[np.integer], tree: Taxonomy) -> ReferenceKin:
        """Args:
        hits: what a search with each reference found, itself as well.
        nodes: (R,), the taxon of each.
        """
        return cls(*_others(hits.reference_BK.astype(np.int32), hits.score_BK, ways(nodes, tree)))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> ReferenceKin:
        """From what `tensors` gave."""
        names = ("index.kin_likeness", "index.kin_shared")
        return cls(*(np.asarray(tensors[name], np.uint8) for name in names)) if names[0] in tensors else cls.none()

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Arrays by name, as a checkpoint keeps them."""
        if not self:
            return {}
        return {"index.kin_likeness": self.likeness_RK, "index.kin_shared": self.shared_RK}

    def __bool__(self) -> bool:
        return bool(self.likeness_RK.size)


@compiled
def _others(
    reference_RK: NDArray[np.int32], score_RK: NDArray[np.float32], way_RD: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`likeness_RK` and `shared_RK` of all hits but each reference's own."""
    references, most = reference_RK.shape[0], reference_RK.shape[1] - 1
    likeness_RK = np.zeros((references, most), np.uint8)
    shared_RK = np.zeros((references, most), np.uint8)
    for r in range(references):
        at = 0
        for h in range(most + 1):
            other = reference_RK[r, h]
            if other < 0 or other == r or at == most:
                continue
            depth = 0
            while way_RD[r, depth + 1] == way_RD[other, depth + 1] and way_RD[r, depth + 1] >= 0:
                depth += 1
            likeness_RK[r, at] = np.uint8(score_RK[r, h] * COPY + 0.5)
            shared_RK[r, at] = np.uint8(depth + ENDS if way_RD[other, depth + 1] < 0 else depth)
            at += 1
    return likeness_RK, shared_RK
