"""Contig depths: every dialect says the same, and what cannot be depths is refused."""

from __future__ import annotations

import gzip
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from linnet.depths import Depths, read_depths
from linnet.errors import UserError

CONTIGS = ["c1", "c2", "c3"]
EXPECTED = [[1.5, 0.0], [2.0, 4.25], [0.0, 30.0]]

VAMB = "contigname\ts1\ts2\nc1\t1.5\t0.0\nc2\t2\t4.25\nc3\t0\t3e1\n"
JGI = (
    "contigName\tcontigLen\ttotalAvgDepth\ts1\ts1-var\ts2\ts2-var\n"
    "c3\t900\t30\t0\t7\t30\t7\nc1\t100\t1.5\t1.5\t7\t0\t7\nc2\t300\t6.25\t2\t7\t4.25\t7\n"
)
COVERM = (
    "Contig\ts1 Length\ts1 Mean\ts1 Trimmed Mean\ts1 TPM\ts2 Length\ts2 Mean\ts2 Trimmed Mean\ts2 TPM\n"
    "unmapped\tNA\tNA\tNA\t8\tNA\tNA\tNA\t8\n"
    "c1\t100\t1.5\t9\t8\t100\t0\t9\t8\nc2\t300\t2\t9\t8\t300\t4.25\t9\t8\nc3\t900\t0\t9\t8\t900\t30\t9\t8\n"
)


def write(folder: Path, text: str, name: str = "depth.tsv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def depths_of(folder: Path, text: str, name: str = "depth.tsv", contigs: list[str] = CONTIGS) -> Depths:
    return read_depths([write(folder, text, name)], contigs)


@pytest.mark.parametrize(
    "text",
    [
        VAMB,
        VAMB.replace("\n", "\r\n"),
        VAMB.replace("contigname", "#contig"),
        VAMB.replace("contigname", "Contig"),
        VAMB.replace("contigname", ""),
        VAMB.replace("c2\t", "c2 flag=1 len=300\t"),
        VAMB + "other\tNA\t-\n",
        "\n" + VAMB + "\n\n",
        "contig\tlength\ts1\ts2\nc1\t5\t1.5\t0\nc2\t5\t2\t4.25\nc3\t5\t0\t30\n",
        JGI,
        COVERM,
        COVERM.replace("Trimmed Mean", "Variance"),
        COVERM.replace(" Mean", " Variance").replace(" Trimmed Variance", " Covered Bases").replace(" Variance", " Trimmed Mean"),
    ],
)  # fmt: skip
def test_every_dialect_gives_the_same_depths_in_the_order_asked_for(tmp_path: Path, text: str) -> None:
    found = depths_of(tmp_path, text)
    assert found.samples == ("s1", "s2")
    assert found.depth_CS.dtype == np.float32
    assert found.depth_CS.tolist() == EXPECTED
    assert found.missing == 0


def test_compressed_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "depth.tsv.gz"
    path.write_bytes(gzip.compress(VAMB.encode()))
    assert read_depths([path], CONTIGS).depth_CS.tolist() == EXPECTED


def test_a_file_for_each_sample_names_the_samples_after_the_files(tmp_path: Path) -> None:
    one = write(tmp_path, "c2\t2\nc1\t1.5\n", "day.1.tsv")
    two = write(tmp_path, "c3\t30\nc1\t0\nc2\t4.25\n", "day.2.tsv.txt")
    found = read_depths([one, two], CONTIGS)
    assert found.samples == ("day.1", "day.2.tsv")
    assert found.depth_CS.tolist() == EXPECTED


def test_columns_of_several_tables_stand_side_by_side(tmp_path: Path) -> None:
    one, two = write(tmp_path, VAMB, "one"), write(tmp_path, "Contig\ts3 Mean\nc2\t7\n", "two")
    found = read_depths([str(one), two], CONTIGS)
    assert found.samples == ("s1", "s2", "s3")
    assert found.depth_CS.tolist() == [[*row, third] for row, third in zip(EXPECTED, (0, 7, 0), strict=True)]


def test_a_column_that_tells_only_the_method_is_named_after_the_file(tmp_path: Path) -> None:
    assert depths_of(tmp_path, "Contig\tMean\nc1\t2\n", "soil.tsv").samples == ("soil",)


def test_samples_of_one_name_are_told_apart_by_their_files(tmp_path: Path) -> None:
    one, two = write(tmp_path, "c1\t1\n", "a/abundance.tsv"), write(tmp_path, "c1\t2\n", "b/abundance.tsv")
    found = read_depths([one, two], CONTIGS)
    assert found.samples == (f"abundance ({one})", f"abundance ({two})")
    with pytest.raises(UserError, match=r"2 samples are called 'abundance \(.*a/abundance\.tsv\)'"):
        read_depths([one, one], CONTIGS)


def test_contigs_in_no_table_are_counted_and_get_nothing(tmp_path: Path) -> None:
    one, two = write(tmp_path, "c1\t1\n", "one"), write(tmp_path, "c2\t2\n", "two")
    found = read_depths([one, two], ["c3 low", "c2", "c1 flag=0", "c4"])
    assert found.missing == 2
    assert found.depth_CS.tolist() == [[0, 0], [0, 2], [1, 0], [0, 0]]


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "-0.1", "1e39", "1,5", "NA", "x"])
def test_what_is_no_depth_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    text = f"contigname\ts1\ts2\nc1\t1\t1\nc2\t1\t{cell}\n"
    with pytest.raises(UserError, match=rf"depth\.tsv, line 3: '{cell}' as the depth of contig 'c2' in sample 's2'"):
        depths_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "depth.tsv: the file is empty"),
        ("contigname\ts1\n", "depth.tsv: there are no contigs in it"),
        ("contigname\ts1\nx1 y\t1\nx2\t1\n", "none of the 3 contigs stands in it: its ids look like 'x1', theirs like 'c1'"),
        ("contigname\ts1\nc1\t1\nc2\t1\t1\n", "depth.tsv, line 3: 3 cells. Expected 2"),
        ("contigname\ts1\nc1\n", "depth.tsv, line 2: 1 cells. Expected 2"),
        ("contigname\ts1\nc1\t1\nc1 again\t1\n", "depth.tsv, line 3: a second row for contig 'c1'"),
        ("contigname\ts1\ts1\nc1\t1\t1\n", "depth.tsv, line 1: two columns are called 's1'"),
        ("Contig\ts Mean\ts Mean\nc1\t1\t1\n", "depth.tsv, line 1: two columns are called 's Mean'"),
        ("contigName\tcontigLen\ttotalAvgDepth\nc1\t1\t1\n", "depth.tsv, line 1: no column of a sample"),
        ("Contig\ts1 Mean\ts2 TPM\ts2 Length\nc1\t1\t1\t1\n", "for sample 's2' it tells tpm, length, but no depth"),
        ("Contig\ts1 Relative Abundance (%)\nc1\t1\n", "for sample 's1' it tells relative abundance (%), but no depth"),
        ("Contig\ts1 Read Count\nc1\t1\n", "'coverm contig' with '--methods mean'"),
        ("Sample\tContig\tMean\ns1\tc1\t1\n", "line 1: neither a header nor a contig and its depth: 'Sample Contig Mean'"),
        ("#ID\tAvg_fold\tLength\nc1\t2\t100\n", "line 1: neither a header nor a contig and its depth"),
        ("c1\t1\t2\nc2\t1\t2\n", "put 'contigname' and the names of the samples over it"),
        ("contigname,s1\nc1,1\n", "line 1: neither a header nor a contig and its depth: 'contigname,s1'"),
    ],
)  # fmt: skip
def test_tables_that_are_not_depths_are_refused_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        depths_of(tmp_path, text)


def test_files_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.tsv: no such file"):
        read_depths([tmp_path / "gone.tsv"], CONTIGS)
    with pytest.raises(UserError, match="Is a directory"):
        read_depths([tmp_path], CONTIGS)
    (tmp_path / "x.cram").write_bytes(b"CRAM\3\0 and so on")
    with pytest.raises(UserError, match=r"x\.cram: this is CRAM, which is not read.*samtools view -b"):
        read_depths([tmp_path / "x.cram"], CONTIGS)


def test_contigs_that_differ_only_behind_a_blank_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two contigs are called 'contig', up to the first blank"):
        depths_of(tmp_path, VAMB, contigs=["contig 1", "contig 2"])


def test_taxometers_abundances_are_read_as_they_stand(shared_data: Path) -> None:
    path = shared_data / "parity" / "taxometer" / "abundance.tsv"
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    order = random.Random(1).sample(rows, len(rows))
    found = read_depths([path], [row[0] for row in order])
    assert (found.samples, found.missing) == (tuple(header[1:]), 0)
    assert np.array_equal(found.depth_CS, np.array([row[1:] for row in order], np.float32))


# ---------------------------------------------------------------------- BAM

SAM = """\
@SQ	SN:c1	LN:100
@SQ	SN:c2	LN:50
@SQ	SN:other	LN:10
r1	0	c2	1	60	10M	*	0	0	AAAAAAAAAA	*
r2	16	c1	11	60	2S4M1I2=1X3D10N5M3H	*	0	0	AAAAAAAAAAAAAAA	*
r2	2064	c1	50	60	18H5M	*	0	0	AAAAA	*
r2	272	c1	60	0	15M	*	0	0	*	*
r3	1024	c1	11	60	5M	*	0	0	AAAAA	*
r4	4	c1	11	0	5M	*	0	0	AAAAA	*
r5	4	*	0	0	*	*	0	0	AAAAA	*
r6	73	c1	21	60	5M	=	21	0	AAAAA	*
r6	133	c1	21	0	*	=	21	0	AAAAA	*
r7	0	other	1	60	5M	*	0	0	AAAAA	*
"""


def bam(folder: Path, sam: str, name: str = "s1.bam") -> Path:
    pysam = pytest.importorskip("pysam", reason="pysam is not installed: it reads BAM files")
    path = folder / name
    pysam.view("-b", "-o", str(path), str(write(folder, sam, "x.sam")), catch_stdout=False)
    return path


def test_a_bam_file_counts_aligned_bases_of_primary_alignments(tmp_path: Path) -> None:
    found = read_depths([bam(tmp_path, SAM)], ["c2", "c1 flag=1", "c4"])
    assert found.samples == ("s1",)
    assert found.depth_CS.tolist() == [[np.float32(10 / 50)], [np.float32((4 + 2 + 1 + 5 + 5) / 100)], [0]]
    assert found.missing == 1


def test_a_bam_file_agrees_with_counting_base_by_base(tmp_path: Path) -> None:
    draw = random.Random(1)
    covered = {"c1": [0] * 400, "c2": [0] * 300}
    lines = [f"@SQ\tSN:{name}\tLN:{len(at)}" for name, at in covered.items()]
    for i in range(500):
        name, start, position = draw.choice(["c1", "c2"]), draw.randrange(150), 0
        cigar, kinds = "", "MIMDM" if draw.random() < 0.5 else "SM=XNM"
        length = 0
        for kind in kinds:
            n = draw.randint(1, 20)
            cigar += f"{n}{kind}"
            for step in range(n if kind in "M=X" else 0):
                covered[name][start + position + step] += 1
            position += n if kind in "M=XDN" else 0
            length += n if kind in "M=XIS" else 0
        lines.append(f"r{i}\t{draw.choice([0, 16])}\t{name}\t{start + 1}\t60\t{cigar}\t*\t0\t0\t{'A' * length}\t*")
    found = read_depths([bam(tmp_path, "\n".join(lines) + "\n")], ["c1", "c2"])
    assert found.depth_CS[:, 0].tolist() == pytest.approx([sum(at) / len(at) for at in covered.values()])


def test_bam_files_and_tables_go_together(tmp_path: Path) -> None:
    found = read_depths([write(tmp_path, VAMB.replace("s1", "s0")), bam(tmp_path, SAM)], CONTIGS)
    assert found.samples == ("s0", "s2", "s1")
    assert found.depth_CS[:, 2].tolist() == pytest.approx([0.17, 0.2, 0.0])


def test_a_bam_file_cut_short_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = bam(tmp_path, SAM).read_bytes()
    (tmp_path / "cut.bam").write_bytes(whole[:-28])  # the mark of the end: what is left are whole blocks
    with pytest.raises(UserError, match=r"cut\.bam: it cannot be read as BAM.*samtools quickcheck"):
        read_depths([tmp_path / "cut.bam"], CONTIGS)
    assert capfd.readouterr().err == ""


def test_a_bam_file_damaged_or_without_contigs_is_refused(tmp_path: Path) -> None:
    lines = "".join(f"r{i}\t0\tc1\t1\t60\t5M\t*\t0\t0\tAAAAA\t*\n" for i in range(20_000))
    damaged = bytearray(bam(tmp_path, SAM + lines, "damaged.bam").read_bytes())
    damaged[-1000] ^= 0xFF
    (tmp_path / "damaged.bam").write_bytes(damaged)
    with pytest.raises(UserError, match=r"damaged\.bam: it cannot be read as BAM \((?!.*No such file)"):
        read_depths([tmp_path / "damaged.bam"], CONTIGS)
    with pytest.raises(UserError, match=r"reads\.bam: it cannot be read as BAM"):
        read_depths([bam(tmp_path, "@HD\tVN:1.6\nr5\t4\t*\t0\t0\t*\t*\t0\t0\tAAAAA\t*\n", "reads.bam")], CONTIGS)


def test_a_bam_file_of_other_contigs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s1\.bam: none of the 1 contigs.*look like 'c1', theirs like 'k141_1'"):
        read_depths([bam(tmp_path, SAM)], ["k141_1"])


def test_without_pysam_a_bam_file_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s1.bam"
    path.write_bytes(gzip.compress(b"BAM\1"))
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(UserError, match=r"pip install 'linnet\[bam\]'"):
        read_depths([path], CONTIGS)
