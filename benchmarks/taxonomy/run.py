"""Reading an NCBI taxdump: linnet beside taxopy, in CPU seconds, memory and lineage queries.

    python benchmarks/taxonomy/run.py --work /tmp/taxonomy            2,500,000 nodes, as NCBI has in 2025
    python benchmarks/taxonomy/run.py --work /tmp/taxonomy --quick    200,000 nodes

Both read the same synthetic dump, shaped like NCBI's (13 columns, 38 levels, 1.7 names a node, sorted by
taxid) and the same every time. Each reader runs in a process of its own: what is reported is that process's
user and system time and peak resident memory, the import of the library left out of the time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUERIES = 10_000
# How many of 100,000 nodes stand at each of 38 levels, the root's first: most taxa are species, which stand
# the deeper the better their phylum is worked out.
# fmt: off
LEVELS = np.array([
    1, 3, 12, 30, 60, 110, 190, 330, 560, 950, 1600, 2800, 5200, 7500, 9800, 11000, 11500, 11000, 9500, 7800,
    6000, 4500, 3200, 2300, 1600, 1000, 600, 330, 180, 100, 60, 40, 28, 20, 14, 10, 7, 5,
])
UPPER = (
    "no rank", "cellular root", "domain", "kingdom", "phylum", "clade", "class", "clade", "order", "clade",
)
LOWER = ("family", "subfamily", "tribe", "genus", "no rank", "subgenus", "species group", "clade")
LEAVES = ("species", "species", "species", "no rank", "strain", "subspecies")
OTHER_NAMES = ("authority", "synonym", "includes", "equivalent name", "type material", "genbank common name")
SYLLABLES = (
    "ba", "cer", "do", "fi", "gra", "hel", "ka", "lo", "mi", "no", "phy", "ri", "sa", "the", "vi", "xan",
)
# fmt: on


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--work", type=Path, required=True, help="folder for the dump and the results")
    parser.add_argument("--nodes", type=int, default=2_500_000)
    parser.add_argument("--quick", action="store_true", help="200,000 nodes")
    parser.add_argument("--reader", choices=READERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    nodes = 200_000 if args.quick else args.nodes
    dump = args.work / f"taxdump-{nodes}"
    if args.reader:
        print(json.dumps(measure(READERS[args.reader], dump)))
        return
    if not (dump / "whole").exists():
        write_taxdump(dump, nodes)
    megabytes = sum(f.stat().st_size for f in dump.glob("*.dmp")) / 1e6
    print(f"{nodes:,} nodes, {megabytes:.0f} MB of .dmp in {dump}")
    print(f"{'reader':<10}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{f'  {QUERIES:,} lineages, CPU s':>26}")
    results: dict[str, Any] = {"nodes": nodes, "dmp_megabytes": megabytes}
    for reader in READERS:
        asked = ["--work", str(args.work), "--nodes", str(nodes), "--reader", reader]
        child = subprocess.run([sys.executable, __file__, *asked], check=True, stdout=subprocess.PIPE)
        got = results[reader] = json.loads(child.stdout)
        columns = f"{got['cpu_s']:>8.2f}{got['wall_s']:>8.2f}{got['peak_mb']:>9.0f}"
        print(f"{reader:<10}{columns}{got['queries_cpu_s']:>26.2f}", flush=True)
    if results["linnet"]["names_in_lineages"] != results["taxopy"]["names_in_lineages"]:
        sys.exit("the two readers disagree about the lineages")
    (args.work / f"taxonomy-{nodes}.json").write_text(json.dumps(results, indent=1) + "\n")


# ---------------------------------------------------------------------- the readers


def linnet(dump: Path) -> Callable[[list[int]], int]:
    from linnet.ncbi import read_taxdump

    tree = read_taxdump(dump)

    def names_in_lineages(taxids: list[int]) -> int:
        return sum(len(taxon.name) for t in taxids for taxon in tree.lineage(tree.by_taxid(t) or 0))

    return names_in_lineages


def taxopy(dump: Path) -> Callable[[list[int]], int]:
    import taxopy

    files = {f"{table}_dmp": str(dump / f"{table}.dmp") for table in ("nodes", "names", "merged")}
    database = taxopy.TaxDb(**files, keep_files=True)

    def names_in_lineages(taxids: list[int]) -> int:
        lineages = (taxopy.Taxon(t, database).name_lineage for t in taxids)
        # taxopy's lineages end with the root, which ours leave out
        return sum(len(name) for lineage in lineages for name in lineage if name != "root")

    return names_in_lineages


READERS = {"linnet": linnet, "taxopy": taxopy}


def measure(reader: Callable[[Path], Callable[[list[int]], int]], dump: Path) -> dict[str, float]:
    """Run one reader in this process."""
    __import__("linnet.ncbi" if reader is linnet else "taxopy")
    taxids: list[int] = np.load(dump / "queries.npy").tolist()
    cpu, wall = time.process_time(), time.perf_counter()
    names_in_lineages = reader(dump)
    loaded, loaded_wall = time.process_time(), time.perf_counter()
    total = names_in_lineages(taxids)
    queried = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "cpu_s": loaded - cpu,
        "wall_s": loaded_wall - wall,
        "peak_mb": peak,
        "queries_cpu_s": queried - loaded,
        "names_in_lineages": total,
    }


# ---------------------------------------------------------------------- the dump


def write_taxdump(dump: Path, n: int) -> None:
    """Write nodes, names, merged and delnodes.dmp of a made-up tree of n nodes, and the taxids to ask for."""
    dump.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    level, parent = grow(rng, n)
    ids = 2 + rng.permutation(int(1.4 * n))  # live, merged and deleted taxids, all different
    taxids, unused = ids[:n], ids[n:]
    taxids[0] = 1
    has_child = np.bincount(parent, minlength=n) > 0
    order = np.argsort(taxids)
    with (dump / "nodes.dmp").open("w") as nodes, (dump / "names.dmp").open("w") as names:
        draws = zip(rng.random(n).tolist(), rng.integers(0, 16**8, n).tolist(), strict=True)
        columns = (taxids[order], taxids[parent[order]], level[order], has_child[order])
        for (taxid, up, depth, inner), (u, word) in zip(
            zip(*(c.tolist() for c in columns), strict=True), draws, strict=True
        ):
            rank = LEAVES[word % 6]
            if inner:
                rank = UPPER[depth] if depth < len(UPPER) else LOWER[word % len(LOWER)]
            comment = "code compliant" if word % 2 else ""
            flags = (rank, "XX", word % 12, 1, 11, 1, 0, 1, 1, 0, comment)
            nodes.write("\t|\t".join(map(str, (taxid, up, *flags))) + "\t|\n")
            name = "root" if taxid == 1 else a_name(word, taxid, inner)
            rows = [("scientific name", name)]
            if u < 0.46:
                authority = f"{name} ({name.split()[0]} & Others, {1800 + word % 220})"
                rows.append((OTHER_NAMES[word % 6], authority))
            if u < 0.24:
                rows.append(("synonym", f"{name} subsp. prior"))
            for kind, text in rows:
                unique = f"{text} <{taxid}>" if word % 50 == 0 and taxid > 1 else ""
                names.write(f"{taxid}\t|\t{text}\t|\t{unique}\t|\t{kind}\t|\n")
    merged = round(90_000 * n / 2_500_000)
    old, new = np.sort(unused[:merged]).tolist(), taxids[rng.integers(0, n, merged)].tolist()
    rows_merged = (f"{o}\t|\t{t}\t|\n" for o, t in zip(old, new, strict=True))
    (dump / "merged.dmp").write_text("".join(rows_merged))
    deleted = unused[merged : merged + n // 4].tolist()
    (dump / "delnodes.dmp").write_text("".join(f"{taxid}\t|\n" for taxid in deleted))
    np.save(dump / "queries.npy", rng.choice(taxids, QUERIES))
    (dump / "whole").touch()


def grow(rng: np.random.Generator, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A tree of n nodes, root first: the level and the parent's index of each, both (n,)."""
    sizes = np.maximum(1, LEVELS * n // LEVELS.sum())
    sizes[0] = 1
    sizes[np.argmax(sizes)] += n - sizes.sum()
    starts = np.cumsum(sizes) - sizes
    level = np.repeat(np.arange(len(sizes)), sizes)
    above = np.maximum(level - 1, 0)
    # A few taxa have very many children and most have none, as genera and species do.
    parent = starts[above] + (sizes[above] * rng.random(n) ** 4).astype(np.int64)
    return level, parent


def a_name(word: int, taxid: int, inner: bool) -> str:
    """A name that looks like Latin, or like an uncultured organism's."""
    s = [SYLLABLES[word >> shift & 15] for shift in range(0, 32, 4)]
    if inner:
        return (s[0] + s[1] + s[2] + "aceae").capitalize() + f" {taxid % 977}"
    genus = (s[0] + s[1] + s[2]).capitalize()
    if word % 3 == 0:
        return f"{genus} sp. {s[3].upper()}{taxid}"
    return f"{genus}us {s[3]}{s[4]}{s[5]}ensis"


if __name__ == "__main__":
    main()
