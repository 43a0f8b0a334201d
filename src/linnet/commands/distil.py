"""Let a big model, or an ensemble, teach the compact one.

  linnet distil --teacher v4-ensemble --sequences genes.fasta --taxonomy taxonomy.tsv --region V4 \\
      --test test.fasta --truth test.tsv --seeds 42,123,456,789,1011 --out student

The student learns from the references' lineages and from what the teacher says of them: alpha * cross-entropy +
(1 - alpha) * temperature^2 * KL(teacher || student), at every step down the tree. For each seed two more students are
trained alike, one from lineages alone, one from a uniform target in the teacher's place, and all are measured on TEST,
records that neither the teacher nor a student may have been trained on. OUT has the taught students, an ensemble if
there are several, and report.json; whether the teacher helped is said by a rule that stands beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet import references
from linnet.columns import aligned
from linnet.errors import UserError, torch_for
from linnet.options import Several, add_flags, build, positive, seeds

if TYPE_CHECKING:
    from linnet.distil import Distilled


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--teacher", required=True, type=Path, action=Several, metavar="MODEL",
        help="a model of genes, or several: an ensemble")  # fmt: skip
    parser.add_argument("--sequences", required=True, type=Path, metavar="FASTA", help="references")
    parser.add_argument("--taxonomy", type=Path, metavar="TABLE", help="their lineages (default: in the headers)")
    references.add_flags(parser)
    parser.add_argument("--test", required=True, type=Path, metavar="FASTA", help="records to measure by")
    parser.add_argument("--truth", type=Path, metavar="TABLE", help="their lineages (default: in --taxonomy's table)")
    parser.add_argument("--seeds", type=seeds, default=(42,), metavar="N,N",
        help="a student for each (default: 42); with five the gain can be tested")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the students, and report.json")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="of the teacher: cpu (default), cuda, mps")
    parser.add_argument("--save-every", type=positive, default=600, metavar="SECONDS",
        help="how often an unfinished pass is saved (default: 600)")  # fmt: skip
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="threads (default: 2)")
    with torch_for("training"):
        from linnet.distil import Config
    add_flags(parser, Config(), without=("seed",))


def run(args: argparse.Namespace) -> None:
    import torch

    from linnet import training_runs
    from linnet.checkpoint import digests, save
    from linnet.distil import TEACHER, Config, distil
    from linnet.fitting import Keeping
    from linnet.outputs import open_output
    from linnet.predictor import Predictor, load, members

    torch.set_num_threads(args.threads)
    config = build(Config(), args)
    training_runs.check_out(args.out, (*args.seeds, -1))
    how: dict[str, Any] = {"taxdump": args.taxdump, "region": args.region}
    given = references.read_references(args.sequences, args.taxonomy, _log, groups=args.groups, **how)
    test = references.read_references(args.test, args.truth or args.taxonomy, _log, **how)
    device = {} if args.device == "cpu" else {"device": args.device}
    teacher = load(*args.teacher, **device)
    if not isinstance(teacher, Predictor):
        raise UserError("a model of proteins", where=str(args.teacher[0]), expected="a model of genes")
    folders = [folder for path in args.teacher for folder in members(path)]
    unfinished = args.out.absolute().with_name(f"{args.out.name}.training")
    keeping = Keeping(folder=unfinished, every=args.save_every)
    found = distil(teacher, given, test, config, args.seeds, _log, keeping)
    for seed, student in found.students.items():
        student.origin["distilled"] = {
            "teacher": {str(folder): digests(folder)["model.safetensors"] for folder in folders},
            "alpha": config.alpha, "temperature": config.temperature,
            "accuracy on test records": {r: v[args.seeds.index(seed)] for r, v in found.accuracy[TEACHER].items()},
        }  # fmt: skip
        if args.region:
            student.model["region"] = args.region
        save(student, args.out / f"seed-{seed}")
    with open_output(args.out / "report.json") as file:
        json.dump({"seeds": list(args.seeds), **found.to_json()}, file, indent=1)
    shutil.rmtree(unfinished, ignore_errors=True)
    print(table(found))
    _log(f"wrote {args.out}")


def table(found: Distilled) -> str:
    """Accuracy of the teacher and of each kind of student, and the gains, as text."""
    import numpy as np

    rows = [["per cent right", *found.records], ["records", *(f"{n:,}" for n in found.records.values())]]
    rows.append(["the teacher", *(f"{100 * p:.2f}" for p in found.teacher.values())])
    for arm, of_rank in found.accuracy.items():
        cells = [f"{100 * np.mean(v):.2f}" + (f" ± {100 * np.std(v, ddof=1):.2f}" if len(v) > 1 else "")
                 for v in of_rank.values()]  # fmt: skip
        rows.append([arm, *cells])
    for control, gains in found.gains.items():
        rows.append([f"gain over {control}", *(f"{100 * g.mean:+.2f}" for g in gains.values())])
        spans = [f"{100 * g.interval[0]:+.2f} to {100 * g.interval[1]:+.2f}" if g.interval else "-"
                 for g in gains.values()]  # fmt: skip
        rows.append(["  95 % over records", *spans])
        rows.append(["  p, paired seeds", *(f"{g.seeds.p_value:.2g}" if g.seeds else "-" for g in gains.values())])
    return "\n".join([*aligned(rows), "", found.verdict])


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
