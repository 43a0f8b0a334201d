"""`linnet train proteins`: from FASTA with taxids to a model that names proteins."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from linnet import checkpoint
from linnet.__main__ import main
from linnet.residues import RESIDUES

TREE = (
    "taxid\tparent\trank\tname\n1\t1\tno rank\troot\n2\t1\tdomain\tBacteria\n"
    "10\t2\tgenus\tAlpha\n11\t10\tspecies\tAlpha prima\n12\t10\tspecies\tAlpha secunda\n20\t2\tgenus\tBeta\n21\t20\tspecies\tBeta sola\n"
)
SMALL = ["--epochs", "4", "--buckets", "400", "--width", "16", "--taxa", "8", "--hidden", "16", "--batch", "16",
         "--ks", "2,3", "--learning-rate", "0.02", "--threads", "1"]  # fmt: skip


def proteins(seed: int = 0, copies: int = 25) -> dict[str, list[str]]:
    """Proteins of three species, by taxid, each evolved from an ancestor of its own."""
    random = np.random.default_rng(seed)
    found = {}
    for taxid in ("11", "12", "21"):
        ancestor = random.integers(20, size=90)
        rows = np.where(random.random((copies, 90)) < 0.1, random.integers(20, size=(copies, 90)), ancestor)
        found[taxid] = ["".join(RESIDUES[r] for r in row) for row in rows]
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    (folder / "tree.tsv").write_text(TREE)
    with gzip.open(folder / "p.faa.gz", "wt") as file:
        for taxid, sequences in proteins().items():
            file.writelines(
                f">sp|P{taxid}{i}|X Some protein OS=x OX={taxid} PE=1\n{s}\n" for i, s in enumerate(sequences)
            )
        file.write(">sp|Q1|X of a deleted taxon OX=999\nMKTAYIAKQRQISFVKSHFSRQMKTAYIAKQRQISFVKSHFSRQ\n")
        file.write(f">sp|Q2|X too short OX=11\nMKT\n>again same as the first OX=11\n{proteins()['11'][0]}\n")
    return folder


def train(world: Path, out: Path, *more: str) -> int:
    return main(["train", "proteins", "--taxonomy", str(world / "tree.tsv"), "--out", str(out), *SMALL, *more])


def test_a_model_is_trained_and_names_proteins(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = tmp_path / "shards"
    assert train(world, tmp_path / "m", "--sequences", str(world / "p.faa.gz"), "--shards", str(shards)) == 0
    said = capsys.readouterr().err
    assert "78 records; OX=: 77; unknown taxid: 1" in said
    assert "75 proteins" in said
    model = checkpoint.load(tmp_path / "m")
    assert model.model["config"]["model"]["encoder"]["ks"] == [2, 3]
    assert model.origin["proteins"] == 75
    names = {"11": "Alpha prima", "12": "Alpha secunda", "21": "Beta sola"}
    queries = tmp_path / "q.faa"
    queries.write_text("".join(f">{taxid}\n{sequences[0]}\n" for taxid, sequences in proteins().items()))
    out = tmp_path / "named.tsv"
    assert (
        main(["classify", str(queries), "--model", str(tmp_path / "m"), "--confidence", "0.3", "--out", str(out)]) == 0
    )
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    at = {name: i for i, name in enumerate(rows[0])}
    assert [row[0] for row in rows[1:]] == ["11", "12", "21"]
    for row in rows[1:]:
        assert names[row[0]] in row[at["uncut"]]
        assert "Bacteria" in row[at["kept"]]

    again = tmp_path / "again"
    assert train(world, again, "--shards", str(shards)) == 0  # from the shards kept, the same model
    assert (again / "model.safetensors").read_bytes() == (tmp_path / "m" / "model.safetensors").read_bytes()


def test_taxids_may_stand_in_a_table(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"acc{taxid}{i}.1", taxid, s) for taxid, some in proteins().items() for i, s in enumerate(some)]
    (tmp_path / "p.faa").write_text("".join(f">{a} something\n{s}\n" for a, _, s in rows))
    (tmp_path / "t.tsv").write_text(
        "accession\taccession.version\ttaxid\tgi\n" + "".join(f"{a[:-2]}\t{a}\t{t}\t0\n" for a, t, _ in rows)
    )
    more = ["--sequences", str(tmp_path / "p.faa"), "--accessions", str(tmp_path / "t.tsv"), "--no-refit"]
    assert train(world, tmp_path / "m", *more) == 0
    assert "accession table: 75" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "neither --sequences nor --shards"), (["--sequences", "none.faa"], "no such file"),
        (["--sequences", "{tree}"], "FASTA"), (["--shards", "{nowhere}"], "nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_said_in_a_line(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    more = [x.format(tree=world / "tree.tsv", nowhere=tmp_path / "nowhere") for x in more]
    assert train(world, tmp_path / "m", *more) in (1, 2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("linnet: error: ")
    assert said in error
    assert not (tmp_path / "m").exists()
    assert not [p for p in tmp_path.iterdir() if "shards" in p.name]


def test_a_model_of_genes_wants_sequences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rrna", "--out", str(tmp_path / "m")]) == 2
    assert "no --sequences" in capsys.readouterr().err
