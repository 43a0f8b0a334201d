"""Trainings that differ in their seed alone: a model or an ensemble folder, and figures with mean and deviation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from linnet import error_rates
from linnet.checkpoint import Checkpoint, check_free, save
from linnet.columns import aligned
from linnet.errors import UserError
from linnet.evaluate import Evaluation, evaluate, explanation, table
from linnet.fitting import Log
from linnet.outputs import open_output
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.preparation import HeldOut
from linnet.processes import main_process

Train = Callable[[int, int], tuple[Checkpoint, HeldOut]]
"""Seed of the training, seed of the choice of held-out references -> a model, and what it says of those."""

FIGURES = {"accuracy": "accuracy", "known": "acc_known", "F1": "f1_weighted", "precision": "precision",
           "coverage": "coverage", "ECE": "ece_debiased"}  # fmt: skip
"""What is summarised over seeds: titles, as in the table of one model, and figures."""

FEW = 100
"""Held-out records below which figures say little."""

_KEPT = ("n", "n_known", "ceiling", "accuracy", "acc_known", "f1_weighted", "precision", "coverage", "mc", "uc", "oc",
         "ece", "ece_debiased", "recall_at_p95")  # fmt: skip


def folders(out: Path, seeds: Sequence[int]) -> list[Path]:
    """Where each seed's model goes: one seed's is `out` itself, those of several are within it."""
    return [out] if len(seeds) == 1 else [out / f"seed-{seed}" for seed in seeds]


def check_out(out: Path, seeds: Sequence[int]) -> None:
    """Make sure, before hours of training, that the models may be written.

    Raises:
        UserError: something else is there.
    """
    if len(seeds) > 1 and (out / "model.json").exists():
        raise UserError("is one model, not a folder of several", where=str(out), remedy="Choose another --out.")
    for folder in folders(out, seeds):
        check_free(folder)
    strangers = {p.parent for p in out.glob("*/model.json")} - set(folders(out, seeds)) if len(seeds) > 1 else set()
    if strangers:
        raise UserError(
            f"already holds the model {min(strangers).name}, which the ensemble would have too", where=str(out),
            remedy="Choose another --out, or move that model away.",
        )  # fmt: skip


def run(train: Train, seeds: Sequence[int], out: Path, unfinished: Path, log: Log) -> None:
    """Train a model for each seed and write them; say what held-out references came to.

    Args:
        unfinished: folder of unfinished trainings, deleted in the end.
    """
    found: dict[int, dict[str, Any]] = {}
    for seed, folder in zip(seeds, folders(out, seeds), strict=True):
        if len(seeds) > 1:
            log(f"seed {seed}")
        checkpoint, held_out = train(seed, seeds[0])
        if not main_process():
            continue
        if held_out.natural:
            evaluation = measure(held_out, DEFAULT_CONFIDENCE)
            log(text(evaluation, legend=seed == seeds[0]))
            found[seed] = stated(held_out, evaluation)
            checkpoint.origin["held_out"] = found[seed]
        if len(held_out.natural) < FEW:
            log(f"note: {len(held_out.natural):,} records were held out at random: calibration and figures say little")
        save(checkpoint, folder)
        log(f"wrote {folder}")
    if main_process():
        if len(found) > 1:
            cut = over_seeds({seed: row["ranks"] for seed, row in found.items()})
            uncut = over_seeds({seed: row["uncut"] for seed, row in found.items()})
            both = {"uncut": uncut, f"cut at {DEFAULT_CONFIDENCE}": cut}
            with open_output(out / "seeds.json") as file:
                json.dump({"seeds": found, "mean and deviation": both}, file, indent=1)
            for title, summary in both.items():
                log(f"{len(found)} seeds, {title}, mean and standard deviation, per cent\n{as_table(summary)}")
        shutil.rmtree(unfinished, ignore_errors=True)


def text(evaluation: Evaluation, *, legend: bool = True) -> str:
    """The figures, to be read."""
    title = f"records set aside at random, as the first fit named them, cut at {evaluation.minimum}"
    return f"{title}\n{table(evaluation)}" + (f"\n{explanation()}" if legend else "")


def measure(held_out: HeldOut, minimum: float) -> Evaluation:
    """Figures of the records set aside at random, as the first fit named them, cut at a confidence."""
    with threadpool_limits(limits=1):
        return evaluate(
            held_out.predictions,
            held_out.truth,
            held_out.known,
            held_out.natural,
            minimum=minimum,
            resamples=200 if minimum else 0,
        )


def stated(held_out: HeldOut, evaluation: Evaluation) -> dict[str, Any]:
    """What a model says of itself: figures after the cut and without one, and cuts for error rates."""
    uncut = figures(measure(held_out, 0.0))["ranks"]
    return figures(evaluation) | {"uncut": uncut, "cuts": error_rates.cuts(held_out.predictions, held_out.truth)}


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Those that are kept with a model."""
    ranks = {rank: {k: row[k] for k in _KEPT} for rank, row in evaluation.to_json()["ranks"].items()}
    return {"confidence": evaluation.minimum, "records": evaluation.queries, "ranks": ranks}


def over_seeds(found: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Rank -> figure -> mean and standard deviation (n - 1) over the seeds, where all seeds have the figure.

    Args:
        found: seed -> rank -> figure -> value.
    """
    ranks = next(iter(found.values()))
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for rank in ranks:
        summary[rank] = {}
        for figure in FIGURES.values():
            values = [run[rank][figure] for run in found.values()]
            if None not in values:
                summary[rank][figure] = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
    return summary


def as_table(summary: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    rows = [["rank", *FIGURES]]
    for rank, found in summary.items():
        figures = [found.get(name) for name in FIGURES.values()]
        cells = [f"{100 * f['mean']:.2f} ± {100 * f['sd']:.2f}" if f else "-" for f in figures]
        rows.append([rank, *cells])
    return "\n".join(aligned(rows))
