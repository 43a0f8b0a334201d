"""From one protein to an orthologue of it, mutation by mutation: what a model makes of every protein on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyopal
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.places import Places
from linnet.protein_predictor import ProteinPredictor
from linnet.records import SequenceRecord
from linnet.residues import codes, letters
from linnet.taxonomy import CANONICAL, Lineage, Taxonomy
from linnet.walk import Walker

Side = Literal["source", "target"]
Place = Literal["parting", "deepest"]
Order = Literal["random", "left"]
"""In which order differences are applied: drawn with a seed, or from the first residue to the last."""
MOST = 24
"""Pairs at once: more can hardly be looked at."""


@dataclass(frozen=True)
class Followed:
    """A clade whose probability is followed along the way.

    Attributes:
        side: whose lineage it is of.
        place: the first clade in which the two lineages differ, or the deepest that the model's tree has.
        p: at each point, the probability that the protein is of the clade.
    """

    side: Side
    place: Place
    rank: str
    name: str
    p: tuple[float, ...]


@dataclass(frozen=True)
class Trajectory:
    """The way from one protein to another.

    Attributes:
        source, target: ids.
        identity: of the columns of their alignment, the share with the same residue.
        differences: how many they have; a run of inserted or of deleted residues is one.
        mutations: how many are done at each point, rising from 0 to `differences`.
        clades: those followed.
        named: at each point the deepest taxon of one of the seven ranks that is kept at the cut; '' for none.
        confidence: of that name; of none, how sure it is that nothing can be said.
    """

    source: str
    target: str
    identity: float
    differences: int
    mutations: tuple[int, ...]
    clades: tuple[Followed, ...]
    named: tuple[str, ...]
    confidence: tuple[float, ...]


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Pairs of ids, `source TAB target`, each once.

    Raises:
        UserError: a line that is not one, no pairs, or too many.
    """
    pairs: dict[tuple[str, str], None] = {}
    with open_text(path, "source<TAB>target") as file:
        for number, line in enumerate(file, 1):
            cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
            if not line.strip() or line.startswith("#"):
                continue
            if len(cells) != 2 or not all(cells) or cells[0] == cells[1]:
                raise UserError(
                    repr(line.strip()[:60]), where=f"{path}, line {number}", expected="two ids, source<TAB>target"
                )
            pairs[cells[0], cells[1]] = None
    if not 0 < len(pairs) <= MOST:
        raise UserError(f"{len(pairs)} pairs", where=str(path), expected=f"1 to {MOST}")
    return [*pairs]


def align(source: str, target: str) -> tuple[str, str]:
    """The two with gaps, of equal length: one of the best global alignments (Needleman & Wunsch 1970).

    BLOSUM62 (Henikoff & Henikoff 1992); a gap of n residues costs 10 + n, as in BLAST.
    """
    query, subject = (letters(codes(one)) for one in (source, target))
    aligner = pyopal.Aligner("BLOSUM62", gap_open=11, gap_extend=1)
    found = aligner.align(query, pyopal.Database([subject]), mode="full", algorithm="nw")[0]
    left, right = iter(source), iter(target)
    first, second = zip(
        *(("-" if step == "I" else next(left), "-" if step == "D" else next(right)) for step in found.alignment),
        strict=True,
    )
    return "".join(first), "".join(second)


def differences(source: str, target: str) -> list[slice]:
    """Which columns of an alignment differ, from left to right; a run of gaps in one of the two is one difference."""
    found: list[slice] = []
    kind = ""
    for i, (a, b) in enumerate(zip(source, target, strict=True)):
        last, kind = kind, "" if a == b else "insertion" if a == "-" else "deletion" if b == "-" else "substitution"
        if kind == last and kind in ("insertion", "deletion"):
            found[-1] = slice(found[-1].start, i + 1)
        elif kind:
            found.append(slice(i, i + 1))
    return found


def between(source: str, target: str, order: Sequence[slice], done: int) -> str:
    """The protein in which the first `done` differences of two aligned ones are as in the target."""
    letters = list(source)
    for columns in order[:done]:
        letters[columns] = target[columns]
    return "".join(letters).replace("-", "")


def path_probability(walker: Walker, node: int) -> NDArray[np.float64]:
    """float64 (B, depth): of each record, the probability of every clade on the way down to a taxon."""
    tree, states = walker.taxonomy, walker.begin()
    log_p, found, at = np.zeros(len(states)), [], 0
    for child in tree.path(node):
        if not (walker.forced and tree.child_count[at] == 1):
            fan, states = walker.step(states, np.full(len(states), at, np.int64))
            log_p = log_p + fan.log_F[fan.start[:-1] + int(np.flatnonzero(tree.children(at) == child)[0])]
        found.append(np.exp(log_p))
        at = child
    return np.minimum(np.stack(found, 1), 1.0) if found else np.empty((len(states), 0))


def trajectory(
    predictor: ProteinPredictor,
    source: tuple[SequenceRecord, Lineage],
    target: tuple[SequenceRecord, Lineage],
    *,
    order: Order = "random",
    seed: int = 0,
    points: int = 60,
    confidence: float = 0.7,
) -> tuple[Trajectory, list[SequenceRecord]]:
    """The way from one protein to another, and the proteins on it, the two among them.

    Args:
        source, target: a protein and its true lineage.
        order: in which the differences are applied.
        points: on the way, at most, spread evenly over the mutations.
        confidence: the cut of names.
    """
    (first, of_first), (last, of_last) = source, target
    a, b = align(first.sequence, last.sequence)
    steps = differences(a, b)
    if order == "random":
        steps = [steps[i] for i in np.random.default_rng(seed).permutation(len(steps))]
    done = np.unique(np.linspace(0, len(steps), min(points, len(steps) + 1)).round().astype(int)).tolist()
    records = [SequenceRecord(f"{first.id}>{last.id}:{k}", between(a, b, steps, k)) for k in done]
    places = Places(predictor.taxonomy)
    followed = _followed(predictor.taxonomy, places(of_first)[0], places(of_last)[0])
    p: list[list[float]] = [[] for _ in followed]
    names: list[str] = []
    sure: list[float] = []
    for start in range(0, len(records), predictor.block):
        block = records[start : start + predictor.block]
        walker = predictor.walker([r.sequence for r in block])
        for i, (_, _, node) in enumerate(followed):
            p[i] += path_probability(walker, node)[:, -1].tolist()
        for said in (answer.recut(confidence) for answer in predictor.named(walker, [r.id for r in block])):
            names.append(next((t.name for t in reversed(said.kept) if t.rank in CANONICAL), ""))
            sure.append(said.kept_confidence)
    clades = tuple(
        Followed(side, place, taxon.rank, taxon.name, tuple(of))
        for (side, place, node), of in zip(followed, p, strict=True)
        for taxon in [predictor.taxonomy.taxon(node)]
    )
    same = sum(x == y for x, y in zip(a, b, strict=True)) / len(a)
    way = Trajectory(first.id, last.id, same, len(steps), tuple(done), clades, tuple(names), tuple(sure))
    return way, records


def _followed(tree: Taxonomy, source: int, target: int) -> list[tuple[Side, Place, int]]:
    """The clades to follow: on each side the first in which the two lineages differ, and the deepest."""
    shared = int(tree.depth[tree.lca([source, target])])
    sides: list[tuple[Side, int]] = [("source", source), ("target", target)]
    found: list[tuple[Side, Place, int]] = []
    for side, node in sides:
        path = tree.path(node)
        if len(path) > shared + 1:
            found.append((side, "parting", path[shared]))
        if path:
            found.append((side, "deepest", node))
    return found
