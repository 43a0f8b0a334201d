"""Contigs as numbers: counts of tetranucleotides, and a sketch of longer k-mers to find shared sequence by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UserError
from linnet.kmers import encode, kmer_positions, reverse_complements
from linnet.records import SequenceRecord

K = 4
SKETCH_K = 24
SKETCH_SHARE = 32
"""One of so many k-mers is kept in the sketch, the same ones in every contig (FracMinHash; Irber et al. 2022)."""
_BLOCK_BASES = 1 << 22


@dataclass(frozen=True, eq=False)
class Contigs:
    """C contigs.

    Attributes:
        ids: in the file's order.
        length_C: int64, bases.
        tetramers_CV: float32 (C, 136), counts of the tetranucleotides, each taken together with its reverse
            complement.
        sketch_contig, sketch_hash: int32 and uint64 (H,), the sketch of all contigs: which contig, which k-mer.
    """

    ids: list[str]
    length_C: NDArray[np.int64]
    tetramers_CV: NDArray[np.float32]
    sketch_contig: NDArray[np.int32]
    sketch_hash: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ids)


def read_contigs(records: Iterable[SequenceRecord]) -> Contigs:
    """Count contigs as they come; the sequences themselves are not kept.

    Raises:
        UserError: no contig, or two with one id.
    """
    ids: list[str] = []
    counts, hashes, owners, lengths = [], [], [], []
    for block in _blocks(records):
        codes, length_B = encode([r.sequence for r in block])
        kmer, row = kmer_positions(codes, length_B, K)
        flat = np.bincount(row.astype(np.int64) * 4**K + kmer, minlength=len(block) * 4**K)
        counts.append(_fold(flat.reshape(len(block), 4**K)))
        hash_, owner = _sketch(codes, length_B)
        hashes.append(hash_)
        owners.append((owner + len(ids)).astype(np.int32))
        lengths.append(length_B)
        ids += [r.id for r in block]
    if not ids:
        raise UserError("there are no contigs", expected="FASTA with at least one record")
    if len(set(ids)) < len(ids):
        twice = next(i for i, n in Counter(ids).items() if n > 1)
        raise UserError(f"two contigs are called '{twice}'", expected="an id of its own for each contig")
    return Contigs(ids, np.concatenate(lengths), np.concatenate(counts), np.concatenate(owners), np.concatenate(hashes))


def clr(counts_CV: NDArray[np.floating], pseudo: float = 1.0) -> NDArray[np.float64]:
    """Centred log-ratios of counts (Aitchison 1982): float64 (C, V), each row summing to 0.

    To each row as many counts as there are columns, times `pseudo`, are added in the proportions of all rows
    together, so that a short contig is drawn to what is usual, not to evenness.
    """
    usual_V = counts_CV.sum(0, dtype=np.float64)
    usual_V /= max(usual_V.sum(), 1.0)
    x = counts_CV + pseudo * counts_CV.shape[1] * np.maximum(usual_V, 1e-9)
    logs: NDArray[np.float64] = np.log(x / x.sum(1, keepdims=True))
    return np.asarray(logs - logs.mean(1, keepdims=True))


def projection(counts_CV: NDArray[np.floating]) -> NDArray[np.float64]:
    """The 103 values of Taxometer: frequencies less 1/256, without what strand and overlap make redundant.

    Frequencies of tetranucleotides obey linear laws: they sum to 1, a k-mer is as frequent as its reverse
    complement (both strands counted), and each trinucleotide is a prefix as often as a suffix. The projection is
    onto an orthonormal basis of what these leave free (Kislyuk et al. 2009, BMC Bioinformatics 10:316).

    Returns:
        float64 (C, 103), not standardised.
    """
    reverse, n = reverse_complements(K), 4**K
    full = np.zeros((len(counts_CV), n))
    first = np.unique(np.minimum(np.arange(n), reverse))
    full[:, first] = counts_CV / np.where(reverse[first] == first, 1, 2)
    full[:, reverse[first]] = full[:, first]
    frequency = full / np.maximum(full.sum(1, keepdims=True), 1) - 1 / n
    laws = [np.ones(n)]
    for kmer in first[reverse[first] != first]:
        law = np.zeros(n)
        law[[kmer, reverse[kmer]]] = 1, -1
        laws.append(law)
    for trimer in range(4 ** (K - 1)):
        law = np.zeros(n)
        law[trimer * 4 + np.arange(4)] += 1
        law[np.arange(4) * 4 ** (K - 1) + trimer] -= 1
        laws.append(law)
    _, strength, basis = np.linalg.svd(np.array(laws))
    free = basis[int((strength > 1e-8).sum()) :]
    return np.asarray(frequency @ free.T)


def _blocks(records: Iterable[SequenceRecord]) -> Iterator[list[SequenceRecord]]:
    block: list[SequenceRecord] = []
    bases = 0
    for r in records:
        block.append(r)
        bases += len(r.sequence)
        if bases > _BLOCK_BASES:
            yield block
            block, bases = [], 0
    if block:
        yield block


def _fold(counts_B256: NDArray[np.int64]) -> NDArray[np.float32]:
    """Counts of k-mers and their reverse complements together, (B, 136)."""
    reverse = reverse_complements(K)
    first = np.unique(np.minimum(np.arange(4**K), reverse))
    both = counts_B256[:, first] + np.where(reverse[first] == first, 0, counts_B256[:, reverse[first]])
    return np.asarray(both, np.float32)


def _sketch(codes: NDArray[np.uint8], lengths: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes below the sketch's limit, and the sequence each stands in; k-mers and reverse complements are one."""
    n = len(codes) - SKETCH_K + 1
    if n < 1:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    letters = (codes & 3).astype(np.uint64)
    forward, backward, width = letters, np.uint64(3) - letters, 1
    while width < 16:  # two neighbouring words of w letters are one of 2 w
        shift, last = np.uint64(2 * width), len(forward) - width
        forward = (forward[:last] << shift) | forward[width:]
        backward = backward[:last] | (backward[width:] << shift)
        width *= 2
        if width == 8:
            forward8, backward8 = forward, backward
    forward = (forward[:n] << np.uint64(16)) | forward8[16 : 16 + n]
    backward = backward[:n] | (backward8[16 : 16 + n] << np.uint64(32))
    hash_ = _mix(np.minimum(forward, backward))
    low = np.flatnonzero(hash_ < np.uint64(2**64 // SKETCH_SHARE))
    bad = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(codes == 4, out=bad[1:])
    ends = np.cumsum(lengths)
    row, last_row = np.searchsorted(ends, low, "right"), np.searchsorted(ends, low + SKETCH_K - 1, "right")
    good = (row == last_row) & (bad[low + SKETCH_K] == bad[low])
    return hash_[low[good]], row[good]


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The 64-bit finaliser of MurmurHash3 (Appleby): near numbers become far ones."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ (x >> np.uint64(33))) * np.uint64(factor)
    return x ^ (x >> np.uint64(33))
