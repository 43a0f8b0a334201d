"""The truth about contigs, from each kind of file that holds it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from conftest import lineage

from linnet.errors import UserError
from linnet.gold_standard import GoldStandard, read_gold_standard, read_lengths
from linnet.ncbi import read_taxdump
from linnet.taxonomy import RANKS, Taxonomy, canonical

NODES = [(1, 1, "no rank"), (2, 1, "superkingdom"), (3, 2, "phylum"), (4, 3, "species"), (5, 1, "no rank")]
NAMES = {1: "root", 2: "Bacteria", 3: "Bacillota", 4: "Some species", 5: "cellular organisms"}


@pytest.fixture
def taxdump(tmp_path: Path) -> Taxonomy:
    folder = tmp_path / "taxdump"
    folder.mkdir()
    (folder / "nodes.dmp").write_text("".join(f"{t}\t|\t{p}\t|\t{r}\t|\n" for t, p, r in NODES))
    (folder / "names.dmp").write_text("".join(f"{t}\t|\t{n}\t|\t\t|\tscientific name\t|\n" for t, n in NAMES.items()))
    (folder / "merged.dmp").write_text("40\t|\t4\t|\n")
    return read_taxdump(folder)


def read(tmp_path: Path, text: str, taxonomy: Taxonomy | None = None) -> GoldStandard:
    path = tmp_path / "gold"
    path.write_text(text)
    return read_gold_standard(path, taxonomy)


def names(gold: GoldStandard, contig: str) -> list[str]:
    return [taxon.name for taxon in gold.lineages[contig]]


OLD = "#anonymous_contig_id\tgenome_id\ttax_id\tcontig_id\tnumber_reads\n"
NEW = OLD.rstrip("\n") + "\tstart_position\tend_position\n"


def test_camisims_mapping_gives_genomes_lineages_and_lengths(tmp_path: Path, taxdump: Taxonomy) -> None:
    gold = read(tmp_path, NEW + "c1\tG1\t4\tchr\t9\t1\t500\nc2\tG2\t3\tchr\t9\t101\t300\n", taxdump)
    assert names(gold, "c1") == ["Bacteria", "Bacillota", "Some species"]
    assert names(gold, "c2") == ["Bacteria", "Bacillota"]
    assert gold.genomes == {"c1": "G1", "c2": "G2"}
    assert gold.lengths == {"c1": 500, "c2": 200}  # both ends lie in the contig


def test_camisims_older_mapping_has_no_lengths(tmp_path: Path, taxdump: Taxonomy) -> None:
    gold = read(tmp_path, OLD + "c1\tG1\t4\tchr\t9\n", taxdump)
    assert gold.genomes == {"c1": "G1"}
    assert gold.lengths == {}


def test_a_biobox_file_of_several_samples_names_its_columns_for_each(tmp_path: Path, taxdump: Taxonomy) -> None:
    gold = read(
        tmp_path,
        "#made by hand\n@Version:0.9.1\n@SampleID:s1\n\n@@SEQUENCEID\tBINID\tTAXID\tLENGTH\nc1\tG1\t4\t700\n\n"
        "@Version:0.10.0\n@SampleID:s2\n@TaxonomyID:x\n@@SEQUENCEID\t_LENGTH\tTAXID\nc2\t800\t3\n",
        taxdump,
    )
    assert names(gold, "c2") == ["Bacteria", "Bacillota"]
    assert gold.genomes == {"c1": "G1"}
    assert gold.lengths == {"c1": 700, "c2": 800}


def test_a_biobox_file_may_know_genomes_alone(tmp_path: Path) -> None:
    gold = read(tmp_path, "@Version:0.9.0\n@SampleID:s\n@@SEQUENCEID\tBINID\nc1\tG1\nc2\tG1\n")
    assert gold.lineages == {} and gold.genomes == {"c1": "G1", "c2": "G1"}
    assert gold.notes == {"without a taxon": 2}


@pytest.mark.parametrize("header", ["contigs\tpredictions\tgenome\tlength", "contig\tlineage\tgenome\tlength"])
def test_a_table_of_lineages_may_name_genomes_and_lengths(tmp_path: Path, header: str) -> None:
    gold = read(tmp_path, f"{header}\nc1\td__A;p__B\tG1\t500\nc2\t\tG2\t600\n")
    assert gold.lineages == {"c1": lineage("A;B")}
    assert gold.genomes == {"c1": "G1", "c2": "G2"}
    assert gold.lengths == {"c1": 500, "c2": 600}
    assert gold.notes == {"without a taxon": 1}


def test_columns_may_come_in_any_order_and_with_commas(tmp_path: Path) -> None:
    gold = read(tmp_path, "ground_truth_label,sample,anonymous_contig_id\nd__A;p__B,1,c1\n")
    assert gold.lineages == {"c1": lineage("A;B")}


def test_any_other_table_of_lineages_will_do(tmp_path: Path) -> None:
    assert read(tmp_path, "c1\tA;B\nc2\t\n").lineages == {"c1": lineage("A;B")}
    assert read(tmp_path, "id,domain,phylum\nc1,A,B\n").lineages == {"c1": lineage("A;B")}


def test_merged_taxids_are_followed_and_unknown_ones_counted(tmp_path: Path, taxdump: Taxonomy) -> None:
    gold = read(tmp_path, OLD + "c1\tG\t40\tx\t1\nc2\tG\t999\tx\t1\nc3\tG\t0\tx\t1\nc4\tG\t1\tx\t1\n", taxdump)
    assert names(gold, "c1")[-1] == "Some species"
    assert set(gold.lineages) == {"c1"} and len(gold.genomes) == 4
    assert gold.notes == {"with a taxid that the taxonomy lacks": 1, "without a taxon": 2}


def test_a_repeated_row_is_one_contig(tmp_path: Path) -> None:
    assert len(read(tmp_path, "contig\tlineage\nc1\tA;B\nc1\tA;B\n").lineages) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contig\tlineage\nc1\tA;B\nc1\tA;C\n", r"gold, line 3: contig 'c1' has a different row above"),
        ("contig\tlineage\nc1\n", r"gold, line 2: 1 cells.*Expected contig, lineage"),
        ("contig\tlineage\n", "no contigs below the header"),
        ("contig\tlineage\tlength\nc1\tA\t5kb\n", "line 2: '5kb' where a length or position belongs"),
        ("contig\tlineage\nc1\tA;B;C;D;E;F;G;H\n", "line 2: 8 names without ranks"),
        (OLD + "c1\tG\tEscherichia\tx\t1\n", "line 2: 'Escherichia' is not a taxid"),
        (OLD + "c1\tG\t4\tx\t1\n", "line 2: taxid 4 instead of a lineage.*--taxonomy"),
        ("@Version:0.9.1\n@@TAXID\tRANK\tTAXPATH\n", r"line 2: the columns \['TAXID', 'RANK', 'TAXPATH'\]"),
        ("", "no lineages"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_another_taxonomys_numbers_are_an_error(tmp_path: Path, taxdump: Taxonomy) -> None:
    with pytest.raises(UserError, match="lacks the taxids of 2 of 3 contigs.*taxdump that came with"):
        read(tmp_path, OLD + "c1\tG\t4\tx\t1\nc2\tG\t98\tx\t1\nc3\tG\t99\tx\t1\n", taxdump)


def test_lengths_come_from_fasta_or_a_table(tmp_path: Path) -> None:
    fasta, table, index = (tmp_path / n for n in ("c.fna.gz", "c.tsv", "c.fai"))
    with gzip.open(fasta, "wt") as file:
        file.write(">c1 first\nACGT\nAC\n>c2\nACG\n")
    table.write_text("contig\tlength\nc1\t6\nc2\t3\n")
    index.write_text("c1\t6\t10\t4\t5\nc2\t3\t24\t3\t4\n")
    assert [list(read_lengths(path).items()) for path in (fasta, table, index)] == [[("c1", 6), ("c2", 3)]] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">c1\nAC\n>c1\nAC\n", "record 2: a second contig 'c1'"),
        ("c1\t5\nc1\t5\n", "line 2: a second contig 'c1'"),
        ("contig\tlength\nc1\tlong\n", "line 2: no length: 'c1 long'"),
        ("", "no contigs"),
    ],
)
def test_wrong_lengths_are_said_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(UserError, match=message):
        read_lengths(tmp_path / "c")


def test_the_same_truth_in_three_formats_is_the_same(shared_data: Path) -> None:
    folder = shared_data / "parity" / "taxometer"
    taxonomy = read_taxdump(folder / "taxdump")
    mapping = read_gold_standard(folder / "gsa_mapping.tsv", taxonomy)
    binning = read_gold_standard(folder / "gold_standard.binning", taxonomy)
    table = read_gold_standard(folder / "truth.tsv")
    assert (mapping.lineages, mapping.genomes, mapping.lengths) == (binning.lineages, binning.genomes, binning.lengths)
    assert mapping.lengths == read_lengths(folder / "contigs.fna.gz")
    for contig, path in table.lineages.items():
        other = canonical(mapping.lineages[contig])
        assert [taxon.name for taxon in path] == [taxon.name for taxon in other if taxon]
    assert len(table.lineages) == 300 and len(RANKS) == len(next(iter(table.lineages.values())))


def test_a_gold_standard_of_cami_is_read(shared_data: Path) -> None:
    gold = read_gold_standard(shared_data / "data" / "genomes" / "cami" / "AMBER_gsa_mapping.binning.gz")
    assert (len(gold.genomes), gold.lengths["RL|S1|C10817"]) == (19499, 20518)
