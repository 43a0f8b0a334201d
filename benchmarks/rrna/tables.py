"""The results as Markdown: what decides first, then every table, then what the columns say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peers import QUICK_TRAINING, TOOLS
from prepare import QUICK_REFERENCES, REGIONS, SPLITS

Row = dict[str, Any]

TITLES = {
    "random": "references and queries drawn at random",
    "novel_species": "species that the references lack",
    "novel_genus": "genera that the references lack",
}


def render(results: Mapping[str, Any]) -> str:
    """The whole of results.md."""
    parts = ["# 16S: linnet beside other tools", _preamble(results)]
    parts += ["## Summary, random split", summary(results), SUMMARY_NOTE]
    for split in SPLITS:
        for region in REGIONS:
            cells = _cells(results, split, region)
            if cells:
                parts += [f"## {region}: {TITLES[split]}", *_sections(results, split, region, cells)]
    parts += ["## Speed and memory", cost_table(results["cells"]), COST_NOTE]
    parts += ["## How each tool was run", _settings(results["cells"])]
    return "\n\n".join(parts) + "\n"


def summary(results: Mapping[str, Any]) -> str:
    """What decides, uncut, one line for each tool and region."""
    header = ["region", "tool", "genus", "species", "of known species", "R@P95 genus", "R@P95 species"]
    header += ["ECE species", "reads per CPU s", "RAM, MB", "training, CPU s"]
    rows = []
    for region in REGIONS:
        for cell in _cells(results, "random", region):
            uncut = cell["scores"]["0"]
            genus, species = uncut["genus"], uncut["species"]
            figures = [genus["accuracy"], species["accuracy"], species["acc_known"]]
            figures += [genus["recall_at_p95"], species["recall_at_p95"], species["ece_debiased"]]
            cost = [_speed(cell), _amount(cell["classification"]["peak_mb"]), _training(cell, "cpu_s")]
            rows.append([region, cell["label"], *map(_percent, figures), *cost])
    return _table(header, rows)


SUMMARY_NOTE = """\
Per cent but for the last three columns; every name that a tool gives, whatever its confidence. The columns are
explained below."""


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


# ---------------------------------------------------------------------- random split


def _sections(results: Mapping[str, Any], split: str, region: str, cells: Sequence[Row]) -> list[str]:
    if split != "random":
        return [novel_table(split, cells), NOVEL_NOTE]
    n = {rank: cells[0]["scores"]["0"][rank]["n"] for rank in ("phylum", "genus", "species")}
    ceiling = cells[0]["scores"]["0"]["species"]["ceiling"]
    counts = (
        f"{n['phylum']:,} queries are judged at phylum, {n['genus']:,} at genus and {n['species']:,} at species; "
        f"{_percent(ceiling)} % of the latter are of a species that the references have, and no tool can be "
        "right about others. Per cent, with 95 % intervals."
    )
    against = [row for row in results["against_best_peer"] if row["region"] == region]
    found = [counts, "**Named right**", accuracy_table(cells)]
    found += ["**What the confidence is worth**", trust_table(cells), TRUST_NOTE]
    return found + (["**Against the best other tool, both uncut**", against_table(against)] if against else [])


def accuracy_table(cells: Sequence[Row]) -> str:
    """Right of all, by rank."""
    header = ["tool", "cut", "phylum", "class", "order", "family", "genus", "species", "of known species"]
    return _table(
        header,
        (
            [
                *_tool_and_cut(cell, cut),
                *(_percent(ranks[rank]["accuracy"]) for rank in ("phylum", "class", "order", "family")),
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
        shown = [_percent(ranks[rank][figure]) for rank, figure in columns]
        return [*_tool_and_cut(cell, cut), *shown, *(recalls if cut == "0" else ["", ""])]

    return _table(header, (row(*found) for found in _by_cut(cells)))


def against_table(rows: Sequence[Row]) -> str:
    """McNemar's test of linnet's models against the best peer."""
    header = ["linnet's model", "rank", "best other tool", "model right", "other right", "difference"]
    return _table(
        [*header, "only model right", "only other right", "p (McNemar)"],
        (
            [
                r["model"],
                r["rank"],
                r["best_peer"],
                _percent(r["accuracy"]),
                _percent(r["peer_accuracy"]),
                f"{100 * r['difference']:+.1f}{_interval(r['interval'], sign=True)}",
                str(r["model_only"]),
                str(r["peer_only"]),
                f"{r['p_value']:.2g}",
            ]
            for r in sorted(rows, key=lambda r: (list(TOOLS).index(r["tool"]), r["model"], r["rank"]))
        ),
    )


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
    table = _table(
        header,
        (
            [
                *_tool_and_cut(cell, cut),
                *(_percent(parts["novel"][x]) for x in novel),
                *(_percent(parts["control"][x]) for x in control),
            ]
            for cell, cut, parts in _by_cut(cells)
        ),
    )
    return f"{counts}\n\n{table}"


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
    return _table(
        header,
        (
            [
                c["cell"]["split"],
                c["cell"]["region"],
                c["label"],
                f"{c['reads']:,}",
                _speed(c),
                _amount(c["start_up"]["cpu_s"]),
                _amount(c["classification"]["cpu_s"]),
                _amount(c["classification"]["wall_s"]),
                _amount(c["classification"]["peak_mb"]),
                _training(c, "cpu_s"),
                _training(c, "peak_mb"),
                f"{c['load']:.1f}",
            ]
            for c in ordered
        ),
    )


COST_NOTE = """\
Measured by /usr/bin/time, classification with one thread. CPU seconds are user and system time. Start-up
(loading the program and its model) is measured by classifying a single sequence, the median of three times,
and taken off before reads per CPU second are counted. RAM is that of the largest process while classifying.
Where training is -, there is nothing to run. Load is the machine's when classification began; where it exceeds
the number of cores, wall times say little."""


# ---------------------------------------------------------------------- cells of tables


def _cells(results: Mapping[str, Any], split: str, region: str) -> list[Row]:
    chosen = [c for c in results["cells"] if (c["cell"]["split"], c["cell"]["region"]) == (split, region)]
    return sorted(chosen, key=_order)


def _order(cell: Row) -> tuple[int, int, int]:
    its = cell["cell"]
    return REGIONS.index(its["region"]), list(TOOLS).index(its["tool"]), its["seed"] or 0


def _by_cut(cells: Iterable[Row]) -> Iterable[tuple[Row, str, Row]]:
    return ((cell, cut, figures) for cell in cells for cut, figures in cell["scores"].items())


def _tool_and_cut(cell: Row, cut: str) -> list[str]:
    return [cell["label"], "none" if cut == "0" else cut]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _with_interval(figures: Row, name: str) -> str:
    return _percent(figures[name]) + ("" if figures[name] is None else _interval(figures["intervals"].get(name)))


def _interval(interval: Sequence[float] | None, sign: bool = False) -> str:
    if interval is None:
        return ""
    low, high = (f"{100 * x:{'+' if sign else ''}.1f}" for x in interval)
    return f" ({low} to {high})"


def _speed(cell: Row) -> str:
    return f"{'> ' if cell['at_least'] else ''}{_amount(cell['reads_per_cpu_s'])}"


def _training(cell: Row, what: str) -> str:
    return _amount(cell["training"][what]) if cell["training"] else "-"


def _amount(x: float) -> str:
    """Three figures, or all before the point."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def _settings(cells: Iterable[Row]) -> str:
    versions = {c["cell"]["tool"]: c["version"] for c in cells}
    return "\n".join(f"- {name} ({versions[name]}): {t.settings}" for name, t in TOOLS.items() if name in versions)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in the source too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text_columns = {i for i, title in enumerate(header) if title in _TEXT}

    def line(cells: Sequence[str]) -> str:
        padded = (
            c.ljust(w) if i in text_columns else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if i in text_columns else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(lines[0]), line(rule), *map(line, lines[1:])])


_TEXT = {"tool", "region", "split", "rank", "best other tool", "linnet's model"}
