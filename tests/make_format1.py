"""How the format 1 fixture was made, once: python tests/make_format1.py (it refuses to do it again)."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from conftest import evolved_genes

from linnet import checkpoint, train
from linnet.encoders import kmer
from linnet.families import rrna
from linnet.predictor import load
from linnet.records import reverse_complement


def main() -> None:
    folder = Path(__file__).parent / "format1"
    if folder.exists():
        sys.exit(f"{folder} exists and is kept for ever")
    torch.set_num_threads(1)
    sequences, lineages = evolved_genes(species=2, copies=3)
    model = rrna.Config(encoder=kmer.Config(k=4, width=16), views=rrna.Views(amplicons=0.0))
    recipe = replace(train.Config().recipe, epochs=60, batch=16, learning_rate=1e-2, precision="fp32")
    config = train.Config(model=model, recipe=recipe)
    trained, _ = train.train(sequences, lineages, config)
    checkpoint.save(trained, folder / "model")
    predictor = load(folder / "model")
    with (folder / "expected.jsonl").open("w") as file:
        for number, sequence in enumerate(list(sequences.values())[::4]):
            query = reverse_complement(sequence) if number % 2 else sequence
            found = next(iter(predictor.classify([query], confidence=0.5)))
            row = {
                "sequence": query,
                "names": [t.name for t in found.kept],
                "strand": found.strand,
                "confidence": [round(x, 4) for x in found.confidence],
            }
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
