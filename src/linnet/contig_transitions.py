"""What became of contigs' labels, from two tables of any tools: kinds of change, flows at each rank, reasons.

Labels are compared by the names at canonical ranks. A rank that one of the two leaves out above its last name may be
anything, so that `g__X` below a missing family is the same as `g__X` below one.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from linnet.changes import Kind
from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.lineages import bare_name
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS, Lineage, canonical

Names = tuple[str | None, ...]
"""The names of a label at the canonical ranks, None where it has none; as long as the ranks looked at."""

COMMON = 12
"""Taxa of a rank that flows tell apart; the others go together."""

OTHERS, NO_NAME = "other taxa", "no name"


@dataclass(frozen=True)
class Amount:
    """Contigs, and their bases together."""

    contigs: int
    bases: int


@dataclass(frozen=True)
class Flow:
    """Contigs that went one way at one rank; `before` and `after` are positions among the nodes."""

    before: int
    after: int
    kind: Kind
    contigs: int
    bases: int


@dataclass(frozen=True)
class Transitions:
    """One rank.

    Attributes:
        nodes: the commonest taxa, before and after taken together, then `other taxa` and `no name`.
        flows: in the order of the nodes.
        kinds: what became of the contigs' names at this rank.
    """

    nodes: tuple[str, ...]
    flows: tuple[Flow, ...]
    kinds: Mapping[str, Amount]


@dataclass(frozen=True)
class Reason:
    """What a table of changes says of one contig; a confidence is None where it has none."""

    why: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Case:
    """One contig: its length, its names before and after, and what became of the label, first at which rank."""

    contig: str
    bases: int
    old: Names
    new: Names
    kind: Kind
    rank: str


def names(lineage: Lineage) -> Names:
    """A label's names at the canonical ranks, without prefixes such as `s__`, in one spelling."""
    return tuple(_spelt(bare_name(taxon.name)) if taxon else None for taxon in canonical(lineage))


def _spelt(name: str) -> str:
    """With blanks for underscores, but for those of GTDB's suffixes: `Firmicutes_C`."""
    return re.sub(r" ([A-Z]{1,2})(?= |$)", r"_\1", name.replace("_", " "))


def change(old: Names, new: Names) -> tuple[Kind, str]:
    """What became of a label, and the first rank that was moved, added or cut ('' where none was)."""
    for rank, a, b in zip(RANKS, old, new, strict=False):
        if a is not None and b is not None and a != b:
            return Kind.MOVED, rank
    deep, deeper = _depth(old), _depth(new)
    if deep == deeper:
        return (Kind.KEPT if deep else Kind.NONE), ""
    longer = new if deeper > deep else old
    rank = next(RANKS[level] for level in range(min(deep, deeper), len(longer)) if longer[level] is not None)
    if deeper < deep:
        return Kind.CUT, rank
    return (Kind.EXTENDED if deep else Kind.NEW), rank


def _change_at(old: Names, new: Names, level: int) -> Kind:
    """What became of the name at one rank; without one before and after, `Kind.NONE`."""
    if old[level] is None and new[level] is None:
        return Kind.NONE
    return change(old[: level + 1], new[: level + 1])[0]


def transitions(cases: Sequence[Case]) -> dict[str, Transitions]:
    """The flows of all contigs at every rank that some label reaches."""
    found = {}
    for level, rank in enumerate(RANKS):
        count: Counter[tuple[Names | None, Names | None, Kind]] = Counter()
        bases: Counter[tuple[Names | None, Names | None, Kind]] = Counter()
        for case in cases:
            way = (_path(case.old, level), _path(case.new, level), _change_at(case.old, case.new, level))
            count[way] += 1
            bases[way] += case.bases
        if any(old or new for old, new, _ in count):
            found[rank] = _of_rank(count, bases)
    return found


def _of_rank(
    count: Mapping[tuple[Names | None, Names | None, Kind], int],
    bases: Mapping[tuple[Names | None, Names | None, Kind], int],
) -> Transitions:
    total: Counter[Names] = Counter()
    for (old, new, _), n in count.items():
        for path in (old, new):
            if path is not None:
                total[path] += n
    order = sorted(total, key=lambda path: (-total[path], [name or "" for name in path]))
    place = {path: min(number, COMMON) for number, path in enumerate(order)}
    common = order[:COMMON]
    no_name = len(common) + 1
    flows: dict[tuple[int, int, Kind], list[int]] = defaultdict(lambda: [0, 0])
    kinds: dict[str, list[int]] = {kind.value: [0, 0] for kind in Kind}
    for way, n in count.items():
        old, new, kind = way
        at = (no_name if old is None else place[old], no_name if new is None else place[new], kind)
        for sums in (flows[at], kinds[kind.value]):
            sums[0] += n
            sums[1] += bases[way]
    return Transitions(
        (*_told_apart(common), OTHERS, NO_NAME),
        tuple(Flow(a, b, kind, *flows[a, b, kind]) for a, b, kind in sorted(flows)),
        {kind: Amount(*sums) for kind, sums in kinds.items()},
    )


def _told_apart(paths: Iterable[Names]) -> list[str]:
    """The last name of each; of namesakes, with the name above."""
    paths = list(paths)
    last = Counter(path[-1] for path in paths)
    told = []
    for path in paths:
        above = next((name for name in path[-2::-1] if name), "")
        told.append(f"{path[-1]} ({above})" if last[path[-1]] > 1 and above else str(path[-1]))
    return told


def _path(label: Names, level: int) -> Names | None:
    return None if label[level] is None else label[: level + 1]


def _depth(label: Names) -> int:
    return max((level + 1 for level, name in enumerate(label) if name is not None), default=0)


def compared(
    lengths: Mapping[str, int], before: Mapping[str, Prediction], after: Mapping[str, Prediction]
) -> list[Case]:
    """Every contig, by the names that are kept; one without a row has none.

    Args:
        lengths: of all contigs, in bases.
    """
    of, ways = cache(names), cache(change)
    nothing: Names = (None,) * len(RANKS)

    def kept(table: Mapping[str, Prediction], contig: str) -> Names:
        return of(table[contig].kept) if contig in table else nothing

    cases = []
    for contig, length in lengths.items():
        old, new = kept(before, contig), kept(after, contig)
        cases.append(Case(contig, length, old, new, *ways(old, new)))
    return cases


def kinds(cases: Iterable[Case]) -> dict[str, Amount]:
    """How many contigs, and bases, had their whole label changed in each way."""
    sums = {kind.value: [0, 0] for kind in Kind}
    for case in cases:
        sums[case.kind.value][0] += 1
        sums[case.kind.value][1] += case.bases
    return {kind: Amount(*amount) for kind, amount in sums.items()}


# ---------------------------------------------------------------------- reasons

REASONS = 30
"""How many of the commonest reasons are told."""

_AGREE = re.compile(r"(\d+) % of the labels of about \d+ contigs of its genome agree")
_NEW = re.compile(r"(probably new to the reference below) .*?(?=; |$)")
_NUMBER = re.compile(r"\b(about|right with) \d[\d.]*")


def read_reasons(path: Path) -> dict[str, Reason]:
    """The reasons in a table of changes, as `linnet correct --changes` writes it, by contig.

    Raises:
        UserError: no such table, or a row that does not fit.
    """
    expected = "a table of changes, as 'linnet correct --changes' writes it"
    found: dict[str, Reason] = {}
    with open_text(path, expected) as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        wanted = {"contig", "confidence_before", "confidence_after", "why"}
        if not wanted <= set(rows.fieldnames or ()):
            raise UserError("no table of changes", where=str(path), expected=expected)
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if row["why"] is None or row["contig"] in found:
                found_instead = "too few cells" if row["why"] is None else f"a second row of '{row['contig']}'"
                raise UserError(found_instead, where=where, expected="a row of its own for each contig")
            try:
                sure = [float(row[f"confidence_{when}"]) if row[f"confidence_{when}"] else None
                        for when in ("before", "after")]  # fmt: skip
            except ValueError:
                raise UserError("a confidence that is no number", where=where, expected="a number or nothing") from None
            found[row["contig"]] = Reason(row["why"], *sure)
    return found


def kind_of_reason(why: str) -> str:
    """A reason without what is of one contig only: numbers and names."""
    why = _AGREE.sub(lambda match: f"{_band(int(match[1]))} of the labels of its genome's contigs agree", why)
    why = _NEW.sub(r"\1 the last name", why)
    return _NUMBER.sub(r"\1 …", why) or "no reason told"


def reasons(cases: Iterable[Case], told: Mapping[str, Reason]) -> list[tuple[str, str, Amount]]:
    """Kinds of change and kinds of reason, the commonest first."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for case in cases:
        if case.contig in told:
            amount = sums[case.kind.value, kind_of_reason(told[case.contig].why)]
            amount[0] += 1
            amount[1] += case.bases
    common = sorted(sums, key=lambda key: (-sums[key][0], key))[:REASONS]
    return [(*key, Amount(*sums[key])) for key in common]


def _band(percent: int) -> str:
    return "90 % and more" if percent >= 90 else "50 to 89 %" if percent >= 50 else "less than 50 %"
