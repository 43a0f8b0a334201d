"""Set labelled records aside, to test on what was not trained on.

  linnet split proteins --sequences p.faa --taxonomy taxdump.tar.gz --method random --share 0.1 --out split.tsv
  linnet split rrna --sequences genes.fasta --taxonomy taxonomy.tsv --method clade --rank genus --out split.tsv
  linnet split proteins --sequences p.faa --taxonomy taxdump.tar.gz --method cluster --write-fasta p --out split.tsv
  linnet split proteins --sequences p.faa --taxonomy taxdump.tar.gz --method systematic --size 100000 --out split.tsv

random: records without regard to anything. clade: all records of some taxa of a rank, whose parents have others.
cluster: whole clusters, those of --groups or of sequences that share k-mers. systematic: TaxoFormer's stratified
sample, which needs no seed.

SEQUENCES and TAXONOMY are those of 'linnet train'. The table has a line 'id TAB train' or 'id TAB test' for each record
with a known taxon, in the order of SEQUENCES; the others are counted and left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet import references, sequence_clusters, split
from linnet.columns import aligned
from linnet.errors import UsageError, UserError, require
from linnet.lineages import id_of_reference
from linnet.options import Several, positive, probability, refuse_foreign
from linnet.outputs import open_output
from linnet.protein_labels import labelled
from linnet.records import SequenceRecord, read
from linnet.split import HoldOut
from linnet.taxonomy import Taxonomy

_FLAGS = {
    "random": ("share", "seed"),
    "clade": ("rank", "share", "largest", "seed"),
    "cluster": ("groups", "identity", "share", "seed"),
    "systematic": ("size", "edges"),
}
"""The flags of each method."""

_ALPHABET: dict[str, sequence_clusters.Kind] = {"rrna": "dna", "proteins": "protein"}


@dataclass(frozen=True, eq=False)
class _Records:
    """Labelled records: ids, nodes of the tree and, where they are wanted, sequences."""

    ids: Sequence[str]
    nodes: NDArray[np.int64]
    tree: Taxonomy
    sequences: Sequence[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("family", choices=[*_ALPHABET], help="what the sequences are")
    add("--sequences", type=Path, action=Several, metavar="FASTA",
        help="the records; proteins: several times for several files")  # fmt: skip
    add("--taxonomy", type=Path, metavar="TABLE",
        help="rrna: their lineages (default: in the headers); proteins: the tree (NCBI's taxdump.tar.gz)")  # fmt: skip
    add("--taxdump", type=Path, metavar="DIR",
        help="rrna: NCBI taxdump (folder or taxdump.tar.gz), where the table has taxids")  # fmt: skip
    add("--accessions", type=Path, action=Several, metavar="TABLE",
        help="proteins: taxids by accession, as NCBI's prot.accession2taxid.gz, or 'id TAB taxid'")  # fmt: skip
    add("--eggnog", action="store_true", default=None, help="proteins: ids are eggNOG's, 'taxid.locus'")
    add("--method", choices=[*_FLAGS], default="random", help="how records are chosen (default: random)")
    add("--share", type=probability, metavar="P",
        help="of records, of clade of the taxa that can be drawn, set aside (default: 0.1)")  # fmt: skip
    add("--seed", type=int, metavar="N", help="of the draw (default: 42)")
    add("--rank", metavar="RANK", help="clade: of the taxa drawn, as genus or any other that the tree has")
    add("--largest", type=positive, metavar="N",
        help="clade: no taxon with more records is drawn (default: 1%% of all)")  # fmt: skip
    add("--groups", type=Path, metavar="TABLE",
        help="cluster: 'id TAB cluster', or MMseqs2's 'representative TAB member' "
        "(default: sequences that share k-mers)")  # fmt: skip
    add("--identity", type=probability, metavar="P",
        help=f"cluster: the share of its k-mers (k = {sequence_clusters.K['dna']} bases, "
        f"{sequence_clusters.K['protein']} residues) that a record has in common with the representative whose cluster "
        f"it joins (default: {sequence_clusters.IDENTITY})")  # fmt: skip
    add("--size", type=positive, metavar="N", help="systematic: records set aside (default: 100,000)")
    add("--edges", type=_edges, metavar="N,N",
        help="systematic: the greatest depth of each range of depths but the last (default: septiles)")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="the table; .gz and .zst are compressed (default: on the screen)")
    add("--write-fasta", metavar="PREFIX", help="also write PREFIX.train.fasta and PREFIX.test.fasta")


def run(args: argparse.Namespace) -> None:
    _check(args)
    records = (_genes if args.family == "rrna" else _proteins)(args, sequences=_makes_clusters(args))
    hold_out = _chosen(args, records)
    n = int(hold_out.test.sum())
    if n in (0, len(records.ids)):
        raise UserError(
            f"all {len(records.ids):,} records are {'test' if n else 'train'}",
            expected="some of each",
            remedy=f"Give another --{'size' if args.method == 'systematic' else 'share'}.",
        )
    side = dict(zip(records.ids, np.where(hold_out.test, "test", "train").tolist(), strict=True))
    with ExitStack() as stack:  # all files appear, or none
        files = {name: stack.enter_context(open_output(path)) for name, path in _fasta(args).items()}
        table = stack.enter_context(open_output(args.out))
        for id, record in _named(args) if files else ():
            if id in side:
                files[side[id]].write(f">{record.header}\n{record.sequence}\n")
        table.write("id\tsplit\n")
        table.writelines(f"{id}\t{name}\n" for id, name in side.items())
    for line in [*(aligned(hold_out.said) if hold_out.said else ()), *_summary(records, hold_out.test)]:
        _log(line)


def _check(args: argparse.Namespace) -> None:
    """Refuse flags that do not go together.

    Raises:
        UsageError: there are such, or one is missing.
    """
    if not args.sequences:
        raise UsageError("no --sequences")
    refuse_foreign(args, _FLAGS[args.method], set().union(*_FLAGS.values()), f"--method {args.method}")
    if args.family == "rrna":
        refuse_foreign(args, (), ("accessions", "eggnog"), "rrna")
        require(len(args.sequences) == 1, "several --sequences", "one FASTA file")
    else:
        refuse_foreign(args, (), ("taxdump",), "proteins, whose tree is --taxonomy")
        require(args.taxonomy is not None, "no --taxonomy", "the tree that the taxids are of")
    if args.method == "clade":
        require(args.rank is not None, "no --rank", "the rank of the taxa to set aside, such as genus")
    if args.groups:
        refuse_foreign(args, (), ("identity",), "--groups, which says what the clusters are")
    require(args.share != 0, "--share 0", "more than 0")
    require(args.seed is None or args.seed >= 0, f"--seed {args.seed}", "0 or more")
    require("-" not in map(str, args.sequences), "--sequences -", "a file: it is read more than once")
    outputs = [path for path in (args.out, *_fasta(args).values()) if path is not None]
    for path in outputs:
        if path.is_file() and any(given.is_file() and path.samefile(given) for given in args.sequences):
            raise UsageError(f"{path} is also read", remedy="Choose another file for the results.")
    require(len(set(outputs)) == len(outputs), f"--out {args.out} is also written by --write-fasta", "another file")


def _fasta(args: argparse.Namespace) -> dict[str, Path]:
    """The FASTA files asked for, by side."""
    return {name: Path(f"{args.write_fasta}.{name}.fasta") for name in ("train", "test") if args.write_fasta}


def _makes_clusters(args: argparse.Namespace) -> bool:
    return bool(args.method == "cluster" and not args.groups)


def _genes(args: argparse.Namespace, *, sequences: bool) -> _Records:
    given = references.read_references(args.sequences[0], args.taxonomy, _log, taxdump=args.taxdump)
    ids = [id for id in given.sequences if given.lineages.get(id)]
    blank = sum(not given.lineages.get(id, True) for id in given.sequences)
    if blank:
        _log(f"{blank:,} records have an empty lineage; they are left out")
    if not ids:
        raise UserError("no record has a lineage", where=str(args.taxonomy or args.sequences[0]))
    lineages = [given.lineages[id] for id in ids]
    tree = Taxonomy.from_lineages(lineages)
    node_of = {lineage: tree.find(lineage)[0] for lineage in set(lineages)}
    nodes = np.array([node_of[lineage] for lineage in lineages], np.int64)
    return _Records(ids, nodes, tree, [given.sequences[id] for id in ids] if sequences else [])


def _proteins(args: argparse.Namespace, *, sequences: bool) -> _Records:
    from linnet.taxonomies import read_taxonomy

    tree = read_taxonomy(args.taxonomy)
    nodes: dict[str, int] = {}
    kept: list[str] = []
    for record, node in labelled(args.sequences, tree, args.accessions or (), _log, eggnog=bool(args.eggnog)):
        if record.id in nodes:
            raise UserError(
                f"id '{record.id}' occurs twice", where=", ".join(map(str, args.sequences)), expected="each id once"
            )
        nodes[record.id] = node
        if sequences:
            kept.append(record.sequence)
    return _Records([*nodes], np.fromiter(nodes.values(), np.int64), tree, kept)


def _chosen(args: argparse.Namespace, records: _Records) -> HoldOut:
    share = 0.1 if args.share is None else args.share
    random = np.random.default_rng(42 if args.seed is None else args.seed)
    if args.method == "clade":
        return split.clades_of_rank(records.tree, records.nodes, args.rank, share, random, largest=args.largest)
    if args.method == "cluster":
        if args.groups:
            return split.whole_groups(split.read_clusters(args.groups, records.ids), share, random)
        identity = sequence_clusters.IDENTITY if args.identity is None else args.identity
        found = sequence_clusters.clusters(records.sequences, _ALPHABET[args.family], identity)
        return split.whole_groups(found, share, random)
    if args.method == "systematic":
        return split.systematic(records.tree, records.nodes, records.ids, args.size or 100_000, args.edges)
    return HoldOut(split.at_random(records.ids, share, random))


def _named(args: argparse.Namespace) -> Iterator[tuple[str, SequenceRecord]]:
    """The records once more, with the ids that the table has."""
    numbered = args.family == "rrna" and args.taxonomy is None
    for path in args.sequences:
        for count, record in enumerate(read(path, alphabet=_ALPHABET[args.family]), 1):
            yield (id_of_reference(record.header, count) if numbered else record.id), record


def _summary(records: _Records, test: NDArray[np.bool_]) -> list[str]:
    """How much is on which side; a clade is a taxon with records, or with records below it."""
    rows = [("", "train", "test", "test only"), ("records", f"{(~test).sum():,}", f"{test.sum():,}", "")]
    taxa = [set(records.nodes[side].tolist()) for side in (~test, test)]
    clades = [{clade for node in side for clade in records.tree.path(node)} for side in taxa]
    for name, (train, tested) in (("taxa of records", taxa), ("clades", clades)):
        rows.append((name, f"{len(train):,}", f"{len(tested):,}", f"{len(tested - train):,}"))
    return aligned(rows)


def _edges(text: str) -> tuple[int, ...]:
    """A flag's value, such as 5,10,15."""
    words = [word.strip() for word in text.split(",")]
    edges = tuple(int(word) for word in words if word.isdecimal())
    if len(edges) < len(words) or list(edges) != sorted(set(edges)):
        raise UsageError(f"'{text}' where edges belong", expected="ascending whole numbers with commas, as 5,10,15")
    return edges


def _log(text: str) -> None:
    print(f"linnet: {text}", file=sys.stderr, flush=True)
