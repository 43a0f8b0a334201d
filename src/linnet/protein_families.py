"""Families of aligned proteins with the trees that others made of them, as files have them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import UserError
from linnet.family_trees import Tree, read_newick
from linnet.inputs import open_text
from linnet.records import SequenceRecord, read, record

ALIGNMENTS = (".fa", ".fasta", ".aln")
TREES = (".nwk", ".nh", ".tree")
_COLUMNS = ["family", "otu", "ncbi_taxid", "label", "aligned_seq"]


@dataclass(frozen=True, eq=False)
class Family:
    """n aligned proteins and their tree.

    Attributes:
        leaves: their ids, which are the names of the tree's leaves.
        aligned: their rows of the alignment, upper case, all of one length.
        taxids: of each the organism's, 0 where it is not known; None where the source tells of none.
    """

    name: str
    leaves: tuple[str, ...]
    aligned: tuple[str, ...]
    taxids: tuple[int, ...] | None
    tree: Tree

    def records(self) -> list[SequenceRecord]:
        """The proteins without gaps: of their rows, only the letters."""
        letters = (re.sub("[^A-Z]", "", row) for row in self.aligned)
        return [record(id, s, alphabet="protein") for id, s in zip(self.leaves, letters, strict=True)]


def read_treebase(families: Path, alignments: Path) -> Iterator[Family]:
    """Families of TreeBASE (Piel et al. 2009).

    In its matrices a cell without content was written as the word NULL; it is read as one unknown residue, which makes
    all rows of a family equally long.

    Args:
        families: JSON lines, with `family` and `newick`.
        alignments: a table, by its first line family, otu, ncbi_taxid, label, aligned_seq.

    Raises:
        UserError: a line that is not so; rows and leaves of a family that are not the same, or rows unequally long.
    """
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    taxids: dict[str, dict[str, int]] = defaultdict(dict)
    with open_text(alignments, "a table of aligned proteins") as table:
        for number, line in enumerate(table, 1):
            cells, where = line.rstrip("\r\n").split("\t"), f"{alignments}, line {number}"
            if number == 1 and cells != _COLUMNS:
                raise UserError(f"columns {', '.join(cells)[:80]}", where=where, expected=", ".join(_COLUMNS))
            if number == 1:
                continue
            if len(cells) != len(_COLUMNS) or not (cells[2] == "" or (cells[2].isascii() and cells[2].isdigit())):
                raise UserError(f"'{line[:60]}'", where=where, expected=", ".join(_COLUMNS))
            family, otu, taxid, _, row = cells
            if otu in rows[family]:
                raise UserError(f"'{otu}' stands in {family} twice", where=where, expected="one row for each")
            rows[family][otu] = row.upper().replace("NULL", "?")
            taxids[family][otu] = int(taxid or 0)
    with open_text(families, "families as JSON lines") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{families}, line {number}"
            try:
                name, newick = (str(json.loads(line)[key]) for key in ("family", "newick"))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"'{line[:60]}'", where=where, expected='{"family": ..., "newick": ...}') from error
            yield _family(name, rows[name], tuple(taxids[name].values()), read_newick(newick, where), where)


def read_folder(folder: Path) -> Iterator[Family]:
    """Families of a folder, in order of their names: of each an alignment and a tree.

    The alignment is FASTA, in NAME.fa, NAME.fasta or NAME.aln; the tree Newick, in NAME.nwk, NAME.nh or NAME.tree.

    Raises:
        UserError: no families; one without its other file, or with two; rows and leaves that are not the same, or rows
            unequally long.
    """
    if not folder.is_dir():
        raise UserError("no such folder", where=str(folder), remedy="Check the path.")
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix in ALIGNMENTS + TREES:
            files[path.stem].append(path)
    if not files:
        raise UserError("no families", where=str(folder), expected="NAME.fa and NAME.nwk of each")
    for name in sorted(files):
        found = {kinds: [p for p in files[name] if p.suffix in kinds] for kinds in (ALIGNMENTS, TREES)}
        if any(len(paths) != 1 for paths in found.values()):
            names = ", ".join(path.name for path in files[name])
            expected = f"one alignment ({', '.join(ALIGNMENTS)}) and one tree ({', '.join(TREES)})"
            raise UserError(f"of family {name} there is {names}", where=str(folder), expected=expected)
        alignment, tree = found[ALIGNMENTS][0], found[TREES][0]
        aligned: dict[str, str] = {}
        for protein in read(alignment, alphabet="raw"):
            if protein.id in aligned:
                raise UserError(f"'{protein.id}' is there twice", where=str(alignment), expected="one row for each")
            aligned[protein.id] = protein.sequence.upper()
        with open_text(tree, "a tree in Newick's format") as file:
            yield _family(name, aligned, None, read_newick(file.read(), str(tree)), str(alignment))


def _family(name: str, aligned: Mapping[str, str], taxids: tuple[int, ...] | None, tree: Tree, where: str) -> Family:
    for these, those, lacks in ((aligned, tree.leaves, "the tree"), (tree.leaves, aligned, "the alignment")):
        if lost := [id for id in these if id not in those]:
            raise UserError(f"{len(lost)} of {len(these)} proteins of {name} are not in {lacks}, '{lost[0]}' first",
                            where=where, expected="the same names in alignment and tree")  # fmt: skip
    lengths = {len(row): id for id, row in aligned.items()}
    if len(lengths) > 1:
        (a, first), (b, second), *_ = lengths.items()
        raise UserError(f"in {name}, '{first}' has {a} columns and '{second}' {b}", where=where,
                        expected="aligned proteins, all rows equally long")  # fmt: skip
    return Family(name, tuple(aligned), tuple(aligned.values()), taxids, tree)
