"""What the parts of a protein transformer are worth: head, pooling, adapters, seeds; and what fewer bins cost.

    LINNET_DATA=FOLDER python benchmarks/proteins/ablations.py --work DIR                 an encoder drawn at random
    LINNET_DATA=FOLDER python benchmarks/proteins/ablations.py --work DIR --esm FOLDER    an ESM-2

Each variant is trained by `linnet train proteins` on the same few thousand proteins of the split that is given, once
for each seed, and names the same few hundred of its validation sets by `linnet classify`. What is finished is kept in
DIR, so that the same command goes on where it was stopped. DIR/results.json holds all figures, DIR/ablations.json what
`linnet report proteins --ablations` takes, DIR/results.md the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from arms import ARMS, of_predictions
from numpy.typing import NDArray
from run import figures
from tasks import HIDDEN, RANKS, Calls, Protein, Task, given, record, truth
from tree_code import generated

from linnet import checkpoint
from linnet.__main__ import main as linnet
from linnet.formats import read_predictions
from linnet.lineage_code import FIRST, LineageCode
from linnet.lineage_scores import lineage_scores
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy

HEADS = ("decoder", "light")
POOLINGS = ("latents", "query", "residues", "published")
BASELINES = ("commonest", "neighbour")
TRAINING = ("--no-refit", "--epochs", "4", "--batch", "16", "--learning-rate", "0.003")
"""Of every variant with an encoder."""
VOCABULARY = 2_000
"""Tokens of the decoder's bins: a level of so few proteins' tree fits into one or two, and training is quicker."""
TOKENS = (15_000, 5_000, 1_000, 500)
BINS = 118
"""Of the published row."""


def variants(weights: Path, width: int, more: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Flags of the training by name: each head on each pooling; no adapters; the light head on words.

    Args:
        weights: the encoder's folder.
        width: of its vectors and of the decoder's.
        more: further flags, which win over those here.
    """
    esm = ("--encoder", "esm", "--weights", str(weights), *TRAINING)
    sizes = {"decoder": ("--width", str(width), "--vocabulary", str(VOCABULARY)), "light": ()}
    found = {
        f"{head}, {pooling}": (*esm, "--head", head, *sizes[head], "--pooling", pooling, *more)
        for head in HEADS
        for pooling in POOLINGS
    }
    frozen = ("--head", "decoder", *sizes["decoder"], "--pooling", "latents", *more, "--lora", "0")
    return found | {
        "decoder, latents, no adapters": (*esm, *frozen),
        "light, words": ("--neighbours", "0", "--no-refit"),
    }


def main() -> int:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--esm", type=Path, metavar="FOLDER", help="an ESM-2 of the hub: config.json, safetensors")
    parser.add_argument("--seeds", default="1,2", metavar="LIST", help="of linnet's training (default: 1,2)")
    parser.add_argument("--proteins", type=int, default=1500, metavar="N", help="to learn from (default: 1500)")
    parser.add_argument("--queries", type=int, default=300, metavar="N", help="of each set (default: 300)")
    parser.add_argument("--longest", type=int, default=150, metavar="N", help="residues of a protein (default: 150)")
    parser.add_argument("--flags", default="", metavar="FLAGS", help="further ones of the training of all but words, "
                        "as --flags='--epochs 10 --batch 64'; they win over the script's own")  # fmt: skip
    parser.add_argument(
        "--variants", default="", metavar="TEXT", help="only those whose names begin so, with the baselines"
    )
    parser.add_argument("--device", default="cpu", help="of all but words: cpu (default), cuda ...")
    args = parser.parse_args()
    if "LINNET_DATA" not in os.environ:
        print("LINNET_DATA is not set: the folder with the proteins", file=sys.stderr)
        return 2
    data = Path(os.environ["LINNET_DATA"])
    args.work.mkdir(parents=True, exist_ok=True)
    same = {name: str(getattr(args, name)) for name in ("esm", "proteins", "queries", "longest", "flags")}
    settings = args.work / "settings.json"
    if settings.exists() and json.loads(settings.read_text()) != same:
        print(f"{settings} is of other settings; give another --work", file=sys.stderr)
        return 2
    record(settings, same)

    tree_file = data / "data" / "protein" / "ncbi_partial_nodes.tsv.gz"
    tree = read_taxonomy(tree_file)
    whole = given(data, args.work, validation=True)
    task, sets = drawn(whole, args.proteins, args.queries, args.longest)
    task.write()
    weights = args.esm or drawn_encoder(args.work / "encoder")
    width = int(json.loads((weights / "config.json").read_text())["hidden_size"])
    nodes = [tree.by_taxid(p.taxid) or 0 for proteins in whole.queries.values() for p in proteins]
    codes = {"NCBI, a part": few_bins(tree, names_order(tree), np.array(nodes))}
    made = generated(1_400_000, 37)
    codes["made"] = few_bins(made, np.random.default_rng(1).permutation(len(made)))
    runs: dict[str, list[dict[str, Any]]] = {}
    for name in BASELINES:
        calls = ARMS[name][1](task, "all", tree_file, task.folder, 0)
        runs[name] = [{"sets": scored(task, sets, calls, tree), **speed(calls)}]
    for seed in map(int, args.seeds.split(",")):
        for name, flags in variants(weights, width, shlex.split(args.flags)).items():
            if name.startswith(args.variants):
                calls, cost = trained(task, tree_file, name, flags, seed, args.device)
                found = {"seed": seed, "sets": scored(task, sets, calls, tree), **speed(calls), **cost}
                runs.setdefault(name, []).append(found)
                write(args.work, runs, codes)
    print(args.work / "results.md")
    return 0


def write(
    folder: Path, runs: Mapping[str, Sequence[Mapping[str, Any]]], codes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """What is known so far."""
    record(folder / "results.json", {"runs": runs, "codes": codes})
    some = [{"name": name, "figures": flat(summary(of))} for name, of in runs.items()]
    (folder / "ablations.json").write_text(json.dumps(some, indent=1) + "\n")
    (folder / "results.md").write_text(tables(runs, codes))


def drawn(whole: Task, proteins: int, queries: int, longest: int) -> tuple[Task, dict[str, slice]]:
    """Proteins of up to so many residues; all queries as one set, `all`; which of them each set is."""
    random = np.random.default_rng(0)

    def few(of: Sequence[Protein], count: int) -> list[Protein]:
        short = [p for p in of if len(p.sequence) <= longest]
        return [short[i] for i in np.sort(random.permutation(len(short))[:count])]

    train, asked, sets = few(whole.train, proteins), list[Protein](), {}
    for name in HIDDEN:
        some = few(whole.queries[name], queries)
        sets[name] = slice(len(asked), len(asked) + len(some))
        asked += some
    return Task(whole.folder.parent / "task", train, {"all": asked}), sets


def drawn_encoder(folder: Path) -> Path:
    """An ESM-2 of 3 layers, 40 wide, its weights drawn at random, always the same, as the hub has them."""
    if not (folder / "config.json").exists():
        import torch

        from linnet.encoders import esm

        torch.manual_seed(0)
        encoder = esm.EsmEncoder(esm.Config(layers=3, width=40, heads=4, inner=160))
        encoder.body.save_pretrained(folder)
    return folder


def trained(
    task: Task, tree_file: Path, name: str, flags: Sequence[str], seed: int, device: str
) -> tuple[Calls, dict[str, float]]:
    """What a variant says of all queries, and its training: CPU seconds, parameters, those of the encoder."""
    there = ("--device", device) if "--weights" in flags else ()
    folder = task.folder / "-".join([*name.replace(",", "").split(), str(seed)])
    folder.mkdir(exist_ok=True)
    model, table, training, named = (folder / x for x in ("model", "all.jsonl", "training.json", "all.npz"))
    if not training.exists():
        print(f"ablations: {name}, seed {seed}", file=sys.stderr, flush=True)
        shutil.rmtree(model, ignore_errors=True)
        spent = command(
            "train", "proteins", "--sequences", task.file("train"), "--accessions", task.taxids, "--taxonomy",
            tree_file, "--out", model, "--seed", seed, *flags, *there,
        )  # fmt: skip
        tensors = checkpoint.load(model).tensors
        of_encoder = sum(t.size for name, t in tensors.items() if name.startswith("encoder.body."))
        sizes = {"parameters": sum(t.size for t in tensors.values()), "of_encoder": of_encoder}
        record(training, {"training_cpu_s": spent, **sizes})
    if not named.exists():
        spent = command("classify", task.file("all"), "--model", model, "--format", "jsonl", "--out", table, *there)
        of_predictions(read_predictions(table), task.queries["all"], spent).save(named)
    return Calls.load(named), json.loads(training.read_text())


def command(*words: object) -> float:
    """Run a command of linnet in this process, on one thread; its CPU seconds, imports left out after the first."""
    started = time.process_time()
    if code := linnet([*map(str, words), "--threads", "1"]):
        raise SystemExit(code)
    return round(time.process_time() - started, 2)


def speed(calls: Calls) -> dict[str, float]:
    return {"per_cpu_second": len(calls.taxid_NR) / calls.cpu_s} if calls.cpu_s else {}


def scored(task: Task, sets: Mapping[str, slice], calls: Calls, tree: Taxonomy) -> dict[str, dict[str, float | None]]:
    """Of each set accuracy at each rank above what was held out; shared prefix and 1 - nRF of the path to the deepest
    of the seven names."""
    found = {}
    for of, rows in sets.items():
        proteins, said = task.queries["all"][rows], Calls(calls.taxid_NR[rows], calls.confidence_NR[rows], 0.0)
        ranks = RANKS[: RANKS.index(HIDDEN[of])] if HIDDEN[of] else RANKS
        at: Any = figures(truth(proteins), {"run": said}, of)["run"]
        deepest = [next((t for t in row[::-1] if t), 0) for row in said.taxid_NR.tolist()]
        taxids = deepest, [p.taxid for p in proteins]
        answer, true = (np.array([tree.by_taxid(t) or 0 for t in some]) for some in taxids)
        scores = lineage_scores(tree, true, answer)
        found[of] = {rank: at["ranks"][rank]["accuracy"] for rank in ranks} | {
            "shared": float(scores.shared_N.mean()),
            "1 - nRF": float(scores.inverted_rf_N.mean()),
        }
    return found


# ---------------------------------------------------------------------- codes


def names_order(tree: Taxonomy) -> NDArray[np.int64]:
    """(N,): where each taxon's name stands among all in alphabetical order; homonyms share a number."""
    _, order = np.unique(np.array(list(tree.names)), return_inverse=True)
    return order.astype(np.int64)


def few_bins(
    tree: Taxonomy, order_N: NDArray[np.integer], queries: NDArray[np.integer] | None = None
) -> list[dict[str, Any]]:
    """Of each number of tokens a bin the bins needed, and the share of taxa, and of queries, that share their row.

    `as published` takes as many bins as its rule makes; the other two keep to a row of 118, in which a level's taxa
    begin again at its first bin when they have come to the end of its last.

    Args:
        order_N: the names' order.
        queries: nodes.
    """
    code = LineageCode(tree)
    by_name = np.lexsort((order_N, tree.depth))
    alphabetical = np.empty(len(tree), np.int64)
    alphabetical[by_name] = np.arange(len(tree)) - tree.level_bounds[tree.depth[by_name]]
    rows = []
    for tokens in TOKENS:
        shared = {
            "as published": shared_rows(tree, *published(tree, order_N, tokens)),
            "118 bins, names in order": shared_rows(tree, wrapped(tree, alphabetical, tokens)),
            "118 bins, siblings together": shared_rows(tree, wrapped(tree, code.position.astype(np.int64), tokens)),
        }
        row: dict[str, Any] = {"tokens": tokens, "bins": LineageCode(tree, tokens).slots}
        row["taxa"] = {name: float(s[1:].mean()) for name, s in shared.items()}
        if queries is not None:
            row["queries"] = {name: float(s[queries].mean()) for name, s in shared.items()}
        rows.append(row)
    return rows


def room(sizes: NDArray[np.integer], tokens: int, bins: int = BINS) -> NDArray[np.int64]:
    """Of levels of so many taxa the places of each in a row of so many bins: those that it needs, where they suffice;
    else one bin, and of the other bins its share by its size (largest remainder)."""
    each = tokens - FIRST
    needed = -(-sizes // each)
    if needed.sum() > bins:
        wanted = sizes / sizes.sum() * (bins - len(sizes))
        needed = 1 + wanted.astype(np.int64)
        rest = bins - int(needed.sum())
        needed[np.argsort(-(wanted % 1), kind="stable")[:rest]] += 1
    return np.asarray(needed * each, np.int64)


def wrapped(tree: Taxonomy, position_N: NDArray[np.integer], tokens: int) -> NDArray[np.int64]:
    """(N,): each taxon's place among those that its level has in a row of 118 bins."""
    places = np.concatenate([[1], room(np.diff(tree.level_bounds)[1:], tokens)])
    return np.asarray(position_N % places[tree.depth], np.int64)


def published(tree: Taxonomy, order_N: NDArray[np.integer], tokens: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The published numbering (code, commit 24b056a): (N,) bin and id of each taxon as one number; whether it got the
    id of STOP.

    In each level names in order fill bins of `tokens` - 1; ids count on from 12 over all levels, and from `tokens` on
    are 2 + (n - 2) mod (tokens - 2); a name keeps the id that it has, and is one entry of a level.
    """
    at = np.lexsort((order_N, tree.depth))[1:]
    level, name = tree.depth[at], order_N[at]
    new = np.append(True, (np.diff(level) != 0) | (np.diff(name) != 0))  # the first of a level with this name
    entry = np.cumsum(new) - 1
    first = np.flatnonzero(np.append(True, np.diff(level[new]) != 0))
    within = entry - first[level - 1]
    _, once, of = np.unique(name[new], return_index=True, return_inverse=True)  # the first of all with this name
    number = 12 + np.argsort(np.argsort(once))[of][entry]
    id = np.where(number < tokens, number, 2 + (number - 2) % (tokens - 2))
    place, stop = np.zeros(len(tree), np.int64), np.zeros(len(tree), bool)
    place[at] = within // (tokens - 1) * tokens + id
    stop[at] = id == 2
    return place, stop


def shared_rows(
    tree: Taxonomy, place_N: NDArray[np.integer], stop_N: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """bool (N,): whether a taxon's row reads as another's does too.

    A row is the places of the taxa on the way, level by level, and is read up to STOP: what lies at or below a taxon
    with that id reads as what is above it.
    """
    read = np.zeros(len(tree), np.int64)  # the first taxon of those whose rows read alike, a number each
    stopped = np.zeros(len(tree), bool)
    for a, z in zip(tree.level_bounds[1:], tree.level_bounds[2:], strict=False):
        here = tree.level_order[a:z]
        above = tree.parent[here]
        stopped[here] = stopped[above] | (False if stop_N is None else stop_N[here])
        _, first, of = np.unique(
            np.stack([read[above], place_N[here]]), axis=1, return_index=True, return_inverse=True
        )  # fmt: skip
        read[here] = np.where(stopped[here], read[above], here[first][of.ravel()])
    return np.asarray(np.bincount(read, minlength=len(tree))[read] > 1)


# ---------------------------------------------------------------------- tables


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """Figure -> mean and standard deviation (n - 1) over seeds; None of one."""
    names = {f"{figure}, {of}": (of, figure) for of, found in runs[0]["sets"].items() for figure in found}
    values = {name: [run["sets"][of][figure] for run in runs] for name, (of, figure) in names.items()}
    more = ("training_cpu_s", "per_cpu_second", "parameters", "of_encoder")
    values |= {name: [run[name] for run in runs if name in run] for name in more if name in runs[0]}
    whole = {name: some for name, some in values.items() if None not in some}
    return {name: (fmean(some), stdev(some) if len(some) > 1 else None) for name, some in whole.items()}


def flat(found: Mapping[str, tuple[float, float | None]]) -> dict[str, float]:
    """As `linnet report proteins` takes figures: a number each."""
    means = {name: round(mean, 4) for name, (mean, _) in found.items()}
    return means | {f"{name}, sd": round(sd, 4) for name, (_, sd) in found.items() if sd is not None}


def tables(runs: Mapping[str, Sequence[Mapping[str, Any]]], codes: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Everything as Markdown."""
    found = {name: summary(of) for name, of in runs.items()}
    lines: list[str] = []
    for of in next(iter(runs.values()))[0]["sets"]:
        columns = [name for name in next(iter(found.values())) if name.endswith(f", {of}")]
        lines += [f"## {of}", "", *_table(["", *(c.removesuffix(f", {of}") for c in columns)],
                  ([name, *(_share(f.get(c)) for c in columns)] for name, f in found.items())), ""]  # fmt: skip
    costs = {"training_cpu_s": 1.0, "per_cpu_second": 1.0, "parameters": 1e-6, "of_encoder": 1e-6}
    body = ([name, *(_number(f.get(c), unit) for c, unit in costs.items())] for name, f in found.items())
    head = ["", "training, CPU s", "queries a CPU s", "parameters, M", "of encoder, M"]
    lines += ["## Cost", "", *_table(head, body)]
    for tree, rows in codes.items():
        lines += ["", f"## Rows that are not a taxon's alone, %: {tree}", ""]
        shares = [(of, name) for of in ("taxa", "queries") if of in rows[0] for name in rows[0][of]]
        body = ([f"{r['tokens']:,}", f"{r['bins']:,}", *(f"{100 * r[a][b]:.2f}" for a, b in shares)] for r in rows)
        lines += _table(["tokens a bin", "bins needed", *(f"{a}, {b}" for a, b in shares)], body)
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---", *["--:"] * (len(head) - 1)], *rows)]


def _share(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value[0]:.1f}" + ("" if value[1] is None else f" ± {100 * value[1]:.1f}")


def _number(value: tuple[float, float | None] | None, unit: float) -> str:
    return "-" if value is None else f"{value[0] * unit:,.2f}" if unit < 1 else f"{value[0]:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
