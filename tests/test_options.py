"""Dataclasses as flags, and flags from a TOML file."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from linnet.errors import UsageError
from linnet.options import Several, add_flags, build, use_file


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Settings within."""

    rate: float = 0.1
    """How fast,
    and how far."""
    weights: tuple[float, ...] = (1.0, 0.5)
    """How much each counts."""


@dataclass(frozen=True, kw_only=True)
class First:
    """The first family."""

    inner: Inner = field(default_factory=Inner)
    passes: int = 10
    """Passes, 100 % of them."""
    again: bool = True
    """Once more."""
    sizes: tuple[int, ...] = (3, 5)
    """Some sizes."""


@dataclass(frozen=True, kw_only=True)
class Second:
    """The second family."""

    inner: Inner = field(default_factory=lambda: Inner(rate=0.1))
    passes: int = 20
    """Passes, 100 % of them."""
    word: str = "plain"
    """A word."""


@dataclass(frozen=True, kw_only=True)
class Third:
    """The third family."""

    passes: int = 30
    """Passes, 100 % of them."""
    again: bool = False
    """Once more."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="linnet")
    made.add_argument("--file", type=Path, action=Several)
    made.add_argument("--kind", choices=["a", "b"])
    add_flags(made, First())
    add_flags(made, Second(), "second", without=("word",))
    add_flags(made, Third(), "third")
    return made


def from_file(tmp_path: Path, text: str, *typed: str) -> argparse.Namespace:
    (tmp_path / "c.toml").write_text(text)
    made = parser()
    use_file(made, tmp_path / "c.toml")
    return made.parse_args(typed)


def test_a_flag_of_several_families_shows_the_default_of_each() -> None:
    text = " ".join(parser().format_help().split())
    assert "Passes, 100 % of them. (default: 10); second: 20; third: 30" in text
    assert "Once more. (default: True); third: False" in text
    assert "How fast, and how far. (default: 0.1)" in text  # the same in both
    assert "--weights N,N How much each counts. (default: 1.0,0.5)" in text
    assert "--word" not in text


def test_each_family_takes_what_is_given_and_keeps_its_own_defaults() -> None:
    given = parser().parse_args(["--rate", "0.7", "--weights", "1,2.5,1e-3", "--sizes", "7", "--no-again"])
    first, second, third = build(First(), given), build(Second(), given), build(Third(), given)
    assert first == First(inner=Inner(rate=0.7, weights=(1.0, 2.5, 0.001)), again=False, sizes=(7,))
    assert second == Second(inner=Inner(rate=0.7, weights=(1.0, 2.5, 0.001)))
    assert third == Third()
    assert all(isinstance(w, float) for w in first.inner.weights)
    assert [build(of, parser().parse_args([])) for of in (First(), Second(), Third())] == [First(), Second(), Third()]


@pytest.mark.parametrize("wrong", [["--weights", "1,two"], ["--weights", ""], ["--sizes", "1.5"], ["--sizes", "3;5"]])
def test_numbers_that_are_none_are_said(wrong: list[str]) -> None:
    with pytest.raises(UsageError, match=f"'{wrong[1]}' where numbers belong. Expected numbers with commas."):
        parser().parse_args(wrong)


@pytest.mark.parametrize("wrong", [["--passes", "many"], ["--rate", "fast"], ["--kind", "c"], ["--again", "no"]])
def test_a_value_of_another_kind_is_a_mistake_in_asking(capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(wrong)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_file_gives_lists_numbers_and_switches(tmp_path: Path) -> None:
    given = from_file(
        tmp_path,
        'passes = 4\nrate = 2\nagain = false\nweights = [1, 0.25]\nsizes = "9,11"\nfile = ["a", "b"]\nkind = "b"\n',
    )
    assert build(First(), given) == First(
        inner=Inner(rate=2.0, weights=(1.0, 0.25)), passes=4, again=False, sizes=(9, 11)
    )
    assert (given.file, given.kind) == ([Path("a"), Path("b")], "b")


def test_what_is_typed_goes_before_the_file(tmp_path: Path) -> None:
    given = from_file(
        tmp_path, 'weights = [1, 2]\nagain = false\nfile = "a"\n', "--weights", "3", "--again", "--file", "z"
    )
    assert build(First(), given) == First(inner=Inner(weights=(3.0,)))
    assert given.file == [Path("z")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('again = "no"', "again = 'no'. Expected true or false"),
        ("again = 0", "again = 0. Expected true or false"),
        ("passes = true", "passes = True. Expected a value, not true or false"),
        ('kind = "c"', "kind = 'c'. Expected one of a, b"),
        ("pases = 3", "unknown setting: pases"),
        ('word = "x"', "unknown setting: word"),
        ("weights = [1, ", "cannot be read"),
        ('weights = [1, "two"]', "'1,two' where numbers belong"),
    ],
)
def test_what_a_file_gets_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as wrong:
        from_file(tmp_path, text)
    assert said in str(wrong.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing.toml: cannot be read"):
        use_file(parser(), tmp_path / "missing.toml")
