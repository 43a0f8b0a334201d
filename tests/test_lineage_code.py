"""The code of a tree: every taxon goes to tokens and comes back; what is no lineage is refused."""

from __future__ import annotations

import bz2
import gzip
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import lineage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linnet.__main__ import main
from linnet.errors import UserError
from linnet.lineage_code import CONT, FIRST, PAD, STOP, LineageCode
from linnet.strings import StringArray
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "proteins"))
from tree_code import generated

sys.path.pop(0)


def of_parents(parents: list[int]) -> Taxonomy:
    """A tree by each node's parent, node 0 the root; taxids are the numbers."""
    n = len(parents)
    names = StringArray.of(f"t{i}" for i in range(n))
    return Taxonomy.from_parents(np.array(parents), names, ["no rank"] * n, np.arange(1, n + 1))


def goes_and_returns(tree: Taxonomy, vocabulary: int = 15_000) -> LineageCode:
    """Every taxon of the tree, in blocks."""
    code = LineageCode(tree, vocabulary)
    for low in range(0, len(tree), 20_000):
        nodes = np.arange(low, min(low + 20_000, len(tree)))
        np.testing.assert_array_equal(code.decode(code.encode(nodes)), nodes)
    return code


def plain(code: LineageCode, node: int) -> list[int]:
    """A lineage's row, put together bin by bin."""
    tree, row, path = code.taxonomy, [], code.taxonomy.path(node)
    for level in range(1, code.levels + 1):
        taxa = [n for n in tree.level_order.tolist() if len(tree.path(n)) == level]
        bins = [taxa[a : a + code.bin_size] for a in range(0, len(taxa), code.bin_size)]
        if level <= len(path):
            at = next(i for i, some in enumerate(bins) if path[level - 1] in some)
            row += [CONT] * at + [FIRST + bins[at].index(path[level - 1])] + [PAD] * (len(bins) - at - 1)
        else:
            row += [STOP if level == len(path) + 1 else PAD] + [PAD] * (len(bins) - 1)
    return row


@st.composite
def trees(draw: st.DrawFn) -> Taxonomy:
    parents = [0]
    for i in range(draw(st.integers(0, 40))):
        parents.append(draw(st.integers(0, i)))
    return of_parents(parents)


@given(trees(), st.integers(FIRST + 1, 9))
@settings(max_examples=100, deadline=None)
def test_rows_are_those_put_together_bin_by_bin_and_come_back(tree: Taxonomy, vocabulary: int) -> None:
    code = goes_and_returns(tree, vocabulary)
    rows = code.encode(np.arange(len(tree)))
    assert rows.tolist() == [plain(code, node) for node in range(len(tree))]
    assert len({tuple(row) for row in rows.tolist()}) == len(tree) or code.slots == 0
    for node in range(1, len(tree)):
        assert rows[node, code.slot[node]] == code.token[node]


def test_siblings_stand_together() -> None:
    code = LineageCode(generated(5000, 12))
    tree = code.taxonomy
    for node in np.flatnonzero(tree.child_count > 1)[:200].tolist():
        place = np.sort(code.position[tree.children(node)])
        assert (np.diff(place) == 1).all()


def test_the_number_of_slots_comes_from_the_tree() -> None:
    tree = of_parents([0] + [0] * 30_000)
    assert LineageCode(tree).slots == 3  # 14,997 taxa fit into a bin
    assert LineageCode(of_parents([0] + [0] * 14_997)).slots == 1
    assert LineageCode(of_parents([0] + [0] * 14_998)).slots == 2


@given(trees(), st.data())
@settings(max_examples=100, deadline=None)
def test_any_other_row_is_refused(tree: Taxonomy, data: st.DataObject) -> None:
    code = LineageCode(tree, 6)
    if not code.slots:
        return
    lineages = {tuple(row) for row in code.encode(np.arange(len(tree))).tolist()}
    row = list(data.draw(st.sampled_from(sorted(lineages))))
    row[data.draw(st.integers(0, code.slots - 1))] = data.draw(st.integers(0, 7))
    if tuple(row) in lineages:
        assert code.encode(code.decode(np.array([row]))).tolist() == [row]
    else:
        with pytest.raises(UserError, match="row 1, slot"):
            code.decode(np.array([row]))


def test_rows_of_another_length_are_refused() -> None:
    code = LineageCode(of_parents([0, 0, 1]))
    with pytest.raises(UserError, match="rows of 2"):
        code.decode(np.zeros((1, 3), int))


# ---------------------------------------------------------------------- large trees


@pytest.mark.slow
def test_a_tree_as_large_as_ncbis_goes_and_returns() -> None:
    code = goes_and_returns(generated(1_400_000, 37))
    print(f"{code.slots} bins")
    assert code.levels == 37


def from_phyloxml(path: Path) -> Taxonomy:
    """Names below names, no taxids: each clade gets a number."""
    parents, names, above = [0], ["root"], [0]
    with bz2.open(path) as file:
        for event, element in ElementTree.iterparse(file, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if tag == "clade" and event == "start":
                parents.append(above[-1])
                names.append("")
                above.append(len(names) - 1)
            elif tag == "clade":
                above.pop()
                element.clear()
            elif tag == "scientific_name" and event == "end":
                names[above[-1]] = element.text or ""
    ids = np.arange(1, len(names) + 1)
    return Taxonomy.from_parents(np.array(parents), StringArray.of(names), ["no rank"] * len(names), ids)


def from_obo(path: Path) -> Taxonomy:
    """The terms NCBITaxon:N of a gene-ontology file."""
    rows: dict[int, tuple[int, str]] = {}
    with gzip.open(path, "rt") as file:
        for term in file.read().split("[Term]")[1:]:
            field = dict(line.split(": ", 1) for line in term.split("[Typedef]")[0].splitlines() if ": " in line)
            if field["id"].startswith("NCBITaxon:") and field["id"][10:].isdigit():
                taxid = int(field["id"][10:])
                rows[taxid] = (int(field.get("is_a", f"NCBITaxon:{taxid}").split()[0][10:]), field["name"])
    ids = np.array(sorted(rows))
    parents: NDArray[np.integer] = np.searchsorted(ids, [rows[i][0] for i in ids.tolist()])
    names = StringArray.of(rows[i][1] for i in ids.tolist())
    return Taxonomy.from_parents(parents, names, ["no rank"] * len(ids), ids.astype(np.int64))


@pytest.mark.parametrize(
    ("name", "taxa"),
    [
        ("gtdb_r202_taxdump.tar.gz", 324_354), ("ictv_taxdump.tar.gz", 18_979),
        ("ncbi_partial_nodes.tsv.gz", 91_382), ("ncbi_taxonomy_metazoa.xml.bz2", 107_455),
        ("ncbi_taxslim_20221006.obo.gz", 14_879), ("ncbi_wol", 16_387),
    ],
)  # fmt: skip
def test_every_taxon_of_real_trees_goes_and_returns(shared_data: Path, tmp_path: Path, name: str, taxa: int) -> None:
    path = shared_data / "data" / "protein" / name
    if name.endswith(".xml.bz2"):
        tree = from_phyloxml(path)
    elif name.endswith(".obo.gz"):
        tree = from_obo(path)
    elif name == "ncbi_wol":
        for table in ("nodes", "names"):
            with gzip.open(f"{path}_{table}.dmp.gz") as packed, (tmp_path / f"{table}.dmp").open("wb") as to:
                shutil.copyfileobj(packed, to)
        tree = read_taxonomy(tmp_path)
    else:
        tree = read_taxonomy(path)
    assert len(tree) - 1 == pytest.approx(taxa, abs=1)
    goes_and_returns(tree)


# ---------------------------------------------------------------------- linnet code


TABLE = "taxid\tparent\trank\tname\n1\t1\tno rank\troot\n2\t1\tdomain\tBacteria\n9\t2\tgenus\tMorganella\n8\t1\tgenus\tMorganella\n7\t9\tspecies\tMorganella morganii\n"


@pytest.fixture
def table(tmp_path: Path) -> str:
    (tmp_path / "tree.tsv").write_text(TABLE)
    return str(tmp_path / "tree.tsv")


def test_lineages_are_shown_as_tokens_and_tokens_as_lineages(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["code", "--taxonomy", table, "7"]) == 0
    one = capsys.readouterr().out
    assert "tokens: 3 3 3" in one
    assert "species Morganella morganii (taxid 7)" in one
    assert main(["code", "--taxonomy", table, "--tokens", "3 3 3"]) == 0
    assert capsys.readouterr().out == one
    for asked in (
        "Bacteria;Morganella;Morganella morganii",
        "d__Bacteria; s__Morganella morganii",
        "s__Morganella morganii",
    ):
        assert main(["code", "--taxonomy", table, asked]) == 0
        assert capsys.readouterr().out == one
    assert main(["code", "--taxonomy", table, "8"]) == 0
    assert "tokens: 4 2  (then 1 times 0)" in capsys.readouterr().out
    assert main(["code", "--taxonomy", table]) == 0
    assert "4 taxa on 3 levels: 3 slots" in capsys.readouterr().out


def test_a_table_of_all_taxa_is_written(table: str, tmp_path: Path) -> None:
    assert main(["code", "--taxonomy", table, "--out", str(tmp_path / "all.tsv")]) == 0
    rows = (tmp_path / "all.tsv").read_text().splitlines()
    assert rows[0] == "1\troot\t2 0 0"
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["Morganella"], "2 taxa are called 'Morganella'"), (["Nobody"], "no taxon is called"), (["77"], "no taxid 77"),
        (["--tokens", "3 3 3 3"], "up to 3 whole numbers"), (["--tokens", "1 3 3"], "row 1, slot 1"),
        (["--tokens", "x"], "whole numbers"), (["--tokens", "3 4"], "slot 2: token 4, beyond the 1 taxa of level 2"),
        (["--tokens", "3 3"], "slot 3: PAD, where the lineage of 'Morganella' has STOP"), (["d__Bacteria;g__Nobody"], "no taxon is called 'g__Nobody' below 'Bacteria'"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(table: str, capsys: pytest.CaptureFixture[str], asked: list[str], said: str) -> None:
    assert main(["code", "--taxonomy", table, *asked]) in (1, 2)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("7\t9\tspecies\tx\n", "taxid 7 stands there twice"),
        ("x\t9\tspecies\tx\n", "line 7"),
        ("5\t6\tgenus\tx\n", "has no line"),
    ],
)
def test_broken_tables_of_parents_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    (tmp_path / "tree.tsv").write_text(TABLE + line)
    assert main(["code", "--taxonomy", str(tmp_path / "tree.tsv")]) == 1
    assert said in capsys.readouterr().err


def test_a_table_of_lineages_is_a_tree_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.tsv").write_text("a\td__B;p__P\nb\td__B;p__Q\n")
    assert main(["code", "--taxonomy", str(tmp_path / "t.tsv"), "d__B;p__Q"]) == 0
    assert "tokens: 3 4" in capsys.readouterr().out
    assert read_taxonomy(tmp_path / "t.tsv").find(lineage("B;Q"))[1] == 2
