"""Contigs of the same genome: alike in composition, in depth over the samples, or in sequence.

Features are whitened so that contigs of one label scatter alike in every direction (linear discriminant
analysis; Fisher 1936), and the scatter is measured by length, since short contigs are noisier. For two contigs
with difference d, the log-likelihood ratio of "one genome" against "two genomes" is, over the directions,

    sum 1/2 [ln((v + 2 l) / v) - d^2 / v + d^2 / (v + 2 l)]

with v the sum of the two contigs' own variances and l the variance between genomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linnet.composition import Contigs, clr
from linnet.overlaps import Overlaps

Floats = NDArray[np.float64]
T = TypeVar("T")

NEIGHBOURS = 60
COMPONENTS = 50
"""Principal components of the composition that are used."""
DEPTH_FLOOR = 0.1
"""Added to a depth before its logarithm."""
SLOPE, OFFSET = 0.475, -2.65
"""ln(p / (1 - p)) of "one genome" is SLOPE times the log-likelihood ratio plus OFFSET: directions are not
independent. Fitted on simulated sets (docs/contigs.md)."""
CERTAIN, LIKELY = 0.5, 0.2
"""Shares of overlap from which two contigs are merged in their features, or only drawn together."""
BONUS_CERTAIN, BONUS_LIKELY = 6.0, 2.5
"""What such an overlap adds to ln(p / (1 - p))."""
PAIRS, BINS = 2000, 30
"""Labelled pairs that are needed to check probabilities by, and into how many bins they are sorted."""
EXACT = 30_000
"""Up to so many contigs every pair is compared; of more, each contig is compared within the nearest cells."""
LONG = 1500
"""Bases from which a contig shows where its genome lies."""
MEMBERS = 8
"""Long contigs of one label that make a group to learn the scatter from."""
_LENGTHS = np.array([500, 800, 1200, 2000, 3500, 7000, 15000, 40000.0])
_BLOCK = 500


@dataclass(frozen=True, eq=False)
class Neighbours:
    """K contigs that may be of the same genome as each contig, likeliest first.

    Attributes:
        index_CK: int32.
        same_CK: float32, the probability that it is one genome; 0 where there is no neighbour.
    """

    index_CK: NDArray[np.int32]
    same_CK: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Space:
    """Whitened features: where each contig lies, and how far that can be trusted.

    Attributes:
        at_CD: float64.
        noise_CD: float64, variance of a contig's place about its genome's.
        between_D: float64, variance between genomes.
    """

    at_CD: Floats
    noise_CD: Floats
    between_D: Floats


def find_neighbours(
    contigs: Contigs,
    depth_CS: NDArray[np.floating] | None,
    overlaps: Overlaps,
    group_C: NDArray[np.integer],
    more_CW: NDArray[np.floating] | None = None,
    threads: int = 1,
) -> Neighbours:
    """The likeliest contigs of the same genome.

    Args:
        depth_CS: depths in S samples; None: none are known.
        group_C: label of each contig that stands for one genome, -1 where there is none.
        more_CW: further features, such as a language model's embeddings.
    """
    none = Neighbours(np.zeros((len(contigs), 1), np.int32), np.zeros((len(contigs), 1), np.float32))
    features_CD, length_C = _features(contigs, depth_CS, overlaps, more_CW)
    space = whiten(features_CD, length_C, group_C)
    if space is None or len(contigs) < 3:
        return none
    k = min(NEIGHBOURS, len(contigs) - 1)
    index_CK, logit_CK = _nearest(space, k, threads)
    return _with_overlaps(index_CK, logit_CK, space, overlaps, group_C)


def whiten(features_CD: Floats, length_C: NDArray[np.integer], group_C: NDArray[np.integer]) -> Space | None:
    """Features in which contigs of one group scatter alike in all directions; None with fewer than three groups."""
    order = np.argsort(group_C, kind="stable")
    order = order[(group_C[order] >= 0) & (length_C[order] >= LONG)]
    names, first, size = np.unique(group_C[order], return_index=True, return_counts=True)
    enough = size >= MEMBERS
    if enough.sum() < 3:
        return None
    centre = {
        int(name): np.median(features_CD[order[a : a + n]], axis=0)
        for name, a, n in zip(names[enough], first[enough], size[enough], strict=True)
    }
    inside = np.flatnonzero(np.isin(group_C, names[enough]))
    residual_ID = features_CD[inside] - np.array([centre[int(g)] for g in group_C[inside]])
    long = length_C[inside] >= LONG
    spread = 1.4826 * np.median(np.abs(residual_ID[long]), axis=0)
    spread = np.maximum(spread, 0.1 * residual_ID[long].std(0)) + 1e-9  # where most do not scatter at all
    typical = np.sqrt(((residual_ID[long] / spread) ** 2).mean(1)) < 2  # wrongly labelled ones lie far out
    if not typical.any():
        typical[:] = True
    within = _scatter(residual_ID[long][typical], spread)
    between = np.cov(np.array(list(centre.values())).T)
    value, vector = np.linalg.eigh(within)
    half = vector / np.sqrt(np.maximum(value, 1e-9))
    value, vector = np.linalg.eigh(half.T @ between @ half)
    to = half @ vector[:, ::-1]
    return Space(features_CD @ to, _noise(residual_ID @ to, length_C[inside], length_C), np.maximum(value[::-1], 0))


def _scatter(residual_ID: Floats, spread_D: Floats) -> Floats:
    """Covariance (D, D), drawn to independent features as far as there are few contigs to tell from."""
    contigs, width = residual_ID.shape
    alone = width / (width + contigs)
    return np.asarray((1 - alone) * residual_ID.T @ residual_ID / contigs + np.diag(alone * spread_D**2 + 1e-6))


def _features(
    contigs: Contigs,
    depth_CS: NDArray[np.floating] | None,
    overlaps: Overlaps,
    more_CW: NDArray[np.floating] | None,
) -> tuple[Floats, NDArray[np.int64]]:
    """Components of the composition, log depths and further features; lengths that they may be trusted for.

    Contigs that share most of their sequence are parts of one genome: their counts are added up.
    """
    certain = overlaps.share >= CERTAIN
    a, b = overlaps.a[certain], overlaps.b[certain]
    counts_CV = contigs.tetramers_CV.astype(np.float64)
    _add_rows(counts_CV, a, contigs.tetramers_CV, b)
    length_C = contigs.length_C.copy()
    np.maximum.at(length_C, a, contigs.length_C[b])
    parts = [_components(clr(counts_CV), contigs.length_C, COMPONENTS)]
    if depth_CS is not None:
        weight_C = contigs.length_C.astype(np.float64)
        weighted = depth_CS * weight_C[:, None]
        total = weight_C.copy()
        np.add.at(total, a, weight_C[b])
        summed = weighted.copy()
        _add_rows(summed, a, weighted, b)
        parts.append(np.log(summed / total[:, None] + DEPTH_FLOOR))
    if more_CW is not None:
        parts.append(_components(more_CW.astype(np.float64), contigs.length_C, COMPONENTS))
    return np.hstack(parts), length_C


def _add_rows(to: Floats, at: NDArray[np.integer], rows: NDArray[np.floating], of: NDArray[np.integer]) -> None:
    """`to[at[i]] += rows[of[i]]` for each i; `at` is sorted."""
    for low in range(0, len(at), 100_000):
        here, there = at[low : low + 100_000], of[low : low + 100_000]
        first = np.flatnonzero(np.r_[True, here[1:] != here[:-1]])
        to[here[first]] += np.add.reduceat(rows[there], first, axis=0)


def _components(x_CV: Floats, length_C: NDArray[np.integer], most: int) -> Floats:
    """The first principal components, long contigs counting for more."""
    weight = np.minimum(length_C, 10_000).astype(np.float64)
    centred = x_CV - np.average(x_CV, axis=0, weights=weight)
    _, vector = np.linalg.eigh((centred * weight[:, None]).T @ centred / weight.sum())
    return np.asarray(centred @ vector[:, ::-1][:, :most])


def _noise(residual_ID: Floats, length_I: NDArray[np.integer], length_C: NDArray[np.integer]) -> Floats:
    """Variance of each feature for contigs of each length, (C, D): robust in bins of length, linear between them."""
    edges = np.sqrt(_LENGTHS[1:] * _LENGTHS[:-1])
    of_bin = np.searchsorted(edges, length_I)
    all_of_it = (1.4826 * np.median(np.abs(residual_ID), axis=0)) ** 2
    rows = []
    for b in range(len(_LENGTHS)):
        here = of_bin == b
        rows.append((1.4826 * np.median(np.abs(residual_ID[here]), axis=0)) ** 2 if here.sum() >= 50 else None)
    known = [b for b, row in enumerate(rows) if row is not None]
    filled = [rows[min(known, key=lambda k: abs(k - b))] if known else all_of_it for b in range(len(_LENGTHS))]
    table = np.maximum(np.array([row for row in filled if row is not None]), 1e-6)
    at, logs = np.log(np.maximum(length_C, 1)), np.log(_LENGTHS)
    return np.stack([np.interp(at, logs, column) for column in table.T], axis=1)


def _log_ratio(space: Space, i: NDArray[np.integer], j: NDArray[np.integer]) -> Floats:
    """The log-likelihood ratio of one genome against two, for contigs i and j (broadcast)."""
    squared = (space.at_CD[i] - space.at_CD[j]) ** 2
    own = space.noise_CD[i] + space.noise_CD[j]
    apart = own + 2 * space.between_D
    return np.asarray(0.5 * (np.log(apart / own) - squared / own + squared / apart).sum(-1))


def _nearest(space: Space, k: int, threads: int) -> tuple[NDArray[np.int32], Floats]:
    """The k contigs of the highest log-likelihood ratio, of a shortlist of 3 k near ones; and ln(p / (1 - p))."""
    contigs = len(space.at_CD)
    useful = space.between_D > 0.02
    near = np.asarray((space.at_CD / np.sqrt(2 * np.median(space.noise_CD, axis=0)))[:, useful], np.float32)
    index_CK, logit_CK = np.zeros((contigs, k), np.int32), np.zeros((contigs, k))

    def search(block: tuple[NDArray[np.intp], NDArray[np.intp]]) -> None:
        rows, among = block
        distance = (near[among] ** 2).sum(1)[None] - 2 * near[rows] @ near[among].T
        distance[among[None] == rows[:, None]] = np.inf
        keep = min(3 * k, len(among) - 1)
        short = among[np.argpartition(distance, keep, axis=1)[:, :keep]]
        ratio = _log_ratio(space, rows[:, None], short)
        best = np.argsort(-ratio, axis=1, kind="stable")[:, :k]
        found = best.shape[1]
        index_CK[rows, :found] = np.take_along_axis(short, best, 1)
        logit_CK[rows, :found] = SLOPE * np.take_along_axis(ratio, best, 1) + OFFSET
        logit_CK[rows, found:] = -np.inf

    run_blocks(search, _search_blocks(near), threads)
    return index_CK, logit_CK


def _search_blocks(near: NDArray[np.float32]) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows, and the contigs among which their neighbours are sought."""
    contigs = len(near)
    everyone = np.arange(contigs)
    if contigs <= EXACT:
        for a in range(0, contigs, _BLOCK):
            yield everyone[a : a + _BLOCK], everyone
        return
    cells = int(np.sqrt(contigs) / 2)
    centre = near[:: contigs // cells][:cells].copy()
    for _ in range(8):  # k-means on a part of the contigs (Lloyd 1982)
        sample = near[:: max(1, contigs // (100 * cells))]
        of = _closest(sample, centre)
        for c in range(cells):
            if (of == c).any():
                centre[c] = sample[of == c].mean(0)
    cell = _closest(near, centre)
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(cells + 1))
    apart = ((centre[:, None] - centre[None]) ** 2).sum(-1)
    probes = max(8, cells // 10)
    for c in range(cells):
        around = np.argsort(apart[c], kind="stable")[:probes]
        among = np.sort(np.concatenate([order[bounds[n] : bounds[n + 1]] for n in around]))
        rows = order[bounds[c] : bounds[c + 1]]
        for a in range(0, len(rows) if len(among) > 1 else 0, _BLOCK):
            yield rows[a : a + _BLOCK], among


def _closest(x: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.intp]:
    blocks = (x[a : a + 10_000] for a in range(0, len(x), 10_000))
    return np.concatenate([((centre**2).sum(1) - 2 * block @ centre.T).argmin(1) for block in blocks])


def _with_overlaps(
    index_CK: NDArray[np.int32], logit_CK: Floats, space: Space, overlaps: Overlaps, group_C: NDArray[np.integer]
) -> Neighbours:
    """Draw contigs that share sequence together, whether or not they were found to be near."""
    contigs, k = index_CK.shape
    likely = overlaps.share >= LIKELY
    a, b, share = overlaps.a[likely], overlaps.b[likely], overlaps.share[likely]
    bonus = np.where(share >= CERTAIN, BONUS_CERTAIN, BONUS_LIKELY)
    row = np.r_[np.repeat(np.arange(contigs), k), a]
    column = np.r_[index_CK.ravel(), b]
    pair_logit = np.concatenate(
        [logit_CK.ravel(), *(SLOPE * _log_ratio(space, a[i : i + 10_000], b[i : i + 10_000]) + OFFSET
                             for i in range(0, len(a), 10_000))]
    )  # fmt: skip
    gain = np.r_[np.zeros(contigs * k), bonus]
    order = np.lexsort((column, row))
    key = row[order] * contigs + column[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    logit = pair_logit[order][first] + np.maximum.reduceat(gain[order], first)
    row, column = row[order][first], column[order][first]
    best = np.lexsort((column, -logit, row))
    row, column, logit = row[best], column[best], logit[best]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < k
    row, column, rank, logit = row[kept], column[kept], rank[kept], logit[kept]
    same_CK = np.zeros((contigs, k), np.float32)
    out = np.zeros((contigs, k), np.int32)
    out[row, rank] = column
    same_CK[row, rank] = _probability(logit, group_C[row], group_C[column])
    return Neighbours(out, same_CK)


def _probability(
    logit_P: Floats, group_a_P: NDArray[np.integer], group_b_P: NDArray[np.integer]
) -> NDArray[np.float32]:
    """That pairs are of one genome: what `SLOPE` and `OFFSET` say, but no more than the labels bear out.

    Pairs as likely as the likeliest tenth are taken to be of one genome; as often as these have the same label,
    less often do pairs of a lower likelihood, in proportion to the strangers among them.
    """
    said = 1 / (1 + np.exp(-np.clip(logit_P, -50, 50)))
    both = np.flatnonzero((group_a_P >= 0) & (group_b_P >= 0) & np.isfinite(logit_P))
    if len(both) < PAIRS:
        return np.asarray(said, np.float32)
    order = both[np.argsort(logit_P[both], kind="stable")]
    bins = np.array_split(order, BINS)
    agree = np.array([(group_a_P[b] == group_b_P[b]).mean() for b in bins])
    middle = np.array([logit_P[b].mean() for b in bins])
    borne_out = np.minimum(np.maximum.accumulate(agree) / max(agree[-BINS // 10 :].mean(), 1e-9), 1)
    return np.asarray(np.minimum(said, np.interp(logit_P, middle, borne_out)), np.float32)


def run_blocks(work: Callable[[T], None], blocks: Iterable[T], threads: int) -> None:
    """Each block once, by so many threads; what they raise is raised here."""
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, blocks):
            pass
