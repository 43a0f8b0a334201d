"""The command line, run as a user runs it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_fasta

from linnet.__main__ import main


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = main([str(a) for a in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def reads(tmp_path: Path, genes) -> Path:  # type: ignore[no-untyped-def]
    some = dict(list(genes[0].items())[::9])
    return write_fasta(tmp_path / "reads.fasta", some | {"empty": "", "short": "ACGT"})


def test_classify_prints_a_table(capsys, reads: Path, tiny_model: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = run(capsys, "classify", reads, "--model", tiny_model)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:4] == ["record", "strand", "rank", "name"]
    assert len(lines) == 2 + 11 + 2
    assert "(unreadable)" in lines[-1]
    assert "4 bases" in lines[-1]
    assert "13 records; named to" in err


@pytest.mark.parametrize("ending", ["jsonl", "tsv", "csv", "jsonl.gz", "tsv.zst"])
def test_recut_gives_what_classify_would_have(  # type: ignore[no-untyped-def]
    capsys, reads: Path, tiny_model: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out.{ending}"
    assert run(capsys, "classify", reads, "--model", tiny_model, "--out", out)[0] == 0
    for minimum in (0.2, 0.95, 0.9999):
        recut = run(capsys, "recut", out, "--confidence", minimum, "--format", "qiime")[1]
        direct = run(capsys, "classify", reads, "--model", tiny_model, "--confidence", minimum, "--format", "qiime")[1]
        assert [line.split("\t")[:2] for line in recut.splitlines()] == [
            line.split("\t")[:2] for line in direct.splitlines()
        ]


def test_an_interrupted_run_leaves_the_old_output(  # type: ignore[no-untyped-def]
    capsys, tiny_model: Path, tmp_path: Path, genes
) -> None:
    out = tmp_path / "out.tsv"
    out.write_text("precious\n")
    bad = tmp_path / "bad.fasta"
    bad.write_text("".join(f">{i}\n{s}\n" for i, s in genes[0].items()) + ">p\nMKVLEFPQ\n")
    code, _, err = run(capsys, "classify", bad, "--model", tiny_model, "--out", out)
    assert code == 1
    assert err.startswith("linnet: error: ") and "line 193: record 'p'" in err
    assert out.read_text() == "precious\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.fasta", "out.tsv"]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["classify", "nowhere.fasta"], 1, "nowhere.fasta: no such file"),
        (
            ["classify", "x.fasta", "--confidence", "7"],
            2,
            "'7' where a probability belongs. Expected a number from 0 to 1",
        ),
        (["classify", "x.fasta", "--shard", "3/2"], 2, "--shard 3/2. Expected I/N"),
        (["classify", "-", "-"], 2, "standard input is named twice"),
        (["classify", "x.fasta", "--threads", "0"], 2, "'0' where a count belongs"),
        (["classify", "x.fasta", "--model", "none"], 1, "none: not a linnet model"),
        (["recut", "nowhere.jsonl", "--confidence", "0.5"], 1, "nowhere.jsonl: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(  # type: ignore[no-untyped-def]
    capsys, monkeypatch, tmp_path: Path, tiny_model: Path, argv: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = [] if "--model" in argv or argv[0] != "classify" else ["--model", str(tiny_model)]
    found, _, err = run(capsys, *argv, *model)
    assert found == code
    assert len(err.splitlines()) == 1
    assert message in err


def test_any_flag_may_stand_in_a_file(capsys, reads: Path, tiny_model: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = tmp_path / "c.toml"
    config.write_text(f'model = "{tiny_model}"\nformat = "qiime"\nconfidence = 1\n')
    _, out, _ = run(capsys, "classify", reads, "--config", config)
    assert out.splitlines()[1].split("\t")[1] == "Unassigned"
    _, out, _ = run(capsys, "classify", reads, "--config", config, "--confidence", 0.5)  # typed flags go first
    assert out.splitlines()[1].split("\t")[1].startswith("d__Bacteria; p__")


def test_an_unknown_command_exits_2() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["frobnicate"])
    assert stop.value.code == 2


def test_evaluate_scores_and_compares(capsys, reads: Path, tiny_model: Path, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    ours, peer, truth, found = (tmp_path / n for n in ("ours.jsonl", "peer.tsv", "truth.tsv", "e.json"))
    run(capsys, "classify", reads, "--model", tiny_model, "--out", ours)
    rows = {i: ";".join(f"{t.rank[0]}__{t.name}" for t in genes[1][i]) for i in list(genes[0])[::9]}
    truth.write_text("".join(f"{i}\t{row}\n" for i, row in rows.items()))
    peer.write_text("".join(f"{i}\t{row.rsplit(';', 1)[0]}\t0.9\n" for i, row in rows.items()))
    code, out, _ = run(capsys, "evaluate", ours, peer, "--truth", truth, "--reference", truth, "--resamples", 50,
                       "--out", found)  # fmt: skip
    assert code == 0
    assert "species" in out and "ours.jsonl against peer.tsv" in out
    result = json.loads(found.read_text())
    assert result["evaluations"]["peer.tsv"]["ranks"]["genus"]["accuracy"] == 1.0
    assert result["evaluations"]["peer.tsv"]["ranks"]["species"]["coverage"] == 0.0


def test_describe_says_what_a_model_is(capsys, tiny_model: Path) -> None:  # type: ignore[no-untyped-def]
    out = run(capsys, "describe", tiny_model)[1]
    assert "species  24" in out
    assert ["kind", "compact"] in [line.split() for line in out.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kmer", "nearest", "commonest"])
def test_train_then_classify(capsys, tmp_path: Path, genes, kind: str) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    sequences = write_fasta(tmp_path / "s.fasta", genes[0])
    taxonomy = tmp_path / "t.tsv"
    taxonomy.write_text("".join(f"{i}\t{';'.join(t.name for t in row)}\n" for i, row in genes[1].items()))
    config = tmp_path / "c.toml"
    config.write_text('k = 5\nwidth = 32\nepochs = 4\nbatch = 32\namplicons = 0.0\nprecision = "fp32"\n')
    model = tmp_path / "model"
    how = ["--config", config, "--epochs", 2] if kind == "kmer" else []
    code, _, err = run(capsys, "train", "rrna", "--sequences", sequences, "--taxonomy", taxonomy, "--out", model,
                       "--encoder", kind, *how)  # fmt: skip
    assert code == 0
    assert "wrote" in err
    assert len(run(capsys, "classify", sequences, "--model", model, "--confidence", 0)[1].splitlines()) == 2 + len(
        genes[0]
    )
    settings = json.loads((model / "model.json").read_text())
    if kind == "kmer":
        assert settings["config"]["recipe"]["epochs"] == 2  # the flag goes before the file
        assert settings["config"]["recipe"]["batch"] == 32


@pytest.mark.slow
def test_training_without_a_hold_out_gives_an_uncalibrated_model(capsys, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    sequences = write_fasta(tmp_path / "s.fasta", genes[0])
    taxonomy = tmp_path / "t.tsv"
    taxonomy.write_text("".join(f"{i}\t{';'.join(t.name for t in row)}\n" for i, row in genes[1].items()))
    code, _, err = run(capsys, "train", "rrna", "--sequences", sequences, "--taxonomy", taxonomy, "--out", tmp_path / "m",
                       "--hold-out", 0, "--hidden-clades", 0, "--no-refit", "--epochs", 1, "--k", 4)  # fmt: skip
    assert code == 0, err
    assert set(json.loads((tmp_path / "m" / "calibration.json").read_text())["stop"]) == {0.0}


@pytest.mark.parametrize(
    "setting",
    [("--epochs", 0), ("--batch", 0), ("--learning-rate", "nan"), ("--hold-out", 1), ("--k", 30), ("--dropout", 1),
     ("--windows", 0.9), ("--shortest", 900), ("--seed", -1), ("--precision", "fp64"), ("--clip", -1)],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_at_once(capsys, tmp_path: Path, setting) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    code, _, err = run(capsys, "train", "rrna", "--sequences", tmp_path / "s.fa", "--out", tmp_path / "m", *setting)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "Expected" in err


def test_a_place_for_the_model_is_checked_before_training(capsys, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    sequences = write_fasta(tmp_path / "s.fasta", genes[0])
    (tmp_path / "thesis").mkdir()
    code, _, err = run(capsys, "train", "rrna", "--sequences", sequences, "--out", tmp_path / "thesis")
    assert code == 1
    assert "exists and is not a linnet model" in err


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["dada2", "sintax", "silva"])
def test_references_may_carry_their_lineages(capsys, tmp_path: Path, genes, dialect: str) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    headers = {
        "dada2": lambda i, row: ";".join(t.name for t in row) + ";",
        "sintax": lambda i, row: f"{i};tax=" + ",".join(f"{t.rank[0]}:{t.name}" for t in row) + ";",
        "silva": lambda i, row: f"{i} " + ";".join(t.name for t in row),
    }
    sequences = write_fasta(tmp_path / "s.fa", {f"{n}": s for n, s in enumerate(genes[0].values())})
    lines = [f">{headers[dialect](i, genes[1][i])}\n{s}\n" for i, s in genes[0].items()]
    sequences.write_text("".join(lines))
    code, _, err = run(
        capsys, "train", "rrna", "--sequences", sequences, "--out", tmp_path / "m", "--encoder", "nearest"
    )
    assert code == 0, err
    assert "species  24" in run(capsys, "describe", tmp_path / "m")[1]


@pytest.mark.slow
def test_references_may_be_labelled_with_taxids(capsys, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    taxids: dict[tuple[str, ...], int] = {(): 1}
    for row in genes[1].values():
        for depth in range(1, 8):
            taxids.setdefault(tuple(t.name for t in row[:depth]), 10 + len(taxids))
    ranks = {tuple(t.name for t in row[:d]): row[d - 1].rank for row in genes[1].values() for d in range(1, 8)}
    dump = tmp_path / "dump"
    dump.mkdir()
    nodes = [f"{n}\t|\t{taxids[p[:-1]]}\t|\t{ranks.get(p, 'no rank')}\t|\n" for p, n in taxids.items()]
    names = [f"{n}\t|\t{p[-1] if p else 'root'}\t|\t\t|\tscientific name\t|\n" for p, n in taxids.items()]
    (dump / "nodes.dmp").write_text("".join(nodes))
    (dump / "names.dmp").write_text("".join(names))
    (dump / "merged.dmp").write_text("5\t|\t12\t|\n")
    table = tmp_path / "acc2taxid.tsv"
    rows = {i: taxids[tuple(t.name for t in row)] for i, row in genes[1].items()}
    table.write_text("accession\ttaxid\n" + "".join(f"{i}\t{n}\n" for i, n in rows.items()))
    sequences = write_fasta(tmp_path / "s.fa", genes[0])
    code, _, err = run(capsys, "train", "rrna", "--sequences", sequences, "--taxonomy", table, "--taxdump", dump,
                       "--out", tmp_path / "m", "--encoder", "nearest")  # fmt: skip
    assert code == 0, err
    out = run(capsys, "classify", sequences, "--model", tmp_path / "m", "--format", "jsonl")[1]
    for line in out.splitlines():
        answer = json.loads(line)
        assert answer["lineage"][-1]["taxid"] == rows[answer["record"]]


def test_reads_are_not_overwritten_by_their_names(capsys, reads: Path, tiny_model: Path) -> None:  # type: ignore[no-untyped-def]
    before = reads.read_bytes()
    code, _, err = run(capsys, "classify", reads, "--model", tiny_model, "--out", reads)
    assert code == 2
    assert "is also read" in err
    assert reads.read_bytes() == before


def test_only_linnets_own_tables_are_recut(capsys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    table = tmp_path / "q.tsv"
    table.write_text("Feature ID\tTaxon\tConfidence\nr\td__Bacteria\t0.9\n")
    code, _, err = run(capsys, "recut", table, "--confidence", 0.5)
    assert code == 1
    assert "one of linnet's: jsonl, tsv, csv" in err


@pytest.mark.parametrize("flag", ["--truth", "--queries"])
def test_a_directory_where_a_table_belongs_is_one_line(capsys, tmp_path: Path, flag: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "t.tsv").write_text("r\tBacteria\n")
    flags = {"--truth": tmp_path / "t.tsv"} | {flag: tmp_path}
    argv = [x for item in flags.items() for x in item]
    code, _, err = run(capsys, "evaluate", tmp_path / "t.tsv", *argv)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "Is a directory" in err


def test_a_wrong_setting_in_a_file_is_named(capsys, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    sequences = write_fasta(tmp_path / "s.fasta", genes[0])
    for text, message in (
        ("epoch = 3\n", "unknown setting: epoch"),
        ('encoder = "deep"\n', "encoder = 'deep'. Expected one of kmer"),
        ("threads = 0\n", "'0' where a count belongs"),
    ):
        (tmp_path / "c.toml").write_text(text)
        code, _, err = run(capsys, "train", "rrna", "--sequences", sequences, "--out", tmp_path / "m",
                           "--config", tmp_path / "c.toml")  # fmt: skip
        assert code == 2
        assert message in err


def test_sequences_and_taxonomy_must_share_ids(capsys, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    sequences = write_fasta(tmp_path / "s.fasta", genes[0])
    (tmp_path / "t.tsv").write_text("x\tBacteria;P\n")
    code, _, err = run(capsys, "train", "rrna", "--sequences", sequences, "--taxonomy", tmp_path / "t.tsv",
                       "--out", tmp_path / "m")  # fmt: skip
    assert code == 1
    assert "none of its records is in" in err


def test_a_pipe_may_be_closed_early(reads: Path, tiny_model: Path) -> None:
    command = f"{sys.executable} -m linnet classify {reads} {reads} --model {tiny_model} 2>/dev/null | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("record")


def test_standard_output_may_be_named(reads: Path, tiny_model: Path) -> None:
    command = [sys.executable, "-m", "linnet", "classify", str(reads), "--model", str(tiny_model), "--format", "qiime"]
    done = subprocess.run([*command, "--out", "/dev/stdout"], capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 14


def test_standard_input_and_gzip(reads: Path, tiny_model: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "linnet",
        "classify",
        "-",
        "--model",
        str(tiny_model),
        "--format",
        "qiime",
    ]
    done = subprocess.run(command, input=gzip.compress(reads.read_bytes()), capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 14


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_nothing_slow(flag: str) -> None:
    code = (
        "import sys; from linnet.__main__ import main\n"
        f"try: main([{flag!r}])\n"
        "except SystemExit: print({'torch', 'matplotlib', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
