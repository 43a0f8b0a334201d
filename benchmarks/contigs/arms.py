"""The arms of the referee's experiments: what is run, and which arm each is a control of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from linnet.correct import WITHOUT
from linnet.families.contigs_published import TARGETS, Target

SAMPLES = 5
"""Of the sets, in which depths are known."""


@dataclass(frozen=True)
class Arm:
    """A row of the tables.

    Attributes:
        of: the arm that it is compared with.
        recipe: labels as they come, a probe of the vectors, TaxDistill's recipe, or linnet's.
        vectors: whether it is given the contigs' vectors.
        without, target: settings of linnet's and of TaxDistill's recipe.
        source: of the labels.
        samples: the first ones, whose depths it is given.
        cell: the arm whose run makes its calls too; '': it has one of its own.
    """

    title: str
    section: Literal["A", "B", "C"]
    recipe: Literal["labels", "probe", "taxdistill", "linnet"]
    of: str = "labels"
    vectors: bool = False
    without: tuple[str, ...] = ()
    target: Target = "teacher"
    source: str = "mmseqs"
    samples: int = SAMPLES
    cell: str = ""


def _arms() -> dict[str, Arm]:
    arms = {
        "labels": Arm("labels as they come", "A", "labels", ""),
        "probe": Arm("teacher's argmax, out of fold", "A", "probe", vectors=True),
        "probe-50": Arm("the same, names of 0.5 or more", "A", "probe", vectors=True, cell="probe"),
        "argmax": Arm("argmax of TaxDistill's teacher, in sample", "A", "taxdistill", vectors=True, cell="taxdistill"),
        "taxdistill": Arm("TaxDistill's recipe", "B", "taxdistill", vectors=True),
    }
    for target, text in TARGETS.items():
        if target != "teacher":
            arms[f"taxdistill-{target}"] = Arm(
                f"{target}: {text}", "B", "taxdistill", "taxdistill", vectors=True, target=target
            )
    arms["linnet"] = Arm("linnet", "C", "linnet")
    arms["linnet-vectors"] = Arm("with the teacher's vectors", "C", "linnet", "linnet", vectors=True)
    for part in WITHOUT:
        only = {"composition": " (depths only)", "depths": " (composition only)"}.get(part, "")
        name = f"without-{part.replace(' ', '-')}"
        arms[name] = Arm(f"without {part}{only}", "C", "linnet", "linnet", without=(part,))
    for n in (3, 2, 1):
        arms[f"samples-{n}"] = Arm(f"{n} sample{'s' * (n > 1)}", "C", "linnet", "linnet", samples=n)
    for source, tool in (("kraken2", "Kraken2"), ("centrifuge", "Centrifuge")):
        labels = f"labels-{source}"
        arms[labels] = Arm(f"{tool}'s labels as they come", "C", "labels", "", source=source)
        arms[f"linnet-{source}"] = Arm(f"linnet on {tool}'s labels", "C", "linnet", labels, source=source)
    return arms


ARMS = _arms()


def chosen(names: Iterable[str]) -> dict[str, Arm]:
    """These arms, those that they are compared with, and those whose runs make their calls, in the order of all."""
    wanted = set(names)
    while more := {other for name in wanted for other in (ARMS[name].of, ARMS[name].cell) if other} - wanted:
        wanted |= more
    return {name: arm for name, arm in ARMS.items() if name in wanted}
