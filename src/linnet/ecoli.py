"""The 16S gene of Escherichia coli, by whose positions everybody numbers regions, and where in it reads lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linnet.kmers import encode, kmer_positions
from linnet.records import reverse_complement

# rrsB of E. coli K-12 MG1655: bases 4,166,659 to 4,168,200 of NC_000913.3, a public INSDC record. Its 1,542 positions
# are those of Brosius et al. 1978 (J01859), from which primers have their numbers: 515F begins at 515, 806R at 806.
GENE = (
    "AAATTGAAGAGTTTGATCATGGCTCAGATTGAACGCTGGCGGCAGGCCTAACACATGCAAGTCGAACGGTAACAGGAAGAAGCTTGCTTCTTTGCTGACGAGTGGCGGACGG"
    "GTGAGTAATGTCTGGGAAACTGCCTGATGGAGGGGGATAACTACTGGAAACGGTAGCTAATACCGCATAACGTCGCAAGACCAAAGAGGGGGACCTTCGGGCCTCTTGCCAT"
    "CGGATGTGCCCAGATGGGATTAGCTAGTAGGTGGGGTAACGGCTCACCTAGGCGACGATCCCTAGCTGGTCTGAGAGGATGACCAGCCACACTGGAACTGAGACACGGTCCA"
    "GACTCCTACGGGAGGCAGCAGTGGGGAATATTGCACAATGGGCGCAAGCCTGATGCAGCCATGCCGCGTGTATGAAGAAGGCCTTCGGGTTGTAAAGTACTTTCAGCGGGGA"
    "GGAAGGGAGTAAAGTTAATACCTTTGCTCATTGACGTTACCCGCAGAAGAAGCACCGGCTAACTCCGTGCCAGCAGCCGCGGTAATACGGAGGGTGCAAGCGTTAATCGGAA"
    "TTACTGGGCGTAAAGCGCACGCAGGCGGTTTGTTAAGTCAGATGTGAAATCCCCGGGCTCAACCTGGGAACTGCATCTGATACTGGCAAGCTTGAGTCTCGTAGAGGGGGGT"
    "AGAATTCCAGGTGTAGCGGTGAAATGCGTAGAGATCTGGAGGAATACCGGTGGCGAAGGCGGCCCCCTGGACGAAGACTGACGCTCAGGTGCGAAAGCGTGGGGAGCAAACA"
    "GGATTAGATACCCTGGTAGTCCACGCCGTAAACGATGTCGACTTGGAGGTTGTGCCCTTGAGGCGTGGCTTCCGGAGCTAACGCGTTAAGTCGACCGCCTGGGGAGTACGGC"
    "CGCAAGGTTAAAACTCAAATGAATTGACGGGGGCCCGCACAAGCGGTGGAGCATGTGGTTTAATTCGATGCAACGCGAAGAACCTTACCTGGTCTTGACATCCACGGAAGTT"
    "TTCAGAGATGAGAATGTGCCTTCGGGAACCGTGAGACAGGTGCTGCATGGCTGTCGTCAGCTCGTGTTGTGAAATGTTGGGTTAAGTCCCGCAACGAGCGCAACCCTTATCC"
    "TTTGTTGCCAGCGGTCCGGCCGGGAACTCAAAGGAGACTGCCAGTGATAAACTGGAGGAAGGTGGGGATGACGTCAAGTCATCATGGCCCTTACGACCAGGGCTACACACGT"
    "GCTACAATGGCGCATACAAAGAGAAGCGACCTCGCGAGAGCAAGCGGACCTCATAAAGTGCGTCGTAGTCCGGATTGGAGTCTGCAACTCGACTCCATGAAGTCGGAATCGC"
    "TAGTAATCGTGGATCAGAATGCCACGGTGAATACGTTCCCGGGCCTTGTACACACCGCCCGTCACACCATGGGAGTGGGTTGCAAAAGAAGTAGGTAGCTTAACCTTCGGGA"
    "GGGCGCTTACCACTTTGTGATTCATGACTGGGGTGAAGTCGTAACAAGGTAACCGTAGGGGAACCTGCGGTTGGATCACCTCCTTA"
)

_K = 7
_BAND = 32  # neighbouring diagonals taken as one alignment: what insertions and deletions amount to
_LONGEST = 2000  # bases of each sequence looked at, from its 5' end on either strand


class Places(NamedTuple):
    """Where B sequences lie: positions in the gene from 1, (B,); whether forward; whether that can be told at all."""

    first_B: NDArray[np.int64]
    last_B: NDArray[np.int64]
    forward_B: NDArray[np.bool_]
    sure_B: NDArray[np.bool_]


def places(sequences: Sequence[str]) -> Places:
    """Where sequences of A, C, G and T lie, by votes: the band of diagonals with most 7-mers in common with the gene.

    Both ends are extrapolated from the outermost of these 7-mers, and may lie outside the gene. Sequences that are no
    16S share some by chance, more the longer they are; a place counts from 6 + length / 150 votes.
    """
    length_B = np.array([len(s) for s in sequences], np.int64)
    reverse = [reverse_complement(s[-_LONGEST:]) for s in sequences]
    votes_SB, first_SB, last_SB = np.stack([_votes(sequences), _votes(reverse)], axis=1)
    strand_B, all_B = votes_SB.argmax(axis=0), np.arange(len(sequences))
    sure_B = votes_SB[strand_B, all_B] >= 6 + np.minimum(length_B, _LONGEST) / 150
    return Places(first_SB[strand_B, all_B] + 1, last_SB[strand_B, all_B] + length_B, strand_B == 0, sure_B)


def _votes(sequences: Sequence[str]) -> NDArray[np.int64]:
    """(3, B): 7-mers in the best band of each sequence, and the diagonals of the first and the last of them.

    A diagonal is a position in the gene less the position in the sequence, both from 0.
    """
    codes, length_B = encode([s[:_LONGEST] for s in sequences])
    codes[codes == 4] = 0  # other letters are read as A, so that each position has its 7-mer
    kmer, row = kmer_positions(codes, length_B, _K)
    kmers_B = np.maximum(length_B - _K + 1, 0)
    in_sequence = np.arange(len(kmer)) - (np.cumsum(kmers_B) - kmers_B)[row]
    in_gene = _in_gene()[kmer]
    common = in_gene >= 0
    diagonal, row = (in_gene - in_sequence)[common], row[common]

    order = np.lexsort((diagonal, row))
    key = row[order] * np.int64(4 * _LONGEST) + diagonal[order]
    votes = np.searchsorted(key, key + _BAND) - np.arange(len(key))
    result_3B = np.zeros((3, len(sequences)), np.int64)
    np.maximum.at(result_3B[0], row[order], votes)
    best = order[votes == result_3B[0][row[order]]]
    lowest_B = np.full(len(sequences), 4 * _LONGEST)
    np.minimum.at(lowest_B, row[best], diagonal[best])

    within = (diagonal >= lowest_B[row]) & (diagonal < lowest_B[row] + _BAND)
    row, diagonal = row[within], diagonal[within]
    result_3B[1, row[::-1]] = diagonal[::-1]  # of several for one sequence numpy keeps the one assigned last
    result_3B[2, row] = diagonal
    return result_3B


@cache
def _in_gene() -> NDArray[np.int64]:
    """(4^7,): where in the gene each 7-mer begins, -1 if nowhere or more than once."""
    kmer, _ = kmer_positions(*encode([GENE]), _K)
    at = np.full(4**_K, -1, np.int64)
    at[kmer] = np.arange(len(kmer))
    at[np.bincount(kmer, minlength=4**_K) > 1] = -1
    return at
