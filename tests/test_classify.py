from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from linnet.baselines import Commonest, Nearest
from linnet.classify import Summary, classify, shard
from linnet.prediction import Prediction, Stopped
from linnet.predictor import Predictor, load
from linnet.records import SequenceRecord, reverse_complement
from linnet.taxonomy import Taxon, Taxonomy


@pytest.fixture(scope="module")
def predictor(tiny_model) -> Predictor:  # type: ignore[no-untyped-def]
    return load(tiny_model)


@pytest.fixture(scope="module")
def records(genes) -> list[SequenceRecord]:  # type: ignore[no-untyped-def]
    return [SequenceRecord(i, s) for i, s in genes[0].items()]


def alike(one: list[Prediction], two: list[Prediction]) -> bool:
    return all(
        (a.record_id, a.lineage, a.cut, a.strand) == (b.record_id, b.lineage, b.cut, b.strand)
        and np.allclose(a.confidence, b.confidence, atol=1e-4)
        for a, b in zip(one, two, strict=True)
    )


def test_genes_are_named(predictor, genes, records) -> None:  # type: ignore[no-untyped-def]
    named = list(predictor.classify(records))
    right = [p.lineage == genes[1][p.record_id] for p in named]
    assert np.mean(right) > 0.95
    assert all(p.strand == "+" for p in named)


def test_the_other_strand_gets_the_same_name(predictor, records) -> None:  # type: ignore[no-untyped-def]
    turned = [SequenceRecord(r.id, reverse_complement(r.sequence)) for r in records]
    one, two = list(predictor.classify(records)), list(predictor.classify(turned))
    assert all(p.strand == "-" for p in two)
    assert [(p.lineage, p.confidence) for p in one] == [(p.lineage, p.confidence) for p in two]


def test_plain_strings_will_do(predictor, records) -> None:  # type: ignore[no-untyped-def]
    named = list(predictor.classify([records[0].sequence.lower().replace("t", "u"), ""]))
    assert [p.record_id for p in named] == ["seq1", "seq2"]
    assert named[0].lineage == next(iter(predictor.classify(records))).lineage
    assert named[1].reason == "no sequence"


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_answers_do_not_depend_on_threads(predictor, records, threads: int) -> None:  # type: ignore[no-untyped-def]
    many = records * 8
    expected = list(classify(many, predictor, confidence=0.7))
    assert list(classify(many, predictor, confidence=0.7, threads=threads)) == expected
    assert [p.record_id for p in expected] == [r.id for r in many]


def test_answers_do_not_depend_on_the_neighbours(predictor, records) -> None:  # type: ignore[no-untyped-def]
    together = list(predictor.classify(records))
    alone = [next(iter(predictor.classify([r]))) for r in records]
    assert alike(together, alone)


def test_shards_are_the_whole(predictor, records) -> None:  # type: ignore[no-untyped-def]
    parts = [list(classify(shard(records, i, 3), predictor, confidence=0.7)) for i in (1, 2, 3)]
    whole = list(predictor.classify(records))
    assert alike(
        sorted((p for part in parts for p in part), key=lambda p: p.record_id), sorted(whole, key=lambda p: p.record_id)
    )


def test_a_record_without_a_name_has_a_reason(predictor) -> None:  # type: ignore[no-untyped-def]
    noise = "".join(np.random.default_rng(0).choice(list("ACGT"), 500))
    found = list(predictor.classify(["", "ACGT", "N" * 500, noise]))
    assert all(p.stopped == Stopped.UNREADABLE and not p.kept for p in found)
    assert [p.reason for p in found] == [
        "no sequence",
        "4 bases; at least 54 are needed",
        "0 of its 5-mers are free of ambiguous bases; at least 50 are needed",
        "looks to the model like no gene of its references",
    ]


def test_the_summary_counts_what_happened(predictor, records) -> None:  # type: ignore[no-untyped-def]
    summary = Summary()
    list(summary.watch(predictor.classify([*records, "", "ACG", "ACGT"])))
    text = "\n".join(summary.lines())
    assert f"{len(records) + 3} records" in text
    assert "2 unreadable: too few bases; at least 54 are needed" in text
    assert Summary().lines() == ["no records"]


def test_a_record_counts_once_at_each_of_the_seven_ranks_it_is_named_to() -> None:
    lineage = tuple(Taxon(rank, rank) for rank in ("superkingdom", "kingdom", "domain", "phylum", "class"))
    summary = Summary()
    cut = [Prediction("r", lineage, (1.0,) * 5, (0.0,) * 6, cut, Stopped.UNSURE) for cut in (0, 1, 4, 4)]
    assert list(summary.watch(cut)) == cut
    assert summary.at_rank == {"domain": 3, "phylum": 2}


def test_memory_does_not_grow_with_the_number_of_records(predictor, records) -> None:  # type: ignore[no-untyped-def]
    def peak(n: int) -> int:
        stream = (records[i % len(records)] for i in range(n))
        tracemalloc.start()
        for _ in classify(stream, predictor, confidence=0.7):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(6000) < peak(1500) * 1.1


def test_the_nearest_reference_is_the_one_that_shares_most_kmers(genes) -> None:  # type: ignore[no-untyped-def]
    sequences, lineages = genes
    ids = list(sequences)
    tree = Taxonomy.from_lineages(lineages.values())
    nodes = np.array([tree.find(lineages[i])[0] for i in ids])
    nearest = Nearest(Nearest.fit([sequences[i] for i in ids], nodes, tree), tree)
    queries = [sequences[i] for i in ids[::7]]
    place = nearest.place(nearest.reader.read(queries))
    assert np.allclose(place.sum(axis=1), 1)
    words = {i: {s[j : j + 8] for j in range(len(s) - 7)} for i, s in sequences.items()}
    for query, row in zip(ids[::7], place, strict=True):
        shared = {i: len(words[query] & words[i]) for i in ids}
        best = [i for i in ids if shared[i] == max(shared.values())]
        assert {int(n) for n in np.flatnonzero(row > 1e-6)} <= {0, *(int(nodes[ids.index(i)]) for i in best)}


def test_the_commonest_lineage_is_always_the_same(genes) -> None:  # type: ignore[no-untyped-def]
    sequences, lineages = genes
    tree = Taxonomy.from_lineages(lineages.values())
    nodes = np.array([tree.find(lineages[i])[0] for i in sequences])
    commonest = Commonest(Commonest.fit(list(sequences.values()), nodes, tree), tree)
    place = commonest.place(commonest.reader.read(["ACGT" * 20] * 3))
    assert np.allclose(place.sum(axis=1), 1)
    assert np.allclose(place[0], np.bincount(nodes, minlength=len(tree)) / len(nodes))
