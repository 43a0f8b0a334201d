"""Networks over tokens, trained by the command: every kind, broken off and gone on with, alone and by two processes."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import evolved_genes, lineage, write_fasta
from killing import killed, two_processes

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from safetensors.numpy import load_file  # noqa: E402

from linnet import train_network  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.families import rrna_network  # noqa: E402
from linnet.preparation import labelled  # noqa: E402
from linnet.rank_scores import RankLabels, RankScores  # noqa: E402
from linnet.regions import REGIONS  # noqa: E402
from linnet.taxonomy import RANKS, Taxonomy  # noqa: E402
from linnet.tokens import Pieces  # noqa: E402

pytestmark = pytest.mark.slow  # trains models

GENES, LINEAGES = evolved_genes(length=240, species=2, copies=3)
SIZE = ["--embed-dim", 16, "--num-filters", 8, "--hidden-size", 16, "--num-hidden-layers", 1, "--num-attention-heads", 2,
        "--intermediate-size", 32, "--vocabulary", 64, "--max-length", 256]  # fmt: skip
QUICK = [*SIZE, "--epochs", 2, "--batch", 16, "--hold-out", 0.25, "--threads", 1]


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Flags that name a table and a FASTA file."""
    folder = tmp_path_factory.mktemp("references")
    table = folder / "t.tsv"
    table.write_text("".join(f"{i}\t{';'.join(t.name for t in row)}\n" for i, row in LINEAGES.items()))
    return ["--sequences", write_fasta(folder / "s.fasta", GENES), "--taxonomy", table]


def command(references: list[object], out: Path, *more: object, encoder: str = "hybrid") -> list[str]:
    return [str(a) for a in ("train", "rrna", *references, "--encoder", encoder, "--out", out, *more)]


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    """The exit status and the one line of a command that is refused."""
    capsys.readouterr()
    code = main(arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("linnet: error: ")
    return code, last


# ---------------------------------------------------------------------- every kind


@pytest.mark.parametrize("head", ["ranks", "tree"])
@pytest.mark.parametrize("encoder", ["onehot", "cnn", "bert", "hybrid"])
def test_every_encoder_under_every_head_trains_classifies_and_is_scored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, references: list[object], encoder: str, head: str
) -> None:
    model, out = tmp_path / "m", tmp_path / "p.tsv"
    more = ["--head", head, "--epochs", 1, *(["--decoys", 0.1, "--windows", 0.2] if head == "tree" else [])]
    assert main(command(references, model, *QUICK, *more, encoder=encoder)) == 0
    described = json.loads((model / "model.json").read_text())
    kind = {"onehot": "cnn"}.get(encoder, encoder)
    encoding = "onehot" if encoder == "onehot" else "bpe"
    assert (described["head"], described["encoder"]["model_type"], described["encoder"]["encoding"]) == (
        head,
        kind,
        encoding,
    )
    assert (model / "labels.json").exists() == (head == "ranks")
    assert (model / "tokenizer.json").exists() == (encoder != "onehot")
    assert main(["classify", str(references[1]), "--model", str(model), "--engine", "torch", "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) >= len(GENES)
    capsys.readouterr()
    assert main(["evaluate", str(out), "--truth", str(references[3])]) == 0
    assert f"{len(GENES)} queries" in capsys.readouterr().out


@pytest.mark.parametrize(
    "settings",
    [
        ["--head", "ranks"],
        ["--head", "tree"],
        ["--class-weights", "sqrt_inverse", "--loss-type", "focal", "--precision", "fp16"],
    ],
)
def test_a_small_network_learns_the_phyla(tmp_path: Path, references: list[object], settings: list[str]) -> None:
    more = ["--epochs", 12, "--learning-rate", 0.01, "--clip", 5, "--no-refit", "--precision", "bf16"]
    assert main(command(references, tmp_path / "m", *QUICK, *more, *settings)) == 0
    origin = json.loads((tmp_path / "m" / "origin.json").read_text())
    assert origin["held_out"]["ranks"]["phylum"]["recall_at_p95"] > 0.8
    assert origin["loss_held_out"][-1] < origin["loss_held_out"][0]
    assert origin["passes"] == 1 + int(np.argmin(origin["loss_held_out"]))


def test_a_finished_model_holds_its_weights_and_nothing_of_the_training(
    tmp_path: Path, references: list[object]
) -> None:
    model = tmp_path / "m"
    assert main(command(references, model, *QUICK, "--epochs", 1, "--no-refit")) == 0
    weights = load_file(model / "model.safetensors")
    counted = json.loads((model / "model.json").read_text())["parameters"]
    log_odds = weights.pop("encoder.log_odds_V")
    assert log_odds.nbytes == 4 * 4**7
    assert sum(w.size for w in weights.values()) == counted
    assert all(w.dtype == np.float16 for w in weights.values())
    size = (model / "model.safetensors").stat().st_size
    assert 0 < size - 2 * counted - log_odds.nbytes < 200 * len(weights)
    assert {p.name for p in model.iterdir()} == {
        "SHA256SUMS", "calibration.json", "labels.json", "model.json", "model.safetensors", "origin.json", "taxonomy.npz",
        "tokenizer.json"}  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["m"]  # OUT.training is gone


def test_references_are_cut_to_a_region(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    forward, backward = REGIONS["V4"].forward, REGIONS["V4"].reverse
    plain = str.maketrans("RYSWKMBDHVN", "ACCATACAAAA")
    turned = backward.translate(plain).translate(str.maketrans("ACGT", "TGCA"))[::-1]
    whole = {i: s[:40] + forward.translate(plain) + s[40:190] + turned + s[190:] for i, s in GENES.items()}
    without = next(iter(whole))
    whole[without] = GENES[without]
    table = tmp_path / "t.tsv"
    table.write_text("".join(f"{i}\t{';'.join(t.name for t in row)}\n" for i, row in LINEAGES.items()))
    given = ["--sequences", write_fasta(tmp_path / "s.fasta", whole), "--taxonomy", table]
    assert main(command(given, tmp_path / "m", *QUICK, "--epochs", 1, "--no-refit", "--region", "V4")) == 0
    assert f"{len(GENES) - 1} of {len(GENES)} records have the amplicon V4" in capsys.readouterr().err
    assert json.loads((tmp_path / "m" / "model.json").read_text())["region"] == "V4"
    assert json.loads((tmp_path / "m" / "origin.json").read_text())["references"] == len(GENES) - 1


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("encoder", "wrong", "said"),
    [
        ("hybrid", ["--head", "tree", "--class-weights", "inverse"], "class_weights inverse with a tree head"),
        ("hybrid", ["--decoys", 0.1], "published heads, which cannot refuse"),
        ("hybrid", ["--level-weights", "1,1"], "7 numbers"),
        ("hybrid", ["--level-weights", "0,0,0,0,0,0,0"], "one above"),
        ("hybrid", ["--loss-type", "hinge"], "loss_type hinge"),
        ("hybrid", ["--focal-gamma", 0], "focal_gamma 0"),
        ("hybrid", ["--vocabulary", 3], "vocabulary 3"),
        ("hybrid", ["--hidden-size", 17], "hidden_size 17"),
        ("hybrid", ["--hide", 0.9], "hide 0.9"),
        ("onehot", ["--tokenizer", "t.json"], "reads bases"),
        ("kmer", ["--tokenizer", "t.json"], "--tokenizer with --encoder kmer"),
        ("kmer", ["--start", "m"], "--start with --encoder kmer"),
        ("nearest", ["--start", "m"], "--start with --encoder nearest"),
        ("hybrid", ["--seeds", "1,1"], "each of them once"),
        ("hybrid", ["--seeds", "1,-5"], "seeds belong"),
        ("hybrid", ["--seeds", "1,two"], "seeds belong"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, encoder: str, wrong: list[object], said: str
) -> None:
    missing = ["--sequences", tmp_path / "missing.fasta"]
    code, line = refused(capsys, command(missing, tmp_path / "m", *wrong, encoder=encoder))
    assert code == 2, line
    assert said in line


def test_a_start_or_a_vocabulary_that_is_none_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, references: list[object]
) -> None:
    code, line = refused(capsys, command(references, tmp_path / "m", *QUICK, "--start", tmp_path))
    assert (code, "not a linnet model" in line) == (1, True)
    (tmp_path / "v.json").write_text("{}")
    code, line = refused(capsys, command(references, tmp_path / "m", *QUICK, "--tokenizer", tmp_path / "v.json"))
    assert (code, "v.json" in line) == (1, True)


# ---------------------------------------------------------------------- broken off


def equal(one: Path, other: Path) -> bool:
    names = ("model.safetensors", "taxonomy.npz", "calibration.json")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [("hybrid", [*QUICK, "--hidden-dropout-prob", 0.3, "--accumulate", 2, "--batch", 6]),
     ("kmer", ["--k", 4, "--width", 16, "--epochs", 2, "--batch", 12, "--rounds", 1, "--threads", 1])],
)  # fmt: skip
def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, references: list[object], encoder: str, settings: list[object]
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert main(command(references, straight, *settings, encoder=encoder)) == 0
    arguments = command(references, broken, *settings, encoder=encoder)
    unfinished = tmp_path / "broken.training"
    assert killed(arguments, 5).returncode == -signal.SIGKILL  # in the second pass of the first fit
    first = "round-1" if encoder == "kmer" else "first"
    assert [p.name for p in unfinished.iterdir()] == [f"seed-42.{first}.safetensors"]
    assert killed(arguments, 7).returncode == -signal.SIGKILL  # in the second
    assert {p.name for p in unfinished.iterdir()} == {f"seed-42.{fit}.safetensors" for fit in (first, "again")}
    assert not broken.exists()
    assert main(arguments) == 0
    assert equal(straight, broken)
    assert not unfinished.exists()


def test_a_failed_training_stays_and_another_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, references: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    check = train_network.NetworkLesson.check

    def failing(lesson: Any) -> float:
        passes.append(1)
        return float("nan") if len(passes) == 2 else check(lesson)

    monkeypatch.setattr(train_network.NetworkLesson, "check", failing)
    code, line = refused(capsys, command(references, tmp_path / "m", *QUICK))
    assert (code, "is not a number" in line) == (1, True)
    assert [p.name for p in (tmp_path / "m.training").iterdir()] == ["seed-42.first.safetensors"]
    monkeypatch.undo()
    copies = tmp_path / "copies.tsv"
    copies.write_text("".join(f"{i}\t{i[:-1]}\n" for i in GENES))
    for another in (["--learning-rate", 1e-4], ["--groups", copies], ["--vocabulary", 60], ["--clip", 0.4]):
        code, line = refused(capsys, command(references, tmp_path / "m", *QUICK, *another))
        assert (code, "is of another training" in line) == (1, True), another
    fewer = ["--sequences", write_fasta(tmp_path / "f.fasta", dict(list(GENES.items())[:-1])), *references[2:]]
    code, line = refused(capsys, command(fewer, tmp_path / "m", *QUICK))
    assert (code, "is of another training" in line) == (1, True)
    assert main(command(references, tmp_path / "m", *QUICK)) == 0
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["m"]


def test_the_refit_has_as_many_passes_as_the_best_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, references: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 1.0, 2.0, 2.5])
    monkeypatch.setattr(train_network.NetworkLesson, "check", lambda lesson: next(losses) if lesson.held else None)
    assert main(command(references, tmp_path / "m", *QUICK, "--epochs", 9, "--patience", 2)) == 0
    said = capsys.readouterr().err
    assert "fitting again on all 48, for 2 passes" in said
    assert [line.split(":")[1] for line in said.splitlines() if "epoch" in line] == [
        " epoch 1 of 9", " epoch 2 of 9", " epoch 3 of 9", " epoch 4 of 9", " epoch 1 of 9", " epoch 2 of 9"
    ]  # fmt: skip
    origin = json.loads((tmp_path / "m" / "origin.json").read_text())
    assert (origin["passes"], origin["loss_held_out"]) == (2, [3.0, 1.0, 2.0, 2.5])


# ---------------------------------------------------------------------- two processes


def test_two_processes_give_one_model_the_same_as_one_process(tmp_path: Path, references: list[object]) -> None:
    pytest.importorskip("accelerate")
    settings = [*SIZE, "--epochs", 3, "--batch", 48, "--hold-out", 0.25, "--hidden-dropout-prob", 0, "--threads", 1]
    launcher = two_processes(tmp_path)
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert main(command(references, alone, *settings)) == 0
    arguments = command(references, together, *settings)
    assert killed(arguments, 5, *launcher).returncode != 0  # in the second fit
    assert {p.name for p in tmp_path.iterdir()} == {"alone", "dying.py", "together.training"}
    assert killed(arguments, 999, *launcher).returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"alone", "dying.py", "together"}
    one, other = (load_file(model / "model.safetensors") for model in (alone, together))
    assert one.keys() == other.keys()
    for name in one:
        assert np.allclose(one[name].astype(float), other[name].astype(float), atol=3e-4, rtol=1e-3), name


# ---------------------------------------------------------------------- the lesson


def small_lesson(**model: Any) -> train_network.NetworkLesson:
    config = train_network.Config()
    encoder = replace(
        config.model.encoder, embed_dim=8, num_filters=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_length=64,
    )  # fmt: skip
    config = replace(
        config, model=replace(config.model, encoder=encoder, **model), recipe=replace(config.recipe, batch=3)
    )
    ids = list(GENES)
    kept, held = ids[::2], ids[1::2]
    tree = Taxonomy.from_lineages(LINEAGES[i] for i in kept if "S0000" not in str(LINEAGES[i]))
    kept = [i for i in kept if tree.find(LINEAGES[i])[1] == 7]
    data, rest = (labelled([GENES[i] for i in some], [LINEAGES[i] for i in some], tree) for some in (kept, held))
    return train_network.NetworkLesson(data, rest, tree, config, Pieces.learn(list(GENES.values()), 64), "cpu")


@pytest.mark.parametrize("head", ["ranks", "tree"])
def test_the_held_out_loss_is_the_mean_over_held_out_references_one_by_one(head: str) -> None:
    lesson = small_lesson(head=head, loss_type="focal", level_weights=(0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 1.0))
    lesson.model.eval()
    slow = []
    for text, node in zip(lesson.held.sequences, lesson.held.nodes.tolist(), strict=True):
        with torch.no_grad():
            scores = lesson.model(lesson.model.encoder.collate([text]))
        if lesson.labels is None:
            groups, total = lesson.targets, 0.0
            for group, right in groups.steps(node, new=False):
                own = scores[0, groups.start[group] : groups.start[group + 1]]
                total -= float(own.log_softmax(0)[right - groups.start[group]])
            slow.append(total)
        elif node in lesson.labels.place_P:
            row = lesson.labels.class_PR[lesson.labels.place_P.tolist().index(node)]
            slow.append(-sum(float(s[0].log_softmax(0)[c]) for s, c in zip(scores, row, strict=True)))
    assert 0 < len(slow) < len(lesson.held.nodes) if head == "ranks" else len(slow) == len(lesson.held.nodes)
    assert lesson.check() == pytest.approx(np.mean(slow), rel=1e-5)


def test_the_compact_networks_embedding_has_no_weight_decay(tiny_config) -> None:  # type: ignore[no-untyped-def]
    from linnet import train

    tree = Taxonomy.from_lineages(LINEAGES.values())
    lesson = train.CompactLesson(labelled(list(GENES.values()), list(LINEAGES.values()), tree), tree, tiny_config)
    without, others = lesson.groups()
    assert [p is lesson.model.encoder.embedding for p in without["params"]] == [True]
    assert without["weight_decay"] == 0 and "weight_decay" not in others
    assert len(others["params"]) == len(list(lesson.model.parameters())) - 1


# ---------------------------------------------------------------------- labels of ranks

TABLE = [
    "Bacteria;P1;C1;O1;F1;Twin;Twin a",
    "Bacteria;P1;C1;O1;F2;Twin;Twin b",
    "Bacteria;P1;C1;O1;F1;Twin",
    "Bacteria;P2",
    "Archaea",
]


def table_labels() -> tuple[Taxonomy, RankLabels, np.ndarray]:
    tree = Taxonomy.from_lineages(map(lineage, TABLE))
    nodes = np.array([tree.find(lineage(text))[0] for text in TABLE])
    return tree, rrna_network.rank_labels(tree, nodes), nodes


def test_a_rank_that_is_left_out_is_named_after_the_deepest_name_above() -> None:
    _, labels, nodes = table_labels()
    assert labels.ranks == RANKS

    def named(row: int) -> list[str]:
        return [labels.labels[r][c] for r, c in enumerate(rrna_network.classes(labels, nodes)[row])]

    assert named(0) == ["Bacteria", "P1", "C1", "O1", "F1", "Twin", "Twin a"]
    assert named(2) == ["Bacteria", "P1", "C1", "O1", "F1", "Twin", "Unclassified_Twin"]
    assert named(3) == ["Bacteria", "P2", *["Unclassified_P2"] * 5]
    assert named(4) == ["Archaea", *["Unclassified_Archaea"] * 6]


def test_a_rank_left_out_in_the_middle_is_a_placeholder_too() -> None:
    from linnet.taxonomy import Taxon

    gap = (Taxon("domain", "Bacteria"), Taxon("class", "C"), Taxon("family", "F"))
    tree = Taxonomy.from_lineages([gap])
    labels = rrna_network.rank_labels(tree, np.array([tree.find(gap)[0]]))
    assert [some[0] for some in labels.labels] == [
        "Bacteria", "Unclassified_Bacteria", "C", "Unclassified_C", "F", "Unclassified_F", "Unclassified_F"
    ]  # fmt: skip


def test_two_taxa_of_one_name_are_two_labels() -> None:
    _, labels, nodes = table_labels()
    assert labels.labels[5].count("Twin") == 2
    one, other = rrna_network.classes(labels, nodes)[:2, 5].tolist()
    assert one != other


def test_a_taxon_that_no_reference_has_has_no_label() -> None:
    tree, labels, nodes = table_labels()
    for node in range(len(tree)):
        found = rrna_network.classes(labels, np.array([node]))[0]
        assert (found >= 0).all() == (node in nodes)
        assert (found == -1).all() == (node not in nodes)


def test_the_temperature_is_that_of_a_search_by_hand() -> None:
    _, labels, nodes = table_labels()
    random = np.random.default_rng(4)
    blocks = []
    for _ in range(3):
        places = np.append(random.choice(nodes, 30), 1)  # the last is a place that no lineage has, or has
        right = rrna_network.classes(labels, places)
        logits = [random.normal(size=(31, len(some))) for some in labels.labels]
        for r, some in enumerate(logits):
            some[np.arange(30), right[:30, r]] += 1.5
        log_p = (some - np.log(np.exp(some).sum(axis=1, keepdims=True)) for some in logits)
        blocks.append((RankScores(tuple(p.astype(np.float32) for p in log_p)), places))

    def slow(temperature: float) -> float:
        total = 0.0
        for scores, places in blocks:
            for row, place in enumerate(places.tolist()):
                joint = {
                    int(p): sum(float(scores.log_p[r][row, c]) for r, c in enumerate(classes)) / temperature
                    for p, classes in zip(labels.place_P, labels.class_PR, strict=True)
                }
                if place in joint:
                    total += np.log(sum(np.exp(j) for j in joint.values())) - joint[place]
        return total

    found = labels.tempered(iter(blocks)).temperature
    grid = np.geomspace(0.5, 14, 27)
    assert found == pytest.approx(min(grid, key=slow))
    assert slow(found) <= 1.01 * min(slow(t) for t in np.geomspace(0.5, 14, 200))
    assert labels.tempered(iter([])).temperature == labels.temperature
