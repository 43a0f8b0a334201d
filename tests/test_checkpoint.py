from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import evolved_genes

from linnet import checkpoint
from linnet.calibrate import Calibration
from linnet.checkpoint import Checkpoint
from linnet.errors import UserError
from linnet.inputs import sha256
from linnet.predictor import load
from linnet.taxonomy import Taxonomy

GENES, LINEAGES = evolved_genes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tree = Taxonomy.from_lineages(LINEAGES.values())
    tensors = {"log_odds_V": np.zeros(4**7, np.float32), "records_N": np.ones(len(tree), np.float32)}
    model = Checkpoint({"family": "rrna", "kind": "commonest"}, tensors, tree, Calibration.none(7), {"from": "here"})
    checkpoint.save(model, tmp_path / "m")
    return tmp_path / "m"


def test_a_saved_model_is_read_back(saved: Path) -> None:
    back = checkpoint.load(saved)
    assert back.taxonomy.digest == Taxonomy.from_lineages(LINEAGES.values()).digest
    assert back.calibration == Calibration.none(7)
    assert back.origin == {"from": "here"}
    assert back.model["format"] == checkpoint.FORMAT


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_behind(saved: Path) -> None:
    sums = (saved / "SHA256SUMS").read_text()
    checkpoint.save(checkpoint.load(saved), saved)
    assert (saved / "SHA256SUMS").read_text() == sums
    assert [p.name for p in saved.parent.iterdir()] == ["m"]


@pytest.mark.parametrize("name", ["model.safetensors", "taxonomy.npz", "calibration.json"])
def test_a_changed_file_is_refused(saved: Path, name: str) -> None:
    path = saved / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(UserError, match=f"{name}: is not the file that was saved"):
        checkpoint.load(saved)


def test_a_missing_file_is_named(saved: Path) -> None:
    (saved / "taxonomy.npz").unlink()
    with pytest.raises(UserError, match=r"taxonomy\.npz: missing"):
        checkpoint.load(saved)


def test_a_later_format_asks_for_an_update(saved: Path) -> None:
    (saved / "model.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(UserError, match="checkpoint format 99.*Update linnet"):
        checkpoint.load(saved)


def test_what_is_not_a_model_is_neither_read_nor_overwritten(tmp_path: Path, saved: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not a linnet model"):
        checkpoint.load(tmp_path / "other")
    with pytest.raises(UserError, match="exists and is not a linnet model"):
        checkpoint.save(checkpoint.load(saved), tmp_path / "other")
    (tmp_path / "other" / "model.json").write_text("{}")
    with pytest.raises(UserError, match=r"exists and is not a linnet model \(it holds thesis.txt\)"):
        checkpoint.save(checkpoint.load(saved), tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "years of work"


def test_a_pickle_in_the_arrays_is_refused(saved: Path) -> None:
    tree = dict(np.load(saved / "taxonomy.npz"))
    tree["parent"] = np.array([print], object)
    np.savez(saved / "taxonomy.npz", **tree)  # type: ignore[arg-type]
    sums = (saved / "SHA256SUMS").read_text().splitlines()
    digest = sha256(saved / "taxonomy.npz")
    (saved / "SHA256SUMS").write_text("\n".join(s if "taxonomy" not in s else f"{digest}  taxonomy.npz" for s in sums))
    with pytest.raises(UserError, match="cannot be read.*more than plain numbers"):
        checkpoint.load(saved)


FIXTURE = Path(__file__).parent / "format1"


def test_a_format_1_checkpoint_is_read_for_ever() -> None:
    """The fixture was written by linnet 0.1.0 (tests/make_format1.py) and is never renewed."""
    predictor = load(FIXTURE / "model")
    for line in (FIXTURE / "expected.jsonl").read_text().splitlines():
        expected = json.loads(line)
        found = next(iter(predictor.classify([expected["sequence"]], confidence=0.5)))
        assert [t.name for t in found.kept] == expected["names"]
        assert found.strand == expected["strand"]
        assert np.allclose(found.confidence, expected["confidence"], atol=1e-3)
