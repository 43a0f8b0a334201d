"""Rebuild the 16S model that comes with linnet, from public sources.

    python recipes/rrna_default.py --data FOLDER --out src/linnet/models/rrna

FOLDER holds, as their repositories publish them (see NOTICE for licences):

    wol/rrnas_16s.fa.xz               biocore/wol, data/rrnas/16s.fa.xz: 16S genes of 7,813 genomes
    wol/genomes_metadata.tsv.xz       biocore/wol, data/genomes/metadata.tsv.xz: their assembly accessions
    wol/taxonomy_gtdb_lineages.txt.xz biocore/wol, data/taxonomy/gtdb/lineages.txt.xz: their names in GTDB r86
    picrust2/*_metadata.csv.gz        picrust/picrust2, default_files/*: GTDB, NCBI and SILVA names of 27,870 genomes
    phylotypr/silva_v138_2_seed.fasta.xz  mothur/phylotyprrefdata: SILVA 138.2 seed as FASTA, header 'id TAB lineage'

Genes of genomes get the modern GTDB lineage of their assembly, or of their species where its name has not
changed. Other names (GTDB r86, SILVA) are translated by genomes that bear both: a name becomes the deepest
GTDB taxon that holds at least 95 % of its genomes, never deeper than its own rank, so that where the two
systems disagree the label ends early instead of guessing. Chloroplasts and mitochondria stand where SILVA
has them; eukaryotes (18S) are a domain without further names.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xopen import xopen

from linnet import checkpoint
from linnet.records import read
from linnet.taxonomy import RANKS

SOURCES = {
    "wol/rrnas_16s.fa.xz": "Web of Life, biocore/wol (BSD-3-Clause)",
    "wol/genomes_metadata.tsv.xz": "Web of Life, biocore/wol (BSD-3-Clause)",
    "wol/taxonomy_gtdb_lineages.txt.xz": "Web of Life, biocore/wol (BSD-3-Clause); GTDB r86 names (CC BY-SA 4.0)",
    "picrust2/bacteria_metadata.csv.gz": "GTDB metadata as in picrust/picrust2; GTDB names (CC BY-SA 4.0)",
    "picrust2/archaea_metadata.csv.gz": "GTDB metadata as in picrust/picrust2; GTDB names (CC BY-SA 4.0)",
    "phylotypr/silva_v138_2_seed.fasta.xz": "SILVA 138.2 seed (CC BY 4.0), via mothur/phylotyprrefdata (MIT)",
}
MAJORITY = 0.95
SHORTEST, LONGEST = 1000, 2000
CHLOROPLAST = ("Bacteria", "Cyanobacteriota", "Cyanobacteriia", "Chloroplast")
MITOCHONDRIA = ("Bacteria", "Pseudomonadota", "Alphaproteobacteria", "Rickettsiales", "Mitochondria")

Names = tuple[str, ...]


class Reference(NamedTuple):
    """One gene; `group` is its genome, the copies of a gene in one genome being near-identical."""

    id: str
    group: str
    sequence: str
    names: Names


def names_of(text: str) -> Names:
    """Names of a prefixed lineage down to its first blank; ranks that are not canonical are left out."""
    names = []
    for part in (p.strip() for p in text.split(";")):
        if part[:3] == "x__":
            continue
        if len(part) <= 3:
            break
        names.append(part[3:])
    return tuple(names)


class Translator:
    """Names of other systems to GTDB lineages, by genomes that bear both."""

    def __init__(self, metadata: list[dict[str, str]]) -> None:
        self.by_accession: dict[str, Names] = {}
        self.by_species: dict[str, Names] = {}
        self._lineages: dict[tuple[int, str], Counter[Names]] = defaultdict(Counter)
        for row in metadata:
            gtdb = names_of(row["gtdb_taxonomy"])
            self.by_accession[assembly(row["accession"])] = gtdb
            self.by_species[gtdb[-1]] = gtdb
            self.learn(names_of(row["ncbi_taxonomy"]), gtdb)
            self.learn(tuple(row["ssu_silva_taxonomy"].split(";"))[:6], gtdb)

    def learn(self, other: Names, gtdb: Names) -> None:
        for depth, name in enumerate(other[:6]):
            self._lineages[depth, name][gtdb] += 1

    def translate(self, other: Names) -> Names:
        """The GTDB lineage of the deepest name known; () if none is."""
        for depth in range(min(len(other), 6) - 1, -1, -1):
            found = self._lineages.get((depth, other[depth]))
            if found:
                return majority(found)[: depth + 1]
        return ()


def majority(lineages: Counter[Names]) -> Names:
    """The deepest path shared by at least MAJORITY of the genomes."""
    total, path = lineages.total(), ()
    for depth in range(1, 7):
        at = Counter[Names]()
        for lineage, n in lineages.items():
            at[lineage[:depth]] += n
        best, n = at.most_common(1)[0]
        if n < MAJORITY * total:
            break
        path = best
    return path


def assembly(accession: str) -> str:
    """An assembly's number, the same for its GenBank and RefSeq copies."""
    return accession.split("_")[-1].split(".")[0]


def table(path: Path, delimiter: str) -> Iterator[dict[str, str]]:
    with xopen(path, "rt", threads=0) as file:
        yield from csv.DictReader(file, delimiter=delimiter)


def references(data: Path, notes: Counter[str]) -> Iterator[Reference]:
    """Every reference used."""
    metadata = [
        row for kind in ("bacteria", "archaea") for row in table(data / f"picrust2/{kind}_metadata.csv.gz", ",")
    ]
    translator = Translator(metadata)
    yield from genomes(data, translator, notes)
    yield from silva(data, translator, notes)


def genomes(data: Path, translator: Translator, notes: Counter[str]) -> Iterator[Reference]:
    """The 16S genes of genomes, one of each sequence a genome."""
    r86 = {}
    with xopen(data / "wol/taxonomy_gtdb_lineages.txt.xz", "rt", threads=0) as file:
        for line in file:
            genome, lineage = line.rstrip("\n").split("\t")
            r86[genome] = names_of(lineage)
    modern: dict[str, Names] = {}
    for row in table(data / "wol/genomes_metadata.tsv.xz", "\t"):
        genome = row["#genome"]
        old = r86.get(genome, ())
        lineage = translator.by_accession.get(assembly(row["assembly_accession"]))
        if lineage is None and len(old) == 7:
            lineage = translator.by_species.get(old[6])
        if lineage:
            modern[genome] = lineage
            translator.learn(old[:6], lineage)
    for genome, old in r86.items():
        if genome not in modern:
            notes["genomes named by translating GTDB r86"] += 1
            modern[genome] = translator.translate(old)
    seen = set()
    for record in read(data / "wol/rrnas_16s.fa.xz"):
        genome = record.id.split("_")[0]
        if not SHORTEST <= len(record.sequence) <= LONGEST or not modern.get(genome):
            notes["genes of genomes left out (length, or no name)"] += 1
        elif (genome, record.sequence) not in seen:
            seen.add((genome, record.sequence))
            yield Reference(record.id, genome, record.sequence, modern[genome])


def silva(data: Path, translator: Translator, notes: Counter[str]) -> Iterator[Reference]:
    """SILVA's seed: organelles, eukaryotes, and prokaryotes down to the genus."""
    for record in read(data / "phylotypr/silva_v138_2_seed.fasta.xz"):
        names = tuple(name.replace("_", " ") for name in record.description.split(";") if "insertae" not in name)
        if "Chloroplast" in names:
            lineage = CHLOROPLAST
        elif "Mitochondria" in names:
            lineage = MITOCHONDRIA
        elif names[0] == "Eukaryota":
            lineage = names[:1]
        else:
            lineage = translator.translate(names)
        if lineage and len(record.sequence) >= 900:
            notes[f"SILVA records of {len(lineage)} names"] += 1
            yield Reference(record.id, record.id, record.sequence, lineage)
        else:
            notes["SILVA records left out (length, or no name)"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--keep", type=Path, help="keep the references made, as FASTA and table, in this folder")
    args, training = parser.parse_known_args()
    notes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        with (
            (work / "references.fasta").open("w") as fasta,
            (work / "references.tsv").open("w") as lineages,
            (work / "genomes.tsv").open("w") as groups,
        ):
            for id, group, sequence, names in references(args.data, notes):
                fasta.write(f">{id}\n{sequence}\n")
                lineages.write(f"{id}\t{';'.join(f'{r[0]}__{n}' for r, n in zip(RANKS, names, strict=False))}\n")
                groups.write(f"{id}\t{group}\n")
                notes[f"references named to {RANKS[len(names) - 1]}"] += 1
        print(json.dumps(notes, indent=1), file=sys.stderr)
        inputs = ["--sequences", work / "references.fasta", "--taxonomy", work / "references.tsv"]
        command = ["train", "rrna", *inputs, "--groups", work / "genomes.tsv", "--out", args.out, *training]
        subprocess.run([sys.executable, "-m", "linnet", *command], check=True)
    model = checkpoint.load(args.out)
    model.origin["recipe"] = {"script": "recipes/rrna_default.py", "training": training, "notes": dict(notes)}
    model.origin["sources"] = [
        {
            "file": name,
            "source": source,
            "sha256": hashlib.sha256((args.data / name).read_bytes()).hexdigest(),
        }
        for name, source in SOURCES.items()
    ]
    model.origin["licence"] = "CC BY-SA 4.0 (names of GTDB); see NOTICE"
    checkpoint.save(model, args.out)


if __name__ == "__main__":
    main()
