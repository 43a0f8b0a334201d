"""Vectors of contigs from a language model, kept in a file: ids and float16 rows."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError

_EXPECTED = "an .npz with 'ids' (N strings) and 'rows' (N x W numbers)"


def read_embeddings(path: Path, contigs: Sequence[str]) -> NDArray[np.float32]:
    """float32 (C, W): the rows of these contigs, in their order.

    Raises:
        UserError: not such a file, numbers that are not finite, or a contig without a row.
    """
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            ids, rows = file["ids"], file["rows"]
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), remedy="Check the path.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        text = "it holds more than plain numbers" if "pickle" in str(error) else str(error)
        raise UserError(f"cannot be read ({text})", where=str(path), expected=_EXPECTED) from None
    if ids.ndim != 1 or ids.dtype.kind != "U" or rows.ndim != 2 or len(ids) != len(rows) or rows.dtype.kind != "f":
        found = f"ids {ids.dtype} {ids.shape}, rows {rows.dtype} {rows.shape}"
        raise UserError(found, where=str(path), expected=_EXPECTED)
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
        chosen = rows[[at[id] for id in contigs]].astype(np.float32)
    if not np.isfinite(chosen).all():
        row = int(np.flatnonzero(~np.isfinite(chosen).all(1))[0])
        raise UserError(f"the vector of '{contigs[row]}' is not finite", where=str(path), expected="finite numbers")
    return np.asarray(chosen)
