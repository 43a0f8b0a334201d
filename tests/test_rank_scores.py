"""Answers at each rank by itself, and the lineage they are resolved to."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import lineage

from linnet.rank_scores import RankLabels, RankScores
from linnet.taxonomy import Taxonomy

RANKS = ("domain", "phylum", "class")
LABELS = (("Archaea", "Bacteria"), ("P1", "P2", "Twin"), ("C1", "C2", "Unclassified_Twin"))
LINEAGES = ["Archaea;Twin;C1", "Bacteria;P1;C1", "Bacteria;P2;C2", "Bacteria;Twin"]


@pytest.fixture
def joined() -> RankLabels:
    tree = Taxonomy.from_lineages(map(lineage, LINEAGES))
    classes = {(0, 2, 0): LINEAGES[0], (1, 0, 0): LINEAGES[1], (1, 1, 1): LINEAGES[2], (1, 2, 2): LINEAGES[3]}
    place = {c: tree.find(lineage(text))[0] for c, text in classes.items()}
    order = sorted(classes, key=place.__getitem__)
    return RankLabels(
        RANKS, LABELS, np.array(order, np.int32), np.array([place[c] for c in order], np.int32), tree
    )


def some_scores(seed: int = 1, records: int = 5) -> RankScores:
    random = np.random.default_rng(seed)
    p = [random.dirichlet(np.ones(len(some)), records) for some in LABELS]
    return RankScores(tuple(np.log(x).astype(np.float32) for x in p))
