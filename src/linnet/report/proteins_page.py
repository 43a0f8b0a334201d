"""An examination of protein models as one HTML page that needs nothing else: head, tables of figures, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from linnet.metrics import wilson
from linnet.protein_examination import ProteinExamination
from linnet.report import proteins_sections as sections
from linnet.report import rank_sections
from linnet.report.html import Markup, definitions, folded, page, paragraph, section, table
from linnet.report.meanings import MEANINGS
from linnet.report.reading import share

_TITLE = "Protein model, examined"
_RANKS = ("domain", "phylum", "family", "genus")
"""Ranks whose reliability is drawn."""

# What a column is headed, and the figure in it.
_NAMES = {
    "accuracy": "accuracy",
    "in the reference": "ceiling",
    "accuracy, known taxa": "acc_known",
    "precision": "precision",
    "named": "coverage",
    "F1, macro": "f1_macro",
    "F1, weighted": "f1_weighted",
}
_CONFIDENCE = {
    "ECE": "ece",
    "ECE, debiased": "ece_debiased",
    "Brier": "brier",
    "AUROC of confidence": "auroc",
    "AURC": "aurc",
}
_CUT = {
    "coverage": "cut_coverage",
    "precision": "cut_precision",
    "recall": "cut_recall",
    "wrong name, known taxa": "cut_mc",
    "no name, known taxa": "cut_uc",
    "named, novel taxa": "cut_oc",
}
_MEANINGS = (
    (
        "precision, recall, coverage",
        "Right names divided by names given; right names divided by all proteins whose truth reaches the rank; names "
        "given divided by these. With every name taken recall is the accuracy.",
    ),
    (
        "Brier",
        "Mean squared difference between the confidence of a name and 1 if it is right, 0 if not (Brier 1950).",
    ),
)
_TOLD = {
    "accuracy", "F1, macro", "ECE", "in the reference, known, unknown", "wrong name, no name, named (unknown taxa)",
    "AUROC of confidence", "AURC",
}  # fmt: skip


def render(
    found: ProteinExamination, version: str, notes: Sequence[str], ablations: Sequence[Mapping[str, Any]]
) -> str:
    """The page.

    Args:
        notes: sentences about the input.
        ablations: variants, each a 'name' and 'figures'.
    """
    first = next(iter(found.figures))
    words = (
        f"What is of one run is of the first, {first}; vectors and ways are of the first model. All figures are per "
        "cent of proteins unless said otherwise; '-' is not defined. Intervals are Wilson's, 95 %, and take proteins "
        "as independent, which those of one organism or one family are not: they are the least that they can be."
    )
    of_first = found.figures[first]
    return page(
        f"linnet report proteins: {first}",
        [
            Markup(f"<h1>{_TITLE}</h1>"),
            *(paragraph(f"Warning: {warning}", "warning") for warning in found.warnings),
            paragraph(_reading(found), "reading"),
            paragraph(words),
            _card(found),
            sections.lineages(found),
            sections.novelty(found),
            sections.groups(found),
            sections.tree(found),
            sections.mistakes(found),
            rank_sections.confidence(
                found.reliability, found.curves, {rank: f.auroc for rank, f in of_first.items()}, _RANKS
            ),
            sections.plane(found),
            sections.ways(found),
            sections.ablations(ablations),
            rank_sections.record(found, "run", found.runs, version, notes),
        ],
    )


def _reading(found: ProteinExamination) -> str:
    """The paragraph at the top, of the first run."""
    first = next(iter(found.figures))
    whole, kept = found.lineages[first]["whole"], found.lineages[first]["kept"]
    runs = f"{len(found.figures)} runs" if len(found.figures) > 1 else "one run"
    sentences = [
        f"{found.counts['queries']:,} proteins of {found.counts['taxa of queries']:,} taxa were asked of {runs}; of "
        f"{found.counts['queries of a taxon that the reference lacks']:,} the reference lacks the taxon.",
        f"{first} shares {share(whole.shared.mean)} % of the true path on average with every name taken, and "
        f"{share(kept.shared.mean)} % in what it keeps at confidence {found.settings.confidence:g}; 1 - nRF is "
        f"{share(whole.inverted_rf.mean)} % and {share(kept.inverted_rf.mean)} %.",
    ]
    for rank in ("domain", "phylum", "genus"):
        if f := found.figures[first].get(rank):
            precision = f"{share(f.cut_precision)} % of these names are right" if f.cut_coverage else "none is named"
            sentences.append(
                f"At {rank}, {share(f.accuracy)} % of {f.n:,} are named right; after the cut {share(f.cut_coverage)} % "
                f"keep a name, {precision}."
            )
    return " ".join(sentences)


def _card(found: ProteinExamination) -> Markup:
    said, cut = rank_sections.runs_said(found), f"{found.settings.confidence:g}"
    tables = [(_NAMES, "Every name."), (_CUT, f"After the cut at confidence {cut}."), (_CONFIDENCE, "Confidence.")]
    spreads = partial(rank_sections.spreads, found, {"proteins": "n", "of novel taxa": "n_novel"})
    return section(
        "card",
        "Ranks",
        spreads(_NAMES, f"Every name counts, whatever its confidence ({said})."),
        spreads(_CUT, f"What a user gets: names are kept while their confidence is at least {cut} ({said})."),
        spreads(_CONFIDENCE, f"What the confidence of every name is worth ({said})."),
        _intervals(found),
        *(rank_sections.by_run(found, tables) if len(found.figures) > 1 else ()),
        rank_sections.accuracy(found, "proteins"),
        definitions([*_MEANINGS, *(meaning for meaning in MEANINGS if meaning[0] in _TOLD)]),
    )


def _intervals(found: ProteinExamination) -> Markup:
    """Accuracy, precision and coverage of the first run with their intervals."""
    first = next(iter(found.figures))

    def cell(value: float | None, n: int) -> str:
        if value is None or not n:
            return "-"
        low, high = wilson(round(value * n), n)
        return f"{share(value)} ({share(low)} to {share(high)})"

    rows = []
    for rank, f in found.figures[first].items():
        named, kept = round((f.coverage or 0) * f.n), round((f.cut_coverage or 0) * f.n)
        rows.append(
            [rank, cell(f.accuracy, f.n), cell(f.precision, named), cell(f.cut_coverage, f.n),
             cell(f.cut_precision, kept), cell(f.cut_recall, f.n)]
        )  # fmt: skip
    head = ["rank", "accuracy", "precision", "coverage, cut", "precision, cut", "recall, cut"]
    return folded("With intervals", table(head, rows, f"Of {first}: 95 % intervals (Wilson 1927)."))
