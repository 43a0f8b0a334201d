"""Naming proteins: linnet beside MMseqs2 and simple methods, on the same proteins, by the same scorer.

    LINNET_DATA=FOLDER python benchmarks/proteins/run.py --work DIR                        the split that is given
    LINNET_DATA=FOLDER python benchmarks/proteins/run.py --work DIR --splits given,1,2     and other held-out clades
    LINNET_DATA=FOLDER python benchmarks/proteins/run.py --work DIR --validation           to choose settings on

Three sets of 2,000 queries: drawn at random; of genera, and of families, none of whose proteins are trained on. What is
finished is kept in DIR, so that the same command goes on where it was stopped. DIR/results.json and DIR/results.md
hold the results; mmseqs is Debian's mmseqs2.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from arms import ARMS
from numpy.typing import NDArray
from tasks import HIDDEN, RANKS, Calls, Task, given, held_out, truth

from linnet.metrics import debiased_ece
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.significance import percentile_interval

BINS = 15
RESAMPLES = 1000
RIVAL = "mmseqs"
"""With whose answers those of the others are compared."""
SURE = ("lca", "words", "linnet", "ensemble")
"""Of which calibration and recall at a precision are told; the others say nothing of how sure they are."""


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--splits", default="given", metavar="LIST", help="given, or seeds of others (default: given)")
    parser.add_argument("--seeds", default="42", metavar="LIST", help="of linnet's training (default: 42)")
    parser.add_argument("--arms", default=",".join(ARMS), metavar="LIST", help=f"of {', '.join(ARMS)} (default: all)")
    parser.add_argument("--validation", action="store_true", help="the validation sets of the split that is given")
    args = parser.parse_args()
    data = os.environ.get("LINNET_DATA")
    if not data:
        print("LINNET_DATA is not set: the folder with the proteins", file=sys.stderr)
        return 2
    if unknown := set(args.arms.split(",")) - set(ARMS):
        print(f"no arm {min(unknown)}; there are {', '.join(ARMS)}", file=sys.stderr)
        return 2
    tree = Path(data) / "data" / "protein" / "ncbi_partial_nodes.tsv.gz"
    said: dict[str, dict[str, Said]] = {}
    for split in args.splits.split(","):
        one = given(Path(data), args.work, validation=args.validation) if split == "given" else None
        task = one or held_out(Path(data), args.work, int(split))
        task.write()
        said[task.folder.name] = _asked(task, tree, args.arms.split(","), args.seeds.split(","))
    if len(said) > 1:
        said["all splits"] = {name: Said.join([sets[name] for sets in said.values()]) for name in HIDDEN}
    results = {
        split: {name: figures(one.true_NR, one.calls, name) for name, one in sets.items()}
        for split, sets in said.items()
    }
    stem = args.work / ("validation" if args.validation else "results")
    stem.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    stem.with_suffix(".md").write_text(tables(results))
    print(stem.with_suffix(".md"))
    return 0


@dataclass(frozen=True, eq=False)
class Said:
    """What is true of some queries (`tasks.truth`), and what each run said."""

    true_NR: NDArray[np.int64]
    calls: dict[str, Calls]

    @classmethod
    def join(cls, parts: Sequence[Said]) -> Said:
        """All queries of several splits, with the runs that all have."""
        runs = [run for run in parts[0].calls if all(run in part.calls for part in parts)]
        return cls(
            np.concatenate([part.true_NR for part in parts]),
            {run: Calls.join([part.calls[run] for part in parts]) for run in runs},
        )


def _asked(task: Task, tree: Path, arms: Sequence[str], seeds: Sequence[str]) -> dict[str, Said]:
    """By set."""
    found: dict[str, Said] = {}
    for name, queries in task.queries.items():
        said = {}
        for arm in arms:
            for seed in seeds if arm in ("linnet", "words") else ("",):
                run = f"{arm}{seed}"
                kept = task.folder / f"{run}.{name}.npz"
                if not kept.exists():
                    print(f"proteins: {task.folder.name}, {name}: {run}", file=sys.stderr, flush=True)
                    ARMS[arm][1](task, name, tree, task.folder / run, int(seed or 0)).save(kept)
                said[run] = Calls.load(kept)
        found[name] = Said(truth(queries), said)
    return found


def figures(true_NR: NDArray[np.int64], said: Mapping[str, Calls], name: str) -> dict[str, object]:
    """Of each run what it reached; shares are None where nothing is there to be counted."""
    rank = HIDDEN[name]
    clade_N = true_NR[:, RANKS.index(rank or "genus")]  # those of one clade stand or fall together
    lca = said.get("lca")
    return {
        run: {
            "per_cpu_second": round(len(true_NR) / calls.cpu_s, 1) if calls.cpu_s else None,
            "ranks": {r: _at_rank(true_NR[:, i], calls, i, lca) for i, r in enumerate(RANKS)},
            "named_at_hidden": _named(calls, rank) if rank else None,
            "less_rival": _less(true_NR, calls, said[RIVAL], clade_N) if RIVAL in said and run != RIVAL else None,
        }
        for run, calls in said.items()
    }


def _at_rank(true_N: NDArray[np.int64], calls: Calls, rank: int, lca: Calls | None) -> dict[str, float | None]:
    """Accuracy of the uncut names; precision, recall and calibration of those at the default cut."""
    some = true_N > 0
    right = (calls.taxid_NR[:, rank] == true_N)[some]
    sure = calls.confidence_NR[some, rank] * (calls.taxid_NR[some, rank] > 0)
    kept = sure >= DEFAULT_CONFIDENCE
    at = np.minimum((sure * BINS).astype(int), BINS - 1)
    sums = (np.bincount(at, w, BINS)[None] for w in (None, sure, right.astype(float)))
    found = {
        "accuracy": _share(right),
        "named": _share(kept),
        "precision": _share(right[kept]),
        "recall": _share(right & kept),
        "ece": float(debiased_ece(*(s.astype(float) for s in sums))[0]),
    }
    if lca is not None:
        named = lca.taxid_NR[some, rank] > 0
        found["recall_at_lca_precision"] = _recall_at(right, sure, _share(right_of(lca, true_N, rank)[some][named]))
    return found


def right_of(calls: Calls, true_N: NDArray[np.int64], rank: int) -> NDArray[np.bool_]:
    return np.asarray(calls.taxid_NR[:, rank] == true_N)


def _recall_at(right: NDArray[np.bool_], sure: NDArray[np.float64], precision: float | None) -> float | None:
    """The most that can be named rightly, of all, with names of a confidence from some cut on so precise."""
    if precision is None:
        return None
    order = np.argsort(-sure, kind="stable")
    hits = np.cumsum(right[order])
    last = np.flatnonzero(np.append(np.diff(sure[order]) < 0, True) & (sure[order] > 0))  # ties are cut together
    good = last[hits[last] / (last + 1) >= precision]
    return float(hits[good].max() / len(right)) if len(good) else 0.0


def _named(calls: Calls, rank: str) -> dict[str, float]:
    """Shares that get a name at the rank that was held out: at the default cut, and uncut."""
    at = RANKS.index(rank)
    named = calls.taxid_NR[:, at] > 0
    return {
        "cut": float((named & (calls.confidence_NR[:, at] >= DEFAULT_CONFIDENCE)).mean()),
        "uncut": float(named.mean()),
    }


def _less(
    true_NR: NDArray[np.int64], calls: Calls, rival: Calls, clade_N: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Rank -> accuracy less the rival's, with the interval of 1,000 draws of whole clades (cluster bootstrap)."""
    _, of = np.unique(clade_N, return_inverse=True)
    random = np.random.default_rng(0)
    clades = int(of.max()) + 1
    drawn_RC = random.integers(clades, size=(RESAMPLES, clades))
    weight_RC = np.stack([np.bincount(row, minlength=clades) for row in drawn_RC])
    found = {}
    for i, rank in enumerate(RANKS):
        some = true_NR[:, i] > 0
        gain = (right_of(calls, true_NR[:, i], i).astype(float) - right_of(rival, true_NR[:, i], i))[some]
        if not len(gain):
            continue
        total = np.bincount(of[some], gain, clades)
        size = np.bincount(of[some], minlength=clades)
        drawn = (weight_RC @ total) / np.maximum(weight_RC @ size, 1)
        low, high = percentile_interval(drawn) or (float("nan"),) * 2
        beyond = min((drawn <= 0).mean(), (drawn >= 0).mean())
        found[rank] = {"points": gain.mean(), "low": low, "high": high, "p": min(1.0, 2 * max(beyond, 1 / RESAMPLES))}
    return found


def _share(these: NDArray[np.bool_]) -> float | None:
    return float(these.mean()) if len(these) else None


def tables(results: Mapping[str, Mapping[str, Mapping[str, dict[str, object]]]]) -> str:
    """Everything as Markdown."""
    lines: list[str] = []
    for split, sets in results.items():
        for name, runs in sets.items():
            ranks = RANKS[: RANKS.index(HIDDEN[name])] if HIDDEN[name] else RANKS
            lines += ["", f"## {split}, {name}", "", "Accuracy, %", ""]
            rows = [_accuracies(run, f, ranks) for run, f in runs.items()]
            lines += _table(["", *ranks, "a CPU s"], rows + _over_seeds(runs, ranks))
            lines += ["", f"Names at {DEFAULT_CONFIDENCE} or more: precision / recall, %", ""]
            lines += _table(["", *ranks, "at the hidden rank"], [_names(run, f, ranks) for run, f in runs.items()])
            lines += ["", "Recall at the precision of LCA / debiased calibration error, %", ""]
            lines += _table(["", *ranks], [_curve(run, f, ranks) for run, f in runs.items() if run.startswith(SURE)])
            lines += ["", f"Accuracy less that of {ARMS[RIVAL][0]}, points (95 %)", ""]
            lines += _table(["", *ranks], [_differences(run, f, ranks) for run, f in runs.items() if f["less_rival"]])
    return "\n".join(lines).strip() + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---", *["--:"] * (len(head) - 1)], *rows)]


def _per_cent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _accuracies(run: str, found: dict, ranks: Sequence[str]) -> list[str]:
    speed = found["per_cpu_second"]
    return [run, *(_per_cent(found["ranks"][r]["accuracy"]) for r in ranks), f"{speed:,.0f}" if speed else "-"]


def _over_seeds(runs: Mapping[str, dict], ranks: Sequence[str]) -> list[list[str]]:
    """Mean and standard deviation (n - 1) of linnet's accuracies over its seeds."""
    seeds = [f for run, f in runs.items() if run.startswith("linnet")]
    if len(seeds) < 2:
        return []
    accuracy_SR = 100 * np.array([[f["ranks"][r]["accuracy"] for r in ranks] for f in seeds])
    cells = [f"{mean:.1f} ± {sd:.1f}" for mean, sd in zip(accuracy_SR.mean(0), accuracy_SR.std(0, ddof=1), strict=True)]
    return [[f"linnet, {len(seeds)} seeds", *cells, ""]]


def _names(run: str, found: dict, ranks: Sequence[str]) -> list[str]:
    at = (found["ranks"][r] for r in ranks)
    hidden = found["named_at_hidden"]
    shares = [f"{_per_cent(f['precision'])} / {_per_cent(f['recall'])}" for f in at]
    return [run, *shares, _per_cent(hidden["cut"]) if hidden else "-"]


def _curve(run: str, found: dict, ranks: Sequence[str]) -> list[str]:
    at = (found["ranks"][r] for r in ranks)
    return [run, *(f"{_per_cent(f.get('recall_at_lca_precision'))} / {_per_cent(f['ece'])}" for f in at)]


def _differences(run: str, found: dict, ranks: Sequence[str]) -> list[str]:
    less = found["less_rival"]
    return [run, *(f"{100 * d['points']:+.1f} ({100 * d['low']:+.1f} to {100 * d['high']:+.1f})"
                   for r in ranks if (d := less.get(r)))]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
