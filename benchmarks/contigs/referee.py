"""What a teacher adds to the correction of contig labels, control by control.

    python benchmarks/contigs/referee.py --work DIR                       all arms on seeds 1 to 5: hours
    python benchmarks/contigs/referee.py --work DIR --quick               the examples' contigs: under 3 minutes of CPU
    python benchmarks/contigs/referee.py --work DIR --seeds 11 --arms linnet,without-student
    python benchmarks/contigs/referee.py --work DIR --teacher 'V/{set}.npz'

A: is the teacher's most probable leaf nearer to the truth than the labels that it was trained on? B: TaxDistill's
recipe with other targets in the teacher's place. C: linnet with the teacher's vectors, without each of its parts, with
fewer samples, on other tools' labels. D: all of them by length, and by what the reference lacks. Each arm is compared
with the one that it is a control of, over the genomes of all sets.

The teacher is a linear layer on vectors: spectra (`linnet embed`), or those that --teacher names, `{set}` standing for
seed1 and so on. Sets are those of run.py, in the same folder; what is finished is kept in their folders `referee`, so
that the same command goes on where it was stopped. DIR/referee.json and DIR/referee.md hold the results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
import numpy as np
import probe
import referee_tables
import tallies
from arms import ARMS, SAMPLES, Arm, chosen
from materials import Material, example, of_set
from sets import make, named

import linnet
from linnet import formats
from linnet.correct import PUBLISHED_CUT, Config, correct
from linnet.depths import Depths
from linnet.embeddings import save_arrays
from linnet.errors import UsageError
from linnet.families import contigs_published as published
from linnet.label_tree import LabelTree
from linnet.prediction import Prediction
from linnet.taxonomy import RANKS
from main import exit_status, words, write

SEEDS = (1, 2, 3, 4, 5)
RESAMPLES = 1000
COMPARED = ("species", "genus", "family")
THREADS = 2
"""Of what makes the sets; the arms have one."""


def main(given: Sequence[str] | None = None) -> int:
    """0 done, 1 data is wrong, 2 asked wrongly, 130 interrupted."""
    return exit_status(partial(_run, _parser().parse_args(given)), _say)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="sets, as run.py has them, and results")
    add("--seeds", default=",".join(map(str, SEEDS)), metavar="LIST", help="of the sets (default: 1,2,3,4,5)")
    add("--arms", metavar="LIST", help=f"of {', '.join(ARMS)} (default: all); what they are compared with comes along")
    add("--teacher", default="", metavar="FILE", help="an .npz as `linnet embed` writes it, '{set}' in its name for "
        "the set's (default: spectra, made here)")  # fmt: skip
    add("--resamples", type=int, default=RESAMPLES, metavar="N", help="of the bootstrap (default: 1000)")
    add("--quick", action="store_true", help="the examples' contigs alone, kept apart under DIR/quick")
    return parser


def _run(args: argparse.Namespace) -> int:
    names = words(args.arms or ",".join(ARMS))
    if unknown := [name for name in names if name not in ARMS]:
        raise UsageError(f"no arm '{unknown[0]}'", expected=f"of {', '.join(ARMS)}")
    if not all(seed.strip().isdecimal() for seed in args.seeds.split(",")):
        raise UsageError(f"--seeds {args.seeds}", expected="numbers with commas between them")
    if args.resamples < 1:
        raise UsageError(f"--resamples {args.resamples}", expected="1 or more")
    arms = chosen(names)
    work: Path = args.work.resolve() / "quick" if args.quick else args.work.resolve()
    skipped: list[str] = []
    materials = [example(work, args.teacher)] if args.quick else []
    for seed in () if args.quick else dict.fromkeys(args.seeds.split(",")):
        contigs = named(f"seed{int(seed)}", work)
        make(contigs, work / "genes", THREADS, _say)
        material, lacking = of_set(contigs, {arm.source for arm in arms.values()}, args.teacher, _say)
        materials.append(material)
        skipped += lacking
    counted = {material.name: measure(material, arms) for material in materials}
    about = {
        "linnet": linnet.__version__,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "quick": args.quick,
        "teacher": args.teacher or "spectra",
        "resamples": args.resamples,
        "skipped": skipped,
    }
    results = {**about, **summary(materials, arms, counted, args.resamples)}
    write(work / "referee.json", json.dumps(results, indent=1) + "\n")
    write(work / "referee.md", referee_tables.render(results))
    print(work / "referee.md")
    return 0


def measure(material: Material, arms: Mapping[str, Arm]) -> dict[str, tallies.Tally]:
    """Run each arm on a set, unless it was run before, and count what became of the contigs.

    Arms whose labels the set lacks are left out, and those of fewer samples that would have all of them.
    """
    counted = {}
    for name, arm in arms.items():
        if arm.source not in material.labels:
            continue
        cell = arm.cell or name
        if arm.recipe != "labels" and not (_record(material, cell).exists() and _calls(material, name).exists()):
            if arm.samples < SAMPLES and len(material.depths.samples) <= arm.samples:
                continue
            _say(f"{material.name}: {cell}")
            _make(material, cell)
        kept = _calls(material, name).with_suffix(".npz")
        made_of = [material.labels[arm.source]] + ([_calls(material, name)] if arm.recipe != "labels" else [])
        if not kept.exists() or any(path.stat().st_mtime >= kept.stat().st_mtime for path in made_of):
            before = material.before(arm.source)
            calls = before if arm.recipe == "labels" else formats.read_predictions(_calls(material, name))
            kept.parent.mkdir(parents=True, exist_ok=True)
            save_arrays(kept, counted=tallies.tally(calls, before, material))
        with np.load(kept) as file:
            counted[name] = file["counted"]
    return counted


def _stem(material: Material, name: str) -> str:
    return f"{name}.{material.teacher_name}" if ARMS[name].vectors else name


def _calls(material: Material, name: str) -> Path:
    return material.folder / f"{_stem(material, name)}.tsv"


def _record(material: Material, name: str) -> Path:
    """What a run took."""
    return material.folder / f"{_stem(material, name)}.json"


def _make(material: Material, name: str) -> None:
    """Run one arm; keep its calls, and those of the arms that come with it, and then what it took."""
    arm = ARMS[name]
    labels, depths = material.given(arm.source), material.depths
    depths = Depths(depths.samples[: arm.samples], depths.depth_CS[:, : arm.samples], depths.missing)
    vectors_CW = material.vectors_CW if arm.vectors else None
    ids = material.contigs.ids
    started = time.process_time()
    made: dict[str, list[Prediction]] = {}
    if arm.recipe == "linnet":
        config = Config(without=arm.without)
        found = correct(material.contigs, labels, depths, embeddings_CW=vectors_CW, config=config, seed=material.seed)
        made[name] = found.predictions
    else:
        tree = LabelTree([labels[id].lineage if id in labels else () for id in ids])
        if arm.recipe == "probe":
            assert vectors_CW is not None
            made[name] = probe.out_of_fold(vectors_CW, tree, ids, material.seed)
            made["probe-50"] = [p.recut(PUBLISHED_CUT) for p in made[name]]
        else:
            settings = published.Config(target=arm.target)
            trained = published.train(
                material.contigs, depths.depth_CS, tree, settings, material.seed, 1, vectors_CW, distil=True
            )
            whole = published.answers(trained.student, trained.features, ids, tree, trained.leaves)
            made[name] = [p.recut(PUBLISHED_CUT) for p in whole]
            if arm.target == "teacher" and trained.teacher is not None and trained.embeddings is not None:
                scores = published.ask(trained.teacher, trained.embeddings)
                made["argmax"] = probe.most_probable(scores, ids, tree, trained.leaves)
    cpu = time.process_time() - started
    material.folder.mkdir(parents=True, exist_ok=True)
    for each, predictions in made.items():
        part = _calls(material, each).with_suffix(".part")
        with part.open("w") as file:
            formats.load("taxometer").write(predictions, file)
        part.replace(_calls(material, each))
    write(_record(material, name), json.dumps({"cpu_s": round(cpu, 1)}) + "\n")


def summary(
    materials: Sequence[Material],
    arms: Mapping[str, Arm],
    counted: Mapping[str, Mapping[str, tallies.Tally]],
    resamples: int,
) -> dict[str, Any]:
    """All figures of each arm and set, and each arm less the one that it is a control of."""
    found: dict[str, Any] = {}
    for name, arm in arms.items():
        here = [m for m in materials if name in counted[m.name]]
        if not here:
            continue
        row: dict[str, Any] = {"title": arm.title, "section": arm.section, "of": arm.of, "sets": {}}
        for material in here:
            cell = _record(material, arm.cell or name)
            cost = json.loads(cell.read_text())["cpu_s"] if arm.recipe != "labels" else None
            row["sets"][material.name] = {"cpu_s": cost, "figures": _figures(counted[material.name][name])}
        if arm.of:
            mine, other = ([counted[m.name][one] for m in here] for one in (name, arm.of))
            row["less"] = _less(mine, other, arm.section, resamples)
        found[name] = row
    sizes = {m.name: {"contigs": len(m.gold.lineages), "vectors": _cost_of_vectors(m)} for m in materials}
    return {"sets": sizes, "arms": found}


def _cost_of_vectors(material: Material) -> float | None:
    record = material.folder / "spectra.json"
    return json.loads(record.read_text())["cpu_s"] if record.exists() and not material.teacher else None


def _figures(counted: tallies.Tally) -> dict[str, dict[str, dict[str, float | None]]]:
    """Rank -> group -> figure; None where it is not defined."""
    values = tallies.figures(counted)
    return {
        rank: {
            group: {f: None if np.isnan(x) else round(float(x), 6) for f, x in zip(tallies.FIGURES, row, strict=True)}
            for group, row in zip(tallies.GROUPS, of_rank, strict=True)
        }
        for rank, of_rank in zip(RANKS, values, strict=True)
    }


def _less(
    a: Sequence[tallies.Tally], b: Sequence[tallies.Tally], section: str, resamples: int
) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
    """Group -> rank -> figure -> difference: of all contigs; in section A of each group, at every rank."""
    groups = ("all", *tallies.NOVELTY) if section == "A" else ("all",)
    ranks = RANKS if section == "A" else COMPARED
    names = ("recall", "wrong") if section == "A" else ("f1", "precision", "recall", "wrong_on_absent", "harmed")
    return {
        group: {
            rank: {name: tallies.difference(a, b, rank, group, name, resamples) for name in names} for rank in ranks
        }
        for group in groups
    }


def _say(text: str) -> None:
    print(f"referee: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
