"""A table of runs: written a row a run, read again, and its exponent."""

from __future__ import annotations

from pathlib import Path

import pytest

from linnet import run_times
from linnet.errors import UserError
from linnet.run_times import RunTime, scaling


def test_rows_are_added_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "times.tsv"
    runs = [RunTime(10, 20_000, 1.5, 1.25, 300.5, 1, "linnet 1"), RunTime(None, 9, 2.0, None, None, None, "")]
    for run in runs:
        run_times.append(path, run)
    assert run_times.read(path) == runs
    assert path.read_text().count("contigs") == 1


def test_other_tables_are_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("contig\tlabel\n")
    with pytest.raises(UserError, match="another table"):
        run_times.append(path, RunTime(1, 1, 1.0))
    assert path.read_text() == "contig\tlabel\n"


def test_small_tables_of_any_order_of_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "times.tsv"
    path.write_text("wall_s\tContigs\tremark\tmemory\n3\t1,000\tx\t\n\n4.5\t2000\ty\t12\n")
    assert run_times.read(path) == [RunTime(1000, None, 3.0), RunTime(2000, None, 4.5, None, 12.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("10\t2\n", "no table of runs"),
        ("contigs\tminutes\n1\t2\n", "no table of runs"),
        ("contigs\tseconds\n1\t-2\n", "seconds '-2'"),
        ("contigs\tseconds\n1\tnan\n", "seconds 'nan'"),
        ("contigs\tseconds\nmany\t2\n", "contigs 'many'"),
        ("contigs\tseconds\n5\n", "no seconds"),
    ],
)
def test_what_does_not_fit_is_said_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "times.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        run_times.read(path)


def test_an_exact_power_is_found_without_error() -> None:
    volumes = [1e3, 1e4, 2e5, 7e6]
    found = scaling(volumes, [3 * v**1.25 for v in volumes])
    assert found is not None
    assert found.exponent == pytest.approx(1.25)
    assert found.factor == pytest.approx(3)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_the_error_of_the_exponent_is_that_of_a_straight_line() -> None:
    """ln volume 0, 1, 2 and ln seconds 0, 2, 1: slope 1/2, squares left 1.5 with one degree of freedom, over 2."""
    e = 2.718281828459045
    found = scaling([1, e, e**2], [1, e**2, e])
    assert found is not None and found.error is not None
    assert found.exponent == pytest.approx(0.5)
    assert found.error == pytest.approx((1.5 / 1 / 2) ** 0.5)


def test_one_volume_has_no_exponent_and_two_no_error() -> None:
    assert scaling([5, 5], [1, 2]) is None
    two = scaling([1, 10], [1, 10])
    assert two is not None and two.error is None


def test_runs_are_compared_by_what_all_tell() -> None:
    assert run_times.volume([RunTime(1, 2, 1.0), RunTime(3, None, 1.0)]) == "contigs"
    assert run_times.volume([RunTime(1, None, 1.0), RunTime(None, 3, 1.0)]) == ""
    assert RunTime(1, 1, 1.0, threads=2, tool="x").group == "x, 2 threads"


def test_this_process_holds_some_memory() -> None:
    held = run_times.peak_mb()
    assert held is None or 1 < held < 1e6
