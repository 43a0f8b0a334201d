"""A tree from whatever holds one: a taxdump, a table of parents, a table of lineages, a model."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from linnet import checkpoint
from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.lineages import read_lineages
from linnet.ncbi import read_taxdump
from linnet.strings import StringArray
from linnet.taxonomy import Taxonomy

PARENTS = ["taxid", "parent", "rank", "name"]
"""Columns that a table of parents begins with, named so in its first line; the root is its own parent."""


def read_taxonomy(path: Path) -> Taxonomy:
    """The tree in a model folder, a taxdump (folder or tar), a table of parents or a table of lineages.

    Raises:
        UserError: there is no such thing, or it does not hold together.
    """
    if path.is_dir() and (path / "model.json").exists():
        return checkpoint.load(path).taxonomy
    if path.is_dir() or any(suffix in (".tar", ".tgz", ".tbz2", ".txz") for suffix in path.suffixes):
        return read_taxdump(path)
    with open_text(path, "a taxdump, or a table of parents or lineages") as file:
        first = file.readline()
        head = first.rstrip("\r\n").split("\t")
    if first.startswith((">", "@")) or first.rstrip("\r\n").endswith("\t|"):
        raise UserError(
            "is a sequence file" if first[0] in ">@" else "is one table of a taxdump", where=str(path),
            expected="a taxdump (its folder or tar), a table 'taxid, parent, rank, name', or one of lineages",
        )  # fmt: skip
    if head[: len(PARENTS)] == PARENTS:
        return _from_parents(path)
    return Taxonomy.from_lineages(read_lineages(path).lineages.values())


def _from_parents(path: Path) -> Taxonomy:
    taxids, parents, ranks, names = [], [], [], []
    with open_text(path, "a table of parents") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            if number == 1 or not row:
                continue
            if len(row) < len(PARENTS) or not (row[0].isascii() and row[0].isdigit() and row[1].isdigit()):
                raise UserError(
                    f"'{' '.join(row)[:80]}'", where=f"{path}, line {number}", expected="taxid, parent, rank, name"
                )
            taxids.append(int(row[0]))
            parents.append(int(row[1]))
            ranks.append(row[2])
            names.append(row[3])
    ids = np.array(taxids, np.int64)
    order = np.argsort(ids, kind="stable")
    if len(twice := np.flatnonzero(np.diff(ids[order]) == 0)):
        raise UserError(f"taxid {ids[order[twice[0]]]} stands there twice", where=str(path), expected="a line a taxid")
    at = np.searchsorted(ids[order], parents)
    found = order[np.minimum(at, len(ids) - 1)] if len(ids) else order
    if len(lost := np.flatnonzero(ids[found] != np.array(parents))):
        raise UserError(
            f"the parent of {taxids[lost[0]]}, {parents[lost[0]]}, has no line",
            where=str(path),
            expected="a line a taxid",
        )
    return Taxonomy.from_parents(found, StringArray.of(names), ranks, ids)
