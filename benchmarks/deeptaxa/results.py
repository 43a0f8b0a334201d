"""From measurements and answers to figures, and from figures to Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from cells import QUICK_BATCH, Bench, Block, answers, batch_answers, usages
from measure import Usage
from tools import DEEPTAXA, TOOLS, Answers

Figures = dict[str, Any]

BUSY = 0.15
"""Cores that other processes use during a measurement, from which it is in doubt."""

RESOLUTION_S = 0.02
"""Wall time that cannot be told from nothing, in seconds."""


def speeds(bench: Bench, block: Block, tools: Sequence[str], repeats: int) -> list[Figures]:
    """Rate, start-up and memory of each tool; median, least and most over the repetitions."""
    found = {tool: usages(bench, block, tool, repeats) for tool in tools}
    rates = {tool: [rate(costs) for costs in each] for tool, each in found.items()}
    rows = []
    for tool, each in found.items():
        if not each:
            continue
        ratios = [ours / theirs for ours, theirs in zip(rates[tool], rates.get(DEEPTAXA, []), strict=False)]
        start_ups = [start_up(costs) for costs in each]
        rows.append(
            {
                "reads": block.reads,
                "threads": block.threads,
                "tool": tool,
                "sizes": list(block.sizes(tool)),
                "reads_per_s": _over(rates[tool]),
                "times_deeptaxa": _over(ratios) if ratios and tool != DEEPTAXA else None,
                "start_up_s": _over(start_ups),
                "many": block.many,
                "whole_s": _over([costs[block.many].wall_s for costs in each]),
                "cpu_s": _over([costs[block.many].cpu_s for costs in each]),
                "peak_mb": max(usage.peak_mb for costs in each for usage in costs.values()),
                "others": max(usage.others for costs in each for usage in costs.values()),
            }
        )
    return rows


def rate(costs: Mapping[int, Usage]) -> float:
    """Reads a second once it is running: what the most reads took beyond the fewest."""
    few, most = min(costs), max(costs)
    return (most - few) / max(costs[most].wall_s - costs[few].wall_s, RESOLUTION_S)


def start_up(costs: Mapping[int, Usage]) -> float:
    """Seconds of the fewest reads that the rate does not explain."""
    few = min(costs)
    return max(0.0, costs[few].wall_s - few / rate(costs))


def _over(values: Sequence[float]) -> Figures:
    return {"median": median(values), "least": min(values), "most": max(values), "runs": len(values)}


def agreement(bench: Bench, block: Block, tools: Sequence[str]) -> list[Figures]:
    """Each compared tool's answers beside DeepTaxa's, and DeepTaxa's beside its own in batches of another size."""
    theirs = answers(bench, block, DEEPTAXA)
    rows = []
    first, *others = batch_answers(bench, block) or [{}]
    if others:
        itself = [compare(first, other) for other in others]
        worst = max(itself, key=lambda figures: (-figures["equal"], figures["difference"]))
        rows.append({"compared": "DeepTaxa, in batches of another size"} | worst)
    for tool in tools:
        ours = answers(bench, block, tool) if TOOLS[tool].compared else None
        if theirs and ours:
            rows.append({"compared": TOOLS[tool].title} | compare(theirs, ours))
    return [{"reads": block.reads, "threads": block.threads} | row for row in rows]


def compare(left: Answers, right: Answers) -> Figures:
    """Labels and probabilities of the same reads.

    Returns:
        reads: in both; missing: in one only; labels: of all reads, at all ranks; equal: of these; difference: the
        largest between two probabilities of the same label; doubt: the largest probability that either gives a label
        on which they differ, or None.
    """
    shared = left.keys() & right.keys()
    both = [(a, b) for name in shared for a, b in zip(left[name], right[name], strict=True)]
    same = [abs(a[1] - b[1]) for a, b in both if a[0] == b[0]]
    other = [max(a[1], b[1]) for a, b in both if a[0] != b[0]]
    return {
        "answered": len(shared),
        "missing": len(left.keys() ^ right.keys()),
        "labels": len(both),
        "equal": len(same),
        "difference": max(same, default=0.0),
        "doubt": max(other, default=None),
    }


# ---------------------------------------------------------------------- Markdown


def render(results: Mapping[str, Any]) -> str:
    """The whole of results.md."""
    parts = ["# linnet beside DeepTaxa, on the same weights", _preamble(results)]
    parts += ["## Speed and memory", speed_table(results["speeds"]), SPEED_NOTE]
    parts += ["## The same answers?", agreement_table(results["agreement"]), AGREEMENT_NOTE]
    if results["batches"]:
        parts += [
            "## DeepTaxa's batch size",
            batch_table(results["batches"]),
            "Wall seconds; the fastest is used above.",
        ]
    return "\n\n".join(parts) + "\n"


def _preamble(results: Mapping[str, Any]) -> str:
    sets = (
        f"{name} (median {about['bases']['median']:,.0f} bases, {about['bases']['least']:,} to "
        f"{about['bases']['most']:,})"
        for name, about in results["data"]["reads"].items()
    )
    lines = [
        f"One network of DeepTaxa's published full-length configuration, {results['data']['model']['parameters']:,} "
        f"parameters, random weights. Real reads: {'; '.join(sets)}. {results['versions']}. {results['machine']}."
    ]
    if "conversion" in results:
        lines.append(f"Converting the checkpoint took {results['conversion']['wall_s']:.1f} s, once.")
    if results["quick"]:
        lines.append(
            f"**A quick run**: few reads, and DeepTaxa with batches of {QUICK_BATCH}, untried. It shows that all of it "
            "works and roughly how the tools compare."
        )
    others = max((row["others"] for row in results["speeds"]), default=0.0)
    if others > BUSY:
        lines.append(f"**The machine was not idle**: other processes used up to {others:.1f} cores. Measure again.")
    return "\n\n".join([*lines, *results["failed"]])


def speed_table(rows: Iterable[Figures]) -> str:
    header = ["reads", "threads", "tool", "reads per s", "times DeepTaxa", "start-up, s", "whole run", "RAM, MiB"]

    def row(figures: Figures) -> list[str]:
        times = figures["times_deeptaxa"]
        whole = f"{figures['many']:,} reads, {_range(figures['whole_s'], _seconds)} s"
        return [
            figures["reads"],
            str(figures["threads"]),
            TOOLS[figures["tool"]].title,
            _range(figures["reads_per_s"], _significant),
            _range(times, _significant) if times else "",
            _range(figures["start_up_s"], _seconds),
            whole,
            f"{figures['peak_mb']:,.0f}",
        ]

    return _table(header, map(row, rows))


SPEED_NOTE = """\
Wall time, median over the repetitions, with the least and the most. Every run is a process of its own, bound to as
many cores as it has threads; the tools take turns, with the same reads. The difference between a run of few reads and
a longer one gives the rate, and what the rate leaves of the first is the start-up; linnet's longest run has more reads
than DeepTaxa's, or it would be over too soon to be timed. The ratio is taken within each repetition. RAM is the largest
resident size of a single process. `its own decoding` is what linnet does without being asked to repeat DeepTaxa:
paths through the taxonomy, on the better of both strands."""


def agreement_table(rows: Iterable[Figures]) -> str:
    header = ["reads", "threads", "beside DeepTaxa", "reads answered by both", "labels equal", "largest difference"]
    header += ["most certain unequal label"]

    def row(figures: Figures) -> list[str]:
        missing = f", {figures['missing']} by one only" if figures["missing"] else ""
        doubt = "" if figures["doubt"] is None else f"{figures['doubt']:.4f}"
        labels = f"{figures['equal']:,} of {figures['labels']:,}"
        answered = f"{figures['answered']:,}{missing}"
        at = [figures["reads"], str(figures["threads"]), figures["compared"]]
        return [*at, answered, labels, f"{figures['difference']:.2g}", doubt]

    return _table(header, map(row, rows))


AGREEMENT_NOTE = """\
Seven labels a read, each with its softmax probability. The difference is between the two probabilities of a label
that both name. Labels that differ do so where several are about as likely: the last column is the most that either
tool gives such a label."""


def batch_table(blocks: Mapping[str, Figures]) -> str:
    header = ["reads and threads", "reads", "batch: seconds"]

    def row(name: str, found: Figures) -> list[str]:
        tried = (f"{size}: {usage['wall_s']:.1f}" for size, usage in found["tried"].items())
        return [name, str(found["reads"]), ", ".join(tried)]

    return _table(header, (row(name, found) for name, found in blocks.items()))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _range(figures: Figures, shown: Callable[[float], str]) -> str:
    return f"{shown(figures['median'])} ({shown(figures['least'])}-{shown(figures['most'])})"


def _seconds(value: float) -> str:
    return f"{value:.1f}"


def _significant(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
