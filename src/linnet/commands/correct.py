"""Put the labels of contigs right: more of them, fewer wrong ones, cut back where a taxon is new.

Reads contigs (FASTA), what a search tool calls them (MMseqs2, Kraken2, Centrifuge, Metabuli, CAT, or a table of ids and
lineages) and how deeply each sample's reads cover them. Every contig gets a row.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import linnet
from linnet import formats
from linnet.errors import UsageError, UserError, torch_for
from linnet.options import Several, positive, probability
from linnet.taxonomy import RANKS

if TYPE_CHECKING:
    from linnet.composition import Contigs
    from linnet.correct import Correction
    from linnet.depths import Depths
    from linnet.labels import LabelTable

FEW_SAMPLES = 3
FEWEST = 50
"""Plain bases that a contig must have to be judged."""
MISSING = 0.1
"""Share of the contigs that may lack a depth: more, and the table is not of these contigs."""


def add_options(parser: argparse.ArgumentParser) -> None:
    known = "; ".join(f"{name}: {text}" for name, text in formats.writable().items())
    add = parser.add_argument
    add("contigs", type=Path, metavar="CONTIGS", help="FASTA, plain or compressed")
    add("--labels", type=Path, required=True, metavar="TABLE", help="what a search tool calls the contigs")
    add("--taxonomy", type=Path, metavar="TAXDUMP",
        help="the taxdump of the tool's database (folder or tar), where the labels are taxids")  # fmt: skip
    add("--depth", type=Path, action=Several, metavar="TABLE",
        help="depths of the contigs: a table (strobealign --aemb, CoverM, jgi_summarize_bam_contig_depths, Vamb) or a "
        "BAM file; several times for several")  # fmt: skip
    add("--out", type=Path, action=Several, metavar="FILE",
        help="write here; several times for several formats, by their endings (x.biobox, x.kreport)")  # fmt: skip
    add("--format", choices=[*formats.writable()], metavar="FORMAT",
        help=f"{known} (default: by the ending of --out, else taxometer)")  # fmt: skip
    add("--changes", type=Path, metavar="FILE", help="write what became of each label, and why, as a table")
    add("--times", type=Path, metavar="FILE",
        help="add a row to this table: contigs, bases, seconds, memory; 'linnet report contigs' draws it")  # fmt: skip
    add(
        "--confidence",
        type=probability,
        metavar="P",
        help="keep names at least this probable (default: 0.53; of the published recipes 0.5)",
    )
    add("--precision", type=probability, metavar="P",
        help="cut instead so low that a share P of the names kept at each rank should be right")  # fmt: skip
    add("--min-length", type=positive, default=FEWEST, metavar="N",
        help="shorter contigs are not judged: their labels are left as they are (default: 50 bases that are A, C, G "
        "or T)")  # fmt: skip
    add("--teacher", type=Path, metavar="EMBEDDINGS", help="vectors of the contigs: .npz with 'ids' and 'rows'")
    add("--recipe", choices=["linnet", "taxometer", "taxdistill"], default="linnet",
        help="linnet's way (default), or a published one as a baseline")  # fmt: skip
    add("--alpha", type=probability, default=0.5, metavar="A", help="taxdistill: weight of the labels (default: 0.5)")
    add("--temperature", type=float, default=2.0, metavar="T",
        help="taxdistill: by which scores are divided (default: 2)")  # fmt: skip
    add("--seed", type=int, default=42, metavar="N", help="of every random choice (default: 42)")
    add("--threads", type=positive, default=1, metavar="N", help="threads (default: 1); answers do not depend on it")


def run(args: argparse.Namespace) -> None:
    _check(args)
    verb = _verb()
    from linnet import changes, run_times
    from linnet.embeddings import read_embeddings
    from linnet.families.contigs_published import Config as Published
    from linnet.labels import Label, read_labels
    from linnet.ncbi import read_taxdump
    from linnet.outputs import open_output

    outputs = [(path, args.format or _format(path)) for path in args.out or [None]]
    started, cpu_started = time.monotonic(), time.process_time()
    taxonomy = read_taxdump(args.taxonomy) if args.taxonomy else None
    table = read_labels(args.labels, taxonomy)
    if any(format == "biobox" for _, format in outputs):
        _check_taxids(table)
    contigs, order = _contigs(args.contigs, args.min_length)
    short = set(order) - set(contigs.ids)
    _say_labels(table, contigs, order)
    depths = _depths(args, contigs.ids) if args.depth else None
    samples = 0 if depths is None else len(depths.samples)
    if samples < FEW_SAMPLES and args.recipe == "linnet":
        told = "no depths" if not samples else f"{samples} sample{'s' * (samples > 1)}"
        _log(f"note: {told}: contigs of one genome are harder to find than with {FEW_SAMPLES} samples or more")
    config = verb.Config(published=Published(alpha=args.alpha, temperature=args.temperature))
    correction = verb.correct(
        contigs,
        table.labels,
        depths,
        embeddings_CW=read_embeddings(args.teacher, contigs.ids) if args.teacher else None,
        recipe=args.recipe,
        confidence=args.confidence,
        precision=args.precision,
        config=config,
        seed=args.seed,
        threads=args.threads,
        log=_log,
    )
    found = {p.record_id: (p, c) for p, c in zip(correction.predictions, correction.changes, strict=True)}
    reason = f"fewer than {args.min_length} plain bases"
    for id in short:
        found[id] = correction.left_alone(id, table.labels.get(id, Label(id)), reason)
    rows = [found[id] for id in order]
    with ExitStack() as files:  # all or none: they are renamed when all are whole
        for path, format in outputs:
            formats.load(format).write((p for p, _ in rows), files.enter_context(open_output(path)))
        if args.changes:
            changes.write((c for _, c in rows), files.enter_context(open_output(args.changes)))
    _say_result(correction, len(short), args.precision)
    seconds = time.monotonic() - started
    if args.times:
        tool = f"linnet {linnet.__version__}" + (f" {args.recipe}" if args.recipe != "linnet" else "")
        cpu, bases = time.process_time() - cpu_started, int(contigs.length_C.sum())
        run = run_times.RunTime(len(contigs), bases, seconds, cpu, run_times.peak_mb(), args.threads, tool)
        run_times.append(args.times, run)
    _log(f"{seconds:.1f} s")


def _verb() -> ModuleType:
    with torch_for("correcting labels"):
        from linnet import correct
    return correct


def _format(path: Path | None) -> str:
    """The format that a file's ending asks for; `taxometer` for .tsv and endings that say nothing."""
    chosen = formats.for_path(path)
    return "taxometer" if chosen in ("tsv", "table") else chosen


def _check(args: argparse.Namespace) -> None:
    """What can be asked wrongly, before anything is read."""
    if args.confidence is not None and args.precision is not None:
        raise UsageError("both --confidence and --precision", expected="one of them")
    if args.recipe != "taxdistill" and (args.alpha, args.temperature) != (0.5, 2.0):
        raise UsageError(f"--alpha or --temperature with --recipe {args.recipe}", expected="--recipe taxdistill")
    if args.temperature <= 0:
        raise UsageError(f"--temperature {args.temperature:g}", expected="more than 0")
    if args.seed < 0:
        raise UsageError(f"--seed {args.seed}", expected="0 or more")
    inputs = [p.resolve() for p in (args.contigs, args.labels, *(args.depth or ())) if p.is_file()]
    written: set[Path] = set()
    for path in [p for p in (*(args.out or ()), args.changes, args.times) if p is not None and str(p) != "-"]:
        if path.resolve() in inputs:
            raise UsageError(f"{path} is both read and written", remedy="Choose another file for the results.")
        if path.resolve() in written:
            raise UsageError(f"{path} is written twice", expected="a file of its own for each result")
        if not path.resolve().parent.is_dir():
            raise UserError("no such folder", where=str(path.parent), remedy="Make it, or choose another file.")
        written.add(path.resolve())
    if args.times:
        from linnet import run_times

        run_times.check(args.times)


def _check_taxids(table: LabelTable) -> None:
    for label in table.labels.values():
        for taxon in label.lineage:
            if not taxon.taxid:
                raise UserError(
                    f"the labels have no taxids for all taxa: '{taxon.name}' ({taxon.rank}) has none",
                    expected="taxids, which the format 'biobox' consists of",
                    remedy="Give the taxdump that the labels come from with --taxonomy, or leave this format out.",
                )


def _depths(args: argparse.Namespace, judged: Sequence[str]) -> Depths | None:
    from linnet.depths import Depths, read_depths

    depths = read_depths(args.depth, judged)
    if depths.missing > MISSING * len(judged):
        raise UserError(
            f"{depths.missing:,} of {len(judged):,} contigs have no depth",
            where=", ".join(map(str, args.depth)),
            expected="depths of the same contigs",
            remedy="Compute them for this assembly, or leave out --depth: composition alone then decides.",
        )
    if depths.missing:
        _log(f"note: {depths.missing:,} contigs have no depth in the tables; it is taken to be 0")
    covered = depths.depth_CS.sum(0) > 0
    if not covered.all():
        _log(f"note: {(~covered).sum()} of {len(covered)} samples cover no contig; they are left out")
        kept = [s for s, c in zip(depths.samples, covered, strict=True) if c]
        depths = Depths(tuple(kept), depths.depth_CS[:, covered], depths.missing)
    return depths if depths.samples else None


def _contigs(path: Path, least: int) -> tuple[Contigs, list[str]]:
    """The contigs that can be judged, and the ids of all."""
    from linnet.composition import read_contigs
    from linnet.records import read

    order: list[str] = []

    def long_enough() -> Any:
        for record in read(path):
            order.append(record.id)
            if sum(map(record.sequence.count, "ACGT")) >= least:
                yield record

    try:
        contigs = read_contigs(long_enough())
        if len(set(order)) < len(order):
            twice = next(i for i, n in Counter(order).items() if n > 1)
            raise UserError(f"two contigs are called '{twice}'", expected="an id of its own for each contig")
        return contigs, order
    except UserError as error:
        if order and error.found == "there are no contigs":
            raise UserError(f"no contig has {least} plain bases", where=str(path)) from None
        raise UserError(error.found, where=str(path), expected=error.expected, remedy=error.remedy) from None


def _say_labels(table: LabelTable, contigs: Contigs, order: Sequence[str]) -> None:
    here = sum(bool(table.labels[id].lineage) for id in order if id in table.labels)
    _log(f"{len(order):,} contigs, {here:,} with a label ({table.tool})")
    if len(order) > len(contigs):
        _log(f"{len(order) - len(contigs):,} contigs are too short to be judged; their labels are left as they are")
    for note, count in sorted(table.notes.items()):
        _log(f"labels: {note}: {count:,}")


def _say_result(correction: Correction, short: int, precision: float | None) -> None:
    kinds = Counter(change.kind.value for change in correction.changes)
    _log(", ".join(f"{kind}: {n:,}" for kind, n in kinds.most_common()))
    moved = Counter(c.rank for c in correction.changes if c.kind.value == "moved")
    if moved:
        _log("moved at: " + ", ".join(f"{rank} {n:,}" for rank, n in moved.most_common()))
    if short:
        _log(f"not judged: {short:,}")
    said = correction.expected
    expected = ", ".join(f"{rank} {100 * said[rank]:.1f} %" for rank in RANKS if rank in said) or "no name is kept"
    _log(f"cut at confidence {correction.cut:g}: of the names kept, right by their own confidence: {expected}")
    if precision is not None and any(p < precision for p in said.values()):
        _log(f"note: a precision of {precision:g} is not reached at every rank by any cut")


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
