"""What the taxids and names in a table of labels stand for."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from linnet.errors import UserError
from linnet.lineages import BLANK_NAMES, bare_name, parse_lineage
from linnet.taxonomy import CANONICAL, RANKS, Lineage, Taxon, Taxonomy, canonical_positions

ABOVE_DOMAINS = frozenset(["root", "cellular organisms"])
NO_TAXON = (
    BLANK_NAMES
    | ABOVE_DOMAINS
    | {"0", "no rank", "no support", "not classified"}
    | {
        "unclassified sequences",
        "unclassified entries",
        "other sequences",
        "other entries",
    }  # NCBI's, beside its domains
)
"""What stands where a tool names no taxon; compared in lower case, underscores as blanks."""
_FILLS_A_GAP = re.compile(rf"unnamed ({'|'.join(RANKS)})( of .*)?")  # written where Taxometer allows no gap

LEFT_OUT = "names left out because they are of no canonical rank"
MERGED = "labels of taxids merged into others"
UNKNOWN = "labels of taxids that the taxonomy does not have"
RENAMED = "labels of taxids that have another name in the taxonomy"
PARTLY = "labels with names that the taxonomy does not have there"
UNALIGNED = "labels without scores, because some of their names are blank"

_LETTERED = re.compile(r"(?!uc_)(?P<letter>[a-z]{1,3}|-)_(?P<name>(?!_).*)")  # 'uc_' is MMseqs2's for a missing rank
_RANK_OF_LETTER = dict(zip("dpcofgs", RANKS, strict=True)) | {"k": "kingdom"}


class _Named(NamedTuple):
    """A written lineage: its canonical taxa, where each stood among those written, and how many those were."""

    lineage: Lineage
    positions: tuple[int, ...]
    written: int


class _Answer(NamedTuple):
    """What some cells stand for. `strange`: the taxonomy does not bear it out; None: it was not asked for a taxid."""

    lineage: Lineage
    notes: dict[str, int]
    strange: bool | None = None


class Taxa:
    """Looks up what the rows of one table say, each distinct thing once.

    Attributes:
        taxonomy: where taxids are looked up, and names get theirs; None for a table that brings names.
        path: the table, for messages.
        notes: what was met on the way.
    """

    def __init__(self, taxonomy: Taxonomy | None, path: str) -> None:
        self.taxonomy, self.path, self.notes = taxonomy, path, Counter[str]()
        self._answers: dict[tuple[str, str, str | None], _Answer] = {}
        self._by_taxid: dict[str, Lineage] = {}
        self._asked = self._strange = 0
        self._stranger = ""

    def at(self, line: int) -> str:
        return f"{self.path}, line {line}"

    def called(self, line: int, *, taxid: str = "", name: str = "", names: str | None = None) -> Lineage:
        """The lineage of a row.

        With a taxonomy it is the taxid's, if the taxon there bears the same name; else it is found by the path of
        `names`, whose taxa keep their names, without a taxid, where the taxonomy does not have them. Without a
        taxonomy it is `names`.

        Args:
            taxid: the taxid, if the table has one; 0 is none.
            name: the taxon's name, if the table has it.
            names: the written lineage, if the table has one.

        Raises:
            UserError: not a taxid; a taxid where there are neither names nor a taxonomy; a lineage that cannot be read.
        """
        key = taxid, name, names
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = self._answer(line, taxid, name, names)
        self.notes.update(answer.notes)
        if answer.strange is not None:
            self._asked += 1
            self._strange += answer.strange
            if answer.strange and not self._stranger:
                self._stranger = f"taxid {taxid}{f' ({name})' if name else ''} on line {line}"
        return answer.lineage

    def placed(self, lineage: Lineage) -> Lineage:
        """The canonical taxa of a lineage that was read elsewhere, with the taxonomy's taxids as far as it has them."""
        named = _canonical(lineage)
        self.notes[LEFT_OUT] += named.written - len(named.lineage)
        if self.taxonomy is None:
            return named.lineage
        found, whole = self._placed(named.lineage)
        self.notes[PARTLY] += not whole
        return found

    def scored(self, line: int, names: str, scores: tuple[float, ...]) -> tuple[Lineage, tuple[float, ...]]:
        """A written lineage with a score for each name; a rank that only the taxonomy has takes that of the next below.

        Raises:
            UserError: as `called`; not as many scores as names.
        """
        lineage = self.called(line, names=names)
        parts = [part for part in names.split(";") if part.strip()]
        if len(scores) != len(parts):
            raise UserError(
                f"{len(scores)} scores for {len(parts)} names", where=self.at(line), expected="a score for each name"
            )
        if not lineage:
            return (), ()
        named = self._named(names, line)
        if named.written != len(parts):
            self.notes[UNALIGNED] += 1
            return lineage, ()
        given = {taxon.rank: scores[at] for taxon, at in zip(named.lineage, named.positions, strict=True)}
        below, filled = 0.0, list[float]()
        for taxon in reversed(lineage):
            below = given.get(taxon.rank, below)
            filled.append(below)
        return lineage, tuple(reversed(filled))

    def lineage(self, taxid: str) -> Lineage:
        """The canonical taxa above a taxid and itself; () for what the taxonomy does not have."""
        found = self._by_taxid.get(taxid)
        if found is None:
            node = self.taxonomy.by_taxid(int(taxid)) if self.taxonomy else None
            found = self._by_taxid[taxid] = self._lineage(node) if node is not None else ()
        return found

    def agreement(self, lineage: Lineage, counts: dict[str, int]) -> float:
        """Share of the counted taxids that lie in the clade of the lineage's last taxon; nan if none is known."""
        known = {taxid: self.lineage(taxid) for taxid in counts}
        if not lineage or not any(known.values()):
            return float("nan")
        inside = sum(counts[taxid] for taxid, other in known.items() if other[: len(lineage)] == lineage)
        return inside / sum(counts.values())

    def check(self) -> None:
        """After the last row.

        Raises:
            UserError: most taxids are not in the taxonomy, or belong to taxa of other names.
        """
        if 2 * self._strange > self._asked:
            raise UserError(
                f"{self._strange:,} of {self._asked:,} labels have taxids that are not in the taxonomy, or have "
                f"another name there; {self._stranger} for one",
                where=self.path,
                expected="the numbers of that taxonomy",
                remedy="Are they another taxonomy's? Give the taxdump of the searched database with --taxonomy.",
            )

    # ------------------------------------------------------------------ what is behind an answer

    def _answer(self, line: int, taxid: str, name: str, names: str | None) -> _Answer:
        if taxid and not re.fullmatch(r"[0-9]{1,18}", taxid):
            raise UserError(f"taxid {taxid[:40]!r}", where=self.at(line), expected="a whole number, 0 for no label")
        if (taxid and int(taxid) == 0) or (name and is_no_taxon(name)):
            return _Answer((), {})
        named = self._named(names, line) if names is not None else _Named((), (), 0)
        notes = {LEFT_OUT: named.written - len(named.lineage)} if named.written > len(named.lineage) else {}
        if self.taxonomy is None:
            if names is None:
                raise needs_taxonomy(f"taxid {taxid} without a lineage", self.at(line))
            return _Answer(named.lineage, notes)
        if taxid:
            return self._looked_up(int(taxid), name, named.lineage, notes)
        lineage, whole = self._placed(named.lineage)
        return _Answer(lineage, notes if whole else notes | {PARTLY: 1})

    def _looked_up(self, taxid: int, name: str, named: Lineage, notes: dict[str, int]) -> _Answer:
        """What a taxid stands for in the taxonomy, `named` being what the table says it does."""
        assert self.taxonomy is not None
        node = self.taxonomy.by_taxid(taxid)
        lineage = () if node is None else self._lineage(node)
        if node is not None:
            if taxid in self.taxonomy.retired:
                return _Answer(lineage, {MERGED: 1}, False)
            if self.taxonomy.names[node] == name if name else not named or _unnumbered(lineage) == named:
                return _Answer(lineage, {}, False)
        placed, whole = self._placed(named)
        if named and whole:
            return _Answer(placed, notes, False)
        if node is not None:
            return _Answer(lineage, {RENAMED: 1}, True)
        return _Answer(placed, notes | {UNKNOWN: 1}, True)

    def _placed(self, named: Lineage) -> tuple[Lineage, bool]:
        """A lineage of names, its taxa being the taxonomy's as far as they are found, and whether all were."""
        assert self.taxonomy is not None
        for depth in range(len(named), 0, -1):
            last, wanted = named[depth - 1], set(named[:depth])
            named_so = [
                n for name in (last.name, f"{last.rank[0]}__{last.name}") for n in self.taxonomy.nodes_named(name)
            ]
            nodes = [n for n in named_so if CANONICAL.get(self.taxonomy.rank(n)) == last.rank]
            found = [lineage for lineage in map(self._lineage, nodes) if wanted <= set(_unnumbered(lineage))]
            if len(found) == 1:
                return found[0] + named[depth:], depth == len(named)
        return named, not named

    def _lineage(self, node: int) -> Lineage:
        assert self.taxonomy is not None
        taxa = zip(RANKS, self.taxonomy.canonical(node), strict=True)
        return tuple(Taxon(rank, t.name, t.taxid) for rank, t in taxa if t is not None and not is_no_taxon(t.name))

    def _named(self, text: str, line: int) -> _Named:
        try:
            return _canonical(parse_names(text))
        except UserError as error:
            raise UserError(error.found, where=self.at(line), expected=error.expected, remedy=error.remedy) from None


def needs_taxonomy(found: str, where: str) -> UserError:
    """The error for numbers that nothing gives names to."""
    return UserError(
        found,
        where=where,
        expected="lineages of names, or a taxonomy in which to look taxids up",
        remedy="Give the taxdump (nodes.dmp, names.dmp) of the database that was searched with --taxonomy.",
    )


def is_no_taxon(name: str) -> bool:
    """Whether this is a word for 'no name' or stands above the domains."""
    name = name.strip().lower()
    return name in NO_TAXON or name.replace("_", " ") in NO_TAXON or bool(_FILLS_A_GAP.fullmatch(name))


def is_lettered(text: str) -> bool:
    """Whether this is a lineage as MMseqs2 writes it, `d_Bacteria;p_Bacillota;-_Terrabacteria group`."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return bool(parts) and all(_LETTERED.fullmatch(part) for part in parts)


def parse_names(text: str) -> Lineage:
    """A written lineage with all its names, of any rank.

    MMseqs2's letters mean other things than Greengenes': `k_` is a kingdom, `-_` any rank it has no letter for.

    Raises:
        UserError: bare names of which it cannot be known which rank is which.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    found = [_LETTERED.fullmatch(part) for part in parts]
    lettered = [match for match in found if match]
    if len(lettered) == len(parts):
        return tuple(
            Taxon(_RANK_OF_LETTER.get(m["letter"], "clade"), m["name"].strip().removeprefix(f"{m['letter']}__"))
            for m in lettered
        )
    if len(parts) > 1 and any(part.lower() in ABOVE_DOMAINS - {"root"} for part in parts[:2]):
        raise UserError(
            f"names without ranks that begin above the domain: {text[:80]!r}",
            expected="seven ranks from the domain down, or names with a letter for their rank (d__, p__ ...)",
        )
    return parse_lineage(text)


def _canonical(lineage: Lineage) -> _Named:
    """The taxa of canonical ranks, with the domain found where it has no letter of its own.

    NCBI's superkingdoms became domains in 2025, a word for which MMseqs2 has no letter: it writes
    `-_cellular organisms;-_Bacteria;k_Pseudomonadati;p_...` and `-_Viruses;...`.
    """
    taxa = list(lineage)
    if all(taxon.rank != "domain" for taxon in taxa):
        top = next((i for i, taxon in enumerate(taxa) if taxon.name.lower() not in ABOVE_DOMAINS), None)
        if top is not None and taxa[top].rank in ("clade", "kingdom"):
            taxa[top] = taxa[top]._replace(rank="domain")
    at = [i for i in canonical_positions(tuple(taxa)) if i is not None and not is_no_taxon(taxa[i].name)]
    return _Named(tuple(Taxon(CANONICAL[taxa[i].rank], taxa[i].name) for i in at), tuple(at), len(taxa))


def _unnumbered(lineage: Lineage) -> Lineage:
    """A taxonomy's taxa as a written lineage has them; GTDB's taxdumps put `d__`, `p__` ... into the names."""
    return tuple(Taxon(taxon.rank, bare_name(taxon.name)) for taxon in lineage)
