"""Vectors of contigs, read by id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linnet.embeddings import read_embeddings
from linnet.errors import UserError


def kept(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / "vectors.npz"
    np.savez(path, **arrays)
    return path


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    rows = np.arange(8, dtype=np.float16).reshape(4, 2)
    path = kept(tmp_path, ids=np.array(["a", "b", "c", "d"]), rows=rows)
    found = read_embeddings(path, ["d", "a"])
    assert found.dtype == np.float32
    assert found.tolist() == [[6, 7], [0, 1]]


def test_a_contig_without_a_row_is_named(tmp_path: Path) -> None:
    path = kept(tmp_path, ids=np.array(["a"]), rows=np.zeros((1, 2)))
    with pytest.raises(UserError, match=r"vectors\.npz: 2 contigs have no vector, 'x' for one"):
        read_embeddings(path, ["a", "x", "y"])


def test_numbers_that_are_none_are_refused_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = kept(tmp_path, ids=np.array(["a", "b"]), rows=np.array([[0, 1], [np.nan, 1]]))
    assert read_embeddings(path, ["a"]).shape == (1, 2)
    with pytest.raises(UserError, match="the vector of 'b' is not finite"):
        read_embeddings(path, ["a", "b"])


def test_numbers_too_large_for_single_precision_are_refused(tmp_path: Path) -> None:
    path = kept(tmp_path, ids=np.array(["a"]), rows=np.array([[1e300, 1.0]]))
    with pytest.raises(UserError, match="not finite"), np.errstate(over="ignore"):
        read_embeddings(path, ["a"])


@pytest.mark.parametrize(
    ("ids", "rows"),
    [
        (np.array(["a", "b"]), np.zeros((1, 2))),
        (np.array(["a"]), np.zeros(1)),
        (np.array([["a"]]), np.zeros((1, 2))),
        (np.array([1]), np.zeros((1, 2))),
        (np.array(["a"]), np.array([["x", "y"]])),
        (np.array(["a"], object), np.zeros((1, 2))),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, ids: np.ndarray, rows: np.ndarray) -> None:
    with pytest.raises(UserError, match="Expected an .npz with 'ids'"):
        read_embeddings(kept(tmp_path, ids=ids, rows=rows), ["a"])


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "x.npz"
    text.write_text("no archive")
    empty = tmp_path / "empty.npz"
    empty.write_bytes(b"")
    for path in (text, empty, kept(tmp_path, ids=np.array(["a"]))):
        with pytest.raises(UserError, match="cannot be read"):
            read_embeddings(path, ["a"])
    with pytest.raises(UserError, match="no such file"):
        read_embeddings(tmp_path / "nowhere.npz", ["a"])
    with pytest.raises(UserError):
        read_embeddings(tmp_path, ["a"])


def test_a_plain_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.zeros((3, 2)))
    with pytest.raises(UserError, match="Expected an .npz"):
        read_embeddings(path, ["a"])


def test_two_rows_of_one_contig_are_refused(tmp_path: Path) -> None:
    path = kept(tmp_path, ids=np.array(["a", "a"]), rows=np.array([[0.0, 1], [2, 3]]))
    with pytest.raises(UserError):
        read_embeddings(path, ["a"])
