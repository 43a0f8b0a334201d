from __future__ import annotations

from pathlib import Path

import pytest
from conftest import lineage
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import UserError
from linnet.lineages import BLANK_NAMES, parse_header, parse_lineage, parse_scored, read_lineages
from linnet.taxonomy import RANKS, Taxon, Taxonomy

FULL = lineage("Bacteria;Bacillota;Bacilli;Lactobacillales;Lactobacillaceae;Lactobacillus;Lactobacillus gasseri")


@pytest.mark.parametrize(
    "text",
    [
        "d__Bacteria; p__Bacillota; c__Bacilli; o__Lactobacillales; f__Lactobacillaceae; g__Lactobacillus; s__Lactobacillus gasseri",
        "k__Bacteria;p__Bacillota;c__Bacilli;o__Lactobacillales;f__Lactobacillaceae;g__Lactobacillus;s__Lactobacillus gasseri",
        "D_0__Bacteria;D_1__Bacillota;D_2__Bacilli;D_3__Lactobacillales;D_4__Lactobacillaceae;D_5__Lactobacillus;D_6__Lactobacillus gasseri",
        "d:Bacteria,p:Bacillota,c:Bacilli,o:Lactobacillales,f:Lactobacillaceae,g:Lactobacillus,s:Lactobacillus gasseri",
        "d_Bacteria;p_Bacillota;c_Bacilli;o_Lactobacillales;f_Lactobacillaceae;g_Lactobacillus;s_Lactobacillus gasseri",
        "Bacteria;Bacillota;Bacilli;Lactobacillales;Lactobacillaceae;Lactobacillus;Lactobacillus gasseri;",
        'Root;"Bacteria";Bacillota;Bacilli;Lactobacillales;Lactobacillaceae;Lactobacillus;Lactobacillus gasseri',
        "Bacteria(100);Bacillota(99);Bacilli(98);Lactobacillales(98);Lactobacillaceae(97);Lactobacillus(90);Lactobacillus gasseri(60);",
        "k__Bacteria|p__Bacillota|c__Bacilli|o__Lactobacillales|f__Lactobacillaceae|g__Lactobacillus|s__Lactobacillus gasseri",
    ],
)  # fmt: skip
def test_every_dialect_says_the_same(text: str) -> None:
    assert parse_lineage(text) == FULL


def test_blank_names_are_left_out_wherever_they_stand() -> None:
    expected = (Taxon("domain", "Bacteria"), Taxon("genus", "Foo"))
    assert parse_lineage("k__Bacteria; p__; c__uncultured; o__NA; f__; g__Foo; s__") == expected
    assert parse_lineage("Bacteria;;;;unclassified;Foo;NA") == expected
    assert parse_lineage("") == ()
    assert parse_lineage("Unassigned") == ()


def test_k_after_d_is_a_kingdom_and_alone_a_domain() -> None:
    ranks = [t.rank for t in parse_lineage("d__Eukaryota;k__Fungi;p__Ascomycota")]
    assert ranks == ["domain", "kingdom", "phylum"]
    assert parse_lineage("k__Fungi")[0].rank == "domain"


def test_a_bare_name_among_prefixed_ones_takes_the_next_rank() -> None:
    assert parse_lineage("k__Bacteria;p__Bacillota;Bacilli") == FULL[:3]


def test_support_behind_names_is_read() -> None:
    assert parse_scored("Bacteria(100);Bacillota(87);")[1] == (100.0, 87.0)
    assert parse_scored("d:Bacteria(1.00),p:Bacillota(0.87)") == (FULL[:2], (1.0, 0.87))
    assert parse_lineage("Bacteria;SAR324_clade(Marine_group_B)")[1].name == "SAR324_clade(Marine_group_B)"


def test_more_bare_names_than_ranks_is_an_error() -> None:
    with pytest.raises(UserError, match="9 names without ranks.*Prefix the names"):
        parse_lineage("a;b;c;d;e;f;g;h;i")


words_of_letters = st.text(st.characters(categories=["L"]), min_size=4, max_size=9)


@given(st.lists(words_of_letters.filter(lambda w: w.lower() not in BLANK_NAMES), min_size=1, max_size=7))
def test_written_lineages_are_read_back(words: list[str]) -> None:
    prefixed = "; ".join(f"{r[0]}__{w}" for r, w in zip(RANKS, words, strict=False))
    assert [t.name for t in parse_lineage(prefixed)] == words


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("X1;tax=d:Bacteria,p:Bacillota,s:Lactobacillus_gasseri;", (FULL[0], FULL[1], Taxon("species", "Lactobacillus_gasseri"))),
        ("Bacteria;Bacillota;Bacilli;", FULL[:3]),
        ("AB001.1.1500 Bacteria;Bacillota;Bacilli", FULL[:3]),
        ("AB001 Lactobacillus gasseri DSM 20243", (FULL[5], FULL[6])),
        ("sp|P1|A_B Oxidase OS=Escherichia coli (strain K12) OX=83333 GN=x PE=1 SV=2",
         (Taxon("species", "Escherichia coli (strain K12)", 83333),)),
        ("WP_1.1 oxidase [Escherichia coli]", (Taxon("species", "Escherichia coli"),)),
        ("read1 1:N:0:ACGT", None),
    ],
)  # fmt: skip
def test_headers_of_every_dialect(header: str, expected: object) -> None:
    assert parse_header(header) == expected


def test_taxids_in_headers_are_looked_up() -> None:
    coli = (Taxon("domain", "Bacteria", 2), Taxon("species", "Escherichia coli", 562))
    tree = Taxonomy.from_lineages([coli])
    assert parse_header("sp|P1|X y OS=E. coli OX=562 PE=1", tree) == coli
    assert parse_header("WP_1.1 y [Escherichia coli]", tree) == coli
    assert parse_header("sp|P1|X y OS=E. coli OX=99 PE=1", tree) == ()


@pytest.mark.parametrize(
    "content",
    [
        "Feature ID\tTaxon\n1\td__Bacteria; p__Bacillota\n2\td__Bacteria; p__\n",
        "1\tk__Bacteria;p__Bacillota\n2\tk__Bacteria\n",
        "\ufeff1\tBacteria(100);Bacillota(87);\r\n\r\n2\tBacteria(99);\r\n",
        "id\tKingdom\tPhylum\n1\tBacteria\tBacillota\n2\tBacteria\tNA\n",
        '"","Kingdom","Phylum"\n"1","Bacteria","Bacillota"\n"2","Bacteria",NA\n',
        '"Kingdom","Phylum"\n"1","Bacteria","Bacillota"\n"2","Bacteria",NA\n',
        ">1 Bacteria;Bacillota\nACGT\n>2 Bacteria\nACGT\n".replace(">2 Bacteria", ">2 Bacteria;"),
    ],
)
def test_tables_of_every_dialect(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(content, encoding="utf-8")
    assert read_lineages(path).lineages == {"1": FULL[:2], "2": FULL[:1]}


def test_what_was_met_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("007\tk__Bacteria;p__;c__Bacilli\n008\tUnassigned\n008\tUnassigned\n9\tk__Bacteria;Bacillota\n")
    table = read_lineages(path)
    assert list(table.lineages) == ["007", "008", "9"]
    assert table.notes == {
        "blank ranks": 3,
        "lineages with a gap": 1,
        "without a lineage": 2,
        "repeated ids": 1,
        "bare names among prefixed ones": 1,
    }


def test_two_lineages_for_one_record_name_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tBacteria\nb\tArchaea\na\tArchaea\n")
    with pytest.raises(UserError, match=r"t\.tsv, line 3: record 'a' has another lineage on line 1"):
        read_lineages(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no lineages"),
        ("just a line\n", "line 1: one cell"),
        ("a\t562\n", "line 1: taxid 562 instead of a lineage.*--taxdump"),
        ("id,Kingdom,Phylum\n1,Bacteria\n", "line 2: 2 cells. Expected 3"),
    ],
)
def test_a_bad_table_names_file_line_and_remedy(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_lineages(path)
    with pytest.raises(UserError, match=r"nowhere\.tsv: no such file"):
        read_lineages(tmp_path / "nowhere.tsv")


def test_placeholders_that_repeat_the_name_above_are_blank(tmp_path: Path) -> None:
    header = "sequence_id\tdomain\tphylum\tclass\torder\tfamily\tgenus\tspecies\n"
    (tmp_path / "t.tsv").write_text(
        f"{header}a\tB\tP\tC\tO\tUnclassified_O\tUnclassified_O\tUnclassified_O\n"
        "b\tB\tP\tC\tO\tF\tUnclassified_X\tUnclassified_Unclassified_X\n"
    )
    found = read_lineages(tmp_path / "t.tsv").lineages
    assert [t.name for t in found["a"]] == ["B", "P", "C", "O"]
    assert [t.name for t in found["b"]] == ["B", "P", "C", "O", "F", "Unclassified_X"]  # it repeats nothing above
