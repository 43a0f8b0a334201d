"""TaxoFormer's names as bins of ids, as its two released tables have them, and what that code cannot tell apart.

Layout and ids: the published code of TaxoFormer (2025), commit 24b056a.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError

PAD, CONT, ABSENT = 0, 1, 2
"""Ids that are no names: an unused slot, a bin passed by, the end of a path."""

Way = Literal["published", "greedy", "min-edit", "published-beam"]
"""How the published code reads a lineage: up from the deepest greedy name; greedy; greedy, mended; its beam."""

_SPECIAL = re.compile(r"[\W_]*(PAD|CONT|CONTINUE|ABSENT|STOP)(?![A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Mapping:
    """Names as bins of ids, and which name stands below which, as the two released tables have them.

    A level's names fill one slot after the other. Ids belong to names, wherever they stand, so that two names of
    one slot may share an id; the later of them is the one read back.

    Attributes:
        names: of each slot, in the file's order, without the entries that stand for CONT, PAD and ABSENT.
        ids: of each name.
        levels: of each slot, 1 the most general.
        children: of each parent; a parent on several rows has those of the last.
        repeated: parents on several rows.
    """

    names: tuple[tuple[str, ...], ...]
    ids: dict[str, int]
    levels: tuple[int, ...]
    children: dict[str, tuple[str, ...]]
    repeated: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Mapping:
        """What `to_json` gave."""
        names = tuple(map(tuple, value["names"]))
        children = {parent: tuple(some) for parent, some in value["children"].items()}
        return cls(names, value["ids"], tuple(value["levels"]), children, tuple(value["repeated"]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `from_json` makes an equal mapping."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def name_of(self) -> tuple[dict[int, str], ...]:
        """Of each slot, names by id."""
        return tuple({self.ids[name]: name for name in some} for some in self.names)

    @cached_property
    def slots(self) -> dict[int, range]:
        """Slots of each level."""
        first = {level: slot for slot, level in reversed(list(enumerate(self.levels)))}
        return {level: range(slot, slot + self.levels.count(level)) for level, slot in sorted(first.items())}

    @cached_property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """Of each child, in alphabetical order."""
        found: dict[str, set[str]] = {}
        for parent, children in self.children.items():
            for child in children:
                found.setdefault(child, set()).add(parent)
        return {child: tuple(sorted(some)) for child, some in found.items()}

    @cached_property
    def places(self) -> dict[tuple[int, str], int]:
        """Of each level and name of it, what `slot` gives."""
        held: dict[tuple[int, str], int] = {}
        read_back: dict[tuple[int, str], int] = {}
        for slot, (level, some) in enumerate(zip(self.levels, self.names, strict=True)):
            for name in some:
                held.setdefault((level, name), slot)
                if self.name_of[slot][self.ids[name]] == name:
                    read_back.setdefault((level, name), slot)
        return held | read_back

    def slot(self, level: int, name: str) -> int | None:
        """The first slot of a level that holds a name."""
        slots, id = self.slots.get(level, range(0)), self.ids.get(name)
        for slot in slots:
            if id is not None and self.name_of[slot].get(id) == name:
                return slot
        return next((slot for slot in slots if id is not None and name in self.names[slot]), None)

    def allows(self, parent: str, child: str) -> bool:
        """Whether the table lets a name follow another: below a name without a row, anything may."""
        return parent not in self.children or parent in self.parents.get(child, ())

    def encode(self, path: Sequence[str]) -> NDArray[np.int64]:
        """Tokens (S,) of names from level 1 downwards.

        In a level, CONT in the bins before the right one and PAD in those after it; ABSENT once, in the first slot
        after the last level.

        Raises:
            UserError: a name that is not one of its level's.
        """
        tokens_S = np.full(len(self.levels), PAD, np.int64)
        end = 0
        for level, name in enumerate(path, start=1):
            slot = self.slot(level, name)
            if slot is None:
                raise UserError(f"'{name}' is no name of level {level}", expected="a path from level 1 downwards")
            bins = self.slots[level]
            tokens_S[bins.start : slot] = CONT
            tokens_S[slot] = self.ids[name]
            end = bins.stop
        if end < len(tokens_S):
            tokens_S[end] = ABSENT
        return tokens_S

    def decode(self, tokens: Sequence[int] | NDArray[np.int64]) -> tuple[str, ...]:
        """Names of S tokens: up to ABSENT, of each level the first that is known; a level without one is left out."""
        found: dict[int, str] = {}
        for slot, token in enumerate(tokens):
            if token == ABSENT:
                break
            name = self.name_of[slot].get(int(token))
            if token not in (PAD, CONT) and name is not None:
                found.setdefault(self.levels[slot], name)
        return tuple(found.values())


@dataclass(frozen=True)
class Count:
    """How many, and the first few of them."""

    number: int
    examples: tuple[str, ...]

    @classmethod
    def of(cls, found: Iterable[str]) -> Count:
        some = list(found)
        return cls(len(some), tuple(some[:3]))

    @property
    def shown(self) -> str:
        """The first few, and the end of a sentence."""
        return ", ".join(map(repr, self.examples)) + (" ..." if self.number > len(self.examples) else ".")


@dataclass(frozen=True)
class Collisions:
    """What the published code of names cannot tell apart.

    Attributes:
        entries: names in all slots; a name in two slots counts twice.
        same_id: entries hidden behind a later name of their slot with the same id.
        special: names whose id means PAD, CONT or ABSENT.
        places: names that stand in several slots, or twice in one.
        parents: names below several parents.
        unknown: children in the table that are no name of any level, as those are that a comma cuts in two.
        repeated: parents on several rows of the table, of which only the last counts.
        undecodable: entries whose id, in their slot, is not read back as their name.
    """

    entries: int
    same_id: Count
    special: Count
    places: Count
    parents: Count
    unknown: Count
    repeated: Count
    undecodable: Count

    def lines(self) -> list[str]:
        """One sentence for each kind that there is, with examples; or that there are none."""
        said = (
            (self.same_id, "share their slot and id with another name, which is read in their place"),
            (self.special, "have the id of a special token, so that paths end or skip there"),
            (self.places, "stand in several places, which the code cannot tell apart"),
            (self.parents, "stand below several parents"),
            (self.unknown, "stand in the table of children and in no level, most often a name cut at its comma"),
            (self.repeated, "are parents on several rows, of which only the last counts"),
            (self.undecodable, f"of {self.entries:,} cannot be read back"),
        )
        lines = [f"{count.number:,} names {what}: {count.shown}" for count, what in said if count.number]
        return lines or [f"All {self.entries:,} names can be read back."]


def collisions(mapping: Mapping) -> Collisions:
    """Count what the code of a release cannot tell apart; a few seconds for a million names."""
    entries = [(slot, name) for slot, some in enumerate(mapping.names) for name in some]
    times = Counter(name for _, name in entries)
    ids = mapping.ids
    hidden = [(slot, name) for slot, name in dict.fromkeys(entries) if mapping.name_of[slot][ids[name]] != name]
    lost = [name for slot, name in entries
            if ids[name] in (PAD, CONT, ABSENT) or mapping.name_of[slot][ids[name]] != name]  # fmt: skip
    return Collisions(
        entries=len(entries),
        same_id=Count.of(name for _, name in hidden),
        special=Count.of(name for name in times if ids[name] in (PAD, CONT, ABSENT)),
        places=Count.of(name for name, number in times.items() if number > 1),
        parents=Count.of(name for name, some in mapping.parents.items() if len(some) > 1 and name in times),
        unknown=Count.of(name for name in mapping.parents if name not in times),
        repeated=Count.of(mapping.repeated),
        undecodable=Count.of(lost),
    )


def read(path: Path, edges: Path, slots: int, levels: int, vocabulary: int) -> Mapping:
    """The two tables of a release.

    Args:
        path: phylo2_mapping.json.
        edges: parent_to_child_mapping.csv.
        slots, levels, vocabulary: S, number of levels and V, as config.json has them.

    Raises:
        UserError: a file is missing, is not laid out so, or disagrees with config.json.
    """
    content = json_of(path)
    where = str(path)
    wanted = {"level_mapping": list, "level_positions": list, "token2id": dict}
    for key, kind in wanted.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise UserError(f"lacks a {kind.__name__} '{key}'", where=where, expected=", ".join(wanted))
    by_slot, positions, ids = (content[key] for key in wanted)
    if not len(by_slot) == len(positions) == slots:
        raise UserError(f"has {len(by_slot)} slots and the levels of {len(positions)}", where=where,
                        expected=f"{slots} of both, taxonomy_seq_length of config.json")  # fmt: skip
    for slot, level in enumerate(positions):
        if not _whole(level) or not max(1, positions[slot - 1] if slot else 1) <= level <= levels:
            raise UserError(f"slot {slot} belongs to level {level!r}", where=where,
                            expected=f"levels from 1 to {levels}, in order")  # fmt: skip
    for name, id in ids.items():
        if not _whole(id) or not 0 <= id < vocabulary:
            raise UserError(f"'{name}' has the id {id!r}", where=where, expected=f"0 to {vocabulary - 1}")
    names = []
    for slot, some in enumerate(by_slot):
        if not isinstance(some, list) or not all(isinstance(name, str) for name in some):
            raise UserError(f"slot {slot} is no list of names", where=where, expected="names as text")
        for name in some:
            if name not in ids:
                raise UserError(f"'{name}' of slot {slot} has no id in token2id", where=where)
        later = slot > 0 and positions[slot - 1] == positions[slot]
        names.append(tuple(name for at, name in enumerate(some) if not _no_name(name, ids[name], later and at == 0)))
    if not any(names):
        raise UserError("holds no names", where=where, remedy="Download it again.")
    return Mapping(tuple(names), ids, tuple(positions), *_edges(edges))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _no_name(name: str, id: int, heads_later_bin: bool) -> bool:
    """Whether an entry stands for PAD, CONT or ABSENT: the first of a level's later bins does, if its id is CONT."""
    return (id == CONT and heads_later_bin) or (id in (PAD, CONT, ABSENT) and bool(_SPECIAL.match(name)))


def _edges(path: Path) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Children of each parent, and the parents that several rows name."""
    children: dict[str, tuple[str, ...]] = {}
    repeated = []
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # one cell may hold a hundred thousand children
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            if not {"parent", "children"} <= set(header):
                raise UserError(f"the header is {','.join(header)!r}", where=str(path), expected="Parent,Children")
            at_parent, at_children = header.index("parent"), header.index("children")
            for row in rows:
                if row and len(row) != len(header):
                    raise UserError(f"{len(row)} columns", where=f"{path}, line {rows.line_num}",
                                    expected=f"{len(header)}, children in quotes and joined by commas")  # fmt: skip
                some = tuple(filter(None, map(str.strip, row[at_children].split(",")))) if row else ()
                if some:
                    parent = row[at_parent].strip()
                    repeated += [parent] if parent in children else []
                    children[parent] = some
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Download the whole folder again.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=str(path), expected="a table of UTF-8 text") from error
    finally:
        csv.field_size_limit(before)
    return children, tuple(dict.fromkeys(repeated))


def json_of(path: Path) -> Any:
    """A file's JSON.

    Raises:
        UserError: there is no such file, or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Download the whole folder again.") from None
    except ValueError as error:
        raise UserError(f"is not JSON ({error})", where=str(path), remedy="Download it again.") from error


def _no_number(text: str) -> None:
    raise ValueError(f"{text}, which is no number of JSON")
