"""One contract for every file in formats/."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from conftest import lineage

from linnet import formats
from linnet.errors import UsageError, UserError
from linnet.prediction import Prediction, Stopped, unreadable
from linnet.taxonomy import Taxon, canonical

PREDICTIONS = [
    Prediction("r1", lineage("Bacteria;P, \"q\";C d;O;F;G;G é"), (0.9999, 0.9, 0.85, 0.8, 0.75, 0.71, 0.25),
               (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.5, 0.0), 6, Stopped.NOVEL, "-"),
    Prediction("r2", (Taxon("domain", "Archaea"), Taxon("genus", "X")), (0.9, 0.8), (0.1, 0.05, 0.0), 2,
               Stopped.NAMED, "+"),
    unreadable("r3", "no sequence"),
]  # fmt: skip


def written(name: str, predictions: list[Prediction] = PREDICTIONS) -> str:
    file = io.StringIO()
    formats.load(name).write(iter(predictions), file)
    return file.getvalue()


@pytest.mark.parametrize("name", [n for n in formats.writable() if n not in ("biobox", "kreport", "krona")])
def test_every_record_has_one_row(name: str) -> None:
    rows = [line for line in written(name).splitlines() if any(r in line for r in ("r1", "r2", "r3"))]
    assert len(rows) == 3
    assert [r in row for r, row in zip(("r1", "r2", "r3"), rows, strict=True)] == [True] * 3


@pytest.mark.parametrize("name", formats.writable())
def test_names_below_the_cut_are_not_shown_as_kept(name: str) -> None:
    if name not in ("jsonl", "tsv", "csv", "biobox"):  # these keep the whole path, apart; biobox has no names
        assert "G é" not in written(name)


@pytest.mark.parametrize("name", [n for n in formats.writable() if hasattr(formats.load(n), "read")])
def test_what_is_written_is_recognised_and_read_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text(written(name), encoding="utf-8")
    back = formats.read_predictions(path)
    assert list(back) == ["r1", "r2", "r3"]
    for p in PREDICTIONS:
        assert canonical(back[p.record_id].kept) == canonical(p.kept)


@pytest.mark.parametrize("name", ["jsonl", "tsv", "csv"])
def test_the_cut_can_be_moved_after_reading_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{name}.gz"
    from linnet.outputs import open_output

    with open_output(path) as file:
        formats.load(name).write(PREDICTIONS, file)
    back = list(formats.iterate(path))
    for minimum in (0.0, 0.5, 0.8, 1.0):
        assert [p.recut(minimum) for p in back] == [p.recut(minimum) for p in PREDICTIONS]


def test_qiime_follows_the_specification() -> None:
    lines = written("qiime").splitlines()
    assert lines[0] == "Feature ID\tTaxon\tConfidence"
    assert lines[1] == 'r1\td__Bacteria; p__P, "q"; c__C d; o__O; f__F; g__G\t0.7100'
    assert lines[2] == "r2\td__Archaea; p__; c__; o__; f__; g__X\t0.8000"
    assert lines[3].startswith("r3\tUnassigned\t")
    assert all(len(line.split("\t")) == 3 and not line.endswith(";") for line in lines)


def test_dada2_is_what_write_csv_gives() -> None:
    assert written("dada2").splitlines()[2] == '"r2","Archaea",NA,NA,NA,NA,"X",NA'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("r1\td:Bacteria(1.00),p:P(0.80)\t+\td:Bacteria\nr2 x\t\t\t\n", {"r1": (1.0, 0.8), "r2": ()}),
        ("r1\tBacteria(100);P(80);\nr2\tunclassified;\n", {"r1": (1.0, 0.8), "r2": ()}),
        ("r1\tk__Bacteria;p__P\t1,0.8\nr2\t\t\n", {"r1": (1.0, 0.8), "r2": ()}),
        ("r2\t\t\nr1\tk__Bacteria;p__P\t1,0.8\n", {"r1": (1.0, 0.8), "r2": ()}),
        ("r2\t\t\t\nr1\td:Bacteria(1.00),p:P(0.80)\t+\t\n", {"r1": (1.0, 0.8), "r2": ()}),
        ("Feature ID\tTaxon\tConfidence\nr1\td__Bacteria; p__P\t0.8\nr2\tUnassigned\t0.4\n",
         {"r1": (0.8, 0.8), "r2": ()}),
        ("Feature ID\tTaxon\nr1\td__Bacteria; p__P\nr2\tUnassigned\n", {"r1": (), "r2": ()}),
        ('"","Kingdom","Phylum"\n"r1","Bacteria","P"\n"r2",NA,NA\n', {"r1": (), "r2": ()}),
    ],
    ids=["sintax", "mothur", "pairs", "pairs, empty first", "sintax, empty first", "qiime", "qiime without confidence", "dada2"],
)  # fmt: skip
def test_tables_of_other_tools_are_read(tmp_path: Path, content: str, expected: dict[str, tuple[float, ...]]) -> None:
    path = tmp_path / "peer.txt"
    path.write_text(content)
    found = formats.read_predictions(path)
    assert {i: p.confidence for i, p in found.items()} == expected
    assert found["r1"].kept == lineage("Bacteria;P")
    assert found["r2"].kept == ()


def test_a_table_of_no_known_kind_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("hello\n")
    with pytest.raises(UserError, match=r"x\.txt, line 1: a table of no known kind"):
        formats.read_predictions(path)
    with pytest.raises(UsageError, match="no format 'xml'"):
        formats.load("xml")


def test_two_answers_for_one_record_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("r1\tBacteria;P\t0.9\nr1\tBacteria;Q\t0.9\n")
    with pytest.raises(UserError, match=r"p\.tsv: two answers for 'r1'"):
        formats.read_predictions(path)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(written("jsonl") + '{"record": 1}\n')
    with pytest.raises(UserError, match=r"p\.jsonl, line 4: not a prediction"):
        formats.read_predictions(path)
