"""Which of a released model's labels lie within which: its labels joined with a taxonomy table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.lineages import bare_name, read_lineages
from linnet.rank_scores import RankLabels
from linnet.taxonomy import RANKS, Lineage, Taxon, Taxonomy, canonical


@dataclass
class Joined:
    """The lineages of a table, as labels of a model.

    Attributes:
        notes: how many were left out, and labels that no lineage has.
    """

    labels: RankLabels
    notes: list[str] = field(default_factory=list)


def join(path: Path, ranks: Sequence[str], labels: Sequence[Sequence[str]]) -> Joined:
    """Join a taxonomy table and a model's labels, which the model's file alone cannot.

    A missing name answers to the placeholder `Unclassified_<deepest name above it>`, with which the released
    models were trained, or to plain `Unclassified`, which DeepTaxa itself writes into empty cells. Placeholders
    never become taxa.

    Raises:
        UserError: not a table of lineages; none of them is made of the model's labels.
    """
    index = [{bare_name(label): i for i, label in enumerate(some)} for some in labels]
    found: dict[tuple[int, ...], Lineage] = {}
    unknown: Counter[str] = Counter()
    for names in sorted(set(_rows(path, ranks))):
        classes = _classes(names, index)
        missing = next((name for name, c in zip(names, classes, strict=True) if c < 0), None)
        if missing is not None:
            unknown[missing] += 1
            continue
        lineage = tuple(Taxon(rank, name) for rank, name in zip(ranks, names, strict=True) if not _placeholder(name))
        found.setdefault(tuple(classes), lineage)
    if not found:
        example = next(iter(unknown), "")
        raise UserError(
            f"none of its lineages is made of the model's labels, '{example}' for one",
            where=str(path),
            expected=f"the table the model was trained with, which has '{labels[-1][0]}'",
        )
    taxonomy = Taxonomy.from_lineages(found.values())
    class_PR = np.array(list(found), np.int32)
    place_P = np.array([taxonomy.find(lineage)[0] for lineage in found.values()], np.int32)
    order = np.argsort(place_P, kind="stable")
    return Joined(
        RankLabels(tuple(ranks), tuple(map(tuple, labels)), class_PR[order], place_P[order], taxonomy),
        _notes(class_PR, ranks, labels, unknown),
    )


def _notes(
    class_PR: NDArray[np.int32], ranks: Sequence[str], labels: Sequence[Sequence[str]], unknown: Counter[str]
) -> list[str]:
    notes = []
    if unknown:
        notes.append(f"{unknown.total():,} lineages have names the model was not trained on, '{next(iter(unknown))}' "
                     "for one; they were left out")  # fmt: skip
    for r, (rank, some) in enumerate(zip(ranks, labels, strict=True)):
        idle = sorted(set(range(len(some))) - set(class_PR[:, r].tolist()))
        if idle:
            notes.append(f"{len(idle):,} of the model's {len(some):,} labels of rank {rank} are in no lineage of the "
                         f"table, '{some[idle[0]]}' for one; only --ranks published can give them")  # fmt: skip
    return notes


def _rows(path: Path, ranks: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The names at each rank, '' where there is none, of every row of a table."""
    with open_text(path, "a table of lineages") as file:
        rows = csv.reader(file, delimiter="\t")
        header = [cell.strip().lower() for cell in next(rows, [])]
        if set(ranks) <= set(header):
            columns = [header.index(rank) for rank in ranks]
            for number, row in enumerate(rows, 2):
                if row and len(row) != len(header):
                    raise UserError(
                        f"{len(row)} cells", where=f"{path}, line {number}", expected=f"{len(header)}, as in the header"
                    )
                if row:
                    yield tuple(bare_name(row[c].strip()) for c in columns)
            return
    if not set(ranks) <= set(RANKS):
        raise UserError(
            f"has no columns {', '.join(ranks)}", where=str(path), expected="a column for each rank of the model"
        )
    for lineage in read_lineages(path).lineages.values():
        taxa = dict(zip(RANKS, canonical(lineage), strict=True))
        yield tuple(taxon.name if (taxon := taxa[rank]) else "" for rank in ranks)


def _placeholder(name: str) -> bool:
    return name == "" or name == "Unclassified" or name.startswith("Unclassified_")


def _classes(names: Sequence[str], index: Sequence[Mapping[str, int]]) -> list[int]:
    """The label of each rank, -1 where the model has none."""
    classes, parent = [], ""
    for name, known in zip(names, index, strict=True):
        spellings = (name, f"Unclassified_{parent}", "Unclassified") if _placeholder(name) else (name,)
        classes.append(next((known[s] for s in spellings if s in known), -1))
        parent = parent if _placeholder(name) else name
    return classes
