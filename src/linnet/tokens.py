"""Sequences as tokens: byte-pair pieces of a vocabulary, or single letters."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError, missing_extra
from linnet.records import BASES_OF

Letters = Literal["tidy", "published"]
"""How letters other than A, C, G and T are read: each as a base it may stand for, or, as DeepTaxa does, as unknown."""

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")

_GAP_OF_NS = re.compile("N{10,}")


class Tokenizer(Protocol):
    """Sequences to rows of token ids."""

    @property
    def size(self) -> int:
        """Number of different ids."""
        ...

    @property
    def padding(self) -> int:
        """The id that fills a row up."""
        ...

    def encode(self, sequences: Sequence[str], letters: Letters, window: int) -> list[NDArray[np.int64]]:
        """One row of at most `window` ids for each sequence."""
        ...


@dataclass(frozen=True, eq=False)
class Pieces:
    """A byte-pair vocabulary (Sennrich et al. 2016), as a `tokenizer.json` of the `tokenizers` library holds it.

    Args:
        json: the file's text; kept whole in checkpoints.

    Raises:
        UserError: not such a file, or one that lacks the special tokens.
    """

    json: str

    def __post_init__(self) -> None:
        library = _library()
        try:
            tokenizer = library.Tokenizer.from_str(self.json)
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"not a tokenizer ({error})", expected="a tokenizer.json") from error
        absent = [token for token in SPECIAL[:4] if tokenizer.token_to_id(token) is None]
        if absent:
            raise UserError(f"the tokenizer lacks {', '.join(absent)}", expected=f"tokens {', '.join(SPECIAL)}")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        object.__setattr__(self, "_tokenizer", tokenizer)

    @classmethod
    def from_file(cls, path: Path) -> Pieces:
        """From a `tokenizer.json`, or a folder that holds one.

        Raises:
            UserError: no such file, or not a tokenizer.
        """
        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            return cls(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read ({error})", where=str(file), expected="a tokenizer.json") from error
        except UserError as error:
            raise UserError(error.found, where=str(file), expected=error.expected) from error

    @classmethod
    def learn(cls, sequences: Sequence[str], size: int = 4096) -> Pieces:
        """A vocabulary of at most `size` tokens of the user's own references, laid out as DNABERT-2's is."""
        library = _library()
        tokenizer = library.Tokenizer(library.models.BPE(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=list("ACGT"), show_progress=False
        )
        tokenizer.train_from_iterator((tidy(s) for s in sequences), trainer)
        tokenizer.post_processor = library.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
        )
        return cls(tokenizer.to_str(pretty=True))

    @property
    def size(self) -> int:
        return int(self._tokenizer.get_vocab_size())  # type: ignore[attr-defined]

    @property
    def padding(self) -> int:
        return int(self._tokenizer.token_to_id("[PAD]"))  # type: ignore[attr-defined]

    def encode(self, sequences: Sequence[str], letters: Letters, window: int) -> list[NDArray[np.int64]]:
        """`[CLS] pieces [SEP]`; of a longer sequence, the first `window` - 2 pieces."""
        texts = sequences if letters == "published" else [tidy(s) for s in sequences]
        rows = [np.array(e.ids, np.int64) for e in self._tokenizer.encode_batch(list(texts))]  # type: ignore[attr-defined]
        return [r if len(r) <= window else np.append(r[: window - 1], r[-1]) for r in rows]


class Bases:
    """Single letters: A, C, G, T as 0 to 3, anything else as 4."""

    size: int = 5
    padding: int = 4

    def encode(self, sequences: Sequence[str], letters: Letters, window: int) -> list[NDArray[np.int64]]:
        """The first `window` letters; U and lower case count, whatever `letters` is, as they do in DeepTaxa."""
        return [_CODE[np.frombuffer(s[:window].encode("ascii", "replace"), np.uint8)] for s in sequences]


_CODE = np.full(256, 4, np.int64)
for _code, _pair in enumerate(("Aa", "Cc", "Gg", "TtUu")):
    _CODE[[ord(letter) for letter in _pair]] = _code


def tidy(sequence: str) -> str:
    """A sequence of A, C, G and T alone.

    An ambiguity code becomes one of the bases it stands for, which of them depends on its place: to the
    vocabulary it is then at worst a sequencing error, where an unknown token would be something never trained
    on. Ten or more N in a row, with which mates that do not overlap are joined, are left out.
    """
    if not sequence.translate(_PLAIN):
        return sequence
    letters = list(_GAP_OF_NS.sub("", sequence))
    for at, letter in enumerate(letters):
        if bases := BASES_OF.get(letter):
            letters[at] = bases[at % len(bases)]
    return "".join(letters)


_PLAIN = str.maketrans("", "", "ACGT")


def _library() -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # --threads decides, not the library
    try:
        import tokenizers
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.processors
        import tokenizers.trainers
    except ModuleNotFoundError as error:
        raise missing_extra("tokenizers", "train", "a model that reads tokens") from error
    return tokenizers
