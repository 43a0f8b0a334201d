"""The referee's experiments as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from score import spread
from tallies import LENGTHS, NOVELTY

from linnet.correct import WITHOUT
from linnet.taxonomy import RANKS

COMPARED = ("species", "genus", "family")
SECTIONS = {
    "A": "Is the teacher nearer to the truth than the labels?",
    "B": "TaxDistill's recipe, with and without a teacher",
    "C": "linnet, and each of its parts left out",
}
NOTE = """\
All figures are of all contigs of a group, named or not: mean and standard deviation over the sets. P: of the names
given at a rank, those right with the whole path above; R: of all contigs, those named rightly; F1: 2 PR / (P + R);
wrong: of all contigs of the group, those with a wrong name. Wrong on absent: of the contigs whose species the reference
lacks, those given a species. Harm: of the contigs whose label had the right species, those that now have a wrong one.
Differences are over the contigs of all sets together, with the 95 % interval and two-sided p-value of a paired
bootstrap of {resamples:,} draws over genomes (a genome in two sets counts as two), not corrected for the number of
comparisons; there are none for fewer than 6 genomes. Each set has one training, with a seed of its own. CPU s:
processor time of the arm on one thread, without reading the set and making the vectors (these: {vectors})."""

PROBE_NOTE = """\
The teacher is a linear layer on the vectors ({teacher}). Out of fold: five folds by contig, each asked of a layer that
was trained on the labels of the others, so that it has not seen the contig's label, though it has seen those of other
contigs of the genome. Its most probable leaf is named whole, without a cut; so it names all contigs, down to species
mostly, and must be wrong at species where the reference lacks it."""

PARTS_NOTE = """\
The cut, the scale of confidence and the weights of the parts were chosen with all of them on, and stay; so a part's
difference holds what the others lose by not being chosen anew. Each arm has one thing turned off:"""


def render(results: Mapping[str, Any]) -> str:
    """The whole of referee.md."""
    arms = results["arms"]
    costs = [f"{row['vectors']:,.0f} s for {name}" for name, row in results["sets"].items() if row["vectors"]]
    lines = [f"Measured on {results['machine']}, with linnet {results['linnet']}."]
    if results["quick"]:
        lines.append("**A quick run** on a few made-up contigs: it shows that all works; the figures mean little.")
    sizes = ", ".join(f"{name} ({row['contigs']:,} contigs)" for name, row in results["sets"].items())
    note = NOTE.format(resamples=results["resamples"], vectors=", ".join(costs) or "not measured here")
    parts = ["# What does a teacher add? Control by control", *lines, *results["skipped"], f"Sets: {sizes}.", note]
    for section, title in SECTIONS.items():
        here = {name: row for name, row in arms.items() if row["section"] == section}
        if not here:
            continue
        parts.append(f"## {section}. {title}")
        if section == "A":
            parts += [PROBE_NOTE.format(teacher=results["teacher"])]
            for group in _met(here):
                parts += [f"**{_group(group)}**: share named rightly", _ranks_table(here, group, "recall")]
                parts += ["Share named wrongly", _ranks_table(here, group, "wrong")]
                parts += ["Share named rightly, less that of the labels", _less_by_rank(here, group)]
        else:
            shown = {name: arms[name] for name in arms if name in here or any(r["of"] == name for r in here.values())}
            if section == "C":
                parts += [PARTS_NOTE, "\n".join(f"* without {part}: {text}" for part, text in WITHOUT.items())]
            parts += [_summary(shown), "Each arm less the one that it is a control of", _less(here, arms)]
    parts.append("## D. By what the reference lacks, and by length")
    for rank in COMPARED:
        parts += [f"**{rank}**: F1 / P / wrong", _group_table(arms, rank, NOVELTY), _group_table(arms, rank, LENGTHS)]
    return "\n\n".join(parts) + "\n"


def _met(arms: Mapping[str, Any]) -> list[str]:
    """All contigs, and the groups by what the reference lacks that have a contig."""
    groups = ("all", *NOVELTY)
    return [
        g for g in groups if any(v is not None for row in arms.values() for v in _values(row, "domain", g, "wrong"))
    ]


def _group(group: str) -> str:
    return {"all": "All contigs", NOVELTY[0]: "Contigs of species in the reference"}.get(group, f"Contigs of {group}")


def _values(row: Mapping[str, Any], rank: str, group: str, figure: str) -> list[float | None]:
    return [of_set["figures"][rank][group][figure] for of_set in row["sets"].values()]


def _summary(arms: Mapping[str, Any]) -> str:
    header = ["arm", "sets", *(f"{rank} {figure}" for rank in COMPARED for figure in ("P", "R", "F1"))]
    header += ["wrong species on absent species", "harm", "CPU, s"]
    rows = []
    for row in arms.values():
        cells = [_spread(_values(row, rank, "all", f)) for rank in COMPARED for f in ("precision", "recall", "f1")]
        cells += [_spread(_values(row, "species", "all", f)) for f in ("wrong_on_absent", "harmed")]
        cost = spread([of_set["cpu_s"] for of_set in row["sets"].values()])
        rows.append([row["title"], str(len(row["sets"])), *cells, "-" if cost is None else f"{cost[0]:,.0f}"])
    return _table(header, rows)


def _less(arms: Mapping[str, Any], every: Mapping[str, Any]) -> str:
    header = ["arm", "less", *(f"{rank} F1" for rank in COMPARED), "species P", "wrong on absent", "harm"]
    rows = []
    for row in arms.values():
        if "less" in row:
            found = row["less"]["all"]
            shown = [found[rank]["f1"] for rank in COMPARED]
            shown += [found["species"][name] for name in ("precision", "wrong_on_absent", "harmed")]
            rows.append([row["title"], every[row["of"]]["title"], *map(_difference, shown)])
    return _table(header, rows)


def _ranks_table(arms: Mapping[str, Any], group: str, figure: str) -> str:
    rows = [[row["title"], *(_spread(_values(row, rank, group, figure)) for rank in RANKS)] for row in arms.values()]
    return _table(["arm", *RANKS], rows)


def _less_by_rank(arms: Mapping[str, Any], group: str) -> str:
    rows = [
        [row["title"], *(_difference(row["less"][group][rank]["recall"]) for rank in RANKS)]
        for row in arms.values()
        if "less" in row
    ]
    return _table(["arm", *RANKS], rows)


def _group_table(arms: Mapping[str, Any], rank: str, groups: Sequence[str]) -> str:
    def cell(row: Mapping[str, Any], group: str) -> str:
        means = [spread(_values(row, rank, group, figure)) for figure in ("f1", "precision", "wrong")]
        return " / ".join("-" if mean is None else f"{mean[0]:.3f}" for mean in means)

    return _table(["arm", *groups], ([row["title"], *(cell(row, group) for group in groups)] for row in arms.values()))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def _spread(values: Sequence[float | None]) -> str:
    found = spread(values)
    if found is None:
        return "-"
    mean, deviation = found
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _difference(found: Mapping[str, float | None]) -> str:
    if found["difference"] is None:
        return "-"
    text = f"{found['difference']:+.3f}"
    if found["low"] is not None and found["high"] is not None:
        text += f" ({found['low']:+.3f} to {found['high']:+.3f})"
    return text if found["p"] is None else f"{text}, p {found['p']:.3f}"
