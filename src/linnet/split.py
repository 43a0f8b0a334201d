"""Hold-outs: records set aside to measure and to calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.taxonomy import CANONICAL, Taxonomy

EITHER = "'id TAB cluster', or MMseqs2's 'representative TAB member', a line for each record"
"""What `read_clusters` reads."""


def at_random(groups: Sequence[str], share: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """bool (records,): true for the records of a share of the groups, drawn without regard to anything.

    Args:
        groups: the group of each record. Records of one group (copies of a gene in one genome, say) are too
            alike to be on both sides.
    """
    return in_turn(groups, share, 1, random)[0]


def in_turn(groups: Sequence[str], share: float, times: int, random: np.random.Generator) -> list[NDArray[np.bool_]]:
    """So many draws `at_random`, no group in two of them.

    Args:
        times: at most 1 / share.
    """
    names, group = np.unique(np.array(groups), return_inverse=True)
    order, size = random.permutation(len(names)), len(names) * share
    turn = np.full(len(names), -1)
    for number in range(times):
        turn[order[round(number * size) : round((number + 1) * size)]] = number
    return [np.asarray(turn[group] == number) for number in range(times)]


def whole_clades(
    taxonomy: Taxonomy,
    nodes: NDArray[np.integer],
    share: float,
    random: np.random.Generator,
    *,
    largest: float = 0.01,
) -> NDArray[np.bool_]:
    """bool (records,): true for every record of the clades drawn, so that those taxa are wholly absent.

    At each level below the first, a share of the taxa that have a sibling and records is drawn; a clade with
    more than `largest` of all records is left alone.

    Args:
        nodes: (records,) the taxon of each record.
    """
    clade_N = taxonomy.clade_counts(nodes)
    chosen = np.zeros(len(nodes), bool)
    for depth in range(2, int(taxonomy.depth.max(initial=0)) + 1):
        fit = (taxonomy.depth == depth) & (clade_N > 0) & (clade_N <= max(1, largest * len(nodes)))
        fit &= taxonomy.child_count[taxonomy.parent] > 1
        taxa = np.flatnonzero(fit)
        for taxon in random.permutation(taxa)[: round(len(taxa) * share)]:
            chosen |= (nodes >= taxon) & (nodes < taxonomy.end[taxon])
    return chosen


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Records set aside, and how they were chosen.

    Attributes:
        test: bool (records,).
        said: what a person should know, a row of cells each.
    """

    test: NDArray[np.bool_]
    said: Sequence[Sequence[str]] = ()


def clades_of_rank(
    taxonomy: Taxonomy,
    nodes: NDArray[np.integer],
    rank: str,
    share: float,
    random: np.random.Generator,
    *,
    largest: int | None = None,
) -> HoldOut:
    """Every record of a share of the taxa of one rank, so that these are wholly absent and their parents are not.

    Fit to be drawn are taxa with at most `largest` records whose parent has another taxon of the rank with records.
    A share of these is drawn; one that is the last of its parent's taxa left is passed over. Records whose lineage
    lacks the rank stay.

    Args:
        nodes: (records,) the taxon of each record.
        rank: one of the tree's; a canonical one stands for what answers to it, as domain does for superkingdom.
        largest: default: a hundredth of the records.

    Raises:
        UserError: no record has a taxon of the rank, or none of these taxa is fit.
    """
    at_most = max(1, len(nodes) // 100) if largest is None else largest
    clade_N = taxonomy.clade_counts(nodes)
    rank_N = np.array([CANONICAL.get(word, word) for word in taxonomy.rank_names])[taxonomy.rank_code]
    taxa = 1 + np.flatnonzero((rank_N == CANONICAL.get(rank, rank))[1:] & (clade_N[1:] > 0))
    if not len(taxa):
        some = ", ".join(sorted(set(rank_N[1:][clade_N[1:] > 0].tolist())))
        raise UserError(f"no record has a taxon of rank '{rank}'", expected=f"one of: {some}")
    left = np.bincount(taxonomy.parent[taxa], minlength=len(taxonomy))
    siblings = taxa[left[taxonomy.parent[taxa]] > 1]
    fit = siblings[clade_N[siblings] <= at_most]
    if not len(siblings):
        raise UserError(f"none of the {len(taxa):,} taxa of rank '{rank}' has a sibling", remedy="Choose another rank.")
    if not len(fit):
        raise UserError(
            f"none of the {len(siblings):,} taxa of rank '{rank}' with a sibling has at most {at_most:,} records",
            remedy=f"Allow more (--largest; the smallest has {clade_N[siblings].min():,}), or choose another rank.",
        )
    wanted = round(share * len(fit))
    drawn: list[int] = []
    for taxon in random.permutation(fit).tolist():
        parent = taxonomy.parent[taxon]
        if len(drawn) < wanted and left[parent] > 1:
            left[parent] -= 1
            drawn.append(taxon)
    within = np.zeros(len(taxonomy) + 1, np.int64)
    np.add.at(within, drawn, 1)
    np.add.at(within, taxonomy.end[drawn], -1)
    return HoldOut(
        np.asarray(np.cumsum(within)[nodes] > 0),
        [(f"taxa of rank {rank}", f"{len(taxa):,}"), (f"with a sibling, at most {at_most:,} records", f"{len(fit):,}"),
         ("set aside", f"{len(drawn):,}")],
    )  # fmt: skip


def whole_groups(groups: Sequence[str] | NDArray[np.integer], share: float, random: np.random.Generator) -> HoldOut:
    """Whole groups, in random order, until a share of the records is set aside; one too large for what is still
    wanted is passed over.

    Args:
        groups: the group of each record.
    """
    names, group, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    wanted = round(share * len(groups))
    chosen = np.zeros(len(names), bool)
    for g in random.permutation(len(names)).tolist():
        if sizes[g] <= wanted:
            chosen[g] = True
            wanted -= int(sizes[g])
    return HoldOut(
        np.asarray(chosen[group]),
        [("clusters", f"{len(names):,}"), ("of one record", f"{(sizes == 1).sum():,}"),
         ("records in the largest", f"{sizes.max():,}"), ("clusters set aside", f"{chosen.sum():,}")],
    )  # fmt: skip


def read_clusters(path: Path, ids: Sequence[str]) -> list[str]:
    """The cluster of each id, from a table 'id TAB cluster' or MMseqs2's 'representative TAB member', told apart by
    which column has every id, and has it once.

    Raises:
        UserError: a line without a tab; neither column is so.
    """
    pairs: set[tuple[str, str]] = set()
    with open_text(path, EITHER) as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip("\r\n")
            cells = text.split("\t")
            if len(cells) != 2:
                raise UserError(f"{len(cells)} cells: {text[:40]!r}", where=f"{path}, line {number}", expected=EITHER)
            pairs.add((cells[0], cells[1]))
    for table in (dict(pairs), {b: a for a, b in pairs}):
        if len(table) == len(pairs) and all(id in table for id in ids):
            return [table[id] for id in ids]
    known = {cell for pair in pairs for cell in pair}
    if missing := [id for id in ids if id not in known]:
        raise UserError(f"{len(missing):,} records have no cluster, '{missing[0]}' for one", where=str(path),
                        expected=EITHER, remedy="Cluster all records that are to be split.")  # fmt: skip
    raise UserError("neither column has every record, and has it once", where=str(path), expected=EITHER)


def systematic(
    taxonomy: Taxonomy, nodes: NDArray[np.integer], ids: Sequence[str], size: int, edges: Sequence[int] | None = None
) -> HoldOut:
    """TaxoFormer's deterministic stratified systematic sample (its appendix B.2): the same whatever the records' order.

    A stratum is a taxon below the root and a range of depths. Of N records, n of them in a stratum, this is allotted
    size * n / N rounded down, and one more where the remainder is among the largest (of equals, in the order of the
    tree and then of depth), until all is allotted. Its records are sorted by their lineage, names joined by ';', then
    by id; of k chosen, the i-th (from 0) stands at floor((i + 1/2) n / k).

    The paper gives neither its seven ranges nor its rounding.

    Args:
        nodes: (records,) the taxon of each record; its depth is the number of taxa from below the root down to it.
        ids: each once.
        edges: the greatest depth of each range but the last, ascending. Default: the septiles of the records' depths,
            the least depth that a seventh, two sevenths ... of the records do not exceed.

    Raises:
        UserError: a sample that is not less than the records.
    """
    if size >= len(nodes):
        raise UserError(f"a sample of {size:,} of {len(nodes):,} records", expected="fewer than all", remedy="--size N")
    depth = taxonomy.depth[nodes]
    if edges is None:
        edges = _septiles(depth)
    groups = taxonomy.children(0)
    group = np.searchsorted(groups, nodes, "right")  # depth-first numbers; 0: the root itself
    strata, stratum, records = np.unique(
        group * (len(edges) + 1) + np.searchsorted(edges, depth), return_inverse=True, return_counts=True
    )
    quota, remainder = np.divmod(size * records, len(nodes))
    quota[np.argsort(-remainder, kind="stable")[: size - int(quota.sum())]] += 1
    lineages = {int(node): ";".join(t.name for t in taxonomy.lineage(node)) for node in np.unique(nodes)}
    members: list[list[tuple[str, str, int]]] = [[] for _ in strata]
    for i, (s, node) in enumerate(zip(stratum.tolist(), nodes.tolist(), strict=True)):
        members[s].append((lineages[node], ids[i], i))
    test = np.zeros(len(nodes), bool)
    said = [("stratum", f"depth (edges {','.join(map(str, edges))})", "records", "chosen")]
    for code, n, k, found in zip(strata.tolist(), records.tolist(), quota.tolist(), members, strict=True):
        found.sort()
        test[[found[(2 * i + 1) * n // (2 * k)][2] for i in range(k)]] = True
        top, span = divmod(code, len(edges) + 1)
        name = taxonomy.names[int(groups[top - 1])] if top else "no taxon"
        said.append((name, _span(edges, span), f"{n:,}", f"{k:,}"))
    return HoldOut(test, said)


def _septiles(depth: NDArray[np.integer]) -> list[int]:
    """The least depths that 1 to 6 sevenths of the records do not exceed; equal ones once."""
    up_to = 7 * np.cumsum(np.bincount(depth))
    return sorted({int(np.searchsorted(up_to, k * len(depth))) for k in range(1, 7)})


def _span(edges: Sequence[int], at: int) -> str:
    """A range of depths in words."""
    first = edges[at - 1] + 1 if at else 0
    if at == len(edges):
        return f"{first} and more"
    return f"{first} to {edges[at]}" if first < edges[at] else str(first)
