"""The training loop: steps down the gradient, checked after each pass, stopped early, resumed, shared by processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet import training_state
from linnet.errors import UserError, require
from linnet.team import Team

Log = Callable[[str], None]

AfterPass = Callable[[int, float | None], None]
"""Is told, after each pass, its number and the loss on held-out references; what it raises ends the training."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How weights are learnt; defaults as DeepTaxa publishes them."""

    epochs: int = 10
    """Passes over the references."""
    batch: int = 64
    """References seen at once, by all processes together."""
    accumulate: int = 1
    """Batches in a step: their gradients are averaged."""
    learning_rate: float = 5e-4
    """AdamW's highest learning rate."""
    betas: tuple[float, ...] = (0.9, 0.999)
    """AdamW's decay of the mean gradient and of its square."""
    epsilon: float = 1e-8
    """AdamW's epsilon."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls."""
    schedule: str = "linear"
    """How it rises and falls: linear, or one-cycle (along cosines; the first of `betas` goes from 0.95 to 0.85 and
    back, whatever it is set to; Smith & Topin 2019)."""
    clip: float = 0.5
    """Largest norm of the gradient."""
    precision: str = "auto"
    """Arithmetic of matrix products: fp32, bf16, or fp16 with a scaled loss; auto: bf16 on a GPU, else fp32."""
    patience: int = 0
    """Stop when so many passes in a row have not lowered the loss on held-out references; 0: never."""
    min_delta: float = 0.001
    """What counts as lower, for `patience`."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate"):
            require(getattr(self, name) >= 1, f"{name} {getattr(self, name)}", "1 or more")
        for name in ("learning_rate", "clip", "epsilon"):
            require(0 < getattr(self, name) < np.inf, f"{name} {getattr(self, name)}", "more than 0")
        require(len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas), f"betas {self.betas}", "two, 0 to 1")
        for name in ("weight_decay", "patience", "min_delta"):
            require(0 <= getattr(self, name) < np.inf, f"{name} {getattr(self, name)}", "0 or more")
        require(0 <= self.warmup < 1, f"warmup {self.warmup}", "0 to 1, without 1")
        require(self.schedule in ("linear", "one-cycle"), f"schedule {self.schedule}", "linear or one-cycle")
        known = ("auto", "bf16", "fp16", "fp32")
        require(self.precision in known, f"precision {self.precision}", "auto, bf16, fp16 or fp32")

    def on(self, device: str) -> str:
        """The arithmetic used on a device: bf16, fp16 or fp32."""
        if self.precision == "auto":
            return "fp32" if torch.device(device).type == "cpu" else "bf16"
        return self.precision

    def autocast(self, device: str) -> AbstractContextManager[object]:
        """Where matrix products are done in the recipe's arithmetic."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self.on(device))
        return nullcontext() if kind is None else torch.autocast(torch.device(device).type, kind)


class Lesson(Protocol):
    """What is learnt from what."""

    @property
    def model(self) -> nn.Module:
        """The weights to be learnt."""
        ...

    def groups(self) -> list[dict[str, Any]]:
        """The weights, as AdamW takes them; groups may have settings of their own."""
        ...

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        """The references of a pass, in the order in which they are seen."""
        ...

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        """Mean loss of some references; `model` may be a wrapped one."""
        ...

    def check(self) -> float | None:
        """Loss on held-out references, None where there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where unfinished trainings are kept, to go on with after an interruption.

    Attributes:
        folder: a file for each of them; None: they are not kept.
        every: seconds between two savings within a pass; each pass ends with one.
    """

    folder: Path | None = None
    every: float = 600.0

    def file(self, name: str, of: str) -> Kept:
        """The file of one training.

        Args:
            of: digest of all that it depends on.
        """
        return Kept(self.folder / f"{name}.safetensors" if self.folder else None, of, self.every)


@dataclass(frozen=True)
class Kept:
    """One training's file; another training's is refused."""

    path: Path | None = None
    of: str = ""
    every: float = 600.0


@dataclass(frozen=True)
class Fitted:
    """What a training came to.

    Attributes:
        epoch: the pass whose weights the model now has.
        checks: loss on held-out references after each pass; () where there are none.
        seconds: of each pass.
    """

    epoch: int
    checks: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass
class _Progress:
    """Where a training stands."""

    epoch: int = 1
    at: int = 0
    total: float = 0.0
    order: NDArray[np.integer] = field(default_factory=lambda: np.empty(0, np.int64))
    checks: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    spent: float = 0.0
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def fit(
    lesson: Lesson,
    recipe: Recipe,
    random: np.random.Generator,
    log: Log,
    *,
    device: str = "cpu",
    kept: Kept | None = None,
    until: int | None = None,
    after_pass: AfterPass | None = None,
) -> Fitted:
    """Train `lesson.model`, which in the end has the weights of the pass with the least loss on held-out references.

    The same lesson, recipe and random numbers give the same weights, also when the training was interrupted and went
    on from its file. In several processes (`accelerate launch`) each sees its share of every batch.

    Args:
        until: stop after this pass, on the schedule of all passes.

    Raises:
        UserError: the loss is not a number; the file is of another training.
    """
    kept = kept or Kept()
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(device)  # whose random state is kept
    team = Team.of_this_run(device)
    state = _read(kept)
    if "done" in state:
        lesson.model.load_state_dict(state["model"])
        lesson.model.eval()
        done = state["done"]
        return Fitted(done["epoch"], tuple(done["checks"]), tuple(done["seconds"]))
    model = team.share(lesson.model)
    optimizer = torch.optim.AdamW(
        lesson.groups(),
        lr=recipe.learning_rate,
        betas=(recipe.betas[0], recipe.betas[1]),
        eps=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        fused=torch.device(device).type in ("cpu", "cuda"),
    )
    orders = random if team.size == 1 else np.random.default_rng([int(random.integers(2**31)), 0])
    if team.size > 1:
        random = np.random.default_rng([int(random.integers(2**31)), 1 + team.rank])
        torch.manual_seed(int(random.integers(2**31)))
    now = _Progress(order=lesson.order(orders))
    per_step = recipe.batch * recipe.accumulate
    schedule = _schedule(recipe, optimizer, -(-len(now.order) // per_step))
    scaler = torch.amp.GradScaler(torch.device(device).type, enabled=recipe.on(device) == "fp16")
    parts = {"model": lesson.model, "optimizer": optimizer, "schedule": schedule, "scaler": scaler}
    randoms = {"draws": random, "orders": orders}
    if state:
        now = _resume(kept, state, parts, randoms, team)
        log(f"going on after {now.epoch - 1} of {recipe.epochs} passes and {now.at:,} references, from {kept.path}")
    last = min(until or recipe.epochs, recipe.epochs)
    while now.epoch <= last and not _stopped(now, recipe):
        lesson.model.train()
        started = saved = time.monotonic()
        while now.at < len(now.order):
            rows = now.order[now.at : now.at + per_step]
            now.total += _step(lesson, model, rows, recipe, random, optimizer, scaler, device, team) * len(rows)
            _must_be_a_number(now.total, f"pass {now.epoch}")
            schedule.step()
            now.at += len(rows)
            if kept.path is not None and team.agreed(time.monotonic() - saved > kept.every):
                now.spent += time.monotonic() - started
                _save(kept.path, kept.of, now, parts, randoms, team)
                started = saved = time.monotonic()
        now.seconds.append(now.spent + time.monotonic() - started)
        lesson.model.eval()
        loss, held_out = now.total / len(now.order), team.agreed(lesson.check())
        if held_out is not None:
            _must_be_a_number(held_out, f"pass {now.epoch} on held-out references")
            now.checks.append(held_out)
            if now.checks.index(min(now.checks)) == len(now.checks) - 1:  # of equal passes the first
                now.best_epoch = now.epoch
                now.best = {name: t.detach().clone() for name, t in lesson.model.state_dict().items()}
        also = "" if held_out is None else f", on held-out references {held_out:.3f}"
        log(f"epoch {now.epoch} of {recipe.epochs}: loss {loss:.3f}{also}, {sum(now.seconds):.0f} s")
        now.epoch, now.at, now.total, now.spent = now.epoch + 1, 0, 0.0, 0.0
        if now.epoch <= recipe.epochs:
            now.order = lesson.order(orders)
        if kept.path is not None and now.epoch <= last:  # after the last pass the weights alone are written, below
            _save(kept.path, kept.of, now, parts, randoms, team)
        if after_pass is not None:
            after_pass(len(now.seconds), held_out)
    if now.best:
        lesson.model.load_state_dict(now.best)
    lesson.model.eval()
    fitted = Fitted(now.best_epoch or now.epoch - 1, tuple(now.checks), tuple(now.seconds))
    if kept.path is not None and team.rank == 0:
        weights = lesson.model.state_dict()
        training_state.write(kept.path, {"of": kept.of, "done": vars(fitted), "model": weights})
    team.wait()
    return fitted


def _step(
    lesson: Lesson,
    model: nn.Module,
    rows: NDArray[np.integer],
    recipe: Recipe,
    random: np.random.Generator,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
    device: str,
    team: Team,
) -> float:
    """One step of the optimizer; the loss before it, the mean of all processes'."""
    optimizer.zero_grad()
    total = 0.0
    batches = [rows[a : a + recipe.batch] for a in range(0, len(rows), recipe.batch)]
    for number, batch in enumerate(batches, 1):
        share = len(batch) / len(rows)
        with nullcontext() if number == len(batches) else team.alone(model):
            loss = lesson.loss(model, team.mine(batch), random) * share
            scaler.scale(loss).backward()
        total += float(loss.detach())
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(lesson.model.parameters(), recipe.clip)
    scaler.step(optimizer)
    scaler.update()
    return team.mean(total)


def _schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, per_epoch: int) -> Any:
    steps = recipe.epochs * per_epoch
    if recipe.schedule == "one-cycle":
        total = max(steps, 11)
        total += recipe.warmup * total == 1  # the warming up would be of no length, and torch divides by it
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=total, pct_start=recipe.warmup
        )
    rising = int(steps * recipe.warmup)

    def factor(step: int) -> float:
        return (step + 1) / (rising + 1) if step < rising else max(0.0, (steps - step) / max(1, steps - rising))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _stopped(now: _Progress, recipe: Recipe) -> bool:
    """Whether the last `patience` passes brought nothing."""
    if not recipe.patience or len(now.checks) <= recipe.patience:
        return False
    before, since = now.checks[: -recipe.patience], now.checks[-recipe.patience :]
    return min(since) >= min(before) - recipe.min_delta


def _must_be_a_number(loss: float, of: str) -> None:
    if not np.isfinite(loss):
        raise UserError(
            f"the loss of {of} is not a number",
            remedy="Train with a lower --learning-rate or with --precision fp32.",
        )


def _save(
    path: Path, of: str, now: _Progress, parts: dict[str, Any], randoms: dict[str, np.random.Generator], team: Team
) -> None:
    chance = team.gathered(
        {
            "torch": torch.get_rng_state().tolist(),
            "cuda": torch.cuda.get_rng_state().tolist() if torch.cuda.is_available() else [],
            **{name: random.bit_generator.state for name, random in randoms.items()},
        }
    )
    if team.rank == 0:
        state = {name: part.state_dict() for name, part in parts.items()}
        training_state.write(path, {"of": of, "chance": chance, "progress": vars(now), **state})


def _read(kept: Kept) -> dict[str, Any]:
    """What is kept of this training, {} if nothing is."""
    if kept.path is None or not kept.path.exists():
        return {}
    state = training_state.read(kept.path)
    if state.get("of") != kept.of:
        raise _another(kept)
    return state


def _another(kept: Kept) -> UserError:
    return UserError(
        "is of another training: other references, settings, versions or number of processes",
        where=str(kept.path),
        remedy="Start the same command again, or delete the folder to begin anew.",
    )


def _resume(
    kept: Kept, state: dict[str, Any], parts: dict[str, Any], randoms: dict[str, np.random.Generator], team: Team
) -> _Progress:
    if len(state["chance"]) != team.size:
        raise _another(kept)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    mine = state["chance"][team.rank]
    torch.set_rng_state(torch.tensor(mine["torch"], dtype=torch.uint8))
    if mine["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.tensor(mine["cuda"], dtype=torch.uint8))
    for name, random in randoms.items():
        random.bit_generator.state = mine[name]
    progress = state["progress"]
    return _Progress(**{**progress, "order": progress["order"].numpy()})
