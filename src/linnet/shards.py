"""Labelled proteins on disk: written in one pass, then read in any order through the memory map.

A folder holds `index.json` and, for each shard of at most 2**30 residues, `NNNN.residues` (letters),
`NNNN.offsets`, `NNNN.nodes`, `NNNN.ids` (UTF-8) and `NNNN.id_offsets`. Numbers are little-endian.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.draws import drawn
from linnet.errors import UserError, require
from linnet.records import SequenceRecord
from linnet.shard_files import PARTS, Seen, Writer, batches
from linnet.taxonomy import Taxonomy

FORMAT = 1
SHARD_RESIDUES = 1 << 30
AGAIN = "Copy the folder again, or write it again."


def write(
    records: Iterable[tuple[SequenceRecord, int]],
    taxonomy: Taxonomy,
    folder: Path,
    *,
    least: int = 1,
    distinct: bool = False,
    shard_residues: int = SHARD_RESIDUES,
) -> Shards:
    """Write records and their taxa, as they come, in memory that does not grow with them.

    They are written to a hidden folder beside `folder`, which is renamed when whole. A failed run removes it; a
    killed one leaves it, `.NAME.` and some letters, to be deleted by hand.

    Args:
        records: a record and the node of its taxon.
        least: residues a record must have.
        distinct: leave out a sequence that the same node has had. This keeps 8 bytes a sequence, 1.5 GB for
            188 million, in a table that is between 3/8 and 3/4 full: 2.1 GB, and 3.2 GB while it is doubled. Two
            different sequences are taken for one with a probability of 1 in 1000 for the whole of 188 million.
        shard_residues: where a shard ends; a longer record has a shard to itself.

    Raises:
        UserError: `folder` is there already or cannot be made; a node that is not in the tree; nothing to write.
    """
    require(least >= 0, f"a least length of {least}", "0 or more")
    require(shard_residues > 0, f"shards of {shard_residues} residues", "1 or more")
    folder = Path(folder).resolve()
    if folder.exists():
        raise UserError("is there already", where=str(folder), remedy="Choose another folder, or delete this one.")
    left_out: Counter[str] = Counter()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"cannot be made ({error.strerror})", where=str(folder)) from error
    try:
        temporary.chmod(0o755)  # mkdtemp gives none but the owner a look
        seen = Seen()
        with Writer(temporary, shard_residues) as writer:
            for batch in batches(records, len(taxonomy), least, left_out):
                writer.add(seen.first(batch, left_out) if distinct else batch)
            shards = writer.finished()
        if not shards:
            counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
            raise UserError("no records to write" + (f" ({counts})" if counts else ""), where=str(folder))
        index = {
            "format": FORMAT,
            "records": sum(shard["records"] for shard in shards),
            "residues": sum(shard["residues"] for shard in shards),
            "taxonomy": taxonomy.digest,
            "least": least,
            "distinct": distinct,
            "left_out": +left_out,
            "shards": shards,
        }
        (temporary / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Shards.open(folder, taxonomy)


@dataclass(frozen=True)
class _Shard:
    """Memory-mapped parts, by the names of PARTS."""

    residues: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    nodes: NDArray[np.int32]
    ids: NDArray[np.uint8]
    id_offsets: NDArray[np.int64]


class Shards:
    """N labelled proteins in a folder, numbered as they were written. Use `open`.

    A shard takes five memory maps.

    Attributes:
        residues: how many all records have together.
        left_out: how many records were left out in writing, by the reason.
    """

    def __init__(self, folder: Path, index: dict[str, Any]) -> None:
        self.folder, self.residues = folder, int(index["residues"])
        self.left_out: Counter[str] = Counter(index["left_out"])
        self._index = index
        self._shards = [
            _Shard(
                **{part: _mapped(_path(folder, k, part), PARTS[part], size) for part, size in shard["bytes"].items()}
            )
            for k, shard in enumerate(index["shards"])
        ]
        self._starts: list[int] = np.cumsum([0, *(len(shard.nodes) for shard in self._shards)]).tolist()

    @classmethod
    def open(cls, folder: str | Path, taxonomy: Taxonomy) -> Shards:
        """Map a folder, checking format, tree and sizes; `verify` checks every byte.

        Raises:
            UserError: not a folder of shards, a later format, another tree's nodes, a file missing or cut.
        """
        shards = _opened(Path(folder))
        if shards._index["taxonomy"] != taxonomy.digest:
            raise UserError(
                f"the records are labelled by the tree {shards._index['taxonomy'][:12]}",
                where=str(folder),
                expected=f"the tree given, {taxonomy.digest[:12]}, of {len(taxonomy)} taxa",
                remedy="Give the taxonomy these were written with, or write them again with this one.",
            )
        return shards

    def verify(self) -> None:
        """Compare every file with its digest: about a second for each gigabyte.

        Raises:
            UserError: a file has changed.
        """
        for k, shard in enumerate(self._index["shards"]):
            for part, digest in shard["sha256"].items():
                path = _path(self.folder, k, part)
                with path.open("rb") as file:
                    if file_digest(file, "sha256").hexdigest() != digest:
                        raise UserError("has changed since it was written", where=str(path), remedy=AGAIN)

    def __len__(self) -> int:
        return self._starts[-1]

    def node(self, i: int) -> int:
        """The taxon of record i."""
        shard, r = self._at(i)
        return int(shard.nodes[r])

    def length(self, i: int) -> int:
        """How many residues record i has."""
        shard, r = self._at(i)
        return int(shard.offsets[r + 1] - shard.offsets[r])

    def letters(self, i: int) -> NDArray[np.uint8]:
        """uint8 (length,): the residues of record i in ASCII, not copied."""
        shard, r = self._at(i)
        return shard.residues[shard.offsets[r] : shard.offsets[r + 1]]

    def sequence(self, i: int) -> str:
        """The residues of record i."""
        return self.letters(i).tobytes().decode("ascii")

    def id(self, i: int) -> str:
        """The id of record i."""
        shard, r = self._at(i)
        return shard.ids[shard.id_offsets[r] : shard.id_offsets[r + 1]].tobytes().decode()

    @cached_property
    def nodes(self) -> NDArray[np.int32]:
        """int32 (N,): the taxon of each record, in memory: 0.75 GB for 188 million."""
        return np.concatenate([shard.nodes for shard in self._shards])

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """int32 (N,): how many residues each record has, in memory: 0.75 GB for 188 million."""
        return np.concatenate([np.diff(shard.offsets).astype(np.int32) for shard in self._shards])

    def capped(self, per_taxon: int, random: np.random.Generator) -> NDArray[np.int64]:
        """An epoch's records: of each taxon all, or so many of them drawn anew; ascending.

        A taxon is a node itself, not what lies below it. The first call sorts the records by taxon and keeps
        their order, 8 bytes each; later calls take time with what they draw.
        """
        require(per_taxon > 0, f"{per_taxon} records a taxon", "1 or more")
        order, sizes = self._by_taxon
        chosen = np.zeros(len(self), np.bool_)
        chosen[order[drawn(sizes, per_taxon, random)]] = True
        return np.flatnonzero(chosen)

    @cached_property
    def _by_taxon(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """int64 (N,), the records in order of their taxa; int64, how many records each taxon in use has."""
        bits = len(self).bit_length()
        keys = self.nodes.astype(np.int64) << bits
        keys |= np.arange(len(self))
        keys.sort()  # several times as fast as argsort, and in place
        sizes = np.bincount(self.nodes)
        keys &= (1 << bits) - 1
        return keys, sizes[sizes > 0]

    def _at(self, i: int) -> tuple[_Shard, int]:
        """The shard of record i, and its number in there."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        k = bisect_right(self._starts, i) - 1
        return self._shards[k], int(i) - self._starts[k]


def _path(folder: Path, shard: int, part: str) -> Path:
    return folder / f"{shard:04}.{part}"


def _mapped(path: Path, kind: str, size: int) -> NDArray[Any]:
    """A file as an array; of ids that are all empty there are no bytes, which cannot be mapped."""
    return np.asarray(np.memmap(path, kind, "r")) if size else np.empty(0, kind)


def _opened(folder: Path) -> Shards:
    """The shards of a folder, without a look at the tree."""
    index = _index(folder)
    for k, shard in enumerate(index["shards"]):
        for part in PARTS:
            path = _path(folder, k, part)
            found, expected = path.stat().st_size if path.is_file() else None, shard["bytes"][part]
            if found is None:
                raise UserError("no such file", where=str(path), remedy=AGAIN)
            if found != expected:
                raise UserError(f"has {found:,} bytes", where=str(path), expected=f"{expected:,}", remedy=AGAIN)
    return Shards(folder, index)


def _index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    wanted = "a folder of labelled proteins, with index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"not a folder of shards ({error.strerror})", where=str(path), expected=wanted) from error
    except ValueError as error:
        raise UserError(f"not JSON ({error})", where=str(path), expected=wanted, remedy=AGAIN) from error
    if not isinstance(index, dict) or not isinstance(index.get("format"), int):
        raise UserError("has no format number", where=str(path), expected=wanted)
    if index["format"] > FORMAT:
        found, expected = f"format {index['format']}", f"format {FORMAT} or earlier"
        raise UserError(found, where=str(path), expected=expected, remedy="Update linnet: pip install -U linnet")
    return index
