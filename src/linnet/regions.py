"""Amplicons: the stretch of a gene between two primers, found as PCR would."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UsageError, require
from linnet.records import BASES_OF, reverse_complement

Ints = NDArray[np.int64]
Sets = NDArray[np.uint8]
T = TypeVar("T")

# A nucleotide code as the set of bases it stands for, one bit a base.
_BASES = {code: sum(1 << "ACGT".index(base) for base in bases) for code, bases in BASES_OF.items()}
_SET = np.full(256, _BASES["N"], np.uint8)
_SET[0] = 0  # the letter around sequences: no base, which every primer letter takes, so that a primer may reach out
for _letter, _bits in _BASES.items():
    _SET[ord(_letter)] = _bits

_TOLERANCE = 0.2  # errors allowed in a primer site, as a share of the primer's length, unless asked otherwise
_BY_CHANCE = 1e-3  # share of the places in random bases that a primer may fit
_ANY_LENGTH = (50, 5000)  # product lengths taken as real between primers that a user gives, in bases
_BLOCK = 1 << 23  # bases searched at once


@dataclass(frozen=True)
class Region:
    """What counts as an amplicon: a primer pair, the lengths of real products, the errors allowed.

    Attributes:
        forward, reverse: primers, 5' to 3', IUPAC, up to 64 letters.
        shortest, longest: product lengths taken as real, in bases, primers not counted.
        mismatches: errors allowed in each primer site: mismatched, missing and extra bases together. None is a
            fifth of the primer's length.

    Raises:
        UsageError: a primer with other letters, too long, or that random bases would fit with so many errors; lengths
            that no product has.
    """

    name: str
    forward: str
    reverse: str
    shortest: int
    longest: int
    mismatches: int | None = None

    def __post_init__(self) -> None:
        lengths = (self.shortest, self.longest)
        expected = "1 or more, the shortest (--min-length) at most the longest (--max-length)"
        require(1 <= lengths[0] <= lengths[1], f"products of {lengths[0]} to {lengths[1]} bases", expected)
        require(self.mismatches is None or self.mismatches >= 0, f"{self.mismatches} mismatches", "0 or more")
        for primer in (self.forward, self.reverse):
            _check(primer, self.allowed(primer))

    def allowed(self, primer: str) -> int:
        """Errors allowed in a site of one of the two primers."""
        return int(_TOLERANCE * len(primer)) if self.mismatches is None else self.mismatches


def _check(primer: str, errors: int) -> None:
    strange = sorted(set(primer) - set(_BASES))
    if strange or not primer:
        raise UsageError(
            f"primer '{primer}' has {', '.join(map(repr, strange))}" if strange else "an empty primer",
            expected="nucleotides and IUPAC codes, 5' to 3'",
            remedy="Inosine is written N." if "I" in strange else "",
        )
    require(len(primer) <= 64, f"primer '{primer}' of {len(primer)} letters", "64 at most, without adapters")
    fits = np.zeros(min(errors, len(primer)) + 2)  # the chance of so many mismatches in random bases; the last: of more
    fits[0] = 1
    for letter in primer:
        share = _BASES[letter].bit_count() / 4
        fits[1:] = fits[1:] * share + fits[:-1] * (1 - share)
        fits[0] *= share
    chance = fits[:-1].sum()
    if chance > _BY_CHANCE:
        raise UsageError(
            f"primer '{primer}' with {errors} errors fits random bases once in {math.floor(1 / chance):,}",
            expected=f"once in {1 / _BY_CHANCE:,.0f} or more seldom",
            remedy="Allow fewer mismatches, or give the whole primer.",
        )


REGIONS = {
    region.name: region
    for region in (
        # 515F (Parada 2016) and 806R (Apprill 2015); 341F and 805R (Klindworth 2013).
        Region("V4", "GTGYCAGCMGCCGCGGTAA", "GGACTACNVGGGTWTCTAAT", 150, 500),
        Region("V3-V4", "CCTACGGGNGGCWGCAG", "GACTACHVGGGTATCTAATCC", 250, 550),
    )
}
"""Regions of the 16S gene that models are trained on."""

NAMED = REGIONS | {
    region.name: region
    for region in (
        # 27F and 338R; 27F and 534R; 515F and 926R (Parada 2016).
        Region("V1-V2", "AGAGTTTGATCMTGGCTCAG", "TGCTGCCTCCCGTAGGAGT", 200, 450),
        Region("V1-V3", "AGAGTTTGATCMTGGCTCAG", "ATTACCGCGGCTGCTGG", 300, 700),
        Region("V4-V5", "GTGYCAGCMGCCGCGGTAA", "CCGYCAATTYMTTTRAGTTT", 250, 600),
        # 799F and 1193R; B969F and BA1406R (Comeau 2011); 27F and 1492R for long reads (Callahan 2019).
        Region("V5-V7", "AACMGGATTAGATACCCKG", "ACGTCATCCCCACCTTCC", 250, 600),
        Region("V6-V8", "ACGCGHNRAACCTTACC", "ACGGGCRGTGWGTRCAA", 250, 650),
        Region("V1-V9", "AGRGTTYGATYMTGGCTCAG", "RGYTACCTTGTTACGACTT", 1000, 2000),
    )
}
"""Regions that have a name; besides those of the models, what the field amplifies most."""


class Outcome(StrEnum):
    """What a search came to."""

    FOUND = "found"
    TOO_SHORT = "too short"
    TOO_LONG = "too long"
    WRONG_ORDER = "primers in the wrong order"
    NO_FORWARD = "no forward primer"
    NO_REVERSE = "no reverse primer"
    NEITHER = "neither primer"


class Hit(NamedTuple):
    """The amplicon of a sequence, or why there is none.

    Attributes:
        start, end: the stretch between the primers; 0, 0 where there is none.
        errors: mismatched, missing and extra bases of both primer sites, those cut off by the sequence's end included.
        rivals: another pair of sites, elsewhere, has as few errors.
    """

    outcome: Outcome
    start: int = 0
    end: int = 0
    errors: int = 0
    rivals: bool = False


def parse_region(primers: str) -> Region:
    """The region of that name, or the one between two primers written FWD,REV.

    Raises:
        UsageError: neither.
    """
    if named := next((r for r in NAMED.values() if r.name.lower() == primers.strip().lower()), None):
        return named
    pair = [primer.strip().upper().replace("U", "T") for primer in primers.split(",")]
    if len(pair) != 2:
        raise UsageError(
            f"'{primers}' is {'not a known region' if len(pair) == 1 else f'{len(pair)} primers'}",
            expected=f"one of {', '.join(NAMED)}, or two primers, both 5' to 3', as FWD,REV",
        )
    forward, reverse = pair
    return Region(primers, forward, reverse, *_ANY_LENGTH)


def amplicons(sequences: Iterable[str], region: Region) -> Iterator[tuple[int, int] | None]:
    """Where the amplicon lies in each sequence, primers left out, as (start, end); None where there is none."""
    for block in blocks(sequences, len):
        for hit in search(block, region):
            yield (hit.start, hit.end) if hit.outcome is Outcome.FOUND else None


def blocks(items: Iterable[T], bases: Callable[[T], int]) -> Iterator[list[T]]:
    """Items of a stream, as many together as are best searched at once."""
    block, size = [], 0
    for item in items:
        block.append(item)
        size += bases(item)
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def search(sequences: Sequence[str], region: Region) -> list[Hit]:
    """The amplicon of each sequence, on the strand it is written.

    Of all pairs of sites with few enough errors, and a product of a real length, the one with fewest errors counts (the
    leftmost acceptable site of 341F is a false one in many Proteobacteria, which have a near-match in V2), then the one
    with the shortest product. At an end of the sequence half of a primer is enough, with errors in proportion; of two
    pairs, bases cut off count as errors.

    A code in a sequence fits a primer letter that takes every base it may stand for: N fits only N.
    """
    gap = "\0" * (2 * max(len(region.forward), len(region.reverse)))
    text = _SET[np.frombuffer((gap + gap.join(sequences) + gap).encode("ascii"), np.uint8)]
    lengths = np.array([len(s) for s in sequences], np.int64)
    ends = np.cumsum(lengths + len(gap))
    starts = ends - lengths
    left = _sites(text, starts, region.forward, region.allowed(region.forward))
    # Seen from the right, a site of the reverse primer ends where the amplicon does.
    pattern = reverse_complement(region.reverse)[::-1]
    back = _sites(text[::-1], len(text) - ends[::-1], pattern, region.allowed(region.reverse))
    right = _Sites(len(sequences) - 1 - back.owner[::-1], len(text) - back.at[::-1], back.errors[::-1])
    found = _best_pairs(left, right, ends, region)
    return [
        found[i]._replace(start=found[i].start - start, end=found[i].end - start)
        if i in found
        else Hit(_reason(_best_site(left, i), _best_site(right, i), region))
        for i, start in enumerate(starts.tolist())
    ]


def with_primers(sequence: str, hit: Hit, region: Region) -> tuple[int, int]:
    """The amplicon with both primer sites, as far as the sequence has them."""
    before = sequence[max(hit.start - 2 * len(region.forward), 0) : hit.start][::-1]
    after = sequence[hit.end : hit.end + 2 * len(region.reverse)]
    ahead = _site_length(before, region.forward[::-1])
    return hit.start - ahead, hit.end + _site_length(after, reverse_complement(region.reverse))


def _site_length(letters: str, primer: str) -> int:
    """How many of the letters are the primer's site, both read away from the amplicon."""
    m = len(primer)
    if len(letters) <= m:
        return len(letters)
    if sum(not _fits(code, base) for code, base in zip(letters, primer, strict=False)) <= 1:
        return m  # no site with gaps is better
    errors = list(range(len(letters) + 1))
    for i, base in enumerate(primer, 1):
        above, errors = errors, [i]
        for j, code in enumerate(letters):
            errors.append(min(above[j] + (not _fits(code, base)), above[j + 1] + 1, errors[j] + 1))
    return min(range(len(errors)), key=lambda length: (errors[length], abs(length - m)))


def _fits(code: str, base: str) -> bool:
    return not _BASES.get(code, 15) & ~_BASES[base]


class _Sites(NamedTuple):
    """Sites of a primer in a text of many sequences, from left to right.

    Attributes:
        owner: number of the sequence.
        at: where the amplicon would begin, or end, in the text.
        errors: mismatched, missing and extra bases, those cut off by the sequence's end included.
    """

    owner: Ints
    at: Ints
    errors: Ints


def _sites(text: Sets, starts: Ints, primer: str, allowed: int) -> _Sites:
    """The sites of a primer, each place where it fits better than one base to the left or right."""
    m = len(primer)
    errors = _errors(text, primer)
    errors[text == 0] = 255  # between the sequences it fits everywhere
    last = np.flatnonzero(errors <= allowed)
    last = last[(errors[last] <= errors[last - 1]) & (errors[last] <= errors[last + 1])]
    owner = np.searchsorted(starts, last, "right") - 1
    overlap = np.minimum(last + 1 - starts[owner], m)  # the rest of the primer reaches out of the sequence
    real = (2 * overlap >= m) & (errors[last] <= allowed * overlap // m)
    last, owner, overlap = last[real], owner[real], overlap[real]
    return _Sites(owner, last + 1, errors[last] + m - overlap)


def _errors(text: Sets, primer: str) -> Sets:
    """Fewest errors of the primer against any stretch that ends at each letter of a text.

    Bit-parallel edit distance (Myers, J. ACM 46, 395, 1999), many columns of the text at once, each read from far
    enough to the left that where it begins does not matter. The primer stands in the upper bits of a word, below it
    rows that everything fits.
    """
    m = len(primer)
    word: type[np.unsignedinteger[Any]] = np.uint32 if m <= 32 else np.uint64
    bits = np.iinfo(word).bits
    fits_S = np.array(  # for each of 16 sets of bases the primer letters that take all of them
        [sum(1 << j for j, base in enumerate(primer, bits - m) if not code & ~_BASES[base]) for code in range(16)], word
    ) | word((1 << bits - m) - 1)
    warm = 2 * m
    height = int(np.clip(math.isqrt(len(text) // 8), 64, 500))
    width = -(-len(text) // height)
    padded = np.zeros(warm + width * height, np.uint8)
    padded[warm : warm + len(text)] = text
    columns = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, warm + height)[::height].T)
    errors = np.empty((height, width), np.uint8)
    one, top = word(1), word(bits - 1)
    more = np.full(width, ((1 << m) - 1) << (bits - m), word)  # rows that have one error more than the row above
    fewer = np.zeros(width, word)
    count = np.full(width, m, word)
    for row, letters in enumerate(columns):
        fits = fits_S[letters]
        free = fits | fewer
        diagonal = (((fits & more) + more) ^ more) | fits
        rise = fewer | ~(diagonal | more)
        fall = more & diagonal
        count += rise >> top
        count -= fall >> top
        rise, fall = rise << one, fall << one
        more = fall | ~(free | rise)
        fewer = rise & free
        if row >= warm:
            errors[row - warm] = count
    return errors.T.reshape(-1)[: len(text)]


def _best_pairs(left: _Sites, right: _Sites, ends: Ints, region: Region) -> dict[int, Hit]:
    """The best pair of each sequence that has one; places are those in the text."""
    low = np.searchsorted(right.at, left.at + region.shortest)
    high = np.searchsorted(right.at, np.minimum(left.at + region.longest, ends[left.owner]), "right")
    count = np.maximum(high - low, 0)
    f = np.repeat(np.arange(len(left.at)), count)
    r = np.arange(len(f)) + np.repeat(low - np.cumsum(count) + count, count)
    owner, errors = left.owner[f], left.errors[f] + right.errors[r]
    order = np.lexsort((left.at[f], right.at[r] - left.at[f], errors, owner))
    f, r, owner, errors = f[order], r[order], owner[order], errors[order]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    of = np.repeat(first, np.diff(first, append=len(owner)))  # the best pair of each pair's sequence
    away = max(len(region.forward), len(region.reverse))
    elsewhere = (abs(left.at[f] - left.at[f[of]]) > away) | (abs(right.at[r] - right.at[r[of]]) > away)
    rivals = set(owner[(errors == errors[of]) & elsewhere].tolist())
    best = np.stack([owner, left.at[f], right.at[r], errors], 1)[first].tolist()
    return {i: Hit(Outcome.FOUND, start, end, e, i in rivals) for i, start, end, e in best}


def _best_site(sites: _Sites, owner: int) -> int | None:
    low, high = np.searchsorted(sites.owner, [owner, owner + 1])
    return int(sites.at[low + sites.errors[low:high].argmin()]) if low < high else None


def _reason(start: int | None, end: int | None, region: Region) -> Outcome:
    if start is None or end is None:
        return Outcome.NEITHER if start == end else Outcome.NO_FORWARD if start is None else Outcome.NO_REVERSE
    if end < start:
        return Outcome.WRONG_ORDER
    return Outcome.TOO_SHORT if end - start < region.shortest else Outcome.TOO_LONG
