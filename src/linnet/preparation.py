"""References made ready to train on: which are of use, on one strand, and which are set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import linnet
from linnet import split
from linnet.errors import UserError
from linnet.families.rrna import References
from linnet.fitting import Log
from linnet.kmers import KmerReader, count_all, log_odds
from linnet.prediction import Prediction
from linnet.records import reverse_complement
from linnet.taxonomy import Lineage, Taxonomy

SHORTEST = 50
"""Bases that a reference must have to be of use; ambiguous ones do not count."""


@dataclass(frozen=True)
class Labelled:
    """References and what is known of each: node of the tree, and whether it is new below that node."""

    sequences: Sequence[str]
    nodes: NDArray[np.int64]
    new: NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOut:
    """Predictions for records set aside, to measure a model by.

    Attributes:
        known: lineages of the records that it was fitted on.
        natural: ids of records set aside at random; the others' clades were hidden on purpose.
    """

    predictions: dict[str, Prediction]
    truth: dict[str, Lineage]
    known: set[Lineage]
    natural: list[str]


@dataclass(frozen=True)
class Prepared:
    """N references, and the choice of those set aside.

    Attributes:
        texts, labels: sequences on one strand, lineages.
        full, tree: of all lineages; of those to fit.
        fitted: bool (N,), which are to be fitted.
        natural: bool (N,), which were set aside at random, and not with their clade.
        data: all, by nodes of `tree`.
        digest: of ids, sequences and lineages.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    labels: Sequence[Lineage]
    full: Taxonomy
    tree: Taxonomy
    fitted: NDArray[np.bool_]
    natural: NDArray[np.bool_]
    data: Labelled
    digest: str

    @property
    def held_ids(self) -> list[str]:
        return list(compress(self.ids, ~self.fitted))

    @property
    def fitted_ids(self) -> list[str]:
        return list(compress(self.ids, self.fitted))

    def everything(self) -> Labelled:
        """All, by nodes of `full`."""
        return labelled(self.texts, self.labels, self.full)

    def held_out(self, predictions: Sequence[Prediction]) -> HeldOut:
        """What was predicted for the references set aside."""
        return HeldOut(
            predictions={p.record_id: p for p in predictions},
            truth=dict(compress(zip(self.ids, self.labels, strict=True), ~self.fitted)),
            known=set(compress(self.labels, self.fitted)),
            natural=list(compress(self.ids, self.natural)),
        )


def prepare(
    sequences: Mapping[str, str],
    lineages: Mapping[str, Lineage],
    groups: Mapping[str, str] | None,
    *,
    k: int,
    hold_out: float,
    hidden_clades: float,
    seed: int,
    log: Log,
    rounds: int = 1,
) -> list[Prepared]:
    """References as a training wants them, in each round with others set aside.

    Args:
        groups: by record id; records of one group are set aside together. Others stand alone.
        k: of the k-mers by which a reference's strand is told.
        hold_out, hidden_clades: shares of references set aside at random, and of each level's clades set aside whole.
        rounds: none of those set aside at random in one is so in another.

    Raises:
        UserError: fewer than ten are usable.
    """
    ids = usable(sequences, lineages, log)
    if len(ids) < 10:
        raise UserError(f"{len(ids)} usable references", expected="10 or more, with lineages")
    texts, turned = one_strand([sequences[i] for i in ids], k)
    if turned:
        log(f"{turned:,} references read as the other strand and were turned")
    labels = [lineages[i] for i in ids]
    full = Taxonomy.from_lineages(labels)
    if full.homonyms:
        example = next(iter(full.homonyms))
        log(f"names borne by several taxa: {len(full.homonyms):,}, '{example}' for one; their paths keep them apart")
    random = np.random.default_rng(seed)
    nodes = np.array([full.find(label)[0] for label in labels])
    of_all = digest(ids, texts, labels)
    prepared = []
    for at_random in split.in_turn([(groups or {}).get(i, i) for i in ids], hold_out, rounds, random):
        hidden = split.whole_clades(full, nodes, hidden_clades, random)
        fitted = ~(at_random | hidden)
        log(f"{fitted.sum():,} to fit, {(~fitted).sum():,} held out, {hidden.sum():,} of them in hidden clades")
        tree = Taxonomy.from_lineages(compress(labels, fitted))
        data = labelled(texts, labels, tree)
        prepared.append(Prepared(ids, texts, labels, full, tree, fitted, at_random & ~hidden, data, of_all))
    return prepared


def usable(sequences: Mapping[str, str], lineages: Mapping[str, Lineage], log: Log) -> list[str]:
    """Ids of the references that have a lineage and bases enough."""
    labelled = [i for i in sequences if lineages.get(i)]
    usable = [i for i in labelled if sum(map(sequences[i].count, "ACGT")) >= SHORTEST]
    log(
        f"{len(usable):,} references; left out: {len(sequences) - len(labelled):,} without a lineage, "
        f"{len(labelled) - len(usable):,} with fewer than {SHORTEST} unambiguous bases"
    )
    return usable


def one_strand(sequences: list[str], k: int) -> tuple[list[str], int]:
    """The references, with those turned that read more like the others reversed, and how many."""
    strands = KmerReader(log_odds(count_all(sequences, k))).strands(sequences)
    texts = [reverse_complement(s) if t == "-" else s for s, t in zip(sequences, strands, strict=True)]
    return texts, strands.count("-")


def labelled(texts: Sequence[str], labels: Sequence[Lineage], tree: Taxonomy) -> Labelled:
    found = [tree.find(label) for label in labels]
    return Labelled(
        texts,
        np.array([node for node, _ in found], np.int64),
        np.array([depth < len(label) for (_, depth), label in zip(found, labels, strict=True)]),
    )


def subset(data: Labelled, chosen: NDArray[np.bool_]) -> Labelled:
    return Labelled([data.sequences[i] for i in np.flatnonzero(chosen).tolist()], data.nodes[chosen], data.new[chosen])


def digest(ids: Sequence[str], texts: Sequence[str], labels: Sequence[Lineage]) -> str:
    h = hashlib.sha256()
    for id, text, label in zip(ids, texts, labels, strict=True):
        h.update(f"{id}\t{text}\t{';'.join(t.name for t in label)}\n".encode())
    return h.hexdigest()


def digest_of_run(references: str, settings: Mapping[str, Any], fitted: NDArray[np.bool_]) -> str:
    """Tells a training from every other: what it learns from, its settings, the versions that run it."""
    split = hashlib.sha256(fitted.tobytes()).hexdigest()
    text = f"{references}\n{settings}\n{split}\n{torch.__version__}\n{linnet.__version__}"
    return hashlib.sha256(text.encode()).hexdigest()


def views(
    references: References, data: Labelled, chosen: NDArray[np.integer], random: np.random.Generator
) -> tuple[list[str], NDArray[np.int64], NDArray[np.bool_]]:
    """What a step sees of the references chosen, decoys among them, and the right answers."""
    decoys = random.random(len(chosen)) < references.views.decoys
    draw = (references.decoy if is_decoy else references.draw for is_decoy in decoys)
    seen = [f(int(i), random) for f, i in zip(draw, chosen, strict=True)]
    return seen, np.where(decoys, 0, data.nodes[chosen]), decoys | data.new[chosen]
