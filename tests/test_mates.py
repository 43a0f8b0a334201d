from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from linnet.errors import UsageError, UserError
from linnet.mates import LeftOut, read_all

READS = ["M1:7:FC:1:1101:100:2", "M1:7:FC:1:1101:104:9", "M1:7:FC:1:1102:7:31"]


def write(path: Path, headers: list[str], sequence: str = "ACGT") -> str:
    """FASTQ or FASTA, as the name says."""
    path.parent.mkdir(exist_ok=True)
    if "fastq" in path.name or "fq" in path.name:
        text = "".join(f"@{header}\n{sequence}\n+\n{'I' * len(sequence)}\n" for header in headers)
    else:
        text = "".join(f">{header}\n{sequence}\n" for header in headers)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def ids(*paths: str, **options) -> list[str]:  # type: ignore[no-untyped-def]
    return [record.id for record in read_all(paths, **options)]


def test_files_are_read_in_the_order_given(tmp_path: Path) -> None:
    paths = [write(tmp_path / "b.fasta", ["x", "y"]), write(tmp_path / "a.fastq", ["z"])]
    assert ids(*paths) == ["x", "y", "z"]


def test_a_file_is_opened_when_its_turn_comes(tmp_path: Path) -> None:
    records = read_all([write(tmp_path / "a.fasta", ["x"]), str(tmp_path / "none.fasta")])
    assert next(records).id == "x"
    with pytest.raises(UserError, match="no such file"):
        next(records)


NAMES = [
    ("s_R1.fastq", "s_R2.fastq"),
    ("s.R1.fq", "s.R2.fq"),
    ("sampleR1.fq", "sampleR2.fq"),
    ("SRR10_1.fastq.gz", "SRR10_2.fastq.gz"),
    ("9-A_S1_L001_R1_001.fastq.gz", "9-A_S1_L001_R2_001.fastq.gz"),
    ("forward.fastq", "reverse.fastq"),
    ("s_fwd.fasta", "s_rev.fasta"),
    ("s_F_filt.fastq", "s_R_filt.fastq"),
    ("R1/s.fastq", "R2/s.fastq"),
]


@pytest.mark.parametrize(("one", "two"), NAMES)
def test_files_named_as_mates_with_the_same_ids_are_a_pair(tmp_path: Path, one: str, two: str) -> None:
    forward, reverse = write(tmp_path / one, READS, "AAA"), write(tmp_path / two, READS, "CCC")
    for paths in ([forward, reverse], [reverse, forward]):
        with pytest.raises(UserError, match=f"{READS[0]}.*is in both.*fastq_mergepairs.*--mates forward") as error:
            read_all(paths)
        assert error.value.where == f"{forward} and {reverse}"
        left_out = LeftOut()
        assert [r.sequence for r in read_all(paths, "forward", left_out=left_out)] == ["AAA"] * 3
        assert left_out == LeftOut(files=[reverse])


@pytest.mark.parametrize("ending", ["fasta", "fastq"])
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([f"{r} 1:N:0:ACGT" for r in READS], [f"{r} 2:N:0:ACGT" for r in READS]),
        ([f"{r}/1" for r in READS], [f"{r}/2" for r in READS]),
        (["SRR9.1.1", "SRR9.2.1"], ["SRR9.1.2", "SRR9.2.2"]),
    ],
)
def test_headers_tell_a_pair_whatever_the_files_are_called(
    tmp_path: Path, one: list[str], two: list[str], ending: str
) -> None:
    paths = [write(tmp_path / f"these.{ending}", one), write(tmp_path / f"those.{ending}", two)]
    with pytest.raises(UserError, match=r"these.* and .*those.*hold the two reads of each fragment"):
        read_all(paths)
    assert len(ids(*paths, mates="forward")) == len(one)


def test_reads_filtered_each_on_its_own_are_still_a_pair(tmp_path: Path) -> None:
    reads = [f"M1:7:{n}" for n in range(100)]
    paths = [
        write(tmp_path / "s_R1.fastq", [r for i, r in enumerate(reads) if i % 3]),
        write(tmp_path / "s_R2.fastq", reads[1:]),
    ]
    with pytest.raises(UserError, match="is in both"):
        read_all(paths)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (["a1.1", "a1.2"], ["a2.1", "a2.2"]),
        (["seq1", "seq2"], ["seq1", "seq2"]),
        (["1", "2", "3"], ["1", "2", "3"]),
        ([f"{r} 1:N:0:ACGT" for r in READS], [f"{r} 1:N:0:ACGT" for r in READS]),
    ],
)
def test_two_samples_that_are_numbered_are_no_pair(tmp_path: Path, one: list[str], two: list[str]) -> None:
    paths = [write(tmp_path / "sample_1.fasta", one), write(tmp_path / "sample_2.fasta", two)]
    for mates in ("refuse", "forward"):
        assert len(ids(*paths, mates=mates)) == len(one) + len(two)


def test_the_pairs_of_several_samples_and_single_files_are_told_apart(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"s{sample}_R{mate}.fastq", [f"M1:{sample}:{n}" for n in range(4)])
        for sample in range(3)
        for mate in (1, 2)
    ]
    single = write(tmp_path / "t_R2.fastq", ["M1:9:1"])
    left_out = LeftOut()
    assert len(ids(*paths, single, mates="forward", left_out=left_out)) == 3 * 4 + 1
    assert left_out.files == paths[1::2]


@pytest.mark.parametrize("headers", [["a:1 2:N:0:ACGT", "a:2 2:N:0:ACGT"], ["a:1/2", "a:2/2"]])
@pytest.mark.parametrize("mates", ["refuse", "forward"])
def test_reverse_reads_alone_are_read(tmp_path: Path, headers: list[str], mates: str) -> None:
    assert len(ids(write(tmp_path / "s_R2.fastq", headers), mates=mates)) == 2


INTERLEAVED = [
    [f"{read}{end}" for read in READS for end in ("/1", "/2")],
    [f"{read} {end}:N:0:ACGT" for read in READS for end in "12"],
    [f"DRR5.{n}.{end}" for n in (1, 2, 3) for end in "12"],
]


@pytest.mark.parametrize("headers", INTERLEAVED)
@pytest.mark.parametrize("name", ["s.fasta", "s.fastq"])
def test_pairs_within_a_file_are_noticed(tmp_path: Path, headers: list[str], name: str) -> None:
    path = write(tmp_path / name, headers)
    with pytest.raises(UserError, match=rf"{name}, record 2: reads 1 and 2 of '.*' follow each other.*--mates forward"):
        ids(path)
    left_out = LeftOut()
    assert ids(path, mates="forward", left_out=left_out) == [h.split()[0] for h in headers[::2]]
    assert left_out == LeftOut(reads=3)


def test_of_each_fragment_one_read_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "s.fastq", ["a/1", "a/2", "b/2", "c/1", "d/1", "d/2"])
    assert ids(path, mates="forward") == ["a/1", "b/2", "c/1", "d/1"]


@pytest.mark.parametrize("headers", [["a", "a", "b"], ["a/1", "b/2", "c/1"], ["a/2", "a/1"], ["a 1:30", "a 2:30"]])
@pytest.mark.parametrize("mates", ["refuse", "forward"])
def test_records_that_are_no_mates_are_all_read(tmp_path: Path, headers: list[str], mates: str) -> None:
    assert len(ids(write(tmp_path / "s.fasta", headers), mates=mates)) == len(headers)


def test_a_file_named_twice_is_read_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "s_R1.fastq", READS)
    assert ids(path, path) == READS * 2


def test_standard_input_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "s_R1.fastq", READS)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b">in\nACGT\n")))
    assert ids("-", path) == ["in", *READS]
    with pytest.raises(UsageError, match="standard input is named twice"):
        read_all(["-", path, "-"])


def test_pipes_are_not_looked_into_beforehand(tmp_path: Path) -> None:
    names = [str(tmp_path / "s_R1.fasta"), str(tmp_path / "s_R2.fasta")]
    for name in names:
        os.mkfifo(name)
    feeders = [threading.Thread(target=Path(name).write_text, args=(">a:1:2\nAC\n",)) for name in names]
    for feeder in feeders:
        feeder.start()
    assert ids(*names) == ["a:1:2"] * 2
    for feeder in feeders:
        feeder.join()


def test_letters_are_read_as_asked(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.fasta", ["x"], "acgu"), write(tmp_path / "b.fasta", ["y"], "acgu")]
    assert [r.sequence for r in read_all(paths, alphabet="raw")] == ["acgu"] * 2
