"""Training: fit on most of the references, calibrate on the rest, then fit again on all of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

import linnet
from linnet import calibrate, split
from linnet.baselines import Commonest, Nearest
from linnet.calibrate import Calibration, Steps
from linnet.checkpoint import Checkpoint
from linnet.compact import CompactNetwork
from linnet.decode import LineageCache, descend
from linnet.errors import UserError, require
from linnet.families import rrna
from linnet.families.rrna import References
from linnet.kmers import BLOCK, KmerReader, count_all, log_odds
from linnet.losses import PathTargets, path_loss
from linnet.model import Model
from linnet.prediction import Posterior, Prediction
from linnet.records import reverse_complement
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Lineage, Taxonomy

Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a model is trained."""

    model: rrna.Config = field(default_factory=rrna.Config)
    epochs: int = 12
    """Passes over the references."""
    batch: int = 256
    """References in a step."""
    learning_rate: float = 3e-3
    """Highest learning rate; warmed up over a tenth of the steps, then lowered along a cosine."""
    weight_decay: float = 0.01
    """AdamW's weight decay; the k-mer embedding has none."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    hide: float = 0.1
    """Share of steps down the tree in which the right taxon is hidden and stopping is right."""
    hold_out: float = 0.1
    """Share of references set aside at random to calibrate and measure on."""
    hidden_clades: float = 0.02
    """Share of the clades of each level set aside whole, so that their taxa are new."""
    refit: bool = True
    """Fit again on all references once calibrated; the calibration is kept."""
    precision: str = "bf16"
    """Arithmetic of matrix products: bf16 or fp32."""
    seed: int = 42
    """Of the split, the first weights and every random choice."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            require(getattr(self, name) >= 1, f"{name} {getattr(self, name)}", "1 or more")
        for name in ("learning_rate", "clip"):
            require(0 < getattr(self, name) < np.inf, f"{name} {getattr(self, name)}", "more than 0")
        for name in ("hide", "hold_out", "hidden_clades"):
            require(0 <= getattr(self, name) <= 0.5, f"{name} {getattr(self, name)}", "0 to 0.5")
        require(0 <= self.weight_decay < np.inf, f"weight_decay {self.weight_decay}", "0 or more")
        require(self.precision in ("bf16", "fp32"), f"precision {self.precision}", "bf16 or fp32")
        require(0 <= self.seed < 2**32, f"seed {self.seed}", "0 to 4294967295")


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


def train(
    sequences: Mapping[str, str],
    lineages: Mapping[str, Lineage],
    config: Config,
    log: Log = lambda _: None,
    groups: Mapping[str, str] | None = None,
) -> tuple[Checkpoint, HeldOut]:
    """A calibrated model from references and their lineages.

    Args:
        sequences: by record id; reversed ones are turned.
        lineages: by record id; a lineage that ends early says nothing of what is below it.
        groups: by record id; records of one group are set aside together. Others stand alone.

    Raises:
        UserError: too few references to learn from.
    """
    ids = _usable(sequences, lineages, log)
    if len(ids) < 10:
        raise UserError(f"{len(ids)} usable references", expected="10 or more, with lineages")
    random = np.random.default_rng(config.seed)
    texts, turned = _one_strand([sequences[i] for i in ids], config.model.encoder.k)
    if turned:
        log(f"{turned:,} references read as the other strand and were turned")
    labels = [lineages[i] for i in ids]
    full = Taxonomy.from_lineages(labels)
    if full.homonyms:
        example = next(iter(full.homonyms))
        log(f"names borne by several taxa: {len(full.homonyms):,}, '{example}' for one; their paths keep them apart")
    nodes = np.array([full.find(label)[0] for label in labels])
    at_random = split.at_random([(groups or {}).get(i, i) for i in ids], config.hold_out, random)
    hidden = split.whole_clades(full, nodes, config.hidden_clades, random)
    fitted = ~(at_random | hidden)

    tree = Taxonomy.from_lineages(label for label, f in zip(labels, fitted, strict=True) if f)
    log(f"{fitted.sum():,} to fit, {(~fitted).sum():,} held out, {hidden.sum():,} of them in hidden clades")
    data = labelled(texts, labels, tree)
    model = fit(subset(data, fitted), tree, config, log)
    held = np.flatnonzero(~fitted)
    calibration, views = _calibrate(model, subset(data, ~fitted), at_random[held] & ~hidden[held], config, log)
    network = CompactNetwork(model.tensors(), tree, calibration)
    held_out = HeldOut(
        predictions={p.record_id: p for p in _predict(network, tree, [ids[i] for i in held], views)},
        truth={ids[i]: labels[i] for i in held},
        known={label for label, f in zip(labels, fitted, strict=True) if f},
        natural=[ids[i] for i in held if not hidden[i]],
    )
    if config.refit:
        log(f"fitting again on all {len(ids):,}")
        tree = full
        model = fit(labelled(texts, labels, tree), tree, config, log)
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
                "references": len(ids),
                "taxa": len(tree),
                "references_sha256": _digest(ids, texts, labels),
            },
        ),
        held_out,
    )


def baseline(kind: str, sequences: Mapping[str, str], lineages: Mapping[str, Lineage]) -> Checkpoint:
    """A baseline, `nearest` or `commonest`, from references and their lineages; nothing is learnt."""
    ids = _usable(sequences, lineages, lambda _: None)
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


def fit(data: Labelled, tree: Taxonomy, config: Config, log: Log) -> Model:
    """The training loop: AdamW on the path loss, one view of each reference an epoch."""
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed + 1)
    groups = SiblingGroups(tree)
    references = References(data.sequences, config.model.views)
    model = rrna.build(config.model, groups, log_odds(count_all(data.sequences, config.model.encoder.k)))
    embedding = [p for n, p in model.named_parameters() if n == "encoder.embedding"]
    others = [p for n, p in model.named_parameters() if n != "encoder.embedding"]
    optimizer = torch.optim.AdamW(
        [{"params": embedding, "weight_decay": 0.0}, {"params": others, "weight_decay": config.weight_decay}],
        lr=config.learning_rate,
        fused=True,
    )
    batch = min(config.batch, len(data.nodes))
    per_epoch = -(-len(data.nodes) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=max(config.epochs * per_epoch, 11), pct_start=0.1
    )
    started = time.monotonic()
    for epoch in range(1, config.epochs + 1):
        order = random.permutation(len(data.nodes))
        total = 0.0
        for a in range(0, len(order), batch):
            chosen = order[a : a + batch]
            views, nodes, new = _views(references, data, chosen, random)
            inputs = model.encoder.collate(views)
            targets = PathTargets.of(groups, nodes, new, hide=config.hide, random=random)
            with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
                scores = model(inputs)
            loss = path_loss(scores, targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        spent = time.monotonic() - started
        log(f"epoch {epoch} of {config.epochs}: loss {total / len(order):.3f}, {spent:.0f} s")
    return model.eval()


def _views(
    references: References, data: Labelled, chosen: NDArray[np.integer], random: np.random.Generator
) -> tuple[list[str], NDArray[np.int64], NDArray[np.bool_]]:
    """What a step sees of the references chosen, decoys among them, and the right answers."""
    decoys = random.random(len(chosen)) < references.views.decoys
    draw = (references.decoy if is_decoy else references.draw for is_decoy in decoys)
    views = [f(int(i), random) for f, i in zip(draw, chosen, strict=True)]
    return views, np.where(decoys, 0, data.nodes[chosen]), decoys | data.new[chosen]


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
        views, nodes, new = _views(references, data, block, random)
        reading = network.reader.read(views, "forward")
        scores = network.scores(reading.counts_BV)
        parts.append(Steps.of(network.groups, scores, reading.kmers_B, nodes, new, natural[block] | (nodes == 0)))
    levels = network.groups.levels
    calibration = calibrate.fit(Steps.join(parts), levels) if parts else Calibration.none(levels)
    log(f"calibrated on {len(everything):,} held-out references")
    views = [references.draw(int(i), random) for i in everything]
    return replace(calibration, kmers=config.model.views.shortest // 2), views


def _predict(network: CompactNetwork, tree: Taxonomy, ids: Sequence[str], views: Sequence[str]) -> list[Prediction]:
    lineages = LineageCache(tree)
    predictions: list[Prediction] = []
    for a in range(0, len(ids), BLOCK):
        reading = network.reader.read(views[a : a + BLOCK], "forward")
        posterior = Posterior(tree, network.place(reading))
        predictions += descend(posterior, ids[a : a + BLOCK], reading.strand, lineages)
    return predictions


# ---------------------------------------------------------------------- references


def _usable(sequences: Mapping[str, str], lineages: Mapping[str, Lineage], log: Log) -> list[str]:
    """Ids of the references that have a lineage and bases enough."""
    labelled = [i for i in sequences if lineages.get(i)]
    usable = [i for i in labelled if sum(map(sequences[i].count, "ACGT")) >= SHORTEST]
    log(
        f"{len(usable):,} references; left out: {len(sequences) - len(labelled):,} without a lineage, "
        f"{len(labelled) - len(usable):,} with fewer than {SHORTEST} unambiguous bases"
    )
    return usable


def _one_strand(sequences: list[str], k: int) -> tuple[list[str], int]:
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


def _digest(ids: Sequence[str], texts: Sequence[str], labels: Sequence[Lineage]) -> str:
    h = hashlib.sha256()
    for id, text, label in zip(ids, texts, labels, strict=True):
        h.update(f"{id}\t{text}\t{';'.join(t.name for t in label)}\n".encode())
    return h.hexdigest()
