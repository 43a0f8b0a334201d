"""What is unusual about a protein is said beside its answer."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from linnet.formats import jsonl, table, tsv
from linnet.kin import Hits, Kin, ways
from linnet.prediction import Prediction, Stopped
from linnet.protein_flags import ENTROPY, SHORT, WINDOW, conflicting_domains, flags_of, simple_share
from linnet.residues import RESIDUES
from linnet.taxonomy import Taxon, Taxonomy


def random_protein(seed: int, residues: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list(RESIDUES), residues))


def plainly_simple(sequence: str) -> float:
    covered = set()
    for a in range(len(sequence) - WINDOW + 1):
        counts = Counter(sequence[a : a + WINDOW]).values()
        if -sum(n / WINDOW * math.log2(n / WINDOW) for n in counts) <= ENTROPY:
            covered.update(range(a, a + WINDOW))
    return len(covered) / len(sequence)


@pytest.mark.parametrize("seed", range(20))
def test_low_complexity_is_that_of_a_plain_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random_protein(seed, int(random.integers(40))), "Q" * int(random.integers(20)),
             "".join(random.choice(list("QPN"), 25)), random_protein(seed + 100, int(random.integers(1, 40)))]  # fmt: skip
    sequence = "".join(parts[i] for i in random.permutation(4))
    assert simple_share(sequence) == pytest.approx(plainly_simple(sequence))


def test_a_protein_like_others_has_no_flags() -> None:
    assert flags_of(random_protein(1, 300), 1000, conflicting=False) == ()


def test_each_flag_has_its_own_cause() -> None:
    plain = random_protein(2, 300)
    assert flags_of(plain[: SHORT - 1], 1000, conflicting=False) == ("short",)
    assert flags_of(plain[:SHORT], 1000, conflicting=False) == ()
    assert flags_of(plain, 299, conflicting=False) == ("long",)
    assert flags_of(plain, None, conflicting=False) == ()
    assert flags_of("Q" * 200 + plain[:150], 1000, conflicting=False) == ("low complexity",)
    assert flags_of(plain, 1000, conflicting=True) == ("conflicting domains",)
    assert flags_of("PE" * 20, 30, conflicting=True) == ("short", "long", "low complexity", "conflicting domains")


def test_domains_conflict_where_a_neighbour_of_another_is_nearly_as_near() -> None:
    bacteria, archaea = Taxon("superkingdom", "Bacteria"), Taxon("domain", "Archaea")
    cells = Taxon("cellular root", "cellular organisms")
    tree = Taxonomy.from_lineages([(cells, bacteria, Taxon("phylum", "b")), (cells, archaea, Taxon("phylum", "a"))])
    b, a = (int(tree.find((cells, one, Taxon("phylum", one.name[0].lower())))[0]) for one in (bacteria, archaea))
    nodes = np.array([b, b, a, int(tree.find((cells,))[0])])
    cases = [
        ([0, 1, 2], [0.8, 0.79, 0.75], True),
        ([0, 2, 1], [0.8, 0.7, 0.6], False),  # too far behind
        ([0, 1, -1], [0.8, 0.8, 0.0], False),  # one domain
        ([0, 3, -1], [0.8, 0.8, 0.0], False),  # of no domain
        ([-1, -1, -1], [0.0, 0.0, 0.0], False),
        ([2, 0, 1], [0.5, 0.5, 0.1], True),
    ]
    hits = Hits(np.array([r for r, *_ in cases]), np.array([s for _, s, _ in cases], np.float32))
    kin = Kin.of(hits, ways(nodes, tree), np.full(len(cases), 100))
    assert conflicting_domains(kin, tree).tolist() == [expected for *_, expected in cases]


def test_flags_are_written_and_read_again() -> None:
    lineage = (Taxon("domain", "Bacteria"),)
    one = Prediction("a", lineage, (0.9,), (0.1, 0.0), 1, Stopped.NAMED, flags=("short", "low complexity"))
    other = replace(one, record_id="b", flags=())
    for form in (jsonl, tsv):
        text = io.StringIO()
        form.write([one, other], text)
        assert [p.flags for p in form.read(text.getvalue().splitlines(), "x")] == [one.flags, ()]
    text = io.StringIO()
    table.write([one, other], text)
    lines = text.getvalue().splitlines()
    assert [line.endswith("[short, low complexity]") for line in lines[-2:]] == [True, False]
