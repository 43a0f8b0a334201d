"""What search tools say of contigs: their tables, recognised by content, one file a tool.

A reader offers `TOOL`, its name; `recognises(cells)`, told the first line's cells; and `read(rows, taxa)`, which yields
labels from the numbered lines of the table, split at tabs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType

from linnet.errors import UserError
from linnet.inputs import open_text
from linnet.labels import biobox, cat, centrifuge, kraken2, lineages, metabuli, mmseqs
from linnet.labels.label import Label
from linnet.labels.taxa import Taxa
from linnet.lineages import bare_name
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import RANKS, Lineage, Taxonomy

__all__ = ["Label", "LabelTable", "predictions", "read_labels"]

GAPS = "labels with gaps in ranks"
REPEATED = "rows that repeat another"

_NOT_LABELS = (
    (re.compile(r"\s*\d+(\.\d+)?\t\d+\t\d+\t|#clade_proportion\t|name\ttaxID\ttaxRank\t"), "a report that counts taxa"),
    (re.compile(r"[dk]__[^\t]*\t\d+$"), "a report that counts taxa"),
    (re.compile(r"[^\t]+\t\d+(\t[\d.]+){3,4}\t\d+\t[a-z ]+\t"), "a report that counts taxa"),  # of MMseqs2's targets
    (re.compile(r"# ORF\t"), "CAT's answer for each ORF"),
    (re.compile(r"([^\t]+\t){2}[\d.]+(\t\d+){7}\t[^\t]+\t\s*\d+"), "a table of alignments"),
    (re.compile(r"[>@][^\t]*$|\{"), "sequences or JSON"),
)
"""First lines of what is easily taken for a table of labels."""


@dataclass(frozen=True)
class LabelTable:
    """The labels of one file.

    Attributes:
        labels: by contig, only those that the file has rows of.
        tool: whose table it is.
        notes: counts of what was met on the way, by a description.
    """

    labels: dict[str, Label]
    tool: str
    notes: Counter[str]


def read_labels(path: str | Path, taxonomy: Taxonomy | None = None) -> LabelTable:
    """Read what a search tool says of contigs.

    MMseqs2, Kraken2, Centrifuge, Metabuli, CAT, Taxometer, CAMI's binning format, and tables of ids and lineages. A
    contig is known by the first word of its name.

    Args:
        taxonomy: looked up where the file has taxids; taxa have taxids only with one.

    Raises:
        UserError: no such file; an empty one; none of these tables; a row that does not fit; two answers to one contig;
            taxids without a taxonomy, or mostly of another.
    """
    taxa = Taxa(taxonomy, str(path))
    bare = cache(_bare)
    labels: dict[str, Label] = {}
    first: dict[str, int] = {}
    with open_text(path, "a table of labels") as file:
        rows = _rows(file)
        head = next(rows, None)
        if head is None:
            raise UserError("empty", where=str(path), expected="a table with a row for each contig")
        reader = _reader(head, str(path))
        for line, found in reader.read(chain([head], rows), taxa):
            contig = found.contig.split()[0] if found.contig.strip() else ""
            if not contig:
                raise UserError("a row without a contig", where=taxa.at(line), expected="its name")
            label = replace(found, contig=contig, lineage=bare(found.lineage))
            earlier = labels.setdefault(contig, label)
            if earlier.lineage != label.lineage:
                raise UserError(
                    f"contig '{contig}' has another label on line {first[contig]}",
                    where=taxa.at(line),
                    expected="one label for each contig",
                )
            taxa.notes[REPEATED] += earlier is not label
            first.setdefault(contig, line)
    taxa.check()
    for lineage, count in Counter(label.lineage for label in labels.values()).items():
        taxa.notes[GAPS] += count if _has_gap(lineage) else 0
    return LabelTable(labels, reader.TOOL, +taxa.notes)


def predictions(table: LabelTable) -> dict[str, Prediction]:
    """The labels as predictions to be judged; their confidences are the tool's scores, if it gives one a taxon."""
    return {contig: foreign(contig, label.lineage, label.scores) for contig, label in table.labels.items()}


def _rows(file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(file, 1):
        if text.strip():
            yield line, text.rstrip("\r\n").split("\t")


def _reader(head: tuple[int, list[str]], path: str) -> ModuleType:
    """The reader whose table this is; any other table with tabs or commas is one of ids and lineages."""
    line, cells = head
    text = "\t".join(cells)
    for reader in (mmseqs, kraken2, centrifuge, metabuli, cat, biobox):
        if reader.recognises(cells):
            return reader
    what = next((what for pattern, what in _NOT_LABELS if pattern.match(text)), "")
    if what or not ("\t" in text or "," in text):
        raise UserError(
            f"{what or 'no table'}: {text.strip()[:60]!r}",
            where=f"{path}, line {line}",
            expected="a table with a row for each contig",
            remedy="MMseqs2 writes it to *_lca.tsv, Kraken2 to --output, Centrifuge to -S, Metabuli to "
            "*_classifications.tsv, CAT to *.contig2classification.txt.",
        )
    return lineages


def _bare(lineage: Lineage) -> Lineage:
    """Without the `d__`, `p__` ... that GTDB's taxdumps have in the names."""
    return tuple(taxon._replace(name=bare_name(taxon.name)) for taxon in lineage)


def _has_gap(lineage: Lineage) -> bool:
    return [taxon.rank for taxon in lineage] != list(RANKS[: len(lineage)])
