"""Training on proteins: fit on most of them, calibrate on the rest, then fit again on all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import calibrate, draws, fitting, split, walk
from linnet.calibrate import Calibration, Steps
from linnet.checkpoint import Checkpoint
from linnet.compact_lineage import CompactLineageNetwork
from linnet.decode import LineageCache
from linnet.errors import UserError, require
from linnet.families import proteins
from linnet.families.proteins import ProteinModel
from linnet.fitting import Log, Recipe
from linnet.light_head import path_loss
from linnet.prediction import Prediction
from linnet.preparation import HeldOut
from linnet.taxonomy import Taxonomy

BLOCK = 512
"""Proteins judged at once."""


class Proteins(Protocol):
    """Labelled proteins: `shards.Shards`, or anything like it."""

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32 (N,): the taxon of each protein."""
        ...

    def __len__(self) -> int: ...

    def sequence(self, i: int) -> str: ...

    def id(self, i: int) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a protein model is trained."""

    model: proteins.Config = field(default_factory=proteins.Config)
    recipe: Recipe = field(
        default_factory=lambda: Recipe(batch=256, learning_rate=4e-3, clip=1.0, schedule="one-cycle", precision="fp32")
    )
    per_taxon: int = 100
    """Proteins of one taxon in a pass at most, drawn anew for each: whole proteomes do not outweigh the rest."""
    hide: float = 0.1
    """Share of steps down the tree in which the right taxon is hidden and stopping is right."""
    hold_out: float = 0.08
    """Share of the proteins set aside at random, to calibrate and measure on."""
    hidden_clades: float = 0.02
    """Share of the clades of each level set aside whole, so that their taxa are new."""
    refit: bool = True
    """Fit again on all proteins once calibrated; the calibration is kept."""
    least: int = 30
    """Residues that a protein must have to be of use."""
    seed: int = 42
    """Of the split, the first weights and every random choice."""

    def __post_init__(self) -> None:
        for name in ("per_taxon", "least"):
            require(getattr(self, name) >= 1, f"{name} {getattr(self, name)}", "1 or more")
        for name in ("hide", "hold_out", "hidden_clades"):
            require(0 <= getattr(self, name) <= 0.5, f"{name} {getattr(self, name)}", "0 to 0.5")
        require(0 <= self.seed < 2**32, f"seed {self.seed}", "0 to 4294967295")


def train(store: Proteins, taxonomy: Taxonomy, config: Config, log: Log = lambda _: None) -> tuple[Checkpoint, HeldOut]:
    """A calibrated model from labelled proteins.

    Args:
        taxonomy: the tree that the proteins' nodes are of; the model's is what their labels need of it.

    Raises:
        UserError: too few proteins to learn from.
    """
    usable = np.flatnonzero(store.nodes > 0)
    if len(usable) < 10:
        raise UserError(f"{len(usable)} labelled proteins", expected="10 or more")
    random = np.random.default_rng(config.seed)
    nodes = store.nodes[usable].astype(np.int64)
    at_random = split.at_random([str(i) for i in usable.tolist()], config.hold_out, random)
    hidden = split.whole_clades(taxonomy, nodes, config.hidden_clades, random)
    fitted = ~(at_random | hidden)
    tree = _pruned(taxonomy, nodes[fitted])
    log(f"{fitted.sum():,} proteins of {len(np.unique(nodes[fitted])):,} taxa to fit; {(~fitted).sum():,} held out, "
        f"{hidden.sum():,} of them in hidden clades")  # fmt: skip
    model = fit(store, usable[fitted], _places(taxonomy, tree, nodes[fitted])[0], tree, config, log)
    held = np.flatnonzero(~fitted)
    held = np.sort(random.permutation(held)[:20_000])
    places, new = _places(taxonomy, tree, nodes[held])
    natural = at_random[held] & ~hidden[held]
    calibration, views = _calibrate(
        model, tree, [store.sequence(int(i)) for i in usable[held]], places, new, natural, config
    )
    log(f"calibrated on {len(held):,} held-out proteins")
    network = CompactLineageNetwork(model.tensors(), model.encoder.reader, tree, calibration)
    ids = [f"{store.id(int(i))}|{int(i)}" for i in usable[held]]
    cache = LineageCache(tree)
    predictions: dict[str, Prediction] = {}
    for low in range(0, len(ids), BLOCK):
        walks = walk.descend(network.walker(network.reader.read(views[low : low + BLOCK])))
        predictions |= {p.record_id: p for p in walk.predictions(walks, ids[low : low + BLOCK], cache)}
    held_out = HeldOut(
        predictions=predictions,
        truth={id: taxonomy.lineage(int(node)) for id, node in zip(ids, nodes[held], strict=True)},
        known={taxonomy.lineage(int(node)) for node in np.unique(nodes[fitted])},
        natural=[id for id, is_natural in zip(ids, natural, strict=True) if is_natural],
    )
    if config.refit:
        log(f"fitting again on all {len(usable):,}")
        tree = _pruned(taxonomy, nodes)
        model = fit(store, usable, _places(taxonomy, tree, nodes)[0], tree, config, log)
        calibration = calibration.stretch(len(tree.level_bounds) - 2)
    described = {
        "family": "proteins",
        "kind": "lineage",
        "encoder": "residue words",
        "head": "light",
        "config": asdict(config),
        "linnet": linnet.__version__,
        "torch": torch.__version__,
    }
    origin = {
        "proteins": len(usable),
        "labels": len(np.unique(nodes)),
        "proteins_sha256": _digest(store, usable, taxonomy),
    }
    return Checkpoint(described, model.tensors(), tree, calibration, origin), held_out


def fit(
    store: Proteins, chosen: NDArray[np.int64], nodes: NDArray[np.int64], tree: Taxonomy, config: Config, log: Log
) -> ProteinModel:
    """AdamW on the path loss.

    Args:
        chosen: which proteins of the store.
        nodes: their taxa, as the tree has them.
    """
    torch.manual_seed(config.seed)
    lesson = ProteinLesson(store, chosen, nodes, tree, config)
    fitting.fit(lesson, config.recipe, np.random.default_rng(config.seed + 1), log)
    return lesson.model


class ProteinLesson:
    """The compact protein network, and the proteins that it learns from."""

    def __init__(
        self, store: Proteins, chosen: NDArray[np.int64], nodes: NDArray[np.int64], tree: Taxonomy, config: Config
    ) -> None:
        self.store, self.chosen, self.nodes, self.config = store, chosen, nodes, config
        _, self.taxon = np.unique(nodes, return_inverse=True)
        self.model = ProteinModel(config.model, tree)

    def groups(self) -> list[dict[str, Any]]:
        """Embeddings have no weight decay."""
        named = list(self.model.named_parameters())
        tables = [p for n, p in named if n in ("encoder.embedding", "head.taxa")]
        others = [p for n, p in named if n not in ("encoder.embedding", "head.taxa")]
        return [{"params": tables, "weight_decay": 0.0}, {"params": others}]

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        return _capped(self.taxon, self.config.per_taxon, random)

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        views = self.config.model.views
        decoy = random.random(len(rows)) < views.decoys
        seen = [
            (views.decoy if d else views.draw)(self.store.sequence(int(i)), random)
            for i, d in zip(self.chosen[rows], decoy, strict=True)
        ]
        work = self.model.head.steps(np.where(decoy, 0, self.nodes[rows]), decoy, self.config.hide, random)
        with self.config.recipe.autocast("cpu"):
            scores = model(self.model.encoder.collate(seen), work)
        return path_loss(scores, work)

    def check(self) -> None:
        """Nothing is held out for this."""


def _calibrate(
    model: ProteinModel,
    tree: Taxonomy,
    sequences: Sequence[str],
    nodes: NDArray[np.int64],
    new: NDArray[np.bool_],
    natural: NDArray[np.bool_],
    config: Config,
) -> tuple[Calibration, list[str]]:
    """Calibration on views of held-out proteins, decoys among them; and views without decoys, to measure on."""
    random = np.random.default_rng(config.seed + 2)
    views, levels = config.model.views, len(tree.level_bounds) - 2
    network = CompactLineageNetwork(model.tensors(), model.encoder.reader, tree)
    parts = []
    for low in range(0, len(sequences), BLOCK):
        block = slice(low, low + BLOCK)
        decoy = random.random(len(sequences[block])) < views.decoys
        seen = [(views.decoy if d else views.draw)(s, random) for s, d in zip(sequences[block], decoy, strict=True)]
        words = network.reader.read(seen)
        steps = model.head.steps(np.where(decoy, 0, nodes[block]), decoy | new[block])
        at = tree.level_order[steps.node.numpy()].astype(np.int64)
        row = steps.row.numpy()
        score, start = network.walker(words).scores(row, at)
        target = steps.target.numpy() - start[:-1]
        stopped = target == np.diff(start) - 1
        x = calibrate.length_feature(words.counts)[row]
        from_natural = (natural[block] | decoy)[row]
        parts.append(Steps(score, start, target, tree.depth[at].astype(np.int64), x, stopped, from_natural))
    fitted = calibrate.fit(Steps.join(parts), levels) if parts else Calibration.none(levels)
    return replace(fitted, kmers=config.least), [views.draw(s, random) for s in sequences]


def _capped(of: NDArray[np.int64], most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows in random order, at most so many of each kind."""
    taken = draws.drawn(np.bincount(of), most, random)
    order = np.argsort(of, kind="stable")[taken]
    return random.permutation(order)


def _pruned(taxonomy: Taxonomy, nodes: NDArray[np.int64]) -> Taxonomy:
    """The tree of these taxa and all that they lie in."""
    return Taxonomy.from_lineages(taxonomy.lineage(int(node)) for node in np.unique(nodes))


def _places(
    taxonomy: Taxonomy, tree: Taxonomy, nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The deepest taxon of the smaller tree on each one's way, and whether the way goes on below it."""
    taxa, of = np.unique(nodes, return_inverse=True)
    lineages = [taxonomy.lineage(int(node)) for node in taxa]
    found = [tree.find(lineage) for lineage in lineages]
    place = np.array([node for node, _ in found], np.int64)
    new = np.array([depth < len(lineage) for (_, depth), lineage in zip(found, lineages, strict=True)], bool)
    return place[of], new[of]


def _digest(store: Proteins, chosen: NDArray[np.int64], taxonomy: Taxonomy) -> str:
    h = hashlib.sha256(taxonomy.digest.encode())
    for i in chosen.tolist():
        h.update(f"{store.id(i)}\t{store.sequence(i)}\t{int(store.nodes[i])}\n".encode())
    return h.hexdigest()
