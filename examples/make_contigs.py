"""Make the contigs, labels and depths of the example: twelve made-up genomes in four samples.

    python examples/make_contigs.py examples

Labels look like MMseqs2's: most are right, some are cut short, name a sister or something far off, or are missing. Two
genomes are of species that no reference has, so their labels scatter over their relatives.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

GENOMES = {  # species: genus, family; those marked * are in no reference
    "Avus primus": ("Avus", "Avaceae"),
    "Avus secundus": ("Avus", "Avaceae"),
    "Avus novus*": ("Avus", "Avaceae"),
    "Parvus minor": ("Parvus", "Avaceae"),
    "Bellus albus": ("Bellus", "Bellaceae"),
    "Bellus niger": ("Bellus", "Bellaceae"),
    "Durus solus": ("Durus", "Bellaceae"),
    "Calidus fons": ("Calidus", "Calidaceae"),
    "Calidus rivus": ("Calidus", "Calidaceae"),
    "Frigidus lacus": ("Frigidus", "Calidaceae"),
    "Gelidus novus*": ("Gelidus*", "Calidaceae"),
    "Mollis terra": ("Mollis", "Mollaceae"),
}
PHYLUM = {"Avaceae": "Avota", "Bellaceae": "Avota", "Calidaceae": "Calidota", "Mollaceae": "Calidota"}
SAMPLES, CONTIGS, BASES = 4, 24, 60_000
RANKS = ("superkingdom", "phylum", "class", "order", "family", "genus", "species")


def lineage(species: str) -> list[str]:
    genus, family = GENOMES[species]
    stem = family.removesuffix("aceae")
    return ["Bacteria", PHYLUM[family], f"{stem}ia", f"{stem}ales", family, genus, species]


def genome(random: np.random.Generator) -> str:
    """Bases of a composition of its own: each depends on the three before it."""
    usual = random.dirichlet(np.full(4, 30.0))
    chances = random.dirichlet(usual * 12, size=64).cumsum(axis=1)
    draws, state, letters = random.random(BASES), 0, []
    for draw in draws:
        base = min(int(np.searchsorted(chances[state], draw)), 3)
        letters.append("ACGT"[base])
        state = (state * 4 + base) % 64
    return "".join(letters)


def label(species: str, random: np.random.Generator) -> list[str]:
    """What a search tool might say."""
    known = [s for s in GENOMES if "*" not in s]
    true = lineage(species)
    relatives = [s for s in known if s != species and lineage(s)[4] == true[4]]
    if "*" in species:
        if random.random() < 0.15:
            return []
        return lineage(relatives[random.integers(len(relatives))])[: random.integers(5, 8)]
    draw = random.random()
    if draw < 0.62:
        return true
    if draw < 0.78:
        return true[: random.integers(2, 7)]
    if draw < 0.88:
        return lineage(relatives[random.integers(len(relatives))]) if relatives else true[:5]
    return lineage(known[random.integers(len(known))]) if draw < 0.92 else []


def main() -> None:
    out, random = Path(sys.argv[1]), np.random.default_rng(7)
    rows = []
    for species in GENOMES:
        sequence, depth = genome(random), random.lognormal(2, 1, SAMPLES) * (random.random(SAMPLES) < 0.8)
        for _ in range(CONTIGS):
            length = int(min(6000, 600 + random.exponential(1200)))
            start = int(random.integers(0, BASES - length))
            noisy = random.poisson(depth * length / 150) * 150 / length
            rows.append((species, sequence[start : start + length], noisy, label(species, random)))
    order = random.permutation(len(rows))
    taxa: dict[tuple[str, ...], int] = {}
    fasta, labels, depths, truth = [], [], ["contigname\t" + "\t".join(f"sample{s + 1}" for s in range(SAMPLES))], []
    for number, row in enumerate(order, 1):
        species, sequence, depth, said = rows[row]
        name = f"contig_{number}"
        fasta.append(f">{name}\n{sequence}\n")
        depths.append(f"{name}\t" + "\t".join(f"{d:.3f}" for d in depth))
        true = (";".join(lineage(species)), species, str(len(sequence)))
        truth.append("\t".join((name, *true)).replace("*", ""))
        if said:
            written = ";".join(f"{'dpcofgs'[i]}_{taxon}" for i, taxon in enumerate(said))
            taxid = 1001 + taxa.setdefault(tuple(said), len(taxa))
            labels.append(f"{name}\t{taxid}\t{RANKS[len(said) - 1]}\t{said[-1]}\t{written}")
    with gzip.GzipFile(out / "contigs.fna.gz", "wb", mtime=0) as file:
        file.write("".join(fasta).encode())
    (out / "contig_labels.tsv").write_text("\n".join(labels) + "\n")
    (out / "contig_depths.tsv").write_text("\n".join(depths) + "\n")
    (out / "contig_truth.tsv").write_text("contig\tlineage\tgenome\tlength\n" + "\n".join(truth) + "\n")


if __name__ == "__main__":
    main()
