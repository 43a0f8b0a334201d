"""Labels before and after: what became of each, where they went, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import lineage

from linnet.changes import Kind
from linnet.contig_transitions import (
    COMMON,
    NO_NAME,
    OTHERS,
    change,
    compared,
    kind_of_reason,
    kinds,
    names,
    read_reasons,
    reasons,
    transitions,
)
from linnet.errors import UserError
from linnet.prediction import Prediction, foreign
from linnet.taxonomy import RANKS, Taxon


def table(**labels: str) -> dict[str, Prediction]:
    return {contig: foreign(contig, lineage(text) if text else (), ()) for contig, text in labels.items()}


@pytest.mark.parametrize(
    ("old", "new", "kind", "rank"),
    [
        ("B;P", "B;P", Kind.KEPT, ""),
        ("B;P", "B;P;C;O", Kind.EXTENDED, "class"),
        ("B;P;C;O", "B;P", Kind.CUT, "class"),
        ("B;P;C;O", "B;P;X", Kind.MOVED, "class"),
        ("B;P", "B;Q;C", Kind.MOVED, "phylum"),
        ("", "B;P", Kind.NEW, "domain"),
        ("B;P", "", Kind.CUT, "domain"),
        ("", "", Kind.NONE, ""),
    ],
)
def test_what_became_of_a_label(old: str, new: str, kind: Kind, rank: str) -> None:
    assert change(names(lineage(old) if old else ()), names(lineage(new) if new else ())) == (kind, rank)


def test_a_rank_that_one_table_leaves_out_may_be_anything() -> None:
    gapped = (Taxon("domain", "B"), Taxon("genus", "G"))
    assert change(names(lineage("B;P;C;O;F;G")), names(gapped)) == (Kind.KEPT, "")
    assert change(names(gapped), names(lineage("B;P;C;O;F;G;S"))) == (Kind.EXTENDED, "species")


def test_names_have_one_spelling_and_keep_suffixes_of_gtdb() -> None:
    a = names((Taxon("phylum", "p__Firmicutes_C"), Taxon("species", "s__Blautia_A wexlerae")))
    b = names((Taxon("phylum", "Firmicutes C"), Taxon("species", "Blautia_A_wexlerae")))
    assert a == b
    assert a[1] == "Firmicutes_C"
    assert a[-1] == "Blautia_A wexlerae"


def random_tables(n: int) -> tuple[dict[str, int], dict[str, Prediction], dict[str, Prediction]]:
    """Labels over a tree of 3 x 3 x 3 taxa at the upper ranks, most of them alike before and after."""
    random = np.random.default_rng(0)

    def label() -> str:
        depth = int(random.integers(0, 4))
        path = "".join(str(i) for i in random.integers(0, 4, 3))
        return ";".join(f"{'dpc'[level]}{path[: level + 1]}" for level in range(depth))

    before = {f"c{i}": label() for i in range(n)}
    after = {c: old if random.random() < 0.6 else label() for c, old in before.items()}
    return {f"c{i}": int(random.integers(500, 5000)) for i in range(n)}, table(**before), table(**after)


def test_flows_count_every_contig_once_as_a_plain_loop_does() -> None:
    lengths, before, after = random_tables(400)
    found = transitions(compared(lengths, before, after))
    for level, rank in enumerate(RANKS[:3]):
        here = found[rank]
        assert sum(flow.contigs for flow in here.flows) == 400
        assert sum(flow.bases for flow in here.flows) == sum(lengths.values())
        for side, labels in (("before", before), ("after", after)):
            plain = Counter(p.lineage[level].name if len(p.lineage) > level else NO_NAME for p in labels.values())
            told: Counter[str] = Counter()
            for flow in here.flows:
                told[here.nodes[getattr(flow, side)]] += flow.contigs
            others = told.pop(OTHERS, 0)
            assert told == {name: plain[name] for name in told}
            assert others == sum(plain.values()) - sum(told.values())
        assert len(here.nodes) <= COMMON + 2
        for flow in here.flows:
            same = flow.before == flow.after
            if flow.kind == Kind.KEPT:
                assert same
            if flow.kind in (Kind.CUT, Kind.NONE):
                assert here.nodes[flow.after] == NO_NAME
            if flow.kind in (Kind.NEW, Kind.EXTENDED, Kind.NONE):
                assert here.nodes[flow.before] == NO_NAME
    assert len(found["class"].nodes) == COMMON + 2
    assert list(found) == ["domain", "phylum", "class"]


def test_kinds_of_whole_labels_add_up() -> None:
    lengths, before, after = random_tables(200)
    cases = compared(lengths, before, after)
    found = kinds(cases)
    assert sum(amount.contigs for amount in found.values()) == 200
    assert sum(amount.bases for amount in found.values()) == sum(lengths.values())
    assert found["kept"].contigs == sum(c.old == c.new and any(c.old) for c in cases)


def test_a_contig_without_a_row_has_no_label_and_namesakes_are_told_apart() -> None:
    before = table(a="B;P;same", b="B;Q;same", gone="B;P")
    cases = compared({"a": 1, "b": 2, "c": 3}, before, table(a="B;P;same"))
    assert [case.kind for case in cases] == [Kind.KEPT, Kind.CUT, Kind.NONE]
    assert transitions(cases)["class"].nodes[:2] == ("same (P)", "same (Q)")


def test_reasons_are_gathered_without_what_is_of_one_contig(tmp_path: Path) -> None:
    path = tmp_path / "changes.tsv"
    why = ["93 % of the labels of about 18 contigs of its genome agree; probably new to the reference below X y sp. 2",
           "90 % of the labels of about 2 contigs of its genome agree; probably new to the reference below Z",
           "61 % of the labels of about 5 contigs of its genome agree; its own label is right with 0.12"]  # fmt: skip
    head = "contig\tchange\trank\told\tnew\tconfidence_before\tconfidence_after\twhy\n"
    path.write_text(head + "".join(f"c{i}\tkept\t\td__B\td__B\t0.5\t\t{text}\n" for i, text in enumerate(why)))
    told = read_reasons(path)
    assert (told["c0"].before, told["c0"].after) == (0.5, None)
    label = table(c0="B", c1="B", c2="B")
    found = reasons(compared({"c0": 10, "c1": 20, "c2": 5}, label, label), told)
    assert [(why, amount.contigs, amount.bases) for _, why, amount in found] == [
        (
            "90 % and more of the labels of its genome's contigs agree; probably new to the reference below the last name",
            2,
            30,
        ),
        ("50 to 89 % of the labels of its genome's contigs agree; its own label is right with …", 1, 5),
    ]
    assert kind_of_reason("") == "no reason told"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tb\n", "no table of changes"),
        ("contig\tconfidence_before\tconfidence_after\twhy\nc\t\t\n", "too few cells"),
        ("contig\tconfidence_before\tconfidence_after\twhy\nc\thigh\t\tw\n", "no number"),
        ("contig\tconfidence_before\tconfidence_after\twhy\nc\t\t\tw\nc\t\t\tw\n", "second row"),
    ],
)
def test_another_table_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "changes.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_reasons(path)
