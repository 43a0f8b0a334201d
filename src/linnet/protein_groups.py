"""Proteins by domain and phylum: how well each group is named, and the tree that the proteins are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.lineage_scores import LineageScores
from linnet.outcomes import Outcomes
from linnet.strata import Stratum, stratum
from linnet.taxonomy import RANKS, Lineage, canonical

ALL = "all"
TIPS = 300
"""Tips of a drawn tree, at most."""


@dataclass(frozen=True)
class Group:
    """Queries of one domain, or of one phylum of it.

    Attributes:
        domain: its name; '' for queries without one; `ALL` for all queries.
        phylum: '' for the whole domain.
        n: queries.
        n_novel: of these, those whose deepest true taxon the reference lacks.
        shared, inverted_rf, hops: means of the figures of `lineage_scores`.
        ranks: accuracy with its interval, by rank.
    """

    domain: str
    phylum: str
    n: int
    n_novel: int
    shared: float
    inverted_rf: float
    hops: float
    ranks: Mapping[str, Stratum]


def groups(
    queries: Sequence[str],
    truth: Mapping[str, Lineage],
    novel_N: NDArray[np.bool_],
    scores: LineageScores,
    outcomes: Mapping[str, Outcomes],
) -> tuple[Group, ...]:
    """All queries; then each domain, the largest first, followed by its phyla."""
    of_query = {query: _names(truth[query])[:2] for query in queries}
    sizes = Counter(of_query.values())
    domains = Counter(domain for domain, _ in of_query.values())
    wanted = [(ALL, "")]
    for domain, _ in domains.most_common():
        wanted.append((domain, ""))
        phyla = [(key, n) for key, n in sizes.items() if key[0] == domain and key[1]]
        wanted += [(key[0], key[1]) for key, _ in sorted(phyla, key=lambda item: (-item[1], item[0]))]
    everyone = _Members(of_query, queries)
    of_rank = {rank: (o, _Members(of_query, o.queries)) for rank, o in outcomes.items()}
    found = []
    for domain, phylum in wanted:
        rows = everyone(domain, phylum)
        ranks = {rank: stratum(o, members(domain, phylum), rank) for rank, (o, members) in of_rank.items()}
        found.append(
            Group(
                domain,
                phylum,
                int(rows.sum()),
                int((rows & novel_N).sum()),
                float(scores.shared_N[rows].mean()),
                float(scores.inverted_rf_N[rows].mean()),
                float(scores.hops_N[rows].mean()),
                {rank: one for rank, one in ranks.items() if one.n},
            )
        )
    return tuple(found)


class _Members:
    """Which of some queries are of a group."""

    def __init__(self, of_query: Mapping[str, tuple[str, ...]], queries: Sequence[str]) -> None:
        self._domain, self._phylum = (np.array([of_query[query][i] for query in queries]) for i in (0, 1))

    def __call__(self, domain: str, phylum: str) -> NDArray[np.bool_]:
        inside = (self._domain == domain) | (domain == ALL)
        return np.asarray(inside & ((self._phylum == phylum) | (not phylum)))


@dataclass(frozen=True)
class Cladogram:
    """The tree of the queries, cut at a rank: N nodes, the root first, each before those below it.

    Attributes:
        rank: the deepest drawn.
        parent: of each node; the root's is 0.
        level: 0 for the root, then 1 for domains to 7 for species.
        name, domain: of each node; '' for the root.
        queries: how many lie in the clade.
    """

    rank: str
    parent: tuple[int, ...]
    level: tuple[int, ...]
    name: tuple[str, ...]
    domain: tuple[str, ...]
    queries: tuple[int, ...]


def cladogram(lineages: Sequence[Lineage], most: int = TIPS) -> Cladogram:
    """The tree of these lineages at the canonical ranks, as deep as `most` tips allow, but to domains at least.

    A lineage that leaves ranks out hangs below the last taxon that it has; one that ends above the cut ends there.
    """
    paths = Counter(_names(lineage) for lineage in lineages)
    cut = 1
    for level in range(2, len(RANKS)):  # species would add nothing but points
        cut_paths = {_filled(path[:level]) for path in paths}
        inner = {path[:i] for path in cut_paths for i in range(len(path))}
        if len(cut_paths - inner) > most:
            break
        cut = level
    counts: Counter[tuple[tuple[int, str], ...]] = Counter()
    for path, n in paths.items():
        steps = _filled(path[:cut])
        for i in range(len(steps) + 1):
            counts[steps[:i]] += n
    order = sorted(counts)
    number = {path: i for i, path in enumerate(order)}
    return Cladogram(
        RANKS[cut - 1],
        tuple(number[path[:-1]] for path in order),
        tuple(path[-1][0] + 1 if path else 0 for path in order),
        tuple(path[-1][1] if path else "" for path in order),
        tuple(path[0][1] if path else "" for path in order),
        tuple(counts[path] for path in order),
    )


def _names(lineage: Lineage) -> tuple[str, ...]:
    """The names at the seven ranks, '' where there is none."""
    return tuple(taxon.name if taxon else "" for taxon in canonical(lineage))


def _filled(path: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """The ranks that a path has, each with its number."""
    return tuple((level, name) for level, name in enumerate(path) if name)
