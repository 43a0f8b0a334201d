"""The ablations of protein models: which proteins are drawn, how answers are scored, and which rows of a code meet."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from linnet.__main__ import main
from linnet.lineage_code import LineageCode
from linnet.strings import StringArray
from linnet.taxonomies import read_taxonomy
from linnet.taxonomy import Taxonomy

FOLDER = Path(__file__).parents[1] / "benchmarks" / "proteins"


def load() -> SimpleNamespace:
    """The modules of the benchmark, as they import each other; none stays importable by its bare name."""
    names, path = [path.stem for path in FOLDER.glob("*.py")], list(sys.path)
    sys.path.insert(0, str(FOLDER))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in ("ablations", "tasks")})
    finally:
        sys.path[:] = path
        for name in names:
            sys.modules.pop(name, None)


bench = load()
RANKED = ("superkingdom", "phylum", "class", "order", "family", "genus", "species")


def ranked() -> Taxonomy:
    """Two lineages of seven ranks that part below the class; taxids are the nodes' numbers."""
    parents = [0, 0, 1, 2, 3, 4, 5, 6, 3, 8, 9, 10]
    ranks = ["no rank", *RANKED, *RANKED[3:]]
    names = StringArray.of(f"t{i}" for i in range(12))
    return Taxonomy.from_parents(np.array(parents), names, ranks, np.arange(1, 13))


def protein(number: int, tree: Taxonomy, node: int, length: int = 50):  # type: ignore[no-untyped-def]
    path = [int(tree.taxids[n]) for n in tree.path(node)]
    return bench.tasks.Protein(f"p{number}", "M" * length, path[-1], tuple(path))


def said(*rows: tuple[int, ...]):  # type: ignore[no-untyped-def]
    return bench.tasks.Calls(np.array(rows, np.int64), np.ones((len(rows), 7)), 0.0)


def random_tree(seed: int, nodes: int = 300) -> Taxonomy:
    """A tree of at most seven levels, some of whose names are borne twice."""
    random = np.random.default_rng(seed)
    parents, depth = [0], [0]
    while len(parents) < nodes:
        above = int(len(parents) * random.random() ** 2)
        if depth[above] < 7:
            parents.append(above)
            depth.append(depth[above] + 1)
    names = StringArray.of(f"n{random.integers(nodes)}" for _ in parents)
    return Taxonomy.from_parents(np.array(parents), names, ["no rank"] * nodes, np.arange(1, nodes + 1))


def alike(rows: list[tuple[object, ...]]) -> list[bool]:
    counts = Counter(rows)
    return [counts[row] > 1 for row in rows]


# ---------------------------------------------------------------------- proteins and answers


def test_draws_are_short_alike_each_time_and_know_where_each_set_lies(tmp_path) -> None:
    tree = ranked()
    some = [protein(i, tree, 7, 10 * (i + 1)) for i in range(30)]
    whole = bench.tasks.Task(tmp_path / "given", some, {"random": some[:9], "genus": some[9:15], "family": some[15:]})
    task, sets = bench.ablations.drawn(whole, 5, 4, 200)
    again, _ = bench.ablations.drawn(whole, 5, 4, 200)
    assert task == again and task.folder == tmp_path / "task"
    assert len(task.train) == 5
    for name, count in (("random", 4), ("genus", 4), ("family", 4)):
        here = task.queries["all"][sets[name]]
        assert len(here) == count and set(here) <= set(whole.queries[name])
    assert max(len(p.sequence) for p in (*task.train, *task.queries["all"])) <= 200


def test_answers_are_scored_by_rank_and_by_their_path() -> None:
    tree = ranked()
    right, other = (tuple(int(tree.taxids[n]) for n in tree.path(node)) for node in (7, 11))
    short = (*right[:2], 0, 0, 0, 0, 0)
    proteins = [protein(i, tree, 7) for i in range(8)]
    task = bench.tasks.Task(Path(), [], {"all": proteins})
    answers = said(right, other, short, (0,) * 7, *[right] * 4)
    found = bench.ablations.scored(task, {"random": slice(0, 4), "family": slice(4, 8)}, answers, tree)
    at = found["random"]
    assert [at[r] for r in ("phylum", "class", "order", "species")] == [0.75, 0.5, 0.25, 0.25]
    assert at["shared"] == pytest.approx((1 + 3 / 7 + 2 / 7 + 0) / 4)
    assert at["1 - nRF"] == pytest.approx((1 + 6 / 14 + 4 / 9 + 0) / 4)
    assert found["family"] == dict.fromkeys(("domain", "phylum", "class", "order", "shared", "1 - nRF"), 1.0)


def test_figures_of_seeds_come_to_mean_and_deviation_and_are_what_the_report_takes(tmp_path) -> None:
    from linnet.protein_questions import read_ablations

    runs = [{"seed": s, "sets": {"random": {"domain": x, "species": None}}, "training_cpu_s": 10 * x}
            for s, x in ((1, 0.5), (2, 0.7))]  # fmt: skip
    runs[0]["per_cpu_second"] = 3.0
    found = bench.ablations.summary(runs)
    assert found["domain, random"] == (pytest.approx(0.6), pytest.approx(0.02**0.5))
    assert found["per_cpu_second"] == (3.0, None)
    assert "species, random" not in found
    file = tmp_path / "ablations.json"
    file.write_text(json.dumps([{"name": "light", "figures": bench.ablations.flat(found)}]))
    (read,) = read_ablations(file)
    assert read["figures"]["domain, random"] == 0.6 and read["figures"]["domain, random, sd"] == 0.1414
    text = bench.ablations.tables({"light": runs}, {})
    assert "| light | 60.0 ± 14.1 |\n" in text and "| light | 6 | 3 | - | - |" in text


@pytest.mark.slow
def test_each_variant_is_a_training_that_the_command_knows(capsys) -> None:
    pytest.importorskip("torch")
    found = bench.ablations.variants(Path("esm"), 40, ("--epochs", "2"))
    assert len({frozenset(flags) for flags in found.values()}) == len(found) == 10
    for flags in found.values():
        assert main(["train", "proteins", *flags, "--seed", "1", "--out", "model"]) == 2
        assert "no --taxonomy" in capsys.readouterr().err  # all that is missing


# ---------------------------------------------------------------------- codes


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_few_bins_meet_where_written_out_they_are_equal(seed) -> None:
    tree = random_tree(seed)
    random = np.random.default_rng(seed)
    place = random.integers(3, size=len(tree))
    rows = [tuple(place[n] for n in tree.path(node)) for node in range(len(tree))]
    found = bench.ablations.shared_rows(tree, place)
    assert found.tolist() == alike(rows)
    assert 0 < found.sum() < len(tree)


@pytest.mark.parametrize("seed", range(4))
def test_what_has_the_id_of_stop_reads_as_what_is_above_it(seed) -> None:
    tree = random_tree(seed)
    random = np.random.default_rng(seed)
    place, stop = random.integers(20, size=len(tree)), random.random(len(tree)) < 0.05
    rows = []
    for node in range(len(tree)):
        row = [(int(place[n]), bool(stop[n])) for n in tree.path(node)]
        end = next((i for i, (_, stopped) in enumerate(row) if stopped), len(row))
        rows.append(tuple(at for at, _ in row[:end]))
    assert bench.ablations.shared_rows(tree, place, stop).tolist() == alike(rows)


@pytest.mark.parametrize(("seed", "tokens"), [(0, 15_000), (1, 40), (2, 17), (3, 14)])
def test_the_published_numbering_is_that_of_its_rule(seed, tokens) -> None:
    tree = random_tree(seed)
    ids: dict[str, int] = {}
    slots: dict[tuple[int, str], int] = {}
    n = 12
    for level in range(1, 8):
        names = sorted({tree.names[i] for i in range(len(tree)) if tree.depth[i] == level})
        for at, name in enumerate(names):
            slots[level, name] = at // (tokens - 1)
            if name not in ids:
                ids[name] = n if n < tokens else 2 + (n - 2) % (tokens - 2)
                n += 1
    place, stop = bench.ablations.published(tree, bench.ablations.names_order(tree), tokens)
    for node in range(1, len(tree)):
        name = tree.names[node]
        assert divmod(int(place[node]), tokens) == (slots[int(tree.depth[node]), name], ids[name])
        assert stop[node] == (ids[name] == 2)


def test_a_row_that_has_room_for_all_is_shared_by_none_and_one_that_has_not_by_some() -> None:
    parents = [0] * 4 + [i for i in (1, 2, 3) for _ in range(300)]
    tree = Taxonomy.from_parents(
        np.array(parents), StringArray.of(f"t{i}" for i in range(904)), ["no rank"] * 904, np.arange(1, 905)
    )
    position = LineageCode(tree).position.astype(np.int64)
    of_room = bench.ablations.wrapped(tree, position, 503)
    assert not bench.ablations.shared_rows(tree, of_room).any()
    # of 118 bins of 2 tokens the first level has 1 and the second 117: 234 places for 300 siblings
    few = bench.ablations.room(np.array([3, 900]), 5)
    assert few.tolist() == [2, 234]
    shared = bench.ablations.shared_rows(tree, bench.ablations.wrapped(tree, position, 5))
    rows = [tuple(int(position[n]) % few[i] for i, n in enumerate(tree.path(node))) for node in range(904)]
    assert shared.tolist() == alike(rows) and shared.any()


@pytest.mark.parametrize("tokens", [10, 50, 1_000])
def test_places_are_of_as_many_bins_as_the_row_has(tokens) -> None:
    sizes = np.random.default_rng(tokens).integers(1, 3_000, 20)
    places = bench.ablations.room(sizes, tokens)
    bins = places // (tokens - 3)
    assert bins.min() >= 1 and bins.sum() <= 118
    assert (places >= sizes).all() if tokens == 1_000 else bins.sum() == 118 and (places < sizes).any()


def test_collisions_of_ncbis_tree_are_those_that_were_counted_in_the_published_code(shared_data) -> None:
    """77 ids met within a bin and 6 names had the id of STOP when the published rules were run on this tree."""
    tree = read_taxonomy(shared_data / "data" / "protein" / "ncbi_partial_nodes.tsv.gz")
    order = bench.ablations.names_order(tree)
    place, stop = bench.ablations.published(tree, order, 15_000)
    assert len({order[n] for n in np.flatnonzero(stop)}) == 6
    entries = {(int(tree.depth[n]), int(order[n])): (int(tree.depth[n]), int(place[n])) for n in range(1, len(tree))}
    assert len(entries) - len(set(entries.values())) == 77
