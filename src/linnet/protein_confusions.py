"""Which proteins are taken for those of a sister genus, and which viral ones for cellular ones or the other way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from linnet.outcomes import Outcomes
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS, Lineage, canonical, canonical_positions

VIRUSES = "Viruses"
_TAXID = 10239
LISTED = 50
"""Proteins or pairs that are listed, at most."""


@dataclass(frozen=True)
class Listed:
    """A protein, and the confidence of the name in question; None where the tool gives none."""

    id: str
    confidence: float | None


@dataclass(frozen=True)
class Sisters:
    """A true genus, another of the same family that was named in its stead, and for which proteins."""

    family: str
    true: str
    given: str
    count: int
    proteins: tuple[Listed, ...]


@dataclass(frozen=True)
class Crossing:
    """A viral protein that was named cellular, or the other way round.

    Attributes:
        viral: the protein is.
        true: the name of its deepest taxon.
        given: the canonical names of the answer, from the domain down.
        confidence: of the domain given; None where the tool gives none.
        deepest: of the last name given.
        kept: whether the domain is kept at the cut.
    """

    id: str
    viral: bool
    true: str
    given: tuple[str, ...]
    confidence: float | None
    deepest: float | None
    kept: bool


def sisters(
    outcomes: Mapping[str, Outcomes], predictions: Mapping[str, Prediction], truth: Mapping[str, Lineage]
) -> tuple[Sisters, ...]:
    """Pairs of genera of one family, the commonest first, each with its surest proteins."""
    if "genus" not in outcomes or "family" not in outcomes:
        return ()
    family, genus = outcomes["family"], outcomes["genus"]
    in_family = {q for q, right in zip(family.queries, family.right.tolist(), strict=True) if right}
    wrong = (genus.classified & ~genus.right).tolist()
    pairs: dict[tuple[str, str, str], list[Listed]] = defaultdict(list)
    for query, bad, sure in zip(genus.queries, wrong, genus.confidence.tolist(), strict=True):
        if bad and query in in_family:
            true, given = canonical(truth[query]), canonical(predictions[query].lineage)
            names = [taxon.name if taxon else "" for taxon in (true[_FAMILY], true[_GENUS], given[_GENUS])]
            pairs[names[0], names[1], names[2]].append(Listed(query, None if sure != sure else sure))
    found = [
        Sisters(*key, len(some), tuple(sorted(some, key=lambda one: -(one.confidence or 0.0))[:LISTED]))
        for key, some in pairs.items()
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.count, pair.true, pair.given)))


_FAMILY, _GENUS = RANKS.index("family"), RANKS.index("genus")


@dataclass(frozen=True)
class Crossings:
    """Proteins on the wrong side of viruses and cells.

    Attributes:
        viral, cellular: how many proteins are viral, and cellular.
        counts: by side ('viral' or 'cellular', the truth) and domain given, proteins named so, at any confidence.
        kept: the same, of names kept at the cut.
        proteins: the surest of them, at most LISTED.
    """

    viral: int
    cellular: int
    counts: Mapping[str, Mapping[str, int]]
    kept: Mapping[str, Mapping[str, int]]
    proteins: tuple[Crossing, ...]


def crossings(predictions: Mapping[str, Prediction], truth: Mapping[str, Lineage], minimum: float) -> Crossings:
    """Viral proteins named cellular and cellular ones named viral; what has no domain, true or given, is left out.

    Args:
        minimum: the cut.
    """
    sides = {"viral": 0, "cellular": 0}
    counts: dict[str, dict[str, int]] = {side: {} for side in sides}
    kept: dict[str, dict[str, int]] = {side: {} for side in sides}
    found = []
    for query, lineage in truth.items():
        viral = is_viral(lineage)
        if viral is None:
            continue
        side = "viral" if viral else "cellular"
        sides[side] += 1
        prediction = predictions.get(query)
        if prediction is None or is_viral(prediction.lineage) in (None, viral):
            continue
        positions = [i for i in canonical_positions(prediction.lineage) if i is not None] or [0]
        at, last, sure = positions[0], positions[-1], prediction.confidence
        names = tuple(prediction.lineage[i].name for i in positions)
        is_kept = at < prediction.recut(minimum).cut
        counts[side][names[0]] = counts[side].get(names[0], 0) + 1
        if is_kept:
            kept[side][names[0]] = kept[side].get(names[0], 0) + 1
        found.append(
            Crossing(query, viral, lineage[-1].name, names, sure[at] if sure else None, sure[last] if sure else None,
                     is_kept)
        )  # fmt: skip
    found.sort(key=lambda one: (-(one.confidence or 0.0), one.id))
    return Crossings(sides["viral"], sides["cellular"], counts, kept, tuple(found[:LISTED]))


def is_viral(lineage: Lineage) -> bool | None:
    """Whether a lineage is of viruses, by its domain; None where it has none."""
    domain = canonical(lineage)[0]
    if domain is None:
        return True if any(taxon.rank == "realm" for taxon in lineage) else None
    return domain.taxid == _TAXID or domain.name == VIRUSES
