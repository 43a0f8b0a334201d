"""Formats for contigs: Taxometer's, CAMI's binning, Kraken2's report and Krona's text, beside the tools' own files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from conftest import lineage

from linnet import formats
from linnet.errors import UserError
from linnet.gold_standard import read_gold_standard
from linnet.lineages import read_lineages
from linnet.ncbi import read_taxdump
from linnet.prediction import Prediction, Stopped, foreign, unreadable
from linnet.taxonomy import Lineage, Taxon


def written(name: str, predictions: Iterable[Prediction]) -> str:
    file = io.StringIO()
    formats.load(name).write(iter(predictions), file)
    return file.getvalue()


def read(folder: Path, content: str) -> dict[str, Prediction]:
    path = folder / "results.tsv"
    path.write_text(content, encoding="utf-8")
    return formats.read_predictions(path)


def named(record: str, text: str) -> Prediction:
    return foreign(record, lineage(text) if text else (), ())


# ---------------------------------------------------------------------- Taxometer


def test_taxometer_gets_names_and_scores_down_to_the_cut_and_a_row_for_every_contig() -> None:
    cut = Prediction("c1", lineage("Bacteria;P;C"), (0.99999, 0.9, 0.4), (0.0,) * 4, 2, Stopped.UNSURE)
    assert written("taxometer", [cut, unreadable("c2", "too short")]).splitlines() == [
        "contigs\tpredictions\tscores",
        "c1\td__Bacteria;p__P\t0.99999;0.90000",
        "c2\t\t",
    ]


def test_taxometer_is_spared_skipped_ranks_and_they_are_not_read_back(tmp_path: Path) -> None:
    taxa = (Taxon("phylum", "P"), Taxon("family", "F"), Taxon("clade", "X"), Taxon("genus", "G"))
    gaps = Prediction("c1", taxa, (0.9, 0.8, 0.75, 0.7), (0.0,) * 5, 4, Stopped.NAMED)
    text = written("taxometer", [gaps])
    assert text.splitlines()[1].split("\t") == [
        "c1",
        "d__unnamed domain;p__P;c__unnamed class of P;o__unnamed order of P;f__F;g__G",
        "0.90000;0.90000;0.80000;0.80000;0.80000;0.70000",
    ]
    back = read(tmp_path, text)["c1"]
    assert [(t.rank, t.name) for t in back.kept] == [("phylum", "P"), ("family", "F"), ("genus", "G")]
    assert back.confidence == (0.9, 0.8, 0.7)


def test_no_name_given_to_taxometer_stands_at_two_ranks() -> None:
    same = named("c1", "Bacteria;CSP1-3;CSP1-3;CSP1-3")
    names = written("taxometer", [same]).splitlines()[1].split("\t")[1].split(";")
    assert len(set(names)) == 4


@pytest.mark.parametrize(
    ("row", "names", "scores"),
    [
        ("Bacteria;P;C\t1.0;0.9;0.8", "Bacteria;P;C", (1.0, 0.9, 0.8)),
        ("d_Bacteria;p_P;c_C\t1.0;0.9;0.8", "Bacteria;P;C", (1.0, 0.9, 0.8)),
        ("d__Bacteria;p__P\t1.0;1e-05", "Bacteria;P", (1.0, 0.00001)),
        ("Bacteria;P (a)\t1.0;0.9", "Bacteria;P (a)", (1.0, 0.9)),
        ("Bacteria;P(2)\t1.0;0.9", "Bacteria;P(2)", (1.0, 0.9)),
        ("Bacteria\t0.6", "Bacteria", (0.6,)),
        ("unknown\t0.99", "", ()),
        ("Bacteria;unknown\t0.99;0.98", "Bacteria", (0.99,)),
        ("\t", "", ()),
        ("Bacteria;P\t", "Bacteria;P", ()),
        ("Bacteria;P", "Bacteria;P", ()),
    ],
)
def test_taxometers_own_rows_are_read(tmp_path: Path, row: str, names: str, scores: tuple[float, ...]) -> None:
    header = "contigs\tpredictions\tscores" if row.count("\t") else "contigs\tpredictions"
    found = read(tmp_path, f"{header}\nc1\t{row}\n")["c1"]
    assert found.kept == (lineage(names) if names else ())
    assert found.confidence == scores


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c1\tBacteria;P\t1.0", "line 2: 2 names, 1 scores"),
        ("c1\tBacteria;P\t1.0;x", "line 2: score 'x'"),
        ("c1\tBacteria;P\t1.0;nan", "line 2: score 'nan'"),
        ("c1\tBacteria;P\t1.0;1.1", "line 2: score '1.1'"),
        ("c1", "line 2: one cell"),
        ("c1\ta;b;c;d;e;f;g;h\t", "line 2: 8 names without ranks"),
    ],
)
def test_a_row_that_cannot_be_taxometers_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UserError, match=r"results\.tsv, " + message):
        read(tmp_path, f"contigs\tpredictions\tscores\n{row}\n")


def test_taxometers_published_results_come_back_name_for_name(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "parity" / "taxometer" / "taxometer_out"
    for path in sorted(folder.glob("*.tsv")):
        predictions = formats.read_predictions(path)
        rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
        assert [*predictions] == [row[0] for row in rows]
        for id, names, scores in rows:
            if names == "unknown":
                assert predictions[id].kept == ()
                continue
            assert [f"{t.rank[0]}_{t.name}" for t in predictions[id].kept] == [n for n in names.split(";") if n]
            assert list(predictions[id].confidence) == [float(s) for s in scores.split(";") if s]
        again = read(tmp_path, written("taxometer", predictions.values()))
        assert again == predictions


# ---------------------------------------------------------------------- CAMI


def test_biobox_gives_the_deepest_kept_taxid_and_leaves_out_contigs_without_a_name(tmp_path: Path) -> None:
    taxa = (Taxon("domain", "Bacteria", 2), Taxon("phylum", "Bacillota", 1239), Taxon("class", "Bacilli", 91061))
    cut = Prediction("c1", taxa, (0.9, 0.8, 0.1), (0.0,) * 4, 2, Stopped.UNSURE)
    text = written("biobox", [cut, unreadable("c2", "too short")])
    assert text == "@Version:0.9.1\n@SampleID:\n\n@@SEQUENCEID\tTAXID\nc1\t1239\n"


def test_biobox_cannot_be_written_without_taxids() -> None:
    with pytest.raises(UserError, match=r"record 'c1': 'P' \(phylum\) has no taxid.*--taxonomy"):
        written("biobox", [named("c1", "Bacteria;P")])


def test_a_biobox_file_is_read_as_a_gold_standard_is(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "parity" / "taxometer"
    taxonomy = read_taxdump(folder / "taxdump")
    gold = read_gold_standard(folder / "gold_standard.binning", taxonomy).lineages
    path = tmp_path / "ours.binning"
    path.write_text(written("biobox", [foreign(id, taxa, ()) for id, taxa in gold.items()]))
    assert gold
    assert read_gold_standard(path, taxonomy).lineages == gold


# ---------------------------------------------------------------------- Kraken2's report


def test_kreport_counts_clades_and_orders_siblings_by_size_then_name() -> None:
    texts = ["Bacteria;P;C", "Bacteria;P", "Bacteria;Q", "", "Archaea;P", "Bacteria;R", "Bacteria;Q", "Archaea;P"]
    predictions = [named(f"c{i}", text) for i, text in enumerate(texts)]
    assert written("kreport", predictions).splitlines() == [
        " 12.50\t1\t1\tU\t0\tunclassified",
        " 87.50\t7\t0\tR\t1\troot",
        " 62.50\t5\t0\tD\t0\t  Bacteria",
        " 25.00\t2\t1\tP\t0\t    P",
        " 12.50\t1\t1\tC\t0\t      C",
        " 25.00\t2\t2\tP\t0\t    Q",
        " 12.50\t1\t1\tP\t0\t    R",
        " 25.00\t2\t0\tD\t0\t  Archaea",
        " 25.00\t2\t2\tP\t0\t    P",
    ]


def test_kreport_numbers_the_ranks_that_have_no_letter() -> None:
    ranks = ("cellular root", "superkingdom", "clade", "kingdom", "phylum", "subphylum", "clade", "species", "strain")
    taxa = tuple(Taxon(rank, f"t{i}", i + 2) for i, rank in enumerate(ranks))
    rows = [line.split("\t") for line in written("kreport", [foreign("c", taxa, ())]).splitlines()]
    assert [row[3] for row in rows] == ["R", "R1", "D", "D1", "K", "P", "P1", "P2", "S", "S1"]
    assert [row[4] for row in rows] == ["1", *(str(i + 2) for i in range(9))]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ""),
        (["", ""], "100.00\t2\t2\tU\t0\tunclassified\n"),
        (["B"], "100.00\t1\t0\tR\t1\troot\n100.00\t1\t1\tD\t0\t  B\n"),
    ],
)
def test_kreport_leaves_out_what_has_no_records(texts: list[str], expected: str) -> None:
    assert written("kreport", [named(f"c{i}", text) for i, text in enumerate(texts)]) == expected


def test_kreport_is_what_kraken2_wrote_of_the_same_answers(shared_data: Path) -> None:
    folder = shared_data / "parity" / "taxometer"
    taxonomy = read_taxdump(folder / "taxdump")
    theirs = (folder / "peer_formats" / "kraken2_2.1.2.report").read_text().splitlines()
    expected = [line.split("\t") for line in theirs]

    def answers() -> Iterator[Prediction]:
        for _, _, own, _, taxid, _ in reversed(expected):
            node = taxonomy.by_taxid(int(taxid))
            for i in range(int(own)):
                yield foreign(f"{taxid}.{i}", taxonomy.lineage(node) if node else (), ())

    ours = [line.split("\t") for line in written("kreport", answers()).splitlines()]
    assert [row[:3] + row[4:] for row in ours] == [row[:3] + row[4:] for row in expected]
    # This version of Kraken2 leaves the codes of the upper ranks empty.
    assert [row[3] for row, its in zip(ours, expected, strict=True) if its[3]] == [row[3] for row in expected if row[3]]


# ---------------------------------------------------------------------- Krona


def test_krona_gets_a_line_for_each_lineage_and_one_for_what_has_no_name() -> None:
    texts = ["Bacteria;P", "", "Bacteria", "Archaea;P", "Bacteria;P", ""]
    predictions = [named(f"c{i}", text) for i, text in enumerate(texts)]
    cut = Prediction("x", lineage("Archaea;P;C"), (0.9, 0.8, 0.1), (0.0,) * 4, 2, Stopped.UNSURE)
    assert written("krona", [*predictions, cut]).splitlines() == [
        "2\tArchaea\tP",
        "2\tBacteria\tP",
        "2\tUnassigned",
        "1\tBacteria",
    ]


def test_kreport_and_krona_count_every_contig_once(shared_data: Path) -> None:
    path = shared_data / "parity" / "taxometer" / "taxonomy_noisy.tsv"
    labels: dict[str, Lineage] = read_lineages(path).lineages
    predictions = [foreign(id, taxa, ()) for id, taxa in labels.items()]
    report = [line.split("\t") for line in written("kreport", predictions).splitlines()]
    assert sum(int(row[2]) for row in report) == len(labels)
    rows = [line.split("\t") for line in written("krona", predictions).splitlines()]
    assert {tuple(names): int(count) for count, *names in rows} == {
        names: sum(tuple(t.name for t in taxa) == names or (not taxa and names == ("Unassigned",))
                   for taxa in labels.values())
        for names in {tuple(t.name for t in taxa) or ("Unassigned",) for taxa in labels.values()}
    }  # fmt: skip
