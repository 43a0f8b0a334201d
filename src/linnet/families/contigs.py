"""The student of a contig set: features of contigs to a posterior over the labels' tree, never asked about a contig
whose label it has seen (unless a control asks for that).

It learns through the label channel: for a label y the loss is -ln sum over t of p(t | features) P(y | t), where all
truths t that stand alike to y share one term, so that the sum runs down the label's path only.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet.channel import Channel, Observed
from linnet.errors import require
from linnet.heads import TreeHead
from linnet.label_tree import LEVELS
from linnet.losses import log_total
from linnet.ragged import ranges
from linnet.sibling_groups import SiblingGroups
from linnet.taxonomy import Taxonomy

Log = Callable[[str], None]
NEVER = -1e4
"""Score of what cannot be."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The student and its training."""

    width: int = 256
    """Units of each of the two hidden layers."""
    dropout: float = 0.2
    """Share of units left out in training."""
    folds: int = 3
    """Parts of the contigs; each is judged by a student trained on the others."""
    epochs: int = 40
    """Passes over the contigs at most; training stops when held-out labels no longer become likelier."""
    patience: int = 3
    """Passes without a gain after which it stops."""
    samples: int = 300_000
    """Contigs shown to each fold's student at most, all passes together."""
    batch: int = 512
    """Contigs in a step."""
    learning_rate: float = 2e-3
    """Of AdamW."""
    rare: int = 5
    """Taxa with fewer labelled contigs than this are left to their parents."""
    stops: bool = True
    """Whether it may say "new here" above the tree's leaves."""
    cross_fit: bool = True
    """False: one student is trained on all contigs and asked about the same ones."""

    def __post_init__(self) -> None:
        require(self.folds >= 2, f"folds {self.folds}", "2 or more: a student must not have seen the label it judges")
        for name in ("width", "epochs", "patience", "samples", "batch", "rare"):
            require(getattr(self, name) >= 1, f"{name} {getattr(self, name)}", "1 or more")
        require(0 <= self.dropout < 1, f"dropout {self.dropout}", "0 to 1")
        require(self.learning_rate > 0, f"learning_rate {self.learning_rate}", "more than 0")


class Student(nn.Module):
    """Two hidden layers and a tree head. Dropout is drawn from `random`, so that threads do not share chance."""

    def __init__(self, inputs: int, groups: SiblingGroups, config: Config, random: torch.Generator) -> None:
        super().__init__()
        sizes = (inputs, config.width, config.width)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in self.layers)
        self.head = TreeHead(groups, config.width)
        self.dropout, self.random, self.stops = config.dropout, random, config.stops
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=random)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.scores.weight, std=0.02, generator=random)

    def forward(self, features_BD: Tensor) -> Tensor:
        """Scores (B, columns of the tree's groups); those of stops are `NEVER` where it has none."""
        x = features_BD
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = nn.functional.leaky_relu(layer(x))
            if self.training:
                kept = torch.rand(x.shape, generator=self.random) >= self.dropout
                x = x * kept / (1 - self.dropout)
            x = norm(x)
        scores = torch.as_tensor(self.head(x[:, None]))
        return scores if self.stops else scores.index_fill(1, torch.from_numpy(self.head.groups.stop), NEVER)


@dataclass(frozen=True, eq=False)
class Targets:
    """What the labels of C contigs say of each step down their paths, K steps at most.

    Attributes:
        group_CK: int64, the sibling group at each taxon of the path, -1 after the last.
        child_CK: int64, column of the next taxon down the path, -1 at the last.
        stop_CK, aside_CK: float32, ln P(label | new at this taxon) and ln P(label | in another child of it).
        end_C: float32, ln P(label | the last taxon), where that is a leaf of the tree.
        labelled_C: contigs with a label.
    """

    group_CK: NDArray[np.int64]
    child_CK: NDArray[np.int64]
    stop_CK: NDArray[np.float32]
    aside_CK: NDArray[np.float32]
    end_C: NDArray[np.float32]
    labelled_C: NDArray[np.bool_]


def cross_fitted(
    features_CD: NDArray[np.floating],
    observed: Observed,
    channel: Channel,
    candidate_CM: NDArray[np.int32],
    config: Config,
    seed: int,
    threads: int,
    log: Log = lambda _: None,
) -> NDArray[np.float32]:
    """ln of what a student that never saw a contig's label thinks of its candidates, over their priors: (C, M).

    A student without stops is asked for their clades instead: the same at leaves, and elsewhere it has nothing to say.
    """
    tree = observed.tree
    kept_N = _not_rare(observed, config.rare)
    pruned, to_pruned = _pruned(tree.taxonomy, kept_N)
    groups = SiblingGroups(pruned)
    if len(groups) == 0:
        return np.zeros(candidate_CM.shape, np.float32)
    targets = _targets(observed, channel, groups, to_pruned, kept_N)
    prior_P = np.bincount(to_pruned, np.exp(channel.log_prior(observed)), len(pruned))
    share_P = prior_P / prior_P.sum()
    log_prior_P = np.log(share_P if config.stops else _clades(share_P[None], pruned)[0]).astype(np.float32)
    features = torch.from_numpy(np.ascontiguousarray(features_CD, np.float32))
    folds = config.folds if config.cross_fit else 1
    fold_C = np.random.default_rng(seed).permutation(len(features_CD)) % folds
    out = np.zeros(candidate_CM.shape, np.float32)

    def work(fold: int) -> str:
        others = np.flatnonzero(fold_C != fold) if config.cross_fit else np.arange(len(fold_C))
        student, epochs, loss = _train(features, targets, groups, others, config, [seed, fold])
        for rows in np.array_split(mine := np.flatnonzero(fold_C == fold), max(1, len(mine) // 1000)):
            with torch.no_grad():
                score_MB = student(features[torch.from_numpy(rows)]).T.numpy()
            said_BP = groups.place(groups.log_softmax(score_MB))
            if not config.stops:
                said_BP = _clades(said_BP, pruned)
            nodes = to_pruned[np.maximum(candidate_CM[rows], 0)]
            out[rows] = np.take_along_axis(np.log(said_BP + 1e-12), nodes, 1) - log_prior_P[nodes]
        return f"student of fold {fold + 1}: {epochs} passes, -ln P(held-out label) {loss:.3f}"

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for line in pool.map(work, range(folds)):
            log(line)
    return out


def _clades(place_BP: NDArray[np.floating], taxonomy: Taxonomy) -> NDArray[np.floating]:
    """(B, P): the sum over each taxon's clade."""
    sums = np.concatenate([np.zeros((len(place_BP), 1)), np.cumsum(place_BP, 1, dtype=np.float64)], 1)
    return np.asarray(sums[:, taxonomy.end] - sums[:, :-1], place_BP.dtype)


def _train(
    features: Tensor,
    targets: Targets,
    groups: SiblingGroups,
    contigs: NDArray[np.intp],
    config: Config,
    seed: list[int],
) -> tuple[Student, int, float]:
    """The student that makes a tenth of the contigs' labels, which it does not learn from, likeliest."""
    random = np.random.default_rng(seed)
    chance = torch.Generator().manual_seed(int(random.integers(2**31)))
    contigs = random.permutation(contigs[targets.labelled_C[contigs]])
    aside = max(1, len(contigs) // 10)
    held_out, fitted = contigs[:aside], contigs[aside:]
    student = Student(features.shape[1], groups, config, chance)
    if not len(fitted):
        return student.eval(), 0, float("nan")
    optimiser = torch.optim.AdamW(student.parameters(), config.learning_rate, weight_decay=1e-3)
    best, best_state, since, passes = float("inf"), dict(student.state_dict()), 0, 0
    for _ in range(max(1, min(config.epochs, config.samples // len(fitted)))):
        passes += 1
        student.train()
        order = random.permutation(fitted)
        for a in range(0, len(order), config.batch):
            loss = _loss(student, features, targets, groups, order[a : a + config.batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        student.eval()
        with torch.no_grad():
            parts = [held_out[a : a + 4096] for a in range(0, len(held_out), 4096)]
            now = sum(float(_loss(student, features, targets, groups, p)) * len(p) for p in parts) / len(held_out)
        if now < best - 1e-3:
            best, since = now, 0
            best_state = {name: value.clone() for name, value in student.state_dict().items()}
        else:
            since += 1
            if since >= config.patience:
                break
    student.load_state_dict(best_state)
    return student.eval(), passes, best


def _loss(
    student: Student, features: Tensor, targets: Targets, groups: SiblingGroups, contigs: NDArray[np.intp]
) -> Tensor:
    """Mean of -ln P(label) over contigs, B of them; K steps down each label's path."""
    score_BX = student(features[torch.from_numpy(contigs)])
    group_BK = targets.group_CK[contigs]
    row_S, at_S = np.nonzero(group_BK >= 0)
    group_S = group_BK[row_S, at_S]
    first_S, size_S = groups.start[group_S], groups.start[group_S + 1] - groups.start[group_S]
    step_F = torch.from_numpy(np.repeat(np.arange(len(size_S)), size_S))
    offset_S = first_S + row_S * len(groups)
    score_F = score_BX.reshape(-1)[torch.from_numpy(ranges(offset_S, size_S))]
    total_S = log_total(score_F, step_F, len(size_S))
    child_S = targets.child_CK[contigs][row_S, at_S]
    flat = score_BX.reshape(-1)
    stop_S = flat[torch.from_numpy(offset_S + size_S - 1)] - total_S
    goes_S = torch.from_numpy(child_S >= 0)
    child_S = np.where(child_S >= 0, child_S, first_S)
    down_S = flat[torch.from_numpy(child_S + row_S * len(groups))] - total_S
    down_S = torch.where(goes_S, down_S, torch.full_like(down_S, -torch.inf))
    aside_S = torch.log((1 - stop_S.exp() - down_S.exp()).clamp(min=1e-9))

    def by_step(values_S: Tensor, fill: float) -> Tensor:
        full = torch.full(group_BK.shape, fill)
        full[torch.from_numpy(row_S), torch.from_numpy(at_S)] = values_S
        return full

    down_BK = by_step(torch.where(goes_S, down_S, torch.zeros_like(down_S)), 0.0)
    clade_BK = torch.cumsum(down_BK, 1) - down_BK  # of each taxon, before the step from it
    terms = [
        clade_BK + by_step(stop_S, -torch.inf) + torch.from_numpy(targets.stop_CK[contigs]),
        clade_BK + by_step(aside_S, -torch.inf) + torch.from_numpy(targets.aside_CK[contigs]),
        (down_BK.sum(1) + torch.from_numpy(targets.end_C[contigs]))[:, None],
    ]
    return -torch.logsumexp(torch.cat(terms, 1), 1).mean()


def _targets(
    observed: Observed,
    channel: Channel,
    groups: SiblingGroups,
    to_pruned: NDArray[np.int64],
    kept_N: NDArray[np.bool_],
) -> Targets:
    """The label channel's terms along each contig's path in the student's tree."""
    tree, contigs = observed.tree, len(observed.tree.label_C)
    label_C, kind_C = tree.label_C, observed.evidence_C
    table, share = channel.table_TADE, channel.share_T
    cumulative = np.cumsum((table * share[:, None, None, None])[::-1], axis=0)[::-1]  # of truths at least so deep
    weight = np.cumsum(share[::-1])[::-1]
    group = np.full((contigs, LEVELS), -1, np.int64)
    child = np.full((contigs, LEVELS), -1, np.int64)
    stop = np.full((contigs, LEVELS), -np.inf, np.float32)
    aside = np.full((contigs, LEVELS), -np.inf, np.float32)
    end = np.full(contigs, -np.inf, np.float32)
    level_C = tree.level_N[label_C].astype(np.int64)
    for level in range(LEVELS):
        node = tree.ancestor_NL[label_C, level]
        on = (node >= 0) & kept_N[np.maximum(node, 0)]
        rows, node = np.flatnonzero(on), node[on]
        small = to_pruned[node]
        of = groups.group_of_node[small]
        y, e = level_C[rows], kind_C[rows]
        ways = np.maximum(tree.inside_NL[node, y], 1)
        new_here = np.log(table[level, level, y, e] / ways + 1e-12)
        deeper = min(level + 1, LEVELS - 1)
        elsewhere = np.log(cumulative[deeper, level, y, e] / max(weight[deeper], 1e-9) / ways + 1e-12)
        inner = of >= 0
        group[rows[inner], level] = of[inner]
        stop[rows[inner], level] = new_here[inner]
        aside[rows[inner], level] = elsewhere[inner]
        end[rows[~inner]] = new_here[~inner]
        last = small == to_pruned[label_C[rows]]
        merged = last & ~kept_N[label_C[rows]]  # the label's own taxon is too rare: no word of what is below this one
        for values in (stop, aside):
            values[rows[merged & inner], level] = np.float32(0)
        end[rows[merged & ~inner]] = 0
        for above in range(level):  # the step down from the taxon before it
            before = tree.ancestor_NL[label_C[rows], above]
            direct = (before >= 0) & (tree.taxonomy.parent[node] == before)
            child[rows[direct], above] = groups.column_of_node[small[direct]]
    return Targets(group, child, stop, aside, end, label_C > 0)


def _not_rare(observed: Observed, least: int) -> NDArray[np.bool_]:
    """bool (N,): taxa in which at least so many labels lie; the root always."""
    tree = observed.tree
    kept = tree.taxonomy.clade_counts(tree.label_C) >= least
    kept[0] = True
    return kept


def _pruned(taxonomy: Taxonomy, kept_N: NDArray[np.bool_]) -> tuple[Taxonomy, NDArray[np.int64]]:
    """The tree of the kept taxa, closed upwards, and for every taxon the kept one that it is or lies in."""
    nodes = np.flatnonzero(kept_N)
    small = Taxonomy.from_lineages([taxonomy.lineage(int(n)) for n in nodes])
    to = np.zeros(len(taxonomy), np.int64)
    for n in range(1, len(taxonomy)):
        to[n] = small.find(taxonomy.lineage(n))[0] if kept_N[n] else to[taxonomy.parent[n]]
    return small, to
