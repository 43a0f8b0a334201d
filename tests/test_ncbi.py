"""Reading NCBI's taxdump and dumps in its format."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet import ncbi
from linnet.errors import UserError
from linnet.ncbi import read_taxdump
from linnet.strings import StringArray
from linnet.taxonomy import Taxon, Taxonomy

# taxid: (parent, rank, name)
Nodes = Mapping[int, tuple[int, str, str | None]]

BEFORE_2025: Nodes = {
    1: (1, "no rank", "root"),
    131567: (1, "no rank", "cellular organisms"),
    2: (131567, "superkingdom", "Bacteria"),
    10239: (1, "superkingdom", "Viruses"),
    2559587: (10239, "realm", "Riboviria"),
    1224: (2, "phylum", "Pseudomonadota"),
    1236: (1224, "class", "Gammaproteobacteria"),
    562: (1236, "species", "Escherichia coli"),
}
SINCE_2025: Nodes = BEFORE_2025 | {
    131567: (1, "cellular root", "cellular organisms"),
    2: (131567, "domain", "Bacteria"),
    10239: (1, "acellular root", "Viruses"),
}


def row(*fields: object) -> str:
    return "\t|\t".join(map(str, fields)) + "\t|\n"


def dump(nodes: Nodes, columns: int = 13, order: Sequence[int] | None = None) -> dict[str, str]:
    """nodes.dmp and names.dmp of a tree, with the rows in the given order of taxids."""
    order = list(nodes) if order is None else order
    more = ["XX", 0, 1, 11, 1, 0, 1, 1, 0, ""][: columns - 3]
    names = []
    for taxid in order:
        name = nodes[taxid][2]
        names.append(row(taxid, f"an old name of {taxid}", "", "synonym"))
        if name is not None:
            names.append(row(taxid, name, f"{name} <unique>", "scientific name"))
        names.append(row(taxid, "scientific name", "", "genbank common name"))
    return {
        "nodes.dmp": "".join(row(taxid, *nodes[taxid][:2], *more) for taxid in order),
        "names.dmp": "".join(names),
    }


def folder(at: Path, files: Mapping[str, str | bytes]) -> Path:
    at.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (at / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return at


def archive(at: Path, files: Mapping[str, str], mode: str = "w:gz") -> Path:
    with tarfile.open(at, mode) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return at


def directly(nodes: Nodes) -> Taxonomy:
    """The same tree, without a taxdump in between."""
    taxids = list(nodes)
    return Taxonomy.from_parents(
        np.array([taxids.index(nodes[t][0]) for t in taxids]),
        StringArray.of(str(t) if nodes[t][2] is None else nodes[t][2] for t in taxids),
        [nodes[t][1] for t in taxids],
        np.array(taxids, np.int64),
    )


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_taxdump(path)
    return str(caught.value)


# ---------------------------------------------------------------------- what is read


@pytest.mark.parametrize("nodes", [BEFORE_2025, SINCE_2025], ids=["before 2025", "since 2025"])
def test_a_domain_is_found_whatever_the_year_calls_its_rank(tmp_path: Path, nodes: Nodes) -> None:
    tree = read_taxdump(folder(tmp_path, dump(nodes)))
    assert tree.digest == directly(nodes).digest
    coli = tree.canonical(tree.by_taxid(562))
    assert [t and t.name for t in coli] == [
        "Bacteria", "Pseudomonadota", "Gammaproteobacteria", None, None, None, "Escherichia coli",
    ]  # fmt: skip
    assert tree.canonical(tree.by_taxid(2559587))[0].name == "Viruses"


def test_the_source_s_own_words_for_ranks_are_kept(tmp_path: Path) -> None:
    tree = read_taxdump(folder(tmp_path, dump(SINCE_2025)))
    assert tree.lineage(tree.by_taxid(2)) == (
        Taxon("cellular root", "cellular organisms", 131567),
        Taxon("domain", "Bacteria", 2),
    )
    assert tree.rank(tree.by_taxid(10239)) == "acellular root"
    assert tree.rank(tree.by_taxid(2559587)) == "realm"
    assert tree.rank(0) == "no rank"


@pytest.mark.parametrize("columns", [3, 4, 5, 13])
def test_the_columns_after_the_rank_do_not_matter(tmp_path: Path, columns: int) -> None:
    assert read_taxdump(folder(tmp_path, dump(SINCE_2025, columns))).digest == directly(SINCE_2025).digest


def test_windows_line_ends_and_a_missing_last_one_do_not_matter(tmp_path: Path) -> None:
    plain = dump(SINCE_2025)
    windows = {name: text.replace("\n", "\r\n") for name, text in plain.items()}
    unended = {name: text.removesuffix("\n") for name, text in plain.items()}
    half = {name: text.replace("\n", "\r\n", 3) for name, text in plain.items()}
    for i, files in enumerate((windows, unended, half)):
        assert read_taxdump(folder(tmp_path / str(i), files)).digest == directly(SINCE_2025).digest


def test_32_bit_hashes_serve_as_taxids(tmp_path: Path) -> None:
    nodes: Nodes = {
        1: (1, "no rank", "root"),
        4294967295: (1, "superkingdom", "Archaea"),
        3000000000: (4294967295, "phylum", "Halobacteriota"),
    }
    tree = read_taxdump(folder(tmp_path, dump(nodes, columns=5)))
    assert [t.taxid for t in tree.lineage(tree.by_taxid(3000000000))] == [4294967295, 3000000000]


def test_only_the_scientific_name_counts_and_a_taxid_stands_in_for_a_missing_one(tmp_path: Path) -> None:
    nodes = SINCE_2025 | {77: (2, "genus", None)}
    tree = read_taxdump(folder(tmp_path, dump(nodes)))
    assert tree.taxon(tree.by_taxid(77)).name == "77"
    assert tree.taxon(tree.by_taxid(562)).name == "Escherichia coli"
    assert tree.digest == directly(nodes).digest


def test_homonyms_stay_two_taxa(tmp_path: Path) -> None:
    nodes = SINCE_2025 | {8: (2, "genus", "Bacillus"), 9: (10239, "genus", "Bacillus")}
    tree = read_taxdump(folder(tmp_path, dump(nodes)))
    assert sorted(tree.taxids[tree.homonyms["Bacillus"]]) == [8, 9]


def test_names_beyond_ascii_are_read(tmp_path: Path) -> None:
    nodes = SINCE_2025 | {8: (2, "species", "Méndez–Åkerström 细菌 ’x’"), 9: (2, "species", "")}
    tree = read_taxdump(folder(tmp_path, dump(nodes)))
    assert tree.taxon(tree.by_taxid(8)).name == "Méndez–Åkerström 细菌 ’x’"
    assert tree.taxon(tree.by_taxid(9)).name == ""


def test_names_of_taxa_that_are_not_in_the_tree_are_left(tmp_path: Path) -> None:
    files = dump(SINCE_2025)
    files["names.dmp"] = row(4, "a ghost", "", "scientific name") + files["names.dmp"]
    assert read_taxdump(folder(tmp_path, files)).digest == directly(SINCE_2025).digest


def test_a_merged_taxid_stands_for_the_live_one_at_the_end_of_its_chain(tmp_path: Path) -> None:
    chain = {100: 101, 101: 102, 102: 103, 103: 562}
    ends = {200: 300, 201: 999, 202: 200, 400: 401, 401: 400}  # into deleted, unknown, and a circle
    merged = "".join(row(old, new) for old, new in (chain | ends | {2: 562}).items())
    files = dump(SINCE_2025) | {"merged.dmp": merged, "delnodes.dmp": row(300) + row(301) + row(1224)}
    tree = read_taxdump(folder(tmp_path, files))
    assert tree.retired == dict.fromkeys(chain, 562) | dict.fromkeys([*ends, 300, 301], 0)
    assert tree.by_taxid(100) == tree.by_taxid(562)
    assert tree.by_taxid(300) is None
    assert tree.taxon(tree.by_taxid(2)).name == "Bacteria"  # what nodes.dmp has is live


@pytest.mark.parametrize("nothing", ["", "#\n"])  # as ICTV's dump has it, and GTDB's
def test_empty_tables_of_merged_and_deleted_taxids_are_fine(tmp_path: Path, nothing: str) -> None:
    files = dump(SINCE_2025) | {"merged.dmp": nothing, "delnodes.dmp": nothing}
    assert read_taxdump(folder(tmp_path, files)).retired == {}


def test_blocks_that_cut_the_tables_anywhere_give_the_same_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dump(SINCE_2025) | {"merged.dmp": row(7, 562), "delnodes.dmp": row(8) + row(9)}
    whole = read_taxdump(folder(tmp_path, files))
    for block in (90, 97, 128, 301):
        monkeypatch.setattr(ncbi, "BLOCK", block)
        cut = read_taxdump(tmp_path)
        assert (cut.digest, cut.retired) == (whole.digest, whole.retired)


# ---------------------------------------------------------------------- archives


@pytest.mark.parametrize("name", ["taxdump.tar.gz", "taxdump.tgz", "taxdump.tar"])
def test_an_archive_equals_its_folder_whatever_the_order_of_its_members(tmp_path: Path, name: str) -> None:
    files = dump(SINCE_2025) | {"merged.dmp": row(7, 562), "delnodes.dmp": row(8), "readme.txt": "hello"}
    of_folder = read_taxdump(folder(tmp_path / "folder", files))
    mode = "w" if name.endswith(".tar") else "w:gz"
    for members in (list(files), list(reversed(files))):
        packed = archive(tmp_path / name, {f"./gtdb/{m}": files[m] for m in members}, mode)
        of_archive = read_taxdump(packed)
        assert (of_archive.digest, of_archive.retired) == (of_folder.digest, of_folder.retired)


def test_links_and_odd_names_in_an_archive_are_passed_over_and_nothing_is_written(tmp_path: Path) -> None:
    files = dump(SINCE_2025)
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            odd = tarfile.TarInfo("x/nodes.dmp")
            odd.type, odd.linkname = kind, "/etc/passwd"
            tar.addfile(odd)
        for name, text in {"._nodes.dmp": "\0", "../../up/nodes.dmp.bak": "x", **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    assert read_taxdump(path).digest == directly(SINCE_2025).digest
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_of_two_taxdumps_is_refused(tmp_path: Path) -> None:
    files = dump(SINCE_2025)
    both = {f"{release}/{name}": text for release in ("r214", "r220") for name, text in files.items()}
    message = refusal(archive(tmp_path / "two.tar.gz", both))
    assert "two.tar.gz: it holds a second nodes.dmp, 'r220/nodes.dmp'" in message
    assert "Unpack it" in message


def test_an_archive_cut_short_or_corrupt_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    nodes = SINCE_2025 | {i: (2, "species", str(rng.random())) for i in range(1000, 3000)}
    whole = archive(tmp_path / "whole.tar.gz", dump(nodes)).read_bytes()
    plain = gzip.decompress(whole)
    middle = len(whole) // 2
    for i, broken in enumerate(
        (
            whole[:middle],
            whole[:-4],
            whole[:middle] + bytes(1000) + whole[middle + 1000 :],
            plain[: len(plain) // 2],
            plain[:700],
        )
    ):
        path = tmp_path / f"broken{i}.tar{'.gz' if i < 3 else ''}"
        path.write_bytes(broken)
        message = refusal(path)
        assert str(path) in message
        assert "fetch the taxdump again" in message


def test_an_error_in_an_archive_names_the_archive_the_member_and_the_line(tmp_path: Path) -> None:
    files = dump(SINCE_2025)
    files["nodes.dmp"] += "what is this\n"
    path = archive(tmp_path / "taxdump.tar.gz", {f"./{name}": text for name, text in files.items()})
    assert f"{path}: ./nodes.dmp, line 9: 'what is this' is not a row of nodes.dmp" in refusal(path)


# ---------------------------------------------------------------------- what is refused


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere")
    assert "nowhere: there is no such file or folder. Expected a folder with nodes.dmp" in message


@pytest.mark.parametrize("missing", ["nodes.dmp", "names.dmp"])
def test_a_missing_table_is_named(tmp_path: Path, missing: str) -> None:
    files = dump(SINCE_2025)
    del files[missing]
    for path in (folder(tmp_path / "folder", files), archive(tmp_path / "taxdump.tar.gz", files)):
        assert f"{path}: there is no {missing}. Expected a folder with" in refusal(path)


@pytest.mark.parametrize("empty", ["nodes.dmp", "names.dmp"])
def test_an_empty_table_is_named(tmp_path: Path, empty: str) -> None:
    assert f"{empty}: the file is empty" in refusal(folder(tmp_path, dump(SINCE_2025) | {empty: ""}))


READS = b">read1\nACGT\n" * 2000


@pytest.mark.parametrize("content", [b"", READS[:12], READS, gzip.compress(READS), bytes(2000)])
def test_a_file_that_is_no_taxdump_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "reads"
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message
    assert "Expected a folder with nodes.dmp and names.dmp, or a taxdump.tar.gz" in message


@pytest.mark.parametrize("table", ["nodes.dmp", "names.dmp", "merged.dmp", "delnodes.dmp"])
@pytest.mark.parametrize(
    "line",
    ["", "nonsense", "1,1,no rank", "7\t1\tspecies", "7\t|\t1", "7\t|\t1\t|\tgenus", "7|\t1\t|\tx\t|\ty\t|"],
)
@pytest.mark.parametrize("block", [200, 1 << 22])
def test_a_line_that_is_not_in_the_format_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, line: str, block: int
) -> None:
    monkeypatch.setattr(ncbi, "BLOCK", block)
    files = dump(SINCE_2025) | {"merged.dmp": row(7, 562) * 5, "delnodes.dmp": row(7) * 5}
    lines = files[table].splitlines(keepends=True)
    for at in (0, 3, len(lines)):
        broken = "".join([*lines[:at], line + "\n", *lines[at:]])
        message = refusal(folder(tmp_path, files | {table: broken}))
        shown = line.replace("\t", "\\t")
        assert f"{tmp_path / table}, line {at + 1}: '{shown}' is not a row of {table}. Expected" in message
        assert "fetch the taxdump again" in message


def test_a_table_cut_in_the_middle_of_a_line_is_refused(tmp_path: Path) -> None:
    files = dump(SINCE_2025)
    files["names.dmp"] = files["names.dmp"][:-12]
    assert "names.dmp, line 24: '562\\t|\\tscientific name" in refusal(folder(tmp_path, files))


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncbi, "BLOCK", 100)
    message = refusal(folder(tmp_path, dump(SINCE_2025) | {"names.dmp": "A" * 10_000}))
    assert "names.dmp, line 1: 'AAAA" in message
    assert len(message) < 500


@pytest.mark.parametrize("taxid", ["", "x7", "-7", "7.0", " 7", "0", "1" * 19])
def test_a_taxid_that_is_no_number_is_named(tmp_path: Path, taxid: str) -> None:
    files = dump(SINCE_2025)
    for table, bad, line in (
        ("nodes.dmp", row(taxid, 1, "genus", *[""] * 10), 9),
        ("nodes.dmp", row(7, taxid, "genus", *[""] * 10), 9),
        ("names.dmp", row(taxid, "a name", "", "scientific name"), 25),
        ("merged.dmp", row(7, taxid), 2),
    ):
        broken = {"merged.dmp": row(8, 562)} | files
        broken[table] += bad
        message = refusal(folder(tmp_path, broken))
        assert f"{table}, line {line}: '{taxid}' is not a taxid. Expected a whole number from 1 up" in message


def test_a_parent_that_does_not_exist_is_named_with_its_child(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, dump(SINCE_2025 | {77: (4_000_000_000, "genus", "Lost")})))
    assert "nodes.dmp, line 9: taxid 77 has the parent 4000000000, which has no line of its own" in message


def test_a_taxid_that_stands_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    files = dump(SINCE_2025)
    twice = files | {"nodes.dmp": files["nodes.dmp"] + row(2, 1, "domain", *[""] * 10)}
    assert "nodes.dmp, line 9: taxid 2 stands here again, after line 3" in refusal(folder(tmp_path, twice))
    twice = files | {"names.dmp": files["names.dmp"] + row(2, "Monera", "", "scientific name")}
    message = refusal(folder(tmp_path, twice))
    assert "names.dmp, line 25: taxid 2 stands here again, after line 8" in message
    assert "one scientific name for a taxid" in message
    twice = files | {"merged.dmp": row(7, 2) + row(7, 562)}
    assert "merged.dmp, line 2: taxid 7 stands here again, after line 1" in refusal(folder(tmp_path, twice))


def test_a_tree_with_two_roots_or_a_circle_is_refused_with_the_file(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, dump(SINCE_2025 | {77: (77, "genus", "Alone")})))
    assert f"{tmp_path / 'nodes.dmp'}: the tree has 2 roots" in message
    message = refusal(folder(tmp_path, dump(SINCE_2025 | {77: (78, "genus", "A"), 78: (77, "genus", "B")})))
    assert f"{tmp_path / 'nodes.dmp'}: taxon 'A' (taxid 77) and 1 others never reach the root" in message


def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = dict(dump(SINCE_2025 | {77: (2, "genus", "Mendeza")}))
    files["names.dmp"] = str(files["names.dmp"]).replace("Mendeza\t|", "M\xe9ndeza\t|", 1).encode("latin-1")
    message = refusal(folder(tmp_path, files))
    assert "names.dmp, line 26: 'M\\xe9ndeza' is not UTF-8" in message


def test_more_ranks_than_any_taxonomy_has_are_refused(tmp_path: Path) -> None:
    nodes = SINCE_2025 | {1000 + i: (2, f"rank{i}", str(i)) for i in range(300)}
    assert "is the 256th different rank" in refusal(folder(tmp_path, dump(nodes)))


# ---------------------------------------------------------------------- any tree

NAMES = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=12)
RANKS = st.sampled_from(["no rank", "clade", "genus", "species", "domain", "acellular root", "varietas", ""])


@st.composite
def trees(draw: st.DrawFn) -> Nodes:
    taxids = draw(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=40, unique=True))
    nodes: dict[int, tuple[int, str, str | None]] = {}
    for i, taxid in enumerate(taxids):
        parent = taxids[draw(st.integers(0, max(0, i - 1)))]
        nodes[taxid] = (parent, draw(RANKS), draw(NAMES | st.none()))
    return nodes


@settings(max_examples=100, deadline=None)
@given(trees(), st.randoms(use_true_random=False), st.sampled_from([200, 1 << 22]))
def test_any_tree_written_in_any_order_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, nodes: Nodes, random: Random, block: int
) -> None:
    order = list(nodes)
    random.shuffle(order)
    files = dump(nodes, order=order)
    lines = files["names.dmp"].split("\n")[:-1]
    random.shuffle(lines)
    files["names.dmp"] = "\n".join(lines) + "\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ncbi, "BLOCK", block)
        tree = read_taxdump(folder(tmp_path_factory.mktemp("dump"), files))
    assert tree.digest == directly(nodes).digest
    ids = random.sample(order, min(4, len(order)))
    for taxid in ids:
        assert [t.taxid for t in tree.lineage(tree.by_taxid(taxid))] == ancestors(nodes, taxid)
    shared = [line for line in zip(*(ancestors(nodes, t) for t in ids), strict=False) if len(set(line)) == 1]
    root = next(t for t in nodes if nodes[t][0] == t)
    lowest = tree.lca(tree.by_taxid(t) for t in ids)
    assert tree.taxids[lowest] == (shared[-1][0] if shared else root)


def ancestors(nodes: Nodes, taxid: int) -> list[int]:
    """The slow loop: taxids from below the root down to `taxid`."""
    path = []
    while nodes[taxid][0] != taxid:
        path.append(taxid)
        taxid = nodes[taxid][0]
    return path[::-1]
