"""Proteins: a bag of words of residues and a head that is asked one taxon at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet import light_head
from linnet.encoders import residue_words
from linnet.encoders.residue_words import WordEncoder
from linnet.errors import require
from linnet.light_head import LightHead, Steps
from linnet.residues import RESIDUES, Words
from linnet.taxonomy import Taxonomy


@dataclass(frozen=True, kw_only=True)
class Views:
    """What part of a protein a training step sees. The share not used here sees the whole protein."""

    fragments: float = 0.3
    """Share of steps that see a fragment, as metagenomes have them."""
    shortest_share: float = 0.3
    """Shortest fragment, as a share of the protein."""
    changes: float = 0.03
    """Share of residues changed at random."""
    decoys: float = 0.05
    """Share of steps that see the protein's residues in random order, for which stopping at the root is right."""

    def __post_init__(self) -> None:
        for name in ("fragments", "changes", "decoys"):
            require(0 <= getattr(self, name) <= 1, f"{name} {getattr(self, name)}", "0 to 1")
        require(0 < self.shortest_share <= 1, f"shortest_share {self.shortest_share}", "more than 0, to 1")

    def draw(self, sequence: str, random: np.random.Generator) -> str:
        """A view of a protein."""
        if random.random() < self.fragments:
            n = max(1, round(len(sequence) * random.uniform(self.shortest_share, 1)))
            a = int(random.integers(len(sequence) - n + 1))
            sequence = sequence[a : a + n]
        count = random.poisson(self.changes * len(sequence))
        if not count:
            return sequence
        letters = bytearray(sequence, "ascii")
        for at, residue in zip(random.integers(len(letters), size=count), random.integers(20, size=count), strict=True):
            letters[at] = ord(RESIDUES[residue])
        return letters.decode()

    def decoy(self, sequence: str, random: np.random.Generator) -> str:
        """The protein's residues in random order."""
        letters = np.frombuffer(sequence.encode("ascii"), np.uint8)
        return random.permutation(letters).tobytes().decode()


@dataclass(frozen=True, kw_only=True)
class Config:
    """The compact protein model."""

    encoder: residue_words.Config = field(default_factory=residue_words.Config)
    head: light_head.Config = field(default_factory=light_head.Config)
    views: Views = field(default_factory=Views)


class ProteinModel(nn.Module):
    """Words to scores along labels' ways."""

    def __init__(self, config: Config, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.encoder = WordEncoder(config.encoder)
        self.head = LightHead(config.head, taxonomy, self.encoder.width)

    def forward(self, words: Words, steps: Steps) -> Tensor:
        """(F,): the score of every option of every step."""
        return self.head.scores(self.encoder(words)[:, 0], steps)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Weights by name, in half precision: the form in which a model is kept."""
        return {name: t.detach().cpu().numpy().astype(np.float16) for name, t in self.state_dict().items()}
