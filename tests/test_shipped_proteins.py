"""The protein model that comes with linnet, on the example proteins."""

from __future__ import annotations

from pathlib import Path

import pytest

from linnet.predictor import MODELS, load
from linnet.protein_predictor import ProteinPredictor
from linnet.records import read

EXAMPLES = Path(__file__).parent.parent / "examples" / "proteins.faa"


@pytest.fixture(scope="module")
def model() -> ProteinPredictor:
    found = load("proteins")
    assert isinstance(found, ProteinPredictor)
    return found


def test_it_is_small_and_says_where_it_came_from(model: ProteinPredictor) -> None:
    assert sum(p.stat().st_size for p in (MODELS / "proteins").iterdir()) < 20e6
    assert len(model.checkpoint.origin["sources"]) == 3
    assert "held_out" in model.checkpoint.origin


def test_example_proteins_are_mostly_named_rightly_as_far_as_they_are_named(model: ProteinPredictor) -> None:
    records = list(read(EXAMPLES, alphabet="protein"))
    tree, right, named = model.taxonomy, 0, 0
    for record, prediction in zip(records, model.classify(records), strict=True):
        node = tree.by_taxid(int(record.header.partition("OX=")[2]))  # known where other proteins are of that taxon
        if node is None or not prediction.kept:
            continue
        named += 1
        right += {t.taxid for t in prediction.kept} <= {t.taxid for t in tree.lineage(node)}
    assert named >= 5
    assert right / named > 0.7
