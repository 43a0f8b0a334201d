"""The model that comes with linnet, on records of other origin than its references.

    python benchmarks/rrna/shipped.py --data FOLDER > shipped.md

FOLDER holds 16s/ and genomes/ as LINNET_DATA's data/ does: RDP training set 19 (an independent curation, names
to the genus), 100,000 V4 reads of an environmental study (SortMeRNA's test set 2), SILVA's seed is not used (the
model was trained on it), bacterial genomes, and viruses, plasmids and a yeast chromosome.

Names are compared at genus without GTDB's suffixes (Clostridium_J counts as Clostridium): RDP has none. A genus is
"known" if the model has one of that name.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from linnet import regions
from linnet.prediction import Prediction, Stopped
from linnet.predictor import Predictor, load
from linnet.records import SequenceRecord, read
from linnet.taxonomy import RANKS, canonical

SEED = 1


def named(model: Predictor, title: str, records: Sequence[SequenceRecord]) -> list[Prediction]:
    """Classify at the default cut, and print a row: how many were named at each rank, refused, a CPU second."""
    before = time.process_time()
    predictions = list(model.classify(records))
    spent = time.process_time() - before
    depth = np.array([[taxon is not None for taxon in canonical(p.kept)] for p in predictions]).mean(axis=0)
    refused = np.mean([p.stopped == Stopped.UNREADABLE for p in predictions])
    cells = [title, f"{len(records):,}", f"{refused:.1%}", *(f"{share:.1%}" for share in depth)]
    print("| " + " | ".join([*cells, f"{len(records) / spent:,.0f}"]) + " |", flush=True)
    return predictions


def windows(
    records: Sequence[SequenceRecord], length: int, n: int, random: np.random.Generator
) -> list[SequenceRecord]:
    """Stretches of random place in random records."""
    long = [r for r in records if len(r.sequence) >= length]
    chosen = []
    for i in random.integers(len(long), size=n):
        a = int(random.integers(len(long[i].sequence) - length + 1))
        chosen.append(SequenceRecord(f"window{len(chosen)}", long[i].sequence[a : a + length]))
    return chosen


def amplicons(records: Sequence[SequenceRecord], region: str) -> list[SequenceRecord]:
    spans = regions.amplicons([r.sequence for r in records], regions.REGIONS[region])
    return [
        SequenceRecord(r.id, r.sequence[slice(*span)], r.description)
        for r, span in zip(records, spans, strict=True)
        if span
    ]


def genus_agreement(model: Predictor, title: str, predictions: Sequence[Prediction], truth: dict[str, str]) -> str:
    """A row: of known genera, named, right among the named, right without a cut; of unknown ones, named."""
    genera = {
        model.taxonomy.names[int(i)] for i in np.flatnonzero(model.taxonomy.canonical_level == RANKS.index("genus"))
    }
    known = [p for p in predictions if truth.get(p.record_id) in genera]
    unknown = [p for p in predictions if truth.get(p.record_id) and truth[p.record_id] not in genera]

    def genus(p: Prediction, *, uncut: bool) -> str:
        taxon = canonical(p.lineage if uncut else p.kept)[RANKS.index("genus")]
        return taxon.name.split("_")[0] if taxon else ""

    kept = [p for p in known if genus(p, uncut=False)]
    right = np.mean([genus(p, uncut=False) == truth[p.record_id] for p in kept])
    uncut = np.mean([genus(p, uncut=True) == truth[p.record_id] for p in known])
    over = np.mean([bool(genus(p, uncut=False)) for p in unknown])
    return (
        f"| {title} | {len(known):,} | {len(kept) / len(known):.1%} | {right:.1%} | {uncut:.1%} "
        f"| {len(unknown):,} | {over:.1%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    random = np.random.default_rng(SEED)
    model = load(*[args.model] if args.model else [])
    rdp = list(read(args.data / "16s/phylotypr/rdp_trainset19_pds.fasta.xz"))
    is_organelle = {word: [r for r in rdp if word in r.description] for word in ("Chloroplast", "Mitochondria")}
    bacteria = [r for r in rdp if "Chloroplast" not in r.description and "Mitochondria" not in r.description]
    bacteria = [r for r in bacteria if not r.description.startswith("Eukaryota")]
    bacteria = [bacteria[i] for i in random.permutation(len(bacteria))[:4000]]
    v4 = amplicons(bacteria, "V4")
    genomes = [r for path in sorted((args.data / "genomes/fasta").glob("*.fa.gz"))[:40] for r in read(path)]
    foreign = list(read(args.data / "genomes/decoys/decoys.fa.gz"))
    noise = ["".join(random.choice(list("ACGT"), 250)) for _ in range(1000)]

    print(f"| records | n | refused | {' | '.join(RANKS)} | reads per CPU s |")
    print("|---|--:|" + "--:|" * (len(RANKS) + 2))
    named(model, "environmental V4 reads", list(read(next((args.data / "16s/sortmerna").glob("set2*.fasta.gz")))))
    whole_named = named(model, "RDP 19, whole genes", bacteria)
    v4_named = named(model, "RDP 19, V4", v4)
    for word, records in is_organelle.items():
        named(model, f"RDP 19, {word.lower()}", records)
    named(model, "RDP 19, eukaryotes (18S)", [r for r in rdp if r.description.startswith("Eukaryota")])
    named(model, "random bases, 250", [SequenceRecord(f"x{i}", s) for i, s in enumerate(noise)])
    for length in (150, 250, 1400):
        named(model, f"bacterial genomes, windows of {length}", windows(genomes, length, 2000, random))
        named(model, f"viruses, plasmids, yeast, windows of {length}", windows(foreign, length, 1000, random))
    truth = {r.id: names[5] for r in bacteria if len(names := r.description.split(";")) > 5}
    print("\n| RDP 19 | known genus | named | of them right | right without a cut | unknown genus | named |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    print(genus_agreement(model, "whole genes", whole_named, truth))
    print(genus_agreement(model, "V4", v4_named, truth))


if __name__ == "__main__":
    main()
