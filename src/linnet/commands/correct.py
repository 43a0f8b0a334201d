"""Put the labels of contigs right: more of them, fewer wrong ones, cut back where a taxon is new.

Reads contigs (FASTA), what a search tool calls them (MMseqs2, Kraken2, Centrifuge, Metabuli, CAT, or a table of ids and
lineages) and how deeply each sample's reads cover them. Every contig gets a row.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from linnet import formats
from linnet.errors import UsageError, UserError, missing_extra
from linnet.options import Several, positive, probability

if TYPE_CHECKING:
    from linnet.composition import Contigs
    from linnet.correct import Correction
    from linnet.labels import LabelTable

FEW_SAMPLES = 3


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
    add(
        "--confidence",
        type=probability,
        metavar="P",
        help="keep names at least this probable (default: 0.55; of the published recipes 0.5)",
    )
    add("--precision", type=probability, metavar="P",
        help="cut instead so low that a share P of the names kept at each rank should be right")  # fmt: skip
    add("--min-length", type=positive, default=1, metavar="N",
        help="shorter contigs keep a row, without a name (default: 1)")  # fmt: skip
    add("--teacher", type=Path, metavar="EMBEDDINGS", help="vectors of the contigs: .npz with 'ids' and 'rows'")
    add("--recipe", choices=["linnet", "taxometer", "taxdistill"], default="linnet",
        help="linnet's way (default), or a published one as a baseline")  # fmt: skip
    add("--alpha", type=probability, default=0.5, metavar="A", help="taxdistill: weight of the labels (default: 0.5)")
    add("--temperature", type=float, default=2.0, metavar="T",
        help="taxdistill: by which scores are divided (default: 2)")  # fmt: skip
    add("--seed", type=int, default=42, metavar="N", help="of every random choice (default: 42)")
    add("--threads", type=positive, default=1, metavar="N", help="threads (default: 1); answers do not depend on it")


def run(args: argparse.Namespace) -> None:
    verb = _verb()
    from linnet.depths import read_depths
    from linnet.embeddings import read_embeddings
    from linnet.families.contigs_published import Config as Published
    from linnet.labels import read_labels
    from linnet.ncbi import read_taxdump
    from linnet.outputs import open_output, write_predictions
    from linnet.prediction import unreadable

    if args.confidence is not None and args.precision is not None:
        raise UsageError("both --confidence and --precision", expected="one of them")
    outputs = [(path, args.format or _format(path)) for path in args.out or [None]]
    inputs = [args.contigs, args.labels, *(args.depth or ())]
    for path in [*(p for p, _ in outputs), args.changes]:
        if path and path.is_file() and any(path.samefile(p) for p in inputs if p.is_file()):
            raise UsageError(f"--out {path} is also read", remedy="Choose another file for the results.")
    started = time.monotonic()
    taxonomy = read_taxdump(args.taxonomy) if args.taxonomy else None
    table = read_labels(args.labels, taxonomy)
    short: dict[str, int] = {}
    contigs, order = _contigs(args.contigs, args.min_length, short)
    _say_labels(table, contigs)
    depths = read_depths(args.depth, contigs.ids) if args.depth else None
    samples = 0 if depths is None else len(depths.samples)
    if depths is not None and depths.missing:
        _log(f"{depths.missing:,} contigs have no depth in the tables; it is taken to be 0")
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
    found = {p.record_id: p for p in correction.predictions}
    rows = [found[id] if id in found else unreadable(id, f"shorter than {args.min_length} bases") for id in order]
    for path, format in outputs:
        write_predictions(rows, path, format)
    if args.changes:
        from linnet.changes import write

        with open_output(args.changes) as file:
            write(correction.changes, file)
    _say_result(correction, len(short))
    _log(f"{time.monotonic() - started:.1f} s")


def _verb() -> ModuleType:
    try:
        from linnet import correct
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "train", "correcting labels") from error
    return correct


def _format(path: Path | None) -> str:
    """The format that a file's ending asks for; `taxometer` for .tsv and endings that say nothing."""
    chosen = formats.for_path(path)
    return "taxometer" if chosen in ("tsv", "table") else chosen


def _contigs(path: Path, least: int, short: dict[str, int]) -> tuple[Contigs, list[str]]:
    """The contigs long enough to be judged, and the ids of all."""
    from linnet.composition import read_contigs
    from linnet.records import read

    order: list[str] = []

    def long_enough() -> Any:
        for record in read(path):
            order.append(record.id)
            if len(record.sequence) >= least:
                yield record
            else:
                short[record.id] = len(record.sequence)

    try:
        return read_contigs(long_enough()), order
    except UserError as error:
        if order and len(short) == len(order):
            raise UserError(f"all contigs are shorter than {least} bases", where=str(path)) from None
        raise UserError(error.found, where=str(path), expected=error.expected, remedy=error.remedy) from None


def _say_labels(table: LabelTable, contigs: Contigs) -> None:
    here = sum(bool(table.labels[id].lineage) for id in contigs.ids if id in table.labels)
    _log(f"{len(contigs):,} contigs, {here:,} with a label ({table.tool})")
    for note, count in sorted(table.notes.items()):
        _log(f"labels: {note}: {count:,}")


def _say_result(correction: Correction, short: int) -> None:
    kinds = Counter(change.kind.value for change in correction.changes)
    _log(", ".join(f"{kind}: {n:,}" for kind, n in kinds.most_common()))
    moved = Counter(c.rank for c in correction.changes if c.kind.value == "moved")
    if moved:
        _log("moved at: " + ", ".join(f"{rank} {n:,}" for rank, n in moved.most_common()))
    if short:
        _log(f"{short:,} contigs are too short and got no name")
    expected = ", ".join(f"{rank} {100 * p:.1f} %" for rank, p in correction.expected.items())
    _log(f"cut at confidence {correction.cut:g}: of the names kept, right by their own confidence: {expected}")


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
