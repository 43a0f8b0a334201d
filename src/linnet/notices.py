"""What is amiss with the reads as a whole, said once: primers left on, or another stretch than the model learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linnet.ecoli import GENE, Places, places
from linnet.kmers import encode
from linnet.records import BASES_OF, SequenceRecord, reverse_complement
from linnet.regions import NAMED, REGIONS, Region

LOOK = 1000
"""Records looked at, from the beginning."""

_TIDY = str.maketrans("U", "T", "-.")  # records may still be written as in their file


@dataclass(frozen=True)
class Notices:
    """Looks at the first records and says what should be mended before their names are trusted.

    Attributes:
        region: what the model was trained on: a name in `REGIONS`, `full`, or `any`, for which only primers matter.
        say: is given each notice, a sentence or two for a person, once.
    """

    region: str
    say: Callable[[str], None]

    def watch(self, records: Iterable[SequenceRecord]) -> Iterator[SequenceRecord]:
        """Pass records on as they are; notices come when `LOOK` were seen or there are no more."""
        stream = iter(records)
        seen = []
        for record in islice(stream, LOOK):
            seen.append(record.sequence)
            yield record
        sequences = [sequence.upper().translate(_TIDY) for sequence in seen]
        for notice in (primers_left(sequences), wrong_stretch(sequences, self.region)):
            if notice:
                self.say(notice)
        yield from stream


def _of(count: int, sequences: Sequence[str]) -> str:
    return f"{count:,} of {'the first ' if len(sequences) == LOOK else ''}{len(sequences):,} reads"


class Primer(NamedTuple):
    """A primer, 5' to 3', IUPAC; F or R in its name tells which way it reads."""

    name: str
    sequence: str
    source: str


PRIMERS = (
    Primer("27F", "AGAGTTTGATCMTGGCTCAG", "Lane 1991"),
    Primer("338R", "TGCTGCCTCCCGTAGGAGT", "after Amann 1990"),
    Primer("341F", "CCTACGGGNGGCWGCAG", "Klindworth 2013"),
    Primer("515F", "GTGYCAGCMGCCGCGGTAA", "Parada 2016"),
    Primer("534R", "ATTACCGCGGCTGCTGG", "Muyzer 1993"),
    Primer("785F", "GGATTAGATACCCTGGTA", "Klindworth 2013"),
    Primer("799F", "AACMGGATTAGATACCCKG", "Chelius 2001"),
    Primer("805R", "GACTACHVGGGTATCTAATCC", "Klindworth 2013"),
    Primer("806R", "GGACTACNVGGGTWTCTAAT", "Apprill 2015"),
    Primer("926R", "CCGYCAATTYMTTTRAGTTT", "Parada 2016"),
    Primer("969F", "ACGCGHNRAACCTTACC", "Comeau 2011"),
    Primer("1193R", "ACGTCATCCCCACCTTCC", "Bodenhausen 2013"),
    Primer("1391R", "GACGGGCGGTGTGTRCA", "Turner 1999"),
    Primer("1406R", "ACGGGCRGTGWGTRCAA", "Comeau 2011"),
    Primer("1492R", "GGYTACCTTGTTACGACTT", "Lane 1991"),
)

WHOLE = replace(NAMED["V1-V9"], name="full")

_BASES = {code: sum(1 << "ACGT".index(base) for base in bases) for code, bases in BASES_OF.items()}
_SPACER = 8  # bases that phased primers have before them, at most
_MISMATCHES = 0.15  # of a primer's bases, at most
_LONGEST_READ = 1000  # longer ones are whole genes, whose own ends are the sites of 27F and 1492R
_SHARE = 0.1  # of the reads that must have a primer,
_LEAST = 5  # and how many: a piece of a gene begins or ends at the site of some primer by chance, one in seven or so


def primers_left(sequences: Sequence[str]) -> str | None:
    """What to do about reads that begin with a primer or end with the reverse complement of one.

    Primers in the middle are the organism's own bases: most genes have the sites of them all.
    """
    reads = [sequence for sequence in sequences if len(sequence) <= _LONGEST_READ]
    ends = list(zip(_leading_primers(reads), _leading_primers(map(reverse_complement, reads)), strict=True))
    least = max(_LEAST, _SHARE * len(sequences))
    leading, trailing = (
        [primer for primer in PRIMERS if sum(primer is end[side] for end in ends) >= least] for side in (0, 1)
    )
    found = [primer for primer in PRIMERS if primer in leading or primer in trailing]
    if not found:
        return None
    count = sum(a in found or b in found for a, b in ends)
    pairs = Counter((f, r) for a, b in ends for f, r in ((a, b), (b, a)) if f and r and f.name[-1] + r.name[-1] == "FR")
    if 2 * max(pairs.values(), default=0) >= count:
        forward, reverse = max(pairs, key=pairs.__getitem__)
        command = _extract(forward.sequence, reverse.sequence)
    else:
        options = [f"-g {p.sequence}" for p in leading] + [f"-a {reverse_complement(p.sequence)}" for p in trailing]
        command = f"cutadapt {' '.join(options)} -o FILE SEQUENCES"
    names = " or ".join(f"{primer.name} ({primer.source})" for primer in found)
    return (
        f"{_of(count, sequences)} begin or end with primer {names}, whose bases are not the organism's. "
        f"Cut them off: {command}"
    )


def _extract(forward: str, reverse: str) -> str:
    names = {(region.forward, region.reverse): region.name for region in NAMED.values()}
    return f"linnet extract SEQUENCES --primers {names.get((forward, reverse), f'{forward},{reverse}')} --out FILE"


def _leading_primers(sequences: Iterable[str]) -> list[Primer | None]:
    """The primer that each sequence begins with, after a spacer or none."""
    width = _SPACER + max(len(primer.sequence) for primer in PRIMERS)
    bits_BL = _bits("".join(s[:width].ljust(width, "-") for s in sequences)).reshape(-1, width)
    score_PB = np.zeros((len(PRIMERS), len(bits_BL)))
    for primer, score_B in zip(PRIMERS, score_PB, strict=True):
        misses_BS = _misses(bits_BL, primer.sequence)[:, : _SPACER + 1]
        size = len(primer.sequence)
        # A near miss and a longer spacer count against a primer, so that 806R is not taken for 805R one base later.
        score_BS = np.where(misses_BS <= _MISMATCHES * size, size - 3 * misses_BS - 2 * np.arange(_SPACER + 1), 0)
        score_B[:] = score_BS.max(axis=1)
    best_B, found_B = score_PB.argmax(axis=0), score_PB.max(axis=0) > 0
    return [PRIMERS[p] if found else None for p, found in zip(best_B, found_B, strict=True)]


def _bits(letters: str) -> NDArray[np.uint8]:
    """One bit for each of A, C, G, T; none for other letters, so that N fits no primer."""
    codes, _ = encode([letters])
    return (np.uint8(1) << codes) & np.uint8(15)


def _misses(bits_XL: NDArray[np.uint8], primer: str) -> NDArray[np.int64]:
    """(X, L - length of the primer + 1): letters that do not fit the primer laid at each position."""
    n = bits_XL.shape[-1] - len(primer) + 1
    misses = np.zeros((*bits_XL.shape[:-1], n), np.int64)
    for j, letter in enumerate(primer):
        misses += (bits_XL[..., j : j + n] & _BASES[letter]) == 0
    return misses


Positions = NDArray[np.int64] | int


class Stretch(NamedTuple):
    """A region as positions in the gene of E. coli, from 1, primers left out."""

    region: Region
    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def whole(self) -> bool:
        return self.length > _WHOLE

    @property
    def name(self) -> str:
        return "the whole gene" if self.whole else self.region.name

    def like(self, first: Positions, last: Positions) -> NDArray[np.bool_]:
        """Whether another stretch is about this one."""
        return self.share(first, last) >= _ALIKE

    def inside(self, first: Positions, last: Positions) -> NDArray[np.int64]:
        """How many positions of another stretch lie in this."""
        return np.asarray(np.maximum(np.minimum(last, self.last) - np.maximum(first, self.first) + 1, 0))

    def share(self, first: Positions, last: Positions) -> NDArray[np.float64]:
        """Of the positions in this stretch or another, the share in both."""
        both = self.inside(first, last)
        return np.asarray(both / (last - first + 1 + self.length - both))

    def cut_from(self, first: int, last: int) -> str:
        """The end of an advice: how to cut this out of another stretch, if that holds both primers."""
        forward, reverse = self.region.forward, self.region.reverse
        if first > self.first - len(forward) or last < self.last + len(reverse):
            return "."
        return f", or cut {self.name} out: {_extract(forward, reverse)}"


@cache
def stretches() -> dict[str, Stretch]:
    """What a model may have learnt, by its name in `REGIONS`, or `full`."""
    bits_L = _bits(GENE)
    found = {}
    for region in (*REGIONS.values(), WHOLE):
        forward, reverse = region.forward, reverse_complement(region.reverse)
        before, after = (int(_misses(bits_L, primer).argmin()) for primer in (forward, reverse))
        found[region.name] = Stretch(region, before + len(forward) + 1, after)
    return found


_AMISS = 0.25  # of the reads must have a fault,
_FEW = 3  # and this many, or all
_SHORT = 100  # bases
_ALIKE = 0.85  # of the positions in either of two stretches that are in both, if they count as the same
_NEAR = 50  # bases between places that count as the same: archaea lack forty in V3
_WHOLE = 1200  # bases; longer stretches are called the whole gene
_KINDS = {
    "short": f"are shorter than {_SHORT} bases",
    "outside": "lie mostly outside",
    "beyond": "reach beyond",
    "longer": "are much longer than",
    "part": "are only a part of",
    "shorter": "are much shorter than",
}


def wrong_stretch(sequences: Sequence[str], region: str) -> str | None:
    """What to do about reads of another region or length than the model learnt; None for `any` region.

    The commonest fault is told, when a quarter of the reads have one.
    """
    learnt = stretches().get(region)
    if not learnt or not sequences:
        return None
    at, length_B = places(sequences), np.array([len(s) for s in sequences])
    kind_B = _kinds(learnt, length_B, at)
    faults = Counter(kind for kind in kind_B.tolist() if kind)
    if faults.total() < max(_AMISS * len(sequences), min(_FEW, len(sequences))):
        return None
    kind, count = faults.most_common(1)[0]
    length, first, last = (int(np.median(x_B[kind_B == kind])) for x_B in (length_B, at.first_B, at.last_B))
    reads = f"{_of(count, sequences)} {_KINDS[kind]}"
    if kind == "short":
        return (
            f"{reads} (median {length}), which leaves little to tell genera apart by. "
            "Check how they were trimmed, or merge pairs first."
        )
    reads += f" {learnt.name}, which the model learnt"
    if kind in ("longer", "shorter"):
        cut = learnt.cut_from(1, len(GENE)) if kind == "longer" else "."  # long enough to hold both primers
        return f"{reads}: {length:,} bases at the median. Use a model for any region{cut}"
    nearest = max(stretches().values(), key=lambda s: s.share(first, last))
    like = f"{nearest.name} or for " if nearest.like(first, last) else ""
    return (
        f"{reads}: positions {first}-{last} of E. coli at the median. "
        f"Use a model for {like}any region{learnt.cut_from(first, last)}"
    )


def _kinds(learnt: Stretch, length_B: NDArray[np.int64], at: Places) -> NDArray[np.str_]:
    """What is wrong with each read, a key of `_KINDS`, or nothing.

    Reads within an amplicon are right if they begin where it does, on either strand, as forward or reverse reads
    alone do, or if they are no other region that has a name. A read whose place cannot be told is judged by its length.
    """
    inside_B = learnt.inside(at.first_B, at.last_B)
    another_B = np.any([s.like(at.first_B, at.last_B) for s in stretches().values()], axis=0)
    another_B &= ~learnt.like(at.first_B, at.last_B)
    another_B &= np.where(at.forward_B, at.first_B - learnt.first, learnt.last - at.last_B) > _NEAR
    fault_B = {
        "short": length_B < _SHORT,
        "outside": at.sure_B & (inside_B < np.minimum(length_B, learnt.length) / 2),
        "beyond": at.sure_B & (inside_B < 0.75 * length_B),
        "longer": ~at.sure_B & (length_B > 1.5 * learnt.length),
        "part": at.sure_B & (another_B | learnt.whole & (inside_B < learnt.length / 2)),
        "shorter": ~at.sure_B & learnt.whole & (length_B < learnt.length / 2),
    }
    return np.select([fault_B[kind] for kind in _KINDS], list(_KINDS), "")
