"""Where lineages of other tables, tools and trees lie in a tree."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from linnet.outcomes import spelt
from linnet.taxonomy import Lineage, Taxonomy, canonical, canonical_positions


class TrueNodes:
    """Finds a true lineage in a tree, rank by rank, by name: ranks that it leaves out may be anything."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._end = taxonomy.end
        self._nodes: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for node, (level, name) in enumerate(zip(taxonomy.canonical_level.tolist(), taxonomy.names, strict=True)):
            self._nodes[level, spelt(name)].append(node)

    def __call__(self, lineage: Lineage) -> list[list[int]]:
        """For each of the seven ranks the nodes that the lineage may mean: none where it or the tree ends above."""
        above, found = [0], []
        for level, taxon in enumerate(canonical(lineage)):
            here: list[int] = []
            if taxon is not None:
                named = self._nodes.get((level, spelt(taxon.name)), [])
                here = [n for n in named if any(a <= n < self._end[a] for a in above)]
                above = here
            found.append(here)
        return found


class Places:
    """Finds the deepest taxon of a lineage that a tree has: by taxid where both have them, else by names."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._known: dict[Lineage, tuple[int, int]] = {(): (0, 0)}

    def __call__(self, lineage: Lineage) -> tuple[int, int]:
        """The node of that taxon, the root for none, and how many taxa of the lineage lie below it."""
        if lineage not in self._known:
            node, depth = self._place(lineage)
            self._known[lineage] = node, len(lineage) - depth
        return self._known[lineage]

    def _place(self, lineage: Lineage) -> tuple[int, int]:
        """The node, and how many of the lineage's taxa it takes to come to it."""
        node, depth = self._taxonomy.find(lineage)
        for i in range(len(lineage) - 1, depth - 1, -1):  # the tree may lack one on the way and have those below it
            taxid = lineage[i].taxid
            if taxid and (found := self._taxonomy.by_taxid(taxid)):
                return found, i + 1
        if depth < len(lineage):
            by_rank = zip(self._by_name(lineage), canonical_positions(lineage), strict=True)
            for nodes, position in reversed([*by_rank]):
                if len(nodes) == 1 and position is not None and position >= depth:
                    return nodes[0], position + 1
        return node, depth

    @cached_property
    def _by_name(self) -> TrueNodes:
        return TrueNodes(self._taxonomy)
