"""The way from one protein to another, and what a model makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from protein_world import trained, world

from linnet import walk
from linnet.errors import UserError
from linnet.protein_predictor import ProteinPredictor
from linnet.records import SequenceRecord
from linnet.residues import RESIDUES
from linnet.trajectories import MOST, align, between, differences, path_probability, read_pairs, trajectory


@pytest.fixture(scope="module")
def predictor() -> ProteinPredictor:
    return ProteinPredictor(trained()[0])


def pair(a: str, b: str):  # type: ignore[no-untyped-def]
    """Two proteins of the little world with their lineages."""
    store, tree = world()
    of = {store.id(i): i for i in range(len(store))}
    return [(SequenceRecord(id, store.sequence(of[id])), tree.lineage(int(store.nodes[of[id]]))) for id in (a, b)]


def shared_start(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def test_an_alignment_holds_both_proteins_and_no_column_of_gaps() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        source, target = ("".join(random.choice(list(RESIDUES + "UX"), random.integers(1, 60))) for _ in range(2))
        a, b = align(source, target)
        assert (a.replace("-", ""), b.replace("-", "")) == (source, target)
        assert len(a) == len(b) and ("-", "-") not in zip(a, b, strict=True)


def test_related_proteins_are_aligned_residue_by_residue() -> None:
    source = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    assert align(source, source[:10] + source[14:]) == (source, source[:10] + "----" + source[14:])


def test_a_run_of_gaps_is_one_difference_and_each_changed_residue_another() -> None:
    a, b = "MK--TAYIACC-", "MRWWTA--GC-D"
    assert [(s.start, s.stop) for s in differences(a, b)] == [(1, 2), (2, 4), (6, 8), (8, 9), (10, 11), (11, 12)]
    assert differences("MK", "MK") == []


def test_a_way_begins_with_the_source_ends_with_the_target_and_takes_one_step_at_a_time() -> None:
    a, b = "MK--TAYIACC-", "MRWWTA--GC-D"
    order = [differences(a, b)[i] for i in (3, 0, 5, 1, 4, 2)]
    way = [between(a, b, order, k) for k in range(7)]
    assert (way[0], way[-1]) == ("MKTAYIACC", "MRWWTAGCD")
    assert way[1] == "MKTAYIGCC"
    assert way[2] == "MRTAYIGCC"
    assert len(set(way)) == 7


def test_the_probability_of_a_path_is_that_of_the_walk_that_took_it(predictor: ProteinPredictor) -> None:
    store, _ = world()
    sequences = [store.sequence(i) for i in range(0, 60, 7)]
    walks = walk.descend(predictor.walker(sequences))
    for i, found in enumerate(walks):
        p = path_probability(predictor.walker([sequences[i]]), found.node)
        assert p[0] == pytest.approx(np.exp(found.clade), abs=1e-6)


def test_children_of_a_taxon_and_stopping_share_its_probability(predictor: ProteinPredictor) -> None:
    store, _ = world()
    tree, walker = predictor.taxonomy, predictor.walker([store.sequence(0), store.sequence(99)])
    node = int(tree.parent[int(np.argmax(tree.depth))])
    fan, _ = walker.step(walker.begin(), np.array([node, node]))
    of_node = path_probability(walker, node)[:, -1]
    of_children = sum(path_probability(walker, int(child))[:, -1] for child in tree.children(node))
    stopping = np.exp(fan.log_F[fan.start[1:] - 1])
    assert of_children == pytest.approx(of_node * (1 - stopping), rel=1e-5)


def test_from_one_phylum_to_the_other_the_probability_changes_sides(predictor: ProteinPredictor) -> None:
    source, target = pair("p00000_0", "p11000_0")
    way, records = trajectory(predictor, source, target, points=30)
    assert way.mutations[0] == 0 and way.mutations[-1] == way.differences
    assert len(records) == len(way.mutations) == len(way.named) == 30
    assert records[0].sequence == source[0].sequence and records[-1].sequence == target[0].sequence
    of = {(clade.side, clade.place): clade for clade in way.clades}
    assert {clade.name for clade in way.clades} >= {"P0", "P1"}
    parting, other = of["source", "parting"].p, of["target", "parting"].p
    assert parting[0] > other[0] and parting[-1] < other[-1]
    first, last = predictor.predict([records[0], records[-1]])
    assert way.named[0] == first.recut(0.7).kept[-1].name
    assert way.confidence[-1] == pytest.approx(last.recut(0.7).kept_confidence)


def test_the_order_is_drawn_with_the_seed_or_from_left_to_right(predictor: ProteinPredictor) -> None:
    source, target = pair("p00000_0", "p11000_0")
    ways = [
        [r.sequence for r in trajectory(predictor, source, target, seed=seed, points=10**6)[1]] for seed in (1, 1, 2)
    ]
    assert ways[0] == ways[1] != ways[2]
    left = [r.sequence for r in trajectory(predictor, source, target, order="left", points=10**6)[1]]
    assert left[0] == ways[0][0] and left[-1] == ways[0][-1]
    begins = [shared_start(protein, target[0].sequence) for protein in left]
    assert begins == sorted(begins) and begins[-1] == len(target[0].sequence)


def test_two_proteins_of_one_taxon_are_followed_to_it(predictor: ProteinPredictor) -> None:
    source, target = pair("p00000_0", "p00001_0")
    way, _ = trajectory(predictor, source, target)
    assert [clade.place for clade in way.clades] == ["deepest", "deepest"]
    assert way.clades[0].p == way.clades[1].p


def test_the_same_protein_twice_is_a_way_of_one_point(predictor: ProteinPredictor) -> None:
    source, _ = pair("p00000_0", "p00001_0")
    way, records = trajectory(predictor, source, source)
    assert (way.differences, way.identity, way.mutations, len(records)) == (0, 1.0, (0,), 1)


def test_pairs_are_read_once_each(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("# comment\na\tb\n\nb\ta\na\tb\n")
    assert read_pairs(path) == [("a", "b"), ("b", "a")]


@pytest.mark.parametrize(
    "text", ["a b\n", "a\tb\tc\n", "a\t\n", "a\ta\n", "", "".join(f"a\tb{i}\n" for i in range(MOST + 1))]
)
def test_what_is_no_table_of_pairs_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match="two ids|1 to"):
        read_pairs(path)
