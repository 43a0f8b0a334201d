"""Examine a trained model on queries whose truth is known, as one page to read.

  linnet report rrna --model my-model --sequences test.fasta --taxonomy test.tsv --reference train.tsv --out report.html
  linnet report rrna --model seed1 --model seed2 --model seed3 ... --reference-sequences train.fasta --json report.json

The page shows, per rank, the figures that papers print beside those they leave out: what could be right at all,
calibration of all names, placeholders, accuracy by likeness to the references and by their number, across regions of
the gene, which taxa are confused, what confidence is worth, the model's vectors in a plane, and the stretches of the
gene that it reads. docs/evaluation.md says what each number means and how it can mislead. Several models are several
runs, given one by one and as mean and standard deviation. Needs linnet[report].
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.errors import UsageError, UserError
from linnet.options import Several, positive, probability
from linnet.prediction import DEFAULT_CONFIDENCE

if TYPE_CHECKING:
    from linnet.examine import Model, Question
    from linnet.records import SequenceRecord
    from linnet.taxonomy import Lineage


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("family", choices=["rrna"], help="what the models read")
    add("--model", required=True, type=Path, action=Several, metavar="FOLDER",
        help="a trained model; given several times, each is a run; a folder of models is one, an ensemble")  # fmt: skip
    add("--members", action="store_true",
        help="also take each model of a folder as a run; means are over these, without the ensemble")  # fmt: skip
    add("--sequences", required=True, type=Path, metavar="FILE", help="queries, FASTA or FASTQ")
    add("--taxonomy", required=True, type=Path, metavar="TABLE", help="their true lineages (any dialect of 'train')")
    add("--reference", required=True, type=Path, metavar="TABLE", help="lineages that the models were trained on")
    add("--reference-sequences", type=Path, metavar="FILE",
        help="the sequences of these: adds accuracy by identity to the nearest")  # fmt: skip
    add("--regions", type=_names, default=("full", "V3-V4", "V4"), metavar="NAME,NAME",
        help="regions that queries are cut to, as in 'extract'; full: uncut (default: full,V3-V4,V4)")  # fmt: skip
    add("--confidence", type=probability, default=DEFAULT_CONFIDENCE, metavar="P",
        help="the cut of the figures that have one (default: %(default)s)")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FILE", help="the page, HTML")
    add("--json", type=Path, metavar="FILE", help="also write all numbers as JSON")
    add("--embeddings", type=Path, metavar="FILE.npz", help="also write each query's id and the first model's vector")
    add("--projection", choices=["tsne", "umap"], default="tsne",
        help="how vectors are laid out in a plane (default: tsne; umap needs the package umap-learn)")  # fmt: skip
    add("--importance", type=_count, default=500, metavar="N",
        help="queries whose windows are swapped, each 60 times over; 0 leaves that out (default: 500)")  # fmt: skip
    add("--seed", type=_count, default=0, metavar="N", help="of what is drawn at random (default: 0)")
    add("--threads", type=positive, default=1, metavar="N", help="threads of models that torch runs (default: 1)")
    add("--device", default="cpu", help="of models that torch runs: cpu (default), cuda ...")


def run(args: argparse.Namespace) -> None:
    {"rrna": _rrna}[args.family](args)


def _rrna(args: argparse.Namespace) -> None:
    import linnet
    from linnet import projection
    from linnet.examine import Settings, embed, examine
    from linnet.outputs import open_output
    from linnet.regions import parse_region
    from linnet.report.rrna_page import check, render

    _check_outputs(args)
    for region in args.regions:
        if region != "full":
            parse_region(region)
    check()
    projection.check(args.projection)
    files = (args.sequences, args.taxonomy, args.reference, args.reference_sequences)
    notes = [f"Queries, truth, references: {', '.join(path.name for path in files if path)}."]
    models = _models(args)
    question = _question(args, notes)
    for note in notes:
        _log(note)
    settings = Settings(args.confidence, args.regions, args.importance, method=args.projection, seed=args.seed)
    found = examine(models, question, settings, _log)
    text = render(found, linnet.__version__, notes)
    with open_output(args.out) as file:
        file.write(text)
    if args.json:
        with open_output(args.json) as file:
            json.dump(
                {"linnet": linnet.__version__, "notes": notes, **found.to_json()}, file, indent=1, allow_nan=False
            )
    if args.embeddings:
        vectors_NW = embed(models[0].predictor, question.records)
        if vectors_NW is None:
            raise UserError(f"{models[0].name} has no vectors", remedy="Leave out --embeddings.")
        _save_vectors(args.embeddings, [r.id for r in question.records], vectors_NW)
    _log(f"{args.out}: {len(text) / 1e6:.1f} MB")


def _check_outputs(args: argparse.Namespace) -> None:
    read = {p.resolve() for p in (args.sequences, args.taxonomy, args.reference, args.reference_sequences) if p}
    written = [p for p in (args.out, args.json, args.embeddings) if p]
    for path in written:
        if path.resolve() in read:
            raise UsageError(f"{path} is also read", remedy="Choose another file for the results.")
        if not path.absolute().parent.is_dir():
            raise UserError("cannot be written: there is no such folder", where=str(path))
    if len({p.resolve() for p in written}) < len(written):
        raise UsageError("two results would go to one file", remedy="Choose another name for one of them.")
    if args.embeddings and args.embeddings.suffix != ".npz":
        raise UsageError(f"vectors cannot be written to '{args.embeddings}'", expected="a name that ends in .npz")


def _models(args: argparse.Namespace) -> list[Model]:
    from linnet.checkpoint import digests
    from linnet.examine import Model
    from linnet.predictor import Predictor, load, members

    asked: list[tuple[Path, bool]] = []
    for path in args.model:
        folders = members(path)
        several = args.members and len(folders) > 1
        asked += [(path, not several), *((folder, True) for folder in folders if several)]
    models = []
    for (path, averaged), name in zip(asked, _distinct([path for path, _ in asked]), strict=True):
        predictor = load(path, device=args.device, threads=args.threads)
        if not isinstance(predictor, Predictor):
            raise UserError("a model of proteins", where=str(path), expected="a model of genes")
        model = predictor.checkpoint.model
        folders = members(path)
        origin = {
            "folder": str(path),
            "kind": f"ensemble of {len(folders)}" if len(folders) > 1 else model.get("kind", ""),
            "taxa": f"{len(predictor.taxonomy) - 1:,}",
            "seed": model.get("config", {}).get("seed", "-"),
            "SHA-256 of the weights": " ".join(digests(folder)["model.safetensors"][:16] for folder in folders),
            "written by": f"linnet {model.get('linnet', '-')}",
        }
        models.append(Model(name, predictor, averaged, origin))
    return models


def _distinct(paths: list[Path]) -> list[str]:
    """What to call each model: the last part of its path in which all differ, or else the whole path."""
    parts = [path.resolve().parts[::-1] for path in paths]
    if len(set(parts)) < len(parts):
        raise UsageError("one model is named twice", remedy="Name each run once.")
    for level in zip(*parts, strict=False):
        if len(set(level)) == len(level):
            return list(level)
    return [str(path) for path in paths]


def _question(args: argparse.Namespace, notes: list[str]) -> Question:
    from linnet.examine import Question
    from linnet.records import read

    truth, references = (_lineages(path, notes) for path in (args.taxonomy, args.reference))
    records: dict[str, SequenceRecord] = {}
    lacking = 0
    for record in read(args.sequences):
        if not truth.get(record.id):
            lacking += 1
        elif records.setdefault(record.id, record).sequence != record.sequence:
            raise UserError(
                f"record '{record.id}' is there twice, with different sequences", where=str(args.sequences),
                expected="one sequence for each id",
            )  # fmt: skip
    if not records:
        raise UserError(
            "none of the queries has a true lineage", where=str(args.taxonomy),
            expected=f"the ids of {args.sequences}", remedy="Check that both are of the same records.",
        )  # fmt: skip
    if lacking:
        notes.append(f"{lacking:,} sequences have no true lineage and were left out.")
    if rest := sum(id not in records for id, lineage in truth.items() if lineage):
        notes.append(f"{rest:,} true lineages have no sequence and were not used.")
    sequences: dict[str, str] = {}
    if args.reference_sequences:
        sequences = {r.id: r.sequence for r in read(args.reference_sequences) if r.id in references}
        if not sequences:
            raise UserError(
                "has none of the references", where=str(args.reference_sequences), expected=f"ids of {args.reference}"
            )
    return Question(list(records.values()), truth, references, sequences)


def _lineages(path: Path, notes: list[str]) -> Mapping[str, Lineage]:
    from linnet.lineages import read_lineages

    table = read_lineages(path)
    notes += [f"{path.name}: {count:,} {note}." for note, count in table.notes.items()]
    return table.lineages


def _save_vectors(path: Path, ids: list[str], vectors_NW: Any) -> None:
    import os

    import numpy as np

    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        np.savez_compressed(temporary, ids=np.array(ids), vectors=vectors_NW)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _count(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"'{text}' where a count belongs", expected="a whole number, 0 or more")
    return int(text)


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr)
