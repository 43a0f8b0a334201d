"""`linnet split`: a table of sides, files of each side, and flags that do not go together."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from conftest import evolved_genes, write_fasta

from linnet.__main__ import main
from linnet.records import read
from linnet.residues import RESIDUES

GENES, LINEAGES = evolved_genes()
LETTERS = "dpcofgs"
TREE = """taxid	parent	rank	name
1	1	no rank	root
2	1	domain	Bacteria
10	2	family	A
11	10	genus	Aa
12	11	species	Aa prima
13	11	species	Aa secunda
20	2	family	B
21	20	genus	Ba
22	21	species	Ba sola
30	2	family	C
31	30	species	C sine genere
"""
FAMILY = {"12": "A", "13": "A", "11": "A", "22": "B", "31": "C"}
TAXIDS = {f"p{i}": [*FAMILY][i % 5] for i in range(90)}
PROTEINS = {id: "".join(np.random.default_rng(i).choice(list(RESIDUES), 60)) for i, id in enumerate(TAXIDS)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """genes.fasta and lineages.tsv; proteins.faa, whose headers have taxids, and its tree."""
    folder = tmp_path_factory.mktemp("split")
    write_fasta(folder / "genes.fasta", GENES)
    texts = {i: "; ".join(f"{x}__{t.name}" for x, t in zip(LETTERS, row, strict=True)) for i, row in LINEAGES.items()}
    (folder / "lineages.tsv").write_text("".join(f"{i}\t{text}\n" for i, text in texts.items()))
    (folder / "tree.tsv").write_text(TREE)
    with gzip.open(folder / "proteins.faa.gz", "wt") as file:
        file.writelines(f">{id} made up OX={TAXIDS[id]}\n{s}\n" for id, s in PROTEINS.items())
    return folder


def rrna(folder: Path, *more: str) -> int:
    return main(
        ["split", "rrna", "--sequences", f"{folder}/genes.fasta", "--taxonomy", f"{folder}/lineages.tsv", *more]
    )


def proteins(folder: Path, *more: str) -> int:
    given = ["--sequences", f"{folder}/proteins.faa.gz", "--taxonomy", f"{folder}/tree.tsv"]
    return main(["split", "proteins", *given, *more])


def table(path: Path) -> dict[str, str]:
    head, *rows = (line.split("\t") for line in path.read_text().splitlines())
    assert head == ["id", "split"]
    assert {side for _, side in rows} == {"train", "test"}
    return dict(rows)


def test_every_gene_has_a_row_in_order_and_every_side_a_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.tsv"
    assert rrna(folder, "--share", "0.25", "--out", str(out), "--write-fasta", str(tmp_path / "genes")) == 0
    sides = table(out)
    assert [*sides] == [*GENES]
    assert [*sides.values()].count("test") == 24
    for side in ("train", "test"):
        records = {r.id: r.sequence for r in read(tmp_path / f"genes.{side}.fasta")}
        assert records == {id: GENES[id] for id in sides if sides[id] == side}


def test_the_files_of_proteins_keep_their_headers(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.tsv"
    assert proteins(folder, "--method", "clade", "--rank", "family", "--largest", "1000", "--share", "0.5", "--out", str(out), "--write-fasta", str(tmp_path / "p")) == 0  # fmt: skip
    sides = table(out)
    assert [*sides] == [*PROTEINS]
    assert len({FAMILY[TAXIDS[id]] for id, side in sides.items() if side == "test"}) == 2
    assert len({(FAMILY[TAXIDS[id]], side) for id, side in sides.items()}) == 3
    split_again = [r for side in ("train", "test") for r in read(tmp_path / f"p.{side}.fasta", alphabet="protein")]
    assert {r.id: r.sequence for r in split_again} == PROTEINS
    assert all(r.description.startswith("made up OX=") for r in split_again)


def test_clusters_are_kept_together_those_found_and_those_given(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.tsv"
    assert rrna(folder, "--method", "cluster", "--share", "0.2", "--out", str(out)) == 0
    species = {id: row[6] for id, row in LINEAGES.items()}  # copies in one species are near twins
    sides = table(out)
    assert all(len({sides[id] for id in sides if species[id] == s}) == 1 for s in species.values())

    groups = tmp_path / "groups.tsv"
    groups.write_text("".join(f"{species[id].name}\t{id}\n" for id in reversed(GENES)))
    assert rrna(folder, "--method", "cluster", "--groups", str(groups), "--share", "0.26", "--out", str(out)) == 0
    sides = table(out)
    assert [*sides.values()].count("test") == 24
    assert all(len({sides[id] for id in sides if species[id] == s}) == 1 for s in species.values())


def test_the_systematic_sample_needs_no_seed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "split.tsv"
    given = ["--method", "systematic", "--size", "50", "--edges", "2,3", "--out", str(out)]
    assert proteins(folder, *given) == 0
    assert [*table(out).values()].count("test") == 50
    said = capsys.readouterr().err
    assert "depth (edges 2,3)" in said
    assert "4 and more" in said
    assert proteins(folder, *given, "--seed", "1") == 2
    assert "--seed with --method systematic" in capsys.readouterr().err


def test_lineages_in_headers_without_ids_are_numbered_as_in_training(tmp_path: Path) -> None:
    fasta = tmp_path / "dada2.fasta"
    fasta.write_text("".join(f">{';'.join(t.name for t in LINEAGES[i])};\n{s}\n" for i, s in GENES.items()))
    out = tmp_path / "split.tsv"
    assert (
        main(["split", "rrna", "--sequences", str(fasta), "--out", str(out), "--write-fasta", str(tmp_path / "g")]) == 0
    )
    sides = table(out)
    assert [*sides] == [f"reference{i}" for i in range(1, 97)]
    test = [r.sequence for r in read(tmp_path / "g.test.fasta")]
    assert test == [s for side, s in zip(sides.values(), GENES.values(), strict=True) if side == "test"]


def test_records_without_a_taxon_are_counted_and_have_no_row(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fasta, out = tmp_path / "p.faa", tmp_path / "split.tsv"
    with gzip.open(folder / "proteins.faa.gz", "rt") as file:
        fasta.write_text(file.read() + ">stranger OX=77777\nMKTAYIAKQRQ\n")
    given = ["--sequences", str(fasta), "--taxonomy", f"{folder}/tree.tsv", "--out", str(out)]
    assert main(["split", "proteins", *given, "--write-fasta", str(tmp_path / "p")]) == 0
    assert "unknown taxid: 1" in capsys.readouterr().err
    assert "stranger" not in table(out)
    assert "stranger" not in (tmp_path / "p.train.fasta").read_text() + (tmp_path / "p.test.fasta").read_text()

    lineages = tmp_path / "some.tsv"
    lineages.write_text((folder / "lineages.tsv").read_text().replace("r00000\td__Bacteria; p__P0; c__C0; o__O00; f__F00; g__G000; s__S0000", "r00000\t"))  # fmt: skip
    assert (
        main(["split", "rrna", "--sequences", f"{folder}/genes.fasta", "--taxonomy", str(lineages), "--out", str(out)])
        == 0
    )
    assert "1 records have an empty lineage" in capsys.readouterr().err
    assert [*table(out)] == [id for id in GENES if id != "r00000"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rank", "genus"], "--rank with --method random"),
        (["--groups", "x"], "--groups with --method random"),
        (["--method", "clade"], "no --rank"),
        (["--method", "clade", "--rank", "genus", "--identity", "0.4"], "--identity with --method clade"),
        (["--method", "cluster", "--groups", "x", "--identity", "0.4"], "--identity with --groups"),
        (["--method", "cluster", "--identity", "0"], "--identity 0.0"),
        (["--method", "systematic", "--share", "0.1"], "--share with --method systematic"),
        (["--method", "systematic", "--edges", "5,5"], "'5,5' where edges belong"),
        (["--method", "systematic", "--edges", "5,x"], "'5,x' where edges belong"),
        (["--share", "0"], "--share 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--eggnog"], "--eggnog with rrna"),
        (["--accessions", "x"], "--accessions with rrna"),
        (["--sequences", "other.fasta"], "several --sequences"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert rrna(folder, *flags) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--share", "0.001"], "all 96 records are train"),
        (["--share", "1"], "all 96 records are test"),
        (["--method", "clade", "--rank", "tribe"], "no record has a taxon of rank 'tribe'"),
        (["--method", "clade", "--rank", "genus"], "none of the 8 taxa of rank 'genus'"),
        (["--method", "systematic"], "a sample of 100,000 of 96 records"),
    ],
)
def test_a_split_that_leaves_a_side_empty_or_has_no_such_rank_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert rrna(folder, *flags, "--out", str(tmp_path / "split.tsv"), "--write-fasta", str(tmp_path / "g")) == 1
    assert message in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_an_id_that_occurs_twice_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = f"{folder}/proteins.faa.gz"
    assert proteins(folder, "--sequences", twice) == 1
    assert "id 'p0' occurs twice" in capsys.readouterr().err


def test_what_is_read_is_not_written_over(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fasta = write_fasta(tmp_path / "g.test.fasta", GENES)
    given = ["--sequences", str(fasta), "--taxonomy", f"{folder}/lineages.tsv"]
    assert main(["split", "rrna", *given, "--write-fasta", str(tmp_path / "g")]) == 2
    assert "is also read" in capsys.readouterr().err
    assert main(["split", "rrna", *given, "--out", f"{tmp_path}/x.train.fasta", "--write-fasta", f"{tmp_path}/x"]) == 2
    assert "is also written by --write-fasta" in capsys.readouterr().err
    assert main(["split", "proteins", "--sequences", "-", "--taxonomy", "x"]) == 2


def test_nothing_is_said_on_the_screen_when_the_files_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rrna(folder, "--write-fasta", f"{folder}/nowhere/g") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cannot be written" in captured.err
