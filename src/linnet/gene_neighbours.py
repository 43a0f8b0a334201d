"""The reference genes most like a read: found by the rare words that they share, then compared k-mer by k-mer.

Words are of 16 bases, of which a share is kept, the same ones in reads and references (Broder 1997). The references
that share most of a read's rarest words are compared with it: their likeness is the share of the read's distinct 8-mers
that they have, or, where they are shorter than the read, of their own number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linnet.kin import Hits
from linnet.kmers import BLOCK, Reading, encode
from linnet.machine_code import compiled
from linnet.reference_kin import ReferenceKin
from linnet.taxonomy import Taxonomy

MOST = 24
"""Neighbours of a read."""
COMPARED = 24, 64
"""References that are compared with a read, for its neighbours to be found among them: at least, and at most. Of a read
of many words a quarter of their number."""
POSTINGS = 2000, 35
"""References looked at for a read, through its rarest words first: at least, and for each of its words. Those of the
first word count in any case."""
WORD, BITS = 16, 20
"""Bases of a word; bits of the number that it is known by."""
K = 8
"""Bases of the k-mers that are compared."""
ONE_IN = 6
"""Of so many words one is kept; of fewer, where there would be more than WORDS_KEPT of all references."""
WORDS_KEPT = 40_000_000
_SEEDS = 2048


class GeneIndex:
    """R reference genes, all on one strand.

    Args:
        quad_Q: uint8, all their bases, 0..3, four in a byte, the first lowest, one gene after another; anything but
            ACGT reads as A.
        start: int64 (R + 1,), the base at which each begins.
        nodes: int32 (R,), the taxon of each.
        ids: of each; () where they do not matter.
        around: how they lie among each other, where that is known.
    """

    def __init__(
        self,
        quad_Q: NDArray[np.uint8],
        start: NDArray[np.int64],
        nodes: NDArray[np.int32],
        ids: Sequence[str] = (),
        around: ReferenceKin | None = None,
    ) -> None:
        self.quad_Q, self.start, self.nodes, self.ids = quad_Q, start, nodes, ids
        self.around = around or ReferenceKin.none()
        self._one_in = max(ONE_IN, round(int(start[-1]) / WORDS_KEPT))

    @classmethod
    def of(cls, sequences: Sequence[str], nodes: NDArray[np.integer], ids: Sequence[str] = ()) -> GeneIndex:
        code_L, lengths = encode(sequences)
        code_L[code_L > 3] = 0
        quads = np.concatenate([code_L, np.zeros(-len(code_L) % 4, np.uint8)]).reshape(-1, 4)
        packed = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
        return cls(packed, np.concatenate([[0], np.cumsum(lengths)]), nodes.astype(np.int32), ids)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> GeneIndex:
        """From what `tensors` gave."""
        quad_Q, lengths, nodes = (np.asarray(tensors[f"index.{name}"]) for name in ("bases", "lengths", "nodes"))
        start = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])
        ids = np.asarray(tensors["index.ids"], np.uint8).tobytes().decode().split("\n") if len(nodes) else []
        around = ReferenceKin.from_tensors(tensors)
        return cls(quad_Q.astype(np.uint8), start, nodes.astype(np.int32), ids, around)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Arrays by name, as a checkpoint keeps them."""
        lengths = np.diff(self.start).astype(np.int32)
        ids = np.frombuffer("\n".join(self.ids).encode(), np.uint8)
        return {
            "index.bases": self.quad_Q,
            "index.lengths": lengths,
            "index.nodes": self.nodes,
            "index.ids": ids,
            **self.around.tensors(),
        }

    def __len__(self) -> int:
        return len(self.nodes)

    def search(self, reading: Reading) -> Hits:
        """The references likest to each read, MOST at most; of equals the first."""
        return self._likest(reading.code_L, reading.start)

    def learn_around(self, tree: Taxonomy) -> None:
        """Find out how the references lie among each other; the tree is the one that `nodes` are of."""
        found = []
        for low in range(0, len(self), BLOCK):
            start = self.start[low : low + BLOCK + 1]
            found.append(self._likest(_unpacked(self.quad_Q, start[0], start[-1]), start - start[0]))
        if found:
            reference_RK = np.concatenate([hits.reference_BK for hits in found])
            score_RK = np.concatenate([hits.score_BK for hits in found])
            self.around = ReferenceKin.of(Hits(reference_RK, score_RK), self.nodes, tree)

    def _likest(self, code_L: NDArray[np.uint8], start: NDArray[np.int64]) -> Hits:
        first, posting = self._postings
        return Hits(*_search(code_L, start, self.quad_Q, self.start, first, posting, self._one_in))

    def make_ready(self) -> None:
        """Build now what the first search would: threads that come to it together would each do so."""
        _ = self._postings

    @cached_property
    def _postings(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where the references of each word begin, and these."""
        return _postings(self.quad_Q, self.start, self._one_in)


@compiled
def _base(quad_Q: NDArray[np.uint8], i: int) -> int:
    return (np.int64(quad_Q[i >> 2]) >> (2 * (i & 3))) & 3  # type: ignore[return-value]


@compiled
def _unpacked(quad_Q: NDArray[np.uint8], a: int, z: int) -> NDArray[np.uint8]:
    """Bases a to z, one in a byte."""
    code_L = np.empty(z - a, np.uint8)
    for i in range(a, z):
        code_L[i - a] = _base(quad_Q, i)
    return code_L


@compiled
def _number(word: int, one_in: int) -> int:
    """A word's number, -1 of one that is not kept: multiplicative hashing (Knuth 1973, 6.4)."""
    mixed = np.uint64(word) * np.uint64(0x9E3779B97F4A7C15)
    if (mixed >> np.uint64(24)) % np.uint64(one_in) != 0:
        return -1
    return np.int64(mixed >> np.uint64(64 - BITS))  # type: ignore[return-value]


@compiled
def _postings(
    quad_Q: NDArray[np.uint8], start: NDArray[np.int64], one_in: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Counted first, then put down."""
    first = np.zeros((1 << BITS) + 1, np.int64)
    latest = np.empty(1 << BITS, np.int32)
    posting = np.empty(0, np.int32)
    for again in range(2):
        latest[:] = -1
        for r in range(len(start) - 1):
            word, run = 0, 0
            for i in range(start[r], start[r + 1]):
                word, run = ((word << 2) | _base(quad_Q, i)) & ((1 << (2 * WORD)) - 1), run + 1
                if run < WORD:
                    continue
                number = _number(word, one_in)
                if number < 0 or latest[number] == r:
                    continue
                latest[number] = r
                if again:
                    posting[first[number]] = r
                    first[number] += 1
                else:
                    first[number + 1] += 1
        if not again:
            first = np.cumsum(first)
            posting = np.empty(first[-1], np.int32)
    first[1:] = first[:-1].copy()  # each has come to where the next begins
    first[0] = 0
    return first, posting


@compiled
def _search(
    read_L: NDArray[np.uint8],
    read_start: NDArray[np.int64],
    quad_Q: NDArray[np.uint8],
    start: NDArray[np.int64],
    first: NDArray[np.int64],
    posting: NDArray[np.int32],
    one_in: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """`GeneIndex.search`, one read after another."""
    reads, references = len(read_start) - 1, len(start) - 1
    reference_BK = np.full((reads, MOST), -1, np.int32)
    score_BK = np.zeros((reads, MOST), np.float32)
    shared_R, some = np.zeros(references, np.uint16), np.empty(references, np.int32)
    mark_V, last = np.zeros(4**K, np.uint8), 4**K - 1
    seeds, sizes = np.empty(_SEEDS, np.int64), np.zeros(_SEEDS + 1, np.int64)
    candidates = np.empty(COMPARED[1], np.int64)
    for b in range(reads):
        # the read's words, the rarest first, and its k-mers
        n, distinct, word, run = 0, 0, 0, 0
        for i in range(read_start[b], read_start[b + 1]):
            code = int(read_L[i])
            run = 0 if code > 3 else run + 1
            word = ((word << 2) | (code & 3)) & ((1 << (2 * WORD)) - 1)
            if run >= K and mark_V[word & last] == 0:
                mark_V[word & last] = 255
                distinct += 1
            if run >= WORD and n < _SEEDS:
                number = _number(word, one_in)
                if number >= 0 and first[number + 1] > first[number]:
                    seeds[n] = ((first[number + 1] - first[number]) << BITS) | number
                    n += 1
        rarest = np.sort(seeds[:n])
        enough = max(POSTINGS[0], POSTINGS[1] * n)
        compared = min(max(COMPARED[0], n // 4), COMPARED[1])

        # the references that share them
        met, looked, before = 0, 0, -1
        for j in range(n):
            number, size = rarest[j] & ((1 << BITS) - 1), rarest[j] >> BITS
            if number == before:
                continue
            if looked and looked + size > enough:
                break
            before, looked = number, looked + size
            for p in range(first[number], first[number + 1]):
                r = posting[p]
                if shared_R[r] == 0:
                    some[met] = r
                    met += 1
                shared_R[r] += 1

        # those that share most
        for m in range(met):
            sizes[shared_R[some[m]]] += 1
        least, many = n, sizes[n]
        while least > 1 and many + sizes[least - 1] <= compared:
            least -= 1
            many += sizes[least]
        chosen = 0
        for m in range(met):
            if shared_R[some[m]] >= least and chosen < compared:
                candidates[chosen] = some[m]
                chosen += 1
        for m in range(met):
            if shared_R[some[m]] == least - 1 and chosen < compared:
                candidates[chosen] = some[m]
                chosen += 1
        for m in range(met):
            sizes[shared_R[some[m]]] = 0
            shared_R[some[m]] = 0

        # compared k-mer by k-mer, and put in order
        kept = 0
        for c in range(chosen):
            r, common = candidates[c], 0
            stamp = np.uint8(c + 1)
            kmer = 0
            for i in range(start[r], start[r + 1]):
                kmer = ((kmer << 2) | _base(quad_Q, i)) & last
                mark = mark_V[kmer]
                if mark != 0 and mark != stamp and i - start[r] >= K - 1:
                    mark_V[kmer] = stamp
                    common += 1
            of = min(distinct, start[r + 1] - start[r] - K + 1)
            score = np.float32(min(common / of, 1.0) if of > 0 else 0.0)
            at = kept
            while at > 0 and score_BK[b, at - 1] <= score:
                if score_BK[b, at - 1] == score and reference_BK[b, at - 1] < r:
                    break
                at -= 1
            if at < MOST and score > 0:
                kept = min(kept + 1, MOST)
                for j in range(kept - 1, at, -1):
                    score_BK[b, j], reference_BK[b, j] = score_BK[b, j - 1], reference_BK[b, j - 1]
                score_BK[b, at], reference_BK[b, at] = score, r

        kmer = 0
        for i in range(read_start[b], read_start[b + 1]):
            kmer = ((kmer << 2) | (int(read_L[i]) & 3)) & last
            mark_V[kmer] = 0
    return reference_BK, score_BK
