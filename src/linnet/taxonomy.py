"""The tree of taxa, numbered so that a clade is a slice, and questions about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.strings import StringArray

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
"""The seven canonical ranks, general to specific."""

CANONICAL = {rank: rank for rank in RANKS} | {
    "superkingdom": "domain",  # NCBI until March 2025
    "acellular root": "domain",  # NCBI since: where viruses stood as a superkingdom
}
"""Which canonical rank a source's own rank answers to. Others (realm, kingdom, strain ...) answer to none."""


class Taxon(NamedTuple):
    """One named group. `taxid` is the source's own number, or None where it has none."""

    rank: str
    name: str
    taxid: int | None = None


Lineage = tuple[Taxon, ...]
"""Taxa from general to specific. Missing ranks are left out; () says nothing is known."""


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """A rooted tree of N taxa in arrays, numbered depth-first from the root, 0.

    Clade `c` is the slice `c:end[c]`; "n lies in clade c" is `c <= n < end[c]`. Siblings are in order of
    taxid, then name, then rank, so that equal trees have equal numbers and equal digests whatever the order
    of the input. A taxon is known by its taxid where it has one, else by its path, never by its bare name.

    Attributes:
        parent: int32 (N,); `parent[0] == 0`.
        end: int32 (N,), one past the last node of the clade.
        rank_code: uint8 (N,), an index into `rank_names`.
        rank_names: the rank words, sorted.
        names: N names.
        taxids: int64 (N,), 0 where there is none.
        retired: taxids the source has merged (old -> new) or deleted (old -> 0).
    """

    parent: NDArray[np.int32]
    end: NDArray[np.int32]
    rank_code: NDArray[np.uint8]
    rank_names: tuple[str, ...]
    names: StringArray
    taxids: NDArray[np.int64]
    retired: Mapping[int, int]

    # ------------------------------------------------------------------ building

    @classmethod
    def from_lineages(cls, lineages: Iterable[Lineage]) -> Taxonomy:
        """The tree that holds every given lineage.

        Raises:
            UserError: one taxid stands under two parents, or with two names.
        """
        parents, ranks, names, taxids = [0], ["root"], ["root"], [0]
        known: dict[object, int] = {}
        for lineage in dict.fromkeys(lineages):
            node = 0
            for taxon in lineage:
                key: object = taxon.taxid if taxon.taxid else (node, taxon.rank, taxon.name)
                found = known.get(key)
                if found is None:
                    found = known[key] = len(parents)
                    parents.append(node)
                    ranks.append(taxon.rank)
                    names.append(taxon.name)
                    taxids.append(taxon.taxid or 0)
                elif taxon.taxid and (parents[found] != node or names[found] != taxon.name):
                    raise UserError(
                        f"taxid {taxon.taxid} is '{taxon.name}' below '{names[node]}' in one lineage and "
                        f"'{names[found]}' below '{names[parents[found]]}' in another",
                        expected="one place in the tree for each taxid",
                    )
                node = found
        return cls.from_parents(np.array(parents), StringArray.of(names), ranks, np.array(taxids, np.int64))

    @classmethod
    def from_parents(
        cls,
        parents: NDArray[np.integer],
        names: StringArray,
        ranks: Sequence[str] | tuple[NDArray[np.integer], Sequence[str]],
        taxids: NDArray[np.int64],
        retired: Mapping[int, int] | None = None,
    ) -> Taxonomy:
        """Number a tree given as parent pointers, in any order; the root is its own parent.

        Args:
            parents: (N,) index of each node's parent.
            ranks: N rank words, or their codes and the words the codes stand for.
            taxids: int64 (N,), 0 where there is none.

        Raises:
            UserError: not exactly one root, or a circle of parents.
        """
        codes, words = _rank_codes(ranks)
        roots = np.flatnonzero(parents == np.arange(len(parents)))
        if len(roots) != 1:
            raise UserError(f"the tree has {len(roots)} roots", expected="one node that is its own parent")
        order, start_of, end_of = _depth_first(parents, int(roots[0]), names, codes, taxids)
        new_parent = start_of[parents[order]].astype(np.int32)
        return cls(
            parent=new_parent,
            end=end_of[order].astype(np.int32),
            rank_code=codes[order],
            rank_names=words,
            names=names.take(order),
            taxids=taxids[order],
            retired=dict(retired or {}),
        )

    # ------------------------------------------------------------------ one taxon

    def __len__(self) -> int:
        return len(self.parent)

    def rank(self, node: int) -> str:
        return self.rank_names[int(self.rank_code[node])]

    def taxon(self, node: int) -> Taxon:
        return Taxon(self.rank(node), self.names[node], int(self.taxids[node]) or None)

    def path(self, node: int) -> list[int]:
        """Nodes from below the root down to `node`; empty for the root."""
        nodes = []
        while node:
            nodes.append(int(node))
            node = self.parent[node]
        return nodes[::-1]

    def lineage(self, node: int) -> Lineage:
        """The taxa from below the root down to `node`."""
        return tuple(self.taxon(n) for n in self.path(node))

    def canonical(self, node: int) -> tuple[Taxon | None, ...]:
        """The taxa of `node`'s lineage at the seven canonical ranks, None where a rank is missing."""
        return canonical(self.lineage(node))

    def clade(self, node: int) -> slice:
        """The node and everything below it."""
        return slice(int(node), int(self.end[node]))

    def is_leaf(self, node: int) -> bool:
        return bool(self.end[node] == node + 1)

    def children(self, node: int) -> NDArray[np.int32]:
        first = self.child_start[node]
        return self.level_order[first : first + self.child_count[node]]

    def lca(self, nodes: Iterable[int]) -> int:
        """The lowest taxon whose clade holds all of `nodes`; the root for none."""
        nodes = [int(n) for n in nodes]
        if not nodes:
            return 0
        low, high = min(nodes), max(nodes)  # depth-first numbers: these two decide
        while not low <= high < self.end[low]:
            low = int(self.parent[low])
        return low

    # ------------------------------------------------------------------ finding

    def by_taxid(self, taxid: int) -> int | None:
        """The node of a taxid, following merged ids; None if unknown or deleted."""
        taxid = self.retired.get(taxid, taxid)
        if taxid <= 0:
            return None
        order, sorted_ids = self._taxid_index
        i = int(np.searchsorted(sorted_ids, taxid))
        return int(order[i]) if i < len(order) and sorted_ids[i] == taxid else None

    def find(self, lineage: Lineage) -> tuple[int, int]:
        """Follow a lineage down the tree.

        Returns:
            the deepest node reached, and how many of the lineage's taxa that took. A taxon is matched by
            taxid where both have one, else by name and canonical rank below the taxon before it.
        """
        node = 0
        for depth, taxon in enumerate(lineage):
            if taxon.taxid and self.taxids.any():
                found = self.by_taxid(taxon.taxid)
            else:
                found = self._child_by_name.get((node, CANONICAL.get(taxon.rank, taxon.rank), taxon.name))
            if found is None:
                return node, depth
            node = found
        return node, len(lineage)

    def nodes_named(self, name: str) -> list[int]:
        """Every taxon that bears this name."""
        return self._nodes_of_name.get(name, [])

    # ------------------------------------------------------------------ whole-tree arrays

    @cached_property
    def depth(self) -> NDArray[np.int32]:
        """int32 (N,): steps from the root."""
        depth = np.zeros(len(self), np.int32)
        for a, b in zip(self.level_bounds[1:], self.level_bounds[2:], strict=False):
            nodes = self.level_order[a:b]
            depth[nodes] = depth[self.parent[nodes]] + 1
        return depth

    @cached_property
    def level_order(self) -> NDArray[np.int32]:
        """int32 (N,): nodes level by level; the children of a node are contiguous and in order."""
        return self._levels[0]

    @cached_property
    def level_bounds(self) -> NDArray[np.int64]:
        """int64 (levels + 1,): level l is `level_order[level_bounds[l]:level_bounds[l + 1]]`."""
        return self._levels[1]

    @cached_property
    def level_place(self) -> NDArray[np.int64]:
        """int64 (N,): where each node stands in `level_order`."""
        place = np.empty(len(self), np.int64)
        place[self.level_order] = np.arange(len(self))
        return place

    @cached_property
    def child_count(self) -> NDArray[np.int32]:
        """int32 (N,): how many children each node has."""
        return np.bincount(self.parent[1:], minlength=len(self)).astype(np.int32)

    @cached_property
    def child_start(self) -> NDArray[np.int32]:
        """int32 (N,): where a node's children begin in `level_order`."""
        start = np.zeros(len(self), np.int32)
        counts = self.child_count[self.level_order]
        start[self.level_order] = 1 + np.cumsum(counts) - counts
        return start

    @cached_property
    def canonical_level(self) -> NDArray[np.int8]:
        """int8 (N,): the index in RANKS of each node's canonical rank, -1 where it has none."""
        of_word = [RANKS.index(CANONICAL[w]) if w in CANONICAL else -1 for w in self.rank_names]
        return np.array(of_word, np.int8)[self.rank_code]

    @cached_property
    def homonyms(self) -> dict[str, list[int]]:
        """Names that more than one taxon bears, with those taxa."""
        return {name: nodes for name, nodes in self._nodes_of_name.items() if len(nodes) > 1}

    def clade_counts(self, nodes: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64 (N,): of labelled records, one node each, how many lie in the clade of each taxon."""
        sums = np.concatenate([[0], np.cumsum(np.bincount(nodes, minlength=len(self)))])
        return np.asarray(sums[self.end] - sums[:-1], np.int64)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tree: equal for equal trees, whatever they were built from."""
        h = hashlib.sha256()
        for array, kind in ((self.parent, "<i4"), (self.rank_code, "u1"), (self.taxids, "<i8")):
            h.update(np.ascontiguousarray(array, kind).tobytes())
        h.update("\t".join(self.rank_names).encode())
        h.update(np.ascontiguousarray(self.names.offsets, "<i8").tobytes())
        h.update(self.names.data.tobytes())
        return h.hexdigest()

    @cached_property
    def _levels(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        order = np.argsort(self.parent[1:], kind="stable").astype(np.int32) + 1
        first = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.bincount(self.parent[1:], minlength=len(self)), out=first[1:])
        levels = _breadth_first(order, first, 0)
        return np.concatenate(levels).astype(np.int32), np.cumsum([0, *map(len, levels)])

    @cached_property
    def _taxid_index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.taxids, kind="stable")
        return order, self.taxids[order]

    @cached_property
    def _nodes_of_name(self) -> dict[str, list[int]]:
        nodes_of: dict[str, list[int]] = {}
        for node, name in enumerate(self.names):
            nodes_of.setdefault(name, []).append(node)
        return nodes_of

    @cached_property
    def _child_by_name(self) -> dict[tuple[int, str, str], int]:
        words = [CANONICAL.get(w, w) for w in self.rank_names]
        rows = zip(self.parent.tolist(), self.rank_code.tolist(), self.names, strict=True)
        return {(p, words[r], name): node for node, (p, r, name) in enumerate(rows) if node}

    # ------------------------------------------------------------------ keeping

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Plain arrays that `from_arrays` reads back; nothing in them needs pickle."""
        retired = np.array(sorted(self.retired.items()), np.int64).reshape(-1, 2)
        words = StringArray.of(self.rank_names)
        return {
            "parent": self.parent,
            "end": self.end,
            "rank_code": self.rank_code,
            "rank_data": words.data,
            "rank_offsets": words.offsets,
            "name_data": self.names.data,
            "name_offsets": self.names.offsets,
            "taxids": self.taxids,
            "retired": retired,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Taxonomy:
        """The tree that `to_arrays` put into arrays."""
        retired = np.asarray(arrays["retired"], np.int64)
        return cls(
            parent=np.asarray(arrays["parent"], np.int32),
            end=np.asarray(arrays["end"], np.int32),
            rank_code=np.asarray(arrays["rank_code"], np.uint8),
            rank_names=tuple(StringArray(_u8(arrays["rank_data"]), _i64(arrays["rank_offsets"]))),
            names=StringArray(_u8(arrays["name_data"]), _i64(arrays["name_offsets"])),
            taxids=_i64(arrays["taxids"]),
            retired=dict(zip(retired[:, 0].tolist(), retired[:, 1].tolist(), strict=True)),
        )


def canonical_positions(lineage: Lineage) -> tuple[int | None, ...]:
    """Where a lineage has each of the seven canonical ranks, None where it has not."""
    at: dict[str, int] = {}
    for i, taxon in enumerate(lineage):
        rank = CANONICAL.get(taxon.rank)
        if rank is not None:
            at.setdefault(rank, i)
    return tuple(at.get(rank) for rank in RANKS)


def canonical(lineage: Lineage) -> tuple[Taxon | None, ...]:
    """A lineage's taxa at the seven canonical ranks, None where a rank is missing."""
    return tuple(None if i is None else lineage[i] for i in canonical_positions(lineage))


def _u8(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.asarray(array, np.uint8)


def _i64(array: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.asarray(array, np.int64)


def _rank_codes(
    ranks: Sequence[str] | tuple[NDArray[np.integer], Sequence[str]],
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Codes into the sorted, used rank words: equal trees get equal codes."""
    if isinstance(ranks, tuple) and len(ranks) == 2 and isinstance(ranks[0], np.ndarray):
        codes, given = np.asarray(ranks[0]), [str(w) for w in ranks[1]]
    else:
        given = sorted({str(r) for r in ranks})
        at = {w: i for i, w in enumerate(given)}
        codes = np.array([at[str(r)] for r in ranks])
    used = np.bincount(codes, minlength=len(given)) > 0
    words = tuple(sorted({w for w, u in zip(given, used, strict=True) if u}))
    if len(words) > 255:
        raise UserError(f"the tree has {len(words)} different ranks", expected="at most 255")
    recode = np.array([words.index(w) if w in words else 0 for w in given], np.uint8)
    return recode[codes], words


def _breadth_first(children: NDArray[np.integer], first: NDArray[np.integer], root: int) -> list[NDArray[np.integer]]:
    """Nodes level by level; `children[first[n]:first[n + 1]]` are the children of n."""
    level: NDArray[np.integer] = np.array([root])
    levels = []
    while len(level):
        levels.append(level)
        counts = first[level + 1] - first[level]
        ends = np.cumsum(counts)
        offset = np.repeat(first[level] - (ends - counts), counts)
        level = children[offset + np.arange(len(offset))]
    return levels


def _depth_first(
    parents: NDArray[np.integer],
    root: int,
    names: StringArray,
    codes: NDArray[np.uint8],
    taxids: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Depth-first numbers: the old index at each new number, and each old index's new number and end."""
    n = len(parents)
    below = np.delete(np.arange(n), root)
    if np.all(taxids[below] > 0):  # then names decide nothing, and sorting millions of them is slow
        by_name = np.zeros(n, np.int64)
    else:
        by_name = np.unique(np.array([*names], object), return_inverse=True)[1]
    keys = (codes[below], by_name[below], taxids[below], parents[below])
    children = below[np.lexsort(keys)]
    first = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(parents[below], minlength=n), out=first[1:])
    levels = _breadth_first(children, first, root)
    if sum(map(len, levels)) != n:
        seen = np.zeros(n, bool)
        seen[np.concatenate(levels)] = True
        lost = int(np.flatnonzero(~seen)[0])
        raise UserError(
            f"taxon '{names[lost]}' (taxid {taxids[lost]}) and {n - int(seen.sum()) - 1} others never reach the root",
            expected="every chain of parents to end at the root",
        )
    size = np.ones(n, np.int64)
    for level in reversed(levels[1:]):
        np.add.at(size, parents[level], size[level])
    start = np.zeros(n, np.int64)
    for level in levels[1:]:
        sizes = size[level]
        before = np.cumsum(sizes) - sizes
        up = parents[level]
        head = np.flatnonzero(np.r_[True, up[1:] != up[:-1]])
        base = np.repeat(before[head], np.diff(np.r_[head, len(level)]))
        start[level] = start[up] + 1 + before - base
    order = np.empty(n, np.int64)
    order[start] = np.arange(n)
    return order, start, start + size
