"""The results as Markdown: what decides first, then every table, then what the columns say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cells import MOST_REPEATS
from peers import QUICK_TRAINING, TOOLS
from prepare import QUICK_REFERENCES, REGIONS, SPLITS
from rival_tables import AGAINST_NOTE, OPERATING_NOTE, against_table, beside, operating_table
from rivals import FLOOR
from seeds import one_per_model
from text import amount, interval, percent, table, with_range

Row = dict[str, Any]

FIGURE = "accuracy_speed.svg"
"""The picture that lies beside results.md."""

TITLES = {
    "random": "references and queries drawn at random",
    "novel_species": "species that the references lack",
    "novel_genus": "genera that the references lack",
}


def render(results: Mapping[str, Any]) -> str:
    """The whole of results.md."""
    parts = ["# 16S: linnet beside other tools", _preamble(results)]
    parts += ["## Summary, random split", summary(results), SUMMARY_NOTE]
    if any(model["cell"]["tool"] != FLOOR for model in _models(results, "random")):
        parts += [f"![Accuracy and speed]({FIGURE})", FIGURE_NOTE]
    if compared := beside(results["beside_peers"]):
        parts += ["## linnet beside each other tool, random split", *compared]
    if results["operating_points"]:
        parts += ["## At naive Bayes's operating point", *_operating(results["operating_points"]), OPERATING_NOTE]
    for split in SPLITS:
        for region in REGIONS:
            models = _models(results, split, region)
            if models:
                parts += [f"## {region}: {TITLES[split]}", *_sections(results, split, region, models)]
    parts += ["## Speed and memory", cost_table(one_per_model(results["cells"])), COST_NOTE]
    parts += ["## How each tool was run", _settings(results["cells"])]
    return "\n\n".join(parts) + "\n"


def summary(results: Mapping[str, Any]) -> str:
    """What decides, uncut, one line for each tool and region."""
    header = ["region", "tool", "genus", "species", "of known species", "R@P95 genus", "R@P95 species"]
    header += ["ECE species", "reads per CPU s", "RAM, MB", "training, CPU s"]
    rows = []
    for model in _models(results, "random"):
        shown = [_over_seeds(model, rank, figure) for rank, figure in _DECISIVE]
        cost = [_speed(model), amount(model["classification"]["peak_mb"]), _training(model, "cpu_s")]
        rows.append([model["cell"]["region"], model["label"], *shown, *cost])
    return table(header, rows)


_DECISIVE = (
    ("genus", "accuracy"), ("species", "accuracy"), ("species", "acc_known"),
    ("genus", "recall_at_p95"), ("species", "recall_at_p95"), ("species", "ece_debiased"),
)  # fmt: skip
"""Rank and figure of the summary's columns."""


def _over_seeds(model: Row, rank: str, figure: str) -> str:
    mean = model["scores"]["0"][rank][figure]
    if "seeds" not in model:
        return percent(mean)
    return with_range(mean, *(model[end]["0"][rank][figure] for end in ("least", "greatest")))


SUMMARY_NOTE = """\
Per cent but for the last three columns; every name that a tool gives, whatever its confidence. The columns are
explained below. Trainings of a model that differ in their seed alone share a row, in every table: a figure is the mean
over the seeds, [in square brackets the least and the greatest]."""

FIGURE_NOTE = """\
Names that are right, uncut, and reads per CPU second without start-up: up and to the right is better. The line joins a
tool's genera and species."""


def _preamble(results: Mapping[str, Any]) -> str:
    splits = results["data"]["splits"]
    lines = [
        f"Greengenes 13_8, 97 % OTU representatives: {results['data']['sequences']:,} sequences, of which "
        f"{splits['random']['references']:,} are references in the random split. Cluster centres have no near "
        "relative among the others, so species are harder here than among all known genes. "
        f"Measured on {results['machine']}, with linnet {results['linnet']}."
    ]
    if results["quick"]:
        lines.append(
            f"**A quick run**: {QUICK_REFERENCES:,} of the references, few queries, and linnet trained with "
            f"`{' '.join(QUICK_TRAINING)}`. It shows that everything works and roughly how tools compare; the "
            "figures are not those of a whole run."
        )
    lines += [*results["skipped"], *results["failed"]]
    return "\n\n".join(lines)


def _operating(rows: Sequence[Row]) -> list[str]:
    """A title and a table for each split and region."""
    parts = []
    for split in SPLITS:
        for region in REGIONS:
            here = [row for row in rows if (row["split"], row["region"]) == (split, region)]
            if here:
                parts += [f"**{region}: {TITLES[split]}**", operating_table(here)]
    return parts


# ---------------------------------------------------------------------- random split


def _sections(results: Mapping[str, Any], split: str, region: str, cells: Sequence[Row]) -> list[str]:
    if split != "random":
        return [novel_table(split, cells), NOVEL_NOTE]
    n = {rank: cells[0]["scores"]["0"][rank]["n"] for rank in ("phylum", "genus", "species")}
    ceiling = cells[0]["scores"]["0"]["species"]["ceiling"]
    counts = (
        f"{n['phylum']:,} queries are judged at phylum, {n['genus']:,} at genus and {n['species']:,} at species; "
        f"{percent(ceiling)} % of the latter are of a species that the references have, and no tool can be "
        "right about others. Per cent, with 95 % intervals over queries (the ends too are means over seeds)."
    )
    against = [row for row in results["against_best_peer"] if row["region"] == region]
    found = [counts, "**Named right**", accuracy_table(cells)]
    found += ["**What the confidence is worth**", trust_table(cells), TRUST_NOTE]
    if against:
        found += ["**Against the best other tool, both uncut**", against_table(against), AGAINST_NOTE]
    return found


def accuracy_table(cells: Sequence[Row]) -> str:
    """Right of all, by rank."""
    header = ["tool", "cut", "phylum", "class", "order", "family", "genus", "species", "of known species"]
    return table(
        header,
        (
            [
                *_tool_and_cut(cell, cut),
                *(percent(ranks[rank]["accuracy"]) for rank in ("phylum", "class", "order", "family")),
                *(_with_interval(ranks[rank], "accuracy") for rank in ("genus", "species")),
                _with_interval(ranks["species"], "acc_known"),
            ]
            for cell, cut, ranks in _by_cut(cells)
        ),
    )


def trust_table(cells: Sequence[Row]) -> str:
    """Precision, over-classification, calibration and recall at 95 % precision."""
    header = ["tool", "cut", "genus precision", "species precision", "genus over-classified"]
    header += ["species over-classified", "ECE genus", "ECE species", "R@P95 genus", "R@P95 species"]
    columns = [(rank, figure) for figure in ("precision", "oc", "ece_debiased") for rank in ("genus", "species")]

    def row(cell: Row, cut: str, ranks: Row) -> list[str]:
        recalls = [_with_interval(ranks[rank], "recall_at_p95") for rank in ("genus", "species")]
        shown = [percent(ranks[rank][figure]) for rank, figure in columns]
        return [*_tool_and_cut(cell, cut), *shown, *(recalls if cut == "0" else ["", ""])]

    return table(header, (row(*found) for found in _by_cut(cells)))


TRUST_NOTE = """\
Precision: right of those named. Over-classified: given a name at this rank, of queries whose true taxon the
references lack. ECE: the gap between confidence and the share that is right, less what chance adds to it (0 is
best; - where a tool gives no probability). R@P95: the best share of right names over all cuts that make 95 %
of the names right (- without a confidence); it does not depend on the cut."""


# ---------------------------------------------------------------------- novel taxa


def novel_table(split: str, cells: Sequence[Row]) -> str:
    """Where queries of new taxa stopped, and whether the controls were still named."""
    rank, above = {"novel_species": ("species", "genus"), "novel_genus": ("genus", "family")}[split]
    header = ["tool", "cut", f"{rank} over-classified", f"{above} right", "stops exactly right", "below"]
    header += ["above", "wrong branch", f"control: {rank} right", "control: wrong", "control: unnamed"]
    novel = ("over_classified", "right_above", "exact", "below", "above", "wrong_branch")
    control = ("right", "wrong", "unnamed")
    first = cells[0]["scores"]["0"]
    taxa = {"species": "species", "genus": "genera"}[rank]
    counts = f"{first['novel']['n']:,} queries of new {taxa}, {first['control']['n']:,} controls. Per cent."
    found = table(
        header,
        (
            [
                *_tool_and_cut(cell, cut),
                *(percent(parts["novel"][x]) for x in novel),
                *(percent(parts["control"][x]) for x in control),
            ]
            for cell, cut, parts in _by_cut(cells)
        ),
    )
    return f"{counts}\n\n{found}"


NOVEL_NOTE = """\
The right answer for a new taxon ends at the deepest taxon above it that the references have; `below` goes
further down from there, `above` ends before. The taxa of the controls were left in the references; a quick run
keeps few references, so that right, wrong and unnamed controls need not add up to 100 there."""


# ---------------------------------------------------------------------- cost


def cost_table(cells: Iterable[Row]) -> str:
    """Time and memory."""
    header = ["split", "region", "tool", "reads", "reads per CPU s", "start-up, CPU s", "classifying, CPU s"]
    header += ["wall s", "RAM, MB", "training, CPU s", "training RAM, MB", "load"]
    ordered = sorted(cells, key=lambda c: (SPLITS.index(c["cell"]["split"]), *_order(c)))
    return table(
        header,
        (
            [
                c["cell"]["split"],
                c["cell"]["region"],
                c["label"],
                f"{c['reads']:,}",
                _speed(c),
                amount(c["start_up"]["cpu_s"]),
                amount(c["classification"]["cpu_s"]),
                amount(c["classification"]["wall_s"]),
                amount(c["classification"]["peak_mb"]),
                _training(c, "cpu_s"),
                _training(c, "peak_mb"),
                f"{c['load']:.1f}",
            ]
            for c in ordered
        ),
    )


COST_NOTE = f"""\
Measured by /usr/bin/time, classification with one thread. CPU seconds are user and system time. Start-up
(loading the program and its model) is measured by classifying a single sequence, the median of three times,
and taken off before reads per CPU second are counted. Quick tools are timed on their queries up to {MOST_REPEATS} times
over for that, so that start-up is a small part; the columns after it are of the queries once. RAM is that of the
largest process while classifying. Where training is -, there is nothing to run. Load is the machine's when
classification began; where it exceeds the number of cores, wall times say little."""


# ---------------------------------------------------------------------- cells of tables


def _models(results: Mapping[str, Any], split: str, region: str | None = None) -> list[Row]:
    """One row for each model of a split, see `seeds`, in all regions or in one."""
    models = (m for m in one_per_model(results["cells"]) if m["cell"]["split"] == split)
    return sorted((m for m in models if region in (None, m["cell"]["region"])), key=_order)


def _order(model: Row) -> tuple[int, int]:
    its = model["cell"]
    return REGIONS.index(its["region"]), list(TOOLS).index(its["tool"])


def _by_cut(cells: Iterable[Row]) -> Iterable[tuple[Row, str, Row]]:
    return ((cell, cut, figures) for cell in cells for cut, figures in cell["scores"].items())


def _tool_and_cut(cell: Row, cut: str) -> list[str]:
    return [cell["label"], "none" if cut == "0" else cut]


def _with_interval(figures: Row, name: str) -> str:
    return percent(figures[name]) + ("" if figures[name] is None else interval(figures["intervals"].get(name)))


def _speed(cell: Row) -> str:
    return f"{'> ' if cell['at_least'] else ''}{amount(cell['reads_per_cpu_s'])}"


def _training(cell: Row, what: str) -> str:
    return amount(cell["training"][what]) if cell["training"] else "-"


def _settings(cells: Iterable[Row]) -> str:
    versions = {c["cell"]["tool"]: c["version"] for c in cells}
    return "\n".join(f"- {name} ({versions[name]}): {t.settings}" for name, t in TOOLS.items() if name in versions)
