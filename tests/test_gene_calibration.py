"""Gate and calibration of the compact network, learnt over rounds of references set aside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_fasta

torch = pytest.importorskip("torch", reason="training is tested where torch is installed")

from linnet import checkpoint, gene_calibration, train  # noqa: E402
from linnet.compact import CompactNetwork  # noqa: E402
from linnet.errors import UsageError, UserError  # noqa: E402
from linnet.predictor import Predictor, load  # noqa: E402
from linnet.preparation import prepare  # noqa: E402
from linnet.records import record  # noqa: E402


def prepared(genes, rounds: int, hold_out: float = 0.2):  # type: ignore[no-untyped-def]
    return prepare(*genes, None, k=5, hold_out=hold_out, hidden_clades=0.1, seed=3, log=lambda _: None, rounds=rounds)


def test_no_reference_is_set_aside_at_random_in_two_rounds(genes) -> None:  # type: ignore[no-untyped-def]
    rounds = prepared(genes, 5)
    natural = np.sum([r.natural for r in rounds], 0)
    assert natural.max() == 1
    hidden = np.sum([~r.fitted & ~r.natural for r in rounds], 0)
    assert (natural + hidden > 0).all()  # each has its turn
    first, (only,) = rounds[0], prepared(genes, 1)
    assert np.array_equal(first.natural | (~first.fitted), only.natural | (~only.fitted))


@pytest.mark.parametrize(("hold_out", "expected"), [(0.2, 2), (0.4, 2), (0.5, 2), (0.0, 1)])
def test_there_are_as_many_rounds_as_references_for_them(hold_out, expected, genes, tiny_config) -> None:  # type: ignore[no-untyped-def]
    said: list[str] = []
    short = replace(tiny_config, hold_out=hold_out, refit=False, recipe=replace(tiny_config.recipe, epochs=1))
    train.train(*genes, short, said.append)
    assert sum(line.startswith("round ") for line in said) == expected
    with pytest.raises(UserError, match="rounds 0"):
        train.Config(rounds=0)


@pytest.fixture(scope="module")
def network(genes, tiny_config):  # type: ignore[no-untyped-def]
    """A round's network, with the references that it was fitted on, and the round."""
    (only,) = prepared(genes, 1)
    data = train.subset(only.data, only.fitted)
    model = train.fit(data, only.tree, replace(tiny_config, recipe=replace(tiny_config.recipe, epochs=4)), print)
    index = train.GeneIndex.of(data.sequences, data.nodes, only.fitted_ids)
    return CompactNetwork(model.tensors(), only.tree, index=index), only


def test_a_round_asks_of_the_references_set_aside_alone(network, tiny_config) -> None:  # type: ignore[no-untyped-def]
    of, only = network
    said = gene_calibration.ask(of, only, tiny_config.model.views, 10_000, np.random.default_rng(1))
    assert set(said.record_S.tolist()) == set(np.flatnonzero(~only.fitted).tolist())
    steps = said.steps
    assert (steps.target < np.diff(steps.start)).all() and (np.diff(steps.start) > 1).all()
    assert len(said.evidence.step_SQ) == len(steps.target)
    own = [only.labels[r] for r in np.unique(said.record_S)]
    assert steps.stopped.sum() >= sum(only.tree.find(label)[1] < len(label) for label in own) - 5  # but for decoys


def test_steps_of_a_level_are_drawn_where_there_are_many(network, tiny_config) -> None:  # type: ignore[no-untyped-def]
    of, only = network
    said = gene_calibration.ask(of, only, tiny_config.model.views, 7, np.random.default_rng(1))
    assert np.bincount(said.steps.level).max() == 7
    assert (np.diff(said.record_S) >= 0).all()


def test_nothing_set_aside_teaches_nothing() -> None:
    learnt = gene_calibration.learn([], 10, 4, 100, 1)
    assert learnt.gate is None and learnt.members == () and learnt.calibration.kmers == 50
    assert set(learnt.calibration.stop) == {0.0}


def test_neighbours_help_where_the_network_has_learnt_little(genes, tiny_config) -> None:  # type: ignore[no-untyped-def]
    short = replace(tiny_config, refit=False, rounds=1, recipe=replace(tiny_config.recipe, epochs=2))

    def right(config: train.Config) -> float:
        _, held = train.train(*genes, config)
        found = [held.predictions[i].lineage[:5] == held.truth[i][:5] for i in held.natural]
        return float(np.mean(found))

    assert right(short) > right(replace(short, neighbours=0)) + 0.1


def test_neighbours_are_told_with_their_lineages(tiny_model: Path, genes, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    reads = [record(i, s[100:400]) for i, s in list(genes[0].items())[:6]]
    model = load(tiny_model, neighbours=3)
    assert isinstance(model, Predictor)
    plain = load(tiny_model).predict(reads)
    for read, p, q in zip(reads, model.predict(reads), plain, strict=True):
        assert (p.lineage, p.confidence) == (q.lineage, q.confidence)
        assert len(p.neighbours) == 3 and not q.neighbours
        assert read.id in {n.reference for n in p.neighbours if n.likeness == 1}
        for n in p.neighbours:
            assert n.lineage == ";".join(t.name for t in genes[1][n.reference])
    from linnet.__main__ import main

    fasta = write_fasta(tmp_path / "r.fasta", {r.id: r.sequence for r in reads})
    for ending in ("jsonl", "tsv", "csv"):
        out, again = tmp_path / f"o.{ending}", tmp_path / f"again.{ending}"
        assert main(["classify", str(fasta), "--model", str(tiny_model), "--neighbours", "2", "--out", str(out)]) == 0
        assert f"{reads[0].id}" in out.read_text().split("neighbours", 1)[1]
        assert main(["recut", str(out), "--confidence", "0.7", "--out", str(again)]) == 0
        assert again.read_text() == out.read_text()


def test_neighbours_of_a_model_without_any_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    old = checkpoint.load(Path(__file__).parent / "format1" / "model")
    with pytest.raises(UsageError, match="keeps no references"):
        Predictor(old, neighbours=1)
    with pytest.raises(UsageError, match="neighbours"):
        load("proteins", neighbours=1)
    from linnet.__main__ import main

    fasta = write_fasta(tmp_path / "r.fasta", {"r": "ACGT" * 50})
    for told in ([], ["--format", "qiime"], ["--out", str(tmp_path / "x.kreport")]):  # formats that would lose them
        assert main(["classify", str(fasta), "--model", str(tiny_model), "--neighbours", "1", *told]) == 2


def test_an_ensemble_that_shares_its_references_looks_through_them_once(
    tiny_model: Path, genes, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    searched = []
    search = train.GeneIndex.search
    monkeypatch.setattr(train.GeneIndex, "search", lambda self, reading: searched.append(1) or search(self, reading))
    reads = [record(i, s[100:400]) for i, s in list(genes[0].items())[:6]]
    load(tiny_model, tiny_model).predict(reads)
    assert len(searched) == 1
