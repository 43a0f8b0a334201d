"""Command-line flags: kinds that several commands share, dataclasses as flags, and flags from a TOML file."""

from __future__ import annotations

import argparse
import ast
import inspect
import textwrap
import tomllib
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from linnet import formats
from linnet.errors import UsageError

T = TypeVar("T")


def probability(text: str) -> float:
    """A flag's value from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"'{text}' where a probability belongs", expected="a number from 0 to 1")
    return value


def positive(text: str) -> int:
    """A flag's value, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"'{text}' where a count belongs", expected="a whole number, 1 or more")
    return int(text)


def seeds(text: str) -> tuple[int, ...]:
    """A flag's value, such as 42,123: each seed once."""
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words) or len(set(map(int, words))) < len(words):
        raise UsageError(f"'{text}' where seeds belong", expected="whole numbers with commas, each of them once")
    return tuple(map(int, words))


class Several(argparse.Action):
    """A flag that may be given several times; what is typed replaces what a TOML file lists."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        so_far = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if so_far is self.default else [*so_far, values])


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where predictions go, and in which format."""
    known = "; ".join(f"{name}: {text}" for name, text in formats.writable().items())
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here; .gz and .zst are compressed")
    parser.add_argument(
        "--format",
        choices=[*formats.writable()],
        metavar="FORMAT",
        help=f"{known} (default: by the ending of --out, else tsv; on the screen a table)",
    )


def add_flags(
    parser: argparse.ArgumentParser, defaults: Any, label: str = "", *, without: Collection[str] = ()
) -> None:
    """Give `parser` a flag for each field of a dataclass, dataclasses within it included.

    The text under a field is its help; its default is the field's. A flag that is there already is for both; `label`
    says whose default is added to its help.

    Args:
        defaults: the dataclass with the values used where no flag is given.
        without: fields that get no flag.
    """
    config = type(defaults)
    help_texts, types = _field_texts(config), get_type_hints(config)
    group = parser.add_argument_group(_first_sentence(config))
    for item in fields(config):
        kind, default = types[item.name], getattr(defaults, item.name)
        if is_dataclass(kind):
            add_flags(parser, default, label, without=without)
            continue
        if item.name in without:
            continue
        flag = "--" + item.name.replace("_", "-")
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        text = f"{help_texts[item.name]} (default: {shown})".replace("%", "%%")
        if (shared := parser._option_string_actions.get(flag)) is not None:
            if text != shared.help:
                shared.help = f"{shared.help}; {label}: {shown}"
        elif kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif get_origin(kind) is tuple:
            number = get_args(kind)[0]
            group.add_argument(flag, type=_numbers(number), default=None, metavar="N,N", help=text)
        else:
            group.add_argument(flag, type=kind, default=None, metavar=kind.__name__.upper(), help=text)


def _numbers(kind: type[Any]) -> Callable[[str], tuple[Any, ...]]:
    """The reader of a flag such as '3,4'."""

    def numbers(text: str) -> tuple[Any, ...]:
        try:
            return tuple(kind(word) for word in text.split(","))
        except ValueError as error:
            raise UsageError(f"'{text}' where numbers belong", expected="numbers with commas") from error

    return numbers


def names(defaults: Any) -> set[str]:
    """The fields of a dataclass and of those within it."""
    found: set[str] = set()
    for item in fields(defaults):
        value = getattr(defaults, item.name)
        found |= names(value) if is_dataclass(value) else {item.name}
    return found


def refuse_foreign(args: argparse.Namespace, own: Collection[str], others: Collection[str], what: str) -> None:
    """Refuse flags that would have no effect.

    Raises:
        UsageError: one of `others` is given that is none of `own`.
    """
    for name in sorted(set(others) - set(own)):
        if getattr(args, name, None) is not None:
            raise UsageError(f"--{name.replace('_', '-')} with {what}", remedy="It would have no effect: leave it out.")


def build(defaults: T, arguments: argparse.Namespace) -> T:
    """The dataclass with what the flags say; what was not given stays as it is."""
    values = {}
    for item in fields(defaults):  # type: ignore[arg-type]
        value = getattr(defaults, item.name)
        if is_dataclass(value):
            values[item.name] = build(value, arguments)
        elif (given := getattr(arguments, item.name, None)) is not None:
            values[item.name] = given
    return replace(defaults, **values)  # type: ignore[type-var]


def use_file(parser: argparse.ArgumentParser, path: Path) -> None:
    """Take a parser's defaults from a TOML file: the names of the flags, with underscores.

    Raises:
        UsageError: not TOML, or a name or a choice that the command does not have.
    """
    try:
        given = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({error})", where=str(path), expected="a TOML file") from error
    given = {name.replace("-", "_"): value for name, value in given.items()}
    flags = {action.dest: action for action in parser._actions if action.option_strings}
    unknown = sorted(set(given) - set(flags))
    if unknown:
        raise UsageError(
            f"unknown setting{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}",
            where=str(path),
            remedy="The names are those of the flags.",
        )
    for name, value in given.items():
        choices = list(flags[name].choices or ())
        if choices and value not in choices:  # argparse checks only what is typed
            raise UsageError(f"{name} = {value!r}", where=str(path), expected=f"one of {', '.join(choices)}")
        switch = flags[name].nargs == 0
        if isinstance(value, bool) != switch:
            expected = "true or false" if switch else "a value, not true or false"
            raise UsageError(f"{name} = {value!r}", where=str(path), expected=expected)
        flags[name].required = False
        words = value if isinstance(value, list) else [value]
        if isinstance(flags[name], Several):
            each: Any = flags[name].type or str
            flags[name].default = [each(str(word)) for word in words]
        else:  # a text default goes through the flag's own conversion, and so through its checks
            text = ",".join(map(str, words))
            kind = flags[name].type
            try:
                if callable(kind):
                    kind(text)
            except ValueError as error:
                raise UsageError(f"{name} = {value!r}", where=str(path), expected=str(flags[name].metavar)) from error
            flags[name].default = value if switch else text


def _field_texts(config: type[Any]) -> dict[str, str]:
    """The string that stands under each field in the class's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0].body  # type: ignore[attr-defined]
    texts = {}
    for field_, text in zip(body, body[1:], strict=False):
        if isinstance(field_, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            texts[field_.target.id] = " ".join(str(text.value.value).split())  # type: ignore[union-attr]
    return texts


def _first_sentence(config: type[Any]) -> str:
    return (inspect.getdoc(config) or config.__name__).split("\n\n")[0].rstrip(".")
