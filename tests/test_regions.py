"""Amplicons by primers, compared with a plain slow loop and with cutadapt."""

from __future__ import annotations

import random as plain_random
import subprocess
import sys
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from conftest import write_fasta
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet import regions
from linnet.errors import UsageError
from linnet.records import read, reverse_complement
from linnet.regions import NAMED, REGIONS, Hit, Outcome, Region, amplicons, parse_region, search, with_primers

CONCRETE = str.maketrans("RYSWKMBDHVN", "ACCAGACAAAA")
MEANS = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip


def bases(n: int, random: np.random.Generator) -> str:
    return "".join(random.choice(list("ACGT"), n))


def gene(region: Region, insert: str, random: np.random.Generator) -> str:
    flank = [bases(80, random) for _ in range(2)]
    forward = region.forward.translate(CONCRETE)
    return flank[0] + forward + insert + reverse_complement(region.reverse.translate(CONCRETE)) + flank[1]


@pytest.mark.parametrize("name", NAMED)
def test_the_stretch_between_the_primers_is_found(name: str) -> None:
    random = np.random.default_rng(3)
    region = NAMED[name]
    inserts = [bases((region.shortest + region.longest) // 2, random) for _ in range(200)]
    genes = [gene(region, insert, random) for insert in inserts]
    found = [g[a:z] for g, span in zip(genes, amplicons(genes, region), strict=True) for a, z in [span or (0, 0)]]
    assert found == inserts


def test_mismatches_are_allowed_up_to_a_fifth_of_the_primer() -> None:
    random = np.random.default_rng(4)
    insert = bases(260, random)
    whole = gene(REGIONS["V4"], insert, random)
    at = whole.index(insert)
    near = whole[: at - 3] + "TTT" + whole[at:]
    far = whole[: at - 10] + "TTTTTTTTTT" + whole[at:]
    assert list(amplicons([near], REGIONS["V4"])) == [(at, at + 260)]
    assert list(amplicons([far], REGIONS["V4"])) == [None]


def test_the_nearest_match_wins_over_the_leftmost() -> None:
    random = np.random.default_rng(5)
    region = REGIONS["V3-V4"]
    false_site = list(region.forward.translate(CONCRETE))
    false_site[2], false_site[10] = "A", "A"
    insert = bases(400, random)
    whole = gene(region, insert, random)
    trapped = whole[:20] + "".join(false_site) + whole[20:]
    a, z = next(iter(amplicons([trapped], region)))  # type: ignore[misc]
    assert trapped[a:z] == insert


def test_no_site_spans_two_sequences() -> None:
    region = REGIONS["V4"]
    whole = gene(region, "A" * 250, np.random.default_rng(6))
    assert list(amplicons([whole[:150], whole[150:], ""], region)) == [None, None, None]
    assert list(amplicons([], region)) == []


SMALL = Region("small", "ACGTRCCATGAC", "TTGACCYGATCA", 5, 40, mismatches=2)
SITES = (SMALL.forward.translate(CONCRETE), reverse_complement(SMALL.reverse.translate(CONCRETE)))


def distances(primer: str, stretch: str) -> list[int]:
    """Edit distance, letter by letter, between the primer and as many of the letters as the index says."""
    row = list(range(len(stretch) + 1))
    for i, base in enumerate(primer, 1):
        above, row = row, [i]
        for j, code in enumerate(stretch):
            fits = set(MEANS[code]) <= set(MEANS[base])
            row.append(min(above[j] + (not fits), above[j + 1] + 1, row[j] + 1))
    return row


def slow_sites(sequence: str, primer: str, allowed: int) -> dict[int, int]:
    """Errors, bases cut off included, by the place where a site of the primer ends."""
    m = len(primer)
    errors = dict.fromkeys(range(1, len(sequence) + 1), 99)
    stretches = [(primer, start) for start in range(len(sequence))] + [(primer[cut:], 0) for cut in range(1, m)]
    for part, start in stretches:
        for length, n in enumerate(distances(part, sequence[start : start + 2 * m])):
            if length:
                errors[start + length] = min(errors[start + length], n)
    return {
        end: errors[end] + m - min(end, m)
        for end in errors
        if 2 * end >= m
        and errors[end] <= allowed * min(end, m) // m
        and errors[end] <= min(errors.get(end - 1, 99), errors.get(end + 1, 99))
    }


def slow_search(sequence: str, region: Region) -> Hit:
    n = len(sequence)
    left = slow_sites(sequence, region.forward, region.allowed(region.forward))
    mirrored = slow_sites(reverse_complement(sequence), region.reverse, region.allowed(region.reverse))
    right = {n - end: errors for end, errors in mirrored.items()}
    pairs = sorted(
        (left[a] + right[z], z - a, a) for a, z in product(left, right) if region.shortest <= z - a <= region.longest
    )
    if pairs:
        errors, length, a = pairs[0]
        away = max(len(region.forward), len(region.reverse))
        far = [1 for e, k, b in pairs if e == errors and (abs(b - a) > away or abs(b + k - a - length) > away)]
        return Hit(Outcome.FOUND, a, a + length, errors, bool(far))
    if not left or not right:
        return Hit(Outcome.NO_REVERSE if left else Outcome.NO_FORWARD if right else Outcome.NEITHER)
    a, z = (min(sites, key=lambda at: (sites[at], at)) for sites in (left, right))
    return Hit(Outcome.WRONG_ORDER if z < a else Outcome.TOO_SHORT if z - a < region.shortest else Outcome.TOO_LONG)


def patchwork(seed: int) -> str:
    """Sites with some letters changed, lost or added, in any order, between random letters, cut anywhere."""
    random = plain_random.Random(seed)
    pieces = []
    for _ in range(random.randrange(1, 6)):
        letters = list(random.choice([*SITES, SITES[0]]))
        for _ in range(random.choice([0, 0, 1, 1, 2, 3])):
            at = random.randrange(len(letters))
            letters[at] = random.choice(["", "A", "C", "G", "T", "N", "R", letters[at] * 2])
        pieces += ["".join(random.choices("ACGT", k=random.randrange(30))), "".join(letters)]
    whole = "".join(pieces)
    return whole[random.randrange(14) : len(whole) - random.randrange(14)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 1 << 30).map(patchwork), min_size=1, max_size=8))
def test_the_search_is_the_plain_slow_one(sequences: list[str]) -> None:
    assert search(sequences, SMALL) == [slow_search(sequence, SMALL) for sequence in sequences]


def test_the_slow_search_meets_every_outcome() -> None:
    assert {search([patchwork(seed)], SMALL)[0].outcome for seed in range(200)} == set(Outcome)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [patchwork(seed) for seed in range(300)]
    whole = list(amplicons(sequences, SMALL))
    monkeypatch.setattr(regions, "_BLOCK", 700)
    assert list(amplicons(sequences, SMALL)) == whole
    assert any(whole)


def test_a_primer_of_forty_letters_is_searched_in_long_sequences() -> None:
    random = np.random.default_rng(8)
    forward, reverse = bases(40, random), bases(33, random)
    region = Region("long", forward, reverse, 100, 2000)
    insert = bases(1500, random)
    genome = bases(30_000, random) + forward[:20] + forward[21:] + insert + reverse_complement(reverse) + "A" * 20_000
    (hit,) = search([genome], region)
    assert (genome[hit.start : hit.end], hit.errors) == (insert, 1)


def test_an_ambiguous_base_fits_only_what_takes_all_it_may_be() -> None:
    random = np.random.default_rng(9)
    forward, reverse = SITES
    insert = bases(20, random)

    def errors(site: str) -> int | None:
        hit = search([bases(30, random) + site + insert + reverse], SMALL)[0]
        return hit.errors if hit.outcome is Outcome.FOUND else None

    assert errors(forward[:4] + "R" + forward[5:]) == 0  # the primer has R there
    assert errors(forward[:4] + "N" + forward[5:]) == 1
    assert errors("S" + forward[1:-1] + "N") == 2
    assert errors("NNN" + forward[3:]) is None
    assert search(["N" * 500], SMALL) == [Hit(Outcome.NEITHER)]


def test_half_a_primer_is_enough_at_an_end() -> None:
    forward, reverse = SITES
    insert = "GATTTCAGGAATTCTCA"
    whole = forward + insert + reverse
    for cut in range(7):
        (left, right) = search([whole[cut:], whole[: len(whole) - cut]], SMALL)
        assert (left.start, left.end, left.errors) == (12 - cut, 29 - cut, cut)
        assert (right.start, right.end, right.errors) == (12, 29, cut)
    assert [hit.outcome for hit in search([whole[7:], whole[:-7]], SMALL)] == ["no forward primer", "no reverse primer"]


@pytest.mark.parametrize(
    ("site", "length"),
    [("ACGTACCATGAC", 12), ("ACGTACCAATGAC", 13), ("ACGTACATGAC", 11), ("AAGTACCATCAC", 12), ("TACCATGAC", 9)],
)
def test_primers_that_are_kept_are_kept_whole(site: str, length: int) -> None:
    insert = "GATTTCAGGAATTCTCA"
    before = "GGTTGGTTGG" if length > 9 else ""
    sequence = before + site + insert + SITES[1] + "CCCC"
    (hit,) = search([sequence], SMALL)
    a, z = with_primers(sequence, hit, SMALL)
    assert sequence[a:z] == site + insert + SITES[1]


@pytest.mark.parametrize(
    ("primers", "message"),
    [
        ("V9", "'V9' is not a known region. Expected one of V4, V3-V4, V1-V2"),
        ("GTGYCAGCMGCCGCGGTAA", "is not a known region.*two primers, both 5' to 3', as FWD,REV"),
        ("GTGYCAGCMGCCGCGGTAA,", "an empty primer"),
        ("A,C,G", "'A,C,G' is 3 primers"),
        ("GTGYCAGCMGCCGCGGTAA,GGACTACIVGGGTWTCTAA?", "has '\\?', 'I'.*Inosine is written N"),
        ("GTGYCAGCMGCCGCGGTAA,ACGT", "'ACGT' with 0 errors fits random bases once in 256.*the whole primer"),
        ("GTGYCAGCMGCCGCGGTAA,NNNNNNNNNNNNNNNNNN", "fits random bases once in 1[.]"),
        ("GTGYCAGCMGCCGCGGTAA," + "ACGT" * 17, "68 letters. Expected 64 at most, without adapters"),
    ],
)
def test_primers_that_make_no_sense_are_refused(primers: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_region(primers)


def test_primers_are_read_as_people_write_them() -> None:
    assert parse_region(" v3-v4") is REGIONS["V3-V4"]
    region = parse_region("gugycagcmgccgcgguaa, GGACTACNVGGGTWTCTAAT")
    assert (region.forward, region.reverse) == (REGIONS["V4"].forward, REGIONS["V4"].reverse)


def cutadapt(folder: Path, sequences: dict[str, str], region: Region) -> dict[str, str]:
    """The amplicons that cutadapt finds with as many errors, whole sites only."""
    pytest.importorskip("cutadapt")
    source, out = write_fasta(folder / "genes.fasta", sequences), folder / "cut.fasta"
    ends = (region.forward, reverse_complement(region.reverse))
    adapter = "...".join(f"{p};min_overlap={len(p)};max_errors={region.allowed(p)}" for p in ends)
    lengths = ("-m", str(region.shortest), "-M", str(region.longest))
    command = ["cutadapt", "-g", adapter, "--discard-untrimmed", *lengths, "--fasta", "-o", str(out), str(source)]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    return {record.id: record.sequence for record in read(out)}


def test_cutadapt_finds_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(12)
    region = REGIONS["V4"]
    genes = {}
    for i in range(200):
        letters = list(gene(region, bases(250, random), random))
        for at in random.integers(80, 99, size=random.integers(5)):
            letters[at] = "ACGT"[random.integers(4)]
        genes[f"g{i}"] = "".join(letters)
    spans = zip(genes.items(), amplicons(genes.values(), region), strict=True)
    ours = {i: sequence[span[0] : span[1]] for (i, sequence), span in spans if span}
    theirs = cutadapt(tmp_path, genes, region)
    assert set(theirs) <= set(ours)
    assert 150 < len(theirs) >= len(ours) - 2  # it takes the leftmost of the sites that chance makes
    same = sum(ours[i] == theirs[i] for i in theirs)
    assert same >= len(theirs) - 4  # a wrong last base may be a wrong one or a missing one


def test_real_archaea_have_the_amplicons_that_cutadapt_finds(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "data/16s/sortmerna/silva-arc-16s-id95.fasta.xz"
    genes = {record.id: record.sequence for record in islice(read(source), 400)}
    spans = zip(genes.items(), amplicons(genes.values(), REGIONS["V4"]), strict=True)
    ours = {i: sequence[span[0] : span[1]] for (i, sequence), span in spans if span}
    theirs = cutadapt(tmp_path, genes, REGIONS["V4"])
    assert len(ours) >= len(theirs) > 300
    assert sum(ours.get(i) == amplicon for i, amplicon in theirs.items()) >= 0.97 * len(theirs)
