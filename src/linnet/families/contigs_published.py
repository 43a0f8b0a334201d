"""The published ways of correcting contig labels, as baselines: Taxometer's network and TaxDistill's distillation.

Taxometer (Kutuzova et al. 2024, Nat Commun 15:8357): a network from composition and depths to the leaves of the
label tree; a taxon's probability is the sum over its leaves, and the loss -ln of the probability of the label. It is
trained on all contigs and then asked about the same ones. TaxDistill (Ye et al. 2026, arXiv 2605.28868) trains a
linear teacher on embeddings beside it and adds a (Hinton) distillation term:

    a CE(student) + (1 - a) T^2 KL(softmax(teacher / T), softmax(student / T)) + CE(teacher)

`Config.target` puts another target in the teacher's place, in as many steps of the same optimiser, from the same
initial student and in the same batches, so that what the teacher adds can be told from what the rest adds.

What differs from the publications: Adam with a fixed rate stands for Taxometer's D-Adaptation, and without
embeddings TaxDistill's teacher sees the tetranucleotide frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.composition import Contigs, projection
from linnet.errors import UserError, require
from linnet.label_tree import LabelTree
from linnet.prediction import Prediction, Stopped

Log = Callable[[str], None]
Target = Literal["teacher", "none", "hard", "uniform", "self"]
TARGETS: dict[Target, str] = {
    "teacher": "the teacher's probabilities, as published",
    "none": "the labels alone",
    "hard": "the teacher's most probable leaf, as a label",
    "uniform": "all leaves alike",
    "self": "the probabilities of a student that was trained on the labels alone before",
}
"""What TaxDistill's student learns from beside the labels, with weight 1 - alpha."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A published recipe."""

    epochs: int = 100
    """Passes over all contigs."""
    batch: int = 1024
    """Contigs in a step."""
    learning_rate: float = 1e-3
    """Of the student."""
    alpha: float = 0.5
    """TaxDistill: weight of the labels; 1 - alpha is that of the teacher."""
    temperature: float = 2.0
    """TaxDistill: T, by which both sets of scores are divided."""
    target: Target = "teacher"
    """TaxDistill: what stands in the teacher's place, of `TARGETS`."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            require(getattr(self, name) >= 1, f"{name} {getattr(self, name)}", "1 or more")
        require(self.target in TARGETS, f"target '{self.target}'", f"of {', '.join(TARGETS)}")
        require(0 <= self.alpha <= 1, f"alpha {self.alpha}", "0 to 1")
        for name in ("temperature", "learning_rate"):
            require(0 < getattr(self, name) < np.inf, f"{name} {getattr(self, name)}", "more than 0")


def features(contigs: Contigs, depth_CS: NDArray[np.floating] | None) -> NDArray[np.float32]:
    """Taxometer's input, (C, S + 104): composition, each sample's share of the depth, and log depth, standardised.

    Source: the publication's code as described in its methods; lengths are not used.
    """
    composition = projection(contigs.tetramers_CV)
    parts = [(composition - composition.mean(0)) / np.maximum(composition.std(0), 1e-9)]
    if depth_CS is not None:
        million = depth_CS / np.maximum(depth_CS.sum(0), 1e-9) * 1e6
        total = million.sum(1, keepdims=True)
        parts.append(np.where(total > 0, million / np.maximum(total, 1e-9), 1 / million.shape[1]))
        log_total = np.log(np.maximum(total, 0.001))
        parts.append((log_total - log_total.mean()) / max(float(log_total.std()), 1e-9))
    return np.hstack(parts).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks, and what they are asked with.

    Attributes:
        features: float32 (C, D), of the student.
        embeddings: float32 (C, W), of the teacher; None of both for Taxometer's recipe.
        leaves: int64 (L,), the leaves of the label tree, in depth-first order: what the networks score.
    """

    student: nn.Module
    features: Tensor
    teacher: nn.Module | None
    embeddings: Tensor | None
    leaves: NDArray[np.intp]


def train(
    contigs: Contigs,
    depth_CS: NDArray[np.floating] | None,
    tree: LabelTree,
    config: Config,
    seed: int,
    threads: int,
    embeddings_CW: NDArray[np.floating] | None = None,
    distil: bool = False,
    log: Log = lambda _: None,
) -> Trained:
    """Networks of a published recipe.

    Args:
        embeddings_CW: of the teacher; None: tetranucleotide frequencies. The teacher is trained beside the student
            only where a target is made of it.
        distil: TaxDistill's loss and optimiser; else Taxometer's.
    """
    earlier = None
    if distil and config.target == "self":
        alone = replace(config, target="none")
        earlier = train(contigs, depth_CS, tree, alone, seed, threads, embeddings_CW, True, log).student
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    leaves = leaves_of(tree)
    bounds = label_bounds(tree, leaves)
    x = torch.from_numpy(features(contigs, depth_CS))
    student = _network(x.shape[1], len(leaves))
    groups = [{"params": student.parameters(), "lr": config.learning_rate}]
    teacher = embeddings = None
    if distil:
        seen = contigs.tetramers_CV / np.maximum(contigs.tetramers_CV.sum(1, keepdims=True), 1)
        given = seen * seen.shape[1] if embeddings_CW is None else embeddings_CW
        embeddings = torch.from_numpy(np.ascontiguousarray(given, np.float32))
        teacher = nn.Linear(embeddings.shape[1], len(leaves))
        groups.append({"params": teacher.parameters(), "lr": config.learning_rate / 10})
        optimiser: torch.optim.Optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs, eta_min=1e-6)
    else:
        optimiser = torch.optim.Adam(groups)
    random = np.random.default_rng(seed)
    for epoch in range(config.epochs):
        total = 0.0
        for rows in _batches(random.permutation(len(x)), config.batch):
            scores = student(x[rows])
            loss = flat_loss(scores, bounds[rows])
            if teacher is not None and embeddings is not None and config.target in ("teacher", "hard"):
                taught = teacher(embeddings[rows])
                beside = _beside(scores, taught.detach(), config)
                loss = config.alpha * loss + (1 - config.alpha) * beside + flat_loss(taught, bounds[rows])
            elif distil and config.target != "none":
                aim = torch.zeros_like(scores) if earlier is None else ask(earlier, x[rows])
                loss = config.alpha * loss + (1 - config.alpha) * _beside(scores, aim, config)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if distil:
                nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        if distil:
            schedule.step()
        if (epoch + 1) % 10 == 0:
            log(f"pass {epoch + 1} of {config.epochs}, loss {total / len(x):.3f}")
    return Trained(student.eval(), x, teacher, embeddings, leaves)


def _beside(scores_BL: Tensor, aim_BL: Tensor, config: Config) -> Tensor:
    """What stands beside the labels' loss: the divergence from softened scores, or the loss of their best as a label.

    The KL divergence is of distributions over leaves, softened by T, times T^2 (Hinton et al. 2015, section 2).
    """
    if config.target == "hard":
        return nn.functional.cross_entropy(scores_BL, aim_BL.argmax(1))
    t = config.temperature
    aim, got = (torch.log_softmax(s / t, 1) for s in (aim_BL, scores_BL))
    return t * t * nn.functional.kl_div(got, aim, reduction="batchmean", log_target=True)


def ask(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.as_tensor(network(x))


def answers(
    network: nn.Module, inputs: Tensor, ids: Sequence[str], tree: LabelTree, leaves: NDArray[np.intp]
) -> list[Prediction]:
    """The most probable path of each contig by a network's scores of the leaves, uncut."""
    predictions = []
    for part in np.array_split(np.arange(len(inputs)), max(1, len(inputs) // 4096)):
        leaf_BL = torch.softmax(ask(network, inputs[torch.from_numpy(part)]), 1).double().numpy()
        sums = np.concatenate([np.zeros((len(part), 1)), np.cumsum(leaf_BL, 1)], 1)
        predictions += [_path(ids[row], tree, leaves, of_row) for row, of_row in zip(part, sums, strict=True)]
    return predictions


def leaves_of(tree: LabelTree) -> NDArray[np.intp]:
    """The leaves of the label tree, in depth-first order."""
    return np.flatnonzero(tree.taxonomy.end == np.arange(len(tree)) + 1)


def label_bounds(tree: LabelTree, leaves: NDArray[np.intp]) -> Tensor:
    """int64 (C, 2): a label's leaves are those from the first number to before the second; all, where there is none."""
    low, high = np.searchsorted(leaves, tree.label_C), np.searchsorted(leaves, tree.taxonomy.end[tree.label_C])
    return torch.from_numpy(np.stack([low, high], 1))


def _network(inputs: int, outputs: int) -> nn.Sequential:
    """Four hidden layers of 512, each with leaky ReLU, dropout and batch normalisation, as published."""
    layers: list[nn.Module] = []
    for width in (inputs, 512, 512, 512):
        layers += [nn.Linear(width, 512), nn.LeakyReLU(), nn.Dropout(0.2), nn.BatchNorm1d(512)]
    return nn.Sequential(*layers, nn.Linear(512, outputs))


def _batches(order: NDArray[np.intp], batch: int) -> Iterator[Tensor]:
    """The last short batch is left out where there is a full one, as published; a batch of one cannot be normalised."""
    ends = len(order) - len(order) % batch if len(order) > batch else len(order)
    if len(order) == 1:
        raise UserError("a single contig", expected="two or more, to train a published recipe on")
    for a in range(0, ends, batch):
        yield torch.from_numpy(order[a : a + batch])


def flat_loss(scores_BL: Tensor, bounds_B2: Tensor) -> Tensor:
    """Mean of -ln P(label): the label's leaves are those within its bounds."""
    log_p = torch.log_softmax(scores_BL, 1)
    place = torch.arange(scores_BL.shape[1])
    inside = (place >= bounds_B2[:, :1]) & (place < bounds_B2[:, 1:])
    return -torch.logsumexp(log_p.masked_fill(~inside, -torch.inf), 1).mean()


def _path(id: str, tree: LabelTree, leaves: NDArray[np.intp], sums: NDArray[np.float64]) -> Prediction:
    """From the root to the most probable child, down to a leaf."""
    taxonomy, node, sure = tree.taxonomy, 0, 1.0
    confidence: list[float] = []
    while taxonomy.child_count[node]:
        children = taxonomy.children(node)
        p = sums[np.searchsorted(leaves, taxonomy.end[children])] - sums[np.searchsorted(leaves, children)]
        best = int(p.argmax())
        node, sure = int(children[best]), min(sure, float(p[best]))
        confidence.append(sure)
    lineage = taxonomy.lineage(node)
    return Prediction(
        id, lineage, tuple(confidence), (0.0,) * (len(lineage) + 1), cut=len(lineage),
        stopped=Stopped.NAMED if lineage else Stopped.UNSURE,
    )  # fmt: skip
