"""What protein models are asked in a report, as a user names the files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.lineages import read_lineages
from linnet.places import Places
from linnet.protein_examination import Question
from linnet.protein_labels import labelled
from linnet.records import SequenceRecord, once
from linnet.shards import Shards
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy
from linnet.trajectories import read_pairs


def read_question(
    sequences: Path, taxonomy: Path, accessions: Sequence[Path], reference: Path, pairs: Path | None,
    say: Callable[[str], None], *, eggnog: bool = False,
) -> Question:  # fmt: skip
    """Proteins whose taxon is known, and the taxa that the reference has.

    Args:
        accessions, eggnog: as for `protein_labels.labelled`.
        pairs: a table of orthologues.
        say: is told notes on the input.

    Raises:
        UserError: no such protein; an id with two sequences; a pair of which one is no such protein; references of no
            taxon of the tree.
    """
    tree = read_taxonomy(taxonomy)
    found: dict[str, tuple[SequenceRecord, int]] = {}
    for record, node in labelled([sequences], tree, accessions, say, eggnog=eggnog):
        if node:
            once(found.setdefault(record.id, (record, node))[0], record, sequences)
    if not found:
        raise UserError("no query has a taxon below the root", where=str(sequences), expected="true taxa")
    asked = read_pairs(pairs) if pairs else []
    for id in (id for pair in asked for id in pair):
        if id not in found:
            raise UserError(f"'{id}' is no query with a taxon", where=str(pairs), expected=f"ids of {sequences}")
    records, nodes = zip(*found.values(), strict=True)
    references = reference_nodes(reference, tree, say, found)
    return Question(tree, records, np.array(nodes, np.int64), references, asked)


def reference_nodes(
    path: Path, tree: Taxonomy, say: Callable[[str], None], queries: Collection[str] = ()
) -> NDArray[np.int64]:
    """int64 (R,): the taxon of each training protein, as deep as the tree has it.

    Args:
        path: a table or FASTA as `read_lineages` has it, or a folder of shards.
        queries: ids; how many of them a table has is said.

    Raises:
        UserError: none of them is in the tree.
    """
    if path.is_dir():
        return Shards.open(path, tree).nodes.astype(np.int64)
    places, table = Places(tree), read_lineages(path, taxonomy=tree)
    for note, count in table.notes.items():
        say(f"{path.name}: {count:,} {note}.")
    if count := sum(id in table.lineages for id in queries):
        say(f"{path.name}: {count:,} of {len(queries):,} queries have the id of a reference.")
    placed = np.array([places(lineage) for lineage in table.lineages.values() if lineage], np.int64).reshape(-1, 2)
    inside = placed[:, 0] > 0
    if not inside.any():
        raise UserError("none of the references is in the taxonomy", where=str(path), expected="taxa of --taxonomy")
    if count := int((~inside).sum()):
        say(f"{path.name}: {count:,} references are of no taxon of the taxonomy and were left out.")
    if count := int((placed[inside, 1] > 0).sum()):
        say(f"{path.name}: {count:,} references end below what the taxonomy has; they count where it ends.")
    return np.asarray(placed[inside, 0])


def read_ablations(path: Path) -> list[dict[str, Any]]:
    """Variants, each with a 'name' and 'figures'.

    Raises:
        UserError: the file is not a list of such.
    """
    expected = "a list of {'name': text, 'figures': {name: number}}"
    with open_text(path, expected) as file:
        try:
            some = json.load(file)
        except ValueError as error:
            raise UserError(f"not JSON ({error})", where=str(path), expected=expected) from error
    for number, one in enumerate(some if isinstance(some, list) else [some], 1):
        figures = one.get("figures") if isinstance(one, dict) and isinstance(one.get("name"), str) else None
        right = isinstance(figures, dict) and all(_is_number(value) for value in figures.values())
        if not right or not isinstance(some, list):
            raise UserError(f"entry {number} is not a variant", where=str(path), expected=expected)
    return [{"name": one["name"], "figures": one["figures"]} for one in some]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
