from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import evolve

from linnet.ecoli import GENE, places
from linnet.notices import LOOK, PRIMERS, Notices, stretches
from linnet.records import SequenceRecord, read, reverse_complement
from linnet.regions import REGIONS, amplicons


def relatives(first: int = 1, last: int = len(GENE), count: int = 60, rate: float = 0.1) -> list[str]:
    """Distant relatives of the gene, each from E. coli position `first` to `last`, with a deletion of ten bases where
    helices differ in length."""
    random = np.random.default_rng(first)
    genes = (GENE[first - 1 : last] for _ in range(count))
    return [evolve(g[: max(0, 460 - first)] + g[max(0, 470 - first) :], rate, random) for g in genes]


def notices(sequences: Sequence[str], region: str = "any") -> list[str]:
    said: list[str] = []
    records = [SequenceRecord(f"r{i}", s) for i, s in enumerate(sequences)]
    assert list(Notices(region, said.append).watch(iter(records))) == records
    return said


def with_primers(region: str, sequences: list[str]) -> list[str]:
    """Reads between the primers as a synthesiser makes them: one base for each ambiguous one."""
    plain = str.maketrans("YMNWVHKR", "CAGAGTGA")
    forward, reverse = REGIONS[region].forward, reverse_complement(REGIONS[region].reverse)
    return [forward.translate(plain) + s + reverse.translate(plain) for s in sequences]


V4, V3_V4 = (534, 786), (358, 784)


def test_primers_have_their_places_in_the_gene() -> None:
    assert len(GENE) == 1542
    learnt = {name: (stretch.first, stretch.last) for name, stretch in stretches().items()}
    assert learnt == learnt | {"V4": V4, "V3-V4": V3_V4, "full": (28, 1491)}
    codes = {"R": "AG", "Y": "CT", "M": "AC", "W": "AT", "K": "GT", "N": "ACGT", "V": "ACG", "H": "ACT", "B": "CGT"}
    for primer in PRIMERS:
        laid = reverse_complement(primer.sequence) if primer.name.endswith("R") else primer.sequence
        misses = [
            sum(base not in codes.get(letter, letter) for letter, base in zip(laid, GENE[i:], strict=False))
            for i in range(len(GENE) - len(laid))
        ]
        before = int(np.argmin(misses))
        named = int(primer.name[:-1])
        assert min(abs(named - (before + 1)), abs(named - (before + len(laid)))) <= 1, primer.name


@pytest.mark.parametrize("turn", [str, reverse_complement])
@pytest.mark.parametrize(("first", "last"), [V4, V3_V4, (534, 660), (28, 500), (900, 1400), (1, 1542)])
def test_relatives_are_placed_by_both_ends(first: int, last: int, turn) -> None:  # type: ignore[no-untyped-def]
    at = places([turn(s) for s in relatives(first, last, rate=0.15)])
    assert at.sure_B.mean() > 0.9
    assert np.median(np.abs(at.first_B[at.sure_B] - first)) <= 2
    assert np.median(np.abs(at.last_B[at.sure_B] - last)) <= 2
    assert (at.forward_B[at.sure_B] == (turn is str)).all()


def test_random_sequence_has_no_place() -> None:
    random = np.random.default_rng(1)
    for length in (0, 5, 100, 250, 1500):
        sequences = ["".join(random.choice(list("ACGT"), length)) for _ in range(100)]
        assert places(sequences).sure_B.mean() <= 0.05


@pytest.mark.parametrize("turn", [str, reverse_complement])
@pytest.mark.parametrize(
    ("region", "first", "last"),
    [
        ("V4", *V4), ("V4", 534, 683), ("V4", 534, 633), ("V4", 640, 786), ("V3-V4", *V3_V4), ("V3-V4", 358, 600),
        ("V3-V4", 580, 784), ("full", 28, 1491), ("full", 1, 1542), ("full", 28, 900), ("any", 28, 500), ("any", *V4),
        ("any", 1, 1542), ("any", 534, 600),
    ],
)  # fmt: skip
def test_clean_reads_of_what_the_model_learnt_pass_in_silence(region: str, first: int, last: int, turn) -> None:  # type: ignore[no-untyped-def]
    assert notices([turn(s) for s in relatives(first, last)], region) == []


def test_reverse_reads_of_v3_v4_are_not_taken_for_v4() -> None:
    assert notices([reverse_complement(s) for s in relatives(535, 784)], "V3-V4") == []


@pytest.mark.parametrize("turn", [str, reverse_complement])
@pytest.mark.parametrize(("region", "names"), [("V4", ("515F", "806R")), ("V3-V4", ("341F", "805R"))])
def test_primers_on_a_third_of_the_reads_are_noticed_on_either_strand(
    region: str, names: tuple[str, str], turn
) -> None:  # type: ignore[no-untyped-def]
    reads = relatives(*(V4 if region == "V4" else V3_V4))
    reads[:20] = [turn(s) for s in with_primers(region, reads[:20])]
    (said,) = notices(reads, region)
    assert said.startswith("20 of 60 reads begin or end with primer ")
    assert all(name in said for name in names)
    assert said.endswith(f"linnet extract SEQUENCES --primers {region} --out FILE")


def test_primers_are_found_after_spacers_and_with_errors() -> None:
    random = np.random.default_rng(1)
    reads = with_primers("V4", relatives(*V4))
    spaced = ["".join(random.choice(list("ACGT"), i % 9)) + s for i, s in enumerate(reads)]
    assert len(notices(spaced)) == 1
    assert len(notices([evolve(s, 0.05, random) for s in reads])) == 1
    assert notices(["".join(random.choice(list("ACGT"), 12)) + s[: 19 + 200] for s in reads]) == []


def test_a_single_primer_is_cut_with_cutadapt() -> None:
    reads = with_primers("V4", relatives(*V4))
    (forward,) = notices([s[:150] for s in reads])
    assert forward.endswith("cutadapt -g GTGYCAGCMGCCGCGGTAA -o FILE SEQUENCES")
    (reverse,) = notices([reverse_complement(s)[:150] for s in reads])
    assert reverse.endswith("cutadapt -g GGACTACNVGGGTWTCTAAT -o FILE SEQUENCES")
    (end,) = notices([s[-150:] for s in reads])
    assert end.endswith("cutadapt -a ATTAGAWACCCBNGTAGTCC -o FILE SEQUENCES")


def test_primers_of_a_pair_without_a_name_are_given_as_they_are() -> None:
    (said,) = notices([GENE[514:926]] * 10)
    assert "515F (Parada 2016) or 926R (Parada 2016)" in said
    assert said.endswith("--primers V4-V5 --out FILE")
    (said,) = notices([GENE[340:926]] * 10)
    assert said.endswith("--primers CCTACGGGNGGCWGCAG,CCGYCAATTYMTTTRAGTTT --out FILE")


def test_a_few_reads_that_begin_at_a_primer_are_chance() -> None:
    assert notices(with_primers("V4", relatives(*V4, count=4))) == []
    assert notices(with_primers("V4", relatives(*V4, count=9)) + relatives(*V4, count=100)) == []


WRONG = [
    ("V4", V3_V4, ["reach beyond V4", "358-784", "Use a model for V3-V4 or for any region."]),
    (
        "V4",
        (1, 1542),
        ["reach beyond V4", "model for the whole gene or for any", "extract SEQUENCES --primers V4 --out"],
    ),
    ("V4", (28, 400), ["lie mostly outside V4", "28-400", "Use a model for any region."]),
    ("V4", (534, 906), ["reach beyond V4", "534-906", "Use a model for any region."]),
    ("V4", (534, 610), ["are shorter than 100 bases (median 77)", "merge pairs"]),
    ("V3-V4", V4, ["are only a part of V3-V4", "534-786", "Use a model for V4 or for any region."]),
    ("V3-V4", (1, 1542), ["reach beyond V3-V4", "extract SEQUENCES --primers V3-V4 --out"]),
    ("full", V4, ["are only a part of the whole gene", "Use a model for V4 or"]),
    ("full", V3_V4, ["are only a part of the whole gene", "Use a model for V3-V4 or"]),
    ("full", (534, 610), ["are shorter than 100 bases"]),
]


@pytest.mark.parametrize(("region", "ends", "words"), WRONG)
def test_a_third_of_the_reads_from_elsewhere_are_noticed_once(
    region: str, ends: tuple[int, int], words: list[str]
) -> None:
    learnt = stretches()[region]
    (said,) = notices(relatives(learnt.first, learnt.last, 40) + relatives(*ends, 20), region)
    assert said.startswith("20 of 60 reads ")
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("region", "length", "words"),
    [
        ("V4", 1500, "much longer than V4, which the model learnt: 1,500 bases"),
        ("full", 250, "much shorter than the whole gene"),
    ],
)
def test_reads_without_a_place_are_judged_by_their_length(region: str, length: int, words: str) -> None:
    random = np.random.default_rng(1)
    (said,) = notices(["".join(random.choice(list("ACGT"), length)) for _ in range(50)], region)
    assert words in said


@pytest.mark.parametrize("region", ["V4", "V3-V4"])
def test_random_reads_of_the_right_length_are_left_to_the_classifier(region: str) -> None:
    random = np.random.default_rng(1)
    assert notices(["".join(random.choice(list("ACGT"), 250)) for _ in range(200)], region) == []


def test_one_gene_given_to_a_model_of_a_region_is_noticed() -> None:
    (said,) = notices([GENE], "V4")
    assert said.startswith("1 of 1 reads reach beyond V4")


def test_letters_as_a_file_has_them_make_no_difference() -> None:
    reads = with_primers("V4", relatives(*V4))
    written = [f"--{s.lower().replace('t', 'u')}.." for s in reads]
    assert notices(written, "full") == notices(reads, "full")
    assert notices(["N" * 300, "", "ACGT"] * 20) == []


def test_records_are_not_held_back_and_notices_come_after_a_thousand() -> None:
    said: list[str] = []
    endless = (SequenceRecord(str(i), GENE) for i in iter(int, 1))
    watched = Notices("V4", said.append).watch(endless)
    assert len(list(islice(watched, LOOK))) == LOOK
    assert said == []
    next(watched)
    assert len(said) == 1
    assert said[0].startswith("1,000 of the first 1,000 reads")
    list(islice(watched, 2 * LOOK))
    assert len(said) == 1


def test_nothing_is_said_of_nothing() -> None:
    assert all(notices([], region) == [] for region in ("any", "V4", "full"))


def test_looking_costs_well_under_a_millisecond_a_record() -> None:
    reads = relatives(*V4, count=LOOK)
    began = time.process_time()
    notices(reads, "V4")
    assert time.process_time() - began < 1e-3 * LOOK


def test_the_gene_is_one_of_the_species(shared_data: Path) -> None:
    assert any(GENE[7:1537] == record.sequence for record in read(shared_data / "data/16s/wol/rrnas_16s.fa.xz"))


@pytest.mark.parametrize("region", ["any", "V4", "V3-V4"])
def test_real_reads_of_v4_pass_in_silence(shared_data: Path, region: str) -> None:
    reads = shared_data / "data/16s/sortmerna/set2_environmental_study_550_amplicon.fasta.gz"
    assert notices([r.sequence for r in islice(read(reads), LOOK)], region) == []


def test_archaea_are_placed_too(shared_data: Path) -> None:
    genes = [r.sequence for r in islice(read(shared_data / "data/16s/sortmerna/silva-arc-16s-id95.fasta.xz"), 600)]
    reads = {
        name: [s[at[0] : at[1]] for s, at in zip(genes, amplicons(genes, region), strict=True) if at]
        for name, region in REGIONS.items()
    }
    assert notices(genes, "full") == notices(reads["V4"], "V4") == notices(reads["V3-V4"], "V3-V4") == []
    assert "reach beyond V4" in notices(reads["V3-V4"], "V4")[0]
    assert "reach beyond V4" in notices(genes, "V4")[0]
    assert "only a part of the whole gene" in notices(reads["V4"], "full")[0]
