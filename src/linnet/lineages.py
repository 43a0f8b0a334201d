"""Lineages as people write them: tables and FASTA headers of every common dialect."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.taxonomy import CANONICAL, RANKS, Lineage, Taxon, Taxonomy

BLANK_NAMES = frozenset(
    [
        *("", "-", ".", "na", "n/a", "nan", "none", "null", "unknown", "unidentified", "unclassified"),
        *("unassigned", "uncultured", "uncultured bacterium", "uncultured organism", "uncultured archaeon"),
        *("metagenome", "ambiguous_taxa", "no_hit", "__"),
    ]
)
"""Words that stand where a name is missing; compared in lower case, blanks and underscores alike."""

_LETTER = dict(zip("dpcofgs", RANKS, strict=True)) | {
    "k": "domain", "sk": "domain", "r": "domain", "t": "strain", "x": "clade", "-": "clade",
}  # fmt: skip
_PREFIXES = (
    re.compile(r"^(?P<letter>sk|[dkpcofgstx])__(?P<name>.*)$"),  # Greengenes, GTDB, QIIME, MetaPhlAn
    re.compile(r"^D_(?P<level>\d+)__(?P<name>.*)$"),  # SILVA as QIIME 1 wrote it
    re.compile(r"^(?P<letter>[dkpcofgst]):(?P<name>.*)$"),  # SINTAX
)
_MMSEQS = re.compile(r"^(?P<letter>[-dkpcofgst])_(?P<name>[^_].*)$")
_SUPPORT = re.compile(r"\((\d+(?:\.\d+)?)\)$")
_RANK_COLUMNS = {rank: rank for rank in RANKS} | {"kingdom": "domain", "superkingdom": "domain"}
_ID_COLUMNS = ("feature id", "feature-id", "featureid", "id", "#otu id", "otu", "otu id", "asv", "asv_id", "record",
               "sequence_id", "seqid", "query", "accession", "name", "contigs", "")  # fmt: skip


@dataclass
class LineageTable:
    """Lineages by record id, and what was met on the way.

    Attributes:
        dialect: how the file writes them.
        notes: sentences' worth of counts: 'blank ranks', 'gaps', 'without a lineage' ...
    """

    lineages: dict[str, Lineage] = field(default_factory=dict)
    dialect: str = ""
    notes: Counter[str] = field(default_factory=Counter)


# ---------------------------------------------------------------------- one lineage


def parse_lineage(text: str, *, ranks: Sequence[str] = RANKS, notes: Counter[str] | None = None) -> Lineage:
    """The taxa of one written lineage; blank names are left out.

    Reads `d__B; p__P`, `k__B;p__P`, `D_0__B;D_1__P`, `d:B,p:P`, `d_B;p_P`, and bare names, which take
    `ranks` in order. A bare name among prefixed ones takes the rank after the one before it.

    Raises:
        UserError: more bare names than ranks.
    """
    return parse_scored(text, ranks=ranks, notes=notes)[0]


def parse_scored(
    text: str, *, ranks: Sequence[str] = RANKS, notes: Counter[str] | None = None
) -> tuple[Lineage, tuple[float, ...]]:
    """A lineage and the support written behind its names, `Bacteria(100);...`; no supports is ()."""
    notes = Counter() if notes is None else notes
    parts = [_unquoted(p.strip()) for p in _separate(text)]
    mmseqs = all(_MMSEQS.match(p) for p in parts if p)
    taxa: list[Taxon] = []
    supports: list[float] = []
    last, gap, bare = -1, False, 0
    for part in parts:
        support = _SUPPORT.search(part)
        if support and len(support[0]) < len(part):
            part = part[: support.start()]
        rank, name = _split_rank(part, mmseqs, any(t.rank == "domain" for t in taxa))
        if rank is None:
            if last + 1 >= len(ranks):
                raise UserError(
                    f"{len(parts)} names without ranks: {text[:80]!r}",
                    expected=f"at most {len(ranks)} ({', '.join(ranks)})",
                    remedy="Prefix the names (d__, p__ ...) or give a table with a column for each rank.",
                )
            rank = ranks[last + 1]
            bare += 1
        if rank in ranks:
            last = list(ranks).index(rank)
        if _is_blank(name, taxa):
            notes["blank ranks"] += 1
            gap = True
            continue
        notes["lineages with a gap"] += gap
        gap = False
        taxa.append(Taxon(rank, name))
        if support:
            supports.append(float(support[1]))
    notes["bare names among prefixed ones"] += bare if bare < len(parts) else 0
    return tuple(taxa), tuple(supports) if len(supports) == len(taxa) else ()


def _unquoted(part: str) -> str:
    """RDP's files put some names in double quotes."""
    return part[1:-1] if len(part) > 1 and part[0] == part[-1] == '"' else part


def _separate(text: str) -> list[str]:
    text = text.strip().strip(";").strip()
    if not text:
        return []
    separator = ";" if ";" in text else "|" if "|" in text and "__" in text else ","
    if separator == "," and not re.match(r"^[a-z]:", text):
        separator = ";"
    parts = text.split(separator)
    return parts[1:] if parts and parts[0].strip().lower() in ("root", "root(100)") else parts


def _split_rank(part: str, mmseqs: bool, has_domain: bool) -> tuple[str | None, str]:
    for pattern in (*_PREFIXES, *((_MMSEQS,) if mmseqs else ())):
        match = pattern.match(part)
        if match is None:
            continue
        groups = match.groupdict()
        if "level" in groups:
            level = int(groups["level"])
            return (RANKS[level] if level < len(RANKS) else f"level {level}"), match["name"].strip()
        letter = match["letter"]
        if letter == "k" and has_domain:
            return "kingdom", match["name"].strip()
        return _LETTER[letter], match["name"].strip()
    return None, part


def bare_name(text: str) -> str:
    """A name without the prefix that tells its rank."""
    return _split_rank(text, False, False)[1]


def _is_blank(name: str, above: Sequence[Taxon] = ()) -> bool:
    """Whether a name stands for none: one of the words for that, or DeepTaxa's `Unclassified_<last name above>`."""
    if above and name == f"Unclassified_{above[-1].name}":
        return True
    return name.lower().replace("_", " ").strip() in BLANK_NAMES or name.lower() in BLANK_NAMES


# ---------------------------------------------------------------------- headers


def parse_header(header: str, taxonomy: Taxonomy | None = None) -> Lineage | None:
    """The lineage in a FASTA header, or None if it has none.

    SINTAX `;tax=d:B,p:P;`, DADA2 `B;P;C;`, SILVA `ID B;P;C`, DADA2 species `ID Genus species`, UniProt
    `OS=... OX=taxid`, RefSeq `... [Genus species]`. A taxid is looked up in `taxonomy` where one is given.
    """
    tax = re.search(r";tax=([^;]*)", header)
    if tax:
        return parse_lineage(tax[1])
    uniprot = re.search(r"\bOS=(.+?) OX=(\d+)", header)
    if uniprot:
        return _resolve(Taxon("species", uniprot[1].strip(), int(uniprot[2])), taxonomy)
    id, _, rest = header.partition("\t" if "\t" in header else " ")
    if ";" in rest:
        return parse_lineage(rest)
    if ";" in id:
        return parse_lineage(header)
    refseq = re.search(r"\[([^\[\]]+)\]\s*$", header)
    if refseq:
        return _resolve(Taxon("species", refseq[1].strip()), taxonomy)
    words = rest.split()
    if len(words) >= 2 and words[0][:1].isupper() and words[1][:1].islower():
        return (Taxon("genus", words[0]), Taxon("species", f"{words[0]} {words[1]}"))
    return None


def id_of_reference(header: str, count: int) -> str:
    """The id of the `count`-th record of references: where DADA2 puts the lineage in its stead, a number."""
    id = header.split(None, 1)[0] if header else ""
    return f"reference{count}" if ";" in id and ";tax=" not in id else id


def _resolve(taxon: Taxon, taxonomy: Taxonomy | None) -> Lineage:
    if taxonomy is None:
        return (taxon,)
    if taxon.taxid:
        node = taxonomy.by_taxid(taxon.taxid)
        return taxonomy.lineage(node) if node is not None else ()
    nodes = taxonomy.nodes_named(taxon.name)
    return taxonomy.lineage(nodes[0]) if len(nodes) == 1 else ()


# ---------------------------------------------------------------------- tables


def read_lineages(path: str | Path, *, taxonomy: Taxonomy | None = None) -> LineageTable:
    """Read lineages by record id from a table or from FASTA headers, telling the dialect by content.

    Args:
        path: `id TAB lineage`, with or without a header (QIIME, Greengenes, GTDB, SILVA, mothur); `id TAB
            taxid`; a CSV or TSV with a column for each rank (DADA2, phyloseq); or FASTA with lineages in
            its headers. Ids are text, also when they are all digits.
        taxonomy: looked up where the file has taxids.

    Raises:
        UserError: no such file; a line that does not fit (named); one id with two lineages.
    """
    table = LineageTable()
    first: dict[str, int] = {}
    for line, id, lineage in _rows(Path(path), taxonomy, table):
        if table.lineages.setdefault(id, lineage) != lineage:
            raise UserError(
                f"record '{id}' has another lineage on line {first[id]}",
                where=f"{path}, line {line}",
                expected="one lineage for each record id",
            )
        if first.setdefault(id, line) != line:
            table.notes["repeated ids"] += 1
        if not lineage:
            table.notes["without a lineage"] += 1
    table.notes = +table.notes  # drop what did not occur
    if not table.lineages:
        raise UserError("no lineages", where=str(path), expected="lines of 'id<TAB>lineage', or a column for each rank")
    return table


def _rows(path: Path, taxonomy: Taxonomy | None, table: LineageTable) -> Iterator[tuple[int, str, Lineage]]:
    with open_text(path, "a table of lineages, or FASTA") as file:
        lines = ((n, text.rstrip("\r\n")) for n, text in enumerate(file, 1))
        head = next(((n, t) for n, t in lines if t.strip()), None)
        if head is None:
            return
        if head[1].startswith(">"):
            table.dialect = "FASTA headers"
            yield from _fasta_rows(head, lines, taxonomy, table)
            return
        ranks = _rank_columns(head[1])
        if ranks is not None:
            table.dialect = "a column for each rank"
            yield from _column_rows(head[1], ranks, lines, str(path), table)
        else:
            table.dialect = "id and lineage"
            yield from _pair_rows(head, lines, taxonomy, str(path), table)


def _fasta_rows(
    head: tuple[int, str], lines: Iterator[tuple[int, str]], taxonomy: Taxonomy | None, table: LineageTable
) -> Iterator[tuple[int, str, Lineage]]:
    headers = ((n, text[1:].strip()) for n, text in _chain(head, lines) if text.startswith(">"))
    for count, (number, header) in enumerate(headers, 1):
        lineage = parse_header(header, taxonomy)
        if lineage is None:
            table.notes["headers without a lineage"] += 1
        yield number, id_of_reference(header, count), lineage or ()


def _chain(head: tuple[int, str], lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield head
    yield from lines


def _rank_columns(line: str) -> dict[int, str] | None:
    """Which columns of a header line hold which rank, or None if it is not such a header."""
    cells = next(csv.reader([line], delimiter="\t" if "\t" in line else ","))
    names = [c.strip().strip('"').lower() for c in cells]
    ranks = {i: _RANK_COLUMNS[n] for i, n in enumerate(names) if n in _RANK_COLUMNS}
    if "domain" in names and "kingdom" in names:
        ranks[names.index("kingdom")] = "kingdom"
    return ranks if len(ranks) >= 2 else None


def _column_rows(
    header: str, ranks: dict[int, str], lines: Iterator[tuple[int, str]], path: str, table: LineageTable
) -> Iterator[tuple[int, str, Lineage]]:
    delimiter = "\t" if "\t" in header else ","
    names = [c.strip().lower() for c in next(csv.reader([header], delimiter=delimiter))]
    id_column = next((names.index(n) for n in _ID_COLUMNS if n in names), 0)
    ordered = sorted(ranks.items(), key=lambda item: RANKS.index(CANONICAL.get(item[1], "domain")))
    for number, text in lines:
        if not text.strip():
            continue
        cells = next(csv.reader([text], delimiter=delimiter))
        shift = len(cells) - len(names)  # R writes no name over its row names
        if shift not in (0, 1):
            raise UserError(
                f"{len(cells)} cells",
                where=f"{path}, line {number}",
                expected=f"{len(names)}, as in the header",
            )
        taxa: list[Taxon] = []
        for column, rank in ordered:
            name = bare_name(cells[column + shift].strip())
            if _is_blank(name, taxa):
                table.notes["blank ranks"] += 1
            else:
                taxa.append(Taxon(rank, name))
        yield number, cells[0 if shift else id_column].strip(), tuple(taxa)


def _pair_rows(
    head: tuple[int, str],
    lines: Iterator[tuple[int, str]],
    taxonomy: Taxonomy | None,
    path: str,
    table: LineageTable,
) -> Iterator[tuple[int, str, Lineage]]:
    id_column, column = _pair_columns(head[1])
    if column is None:
        id_column, column, lines = 0, 1, _chain(head, lines)
    for number, text in lines:
        if not text.strip() or text.startswith("#"):
            continue
        cells = text.split("\t")
        if len(cells) <= max(id_column, column):
            raise UserError(
                f"one cell: {text[:60]!r}",
                where=f"{path}, line {number}",
                expected="id and lineage, separated by a tab",
            )
        id, value = cells[id_column].strip(), cells[column].strip()
        yield number, id, _value_lineage(value, taxonomy, f"{path}, line {number}", table)


def _pair_columns(line: str) -> tuple[int, int | None]:
    """Where a header line puts the id and the lineage (or taxid); None if it is not a header."""
    cells = [c.strip().lower() for c in line.split("\t")]
    for name in ("taxon", "taxonomy", "lineage", "predictions", "taxid", "tax_id"):
        if name in cells:
            column = cells.index(name)
            ids = [c for n in _ID_COLUMNS if n in cells for c in [cells.index(n)] if c != column]
            if "accession.version" in cells:
                ids.insert(0, cells.index("accession.version"))
            return (ids[0] if ids else 0), column
    return 0, None


def _value_lineage(value: str, taxonomy: Taxonomy | None, where: str, table: LineageTable) -> Lineage:
    if not value.isdigit():
        try:
            return parse_lineage(value, notes=table.notes)
        except UserError as error:
            raise UserError(error.found, where=where, expected=error.expected, remedy=error.remedy) from None
    if taxonomy is None:
        raise UserError(
            f"taxid {value} instead of a lineage",
            where=where,
            expected="a lineage, or a taxonomy in which to look the taxid up",
            remedy="Give the NCBI taxdump that they belong to (--taxdump in training, else --taxonomy).",
        )
    node = taxonomy.by_taxid(int(value))
    if node is None:
        table.notes["unknown or deleted taxids"] += 1
        return ()
    return taxonomy.lineage(node)
