"""Taxids of accessions from NCBI's tables and from plain ones."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet import accessions
from linnet.accessions import accession, read_accessions, unversioned
from linnet.errors import UserError

CLASSIC = "accession\taccession.version\ttaxid\tgi\n"
FULL = "accession.version\ttaxid\n"


@pytest.fixture
def table(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "prot.accession2taxid"
        path.write_text(text, newline="")
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        CLASSIC + "WP_1\tWP_1.1\t562\t16\nAAA2\tAAA2.3\t2\t0\n1ABC_A\t1ABC_A\t7\t0\n",
        FULL + "WP_1.1\t562\nAAA2.3\t2\n1ABC_A\t7\n",
        "WP_1.1\t562\nAAA2.3\t2\n1ABC_A\t7\n",
        "id\ttaxid\r\nWP_1.1\t562\r\n\r\nAAA2.3\t2\r\n1ABC_A\t7",
    ],
    ids=[
        "prot.accession2taxid",
        "its FULL form",
        "two columns",
        "two columns of Windows, a blank line, no last newline",
    ],
)
def test_each_kind_of_table_answers_with_and_without_versions(table, text: str) -> None:  # type: ignore[no-untyped-def]
    wanted = ["WP_1.1", "AAA2", "1ABC_A", "nothing"]
    assert read_accessions(table(text), wanted) == {"WP_1.1": 562, "AAA2": 2, "1ABC_A": 7}


def test_compressed_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "prot.accession2taxid.gz"
    path.write_bytes(gzip.compress((FULL + "WP_1.1\t562\n").encode()))
    assert read_accessions(path, {"WP_1"}) == {"WP_1": 562}


def test_another_version_answers_in_ncbis_tables_but_not_in_plain_ones(table) -> None:  # type: ignore[no-untyped-def]
    assert read_accessions(table(FULL + "WP_1.2\t562\n"), ["WP_1.1"]) == {"WP_1.1": 562}
    assert read_accessions(table("gene.2\t562\n"), ["gene.1"]) == {}
    assert read_accessions(table("gene\t562\n"), ["gene.1"]) == {"gene.1": 562}


@pytest.mark.parametrize("rows", ["A.1\t1\nA.2\t2\nA.3\t3\n", "A.2\t2\nA.1\t1\nA.3\t3\n"])
def test_the_very_version_comes_before_any_other(table, rows: str) -> None:  # type: ignore[no-untyped-def]
    found = read_accessions(table(FULL + rows), ["A.1", "A.2", "A"])
    assert found == {"A.1": 1, "A.2": 2, "A": int(rows[4])}


def test_taxid_0_says_that_there_is_none(table) -> None:  # type: ignore[no-untyped-def]
    assert read_accessions(table("a\t0\nb\t5\n"), ["a", "b"]) == {"b": 5}


def test_without_wanted_ids_all_are_kept(table) -> None:  # type: ignore[no-untyped-def]
    assert read_accessions(table("a.1\t1\nb\t2\n"), None) == {"a.1": 1, "b": 2}
    assert read_accessions(table(FULL + "A.1\t1\n"), None) == {"A.1": 1, "A": 1}


def test_no_wanted_ids_no_taxids(table) -> None:  # type: ignore[no-untyped-def]
    assert read_accessions(table("a\t1\n"), []) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"accession2taxid: the file is empty\. Expected NCBI's prot\.accession2taxid"),
        (">sp|P1|X\nMKV\n", r"line 1: 1 column: '>sp\|P1\|X'\. Expected NCBI's"),
        (FULL + "A.1\t5\nB.1\n", r"line 3: 1 column: 'B\.1'\. Expected 2 columns, as on line 1\. .*cut short"),
        ("A" * (1 << 25), r"a line of more than 16,777,216 bytes"),
        (CLASSIC + "A\tA.1\t5\t0\nB\tB.1\t7\n", r"line 3: 3 columns: 'B\\tB\.1\\t7'\. Expected 4 columns"),
        ("B\t2\nA\tfive\n", r"line 2: 'five' is not a taxid\. Expected a whole number"),
        ("A\tfive\nB\t2\n", r"line 1: 'five' is not a taxid"),
        ("B\t2\n\nA\t-1\n", r"line 3: '-1' is not a taxid"),
        ("A\t1\nB\t2\nA\t2\n", r"line 3: 'A' has taxid 2 here and 1 further up\. Expected one taxid"),
    ],
)
def test_a_bad_table_names_file_and_line(table, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=message):
        read_accessions(table(text), ["A", "B", "A.1", "B.1"])


def test_lines_are_counted_over_blocks(table, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(accessions, "BLOCK", 100)
    rows = "".join(f"A{i}.1\t{i + 1}\n" for i in range(1000))
    with pytest.raises(UserError, match=r"line 1002: 'x' is not"):
        read_accessions(table(FULL + rows + "B\tx\n"), ["B"])


def test_a_missing_or_cut_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_accessions(tmp_path / "none", [])
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress((FULL + "".join(f"A{i}\t{i}\n" for i in range(9999))).encode())[:-2000])
    with pytest.raises(UserError, match="compressed data ends or breaks"):
        read_accessions(path, ["A1"])


names = st.text("ab1.|_-é", min_size=1, max_size=30)


@settings(deadline=None)
@given(st.dictionaries(names, st.integers(1, 10**12)), st.sets(names), st.integers(1, 60))
def test_the_right_rows_are_found_whatever_the_block(
    tmp_path_factory: pytest.TempPathFactory, taxids: dict[str, int], others: set[str], block: int
) -> None:
    path = tmp_path_factory.mktemp("a") / "table"
    path.write_text("id\ttaxid\n" + "".join(f"{id}\t{taxid}\n" for id, taxid in taxids.items()), encoding="utf-8")
    wanted = others | set(list(taxids)[::2])
    expected = {}
    for id in wanted:
        alike = [t for other, t in taxids.items() if id in (unversioned(other), other) or unversioned(id) == other]
        if alike:
            expected[id] = taxids.get(id, alike[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accessions, "BLOCK", block)
        assert read_accessions(path, wanted) == expected


def test_memory_grows_with_what_is_wanted_only(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text(FULL + "".join(f"WP_{i:09d}.1\t{i + 1}\n" for i in range(200_000)))  # 4 MB
    wanted = {f"WP_{i:09d}.1" for i in range(0, 200_000, 20)}
    read_accessions(path, wanted)
    tracemalloc.start()
    few = len(read_accessions(path, ["WP_000000007"])), tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    many = len(read_accessions(path, wanted)), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert few[0] == 1 and many[0] == 10_000
    assert few[1] < 64e6  # of a block
    assert many[1] - few[1] < 500 * 10_000


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("sp|P12345|AATM_RABIT", "P12345"),
        ("gi|16128|ref|NP_414542.1|", "NP_414542.1"),
        ("ref|NP_414542.1|", "NP_414542.1"),
        ("pdb|1A02|F", "1A02_F"),
        ("UniRef90_P12345", "UniRef90_P12345"),
        ("WP_003403669.1", "WP_003403669.1"),
        ("sp|", "sp|"),
    ],
)
def test_the_accession_in_an_id(id: str, expected: str) -> None:
    assert accession(id) == expected


@pytest.mark.parametrize(
    ("id", "expected"),
    [("WP_1.1", "WP_1"), ("WP_1", "WP_1"), ("123", "123"), ("7.AQXT01000001", "7.AQXT01000001"), ("a.1234", "a.1234")],
)
def test_a_version_is_a_dot_and_up_to_three_digits(id: str, expected: str) -> None:
    assert unversioned(id) == expected
