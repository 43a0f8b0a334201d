from __future__ import annotations

import numpy as np
import pytest
from conftest import lineage
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import UserError
from linnet.taxonomy import RANKS, Lineage, Taxon, Taxonomy, canonical

names = st.sampled_from(["A", "B", "Ć", "uncultured", "123"])
lineages = st.lists(
    st.lists(names, min_size=1, max_size=7).map(lambda n: lineage(";".join(n))), min_size=1, max_size=25
)


@given(lineages)
def test_a_clade_is_a_slice(rows: list[Lineage]) -> None:
    tree = Taxonomy.from_lineages(rows)
    for clade in range(len(tree)):
        within = [n for n in range(len(tree)) if clade in [0, *tree.path(n)]]
        assert within == list(range(clade, tree.end[clade]))


@given(lineages, st.randoms())
def test_equal_trees_have_equal_digests_in_any_order(rows: list[Lineage], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = rows + [row[:1] for row in rows]
    random.shuffle(shuffled)
    assert Taxonomy.from_lineages(rows).digest == Taxonomy.from_lineages(shuffled).digest


@given(lineages, st.data())
def test_lca_equals_the_deepest_common_ancestor(rows: list[Lineage], data: st.DataObject) -> None:
    tree = Taxonomy.from_lineages(rows)
    nodes = data.draw(st.lists(st.integers(0, len(tree) - 1), min_size=1, max_size=5))
    common = set.intersection(*({0, *tree.path(n)} for n in nodes))
    assert tree.lca(nodes) == max(common, key=lambda n: tree.depth[n])


@given(lineages, st.data())
def test_records_of_a_clade_are_counted_as_walking_up_does(rows: list[Lineage], data: st.DataObject) -> None:
    tree = Taxonomy.from_lineages(rows)
    nodes = data.draw(st.lists(st.integers(0, len(tree) - 1), max_size=12))
    expected = [sum(clade in (0, *tree.path(n)) for n in nodes) for clade in range(len(tree))]
    assert tree.clade_counts(np.array(nodes, np.int32)).tolist() == expected


@given(lineages)
def test_level_order_keeps_children_together_and_in_order(rows: list[Lineage]) -> None:
    tree = Taxonomy.from_lineages(rows)
    assert sorted(tree.level_order) == list(range(len(tree)))
    assert np.all(np.diff(tree.depth[tree.level_order]) >= 0)
    for node in range(len(tree)):
        assert tree.children(node).tolist() == [n for n in range(1, len(tree)) if tree.parent[n] == node]


@given(lineages)
def test_every_lineage_is_found_and_read_back(rows: list[Lineage]) -> None:
    tree = Taxonomy.from_arrays(Taxonomy.from_lineages(rows).to_arrays())
    for row in rows:
        node, depth = tree.find(row)
        assert depth == len(row)
        assert tree.lineage(node) == row


def test_an_unknown_tail_is_left_off() -> None:
    tree = Taxonomy.from_lineages([lineage("Bacteria;P1;C1")])
    node, depth = tree.find(lineage("Bacteria;P1;C9;O9"))
    assert (tree.names[node], depth) == ("P1", 2)


def test_homonyms_are_different_taxa() -> None:
    tree = Taxonomy.from_lineages([lineage("Bacteria;X;Y"), lineage("Eukaryota;X;Y")])
    assert len(tree) == 7
    assert {name: len(nodes) for name, nodes in tree.homonyms.items()} == {"X": 2, "Y": 2}
    assert tree.find(lineage("Eukaryota;X"))[0] in tree.nodes_named("X")


def test_a_taxid_decides_where_names_differ_or_agree() -> None:
    rows = [(Taxon("domain", "Bacteria", 2), Taxon("genus", "Bacillus", 10)),
            (Taxon("domain", "Bacteria", 2), Taxon("genus", "Bacillus", 11))]  # fmt: skip
    tree = Taxonomy.from_lineages(rows)
    assert len(tree) == 4
    assert tree.taxon(tree.by_taxid(11)) == rows[1][1]  # type: ignore[arg-type]
    assert tree.by_taxid(12) is None


def test_one_taxid_in_two_places_is_an_error_that_names_both() -> None:
    with pytest.raises(UserError, match=r"taxid 10 is 'B' below 'Y'.*'B' below 'X'"):
        Taxonomy.from_lineages([(Taxon("family", "X"), Taxon("genus", "B", 10)),
                                (Taxon("family", "Y"), Taxon("genus", "B", 10))])  # fmt: skip


def test_ranks_old_and_new_answer_to_the_same_seven() -> None:
    old = (
        Taxon("superkingdom", "Bacteria"),
        Taxon("phylum", "P"),
        Taxon("no rank", "x"),
        Taxon("genus", "G"),
    )
    new = (Taxon("cellular root", "cellular organisms"), Taxon("domain", "Bacteria"), Taxon("kingdom", "K"),
           Taxon("phylum", "P"), Taxon("genus", "G"))  # fmt: skip
    virus = (Taxon("acellular root", "Viruses"), Taxon("realm", "Riboviria"), Taxon("phylum", "P"))
    shown = [[t.name if t else None for t in canonical(row)] for row in (old, new, virus)]
    assert shown[0] == shown[1] == ["Bacteria", "P", None, None, None, "G", None]
    assert shown[2][:2] == ["Viruses", "P"]


def test_a_missing_rank_is_left_out_and_not_filled() -> None:
    gap = (Taxon("domain", "B"), Taxon("genus", "G"))
    tree = Taxonomy.from_lineages([gap])
    assert len(tree) == 3
    assert tree.canonical(2) == (gap[0], None, None, None, None, gap[1], None)
    assert tree.canonical_level.tolist() == [-1, 0, 5]


def test_a_circle_of_parents_is_an_error() -> None:
    from linnet.strings import StringArray

    with pytest.raises(UserError, match="never reach the root"):
        Taxonomy.from_parents(np.array([0, 2, 1]), StringArray.of("rab"), ["x"] * 3, np.array([1, 2, 3]))


def test_ranks_are_the_seven() -> None:
    assert RANKS == ("domain", "phylum", "class", "order", "family", "genus", "species")
