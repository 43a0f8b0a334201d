"""Cut the stretch between two primers out of each read or gene.

  linnet extract genes.fasta --primers V4 --out v4.fasta
  linnet extract reads.fastq.gz --primers GTGYCAGCMGCCGCGGTAA,GGACTACNVGGGTWTCTAAT --out v4.fastq.gz

Reads FASTA or FASTQ (plain or compressed; '-' is standard input) and writes those that have an amplicon, in order, on
the forward primer's strand; the others are counted by what they lack. FASTQ stays FASTQ, unless --out ends in .fasta.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.errors import UsageError
from linnet.options import positive

if TYPE_CHECKING:
    from linnet.extract import Format

_ENDINGS: dict[str, Format] = {
    ".fa": "fasta", ".fasta": "fasta", ".fna": "fasta", ".fq": "fastq", ".fastq": "fastq",
}  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("sequences", nargs="+", metavar="SEQUENCES", help="FASTA or FASTQ files, or '-'")
    add("--primers", required=True, metavar="NAME|FWD,REV",
        help="V4, V3-V4, V1-V2, V1-V3, V4-V5, V5-V7, V6-V8 or V1-V9 of the 16S gene; or two primers, both 5' to 3', "
        "IUPAC codes included")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write here; .gz and .zst are compressed")
    add("--mismatches", type=_errors, metavar="N",
        help="errors allowed in each primer site: mismatched, missing and extra bases together (default: a fifth of "
        "the primer's length)")  # fmt: skip
    add("--min-length", type=positive, metavar="N",
        help="shortest product, in bases, primers not counted (default: the region's; 50 for FWD,REV)")  # fmt: skip
    add("--max-length", type=positive, metavar="N",
        help="longest product, likewise (default: the region's; 5000 for FWD,REV)")  # fmt: skip
    add("--strand", choices=["auto", "forward", "reverse"], default="auto",
        help="strand of the records; auto looks at both and turns those on the other (default)")  # fmt: skip
    add("--keep-primers", action="store_true", help="leave the primer sites on")


def run(args: argparse.Namespace) -> None:
    from linnet.extract import Tally, extract, texts
    from linnet.outputs import open_output, reported
    from linnet.records import read
    from linnet.regions import parse_region

    if args.out and args.out.is_file() and any(Path(p).is_file() and args.out.samefile(p) for p in args.sequences):
        raise UsageError(f"--out {args.out} is also read", remedy="Choose another file for the results.")
    if args.sequences.count("-") > 1:
        raise UsageError("standard input is named twice", expected="'-' once at most")
    region = parse_region(args.primers)
    asked = {"shortest": args.min_length, "longest": args.max_length, "mismatches": args.mismatches}
    region = replace(region, **{name: value for name, value in asked.items() if value is not None})
    records = (record for path in args.sequences for record in read(path))
    tally, started = Tally(), time.monotonic()
    extractions = reported(extract(records, region, strand=args.strand, keep_primers=args.keep_primers), _log)
    with open_output(args.out) as file:
        file.writelines(texts(tally.watch(extractions), _format(args.out)))
    spent = time.monotonic() - started
    for line in tally.lines():
        _log(line)
    _log(f"{spent:.1f} s, {tally.records / max(spent, 1e-9):,.0f} records/s")


def _errors(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"--mismatches {text}", expected="a whole number, 0 or more")
    return int(text)


def _format(out: Path | None) -> Format | None:
    """The format that the output's name asks for, if any."""
    endings = [ending.lower() for ending in out.suffixes] if out else []
    while endings and endings[-1] in _COMPRESSED:
        endings.pop()
    return _ENDINGS.get(endings[-1]) if endings else None


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr)
