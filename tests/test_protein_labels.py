"""Which taxon a protein is of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from linnet.protein_labels import Labeller
from linnet.records import SequenceRecord, record
from linnet.taxonomy import Taxon, Taxonomy

BACTERIA = Taxon("domain", "Bacteria", 2)
ESCHERICHIA = (BACTERIA, Taxon("genus", "Escherichia", 561))
COLI = (*ESCHERICHIA, Taxon("species", "Escherichia coli", 562))
TREE = replace(
    Taxonomy.from_lineages(
        [
            COLI,
            (BACTERIA, Taxon("species", "[Clostridium] innocuum", 1522)),
            (BACTERIA, Taxon("genus", "Bacillus", 1386)),
            (BACTERIA, Taxon("strain", "Bacillus sp. DSM 1 = JCM 2", 5)),
            (Taxon("domain", "Eukaryota", 2759), Taxon("genus", "Bacillus", 55087)),
        ]
    ),
    retired={83333: 562, 999: 0, 998: 77777},
)


def protein(header: str) -> SequenceRecord:
    return record(header, "MKV", alphabet="protein")


def named(labeller: Labeller, header: str) -> str | None:
    node = labeller.node(protein(header))
    return None if node is None else TREE.names[node]


@pytest.mark.parametrize(
    ("header", "name", "way"),
    [
        ("sp|P1|X_ECOLI A; protein OS=Escherichia coli OX=562 GN=x PE=1 SV=1", "Escherichia coli", "OX="),
        ("P1 GN=x OX=561", "Escherichia", "OX="),
        ("d1abc_ a.1.1.1 (A:) Globin {Escherichia coli [TaxId: 562]}", "Escherichia coli", "[TaxId:]"),
        ("P1 [TaxId:562]", "Escherichia coli", "[TaxId:]"),
        ("UniRef90_P1 Protein n=3 Tax=Escherichia TaxID=561 RepID=X_ECOLI", "Escherichia", "TaxID="),
        ("WP_1.1 30S ribosomal protein S8; cold-shock [Escherichia coli]", "Escherichia coli", "[Organism]"),
        ("WP_1.1 MULTISPECIES: S8 [Escherichia]", "Escherichia", "[Organism]"),
        ("WP_1.1 S8 [Bacillus sp. DSM 1 = JCM 2]", "Bacillus sp. DSM 1 = JCM 2", "[Organism]"),
        ("WP_1.1 [Fe-S] protein [[Clostridium] innocuum] ", "[Clostridium] innocuum", "[Organism]"),
    ],
)
def test_each_dialect_of_header_tells_the_taxon(header: str, name: str, way: str) -> None:
    labeller = Labeller(TREE)
    assert named(labeller, header) == name
    assert labeller.notes == {way: 1}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("P1 OX=999", "deleted taxid"),
        ("P1 OX=424242", "unknown taxid"),
        ("P1 OX=998", "unknown taxid"),
        ("P1 x [Salmonella enterica]", "unknown organism"),
        ("P1 x [Bacillus]", "name of several taxa"),
        ("P1 an enzyme", "no label in the header"),
        ("P1 [gene=thrL] [gbkey=CDS]", "no label in the header"),
        ("P1 x]", "no label in the header"),
        ("P1 x []", "no label in the header"),
        ("562.b0001", "no label in the header"),
        ("P1 BOX=562", "no label in the header"),
        ("P1", "no label in the header"),
    ],
)
def test_each_reason_for_no_taxon_is_counted(header: str, reason: str) -> None:
    labeller = Labeller(TREE)
    assert named(labeller, header) is None
    assert labeller.notes == {reason: 1}


def test_merged_taxids_are_followed() -> None:
    labeller = Labeller(TREE)
    assert named(labeller, "P1 OX=83333") == "Escherichia coli"
    assert labeller.notes == {"OX=": 1, "merged taxid": 1}


@pytest.mark.parametrize("id", ["P1", "sp|P1|X", "sp|P1.2|X", "P1.7"])
def test_the_table_of_accessions_comes_first(id: str) -> None:
    labeller = Labeller(TREE, {"P1": 561})
    assert named(labeller, f"{id} OX=562") == "Escherichia"
    assert labeller.notes == {"accession table": 1}


def test_an_accession_that_is_not_in_the_table_is_told_by_its_header() -> None:
    labeller = Labeller(TREE, {"P1": 561})
    assert named(labeller, "P2 OX=562") == "Escherichia coli"


def test_a_whole_id_in_the_table_is_found() -> None:
    assert named(Labeller(TREE, {"sp|P1|X": 561}), "sp|P1|X") == "Escherichia"


def test_the_first_way_decides_also_where_it_finds_no_taxon() -> None:
    labeller = Labeller(TREE, {"P1": 999})
    assert named(labeller, "P1 OX=562") is None
    assert labeller.notes == {"deleted taxid": 1}


def test_ids_of_eggnog_begin_with_a_taxid_only_where_said() -> None:
    labeller = Labeller(TREE, eggnog=True)
    assert named(labeller, "562.b0001") == "Escherichia coli"
    assert named(labeller, "b0001.562") is None
    assert labeller.notes == {"taxid.locus": 1, "no label in the header": 1}


def test_notes_count_each_record_once() -> None:
    labeller = Labeller(TREE)
    headers = ["P1 OX=562"] * 3 + ["P1 OX=999", "P1 x [Escherichia coli]", "P1"] * 2
    for header in headers:
        named(labeller, header)
    assert labeller.notes == Counter({"OX=": 3, "deleted taxid": 2, "[Organism]": 2, "no label in the header": 2})
