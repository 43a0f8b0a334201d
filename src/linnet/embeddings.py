"""Vectors of contigs from a language model or another teacher, kept in a file: ids and float16 rows.

Where a column holds numbers beyond float16, all of it is divided by a power of two: `rows` times `scale` are the
vectors.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.outputs import whole

_EXPECTED = "an .npz with 'ids' (N strings) and 'rows' (N x W numbers)"
_HIGHEST = float(np.finfo(np.float16).max)


def read_embeddings(path: Path, contigs: Sequence[str]) -> NDArray[np.float32]:
    """float32 (C, W): the rows of these contigs, in their order.

    Raises:
        UserError: not such a file, numbers that are not finite, or a contig without a row.
    """
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            ids, rows = file["ids"], file["rows"]
            scale = np.asarray(file["scale"] if "scale" in file else np.ones(rows.shape[1:]))
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Check the path.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        text = "it holds more than plain numbers" if "pickle" in str(error) else str(error)
        raise UserError(f"cannot be read ({text})", where=str(path), expected=_EXPECTED) from None
    if ids.ndim != 1 or ids.dtype.kind != "U" or rows.ndim != 2 or len(ids) != len(rows) or rows.dtype.kind != "f":
        found = f"ids {ids.dtype} {ids.shape}, rows {rows.dtype} {rows.shape}"
        raise UserError(found, where=str(path), expected=_EXPECTED)
    if scale.shape != rows.shape[1:] or scale.dtype.kind != "f":
        found = f"scale {scale.dtype} {scale.shape}, rows {rows.dtype} {rows.shape}"
        raise UserError(found, where=str(path), expected="a number in 'scale' for each column of 'rows'")
    at = {str(id): row for row, id in enumerate(ids)}
    if len(at) < len(ids):
        twice = next(i for i, n in Counter(ids.tolist()).items() if n > 1)
        raise UserError(f"'{twice}' stands there twice", where=str(path), expected="one row for each contig")
    lacking = [id for id in contigs if id not in at]
    if lacking:
        raise UserError(
            f"{len(lacking):,} contigs have no vector, '{lacking[0]}' for one",
            where=str(path),
            remedy="Embed the same contigs that are corrected.",
        )
    with np.errstate(over="ignore"):
        chosen = rows[[at[id] for id in contigs]].astype(np.float32) * scale.astype(np.float32)
    if not np.isfinite(chosen).all():
        row = int(np.flatnonzero(~np.isfinite(chosen).all(1))[0])
        raise UserError(f"the vector of '{contigs[row]}' is not finite", where=str(path), expected="finite numbers")
    return np.asarray(chosen)


def write_embeddings(
    path: Path,
    ids: Sequence[str],
    blocks: Callable[[], Iterable[NDArray[np.float32]]],
    made_by: Mapping[str, Any],
) -> None:
    """Write vectors; the file appears only when it is whole, and the same vectors give the same bytes.

    Args:
        blocks: gives all rows in the order of the ids, some (B, W) at a time; asked twice.
        made_by: what they were made of and how, kept as JSON beside them.

    Raises:
        UserError: a number that is not finite, or a file that cannot be written.
    """
    at, highest = 0, np.zeros(0, np.float32)
    for rows in blocks():
        bad = np.flatnonzero(~np.isfinite(rows).all(1))
        if len(bad):
            raise UserError(
                f"the vector of '{ids[at + int(bad[0])]}' is not finite",
                remedy="Use --precision fp32; if that does not help, check the weights.",
            )
        at += len(rows)
        highest = np.maximum(highest, np.abs(rows).max(0)) if len(highest) else np.abs(rows).max(0)
    with np.errstate(divide="ignore"):
        scale = 2.0 ** np.maximum(0, np.ceil(np.log2(highest.astype(np.float64) / _HIGHEST)))
    half = np.empty((len(ids), len(scale)), np.float16)
    at = 0
    for rows in blocks():
        half[at : at + len(rows)] = rows / scale
        at += len(rows)
    arrays: dict[str, Any] = {"ids": np.array(ids), "rows": half, "scale": scale.astype(np.float32)}
    save_arrays(path, **arrays, made_by=np.array(json.dumps(made_by, sort_keys=True)))


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write an .npz under a temporary name and rename it.

    Raises:
        UserError: it cannot be written.
    """
    with whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stubs take them for its one keyword
