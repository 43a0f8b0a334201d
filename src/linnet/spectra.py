"""Vectors of contigs from what they are made of: words of five letters, and codons of their open frames.

Each species has its own preferences among short words and among codons (Karlin & Burge 1995, Trends Genet
11:283; Grantham et al. 1980, Nucleic Acids Res 8:r49). Codons are counted, on the coding strand, where the frame stays
open for long and for as long as any other there, which in prokaryotes is nearly always a gene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import require
from linnet.kmers import encode, kmer_positions, reverse_complements
from linnet.records import SequenceRecord

K = 5
CODONS = 64
_NUMBER = {a + b + c: 16 * i + 4 * j + k for i, a in enumerate("ACGT") for j, b in enumerate("ACGT")
           for k, c in enumerate("ACGT")}  # fmt: skip
STOPS = [_NUMBER[codon] for codon in ("TAA", "TAG", "TGA")]
"""Codons at which a frame ends, in nearly all bacteria and archaea."""
_REVERSE = reverse_complements(3)
_REVERSE_K = reverse_complements(K)
_FIRST = np.flatnonzero(np.arange(4**K) < _REVERSE_K)
"""Of each word and its reverse complement the lower number."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What counts as an open frame, and how short contigs are smoothed."""

    open: int = 60
    """Codons between two stops from which a frame may be a gene."""
    pseudo: float = 0.5
    """Counts that are added in the proportions of all contigs together, per column."""

    def __post_init__(self) -> None:
        require(self.open >= 1, f"open {self.open}", "1 or more")
        require(self.pseudo > 0, f"pseudo {self.pseudo}", "more than 0")


class Spectra:
    """Square roots of proportions; the counts of all contigs together must be known first."""

    block = 512

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._usual: tuple[NDArray[np.float64], ...] = ()

    def settings(self) -> dict[str, Any]:
        return {"encoder": "spectra", "settings": asdict(self.config)}

    def prepare(
        self, blocks: Callable[[], Iterable[Sequence[SequenceRecord]]], folder: Path, log: Callable[[str], None]
    ) -> None:
        """Count all contigs together; `folder` is not needed, as that takes seconds."""
        words, codons = np.zeros(len(_FIRST)), np.zeros(CODONS)
        for block in blocks():
            words_BV, codons_BV = self._counts(block)
            words += words_BV.sum(0)
            codons += codons_BV.sum(0)
        self._usual = words, codons

    def vectors(self, contigs: Sequence[SequenceRecord]) -> NDArray[np.float32]:
        """float32 (B, 512 + 64)."""
        pairs = zip(self._counts(contigs), self._usual, strict=True)
        return np.hstack([roots(counts, usual, self.config.pseudo) for counts, usual in pairs])

    def _counts(self, contigs: Sequence[SequenceRecord]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Words, each with its reverse complement, (B, 512); codons of open frames (B, 64)."""
        codes, length_B = encode([c.sequence for c in contigs])
        word, row = kmer_positions(codes, length_B, K)
        words = _table(word, row, len(contigs), 4**K)
        both = words[:, _FIRST] + words[:, _REVERSE_K[_FIRST]]
        codon, place = open_codons(codes, length_B, self.config.open)
        return both, _table(codon, place, len(contigs), CODONS)


def roots(counts_BV: NDArray[np.integer], usual_V: NDArray[np.floating], pseudo: float) -> NDArray[np.float32]:
    """Square roots of proportions, times that of the number of columns: float32 (B, V), of square 1 in the mean.

    Distances between them are those of Hellinger (Rao 1995, Questiio 19:23): rare words count for more than in
    proportions, and chance alike for all. To each row `pseudo` counts a column are added in the proportions of
    `usual_V`, so that a short contig is drawn to what is usual.
    """
    columns = counts_BV.shape[1]
    usual = (usual_V + 1) / (usual_V + 1).sum()
    x = counts_BV + pseudo * columns * usual
    return np.asarray(np.sqrt(columns * x / x.sum(1, keepdims=True)), np.float32)


def open_codons(
    codes: NDArray[np.uint8], lengths: NDArray[np.int64], least: int
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Codons of open frames, as the coding strand has them, and the sequence each stands in.

    A run is a stretch of a frame, on either strand, between two stops, gaps or ends of the sequence. A codon counts
    if its run has `least` codons or more, and no run of which a codon shares a base with it is longer.

    Args:
        codes: B sequences end to end, 0..3, or 4 for a gap.
        lengths: int64 (B,).

    Returns:
        codon numbers (base 4, first base highest) and sequence numbers, (codons,) each.
    """
    size = len(codes) - 2
    if size <= 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    letter = (codes & 3).astype(np.int8)
    codon = 16 * letter[:-2] + 4 * letter[1:-1] + letter[2:]
    row = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    broken = row[:-2] != row[2:]
    for j in range(3):
        broken |= codes[j : j + size] == 4
    ends_2P = np.stack([broken | np.isin(codon, STOPS), broken | np.isin(codon, _REVERSE[STOPS])])
    run_2P = np.stack([_runs(ends_P, row[:-2]) for ends_P in ends_2P])
    longest = np.pad(run_2P.max(0), 2)
    longest = np.maximum.reduce([longest[i : i + size] for i in range(5)])
    strand, at = np.nonzero((run_2P >= least) & (run_2P == longest))
    return np.where(strand == 0, codon[at], _REVERSE[codon[at]]), row[at]


def _runs(ends_P: NDArray[np.bool_], row_P: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 (P,): codons of the run that each codon is of; 0 for those that end one."""
    length = np.zeros(len(ends_P), np.int32)
    for frame in range(3):
        end = ends_P[frame::3]
        number = np.cumsum(end) + row_P[frame::3]
        size = np.bincount(number[~end], minlength=number.max(initial=0) + 1)
        length[frame::3] = np.where(end, 0, size[number])
    return length


def _table(value: NDArray[np.integer], row: NDArray[np.integer], rows: int, values: int) -> NDArray[np.int64]:
    """How often each value occurs in each row, (rows, values)."""
    flat = np.bincount(row.astype(np.int64) * values + value, minlength=rows * values)
    return flat.reshape(rows, values)
