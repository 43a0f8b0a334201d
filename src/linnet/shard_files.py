"""The files of `shards`, as records are put into them: batches, what was met before, parts and their digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.records import SequenceRecord

BATCH = 1 << 22  # residues held before they are written
BATCH_RECORDS = 1 << 15
PARTS = {"residues": "u1", "offsets": "<i8", "nodes": "<i4", "ids": "u1", "id_offsets": "<i8"}
"""The files of a shard and the numbers in them; record r has `residues[offsets[r]:offsets[r + 1]]`."""

Batch = tuple[list[bytes], list[bytes], NDArray[np.int64]]
"""Ids, sequences and nodes of some records."""


def batches(
    records: Iterable[tuple[SequenceRecord, int]], nodes_in_tree: int, least: int, left_out: Counter[str]
) -> Iterator[Batch]:
    """Records in batches of some megabytes; those with fewer than `least` residues are counted and left out.

    Raises:
        UserError: a node that is not in the tree, letters that are no residues.
    """
    ids: list[bytes] = []
    sequences: list[bytes] = []
    nodes: list[int] = []
    held = 0
    for record, node in records:
        letters = record.sequence
        if not letters or len(letters) < least:
            left_out["too short" if letters else "without residues"] += 1
            continue
        if not 0 <= node < nodes_in_tree:
            found, expected = f"node {node} is not in the tree", f"0 to {nodes_in_tree - 1}"
            raise UserError(found, where=f"record '{record.id}'", expected=expected)
        if not letters.isascii():
            raise UserError("letters beyond ASCII", where=f"record '{record.id}'", expected="amino acids")
        ids.append(record.id.encode())
        sequences.append(letters.encode())
        nodes.append(node)
        held += len(letters)
        if held >= BATCH or len(ids) >= BATCH_RECORDS:
            yield ids, sequences, np.array(nodes)
            ids, sequences, nodes, held = [], [], [], 0
    if ids:
        yield ids, sequences, np.array(nodes)


class Seen:
    """64-bit hashes of the sequences and nodes met, in open addressing; 0 is a free slot."""

    def __init__(self) -> None:
        self._slots = np.zeros(1 << 17, np.uint64)
        self._count = 0

    def first(self, batch: Batch, left_out: Counter[str]) -> Batch:
        """The batch without what was met before."""
        ids, sequences, nodes = batch
        tails = nodes.astype("<i4").tobytes()
        texts = (sequence + tails[4 * i : 4 * i + 4] for i, sequence in enumerate(sequences))
        digests = b"".join([blake2b(text, digest_size=8).digest() for text in texts])
        hashes, at = np.unique(np.maximum(np.frombuffer(digests, "<u8"), 1), return_index=True)
        while 4 * (self._count + len(hashes)) > 3 * len(self._slots):
            self._double()
        keep = np.sort(at[self._insert(hashes)])
        self._count += len(keep)
        left_out["repeated"] += len(ids) - len(keep)
        if len(keep) == len(ids):
            return batch
        return [ids[i] for i in keep.tolist()], [sequences[i] for i in keep.tolist()], nodes[keep]

    def _insert(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Put in hashes that differ from each other; which of them are new."""
        new = np.zeros(len(hashes), np.bool_)
        last = np.uint64(len(self._slots) - 1)
        pending, slot = np.arange(len(hashes)), hashes & last
        while len(pending):
            values, held = hashes[pending], self._slots[slot]
            free = held == 0
            self._slots[slot[free]] = values[free]
            new[pending] = placed = free & (self._slots[slot] == values)  # of several for a slot, one has got it
            onward = ~placed & (held != values)
            pending, slot = pending[onward], (slot[onward] + np.uint64(1)) & last
        return new

    def _double(self) -> None:
        old, self._slots = self._slots, np.zeros(2 * len(self._slots), np.uint64)
        for a in range(0, len(old), 1 << 20):
            some = old[a : a + (1 << 20)]
            self._insert(some[some > 0])


class Writer:
    """The shards of a folder, one of which is being written; its files are closed on leaving."""

    def __init__(self, folder: Path, shard_residues: int) -> None:
        self._folder, self._shard_residues = folder, shard_residues
        self._shards: list[dict[str, Any]] = []
        self._parts: dict[str, _Part] = {}
        self._records = self._residues = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for part in self._parts.values():
            with suppress(OSError):  # what is left to be written would not fit either
                part.file.close()

    def add(self, batch: Batch) -> None:
        """Write a batch, beginning another shard where one is full."""
        ids, sequences, nodes = batch
        ends = np.cumsum([len(sequence) for sequence in sequences])
        a = before = 0
        while a < len(ids):
            room = self._shard_residues - self._residues
            b = int(np.searchsorted(ends, before + room, "right"))
            if b <= a and self._records:
                self._close()
                continue
            b = max(b, a + 1)
            try:
                self._write(ids[a:b], sequences[a:b], nodes[a:b])
            except OSError as error:
                raise UserError(f"cannot be written ({error.strerror})", where=str(self._folder)) from error
            a, before = b, int(ends[b - 1])

    def _write(self, ids: list[bytes], sequences: list[bytes], nodes: NDArray[np.int64]) -> None:
        if not self._parts:
            number = len(self._shards)
            self._parts = {part: _Part(self._folder / f"{number:04}.{part}") for part in PARTS}
            for part in ("offsets", "id_offsets"):
                self._parts[part].write(bytes(8))
        parts = self._parts
        for texts, data, offsets in ((sequences, "residues", "offsets"), (ids, "ids", "id_offsets")):
            ends = parts[data].bytes + np.cumsum([len(text) for text in texts])
            parts[offsets].write(ends.astype(PARTS[offsets]).tobytes())
            parts[data].write(b"".join(texts))
        parts["nodes"].write(nodes.astype(PARTS["nodes"]).tobytes())
        self._records += len(ids)
        self._residues = parts["residues"].bytes

    def _close(self) -> None:
        for part in self._parts.values():
            part.file.close()
        self._shards.append(
            {
                "records": self._records,
                "residues": self._residues,
                "bytes": {name: part.bytes for name, part in self._parts.items()},
                "sha256": {name: part.digest.hexdigest() for name, part in self._parts.items()},
            }
        )
        self._parts, self._records, self._residues = {}, 0, 0

    def finished(self) -> list[dict[str, Any]]:
        """Of each shard, its counts and its parts' sizes and digests."""
        if self._records:
            self._close()
        return self._shards


class _Part:
    """A file being written, with its size and digest so far."""

    def __init__(self, path: Path) -> None:
        self.file, self.digest, self.bytes = path.open("wb", 1 << 16), sha256(), 0

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.bytes += len(data)
