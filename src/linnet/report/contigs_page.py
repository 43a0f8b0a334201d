"""A correction of contigs' labels as one HTML page that needs nothing else: head, and what needs a truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linnet.contig_curves import DEEP
from linnet.contig_evaluation import RankContigs
from linnet.contig_examination import BEFORE, ContigExamination
from linnet.contig_fates import FATES
from linnet.contig_scores import PairedDifference
from linnet.errors import UsageError
from linnet.report import contigs_figures as draw
from linnet.report import contigs_sections as sections
from linnet.report import drawing
from linnet.report.contigs_reading import reading, signed
from linnet.report.contigs_sections import interval
from linnet.report.html import Markup, definitions, figures, folded, page, paragraph, section, table
from linnet.report.reading import share

_TITLE = "Contig labels, before and after"

_MEANINGS = (
    ("right", "A name is right only if the whole path down to it is. A name below the end of the truth is wrong."),
    ("precision", "Right names divided by all names given at the rank."),
    ("recall", "Right names divided by the contigs whose truth reaches the rank."),
    ("F1", "The harmonic mean of the two. By bases, each contig counts as many times as it has bases."),
    ("named", "Contigs that have a name at the rank, rightly or wrongly, divided by all."),
    ("corrected", "Of the names that were wrong before, those that are right now."),
    ("harmed", "Of the names that were right before, those that are wrong now; those taken away are 'cut'."),
    ("newly right", "Of the contigs without a name at the rank before, those that now have the right one."),
    ("wrong on absent", "Of the contigs whose true taxon the reference lacks, those with a name at the rank."),
    (
        "area",
        "Under precision against coverage, as the cut on the confidence falls: the mean over contigs of the precision "
        "among names at least as sure; a contig without a name adds 0.",
    ),
    (
        "interval",
        "Percentiles of a bootstrap that draws whole genomes with replacement, as contigs of one genome stand or fall "
        "together; 95 %. It says nothing of other communities, tools or databases.",
    ),
)

_NOVEL = {
    "species": "species absent, genus known",
    "genus": "genus absent, family known",
    "family": "family absent, or more",
}


def check(tables: Sequence[str]) -> None:
    """Make sure that the page can be drawn, before anything long is begun.

    Raises:
        UserError: as `drawing.check`.
        UsageError: more tables than colours.
    """
    drawing.check()
    if len(tables) > draw.MOST_TABLES:
        raise UsageError(f"{len(tables)} tables", expected=f"1 to {draw.MOST_TABLES}, as colours tell apart")


def render(found: ContigExamination, files: Sequence[tuple[str, str, str]], versions: str, notes: Sequence[str]) -> str:
    """The page.

    Args:
        files: what for, name and SHA-256 of each file read.
        notes: sentences about the input.
    """
    first = [*found.tables][1]
    words = f"'{BEFORE}' are the labels that were corrected. What is of one table is of the first, {first}."
    if found.evaluations:
        words += " Figures are per cent unless said otherwise; '-' is not defined."
    return page(
        _TITLE,
        [
            Markup(f"<h1>{_TITLE}</h1>"),
            paragraph(reading(found), "reading"),
            paragraph(words),
            sections.transitions(found),
            _performance(found),
            sections.lengths(found),
            _confidence(found),
            sections.changes(found),
            _novel(found),
            sections.time(found),
            sections.record(found, files, versions, notes),
        ],
    )


def _performance(found: ContigExamination) -> Markup:
    title = "Right and wrong names"
    if not found.evaluations:
        return section("performance", title, paragraph("Left out, as no truth was given (--truth)."))
    genomes = found.evaluations[BEFORE].genomes
    bars = f"Bars: 95 % intervals over {genomes:,} genomes, resampled."
    drawings = [(draw.f1_by_rank(found, "contigs"), f"F1 at every rank, each contig counting once. {bars}")]
    if all(e.bases for e in found.evaluations.values()):
        drawings.append((draw.f1_by_rank(found, "bases"), f"The same, each contig counting by its bases. {bars}"))
    return section(
        "performance",
        title,
        figures(*drawings),
        _f1_table(found),
        _change_table(found),
        folded("Precision, recall and share named", *_figure_tables(found)),
        definitions(_MEANINGS),
    )


def _f1_table(found: ContigExamination) -> Markup:
    rows = []
    for rank in found.evaluations[BEFORE].ranks:
        f1 = [interval(e.ranks[rank].contigs.f1, e.ranks[rank].intervals.get("f1")) for e in found.evaluations.values()]
        less = [found.differences[name].ranks[rank].get("f1") for name in found.differences]
        rows.append([rank, *f1, *map(_difference, less)])
    head = ["F1", *found.evaluations, *(f"{name} less {BEFORE}" for name in found.differences)]
    return table(head, rows, "F1 by contigs (95 % interval); differences in points, genomes resampled in pairs.")


def _difference(d: PairedDifference | None) -> str:
    if d is None:
        return "-"
    ends = "" if d.interval is None else f" ({signed(d.interval[0])} to {signed(d.interval[1])})"
    return f"{signed(d.difference)}{ends}"


def _change_table(found: ContigExamination) -> Markup:
    rows = []
    absent = any(r.wrong_on_absent is not None for e in found.evaluations.values() for r in e.ranks.values())
    for name, e in found.evaluations.items():
        for rank, of in e.ranks.items():
            if name == BEFORE and not (absent and of.absent):
                continue
            rows.append([f"{name}, {rank}", *_changed(of), *([_absent(of), f"{of.absent or 0:,}"] if absent else [])])
    head = ["table and rank", "corrected", "harmed", "cut", "newly right"]
    caption = "What became of names, by contigs (95 % interval)."
    if absent:
        head += ["wrong on absent", "contigs of absent taxa"]
    else:
        caption += " Names on taxa that the reference lacks are left out, as no reference was given (--reference)."
    return table(head, rows, caption)


def _changed(of: RankContigs) -> list[str]:
    names = ("corrected", "harmed", "cut", "newly_right")
    return [interval(getattr(of.change, name) if of.change else None, of.intervals.get(name)) for name in names]


def _absent(of: RankContigs) -> str:
    return interval(of.wrong_on_absent, of.intervals.get("wrong_on_absent"))


def _figure_tables(found: ContigExamination) -> Iterable[Markup]:
    for by in ("contigs", "bases"):
        rows = []
        for name, e in found.evaluations.items():
            for rank, of in e.ranks.items():
                figures_ = getattr(of, by)
                if figures_ is None:
                    continue
                ends = of.intervals if by == "contigs" else of.base_intervals
                told = ("precision", "recall", "f1", "coverage")
                rows.append([f"{name}, {rank}", *(interval(getattr(figures_, w), ends.get(w)) for w in told),
                             share(figures_.macro_f1)])  # fmt: skip
        if rows:
            head = [f"by {by}", "precision", "recall", "F1", "named", "F1, mean over taxa"]
            yield table(head, rows, "Per cent (95 % interval).")


def _confidence(found: ContigExamination) -> Markup:
    title = "What confidence is worth"
    if not found.evaluations:
        return section("confidence", title, paragraph("Left out, as no truth was given (--truth)."))
    if not found.curves:
        return section("confidence", title, paragraph("Left out, as no true lineage reaches the genus."))
    drawings = []
    silent = [name for name, e in found.evaluations.items()
              if not any(b.count for r in e.ranks.values() for b in r.reliability)]  # fmt: skip
    for rank in DEEP:
        if any(rank in e.ranks and any(b.count for b in e.ranks[rank].reliability) for e in found.evaluations.values()):
            caption = (
                f"Reliability at {rank}: names in ten bins of confidence, the share of each that is right (95 % Wilson "
                "interval, contigs as if independent), and below how many names lie there. Under the dashed line, "
                "names are less often right than they say."
            )
            drawings.append((draw.reliability_of(found, rank), caption))
    for rank in found.curves:
        caption = (
            f"Precision at {rank} when only the surest names are given, for every cut, and the area under it. A table "
            "without confidences is a point. Tables that hold names only down to their cut end there."
        )
        drawings.append((draw.precision_coverage(found, rank), caption))
    parts = [figures(*drawings)] if drawings else []
    if silent:
        parts.append(paragraph(f"Without confidences: {', '.join(silent)}."))
    rows = [
        [name, *(f"{found.curves[rank][name].area:.3f}" for rank in found.curves),
         *(share(e.ranks[rank].ece_debiased) if rank in e.ranks else "-" for rank in found.curves)]
        for name, e in found.evaluations.items()
    ]  # fmt: skip
    head = ["table", *(f"area, {rank}" for rank in found.curves), *(f"ECE, {rank}" for rank in found.curves)]
    caption = (
        "Area under precision against coverage; calibration error in ten bins, less what chance adds, per cent. An "
        "area is never larger than the share of contigs named: tables that end at a cut have less of it."
    )
    return section("confidence", title, *parts, table(head, rows, caption))


def _novel(found: ContigExamination) -> Markup:
    title = "Taxa that the reference lacks"
    if not found.novel:
        lacks = [flag for flag, there in (("--truth", found.evaluations), ("--reference", "lineages of the reference" in
                 found.counts)) if not there]  # fmt: skip
        words = f"Left out, as these were not given: {', '.join(lacks)}." if lacks else "No contig is of such a taxon."
        return section("novel", title, paragraph(words))
    caption = (
        "Where names of contigs of absent taxa end. Exact: at the deepest true taxon that the reference has. Above: "
        "rightly, but higher. Below: from there they go on to a name that the contig is not of. Wrong branch: already "
        "wrong at that taxon or above it."
    )
    rows = [
        [f"{_NOVEL[rank]}: {name}", f"{novel.contigs:,}", f"{novel.genomes:,}",
         *(f"{fates[fate]:,} ({share(fates[fate] / novel.contigs)} %)" for fate in FATES)]
        for rank, novel in found.novel.items()
        for name, fates in novel.fates.items()
    ]  # fmt: skip
    numbers = folded("In numbers", table(["absent, and table", "contigs", "genomes", *FATES], rows, ""))
    retained = [[name, f"{e.novel.n:,}", share(e.novel.retained), share(e.novel.exact)]
                for name, e in found.evaluations.items() if e.novel]  # fmt: skip
    head = ["table", "contigs of absent species", "retained", "exact"]
    said = "Retained: a right name that ends where the reference does or above; exact: just there. Per cent."
    parts = [table(head, retained, said)] if retained else []
    return section("novel", title, figures((draw.fates_of(found, _NOVEL), caption)), *parts, numbers)
