"""What a lineage costs: the decoder of the published size asked for what is needed, beside 118 steps without a cache.

    python benchmarks/proteins/decoding.py [--batch 32] [--taxonomy TREE]

One thread, CPU seconds, weights at random: their values do not matter to the cost, save for where the paths lead, so
each path is led to a taxon drawn at random from the tree. Both go through the same modules. Without a cache, as the
published code decodes, every slot of the row is a pass over all slots before it and a score for each of 15,000 tokens;
one protein at a time. Without --taxonomy a tree of 1.4 million taxa on 37 levels is made.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tree_code import generated

from linnet.lineage_code import LineageCode
from linnet.lineage_decoder import Config, DecoderWalker, LineageDecoder, Memory, Tables, Taxa
from linnet.taxonomies import read_taxonomy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--taxonomy", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tree = read_taxonomy(args.taxonomy) if args.taxonomy else generated(1_400_000, 37)
    code = LineageCode(tree)
    tables = Tables(code)
    decoder = LineageDecoder(Config(width=args.width), code.slots, code.levels).eval()
    parameters = sum(p.numel() for p in decoder.parameters())
    print(f"{len(tree) - 1:,} taxa, {code.slots} slots; decoder of {parameters:,} parameters")
    memory = Memory(torch.randn(args.batch, 1, args.width))

    started = time.process_time()
    _uncached(decoder, tables, Memory(memory.vectors[:1]), code.slots)
    plain = time.process_time() - started
    print(f"{code.slots} steps without a cache, one protein: {plain:.2f} CPU s")
    random = np.random.default_rng(0)
    for batch in (1, args.batch):
        spent, depths, steps = 0.0, [], []
        for _ in range(5 if batch > 1 else 20):
            targets = random.integers(1, len(tree), batch)
            started = time.process_time()
            steps.append(_led(DecoderWalker(decoder, tables, Memory(memory.vectors[:batch])), targets) / batch)
            spent += time.process_time() - started
            depths.append(tree.depth[targets].mean())
        each = spent / len(steps) / batch
        print(f"batch {batch}: {each:.4f} CPU s a protein, {plain / each:.0f} times less; "
              f"mean depth {np.mean(depths):.1f}, taxa asked about {np.mean(steps):.1f}")  # fmt: skip
    return 0


def _led(walker: DecoderWalker, targets: np.ndarray) -> int:
    """The steps of `walk.descend`, each record led to its target; how many in all."""
    tree = walker.taxonomy
    ways = [[n for n in (0, *tree.path(t)) if tree.child_count[n] > int(walker.forced)] for t in targets.tolist()]
    states, going, count = walker.begin(), list(range(len(ways))), 0
    for step in range(max(map(len, ways))):
        going = [i for i in going if step < len(ways[i])]
        fan, after = walker.step([states[i] for i in going], np.array([ways[i][step] for i in going]))
        for row, i in enumerate(going):
            fan.row(row).argmax()
            states[i] = after[row]
        count += len(going)
    return count


@torch.inference_mode()
def _uncached(decoder: LineageDecoder, tables: Tables, memory: Memory, slots: int) -> None:
    keys = decoder.remember(memory)
    rows = np.zeros((1, slots), np.int64)
    for slot in range(slots):
        taxa = tables.rows(rows)
        shown = Taxa(*(table[:, : slot + 1] for table in (taxa.token, taxa.slot, taxa.level)))
        hidden, _ = decoder(shown, keys)
        rows[0, slot] = int(decoder.output_head(hidden)[0, -1].argmax())


if __name__ == "__main__":
    sys.exit(main())
