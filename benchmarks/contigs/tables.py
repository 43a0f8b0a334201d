"""The results as Markdown: each setting by itself, then every set, what it took, and what the columns say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from cells import SAMPLES, TOOLS
from score import OURS, RESAMPLES, Setting, flat, summaries

Row = dict[str, Any]

GROUPS = {
    "seed": "contigs of usual length",
    "short": "short contigs at low depth",
    "development": "sets that linnet's settings were chosen on",
    "quick": "a quick run: two phyla, few bases of each genome",
}
SOURCES = {"mmseqs": "MMseqs2", "kraken2": "Kraken2", "centrifuge": "Centrifuge"}

COLUMNS = {
    **{f"{name} {rank}": f"{rank} {short}" for rank in ("species", "genus")
       for name, short in (("precision", "P"), ("recall", "R"), ("f1", "F1"))},
    **{f"f1 {rank}": f"{rank} F1" for rank in ("family", "order", "class", "phylum")},
    "wrong_on_absent species": "wrong species on absent species",
    "harmed species": "harm",
    "corrected species": "corrected",
}  # fmt: skip
"""Figure -> heading."""

NOTE = f"""\
All figures are of all contigs of a set, named or not: mean and standard deviation over its sets. P: of the names given
at a rank, those right with the whole path above; R: of all contigs, those named rightly; F1: 2 PR / (P + R). Wrong
species on absent species: of the contigs whose species the reference database lacks, those given a species. Harm: of
the contigs whose label had the right species, those that now have a wrong one. Corrected: of those whose label had a
wrong species, those that now have the right one. Differences are of F1: the mean over the sets, in how many sets it is
above 0, and over the contigs of all sets together, with the 95 % interval and the two-sided p-value of a paired
bootstrap of {RESAMPLES:,} draws over genomes (a genome in two sets counts as two). The p-values are not corrected for
the number of comparisons."""


def render(results: Mapping[str, Any]) -> str:
    """The whole of results.md."""
    parts = ["# Labels of contigs put right: linnet beside Taxometer", _preamble(results), NOTE]
    rows, differences = results["rows"], results["differences"]
    for setting in dict.fromkeys(map(setting_of, rows)):
        here = [row for row in rows if setting_of(row) == setting]
        parts += [f"## {title(setting)}", f"Sets: {_sets(here)}.", summary_table(here)]
        for found in (d for d in differences if setting_of(d) == setting):
            parts += [f"**{OURS} less {TOOLS[found['b']].title}**", difference_table(found)]
    if results.get("toy"):
        parts += ["## The toy set", toy_table(results["toy"]), TOY_NOTE]
    if results.get("scale"):
        parts += ["## Many contigs and taxa", scale_table(results["scale"])]
    parts += ["## What it takes", cost_table(rows), COST_NOTE, "## Every set", set_table(rows)]
    return "\n\n".join(parts) + "\n"


def main_tables(rows: Sequence[Row]) -> str:
    """The tools on each group of sets, with MMseqs2's labels and all samples."""
    parts = []
    for setting in dict.fromkeys(map(setting_of, rows)):
        if setting[1:] == ("mmseqs", SAMPLES[0]):
            parts += [title(setting), summary_table([row for row in rows if setting_of(row) == setting])]
    return "\n\n".join(parts)


def setting_of(row: Row) -> Setting:
    return row["group"], row["source"], row["samples"]


def title(setting: Setting) -> str:
    group, source, samples = setting
    return f"{SOURCES[source]}'s labels, {samples} sample{'s' if samples > 1 else ''}, {GROUPS[group]}"


def summary_table(rows: Sequence[Row]) -> str:
    """The tools of one setting."""
    found = summaries(rows)
    return _table(
        ["tool", "sets", *COLUMNS.values()],
        ([TOOLS[row["tool"]].title, str(row["sets"]), *(_spread(row[name]) for name in COLUMNS)] for row in found),
    )


def difference_table(found: Row) -> str:
    """One tool less another, by rank."""
    header = ["rank", "mean difference", "higher in", "all contigs", "95 % interval", "p", "precision", "recall"]
    rows = []
    for rank, d in found["ranks"].items():
        each = [by_rank[rank] for by_rank in found["sets"]]
        higher = f"{sum(value > 0 for value in each)} of {len(each)}"
        low, high = d["f1"]["interval"]
        whole = [f"{d['f1']['difference']:+.3f}", f"{low:+.3f} to {high:+.3f}", _p(d["f1"]["p_value"])]
        shares = [f"{d[name]['difference']:+.3f}" for name in ("precision", "recall")]
        rows.append([rank, f"{fmean(each):+.3f}", higher, *whole, *shares])
    return _table(header, rows)


def set_table(rows: Iterable[Row]) -> str:
    """The main figures of each set."""
    shown = ["f1 species", "f1 genus", "f1 family", "wrong_on_absent species", "harmed species", "corrected species"]
    header = ["set", "labels", "samples", "tool", *(COLUMNS[name] for name in shown)]
    return _table(
        header,
        (
            [
                *(row["set"], SOURCES[row["source"]], str(row["samples"]), TOOLS[row["tool"]].title),
                *(_number(flat(row)[name]) for name in shown),
            ]
            for row in rows
        ),
    )


def cost_table(rows: Sequence[Row]) -> str:
    """Wall time, processor time and memory of each run, in the mean of its sets."""
    found = [row for row in summaries(rows) if row["tool"] == TOOLS[row["tool"]].run]
    header = ["sets", "labels", "samples", "tool", "wall, s", "CPU, s", "memory, MB"]
    return _table(
        header,
        (
            [
                *(row["group"], SOURCES[row["source"]], str(row["samples"]), TOOLS[row["tool"]].title),
                *(f"{row[name][0]:,.0f}" for name in ("wall_s", "cpu_s", "peak_mb")),
            ]
            for row in found
        ),
    )


COST_NOTE = "One thread; other work may have run beside it, so processor time is the steadier figure."


def toy_table(rows: Iterable[Row]) -> str:
    """The 300 contigs."""
    header = ["tool", "species P", "species F1", "phylum F1", "far", "sister"]
    return _table(
        header,
        (
            [
                row["tool"],
                *(_number(row[name]) for name in ("precision species", "f1 species", "f1 phylum")),
                *(f"{row[kind][0]} of {row[kind][1]}" for kind in ("far", "sister")),
            ]
            for row in rows
        ),
    )


TOY_NOTE = """\
300 generated contigs with known errors. Far: of the labels from another part of the tree, those now right at phylum;
sister: of those that name a sister species, those now right at species."""


def scale_table(row: Row) -> str:
    """The large set."""
    size = f"{row['contigs']:,} contigs, {row['bases'] / 1e6:,.0f} Mbp, {row['samples']} samples, {row['taxa']:,} taxa"
    cost = row["cost"]
    return (
        f"{size}: {cost['wall_s']:,.0f} s wall, {cost['cpu_s']:,.0f} s CPU, {cost['peak_mb'] / 1024:,.2f} GiB at most, "
        f"two threads. Random sequence with the composition of each genome: for time and memory only."
    )


def _preamble(results: Mapping[str, Any]) -> str:
    lines = [f"Measured on {results['machine']}, with linnet {results['linnet']}."]
    if results["quick"]:
        lines.append("**A quick run**: it shows that everything works; the figures are not those of a whole run.")
    return "\n\n".join([*lines, *results["skipped"], *results["failed"]])


def _sets(rows: Iterable[Row]) -> str:
    contigs = {row["set"]: row["contigs"] for row in rows}
    return ", ".join(f"{name} ({count:,} contigs)" for name, count in contigs.items())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def _spread(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return "-"
    mean, deviation = value
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _p(value: float) -> str:
    return f"≤ {1 / RESAMPLES:g}" if value <= 1 / RESAMPLES else f"{value:.3f}"
