"""Training of networks over tokens: fit on most of the references, calibrate on the rest, then fit again on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import calibrate, devices, fine_tuning, fitting
from linnet.calibrate import Calibration, Steps
from linnet.checkpoint import Checkpoint, weights_sha256
from linnet.decode import LineageCache, descend
from linnet.errors import require
from linnet.families import rrna_network
from linnet.families.rrna import References
from linnet.fitting import AfterPass, Keeping, Kept, Log, Recipe
from linnet.kmers import BLOCK, count_all, log_odds
from linnet.losses import PathTargets, path_loss, rank_loss
from linnet.model import Model, parameters
from linnet.network import Network, Running
from linnet.prediction import Posterior, Prediction
from linnet.preparation import HeldOut, Labelled, digest_of_run, prepare, subset, views
from linnet.rank_scores import RankLabels
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Lineage, Taxonomy
from linnet.tokens import Bases, Pieces, Tokenizer

STRAND_K = 7
"""Length of the k-mers by which a read's strand is told."""

SETTLE = 8 * BLOCK
"""Held-out references that settle the one temperature of published heads."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a network over tokens is trained."""

    model: rrna_network.Config = field(default_factory=rrna_network.Config)
    recipe: Recipe = field(default_factory=Recipe)
    hold_out: float = 0.2
    """Share of references set aside at random to choose the pass, to calibrate and to measure on."""
    hidden_clades: float = 0.0
    """Share of the clades of each level set aside whole, so that their taxa are new."""
    refit: bool = True
    """Fit again on all references, for as many passes as the held-out ones found best; the calibration is kept."""
    seed: int = 42
    """Of the first weights and every random choice."""

    def __post_init__(self) -> None:
        for name in ("hold_out", "hidden_clades"):
            require(0 <= getattr(self, name) <= 0.5, f"{name} {getattr(self, name)}", "0 to 0.5")
        require(0 <= self.seed < 2**32, f"seed {self.seed}", "0 to 4294967295")


def train(
    sequences: Mapping[str, str],
    lineages: Mapping[str, Lineage],
    config: Config,
    log: Log = lambda _: None,
    groups: Mapping[str, str] | None = None,
    *,
    tokenizer: str | None = None,
    start: Checkpoint | None = None,
    device: str = "cpu",
    keeping: Keeping | None = None,
    split_seed: int | None = None,
    after_pass: AfterPass | None = None,
) -> tuple[Checkpoint, HeldOut]:
    """A network from references and their lineages.

    Args:
        sequences: by record id; reversed ones are turned.
        lineages: by record id; one that ends early says nothing of what is below it (tree head), or gets placeholders
            (published heads).
        groups: by record id; records of one group are set aside together.
        tokenizer: text of a `tokenizer.json`; None: the vocabulary of `start`, or one learnt from the references.
        start: a model whose weights to begin with; its encoder's settings replace those of `config`.
        device: as torch names it.
        keeping: where unfinished fits are kept.
        split_seed: of the choice of held-out references; None: `config.seed`.
        after_pass: is told of each pass of the first fit.

    Raises:
        UserError: too few references to learn from; a `start` that is no network over tokens.
    """
    device, keeping = devices.own(device), keeping or Keeping()
    (prepared,) = prepare(
        sequences,
        lineages,
        groups,
        k=STRAND_K,
        hold_out=config.hold_out,
        hidden_clades=config.hidden_clades,
        seed=config.seed if split_seed is None else split_seed,
        log=log,
    )
    if start is not None:
        config = replace(config, model=replace(config.model, encoder=fine_tuning.encoder(start)))
        tokenizer = fine_tuning.tokenizer(start, tokenizer)
        log("the encoder's settings are those of the model to begin with")
    reader = _tokenizer(config, tokenizer, prepared.texts)
    settings = {**asdict(config), "start": weights_sha256(start) if start else None, "tokenizer": _vocabulary(reader)}
    fitted, full = prepared.fitted, prepared.full
    of = digest_of_run(prepared.digest, settings, fitted)
    kept, held = subset(prepared.data, fitted), subset(prepared.data, ~fitted)
    lesson = NetworkLesson(kept, held, prepared.tree, config, reader, device, start)
    log(f"{parameters(lesson.model):,} parameters")
    if start is not None:
        log(f"{lesson.copied:,} rows of the head are those of taxa or labels that the model to begin with knew")
        log("note: held-out references may be among those that the model to begin with was trained on")
    found = lesson.fit(log, keeping.file(f"seed-{config.seed}.first", of), after_pass=after_pass)
    odds = log_odds(count_all(prepared.texts, STRAND_K))
    calibration, ranks = _calibrate(lesson, odds, prepared.natural[~fitted])
    first = _checkpoint(lesson, odds, calibration, ranks)
    held_out = prepared.held_out(_predict(first, prepared.held_ids, held, device))
    checkpoint, passes = first, found.epoch
    if config.refit and not fitted.all():
        log(f"fitting again on all {len(fitted):,}, for {passes} passes")
        lesson = NetworkLesson(prepared.everything(), None, full, config, reader, device, start)
        lesson.fit(log, keeping.file(f"seed-{config.seed}.again", of), until=passes)
        if ranks is not None:
            assert lesson.labels is not None
            ranks = replace(lesson.labels, temperature=ranks.temperature)
        checkpoint = _checkpoint(lesson, odds, calibration.stretch(SiblingGroups(full).levels), ranks)
    checkpoint.model["config"] = asdict(config)
    if start is not None:
        checkpoint.origin["start"] = {"weights": settings["start"], "references": start.origin.get("references_sha256")}
    checkpoint.origin.update(
        references=len(fitted), taxa=len(checkpoint.taxonomy), references_sha256=prepared.digest,
        passes=passes, loss_held_out=list(found.checks), seconds=[round(s, 1) for s in found.seconds],
    )  # fmt: skip
    return checkpoint, held_out


class NetworkLesson:
    """A network over tokens, and the references that it learns from.

    Args:
        held: references to check the loss on.
        start: a model whose weights to begin with.
    """

    def __init__(
        self,
        data: Labelled,
        held: Labelled | None,
        tree: Taxonomy,
        config: Config,
        tokenizer: Tokenizer,
        device: str,
        start: Checkpoint | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.data, self.held, self.device = config, data, held, device
        self.references = References(data.sequences, config.model.views)
        self.targets = SiblingGroups(tree)
        of = data.nodes if config.model.head == "ranks" else None
        self.labels = None if of is None else rrna_network.rank_labels(tree, of)
        self.copied = 0
        self.model: Model = rrna_network.build(config.model, tokenizer, tree, self.labels)
        if start is not None:
            self.copied = fine_tuning.begin(self.model, start, tree, self.labels)
        self.model.to(device)
        self.level_weights = torch.tensor(config.model.level_weights, device=device)
        self.class_weights: list[Tensor] | None = None
        if self.labels is not None:
            class_BR = rrna_network.classes(self.labels, data.nodes)
            weights = rrna_network.class_weights(
                config.model.class_weights, class_BR, [len(some) for some in self.labels.labels]
            )
            self.class_weights = weights and [w.to(device) for w in weights]

    def fit(
        self, log: Log, kept: Kept, until: int | None = None, after_pass: AfterPass | None = None
    ) -> fitting.Fitted:
        random = np.random.default_rng(self.config.seed + 1)
        return fitting.fit(
            self, self.config.recipe, random, log, device=self.device, kept=kept, until=until, after_pass=after_pass
        )

    def groups(self) -> list[dict[str, Any]]:
        """All weights alike, as published."""
        return [{"params": list(self.model.parameters())}]

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        return random.permutation(len(self.data.nodes))

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        seen, nodes, new = views(self.references, self.data, rows, random)
        inputs = self.model.encoder.collate(seen).to(self.device)
        with self.config.recipe.autocast(self.device):
            scores = model(inputs)
        settings = self.config.model
        levels, gamma = self.level_weights, settings.gamma
        if self.labels is None:
            targets = PathTargets.of(self.targets, nodes, new, hide=settings.hide, random=random)
            return path_loss(scores, targets.to(self.device), level_weights=levels, gamma=gamma)
        class_BR = torch.from_numpy(rrna_network.classes(self.labels, nodes)).to(self.device)
        return rank_loss(scores, class_BR, level_weights=levels, class_weights=self.class_weights, gamma=gamma)

    @torch.no_grad()
    def check(self) -> float | None:
        """Mean -ln p of the held-out references' labels, every rank and label counting alike; those of unknown taxa
        are left out, with a tree head only below what is known."""
        if self.held is None or not len(self.held.nodes):
            return None
        total, counted = 0.0, 0
        order = np.argsort([len(s) for s in self.held.sequences], kind="stable")
        for a in range(0, len(order), 2 * self.config.recipe.batch):
            rows = order[a : a + 2 * self.config.recipe.batch]
            inputs = self.model.encoder.collate([self.held.sequences[i] for i in rows]).to(self.device)
            with self.config.recipe.autocast(self.device):
                scores = self.model(inputs)
            nodes = self.held.nodes[rows]
            if self.labels is None:
                new = np.zeros(len(rows), bool)
                loss, n = path_loss(scores, PathTargets.of(self.targets, nodes, new).to(self.device)), len(rows)
            else:
                class_BR = rrna_network.classes(self.labels, nodes)
                n = int((class_BR[:, 0] >= 0).sum())
                loss = rank_loss(scores, torch.from_numpy(class_BR).to(self.device))
            total, counted = total + float(loss) * n, counted + n
        return total / counted if counted else None


# ---------------------------------------------------------------------- held-out references


def _calibrate(
    lesson: NetworkLesson, odds: NDArray[np.float32], natural: NDArray[np.bool_]
) -> tuple[Calibration, RankLabels | None]:
    """What makes held-out references' probabilities true: of a tree head its calibration, of published heads the
    temperature of their joint lineages."""
    levels, held = lesson.targets.levels, lesson.held
    kmers = lesson.config.model.views.shortest // 2
    none = Calibration.none(levels, kmers)
    if held is None or not len(held.nodes):
        return none, lesson.labels
    network = Network(_checkpoint(lesson, odds, none, lesson.labels), Running(device=lesson.device, engine="torch"))
    blocks = [slice(a, a + BLOCK) for a in range(0, len(held.nodes), BLOCK)]
    readings = (network.reader.read(held.sequences[block], "forward") for block in blocks)
    if lesson.labels is not None:
        few = islice(zip(readings, blocks, strict=True), SETTLE // BLOCK)
        return none, lesson.labels.tempered((network.ranks(reading), held.nodes[block]) for reading, block in few)
    steps = [
        Steps.of(lesson.targets, network.scores(r), r.kmers_B, held.nodes[b], held.new[b], natural[b])
        for r, b in zip(readings, blocks, strict=True)
    ]
    return replace(calibrate.fit(Steps.join(steps), levels), kmers=kmers), None


def _predict(checkpoint: Checkpoint, ids: Sequence[str], held: Labelled, device: str) -> list[Prediction]:
    if not ids:
        return []
    network = Network(checkpoint, Running(device=device, engine="torch"))
    cache, predictions = LineageCache(checkpoint.taxonomy), []
    for a in range(0, len(ids), BLOCK):
        reading = network.reader.read(held.sequences[a : a + BLOCK], "forward")
        posterior = Posterior(checkpoint.taxonomy, network.place(reading))
        predictions += descend(posterior, ids[a : a + BLOCK], reading.strand, cache)
    return predictions


def _checkpoint(
    lesson: NetworkLesson, odds: NDArray[np.float32], calibration: Calibration, labels: RankLabels | None
) -> Checkpoint:
    settings = asdict(lesson.config.model.encoder)
    return Checkpoint(
        model={
            "family": "rrna",
            "kind": "network",
            "encoder": settings,
            "head": lesson.config.model.head,
            "parameters": parameters(lesson.model),
            "linnet": linnet.__version__,
            "torch": torch.__version__,
        },
        tensors={**lesson.model.tensors(), "encoder.log_odds_V": odds},
        taxonomy=lesson.targets.taxonomy,
        calibration=calibration,
        tokenizer=_vocabulary(lesson.model.encoder.tokenizer),
        labels=labels,
    )


def _tokenizer(config: Config, json: str | None, texts: Sequence[str]) -> Tokenizer:
    if config.model.encoder.encoding == "onehot":
        return Bases()
    return Pieces(json) if json is not None else Pieces.learn(texts, config.model.vocabulary)


def _vocabulary(tokenizer: Tokenizer) -> str | None:
    """Text of its `tokenizer.json`, where it has one."""
    return tokenizer.json if isinstance(tokenizer, Pieces) else None
