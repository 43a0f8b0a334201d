"""One contract for every file in formats/."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from conftest import lineage
from hypothesis import given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    "change", [{"lineage": None}, {"strand": None}, {"reason": 3}, {"cut": 9},
               {"lineage": [{"rank": "domain", "name": None}], "novelty": [0, 0]},
               {"lineage": [{"rank": "domain", "name": "B", "taxid": [2]}], "novelty": [0, 0]}],
    ids=["lineage", "strand", "reason", "cut", "name", "taxid"],
)  # fmt: skip
def test_a_damaged_line_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "p.jsonl"
    *_, last = written("jsonl").splitlines()
    path.write_text(written("jsonl") + json.dumps(json.loads(last) | change) + "\n")
    with pytest.raises(UserError, match=r"p\.jsonl, line 4: not a prediction"):
        formats.read_predictions(path)


TREE = (*lineage('Bacteria;50 %s off;C "d";O\\;é'), Taxon("no rank", "x"), Taxon("species", "S", 562))
IDS = st.one_of(
    st.sampled_from(["r", 'a"b', "a\tb", "a,b", "a\nb"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1),
)
PROBABILITIES = st.one_of(
    st.floats(0, 1),
    st.sampled_from([1e-7, 5e-7, 1.5e-6, 9.99995e-5, 0.0001, 0.9999995, 0.25, 2**-20]),
    st.integers(0, 2**21).map(lambda n: n / 2**21),  # some lie halfway between two sixth decimals
)
ANY = st.builds(
    lambda id, depth, cut, p, sure, why: Prediction(
        id, TREE[:depth], tuple(p[:depth]) if sure else (), tuple(p[7 : 8 + depth]), min(cut, depth), why,
        agreement=tuple(p[:depth]) if cut % 2 else (), flags=(id,) if cut % 3 else (),
    ),
    IDS, st.integers(0, 7), st.integers(0, 7),
    st.lists(PROBABILITIES, min_size=15, max_size=15), st.booleans(), st.sampled_from(Stopped),
)  # fmt: skip


@given(st.lists(ANY, max_size=2))
@settings(max_examples=50)
def test_jsonl_is_what_the_library_writes(predictions: list[Prediction]) -> None:
    file = io.StringIO(newline="")
    formats.load("jsonl").write(predictions, file)
    objects = []
    for p in predictions:
        taxa = [{"rank": t.rank, "name": t.name} | ({"taxid": t.taxid} if t.taxid else {}) for t in p.lineage]
        if p.confidence:
            taxa = [t | {"confidence": round(x, 6)} for t, x in zip(taxa, p.confidence, strict=True)]
        object = {"record": p.record_id, "strand": p.strand, "stopped": p.stopped.value, "cut": p.cut, "lineage": taxa,
                  "novelty": [round(x, 6) for x in p.novelty], "reason": p.reason}  # fmt: skip
        object |= {"agreement": [round(x, 4) for x in p.agreement]} if p.agreement else {}
        objects.append(object | ({"flags": list(p.flags)} if p.flags else {}))
    assert file.getvalue() == "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects)


@pytest.mark.parametrize(("name", "delimiter"), [("tsv", "\t"), ("csv", ",")])
@given(predictions=st.lists(ANY.filter(lambda p: p.confidence or not p.lineage), max_size=2))
@settings(max_examples=50)
def test_tables_are_quoted_as_the_library_does(name: str, delimiter: str, predictions: list[Prediction]) -> None:
    file, again = io.StringIO(newline=""), io.StringIO(newline="")
    formats.load(name).write(predictions, file)
    rows = list(csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=delimiter))
    csv.writer(again, delimiter=delimiter, lineterminator="\n").writerows(rows)
    assert file.getvalue() == again.getvalue()
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[0] for row in rows[1:]] == [p.record_id for p in predictions]
    assert [[float(x) for x in row[10:17] if x] for row in rows[1:]] == [
        [round(p.confidence[i], 6) for i in range(len(p.lineage)) if i != 5] for p in predictions
    ]
