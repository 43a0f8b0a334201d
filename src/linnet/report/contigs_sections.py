"""The sections of the page that need no truth: transitions, what changed and why, length, time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linnet.changes import Kind
from linnet.contig_curves import DEEP, Estimate
from linnet.contig_examination import BEFORE, ContigExamination
from linnet.contig_examples import Example
from linnet.report import contigs_figures as draw
from linnet.report.contigs_sankey import sankey
from linnet.report.html import Markup, figures, folded, paragraph, section, table
from linnet.report.reading import share

_SHOWN = 10
"""Reasons that are not folded away."""

_NO_TRUTH = "Whether names are right is left out, as no truth was given (--truth)."


def transitions(found: ContigExamination) -> Markup:
    """Where labels went at every rank, as ribbons and as numbers."""
    first = [*found.tables][1]
    words = (
        f"From the labels before (left) to {first} (right), rank by rank. Kept: the same name with the same path above "
        "it; extended, the old label ended above this rank; newly labelled, there was no label; cut, the name is taken "
        "away; moved, another taxon here or above. Ribbons are as wide as the contigs, or the bases, that went that "
        "way. The twelve commonest taxa are told apart, before and after taken together."
    )
    ranks = [rank for rank in found.transitions if rank != "domain"] or [*found.transitions]
    opened = "genus" if "genus" in ranks else ranks[-1] if ranks else ""
    parts = [
        folded(
            rank[0].upper() + rank[1:],
            figures(
                (sankey(rank, found.transitions[rank], "contigs"), f"{rank}, contigs"),
                (sankey(rank, found.transitions[rank], "bases"), f"{rank}, bases"),
            ),
            opened=rank == opened,
        )
        for rank in ranks
    ]
    kinds = [kind.value for kind in Kind]
    rows = [[rank, *(f"{t.kinds[kind].contigs:,}" for kind in kinds)] for rank, t in found.transitions.items()]
    bases = [[rank, *(f"{t.kinds[kind].bases / 1e6:,.2f}" for kind in kinds)] for rank, t in found.transitions.items()]
    head = ["rank", *("no name, before and after" if kind == Kind.NONE else kind for kind in kinds)]
    numbers = folded(
        "In numbers", table(head, rows, "Contigs, by what became of their name at the rank."),
        table(head, bases, "The same of their bases, in Mbp."),
    )  # fmt: skip
    return section("transitions", "Where labels went", paragraph(words), *parts, numbers)


def changes(found: ContigExamination) -> Markup:
    """Kinds of change of whole labels, why, and examples."""
    head = ["change", "contigs", "Mbp"]
    rows: list[list[object]] = [
        [kind, f"{amount.contigs:,}", f"{amount.bases / 1e6:,.2f}"] for kind, amount in found.kinds.items()
    ]
    caption = "What became of whole labels. "
    if found.judged:
        head += ["with a truth", "right before", "right now", "wrong, now right", "right, now wrong"]
        for row in rows:
            j = found.judged[str(row[0])]
            row += [f"{n:,}" for n in (j.contigs, j.right_before, j.right_after, j.mended, j.harmed)]
        caption += (
            "Right: down to the last name, however far it goes; a contig without a name is neither right nor wrong."
        )
    else:
        caption += _NO_TRUTH
    parts = [table(head, rows, caption)]
    if found.reasons:
        told = [[kind, why, f"{a.contigs:,}", f"{a.bases / 1e6:,.2f}"] for kind, why, a in found.reasons]
        caption = "Reasons, as the table of changes tells them, numbers and names left out; the commonest first."
        parts.append(table(["change", "why", "contigs", "Mbp"], told[:_SHOWN], caption, words=True))
        if told[_SHOWN:]:
            parts.append(folded("Further reasons", table(["change", "why", "contigs", "Mbp"], told[_SHOWN:], "", True)))
    else:
        parts.append(paragraph("Reasons are left out, as no table of changes was given (--changes)."))
    if found.surest:
        parts.append(folded("The most confident moves", _examples(found.surest, "Of equally sure ones the longest.")))
    if found.most_harmful:
        caption = "Right labels that are wrong now: those wrong at the highest rank first, then the longest contigs."
        parts.append(folded("The most harmful changes", _examples(found.most_harmful, caption)))
    return section("changes", "What changed, and why", *parts)


def _examples(some: Sequence[Example], caption: str) -> Markup:
    true = any(e.true for e in some)
    head = ["contig", "bases", "change", "from rank", "old", "new", *(["true"] if true else []), "confidence", "why"]
    rows = [
        [e.contig, f"{e.bases:,}", e.change, e.rank, _path(e.old), _path(e.new), *([_path(e.true)] if true else []),
         "-" if e.confidence is None else f"{e.confidence:.3f}", e.why or "-"]
        for e in some
    ]  # fmt: skip
    return table(head, rows, caption, words=True)


def _path(lineage: str) -> str:
    return lineage.replace(";", " › ") or "no name"


def lengths(found: ContigExamination) -> Markup:
    """Figures by contig length."""
    tables, truth = [*found.tables], bool(found.evaluations)
    ranks = [rank for rank in DEEP if any(b.figures[rank] for b in found.lengths)]
    if not ranks:
        return section("length", "Contig length", paragraph("Left out, as no true lineage reaches the genus."))
    which = ("f1", "precision", "coverage") if truth else ("coverage",)
    means = {
        "f1": "F1",
        "precision": "Precision: of the names given, those that are right",
        "coverage": "Share named, rightly or wrongly",
    }
    bars = " Bars: 95 % intervals, genomes resampled; hollow: fewer than 20 contigs." if truth else ""
    drawings = [
        (draw.by_length(found.lengths, rank, name, tables), f"{means[name]}, by contig length, at {rank}.{bars}")
        for name in which
        for rank in ranks
    ]
    parts = [figures(*drawings), folded("In numbers", *_length_tables(found, ranks, which))]
    if not truth:
        parts.insert(0, paragraph(_NO_TRUTH))
    return section("length", "Contig length", *parts)


def _length_tables(found: ContigExamination, ranks: Sequence[str], which: Sequence[str]) -> Iterable[Markup]:
    words = {"f1": "F1", "precision": "precision", "coverage": "named"}
    for rank in ranks:
        rows = [
            [draw.length_word(b), name, f"{b.contigs:,}", f"{b.bases / 1e6:,.2f}",
             *(estimate(b.figures[rank][name].get(w)) for w in which)]
            for b in found.lengths
            for name in found.tables
            if name in b.figures[rank]
        ]  # fmt: skip
        yield table([rank, "table", "contigs", "Mbp", *(words[w] for w in which)], rows, "Per cent (95 % interval).")


def estimate(value: Estimate | None) -> str:
    """A share as per cent with its interval."""
    if value is None or value.value is None:
        return "-"
    return interval(value.value, value.interval)


def interval(value: float | None, ends: tuple[float, float] | None) -> str:
    """`81.2 (79.0-83.1)`, per cent."""
    told = share(value)
    return told if value is None or ends is None else f"{told} ({share(ends[0])}–{share(ends[1])})"


def time(found: ContigExamination) -> Markup:
    """How long runs took, by what they worked on."""
    title = "Time and volume"
    if not found.runs:
        words = "Left out, as no table of runs was given (--times; 'linnet correct --times FILE' adds a row a run)."
        return section("time", title, paragraph(words))
    parts = []
    if found.volume:
        caption = (
            f"Seconds by the clock against {found.volume}, one point a run. Lines: seconds = factor · {found.volume} ^ "
            "exponent, fitted by least squares of logarithms to runs of one tool with as many threads."
        )
        drawings = [(draw.time_by_volume(found, "seconds"), caption)]
        if any(run.peak_mb for run in found.runs):
            drawings.append((draw.time_by_volume(found, "peak_mb"), "Peak memory of the same runs, in 10^6 bytes."))
        parts.append(figures(*drawings))
        rows = [
            [group, fit.runs, f"{fit.exponent:.2f}" + ("" if fit.error is None else f" ± {fit.error:.2f}")]
            for group, fit in found.scaling.items()
        ]
        caption = "Exponents ± standard errors, which two runs do not have. 1: twice as much takes twice as long."
        parts.append(table(["runs of", "runs", "exponent"], rows, caption) if rows else paragraph(
            "No exponent: runs of one tool on different volumes are needed."))  # fmt: skip
    else:
        parts.append(paragraph("Not drawn: some runs tell contigs only and others bases only."))
    runs = [
        [run.group, *(_count(n) for n in (run.contigs, run.bases)), f"{run.seconds:,.1f}",
         "-" if run.cpu_seconds is None else f"{run.cpu_seconds:,.1f}", _count(run.peak_mb)]
        for run in found.runs
    ]  # fmt: skip
    parts.append(folded("Each run", table(["run", "contigs", "bases", "seconds", "CPU seconds", "peak MB"], runs, "")))
    return section("time", title, *parts)


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def record(
    found: ContigExamination, files: Sequence[tuple[str, str, str]], versions: str, notes: Sequence[str]
) -> Markup:
    """What was run: (what for, file, SHA-256) of each file."""
    cut = found.settings.confidence
    settings = [
        ["names below the cut are left out", "as the tables have it" if cut is None else f"below {cut:g}"],
        ["resamples of genomes", f"{found.settings.resamples:,}"],
        ["seed", str(found.settings.seed)],
    ]
    named = [["labels before" if name == BEFORE else name, *(f"{n:,}" for n in ranks.values())]
             for name, ranks in found.tables.items()]  # fmt: skip
    ranks = [*next(iter(found.tables.values()))]
    return section(
        "record",
        "What was run",
        table(["what for", "file", "SHA-256"], files, "", words=True),
        table(["what", "how many"], [[what, f"{n:,}"] for what, n in found.counts.items()], ""),
        table(["names kept in", *ranks], named, "Contigs with a name at each rank."),
        table(["setting", "value"], settings, versions, words=True),
        *(paragraph(note) for note in notes),
    )
