"""The page on proteins: whole, self-contained, safe whatever stands in the files, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from conftest import write_fasta
from protein_world import evolve, trained, world
from test_report import Reader

from linnet import checkpoint, shards
from linnet.__main__ import main
from linnet.predictor import load
from linnet.protein_questions import reference_nodes
from linnet.records import SequenceRecord
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy

for _library in ("matplotlib", "sklearn"):
    pytest.importorskip(_library)

pytestmark = pytest.mark.slow  # models are trained, or whole commands run

NASTY = "P0<script>alert('&')</script>$x^2"


def write_tree(path: Path, tree: Taxonomy) -> Path:
    """A table of parents; taxid 1 is the root."""

    def id(node: int) -> int:
        return int(tree.taxids[node]) or 1

    names = [NASTY if name == "P0" else name for name in tree.names]
    rows = [f"{id(n)}\t{id(int(tree.parent[n]))}\t{tree.rank(n)}\t{names[n]}" for n in range(len(tree))]
    path.write_text("\n".join(["taxid\tparent\trank\tname", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Queries, their tree and references, an ensemble of two, pairs, ablations; one taxon has a name that is markup."""
    folder = tmp_path_factory.mktemp("report")
    store, tree = world()
    rows = range(0, len(store), 5)
    random = np.random.default_rng(1)
    sequences = {
        f"{store.id(i)} OX={tree.taxids[store.nodes[i]]}": evolve(store.sequence(i), 0.5 * random.random(), random)
        for i in rows
    }
    sequences["stranger OX=424242"] = store.sequence(0)
    ensemble = folder / "ensemble"
    checkpoint.save(trained()[0], ensemble / "a")
    shutil.copytree(ensemble / "a", ensemble / "b")
    ids = [store.id(i) for i in rows]
    (folder / "pairs.tsv").write_text(f"{ids[0]}\t{ids[-1]}\n{ids[1]}\t{ids[2]}\n")
    (folder / "ablations.json").write_text(json.dumps([{"name": "variant", "figures": {"genus": 0.25, "n": 7}}]))
    references = [f"{store.id(i)}\t{tree.taxids[store.nodes[i]]}\n" for i in range(len(store)) if i % 5]
    (folder / "train.tsv").write_text("".join(references))
    return {
        "--sequences": str(write_fasta(folder / "q.faa", sequences)),
        "--taxonomy": str(write_tree(folder / "nodes.tsv", tree)),
        "--reference": str(folder / "train.tsv"),
        "--model": str(ensemble),
        "--pairs": str(folder / "pairs.tsv"),
        "--ablations": str(folder / "ablations.json"),
        "--out": str(folder / "report.html"),
        "--json": str(folder / "report.json"),
        "--embeddings": str(folder / "vectors.npz"),
    }


def command(files: dict[str, str], *more: str, **changed: str) -> list[str]:
    given = files | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return ["report", "proteins", *more, *(word for pair in given.items() for word in pair if pair[1])]


@pytest.fixture(scope="module")
def run(files: dict[str, str]) -> tuple[str, dict]:  # type: ignore[type-arg]
    assert main(command(files, "--members")) == 0
    return Path(files["--out"]).read_text(), json.loads(Path(files["--json"]).read_text())


def test_the_page_is_whole_loads_nothing_and_names_are_only_text(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, _ = run
    reader = Reader(page)
    assert reader.open == []
    assert [link for link in reader.loaded if not link.startswith("data:image/png;base64,")] == []
    assert "script" not in reader.tags
    assert NASTY in "".join(reader.words)
    assert len(page) < 3_000_000


def test_the_page_shows_the_numbers_of_the_json(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, found = run
    text = "".join(Reader(page).words)
    for rank, figures in found["figures"]["ensemble"].items():
        assert f"{100 * figures['accuracy']:.1f}" in text, rank
        assert f"{100 * figures['ece_debiased']:.1f}" in text, rank
    whole = found["lineages"]["ensemble"]["whole"]
    assert f"{100 * whole['shared']['mean']:.1f} ({100 * whole['shared']['quartiles'][0]:.1f}" in text
    assert f"{whole['correlation']['spearman']:.3f}" in text
    assert "0.25" in text and "As given" in text


def test_members_are_runs_and_what_was_left_out_is_said(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    _, found = run
    assert list(found["figures"]) == ["ensemble", "a", "b"] and found["averaged"] == ["a", "b"]
    assert found["spread"]["genus"]["accuracy"]["sd"] == 0  # they are copies
    assert found["runs"]["ensemble"]["kind"] == "ensemble of 2"
    assert any("unknown taxid: 1" in note for note in found["notes"])


def test_ways_are_in_the_plane_and_along_mutations(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    _, found = run
    assert len(found["trajectories"]) == len(found["plane"]["ways"]) == 2
    for way, (x, y) in zip(found["trajectories"], found["plane"]["ways"], strict=True):
        points = len(way["mutations"])
        assert points == len(x) == len(y) == len(way["named"])
        assert all(len(clade["p"]) == points and all(0 <= p <= 1 for p in clade["p"]) for clade in way["clades"])


def test_vectors_go_with_their_ids(run: tuple[str, dict], files: dict[str, str]) -> None:  # type: ignore[type-arg]
    with np.load(files["--embeddings"], allow_pickle=False) as kept:
        assert len(kept["ids"]) == run[1]["counts"]["queries"]
        assert kept["vectors"].shape == (len(kept["ids"]), 24)


@pytest.mark.slow
def test_tables_of_predictions_are_runs_with_the_figures_of_their_model(
    run: tuple[str, dict],
    files: dict[str, str],
    tmp_path: Path,  # type: ignore[type-arg]
) -> None:
    named, out = tmp_path / "named.jsonl", tmp_path / "new.html"
    model = str(Path(files["--model"]) / "a")
    assert main(["classify", files["--sequences"], "--model", model, "--out", str(named)]) == 0
    asked = command(files, str(named), model="", pairs="", embeddings="", ablations="", out=str(out),
                    json=str(tmp_path / "new.json"))  # fmt: skip
    assert main(asked) == 0
    found = json.loads((tmp_path / "new.json").read_text())
    for rank, figures in found["figures"]["named.jsonl"].items():
        assert figures["accuracy"] == run[1]["figures"]["a"][rank]["accuracy"], rank
        assert figures["ece"] == pytest.approx(run[1]["figures"]["a"][rank]["ece"], abs=1e-5)
    of_model = run[1]["lineages"]["a"]["whole"]["shared"]["mean"]
    assert found["lineages"]["named.jsonl"]["whole"]["shared"]["mean"] == pytest.approx(of_model)
    assert found["plane"] is None and "No layout" in out.read_text()
    assert "Not asked for (--pairs, with --model)." in out.read_text()


def test_a_folder_of_shards_is_a_reference_as_its_table_is(files: dict[str, str], tmp_path: Path) -> None:
    store, _ = world()
    tree = read_taxonomy(Path(files["--taxonomy"]))
    notes: list[str] = []
    of_table = reference_nodes(Path(files["--reference"]), tree, notes.append, [store.id(0), store.id(1)])
    assert notes == ["train.tsv: 1 of 2 queries have the id of a reference."]
    records = [SequenceRecord(store.id(i), store.sequence(i)) for i in range(len(store)) if i % 5]
    shards.write(zip(records, of_table.tolist(), strict=True), tree, tmp_path / "shards")
    assert reference_nodes(tmp_path / "shards", tree, notes.append).tolist() == of_table.tolist()
    assert {tree.taxids[node] for node in of_table} <= {world()[1].taxids[node] for node in store.nodes}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": ""}, "neither --model nor a table"),
        ({"reference": ""}, "--reference is missing"),
        ({"model": "rrna"}, "a model of genes"),
        ({"pairs": "{nobody}"}, "'nobody' is no query"),
        ({"ablations": "{nobody}"}, "not JSON"),
        ({"ablations": "{object}"}, "is not a variant"),
        ({"reference": "{strangers}"}, "none of the references is in the taxonomy"),
        ({"sequences": "{twice}"}, "there twice"),
        ({"sequences": "{rootless}"}, "none of 1 proteins has a taxon"),
        ({"out": "{sequences}"}, "also read"),
        ({"out": "{pairs}", "pairs": "{pairs}"}, "also read"),
        ({"embeddings": "vectors.txt"}, ".npz"),
        ({"pairs": "", "order": "left"}, "--order without --pairs"),
        ({"reference_sequences": "{sequences}"}, "--reference-sequences with 'proteins'"),
        ({"changes": "{pairs}"}, "--changes with 'proteins'"),
    ],
)
def test_what_cannot_be_done_is_said(
    files: dict[str, str], changed: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, tree = world()
    taxid = int(tree.taxids[store.nodes[0]])
    texts = {
        "nobody": "nobody\tp00000_0\n",
        "object": '[{"name": "x", "figures": {"y": "z"}}]',
        "strangers": "x\td__Archaea;p__X\n",
        "twice": f">x OX={taxid}\nMKTAYIAKQR\n>x OX={taxid}\nMKTAYIAKQQ\n",
        "rootless": ">x OX=424242\nMKTAYIAKQR\n",
    }
    places = {name[2:]: value for name, value in files.items()}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        places[name] = str(tmp_path / name)
    resolved = {name: value.format(**places) for name, value in changed.items()}
    out = tmp_path / "new.html"
    asked = {"out": str(out), "json": "", "embeddings": "", "pairs": "", "ablations": ""} | resolved
    assert main(command(files, **asked)) in (1, 2)
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_flags_of_proteins_are_refused_for_genes(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = command(files, embeddings="", ablations="")
    asked[1] = "rrna"
    assert main(asked) == 2
    assert "--pairs with 'rrna'" in capsys.readouterr().err


def test_every_key_of_the_json_is_explained(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    explained = (
        (Path(__file__).parent.parent / "docs" / "evaluation-proteins.md").read_text().partition("## The JSON")[2]
    )
    _, found = run
    figures, whole = found["figures"]["a"]["genus"], found["lineages"]["a"]["whole"]
    parts = (found["settings"], figures, whole, found["novelty"][0], found["groups"][0], found["plane"],
             found["cladogram"], found["crossings"], found["trajectories"][0], found["trajectories"][0]["clades"][0])  # fmt: skip
    for key in (*found, *(key for part in parts for key in part)):
        assert f"`{key}`" in explained or f"`{key}." in explained, key


def test_vectors_of_an_ensemble_are_its_first_models(files: dict[str, str]) -> None:
    from protein_world import records

    some = records()[:9]
    one, both = load(Path(files["--model"]) / "a"), load(files["--model"])
    assert np.array_equal(one.vectors(some), both.vectors(some))  # type: ignore[arg-type]
