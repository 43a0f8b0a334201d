"""An examination of 16S models as one HTML page that needs nothing else: head, tables of figures, record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from linnet.examine import Examination
from linnet.report import rank_figures as draw
from linnet.report import rrna_sections as sections
from linnet.report.html import Markup, definitions, figures, folded, page, paragraph, section, table
from linnet.report.meanings import MEANINGS
from linnet.report.reading import reading, share, spread
from linnet.run_figures import Figures

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
            _record(found, version, notes),
        ],
    )


def _card(found: Examination) -> Markup:
    runs = len(found.averaged)
    said = f"mean ± standard deviation of {runs} runs" if runs > 1 else found.averaged[0]
    cut = f"{found.settings.confidence:g}"
    caption = (
        "Accuracy by rank with every name taken, of all queries and of those whose true taxon is in the reference; "
        "each rank among the queries whose truth reaches it, so that ranks are of different queries."
    )
    bars = " Points are means over runs, bars their standard deviation." if runs > 1 else ""
    return section(
        "card",
        "Accuracy and calibration",
        _spreads(found, _PUBLISHED, f"As papers print them: every name counts, whatever its confidence ({said})."),
        _spreads(found, _HONEST, f"What is not printed: how many could be right, calibration of all names ({said})."),
        _spreads(found, _CUT, f"What a user gets: names are kept while their confidence is at least {cut} ({said})."),
        *(_by_run(found) if len(found.figures) > 1 else ()),
        figures((draw.accuracy_by_rank(found.spread), caption + bars)),
        definitions(MEANINGS),
    )


def _by_run(found: Examination) -> Iterable[Markup]:
    """Each run by itself."""
    ranks = [*found.spread]
    rows = [[name, *(share(of[r].accuracy) for r in ranks)] for name, of in found.figures.items()]
    yield table(["run", *ranks], rows, f"Accuracy of each run. The mean is over: {', '.join(found.averaged)}.")
    for name, of_rank in found.figures.items():
        yield folded(
            f"Each figure of {name}",
            _of_run(of_rank, _PUBLISHED, "As papers print them."),
            _of_run(of_rank, _HONEST, "What is not printed."),
            _of_run(of_rank, _CUT, f"After the cut at confidence {found.settings.confidence:g}."),
        )


def _spreads(found: Examination, columns: Mapping[str, str], caption: str) -> Markup:
    first = next(iter(found.figures.values()))
    rows = [
        [
            rank,
            f"{first[rank].n:,}",
            f"{first[rank].n_unknown:,}",
            *(spread(means.get(name)) for name in columns.values()),
        ]
        for rank, means in found.spread.items()
    ]
    return table(["rank", "queries", "of unknown taxa", *columns], rows, caption)


def _of_run(ranks: Mapping[str, Figures], columns: Mapping[str, str], caption: str) -> Markup:
    rows = [[rank, *(share(getattr(found, name)) for name in columns.values())] for rank, found in ranks.items()]
    return table(["rank", *columns], rows, caption)


def _placeholders(found: Examination) -> Markup:
    first = next(iter(found.figures.values()))
    rows = [
        [
            rank,
            f"{f.n:,}",
            f"{f.n_placeholders:,}",
            *(spread(found.spread[rank].get(n)) for n in _PLACEHOLDERS.values()),
        ]
        for rank, f in first.items()
    ]
    caption = (
        "True names that stand where a name is missing are told by their words alone; a blank name ends the true "
        "lineage and is not counted at all."
    )
    head = ["rank", "queries", "with a placeholder", *_PLACEHOLDERS]
    return section("placeholders", "Placeholders apart", table(head, rows, caption))


def _candidates(found: Examination) -> Markup:
    top = [[rank, *(spread(means.get(name)) for name in _TOP.values())] for rank, means in found.spread.items()]
    entropy = [
        [rank, *(f"{means[name].mean:.3f}" if name in means else "-" for name in _ENTROPY.values())]
        for rank, means in found.spread.items()
    ]
    caption = (
        "Mean entropy, in nats, of the rank's distribution: over its clades and 'none of these'. 0 is certainty; "
        "'wrong' is of known taxa only."
    )
    return section(
        "candidates",
        "How near the right name was",
        table(["rank", *_TOP], top, "The true clade is among the k most probable of its rank, of all queries."),
        table(["rank", *_ENTROPY], entropy, caption),
    )


def _record(found: Examination, version: str, notes: Sequence[str]) -> Markup:
    models = [[name, *map(str, origin.values())] for name, origin in found.models.items()]
    heads = [*next(iter(found.models.values()))]
    counts = [[what, f"{n:,}"] for what, n in found.counts.items()]
    settings = [[name, _plain(value)] for name, value in asdict(found.settings).items()]
    return section(
        "record",
        "What was run",
        table(["model", *heads], models, "", words=True),
        table(["what", "how many"], counts, ""),
        table(["setting", "value"], settings, f"linnet {version}", words=True),
        *(paragraph(note) for note in notes),
    )


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
