"""An unfinished training's file: what is written comes back, and it is whole or not there."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from linnet import training_state  # noqa: E402
from linnet.errors import UserError  # noqa: E402


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    state = {
        "numbers": [1, -2.5, 1e-300, math.inf, True, None, "a text", 2**127 + 1],
        "nested": {"a": [{"b": {}}, [], [[1]]]},
        3: {0: "keys may be numbers", "0": "or texts"},
        "random": random.bit_generator.state,
    }
    training_state.write(tmp_path / "s", state)
    assert training_state.read(tmp_path / "s") == state
    again = np.random.default_rng()
    again.bit_generator.state = training_state.read(tmp_path / "s")["random"]
    assert again.random(5).tolist() == random.random(5).tolist()


@pytest.mark.parametrize(
    "tensor",
    [torch.arange(6).reshape(2, 3).T, torch.tensor(3.0), torch.tensor([], dtype=torch.int64), torch.tensor([True, False]),
     torch.randn(3, 2).bfloat16(), torch.randn(2).double(), torch.tensor([math.nan, -0.0, math.inf])],
)  # fmt: skip
def test_tensors_come_back_bit_by_bit(tmp_path: Path, tensor: torch.Tensor) -> None:
    training_state.write(tmp_path / "s", {"deep": [{"t": tensor}], "twice": tensor})
    read = training_state.read(tmp_path / "s")
    for found in (read["deep"][0]["t"], read["twice"]):
        assert found.dtype == tensor.dtype and found.shape == tensor.shape
        assert torch.equal(found.nan_to_num(7), tensor.nan_to_num(7))


def test_arrays_come_back_as_tensors_and_tuples_as_lists(tmp_path: Path) -> None:
    training_state.write(tmp_path / "s", {"a": np.arange(3), "t": (1, (2,))})
    read = training_state.read(tmp_path / "s")
    assert read["a"].numpy().tolist() == [0, 1, 2] and read["a"].dtype == torch.int64
    assert read["t"] == [1, [2]]


def test_a_dict_that_looks_like_the_files_own_marks_is_kept(tmp_path: Path) -> None:
    state = {"tensor": 0, "pairs": [["a", 1]], "x": {"tensor": {"pairs": []}}}
    training_state.write(tmp_path / "s", state)
    assert training_state.read(tmp_path / "s") == state


def test_an_optimizer_goes_on_from_what_was_read(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(1)
        layer = torch.nn.Linear(3, 2)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)

    def step(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        layer(torch.ones(1, 3)).sum().backward()
        optimizer.step()

    straight, first = made()
    step(straight, first)
    training_state.write(tmp_path / "s", {"layer": straight.state_dict(), "optimizer": first.state_dict()})
    step(straight, first)
    resumed, second = made()
    read = training_state.read(tmp_path / "s")
    resumed.load_state_dict(read["layer"])
    second.load_state_dict(read["optimizer"])
    step(resumed, second)
    assert torch.equal(straight.weight, resumed.weight)


def test_a_failure_leaves_the_file_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s"
    training_state.write(path, {"a": 1})
    with pytest.raises(TypeError):
        training_state.write(path, {"a": object()})
    assert training_state.read(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_its_folder_is_made(tmp_path: Path) -> None:
    training_state.write(tmp_path / "a" / "b" / "s", {"a": 1})
    assert training_state.read(tmp_path / "a" / "b" / "s") == {"a": 1}


def test_another_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, tmp_path / "a-model")
    save_file({"w": torch.ones(2)}, tmp_path / "another", metadata={"values": '{"no": "pairs"}'})
    save_file({"w": torch.ones(2)}, tmp_path / "lacking", metadata={"values": '{"tensor": 5}'})
    (tmp_path / "a-text").write_text("hello")
    (tmp_path / "a-folder").mkdir()
    for name in ("a-model", "another", "lacking", "a-text", "a-folder", "missing"):
        with pytest.raises(UserError, match=f"{name}: cannot be read.*Expected an unfinished training. Delete it."):
            training_state.read(tmp_path / name)
