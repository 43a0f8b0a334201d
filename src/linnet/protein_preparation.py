"""Labelled proteins made ready to train on: the tree that their labels need, and which are set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linnet import draws, split
from linnet.errors import UserError
from linnet.fitting import Log
from linnet.prediction import Prediction
from linnet.preparation import HeldOut
from linnet.taxonomy import Taxonomy


class Proteins(Protocol):
    """Labelled proteins: `shards.Shards`, or anything like it."""

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32 (N,): the taxon of each protein."""
        ...

    def __len__(self) -> int: ...

    def sequence(self, i: int) -> str: ...

    def id(self, i: int) -> str: ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Proteins of a store, and their taxa as a tree of their own has them.

    Attributes:
        chosen: int64 (N,), which proteins.
        nodes: int64 (N,), the deepest taxon of the tree on each one's way.
        new: bool (N,), whether the way goes on below it.
    """

    chosen: NDArray[np.int64]
    nodes: NDArray[np.int64]
    new: NDArray[np.bool_]
    tree: Taxonomy


@dataclass(frozen=True, eq=False)
class PreparedProteins:
    """Proteins of a store, and the choice of those set aside.

    Attributes:
        fitted: bool (usable proteins,), which are to be fitted.
        first: those to fit, with the tree of their taxa.
        held: those set aside, in that tree.
        natural: bool (held,), which were drawn at random, and not with their clade.
        digest: of ids, sequences and labels.
    """

    store: Proteins
    taxonomy: Taxonomy
    fitted: NDArray[np.bool_]
    first: Rows
    held: Rows
    natural: NDArray[np.bool_]
    digest: str

    @property
    def usable(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.store.nodes > 0)

    def everything(self) -> Rows:
        """All that are usable, with the tree of their taxa."""
        return _rows(self.store, self.taxonomy, self.usable)

    def held_ids(self) -> list[str]:
        """Names of those set aside; ids alone may be the same for several."""
        return [f"{self.store.id(int(i))}|{int(i)}" for i in self.held.chosen]

    def held_sequences(self) -> list[str]:
        return [self.store.sequence(int(i)) for i in self.held.chosen]

    def held_out(self, predictions: Iterable[Prediction]) -> HeldOut:
        """What was predicted for those set aside."""
        ids = self.held_ids()
        lineages = [self.taxonomy.lineage(int(node)) for node in self.store.nodes[self.held.chosen]]
        return HeldOut(
            predictions={p.record_id: p for p in predictions},
            truth=dict(zip(ids, lineages, strict=True)),
            known={self.taxonomy.lineage(int(node)) for node in np.unique(self.store.nodes[self.first.chosen])},
            natural=list(compress(ids, self.natural)),
        )


def prepare(
    store: Proteins, taxonomy: Taxonomy, *, hold_out: float, hidden_clades: float, judged: int, seed: int, log: Log
) -> PreparedProteins:
    """Proteins as a training wants them.

    Args:
        taxonomy: the tree that the proteins' nodes are of.
        hold_out, hidden_clades: shares of proteins set aside at random, and of each level's clades set aside whole.
        judged: of those set aside, how many are looked at, at most.

    Raises:
        UserError: fewer than ten have a label.
    """
    usable = np.flatnonzero(store.nodes > 0)
    if len(usable) < 10:
        raise UserError(f"{len(usable)} labelled proteins", expected="10 or more")
    random = np.random.default_rng(seed)
    nodes = store.nodes[usable].astype(np.int64)
    at_random = split.at_random([str(i) for i in usable.tolist()], hold_out, random)
    hidden = split.whole_clades(taxonomy, nodes, hidden_clades, random)
    fitted = ~(at_random | hidden)
    log(f"{fitted.sum():,} proteins of {len(np.unique(nodes[fitted])):,} taxa to fit; {(~fitted).sum():,} held out, "
        f"{hidden.sum():,} of them in hidden clades")  # fmt: skip
    first = _rows(store, taxonomy, usable[fitted])
    held = np.sort(random.permutation(np.flatnonzero(~fitted))[:judged])
    return PreparedProteins(
        store, taxonomy, fitted, first, _rows(store, taxonomy, usable[held], first.tree),
        at_random[held] & ~hidden[held], _digest(store, usable, taxonomy),
    )  # fmt: skip


def capped(of: NDArray[np.int64], most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows in random order, at most so many of each kind."""
    taken = draws.drawn(np.bincount(of), most, random)
    order = np.argsort(of, kind="stable")[taken]
    return random.permutation(order)


def _rows(store: Proteins, taxonomy: Taxonomy, chosen: NDArray[np.int64], tree: Taxonomy | None = None) -> Rows:
    """With the tree given, or that of their taxa and all that these lie in."""
    taxa, of = np.unique(store.nodes[chosen], return_inverse=True)
    lineages = [taxonomy.lineage(int(node)) for node in taxa]
    tree = Taxonomy.from_lineages(lineages) if tree is None else tree
    found = [tree.find(lineage) for lineage in lineages]
    nodes = np.array([node for node, _ in found], np.int64)
    new = np.array([depth < len(lineage) for (_, depth), lineage in zip(found, lineages, strict=True)], bool)
    return Rows(chosen, nodes[of], new[of], tree)


def _digest(store: Proteins, chosen: NDArray[np.int64], taxonomy: Taxonomy) -> str:
    h = hashlib.sha256(taxonomy.digest.encode())
    for i in chosen.tolist():
        h.update(f"{store.id(i)}\t{store.sequence(i)}\t{int(store.nodes[i])}\n".encode())
    return h.hexdigest()
