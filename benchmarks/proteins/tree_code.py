"""TaxoFormer's code of a tree as large as NCBI's: bins needed, time and memory to build, save, load, go and return.

    python benchmarks/proteins/tree_code.py [--taxa 1400000] [--levels 37]

The tree is made from a seed: level sizes in two humps, as NCBI's have for prokaryotes and for animals and plants, and
few parents that have most of the children.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from linnet.lineage_code import LineageCode
from linnet.strings import StringArray
from linnet.taxonomy import Taxonomy


def generated(taxa: int, levels: int, seed: int = 1) -> Taxonomy:
    """A tree of so many taxa below the root, each with a taxid, on exactly so many levels."""
    random = np.random.default_rng(seed)
    depth = np.arange(1, levels + 1)
    share = np.exp(-(((depth - 9) / 3.2) ** 2)) + 0.35 * np.exp(-(((depth - 28) / 4) ** 2)) + 1e-4
    sizes = np.maximum(1, (share / share.sum() * taxa).astype(np.int64))
    sizes[np.argmax(sizes)] += taxa - sizes.sum()
    parents, first, above, above_first = [np.zeros(1, np.int64)], 1, 1, 0
    for size in sizes.tolist():
        parents.append(above_first + np.sort((random.random(size) ** 3 * above).astype(np.int64)))
        above_first, above, first = first, size, first + size
    taxids = np.concatenate([[1], 2 + random.permutation(2 * taxa)[:taxa]]).astype(np.int64)
    names = StringArray.of(f"Taxon {i}" for i in range(taxa + 1))
    ranks = (np.zeros(taxa + 1, np.uint8), ("no rank",))
    return Taxonomy.from_parents(np.concatenate(parents), names, ranks, taxids)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taxa", type=int, default=1_400_000)
    parser.add_argument("--levels", type=int, default=37)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        return _load(args.load)
    started = time.process_time()
    tree = generated(args.taxa, args.levels)
    code = LineageCode(tree)
    _ = code.position
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "taxonomy.npz"
        np.savez_compressed(file, **tree.to_arrays())
        print(f"{len(tree) - 1:,} taxa, {code.levels} levels: {code.slots} bins of {code.vocabulary:,} tokens")
        print(f"made, coded and saved: {time.process_time() - started:.1f} CPU s, {file.stat().st_size / 1e6:.0f} MB")
        started = time.process_time()
        wrong = 0
        for low in range(0, len(tree), 20_000):
            nodes = np.arange(low, min(low + 20_000, len(tree)))
            wrong += int((code.decode(code.encode(nodes)) != nodes).sum())
        print(f"every taxon to tokens and back: {wrong} wrong, {time.process_time() - started:.1f} CPU s")
        subprocess.run([sys.executable, __file__, "--load", str(file)], check=True)
    return int(wrong > 0)


def _load(file: Path) -> int:
    started = time.process_time()
    with np.load(file) as arrays:
        code = LineageCode(Taxonomy.from_arrays(dict(arrays)))
    code.encode(np.array([len(code.taxonomy) - 1]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"loaded and used: {time.process_time() - started:.1f} CPU s, {peak:.0f} MB with Python and numpy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
