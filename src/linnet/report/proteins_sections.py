"""The sections of the protein page: lineages, known and novel, groups, tree, wrong sides, vectors, ways, ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from linnet.outcomes import Depths
from linnet.protein_confusions import Crossings, Listed
from linnet.protein_examination import ProteinExamination
from linnet.protein_figures import LineageFigures
from linnet.protein_groups import Group
from linnet.report import proteins_figures as draw
from linnet.report import rank_figures, rank_sections
from linnet.report.html import Markup, figures, folded, paragraph, section, table
from linnet.report.reading import share
from linnet.strata import FEW
from linnet.taxonomy import RANKS

_PHYLA = 30
"""Phyla that are drawn, at most, the largest."""
_SOME = 5
"""Proteins named beside a confused pair."""
_FEW = f"Bars: 95 % intervals (Wilson). Hollow: fewer than {FEW} proteins."


def lineages(found: ProteinExamination) -> Markup:
    """Shared prefix, hops and RF of whole lineages."""
    first = next(iter(found.lineages))
    of = found.lineages[first]
    cut = f"kept at {found.settings.confidence:g}"
    drawn = {"every name": of["whole"], cut: of["kept"]}
    rows = [
        [f"{name}, {'every name' if kind == 'whole' else cut}", *_lineage_cells(one)]
        for name, both in found.lineages.items()
        for kind, one in both.items()
    ]
    caption = (
        "Means over proteins (quartiles). Shared prefix: the share of the true path, every taxon of the tree from "
        "below the root, that the answer shares. 1 - nRF: 1 - |A xor B| / (|A| + |B|) over the taxa of the two paths. "
        "Hops: steps in the tree between the two ends. Exact: the answer is the true taxon. No answer shares nothing."
    )
    pair = of["whole"].correlation
    together = (
        f"Both figures of the {pair.n:,} answers, uncut; areas are numbers of proteins. Pearson's r "
        f"{_number(pair.pearson)}, Spearman's {_number(pair.spearman)}. On the dashed line they are equal; below it "
        "the answer goes on further than the truth, above it the answer stops before."
    )
    return section(
        "lineages",
        "Whole lineages",
        table(["answers", "proteins", "shared prefix", "1 - nRF", "hops", "exact"], rows, caption),
        figures(
            (
                draw.distributions(drawn, "shared", "shared prefix (token accuracy)"),
                f"Shared prefix, {first}. Dashed: means.",
            ),
            (draw.distributions(drawn, "inverted_rf", "1 - nRF"), f"1 - nRF, {first}. Dashed: means."),
            (draw.hops(drawn), f"Hops, {first}."),
            (draw.joint(of["whole"]), together),
        ),
        table(
            ["answers", "Pearson", "Spearman"],
            [
                [f"{name}, {'every name' if kind == 'whole' else cut}", _number(c.pearson), _number(c.spearman)]
                for name, both in found.lineages.items()
                for kind, one in both.items()
                for c in [one.correlation]
            ],
            "Correlation of shared prefix and 1 - nRF over proteins.",
        ),
    )


def _lineage_cells(of: LineageFigures) -> list[str]:
    quartiles = [f"{share(one.mean)} ({', '.join(map(share, one.quartiles))})" for one in (of.shared, of.inverted_rf)]
    return [f"{of.shared.n:,}", *quartiles, f"{of.hops:.2f}", share(of.exact)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def novelty(found: ProteinExamination) -> Markup:
    """Proteins of taxa that the reference has, and of those that it lacks."""
    cut = f"kept at {found.settings.confidence:g}"
    rows = [
        [f"{one.label}, {how}", *_lineage_cells(of)]
        for one in found.novelty
        for how, of in (("every name", one.whole), (cut, one.kept))
        if of
    ]
    stops = [[one.label, f"{one.n:,}", *_stops(one.stops)] for one in found.novelty]
    first = next(iter(found.figures.values()))
    by_rank = [
        [rank, f"{f.n - f.n_novel:,}", share(f.acc_known), share(f.cut_mc), share(f.cut_uc), f"{f.n_novel:,}",
         share(f.cut_oc)]
        for rank, f in first.items()
    ]  # fmt: skip
    few = f" {found.counts['queries']:,} proteins; with none it cannot be named rightly."
    by_references = rank_figures.strata_of(found.references, "references", "reference proteins of the true taxon")
    apart = {f"deepest taxon {one.label}": one.whole for one in found.novelty if one.whole}
    return section(
        "novelty",
        "Known and novel taxa",
        paragraph(
            "A protein is novel if the reference has no protein of its deepest true taxon or of anything below it; at "
            "a rank, if it has none of the true taxon of that rank."
        ),
        table(["proteins", "how many", "shared prefix", "1 - nRF", "hops", "exact"], rows,
              "By the deepest true taxon: means (quartiles)."),
        table(["proteins", "how many", "there", "below", "above", "another branch"], stops,
              "Where answers stop after the cut, against the deepest of the seven ranks' true taxa that the reference "
              "has: there, further down, short of it, or off its path."),
        table(["rank", "known", "right", "wrong name", "no name", "novel", "named"], by_rank,
              f"By rank: of proteins of known taxa, right with every name taken, and after the cut at "
              f"{found.settings.confidence:g} a wrong name or none; of novel ones, those that get a name of that rank "
              "nonetheless, after the cut."),
        figures(
            (draw.distributions(apart, "shared", "shared prefix (token accuracy)"),
             "Shared prefix, uncut, of proteins whose deepest taxon the reference has, and lacks."),
            (by_references, f"Accuracy by how many reference proteins the true taxon has.{few} {_FEW}"),
        ),
        folded("References in numbers", *rank_sections.stratum_tables(found.references)),
    )  # fmt: skip


def _stops(stops: Depths | None) -> list[str]:
    return [share(getattr(stops, name)) if stops else "-" for name in ("exact", "below", "above", "wrong_branch")]


def groups(found: ProteinExamination) -> Markup:
    """By domain, and by phylum within domains."""
    whole = [group for group in found.groups if not group.phylum]
    within = [group for group in found.groups if group.phylum]
    colour_of = draw.colours_of([group.domain for group in whole])
    least = sorted((group.n for group in within), reverse=True)[:_PHYLA][-1] if within else 0
    parts = [
        figures((draw.domains(whole, colour_of), f"Accuracy by domain, every name counted. {_FEW}")),
        _group_table(whole, "By domain: accuracy at each rank (95 % interval; proteins whose truth reaches the rank)."),
    ]
    if within:
        shown = [group for group in within if group.n >= least][: 2 * _PHYLA]  # ties for the last place are many
        told = f"The {len(shown)} largest of {len(within)} phyla. " if len(shown) < len(within) else ""
        caption = f"Accuracy by phylum within domains (proteins in brackets), every name counted. {told}{_FEW}"
        parts.append(figures((draw.phyla(shown, colour_of), caption)))
        parts.append(folded("Every phylum in numbers", _group_table(within, "")))
    return section("groups", "Domains and phyla", *parts)


def _group_table(groups: Sequence[Group], caption: str) -> Markup:
    ranks = [rank for rank in RANKS if any(rank in group.ranks for group in groups)]
    rows = []
    for group in groups:
        cells = []
        for rank in ranks:
            s = group.ranks.get(rank)
            low, high = (s.interval if s else None) or (None, None)
            cells.append(f"{share(s.accuracy)} ({share(low, 0)} to {share(high, 0)}; {s.n:,})" if s else "-")
        name = group.phylum or group.domain or "no domain"
        above = [group.domain or "no domain"] if group.phylum else []
        rows.append([name, *above, f"{group.n:,}", f"{group.n_novel:,}", share(group.shared), share(group.inverted_rf),
                     f"{group.hops:.1f}", *cells])  # fmt: skip
    above = ["domain"] if any(group.phylum for group in groups) else []
    head = ["phylum" if above else "domain", *above, "proteins", "novel", "shared prefix", "1 - nRF", "hops", *ranks]
    return table(head, rows, caption)


def tree(found: ProteinExamination) -> Markup:
    """Taxa and proteins by depth, and the queries' tree."""
    deepest = max(level.depth for of in found.levels.values() for level in of)
    of = {name: {level.depth: level for level in some} for name, some in found.levels.items()}
    rows = [
        [depth, *(f"{getattr(some[depth], field):,}" if depth in some else "-"
                  for some in of.values() for field in ("taxa", "sequences"))]
        for depth in range(1, deepest + 1)
    ]  # fmt: skip
    head = ["depth", *(f"{name}: {field}" for name in of for field in ("taxa", "proteins"))]
    sizes = f"{found.counts['references']:,} proteins of the reference and {found.counts['queries']:,} queries"
    gram = found.cladogram
    tips = len(gram.parent) - len({*gram.parent[1:]} | {0})
    caption = (
        f"The tree of the {gram.queries[0]:,} queries at the seven ranks, drawn to {gram.rank} ({tips:,} tips), a ring "
        "a rank. Areas of the points at the tips grow with the number of proteins. "
        + ("Tips are named" if tips <= draw.LABELLED else "Phyla are named at their middle")
        + ", with their numbers of proteins."
    )
    return section(
        "tree",
        "Taxa and proteins in the tree",
        figures(
            (draw.levels(found.levels), f"Taxa that have proteins, and proteins that are of these, by depth: {sizes}.")
        ),
        folded("Depths in numbers", table(head, rows, "A protein counts at every depth down to that of its taxon.")),
        figures((draw.tree(gram, draw.colours_of([*gram.domain, ""])), caption)),
    )


def mistakes(found: ProteinExamination) -> Markup:
    """Kinship of wrong names, sister genera, and proteins on the wrong side of viruses and cells."""
    unnamed = found.counts["queries without any name"] == found.counts["queries"]
    return rank_sections.mistakes(found.kinship, found.confusions, unnamed, _sisters(found), _crossings(found))


def _sisters(found: ProteinExamination) -> Markup:
    if not found.sisters:
        return paragraph("No protein is named as a sister genus of its own, in the right family.")
    rows = [[s.family, s.true, s.given, f"{s.count:,}", _listed(s.proteins)] for s in found.sisters[:50]]
    count = sum(s.count for s in found.sisters)
    caption = (
        f"{count:,} proteins have the right family and a wrong genus of it, {len(found.sisters):,} pairs, the "
        f"commonest 50 at most; the surest {_SOME} of each with the confidence of the genus, every name counted."
    )
    head = ["family", "true genus", "genus given", "proteins", "which (confidence)"]
    return folded("Sister genera", table(head, rows, caption, words=True))


def _listed(some: Sequence[Listed]) -> str:
    told = [one.id if one.confidence is None else f"{one.id} ({one.confidence:.2f})" for one in some[:_SOME]]
    return ", ".join([*told, *(["..."] if len(some) > _SOME else [])])


def _crossings(found: ProteinExamination) -> Markup:
    of = found.crossings
    rows = []
    for side, all_ in (("viral", of.viral), ("cellular", of.cellular)):
        for name, n in sorted(of.counts[side].items(), key=lambda item: -item[1]):
            kept = of.kept[side].get(name, 0)
            rows.append([f"{side}, named {name}", f"{all_:,}", f"{n:,}", share(n / all_), f"{kept:,}",
                         share(kept / all_)])  # fmt: skip
    words = f"{of.viral:,} proteins are viral and {of.cellular:,} cellular. "
    if not rows:
        return paragraph(words + "None is named as one of the other side.")
    cut = f"kept at {found.settings.confidence:g}"
    caption = words + (
        "Viral proteins named cellular, by the domain given, and cellular ones named viral: at any confidence, and of "
        "names that the cut keeps. A virus takes genes from its hosts, and genomes carry proviruses: some of these may "
        "be mistakes of the label."
    )
    return Markup(
        table(["proteins", "all", "named so", "%", cut, "%"], rows, caption)
        + folded("Which, and as whose", _crossing_table(of))
    )


def _crossing_table(of: Crossings) -> Markup:
    def sure(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    rows = [
        [c.id, "viral" if c.viral else "cellular", c.true, "; ".join(c.given), sure(c.confidence), sure(c.deepest),
         "yes" if c.kept else "no"]
        for c in of.proteins
    ]  # fmt: skip
    head = ["protein", "is", "true taxon", "named", "confidence of the domain", "of the last name", "kept"]
    return table(head, rows, f"The {len(rows)} surest. Confidences are of the uncut answer.", words=True)


def plane(found: ProteinExamination) -> Markup:
    """The encoder's vectors."""
    laid, title = found.plane, "What the encoder sees"
    if laid is None:
        return section("vectors", title, paragraph("No layout: no model was asked, or there are too few proteins."))
    caption = (
        f"{len(laid.x):,} proteins: the {laid.width} numbers that the encoder makes of each, laid out by "
        f"{rank_sections.METHODS[laid.method]}. Neighbours are alike; distances between groups, and their sizes, mean "
        "nothing. Both axes are without units."
    )
    same = f"The same layout of the {len(laid.x):,} proteins."
    return section(
        "vectors",
        title,
        figures(
            (draw.plane_by_phylum(laid), caption),
            (draw.plane_by_number(laid, laid.depth, "by depth", "depth of the true taxon, steps below the root",
                                  "plane depth"), same),
            (draw.plane_by_number(laid, [1 - s for s in laid.shared], "by error",
                                  "error: 1 - shared prefix of the uncut answer", "plane error"), same),
        ),
    )  # fmt: skip


def ways(found: ProteinExamination) -> Markup:
    """From one orthologue to another."""
    title = "From one protein to an orthologue"
    if not found.trajectories:
        return section("ways", title, paragraph("Not asked for (--pairs, with --model)."))
    some = found.trajectories
    order = (
        "from left to right"
        if found.settings.order == "left"
        else f"in random order (seed {found.settings.seed}, and one more for each further pair)"
    )
    caption = (
        "The probability that the protein is of the source's lineage and of the target's, while the differences "
        f"between the two are applied one after another, {order}; at most {found.settings.points} points a pair. "
        "Global alignment with BLOSUM62, a gap of n residues costing 10 + n; a run of inserted or deleted residues is "
        "one mutation. Solid: the first clade in which the two lineages part; dotted: the deepest of the model's tree. "
        "Scales differ."
    )
    parts = [figures((draw.ways_along(some), caption))]
    if found.plane and found.plane.ways:
        points = sum(len(x) for x, _ in found.plane.ways)
        parts.append(
            figures(
                (draw.plane_of_ways(found.plane, some),
                 f"The same ways in the plane of the vectors, laid out with these {points:,} proteins among the "
                 f"{len(found.plane.x):,} queries (grey). Circle: source; square: target."),
            )
        )  # fmt: skip
    rows = [
        [f"{i}", f"{w.source} to {w.target}", share(w.identity), f"{w.differences:,}", w.named[0] or "-",
         w.named[-1] or "-", _changes(w.named, w.mutations)]
        for i, w in enumerate(some, 1)
    ]  # fmt: skip
    head = ["", "from, to", "identity, %", "mutations", "source named", "target named", "names on the way (mutations)"]
    parts.append(table(head, rows, f"Deepest name kept at {found.settings.confidence:g}, and where it changes.", True))
    return section("ways", title, *parts)


def _changes(named: Sequence[str], mutations: Sequence[int]) -> str:
    found = [
        f"{name or 'no name'} ({done})"
        for i, (name, done) in enumerate(zip(named, mutations, strict=True))
        if not i or name != named[i - 1]
    ]
    return ", ".join(found[:12]) + (f" and {len(found) - 12} more" if len(found) > 12 else "")


def ablations(some: Sequence[Mapping[str, Any]]) -> Markup:
    """Variants side by side, as their figures were given."""
    title = "Ablations"
    if not some:
        return section("ablations", title, paragraph("None given (--ablations)."))
    columns = [*dict.fromkeys(name for one in some for name in one["figures"])]
    rows = [[one["name"], *(_given(one["figures"].get(column)) for column in columns)] for one in some]
    return section("ablations", title, table(["variant", *columns], rows, "As given: not measured for this page."))


def _given(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
