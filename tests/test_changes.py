"""What became of a label, in words."""

from __future__ import annotations

import io

import pytest
from conftest import lineage

from linnet.changes import HEADER, Change, write, written
from linnet.prediction import Prediction, Stopped


def change(old: str, new: str, *, stopped: Stopped = Stopped.NAMED, more: str = "", **known: float | None) -> Change:
    """A label and a path kept down to `new`; `more` lies below the cut."""
    path = lineage(new + more) if new or more else ()
    cut = len(lineage(new)) if new else 0
    confidence = tuple(0.9 - 0.01 * i if i < cut else 0.2 for i in range(len(path)))
    prediction = Prediction("k1", path, confidence, (0.0,) * (len(path) + 1), cut, stopped)
    return Change("k1", lineage(old) if old else (), prediction, **known)


@pytest.mark.parametrize(
    ("old", "new", "kind", "rank"),
    [
        ("B;P;C", "B;P;C", "kept", ""),
        ("B;P;C", "B;P;C;O", "extended", "order"),
        ("B;P;C", "B;P;C;O;F;G;S", "extended", "order"),
        ("B;P;C;O;F", "B;P;C", "cut", "order"),
        ("B;P", "", "cut", "domain"),
        ("B;P;C", "B;P;D", "moved", "class"),
        ("B;P;C;O", "B;Q;R", "moved", "phylum"),
        ("B;P", "A;P;C;O", "moved", "domain"),
        ("", "B;P", "newly labelled", "domain"),
        ("", "", "no label", ""),
    ],
)
def test_every_kind_of_change_and_where_it_begins(old: str, new: str, kind: str, rank: str) -> None:
    found = change(old, new)
    assert (found.kind.value, found.rank) == (kind, rank)


def test_names_below_the_cut_change_nothing() -> None:
    found = change("B;P;C", "B;P;C", more=";O;F")
    assert found.kind == "kept"
    assert change("B;P;C;X", "B;P;C", more=";O;F").kind == "cut"


@pytest.mark.parametrize(
    ("neighbours", "agree", "said"),
    [
        (None, None, ""),
        (0.2, None, "no contig of the same genome was found"),
        (12.4, None, "no label among about 12 contigs of its genome"),
        (12.4, 0.755, "76 % of the labels of about 12 contigs of its genome agree"),
    ],
)
def test_neighbours_are_told_of(neighbours: float | None, agree: float | None, said: str) -> None:
    assert change("B;P", "B;P", neighbours=neighbours, agree=agree).why == said


def test_why_names_are_left_out() -> None:
    novel = change("B;P;C;O", "B;P", more=";C;O", stopped=Stopped.NOVEL, neighbours=5.0, agree=0.5).why
    assert "below P" in novel and "new to the reference" in novel
    unsure = change("B;P;C;O", "B;P", more=";C;O", stopped=Stopped.UNSURE).why
    assert unsure == "no deeper name reaches the cut"
    assert change("B;P", "B;P", more=";C", stopped=Stopped.UNSURE).why == ""


def test_a_moved_label_is_said_to_be_as_right_as_it_is() -> None:
    assert change("B;P;C", "B;Q", before=0.123).why == "its own label is right with 0.12"
    assert change("B;P;C", "B;P;C", before=0.123).why == ""


def test_the_table_has_a_row_a_contig() -> None:
    changes = [
        change("B;P;C", "B;P", more=";C", stopped=Stopped.UNSURE, before=0.25, neighbours=3.0, agree=0.5),
        change("", ""),
        change("", "B;P;C"),
    ]
    file = io.StringIO()
    write(changes, file)
    head, *rows = [line.split("\t") for line in file.getvalue().splitlines()]
    assert tuple(head) == HEADER
    assert rows[0][:7] == ["k1", "cut", "class", "d__B;p__P;c__C", "d__B;p__P", "0.2500", "0.8900"]
    assert rows[0][7] == changes[0].why
    assert rows[1] == ["k1", "no label", "", "", "", "", "", ""]
    assert rows[2][:7] == ["k1", "newly labelled", "domain", "", "d__B;p__P;c__C", "", "0.8800"]


def test_lineages_are_written_with_the_letters_of_their_ranks() -> None:
    assert written(lineage("B;P;C;O;F;G;S")) == "d__B;p__P;c__C;o__O;f__F;g__G;s__S"
    assert written(()) == ""
