"""Examine a trained model of genes or of proteins, or corrected labels of contigs, as one page to read.

  linnet report rrna --model my-model --sequences test.fasta --taxonomy test.tsv --reference train.tsv --out report.html
  linnet report rrna --model seed1 --model seed2 --model seed3 ... --reference-sequences train.fasta --json report.json
  linnet report proteins --model my-model --sequences test.faa --taxonomy taxdump --reference train.tsv --out page.html
  linnet report contigs corrected.tsv --before mmseqs.tsv --contigs contigs.fna --changes changes.tsv --out report.html
  linnet report contigs corrected.tsv taxometer.tsv ... --truth gsa_mapping.tsv --reference known.tsv --taxonomy taxdump

rrna: a model on queries whose truth is known. Per rank the figures that papers print beside those they leave out: what
could be right at all, calibration of all names, placeholders, accuracy by likeness to the references and by their
number, across regions of the gene, which taxa are confused, what confidence is worth, the model's vectors in a plane,
and the stretches of the gene that it reads. docs/evaluation.md says what each number means and how it can mislead.
Several models are several runs, given one by one and as mean and standard deviation. Queries of another region than a
model learnt, a reference that is not the model's, and runs that differ in more than their seed are warned of.

proteins: models, or tables of predictions, on proteins whose taxon stands in their headers or in --accessions. Per rank
and by whole lineage (shared prefix, hops, Robinson-Foulds), known and novel taxa, domains and phyla, sister genera,
viral proteins named cellular, calibration, the encoder's vectors, the tree, and ways from one protein to an orthologue
of it (--pairs), mutation by mutation. docs/evaluation-proteins.md says what each number means.

contigs: labels corrected by linnet, or tables of any tools side by side, beside the labels before. Where labels went at
each rank, what changed and why, contig length, time; with a truth also F1, what was put right and what was harmed,
calibration, and what became of contigs whose taxa the reference lacks (docs/contigs.md). Needs linnet[report].
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.errors import UsageError, UserError
from linnet.options import Several, positive, probability
from linnet.prediction import DEFAULT_CONFIDENCE

if TYPE_CHECKING:
    from linnet.answers import Asked
    from linnet.contig_examination import Question as ContigQuestion
    from linnet.examine import Model, Question
    from linnet.predictor import Predictor
    from linnet.protein_examination import Run
    from linnet.protein_predictor import ProteinPredictor
    from linnet.records import SequenceRecord
    from linnet.taxonomy import Lineage


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("family", choices=["rrna", "proteins", "contigs"], help="what is examined")
    add("--out", required=True, type=Path, metavar="FILE", help="the page, HTML")
    add("--json", type=Path, metavar="FILE", help="also write all numbers as JSON")
    add("--taxonomy", type=Path, metavar="TABLE",
        help="rrna: the queries' true lineages (any dialect of 'train'); proteins: the tree of true taxa, as in 'train "
        "proteins'; contigs: the NCBI taxdump (folder or taxdump.tar.gz), where a table has taxids")  # fmt: skip
    add("--reference", type=Path, metavar="TABLE",
        help="lineages that the models were trained on, or that the tools could know; proteins: one of each training "
        "protein, or its taxid, or the folder of shards")  # fmt: skip
    add("--confidence", type=probability, metavar="P",
        help="rrna, proteins: the cut of figures that have one (default: 0.7); contigs: of tables")  # fmt: skip
    add("--seed", type=_count, default=0, metavar="N", help="of what is drawn at random (default: 0)")
    _add_models(parser.add_argument_group("rrna, proteins"))
    _add_rrna(parser.add_argument_group("rrna"))
    _add_proteins(parser.add_argument_group("proteins"))
    _add_contigs(parser.add_argument_group("contigs"))


def _add_contigs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("tables", nargs="*", type=Path, metavar="TABLE",
        help="contigs: corrected labels, or other tools' to be compared with them; most is told of the first; "
        "proteins: predictions of the queries, besides models or in their stead")  # fmt: skip
    add("--before", type=Path, metavar="TABLE", help="the labels that were corrected")
    add("--contigs", type=Path, metavar="FILE", help="all contigs: FASTA, or a table of ids and lengths")
    add("--changes", type=Path, metavar="TABLE", help="what 'linnet correct --changes' wrote: adds the reasons")
    add("--truth", type=Path, metavar="TABLE",
        help="where contigs truly come from: CAMISIM's gsa_mapping.tsv, a biobox binning file or lineages")  # fmt: skip
    add("--times", type=Path, metavar="TABLE", help="runs: contigs or bases, seconds, perhaps memory; see 'correct'")
    add("--resamples", type=positive, metavar="N", help="of genomes, for intervals (default: 1000)")


def _add_models(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model", type=Path, action=Several, metavar="FOLDER",
        help="a trained model; given several times, each is a run; a folder of models is one, an ensemble")  # fmt: skip
    add("--members", action="store_true",
        help="also take each model of a folder as a run; means are over these, without the ensemble")  # fmt: skip
    add("--sequences", type=Path, metavar="FILE", help="queries, FASTA or FASTQ")
    add("--embeddings", type=Path, metavar="FILE.npz", help="also write each query's id and the first model's vector")
    add("--projection", choices=["tsne", "umap"], default="tsne",
        help="how vectors are laid out in a plane (default: tsne; umap needs the package umap-learn)")  # fmt: skip
    add("--threads", type=positive, default=1, metavar="N", help="threads of models that torch runs (default: 1)")
    add("--device", default="cpu", help="of models that torch runs: cpu (default), cuda ...")


def _add_proteins(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--accessions", type=Path, action=Several, metavar="TABLE", default=[],
        help="taxids of the proteins, as in 'train proteins'; else their headers have them")  # fmt: skip
    add("--eggnog", action="store_true", help="ids such as 1121949.AQXT01000001 begin with a taxid")
    add("--pairs", type=Path, metavar="TABLE",
        help="'id TAB id' of orthologues among the queries: mutations are followed from one to the other")  # fmt: skip
    add("--order", choices=["random", "left"],
        help="in which these are applied: drawn with --seed (default), or from left to right")  # fmt: skip
    add("--ablations", type=Path, metavar="FILE.json",
        help="variants for a table: a list of {'name': ..., 'figures': {name: number}}")  # fmt: skip


def _add_rrna(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--reference-sequences", type=Path, metavar="FILE",
        help="the sequences of these: adds accuracy by identity to the nearest")  # fmt: skip
    add("--regions", type=_names, default=("full", "V3-V4", "V4"), metavar="NAME,NAME",
        help="regions that queries are cut to, as in 'extract'; full: uncut (default: full,V3-V4,V4)")  # fmt: skip
    add("--importance", type=_count, default=500, metavar="N",
        help="queries whose windows are swapped, each 60 times over; 0 leaves that out (default: 500)")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    needed, not_of_it, family = {
        "rrna": (("model", "sequences", "taxonomy", "reference"), (*_OF_CONTIGS, *_OF_PROTEINS), _rrna),
        "proteins": (("sequences", "taxonomy", "reference"), (*_OF_CONTIGS[1:], "reference_sequences"), _proteins),
        "contigs": (("tables", "before", "contigs"), (*_OF_RRNA, *_OF_PROTEINS), _contigs),
    }[args.family]
    for name in needed:
        if not getattr(args, name):
            raise UsageError(
                "no table of labels" if name == "tables" else f"--{name} is missing",
                remedy=f"'linnet report {args.family}' needs {_flags(needed)}.",
            )
    for name in not_of_it:
        if getattr(args, name):
            raise UsageError(f"{_flags([name])} with '{args.family}'", remedy="See linnet report --help.")
    family(args)


_OF_RRNA = ("model", "members", "sequences", "reference_sequences", "embeddings")
_OF_PROTEINS = ("accessions", "eggnog", "pairs", "order", "ablations")
_OF_CONTIGS = ("tables", "before", "contigs", "changes", "truth", "times", "resamples")


def _flags(names: Sequence[str]) -> str:
    return ", ".join("tables" if name == "tables" else f"--{name.replace('_', '-')}" for name in names)


def _contigs(args: argparse.Namespace) -> None:
    import platform

    import numpy as np

    import linnet
    from linnet.contig_examination import BEFORE, Settings, examine_contigs
    from linnet.inputs import names_of, sha256
    from linnet.report.contigs_page import check, render

    if len({path.resolve() for path in args.tables}) < len(args.tables):
        raise UsageError("one table is named twice", remedy="Name each once.")
    names = names_of(args.tables, BEFORE)
    files = {
        **{f"table '{name}'": path for name, path in zip(names, args.tables, strict=True)},
        "labels before": args.before, "contigs": args.contigs, "changes": args.changes, "truth": args.truth,
        "reference": args.reference, "times": args.times,
    }  # fmt: skip
    files = {what: path for what, path in files.items() if path}
    _check_outputs([*files.values()], [args.out, args.json])
    check(args.tables)
    digests = [(what, path.name, sha256(path)) for what, path in files.items()]
    notes: list[str] = []
    question = _contig_question(args, names, digests, notes)
    for note in notes:
        _log(note)
    found = examine_contigs(question, Settings(args.confidence, args.resamples or 1000, args.seed), _log)
    versions = f"linnet {linnet.__version__}, Python {platform.python_version()}, numpy {np.__version__}"
    numbers = {"linnet": linnet.__version__, "files": [*map(list, digests)], "notes": notes}
    _write(args, render(found, digests, versions, notes), {**numbers, **found.to_json()})


def _contig_question(
    args: argparse.Namespace, names: list[str], digests: list[tuple[str, str, str]], notes: list[str]
) -> ContigQuestion:
    from linnet import run_times
    from linnet.contig_evaluation import read_calls
    from linnet.contig_examination import Question
    from linnet.contig_transitions import read_reasons
    from linnet.gold_standard import read_gold_standard, read_lengths
    from linnet.lineages import read_lineages
    from linnet.ncbi import read_taxdump

    taxonomy = read_taxdump(args.taxonomy) if args.taxonomy else None
    if taxonomy:
        digests.append(("taxonomy", args.taxonomy.name, taxonomy.digest))
    lengths = read_lengths(args.contigs)
    before, *after = (read_calls(path, lengths, taxonomy) for path in (args.before, *args.tables))
    gold = read_gold_standard(args.truth, taxonomy) if args.truth else None
    if gold:
        notes += [f"{args.truth.name}: {count:,} contigs {note}." for note, count in gold.notes.items()]
        if lacking := sum(contig not in gold.lineages for contig in lengths):
            notes.append(f"{lacking:,} contigs have no truth and are not judged.")
    reasons = read_reasons(args.changes) if args.changes else {}
    if reasons and not any(contig in lengths for contig in reasons):
        raise UserError("has none of the contigs", where=str(args.changes), expected=f"the ids of {args.contigs}")
    known = None
    if args.reference:
        known = set(read_lineages(args.reference, taxonomy=taxonomy).lineages.values()) - {()}
    runs = run_times.read(args.times) if args.times else []
    tables = dict(zip(names, after, strict=True))
    return Question(lengths, before, tables, reasons, gold, known, runs)


def _rrna(args: argparse.Namespace) -> None:
    import linnet
    from linnet import projection
    from linnet.examine import Settings, examine
    from linnet.regions import parse_region
    from linnet.report.drawing import check
    from linnet.report.rrna_page import render

    read = (args.sequences, args.taxonomy, args.reference, args.reference_sequences)
    _check_outputs(read, (args.out, args.json, args.embeddings))
    _check_embeddings(args)
    for region in args.regions:
        if region != "full":
            parse_region(region)
    check()
    projection.check(args.projection)
    notes = [f"Queries, truth, references: {', '.join(path.name for path in read if path)}."]
    models = _models(args)
    question = _question(args, notes)
    for note in notes:
        _log(note)
    cut = DEFAULT_CONFIDENCE if args.confidence is None else args.confidence
    settings = Settings(cut, args.regions, args.importance, method=args.projection, seed=args.seed)
    found = examine(models, question, settings, _log)
    if args.embeddings:
        _save_vectors(args.embeddings, models[0].name, models[0].predictor, question.records)
    numbers = {"linnet": linnet.__version__, "notes": notes, **found.to_json()}
    _write(args, render(found, linnet.__version__, notes), numbers)


def _proteins(args: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    import linnet
    from linnet import projection
    from linnet.protein_examination import Settings, examine_proteins
    from linnet.protein_questions import read_ablations, read_question
    from linnet.report.drawing import check
    from linnet.report.proteins_page import render

    if not args.model and not args.tables:
        raise UsageError("neither --model nor a table of predictions", remedy="Give one or more of either.")
    for name in ("pairs", "embeddings"):
        if getattr(args, name) and not args.model:
            raise UsageError(f"{_flags([name])} without --model", remedy="It is asked of a model: name one.")
    if args.order and not args.pairs:
        raise UsageError("--order without --pairs", remedy="It would have no effect: leave it out.")
    read = (args.sequences, args.taxonomy, args.reference, *args.accessions, args.pairs, args.ablations, *args.tables)
    _check_outputs(read, (args.out, args.json, args.embeddings))
    _check_embeddings(args)
    check()
    if args.model:
        projection.check(args.projection)
    notes = [f"Queries, tree, references: {', '.join(path.name for path in read[:3])}."]
    ablations = read_ablations(args.ablations) if args.ablations else []
    runs = _runs(args)
    question = read_question(
        args.sequences, args.taxonomy, args.accessions, args.reference, args.pairs, notes.append, eggnog=args.eggnog
    )
    for run in runs:
        if not run.predictor and not any(r.id in run.predictions for r in question.records):
            raise UserError("has none of the queries", where=run.name, expected=f"the ids of {args.sequences}")
    for note in notes:
        _log(note)
    cut = DEFAULT_CONFIDENCE if args.confidence is None else args.confidence
    settings = Settings(cut, args.projection, args.order or "random", seed=args.seed)
    with threadpool_limits(limits=1, user_api="blas"):
        found = examine_proteins(runs, question, settings, _log)
        if args.embeddings:
            name, model = next((run.name, run.predictor) for run in runs if run.predictor)
            _save_vectors(args.embeddings, name, model, question.records)
    numbers = {"linnet": linnet.__version__, "notes": notes, "ablations": ablations, **found.to_json()}
    _write(args, render(found, linnet.__version__, notes, ablations), numbers)


def _runs(args: argparse.Namespace) -> list[Run]:
    """Models, and tables of predictions; means are over models where there are any."""
    from linnet.formats import read_predictions
    from linnet.inputs import names_of, sha256
    from linnet.protein_examination import Run
    from linnet.protein_predictor import ProteinPredictor

    runs = []
    for path, name, averaged, predictor in _loaded(args, device=args.device) if args.model else ():
        if not isinstance(predictor, ProteinPredictor):
            raise UserError("a model of genes", where=str(path), expected="a model of proteins")
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(args.threads)
        runs.append(Run(name, predictor, {}, averaged, _origin(path, predictor)))
    taken = {run.name for run in runs}
    for path, name in zip(args.tables, names_of(args.tables), strict=True):
        origin = {"folder": str(path), "kind": "table of predictions", "SHA-256": sha256(path)[:16]}
        name = f"table {name}" if name in taken else name
        runs.append(Run(name, None, read_predictions(path), not args.model, origin))
    return runs


def _write(args: argparse.Namespace, text: str, numbers: dict[str, Any]) -> None:
    from linnet.outputs import open_output

    with open_output(args.out) as file:
        file.write(text)
    if args.json:
        with open_output(args.json) as file:
            json.dump(numbers, file, indent=1, allow_nan=False)
    _log(f"{args.out}: {len(text) / 1e6:.1f} MB")


def _save_vectors(path: Path, name: str, model: Asked, records: Sequence[SequenceRecord]) -> None:
    import numpy as np

    from linnet.answers import embed
    from linnet.embeddings import save_arrays

    vectors_NW = embed(model, records)
    if vectors_NW is None:
        raise UserError(f"{name} has no vectors", remedy="Leave out --embeddings.")
    save_arrays(path, ids=np.array([r.id for r in records]), vectors=vectors_NW)


def _check_outputs(read: Sequence[Path | None], results: Sequence[Path | None]) -> None:
    taken = {path.resolve() for path in read if path}
    written = [path for path in results if path]
    for path in written:
        if path.resolve() in taken:
            raise UsageError(f"{path} is also read", remedy="Choose another file for the results.")
        if not path.absolute().parent.is_dir():
            raise UserError("cannot be written: there is no such folder", where=str(path))
    if len({p.resolve() for p in written}) < len(written):
        raise UsageError("two results would go to one file", remedy="Choose another name for one of them.")


def _check_embeddings(args: argparse.Namespace) -> None:
    if args.embeddings and args.embeddings.suffix != ".npz":
        raise UsageError(f"vectors cannot be written to '{args.embeddings}'", expected="a name that ends in .npz")


def _models(args: argparse.Namespace) -> list[Model]:
    from linnet.caveats import regions
    from linnet.examine import Model
    from linnet.predictor import Predictor

    models = []
    for path, name, averaged, predictor in _loaded(args, device=args.device, threads=args.threads):
        if not isinstance(predictor, Predictor):
            raise UserError("a model of proteins", where=str(path), expected="a model of genes")
        origin = _origin(path, predictor)
        models.append(Model(name, predictor, averaged, {**origin, "region": ", ".join(regions(predictor))}))
    return models


def _loaded(args: argparse.Namespace, **running: Any) -> Iterator[tuple[Path, str, bool, Predictor | ProteinPredictor]]:
    """Each model asked for: its folder, what to call it, whether it counts in means, and itself."""
    from linnet.predictor import load, members

    asked: list[tuple[Path, bool]] = []
    for path in args.model:
        folders = members(path)
        several = args.members and len(folders) > 1
        asked += [(path, not several), *((folder, True) for folder in folders if several)]
    for (path, averaged), name in zip(asked, _distinct([path for path, _ in asked]), strict=True):
        yield path, name, averaged, load(path, **running)


def _origin(path: Path, predictor: Predictor | ProteinPredictor) -> dict[str, Any]:
    """What a model is, for the record."""
    from linnet.checkpoint import digests
    from linnet.predictor import members

    model, folders = predictor.checkpoint.model, members(path)
    seeds = dict.fromkeys(str(c.model.get("config", {}).get("seed", "-")) for c in predictor.checkpoints)
    return {
        "folder": str(path),
        "kind": f"ensemble of {len(folders)}" if len(folders) > 1 else model.get("kind", ""),
        "taxa": f"{len(predictor.taxonomy) - 1:,}",
        "seed": ", ".join(seeds),
        "SHA-256 of the weights": " ".join(digests(folder)["model.safetensors"][:16] for folder in folders),
        "written by": f"linnet {model.get('linnet', '-')}",
    }


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
    from linnet.records import once, read

    truth, references = (_lineages(path, notes) for path in (args.taxonomy, args.reference))
    records: dict[str, SequenceRecord] = {}
    lacking = 0
    for record in read(args.sequences):
        if not truth.get(record.id):
            lacking += 1
        else:
            once(records.setdefault(record.id, record), record, args.sequences)
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


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _count(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"'{text}' where a count belongs", expected="a whole number, 0 or more")
    return int(text)


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr)
