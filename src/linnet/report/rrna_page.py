"""An examination of 16S models as one HTML page that needs nothing else: head, tables of figures, record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from linnet.examine import Examination
from linnet.report import rank_sections
from linnet.report import rrna_sections as sections
from linnet.report.html import Markup, definitions, page, paragraph, section, table
from linnet.report.meanings import MEANINGS
from linnet.report.reading import reading

_TITLE = "16S model, examined"

# What a column is headed, and the figure in it.
_PUBLISHED = {
    "accuracy": "accuracy",
    "F1, weighted": "f1_weighted",
    "precision, weighted": "precision_weighted",
    "recall, weighted": "accuracy",
    "ECE, known taxa": "ece_published",
    "top 3": "top3",
    "AUC": "auc_published",
}
_HONEST = {
    "in the reference": "ceiling",
    "accuracy, known taxa": "acc_known",
    "F1, macro": "f1_macro",
    "ECE, all": "ece",
    "ECE, debiased": "ece_debiased",
    "AUROC of confidence": "auroc",
    "AURC": "aurc",
}
_CUT = {
    "named": "cut_coverage",
    "of names, right": "cut_precision",
    "accuracy": "cut_accuracy",
    "wrong name, known taxa": "cut_mc",
    "no name, known taxa": "cut_uc",
    "named, unknown taxa": "cut_oc",
}
_TOP = {f"top {k}": f"top{k}" for k in (1, 3, 5, 10)}
_ENTROPY = {"right": "entropy_right", "wrong": "entropy_wrong", "unknown taxon": "entropy_unknown"}
_PLACEHOLDERS = {
    "accuracy, all": "accuracy",
    "accuracy, real names": "accuracy_named",
    "accuracy, placeholders": "accuracy_placeholders",
}


def render(found: Examination, version: str, notes: Sequence[str]) -> str:
    """The page.

    Args:
        notes: sentences about the input.
    """
    first = next(iter(found.figures))
    words = (
        f"What is of one model is of the first, {first}. All figures are per cent of queries unless said otherwise; "
        "'-' is not defined. Intervals are Wilson's, 95 %, and take queries as independent."
    )
    return page(
        f"linnet report rrna: {first}",
        [
            Markup(f"<h1>{_TITLE}</h1>"),
            *(paragraph(f"Warning: {warning}", "warning") for warning in found.warnings),
            paragraph(reading(found), "reading"),
            paragraph(words),
            _card(found),
            _placeholders(found),
            _candidates(found),
            sections.near_and_far(found),
            sections.regions(found),
            sections.mistakes(found),
            sections.confidence(found),
            sections.plane(found),
            sections.gene(found),
            rank_sections.record(found, "model", found.models, version, notes),
        ],
    )


def _card(found: Examination) -> Markup:
    said, cut = rank_sections.runs_said(found), f"{found.settings.confidence:g}"
    tables = [
        (_PUBLISHED, "As papers print them."),
        (_HONEST, "What is not printed."),
        (_CUT, f"After the cut at confidence {cut}."),
    ]
    spreads = partial(rank_sections.spreads, found, {"queries": "n", "of unknown taxa": "n_unknown"})
    return section(
        "card",
        "Accuracy and calibration",
        spreads(_PUBLISHED, f"As papers print them: every name counts, whatever its confidence ({said})."),
        spreads(_HONEST, f"What is not printed: how many could be right, calibration of all names ({said})."),
        spreads(_CUT, f"What a user gets: names are kept while their confidence is at least {cut} ({said})."),
        *(rank_sections.by_run(found, tables) if len(found.figures) > 1 else ()),
        rank_sections.accuracy(found, "queries"),
        definitions(MEANINGS),
    )


def _placeholders(found: Examination) -> Markup:
    caption = (
        "True names that stand where a name is missing are told by their words alone; a blank name ends the true "
        "lineage and is not counted at all."
    )
    counts = {"queries": "n", "with a placeholder": "n_placeholders"}
    told = rank_sections.spreads(found, counts, _PLACEHOLDERS, caption)
    return section("placeholders", "Placeholders apart", told)


def _candidates(found: Examination) -> Markup:
    entropy = [
        [rank, *(f"{means[name].mean:.3f}" if name in means else "-" for name in _ENTROPY.values())]
        for rank, means in found.spread.items()
    ]
    caption = (
        "Mean entropy, in nats, of the rank's distribution: over its clades and 'none of these'. 0 is certainty; "
        "'wrong' is of known taxa only."
    )
    among = "The true clade is among the k most probable of its rank, of all queries."
    return section(
        "candidates",
        "How near the right name was",
        rank_sections.spreads(found, {}, _TOP, among),
        table(["rank", *_ENTROPY], entropy, caption),
    )
