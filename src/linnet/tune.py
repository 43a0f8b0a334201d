"""Good settings of a training, found by trying: a study of trials that is kept on disk and goes on where it stopped."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnet.errors import UserError, missing_extra
from linnet.fitting import AfterPass, Log
from linnet.options import build
from linnet.outputs import open_output
from linnet.preparation import HeldOut
from linnet.search_space import OneOf, Space, as_text, name, settings
from linnet.training_runs import figures, measure

Train = Callable[[Any, AfterPass], HeldOut]
"""Settings, and what is told of each pass -> what the model says of held-out references."""

STUDY, TRIALS, BEST = "study.db", "trials.tsv", "best.toml"
"""Files of a study: Optuna's database, a row for each trial, the best trial's settings as flags of `train`."""

FEW, EARLY = 3, 2
"""A trial is stopped as worse than the median of at least so many others, after more than so many passes."""

IN_A_ROW = 3
"""Failed trials after which a study stops."""


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        config: settings of a training; those searched are replaced in each trial.
        flags: those of `train`, by name, that make `config` what it is; the best trial's are added to them.
        space: flags that differ, and their values.
        references: digest of what is learnt from.
    """

    config: Any
    flags: Mapping[str, Any]
    space: Space
    references: str


def tune(train: Train, search: Search, out: Path, *, trials: int, log: Log = lambda _: None) -> None:
    """Try settings until `trials` trials are finished or stopped early, those of former runs included.

    What is made small is the loss on held-out references, of each trial's best pass. Settings are drawn by the
    tree-structured Parzen estimator (Bergstra et al. 2011), as Optuna has it. A trial that ran when a former run was
    killed counts as failed and is tried once more.

    Args:
        out: folder of the study.

    Raises:
        UserError: `out` is of other references or settings, or no study; several trials in a row failed.
    """
    optuna = _optuna()
    study = _open(search, out)
    _try_again(study, log)
    failed = 0
    while (finished := _finished(study)) < trials:
        number = len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=(search.config.seed + number) % 2**32)
        trial = study.ask()
        reason = _try(study, trial, train, search)
        failed = failed + 1 if reason else 0
        _write(study, search, out)
        log(f"{_line(study, trial.number)}; {finished + (not reason)} of {trials} trials")
        if failed == IN_A_ROW:
            raise UserError(
                f"{IN_A_ROW} trials in a row failed, the last with: {reason.rstrip('.')}",
                where=str(out),
                remedy="A flag of 'linnet train' keeps a setting where it works; --small searches smaller networks.",
            )
    _write(study, search, out)


def _try(study: Any, trial: Any, train: Train, search: Search) -> str:
    """One trial; why it failed, else ''. What is no failure of the settings stops the study, the trial unfinished."""
    from optuna import TrialPruned
    from optuna.trial import TrialState

    started, checks = time.monotonic(), []

    def after_pass(epoch: int, loss: float | None) -> None:
        if loss is None:
            raise UserError("no references are held out to check the loss on", remedy="Raise --hold-out.")
        if not np.isfinite(loss):
            raise UserError(f"the loss on held-out references is not a number after pass {epoch}")
        checks.append(loss)
        trial.report(loss, epoch)
        if trial.should_prune():
            raise TrialPruned

    reason = ""
    try:
        held_out = train(build(search.config, Namespace(**_suggest(trial, search.space))), after_pass)
        if held_out.natural:
            trial.set_user_attr("weighted_f1", _mean_f1(held_out))
        state = TrialState.COMPLETE
    except TrialPruned:
        state = TrialState.PRUNED
    except (UserError, MemoryError, RuntimeError) as error:
        if not isinstance(error, UserError) and not _out_of_memory(error):
            raise
        state, reason = TrialState.FAIL, str(error) if isinstance(error, UserError) else "out of memory"
        trial.set_user_attr("reason", reason)
    trial.set_user_attr("seconds", round(time.monotonic() - started, 1))
    study.tell(trial, min(checks) if state == TrialState.COMPLETE else None, state=state)
    return reason


def _suggest(trial: Any, space: Space) -> dict[str, Any]:
    """The flags of a trial."""
    for flags, values in space.items():
        entry = name(flags)
        if isinstance(values, OneOf):
            trial.suggest_categorical(entry, values.labels())
        elif values.step:
            trial.suggest_int(entry, int(values.low), int(values.high), step=values.step)
        else:
            trial.suggest_float(entry, values.low, values.high, log=values.log)
    return settings(space, trial.params)


def _out_of_memory(error: Exception) -> bool:
    """Whether a device's memory, or the machine's, was too small."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _mean_f1(held_out: HeldOut) -> float:
    """Weighted F1, mean over the ranks."""
    ranks = figures(measure(held_out, 0.0))["ranks"].values()
    return float(np.mean([f1 for row in ranks if (f1 := row["f1_weighted"]) is not None]))


# ---------------------------------------------------------------------- the study on disk


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise missing_extra("optuna", "tune", "tuning") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each trial is ours
    return optuna


def _open(search: Search, out: Path) -> Any:
    """The study of a folder, which may be new."""
    optuna = _optuna()
    file = out / STUDY
    if out.exists() and not file.is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("exists and is no study", where=str(out), remedy="Choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            study_name="linnet",
            storage=f"sqlite:///{file.absolute()}",
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FEW, n_warmup_steps=EARLY + 1),  # passes count from 1
        )
    except Exception as error:  # of the database, whose classes are not Optuna's
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot be opened ({what})", where=str(file), expected="a study of 'linnet tune'") from error
    of = {
        "other references": search.references,
        "other settings": _digest(asdict(search.config)),
        "another search space": _digest(sorted(search.space.items())),
    }
    for what, digest in of.items():
        if study.user_attrs.get("of", {}).get(what, digest) != digest:
            raise UserError(
                f"is a study with {what}", where=str(out),
                remedy="Start the same command again to go on with it, or choose another --out.",
            )  # fmt: skip
    study.set_user_attr("of", of)
    return study


def _digest(value: object) -> str:
    return sha256(repr(value).encode()).hexdigest()


def _try_again(study: Any, log: Log) -> None:
    """What ran when a former run was killed has failed; it waits to be tried once more, but not if it already was."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        again = "again" not in trial.user_attrs
        if again:
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        log(f"trial {trial.number} was interrupted{' and is tried again' if again else ' again'}")


def _finished(study: Any) -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _best(study: Any) -> Any:
    """The finished trial with the least loss; None: there is none."""
    from optuna.trial import TrialState

    found = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return min(found, key=lambda trial: float(trial.value), default=None)


# ---------------------------------------------------------------------- what is told of it

_STATES = {"COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed"}


def _row(trial: Any, space: Space) -> dict[str, str]:
    """A trial, by column."""
    loss = min(trial.intermediate_values.values(), default=None)
    seen = {
        "trial": trial.number,
        "state": _STATES[trial.state.name],
        "loss": loss,
        "passes": len(trial.intermediate_values),
        "best_pass": min(trial.intermediate_values, key=trial.intermediate_values.get, default=None),
        "weighted_f1": trial.user_attrs.get("weighted_f1"),
        "seconds": trial.user_attrs.get("seconds"),
        **{flag: None for flags in space for flag in flags},
        **settings(space, trial.params),
        "reason": trial.user_attrs.get("reason", "interrupted") if trial.state.name == "FAIL" else None,
    }
    return {column: "" if value is None else " ".join(as_text(value).split()) for column, value in seen.items()}


def _write(study: Any, search: Search, out: Path) -> None:
    rows = [_row(trial, search.space) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    with open_output(out / TRIALS) as file:
        for line in [list(rows[0]), *(list(row.values()) for row in rows)] if rows else []:
            file.write("\t".join(line) + "\n")
    if (best := _best(study)) is not None:
        flags = {**search.flags, **settings(search.space, best.params)}
        with open_output(out / BEST) as file:
            file.write(f"# trial {best.number}: loss {best.value:.6g} on held-out references\n")
            file.writelines(f"{flag} = {_toml(value)}\n" for flag, value in flags.items())


def _toml(value: Any) -> str:
    """A flag's value as TOML; tuples as the flag has them, '3,5,7'."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = as_text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _line(study: Any, number: int) -> str:
    """A trial in a line."""
    trial = study.trials[number]
    state, best = _STATES[trial.state.name], _best(study)
    loss = min(trial.intermediate_values.values(), default=None)
    parts = [f"{state}: {trial.user_attrs['reason'].rstrip('.')}" if state == "failed" else state]
    parts += [f"loss {loss:.4f} in {len(trial.intermediate_values)} passes"] if loss is not None else []
    parts += [f"weighted F1 {f1:.4f}"] if (f1 := trial.user_attrs.get("weighted_f1")) is not None else []
    parts += [f"{trial.user_attrs['seconds']:.0f} s"]
    parts += [f"best {best.value:.4f} of trial {best.number}"] if best else []
    return f"trial {number}: {', '.join(parts)}"
