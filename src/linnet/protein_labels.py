"""Which taxon a protein is of, by its accession or its header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from linnet.accessions import accession, read_accessions, unversioned
from linnet.errors import UserError
from linnet.records import SequenceRecord, read
from linnet.taxonomy import Taxonomy

_TAXID = re.compile(r"(\bOX=|\[TaxId:|\bTaxID=)\s*([0-9]{1,18})\b")
_ATTRIBUTE = re.compile(r"\w+=\S")  # not the `DSM 2380 = JCM 10188` of organisms' names
_EGGNOG = re.compile(r"([0-9]{1,18})\.\S")
FOUND = ("accession table", "OX=", "[TaxId:]", "TaxID=", "taxid.locus", "[Organism]")
"""Notes of a labeller on proteins whose taxon it has found."""


class Labeller:
    """Finds the taxa of proteins, and counts how.

    The first way that tells of a taxon decides, also where that taxon is not in the tree: the table of accessions,
    then `OX=` (UniProt), `[TaxId:]` (SCOPe, MMseqs2) or `TaxID=` (UniRef), then ids `taxid.locus` where they are
    eggNOG's, then the organism in brackets at the end (RefSeq), which may have brackets in its name and stand at
    any rank: `MULTISPECIES: chaperone [[Clostridium] innocuum]`.

    `lineages.parse_header` is for headers that hold lineages; a semicolon makes one for it, and a protein's
    description is full of them.

    Args:
        accessions: taxids by id or accession, with or without version, as `read_accessions` returns them.
        eggnog: whether an id `1121949.AQXT01000001` begins with a taxid.

    Attributes:
        notes: each record once, by the way its taxon was found or the reason why not: 'deleted taxid', 'unknown
            taxid', 'unknown organism', 'name of several taxa', 'no label in the header'. Besides, how many of
            those found had a 'merged taxid'.
    """

    def __init__(
        self, taxonomy: Taxonomy, accessions: Mapping[str, int] | None = None, *, eggnog: bool = False
    ) -> None:
        self.taxonomy = taxonomy
        self.notes: Counter[str] = Counter()
        self._accessions: Mapping[str, int] = accessions or {}
        self._eggnog = eggnog
        self._node_of: dict[int, int | None] = {}

    def node(self, record: SequenceRecord) -> int | None:
        """The number of the record's taxon in the tree, or None."""
        way, taxid = self._taxid(record)
        if taxid is not None:
            return self._by_taxid(way, taxid)
        organism = _organism(record.description)
        if organism is None:
            self.notes["no label in the table or the header" if self._accessions else "no label in the header"] += 1
            return None
        nodes = self.taxonomy.nodes_named(organism)
        if len(nodes) != 1:
            self.notes["name of several taxa" if nodes else "unknown organism"] += 1
            return None
        self.notes["[Organism]"] += 1
        return nodes[0]

    def _taxid(self, record: SequenceRecord) -> tuple[str, int | None]:
        """The taxid of a record, and which way it was found."""
        if self._accessions:
            name = accession(record.id)
            for known in (record.id, name, unversioned(name)):
                if known in self._accessions:
                    return "accession table", self._accessions[known]
        if found := _TAXID.search(record.description):
            return "[TaxId:]" if found[1] == "[TaxId:" else found[1], int(found[2])
        if self._eggnog and (found := _EGGNOG.match(record.id)):
            return "taxid.locus", int(found[1])
        return "", None

    def _by_taxid(self, way: str, taxid: int) -> int | None:
        if taxid not in self._node_of:  # millions of records are of thousands of taxa
            self._node_of[taxid] = self.taxonomy.by_taxid(taxid)
        node = self._node_of[taxid]
        heir = self.taxonomy.retired.get(taxid)
        if node is None:
            self.notes["deleted taxid" if heir == 0 else "unknown taxid"] += 1
            return None
        self.notes[way] += 1
        if heir is not None:
            self.notes["merged taxid"] += 1
        return node


def _organism(description: str) -> str | None:
    """What stands in brackets at the end, brackets within it included; None for none, and for `[gbkey=CDS]`."""
    text = description.rstrip()
    if not text.endswith("]"):
        return None
    start = text.rfind("[")
    while start >= 0 and text.count("[", start) < text.count("]", start):  # brackets within it
        start = text.rfind("[", 0, start)
    name = text[start + 1 : -1].strip()
    return name if start >= 0 and name and not _ATTRIBUTE.match(name) else None


def labelled(
    paths: Sequence[Path], taxonomy: Taxonomy, tables: Sequence[Path], say: Callable[[str], None], *, eggnog: bool
) -> Iterator[tuple[SequenceRecord, int]]:
    """The proteins of some files whose taxon is known, and its node; at the end what was found is said.

    Args:
        tables: of accessions and taxids; the first that has an accession decides.
        eggnog: as for `Labeller`.

    Raises:
        UserError: no records, or none whose taxon is in the tree.
    """
    accessions: dict[str, int] = {}
    if tables:
        wanted = {id for path in paths for r in read(path, alphabet="protein") for id in (r.id, accession(r.id))}
        for table in reversed(tables):
            accessions |= read_accessions(table, wanted)
    labeller = Labeller(taxonomy, accessions, eggnog=eggnog)
    count = 0
    for path in paths:
        for record in read(path, alphabet="protein"):
            count += 1
            if (node := labeller.node(record)) is not None:
                yield record, node
    where, notes = ", ".join(map(str, paths)), labeller.notes
    if not count:
        raise UserError("no records", where=where, expected="proteins as FASTA")
    say(f"{count:,} records; " + "; ".join(f"{note}: {n:,}" for note, n in notes.most_common()))
    if not any(notes[way] for way in FOUND):
        raise UserError(
            f"none of {count:,} proteins has a taxon of the taxonomy", where=where,
            expected="headers with OX= or [Organism], or --accessions TABLE",
        )  # fmt: skip
    if notes["unknown taxid"] > count / 4:
        say(f"note: {notes['unknown taxid']:,} taxids are not in the taxonomy: is it the tree that they are of?")
