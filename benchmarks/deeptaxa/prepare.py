"""The inputs of the DeepTaxa benchmark: a full-size checkpoint in the released format, its taxonomy, and reads.

    python benchmarks/deeptaxa/prepare.py --work DIR --tokenizer FOLDER --reads V4=FILE --reads full=FILE

The checkpoint has the published configuration of the full-length model, its 76,365,205 parameters and as many labels
at each rank, with random weights (seed 42). It knows nothing about biology, but costs what the released model costs:
time and memory depend on shapes and on the lengths of the reads, not on what was learnt. Its heads are set so that
each read gets a lineage, the same for reads that are alike, and answers can be compared. That takes a minute or
two.

DIR/data gets model.pt, taxonomy.tsv, tokenizer/ (a copy), a FASTA of each set of reads, and data.json about them.
run.py calls this where DIR/data is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from lineages import LABELS, RANKS, Lineage, lineages
from reads import fasta, some_reads, spread
from weights import PUBLISHED_PARAMETERS, Config, Weights, body, fused, heads, parameters

from linnet.errors import UserError
from linnet.records import SequenceRecord

SEED = 42
KEPT, LABELLED = 1024, 256
"""Of a set of reads, how many are kept at most, and how many of these are given a lineage and go to both tools."""

LONG = 600
"""Bases, in the median, from which reads are long: a quarter as many will do."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

UNKNOWN, START, END = 0, 1, 2
"""Tokens."""


def prepare(data: Path, tokenizer: Path, sources: Mapping[str, Path], kept: int = KEPT) -> None:
    """Fill `data`, under a temporary name until it is whole.

    Args:
        tokenizer: a folder with DNABERT-2's tokenizer.json and tokenizer_config.json.
        sources: the name of each set of reads -> FASTA or FASTQ.
        kept: reads kept of each set.
    """
    vocabulary = _vocabulary(tokenizer)
    reads = {name: _some(path, kept) for name, path in sources.items()}
    labelled = {name: spread(records, _fewer(records, LABELLED)) for name, records in reads.items()}
    temporary = data.with_name(f".{os.getpid()}.{data.name}")
    temporary.mkdir(parents=True)
    try:
        for name, records in reads.items():
            (temporary / f"{name}.fasta").write_text(fasta(records))
        (temporary / "tokenizer").mkdir()
        for name in TOKENIZER_FILES:
            shutil.copyfile(tokenizer / name, temporary / "tokenizer" / name)
        paths = lineages(Random(SEED))
        _write_taxonomy(temporary / "taxonomy.tsv", paths)
        split = [tokens(record.sequence, vocabulary) for records in labelled.values() for record in records]
        torch.save(checkpoint(paths, split), temporary / "model.pt")
        counts = {name: len(records) for name, records in labelled.items()}
        (temporary / "data.json").write_text(json.dumps(_about(reads, counts, temporary), indent=1) + "\n")
        temporary.rename(data)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _some(path: Path, kept: int) -> list[SequenceRecord]:
    records = some_reads(path, kept)
    return spread(records, _fewer(records, kept))


def _fewer(records: Sequence[SequenceRecord], count: int) -> int:
    """The count, or a quarter of it where the reads are long."""
    long = median(len(record.sequence) for record in records) >= LONG
    return max(1, count // 4) if long else count


def checkpoint(paths: Sequence[Lineage], reads: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The content of a released file, without what only the author of a run can know.

    Args:
        reads: tokens of the reads; each is given one of the lineages.
    """
    config = Config()
    label_ids = {rank: _numbered({path[rank] for path in paths}) for rank in range(len(RANKS))}
    random = Random(SEED)
    given = [random.choice(paths) for _ in reads]
    labels_RK = [[label_ids[rank][name] for rank, name in enumerate(path)] for path in given]
    weights = _weights(config, reads, labels_RK)
    return {
        "model_type": "hybridcnnbert",
        "encoding": "dnabert",
        "state_dict": weights,
        "hidden_dropout_prob": config.dropout,
        "model_config": config.released(),
        "num_labels_per_level": {str(rank): len(labels) for rank, labels in label_ids.items()},
        "taxonomic_ranks": list(RANKS),
        "level_label2id": label_ids,
        "max_length": config.window,
        "tokenizer_name": "tokenizer",
        "tokenizer_revision": None,
        "total_parameters": parameters(weights),
        "epoch": 0,
        "epochs": 0,
        "batch_size": 64,
        "level_weights": [1.0] * len(RANKS),
        "taxonomy_file": "taxonomy.tsv",
        "metrics": {},
        "seed": SEED,
    }


def _weights(config: Config, reads: Sequence[Sequence[int]], labels_RK: Sequence[Sequence[int]]) -> Weights:
    generator = torch.Generator().manual_seed(SEED)
    with torch.inference_mode():
        weights = body(config, generator)
        fused_RH = torch.stack([fused(weights, config, read) for read in reads])
        weights |= heads(fused_RH, torch.tensor(labels_RK), LABELS, generator)
    found = parameters(weights)
    if found != PUBLISHED_PARAMETERS:
        raise RuntimeError(f"{found:,} parameters, not {PUBLISHED_PARAMETERS:,}")
    return OrderedDict((key, tensor.clone()) for key, tensor in weights.items())


def _numbered(names: set[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(names))}


def tokens(sequence: str, vocabulary: Mapping[str, int]) -> list[int]:
    """About the tokens of a read: the longest that fits, from left to right, at most 512 with start and end.

    Near enough to set the heads by. The tokenizer's own are found by merging pairs.
    """
    longest = max(map(len, vocabulary))
    found = [START]
    at = 0
    while at < len(sequence) and len(found) < Config.window - 1:
        pieces = (sequence[at : at + length] for length in range(longest, 0, -1))
        piece = next((piece for piece in pieces if piece in vocabulary), None)
        found.append(UNKNOWN if piece is None else vocabulary[piece])
        at += len(piece or " ")
    return [*found, END]


def _vocabulary(tokenizer: Path) -> dict[str, int]:
    for name in TOKENIZER_FILES:
        if not (tokenizer / name).is_file():
            raise UserError(f"no {name}", where=str(tokenizer), expected="DNABERT-2's " + " and ".join(TOKENIZER_FILES))
    path = tokenizer / "tokenizer.json"
    try:
        vocabulary: dict[str, int] = json.loads(path.read_text())["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "no tokenizer with a vocabulary",
            where=str(path),
            expected="tokenizer.json of zhihan1996/DNABERT-2-117M",
            remedy="Download tokenizer.json and tokenizer_config.json into a folder and name it with --tokenizer.",
        ) from error
    if len(vocabulary) != Config.vocabulary:
        raise UserError(f"{len(vocabulary)} tokens", where=str(path), expected=f"DNABERT-2's {Config.vocabulary}")
    return vocabulary


def _write_taxonomy(path: Path, paths: Sequence[Lineage]) -> None:
    rows = ["\t".join(["sequence_id", *RANKS])]
    rows += ["\t".join([f"gene{number:05}", *lineage]) for number, lineage in enumerate(paths)]
    path.write_text("\n".join(rows) + "\n")


def _about(reads: Mapping[str, Sequence[SequenceRecord]], labelled: Mapping[str, int], folder: Path) -> dict[str, Any]:
    """What the results say about the inputs."""

    def set_of(name: str, records: Sequence[SequenceRecord]) -> dict[str, Any]:
        lengths = [len(record.sequence) for record in records]
        return {
            "reads": len(records),
            "labelled": labelled[name],
            "bases": {"least": min(lengths), "median": median(lengths), "most": max(lengths)},
            "sha256": _sha256(folder / f"{name}.fasta"),
        }

    return {
        "reads": {name: set_of(name, records) for name, records in reads.items()},
        "model": {"parameters": PUBLISHED_PARAMETERS, "labels": LABELS, "seed": SEED},
        "sha256": {name: _sha256(folder / name) for name in ("model.pt", "taxonomy.tsv", "tokenizer/tokenizer.json")},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named_file(text: str) -> tuple[str, Path]:
    """`V4=reads.fasta` as a name and a path."""
    name, _, path = text.partition("=")
    if not path or not name.replace("-", "").isalnum():
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE, with a NAME of letters, digits and hyphens")
    return name, Path(path)


def main() -> int:
    """0 done, 1 data is wrong."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="DIR/data is made")
    add("--tokenizer", type=Path, required=True, metavar="FOLDER", help="with DNABERT-2's tokenizer.json")
    add("--reads", type=named_file, action="append", required=True, metavar="NAME=FILE", help="FASTA; may be repeated")
    add("--kept", type=int, default=KEPT, metavar="N", help=f"reads of each set (default: {KEPT}; a quarter if long)")
    args = parser.parse_args()
    data = args.work.resolve() / "data"
    if data.exists():
        print(f"deeptaxa: {data} is there already; delete it to have it made again", file=sys.stderr)
        return 0
    try:
        prepare(data, args.tokenizer, dict(args.reads), args.kept)
    except UserError as error:
        print(f"deeptaxa: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
