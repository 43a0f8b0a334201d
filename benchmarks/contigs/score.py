"""Calls against the truth: each set by itself, and two tools over the sets of a group taken together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from cells import SAMPLES, TOOLS, Cell, Data, answered, calls, cost, write

from linnet.contig_evaluation import compare_contigs, evaluate_contigs
from linnet.gold_standard import GoldStandard
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS

Row = dict[str, Any]
Setting = tuple[str, str, int]
"""Sets' group, source of the labels, number of samples."""

OURS = "linnet"
AGAINST = ("labels", "taxometer", "taxometer-95")
RESAMPLES = 1000


def score(cells: Iterable[Cell], work: Path, say: Callable[[str], None]) -> dict[str, list[Row]]:
    """Rows of every finished cell and tool, and of `OURS` less each of `AGAINST` in each setting.

    Args:
        work: what was scored before is kept in its folder `scores`, until the calls are made again.
    """
    settings: dict[Setting, list[Cell]] = defaultdict(list)
    for cell in cells:
        settings[(cell.contigs.group, cell.source, cell.samples)].append(cell)
    rows: list[Row] = []
    differences: list[Row] = []
    for setting, members in settings.items():
        say(f"scoring {', '.join(map(str, setting))} samples")
        here: dict[tuple[str, str], Row] = {}
        for cell in members:
            answering = [tool for tool in TOOLS if answered(cell, tool)]
            if answering == ["labels"] and cell.samples != SAMPLES[0]:
                continue  # the same as with all samples
            for tool in answering:
                path = work / "scores" / f"{cell.contigs.name}.{cell.source}.{cell.samples}s.{tool}.json"
                made = remembered(path, [cell], [tool], partial(figures, cell, tool))
                here[(cell.contigs.name, tool)] = made | {"cost": cost(cell, TOOLS[tool].run)}
        rows += here.values()
        for other in AGAINST:
            both = [c for c in members if (c.contigs.name, OURS) in here and (c.contigs.name, other) in here]
            if both:
                names = "+".join(cell.contigs.name for cell in both)
                path = work / "scores" / f"{names}.{setting[1]}.{setting[2]}s.{OURS}.less.{other}.json"
                found = remembered(path, both, [OURS, other], partial(difference, both, OURS, other))
                pairs = [(here[(c.contigs.name, OURS)], here[(c.contigs.name, other)]) for c in both]
                differences.append(_named(setting) | {"a": OURS, "b": other, "sets": list(map(_f1, pairs))} | found)
    return {"rows": rows, "differences": differences}


def remembered(path: Path, cells: Sequence[Cell], tools: Sequence[str], make: Callable[[], Row]) -> Row:
    """What was made before, if none of the calls is newer."""
    runs = [TOOLS[tool].run for tool in tools if TOOLS[tool].run]
    inputs = [path for cell in cells for path in (cell.labels, *map(cell.calls, runs))]
    if not path.exists() or any(each.stat().st_mtime >= path.stat().st_mtime for each in inputs):
        write(path, json.dumps(make()) + "\n")
    found: Row = json.loads(path.read_text())
    return found


def figures(cell: Cell, tool: str) -> Row:
    """One tool on one cell: figures by rank, and what became of the labels."""
    data = Data(cell.contigs)
    truth, minimum = data.truth, TOOLS[tool].minimum
    labels = data.labels(cell.labels)
    e = evaluate_contigs(calls(cell, tool, data), truth.gold, None, labels, truth.known, minimum, resamples=0)
    ranks = {
        rank: {
            **{name: getattr(r.contigs, name) for name in ("precision", "recall", "f1", "coverage", "macro_f1")},
            "bases_f1": r.bases.f1 if r.bases else None,
            "wrong_on_absent": r.wrong_on_absent,
            **{name: getattr(r.change, name) for name in ("corrected", "harmed", "cut", "newly_right")},
        }
        for rank, r in e.ranks.items()
    }
    novel = {"novel_retained": e.novel.retained, "novel_exact": e.novel.exact} if e.novel else {}
    about = {"set": cell.contigs.name, "tool": tool, "contigs": e.contigs, "ranks": ranks, **novel}
    return _named((cell.contigs.group, cell.source, cell.samples)) | about


def difference(cells: Sequence[Cell], a: str, b: str) -> Row:
    """One tool less another by rank, over the contigs of all sets together.

    The bootstrap draws the genomes of all sets: one that is in two sets counts as two, since other parts of it are
    there, at other depths, with another database.
    """
    datas = {cell.contigs.name: Data(cell.contigs) for cell in cells}
    gold = pooled_gold({name: data.truth.gold for name, data in datas.items()})
    of_a, of_b = (
        pooled({cell.contigs.name: calls(cell, tool, datas[cell.contigs.name]) for cell in cells}) for tool in (a, b)
    )
    minima = (TOOLS[a].minimum, TOOLS[b].minimum)
    found = compare_contigs(of_a, of_b, gold, None, minima, RESAMPLES)
    return {"genomes": found.genomes, "ranks": found.to_json()["ranks"]}


def _f1(pair: tuple[Row, Row]) -> dict[str, float]:
    """The difference of F1 in one set, by rank."""
    of_a, of_b = (row["ranks"] for row in pair)
    values = {rank: (of_a[rank]["f1"], of_b[rank]["f1"]) for rank in of_a}
    return {rank: x - y for rank, (x, y) in values.items() if x is not None and y is not None}


def pooled(sets: Mapping[str, Mapping[str, Prediction]]) -> dict[str, Prediction]:
    """The calls of several sets, each contig named after its set too."""
    return {f"{name}/{contig}": call for name, found in sets.items() for contig, call in found.items()}


def pooled_gold(sets: Mapping[str, GoldStandard]) -> GoldStandard:
    """The truth about several sets; a genome is another one in each."""
    whole = GoldStandard({}, {}, {})
    for name, gold in sets.items():
        whole.lineages.update({f"{name}/{contig}": lineage for contig, lineage in gold.lineages.items()})
        whole.genomes.update({f"{name}/{contig}": f"{name}/{genome}" for contig, genome in gold.genomes.items()})
        whole.lengths.update({f"{name}/{contig}": bases for contig, bases in gold.lengths.items()})
    return whole


def summaries(rows: Iterable[Row]) -> list[Row]:
    """Mean and standard deviation of the sets of each setting and tool; the deviation of one set is None."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[(row["group"], row["source"], row["samples"], row["tool"])].append(row)
    found = []
    for (*setting, tool), members in groups.items():
        values = {name: spread([flat(row)[name] for row in members]) for name in flat(members[0])}
        found.append(_named((setting[0], setting[1], setting[2])) | {"tool": tool, "sets": len(members), **values})
    return found


def flat(row: Row) -> dict[str, float | None]:
    """The figures of the tables: `f1 species` and so on, and the costs."""
    ranks = row["ranks"]
    shown = ("precision", "recall", "f1", "wrong_on_absent", "harmed", "corrected")
    values = {f"{name} {rank}": ranks.get(rank, {}).get(name) for name in shown for rank in RANKS}
    values["novel_retained"] = row.get("novel_retained")
    return values | {name: (row["cost"] or {}).get(name) for name in ("wall_s", "cpu_s", "peak_mb")}


def spread(values: Sequence[float | None]) -> tuple[float, float | None] | None:
    """Mean and standard deviation of those that are defined; None where there is none."""
    defined = [value for value in values if value is not None]
    if not defined:
        return None
    return fmean(defined), stdev(defined) if len(defined) > 1 else None


def _named(setting: Setting) -> Row:
    group, source, samples = setting
    return {"group": group, "source": source, "samples": samples}
