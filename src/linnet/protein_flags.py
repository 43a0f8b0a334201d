"""What is unusual about a protein, so that its answer deserves a second look; it takes nothing from the confidence.

| flag | when |
|---|---|
| short | fewer than SHORT residues |
| long | longer than anything the model has learnt or reads of a protein |
| low complexity | more than half of the residues lie in windows of WINDOW with an entropy of ENTROPY bits or less (the first step of SEG: Wootton & Federhen 1993, Comput Chem 17:149, and its settings) |
| conflicting domains | a neighbour of another domain of life scores nearly as high as the nearest, CLOSE of it or more: a gene that crossed over, a contaminant, or a protein alike in all life |
"""  # noqa: E501

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linnet.kin import Kin
from linnet.residues import RESIDUES, codes
from linnet.taxonomy import Taxonomy

SHORT = 60
WINDOW, ENTROPY = 12, 2.2
CLOSE = 0.9

_COUNTS = np.arange(WINDOW + 1) / WINDOW
_BITS = np.where(_COUNTS > 0, -_COUNTS * np.log2(np.maximum(_COUNTS, 1e-9)), 0.0)
"""What a residue that is so many of a window's adds to its entropy."""


def flags_of(sequence: str, longest: int | None, conflicting: bool) -> tuple[str, ...]:
    """The flags of one protein.

    Args:
        longest: residues of the longest protein that the model knows of; None where that is not known.
        conflicting: as `conflicting_domains` has it.
    """
    found = {
        "short": len(sequence) < SHORT,
        "long": longest is not None and len(sequence) > longest,
        "low complexity": simple_share(sequence) > 0.5,
        "conflicting domains": conflicting,
    }
    return tuple(flag for flag, holds in found.items() if holds)


def simple_share(sequence: str) -> float:
    """The share of a protein's residues that lie in windows of low entropy; 0 of one shorter than a window."""
    code_R = codes(sequence)
    if len(code_R) < WINDOW:
        return 0.0
    so_far = np.zeros((len(code_R) + 1, len(RESIDUES) + 1), np.int32)
    np.cumsum(code_R[:, None] == np.arange(len(RESIDUES) + 1), axis=0, out=so_far[1:])
    simple = _BITS[so_far[WINDOW:] - so_far[:-WINDOW]].sum(1) <= ENTROPY
    covered = np.zeros(len(code_R) + 1, np.int64)  # +1 where such a window begins, -1 behind its end
    covered[: len(simple)] += simple
    covered[WINDOW:] -= simple
    return float((np.cumsum(covered[:-1]) > 0).mean())


def conflicting_domains(kin: Kin, taxonomy: Taxonomy) -> NDArray[np.bool_]:
    """bool (B,): whether the nearest neighbours are of two domains."""
    is_domain = taxonomy.canonical_level == 0
    way = kin.way_BKD
    domain_BK = np.where((way >= 0) & is_domain[np.maximum(way, 0)], way, -1).max(2)
    score_BK = np.where(domain_BK >= 0, kin.score_BK, 0)
    first = np.take_along_axis(domain_BK, score_BK.argmax(1)[:, None], 1)
    highest = score_BK.max(1)
    other = np.where(domain_BK == first, 0, score_BK).max(1)
    return np.asarray((other > 0) & (other >= CLOSE * highest))
