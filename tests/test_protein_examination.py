"""A protein model looked at from all sides: against answers made by hand, and on a little world of proteins."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from linnet.lineage_scores import lineage_scores
from linnet.outcomes import judge
from linnet.prediction import Prediction, Stopped
from linnet.protein_confusions import crossings, is_viral, sisters
from linnet.protein_examination import ProteinExamination, Question, Run, Settings, examine_proteins
from linnet.protein_figures import figures, lineages
from linnet.protein_groups import ALL, cladogram, groups
from linnet.records import SequenceRecord
from linnet.taxonomy import RANKS, Lineage, Taxon, Taxonomy

pytestmark = pytest.mark.slow  # models are trained, or whole commands run


def path(text: str) -> Lineage:
    """'Bacteria;P;C' as taxa of the canonical ranks; '' leaves one out."""
    return tuple(Taxon(rank, name) for rank, name in zip(RANKS, text.split(";"), strict=False) if name)


PATHS = {
    "a": "Bacteria;P;C;O;F;G;G x",
    "b": "Bacteria;P;C;O;F;H;H x",
    "c": "Bacteria;Q;D;R;S;T;T x",
    "d": "Archaea;U;V;W;X;Y",
    "v": "Viruses;Z;;;K;L;L x",
    "w": "Viruses",
}
TRUTH = {id: path(text) for id, text in PATHS.items()}
TREE = Taxonomy.from_lineages(TRUTH.values())


def said(id: str, text: str, *confidence: float) -> Prediction:
    found = path(text)
    sure = confidence or tuple(0.9 - 0.05 * i for i in range(len(found)))
    return Prediction(id, found, sure, (0.0,) * (len(found) + 1), len(found), Stopped.NAMED)


ANSWERS = {
    "a": said("a", "Bacteria;P;C;O;F;H;H x"),  # a sister genus
    "b": said("b", "Bacteria;P;C;O;F;H;H x"),
    "c": said("c", "Viruses;Z", 0.8, 0.6),
    "d": said("d", "Archaea;U;V"),
    "v": said("v", "Bacteria;P;C", 0.5, 0.4, 0.3),
}


def examined(
    answers: dict[str, Prediction] = ANSWERS, references: tuple[str, ...] = ("a", "b", "c", "d")
) -> ProteinExamination:
    nodes = {id: TREE.find(row)[0] for id, row in TRUTH.items()}
    question = Question(
        TREE, [SequenceRecord(id, "MKT") for id in TRUTH], np.array([nodes[id] for id in TRUTH]),
        np.array([nodes[id] for id in references]), [],
    )  # fmt: skip
    return examine_proteins([Run("table", None, answers, True, {})], question, Settings())


def test_shares_are_those_counted_by_hand() -> None:
    found = examined().figures["table"]
    genus, domain = found["genus"], found["domain"]
    assert (genus.n, genus.n_novel, genus.accuracy, genus.precision, genus.coverage) == (5, 1, 1 / 5, 1 / 2, 2 / 5)
    assert (domain.n, domain.accuracy, domain.coverage) == (6, 3 / 6, 5 / 6)
    assert domain.cut_coverage == 4 / 6  # the virus that is called bacterial is at 0.5
    assert domain.cut_precision == 3 / 4 and domain.cut_recall == 3 / 6
    assert domain.cut_oc == 0  # of the two viruses neither keeps a name


def test_whole_lineages_are_scored_by_the_taxa_they_share() -> None:
    of = examined().lineages["table"]["whole"]
    shared = [5 / 7, 1, 0, 3 / 6, 0, 0]
    assert of.shared.mean == pytest.approx(np.mean(shared))
    assert of.exact == 1 / 6
    assert of.hops == pytest.approx(np.mean([4, 0, 7 + 2, 3, 5 + 3, 1]))
    assert sum(n for *_, n in of.joint) == 6 and sum(of.hop_counts) == 6
    kept = examined().lineages["table"]["kept"]
    assert kept.hops < of.hops  # wrong names that are cut are fewer steps away


def test_novel_queries_are_those_whose_deepest_taxon_has_no_reference() -> None:
    known, novel = examined().novelty
    assert (known.label, known.n, novel.label, novel.n) == ("known", 4, "novel", 2)
    assert novel.stops is not None and (novel.stops.exact, novel.stops.wrong_branch) == (1.0, 0.0)
    assert known.stops is not None and (known.stops.above, known.stops.wrong_branch) == (3 / 4, 1 / 4)
    none_new = examined(references=tuple(PATHS)).novelty[1]
    assert (none_new.n, none_new.whole, none_new.stops) == (0, None, None)


def test_a_reference_below_a_taxon_makes_it_known() -> None:
    assert examined(references=("v",)).novelty[0].n == 2  # the virus itself, and the one known as no more than a virus


def test_strata_of_references_count_those_in_the_clade_of_the_true_taxon() -> None:
    found = {s.label: s.n for s in examined(references=("a", "b", "b", "b", "b", "c")).references["family"]}
    assert found["5 to 9"] == 2 and found["1"] == 1 and found["0, unknown"] == 2


def test_groups_are_all_then_domains_then_their_phyla() -> None:
    found = examined().groups
    assert [(g.domain, g.phylum, g.n) for g in found] == [
        (ALL, "", 6), ("Bacteria", "", 3), ("Bacteria", "P", 2), ("Bacteria", "Q", 1),
        ("Viruses", "", 2), ("Viruses", "Z", 1), ("Archaea", "", 1), ("Archaea", "U", 1),
    ]  # fmt: skip
    bacteria = found[1]
    assert bacteria.ranks["genus"].n == 3 and bacteria.ranks["genus"].accuracy == pytest.approx(1 / 3)
    low, high = bacteria.ranks["genus"].interval or (0, 0)
    assert 0 < low < 1 / 3 < high < 1
    assert "genus" not in found[4].ranks or found[4].ranks["genus"].n == 1
    assert found[4].n_novel == 2


def test_groups_add_up_whatever_the_names_are() -> None:
    outcomes = judge(ANSWERS, TRUTH, queries=list(TRUTH))
    nodes = np.array([TREE.find(row)[0] for row in TRUTH.values()])
    scores = lineage_scores(TREE, nodes, np.zeros(6, int))
    found = groups(list(TRUTH), TRUTH, np.zeros(6, bool), scores, outcomes)
    for rank, o in outcomes.items():
        assert sum(g.ranks[rank].n for g in found if g.domain != ALL and not g.phylum and rank in g.ranks) == len(o)


def test_sister_genera_are_told_with_their_proteins() -> None:
    outcomes = judge(ANSWERS, TRUTH, queries=list(TRUTH))
    (pair,) = sisters(outcomes, ANSWERS, TRUTH)
    assert (pair.family, pair.true, pair.given, pair.count) == ("F", "G", "H", 1)
    assert [(one.id, one.confidence) for one in pair.proteins] == [("a", pytest.approx(0.65))]
    assert sisters({}, {}, {}) == ()


def test_proteins_on_the_wrong_side_are_told_with_what_they_are_named() -> None:
    found = crossings(ANSWERS, TRUTH, 0.7)
    assert (found.viral, found.cellular) == (2, 4)
    assert found.counts == {"viral": {"Bacteria": 1}, "cellular": {"Viruses": 1}}
    assert found.kept == {"viral": {}, "cellular": {"Viruses": 1}}
    cell, virus = found.proteins
    assert (cell.id, cell.viral, cell.true, cell.given, cell.confidence, cell.deepest, cell.kept) == (
        "c", False, "T x", ("Viruses", "Z"), 0.8, 0.6, True,
    )  # fmt: skip
    assert (virus.id, virus.given, virus.kept) == ("v", ("Bacteria", "P", "C"), False)


def test_viruses_are_told_by_name_taxid_or_realm() -> None:
    assert is_viral((Taxon("superkingdom", "Viruses", 10239),))
    assert is_viral((Taxon("acellular root", "Viruses"), Taxon("realm", "Riboviria")))
    assert is_viral((Taxon("realm", "Riboviria"), Taxon("phylum", "Pisuviricota")))
    assert is_viral((Taxon("domain", "Archaea"),)) is False
    assert is_viral((Taxon("genus", "G"),)) is None
    only_realm = {"x": Prediction("x", (Taxon("realm", "Riboviria"),), (0.9,), (0.0, 0.0), 1, Stopped.NAMED)}
    assert crossings(only_realm, {"x": (Taxon("domain", "Archaea"),)}, 0.7).counts["cellular"] == {"Riboviria": 1}


def test_a_table_without_confidences_or_without_some_queries_is_examined_all_the_same() -> None:
    bare = {id: Prediction(id, p.lineage, (), p.novelty, p.cut, p.stopped) for id, p in ANSWERS.items() if id != "a"}
    found = examined(bare)
    assert found.figures["table"]["genus"].ece is None
    assert found.curves == {}
    assert found.figures["table"]["domain"].cut_coverage == 4 / 6
    assert json.dumps(found.to_json(), allow_nan=False)


def test_a_taxon_that_was_renamed_is_known_by_its_taxid() -> None:
    old = (Taxon("superkingdom", "Bacteria", 2), Taxon("phylum", "Proteobacteria", 1224))
    new = (Taxon("domain", "Bacteria", 2), Taxon("phylum", "Pseudomonadota", 1224))
    tree = Taxonomy.from_lineages([new])
    node = np.array([tree.find(new)[0]])
    answer = Prediction("q", old, (0.9, 0.8), (0.0, 0.0, 0.0), 2, Stopped.NAMED)
    run = Run("old", None, {"q": answer}, True, {})
    found = examine_proteins([run], Question(tree, [SequenceRecord("q", "M")], node, node, []), Settings())
    assert found.figures["old"]["phylum"].accuracy == 1
    assert found.lineages["old"]["whole"].exact == 1


def test_a_cladogram_holds_every_query_once_and_is_as_deep_as_its_tips_allow() -> None:
    lineages_ = list(TRUTH.values())
    whole = cladogram(lineages_)
    assert whole.rank == "genus" and whole.queries[0] == 6
    inner = set(whole.parent[1:])
    ends = Counter()
    for node in range(1, len(whole.parent)):
        assert whole.parent[node] < node and whole.level[whole.parent[node]] < whole.level[node]
        ends[whole.parent[node]] += whole.queries[node]
    assert all(whole.queries[node] >= ends[node] for node in inner)
    assert set(whole.domain[1:]) == {"Bacteria", "Archaea", "Viruses"}
    assert cladogram(lineages_, most=4).rank == "family"
    assert cladogram(lineages_, most=1).rank == "domain"


def test_a_name_below_a_gap_hangs_where_the_gap_begins() -> None:
    found = cladogram([path("Viruses;Z;;;K")])
    assert found.name == ("", "Viruses", "Z", "K")
    assert found.level == (0, 1, 2, 5)


def test_figures_of_one_lineage_have_no_correlation() -> None:
    one = lineage_scores(TREE, np.array([TREE.find(TRUTH["a"])[0]]), np.array([0]))
    assert lineages(one).correlation.pearson is None


def test_figures_are_those_of_the_metrics() -> None:
    from linnet.metrics import scores

    outcomes = judge(ANSWERS, TRUTH, [TRUTH["a"], TRUTH["b"]], list(TRUTH))["phylum"]
    uncut, cut, found = scores(outcomes), scores(outcomes.cut(0.7)), figures(outcomes, 0.7)
    for name in (
        "accuracy",
        "acc_known",
        "ceiling",
        "precision",
        "coverage",
        "f1_macro",
        "ece",
        "ece_debiased",
        "brier",
    ):
        assert getattr(found, name) == getattr(uncut, name), name
    assert (found.cut_precision, found.cut_recall, found.cut_oc) == (cut.precision, cut.accuracy, cut.oc)


@pytest.fixture(scope="module")
def little_world() -> ProteinExamination:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from protein_world import records, trained, world

    from linnet.protein_predictor import ProteinPredictor

    store, tree = world()
    every = range(0, len(store), 4)
    runs = [Run(name, ProteinPredictor(trained()[0]), {}, True, {"kind": "lineage"}) for name in ("one", "two")]
    some = records()
    question = Question(
        tree, [some[i] for i in every], store.nodes[::4].astype(np.int64), store.nodes.astype(np.int64), []
    )
    return examine_proteins(runs, question, Settings())


def test_a_trained_model_is_examined(little_world: ProteinExamination) -> None:
    found = little_world
    assert found.counts["queries of a taxon that the reference lacks"] == 0
    assert found.figures["one"]["phylum"].accuracy > 0.8
    assert found.averaged == ("one", "two") and found.spread["phylum"]["accuracy"].sd == 0
    assert found.lineages["one"]["whole"].shared.mean > 0.6
    assert found.warnings == ()
    assert found.plane is not None and len(found.plane.x) == found.counts["queries"]
    assert max(found.plane.depth) == 8


def test_the_tree_has_as_many_taxa_at_a_depth_as_its_lineages(little_world: ProteinExamination) -> None:
    from protein_world import world

    store, tree = world()
    for level in little_world.levels["reference"]:
        paths = [tree.path(int(node)) for node in store.nodes]
        taxa = {p[level.depth - 1] for p in paths if len(p) >= level.depth}
        assert (level.taxa, level.sequences) == (len(taxa), sum(len(p) >= level.depth for p in paths))
