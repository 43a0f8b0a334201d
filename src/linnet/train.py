"""Training: fit on most of the references, calibrate on the rest, then fit again on all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import calibrate, fitting
from linnet.baselines import Commonest, Nearest
from linnet.calibrate import Calibration, Steps
from linnet.checkpoint import Checkpoint
from linnet.compact import CompactNetwork
from linnet.decode import LineageCache, descend
from linnet.errors import UserError, require
from linnet.families import rrna
from linnet.families.rrna import References
from linnet.fitting import AfterPass, Keeping, Kept, Log, Recipe
from linnet.kmers import BLOCK, count_all, log_odds
from linnet.losses import PathTargets, path_loss, soft_loss
from linnet.model import Model
from linnet.prediction import Posterior, Prediction
from linnet.preparation import HeldOut, Labelled, digest_of_run, prepare, subset, usable, views
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Lineage, Taxonomy
from linnet.teaching import Teaching


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a model is trained."""

    model: rrna.Config = field(default_factory=rrna.Config)
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=12, batch=256, learning_rate=3e-3, clip=1.0, schedule="one-cycle", precision="bf16"
        )
    )
    hide: float = 0.1
    """Share of steps down the tree in which the right taxon is hidden and stopping is right."""
    hold_out: float = 0.1
    """Share of references set aside at random to calibrate and measure on."""
    hidden_clades: float = 0.02
    """Share of the clades of each level set aside whole, so that their taxa are new."""
    refit: bool = True
    """Fit again on all references once calibrated; the calibration is kept."""
    seed: int = 42
    """Of the split, the first weights and every random choice."""

    def __post_init__(self) -> None:
        for name in ("hide", "hold_out", "hidden_clades"):
            require(0 <= getattr(self, name) <= 0.5, f"{name} {getattr(self, name)}", "0 to 0.5")
        require(0 <= self.seed < 2**32, f"seed {self.seed}", "0 to 4294967295")


Teach = Callable[[Labelled, SiblingGroups], Teaching]
"""References and the columns of the student's head -> what a teacher says of them."""


def train(
    sequences: Mapping[str, str],
    lineages: Mapping[str, Lineage],
    config: Config,
    log: Log = lambda _: None,
    groups: Mapping[str, str] | None = None,
    *,
    keeping: Keeping | None = None,
    split_seed: int | None = None,
    teach: Teach | None = None,
    after_pass: AfterPass | None = None,
) -> tuple[Checkpoint, HeldOut]:
    """A calibrated model from references and their lineages.

    Args:
        sequences: by record id; reversed ones are turned.
        lineages: by record id; a lineage that ends early says nothing of what is below it.
        groups: by record id; records of one group are set aside together. Others stand alone.
        keeping: where unfinished fits are kept.
        split_seed: of the choice of held-out references; None: `config.seed`.
        teach: what a teacher says of references, beside their labels.
        after_pass: is told of each pass of the first fit, and of the loss on references set aside at random; that is
            found only for it, and the fit then ends with the weights of the best pass.

    Raises:
        UserError: too few references to learn from.
    """
    keeping = keeping or Keeping()
    prepared = prepare(
        sequences,
        lineages,
        groups,
        k=config.model.encoder.k,
        hold_out=config.hold_out,
        hidden_clades=config.hidden_clades,
        seed=config.seed if split_seed is None else split_seed,
        log=log,
    )
    fitted, tree, data = prepared.fitted, prepared.tree, prepared.data
    of = digest_of_run(prepared.digest, asdict(config), fitted)
    kept = keeping.file(f"seed-{config.seed}.first", of)
    checked = subset(data, prepared.natural) if after_pass else None
    model = fit(subset(data, fitted), tree, config, log, kept, teach, checked, after_pass)
    calibration, seen = _calibrate(model, subset(data, ~fitted), prepared.natural[~fitted], config, log)
    network = CompactNetwork(model.tensors(), tree, calibration)
    held_out = prepared.held_out(_predict(network, tree, prepared.held_ids, seen))
    if config.refit:
        log(f"fitting again on all {len(fitted):,}")
        tree = prepared.full
        kept = keeping.file(f"seed-{config.seed}.again", of)
        model = fit(prepared.everything(), tree, config, log, kept, teach)
        calibration = calibration.stretch(SiblingGroups(tree).levels)
    return (
        Checkpoint(
            model={
                "family": "rrna",
                "kind": "compact",
                "encoder": "kmer",
                "head": "tree",
                "config": asdict(config),
                "linnet": linnet.__version__,
                "torch": torch.__version__,
            },
            tensors=model.tensors(),
            taxonomy=tree,
            calibration=calibration,
            origin={
                "references": len(fitted),
                "taxa": len(tree),
                "references_sha256": prepared.digest,
            },
        ),
        held_out,
    )


def baseline(kind: str, sequences: Mapping[str, str], lineages: Mapping[str, Lineage]) -> Checkpoint:
    """A baseline, `nearest` or `commonest`, from references and their lineages; nothing is learnt."""
    ids = usable(sequences, lineages, lambda _: None)
    if not ids:
        raise UserError("no usable references", expected="sequences with lineages")
    texts = [sequences[i] for i in ids]
    tree = Taxonomy.from_lineages(lineages[i] for i in ids)
    nodes = np.array([tree.find(lineages[i])[0] for i in ids])
    fit_baseline = {"nearest": Nearest.fit, "commonest": Commonest.fit}[kind]
    tensors = fit_baseline(texts, nodes, tree)
    return Checkpoint(
        {"family": "rrna", "kind": kind, "linnet": linnet.__version__}, tensors, tree, Calibration.none(1)
    )


def fit(
    data: Labelled,
    tree: Taxonomy,
    config: Config,
    log: Log,
    kept: Kept | None = None,
    teach: Teach | None = None,
    held: Labelled | None = None,
    after_pass: AfterPass | None = None,
) -> Model:
    """AdamW on the path loss, one view of each reference an epoch."""
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed + 1)
    lesson = CompactLesson(data, tree, config, teach, held)
    fitting.fit(lesson, config.recipe, random, log, kept=kept, after_pass=after_pass)
    return lesson.model


class CompactLesson:
    """The compact network, and the references that it learns from.

    Args:
        held: references to check the loss on.
    """

    def __init__(
        self,
        data: Labelled,
        tree: Taxonomy,
        config: Config,
        teach: Teach | None = None,
        held: Labelled | None = None,
    ) -> None:
        self.config, self.data, self.held = config, data, held
        self.targets = SiblingGroups(tree)
        self.references = References(data.sequences, config.model.views)
        log_odds_V = log_odds(count_all(data.sequences, config.model.encoder.k))
        self.model = rrna.build(config.model, self.targets, log_odds_V)
        self.teaching = teach(data, self.targets) if teach else None

    def groups(self) -> list[dict[str, Any]]:
        """The k-mer embedding has no weight decay: most k-mers are in few references."""
        named = list(self.model.named_parameters())
        embedding = [p for n, p in named if n == "encoder.embedding"]
        others = [p for n, p in named if n != "encoder.embedding"]
        return [{"params": embedding, "weight_decay": 0.0}, {"params": others}]

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        return random.permutation(len(self.data.nodes))

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        seen, nodes, new = views(self.references, self.data, rows, random)
        inputs = self.model.encoder.collate(seen)
        targets = PathTargets.of(self.targets, nodes, new, hide=self.config.hide, random=random)
        with self.config.recipe.autocast("cpu"):
            scores = model(inputs)
        loss = path_loss(scores, targets)
        if self.teaching is None:
            return loss
        decoys = new & (nodes == 0)
        soft = self.teaching.lessons.batch(rows, ~decoys)
        alpha = self.teaching.alpha
        return alpha * loss + (1 - alpha) * soft_loss(scores, soft, self.teaching.temperature)

    @torch.no_grad()
    def check(self) -> float | None:
        """Mean loss of views of held-out references, the same views each time, decoys among them.

        Training holds none out for this: the network has never been seen to learn by heart.
        """
        if self.held is None or not len(self.held.nodes):
            return None
        random, total = np.random.default_rng(self.config.seed + 2), 0.0
        references, rows = References(self.held.sequences, self.config.model.views), np.arange(len(self.held.nodes))
        for a in range(0, len(rows), BLOCK):
            seen, nodes, new = views(references, self.held, rows[a : a + BLOCK], random)
            with self.config.recipe.autocast("cpu"):
                scores = self.model(self.model.encoder.collate(seen))
            total += float(path_loss(scores, PathTargets.of(self.targets, nodes, new))) * len(seen)
        return total / len(rows)


# ---------------------------------------------------------------------- held-out records


def _calibrate(
    model: Model,
    data: Labelled,
    natural: NDArray[np.bool_],
    config: Config,
    log: Log,
) -> tuple[Calibration, list[str]]:
    """Calibration from views of held-out records, decoys among them; and views without decoys, to measure on."""
    random = np.random.default_rng(config.seed + 2)
    references = References(data.sequences, config.model.views)
    network = CompactNetwork(model.tensors(), model.head.groups.taxonomy)
    everything = np.arange(len(data.nodes))
    parts = []
    for a in range(0, len(everything), BLOCK):
        block = everything[a : a + BLOCK]
        seen, nodes, new = views(references, data, block, random)
        reading = network.reader.read(seen, "forward")
        scores = network.scores(reading.counts_BV)
        parts.append(Steps.of(network.groups, scores, reading.kmers_B, nodes, new, natural[block] | (nodes == 0)))
    levels = network.groups.levels
    calibration = calibrate.fit(Steps.join(parts), levels) if parts else Calibration.none(levels)
    log(f"calibrated on {len(everything):,} held-out references")
    seen = [references.draw(int(i), random) for i in everything]
    return replace(calibration, kmers=config.model.views.shortest // 2), seen


def _predict(network: CompactNetwork, tree: Taxonomy, ids: Sequence[str], views: Sequence[str]) -> list[Prediction]:
    lineages = LineageCache(tree)
    predictions: list[Prediction] = []
    for a in range(0, len(ids), BLOCK):
        reading = network.reader.read(views[a : a + BLOCK], "forward")
        posterior = Posterior(tree, network.place(reading))
        predictions += descend(posterior, ids[a : a + BLOCK], reading.strand, lineages)
    return predictions
