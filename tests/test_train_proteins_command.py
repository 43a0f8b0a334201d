"""`linnet train proteins`: from FASTA with taxids to a model that names proteins."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from killing import killed, two_processes
from tiny_esm import save_esm

pytest.importorskip("torch")

from linnet import checkpoint
from linnet.__main__ import main
from linnet.residues import RESIDUES

pytestmark = pytest.mark.slow  # trains models

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
        (["--encoder", "kmer"], "train proteins --encoder kmer"), (["--tokenizer", "t.json"], "--tokenizer with proteins"),
        (["--region", "V4"], "--region with proteins"), (["--lora", "4"], "--lora with --encoder words"),
        (["--k", "4"], "--k with --encoder words"), (["--device", "mps"], "--device mps"),
        (["--encoder", "esm"], "--buckets with --encoder esm"),
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


def test_genes_have_no_encoder_of_proteins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, said in (["--encoder", "esm"], "train rrna --encoder esm"), (["--weights", "x"], "--weights"):
        assert main(["train", "rrna", "--sequences", "x", "--out", str(tmp_path / "m"), *more]) == 2
        assert said in capsys.readouterr().err


# ---------------------------------------------------------------------- ESM-2


@pytest.fixture(scope="module")
def esm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ESM-2 as the hub has it."""
    pytest.importorskip("transformers")
    return save_esm(tmp_path_factory.mktemp("tiny-esm"), width=16, layers=1, heads=2, inner=32)


def esm_command(world: Path, esm: Path, out: Path, *more: str) -> list[str]:
    small = ["--epochs", "2", "--batch", "16", "--max-length", "40", "--threads", "1", "--hold-out", "0.3"]
    inputs = ["--sequences", str(world / "p.faa.gz"), "--taxonomy", str(world / "tree.tsv")]
    return ["train", "proteins", *inputs, "--out", str(out), "--encoder", "esm", "--weights", str(esm), *small, *more]


DECODER = ["--width", "24", "--layers", "1", "--heads", "4", "--vocabulary", "20", "--lora", "2"]


def test_an_esm_and_a_decoder_are_trained_kept_and_classify(
    world: Path, esm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    assert main(esm_command(world, esm, tmp_path / "m", *DECODER, "--checkpointing")) == 0
    assert "records set aside at random" in capsys.readouterr().err
    config = checkpoint.load(tmp_path / "m").model["config"]
    sizes = [(part["width"], part["layers"], part["heads"]) for part in (config["encoder"], config["decoder"])]
    assert sizes == [(16, 1, 2), (24, 1, 4)]  # the encoder's are those of its weights
    assert str(esm) not in (tmp_path / "m" / "model.json").read_text()
    (tmp_path / "q.faa").write_text(f">q\n{proteins()['11'][0]}\n")
    assert main(["classify", str(tmp_path / "q.faa"), "--model", str(tmp_path / "m"), "--format", "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["lineage"][0]["name"] == "Bacteria"
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["m"]


def test_several_seeds_make_an_ensemble_with_figures_of_all(
    world: Path, esm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--head", "light", "--taxa", "6", "--hidden", "12", "--lora", "0", "--seeds", "3,4", "--no-refit"]
    assert main(esm_command(world, esm, tmp_path / "m", *more)) == 0
    said = capsys.readouterr().err
    assert "2 seeds, uncut, mean and standard deviation" in said
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["seed-3", "seed-4", "seeds.json"]
    assert set(json.loads((tmp_path / "m" / "seeds.json").read_text())["seeds"]) == {"3", "4"}
    heads = {checkpoint.load(tmp_path / "m" / name).model["head"] for name in ("seed-3", "seed-4")}
    assert heads == {"light"}
    (tmp_path / "q.faa").write_text(f">q\n{proteins()['11'][0]}\n")
    assert main(["classify", str(tmp_path / "q.faa"), "--model", str(tmp_path / "m" / "seed-3")]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--taxa", "8"], "--taxa with --head decoder"), (["--head", "light", "--width", "8"], "--width with --head light"),
        (["--head", "ranks"], "--head ranks with --encoder esm"), (["--buckets", "9"], "--buckets with --encoder esm"),
        (["--tokenizer", "x"], "--tokenizer with proteins"), (["--weights", "nowhere"], "nowhere: no config.json there"),
        (["--weights", "hf://one"], "hf://one"), (["--lora", "0", "--checkpointing"], "does not learn"),
        (["--device", "nonsense"], "--device nonsense cannot be used"), (["--width", "30"], "a multiple of the 8 heads"),
        (["--pooling", "published"], "a multiple of its 5 heads"),
    ],
)  # fmt: skip
def test_what_does_not_fit_an_esm_is_said(
    world: Path, esm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(esm_command(world, esm, tmp_path / "m", *more)) in (1, 2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("linnet: error: ")
    assert said in error
    assert not [p for p in tmp_path.iterdir() if "shards" in p.name or p.name == "m"]


def test_an_esm_without_weights_is_refused(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [
        "train",
        "proteins",
        "--taxonomy",
        str(world / "tree.tsv"),
        "--out",
        str(tmp_path / "m"),
        "--encoder",
        "esm",
    ]
    assert main([*argv, "--threads", "1"]) == 2
    assert "--encoder esm without --weights" in capsys.readouterr().err


# ---------------------------------------------------------------------- broken off; shared by processes


@pytest.mark.parametrize("keep", [True, False])
def test_a_killed_training_goes_on_with_the_same_command(world: Path, esm: Path, tmp_path: Path, keep: bool) -> None:
    pytest.importorskip("peft")
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert main(esm_command(world, esm, straight, *DECODER)) == 0
    argv = esm_command(world, esm, broken, *DECODER, *(["--shards", str(tmp_path / "shards")] if keep else []))
    assert killed(argv, 6).returncode == -signal.SIGKILL  # in the second pass
    assert main(argv) == 0
    for name in ("model.safetensors", "calibration.json", "taxonomy.npz"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name
    assert not broken.with_name("broken.training").exists()


@pytest.mark.parametrize("kind", ["words", "esm"])
def test_two_processes_train_one_model(world: Path, esm: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("accelerate")
    from safetensors.numpy import load_file

    alone, together = tmp_path / "alone", tmp_path / "together"
    still = ["--fragments", "0", "--changes", "0", "--decoys", "0", "--hide", "0"]  # what chance adds differs

    def argv(out: Path) -> list[str]:
        if kind == "esm":
            return esm_command(world, esm, out, *DECODER, *still, "--dropout", "0")
        inputs = ["--sequences", str(world / "p.faa.gz"), "--taxonomy", str(world / "tree.tsv"), "--out", str(out)]
        return ["train", "proteins", *inputs, *SMALL, *still]

    launcher = two_processes(tmp_path)
    assert main(argv(alone)) == 0
    done = killed(argv(together), 9999, *launcher)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("78 records") == 1  # one process reads and speaks
    assert {p.name for p in tmp_path.iterdir()} == {"alone", "dying.py", "together"}
    one, other = (load_file(model / "model.safetensors") for model in (alone, together))
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].shape == other[name].shape
        assert np.isfinite(other[name].astype(float)).all(), name
