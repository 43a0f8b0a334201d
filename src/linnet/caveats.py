"""What makes figures of an examination mean something else than they seem to: each a sentence or two to print."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from linnet.checkpoint import Checkpoint
from linnet.describe import settings
from linnet.notices import LOOK, Notices
from linnet.outcomes import Outcomes
from linnet.places import TrueNodes
from linnet.records import SequenceRecord
from linnet.taxonomy import Lineage, Taxonomy, canonical

_SHARE = 0.01
"""Of the reference's taxa that a model's tree may lack unsaid: genes too short to be trained on had them, say."""

_TOLD = 4
"""Differing settings that are told, at most."""


class Loaded(Protocol):
    """What is asked of a loaded model, of genes or of proteins."""

    @property
    def taxonomy(self) -> Taxonomy: ...

    @property
    def checkpoints(self) -> Sequence[Checkpoint]: ...


Models = Mapping[str, Loaded]
"""By the name that a report gives them."""


def regions(model: Loaded) -> tuple[str, ...]:
    """What a model was trained on, as `notices.Notices` has it; of an ensemble perhaps several."""
    return tuple(sorted({c.model.get("region", "any") for c in model.checkpoints}))


def of_queries(models: Models, records: Sequence[SequenceRecord]) -> list[str]:
    """Primers left on, and queries of another region than a model learnt: as `classify` says it."""
    of_region: dict[str, list[str]] = {}
    for name, model in models.items():
        for region in regions(model):
            of_region.setdefault(region, []).append(name)
    said: dict[str, list[str]] = {}
    for region, names in of_region.items():
        notices: list[str] = []
        list(Notices(region, notices.append).watch(records[:LOOK]))
        for notice in notices:
            said.setdefault(notice, []).extend(names)
    return [f"{_of_some(names, models)}{notice}" for notice, names in said.items()]


def of_runs(models: Models) -> list[str]:
    """Runs that differ in more than their seed, so that a mean and a deviation are not over seeds."""
    facts = [_facts(model) for model in models.values()]
    keys = dict.fromkeys(key for of in facts for key in of)
    values = {key: list(dict.fromkeys(of.get(key, "-") for of in facts)) for key in keys}
    differ = [
        key if key in ("tree", "references") else f"{key.rpartition('.')[2]} ({', '.join(some)})"
        for key, some in values.items()
        if len(some) > 1
    ]
    if not differ:
        return []
    more = f" and {len(differ) - _TOLD} more settings" if len(differ) > _TOLD else ""
    return [
        f"The runs differ in more than their seed, in {', '.join(differ[:_TOLD])}{more}: means and standard deviations "
        "over them are not over seeds."
    ]


def _facts(model: Loaded) -> dict[str, str]:
    """What two runs share if they differ in their seed alone."""
    found: dict[str, set[str]] = {"region": set(regions(model)), "models": {str(len(model.checkpoints))}}
    for checkpoint in model.checkpoints:
        origin = checkpoint.origin
        of_one = settings(checkpoint.model) | {
            "references": origin.get("references_sha256", origin.get("proteins_sha256")),
            "tree": checkpoint.taxonomy.digest,
        }
        for key, value in of_one.items():
            if key.rpartition(".")[2] not in ("seed", "region"):
                found.setdefault(key, set()).add(str(value))
    return {key: " and ".join(sorted(values)) for key, values in found.items()}


def of_reference(models: Models, references: Collection[Lineage]) -> list[str]:
    """Taxa of the reference table that a model cannot name, as those of other names than it was trained on."""
    of_tree: dict[str, tuple[Taxonomy, list[str]]] = {}
    for name, model in models.items():
        of_tree.setdefault(model.taxonomy.digest, (model.taxonomy, []))[1].append(name)
    said = []
    for tree, names in of_tree.values():
        taxa, lacking = _lacking(tree, references)
        if lacking >= _SHARE * taxa and lacking:
            said.append(
                f"{_of_some(names, models)}{100 * lacking / taxa:.1f} % of the reference's taxa ({lacking:,} of "
                f"{taxa:,}) are not in the model's tree: it was trained on others or fewer, or they are spelt "
                "otherwise. What is said of known and unknown taxa does not hold. Give --reference the table that it "
                "was trained on."
            )
    return said


def _lacking(tree: Taxonomy, references: Collection[Lineage]) -> tuple[int, int]:
    """Taxa of the canonical ranks in the references, and those of them that the tree lacks."""
    find, has = TrueNodes(tree), {}
    for lineage in references:
        path = canonical(lineage)
        for level, nodes in enumerate(find(lineage)):
            if path[level] is not None:
                has[path[: level + 1]] = bool(nodes)
    return len(has), sum(not there for there in has.values())


def of_unknown(outcomes: Mapping[str, Mapping[str, Outcomes]]) -> list[str]:
    """Right names of taxa that the reference lacks, of the run and rank that have most.

    Args:
        outcomes: by run and rank, judged with a reference.
    """
    counts = {
        (name, rank): (int((o.right & ~o.known).sum()), int((~o.known).sum()))
        for name, of_rank in outcomes.items()
        for rank, o in of_rank.items()
        if o.known is not None
    }
    (name, rank), (right, unknown) = max(counts.items(), key=lambda item: item[1][0])
    if not right:
        return []
    return [
        f"{name}: {right:,} of {unknown:,} queries of a {rank} that the reference lacks are named rightly, so the "
        "model was trained on lineages that --reference does not have. What is said of known and unknown taxa does not "
        "hold."
    ]


def _of_some(names: Sequence[str], models: Models) -> str:
    """Whom a caveat is of, where it is not of all."""
    return "" if set(names) == set(models) else f"{', '.join(dict.fromkeys(names))}: "
