"""Trees of families of sequences: read, made in several ways, and how far two are from each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.taxonomy import Lineage, Taxon


@dataclass(frozen=True, eq=False)
class Tree:
    """N nodes, of which the leaves have names.

    Attributes:
        parent: int64 (N,), of each node its parent, which has a lower number; 0 is the root, and its own parent.
        leaves: the node of each leaf, by name.
    """

    parent: NDArray[np.int64]
    leaves: Mapping[str, int]


# ---------------------------------------------------------------------- Newick

_TOKEN = re.compile(
    r"(?P<passed>\s+|\[[^\]]*\])|(?P<mark>[(),:;])|'(?P<quoted>(?:[^']|'')*)'|(?P<plain>[^\s()\[\],:;']+)"
)
_BEGUN, _CHILDREN, _NAME, _COLON, _LENGTH, _ENDED = range(6)
"""What has been read of a node; at last, of the tree."""


def read_newick(text: str, where: str = "the tree") -> Tree:
    """A tree in Newick's format (Felsenstein 1986), with any number of children a node.

    Names may be quoted ('' within quotes is a quote); an underscore stays one. Lengths, names of inner nodes and
    comments in [] are passed over.

    Args:
        where: what to call the text in errors.

    Raises:
        UserError: it is not one whole tree; a leaf without a name; two of one name.
    """
    parent, leaves = [0], dict[str, int]()
    node, name, read, at = 0, "", _BEGUN, 0

    def wrong(found: str, expected: str) -> UserError:
        return UserError(found, where=f"{where}, character {at + 1}", expected=expected)

    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise wrong(f"'{text[at]}' without its other end", "quotes and comments that are closed")
        mark, shown = token["mark"], f"'{token[0][:30]}'"
        if token["passed"] is not None:
            pass
        elif read == _ENDED:
            raise wrong(f"{shown} after the ';'", "one tree")
        elif read == _COLON:
            if not _is_number(token["plain"]):
                raise wrong(f"{shown} after a ':'", "a length")
            read = _LENGTH
        elif mark is None:
            if read >= _NAME:
                raise wrong(f"{shown} after a name or a length", "',' or ')'; names with blanks in quotes")
            name, read = token["plain"] or token["quoted"].replace("''", "'"), _NAME
        elif mark == "(":
            if read != _BEGUN:
                raise wrong("a '(' in the middle of a node", "',' before it")
            parent.append(node)
            node = len(parent) - 1
        elif mark == ":":
            if read == _LENGTH:
                raise wrong("a second length", "',' or ')'")
            read = _COLON
        else:  # the node is read to its end
            if (mark == ";") != (node == 0):
                raise wrong("a '(' is still open" if node else f"a '{mark}' beyond the root", "a ')' for each '('")
            if node == len(parent) - 1:  # none came after it: a leaf
                if not name or name in leaves:
                    raise wrong(f"a second leaf '{name}'" if name else "a leaf without a name", "a name for each leaf")
                leaves[name] = node
            name = ""
            if mark == ",":
                parent.append(parent[node])
                node, read = len(parent) - 1, _BEGUN
            elif mark == ")":
                node, read = parent[node], _CHILDREN
            else:
                read = _ENDED
        at = token.end()
    if read != _ENDED:
        raise wrong("it ends without a ';'", "a whole tree, as (A,(B,C));")
    return Tree(np.array(parent, np.int64), leaves)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------------- comparing


def splits(tree: Tree, leaves: Sequence[str]) -> set[int]:
    """The ways in which an edge of the unrooted tree parts some of its leaves, with two or more on either side.

    A split is a number whose bits stand for `leaves`: those on the side where the first is not. Leaves that are not
    asked for are taken out of the tree, and with them the edges that then part nothing.
    """
    side = [0] * len(tree.parent)
    for bit, leaf in enumerate(leaves):
        side[tree.leaves[leaf]] = 1 << bit
    for node in range(len(side) - 1, 0, -1):
        side[tree.parent[node]] |= side[node]
    everyone = (1 << len(leaves)) - 1
    far = {s ^ everyone if s & 1 else s for s in side}
    return {s for s in far if 2 <= s.bit_count() <= len(leaves) - 2}


def normalised_rf(a: set[int], b: set[int]) -> float | None:
    """The distance of Robinson and Foulds (1981) between two trees on the same leaves, given their splits, over the
    number of splits in both: 0 for the same tree, 1 where they share none, also where one has none.

    Returns:
        None where neither has a split.
    """
    return len(a ^ b) / (len(a) + len(b)) if a or b else None


# ---------------------------------------------------------------------- making


def lineage_tree(lineages: Mapping[str, Lineage]) -> Tree:
    """The tree of sequences whose lineages are known: the paths from the root to their taxa, laid over each other.

    Each sequence is a leaf below the last taxon of its own lineage, beside that taxon's own children; one without a
    name hangs from the root. Sequences of the same taxon hang from it side by side, unresolved.
    """
    parent, leaves = [0], dict[str, int]()
    below: dict[tuple[int, Taxon], int] = {}
    for name, lineage in lineages.items():
        node = 0
        for taxon in lineage:
            found = below.setdefault((node, taxon), len(parent))
            if found == len(parent):
                parent.append(node)
            node = found
        leaves[name] = len(parent)
        parent.append(node)
    return Tree(np.array(parent, np.int64), leaves)


def neighbour_joining(names: Sequence[str], distance_NN: NDArray[np.floating]) -> Tree:
    """The neighbour-joining tree of some distances (Saitou & Nei 1987, in the form of Studier & Keppler 1988).

    As long as there are more than three, the two whose joining shortens the tree most are joined and take the place of
    the first. Of pairs that are as good but for rounding, that of the lowest places is taken.

    Args:
        distance_NN: (n, n), symmetric, of the n named sequences.
    """
    d = np.array(distance_NN, float)
    at, joins = list(range(len(names))), list[tuple[int, int]]()
    tie = 1e-9 * float(d.max(initial=0.0))
    while len(at) > 3:
        total = d.sum(0)
        q = (len(at) - 2) * d - total - total[:, None]
        q[np.tril_indices(len(at))] = np.inf
        i, j = divmod(int(np.argmax(q <= q.min() + tie)), len(at))
        d[i] = d[:, i] = (d[i] + d[j] - d[i, j]) / 2
        d = np.delete(np.delete(d, j, 0), j, 1)
        joins.append((at[i], at.pop(j)))
        at[i] = len(names) + len(joins) - 1
    return _joined(names, joins)


def random_tree(names: Sequence[str], seed: int) -> Tree:
    """A resolved tree made by joining two drawn at random, until three are left."""
    random = np.random.default_rng(seed)
    at, joins = list(range(len(names))), list[tuple[int, int]]()
    while len(at) > 3:
        i, j = sorted(random.choice(len(at), 2, replace=False).tolist())
        joins.append((at[i], at.pop(j)))
        at[i] = len(names) + len(joins) - 1
    return _joined(names, joins)


def _joined(names: Sequence[str], joins: Sequence[tuple[int, int]]) -> Tree:
    """A tree from pairs that were joined, one after another: names have the numbers from 0 on, pairs those after."""
    last = len(names) + len(joins)
    above = np.full(last + 1, last)
    for new, pair in enumerate(joins, len(names)):
        above[list(pair)] = new
    return Tree((last - above)[::-1].astype(np.int64), {name: last - i for i, name in enumerate(names)})


def hamming_distances(aligned: Sequence[str]) -> NDArray[np.float64]:
    """float64 (n, n): of the columns in which both of two aligned sequences have a residue, the share that differ.

    A residue is any letter but X; everything else is a gap. Two sequences without a common column are at 1, as far
    from each other as can be.
    """
    n = len(aligned)
    code_NL = np.frombuffer("".join(aligned).upper().encode("ascii", "replace"), np.uint8).reshape(n, -1)
    code_NL = np.where((code_NL >= ord("A")) & (code_NL <= ord("Z")) & (code_NL != ord("X")), code_NL, 0)
    distance_NN = np.zeros((n, n))
    for i, code_L in enumerate(code_NL):
        some = np.flatnonzero(code_L)  # columns in which this one has a residue
        others = code_NL[i + 1 :, some]
        shared = np.count_nonzero(others, axis=1)
        same = np.count_nonzero(others == code_L[some], axis=1)
        distance_NN[i, i + 1 :] = distance_NN[i + 1 :, i] = np.where(shared, 1 - same / np.maximum(shared, 1), 1.0)
    return distance_NN
