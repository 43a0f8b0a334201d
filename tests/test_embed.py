"""Vectors of a file's contigs: kept block by block, gone on with, put together, written as float16."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet.__main__ import main
from linnet.embed import embed
from linnet.embeddings import read_embeddings, write_embeddings
from linnet.errors import UserError
from linnet.records import SequenceRecord
from linnet.windows import spread


class Counting:
    """A vector of bases: how many there are of each."""

    block = 2

    def __init__(self, name: str = "counting", pause: float = 0.0, stop_after: int = 10**9) -> None:
        self.name, self.pause, self.stop_after = name, pause, stop_after
        self.seen: list[str] = []
        self.prepared = 0

    def settings(self) -> dict[str, Any]:
        return {"encoder": self.name, "settings": {"letters": ("A", "C", "G", "T")}}

    def prepare(
        self, blocks: Callable[[], Iterable[Sequence[SequenceRecord]]], folder: Path, log: Callable[[str], None]
    ) -> None:
        self.prepared = sum(map(len, blocks()))

    def vectors(self, contigs: Sequence[SequenceRecord]) -> np.ndarray:
        if len(self.seen) >= self.stop_after:
            raise KeyboardInterrupt
        time.sleep(self.pause)
        self.seen += [c.id for c in contigs]
        return np.array([[c.sequence.count(b) for b in "ACGT"] for c in contigs], np.float32)


CONTIGS = {
    "a": "ACGT" * 20, "b": "A" * 60, "short": "ACGTN" * 9, "c": "C" * 70, "d": "GT" * 40, "e": "AAT" * 30, "f": "G" * 51,
}  # fmt: skip
LONG = [id for id in CONTIGS if id != "short"]


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "contigs.fna"
    path.write_text("".join(f">{id} some words\n{s}\n" for id, s in CONTIGS.items()))
    return path


def test_each_contig_has_its_own_row_and_short_ones_have_none(fasta: Path, tmp_path: Path) -> None:
    embedder, out = Counting(), tmp_path / "e.npz"
    done = embed(fasta, embedder, out)
    assert (done.contigs, done.left_out, embedder.prepared, embedder.seen) == (6, 1, 6, LONG)
    wanted = [[CONTIGS[id].count(b) for b in "ACGT"] for id in reversed(LONG)]
    assert read_embeddings(out, LONG[::-1]).tolist() == wanted
    with np.load(out) as file:
        assert file["rows"].dtype == np.float16
        assert file["ids"].tolist() == LONG
        assert json.loads(str(file["made_by"])) == json.loads(json.dumps(done.made_by))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["contigs.fna", "e.npz"]


def test_the_digest_is_of_the_contigs_not_of_how_they_are_written(fasta: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.fna"
    other.write_text("".join(f">{id}\r\n{s[:30].lower()}\r\n{s[30:]}\r\n" for id, s in CONTIGS.items()))
    changed = tmp_path / "changed.fna"
    changed.write_text(fasta.read_text().replace("GTGT", "GTGA", 1))
    made_by = [embed(path, Counting(), tmp_path / "e.npz").made_by["contigs"] for path in (fasta, other, changed)]
    assert made_by[0] == made_by[1] != made_by[2]


def test_an_interrupted_run_goes_on_with_what_is_left(fasta: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.npz", tmp_path / "e.npz"
    embed(fasta, Counting(), whole)
    with pytest.raises(KeyboardInterrupt):
        embed(fasta, Counting(stop_after=4), out)
    assert not out.exists()
    rest, said = Counting(), []
    embed(fasta, rest, out, log=said.append)
    assert rest.seen == ["e", "f"]
    assert any("going on after 2 of 3 blocks" in line for line in said)
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "e.npz.parts").exists()


def test_parts_of_another_run_are_refused_and_kept(fasta: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "e.npz", tmp_path / "e.npz.parts"
    with pytest.raises(KeyboardInterrupt):
        embed(fasta, Counting(stop_after=2), out)
    there = sorted(folder.iterdir())
    with pytest.raises(UserError, match=r"holds parts of another run \(differs in: encoder\)"):
        embed(fasta, Counting("other"), out)
    with pytest.raises(UserError, match=r"differs in: contigs, least"):
        embed(fasta, Counting(), out, least=20)
    assert sorted(folder.iterdir()) == there
    mine = tmp_path / "x.npz.parts"
    mine.mkdir()
    (mine / "notes.txt").write_text("of the user")
    with pytest.raises(UserError, match="holds parts of another run"):
        embed(fasta, Counting(), tmp_path / "x.npz")
    assert (mine / "notes.txt").exists()


def test_a_part_that_is_cut_short_is_named(fasta: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.npz"
    with pytest.raises(KeyboardInterrupt):
        embed(fasta, Counting(stop_after=2), out)
    part = tmp_path / "e.npz.parts" / "000000.npz"
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(UserError, match=r"000000\.npz: cannot be read.*Delete it"):
        embed(fasta, Counting(), out)
    part.unlink()
    embed(fasta, Counting(), out)
    assert out.exists()


def test_a_killed_run_goes_on_to_the_same_bytes(fasta: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.npz", tmp_path / "e.npz"
    embed(fasta, Counting(), whole)
    code = f"""
from pathlib import Path
from linnet.embed import embed
from test_embed import Counting
embed(Path({str(fasta)!r}), Counting(pause=0.5), Path({str(out)!r}))
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *(p for p in sys.path if p)])
    run = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths})
    first = tmp_path / "e.npz.parts" / "000000.npz"
    deadline = time.monotonic() + 60
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL and first.exists() and not out.exists()
    rest = Counting()
    embed(fasta, rest, out)
    assert 0 < len(rest.seen) < 6
    assert out.read_bytes() == whole.read_bytes()


def test_files_without_contigs_or_with_two_of_one_name_are_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "x.fna", tmp_path / "e.npz"
    path.write_text("")
    with pytest.raises(UserError, match="there are no contigs"):
        embed(path, Counting(), out)
    path.write_text(">a\nACGT\n")
    with pytest.raises(UserError, match="no contig has 50 plain bases"):
        embed(path, Counting(), out)
    path.write_text(f">a\n{'A' * 60}\n>a\nACGT\n")
    with pytest.raises(UserError, match="two contigs are called 'a'"):
        embed(path, Counting(), out)
    assert not (tmp_path / "e.npz.parts").exists()


def test_numbers_beyond_float16_are_kept_by_a_power_of_two_for_their_column(tmp_path: Path) -> None:
    rows = np.array([[1.5, 3e6, -2e-3], [-7.25, -1.0, 65_504], [0, 0, 0]], np.float32)
    path = tmp_path / "e.npz"
    write_embeddings(path, ["a", "b", "c"], lambda: [rows[:2], rows[2:]], {})
    with np.load(path) as file:
        assert file["scale"].tolist() == [1.0, 64.0, 1.0]
        assert np.isfinite(file["rows"]).all()
    np.testing.assert_allclose(read_embeddings(path, ["a", "b", "c"]), rows, rtol=1e-3)


def test_a_scale_that_does_not_fit_the_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    np.savez(path, ids=np.array(["a"]), rows=np.zeros((1, 2)), scale=np.ones(3))
    with pytest.raises(UserError, match="a number in 'scale' for each column"):
        read_embeddings(path, ["a"])


def test_a_vector_that_is_not_finite_is_refused_by_name(fasta: Path, tmp_path: Path) -> None:
    class Broken(Counting):
        def vectors(self, contigs: Sequence[SequenceRecord]) -> np.ndarray:
            rows = super().vectors(contigs)
            rows[[c.id == "d" for c in contigs]] = np.nan
            return rows

    with pytest.raises(UserError, match="the vector of 'd' is not finite"):
        embed(fasta, Broken(), tmp_path / "e.npz")
    assert not (tmp_path / "e.npz").exists()


def test_a_file_that_changes_or_a_pipe_is_refused(fasta: Path, tmp_path: Path) -> None:
    class Emptying(Counting):
        def prepare(self, *_: Any) -> None:
            fasta.write_text("")

    with pytest.raises(UserError, match="holds other contigs than when it was first read.*no pipe"):
        embed(fasta, Emptying(), tmp_path / "e.npz")


@pytest.mark.parametrize("length", [1, 99, 100, 101, 299, 300, 301, 1000, 1001])
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_windows_cover_short_sequences_and_spread_over_long_ones(length: int, windows: int) -> None:
    slices = spread(length, 100, windows)
    sizes = [s.stop - s.start for s in slices]
    if length <= 100 * windows:
        assert [at for s in slices for at in range(s.start, s.stop)] == list(range(length))
        assert max(sizes) <= 100 and max(sizes) - min(sizes) <= 1
        return
    assert sizes == [100] * windows
    edges = [0, *(at for s in slices for at in (s.start, s.stop)), length]
    gaps = [b - a for a, b in zip(edges[::2], edges[1::2], strict=True)]
    inner = gaps if windows == 1 else gaps[1:-1]
    assert max(inner) - min(inner) <= 1 and min(inner) >= 0
    assert windows == 1 or (gaps[0], gaps[-1]) == (0, 0)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--weights", "x"], "--weights with --encoder spectra"),
        (["--encoder", "genome_lm"], "without --weights"),
        (["--encoder", "genome_lm", "--weights", "x", "--published", "--windows", "3"], "--published with --windows"),
        (["--out", "e.txt"], "ends in .npz"),
        (["--out", "nowhere/e.npz"], "no such folder"),
    ],
)
def test_what_makes_no_sense_is_refused(
    fasta: Path, tmp_path: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(fasta), "--out", str(tmp_path / "e.npz"), *flags]) in (1, 2)
    assert said in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["contigs.fna"]


def test_the_default_needs_no_torch(fasta: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from linnet.__main__ import main\n"
        f"assert main(['embed', {str(fasta)!r}, '--out', {str(tmp_path / 'e.npz')!r}]) == 0\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
