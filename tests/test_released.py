"""DeepTaxa's released files: read without running them, and answered as DeepTaxa answers."""

from __future__ import annotations

import hashlib
import http.server
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import deeptaxa_files as made_here  # noqa: E402
from conftest import write_fasta  # noqa: E402

from linnet import checkpoint, records  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.predictor import load  # noqa: E402
from linnet.released import deeptaxa, source  # noqa: E402
from linnet.released.labels import join as joined  # noqa: E402

KINDS = [
    pytest.param(how, id="-".join(map(str, how.values())))
    for how in (
        {"model_type": "hybridcnnbert"},
        {"model_type": "hybridcnnbert", "mask_padding": True, "layers": 2, "window": 40},
        {"model_type": "cnn", "layers": 2},
        {"model_type": "cnn", "encoding": "onehot", "window": 120, "mask_padding": True},
        {"model_type": "cnn", "encoding": "onehot", "window": 300},
        {"model_type": "bert"},
    )
]


def convert(file: Path, table: Path, out: Path, *more: object) -> int:
    return main(["convert", "deeptaxa", str(file), "--taxonomy", str(table), "--out", str(out), *map(str, more)])


def published(model: Path, **running: Any) -> list[np.ndarray]:
    """Probabilities of each rank for the reads, as the converted model gives them."""
    predictor = load(model, ranks="published", letters="published", **{"engine": "torch", **running})
    network: Any = predictor._networks[0]
    reading = network.reader.read(list(made_here.READS.values()), "forward")
    return [np.exp(log_p) for log_p in network.ranks(reading).log_p]


@pytest.mark.parametrize("engine", ["torch", pytest.param("openvino", marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", KINDS)
def test_a_converted_model_answers_as_a_plain_recomputation(tmp_path: Path, how: dict[str, Any], engine: str) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    file, table, made = made_here.write(tmp_path, **how)
    assert convert(file, table, tmp_path / "out") == 0
    found = published(tmp_path / "out", engine=engine)
    for row, read in enumerate(made_here.READS.values()):
        for rank, logits in enumerate(made_here.answers(made, read, made_here.vocabulary())):
            assert np.abs(found[rank][row] - logits.softmax(dim=0).numpy()).max() < 1e-5


def test_bf16_changes_probabilities_little(tmp_path: Path) -> None:
    file, table, _ = made_here.write(tmp_path)
    convert(file, table, tmp_path / "out")
    exact, fast = published(tmp_path / "out"), published(tmp_path / "out", precision="bf16")
    differences = [np.abs(a - b).max() for a, b in zip(exact, fast, strict=True)]
    assert 0 < max(differences) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kit", ["hybrid", "cnn_onehot", "bert"])
def test_the_peers_own_answers_are_reproduced(tmp_path: Path, shared_data: Path, kit: str) -> None:
    folder = shared_data / "parity" / "deeptaxa"
    assert convert(folder / f"{kit}.pt", folder / "taxonomy.tsv", tmp_path / "out") == 0
    reads = list(records.read(folder / "queries.fasta", alphabet="raw"))
    stored = np.load(folder / f"{kit}.npz")
    for precision, limit in (("fp32", 1e-5), ("bf16", 1e-2)):
        predictor = load(tmp_path / "out", ranks="published", letters="published", precision=precision)
        network: Any = predictor._networks[0]
        scores = network.ranks(network.reader.read([r.sequence for r in reads], "forward"))
        answers = list(predictor.classify(reads, confidence=0, strand="forward"))
        for rank, log_p in enumerate(scores.log_p):
            theirs = stored[f"probs_{rank}"]
            assert np.abs(np.exp(log_p) - theirs).max() < limit
            labels = network.labels.labels[rank]
            assert [a.lineage[rank].name for a in answers] == [labels[c] for c in theirs.argmax(axis=1)]


# ---------------------------------------------------------------------- safety


class Runs:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.parametrize("command", ["convert", "describe"])
def test_a_crafted_file_is_refused_and_nothing_runs(tmp_path: Path, capsys: Any, how: str, command: str) -> None:
    file, table, made = made_here.write(tmp_path)
    made["metrics"] = Runs(tmp_path / "trace")
    if how == "torch":
        torch.save(made, file)
    else:
        file.write_bytes(pickle.dumps(made))
    code = convert(file, table, tmp_path / "out") if command == "convert" else main(["describe", str(file)])
    assert code == 1
    assert "could run code" in capsys.readouterr().err
    assert not (tmp_path / "trace").exists()
    assert not (tmp_path / "out").exists()


def test_figures_and_random_states_of_training_are_harmless(tmp_path: Path) -> None:
    file, _, made = made_here.write(tmp_path)
    made["metrics"] = {0: {"accuracy": np.float64(0.5), "f1_score": np.float32(0.25)}}
    made["rng_state"] = {"numpy": np.random.RandomState(1).get_state(), "torch": torch.get_rng_state()}
    torch.save(made, file)
    assert deeptaxa.read(file).facts["validation"] == {"domain": {"accuracy": 0.5, "f1_score": 0.25}}


def spoiled(made: dict[str, Any], what: str) -> None:
    state = made["state_dict"]
    if what == "no labels":
        del made["level_label2id"]
    elif what == "another kind":
        made["model_type"] = "lstm"
    elif what == "a weight missing":
        del state["cnn_proj.bias"]
    elif what == "a weight too many":
        state["bert.encoder.layer.9.output.dense.bias"] = torch.zeros(3)
    elif what == "an unknown weight":
        state["surprise"] = torch.zeros(3)
    elif what == "another shape":
        state["cnn_proj.bias"] = torch.zeros(3)
    elif what == "labels unnumbered":
        made["level_label2id"][3] = dict.fromkeys(made["level_label2id"][3], 0)
    elif what == "labels miscounted":
        made["num_labels_per_level"]["2"] = 1
    elif what == "weights no tensors":
        made["state_dict"] = dict.fromkeys(state, 1)
    elif what == "no such activation":
        made["model_config"]["bert"]["hidden_act"] = "relu"
    elif what == "weights not numbers":
        state["cnn_proj.bias"][0] = float("nan")
    elif what == "no temperature":
        made["level_temperatures"] = [0.0] * 7


@pytest.mark.parametrize(
    "what",
    ["no labels", "another kind", "a weight missing", "a weight too many", "an unknown weight", "another shape",
     "labels unnumbered", "labels miscounted", "weights no tensors", "no such activation", "weights not numbers", "no temperature"],
)  # fmt: skip
def test_a_file_of_another_make_is_refused_with_a_sentence(tmp_path: Path, capsys: Any, what: str) -> None:
    file, table, made = made_here.write(tmp_path)
    spoiled(made, what)
    torch.save(made, file)
    assert convert(file, table, tmp_path / "out") == 1
    assert capsys.readouterr().err.count("linnet: error:") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_cut_short_is_refused(tmp_path: Path, capsys: Any, content: bytes) -> None:
    file, table, _ = made_here.write(tmp_path)
    file.write_bytes(content)
    assert convert(file, table, tmp_path / "out") == 1
    assert "Download it again" in capsys.readouterr().err


def test_a_temperature_in_the_file_is_applied(tmp_path: Path) -> None:
    file, table, made = made_here.write(tmp_path)
    made["level_temperatures"] = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
    torch.save(made, file)
    convert(file, table, tmp_path / "out")
    logits = made_here.answers(made, made_here.READS["plain"], made_here.vocabulary())
    found = published(tmp_path / "out")
    assert np.allclose(found[0][0], (logits[0] / 2).softmax(dim=0).numpy(), atol=1e-5)
    assert np.allclose(found[6][0], (logits[6] * 2).softmax(dim=0).numpy(), atol=1e-5)


# ---------------------------------------------------------------------- lineages


def places(labels: Any) -> set[str]:
    tree = labels.taxonomy
    return {";".join(t.name for t in tree.lineage(int(n))) for n in labels.place_P}


AS_TREE = {
    "Bacteria;P1;C1;O1;F1;G1;G1 a",
    "Bacteria;P1;C1;O1;F1;G1;G1 b",
    "Bacteria;P1;C1;O1;F1;G1",
    "Bacteria;P1;C1;O1;F2;Twin;Twin a",
    "Bacteria;P2;C2;O2;F3;Twin;Twin b",
    "Bacteria;P2;C2;O2;F3;G4;G4 a",
    "Bacteria;P2",
    "Archaea;P3;C3;O3;F4;G5;G5 a",
}


def qiime_table(path: Path, blanks: bool) -> Path:
    rows = ["Feature ID\tTaxon"]
    for i, text in enumerate(made_here.LINEAGES):
        names = zip("dpcofgs", text.split(";"), strict=True)
        shown = [f"{p}__{'' if n.startswith('Unclassified') and blanks else n}" for p, n in names]
        rows.append(f"r{i}\t{'; '.join(shown)}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    "form", ["columns", "columns without ids", "columns with prefixes", "qiime", "qiime with blanks"]
)
def test_lineages_are_read_in_every_form_that_users_have(tmp_path: Path, form: str) -> None:
    file, table, _ = made_here.write(tmp_path)
    released = deeptaxa.read(file)
    lines = table.read_text().splitlines()
    if form == "columns without ids":
        table.write_text("\n".join(line.partition("\t")[2] for line in lines) + "\n")
    elif form == "columns with prefixes":
        rows = [line.split("\t") for line in lines[1:]]
        prefixed = [[r[0], *(f"{p}__{n}" for p, n in zip("dpcofgs", r[1:], strict=True))] for r in rows]
        table.write_text("\n".join([lines[0], *map("\t".join, prefixed)]) + "\n")
    elif form.startswith("qiime"):
        table = qiime_table(table, blanks="blanks" in form)
    found = joined(table, released.ranks, released.labels)
    assert places(found.labels) == AS_TREE
    assert found.notes == []


def test_a_name_that_two_taxa_share_stays_two_taxa(tmp_path: Path) -> None:
    file, table, _ = made_here.write(tmp_path)
    released = deeptaxa.read(file)
    labels = joined(table, released.ranks, released.labels).labels
    twins = labels.taxonomy.nodes_named("Twin")
    assert len(twins) == 2
    twin = released.labels[5].index("Twin")
    assert np.count_nonzero(labels.class_PR[:, 5] == twin) == 2


def test_blank_cells_answer_to_deeptaxas_own_placeholder(tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    table.write_text("sequence_id\tdomain\tphylum\na\tBacteria\tP1\nb\tBacteria\t\n")
    found = joined(table, ("domain", "phylum"), (("Bacteria",), ("P1", "Unclassified")))
    assert places(found.labels) == {"Bacteria", "Bacteria;P1"}


def test_lineages_that_the_model_never_saw_are_counted(tmp_path: Path) -> None:
    file, table, _ = made_here.write(tmp_path)
    released = deeptaxa.read(file)
    with table.open("a") as rows:
        rows.write("x\tBacteria\tP1\tC1\tO1\tF1\tG9\tG9 a\n")
    assert "G9" in joined(table, released.ranks, released.labels).notes[0]


def test_labels_without_a_lineage_are_said(tmp_path: Path) -> None:
    file, table, _ = made_here.write(tmp_path)
    released = deeptaxa.read(file)
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    notes = joined(table, released.ranks, released.labels).notes
    assert len(notes) == 7
    assert "Archaea" in notes[0]


@pytest.mark.parametrize("text", ["", "a\tb\n", "Feature ID\tTaxon\nr1\td__Viruses; p__X\n", "domain\tphylum\nB\tP\n"])
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file, table, _ = made_here.write(tmp_path)
    released = deeptaxa.read(file)
    table.write_text(text)
    with pytest.raises(UserError):
        joined(table, released.ranks, released.labels)


# ---------------------------------------------------------------------- where files come from


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("deeptaxa-v4-v2.pt", "V4"),
        ("deeptaxa-v3v4-v2-seed42.pt", "V3-V4"),
        ("deeptaxa-full-length-v2.pt", "full"),
        ("mine.pt", "any"),
    ],
)
def test_the_region_is_told_by_the_files_name(name: str, region: str) -> None:
    assert deeptaxa.region(name) == region


def test_a_file_is_checked_against_the_sums_beside_it(tmp_path: Path, capsys: Any) -> None:
    file, table, _ = made_here.write(tmp_path)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  other.pt\n{digest}  model.pt\n")
    assert convert(file, table, tmp_path / "out") == 0
    assert "as SHA256SUMS has it" in capsys.readouterr().err
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64} *model.pt\n")
    assert convert(file, table, tmp_path / "out2") == 1
    assert "Download it again" in capsys.readouterr().err


def test_a_published_name_with_another_digest_is_said(tmp_path: Path) -> None:
    (tmp_path / "deeptaxa-v4-v2.pt").write_bytes(b"x")
    assert "NOT as" in source.find(str(tmp_path / "deeptaxa-v4-v2.pt")).notes[0]


def test_a_tokenizer_outside_the_files_folder_is_not_followed(tmp_path: Path) -> None:
    file, _, _ = made_here.write(tmp_path / "in")
    (tmp_path / "in" / "tokenizer").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="--tokenizer"):
        source.tokenizer(None, "../elsewhere", None, file.parent)
    assert source.tokenizer(str(tmp_path / "elsewhere"), "", None, file.parent).size == 64


@pytest.mark.parametrize("name", ["", "nowhere", "someone/else"])
def test_an_unpinned_tokenizer_is_not_fetched(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="--tokenizer"):
        source.tokenizer(None, name, None, tmp_path)


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as a download needs."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        content = content or b""
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "7" * 40)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    files: dict[str, bytes] = {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Filled", (Hub,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()


@pytest.mark.slow
def test_files_come_from_the_hub_at_fixed_revisions(tmp_path: Path, hub: tuple[str, dict[str, bytes]]) -> None:
    pytest.importorskip("huggingface_hub")
    address, files = hub
    file, table, made = made_here.write(tmp_path)
    made["tokenizer_name"] = "zhihan1996/DNABERT-2-117M"
    torch.save(made, file)
    pinned = source.TOKENIZERS["zhihan1996/DNABERT-2-117M"]
    files["/group/models/resolve/v2/deeptaxa-v4-v2.pt"] = file.read_bytes()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    files["/group/models/resolve/v2/SHA256SUMS"] = f"{digest}  deeptaxa-v4-v2.pt\n".encode()
    files[f"/zhihan1996/DNABERT-2-117M/resolve/{pinned}/tokenizer.json"] = made_here.vocabulary().encode()

    def run(name: str, out: str) -> subprocess.CompletedProcess[str]:
        argv = ["convert", "deeptaxa", name, "--taxonomy", str(table), "--out", str(tmp_path / out)]
        environment = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin",
                       "PYTHONPATH": ":".join(sys.path), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
        return subprocess.run([sys.executable, "-m", "linnet", *argv], capture_output=True, text=True, env=environment)

    done = run("hf://group/models/deeptaxa-v4-v2.pt@v2", "out")
    assert done.returncode == 0, done.stderr
    assert "as SHA256SUMS has it" in done.stderr
    assert checkpoint.load(tmp_path / "out").model["region"] == "V4"
    missing = run("hf://group/models/absent.pt@v2", "out2")
    assert missing.returncode == 1
    assert missing.stderr.count("\n") == 1
    assert "cannot be fetched" in missing.stderr


# ---------------------------------------------------------------------- the commands


@pytest.fixture
def reads(tmp_path: Path) -> Path:
    return write_fasta(tmp_path / "reads.fasta", made_here.READS)


def answers(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_the_default_is_a_lineage_that_exists_and_published_is_what_each_rank_says(
    tmp_path: Path, reads: Path, capsys: Any
) -> None:
    file, table, _ = made_here.write(tmp_path)
    convert(file, table, tmp_path / "out")
    capsys.readouterr()
    assert main(["classify", str(reads), "--model", str(tmp_path / "out"), "--format", "jsonl"]) == 0
    for answer in answers(capsys.readouterr().out):
        names = [t["name"] for t in answer["lineage"]]
        assert any(path.split(";")[: len(names)] == names for path in AS_TREE)
        sure = [t["confidence"] for t in answer["lineage"]]
        assert sure == sorted(sure, reverse=True)
    flags = ["--ranks", "published", "--letters", "published", "--strand", "forward", "--format", "jsonl"]
    assert main(["classify", str(reads), "--model", str(tmp_path / "out"), *flags]) == 0
    found, labels = published(tmp_path / "out"), deeptaxa.read(file).labels
    for row, answer in enumerate(answers(capsys.readouterr().out)):
        best = [some[p[row].argmax()] for some, p in zip(labels, found, strict=True)]
        assert [t["name"] for t in answer["lineage"]] == best


@pytest.mark.slow
def test_case_and_rna_change_nothing_unless_asked_for(tmp_path: Path, capsys: Any) -> None:
    file, table, _ = made_here.write(tmp_path)
    convert(file, table, tmp_path / "out")
    read = made_here.READS["plain"]
    mixed = write_fasta(tmp_path / "mixed.fasta", {"a": read, "b": read.lower(), "c": read.replace("T", "U")})
    capsys.readouterr()
    found = {}
    for letters in ("tidy", "published"):
        flags = ["--letters", letters, "--ranks", "published", "--strand", "forward", "--format", "jsonl"]
        main(["classify", str(mixed), "--model", str(tmp_path / "out"), *flags])
        found[letters] = [a["lineage"] for a in answers(capsys.readouterr().out)]

    def same(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
        return all(abs(x["confidence"] - y["confidence"]) < 1e-5 for x, y in zip(a, b, strict=True))

    assert all(same(found["tidy"][0], other) for other in (*found["tidy"][1:], found["published"][0]))
    assert not same(found["published"][0], found["published"][1])
    assert not same(found["published"][0], found["published"][2])


def test_describe_says_what_a_released_file_and_a_converted_model_are(tmp_path: Path, capsys: Any) -> None:
    file, table, _ = made_here.write(tmp_path, seed=7)
    convert(file, table, tmp_path / "out")
    for name in (file, tmp_path / "out"):
        capsys.readouterr()
        assert main(["describe", str(name)]) == 0
        text = capsys.readouterr().out
        for fact in ("hybrid", "num_attention_heads", "seed", "7", "species", "accuracy", "tokenizer"):
            assert fact in text, fact


def test_a_file_that_does_not_say_what_it_reads_is_told_by_its_weights(tmp_path: Path) -> None:
    for encoding, expected in (("onehot", "onehot"), ("dnabert", "bpe")):
        file, _, made = made_here.write(tmp_path, model_type="cnn", encoding=encoding)
        del made["encoding"]
        torch.save(made, file)
        assert deeptaxa.read(file).config.encoding == expected


def test_a_converted_model_survives_a_round_trip(tmp_path: Path) -> None:
    file, table, _ = made_here.write(tmp_path)
    convert(file, table, tmp_path / "out")
    before = published(tmp_path / "out")
    checkpoint.save(checkpoint.load(tmp_path / "out"), tmp_path / "again")
    for a, b in zip(before, published(tmp_path / "again"), strict=True):
        assert np.array_equal(a, b)
    (tmp_path / "again" / "labels.json").write_text("{}")
    with pytest.raises(UserError, match="SHA-256 differs"):
        checkpoint.load(tmp_path / "again")


@pytest.mark.parametrize("flag", ["--precision bf16", "--letters published", "--engine torch", "--device cuda"])
def test_settings_that_a_model_has_no_use_for_are_refused(reads: Path, capsys: Any, flag: str) -> None:
    assert main(["classify", str(reads), *flag.split()]) == 2
    assert f"{flag} asked of a model of k-mer counts" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_refused(tmp_path: Path, reads: Path, capsys: Any) -> None:
    file, table, _ = made_here.write(tmp_path)
    convert(file, table, tmp_path / "out")
    for device in ("abacus", *(["cuda"] if not torch.cuda.is_available() else [])):
        assert main(["classify", str(reads), "--model", str(tmp_path / "out"), "--device", device]) == 2
        assert f"--device {device} cannot be used" in capsys.readouterr().err


def test_records_longer_than_the_window_are_said(tmp_path: Path, capsys: Any) -> None:
    file, table, _ = made_here.write(tmp_path, window=64)
    convert(file, table, tmp_path / "out")
    reads = write_fasta(
        tmp_path / "reads.fasta", {"long": made_here.READS["longer"] * 3, "short": made_here.READS["plain"]}
    )
    capsys.readouterr()
    assert main(["classify", str(reads), "--model", str(tmp_path / "out"), "--engine", "torch"]) == 0
    assert "1 records fill the model's window" in capsys.readouterr().err


def test_published_ranks_of_a_model_that_gives_lineages_are_refused(reads: Path, capsys: Any) -> None:
    assert main(["classify", str(reads), "--ranks", "published"]) == 2
    assert "answer each rank by itself" in capsys.readouterr().err
