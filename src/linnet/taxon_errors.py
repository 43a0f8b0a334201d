"""Placeholders that stand where a name is missing, and how far a wrong name is from the right one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from linnet.outcomes import Outcomes
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS, Lineage, canonical

PAIRS = 20
"""How many of the commonest confused pairs are told."""

_PLACEHOLDER = re.compile(
    r"""\b(unclassified|uncultured|unculturable|unidentified|unassigned|unknown|undescribed|unnamed|metagenome|
    incertae[ ]sedis|environmental[ ]samples?|ambiguous[ ]taxa|bacterium|archaeon)\b
    |\bsp\.?(?=\s|$)""",
    re.IGNORECASE | re.VERBOSE,
)
_PREFIX = re.compile(r"^[a-z]{1,2}__")


def is_placeholder(name: str) -> bool:
    """Whether a name stands where one is missing, by its words alone.

    It does if it is empty but for a rank's prefix (`s__`), or has one of these words (underscores read as blanks):
    unclassified, uncultured, unculturable, unidentified, unassigned, unknown, undescribed, unnamed, metagenome,
    incertae sedis, environmental sample(s), ambiguous taxa, bacterium, archaeon; or `sp` or `sp.` as a word. A code
    that stands for one cluster of genomes, such as GTDB's `sp900066535`, is a name.
    """
    words = _PREFIX.sub("", name).replace("_", " ").strip()
    return not words or _PLACEHOLDER.search(words) is not None


@dataclass(frozen=True)
class Kinship:
    """How near the wrong names of one rank are to the right ones, as counts.

    Attributes:
        wrong: names given that are wrong.
        sister: of these, those whose parent, the taxon one rank above, is right.
        cousin: those whose parent is wrong and whose grandparent is right.
        further: all others.
    """

    wrong: int
    sister: int
    cousin: int
    further: int


@dataclass(frozen=True)
class Confusion:
    """A true taxon and the name given in its stead, how often, and whether the reference has the true one."""

    true: str
    given: str
    count: int
    known: bool | None


def kinship(outcomes: Mapping[str, Outcomes], rank: str) -> Kinship:
    """How near the wrong names are; ranks that the truth leaves out are passed over, and the root is above all.

    Args:
        outcomes: of every rank, of the same predictions.
    """
    level = RANKS.index(rank)
    above = [RANKS[i] for i in range(level - 1, -1, -1)]
    right_at = {
        r: dict(zip(outcomes[r].queries, outcomes[r].right.tolist(), strict=True)) for r in above if r in outcomes
    }
    tally = [0, 0, 0]
    for query in _wrong(outcomes[rank]):
        steps = [right_at[r][query] for r in above if query in right_at.get(r, ())]
        tally[min([*steps, True].index(True), 2)] += 1  # at the end the root, which is always right
    return Kinship(sum(tally), *tally)


def confusions(
    outcomes: Outcomes, predictions: Mapping[str, Prediction], truth: Mapping[str, Lineage], most: int = PAIRS
) -> tuple[Confusion, ...]:
    """The commonest pairs of a true and a wrong name at one rank."""
    level = RANKS.index(outcomes.rank)
    known = dict.fromkeys(outcomes.queries)
    if outcomes.known is not None:
        known.update(zip(outcomes.queries, outcomes.known.tolist(), strict=True))
    pairs = Counter(
        (_name(truth[query], level), _name(predictions[query].lineage, level), known[query])
        for query in _wrong(outcomes)
    )
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], *item[0][:2]))
    return tuple(Confusion(true, given, count, there) for (true, given, there), count in ordered[:most])


def _wrong(outcomes: Outcomes) -> Iterable[str]:
    wrong = outcomes.classified & ~outcomes.right
    return [query for query, bad in zip(outcomes.queries, wrong.tolist(), strict=True) if bad]


def _name(lineage: Lineage, level: int) -> str:
    """The name at a rank; of a species that is written without its genus, with it."""
    path = canonical(lineage)
    taxon, genus = path[level], path[RANKS.index("genus")]
    if taxon is None:
        return ""
    bare = taxon.rank == "species" and genus is not None and " " not in taxon.name.replace("_", " ")
    return f"{genus.name} {taxon.name}" if bare and genus else taxon.name
