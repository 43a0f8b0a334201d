"""Cuts on the confidence at which a stated share of the names, at most, is wrong: measured on records set aside.

A record cut at a confidence is wrong if the last name kept is; and so is every one that stops at a name below which the
organism is new to the reference, if it goes on. The confidence of the first wrong name says at which cuts that is. The
share of wrong records is taken at every cut of a grid from 0.99 down, with the upper end of Wilson's 95 % interval; the
last cut before this passes the stated share is the one (fixed-sequence testing: Angelopoulos et al. 2021,
arXiv:2110.01052).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from linnet.errors import UserError
from linnet.metrics import wilson
from linnet.prediction import Prediction
from linnet.taxonomy import Lineage

RATES = (0.01, 0.02, 0.05, 0.1, 0.2)
GRID = tuple(round(cut / 100, 2) for cut in range(99, 4, -1))


def cuts(predictions: Mapping[str, Prediction], truth: Mapping[str, Lineage]) -> dict[str, float]:
    """Of each of `RATES` that some cut keeps to, the lowest such cut.

    Args:
        predictions: uncut, by record.
        truth: lineages; names below a lineage's last are not judged.
    """
    named = np.array([p.confidence[0] if p.confidence else 0.0 for p in predictions.values()])
    wrong = np.array([_first_wrong(p, truth[id]) for id, p in predictions.items()])
    found: dict[str, float] = {}
    for rate in RATES:
        for cut in GRID:
            kept = int((named >= cut).sum())
            if not kept or wilson(0.0, kept)[1] > rate:
                continue  # too few to tell
            if wilson(float((wrong >= cut).sum()), kept)[1] > rate:
                break
            found[f"{rate:g}"] = cut
    return found


def _first_wrong(prediction: Prediction, truth: Lineage) -> float:
    """Confidence of the first name that is wrong, 0 where none is."""
    for name, true, confidence in zip(prediction.lineage, truth, prediction.confidence, strict=False):
        if name != true:
            return confidence
    return 0.0


def cut_of(origins: Sequence[Mapping[str, object]], rate: str) -> float:
    """The cut for a stated rate: of several models the highest.

    Args:
        origins: what each model's `origin` says.

    Raises:
        UserError: a model does not state that rate.
    """
    stated = [_stated(origin) for origin in origins]
    for number, found in enumerate(stated, 1):
        if rate not in found:
            raise UserError(
                f"no cut for the error rate {rate}",
                where=f"model {number} of {len(stated)}",
                expected=", ".join(found) or "a model trained with records set aside, by this version or a later one",
                remedy="Use --confidence.",
            )
    return max(found[rate] for found in stated)


def _stated(origin: Mapping[str, object]) -> Mapping[str, float]:
    held_out = origin.get("held_out")
    found = held_out.get("cuts", {}) if isinstance(held_out, dict) else {}
    return found if isinstance(found, dict) else {}
