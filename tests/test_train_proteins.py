"""Training on proteins of a little world: it learns, it can be repeated, and what is held out is held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

import protein_world  # noqa: E402
from protein_world import CONFIG, Listed, trained, world  # noqa: E402

from linnet import shards, train_proteins, walk  # noqa: E402
from linnet.calibrate import Calibration  # noqa: E402
from linnet.checkpoint import Checkpoint  # noqa: E402
from linnet.compact_lineage import CompactLineageNetwork  # noqa: E402
from linnet.encoders import residue_words  # noqa: E402
from linnet.errors import UsageError, UserError  # noqa: E402
from linnet.protein_preparation import Rows  # noqa: E402
from linnet.taxonomy import Taxon, Taxonomy  # noqa: E402

pytestmark = pytest.mark.slow  # trains models

QUICK = replace(CONFIG, recipe=replace(CONFIG.recipe, epochs=2), refit=False)


def taxon_of(lineage: tuple[Taxon, ...], rank: str) -> Taxon | None:
    return next((t for t in lineage if t.rank == rank), None)


def equal(one: Checkpoint, other: Checkpoint) -> bool:
    return one.calibration == other.calibration and all(
        np.array_equal(one.tensors[name], other.tensors[name]) for name in {*one.tensors, *other.tensors}
    )


def network_of(model: Checkpoint) -> CompactLineageNetwork:
    encoder = model.model["config"]["model"]["encoder"]
    reader = residue_words.Config(ks=encoder["ks"], buckets=encoder["buckets"]).reader
    return CompactLineageNetwork.kept(model.tensors, reader, model.taxonomy, model.calibration)


# ---------------------------------------------------------------------- what is learnt


def test_it_names_held_out_proteins_far_better_than_the_commonest_lineage_would() -> None:
    _, held = trained()
    truth = {id: taxon_of(held.truth[id], "genus") for id in held.natural}
    right = np.mean([taxon_of(held.predictions[id].lineage, "genus") == genus for id, genus in truth.items()])
    commonest = Counter(truth.values()).most_common(1)[0][1] / len(truth)
    assert len(truth) > 30
    assert commonest < 0.3
    assert right > 0.85


def test_decoys_end_at_the_root_and_proteins_do_not() -> None:
    store, _ = world()
    model, _ = trained()
    random = np.random.default_rng(11)
    network = network_of(model)
    shuffled = ["".join(random.permutation(list(s))) for s in store.sequences]
    at_root = [
        np.mean([np.exp(w.stop[0]) > 0.5 for w in walk.descend(network.walker_of(some))])
        for some in (shuffled, store.sequences)
    ]
    assert at_root[0] > 0.9
    assert at_root[1] < 0.02


def test_a_seed_gives_the_same_model_and_another_seed_another() -> None:
    store, tree = world()
    one, held = train_proteins.train(store, tree, QUICK)
    two, again = train_proteins.train(store, tree, QUICK)
    other, _ = train_proteins.train(store, tree, replace(QUICK, seed=1))
    assert equal(one, two)
    assert held.predictions == again.predictions
    assert not equal(one, other)


def test_shards_give_what_a_list_gives(tmp_path: Path) -> None:
    store, tree = world()
    rows = zip(protein_world.records(), store.nodes.tolist(), strict=True)
    folder = shards.write(rows, tree, tmp_path / "s", shard_residues=9000)
    from_list, held = train_proteins.train(store, tree, QUICK)
    from_shards, same = train_proteins.train(folder, tree, QUICK)
    assert equal(from_list, from_shards)
    assert from_list.origin == from_shards.origin
    assert (held.predictions, held.truth, held.natural) == (same.predictions, same.truth, same.natural)


def test_the_digest_tells_other_proteins_and_other_labels() -> None:
    store, tree = world()
    quick = replace(QUICK, recipe=replace(QUICK.recipe, epochs=1))
    as_is, other = np.array(store.nodes), np.array(store.nodes)
    other[0] = other[-1]
    stores = [store, Listed(store.names, ["MKV" + store.sequences[0], *store.sequences[1:]], as_is),
              Listed(store.names, store.sequences, other)]  # fmt: skip
    assert len({train_proteins.train(s, tree, quick)[0].origin["proteins_sha256"] for s in stores}) == 3


# ---------------------------------------------------------------------- what is held out


def test_hidden_clades_are_new_and_those_held_out_at_random_mostly_known() -> None:
    store, tree = world()
    _, held = trained()
    hidden = set(held.truth) - set(held.natural)
    assert hidden
    for id in hidden:
        truth = held.truth[id]
        new = [truth[: d + 1] for d in range(len(truth)) if not any(k[: d + 1] == truth[: d + 1] for k in held.known)]
        assert new
        clade = tree.clade(tree.find(new[0])[0])
        inside = [i for i, node in enumerate(store.nodes.tolist()) if clade.start <= node < clade.stop]
        names = {f"{store.id(i)}|{i}" for i in inside}
        assert names <= set(held.truth)  # the whole clade, none of it was learnt from
    assert np.mean([held.truth[id] in held.known for id in held.natural]) > 0.9


def test_of_a_clade_that_is_hidden_nothing_counts_as_held_out_at_random() -> None:
    store, tree = world()
    _, held = train_proteins.train(
        store, tree, replace(QUICK, recipe=replace(QUICK.recipe, epochs=1), hold_out=0.5, hidden_clades=0.5)
    )
    natural = set(held.natural)
    hidden = {held.truth[id] for id in held.truth if id not in natural}
    assert len(hidden) > 1
    assert not hidden & {held.truth[id] for id in natural}


def test_as_many_are_held_out_as_asked_for_and_each_has_its_own_truth() -> None:
    store, tree = world()
    _, held = trained()
    assert round(0.15 * len(store)) - 4 <= len(held.natural) <= round(0.15 * len(store))  # some are in hidden clades
    assert set(held.predictions) == set(held.truth)
    for id, truth in held.truth.items():
        name, _, number = id.rpartition("|")
        assert store.id(int(number)) == name
        assert truth == tree.lineage(int(store.nodes[int(number)]))
        assert held.predictions[id].record_id == id


def test_the_model_fitted_again_knows_every_taxon_and_keeps_the_calibration() -> None:
    store, tree = world()
    again, _ = trained()
    once, held = train_proteins.train(store, tree, replace(CONFIG, refit=False))
    assert held.predictions == trained()[1].predictions
    assert len(once.taxonomy) < len(again.taxonomy) == len(tree)
    assert again.taxonomy.digest == tree.digest
    assert again.calibration == once.calibration.stretch(len(tree.level_bounds) - 2)
    assert once.calibration.log_temperature[0] != 0
    assert again.calibration.kmers == CONFIG.least


def test_with_nothing_held_out_nothing_is_calibrated() -> None:
    store, tree = world()
    config = replace(QUICK, recipe=replace(QUICK.recipe, epochs=1), hold_out=0.0, hidden_clades=0.0, least=17)
    model, held = train_proteins.train(store, tree, config)
    assert model.calibration == Calibration.none(len(tree.level_bounds) - 2, kmers=17)
    assert (held.predictions, held.truth, held.natural) == ({}, {}, [])


# ---------------------------------------------------------------------- what a pass sees


def rows_of(store: Listed, chosen: NDArray[np.int64], tree: Taxonomy) -> Rows:
    return Rows(chosen, store.nodes[chosen].astype(np.int64), np.zeros(len(chosen), bool), tree)


class Watched(Listed):
    """Counts how often each protein is looked at."""

    def sequence(self, i: int) -> str:
        self.seen = getattr(self, "seen", Counter())
        self.seen[i] += 1
        return super().sequence(i)


def test_a_pass_sees_of_each_taxon_all_or_the_cap_drawn_anew() -> None:
    in_order, tree = world()
    order = np.random.default_rng(1).permutation(len(in_order)).tolist()
    store = Listed([in_order.names[i] for i in order], [in_order.sequences[i] for i in order], in_order.nodes[order])
    watched = Watched(store.names, store.sequences, store.nodes)
    cap, epochs = 5, 6
    config = replace(CONFIG, per_taxon=cap, recipe=replace(CONFIG.recipe, epochs=epochs))
    chosen = np.arange(len(store))
    train_proteins.fit(watched, rows_of(store, chosen, tree), config, lambda _: None)
    by_taxon: Counter[int] = Counter()
    for i, times in watched.seen.items():
        assert times <= epochs  # at most once a pass
        by_taxon[int(store.nodes[i])] += times
    sizes = Counter(store.nodes.tolist())
    assert by_taxon == {node: epochs * min(cap, size) for node, size in sizes.items()}
    for node, size in sizes.items():
        distinct = sum(int(store.nodes[i]) == node for i in watched.seen)
        assert distinct == size if size <= cap else distinct > cap


def test_only_the_proteins_chosen_are_looked_at() -> None:
    store, tree = world()
    watched = Watched(store.names, store.sequences, store.nodes)
    chosen = np.arange(3, 90, 4)
    train_proteins.fit(watched, rows_of(store, chosen, tree), QUICK, lambda _: None)
    assert set(watched.seen) == set(chosen.tolist())


def test_proteins_without_a_taxon_are_left_alone() -> None:
    store, tree = world()
    nodes = np.array(store.nodes)
    nodes[::3] = 0
    watched = Watched(store.names, store.sequences, nodes)
    model, _ = train_proteins.train(watched, tree, replace(QUICK, recipe=replace(QUICK.recipe, epochs=1)))
    assert model.origin["proteins"] == np.count_nonzero(nodes)
    assert not any(nodes[i] == 0 for i in watched.seen)


@pytest.mark.parametrize("epochs", [1, 3, 10, 11])
def test_as_few_steps_as_there_may_be_are_taken(epochs: int) -> None:
    store, tree = world()
    few = Listed(store.names[:40], store.sequences[:40], store.nodes[:40])
    said: list[str] = []
    train_proteins.train(few, tree, replace(QUICK, recipe=replace(QUICK.recipe, epochs=epochs, batch=64)), said.append)
    assert sum(text.startswith("epoch") for text in said) == epochs


def test_labels_that_end_early_are_learnt_from() -> None:
    store, tree = world()
    above = np.array([tree.parent[n] if i % 2 else n for i, n in enumerate(store.nodes.tolist())], np.int32)
    _, held = train_proteins.train(Listed(store.names, store.sequences, above), tree, QUICK)
    assert {t.rank for truth in held.truth.values() for t in truth[-1:]} == {"genus", "species"}


# ---------------------------------------------------------------------- what is refused


def test_too_few_proteins_are_refused() -> None:
    store, tree = world()
    with pytest.raises(UserError, match="9 labelled proteins. Expected 10 or more"):
        train_proteins.train(Listed(store.names[:9], store.sequences[:9], store.nodes[:9]), tree, CONFIG)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("per_taxon", 0), ("least", 0), ("hide", 0.6), ("hold_out", -0.1), ("hidden_clades", 0.51), ("seed", -1)],
)
def test_settings_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{setting} {value}"):
        replace(CONFIG, **{setting: value})


def test_the_tree_is_what_the_labels_need_of_a_larger_one() -> None:
    store, tree = world()
    extra = (Taxon("domain", "Archaea", 2157), Taxon("phylum", "A1", 77))
    larger = Taxonomy.from_lineages([extra, *(tree.lineage(n) for n in range(1, len(tree)))])
    nodes = np.array([larger.by_taxid(int(tree.taxids[n])) for n in store.nodes.tolist()], np.int32)
    one, _ = train_proteins.train(Listed(store.names, store.sequences, nodes), larger, QUICK)
    two, _ = train_proteins.train(store, tree, QUICK)
    assert one.taxonomy.digest == two.taxonomy.digest
    assert one.tensors["head.taxa"].shape == two.tensors["head.taxa"].shape
