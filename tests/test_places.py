"""Where lineages of other tools and trees lie in a tree."""

from __future__ import annotations

import pytest
from conftest import lineage

from linnet.places import Places
from linnet.taxonomy import Taxon, Taxonomy

LIFE = (Taxon("domain", "Bacteria", 2), Taxon("clade", "group", 7), Taxon("phylum", "P", 10), Taxon("genus", "G", 20))
OTHER = (Taxon("domain", "Bacteria", 2), Taxon("phylum", "Q", 11), Taxon("genus", "G", 21))


@pytest.fixture
def tree() -> Taxonomy:
    return Taxonomy.from_lineages([LIFE, OTHER])


def name(tree: Taxonomy, node: int) -> tuple[str, int]:
    return tree.names[node], int(tree.taxids[node])


def test_a_lineage_of_the_tree_is_at_its_end(tree: Taxonomy) -> None:
    node, beyond = Places(tree)(LIFE)
    assert (name(tree, node), beyond) == (("G", 20), 0)
    assert Places(tree)(()) == (0, 0)


def test_what_the_tree_lacks_below_is_counted(tree: Taxonomy) -> None:
    node, beyond = Places(tree)((*LIFE, Taxon("species", "new", 99), Taxon("strain", "n", 98)))
    assert (name(tree, node), beyond) == (("G", 20), 2)


def test_a_taxon_that_only_the_lineage_has_is_passed_over(tree: Taxonomy) -> None:
    node, beyond = Places(tree)((LIFE[0], Taxon("kingdom", "K", 77), *LIFE[1:]))
    assert (name(tree, node), beyond) == (("G", 20), 0)


def test_names_of_the_seven_ranks_find_their_place_over_the_clades_between(tree: Taxonomy) -> None:
    node, beyond = Places(tree)(lineage("Bacteria;P"))
    assert (name(tree, node), beyond) == (("P", 10), 0)
    other = (Taxon("domain", "Bacteria"), Taxon("phylum", "Q"), Taxon("genus", "G"), Taxon("species", "G x"))
    node, beyond = Places(tree)(other)
    assert (name(tree, node), beyond) == (("G", 21), 1)


def test_a_name_of_two_places_is_taken_no_further_than_where_they_part(tree: Taxonomy) -> None:
    node, beyond = Places(tree)((Taxon("domain", "Bacteria"), Taxon("genus", "G")))
    assert (name(tree, node), beyond) == (("Bacteria", 2), 1)


def test_strangers_are_at_the_root(tree: Taxonomy) -> None:
    assert Places(tree)(lineage("Archaea;X")) == (0, 2)
