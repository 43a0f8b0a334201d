"""Several models as one: the mean of what they say, and where they part."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_fasta

from linnet import checkpoint
from linnet.__main__ import main
from linnet.errors import UserError
from linnet.predictor import Predictor, load
from linnet.records import SequenceRecord, record


@pytest.fixture(scope="session")
def other_model(genes, tiny_config, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    """As `tiny_model`, of another seed, trained less, and without neighbours."""
    from linnet import train

    folder = tmp_path_factory.mktemp("model") / "other"
    model, _ = train.train(
        *genes, replace(tiny_config, seed=7, neighbours=0, recipe=replace(tiny_config.recipe, epochs=2))
    )
    checkpoint.save(model, folder)
    return folder


@pytest.fixture
def reads(genes) -> list[SequenceRecord]:  # type: ignore[no-untyped-def]
    some = list(genes[0].items())[::5]
    return [record(i, s[a : a + 120]) for a, (i, s) in enumerate(some)]


def test_an_ensemble_says_the_mean_of_its_models(tiny_model: Path, other_model: Path, reads: Any) -> None:
    one, other, both = load(tiny_model), load(other_model), load(tiny_model, other_model)
    reading = one._networks[0].reader.read([r.sequence for r in reads])
    place = (one._networks[0].place(reading) + other._networks[0].place(reading)) / 2
    for row, answer in enumerate(both.predict(reads)):
        if answer.lineage:
            node = both.taxonomy.find(answer.lineage[:1])[0]
            assert abs(answer.confidence[0] - place[row, both.taxonomy.clade(node)].sum()) < 1e-5


def test_agreement_is_the_share_of_models_whose_own_path_passes_a_taxon(
    tiny_model: Path, other_model: Path, reads: Any
) -> None:
    alone = [load(m).predict(reads) for m in (tiny_model, other_model)]
    for answer, *own in zip(load(tiny_model, other_model).predict(reads), *alone, strict=True):
        for depth, taxon in enumerate(answer.lineage):
            if all(p.lineage for p in own):
                passing = sum(p.lineage[depth] == taxon for p in own)
                assert answer.agreement[depth] == passing / 2
    assert {a for p in load(tiny_model, other_model).predict(reads) for a in p.agreement} == {0.5, 1.0}


def test_a_model_twice_is_that_model(tiny_model: Path, reads: Any) -> None:
    for one, two in zip(load(tiny_model).predict(reads), load(tiny_model, tiny_model).predict(reads), strict=True):
        assert one.lineage == two.lineage
        assert np.allclose(one.confidence, two.confidence)
        assert set(two.agreement) <= {1.0}
        assert one.agreement == ()


@pytest.mark.parametrize("ending", ["jsonl", "tsv", "csv"])
def test_a_folder_of_models_is_an_ensemble(tmp_path: Path, tiny_model: Path, other_model: Path, reads: Any, ending: str,
                                           capsys: Any) -> None:  # fmt: skip
    shutil.copytree(tiny_model, tmp_path / "all" / "seed1")
    shutil.copytree(other_model, tmp_path / "all" / "seed2")
    fasta = write_fasta(tmp_path / "reads.fasta", {r.id: r.sequence for r in reads})
    by_folder, by_name = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    assert main(["classify", str(fasta), "--model", str(tmp_path / "all"), "--out", str(by_folder)]) == 0
    both = ["--model", str(tiny_model), "--model", str(other_model)]
    assert main(["classify", str(fasta), *both, "--out", str(by_name)]) == 0
    assert by_folder.read_text() == by_name.read_text()
    assert "agree on the whole uncut path of" in capsys.readouterr().err
    assert main(["recut", str(by_folder), "--confidence", "0.9", "--out", str(tmp_path / f"c.{ending}")]) == 0
    kept = (tmp_path / f"c.{ending}").read_text()
    assert "0.5" in kept
    assert kept.count("\n") == by_folder.read_text().count("\n")
    assert main(["describe", str(tmp_path / "all")]) == 0
    assert "seed2" in capsys.readouterr().out


def test_models_on_different_trees_are_refused(tiny_model: Path) -> None:
    one = checkpoint.load(tiny_model)
    with pytest.raises(UserError, match="different taxa"):
        Predictor(one, checkpoint.load(Path(checkpoint.__file__).parent / "models" / "rrna"))


def test_a_configuration_file_may_list_models(tmp_path: Path, tiny_model: Path, other_model: Path, reads: Any) -> None:
    fasta = write_fasta(tmp_path / "reads.fasta", {r.id: r.sequence for r in reads})
    settings = tmp_path / "settings.toml"
    settings.write_text(f"model = {json.dumps([str(tiny_model), str(other_model)])}\nformat = 'jsonl'\n")
    out = tmp_path / "out.jsonl"
    assert main(["classify", str(fasta), "--config", str(settings), "--out", str(out)]) == 0
    assert "agreement" in out.read_text()
    argv = ["classify", str(fasta), "--config", str(settings), "--model", str(tiny_model), "--out", str(out)]
    assert main(argv) == 0
    assert "agreement" not in out.read_text()


def test_published_ranks_are_averaged_rank_by_rank(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tokenizers")
    import deeptaxa_files as made_here

    files = [made_here.write(tmp_path / f"s{seed}", f"seed{seed}.pt", seed=seed) for seed in (1, 2, 3)]
    argv = [
        "convert",
        "deeptaxa",
        *(str(f[0]) for f in files),
        "--taxonomy",
        str(files[0][1]),
        "--out",
        str(tmp_path / "m"),
    ]
    assert main(argv) == 0
    reads = [SequenceRecord(i, s) for i, s in made_here.READS.items()]
    together = load(tmp_path / "m", ranks="published", letters="published", engine="torch").predict(reads, "forward")
    for read, answer in zip(reads, together, strict=True):
        members = [made_here.answers(f[2], read.sequence, made_here.vocabulary()) for f in files]
        for rank in range(7):
            mean = sum(m[rank].softmax(dim=0) for m in members) / 3
            labels = made_here.labels()[rank]
            assert answer.lineage[rank].name == labels[int(mean.argmax())]
            assert abs(answer.confidence[rank] - float(mean.max())) < 1e-5
            own = sum(labels[int(m[rank].argmax())] == answer.lineage[rank].name for m in members)
            assert abs(answer.agreement[rank] - own / 3) < 1e-9
