"""Vectors of all contigs of a file: made block by block, kept as they are made, put together in the end.

A block's vectors are a file in `OUT.parts/`, so that the same command goes on where it was interrupted. Of several
processes, which `accelerate launch` starts, each makes the blocks of its number; the first puts them together.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import linnet
from linnet import processes
from linnet.embeddings import save_arrays, write_embeddings
from linnet.errors import UserError
from linnet.outputs import open_output
from linnet.records import SequenceRecord, read

Log = Callable[[str], None]
Blocks = Callable[[], Iterable[Sequence[SequenceRecord]]]
"""Gives the contigs anew each time that it is called, some at a time."""

LEAST = 50
"""Plain bases that a contig must have; those that `linnet correct` judges."""
BLOCK_BASES = 1 << 20
"""A block of contigs ends when it has so many bases."""
_SETTINGS = "made_by.json"


class Embedder(Protocol):
    """Contigs to vectors."""

    @property
    def block(self) -> int:
        """How many contigs it is given at a time, at most."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that the vectors depend on besides the contigs, as JSON has it."""
        ...

    def prepare(self, blocks: Blocks, folder: Path, log: Log) -> None:
        """Learn what is learnt from the contigs themselves; `folder` keeps it for when the run is started again."""
        ...

    def vectors(self, contigs: Sequence[SequenceRecord]) -> NDArray[np.float32]:
        """float32 (B, W), the same for a contig whatever stands beside it."""
        ...


@dataclass(frozen=True)
class Embedded:
    """What was written.

    Attributes:
        contigs: rows.
        left_out: contigs of fewer plain bases than asked for.
        made_by: encoder, settings and digests, as they stand in the file.
    """

    contigs: int
    left_out: int
    made_by: dict[str, Any]


@dataclass(frozen=True)
class _Listing:
    """The contigs that get a vector: ids, lengths in bases, and a digest of ids and sequences."""

    ids: list[str]
    lengths: list[int]
    left_out: int
    digest: str


def embed(
    source: Path, embedder: Embedder, out: Path, *, least: int = LEAST, device: str = "cpu", log: Log = lambda _: None
) -> Embedded:
    """Write the vectors of a file's contigs to `out`, an .npz as `linnet.embeddings` has it.

    Args:
        least: plain bases (A, C, G, T) that a contig must have.
        device: that the processes of this run, if there are several, compute on.

    Raises:
        UserError: no contig, or two with one id; `OUT.parts` is of another run; a vector that is not finite.
    """
    rank, size = processes.rank(), processes.size()
    listing = _list(source, least)
    said = {"linnet": linnet.__version__, **embedder.settings(), "contigs": listing.digest, "least": least}
    made_by: dict[str, Any] = json.loads(json.dumps(said))  # as it will be read
    folder = out.with_name(f"{out.name}.parts")
    if rank == 0:
        _open(folder, made_by)
    _wait_for_all(size, device)
    ends = _blocks(listing.lengths, embedder.block)
    parts = [folder / f"{number:06}.npz" for number in range(len(ends))]
    todo = {n for n in range(rank, len(parts), size) if not parts[n].exists()}
    _wait_for_all(size, device)  # none may be done, and remove the folder, before all have looked

    def blocks() -> Iterator[list[SequenceRecord]]:
        contigs = (r for r in read(source) if _plain(r) >= least)
        for start, end in pairwise([0, *ends]):
            block = list(islice(contigs, end - start))
            if [r.id for r in block] != listing.ids[start:end]:
                raise UserError(
                    "holds other contigs than when it was first read", where=str(source),
                    expected="a file that stays as it is, no pipe: it is read several times",
                )  # fmt: skip
            yield block

    if done := len(range(rank, len(parts), size)) - len(todo):
        log(f"going on after {done} of {done + len(todo)} blocks, from {folder}")
    if todo:
        embedder.prepare(blocks, folder, log)
        _make(((n, block) for n, block in enumerate(blocks()) if n in todo), parts, embedder, log)
    if rank == 0:
        while not all(part.exists() for part in parts):  # the other processes' ones
            time.sleep(0.2)
        write_embeddings(out, listing.ids, lambda: map(_rows, parts), made_by)
        shutil.rmtree(folder)
    return Embedded(len(listing.ids), listing.left_out, made_by)


def _make(
    blocks: Iterable[tuple[int, list[SequenceRecord]]], parts: Sequence[Path], embedder: Embedder, log: Log
) -> None:
    started = said = time.monotonic()
    made = 0
    for number, block in blocks:
        save_arrays(parts[number], rows=np.asarray(embedder.vectors(block), np.float32))
        made += len(block)
        if (now := time.monotonic()) - said > 5:
            said = now
            log(f"{made:,} contigs, {made / (now - started):,.1f} a second")


def _list(source: Path, least: int) -> _Listing:
    digest, left_out = hashlib.sha256(), 0
    ids: list[str] = []
    lengths: list[int] = []
    seen: set[str] = set()
    for record in read(source):
        if record.id in seen:
            raise UserError(
                f"two contigs are called '{record.id}'", where=str(source), expected="an id of its own for each contig"
            )
        seen.add(record.id)
        if _plain(record) < least:
            left_out += 1
            continue
        ids.append(record.id)
        lengths.append(len(record.sequence))
        digest.update(f"{record.id}\n{record.sequence}\n".encode())
    if not ids:
        found = f"no contig has {least} plain bases" if left_out else "there are no contigs"
        raise UserError(found, where=str(source), expected="FASTA with at least one record that long")
    return _Listing(ids, lengths, left_out, digest.hexdigest())


def _plain(record: SequenceRecord) -> int:
    return sum(map(record.sequence.count, "ACGT"))


def _blocks(lengths: Sequence[int], most: int) -> list[int]:
    """Where each block of contigs ends."""
    ends, start, bases = [], 0, 0
    for number, length in enumerate(lengths, 1):
        bases += length
        if number - start == most or bases >= BLOCK_BASES or number == len(lengths):
            ends.append(number)
            start, bases = number, 0
    return ends


def _open(folder: Path, made_by: dict[str, Any]) -> None:
    """Make the folder of this run's parts, or see that the one that is there is this run's."""
    settings = folder / _SETTINGS
    if folder.exists() and any(folder.iterdir()):
        try:
            there = json.loads(settings.read_text())
        except (OSError, ValueError):
            there = {}
        if there != made_by:
            other = sorted(k for k in {*there, *made_by} if there.get(k) != made_by.get(k)) if there else []
            raise UserError(
                "holds parts of another run" + (f" (differs in: {', '.join(other)})" if other else ""),
                where=str(folder),
                remedy="Repeat that run's command to go on with it, or delete the folder, or choose another --out.",
            )
        return
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot be made ({error.strerror})", where=str(folder), remedy="Choose another --out."
        ) from error
    with open_output(settings) as file:
        json.dump(made_by, file, indent=1)


def _rows(part: Path) -> NDArray[np.float32]:
    try:
        with np.load(part, allow_pickle=False) as file:
            return np.asarray(file["rows"], np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot be read ({error})", where=str(part), remedy="Delete it and start again.") from error


def _wait_for_all(size: int, device: str) -> None:
    if size == 1:
        return
    from linnet.team import Team

    Team.of_this_run(device).wait()
