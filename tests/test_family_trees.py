"""Trees of families: read, made, and compared, beside plain slow versions on sets of names."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from linnet.errors import UserError
from linnet.family_trees import (
    Tree,
    hamming_distances,
    lineage_tree,
    neighbour_joining,
    normalised_rf,
    random_tree,
    read_newick,
    splits,
)
from linnet.taxonomy import Taxon

Nested = str | tuple  # a leaf, or the children


def nested(names: list[str], random: np.random.Generator) -> Nested:
    """A tree of random shape: two to four children a node."""
    if len(names) == 1:
        return names[0]
    cuts = sorted(random.choice(np.arange(1, len(names)), min(len(names) - 1, random.integers(1, 4)), replace=False))
    return tuple(nested(part.tolist(), random) for part in np.split(np.array(names), cuts))


def newick(tree: Nested) -> str:
    return tree if isinstance(tree, str) else f"({','.join(map(newick, tree))})"


def below(tree: Nested) -> frozenset[str]:
    return frozenset([tree]) if isinstance(tree, str) else frozenset().union(*map(below, tree))


def slow_splits(tree: Nested, leaves: list[str]) -> set[frozenset[frozenset[str]]]:
    """Both sides of every edge, as sets of names."""
    everyone = frozenset(leaves)
    found, stack = set(), [tree]
    while stack:
        node = stack.pop()
        side = below(node) & everyone
        if min(len(side), len(everyone - side)) >= 2:
            found.add(frozenset([side, everyone - side]))
        stack += [] if isinstance(node, str) else node
    return found


def as_sets(numbers: set[int], leaves: list[str]) -> set[frozenset[frozenset[str]]]:
    sides = [frozenset(name for bit, name in enumerate(leaves) if s >> bit & 1) for s in numbers]
    return {frozenset([side, frozenset(leaves) - side]) for side in sides}


def parted(text: str) -> set[frozenset[frozenset[str]]]:
    """The splits of a tree in Newick's format, of all its leaves."""
    tree = read_newick(text)
    return as_sets(splits(tree, list(tree.leaves)), list(tree.leaves))


NAMES = [f"n{i}" for i in range(14)]


@pytest.mark.parametrize("seed", range(20))
def test_splits_and_distances_are_those_of_plain_sets_of_names(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (nested(random.permutation(NAMES).tolist(), random) for _ in range(2))
    c = (a[1:], a[0])  # shares splits with a
    some = NAMES[:: 1 + seed % 2]
    slow = [slow_splits(t, some) for t in (a, b, c)]
    fast = [splits(read_newick(newick(t) + ";"), some) for t in (a, b, c)]
    assert [as_sets(s, some) for s in fast] == slow
    for (fast_x, slow_x), (fast_y, slow_y) in itertools.combinations(zip(fast, slow, strict=True), 2):
        total = len(slow_x) + len(slow_y)
        assert normalised_rf(fast_x, fast_y) == (len(slow_x ^ slow_y) / total if total else None)


def test_where_the_root_is_does_not_matter() -> None:
    assert parted("((a,b),(c,(d,e)));") == parted("(a,b,(c,(d,e)));") == parted("(d,(e,(c,(a,b))));")


def test_nodes_with_one_child_are_no_split_of_their_own() -> None:
    assert parted("((((a,b))),((c)),d);") == parted("((a,b),c,d);")


def test_unresolved_nodes_have_fewer_splits_and_a_tree_without_any_has_no_distance_to_another() -> None:
    leaves = list("abcde")
    star, half, whole = (splits(read_newick(t), leaves) for t in ("(a,b,c,d,e);", "((a,b),c,d,e);", "((a,b),c,(d,e));"))
    assert normalised_rf(star, star) is None
    assert normalised_rf(half, whole) == 1 / 3
    assert normalised_rf(star, whole) == 1.0
    assert normalised_rf(whole, whole) == 0.0


def test_three_leaves_have_no_splits() -> None:
    assert parted("((a,b),c);") == parted("(a,b);") == parted("a;") == set()


# ---------------------------------------------------------------------- Newick


def test_quotes_comments_lengths_and_names_of_inner_nodes_are_understood() -> None:
    text = """
    ('it''s (a) leaf, [quoted];':0.1, b_1[a comment; (with marks)]:1e-3,
     (c:2, 'd')inner:[&rate=1]-0.5[!another])'the root':0;
    """
    tree = read_newick(text)
    assert list(tree.leaves) == ["it's (a) leaf, [quoted];", "b_1", "c", "d"]
    assert as_sets(splits(tree, list(tree.leaves)), list(tree.leaves)) == {
        frozenset([frozenset(["c", "d"]), frozenset(["it's (a) leaf, [quoted];", "b_1"])])
    }


def test_every_parent_has_a_lower_number_than_its_children() -> None:
    tree = read_newick("((a,b),(c,(d,e)),f);")
    assert tree.parent[0] == 0
    assert (tree.parent[1:] < np.arange(1, len(tree.parent))).all()


def test_a_tree_of_thousands_of_levels_is_read() -> None:
    n = 5000
    tree = read_newick("(" * n + "x" + "".join(f",l{i})" for i in range(n)) + ";")
    assert len(splits(tree, list(tree.leaves)[:100])) == 97


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("(a,(b,c);", "character 9", "a '(' is still open"),
        ("(a,b));", "character 6", "a ')' beyond the root"),
        ("a,b;", "character 2", "a ',' beyond the root"),
        ("(a,b)", "character 6", "it ends without a ';'"),
        ("", "character 1", "it ends without a ';'"),
        ("(a,,b);", "character 4", "a leaf without a name"),
        ("(a,);", "character 4", "a leaf without a name"),
        ("();", "character 2", "a leaf without a name"),
        ("(:1,a);", "character 4", "a leaf without a name"),
        ("(a,b,a);", "character 7", "a second leaf 'a'"),
        ("(Homo sapiens,b);", "character 7", "'sapiens' after a name"),
        ("(a,b):1 x;", "character 9", "'x' after a name or a length"),
        ("(a:x,b);", "character 4", "'x' after a ':'"),
        ("(a:,b);", "character 4", "',' after a ':'"),
        ("(a:1:2,b);", "character 5", "a second length"),
        ("(a(b,c));", "character 3", "a '(' in the middle"),
        ("(a,b);(c,d);", "character 7", "'(' after the ';'"),
        ("(a,'b);", "character 4", "''' without its other end"),
        ("(a,b[c);", "character 5", "'[' without its other end"),
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused_with_its_place(text: str, place: str, found: str) -> None:
    with pytest.raises(UserError) as error:
        read_newick(text, "FILE")
    assert error.value.where == f"FILE, {place}"
    assert error.value.found.startswith(found)


# ---------------------------------------------------------------------- making


def test_lineages_laid_over_each_other_are_a_tree() -> None:
    def taxa(text: str) -> tuple[Taxon, ...]:
        return tuple(Taxon("no rank", name) for name in text)

    tree = lineage_tree({
        "a1": taxa("ABC"), "a2": taxa("ABC"),  # of one taxon: beside each other
        "a3": taxa("ABD"),
        "a4": taxa("AB"),  # ends above: beside the children of its taxon
        "z1": taxa("Z"), "z2": taxa("ZB"),  # another B, below another parent
        "none": (), "none2": (),
    })  # fmt: skip
    leaves = list(tree.leaves)
    expected = parted("(((a1,a2),a3,a4),(z1,z2),none,none2);")
    assert as_sets(splits(tree, leaves), leaves) == expected


def test_without_a_name_everything_hangs_from_the_root() -> None:
    tree = lineage_tree({"a": (), "b": (), "c": (), "d": ()})
    assert tree.parent.tolist() == [0, 0, 0, 0, 0]
    assert splits(tree, ["a", "b", "c", "d"]) == set()


def path_lengths(tree: Nested, random: np.random.Generator) -> dict[frozenset[str], float]:
    """Distances between the leaves along edges of random lengths, some a thousand times as long as others."""
    to_root: dict[str, list[tuple[int, float]]] = defaultdict(list)
    stack = [tree]
    while stack:
        node = stack.pop()
        length = float(10 ** random.uniform(-2, 1))
        for leaf in below(node):
            to_root[leaf].append((id(node), length))
        stack += [] if isinstance(node, str) else node
    return {
        frozenset([a, b]): sum(length for _, length in set(to_root[a]) ^ set(to_root[b]))
        for a, b in itertools.combinations(to_root, 2)
    }


@pytest.mark.parametrize("seed", range(15))
def test_neighbour_joining_finds_the_tree_that_distances_were_measured_on(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = NAMES[: 4 + seed % 11]

    def resolved(some: list[str]) -> Nested:
        if len(some) == 1:
            return some[0]
        cut = int(random.integers(1, len(some)))
        return resolved(some[:cut]), resolved(some[cut:])

    true = resolved(random.permutation(names).tolist())
    length = path_lengths(true, random)
    distance = np.array([[length.get(frozenset([a, b]), 0.0) for b in names] for a in names])
    assert as_sets(splits(neighbour_joining(names, distance), names), names) == slow_splits(true, names)


def test_neighbour_joining_differs_from_joining_the_nearest() -> None:
    """c and d are the nearest two, but a and b, c, and d with e have the shorter tree."""
    distance = np.array([[0, 5, 9, 9, 8], [5, 0, 10, 10, 9], [9, 10, 0, 8, 7], [9, 10, 8, 0, 3], [8, 9, 7, 3, 0]])
    leaves = list("abcde")
    found = splits(neighbour_joining(leaves, distance.astype(float)), leaves)
    assert as_sets(found, leaves) == parted("((a,b),c,(d,e));")


def test_of_ties_the_lowest_numbers_are_joined() -> None:
    equal = 1.0 - np.eye(6)
    noise = 1e-15 * np.random.default_rng(0).random((6, 6))
    leaves = list("abcdef")
    for distance in (equal, equal + noise + noise.T):
        assert as_sets(splits(neighbour_joining(leaves, distance), leaves), leaves) == parted("((((a,b),c),d),e,f);")


def test_one_and_two_sequences_have_trees_too() -> None:
    for n in (1, 2, 3):
        for tree in (neighbour_joining(NAMES[:n], 1.0 - np.eye(n)), random_tree(NAMES[:n], 0)):
            assert tree.parent.tolist() == [0] * (n + 1)
            assert sorted(tree.leaves.values()) == list(range(1, n + 1))


def test_random_trees_are_resolved_and_follow_from_their_seed() -> None:
    def of(seed: int) -> set[int]:
        tree: Tree = random_tree(NAMES, seed)
        assert set(tree.leaves) == set(NAMES)
        return splits(tree, NAMES)

    assert {len(of(seed)) for seed in range(10)} == {len(NAMES) - 3}
    assert of(1) == of(1)
    assert len({frozenset(of(seed)) for seed in range(10)}) == 10


def test_hamming_distances_are_over_columns_where_both_have_a_residue() -> None:
    random = np.random.default_rng(0)
    rows = ["".join(random.choice(list("ACDEacde-.X?*~1x"), 40)) for _ in range(8)] + ["-" * 40]
    distance = hamming_distances(rows)
    for i, j in itertools.product(range(9), repeat=2):
        both = [(a, b) for a, b in zip(rows[i].upper(), rows[j].upper(), strict=True)
                if a in "ACDE" and b in "ACDE"]  # fmt: skip
        expected = sum(a != b for a, b in both) / len(both) if both else 1.0
        assert distance[i, j] == pytest.approx(0.0 if i == j else expected)


def test_sequences_without_a_common_column_are_as_far_apart_as_can_be() -> None:
    assert hamming_distances(["AC--", "--AC"]).tolist() == [[0, 1], [1, 0]]
