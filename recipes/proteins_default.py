"""Rebuild the protein model that comes with linnet, from sources that may be used.

    python recipes/proteins_default.py --proteins proteins_taxid.tsv.xz --taxonomy ncbi_partial_nodes.tsv.gz \\
        --out src/linnet/models/proteins

PROTEINS is a table 'accession, taxid, source, sequence' with a header, of which these sources are taken, all under
the MIT licence with sequences of UniProt (CC BY 4.0) and NCBI (public domain):

    mmseqs2_db         soedinglab/MMseqs2, data/DB.fasta and data/targetDB.fasta: taxids of the headers (OX=, [TaxId:])
    viral_annotation   jimdavis1/Viral_Annotation, PSSM-Alignments: at most 60 a taxon and product
    gruber_viral       gruber-sciencelab/VirusHostInteractionAtlas, 200 RefSeq genomes of viruses

The proteins of examples/proteins.faa are left out, so that they are new to the model. TAXONOMY is a table
'taxid, parent, rank, name' of NCBI's taxonomy (public domain).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from xopen import xopen

from linnet import checkpoint, shards, train_proteins, training_runs
from linnet.encoders import residue_words
from linnet.families import proteins
from linnet.light_head import Config as Head
from linnet.prediction import DEFAULT_CONFIDENCE
from linnet.records import SequenceRecord, read, record
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy

SOURCES = {
    "mmseqs2_db": "soedinglab/MMseqs2 (MIT), example databases; UniProt sequences (CC BY 4.0)",
    "viral_annotation": "jimdavis1/Viral_Annotation (MIT); NCBI and BV-BRC sequences",
    "gruber_viral": "gruber-sciencelab/VirusHostInteractionAtlas (MIT); NCBI RefSeq sequences",
}
EXAMPLES = Path(__file__).parent.parent / "examples" / "proteins.faa"
CONFIG = train_proteins.Config(
    model=proteins.Config(encoder=residue_words.Config(buckets=32_768, width=64), head=Head(taxa=32, hidden=128)),
    recipe=replace(train_proteins.Config().recipe, epochs=15),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proteins", type=Path, required=True)
    parser.add_argument("--taxonomy", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint.check_free(args.out)
    tree = read_taxonomy(args.taxonomy)
    with TemporaryDirectory() as folder:
        store = shards.write(_rows(args.proteins, tree), tree, Path(folder) / "s", least=CONFIG.least, distinct=True)
        model, held_out = train_proteins.train(store, tree, CONFIG, print)
        model.origin["sources"] = list(SOURCES.values())
        model.origin["taxonomy"] = "NCBI Taxonomy (public domain)"
        evaluation = training_runs.measure(held_out, DEFAULT_CONFIDENCE)
        model.origin["held_out"] = training_runs.stated(held_out, evaluation)
        checkpoint.save(model, args.out)
    return 0


def _rows(path: Path, tree: Taxonomy) -> Iterator[tuple[SequenceRecord, int]]:
    examples = {r.id for r in read(EXAMPLES, alphabet="protein")}
    csv.field_size_limit(1 << 24)
    with xopen(path, "rt", threads=0) as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            node = tree.by_taxid(int(row["taxid"]))
            if row["source"] in SOURCES and row["accession"] not in examples and node:
                yield record(row["accession"], row["sequence"].replace("*", ""), alphabet="protein"), node


if __name__ == "__main__":
    sys.exit(main())
