"""The sections of the page that have figures: near and far, regions, mistakes, confidence, vectors, the gene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from linnet.examine import WHOLE, Examination
from linnet.report import rrna_figures as draw
from linnet.report.html import Markup, figures, folded, paragraph, section, table
from linnet.report.reading import share
from linnet.strata import FEW, Stratum

_METHODS = {
    "tsne": "t-SNE (perplexity 30, begun from principal components)",
    "umap": "UMAP (with its defaults)",
}


def near_and_far(found: Examination) -> Markup:
    """Accuracy by identity to the nearest reference, and by number of references."""
    few = f"Bars: 95 % intervals. Hollow: fewer than {FEW} queries."
    drawings, parts = [], []
    if found.identity:
        caption = (
            "Accuracy by identity to the nearest reference sequence: of the references that share most 8-mers with the "
            f"query, the best alignment (edlib). {few}"
        )
        drawings.append((draw.strata_of(found.identity, "identity", "identity to the nearest reference"), caption))
        parts.append(folded("Identity in numbers", *_stratum_tables(found.identity)))
    else:
        parts.append(paragraph("Identity to the nearest reference was not asked for (--reference-sequences)."))
    caption = (
        "Accuracy by how many references the true taxon of that rank has. With none it cannot be named rightly. " + few
    )
    drawings.append((draw.strata_of(found.references, "references", "references of the true taxon"), caption))
    parts.append(folded("References in numbers", *_stratum_tables(found.references)))
    return section("near", "Near and far from the references", figures(*drawings), *parts)


def _stratum_tables(strata: Mapping[str, Sequence[Stratum]]) -> Iterable[Markup]:
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


def regions(found: Examination) -> Markup:
    """Every model on every region."""
    compared, title = found.regions, "Across regions"
    if compared is None:
        return section("regions", title, paragraph("No regions were asked for."))
    parts = []
    lacking = [f"{name} ({n:,} queries have it)" for name, n in compared.found.items() if name not in compared.used]
    if lacking:
        parts.append(paragraph(f"Left out, as too few queries could be cut to them by primers: {', '.join(lacking)}."))
    if compared.accuracy:
        ranks = [*compared.accuracy]
        rows = [
            [f"{name}, on {'whole queries' if region == WHOLE else region}",
             *(share(compared.accuracy[rank][name][region]) for rank in ranks)]
            for name in found.figures
            for region in compared.used
        ]  # fmt: skip
        caption = (
            f"Accuracy of the same {compared.queries:,} queries, whole and cut in silico to each region by its "
            "primers: every model on every region, every name counted."
        )
        parts.append(table(["model and region", *ranks], rows, caption))
    return section("regions", title, *parts)


def mistakes(found: Examination) -> Markup:
    """How near wrong names are, and which taxa are confused."""
    parts = []
    if any(kin.wrong for kin in found.kinship.values()):
        caption = (
            "Of the wrong names at each rank (how many, in brackets): sister, the taxon one rank above is right; "
            "cousin, only the one two ranks above is; further, neither. Every name counts, whatever its confidence."
        )
        parts.append(figures((draw.kinship_of(found), caption)))
    for rank in ("genus", "species"):
        if some := found.confusions.get(rank):
            known = {True: "yes", False: "no", None: "-"}
            rows = [[c.true, c.given, f"{c.count:,}", known[c.known]] for c in some]
            head = [f"true {rank}", "name given", "queries", "true one in the reference"]
            parts.append(folded(f"The commonest confused pairs at {rank}", table(head, rows, "", words=True)))
    none = found.counts["queries without any name"] == found.counts["queries"]
    words = "No query was given a name." if none else "No name given is wrong."
    return section("mistakes", "What wrong names look like", *(parts or [paragraph(words)]))


def confidence(found: Examination) -> Markup:
    """Reliability, and risk against coverage."""
    drawings = []
    for rank in ("genus", "species"):
        if rank in found.reliability and any(b.count for b in found.reliability[rank]):
            caption = (
                f"Reliability at {rank}: names in ten bins of confidence, the share of each that is right (95 % "
                "interval), and below how many names lie there. Every name counts. Below the line, names are less "
                "often right than they say."
            )
            drawings.append((draw.reliability_of(rank, found.reliability[rank]), caption))
    if not found.curves:
        return section("confidence", "What confidence is worth", paragraph("No name has a confidence."))
    caption = (
        "Risk and coverage: when only the surest names are given, the wrong share of them, for every cut. A model that "
        "knows what it does not know stays low until far to the right."
    )
    drawings.append((draw.risk_coverage(found), caption))
    first = next(iter(found.figures.values()))
    rows = [
        [rank, f"{100 * curve.aurc:.2f}", f"{100 * curve.best:.2f}", share(first[rank].auroc)]
        for rank, curve in found.curves.items()
    ]
    caption = (
        "Area under the risk-coverage curve, and what it would be were every right name surer than every wrong one."
    )
    head = ["rank", "AURC", "least possible", "AUROC of confidence"]
    return section("confidence", "What confidence is worth", figures(*drawings), table(head, rows, caption))


def plane(found: Examination) -> Markup:
    """The model's vectors."""
    laid, title = found.plane, "What the model sees"
    if laid is None:
        return section(
            "vectors", title, paragraph("No layout: the model has no vectors, or there are too few queries.")
        )
    caption = (
        f"{len(laid.x):,} queries: the {laid.width} numbers that the model makes of each before it names anything, "
        f"laid out by {_METHODS[laid.method]}. Neighbours are alike; distances between groups, and their sizes, mean "
        "nothing."
    )
    told = [right for right in laid.genus_right if right is not None]
    right = share(sum(told) / max(len(told), 1))
    of_genus = f" {len(told):,} of them have a true genus; {right} % of these are named right."
    by_outcome = (draw.plane_by_outcome(laid), "The same layout." + (of_genus if told else ""))
    return section("vectors", title, figures((draw.plane_by_phylum(laid), caption), by_outcome))


def gene(found: Examination) -> Markup:
    """Permutation importance."""
    swapped, title = found.importance, "Where along the gene it looks"
    if not found.settings.importance:
        return section("gene", title, paragraph("Not asked for (--importance 0)."))
    if swapped is None:
        return section("gene", title, paragraph("Too few queries: a window is swapped with that of another query."))
    if not draw.ranks_drawn(swapped):
        return section("gene", title, paragraph("The model's tree has none of the true taxa of these queries."))
    where = (
        "at the windows' places in the 16S gene of E. coli; grey: the variable regions (Chakravorty et al. 2007)"
        if swapped.position
        else "by place along the read, as the reads do not all lie in the same part of the gene"
    )
    caption = (
        f"Permutation importance (after Breiman 2001): in {swapped.queries:,} queries each of "
        f"{len(next(iter(swapped.drop.values())))} windows is replaced by the same window of another query, "
        f"{swapped.swaps} times; how much less probable the true taxon becomes, {where}. Bands: 95 % intervals over "
        "queries. A stretch whose loss others make up for costs nothing, and neither does a donor of the same taxon."
    )
    coarse = (
        "The same swaps: how far accuracy falls. It is coarser, as it moves only when a name does; a name may also "
        "come right by chance."
    )
    return section(
        "gene",
        title,
        figures((draw.importance_along(swapped, "loss"), caption)),
        figures((draw.importance_along(swapped, "drop"), coarse)),
    )
