"""What a user can get wrong, said so that the user can mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Input that cannot be used: where, what was found, what was expected, what to try.

    Args:
        found: what is wrong, as a sentence without its full stop.
        where: file, line or record; put in front.
        expected: what would have been right.
        remedy: what to try, as a sentence.
    """

    exit_code = 1

    def __init__(self, found: str, *, where: str = "", expected: str = "", remedy: str = "") -> None:
        self.found, self.where, self.expected, self.remedy = found, where, expected, remedy
        text = f"{where}: {found}." if where else f"{found}."
        if expected:
            text += f" Expected {expected}."
        if remedy:
            text += f" {remedy}"
        super().__init__(text)


class UsageError(UserError):
    """A command asked for in a way that cannot be carried out."""

    exit_code = 2


def require(condition: bool, setting: str, expected: str) -> None:
    """Refuse a setting that makes no sense.

    Raises:
        UsageError: `condition` does not hold (which it does not for NaN either).
    """
    if not condition:
        raise UsageError(setting, expected=expected)


def missing_extra(package: str, extra: str, purpose: str) -> UserError:
    """The error for an optional library that is not installed."""
    return UserError(
        f"{purpose} needs the package '{package}', which is not installed",
        remedy=f"Install it with: pip install 'linnet[{extra}]'",
    )


@contextmanager
def torch_for(purpose: str) -> Iterator[None]:
    """What is inside needs torch for this.

    Raises:
        UserError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "train", purpose) from error
