"""TaxoFormer's code of a tree: a lineage as a row of small integers, one slot for each bin of each level.

A level is a depth below the root. Its taxa, in the tree's level order, so that siblings stand together, are dealt
into bins; each bin is one slot of the row, and within it a taxon is a token from 3 up. A lineage's row holds, level
by level, CONT in the bins before the taxon's, its token, and PAD in the bins after it; STOP in the first slot
beyond its last level; PAD everywhere else (TaxoFormer 2025, appendix A). Where the published code numbers names
and lets their ids wrap round, here a taxon is a node of the tree, so that no two taxa share a row.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError, require
from linnet.taxonomy import Taxonomy

PAD, CONT, STOP = 0, 1, 2
FIRST = 3
"""The token of a bin's first taxon."""
_SPECIAL = {PAD: "PAD", CONT: "CONT", STOP: "STOP"}
VOCABULARY = 15_000
"""Tokens of a bin, the three special ones included, as published."""


class LineageCode:
    """The code of one tree of N taxa and D levels below the root; S slots.

    Args:
        vocabulary: tokens of a bin; so many less three taxa fit into one.

    Attributes:
        first_slot_L: int64 (D + 2,): level l has the slots `first_slot_L[l]:first_slot_L[l + 1]`; level 0,
            the root's, has none.
    """

    def __init__(self, taxonomy: Taxonomy, vocabulary: int = VOCABULARY) -> None:
        require(vocabulary > FIRST, f"vocabulary {vocabulary}", f"more than {FIRST}: that many tokens are special")
        self.taxonomy, self.vocabulary = taxonomy, vocabulary
        self.bin_size = vocabulary - FIRST
        sizes = np.diff(taxonomy.level_bounds)
        bins = -(-sizes // self.bin_size)
        bins[0] = 0
        self.first_slot_L = np.concatenate([[0], np.cumsum(bins)])

    @property
    def slots(self) -> int:
        """S, the length of a row."""
        return int(self.first_slot_L[-1])

    @property
    def levels(self) -> int:
        """D, levels below the root."""
        return len(self.first_slot_L) - 2

    @cached_property
    def level_of_slot(self) -> NDArray[np.int64]:
        """int64 (S,): 1 to D."""
        return np.repeat(np.arange(self.levels + 1), np.diff(self.first_slot_L))

    @cached_property
    def position(self) -> NDArray[np.int32]:
        """int32 (N,): where each taxon stands among those of its level."""
        tree = self.taxonomy
        sizes = np.diff(tree.level_bounds)
        place = np.empty(len(tree), np.int32)
        place[tree.level_order] = np.arange(len(tree)) - np.repeat(tree.level_bounds[:-1], sizes)
        return place

    @property
    def slot(self) -> NDArray[np.int64]:
        """int64 (N,): the slot of each taxon; of the root -1."""
        slot = self.first_slot_L[self.taxonomy.depth] + self.position // self.bin_size
        slot[0] = -1
        return np.asarray(slot, np.int64)

    @property
    def token(self) -> NDArray[np.int64]:
        """int64 (N,): the token of each taxon in its slot; of the root STOP."""
        token = FIRST + self.position.astype(np.int64) % self.bin_size
        token[0] = STOP
        return np.asarray(token)

    def encode(self, nodes: NDArray[np.integer]) -> NDArray[np.int32]:
        """Rows of tokens, int32 (B, S), of the lineages that end at `nodes` (B,)."""
        tree = self.taxonomy
        here = np.array(nodes, np.int64)
        rows = np.full((len(here), self.slots), PAD, np.int32)
        after_B = self.first_slot_L[tree.depth[here] + 1]
        stops = np.flatnonzero(after_B < self.slots)
        rows[stops, after_B[stops]] = STOP
        at = np.arange(len(here))
        while len(at):
            node = here[at]
            at, node = at[node > 0], node[node > 0]
            position = self.position[node]
            first, bin_ = self.first_slot_L[tree.depth[node]], position // self.bin_size
            for step in range(int(bin_.max(initial=0))):
                before = np.flatnonzero(bin_ > step)
                rows[at[before], first[before] + step] = CONT
            rows[at, first + bin_] = FIRST + position % self.bin_size
            here[at] = tree.parent[node]
        return rows

    def decode(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """The taxa (B,) whose lineages these rows of tokens are.

        Raises:
            UserError: a row of another length, or one that is no taxon's: the slot where it goes wrong is named.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or rows.shape[1] != self.slots:
            raise UserError(f"tokens of shape {rows.shape}", expected=f"rows of {self.slots}, the code's length")
        if not self.slots:
            return np.zeros(len(rows), np.int64)
        named = rows >= FIRST
        last = np.where(named.any(1), self.slots - 1 - named[:, ::-1].argmax(1), 0)
        level = self.level_of_slot[last]
        bin_ = last - self.first_slot_L[level]
        position = bin_ * self.bin_size + rows[np.arange(len(rows)), last] - FIRST
        start, end = self.taxonomy.level_bounds[level], self.taxonomy.level_bounds[level + 1]
        inside = named.any(1) & (position < end - start)
        nodes = np.where(inside, self.taxonomy.level_order[np.where(inside, start + position, 0)], 0).astype(np.int64)
        wrong = np.argwhere(self.encode(nodes) != rows)
        if len(wrong):
            row = int(wrong[0][0])
            slot, found = self._wrong(rows[row])
            raise UserError(
                found, where=f"row {row + 1}, slot {slot + 1}", expected="the tokens of one lineage of this tree"
            )
        return nodes

    def _wrong(self, row: NDArray[np.integer]) -> tuple[int, str]:
        """The slot at which a row stops being a lineage's, and why."""
        tree, node = self.taxonomy, 0
        for level in range(1, self.levels + 1):
            first, end = self.first_slot_L[level : level + 2].tolist()
            named = [slot for slot in range(first, end) if row[slot] >= FIRST]
            if not named:
                break
            slot = named[0]
            token, above = int(row[slot]), tree.names[node]
            position = (slot - first) * self.bin_size + token - FIRST
            size = int(tree.level_bounds[level + 1] - tree.level_bounds[level])
            if token >= self.vocabulary or position >= size:
                return slot, f"token {token}, beyond the {size:,} taxa of level {level}"
            child = int(tree.level_order[tree.level_bounds[level] + position])
            if tree.parent[child] != node:
                return slot, f"token {token}, '{tree.names[child]}', which is not below '{above}'"
            node = child
        wanted = self.encode(np.array([node]))[0]
        slot = int(np.flatnonzero(wanted != row)[0])
        said, right = (_SPECIAL.get(int(x), f"token {int(x)}") for x in (row[slot], wanted[slot]))
        return slot, f"{said}, where the lineage of '{tree.names[node]}' has {right}"
