"""linnet extract: what comes out, on which strand, and what is said of the rest."""

from __future__ import annotations

import gzip
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from conftest import write_fasta

from linnet import regions
from linnet.__main__ import main
from linnet.errors import UserError
from linnet.extract import Extraction, Tally, extract, texts
from linnet.records import SequenceRecord, read, reverse_complement
from linnet.regions import REGIONS, Outcome

REGION = REGIONS["V4"]
FORWARD, REVERSE = "GTGCCAGCAGCCGCGGTAA", "GGACTACAAGGGTATCTAAT"
RANDOM = np.random.default_rng(21)


def bases(n: int) -> str:
    return "".join(RANDOM.choice(list("ACGT"), n))


INSERT = bases(252)
WHOLE = FORWARD + INSERT + reverse_complement(REVERSE)
GENE = bases(40) + WHOLE + bases(60)


def fastq(id: str, sequence: str) -> SequenceRecord:
    return SequenceRecord(id, sequence, "of a sample", "".join(chr(33 + i % 40) for i in range(len(sequence))))


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = main(["extract", *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def outcomes(*sequences: str, **options: object) -> list[str]:
    records = [SequenceRecord(str(i), s) for i, s in enumerate(sequences)]
    return [str(e.outcome) for e in extract(records, REGION, **options)]  # type: ignore[arg-type]


def test_a_read_is_cut_with_its_qualities_and_keeps_its_name() -> None:
    read_ = fastq("r1", GENE)
    (found,) = extract([read_], REGION)
    assert read_.quality is not None
    amplicon = replace(read_, sequence=INSERT, quality=read_.quality[59 : 59 + 252])
    assert found == Extraction(Outcome.FOUND, amplicon, length=252)


def test_a_read_on_the_other_strand_is_turned() -> None:
    read_ = fastq("r1", reverse_complement(GENE))
    (found,) = extract([read_], REGION)
    assert found.turned
    assert found.amplicon is not None and read_.quality is not None
    assert found.amplicon.sequence == INSERT
    assert found.amplicon.quality == read_.quality[::-1][59 : 59 + 252]


def test_one_strand_only_when_asked() -> None:
    both = (GENE, reverse_complement(GENE))
    assert outcomes(*both) == ["found", "found"]
    assert outcomes(*both, strand="forward") == ["found", "neither primer"]
    assert outcomes(*both, strand="reverse") == ["neither primer", "found"]


def test_the_strand_with_fewer_errors_counts() -> None:
    worse = GENE.replace(FORWARD, FORWARD.replace("CCGC", "CTGC"))
    joined = worse + bases(50) + reverse_complement(bases(30) + WHOLE)
    (found,) = extract([SequenceRecord("r", joined)], REGION)
    assert found.turned


def test_every_reason_is_told_apart() -> None:
    start, end = GENE.index(FORWARD), GENE.index(INSERT) + len(INSERT)
    inside = start + len(FORWARD)
    sequences = [
        GENE[inside:], GENE[:end], GENE[inside:end], GENE[:inside] + INSERT[:100] + GENE[end:],
        GENE[:inside] + 3 * INSERT + GENE[end:], GENE[end:] + GENE[:inside], "", "N" * 400,
    ]  # fmt: skip
    expected = [
        "no forward primer", "no reverse primer", "neither primer", "too short",
        "too long", "primers in the wrong order", "neither primer", "neither primer",
    ]  # fmt: skip
    assert outcomes(*sequences) == expected
    assert outcomes(*map(reverse_complement, sequences)) == expected


def test_primers_are_kept_when_asked() -> None:
    for sequence in (GENE, reverse_complement(GENE)):
        (found,) = extract([fastq("r", sequence)], REGION, keep_primers=True)
        assert found.amplicon is not None and found.amplicon.quality is not None
        assert found.amplicon.sequence == WHOLE
        assert len(found.amplicon.quality) == len(WHOLE)
        assert found.length == 252


def test_records_are_read_as_the_amplicons_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "_BLOCK", 2000)
    endless = repeat(SequenceRecord("r", GENE))
    stream = extract(endless, REGION)
    assert [next(stream).length for _ in range(20)] == [252] * 20


def test_qualities_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="record 'r' has 5 qualities for 391 bases"):
        list(extract([SequenceRecord("r", GENE, quality="IIIII")], REGION))


def test_fasta_and_fastq_do_not_mix_by_accident() -> None:
    with_quality, without = fastq("a", "ACGT"), SequenceRecord("b", "ACGT", "text")
    assert list(texts([with_quality])) == ['@a of a sample\nACGT\n+\n!"#$\n']
    assert list(texts([without, with_quality], "fasta")) == [">b text\nACGT\n", ">a of a sample\nACGT\n"]
    for pair, asked in (((with_quality, without), None), ((without, with_quality), None), ((without,), "fastq")):
        with pytest.raises(UserError, match="Extract from FASTA and from FASTQ separately"):
            list(texts(pair, asked))  # type: ignore[arg-type]


def test_the_tally_says_how_many_came_to_what() -> None:
    tally = Tally()
    turned = reverse_complement(GENE)
    other = GENE.replace(INSERT, INSERT[:-20])
    twice = GENE + bases(600) + GENE
    sequences = [GENE, turned, other, twice, GENE[100:], "ACGT"]
    list(tally.watch(extract([SequenceRecord("r", s) for s in sequences], REGION)))
    assert tally.lines() == [
        "6 records; amplicon found in 4 (66.7%), 1 of them turned from the other strand",
        "232 to 252 bases between the primers, median 252",
        "1 of them have another amplicon with as few errors; the shortest is taken",
        "no forward primer: 1 (16.7%)",
        "neither primer: 1 (16.7%)",
    ]
    assert Tally().lines() == ["no records"]


def test_the_command_streams_fastq_to_a_compressed_file(capsys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    reads = [fastq(f"r{i}", s) for i, s in enumerate([GENE, bases(300), reverse_complement(GENE)])]
    source = tmp_path / "reads.fastq.gz"
    with gzip.open(source, "wt") as file:
        file.writelines(texts(reads))
    code, out, err = run(capsys, source, "--primers", "v4", "--out", tmp_path / "v4.fastq.gz")
    assert (code, out) == (0, "")
    assert "3 records; amplicon found in 2 (66.7%), 1 of them turned" in err
    expected = [e.amplicon for e in extract(reads, REGION) if e.amplicon]
    assert list(read(tmp_path / "v4.fastq.gz")) == expected
    assert run(capsys, source, "--primers", "V4", "--out", tmp_path / "v4.fa.gz")[0] == 0
    assert list(read(tmp_path / "v4.fa.gz")) == [replace(record, quality=None) for record in expected]


def test_own_primers_lengths_and_mismatches(capsys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    near = GENE.replace(FORWARD, "GTCGCAGCAGCCGCGGTAA")
    source = write_fasta(tmp_path / "genes.fasta", {"a": GENE, "b": near})
    primers = ["--primers", f"{FORWARD.replace('T', 'U')},{REVERSE}"]
    assert run(capsys, source, *primers)[1] == f">a\n{INSERT}\n>b\n{INSERT}\n"
    assert run(capsys, source, *primers, "--mismatches", 1)[1] == f">a\n{INSERT}\n"
    assert run(capsys, source, *primers, "--min-length", 253)[1] == ""
    assert run(capsys, source, *primers, "--max-length", 251)[1] == ""
    kept = run(capsys, source, *primers, "--keep-primers", "--strand", "forward", "--mismatches", 0)
    assert kept[1] == f">a\n{WHOLE}\n"


def test_what_to_try_is_said_when_nothing_is_found(capsys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = write_fasta(tmp_path / "genes.fasta", {"a": INSERT})
    code, _, err = run(capsys, source, "--primers", "V4", "--out", tmp_path / "out.fasta")
    assert code == 0
    assert "neither primer: 1 (100.0%)" in err
    assert "trimmed of them already" in err and "--mismatches" in err
    assert (tmp_path / "out.fasta").read_text() == ""


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--primers", "V44"], 2, "'V44' is not a known region. Expected one of V4, V3-V4"),
        (["--primers", "V4", "--mismatches", "-1"], 2, "--mismatches -1. Expected a whole number, 0 or more"),
        (["--primers", "V4", "--mismatches", "many"], 2, "--mismatches many. Expected a whole number, 0 or more"),
        (["--primers", "V4", "--mismatches", "15"], 2, "with 15 errors fits random bases once in 1. "),
        (["--primers", "V4", "--min-length", "600"], 2, "products of 600 to 500 bases. Expected 1 or more"),
        (["--primers", "V4", "--out", "{source}"], 2, "is also read"),
        (["-", "-", "--primers", "V4"], 2, "standard input is named twice"),
        (["--primers", "V4", "--out", "{source}.fastq"], 1, "record 'a' has no qualities"),
        (["nowhere.fasta", "--primers", "V4"], 1, "nowhere.fasta: no such file"),
    ],
)
def test_mistakes_are_told(  # type: ignore[no-untyped-def]
    capsys, tmp_path: Path, argv: list[str], code: int, message: str
) -> None:
    source = write_fasta(tmp_path / "genes.fasta", {"a": GENE})
    got, _, err = run(capsys, *([source] if argv[0] == "--primers" else []), *(a.format(source=source) for a in argv))
    assert got == code
    assert message in err
    assert [p.name for p in tmp_path.iterdir()] == ["genes.fasta"]
