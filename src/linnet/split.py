"""Hold-outs: records set aside to measure and to calibrate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linnet.taxonomy import Taxonomy


def at_random(groups: Sequence[str], share: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """bool (records,): true for the records of a share of the groups, drawn without regard to anything.

    Args:
        groups: the group of each record. Records of one group (copies of a gene in one genome, say) are too
            alike to be on both sides.
    """
    names, group = np.unique(np.array(groups), return_inverse=True)
    chosen = np.zeros(len(names), bool)
    chosen[random.permutation(len(names))[: round(len(names) * share)]] = True
    return np.asarray(chosen[group])


def whole_clades(
    taxonomy: Taxonomy,
    nodes: NDArray[np.integer],
    share: float,
    random: np.random.Generator,
    *,
    largest: float = 0.01,
) -> NDArray[np.bool_]:
    """bool (records,): true for every record of the clades drawn, so that those taxa are wholly absent.

    At each level below the first, a share of the taxa that have a sibling and records is drawn; a clade with
    more than `largest` of all records is left alone.

    Args:
        nodes: (records,) the taxon of each record.
    """
    records_N = np.bincount(nodes, minlength=len(taxonomy))
    sums = np.concatenate([[0], np.cumsum(records_N)])
    clade_N = sums[taxonomy.end] - sums[:-1]
    chosen = np.zeros(len(nodes), bool)
    for depth in range(2, int(taxonomy.depth.max(initial=0)) + 1):
        fit = (taxonomy.depth == depth) & (clade_N > 0) & (clade_N <= max(1, largest * len(nodes)))
        fit &= taxonomy.child_count[taxonomy.parent] > 1
        taxa = np.flatnonzero(fit)
        for taxon in random.permutation(taxa)[: round(len(taxa) * share)]:
            chosen |= (nodes >= taxon) & (nodes < taxonomy.end[taxon])
    return chosen
