"""Rebuild reads.fasta: a hundred real 16S sequences, whole genes and amplicons, on both strands.

    pip download --no-deps --no-binary :all: qiime-default-reference==0.1.3
    python examples/make_reads.py qiime-default-reference-0.1.3.tar.gz > examples/reads.fasta

The sequences are Greengenes 13_8 97 % OTU representatives (DeSantis et al. 2006, McDonald et al. 2012), CC BY-SA
3.0. Each header gives the region, the strand and the lineage that Greengenes has for it (names of 2013).
"""

from __future__ import annotations

import gzip
import io
import random
import sys
import tarfile

from linnet.records import reverse_complement
from linnet.regions import REGIONS, amplicons

KINDS = ("whole", "V3-V4", "V4")


def member(archive: tarfile.TarFile, ending: str) -> list[str]:
    """Lines of the gzipped member whose name ends so."""
    found = next(m for m in archive.getmembers() if m.name.endswith(ending))
    stream = archive.extractfile(found)
    assert stream is not None
    return gzip.GzipFile(fileobj=io.BytesIO(stream.read())).read().decode().splitlines()


def main() -> None:
    with tarfile.open(sys.argv[1]) as archive:
        lines = member(archive, "rep_set/97_otus.fasta.gz")
        lineages = dict(line.split("\t") for line in member(archive, "taxonomy/97_otu_taxonomy.txt.gz"))
    genes = {header[1:]: sequence for header, sequence in zip(lines[::2], lines[1::2], strict=True)}
    by_family: dict[str, list[str]] = {}
    for id in sorted(genes, key=int):
        names = lineages[id].split("; ")
        if len(names[5]) > 3:  # named to the genus
            by_family.setdefault(names[4], []).append(id)
    draw = random.Random(13)
    families = draw.sample(sorted(by_family), 99)
    chosen = sorted((draw.choice(by_family[family]) for family in families), key=int)
    for number, id in enumerate(chosen):
        kind = KINDS[number % 3]
        sequence = genes[id]
        if kind != "whole":
            span = next(iter(amplicons([sequence], REGIONS[kind])))
            if span is None:
                continue
            sequence = sequence[slice(*span)]
        strand = "forward" if number % 2 else "reverse"
        if strand == "reverse":
            sequence = reverse_complement(sequence)
        print(f">{id} {kind} {strand} {lineages[id].replace('; ', ';')}\n{sequence}")


if __name__ == "__main__":
    main()
