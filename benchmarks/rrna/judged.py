"""What became of the queries of one rank, as little of it as the comparison of tools needs, so that it can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from cells import Cell
from numpy.typing import NDArray

from linnet.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class Judged:
    """n queries at one rank, uncut; see `linnet.outcomes.Outcomes`.

    Attributes:
        right: bool (n,), the whole path is right.
        named: bool (n,), there is a name.
        known: bool (n,), the references have the true taxon.
        confidence: float (n,), what decides a cut: the lowest on the way to the name; NaN: never cut.
    """

    right: NDArray[np.bool_]
    named: NDArray[np.bool_]
    known: NDArray[np.bool_]
    confidence: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.right)

    @classmethod
    def of(cls, outcomes: Outcomes) -> Judged:
        """Uncut outcomes, judged with a reference."""
        assert outcomes.known is not None
        return cls(outcomes.right, outcomes.classified, outcomes.known, outcomes.path_confidence)

    def to_json(self) -> dict[str, Any]:
        flags = {name: "".join("01"[flag] for flag in getattr(self, name).tolist()) for name in _FLAGS}
        return flags | {"confidence": self.confidence.tolist()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Judged:
        flags = {name: np.array([flag == "1" for flag in found[name]], bool) for name in _FLAGS}
        return cls(**flags, confidence=np.array(found["confidence"], float))


_FLAGS = ("right", "named", "known")

ByCell = Mapping[Cell, Mapping[str, Judged]]
"""Cell -> rank -> what became of its queries; cells of the same split and region have the same."""
