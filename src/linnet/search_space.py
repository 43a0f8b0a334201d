"""Where good settings are looked for: which flags of a training, and which of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from linnet.errors import UsageError


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included.

    Attributes:
        step: between two whole numbers; None: any fraction will do.
        log: as likely in each power of ten.
    """

    low: float
    high: float
    step: int | None = None
    log: bool = False

    def __str__(self) -> str:
        extra = f" by {self.step}" if self.step else ", on a logarithmic scale" if self.log else ""
        return f"{self.low:g} to {self.high:g}{extra}"


@dataclass(frozen=True)
class OneOf:
    """One of several rows, each with a value for every flag."""

    rows: tuple[tuple[Any, ...], ...]

    def labels(self) -> list[str]:
        """The rows as text: '256/4/1024'."""
        return ["/".join(map(as_text, row)) for row in self.rows]

    def __str__(self) -> str:
        return "  ".join(self.labels())


Space = Mapping[tuple[str, ...], Between | OneOf]
"""Flags that are chosen together, by their names with underscores -> what they are chosen from."""

_KERNEL_SETS = ((3,), (5,), (7,), (3, 5), (5, 7), (3, 5, 7), (5, 7, 9), (3, 7, 11), (3, 5, 7, 9), (3, 5, 7, 9, 11))
_KERNELS = OneOf(tuple((kernels,) for kernels in _KERNEL_SETS))


def _transformers(heads: Mapping[int, tuple[int, ...]]) -> OneOf:
    """Widths and heads that go together, the feed-forward nets four times as wide."""
    return OneOf(tuple((width, n, 4 * width) for width, some in heads.items() for n in some))


_HEADS = {
    256: (4, 8),
    384: (4, 6, 8, 12),
    512: (4, 8, 16),
    640: (5, 8, 10),
    768: (6, 8, 12, 16),
    896: (7, 8, 14, 16),
    1024: (8, 16),
}
"""Heads for each width of the transformer, 32 to 128 wide."""

_LEARNING: Space = {
    ("learning_rate",): Between(1e-5, 5e-3, log=True),
    ("batch",): OneOf(((8,), (16,), (32,), (64,))),
    ("weight_decay",): Between(0.0, 0.1),
    ("hidden_dropout_prob",): Between(0.1, 0.5),
}
_FOCAL: Space = {("focal_gamma",): Between(1.0, 5.0)}
_EMBEDDING: Space = {("embed_dim",): Between(256, 1024, 128)}
_CONVOLUTIONS: Space = {
    ("num_filters",): Between(256, 1024, 128),
    ("num_conv_layers",): Between(1, 4, 1),
    ("kernel_sizes",): _KERNELS,
}
_TRANSFORMER: Space = {
    ("hidden_size", "num_attention_heads", "intermediate_size"): _transformers(_HEADS),
    ("num_hidden_layers",): Between(2, 12, 1),
}
_SMALL_EMBEDDING: Space = {("embed_dim",): Between(64, 256, 64)}
_SMALL_CONVOLUTIONS: Space = {
    ("num_filters",): Between(64, 256, 64),
    ("num_conv_layers",): Between(1, 4, 1),
    ("kernel_sizes",): _KERNELS,
}
_SMALL_TRANSFORMER: Space = {
    ("hidden_size", "num_attention_heads", "intermediate_size"): _transformers({64: (2,), 128: (2, 4), 256: (4, 8)}),
    ("num_hidden_layers",): Between(1, 4, 1),
}
_KMER: Space = {
    ("learning_rate",): Between(1e-3, 1e-2, log=True),
    ("k",): Between(6, 8, 1),
    ("width",): Between(128, 512, 64),
    ("dropout",): Between(0.0, 0.3),
    ("hide",): Between(0.05, 0.3),
}
_SMALL_KMER: Space = {**_KMER, ("k",): Between(5, 7, 1), ("width",): Between(64, 256, 64)}

_ANY = {"intermediate_size"}
"""Flags that go with every value of those chosen together with them."""


def space(encoder: str, *, small: bool = False, focal: bool = False) -> Space:
    """What is searched for an encoder: kmer, hybrid, cnn, bert or onehot.

    DeepTaxa's ranges and steps (`deeptaxa.tune`, version 1.3.0); which kernel sizes, and which heads with which width,
    is our choice, and so is all of kmer.

    Args:
        small: networks that a laptop can train.
        focal: the loss is the focal one, which has an exponent.
    """
    if encoder == "kmer":
        return _SMALL_KMER if small else _KMER
    convolutions = _SMALL_CONVOLUTIONS if small else _CONVOLUTIONS
    embedding = _SMALL_EMBEDDING if small else _EMBEDDING
    transformer = _SMALL_TRANSFORMER if small else _TRANSFORMER
    parts = {
        "hybrid": [embedding, convolutions, transformer],
        "cnn": [embedding, convolutions],
        "onehot": [convolutions],
        "bert": [transformer],
    }
    found: dict[tuple[str, ...], Between | OneOf] = {}
    for part in (_LEARNING, _FOCAL if focal else {}, *parts[encoder]):
        found |= part
    return found


def without(space: Space, given: Mapping[str, Any]) -> Space:
    """The space in which some flags have the value given.

    Raises:
        UsageError: a flag that is chosen together with others has a value that they have none for.
    """
    found: dict[tuple[str, ...], Between | OneOf] = {}
    for flags, values in space.items():
        still = [i for i, flag in enumerate(flags) if flag not in given]
        if len(still) == len(flags):
            found[flags] = values
        elif isinstance(values, OneOf) and not {flags[i] for i in still} <= _ANY:
            fixed = {i: given[f] for i, f in enumerate(flags) if f in given and f not in _ANY}
            rows = [row for row in values.rows if all(row[i] == value for i, value in fixed.items())]
            if not rows:
                names = ", ".join(f"{flags[i]} {as_text(value)}" for i, value in fixed.items())
                also = " and ".join("--" + flags[i].replace("_", "-") for i in still if flags[i] not in _ANY)
                raise UsageError(f"{names}, which is not in the search space", remedy=f"Give {also} too.")
            distinct = dict.fromkeys(tuple(row[i] for i in still) for row in rows)
            found[tuple(flags[i] for i in still)] = OneOf(tuple(distinct))
    return found


def first(space: Space) -> dict[str, Any]:
    """The first value of each flag."""
    found: dict[str, Any] = {}
    for flags, values in space.items():
        found |= zip(flags, values.rows[0] if isinstance(values, OneOf) else (values.low,), strict=True)
    return found


def settings(space: Space, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each flag, from what was chosen for each entry of the space (`name`); entries may be missing."""
    found: dict[str, Any] = {}
    for flags, values in space.items():
        if (value := chosen.get(name(flags))) is None:
            continue
        row = values.rows[values.labels().index(value)] if isinstance(values, OneOf) else (value,)
        found |= zip(flags, row, strict=True)
    return found


def name(flags: tuple[str, ...]) -> str:
    """What an entry of the space is called."""
    return "/".join(flags)


def as_text(value: Any) -> str:
    """A flag's value as it is typed."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
