"""A made-up taxonomy with as many labels at each rank as DeepTaxa's full-length model has.

Missing names are filled as in the released models' labels: `Unclassified_` and the deepest name that is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from random import Random

RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
LABELS = (2, 129, 349, 997, 2250, 7287, 16909)
"""How many at each rank; each name has one parent, so these are the taxa too."""

UNNAMED = 0.1
"""How many of the genera and species that may go without a name of their own do."""

Lineage = tuple[str, ...]


def lineages(random: Random) -> list[Lineage]:
    """One for each species."""
    parents = [_parents(upper, lower, random) for upper, lower in pairwise(LABELS)]
    paths: list[Lineage] = [("Archaea",), ("Bacteria",)]
    for rank, parent_of in enumerate(parents, 1):
        children = Counter(parents[rank]) if rank < len(parents) else Counter()
        paths = list(_below(paths, parent_of, children, RANKS[rank], random))
    for rank, count in enumerate(LABELS):
        found = len({path[rank] for path in paths})
        if found != count:
            raise RuntimeError(f"{found} names at {RANKS[rank]}, not {count}")
    return paths


def _parents(upper: int, lower: int, random: Random) -> list[int]:
    """The parent of each child, in order: every parent has one child at least, few have many."""
    weights = list(accumulate(random.paretovariate(1.2) for _ in range(upper)))
    return sorted([*range(upper), *random.choices(range(upper), cum_weights=weights, k=lower - upper)])


def _below(
    paths: Sequence[Lineage], parent_of: Sequence[int], children: Mapping[int, int], rank: str, random: Random
) -> Iterator[Lineage]:
    """Every path, one rank longer.

    Args:
        parent_of: of each child, the number of its parent's path.
        children: of each child, how many children it has in turn.
    """
    siblings = Counter(parent_of)
    for child, parent in enumerate(parent_of):
        path = paths[parent]
        first = child == 0 or parent_of[child - 1] != parent
        may = rank in ("genus", "species") and first and siblings[parent] > 1 and children.get(child, 0) < 2
        if path[-1].startswith("Unclassified_"):
            yield (*path, path[-1])
        elif may and random.random() < UNNAMED:
            yield (*path, f"Unclassified_{path[-1]}")
        elif rank == "species":
            yield (*path, f"{path[-1]} sp{child:05}")
        else:
            yield (*path, f"{rank.capitalize()}{child:04}")
