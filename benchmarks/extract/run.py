"""Amplicons by primers: linnet beside cutadapt, in yield, boundaries, seconds and memory.

    python benchmarks/extract/run.py 97_otus.fasta --work /tmp/extract
    python benchmarks/extract/run.py 97_otus.fasta --work /tmp/extract --quick    the first 5,000 genes

Both cut V4 and V3-V4 out of the same genes with the same primers, errors and lengths, on one thread, in turns; the
seconds are the least of the turns' user and system time, the start of Python included. Where the two differ, the
genes most alike of which both give the same product are asked: whose ends are more like theirs?
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from linnet import __version__
from linnet.records import read, reverse_complement
from linnet.regions import REGIONS, Region

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Products = Mapping[str, str]


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("genes", type=Path, help="FASTA of 16S genes")
    parser.add_argument("--work", type=Path, required=True, help="folder for the products")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the first 5,000 genes, one turn")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    source, count, letters = args.work / "genes.fasta", 0, 0
    with source.open("w") as file:
        for record in islice(read(args.genes), 5000 if args.quick else None):
            file.write(f">{record.id}\n{record.sequence}\n")
            count, letters = count + 1, letters + len(record.sequence)
    print(f"{count:,} genes, {letters / 1e6:.1f} Mb; Python {platform.python_version()}")
    print(f"linnet {__version__}, cutadapt {version('cutadapt')}")
    # All are timed before products are read: a child's peak memory is its parent's where that is more.
    products = [timed(region, source, args.work, 1 if args.quick else args.turns) for region in REGIONS.values()]
    for region, outs in zip(REGIONS.values(), products, strict=True):
        print(f"\n{region.name}\n  {' '.join(cutadapt(region, Path('GENES'), Path('OUT'))[2:])}")
        ours, theirs = ({r.id: r.sequence for r in read(out)} for out in outs)
        compare(ours, theirs, count)


def timed(region: Region, source: Path, work: Path, turns: int) -> tuple[Path, Path]:
    """Run both tools on both strands and on the forward one; where the products of the latter are."""
    print(f"\n{region.name}")
    commands = {"linnet": linnet, "cutadapt": cutadapt}
    for both in (True, False):
        outs = {name: work / f"{region.name}.{name}{'' if both else '.forward'}.fasta" for name in commands}
        costs: dict[str, list[Cost]] = defaultdict(list)
        for _ in range(turns):
            for name, command in commands.items():
                costs[name].append(measured(command(region, source, outs[name], both)))
        for name in commands:
            best = min(costs[name], key=lambda cost: cost.seconds)
            strands = "both strands" if both else "forward strand"
            print(f"  {name:<9}{strands:<15}{best.seconds:>7.2f} CPU s{best.megabytes:>7.0f} MB", flush=True)
    return outs["linnet"], outs["cutadapt"]


def linnet(region: Region, source: Path, out: Path, both: bool = True) -> list[str]:
    strand = [] if both else ["--strand", "forward"]
    options = ["--primers", region.name, *strand, "--out", str(out)]
    return [sys.executable, "-m", "linnet", "extract", str(source), *options]


def cutadapt(region: Region, source: Path, out: Path, both: bool = True) -> list[str]:
    ends = (region.forward, reverse_complement(region.reverse))
    # Its own share of errors leaves N out of a primer's length; the numbers are given, to allow both tools the same.
    limits = [f"min_overlap={len(primer) - 2};max_errors={region.allowed(primer)}" for primer in ends]
    adapter = "...".join(f"{primer};{limit}" for primer, limit in zip(ends, limits, strict=True))
    lengths = ["-m", str(region.shortest), "-M", str(region.longest)]
    strand = ["--revcomp"] if both else []
    options = ["-j", "1", "--discard-untrimmed", *lengths, *strand, "--fasta", "--quiet"]
    return [sys.executable, "-m", "cutadapt", "-g", adapter, *options, "-o", str(out), str(source)]


@dataclass(frozen=True)
class Cost:
    """User and system time, and peak resident memory, of a process."""

    seconds: float
    megabytes: float


def measured(command: list[str]) -> Cost:
    process = subprocess.Popen(command, env=os.environ | ONE_THREAD, stderr=subprocess.PIPE)
    assert process.stderr
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}\n{said}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(ours: Products, theirs: Products, genes: int) -> None:
    same = [i for i in ours if ours[i] == theirs.get(i)]
    differ = [i for i in ours if i in theirs and ours[i] != theirs[i]]
    near = [i for i in differ if abs(len(ours[i]) - len(theirs[i])) <= 6]
    lengths = sorted(len(ours[i]) for i in same)
    rare = len(lengths) // 2000
    usual = (lengths[rare], lengths[-1 - rare])
    neighbours = Neighbours([ours[i] for i in same])
    for name, products in (("linnet", ours), ("cutadapt", theirs)):
        odd = sum(not usual[0] <= len(product) <= usual[1] for product in products.values())
        print(f"  {name:<9}{len(products):>7,} products ({len(products) / genes:.2%}), {odd:,} of unusual length")
    print(f"  usual are {usual[0]} to {usual[1]} bases, as 99.9% of the products on which both agree")
    print(f"  the same product: {len(same):,}")
    for text, some in (("a few bases apart", near), ("further apart", sorted(set(differ) - set(near)))):
        verdicts = Counter(neighbours.verdict(ours[i], theirs[i]) for i in some)
        print(f"  {text}: {len(some):,}; linnet more like the neighbours {verdicts[-1]:,}, cutadapt {verdicts[1]:,}")
    for text, some in (
        ("linnet only", [ours[i] for i in ours if i not in theirs]),
        ("cutadapt only", [theirs[i] for i in theirs if i not in ours]),
    ):
        alike = sum(neighbours.confirm(product) for product in some)
        print(f"  {text}: {len(some):,}, of which {alike:,} as long as their nearest neighbour to 10 bases")


class Neighbours:
    """Products that both tools give, found by the 10-mers they share."""

    def __init__(self, products: list[str], most: int = 20_000) -> None:
        self.products = products if len(products) <= most else random.Random(1).sample(products, most)
        self._with = defaultdict(list)
        for number, product in enumerate(self.products):
            for kmer in kmers(product):
                self._with[kmer].append(number)

    def nearest(self, products: Iterable[str], count: int) -> list[str]:
        shared: Counter[int] = Counter()
        for kmer in sorted(set.intersection(*map(kmers, products))):
            shared.update(self._with.get(kmer, ()))
        return [self.products[number] for number, _ in shared.most_common(count)]

    def confirm(self, product: str) -> bool:
        return any(abs(len(product) - len(other)) <= 10 for other in self.nearest([product], 1))

    def verdict(self, ours: str, theirs: str) -> int:
        """-1 where our ends are more like those of five neighbours, 1 where theirs are, 0 where neither."""
        others = self.nearest([ours, theirs], 5)
        mine, yours = (sum(ends_apart(other, product) for other in others) for product in (ours, theirs))
        return (mine > yours) - (mine < yours)


def kmers(sequence: str, k: int = 10) -> set[str]:
    return {sequence[a : a + k] for a in range(len(sequence) - k + 1)}


def ends_apart(one: str, other: str) -> int:
    return begin_apart(one[:30], other[:45]) + begin_apart(one[:-31:-1], other[:-46:-1])


def begin_apart(one: str, other: str) -> int:
    """Edit distance of one to the beginning of the other, of whatever length is best."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row = row, [i]
        for j, b in enumerate(other):
            row.append(min(above[j] + (a != b), above[j + 1] + 1, row[j] + 1))
    return min(row)


if __name__ == "__main__":
    main()
