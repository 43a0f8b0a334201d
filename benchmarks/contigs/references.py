"""The genomes of a set's reference database as nucleotides: other strains than those in the samples.

The protein database of a set has random amino acids exchanged, at a rate of its own for each genome, and some genes
left out. Here the same is done to nucleotides. An exchanged amino acid takes 1.35 exchanged bases of its three, and to
each of those come 1.5 that change no amino acid, so that a base is exchanged 1.35 / 3 * 2.5 = 1.125 times as often as
an amino acid: at the mean rate of 3.6 % strains of 96 % identity, as strains with such proteins are. Blocks of 1 kb,
about a gene, differ in their rate as the genes do (exponentially), and are left out as often as genes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sets import ContigSet, rows_of

from linnet import records

BASES_PER_AMINO_ACID = 1.35 / 3 * (1 + 1.5)
"""Exchanged bases, of all, for each exchanged amino acid, of all."""

BLOCK = 1000
HIGHEST = 0.4
"""The highest rate in a block, as in a gene of the protein database."""

SEED = 1
"""The seed of the protein database; each genome has a generator of its own."""

_LETTERS = np.frombuffer(b"ACGT", np.uint8)
_CODES = np.full(256, 4, np.uint8)
_CODES[_LETTERS] = range(4)


def references(contigs: ContigSet, genomes: Path) -> Iterator[tuple[str, int, str]]:
    """Name, taxid and sequence of each reference; names hold no blanks and occur once."""
    for row in rows_of(contigs.folder / "db_genomes.tsv"):
        random = np.random.default_rng([SEED, int(row["genome"][1:])])
        rate = BASES_PER_AMINO_ACID * float(row["aa_substitution_rate"])
        for number, record in enumerate(records.read(genomes / row["file"]), 1):
            sequence = strain(record.sequence, rate, float(row["gene_loss"]), random)
            yield f"{row['genome']}_{number}", int(row["taxid"]), sequence


def strain(sequence: str, rate: float, loss: float, random: np.random.Generator) -> str:
    """A sequence with bases exchanged and blocks left out; one N stands in the place of those.

    Args:
        rate: the mean share of bases that are exchanged for one of the other three.
        loss: the share of blocks left out.
    """
    kept = []
    for start in range(0, len(sequence), BLOCK):
        if random.random() < loss:
            kept.append("N")
            continue
        block = np.frombuffer(sequence[start : start + BLOCK].encode(), np.uint8).copy()
        share = min(HIGHEST, rate * random.exponential())
        at = np.flatnonzero((random.random(len(block)) < share) & (_CODES[block] < 4))
        block[at] = _LETTERS[(_CODES[block[at]] + random.integers(1, 4, len(at))) % 4]
        kept.append(block.tobytes().decode())
    return "".join(kept)
