"""16S rRNA: a bag of k-mers and a tree head, trained on genes, windows of them and amplicons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from linnet.encoders import kmer
from linnet.encoders.kmer import KmerEncoder
from linnet.errors import require
from linnet.heads import TreeHead
from linnet.model import Model
from linnet.regions import REGIONS, amplicons
from linnet.sibling_groups import SiblingGroups


@dataclass(frozen=True, kw_only=True)
class Views:
    """What part of a reference a training step sees. The shares not used here see the whole reference."""

    windows: float = 0.3
    """Share of steps that see a window of random place and length."""
    amplicons: float = 0.3
    """Share of steps that see an in-silico amplicon (V4 or V3-V4), where the reference has one."""
    shortest: int = 100
    """Shortest window, in bases."""
    longest: int = 600
    """Longest window, in bases."""
    decoys: float = 0.05
    """Share of steps that see no gene but a decoy, for which stopping at the root is right."""
    error_rate: float = 0.004
    """Share of bases changed at random, as sequencing does."""

    def __post_init__(self) -> None:
        shares = (self.windows, self.amplicons)
        require(
            min(shares) >= 0 and sum(shares) <= 1, f"windows and amplicons {shares}", "shares of 1 together at most"
        )
        lengths = (self.shortest, self.longest)
        require(1 <= lengths[0] <= lengths[1], f"windows of {lengths} bases", "1 or more, the shortest first")
        require(0 <= self.decoys < 1, f"decoys {self.decoys}", "0 to 1, without 1")
        require(0 <= self.error_rate <= 1, f"error_rate {self.error_rate}", "0 to 1")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The compact 16S model."""

    encoder: kmer.Config = field(default_factory=kmer.Config)
    views: Views = field(default_factory=Views)


def build(config: Config, groups: SiblingGroups, log_odds_V: NDArray[np.float32]) -> Model:
    """The untrained model for a tree."""
    encoder = KmerEncoder(config.encoder, log_odds_V)
    return Model(encoder, TreeHead(groups, encoder.width))


class References:
    """Reference genes, all on one strand, with the amplicons found in them."""

    def __init__(self, sequences: Sequence[str], views: Views) -> None:
        self.sequences, self.views = sequences, views
        self._amplicons: list[list[tuple[int, int]]] = [[] for _ in sequences]
        if views.amplicons > 0:
            for region in REGIONS.values():
                for found, span in zip(self._amplicons, amplicons(sequences, region), strict=True):
                    if span:
                        found.append(span)

    def __len__(self) -> int:
        return len(self.sequences)

    def draw(self, i: int, random: np.random.Generator) -> str:
        """A view of reference i."""
        sequence, views = self.sequences[i], self.views
        kind = random.random()
        if kind < views.windows:
            a, z = self._window(len(sequence), random)
        elif kind < views.windows + views.amplicons and self._amplicons[i]:
            a, z = self._amplicons[i][random.integers(len(self._amplicons[i]))]
        else:
            a, z = 0, len(sequence)
        return mutate(sequence[a:z], views.error_rate, random)

    def decoy(self, i: int, random: np.random.Generator) -> str:
        """Something of reference i's length and composition that is no such gene.

        Read backwards (not complemented), cut into pieces of 2 to 12 bases and shuffled, or random bases.
        """
        view = self.draw(i, random)
        kind = random.integers(3)
        if kind == 0:
            return view[::-1]
        if kind == 1:
            n = int(random.integers(2, 13))
            pieces = [view[a : a + n] for a in range(0, len(view), n)]
            return "".join(pieces[j] for j in random.permutation(len(pieces)))
        gc = random.uniform(0.2, 0.8)
        return "".join(random.choice(list("ACGT"), len(view), p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))

    def _window(self, length: int, random: np.random.Generator) -> tuple[int, int]:
        views = self.views
        n = round(float(np.exp(random.uniform(np.log(views.shortest), np.log(views.longest)))))
        n = min(n, length)
        a = int(random.integers(length - n + 1))
        return a, a + n


def mutate(sequence: str, rate: float, random: np.random.Generator) -> str:
    """The sequence with a share `rate` of its bases replaced by random ones."""
    changes = random.poisson(rate * len(sequence)) if rate > 0 else 0
    if not changes or not sequence:
        return sequence
    letters = bytearray(sequence, "ascii")
    for at, base in zip(random.integers(len(letters), size=changes), random.integers(4, size=changes), strict=True):
        letters[at] = b"ACGT"[base]
    return letters.decode()
