"""Labelled proteins on disk: what goes in comes out, and nothing that is not whole is taken for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import lineage
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet import shard_files
from linnet.draws import buckets, drawn
from linnet.errors import UsageError, UserError
from linnet.records import SequenceRecord
from linnet.shards import PARTS, Shards, write
from linnet.taxonomy import Taxonomy

TREE = Taxonomy.from_lineages([lineage("Bacteria;P1"), lineage("Bacteria;P2"), lineage("Archaea")])
OTHER = Taxonomy.from_lineages([lineage("Bacteria;P1"), lineage("Bacteria;P3"), lineage("Archaea")])

labelled = st.tuples(
    st.builds(SequenceRecord, st.text("aé|", max_size=3), st.text("MKV*", max_size=12)), st.integers(0, len(TREE) - 1)
)


def some(count: int, length: int = 20, nodes: int = len(TREE)) -> Iterator[tuple[SequenceRecord, int]]:
    letters = "ACDEFGHIKLMNPQRSTVWY" * 3
    for i in range(count):
        yield SequenceRecord(f"p{i}", letters[i % 20 : i % 20 + length]), i % nodes


def content(shards: Shards) -> list[tuple[SequenceRecord, int]]:
    return [(SequenceRecord(shards.id(i), shards.sequence(i)), shards.node(i)) for i in range(len(shards))]


# ---------------------------------------------------------------------- in and out


@settings(max_examples=40, deadline=None)
@given(st.lists(labelled), st.integers(1, 40), st.integers(0, 3), st.booleans(), st.integers(1, 5))
def test_what_goes_in_comes_out_whatever_the_size_of_a_shard(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[SequenceRecord, int]],
    shard_residues: int,
    least: int,
    distinct: bool,
    batch: int,
) -> None:
    folder = tmp_path_factory.mktemp("s") / "store"
    long = [r for r in records if r[0].sequence and len(r[0].sequence) >= least]
    first = {(r.sequence, node): i for i, (r, node) in reversed([*enumerate(long)])}
    expected = [r for i, r in enumerate(long) if not distinct or first[r[0].sequence, r[1]] == i]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_files, "BATCH_RECORDS", batch)
        if not expected:
            with pytest.raises(UserError, match="no records to write"):
                write(records, TREE, folder, least=least, distinct=distinct, shard_residues=shard_residues)
            assert list(folder.parent.iterdir()) == []
            return
        shards = write(records, TREE, folder, least=least, distinct=distinct, shard_residues=shard_residues)
    assert content(shards) == expected
    assert content(Shards.open(folder, TREE)) == expected
    assert shards.nodes.tolist() == [node for _, node in expected]
    assert shards.lengths.tolist() == [len(r.sequence) for r, _ in expected]
    assert [shards.length(i) for i in range(len(shards))] == shards.lengths.tolist()
    assert shards.residues == shards.lengths.sum()
    empty = sum(not r.sequence for r, _ in records)
    counts = {
        "without residues": empty,
        "too short": len(records) - empty - len(long),
        "repeated": len(long) - len(expected),
    }
    assert shards.left_out == +Counter(counts)
    shards.verify()
    sizes = [path.stat().st_size for path in folder.glob("*.residues")]
    longest = int(shards.lengths.max())
    assert all(size <= max(shard_residues, longest) for size in sizes)


def test_the_files_are_as_documented(tmp_path: Path) -> None:
    write([(SequenceRecord("a", "MK"), 1), (SequenceRecord("bé", "V"), 2)], TREE, tmp_path / "s", shard_residues=2)
    assert {p.name for p in (tmp_path / "s").iterdir()} == {"index.json"} | {
        f"{k}.{p}" for k in ("0000", "0001") for p in PARTS
    }
    assert (tmp_path / "s" / "0001.residues").read_bytes() == b"V"
    assert (tmp_path / "s" / "0001.ids").read_bytes() == "bé".encode()
    assert np.fromfile(tmp_path / "s" / "0001.id_offsets", "<i8").tolist() == [0, 3]
    assert np.fromfile(tmp_path / "s" / "0000.offsets", "<i8").tolist() == [0, 2]
    assert np.fromfile(tmp_path / "s" / "0001.nodes", "<i4").tolist() == [2]
    index = json.loads((tmp_path / "s" / "index.json").read_text())
    assert (index["format"], index["records"], index["residues"], index["taxonomy"]) == (1, 2, 3, TREE.digest)


def test_a_record_may_fill_a_shard_to_the_last_residue(tmp_path: Path) -> None:
    shards = write(some(10), TREE, tmp_path / "s", shard_residues=40)
    assert [p.stat().st_size for p in sorted((tmp_path / "s").glob("*.residues"))] == [40] * 5
    assert len(shards) == 10


def test_letters_are_a_view_of_the_file(tmp_path: Path) -> None:
    shards = write(some(3), TREE, tmp_path / "s")
    letters = shards.letters(1)
    assert bytes(letters).decode() == shards.sequence(1)
    assert letters.dtype == np.uint8 and not letters.flags.owndata and not letters.flags.writeable


def test_there_is_nothing_beyond_the_last_record(tmp_path: Path) -> None:
    shards = write(some(3), TREE, tmp_path / "s")
    for i in (-1, 3):
        with pytest.raises(IndexError):
            shards.sequence(i)


def test_distinct_looks_back_over_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_files, "BATCH_RECORDS", 1 << 12)
    random = np.random.default_rng(1)
    numbers = random.integers(0, 150_000, 220_000).tolist()
    shards = write(((SequenceRecord("", f"M{n}"), n % 2) for n in numbers), TREE, tmp_path / "s", distinct=True)
    assert [shards.sequence(i) for i in range(len(shards))] == [f"M{n}" for n in dict.fromkeys(numbers)]
    assert shards.left_out == {"repeated": len(numbers) - len(shards)}


@pytest.mark.slow
def test_memory_does_not_grow_with_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_files, "BATCH_RECORDS", 1 << 10)
    peaks = []
    for count in (20_000, 200_000):
        tracemalloc.start()
        write(some(count), TREE, tmp_path / str(count), shard_residues=1 << 20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 20_000  # some hundred bytes a shard, of which there are 4


# ---------------------------------------------------------------------- what is not whole


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((SequenceRecord("x", "MK"), 7), r"record 'x': node 7 is not in the tree. Expected 0 to 4"),
        ((SequenceRecord("x", "MK"), -1), "node -1 is not in the tree"),
        ((SequenceRecord("x", "MKé"), 1), "record 'x': letters beyond ASCII"),
    ],
)
def test_a_failed_run_leaves_nothing(tmp_path: Path, bad: tuple[SequenceRecord, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        write([*some(10), bad], TREE, tmp_path / "s", shard_residues=50)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_files, "BATCH_RECORDS", 10)

    def interrupted() -> Iterator[tuple[SequenceRecord, int]]:
        yield from some(100)
        assert list(tmp_path.glob(".s.*/0000.residues"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), TREE, tmp_path / "s", shard_residues=100)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_no_folder_of_the_name_and_another_run_succeeds(tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        import test_shards as t
        def killed():
            yield from t.some(100_000)
            os.kill(os.getpid(), signal.SIGKILL)
        t.write(killed(), t.TREE, Path(sys.argv[1]), shard_residues=100_000)
    """
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "s"], env={**os.environ, "PYTHONPATH": path})
    assert run.returncode == -signal.SIGKILL
    assert not (tmp_path / "s").exists()
    assert len(list(tmp_path.glob(".s.*/*.residues"))) > 1
    assert len(write(some(10), TREE, tmp_path / "s")) == 10


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    write(some(3), TREE, tmp_path / "s")
    with pytest.raises(UserError, match="is there already"):
        write(some(5), TREE, tmp_path / "s")
    assert len(Shards.open(tmp_path / "s", TREE)) == 3


def test_another_taxonomy_is_refused(tmp_path: Path) -> None:
    write(some(3), TREE, tmp_path / "s")
    with pytest.raises(
        UserError, match=f"labelled by the tree {TREE.digest[:12]}. Expected the tree given, {OTHER.digest[:12]}"
    ):
        Shards.open(tmp_path / "s", OTHER)


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_byte_is_found(tmp_path: Path, part: str) -> None:
    shards = write(some(10), TREE, tmp_path / "s", shard_residues=100)
    path = tmp_path / "s" / f"0001.{part}"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"0001\.{part}: has changed since it was written"):
        shards.verify()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_cut_or_missing_is_found_on_opening(tmp_path: Path, part: str) -> None:
    write(some(10), TREE, tmp_path / "s", shard_residues=100)
    path = tmp_path / "s" / f"0001.{part}"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"0001\.{part}: has {size - 1} bytes. Expected {size}"):
        Shards.open(tmp_path / "s", TREE)
    path.unlink()
    with pytest.raises(UserError, match=rf"0001\.{part}: no such file"):
        Shards.open(tmp_path / "s", TREE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not a folder of shards.*Expected a folder of labelled proteins"),
        ("{", "not JSON"),
        ("[]", "no format number"),
        ('{"format": 2}', "format 2. Expected format 1 or earlier. Update linnet"),
    ],
)
def test_what_is_no_index_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "index.json").write_text(text)
    with pytest.raises(UserError, match=message):
        Shards.open(tmp_path, TREE)


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shards of 0 residues"):
        write(some(3), TREE, tmp_path / "s", shard_residues=0)
    with pytest.raises(UsageError, match="0 records a taxon"):
        write(some(3), TREE, tmp_path / "s").capped(0, np.random.default_rng())


# ---------------------------------------------------------------------- epochs and batches


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(TREE) - 1), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 99))
def test_an_epoch_has_of_each_taxon_all_or_the_cap(
    tmp_path_factory: pytest.TempPathFactory, nodes: list[int], cap: int, seed: int
) -> None:
    records = [(SequenceRecord("", "M"), node) for node in nodes]
    shards = write(records, TREE, tmp_path_factory.mktemp("s") / "s", shard_residues=7)
    indices = shards.capped(cap, np.random.default_rng(seed))
    assert indices.dtype == np.int64 and np.all(np.diff(indices) > 0)
    assert Counter(shards.nodes[indices].tolist()) == {node: min(n, cap) for node, n in Counter(nodes).items()}
    assert np.array_equal(indices, shards.capped(cap, np.random.default_rng(seed)))


@pytest.mark.parametrize("size", [11, 19, 20, 21, 60])
def test_every_record_of_a_taxon_is_as_likely_to_be_drawn(size: int) -> None:
    random = np.random.default_rng(size)
    epochs = 4000
    counts = sum(drawn(np.array([3, size, 5]), 10, random).astype(int) for _ in range(epochs))
    share = 10 / size
    assert np.all(counts[:3] == epochs) and np.all(counts[-5:] == epochs)
    assert np.all(np.abs(counts[3:-5] / epochs - share) < 5 * np.sqrt(share * (1 - share) / epochs))


def test_each_epoch_draws_anew(tmp_path: Path) -> None:
    shards = write(some(1000, nodes=2), TREE, tmp_path / "s")
    random = np.random.default_rng(1)
    epochs = [set(shards.capped(50, random).tolist()) for _ in range(40)]
    assert epochs[0] != epochs[1]
    assert len(set.union(*epochs)) > 800  # 1000 * (1 - 0.9 ** 40) = 985


@given(st.lists(st.integers(0, 70_000), max_size=60), st.integers(1, 2000), st.integers(0, 99))
def test_every_index_is_in_one_batch_that_fits(lengths: list[int], limit: int, seed: int) -> None:
    indices = np.arange(len(lengths)) * 3 + 5
    batches = list(buckets(indices, np.array(lengths, np.int32), limit, np.random.default_rng(seed)))
    assert sorted(i for batch in batches for i in batch.tolist()) == indices.tolist()
    for batch in batches:
        longest = max(lengths[(i - 5) // 3] for i in batch.tolist())
        assert longest * len(batch) <= limit or len(batch) == 1


def test_batches_are_of_like_length_shuffled_and_of_others_each_time() -> None:
    random = np.random.default_rng(1)
    lengths = random.integers(50, 1000, 5000)
    first, second = (list(buckets(np.arange(5000), lengths, 20_000, random)) for _ in range(2))
    padded = sum(lengths[batch].max() * len(batch) for batch in first)
    assert padded < 1.03 * lengths.sum()
    means = np.array([lengths[batch].mean() for batch in first])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3
    assert {frozenset(b.tolist()) for b in first} != {frozenset(b.tolist()) for b in second}
    again = list(buckets(np.arange(5000), lengths, 20_000, np.random.default_rng(3)))
    for batch, other in zip(again, buckets(np.arange(5000), lengths, 20_000, np.random.default_rng(3)), strict=True):
        assert np.array_equal(batch, other)
