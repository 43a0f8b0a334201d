"""Training on proteins: fit on most of them, calibrate on the rest, then fit again on all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import fitting
from linnet.checkpoint import Checkpoint
from linnet.errors import require
from linnet.families import proteins
from linnet.families.proteins import ProteinModel
from linnet.fitting import AfterPass, Keeping, Kept, Log, Recipe
from linnet.light_head import path_loss
from linnet.preparation import HeldOut, digest_of_run
from linnet.protein_calibration import calibrated
from linnet.protein_neighbours import ProteinIndex
from linnet.protein_preparation import Proteins, Rows, capped, prepare
from linnet.taxonomy import Taxonomy
from linnet.weighed_walk import kept_beside

JUDGED = 20_000
"""Held-out proteins that are looked at, at most."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a protein model is trained."""

    model: proteins.Config = field(default_factory=proteins.Config)
    recipe: Recipe = field(
        default_factory=lambda: Recipe(batch=256, learning_rate=4e-3, clip=1.0, schedule="one-cycle", precision="fp32")
    )
    per_taxon: int = 100
    """Proteins of one taxon in a pass at most, drawn anew for each: whole proteomes do not outweigh the rest."""
    neighbours: int = 100_000
    """Proteins kept in the model at most, drawn with no more of one taxon than `per_taxon`, to look up a protein's
    neighbours among them; 0: none, a smaller model that knows no protein family that it has not learnt by its words."""
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
        require(self.neighbours >= 0, f"neighbours {self.neighbours}", "0 or more")
        require(0 <= self.seed < 2**32, f"seed {self.seed}", "0 to 4294967295")


def train(
    store: Proteins,
    taxonomy: Taxonomy,
    config: Config,
    log: Log = lambda _: None,
    *,
    keeping: Keeping | None = None,
    split_seed: int | None = None,
    after_pass: AfterPass | None = None,
) -> tuple[Checkpoint, HeldOut]:
    """A calibrated model from labelled proteins.

    Args:
        taxonomy: the tree that the proteins' nodes are of; the model's is what their labels need of it.
        keeping: where unfinished fits are kept.
        split_seed: of the choice of held-out proteins; None: `config.seed`.
        after_pass: is told of each pass of the first fit.

    Raises:
        UserError: too few proteins to learn from.
    """
    keeping = keeping or Keeping()
    seed = config.seed if split_seed is None else split_seed
    prepared = prepare(
        store, taxonomy, hold_out=config.hold_out, hidden_clades=config.hidden_clades, judged=JUDGED, seed=seed, log=log
    )
    of = digest_of_run(prepared.digest, asdict(config), prepared.fitted)
    tree = prepared.first.tree
    model = fit(store, prepared.first, config, log, keeping.file(f"seed-{config.seed}.first", of), after_pass)
    index = _index(store, prepared.first, config)
    ready = calibrated(model, index, prepared, config.model.views, config.least, config.seed + 2)
    network, calibration = ready.network, ready.network.calibration
    log(f"calibrated on {len(ready.views):,} held-out proteins")
    held_out = prepared.held_out(ready.answers(prepared.held_ids()))
    if config.refit:
        rows = prepared.everything()
        log(f"fitting again on all {len(rows.chosen):,}")
        tree = rows.tree
        model = fit(store, rows, config, log, keeping.file(f"seed-{config.seed}.again", of))
        index = _index(store, rows, config)
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
        "proteins": len(prepared.fitted),
        "labels": len(np.unique(store.nodes[prepared.usable])),
        "proteins_sha256": prepared.digest,
    }
    tensors = {**model.tensors(), **kept_beside(index, network.gate)}
    return Checkpoint(described, tensors, tree, calibration, origin), held_out


def fit(
    store: Proteins,
    rows: Rows,
    config: Config,
    log: Log,
    kept: Kept | None = None,
    after_pass: AfterPass | None = None,
) -> ProteinModel:
    """AdamW on the path loss."""
    torch.manual_seed(config.seed)
    lesson = ProteinLesson(store, rows, config)
    random = np.random.default_rng(config.seed + 1)
    fitting.fit(lesson, config.recipe, random, log, kept=kept, after_pass=after_pass)
    return lesson.model


class ProteinLesson:
    """The compact protein network, and the proteins that it learns from."""

    def __init__(self, store: Proteins, rows: Rows, config: Config) -> None:
        self.store, self.rows, self.config = store, rows, config
        _, self.taxon = np.unique(rows.nodes, return_inverse=True)
        self.model = ProteinModel(config.model, rows.tree)

    def groups(self) -> list[dict[str, Any]]:
        """Embeddings have no weight decay."""
        named = list(self.model.named_parameters())
        tables = [p for n, p in named if n in ("encoder.embedding", "head.taxa")]
        others = [p for n, p in named if n not in ("encoder.embedding", "head.taxa")]
        return [{"params": tables, "weight_decay": 0.0}, {"params": others}]

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        return capped(self.taxon, self.config.per_taxon, random)

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        views = self.config.model.views
        decoy = random.random(len(rows)) < views.decoys
        seen = [
            (views.decoy if d else views.draw)(self.store.sequence(int(i)), random)
            for i, d in zip(self.rows.chosen[rows], decoy, strict=True)
        ]
        work = self.model.head.steps(np.where(decoy, 0, self.rows.nodes[rows]), decoy, self.config.hide, random)
        with self.config.recipe.autocast("cpu"):
            scores = model(self.model.encoder.collate(seen), work)
        return path_loss(scores, work)

    def check(self) -> None:
        """Nothing is held out for this."""


def _index(store: Proteins, rows: Rows, config: Config) -> ProteinIndex | None:
    """The proteins kept to compare with, in the order in which they are stored."""
    if not config.neighbours:
        return None
    random = np.random.default_rng(config.seed + 3)
    _, taxon = np.unique(rows.nodes, return_inverse=True)
    kept = np.sort(capped(taxon, config.per_taxon, random)[: config.neighbours])
    return ProteinIndex.of([store.sequence(int(i)) for i in rows.chosen[kept]], rows.nodes[kept])
