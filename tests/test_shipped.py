"""The model that comes with linnet, on the example reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linnet.predictor import SHIPPED, Predictor, load
from linnet.records import SequenceRecord, read, reverse_complement
from linnet.taxonomy import canonical

EXAMPLES = Path(__file__).parent.parent / "examples" / "reads.fasta"


@pytest.fixture(scope="module")
def model() -> Predictor:
    return load()


def genus(lineage: str) -> str:
    return lineage.split(";")[5].removeprefix("g__").removeprefix("Candidatus ")


def test_it_is_small_enough_to_ship() -> None:
    assert sum(p.stat().st_size for p in SHIPPED.iterdir()) < 20e6


def test_its_origin_names_every_source_with_licence_and_digest(model: Predictor) -> None:
    sources = model.checkpoint.origin["sources"]
    assert len(sources) == 6
    assert all(len(s["sha256"]) == 64 and s["source"] for s in sources)
    assert "held_out" in model.checkpoint.origin


def test_example_reads_get_the_genus_that_greengenes_gives(model: Predictor) -> None:
    records = list(read(EXAMPLES))
    named = [(canonical(p.kept)[5], r) for p, r in zip(model.classify(records), records, strict=True)]
    pairs = [(taxon.name.split("_")[0], genus(r.description.split(" ", 2)[2])) for taxon, r in named if taxon]
    assert len(pairs) > 40
    assert np.mean([ours == theirs for ours, theirs in pairs]) > 0.75  # of the rest, most have been renamed since 2013


def test_the_strand_in_each_header_is_found(model: Predictor) -> None:
    for record, prediction in zip(read(EXAMPLES), model.classify(read(EXAMPLES)), strict=True):
        assert prediction.strand == ("-" if " reverse " in f" {record.description} " else "+")


def test_both_strands_of_a_read_get_the_same_answer(model: Predictor) -> None:
    records = list(read(EXAMPLES))
    turned = [SequenceRecord(r.id, reverse_complement(r.sequence)) for r in records]
    one, two = (list(model.classify(r)) for r in (records, turned))
    assert [(p.lineage, p.confidence, p.cut) for p in one] == [(p.lineage, p.confidence, p.cut) for p in two]


def test_what_is_no_16s_gene_is_refused(model: Predictor) -> None:
    random = np.random.default_rng(3)
    genes = [r.sequence for r in read(EXAMPLES)]
    noise = ["".join(random.choice(list("ACGT"), 400)) for _ in range(50)]
    backwards = [g[::-1] for g in genes if len(g) > 1000]
    for kind in (noise, backwards):
        assert np.mean([not p.kept for p in model.classify(kind)]) > 0.95
