"""Hold-outs: what is on which side, against plain loops."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import evolved_genes, lineage
from numpy.typing import NDArray

from linnet import split
from linnet.errors import UserError
from linnet.taxonomy import Lineage, Taxon, Taxonomy

LINEAGES = list(evolved_genes()[1].values())
TREE = Taxonomy.from_lineages(LINEAGES)
NODES = np.array([TREE.find(row)[0] for row in LINEAGES])


def test_a_share_is_drawn_at_random_and_repeatably() -> None:
    names = [str(i) for i in range(200)]
    one, two = (split.at_random(names, 0.1, np.random.default_rng(7)) for _ in range(2))
    assert one.sum() == 20
    assert np.array_equal(one, two)


def test_a_group_is_never_divided() -> None:
    groups = np.array([f"g{i % 30}" for i in range(300)])
    chosen = split.at_random(groups.tolist(), 0.1, np.random.default_rng(7))
    assert chosen.sum() == 30
    assert not set(groups[chosen]) & set(groups[~chosen])


def test_hidden_clades_are_hidden_whole_and_keep_a_sibling() -> None:
    hidden = split.whole_clades(TREE, NODES, 0.2, np.random.default_rng(1), largest=0.5)
    assert 0 < hidden.sum() < len(NODES)
    left = Taxonomy.from_lineages(row for row, h in zip(LINEAGES, hidden, strict=True) if not h)
    for row, is_hidden in zip(LINEAGES, hidden, strict=True):
        assert (left.find(row)[1] < len(row)) == is_hidden


def test_large_clades_are_left_alone() -> None:
    hidden = split.whole_clades(TREE, NODES, 1.0, np.random.default_rng(1), largest=4 / len(NODES))
    species = {row[:7] for row, h in zip(LINEAGES, hidden, strict=True) if h}
    genera = {row[:6] for row in species}
    assert all(sum(other[:6] == genus for other in LINEAGES) >= 4 for genus in genera)
    assert hidden.sum() == len(NODES)


def drawn(rank: str, share: float, seed: int = 1, largest: int | None = 1000) -> NDArray[np.bool_]:
    return split.clades_of_rank(TREE, NODES, rank, share, np.random.default_rng(seed), largest=largest).test


def taxa(rank: int, which: NDArray[np.bool_]) -> set[Lineage]:
    """The taxa of some records at a rank, 0 for domain."""
    return {row[: rank + 1] for row, chosen in zip(LINEAGES, which, strict=True) if chosen}


@pytest.mark.parametrize(("rank", "level"), [("phylum", 1), ("genus", 5), ("species", 6)])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_taxa_of_a_rank_are_drawn_whole_and_their_parents_stay(rank: str, level: int, share: float) -> None:
    for seed in range(5):
        test = drawn(rank, share, seed)
        assert test.any()
        assert not taxa(level, test) & taxa(level, ~test)
        assert taxa(level - 1, test) <= taxa(level - 1, ~test)


def test_so_many_taxa_are_drawn_as_asked_and_the_same_for_the_same_seed() -> None:
    assert len(taxa(6, drawn("species", 0.25))) == round(0.25 * 24)
    assert np.array_equal(drawn("species", 0.25, 3), drawn("species", 0.25, 3))
    assert len({drawn("species", 0.25, seed).tobytes() for seed in range(5)}) > 1
    assert len(taxa(5, drawn("genus", 1.0))) == 4, "one of each pair of genera stays"


def test_taxa_with_more_records_than_allowed_are_not_drawn() -> None:
    extra = np.append(NODES, [NODES[0]] * 3)  # the first species has seven records
    for seed in range(5):
        random = np.random.default_rng(seed)
        test = split.clades_of_rank(TREE, extra, "species", 1.0, random, largest=6).test
        assert not test[extra == NODES[0]].any()
        assert test.any()
    with pytest.raises(UserError, match=r"none of the 24 taxa of rank 'species' with a sibling has at most 1 records"):
        drawn("species", 0.5, largest=None)  # a hundredth of 96 records


def test_records_without_the_rank_stay_and_so_does_an_only_child() -> None:
    rows = [lineage("B;P;C;O;F;G1"), lineage("B;P;C;O;F;G2"), lineage("B;P;C;O;F"), lineage("B;P;C;O;F2;G3")]
    tree = Taxonomy.from_lineages(rows)
    nodes = np.array([tree.find(row)[0] for row in rows])
    for seed in range(8):
        test = split.clades_of_rank(tree, nodes, "genus", 0.5, np.random.default_rng(seed), largest=1).test
        assert test.tolist() in ([True, False, False, False], [False, True, False, False])
    with pytest.raises(UserError, match="none of the 1 taxa of rank 'order' has a sibling"):
        split.clades_of_rank(tree, nodes, "order", 0.5, np.random.default_rng(0))


def test_any_rank_of_the_tree_will_do_and_domain_stands_for_superkingdom() -> None:
    rows = [(Taxon("superkingdom", "A"), Taxon("clade", "x")), (Taxon("superkingdom", "A"), Taxon("clade", "y")),
            (Taxon("superkingdom", "B"), Taxon("clade", "z"))]  # fmt: skip
    tree = Taxonomy.from_lineages(rows)
    nodes = np.array([tree.find(row)[0] for row in rows])
    for rank, expected in (("clade", 1), ("superkingdom", 1), ("domain", 1)):
        test = split.clades_of_rank(tree, nodes, rank, 0.5, np.random.default_rng(2), largest=2).test
        assert len({rows[i][0 if rank != "clade" else 1] for i in np.flatnonzero(test)}) == expected
    with pytest.raises(UserError, match=r"no record has a taxon of rank 'genus'. Expected one of: clade, domain"):
        split.clades_of_rank(tree, nodes, "genus", 0.5, np.random.default_rng(2))


def test_taxa_of_a_rank_within_each_other_leave_every_other_taxon_a_record() -> None:
    rows = [
        tuple(Taxon("clade", f"{name[: i + 1]}") for i in range(len(name)))
        for name in ("aaa", "aab", "ab", "ba", "bb", "bbb")
    ]
    tree = Taxonomy.from_lineages(rows)
    nodes = np.array([tree.find(row)[0] for row in rows])
    for seed in range(20):
        test = split.clades_of_rank(tree, nodes, "clade", 1.0, np.random.default_rng(seed), largest=9).test
        assert test.any()
        assert not test.all()


def test_whole_groups_are_drawn_up_to_the_share() -> None:
    random = np.random.default_rng(5)
    groups = [f"g{i}" for i in random.integers(0, 60, 500)] + ["giant"] * 300 + [f"alone{i}" for i in range(200)]
    for seed in range(5):
        test = split.whole_groups(groups, 0.1, np.random.default_rng(seed)).test
        sides = [{g for g, t in zip(groups, test, strict=True) if t == side} for side in (True, False)]
        assert not sides[0] & sides[1]
        assert "giant" in sides[1]
        assert test.sum() == 100
    again = split.whole_groups(groups, 0.1, np.random.default_rng(4)).test
    assert np.array_equal(test, again)


def test_groups_too_large_for_the_share_are_never_drawn() -> None:
    assert not split.whole_groups(["a"] * 5 + ["b"] * 5, 0.4, np.random.default_rng(1)).test.any()
    assert split.whole_groups(["a"] * 5 + ["b"] * 5, 0.6, np.random.default_rng(1)).test.sum() == 5


@pytest.mark.parametrize("text", ["a\tg\nb\tg\nc\th\n", "g\ta\ng\tb\nh\tc\n", "a\ta\r\na\tb\r\na\tb\r\nc\tc\r\n"])
def test_clusters_are_read_in_either_order_of_columns(tmp_path: Path, text: str) -> None:
    table = tmp_path / "clusters.tsv"
    table.write_text(text)
    a, b, c = split.read_clusters(table, ["a", "b", "c"])
    assert a == b != c


def test_clusters_that_lack_a_record_or_have_it_twice_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "clusters.tsv"
    table.write_text("a\tg\nb\tg\n")
    with pytest.raises(UserError, match=r"1 records have no cluster, 'c' for one"):
        split.read_clusters(table, ["a", "b", "c"])
    table.write_text("a\tg\nb\tg\na\th\n")
    with pytest.raises(UserError, match="neither column has every record"):
        split.read_clusters(table, ["a", "b"])
    table.write_text("a\tg\nb\n")
    with pytest.raises(UserError, match=r"line 2: 1 cells: 'b'"):
        split.read_clusters(table, ["a"])


def uneven(records: int = 600) -> tuple[Taxonomy, NDArray[np.int64], list[str], list[Lineage]]:
    """A tree with three taxa below the root and depths from 0 to 9, and records of all its taxa."""
    random = np.random.default_rng(11)
    rows: list[Lineage] = []
    for _ in range(records):
        top = random.choice(["cellular organisms", "Viruses", "other"], p=[0.8, 0.17, 0.03])
        names = [str(top), *(random.choice(list("abc")) for _ in range(random.integers(0, 9)))]
        rows.append(tuple(Taxon("clade", name) for name in names))
    rows[5] = ()
    tree = Taxonomy.from_lineages(rows)
    ids = [f"r{i}" for i in random.permutation(records)]
    return tree, np.array([tree.find(row)[0] for row in rows]), ids, rows


def chosen_plainly(rows: list[Lineage], ids: list[str], size: int, edges: list[int], tops: list[str]) -> set[str]:
    """The published sample, stratum by stratum, with fractions."""
    strata: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for row, id in zip(rows, ids, strict=True):
        span = next((i for i, edge in enumerate(edges) if len(row) <= edge), len(edges))
        top = tops.index(row[0].name) if row else -1
        strata.setdefault((top, span), []).append((";".join(t.name for t in row), id))
    share = {key: Fraction(size * len(members), len(rows)) for key, members in strata.items()}
    allotted = {key: int(quota) for key, quota in share.items()}
    for key in sorted(strata, key=lambda key: (allotted[key] - share[key], key))[: size - sum(allotted.values())]:
        allotted[key] += 1
    found = set()
    for key, members in strata.items():
        step = Fraction(len(members), allotted[key]) if allotted[key] else Fraction(0)
        found |= {sorted(members)[int((i + Fraction(1, 2)) * step)][1] for i in range(allotted[key])}
    return found


@pytest.mark.parametrize("size", [1, 7, 60, 333, 599])
@pytest.mark.parametrize("edges", [None, [1, 3, 5], [2], [0, 1, 2, 3, 4, 50]])
def test_the_systematic_sample_is_that_of_a_plain_loop(size: int, edges: list[int] | None) -> None:
    tree, nodes, ids, rows = uneven()
    test = split.systematic(tree, nodes, ids, size, edges).test
    tops = [tree.names[int(n)] for n in tree.children(0)]
    depths = sorted(map(len, rows))
    septiles = sorted({next(d for d in range(10) if 7 * sum(x <= d for x in depths) >= k * 600) for k in range(1, 7)})
    assert len(septiles) == 6
    expected = chosen_plainly(rows, ids, size, edges or septiles, tops)
    assert {id for id, t in zip(ids, test, strict=True) if t} == expected
    assert test.sum() == size


def test_the_systematic_sample_does_not_depend_on_the_order_of_the_records() -> None:
    tree, nodes, ids, _ = uneven()
    test = split.systematic(tree, nodes, ids, 100).test
    order = np.random.default_rng(2).permutation(len(ids))
    again = split.systematic(tree, nodes[order], [ids[i] for i in order], 100).test
    assert np.array_equal(test[order], again)


def test_the_systematic_sample_says_what_each_stratum_gave() -> None:
    tree, nodes, ids, rows = uneven()
    found = split.systematic(tree, nodes, ids, 100, [2, 5])
    assert found.said[0] == ("stratum", "depth (edges 2,5)", "records", "chosen")
    table = {(name, span): (int(n), int(k)) for name, span, n, k in found.said[1:]}
    spans = Counter((row[0].name if row else "no taxon", "0 to 2" if len(row) <= 2 else "3 to 5" if len(row) <= 5 else "6 and more")
                    for row in rows)  # fmt: skip
    assert {key: n for key, (n, _) in table.items()} == spans
    assert sum(k for _, k in table.values()) == 100
    assert all(abs(k - 100 * n / 600) < 1 for n, k in table.values())


def test_a_systematic_sample_of_all_records_is_refused() -> None:
    tree, nodes, ids, _ = uneven()
    with pytest.raises(UserError, match="a sample of 600 of 600 records"):
        split.systematic(tree, nodes, ids, 600)
