"""From a posterior to lineages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linnet.prediction import Posterior, Prediction, Stopped
from linnet.taxonomy import Lineage, Taxonomy


class LineageCache:
    """The lineage of each taxon met so far, so that each is put together once."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._lineages: dict[int, Lineage] = {0: ()}

    def __getitem__(self, node: int) -> Lineage:
        found = self._lineages.get(node)
        if found is None:
            above = self[int(self.taxonomy.parent[node])]
            found = self._lineages[node] = (*above, self.taxonomy.taxon(node))
        return found


def descend(
    posterior: Posterior, ids: Sequence[str], strands: Sequence[str], lineages: LineageCache
) -> list[Prediction]:
    """One uncut prediction a record: from the root, always to the most probable child, down to a leaf.

    Of equally probable children the first in the tree's order is taken. Confidence is the probability of
    each clade passed; novelty that of stopping there.
    """
    tree = posterior.taxonomy
    predictions = []
    for row, (id, strand) in enumerate(zip(ids, strands, strict=True)):
        node, sure = 0, 1.0
        confidence: list[float] = []
        novelty = [float(posterior.place_BN[row, 0])]
        while tree.child_count[node]:
            children = tree.children(node)
            clades = posterior.clades(row, children)
            best = int(np.argmax(clades))
            node = int(children[best])
            sure = min(sure, max(float(clades[best]), 0.0))  # sums round: never let them rise
            confidence.append(sure)
            novelty.append(float(posterior.place_BN[row, node]) if tree.child_count[node] else 0.0)
        predictions.append(
            Prediction(
                id,
                lineages[node],
                tuple(confidence),
                tuple(novelty),
                cut=len(confidence),
                stopped=Stopped.NAMED,
                strand=strand,
            )
        )
    return predictions
