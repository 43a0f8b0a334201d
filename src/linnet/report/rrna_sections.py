"""The sections of the page that have figures: near and far, regions, mistakes, confidence, vectors, the gene."""

from __future__ import annotations

from linnet.examine import WHOLE, Examination
from linnet.report import rank_figures, rank_sections
from linnet.report import rrna_figures as draw
from linnet.report.html import Markup, figures, folded, paragraph, section, table
from linnet.report.reading import share
from linnet.strata import FEW


def near_and_far(found: Examination) -> Markup:
    """Accuracy by identity to the nearest reference, and by number of references."""
    few = f"Bars: 95 % intervals. Hollow: fewer than {FEW} queries."
    drawings, parts = [], []
    if found.identity:
        caption = (
            "Accuracy by identity to the nearest reference sequence: of the references that share most 8-mers with the "
            f"query, the best alignment (edlib). {few}"
        )
        drawings.append(
            (rank_figures.strata_of(found.identity, "identity", "identity to the nearest reference"), caption)
        )
        parts.append(folded("Identity in numbers", *rank_sections.stratum_tables(found.identity)))
    else:
        parts.append(paragraph("Identity to the nearest reference was not asked for (--reference-sequences)."))
    caption = (
        "Accuracy by how many references the true taxon of that rank has. With none it cannot be named rightly. " + few
    )
    drawings.append((rank_figures.strata_of(found.references, "references", "references of the true taxon"), caption))
    parts.append(folded("References in numbers", *rank_sections.stratum_tables(found.references)))
    return section("near", "Near and far from the references", figures(*drawings), *parts)


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
    unnamed = found.counts["queries without any name"] == found.counts["queries"]
    return rank_sections.mistakes(found.kinship, found.confusions, unnamed)


def confidence(found: Examination) -> Markup:
    """Reliability, and risk against coverage."""
    first = next(iter(found.figures.values()))
    return rank_sections.confidence(found.reliability, found.curves, {rank: f.auroc for rank, f in first.items()})


def plane(found: Examination) -> Markup:
    """The model's vectors."""
    laid, title = found.plane, "What the model sees"
    if laid is None:
        return section(
            "vectors", title, paragraph("No layout: the model has no vectors, or there are too few queries.")
        )
    caption = (
        f"{len(laid.x):,} queries: the {laid.width} numbers that the model makes of each before it names anything, "
        f"laid out by {rank_sections.METHODS[laid.method]}. Neighbours are alike; distances between groups, and their "
        "sizes, mean nothing."
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
