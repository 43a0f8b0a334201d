"""linnet's models beside the other tools, as Markdown: who is ahead, differences, and common operating points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from operating import STANDARD
from peers import TOOLS
from prepare import REGIONS
from rivals import COMPARED
from text import interval, over, percent, table

Row = dict[str, Any]

SHOWN = ("linnet", "linnet-any")
"""linnet's models that are set beside every other tool: what a user gets without asking for anything else."""

ALPHA = 0.05


# ---------------------------------------------------------------------- every other tool


def beside(rows: Sequence[Row]) -> list[str]:
    """Who is ahead, in sentences; for each region and model a table of other tools by ranks; what it says.

    Nothing without `SHOWN` models.
    """
    models = [found for model in SHOWN if (found := _shown(rows, model))]
    parts = [_verdict(found) for found in models]
    for region in REGIONS:
        for found in models:
            here = [row for row in found if row["region"] == region]
            if here:
                parts += [f"**{region}: {here[0]['tool']}**, {_seeds(here[0])}", _beside_table(here)]
    return [*parts, BESIDE_NOTE] if parts else []


BESIDE_NOTE = f"""\
Won:lost: how many queries linnet alone has right, and how many the other tool alone, in the mean of the seeds. In
brackets the number of seeds in which McNemar's test (two-sided, exact) tells the two apart at p < {ALPHA:g}, after +
where linnet is ahead and after - where the other tool is; 0: in no seed. The p-values are not corrected for the number
of comparisons."""


def _shown(rows: Iterable[Row], model: str) -> list[Row]:
    """One model's comparisons, but where it is another's very model."""
    same = TOOLS[model].model_of is not None
    return [row for row in rows if row["tool"] == model and not (same and row["region"] == "full")]


def _beside_table(rows: Iterable[Row]) -> str:
    by_peer: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_peer[row["peer"]][row["rank"]] = row
    return table(
        ["tool", *COMPARED],
        ([peer, *(_won_and_lost(by_peer[peer][rank]) for rank in COMPARED)] for peer in TOOLS if peer in by_peer),
    )


def _won_and_lost(row: Row) -> str:
    ahead, behind = _significant(row)
    signs = " ".join([f"+{ahead}"] * (ahead > 0) + [f"-{behind}"] * (behind > 0)) or "0"
    won, lost = (_count(fmean(seed[name] for seed in row["seeds"])) for name in ("won", "lost"))
    return f"{won}:{lost} ({signs})"


def _count(mean: float) -> str:
    return f"{mean:.0f}" if mean == int(mean) else f"{mean:.1f}"


def _significant(row: Row) -> tuple[int, int]:
    """In how many seeds linnet is significantly ahead, and in how many behind."""
    apart = [seed for seed in row["seeds"] if seed["p_value"] < ALPHA]
    ahead = sum(seed["won"] > seed["lost"] for seed in apart)
    return ahead, len(apart) - ahead


def _verdict(rows: Sequence[Row]) -> str:
    model = rows[0]["tool"]
    trained = {row["region"]: _seeds(row) for row in rows}
    trainings = ", ".join(f"{region} {trained[region]}" for region in REGIONS if region in trained)
    behind = [
        f"{row['peer']} at {row['rank']} ({row['region']}, {found} of {_seeds(row)})"
        for row in rows
        if (found := _significant(row)[1])
    ]
    said = (
        f"Significantly ahead of it in some seed: {'; '.join(behind)}."
        if behind
        else "No other tool is significantly ahead of it in any seed, at any rank from phylum to species."
    )
    surely = _places(rows, lambda row: _significant(row)[0] == len(row["seeds"]))
    on_average = _places(rows, lambda row: sum(seed["won"] - seed["lost"] for seed in row["seeds"]) > 0)
    return (
        f"**{model}** ({trainings}), uncut, by McNemar's test at p < {ALPHA:g}. {said} "
        f"Significantly ahead of every other tool in every seed: {surely}. "
        f"More right than every other tool in the mean of its seeds: {on_average}."
    )


def _places(rows: Sequence[Row], holds: Callable[[Row], bool]) -> str:
    """The ranks at which something holds beside every other tool, and in brackets the regions."""
    regions: dict[str, list[str]] = defaultdict(list)
    for region in REGIONS:
        here = [row for row in rows if row["region"] == region]
        ranks = [rank for rank in COMPARED if here and all(holds(row) for row in here if row["rank"] == rank)]
        if ranks:
            regions[", ".join(ranks)].append(region)
    return "; ".join(f"{ranks} ({', '.join(where)})" for ranks, where in regions.items()) or "nowhere"


def _seeds(row: Row) -> str:
    n = len(row["seeds"])
    return f"{n} seed{'s' if n > 1 else ''}"


# ---------------------------------------------------------------------- the best other tool


def against_table(rows: Sequence[Row]) -> str:
    """Each of linnet's models less the best other tool."""
    header = ["linnet's model", "rank", "best other tool", "model right", "other right", "difference"]
    return table(
        [*header, "only model right", "only other right", "p (McNemar)"],
        (
            [
                r["tool"] + (f", {_seeds(r)}" if len(r["seeds"]) > 1 else ""),
                r["rank"],
                r["best_peer"],
                percent(r["accuracy"]),
                percent(r["peer_accuracy"]),
                f"{100 * r['difference']:+.1f}{interval(r['interval'], sign=True)}",
                _count(r["won"]),
                _count(r["lost"]),
                f"{r['greatest_p_value']:.2g}",
            ]
            for r in sorted(rows, key=lambda r: (list(TOOLS).index(r["tool"]), r["rank"]))
        ),
    )


AGAINST_NOTE = """\
Means over the seeds of a model; of p the greatest. The interval of the difference is of queries drawn anew, by the
bootstrap, with 95 % within."""


# ---------------------------------------------------------------------- naive Bayes's operating point


def operating_table(rows: Sequence[Row]) -> str:
    """One region's tools at naive Bayes's operating point, at one rank or more."""
    header = ["tool", *(f"{row['rank']}: {title}" for row in rows for title in _TITLES)]
    lines = [[f"{STANDARD}, uncut", *(cell for row in rows for cell in _of_standard(row["standard"]))]]
    found: dict[str, dict[str, Sequence[Mapping[str, Any]]]] = {
        row["rank"]: {tool["tool"]: tool["seeds"] for tool in row["tools"]} for row in rows
    }
    for tool in (tool for tool in TOOLS if any(tool in of_rank for of_rank in found.values())):
        shown = [found[row["rank"]].get(tool, []) for row in rows]
        several = max(map(len, shown))
        label = f"{tool}, {several} seeds" if several > 1 else tool
        lines.append([label, *(cell for seeds in shown for cell in _at_cuts(seeds))])
    counts = "; ".join(
        f"{row['rank']}: {row['n_unknown']:,} queries of unknown taxa and {row['n_known']:,} of known ones"
        for row in rows
    )
    return f"{counts[0].upper()}{counts[1:]}. Per cent.\n\n{table(header, lines)}"


_TITLES = ("not right", "wrong name", "over-classified")

OPERATING_NOTE = """\
Tools that differ in how often they name taxa which the references lack, at a common point: that of naive Bayes
without a cut. Not right, wrong name: of the queries whose taxon the references have, those not given the right name,
and those given a wrong one, at the lowest cut at which the tool names no more of the unknown taxa than naive Bayes
does. Over-classified: of the queries of unknown taxa, those given a name, at the highest cut at which the tool has as
many of the known ones right as naive Bayes. Each tool's cut is its own and is chosen with these queries, so that the
figures say how well confidences tell right from unknown, and not which cut to use. A dash: it
never gets there (of several seeds: not every one does). Less is better everywhere. Tools without a confidence are left
out."""


def _of_standard(point: Mapping[str, float]) -> list[str]:
    return [percent(1 - point["right"]), percent(point["wrong"]), percent(point["over"])]


def _at_cuts(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    if not seeds:
        return ["-"] * len(_TITLES)
    same_over, same_right = ([seed[name] for seed in seeds] for name in ("same_over", "same_right"))
    return [
        over([point and 1 - point["right"] for point in same_over]),
        over([point and point["wrong"] for point in same_over]),
        over([point and point["over"] for point in same_right]),
    ]
