"""Writing results: whole or not at all, and nothing but what was asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linnet import formats
from linnet.errors import UserError
from linnet.outputs import open_output, reported, write_predictions
from linnet.prediction import Prediction


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.tsv"
    path.write_text("old")
    with pytest.raises(ValueError, match="midway"), open_output(path) as file:
        file.write("new")
        raise ValueError("midway")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with open_output(tmp_path / "link") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with open_output(pipe) as file:
        file.write("through")
    reader.join(timeout=10)
    assert read == ["through"]
    assert pipe.is_fifo()


def test_a_directory_or_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"), open_output(tmp_path):
        pass
    with pytest.raises(UserError, match=r"cannot be written.*Choose another --out"), open_output(tmp_path / "no" / "x"):
        pass


def test_progress_is_told_every_few_seconds_from_the_first_record_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([*[20.0] * 11, 22.0, 26.0, 27.0])  # when each record has been passed on
    monkeypatch.setattr("linnet.outputs.time.monotonic", lambda: next(clock))
    said: list[str] = []
    assert list(reported(range(14), said.append)) == list(range(14))
    assert said == ["13 records, 2 a second"]  # in 6 seconds


@pytest.mark.parametrize("name", formats.writable())
def test_no_head_of_a_table_stands_above_an_error_in_the_first_record(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Iterator[Prediction]:
        raise UserError("no FASTA")
        yield

    with pytest.raises(UserError, match="no FASTA"):
        write_predictions(broken(), None, name)
    assert capsys.readouterr().out == ""
    write_predictions([], None, "table")
    assert capsys.readouterr().out.startswith("record ")
