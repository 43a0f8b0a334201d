"""Training: fit on most of the references and learn from what is said of the rest, several times; then fit on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import fitting
from linnet.baselines import Commonest, Nearest
from linnet.calibrate import Calibration
from linnet.checkpoint import Checkpoint
from linnet.compact import CompactNetwork
from linnet.errors import UserError, require
from linnet.families import rrna
from linnet.families.rrna import References
from linnet.fitting import AfterPass, Keeping, Kept, Log, Recipe
from linnet.gene_calibration import STEPS, Round, answers, ask, learn
from linnet.gene_neighbours import GeneIndex
from linnet.kmers import BLOCK, count_all, log_odds
from linnet.losses import PathTargets, path_loss, soft_loss
from linnet.model import Model
from linnet.preparation import HeldOut, Labelled, digest_of_run, prepare, subset, usable, views
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Lineage, Taxonomy
from linnet.teaching import Teaching
from linnet.weighed_walk import kept_beside


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a model is trained."""

    model: rrna.Config = field(default_factory=rrna.Config)
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=8, batch=256, learning_rate=3e-3, clip=1.0, schedule="one-cycle", precision="bf16"
        )
    )
    hide: float = 0.1
    """Share of steps down the tree in which the right taxon is hidden and stopping is right."""
    hold_out: float = 0.2
    """Share of references set aside at random in each round, to calibrate and measure on."""
    rounds: int = 5
    """Networks fitted with other references set aside, to learn from what they say of these; at most 1 / hold_out."""
    hidden_clades: float = 0.02
    """Share of the clades of each level set aside whole in each round, so that their taxa are new."""
    neighbours: int = 500_000
    """References kept with the model, at most, to weigh what those most like a read say of it; 0: none, a smaller and
    faster model that knows new taxa less well."""
    refit: bool = True
    """Fit again on all references once calibrated; the calibration is kept."""
    seed: int = 42
    """Of the split, the first weights and every random choice."""

    def __post_init__(self) -> None:
        for name in ("hide", "hold_out", "hidden_clades"):
            require(0 <= getattr(self, name) <= 0.5, f"{name} {getattr(self, name)}", "0 to 0.5")
        require(self.neighbours >= 0, f"neighbours {self.neighbours}", "0 or more")
        require(1 <= self.rounds <= 20, f"rounds {self.rounds}", "1 to 20")
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
    rounds = prepare(
        sequences,
        lineages,
        groups,
        k=config.model.encoder.k,
        hold_out=config.hold_out,
        hidden_clades=config.hidden_clades,
        seed=config.seed if split_seed is None else split_seed,
        log=log,
        rounds=min(config.rounds, int(1 / config.hold_out + 1e-9)) if config.hold_out else 1,
    )

    def fitted(
        data: Labelled, tree: Taxonomy, ids: Sequence[str], name: str, of: str, **more: Any
    ) -> tuple[Model, CompactNetwork]:
        model = fit(data, tree, config, log, keeping.file(f"seed-{config.seed}.{name}", of), teach, **more)
        return model, CompactNetwork(model.tensors(), tree, index=_index(data, tree, ids, config))

    first, views, random = rounds[0], config.model.views, np.random.default_rng(config.seed + 2)
    of = digest_of_run(first.digest, asdict(config), first.fitted)
    held = subset(first.data, first.natural) if after_pass else None
    measured: CompactNetwork | None = None
    said: list[Round] = []
    for number, prepared in enumerate(rounds, 1):
        log(f"round {number} of {len(rounds)}")
        more = {"held": held, "after_pass": after_pass} if number == 1 else {}
        data = subset(prepared.data, prepared.fitted)
        model_now, network = fitted(data, prepared.tree, prepared.fitted_ids, f"round-{number}", of, **more)
        if not prepared.fitted.all():
            said.append(ask(network, prepared, views, STEPS // len(rounds), random))
        if measured is None:
            model, measured, index = model_now, network, network.index
    assert measured is not None  # there is a round
    tree, levels = first.tree, SiblingGroups(first.full).levels
    learnt = learn(said, len(first.ids), levels, views.shortest, config.seed)
    log(f"calibrated on {sum(len(r.steps.target) for r in said):,} steps of held-out references")
    held_out = first.held_out(list(answers(measured, learnt, first, views, random)))
    if config.refit:
        log(f"fitting again on all {len(first.ids):,}")
        tree = first.full
        model, network = fitted(first.everything(), tree, first.ids, "again", of)
        index = network.index
    calibration = learnt.calibration.stretch(SiblingGroups(tree).levels)
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
            tensors={**model.tensors(), **kept_beside(index, learnt.gate)},
            taxonomy=tree,
            calibration=calibration,
            origin={
                "references": len(first.ids) if config.refit else int(first.fitted.sum()),
                "taxa": len(tree),
                "references_sha256": first.digest,
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


def _index(data: Labelled, tree: Taxonomy, ids: Sequence[str], config: Config) -> GeneIndex | None:
    """The references among which neighbours are looked up, drawn by chance where there are too many."""
    if not config.neighbours:
        return None
    rows = np.random.default_rng(config.seed).permutation(len(ids))[: config.neighbours]
    chosen = np.isin(np.arange(len(ids)), rows)
    some = subset(data, chosen)
    index = GeneIndex.of(some.sequences, some.nodes, list(compress(ids, chosen)))
    index.learn_around(tree)
    return index


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
