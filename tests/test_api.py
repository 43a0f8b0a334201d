"""linnet as a library."""

from __future__ import annotations

from pathlib import Path

import pytest

import linnet


def test_every_public_name_exists() -> None:
    assert all(getattr(linnet, name) is not None for name in linnet.__all__)
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        linnet.frobnicate  # noqa: B018


def test_a_model_classifies_strings_and_files(tiny_model: Path, tmp_path: Path, genes) -> None:  # type: ignore[no-untyped-def]
    model = linnet.load(tiny_model)
    (tmp_path / "r.fa").write_text("".join(f">{i}\n{s}\n" for i, s in genes[0].items()))
    from_file = list(model.classify(linnet.read(tmp_path / "r.fa"), confidence=0.5))
    from_text = list(model.classify(genes[0].values(), confidence=0.5))
    assert [p.record_id for p in from_file] == list(genes[0])
    assert [p.lineage for p in from_file] == [p.lineage for p in from_text]
    assert all(0.5 <= p.kept_confidence <= 1 for p in from_file if p.kept)
