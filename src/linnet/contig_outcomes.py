"""What became of contigs at every rank, as `linnet.outcomes` judges queries, but over all contigs.

A name below the end of the truth counts too: it cannot be right. A name is right when the whole path down to it
is, by names; a contig without a prediction has no name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from linnet.lineages import bare_name
from linnet.outcomes import Outcomes, judge
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS, Lineage, Taxon, canonical

_BELOW = "\n"  # stands in the truth at ranks that it does not reach: a name that no table can hold


@dataclass(frozen=True, eq=False)
class RankCalls:
    """What became of n contigs at one rank. Those whose truth skips the rank, and goes on below it, are left out.

    Attributes:
        outcomes: of the n contigs; where the truth ends above the rank every name is wrong.
        reached: bool (n,), the truth has a name at the rank.
        contig: int (n,), positions among all contigs judged.
    """

    outcomes: Outcomes
    reached: NDArray[np.bool_]
    contig: NDArray[np.int64]

    def cut(self, minimum: float) -> RankCalls:
        """Only the names down to the first rank whose confidence is below `minimum`; 0 keeps everything."""
        return replace(self, outcomes=self.outcomes.cut(minimum))

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """bool (n,), a name that is not right."""
        return self.outcomes.classified & ~self.outcomes.right


def judge_contigs(
    calls: Mapping[str, Prediction],
    truth: Mapping[str, Lineage],
    contigs: Sequence[str],
    known: Collection[Lineage] | None = None,
) -> dict[str, RankCalls]:
    """What became of the contigs at every rank that some truth reaches, uncut.

    Names are compared without prefixes such as `s__`, which some taxdumps make part of them.

    Args:
        calls: by contig.
        truth: by contig.
        contigs: which to judge, each once; all have a truth.
        known: lineages of the reference; None: nothing is said about what it has.
    """
    bare = cache(lambda lineage: tuple(taxon._replace(name=bare_name(taxon.name)) for taxon in lineage))
    extended = cache(_extended)
    paths = {contig: extended(bare(truth[contig])) for contig in contigs}
    asked = {
        contig: replace(calls[contig], lineage=bare(calls[contig].lineage)) for contig in contigs if contig in calls
    }
    compared = np.array([path.compared for path in paths.values()]).reshape(-1, len(RANKS))
    depth = np.array([path.depth for path in paths.values()])
    at = [np.flatnonzero(compared[:, level]) for level in range(len(RANKS))]
    outcomes = judge(
        asked,
        {contig: path.lineage for contig, path in paths.items()},
        None if known is None else {bare(lineage) for lineage in known},
        {rank: [contigs[i] for i in at[level].tolist()] for level, rank in enumerate(RANKS)},
    )
    found = {
        rank: RankCalls(outcomes[rank], depth[at[level]] > level, at[level])
        for level, rank in enumerate(RANKS) if rank in outcomes
    }  # fmt: skip
    return {rank: calls for rank, calls in found.items() if calls.reached.any()}


@dataclass(frozen=True)
class _Path:
    """A true lineage drawn out to species.

    Attributes:
        depth: how far it truly goes: the number of canonical ranks down to its last name.
        compared: by rank, whether it has a name there, true or drawn out.
    """

    lineage: Lineage
    depth: int
    compared: tuple[bool, ...]


def _extended(lineage: Lineage) -> _Path:
    taxa = canonical(lineage)
    depth = max((level + 1 for level, taxon in enumerate(taxa) if taxon), default=0)
    drawn = (*taxa[:depth], *(Taxon(rank, _BELOW) for rank in RANKS[depth:]))
    return _Path(tuple(t for t in drawn if t), depth, tuple(t is not None for t in drawn))
