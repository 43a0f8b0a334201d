"""Families of aligned proteins, read from files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from linnet.errors import UserError
from linnet.family_trees import splits
from linnet.protein_families import read_folder, read_treebase

HEAD = "family\totu\tncbi_taxid\tlabel\taligned_seq"
ROWS = ["F1\ta\t9606\tHomo\tMK-XV*", "F1\tb\t\tno idea\tMKNULLCV?", "F1\tc\t7\tC\tMKCCV~", "F1\td\t8\tD\tmkccv1"]


def treebase(folder: Path, rows: list[str], families: list[str]) -> tuple[Path, Path]:
    for name, lines in (("families.gz", families), ("alignments.gz", rows)):
        with gzip.open(folder / name, "wt") as file:
            file.write("".join(f"{line}\n" for line in lines))
    return folder / "families.gz", folder / "alignments.gz"


def family(name: str, newick: str) -> str:
    return json.dumps({"family": name, "newick": newick, "study": "S1"})


def test_families_of_treebase_are_read(tmp_path: Path) -> None:
    other = ["F2\ta\t5\tA\tAC", "F2\tx\t6\tX\tAD"]
    found = list(read_treebase(*treebase(
        tmp_path, [HEAD, *ROWS, *other], [family("F2", "(x,a);"), family("F1", "((a,b),(c,d));")]
    )))  # fmt: skip
    assert [f.name for f in found] == ["F2", "F1"]
    assert [f.taxids for f in found] == [(5, 6), (9606, 0, 7, 8)]
    assert found[1].leaves == ("a", "b", "c", "d")
    assert len(splits(found[1].tree, found[1].leaves)) == 1


def test_a_cell_without_content_is_one_column_and_proteins_are_their_letters(tmp_path: Path) -> None:
    (found,) = read_treebase(*treebase(tmp_path, [HEAD, *ROWS], [family("F1", "((a,b),(c,d));")]))
    assert found.aligned == ("MK-XV*", "MK?CV?", "MKCCV~", "MKCCV1")
    assert [(r.id, r.sequence) for r in found.records()] == [
        ("a", "MKXV"), ("b", "MKCV"), ("c", "MKCCV"), ("d", "MKCCV"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "families", "where", "found"),
    [
        (["family\totu"], [], "alignments.gz, line 1", "columns family, otu"),
        ([HEAD, "F1\ta\tMK"], [], "alignments.gz, line 2", "'F1"),
        ([HEAD, "F1\ta\tx\tA\tMK"], [], "alignments.gz, line 2", "'F1"),
        ([HEAD, *ROWS, ROWS[0]], [], "alignments.gz, line 6", "'a' stands in F1 twice"),
        ([HEAD, *ROWS], ["{"], "families.gz, line 1", "'{"),
        ([HEAD, *ROWS], ['{"family": "F1"}'], "families.gz, line 1", "'{"),
        ([HEAD, *ROWS], [family("F1", "((a,b),c;")], "families.gz, line 1, character 9", "a '(' is still open"),
        ([HEAD, *ROWS], [family("F1", "((a,b),c);")], "families.gz, line 1", "1 of 4 proteins of F1 are not in the tree, 'd'"),
        ([HEAD, *ROWS], [family("F1", "((a,b),c,d,e);")], "families.gz, line 1", "1 of 5 proteins of F1 are not in the alignment, 'e'"),
        ([HEAD, *ROWS], [family("F9", "(a,b);")], "families.gz, line 1", "2 of 2 proteins of F9 are not in the alignment, 'a'"),
        ([HEAD, *ROWS[:3], "F1\td\t\tD\tMK"], [family("F1", "((a,b),(c,d));")], "families.gz, line 1", "in F1, 'c' has 6 columns and 'd' 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_family_is_said_with_its_place(
    tmp_path: Path, rows: list[str], families: list[str], where: str, found: str
) -> None:
    with pytest.raises(UserError) as error:
        list(read_treebase(*treebase(tmp_path, rows, families)))
    assert error.value.where == str(tmp_path / where)
    assert error.value.found.startswith(found)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


FASTA = ">a first\nMK-\nLV\n>b\nmkal.\n>c\nMKAIV\n"


def test_families_of_a_folder_are_read_in_order_whatever_their_files_are_called(tmp_path: Path) -> None:
    folder = write(
        tmp_path, **{"TF1-b_fa": FASTA, "TF1-b_nwk": "(a:1,b:2,c);\n"}, TF1_fasta=FASTA, TF1_nh="(a,(b,c)x);",
        TF3_aln=FASTA, TF3_tree="(a,b,c);", readme_txt="not one of them",
    )  # fmt: skip
    found = list(read_folder(folder))
    assert [f.name for f in found] == ["TF1", "TF1-b", "TF3"]
    assert found[0].leaves == ("a", "b", "c")
    assert found[0].aligned == ("MK-LV", "MKAL.", "MKAIV")
    assert found[0].taxids is None
    assert [r.sequence for r in found[0].records()] == ["MKLV", "MKAL", "MKAIV"]


@pytest.mark.parametrize(
    ("files", "where", "found"),
    [
        ({}, "", "no families"),
        ({"A_fa": FASTA}, "", "of family A there is A.fa"),
        ({"A_nwk": "(a,b);"}, "", "of family A there is A.nwk"),
        ({"A_fa": FASTA, "A_aln": FASTA, "A_nwk": "(a,b,c);"}, "", "of family A there is A.aln, A.fa, A.nwk"),
        ({"A_fa": FASTA + ">a\nMKALV\n", "A_nwk": "(a,b,c);"}, "/A.fa", "'a' is there twice"),
        ({"A_fa": FASTA, "A_nwk": "(a,b,c)"}, "/A.nwk, character 8", "it ends without a ';'"),
        ({"A_fa": FASTA, "A_nwk": "(a,b);"}, "/A.fa", "1 of 3 proteins of A are not in the tree, 'c'"),
        ({"A_fa": FASTA + ">d\nMK\n", "A_nwk": "(a,b,c,d);"}, "/A.fa", "in A, 'c' has 5 columns and 'd' 2"),
        ({"A_aln": "CLUSTAL W\n", "A_nwk": "(a,b);"}, "/A.aln, line 1", "begins with 'C'"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_as_it_should_be_is_refused(
    tmp_path: Path, files: dict[str, str], where: str, found: str
) -> None:
    with pytest.raises(UserError) as error:
        list(read_folder(write(tmp_path, **files)))
    assert error.value.where == f"{tmp_path}{where}"
    assert error.value.found.startswith(found)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        list(read_folder(tmp_path / "nowhere"))


def test_all_families_of_treebase_hold_together(shared_data: Path) -> None:
    folder = shared_data / "data" / "protein"
    names = ("treebase_protein_families.jsonl.gz", "treebase_protein_aln.tsv.gz")
    families = list(read_treebase(*(folder / name for name in names)))
    assert len(families) == 264
    assert sum(len(f.leaves) for f in families) == 16_184
    assert all(splits(f.tree, f.leaves) for f in families)
