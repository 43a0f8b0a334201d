from __future__ import annotations

import gzip
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import lineage

from linnet.errors import UserError
from linnet.labels import Label, LabelTable, predictions, read_labels
from linnet.ncbi import read_taxdump
from linnet.strings import StringArray
from linnet.taxonomy import Lineage, Taxon, Taxonomy

NODES = (  # taxid, parent, rank, name
    (1, 1, "no rank", "root"),
    (131567, 1, "cellular root", "cellular organisms"),
    (2, 131567, "domain", "Bacteria"),
    (3379134, 2, "kingdom", "Pseudomonadati"),
    (1224, 3379134, "phylum", "Pseudomonadota"),
    (1236, 1224, "class", "Gammaproteobacteria"),
    (561, 1236, "genus", "Escherichia"),
    (562, 561, "species", "Escherichia coli"),
    (83333, 562, "strain", "Escherichia coli K-12"),
    (564, 561, "species", "Escherichia fergusonii"),
    (620, 1236, "genus", "Shigella"),
    (624, 620, "species", "Shigella sonnei"),
    (10239, 1, "acellular root", "Viruses"),
)
COLI = (
    Taxon("domain", "Bacteria", 2),
    Taxon("phylum", "Pseudomonadota", 1224),
    Taxon("class", "Gammaproteobacteria", 1236),
    Taxon("genus", "Escherichia", 561),
    Taxon("species", "Escherichia coli", 562),
)
NAMES = "-_cellular organisms;-_Bacteria;k_Pseudomonadati;p_Pseudomonadota;c_Gammaproteobacteria;g_Escherichia"


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    at = {taxid: i for i, (taxid, *_) in enumerate(NODES)}
    return Taxonomy.from_parents(
        np.array([at[parent] for _, parent, *_ in NODES]),
        StringArray.of([name for *_, name in NODES]),
        [rank for _, _, rank, _ in NODES],
        np.array([taxid for taxid, *_ in NODES], np.int64),
        {666: 562, 777: 0},
    )


def table(folder: Path, text: str, taxonomy: Taxonomy | None = None) -> LabelTable:
    """The labels in a text, where blanks by twos or more stand for tabs."""
    lines = ["\t".join(part.strip() for part in line.split("  ") if part) for line in text.strip().splitlines()]
    path = folder / "labels.tsv"
    path.write_text("\n".join(lines).replace("~", "") + "\n")
    return read_labels(path, taxonomy)


def unnumbered(taxa: Lineage) -> Lineage:
    return tuple(Taxon(taxon.rank, taxon.name) for taxon in taxa)


# MMseqs2


@pytest.mark.parametrize(
    "extra", ["", "  Escherichia;Pseudomonadota", f"  {NAMES};s_Escherichia coli", "  x;y;z  131567;2;561;562"]
)
@pytest.mark.parametrize("numbers", ["", "  7  5  4  0.75"])
def test_mmseqs_tables_of_every_width_say_the_same(
    tmp_path: Path, taxonomy: Taxonomy, numbers: str, extra: str
) -> None:
    found = table(tmp_path, f"c1  562  species  Escherichia coli{numbers}{extra}", taxonomy)
    assert found.tool == "MMseqs2"
    assert found.labels["c1"].lineage == COLI
    assert found.labels["c1"].pieces == (5 if numbers else 0)
    assert found.labels["c1"].support == pytest.approx(0.75 if numbers else math.nan, nan_ok=True)


def test_mmseqs_names_suffice_and_its_domain_without_a_letter_is_found(tmp_path: Path) -> None:
    text = f"""
        c1  562  species  Escherichia coli  {NAMES};s_Escherichia coli
        c2  2  domain  Bacteria  -_cellular organisms;-_Bacteria
        c3  9  species  A phage  -_Viruses;r_Duplodnaviria;s_A phage
        c4  562  species  Escherichia coli  -_cellular organisms;d_Bacteria;-_Some group;s_Escherichia coli
        c5  9606  species  Homo sapiens  d_Eukaryota;k_Metazoa;s_Homo sapiens"""
    found = table(tmp_path, text)
    lineages = {contig: [(t.rank, t.name) for t in label.lineage] for contig, label in found.labels.items()}
    assert found.labels["c1"].lineage == unnumbered(COLI)
    assert lineages["c2"] == [("domain", "Bacteria")]
    assert lineages["c3"] == [("domain", "Viruses"), ("species", "A phage")]
    assert lineages["c4"] == [("domain", "Bacteria"), ("species", "Escherichia coli")]
    assert lineages["c5"] == [("domain", "Eukaryota"), ("species", "Homo sapiens")]
    assert found.notes["labels with gaps in ranks"] == 4
    assert found.notes["names left out because they are of no canonical rank"] == 2 + 1 + 1 + 2 + 1


def test_mmseqs_rows_without_an_answer_are_no_labels(tmp_path: Path) -> None:
    text = """
        c1  0  no rank  unclassified  ~
        c2  1  no rank  root  ~
        c3  131567  no rank  cellular organisms  -_cellular organisms
        c4  408169  no rank  metagenomes  -_unclassified entries;-_unclassified sequences;-_metagenomes"""
    found = table(tmp_path, text)
    assert [label.lineage for label in found.labels.values()] == [()] * 4


def test_names_of_lca_ranks_are_no_lineage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: taxid 561 without a lineage.*--taxonomy"):
        table(tmp_path, "c1  561  genus  Escherichia  uc_Escherichia")


# Kraken2


def test_kraken_support_is_the_share_of_kmers_in_the_clade(tmp_path: Path, taxonomy: Taxonomy) -> None:
    kmers = "0:50 562:6 A:31 83333:2 |:| 564:3 561:4 -:- 1:1 999999:4"
    inside = {"562": 6, "83333": 2}  # the strain is in the species; its genus, sister and the unknown are not
    text = f"""
        C  c1  562  150|100  {kmers}
        C  c2  Escherichia coli (taxid 562)  250  {kmers}
        C  c3  83333  250  {kmers}
        C  c4  561  250  {kmers}
        U  c5  0  250  0:9 562:1
        U  c6  unclassified (taxid 0)  20  ~
        C  c7  1  250  {kmers}"""
    found = table(tmp_path, text, taxonomy)
    assert found.tool == "Kraken2"
    for contig in ("c1", "c2", "c3"):
        assert found.labels[contig] == Label(contig, COLI, sum(inside.values()) / 20, 20)
    assert found.labels["c4"] == Label("c4", COLI[:4], 15 / 20, 20)
    assert found.labels["c5"] == Label("c5", (), math.nan, 1)
    assert found.labels["c6"] == Label("c6")
    assert found.labels["c7"].lineage == ()


def test_kraken_counts_that_are_none_are_refused(tmp_path: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(UserError, match="line 1: '562:x' among the counts"):
        table(tmp_path, "C  c1  562  100  562:x", taxonomy)


# Centrifuge

HEADER = "readID  seqID  taxID  score  2ndBestScore  hitLength  queryLength  numMatches"


def test_centrifuge_rows_of_the_best_score_decide(tmp_path: Path, taxonomy: Taxonomy) -> None:
    rows = {
        "tied": ((562, 100), (564, 100)),
        "split": ((562, 300), (624, 100)),
        "far": ((562, 50), (564, 50), (624, 50)),
        "one": ((562, 7),),
        "none": ((0, 0),),
    }
    lines = [f"{c}  s{t}  {t}  {score}  0  30  90  1" for c, answers in rows.items() for t, score in answers]
    found = table(tmp_path, "\n".join([HEADER, *lines[::-1]]), taxonomy)
    assert found.tool == "Centrifuge"
    assert found.labels == {
        "tied": Label("tied", COLI[:4], 1.0, 2),
        "split": Label("split", COLI, 0.75, 2),
        "far": Label("far", COLI[:3], 1.0, 3),
        "one": Label("one", COLI, 1.0, 1),
        "none": found.labels["none"],
    }
    assert found.labels["none"].lineage == ()


# Metabuli


@pytest.mark.parametrize(
    "text",
    [
        "1  c1  562  300  0.9  562:6 83333:2 564:2\n0  c2  0  300  0",
        "1  c1  562  300  0.9  species  562:6 83333:2 564:2\n0  c2  0  300  0  -  -",
        "#is_classified  name  taxID  query_length  score  rank  taxID:match_count\n"
        "1  c1  562  300  0.9  species  562:6 83333:2 564:2\n0  c2  0  300  0  no rank",
        "#is_classified  name  taxID  query_length  score  e_value  rank  lineage  taxID:match_count\n"
        f"1  c1  562  300  0.9  4.4e-36  species  {NAMES};s_Escherichia coli  562:6 83333:2 564:2\n"
        "0  c2  0  300  0  -  no rank  -  -",
    ],
)
def test_metabuli_tables_of_every_version_say_the_same(tmp_path: Path, taxonomy: Taxonomy, text: str) -> None:
    found = table(tmp_path, text, taxonomy)
    assert found.tool == "Metabuli"
    assert found.labels == {"c1": Label("c1", COLI, 0.8, 10), "c2": Label("c2")}


def test_metabuli_lineages_suffice_but_give_no_support(tmp_path: Path) -> None:
    row = "1  c1  7  300  0.9  -1  species  d_d__Bacteria;p_p__Pseudomonadota;s_s__Escherichia coli  7:6"
    label = table(tmp_path, row).labels["c1"]
    assert [t.name for t in label.lineage] == ["Bacteria", "Pseudomonadota", "Escherichia coli"]
    assert math.isnan(label.support)
    assert label.pieces == 6


# CAT

CAT = "# contig  classification  reason  lineage  lineage scores (f: 0.5)"


def test_cat_scores_are_those_of_the_ranks(tmp_path: Path, taxonomy: Taxonomy) -> None:
    ids, scores = "1;131567;2;3379134;1224;1236;561*;562*", "1.00;1.00;0.95;0.93;0.90;0.80;0.70;0.60"
    official = "superkingdom  phylum  class  order  family  genus  species"
    names = "Bacteria: 0.95  Pseudomonadota: 0.90  Gammaproteobacteria: 0.80  no support  NA  Escherichia*: 0.70"
    row = f"taxid assigned  based on 3/4 ORFs  {ids}  {scores}"
    everything = "root (no rank): 1.00  cellular organisms (no rank): 1.00  Bacteria (superkingdom): 0.95  " \
        "Pseudomonadati (kingdom): 0.93  Pseudomonadota (phylum): 0.90  Gammaproteobacteria (class): 0.80  " \
        "Escherichia* (genus): 0.70  Escherichia coli* (species): 0.60"  # fmt: skip
    expected = (0.95, 0.9, 0.8, 0.7, 0.6)
    none = "c2  no taxid assigned  no ORFs found"
    for header, row_names in (
        (CAT, ""),
        (f"{CAT}  {official}", f"  {names}  Escherichia coli*: 0.60"),
        (f"{CAT}  full lineage names", f"  {everything}"),
    ):
        for tree in (taxonomy, None) if row_names else (taxonomy,):
            found = table(tmp_path, f"{header}\nc1  {row}{row_names}\n{none}", tree)
            assert found.tool == "CAT"
            assert found.labels["c1"] == Label("c1", COLI if tree else unnumbered(COLI), 0.6, 3, expected)
            assert found.labels["c2"] == Label("c2")
            assert found.notes["labels that CAT marks as suggestive (*)"] == 1
    with pytest.raises(UserError, match="taxids without names.*--taxonomy"):
        table(tmp_path, f"{CAT}\nc1  {row}")


def test_several_answers_of_cat_are_combined(tmp_path: Path, taxonomy: Taxonomy) -> None:
    text = f"""{CAT}
        c1  taxid assigned (1/2)  based on 4/4 ORFs  1;2;1224;1236;561;562  1.00;1.00;1.00;0.90;0.50;0.50
        c1  taxid assigned (2/2)  based on 4/4 ORFs  1;2;1224;1236;620;624  1.00;1.00;1.00;0.90;0.40;0.40"""
    assert table(tmp_path, text, taxonomy).labels == {"c1": Label("c1", COLI[:3], 0.9, 4, (1.0, 1.0, 0.9))}
    with pytest.raises(UserError, match="1 of the answers to contig 'c1', others of which are missing"):
        table(tmp_path, text.rsplit("\n", 1)[0], taxonomy)


def test_cat_needs_a_score_for_each_taxid(tmp_path: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(UserError, match="line 2: 1 scores for 2 taxids"):
        table(tmp_path, f"{CAT}\nc1  taxid assigned  based on 1/1 ORFs  1;2  1.00", taxonomy)


# lineages


def test_taxometer_tables_are_read_with_and_without_scores(tmp_path: Path) -> None:
    text = """
        contigs  predictions  scores
        c1  d_Bacteria;p_Pseudomonadota;-_A group;c_Gammaproteobacteria  1.0;0.9;0.85;0.8
        c2  Bacteria;Pseudomonadota  0.99;0.7"""
    found = table(tmp_path, text).labels
    assert found["c1"] == Label("c1", unnumbered(COLI[:3]), 0.8, 0, (1.0, 0.9, 0.8))
    assert found["c2"] == Label("c2", unnumbered(COLI[:2]), 0.7, 0, (0.99, 0.7))
    path = tmp_path / "in.tsv"
    path.write_text("contigs\tpredictions\nc1\td__Bacteria\nc2\t\nc3\tunknown\nc4\n")
    assert [label.lineage for label in read_labels(path).labels.values()] == [unnumbered(COLI[:1]), (), (), ()]


def test_names_that_fill_a_gap_are_no_taxa_and_the_taxonomy_fills_it(tmp_path: Path, taxonomy: Taxonomy) -> None:
    text = """
        contigs  predictions  scores
        c1  d__Bacteria;p__unnamed phylum of Bacteria;c__Gammaproteobacteria  1.0;0.8;0.8"""
    assert table(tmp_path, text).labels["c1"].lineage == unnumbered((COLI[0], COLI[2]))
    assert table(tmp_path, text, taxonomy).labels["c1"] == Label("c1", COLI[:3], 0.8, 0, (1.0, 0.8, 0.8))


@pytest.mark.parametrize(
    "text",
    [
        "c1  d__Bacteria;p__Pseudomonadota;c__Gammaproteobacteria",
        "c1  Bacteria;Pseudomonadota;Gammaproteobacteria",
        "Feature ID  Taxon\nc1  k__Bacteria; p__Pseudomonadota; c__Gammaproteobacteria",
        "name  phylum  class  domain\nc1  Pseudomonadota  Gammaproteobacteria  Bacteria",
        "name,domain,phylum,class\nc1,Bacteria,Pseudomonadota,Gammaproteobacteria",
        "c1  1236",
        "#contig  genome  tax_id\nc1  g1  1236",
        "@Version:0.9.1\n@SampleID:s\n@@SEQUENCEID  BINID  TAXID  LENGTH\nc1  b1  1236  500",
    ],
)
def test_other_tables_of_ids_say_the_same(tmp_path: Path, taxonomy: Taxonomy, text: str) -> None:
    assert table(tmp_path, text, taxonomy).labels == {"c1": Label("c1", COLI[:3])}


@pytest.mark.parametrize("nothing", ["", "unknown", "unclassified", "root", "0", "no rank", "cellular organisms",
                                     "no support", "NA", "Unclassified"])  # fmt: skip
def test_words_for_nothing_are_no_taxa(tmp_path: Path, nothing: str) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(f"contigs\tpredictions\nc1\td__Bacteria\nc2\t{nothing}\n")
    assert [label.lineage for label in read_labels(path).labels.values()] == [unnumbered(COLI[:1]), ()]


def test_bare_names_from_above_the_domain_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: names without ranks that begin above the domain"):
        table(tmp_path, "c1  cellular organisms;Bacteria;Pseudomonadota")


# taxids


def test_merged_taxids_are_followed_and_a_few_unknown_ones_counted(tmp_path: Path, taxonomy: Taxonomy) -> None:
    found = table(tmp_path, "c1  666\nc2  777\nc3  562\nc4  0", taxonomy)
    assert [bool(label.lineage) for label in found.labels.values()] == [True, False, True, False]
    assert found.labels["c1"].lineage == COLI
    assert found.notes == Counter(
        {
            "labels of taxids merged into others": 1,
            "labels of taxids that the taxonomy does not have": 1,
            "labels with gaps in ranks": 2,
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        "c1  900001\nc2  900002\nc3  562",
        "c1  562  species  Alpha\nc2  564  species  Beta\nc3  0  no rank  unclassified",
    ],
)
def test_the_taxids_of_another_taxonomy_are_refused(tmp_path: Path, taxonomy: Taxonomy, text: str) -> None:
    with pytest.raises(UserError, match="2 of [23] labels have taxids.*line 1 for one.*another taxonomy's"):
        table(tmp_path, text, taxonomy)


def test_where_the_numbers_differ_the_names_find_the_taxa(tmp_path: Path, taxonomy: Taxonomy) -> None:
    text = f"c1  7  species  Escherichia coli  {NAMES};s_Escherichia coli\nc2  562  genus  Escherichia  {NAMES}"
    found = table(tmp_path, text, taxonomy)
    assert [label.lineage for label in found.labels.values()] == [COLI, COLI[:4]]


def test_names_that_the_taxonomy_lacks_stay_without_a_taxid(tmp_path: Path, taxonomy: Taxonomy) -> None:
    found = table(tmp_path, "c1  d__Bacteria;p__Pseudomonadota;c__Novel", taxonomy)
    assert found.labels["c1"].lineage == (*COLI[:2], Taxon("class", "Novel"))
    assert found.notes["labels with names that the taxonomy does not have there"] == 1


def test_the_letters_in_the_names_of_a_gtdb_taxdump_are_no_other_names(tmp_path: Path) -> None:
    taxa = Taxon("domain", "d__Bacteria", 3), Taxon("phylum", "p__Pseudomonadota", 8)
    tree = Taxonomy.from_lineages([taxa])
    text = """
        c1  8  phylum  p__Pseudomonadota  d_d__Bacteria;p_p__Pseudomonadota
        c2  99  phylum  p__Pseudomonadota  d_d__Bacteria;p_p__Pseudomonadota"""
    bare = Taxon("domain", "Bacteria", 3), Taxon("phylum", "Pseudomonadota", 8)
    assert [label.lineage for label in table(tmp_path, text, tree).labels.values()] == [bare, bare]
    assert table(tmp_path, text).labels["c1"].lineage == unnumbered(COLI[:2])


def test_homonyms_are_told_apart_by_their_path(tmp_path: Path) -> None:
    tree = Taxonomy.from_lineages(
        (*lineage("Eukaryota;Streptophyta")[:2], Taxon("genus", "Morganella", n)) if n == 1
        else (*lineage("Bacteria;Pseudomonadota")[:2], Taxon("genus", "Morganella", n))
        for n in (1, 2)
    )  # fmt: skip
    found = table(
        tmp_path,
        "c1  d__Bacteria;p__Pseudomonadota;g__Morganella\nc2  d__Eukaryota;g__Morganella\nc3  g__Morganella",
        tree,
    )
    assert [label.lineage[-1].taxid for label in found.labels.values()] == [2, 1, None]


# what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c1  562\nc2  564\nc1  564", "line 3: contig 'c1' has another label on line 1"),
        ("c1  562  species  Escherichia coli\nc2  562  spec", "line 2: 3 cells"),
        ("c1  562  species  Escherichia coli  7  5  4  1.5", "line 1: support '1.5'"),
        ("C  c1  562  100  562:1\nX  c2  562  100  562:1", "line 2: 5 cells"),
        (f"{HEADER}\nc1  s1  562", "line 2: 3 cells"),
        (f"{HEADER}\nc1  s1  5x2  1  0  1  1  1", "line 2: taxid '5x2'"),
        (f"{HEADER}\nc1  s1  562  nan  0  1  1  1", "line 2: score 'nan'"),
        ("1  c1  562  100  0.5  562:1\n1  c2  562", "line 2: 3 cells"),
        (f"{CAT}\nc1", "line 2: one cell"),
        (f"{CAT}\nc1  taxid assigned  based on 1/1 ORFs  1;2x  1;1", "line 2: taxid '2x'"),
        ("contigs  predictions  scores\nc1  d_Bacteria;p_Pseudomonadota  0.5;0.5;0.5", "line 2: 3 scores for 2 names"),
        ("contigs  predictions  scores\nc1  d_Bacteria  x", "line 2: score 'x'"),
        ("@@SEQUENCEID  BINID\nc1  b1", "line 1: columns '@@SEQUENCEID BINID'"),
        ("@@SEQUENCEID  TAXID\nc1", "line 2: 1 cells"),
        ("@Version:0.9.1\nc1  562", "line 2: 2 cells.*a line @@SEQUENCEID"),
        ("c1  562\nc2", "line 2: 1 cells"),
        ("c1  " + "9" * 30, "line 1: taxid '9999"),
        ("12.50  100  10  S  562  Escherichia coli", "a report that counts taxa"),
        ("#clade_proportion  clade_count  taxon_count  rank  taxID  name", "a report that counts taxa"),
        (">c1", "sequences or JSON"),
        ("nothing here", "no table"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, taxonomy: Taxonomy, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        table(tmp_path, text, taxonomy)


def test_an_empty_file_and_one_of_blank_lines_are_refused(tmp_path: Path) -> None:
    for text in ("", "\n \n"):
        (tmp_path / "labels.tsv").write_text(text)
        with pytest.raises(UserError, match="empty"):
            read_labels(tmp_path / "labels.tsv")


def test_compressed_windows_text_with_long_names_and_repeats_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfc1 len=9\td__Bacteria\r\n\r\nc1 len=9\td__Bacteria\r\n"))
    found = read_labels(path)
    assert found.labels == {"c1": Label("c1", unnumbered(COLI[:1]))}
    assert found.notes["rows that repeat another"] == 1


def test_labels_become_predictions_with_the_scores_they_have(tmp_path: Path) -> None:
    text = "contigs  predictions  scores\nc1  d_Bacteria;p_Pseudomonadota  1.0;0.9\nc2  unknown  0.9"
    found = predictions(table(tmp_path, text))
    assert found["c1"].kept == unnumbered(COLI[:2])
    assert found["c1"].confidence == (1.0, 0.9)
    assert found["c2"].kept == ()


# the tools' own output


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("mmseqs14_nucl_easy-taxonomy_lca.tsv", "MMseqs2"),
        ("mmseqs14_prot_easy-taxonomy_lca.tsv", "MMseqs2"),
        ("mmseqs14_prot_lca-ranks_lineage2_createtsv.tsv", "MMseqs2"),
        ("kraken2_2.1.2.out", "Kraken2"),
        ("kraken2_2.1.2_use-names.out", "Kraken2"),
        ("centrifuge_1.0.3.tsv", "Centrifuge"),
        ("CAT_5.2.3.contig2classification.txt", "CAT"),
        ("CAT_5.2.3.official_names.txt", "CAT"),
        ("CAT_5.2.3.all_names.txt", "CAT"),
    ],
)
def test_what_the_tools_wrote_is_read_as_awk_would(shared_data: Path, name: str, tool: str) -> None:
    folder = shared_data / "parity" / "taxometer"
    parents, names = {}, {}
    for line in (folder / "taxdump" / "nodes.dmp").read_text().splitlines():
        taxid, parent, _ = line.split("\t|\t", 2)
        parents[taxid] = parent
    for line in (folder / "taxdump" / "names.dmp").read_text().splitlines():
        taxid, text, _ = line.split("\t|\t", 2)
        names[taxid] = text
    expected = {}
    for line in (folder / "peer_formats" / name).read_text().splitlines():
        cells = line.split("\t")
        if cells[0] in ("readID", "# contig"):
            continue
        taxid = {
            "MMseqs2": lambda c: c[1],
            "Kraken2": lambda c: c[2].split("taxid ")[-1].rstrip(")"),
            "Centrifuge": lambda c: c[2],
            "CAT": lambda c: c[3].split(";")[-1].rstrip("*") if len(c) > 3 else "0",
        }[tool](cells)
        path = []
        while taxid not in ("0", "1"):
            path.insert(0, names[taxid])
            taxid = parents[taxid]
        expected[cells[1] if tool == "Kraken2" else cells[0]] = path
    found = read_labels(folder / "peer_formats" / name, read_taxdump(folder / "taxdump"))
    assert found.tool == tool
    assert {contig: [taxon.name for taxon in label.lineage] for contig, label in found.labels.items()} == expected
    assert all(label.lineage[-1].taxid for label in found.labels.values() if label.lineage)


@pytest.mark.parametrize("name", ["CAT_5.2.3.ORF2LCA.txt", "centrifuge_1.0.3.report.tsv", "kraken2_2.1.2.report",
                                  "kraken2_2.1.2_minimizer.report", "kraken2_2.1.2_mpa.report", "mmseqs14_report",
                                  "mmseqs14_tophit_aln", "mmseqs14_tophit_report"])  # fmt: skip
def test_the_tools_other_files_are_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(UserError, match="Expected a table with a row for each contig"):
        read_labels(shared_data / "parity" / "taxometer" / "peer_formats" / name)
