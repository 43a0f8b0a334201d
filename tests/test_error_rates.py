"""A stated error rate holds for records that the cut was not chosen on."""

from __future__ import annotations

import numpy as np
import pytest

from linnet import error_rates
from linnet.error_rates import cut_of, cuts
from linnet.errors import UserError
from linnet.prediction import Prediction, Stopped
from linnet.taxonomy import Lineage, Taxon

PATH: Lineage = (Taxon("domain", "Bacteria"), Taxon("phylum", "P"), Taxon("class", "C"))
OTHER = Taxon("class", "D")


def some(seed: int, count: int, slack: float = 0.0) -> tuple[dict[str, Prediction], dict[str, Lineage]]:
    """Answers as often right as they say, or less by `slack`; a wrong one is wrong from some rank on."""
    random = np.random.default_rng(seed)
    said, truth = {}, {}
    for i in range(count):
        sure = tuple(np.sort(random.uniform(0.3, 1, 3))[::-1].tolist())
        right = sum(random.random() < (b / a) - slack for a, b in zip((1.0, *sure), sure, strict=False))
        first_wrong = next((d for d, ok in enumerate([right > 0, right > 1, right > 2]) if not ok), 3)
        true = (*PATH[:first_wrong], *(Taxon(t.rank, "other") for t in PATH[first_wrong:]))
        said[f"r{i}"] = Prediction(f"r{i}", PATH, sure, (0.0,) * 4, 3, Stopped.NAMED)
        truth[f"r{i}"] = true
    return said, truth


def error_at(cut: float, said: dict[str, Prediction], truth: dict[str, Lineage]) -> float:
    kept = {id: p.recut(cut).kept for id, p in said.items()}
    named = {id: lineage for id, lineage in kept.items() if lineage}
    return float(np.mean([lineage != truth[id][: len(lineage)] for id, lineage in named.items()]))


@pytest.mark.parametrize("seed", range(3))
def test_the_stated_rate_holds_for_others_and_a_lower_one_has_a_higher_cut(seed: int) -> None:
    found = cuts(*some(seed, 4000))
    assert len(found) >= 3
    assert sorted(found.values(), reverse=True) == [found[f"{r:g}"] for r in error_rates.RATES if f"{r:g}" in found]
    others = some(seed + 100, 8000)
    for rate, cut in found.items():
        assert error_at(cut, *others) <= float(rate) + 0.01  # what 8,000 tell is as near as that


def test_the_cut_is_the_lowest_of_the_grid_that_keeps_to_the_rate_with_all_above_it() -> None:
    said, truth = some(1, 3000)
    cut = cuts(said, truth)["0.1"]
    below = error_rates.GRID[error_rates.GRID.index(cut) + 1]
    named = sum(bool(p.recut(below).kept) for p in said.values())
    wrong = error_at(below, said, truth) * named
    assert error_rates.wilson(wrong, named)[1] > 0.1


def test_where_no_cut_keeps_to_a_rate_none_is_stated() -> None:
    assert "0.01" not in cuts(*some(2, 2000, slack=0.3))
    assert "0.05" not in cuts(*some(2, 50))
    assert cuts({}, {}) == {}


def test_names_below_what_is_known_of_the_truth_are_not_judged() -> None:
    said, _ = some(3, 300)  # all right: enough to tell 2 %, too few for 1 %
    assert cuts(said, dict.fromkeys(said, PATH[:1])) == {f"{r:g}": 0.05 for r in error_rates.RATES if r > 0.01}
    wrong = cuts(said, dict.fromkeys(said, (*PATH[:2], OTHER)))
    assert wrong != cuts(said, dict.fromkeys(said, PATH[:1]))


def test_of_several_models_the_most_careful_counts_and_a_rate_must_be_stated_by_all() -> None:
    one, other = {"held_out": {"cuts": {"0.05": 0.8, "0.1": 0.6}}}, {"held_out": {"cuts": {"0.05": 0.9}}}
    assert cut_of([one, other], "0.05") == 0.9
    with pytest.raises(UserError, match="model 2 of 2") as refused:
        cut_of([one, other], "0.1")
    assert "0.05" in str(refused.value)
    with pytest.raises(UserError, match="--confidence"):
        cut_of([{}], "0.05")


def test_records_that_were_refused_count_as_not_named() -> None:
    said, truth = some(4, 1000)
    refused = {f"x{i}": Prediction(f"x{i}", reason="too short") for i in range(1000)}
    assert cuts({**said, **refused}, {**truth, **dict.fromkeys(refused, PATH)}) == cuts(said, truth)
