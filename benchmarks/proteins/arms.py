"""The arms of the protein benchmark: simple methods, MMseqs2 and linnet; each learns from one file and names others."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tasks import RANKS, Calls, Protein, Task

sys.path.append(str(Path(__file__).parents[1]))
from linnet import formats
from linnet.protein_neighbours import ProteinIndex
from linnet.taxonomy import Taxonomy, canonical_positions
from rrna.measure import measure

Arm = Callable[[Task, str, Path, Path, int], Calls]
"""The task, which of its sets, the tree's file, a folder for what is made on the way, a seed -> what is said."""


def commonest(task: Task, name: str, tree: Path, folder: Path, seed: int) -> Calls:
    """The lineage that most of the training proteins have, rank by rank below the ranks above."""
    rows, path = task.train, []
    for rank in range(len(RANKS)):
        counts = Counter(p.taxa[rank] for p in rows if p.taxa[rank])
        taxid = counts.most_common(1)[0][0] if counts else 0
        path.append(taxid)
        rows = [p for p in rows if p.taxa[rank] in (0, taxid)]
    n = len(task.queries[name])
    return Calls(np.tile(np.array(path, np.int64), (n, 1)), np.ones((n, len(RANKS))), 0.0)


def neighbour(task: Task, name: str, tree: Path, folder: Path, seed: int) -> Calls:
    """The lineage of the nearest of linnet's own neighbours: rare words, then alignment."""
    started = time.process_time()
    index = ProteinIndex.of([p.sequence for p in task.train], np.arange(len(task.train)))
    hits = index.search([p.sequence for p in task.queries[name]])
    cpu = time.process_time() - started
    return _of_hits(task, hits.reference_BK[:, 0].tolist(), cpu)


def mmseqs_best(task: Task, name: str, tree: Path, folder: Path, seed: int) -> Calls:
    """The lineage of MMseqs2's best hit by bit score; easy-search at its defaults."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{name}.hits.tsv"
    used = measure(
        ["mmseqs", "easy-search", str(task.file(name)), str(task.file("train")), str(table), str(folder / "tmp"),
         "--threads", "1", "--format-output", "query,target,bits"], folder / f"{name}.log", 1,
    )  # fmt: skip
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    number = {p.id: i for i, p in enumerate(task.train)}
    best: dict[str, tuple[float, int]] = {}
    for line in table.read_text().splitlines():
        query, target, bits = line.split("\t")
        if query not in best or float(bits) > best[query][0]:
            best[query] = float(bits), number[target]
    found = [best.get(p.id, (0.0, -1))[1] for p in task.queries[name]]
    return _of_hits(task, found, used.cpu_s)


def mmseqs_lca(task: Task, name: str, tree: Path, folder: Path, seed: int) -> Calls:
    """`mmseqs taxonomy` at its defaults; taxids that do not fit 31 bits are given others for it."""
    folder.mkdir(parents=True, exist_ok=True)
    new_id = _taxdump(tree, folder / "taxdump")
    old_id = {new: old for old, new in new_id.items()}
    mapping = folder / "mapping.tsv"
    mapping.write_text("".join(f"{p.id}\t{new_id[p.taxid]}\n" for p in task.train))
    log, cpu = folder / f"{name}.log", 0.0
    steps: list[list[str]] = []
    if not (folder / "train").exists():
        steps = [
            ["createdb", str(task.file("train")), str(folder / "train")],
            ["createtaxdb", str(folder / "train"), str(folder / "tmp"), "--ncbi-tax-dump", str(folder / "taxdump"),
             "--tax-mapping-file", str(mapping), "--threads", "1"],
        ]  # fmt: skip
    for step in steps:
        measure(["mmseqs", *step], log, 1)
    query, result, table = (str(folder / f"{name}.{part}") for part in ("query", "result", "tsv"))
    for step in (
        ["createdb", str(task.file(name)), query],
        ["taxonomy", query, str(folder / "train"), result, str(folder / "tmp"), "--threads", "1"],
        ["createtsv", query, result, table, "--threads", "1"],
    ):
        cpu += measure(["mmseqs", *step], log, 1).cpu_s
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    from linnet.taxonomies import read_taxonomy

    taxonomy = read_taxonomy(tree)
    named = {row[0]: int(row[1]) for line in Path(table).read_text().splitlines() if (row := line.split("\t"))}
    rows = [_canonical(taxonomy, old_id.get(named.get(p.id, 0), 0)) for p in task.queries[name]]
    return Calls(np.array(rows, np.int64), np.ones((len(rows), len(RANKS))), cpu)


def linnet_with(*flags: str) -> Arm:
    """`linnet train proteins` with these flags, once for a task and seed, and `linnet classify`."""

    def arm(task: Task, name: str, tree: Path, folder: Path, seed: int) -> Calls:
        folder.mkdir(parents=True, exist_ok=True)
        model, record = folder / "model", folder / "training.json"
        run = [sys.executable, "-m", "linnet"]
        if not record.exists():
            shutil.rmtree(model, ignore_errors=True)
            used = measure(
                [*run, "train", "proteins", "--sequences", str(task.file("train")), "--accessions", str(task.taxids),
                 "--taxonomy", str(tree), "--out", str(model), "--seed", str(seed), "--threads", "1", *flags],
                folder / "train.log", 1,
            )  # fmt: skip
            size = sum(f.stat().st_size for f in model.iterdir()) / 2**20
            record.write_text(json.dumps({**vars(used), "model_mb": round(size, 1)}) + "\n")
        return _classified(task, name, [model], folder)

    return arm


def ensemble(task: Task, name: str, tree: Path, folder: Path, seed: int) -> Calls:
    """`linnet classify` with the models of all seeds that were trained."""
    folder.mkdir(parents=True, exist_ok=True)
    return _classified(task, name, sorted(task.folder.glob("linnet*/model")), folder)


def _classified(task: Task, name: str, models: Sequence[Path], folder: Path) -> Calls:
    table = folder / f"{name}.jsonl"
    used = measure(
        [sys.executable, "-m", "linnet", "classify", str(task.file(name)), *(f"--model={model}" for model in models),
         "--format", "jsonl", "--threads", "1", "--out", str(table)], folder / f"{name}.log", 1,
    )  # fmt: skip
    return of_predictions(formats.read_predictions(table), task.queries[name], used.cpu_s)


ARMS: dict[str, tuple[str, Arm]] = {
    "commonest": ("commonest lineage", commonest),
    "neighbour": ("nearest neighbour, linnet's", neighbour),
    "mmseqs": ("MMseqs2, best hit", mmseqs_best),
    "lca": ("MMseqs2 taxonomy (LCA)", mmseqs_lca),
    "words": ("linnet, without neighbours", linnet_with("--neighbours", "0")),
    "linnet": ("linnet", linnet_with()),
    "ensemble": ("linnet, all seeds as one", ensemble),
}


def _of_hits(task: Task, numbers: Sequence[int], cpu: float) -> Calls:
    rows = [task.train[i].taxa if i >= 0 else (0,) * len(RANKS) for i in numbers]
    return Calls(np.array(rows, np.int64), np.ones((len(rows), len(RANKS))), cpu)


def of_predictions(calls: formats.Predictions, proteins: Sequence[Protein], cpu: float) -> Calls:
    taxid, sure = (np.zeros((len(proteins), len(RANKS))) for _ in range(2))
    for row, protein in enumerate(proteins):
        prediction = calls[protein.id]
        for rank, at in enumerate(canonical_positions(prediction.lineage)):
            if at is not None:
                taxid[row, rank] = prediction.lineage[at].taxid or 0
                sure[row, rank] = prediction.confidence[at]
    return Calls(taxid.astype(np.int64), sure, cpu)


def _canonical(taxonomy: Taxonomy, taxid: int) -> list[int]:
    node = taxonomy.by_taxid(taxid) if taxid else None
    if not node:
        return [0] * len(RANKS)
    lineage = taxonomy.lineage(node)
    return [(lineage[at].taxid or 0) if at is not None else 0 for at in canonical_positions(lineage)]


def _taxdump(tree: Path, folder: Path) -> dict[int, int]:
    """The tree as MMseqs2 reads one; its number for each taxid."""
    import csv
    import gzip

    folder.mkdir(exist_ok=True)
    with gzip.open(tree, "rt") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    taken = {int(row["taxid"]) for row in rows}
    free = iter(x for x in range(5_000_000, 2**31) if x not in taken)
    new_id = {old: old if old < 2**31 else next(free) for old in sorted(taken)}
    nodes = (f"{new_id[int(r['taxid'])]}\t|\t{new_id[int(r['parent'])]}\t|\t{r['rank']}\t|\n" for r in rows)
    names = (f"{new_id[int(r['taxid'])]}\t|\t{r['name']}\t|\t\t|\tscientific name\t|\n" for r in rows)
    (folder / "nodes.dmp").write_text("".join(nodes))
    (folder / "names.dmp").write_text("".join(names))
    for empty in ("merged.dmp", "delnodes.dmp"):
        (folder / empty).write_text("")
    return new_id
