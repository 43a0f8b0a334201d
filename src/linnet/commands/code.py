"""Show a taxonomy's lineages as TaxoFormer's tokens, and tokens as lineages.

  linnet code --taxonomy taxdump.tar.gz                                   how many slots the tree needs, level by level
  linnet code --taxonomy taxdump.tar.gz 9606 "Escherichia coli"           lineages as tokens
  linnet code --taxonomy taxdump.tar.gz --tokens "4 9 1 3811 2"           and back

TREE is a taxdump (folder or tar), a table of parents (taxid, parent, rank, name), a table of lineages, or a model.
A level is a depth below the root; its taxa are dealt into bins, each a slot of the row. Tokens: 0 PAD, 1 CONT (in a
later bin of this level), 2 STOP (the lineage ends before this level), from 3 a taxon. Where a row of --tokens is
shorter than the code, PAD is filled in.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.options import positive

if TYPE_CHECKING:
    from linnet.lineage_code import LineageCode
    from linnet.taxonomy import Taxonomy

SPECIAL = {0: "PAD", 1: "CONT", 2: "STOP"}


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("taxa", nargs="*", metavar="TAXON", help="a taxid, a name, or a lineage (d__Bacteria;p__...)")
    add("--taxonomy", required=True, type=Path, metavar="TREE", help="taxdump, table of parents or lineages, or model")
    add("--tokens", action="append", default=[], metavar="'N N ...'", help="a row of tokens to read; may be repeated")
    add("--vocabulary", type=positive, default=15_000, metavar="N", help="tokens of a bin (default: 15000)")
    add("--out", type=Path, metavar="FILE", help="instead of the screen: a table 'taxon<TAB>name<TAB>tokens'")


def run(args: argparse.Namespace) -> None:
    from linnet.lineage_code import LineageCode
    from linnet.outputs import open_output
    from linnet.taxonomies import read_taxonomy

    tree = read_taxonomy(args.taxonomy)
    code = LineageCode(tree, args.vocabulary)
    nodes = [_node(tree, text) for text in args.taxa]
    nodes += [_decoded(code, text) for text in args.tokens]
    if args.out:
        with open_output(args.out) as file:
            for node in nodes or range(len(tree)):
                tokens = " ".join(map(str, code.encode(_one(node))[0].tolist()))
                file.write(f"{_id(tree, node)}\t{tree.names[node]}\t{tokens}\n")
        return
    for line in _shown(code, nodes) if nodes else _summary(code):
        print(line)


def _summary(code: LineageCode) -> Iterator[str]:
    tree = code.taxonomy
    yield f"{len(tree) - 1:,} taxa on {code.levels} levels: {code.slots} slots of {code.vocabulary:,} tokens"
    yield ""
    yield "level       taxa  bins  first slot"
    for level in range(1, code.levels + 1):
        first, end = code.first_slot_L[level], code.first_slot_L[level + 1]
        taxa = tree.level_bounds[level + 1] - tree.level_bounds[level]
        yield f"{level:5}  {taxa:9,}  {end - first:4}  {first + 1:10}"


def _shown(code: LineageCode, nodes: Iterable[int]) -> Iterator[str]:
    tree = code.taxonomy
    for node in nodes:
        row = code.encode(_one(node))[0]
        yield f"{_id(tree, node)}  {tree.names[node]}"
        yield "level  slot  token  taxon"
        path = dict(enumerate(tree.path(node), 1))
        for slot in range(code.slots):
            level, token = int(code.level_of_slot[slot]), int(row[slot])
            if token == 0:
                continue
            taxon = path.get(level)
            said = SPECIAL[token] if token in SPECIAL or taxon is None else _said(tree, taxon)
            yield f"{level:5}  {slot + 1:4}  {token:5}  {said}"
        yield f"tokens: {_short(row.tolist())}"
        yield ""


def _short(row: list[int]) -> str:
    """The row without the PADs that end it."""
    last = max((i for i, token in enumerate(row) if token), default=-1)
    rest = len(row) - last - 1
    return " ".join(map(str, row[: last + 1])) + (f"  (then {rest} times 0)" if rest else "")


def _said(tree: Taxonomy, node: int) -> str:
    taxid = int(tree.taxids[node])
    return f"{tree.rank(node)} {tree.names[node]}" + (f" (taxid {taxid})" if taxid else "")


def _id(tree: Taxonomy, node: int) -> str:
    return str(int(tree.taxids[node]) or node)


def _one(node: int):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.array([node])


def _node(tree: Taxonomy, text: str) -> int:
    """The taxon that a user means."""
    from linnet.errors import UserError

    if text.isascii() and text.isdigit():
        found = tree.by_taxid(int(text))
        if found is None:
            raise UserError(f"there is no taxid {text}", expected="one of this tree's",
                            remedy="It may be of another release, or deleted.")  # fmt: skip
        return found
    if ";" in text:
        return _along(tree, [part.strip() for part in text.split(";") if part.strip()])
    nodes = _called(tree, text)
    if len(nodes) == 1:
        return nodes[0]
    if nodes:
        several = ", ".join(
            f"{int(tree.taxids[n]) or 'one'} below '{tree.names[int(tree.parent[n])]}'" for n in nodes[:5]
        )
        raise UserError(f"{len(nodes)} taxa are called '{text}': {several}", remedy="Give the taxid or the lineage.")
    raise UserError(f"no taxon is called '{text}'", expected="a name as the tree has it, a taxid or a lineage")


def _called(tree: Taxonomy, name: str) -> list[int]:
    """The taxa of a name, as it is or without `d__`, `p__` ..."""
    return tree.nodes_named(name) or tree.nodes_named(name.partition("__")[2] or name)


def _along(tree: Taxonomy, names: list[str]) -> int:
    """The taxon at the end of names, each somewhere below the one before it: ranks in between may be left out."""
    from linnet.errors import UserError

    node = 0
    for name in names:
        below = [n for n in _called(tree, name) if node < n < tree.end[node]]
        nearest = [n for n in below if tree.depth[n] == min(tree.depth[m] for m in below)]
        if len(nearest) != 1:
            found = "several taxa are" if nearest else "no taxon is"
            raise UserError(f"{found} called '{name}' below '{tree.names[node]}'", expected="a lineage of this tree")
        node = nearest[0]
    return node


def _decoded(code: LineageCode, text: str) -> int:
    from linnet.errors import UsageError

    words = text.replace(",", " ").split()
    if not words or not all(word.isascii() and word.isdigit() for word in words) or len(words) > code.slots:
        raise UsageError(f"--tokens '{text[:80]}'", expected=f"up to {code.slots} whole numbers")
    import numpy as np

    row = np.zeros((1, code.slots), np.int64)
    row[0, : len(words)] = [int(word) for word in words]
    return int(code.decode(row)[0])
