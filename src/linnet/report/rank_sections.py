"""Parts of the pages of 16S and of protein models: figures by rank and run, strata in numbers, what wrong names look
like, what confidence is worth, what was run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from linnet.examine import Examination
from linnet.metrics import ReliabilityBin
from linnet.protein_examination import ProteinExamination
from linnet.ranking import RiskCoverage
from linnet.report import rank_figures as draw
from linnet.report.html import Markup, figures, folded, paragraph, section, table
from linnet.report.reading import share, spread
from linnet.strata import FEW, Stratum
from linnet.taxon_errors import Confusion, Kinship

METHODS = {
    "tsne": "t-SNE (perplexity 30, begun from principal components)",
    "umap": "UMAP (with its defaults)",
}
"""How vectors are laid out, in words."""

DEEP = ("genus", "species")

Columns = Mapping[str, str]
"""What each column is headed, and the figure in it."""


def runs_said(found: Examination | ProteinExamination) -> str:
    """What figures are over."""
    runs = len(found.averaged)
    return f"mean ± standard deviation of {runs} runs" if runs > 1 else found.averaged[0]


def accuracy(found: Examination | ProteinExamination, queries: str) -> Markup:
    """Accuracy at each rank, drawn; `queries` is what they are called."""
    caption = (
        f"Accuracy by rank with every name taken, of all {queries} and of those whose true taxon is in the reference; "
        f"each rank among the {queries} whose truth reaches it, so that ranks are of different {queries}."
    )
    bars = " Points are means over runs, bars their standard deviation." if len(found.averaged) > 1 else ""
    return figures((draw.accuracy_by_rank(found.spread), caption + bars))


def spreads(found: Examination | ProteinExamination, counts: Columns, columns: Columns, caption: str) -> Markup:
    """Means over runs, a row a rank.

    Args:
        counts: columns before them, of the first run.
    """
    first = next(iter(found.figures.values()))
    rows = [
        [
            rank,
            *(f"{getattr(first[rank], name):,}" for name in counts.values()),
            *(spread(means.get(name)) for name in columns.values()),
        ]
        for rank, means in found.spread.items()
    ]
    return table(["rank", *counts, *columns], rows, caption)


def by_run(found: Examination | ProteinExamination, tables: Sequence[tuple[Columns, str]]) -> Iterable[Markup]:
    """Each run by itself: its accuracy, and folded away the tables of these columns and captions."""
    ranks = [*found.spread]
    rows = [
        [name, *(share(of_rank[rank].accuracy) if rank in of_rank else "-" for rank in ranks)]
        for name, of_rank in found.figures.items()
    ]
    yield table(["run", *ranks], rows, f"Accuracy of each run. The mean is over: {', '.join(found.averaged)}.")
    for name, of_rank in found.figures.items():
        yield folded(f"Each figure of {name}", *(_of_run(of_rank, *of_table) for of_table in tables))


def _of_run(of_rank: Mapping[str, Any], columns: Columns, caption: str) -> Markup:
    rows = [[rank, *(share(getattr(found, name)) for name in columns.values())] for rank, found in of_rank.items()]
    return table(["rank", *columns], rows, caption)


def record(
    found: Examination | ProteinExamination,
    kind: str,
    origins: Mapping[str, Mapping[str, Any]],
    version: str,
    notes: Sequence[str],
) -> Markup:
    """What was run.

    Args:
        kind: what was asked: a model, or a run.
        origins: what each of them is, by name.
        notes: sentences about the input.
    """
    heads = [*dict.fromkeys(head for origin in origins.values() for head in origin)]
    rows = [[name, *(str(origin.get(head, "-")) for head in heads)] for name, origin in origins.items()]
    counts = [[what, f"{n:,}"] for what, n in found.counts.items()]
    settings = [[name, _plain(value)] for name, value in asdict(found.settings).items()]
    return section(
        "record",
        "What was run",
        table([kind, *heads], rows, "", words=True),
        table(["what", "how many"], counts, ""),
        table(["setting", "value"], settings, f"linnet {version}", words=True),
        *(paragraph(note) for note in notes),
    )


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def stratum_tables(strata: Mapping[str, Sequence[Stratum]]) -> Iterable[Markup]:
    """A table a rank."""
    for rank, some in strata.items():
        rows = [
            [
                s.label,
                f"{s.n:,}{' (few)' if 0 < s.n < FEW else ''}",
                f"{s.n_known:,}",
                share(s.accuracy),
                f"{share(s.interval[0])} to {share(s.interval[1])}" if s.interval else "-",
                share(s.acc_known),
            ]
            for s in some
        ]
        yield table([rank, "queries", "of known taxa", "accuracy", "interval", "of known taxa, right"], rows, "")


def mistakes(
    kinship: Mapping[str, Kinship], confusions: Mapping[str, Sequence[Confusion]], unnamed: bool, *more: Markup
) -> Markup:
    """How near wrong names are, and which taxa are confused.

    Args:
        unnamed: no query was given a name.
        more: what follows these.
    """
    parts = []
    if any(kin.wrong for kin in kinship.values()):
        caption = (
            "Of the wrong names at each rank (how many, in brackets): sister, the taxon one rank above is right; "
            "cousin, only the one two ranks above is; further, neither. Every name counts, whatever its confidence."
        )
        parts.append(figures((draw.kinship_of(kinship), caption)))
    for rank in DEEP:
        if some := confusions.get(rank):
            known = {True: "yes", False: "no", None: "-"}
            rows = [[c.true, c.given, f"{c.count:,}", known[c.known]] for c in some]
            head = [f"true {rank}", "name given", "queries", "true one in the reference"]
            parts.append(folded(f"The commonest confused pairs at {rank}", table(head, rows, "", words=True)))
    words = "No query was given a name." if unnamed else "No name given is wrong."
    return section("mistakes", "What wrong names look like", *(parts or [paragraph(words)]), *more)


def confidence(
    reliability: Mapping[str, Sequence[ReliabilityBin]],
    curves: Mapping[str, RiskCoverage],
    auroc: Mapping[str, float | None],
    ranks: Sequence[str] = DEEP,
) -> Markup:
    """Reliability at some ranks, and risk against coverage at all.

    Args:
        auroc: of confidence, by rank.
    """
    drawings = []
    for rank in ranks:
        if rank in reliability and any(b.count for b in reliability[rank]):
            caption = (
                f"Reliability at {rank}: {sum(b.count for b in reliability[rank]):,} names in ten bins of confidence, "
                "the share of each that is right (95 % interval), and below how many names lie there. Every name "
                "counts. Below the line, names are less often right than they say."
            )
            drawings.append((draw.reliability_of(rank, reliability[rank]), caption))
    if not curves:
        return section("confidence", "What confidence is worth", paragraph("No name has a confidence."))
    caption = (
        "Risk and coverage: when only the surest names are given, the wrong share of them, for every cut. A model that "
        "knows what it does not know stays low until far to the right."
    )
    drawings.append((draw.risk_coverage(curves), caption))
    rows = [
        [rank, f"{100 * curve.aurc:.2f}", f"{100 * curve.best:.2f}", share(auroc[rank])]
        for rank, curve in curves.items()
    ]
    caption = (
        "Area under the risk-coverage curve, and what it would be were every right name surer than every wrong one."
    )
    head = ["rank", "AURC", "least possible", "AUROC of confidence"]
    return section("confidence", "What confidence is worth", figures(*drawings), table(head, rows, caption))
