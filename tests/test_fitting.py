"""The training loop, on a small regression: its steps, its schedule, when it stops, and how it goes on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from linnet.errors import UsageError, UserError  # noqa: E402
from linnet.fitting import Fitted, Keeping, Kept, Recipe, fit  # noqa: E402

RECIPE = Recipe(epochs=4, batch=8, learning_rate=0.02, clip=1.0, precision="fp32")
RECORDS = 44


class Interrupted(Exception):
    """What ends a training in the middle of a step."""


class Regression:
    """Learns y = x w from noisy views of the rows; keeps what it was asked.

    Args:
        checks: what `check` answers after each pass.
        fails_at: number of the batch in which the training breaks off.
    """

    def __init__(
        self,
        *,
        dropout: float = 0.0,
        noise: float = 0.0,
        checks: Sequence[float] = (),
        fails_at: int = 0,
        factor: float = 1.0,
    ) -> None:
        random = np.random.default_rng(0)
        torch.manual_seed(7)
        self.x = torch.from_numpy(random.normal(size=(RECORDS, 5)).astype(np.float32))
        self.y = self.x @ torch.arange(5.0) / 5
        self.model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 1))
        self.noise, self.fails_at, self.factor = noise, fails_at, factor
        self.answers = list(checks)
        self.seen: list[list[int]] = []
        self.after: list[dict[str, Tensor]] = []

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.model.parameters())}]

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        return random.permutation(RECORDS)

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        self.seen.append(rows.tolist())
        if len(self.seen) == self.fails_at:
            raise Interrupted
        view = self.x[rows] + self.noise * torch.from_numpy(random.normal(size=(len(rows), 5)).astype(np.float32))
        return self.factor * ((model(view)[:, 0] - self.y[rows]) ** 2).mean()

    def whole(self) -> float:
        """Loss of all rows."""
        return float(self.loss(self.model, np.arange(RECORDS), np.random.default_rng(0)).detach())

    def check(self) -> float | None:
        self.after.append(copy.deepcopy(self.model.state_dict()))
        return self.answers[len(self.after) - 1] if self.answers else None


def silent(text: str) -> None:
    """A log that nobody reads."""


def trained(lesson: Regression, recipe: Recipe = RECIPE, **how: Any) -> Fitted:
    return fit(lesson, recipe, np.random.default_rng(5), silent, **how)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Watched(torch.optim.AdamW):
    """AdamW that keeps what each step used."""

    steps: list[dict[str, Any]]

    def step(self, *args: Any, **kwargs: Any) -> Any:
        group = self.param_groups[0]
        norm = math.sqrt(sum(float((p.grad**2).sum()) for g in self.param_groups for p in g["params"]))
        Watched.steps.append({"lr": group["lr"], "norm": norm, "groups": [dict(g) for g in self.param_groups]})
        return super().step(*args, **kwargs)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each step of the optimizer used."""
    Watched.steps = []
    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    return Watched.steps


# ---------------------------------------------------------------------- steps


def test_a_training_equals_a_plain_loop_of_torch() -> None:
    recipe = replace(RECIPE, epochs=2, warmup=0.0, clip=1e9, weight_decay=0.1, betas=(0.8, 0.95), epsilon=1e-6)
    lesson, plain = Regression(), Regression()
    trained(lesson, recipe)
    random = np.random.default_rng(5)
    optimizer = torch.optim.AdamW(plain.model.parameters(), lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
    number, total = 0, 2 * 6
    for _ in range(2):
        order = random.permutation(RECORDS)
        for a in range(0, RECORDS, 8):
            optimizer.param_groups[0]["lr"] = 0.02 * (total - number) / total
            optimizer.zero_grad()
            plain.loss(plain.model, order[a : a + 8], random).backward()
            optimizer.step()
            number += 1
    assert lesson.seen == plain.seen
    for ours, theirs in zip(lesson.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_each_pass_sees_every_reference_once_in_an_order_of_its_own() -> None:
    lesson = Regression()
    trained(lesson)
    passes = [[row for rows in lesson.seen[a : a + 6] for row in rows] for a in range(0, 24, 6)]
    assert [sorted(rows) for rows in passes] == [list(range(RECORDS))] * 4
    assert len({tuple(rows) for rows in passes}) == 4


def test_two_batches_in_a_step_are_one_of_twice_the_size() -> None:
    halves, whole = Regression(), Regression()
    trained(halves, replace(RECIPE, batch=8, accumulate=2))
    trained(whole, replace(RECIPE, batch=16))
    assert len(halves.seen) == 4 * 6
    assert len(whole.seen) == 4 * 3
    for one, other in zip(halves.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_learning_rate_rises_and_falls_in_a_straight_line(steps: list[dict[str, Any]]) -> None:
    trained(
        Regression(), replace(RECIPE, epochs=5, batch=9, warmup=0.22, learning_rate=0.3)
    )  # 25 steps, 5 of them rising
    rising = [0.3 * n / 6 for n in (1, 2, 3, 4, 5)]
    falling = [0.3 * n / 20 for n in range(20, 0, -1)]
    assert [s["lr"] for s in steps] == pytest.approx(rising + falling)


def test_one_cycle_goes_along_cosines(steps: list[dict[str, Any]]) -> None:
    trained(Regression(), replace(RECIPE, epochs=5, batch=9, warmup=0.2, schedule="one-cycle", learning_rate=0.3))

    def between(low: float, high: float, share: float) -> float:
        return low + (high - low) * (1 - math.cos(math.pi * share)) / 2

    top, expected = 4, []  # of 25 steps the fifth is the highest
    for n in range(25):
        rising = between(0.3 / 25, 0.3, n / top)
        expected.append(rising if n <= top else between(0.3, 0.3 / 25 / 1e4, (n - top) / (24 - top)))
    assert [s["lr"] for s in steps] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["linear", "one-cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("epochs", [1, 2, 10, 20])
def test_any_number_of_steps_may_be_asked_for(
    schedule: str, warmup: float, epochs: int, steps: list[dict[str, Any]]
) -> None:
    trained(Regression(), replace(RECIPE, epochs=epochs, batch=RECORDS, schedule=schedule, warmup=warmup))
    rates = [s["lr"] for s in steps]
    assert len(rates) == epochs
    assert all(0 <= rate <= RECIPE.learning_rate * (1 + 1e-9) for rate in rates)
    assert max(rates) > 0


def test_no_gradient_is_longer_than_the_clip(steps: list[dict[str, Any]]) -> None:
    trained(Regression(factor=50.0), replace(RECIPE, clip=0.5))
    assert max(s["norm"] for s in steps) == pytest.approx(0.5, rel=1e-3)
    free = len(steps)
    trained(Regression(factor=50.0), replace(RECIPE, clip=1e6))
    assert max(s["norm"] for s in steps[free:]) > 5


def test_the_optimizer_has_the_recipes_settings(steps: list[dict[str, Any]]) -> None:
    lesson = Regression()
    first, *others = lesson.model.parameters()
    lesson.groups = lambda: [{"params": [first], "weight_decay": 0.0}, {"params": others}]  # type: ignore[method-assign]
    trained(lesson, replace(RECIPE, weight_decay=0.3, betas=(0.7, 0.9), epsilon=1e-5))
    assert [(g["weight_decay"], tuple(g["betas"]), g["eps"]) for g in steps[0]["groups"]] == [
        (0.0, (0.7, 0.9), 1e-5),
        (0.3, (0.7, 0.9), 1e-5),
    ]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_as_well_on_a_cpu(precision: str) -> None:
    lesson = Regression()
    recipe = replace(RECIPE, epochs=10, precision=precision)
    before = lesson.whole()
    kinds = set()
    lesson.model[0].register_forward_hook(lambda layer, given, made: kinds.add(made.dtype))

    class Half(Regression):
        def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
            with recipe.autocast("cpu"):
                return super().loss(model, rows, random)

    lesson.__class__ = Half
    trained(lesson, recipe)
    lesson.__class__ = Regression
    assert kinds == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert all(p.dtype == torch.float32 for p in lesson.model.parameters())
    assert lesson.whole() < before / 2


def test_auto_is_full_precision_on_a_cpu_and_half_on_a_gpu() -> None:
    assert (Recipe().on("cpu"), Recipe().on("cuda"), Recipe().on("cuda:1")) == ("fp32", "bf16", "bf16")
    assert replace(RECIPE, precision="fp16").on("cpu") == "fp16"


# ---------------------------------------------------------------------- when it stops


def test_the_weights_of_the_best_pass_are_restored() -> None:
    lesson = Regression(checks=[0.9, 0.5, 0.7, 0.8])
    found = trained(lesson)
    assert (found.epoch, found.checks, len(found.seconds)) == (2, (0.9, 0.5, 0.7, 0.8), 4)
    assert same(dict(lesson.model.state_dict()), lesson.after[1])
    assert not same(lesson.after[1], lesson.after[3])
    assert not lesson.model.training


def test_without_held_out_references_the_last_weights_stay() -> None:
    lesson = Regression()
    found = trained(lesson)
    assert (found.epoch, found.checks) == (4, ())
    assert same(dict(lesson.model.state_dict()), lesson.after[3])


@pytest.mark.parametrize(
    ("checks", "patience", "min_delta", "passes", "best"),
    [
        ([5, 4, 6, 7, 8, 9], 2, 0.0, 4, 2),  # two passes that bring nothing
        ([5, 4, 6, 7, 8, 9], 1, 0.0, 3, 2),
        ([5, 4, 6, 3, 6, 7], 2, 0.0, 6, 4),  # the fourth comes in time
        ([5, 4, 6, 7, 8, 9], 0, 0.0, 6, 2),  # never
        ([5, 4.9, 4.8, 4.7, 4.6, 4.5], 2, 0.5, 3, 3),  # lower, but not by so much
        ([5, 4.7, 4.4, 4.1, 3.8, 3.5], 2, 0.5, 6, 6),  # two passes together bring more
        ([5, 4, 4, 4, 4, 4], 2, 0.0, 4, 2),  # as low is no lower
        ([5, 4, 3.5, 3, 2.5, 2], 1, 0.5, 3, 3),  # exactly min_delta is not more than it
    ],
)  # fmt: skip
def test_it_stops_after_as_many_passes_that_bring_nothing(
    checks: list[float], patience: int, min_delta: float, passes: int, best: int
) -> None:
    lesson = Regression(checks=checks)
    found = trained(lesson, replace(RECIPE, epochs=6, patience=patience, min_delta=min_delta))
    assert (len(found.checks), found.epoch) == (passes, best)


def test_a_training_of_fewer_passes_is_on_the_schedule_of_all() -> None:
    whole, part = Regression(), Regression()
    trained(whole)
    found = trained(part, until=2)
    assert found.epoch == 2
    assert same(dict(part.model.state_dict()), whole.after[1])


def test_a_loss_that_is_no_number_is_said() -> None:
    lesson = Regression()
    lesson.x[7, 0] = np.nan
    with pytest.raises(UserError, match="the loss of pass 1 is not a number.*--learning-rate"):
        trained(lesson)


def test_a_loss_on_held_out_references_that_is_no_number_is_said() -> None:
    with pytest.raises(UserError, match="the loss of pass 2 on held-out references is not a number"):
        trained(Regression(checks=[1.0, math.nan, 1.0, 1.0]))


# ---------------------------------------------------------------------- how it goes on

VARIANTS: dict[str, tuple[dict[str, Any], Callable[[], Regression]]] = {
    "plain": ({}, Regression),
    "dropout": ({}, lambda: Regression(dropout=0.3)),
    "random views": ({}, lambda: Regression(noise=0.5)),
    "accumulated": ({"accumulate": 2}, lambda: Regression(dropout=0.3)),
    "one cycle": ({"schedule": "one-cycle"}, lambda: Regression(dropout=0.3)),
    "best pass": ({}, lambda: Regression(dropout=0.3, checks=[3, 1, 2, 4])),
    "patience": ({"patience": 1, "min_delta": 0.0}, lambda: Regression(noise=0.1, checks=[3, 1, 2, 4])),
    "fp16": ({"precision": "fp16"}, lambda: Regression(dropout=0.3)),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("every", [pytest.param(0.0, marks=pytest.mark.slow), 600.0])
def test_a_training_broken_off_anywhere_ends_with_the_same_weights(tmp_path: Path, variant: str, every: float) -> None:
    settings, make = VARIANTS[variant]
    recipe = replace(RECIPE, **settings)
    lesson = make()
    expected = trained(lesson, recipe)
    for at in (1, 4, 7, 15):
        kept = Kept(tmp_path / f"{at}.safetensors", "this", every)
        broken = make()
        broken.fails_at = at
        with pytest.raises(Interrupted):
            trained(broken, recipe, kept=kept)
        again = make()
        again.after = list(broken.after[: (at - 1) // 6])  # so that `check` answers for the right pass
        assert kept.path.exists() == (at > (6 if every else 1))
        if not kept.path.exists():
            continue
        torch.manual_seed(at)  # as chance would have it in another process
        found = fit(again, recipe, np.random.default_rng(at), silent, kept=kept)
        assert same(dict(again.model.state_dict()), dict(lesson.model.state_dict())), at
        assert (found.epoch, found.checks) == (expected.epoch, expected.checks)
        assert len(again.seen) < len(lesson.seen)


def test_a_training_broken_off_twice_ends_with_the_same_weights(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "k.safetensors", "this", 0.0)
    lesson = Regression(dropout=0.2)
    trained(lesson)
    for _ in range(2):
        broken = Regression(dropout=0.2)
        broken.fails_at = 9
        with pytest.raises(Interrupted):
            trained(broken, kept=kept)
    again = Regression(dropout=0.2)
    trained(again, kept=kept)
    assert len(again.seen) == 24 - 16
    assert same(dict(again.model.state_dict()), dict(lesson.model.state_dict()))


def test_a_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "k.safetensors", "this")
    lesson, again = Regression(checks=[3, 1, 2, 4]), Regression()
    found = trained(lesson, kept=kept)
    assert trained(again, kept=kept) == found
    assert again.seen == []
    assert same(dict(again.model.state_dict()), dict(lesson.model.state_dict()))


def test_what_is_kept_of_another_training_is_refused(tmp_path: Path) -> None:
    keeping = Keeping(folder=tmp_path)
    trained(Regression(), kept=keeping.file("seed-1", "this"))
    with pytest.raises(UserError, match="seed-1.safetensors: is of another training.*delete the folder"):
        trained(Regression(), kept=keeping.file("seed-1", "that"))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "k.safetensors", "this")
    trained(Regression(), kept=kept)
    whole = kept.path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-10], b"x" * 2000):
        kept.path.write_bytes(damaged)
        with pytest.raises(UserError, match="k.safetensors: cannot be read.*Delete it"):
            trained(Regression(), kept=kept)


def test_nothing_is_kept_where_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained(Regression())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch": 0}, {"accumulate": 0}, {"learning_rate": 0.0}, {"learning_rate": math.inf}, {"clip": 0.0},
     {"epsilon": 0.0}, {"betas": (0.9,)}, {"betas": (0.9, 1.0)}, {"weight_decay": -1.0}, {"patience": -1},
     {"min_delta": math.nan}, {"warmup": 1.0}, {"schedule": "cosine"}, {"precision": "fp64"}],
)  # fmt: skip
def test_a_recipe_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Recipe(**wrong)
