from __future__ import annotations

import numpy as np
import pytest

from linnet.records import reverse_complement
from linnet.regions import REGIONS, Region, amplicons

CONCRETE = str.maketrans("RYSWKMBDHVN", "ACCAGACAAAA")


def gene(region: Region, insert: str, random: np.random.Generator) -> str:
    flank = ["".join(random.choice(list("ACGT"), 80)) for _ in range(2)]
    forward = region.forward.translate(CONCRETE)
    return flank[0] + forward + insert + reverse_complement(region.reverse.translate(CONCRETE)) + flank[1]


@pytest.mark.parametrize("name", ["V4", "V3-V4"])
def test_the_stretch_between_the_primers_is_found(name: str) -> None:
    random = np.random.default_rng(3)
    inserts = ["".join(random.choice(list("ACGT"), 300)) for _ in range(600)]
    genes = [gene(REGIONS[name], insert, random) for insert in inserts]
    found = [
        g[a:z] for g, span in zip(genes, amplicons(genes, REGIONS[name]), strict=True) for a, z in [span or (0, 0)]
    ]
    assert found == inserts


def test_mismatches_are_allowed_up_to_the_share_given() -> None:
    random = np.random.default_rng(4)
    insert = "".join(random.choice(list("ACGT"), 260))
    whole = gene(REGIONS["V4"], insert, random)
    at = whole.index(insert)
    near = whole[: at - 3] + "TTT" + whole[at:]
    far = whole[: at - 10] + "TTTTTTTTTT" + whole[at:]
    assert list(amplicons([near], REGIONS["V4"])) == [(at, at + 260)]
    assert list(amplicons([far], REGIONS["V4"])) == [None]


def test_the_nearest_match_wins_over_the_leftmost() -> None:
    random = np.random.default_rng(5)
    region = REGIONS["V3-V4"]
    false_site = list(region.forward.translate(CONCRETE))
    false_site[2], false_site[10] = "A", "A"
    insert = "".join(random.choice(list("ACGT"), 400))
    whole = gene(region, insert, random)
    trapped = whole[:20] + "".join(false_site) + whole[20:]
    a, z = next(iter(amplicons([trapped], region)))  # type: ignore[misc]
    assert trapped[a:z] == insert


def test_no_site_spans_two_sequences() -> None:
    region = REGIONS["V4"]
    whole = gene(region, "A" * 250, np.random.default_rng(6))
    assert list(amplicons([whole[:150], whole[150:], ""], region)) == [None, None, None]
