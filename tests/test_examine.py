"""What is found about a model: each figure against a plain slow loop or a case made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import evolve, lineage

from linnet import caveats, checkpoint, projection
from linnet.answers import ask, embed
from linnet.errors import UserError
from linnet.examine import Examination, Model, Question, Settings, examine
from linnet.importance import importance
from linnet.likeness import References
from linnet.metrics import chosen, scores, weighted_precision
from linnet.outcomes import Outcomes, judge
from linnet.places import TrueNodes
from linnet.prediction import Posterior, Prediction, foreign
from linnet.predictor import Predictor, load
from linnet.ranking import auroc, one_vs_rest, risk_coverage
from linnet.records import SequenceRecord, record, reverse_complement
from linnet.run_figures import figures, spreads
from linnet.strata import IDENTITY, REFERENCES, ReferenceCounts, reference_counts, stratify
from linnet.taxon_errors import confusions, is_placeholder, kinship
from linnet.taxonomy import RANKS, Lineage, Taxon, Taxonomy

REFERENCE = ("B;P;C;O;F;G;G one", "B;P;C;O;F;G;G two", "B;P;C;O;F;H;H one", "B;Q;D;R;S;T;T one")


def answered(*rows: tuple[str, str, float]) -> tuple[dict[str, Prediction], dict[str, Lineage]]:
    """Predictions and truths from rows of truth, answer, and the confidence of every name in it."""
    predictions, truth = {}, {}
    for number, (true, given, sure) in enumerate(rows):
        truth[f"q{number}"] = lineage(true)
        names = lineage(given) if given else ()
        predictions[f"q{number}"] = foreign(f"q{number}", names, (sure,) * len(names))
    return predictions, truth


def outcomes_of(*rows: tuple[str, str, float]) -> dict[str, Outcomes]:
    return judge(*answered(*rows), {lineage(text) for text in REFERENCE})


def random_outcomes(seed: int, n: int = 60) -> Outcomes:
    """Names with confidences of which many are equal, some without a name."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        true, given = (REFERENCE[i] for i in random.integers(len(REFERENCE), size=2))
        rows.append(
            (true, true if random.random() < 0.5 else given if random.random() < 0.9 else "", random.integers(1, 9) / 9)
        )
    return outcomes_of(*rows)["species"]


# ---------------------------------------------------------------------- orders and curves


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_the_share_of_pairs_in_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    score, positive = random.integers(0, 6, 40).astype(float), random.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert auroc(score, positive) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_without_both_kinds_is_not_defined() -> None:
    assert auroc(np.array([0.1, 0.2]), np.array([True, True])) is None
    assert auroc(np.array([]), np.array([], bool)) is None


def test_one_against_the_rest_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(3)
    score_NC = random.dirichlet(np.ones(5), 200).round(2)
    score_NC /= score_NC.sum(1, keepdims=True)
    class_N = random.integers(0, 5, 200)
    published = metrics.roc_auc_score(class_N, score_NC, multi_class="ovr", average="weighted")
    assert one_vs_rest(score_NC, class_N) == pytest.approx(published)
    assert one_vs_rest(score_NC[:9], np.zeros(9, int)) is None


@pytest.mark.parametrize("seed", range(4))
def test_aurc_is_the_mean_risk_over_all_orders_of_ties(seed: int) -> None:
    outcomes = random_outcomes(seed)
    named = np.flatnonzero(outcomes.classified)
    random = np.random.default_rng(0)
    means = []
    for _ in range(3000):
        shuffled = random.permutation(named)
        order = shuffled[np.argsort(-outcomes.path_confidence[shuffled], kind="stable")]
        wrong = np.cumsum(~outcomes.right[order])
        means.append((wrong / np.arange(1, len(order) + 1)).mean())
    found = risk_coverage(outcomes)
    assert found is not None
    assert found.aurc == pytest.approx(np.mean(means), abs=4 * np.std(means) / np.sqrt(len(means)) + 1e-9)
    assert found.best <= found.aurc
    assert found.coverage[-1] == pytest.approx(len(named) / len(outcomes))
    assert found.risk[-1] == pytest.approx((~outcomes.right[named]).mean())


def test_a_perfect_order_has_the_least_possible_aurc() -> None:
    right, wrong = REFERENCE[0], REFERENCE[1]
    found = risk_coverage(outcomes_of((right, right, 0.9), (right, right, 0.8), (right, wrong, 0.3))["species"])
    assert found is not None
    assert found.aurc == pytest.approx((0 + 0 + 1 / 3) / 3)
    assert found.best == found.aurc


def test_names_without_confidence_have_no_curve() -> None:
    predictions = {"q": foreign("q", lineage(REFERENCE[0]), ())}
    assert risk_coverage(judge(predictions, {"q": lineage(REFERENCE[0])})["species"]) is None


# ---------------------------------------------------------------------- figures


@pytest.mark.parametrize("seed", range(3))
def test_weighted_precision_and_f1_agree_with_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    outcomes = random_outcomes(seed)
    published = metrics.precision_recall_fscore_support(
        outcomes.true_label, outcomes.predicted_label, average="weighted", zero_division=0
    )
    assert weighted_precision(outcomes) == pytest.approx(published[0])
    assert scores(outcomes).accuracy == pytest.approx(published[1])
    assert scores(outcomes).f1_weighted == pytest.approx(published[2])


def test_chosen_outcomes_are_those_of_the_queries_alone() -> None:
    outcomes = random_outcomes(1)
    which = np.arange(len(outcomes)) % 3 == 0
    some = chosen(outcomes, which)
    assert some.queries == outcomes.queries[::3]
    assert scores(some).accuracy == pytest.approx(outcomes.right[::3].mean())


class FixedModel:
    """Stands for a predictor: answers every record with the same posterior, whatever it reads."""

    def __init__(self, taxonomy: Taxonomy, place_N: np.ndarray) -> None:
        self.taxonomy, self.place_N, self.block = taxonomy, place_N, 2

    def judge(self, records, strand="auto"):  # type: ignore[no-untyped-def]
        from linnet.decode import LineageCache, descend
        from linnet.predictor import Judged

        posterior = Posterior(self.taxonomy, np.repeat(self.place_N[None], len(records), 0))
        cache = LineageCache(self.taxonomy)
        named = descend(posterior, [r.id for r in records], "+" * len(records), cache)
        return Judged(named, list(range(len(records))), posterior)


def fixed(**place: float) -> FixedModel:
    tree = Taxonomy.from_lineages(map(lineage, REFERENCE))
    place_N = np.zeros(len(tree), np.float32)
    for name, p in place.items():
        place_N[tree.nodes_named(name.replace("_", " "))[0]] = p
    return FixedModel(tree, place_N)


def test_clades_ahead_and_entropy_are_read_from_the_posterior() -> None:
    model = fixed(G_one=0.5, G_two=0.125, H_one=0.25, P=0.125)
    truth = {
        "a": lineage(REFERENCE[0]),
        "b": lineage(REFERENCE[1]),
        "c": lineage("B;P;C;O;F;G;G new"),
        "d": lineage("B;Q"),
    }
    found = ask(model, [record(i, "ACGT") for i in truth], truth)  # type: ignore[arg-type]
    species, genus, phylum = (found.ranks[rank] for rank in ("species", "genus", "phylum"))
    assert species.ahead_Q.tolist() == [0, 2, -1, -1]
    assert genus.ahead_Q.tolist() == [0, 0, 0, -1]
    assert phylum.ahead_Q.tolist() == [0, 0, 0, 1]
    shares = np.array([0.5, 0.125, 0.25, 0.125])  # the last: in the phylum, in none of the species
    assert species.entropy_Q == pytest.approx(-(shares * np.log(shares)).sum())
    assert genus.entropy_Q == pytest.approx(-sum(p * np.log(p) for p in (0.625, 0.25, 0.125)))
    assert phylum.entropy_Q == pytest.approx(0, abs=1e-6)
    assert species.class_Q.tolist() == [0, 1, -1, -1]
    assert species.score_QC is not None
    assert species.score_QC[0].tolist() == pytest.approx([0.5, 0.125])


def test_true_taxa_are_found_over_gaps_and_underscores_but_never_off_their_path() -> None:
    tree = Taxonomy.from_lineages(map(lineage, REFERENCE))
    find = TrueNodes(tree)

    def names(*taxa: tuple[str, str]) -> list[list[str]]:
        return [[tree.names[n] for n in nodes] for nodes in find(tuple(Taxon(*t) for t in taxa))]

    with_gap = names(("domain", "B"), ("family", "F"), ("genus", "G"), ("species", "G_two"))
    assert with_gap == [["B"], [], [], [], ["F"], ["G"], ["G two"]]
    off_path = names(("domain", "B"), ("phylum", "Q"), ("genus", "G"), ("species", "G two"))
    assert off_path == [["B"], ["Q"], [], [], [], [], []]


def test_published_ece_leaves_out_unknown_taxa_and_the_honest_one_does_not() -> None:
    right, new = REFERENCE[0], "B;P;C;O;F;G;G new"
    rows = [(right, right, 0.95)] * 6 + [(new, right, 0.95)] * 2
    predictions, truth = answered(*rows)
    found = figures_of(predictions, truth)["species"]
    assert found.ece_published == pytest.approx(0.05)
    assert found.ece == pytest.approx(abs(0.95 - 6 / 8))
    assert (found.n, found.n_unknown, found.accuracy, found.acc_known) == (8, 2, 0.75, 1.0)
    assert found.cut_oc == 1.0


def figures_of(predictions: Mapping[str, Prediction], truth: Mapping[str, Lineage]):  # type: ignore[no-untyped-def]
    """Figures of made-up predictions; of the posterior there is a stand-in."""
    outcomes = judge(predictions, truth, {lineage(text) for text in REFERENCE})
    asked = ask(fixed(G_one=1.0), [record(i, "ACGT") for i in truth], truth)  # type: ignore[arg-type]
    return {rank: figures(o, asked, truth, 0.7) for rank, o in outcomes.items()}


def test_placeholders_are_told_by_their_words() -> None:
    blanks = ["Unclassified_Escherichia", "uncultured Clostridium", "s__", "", "Bacillus sp.", "Bacillus sp. 3", "Bacillus sp",
              "human gut metagenome", "unidentified", "Incertae Sedis", "Family_XI_Incertae_Sedis", "g__uncultured",
              "Clostridiales bacterium", "unknown_family"]  # fmt: skip
    names = ["Escherichia coli", "sp900066535", "Corynebacterium", "Faecalibacterium", "Candidatus Saccharimonas", "Spirochaeta",
             "UBA1819", "[Ruminococcus]", "Gemmata obscuriglobus", "Prevotella copri_B", "g__Bacillus"]  # fmt: skip
    assert [name for name in blanks if not is_placeholder(name)] == []
    assert [name for name in names if is_placeholder(name)] == []


def test_accuracy_is_told_with_and_without_placeholders() -> None:
    real, blank = REFERENCE[0], "B;P;C;O;F;G;Unclassified G"
    found = figures_of(*answered((real, real, 0.9), (real, REFERENCE[1], 0.9), (blank, blank, 0.9)))["species"]
    assert found.n_placeholders == 1
    assert (found.accuracy_named, found.accuracy_placeholders) == (0.5, 1.0)


def test_spread_is_over_the_runs_and_of_figures_that_all_have() -> None:
    first = figures_of(*answered((REFERENCE[0], REFERENCE[0], 0.9), (REFERENCE[0], REFERENCE[1], 0.9)))
    second = figures_of(*answered((REFERENCE[0], REFERENCE[0], 0.9), (REFERENCE[0], REFERENCE[0], 0.9)))
    both = spreads([first, second])["species"]
    assert both["accuracy"].mean == 0.75
    assert both["accuracy"].sd == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert spreads([first])["species"]["accuracy"].sd is None
    assert "cut_oc" not in both  # there is no query of an unknown species


# ---------------------------------------------------------------------- mistakes


def test_wrong_names_are_sisters_cousins_or_further() -> None:
    outcomes = outcomes_of(
        (REFERENCE[0], REFERENCE[1], 0.9),  # the genus is right
        (REFERENCE[0], REFERENCE[2], 0.9),  # the family is
        (REFERENCE[0], REFERENCE[3], 0.9),  # the domain is
        (REFERENCE[0], REFERENCE[0], 0.9),
        (REFERENCE[0], "", 0.9),
    )
    found = kinship(outcomes, "species")
    assert (found.wrong, found.sister, found.cousin, found.further) == (3, 1, 1, 1)
    genus, phylum = kinship(outcomes, "genus"), kinship(outcomes, "phylum")
    assert (genus.wrong, genus.sister, genus.further) == (2, 1, 1)
    assert (phylum.wrong, phylum.sister) == (1, 1)
    assert kinship(outcomes, "domain").wrong == 0


def test_confused_pairs_are_counted_and_bare_epithets_get_their_genus() -> None:
    true, given = "B;P;C;O;F;Staphylococcus;epidermidis", "B;P;C;O;F;Staphylococcus;aureus"
    predictions, truth = answered((true, given, 0.9), (true, given, 0.9), (given, true, 0.9), (given, given, 0.9))
    found = confusions(judge(predictions, truth, {lineage(given)})["species"], predictions, truth)
    assert [(c.true, c.given, c.count, c.known) for c in found] == [
        ("Staphylococcus epidermidis", "Staphylococcus aureus", 2, False),
        ("Staphylococcus aureus", "Staphylococcus epidermidis", 1, True),
    ]


# ---------------------------------------------------------------------- near and far


def test_strata_split_all_queries_at_their_bounds() -> None:
    outcomes = random_outcomes(2)
    identity = np.random.default_rng(0).choice([0.0, 0.899, 0.9, 0.95, 0.97, 0.99, 1.0], len(outcomes))
    found = stratify(outcomes, identity, IDENTITY)
    assert sum(s.n for s in found) == len(outcomes)
    by_label = {s.label: s for s in found}
    at_99 = identity >= 0.99
    assert by_label["99 % and more"].n == at_99.sum()
    assert by_label["99 % and more"].accuracy == pytest.approx(outcomes.right[at_99].mean())
    assert by_label["90 to 95 %"].n == (identity == 0.9).sum()
    assert stratify(outcomes, identity * 0, IDENTITY)[0].accuracy is None


def test_references_are_counted_per_true_taxon_also_over_gaps() -> None:
    counts = ReferenceCounts(map(lineage, [*REFERENCE, REFERENCE[0]]))
    assert counts(lineage(REFERENCE[0]), "species") == 2
    assert counts(lineage(REFERENCE[0]), "genus") == 3
    assert counts(lineage("B;P;C;O;F;G;G new"), "species") == 0
    assert counts((Taxon("domain", "B"), Taxon("family", "F"), Taxon("genus", "G")), "genus") == 3
    outcomes = outcomes_of((REFERENCE[0], REFERENCE[0], 0.9), ("B;P;C;O;F;G;G new", REFERENCE[0], 0.9))["species"]
    truth = {"q0": lineage(REFERENCE[0]), "q1": lineage("B;P;C;O;F;G;G new")}
    labels = {s.label: s.n for s in stratify(outcomes, reference_counts(outcomes, truth, counts), REFERENCES)}
    assert labels["2 to 4"] == 1
    assert labels["0, unknown"] == 1


def identity_by_loop(query: str, reference: str) -> float:
    """The most matches of an alignment of the shorter within the longer, of those with fewest edits, by columns."""
    a, b = sorted((query, reference), key=len)
    row = [(0, 0, 0)] * (len(b) + 1)  # edits, -matches, columns; free to begin anywhere in the longer
    for letter in a:
        new = [(row[0][0] + 1, row[0][1], row[0][2] + 1)]
        for j, other in enumerate(b, 1):
            hit = letter == other
            steps = (row[j - 1], hit), (row[j], None), (new[j - 1], None)
            new.append(min((e + (m is not True), k - (m is True), c + 1) for (e, k, c), m in steps))
        row = new
    edits = min(row)[0]
    return max(-k / c for e, k, c in row if e == edits)


def test_the_nearest_reference_is_the_one_a_full_search_finds() -> None:
    pytest.importorskip("edlib")
    random = np.random.default_rng(0)
    root = "".join(random.choice(list("ACGT"), 120))
    references = [evolve(root, 0.15, random) for _ in range(12)]
    queries = [evolve(references[i], 0.03, random)[10:90] for i in range(4)]
    found = References(references).identities(queries, tried=12)
    best = [max(identity_by_loop(q, r) for r in references) for q in queries]
    assert found == pytest.approx(best, abs=0.02)  # of alignments with as few edits, edlib takes any


def test_identity_of_an_amplicon_within_its_gene_is_one_and_of_nothing_alike_is_zero() -> None:
    pytest.importorskip("edlib")
    random = np.random.default_rng(1)
    gene = "".join(random.choice(list("ACGT"), 400))
    index = References([gene, reverse_complement(gene)])
    one_wrong = gene[100:149] + "ACGT"["CATG".index(gene[149])] + gene[150:200]
    ambiguous = gene[100:149] + "N" + gene[150:200]
    assert index.identities([gene[100:200], one_wrong, ambiguous]).tolist() == pytest.approx([1.0, 0.99, 1.0])
    assert index.identities(["A" * 60, "", "ACG"]).tolist() == [0.0, 0.0, 0.0]
    assert References([gene[:150]]).identities([gene]).tolist() == [0.0]  # too short to be compared
    assert References([]).identities([gene]).tolist() == [0.0]


# ---------------------------------------------------------------------- a model


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Predictor:
    model = load(tiny_model)
    assert isinstance(model, Predictor)
    return model


@pytest.fixture(scope="module")
def question(genes: tuple[dict[str, str], dict[str, Lineage]]) -> Question:
    """Mutated genes of every taxon, one in four on the other strand, and a query of an unknown species."""
    sequences, lineages = genes
    random = np.random.default_rng(7)
    records, truth = [], {}
    for number, (id, sequence) in enumerate(sequences.items()):
        if number % 2 == 0:
            mutated = evolve(sequence, 0.05, random)
            records.append(record(f"q-{id}", reverse_complement(mutated) if number % 4 == 0 else mutated))
            truth[f"q-{id}"] = lineages[id]
    records += [record("short", "ACGTACGT"), record("new", evolve(sequences["r00000"], 0.05, random))]
    truth |= {"short": lineages["r00000"], "new": (*lineages["r00000"][:6], Taxon("species", "S0009"))}
    return Question(records, truth, lineages, sequences)


@pytest.fixture(scope="module")
def found(tiny: Predictor, question: Question) -> Examination:
    pytest.importorskip("sklearn")
    pytest.importorskip("edlib")
    models = [Model("one", tiny, True, {"kind": "compact"}), Model("same", tiny, True, {"kind": "compact"})]
    return examine(models, question, Settings(importance=10, swaps=1))


def test_judging_gives_the_predictions_of_predicting_and_their_posterior(tiny: Predictor, question: Question) -> None:
    records = list(question.records)
    judged = tiny.judge(records)
    assert judged.predictions == tiny.predict(records)
    assert [records[i].id for i in range(len(records)) if i not in judged.rows] == ["short"]
    for row, i in enumerate(judged.rows):
        for depth, sure in enumerate(judged.predictions[i].confidence, 1):
            node, _ = tiny.taxonomy.find(judged.predictions[i].lineage[:depth])
            assert judged.posterior.clades(row, np.array([node]))[0] == pytest.approx(sure, abs=1e-5)
    assert tiny.judge([record("short", "ACGT")]).posterior.place_BN.shape == (0, len(tiny.taxonomy))


def test_vectors_give_the_scores_through_the_head(tiny: Predictor, question: Question) -> None:
    network = tiny._networks[0]
    records = list(question.records)[:5]
    vectors_BW = embed(tiny, records)
    assert vectors_BW is not None
    reading = network.reader.read([r.sequence for r in records])
    weight = network.weight  # type: ignore[attr-defined]
    by_hand = vectors_BW @ weight["head.scores.weight"].T + weight["head.scores.bias"]
    owners = network.groups.owner.astype(np.int64)  # type: ignore[attr-defined]
    for i, row in enumerate(by_hand):
        scores, _ = network.walker_of(reading).scores(np.full(len(owners), i), owners)  # type: ignore[attr-defined]
        assert scores == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize("model_type", ["hybridcnnbert", "cnn"])
def test_vectors_of_a_torch_model_give_its_scores_through_the_head(model_type: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    import deeptaxa_files as made_here

    from linnet.__main__ import main

    file, table, _ = made_here.write(tmp_path / "released", model_type=model_type)
    assert main(["convert", "deeptaxa", str(file), "--taxonomy", str(table), "--out", str(tmp_path / "model")]) == 0
    model = load(tmp_path / "model", engine="torch")
    assert isinstance(model, Predictor)
    records = [record(i, s) for i, s in made_here.READS.items()]
    vectors_BW = embed(model, records)
    assert vectors_BW is not None
    network = model._networks[0]
    reading = network.reader.read([r.sequence for r in records])
    with torch.inference_mode():
        by_hand = network._model.head(torch.from_numpy(vectors_BW))  # type: ignore[attr-defined]
    for scores_BC, log_p in zip(by_hand, network.ranks(reading).log_p, strict=True):  # type: ignore[attr-defined]
        assert torch.log_softmax(scores_BC, 1).numpy() == pytest.approx(log_p, abs=1e-5)
    assert model.judge(records).predictions == model.predict(records)


def test_top_k_rises_to_the_share_the_model_can_name(found: Examination) -> None:
    for of in found.figures["one"].values():
        tops = [of.top1, of.top3, of.top5, of.top10]
        assert tops == sorted(tops)  # type: ignore[type-var]
        assert of.top10 <= of.ceiling  # type: ignore[operator]
    species = found.figures["one"]["species"]
    assert species.n_unknown == 1
    assert species.accuracy is not None and species.accuracy > 0.6


def test_equal_runs_have_no_spread(found: Examination) -> None:
    assert found.spread["genus"]["accuracy"].sd == 0
    assert found.spread["genus"]["accuracy"].mean == found.figures["one"]["genus"].accuracy


def test_reads_on_the_other_strand_are_as_near_to_their_references(found: Examination) -> None:
    assert found.identity is not None
    n = {s.label: s.n for s in found.identity["domain"]}
    assert sum(n.values()) == 50
    assert n["below 90 %"] <= 1  # the short one alone


def test_regions_that_no_query_has_are_told_and_left_out(found: Examination) -> None:
    assert found.regions is not None
    assert found.regions.found == {"full": 50, "V3-V4": 0, "V4": 0}
    assert found.regions.used == ("full",)
    accuracy = found.regions.accuracy["genus"]["one"]["full"]
    assert accuracy == found.figures["one"]["genus"].accuracy


def test_every_figure_is_a_plain_number_in_json(found: Examination) -> None:
    import json

    again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(again["figures"]["one"]) == set(RANKS)
    assert len(again["plane"]["x"]) == 50


# ---------------------------------------------------------------------- warnings


def variant(tiny_model: Path, seed: int = 42, **model: Any) -> Predictor:
    """The tiny model, as if it had been trained otherwise."""
    one = checkpoint.load(tiny_model)
    config = one.model["config"] | {"seed": seed} | model.pop("config", {})
    return Predictor(replace(one, model=one.model | model | {"config": config}))


def whole_genes() -> list[SequenceRecord]:
    from linnet.ecoli import GENE

    random = np.random.default_rng(5)
    return [record(f"gene{i}", evolve(GENE, 0.05, random)) for i in range(10)]


def test_queries_of_another_region_are_warned_of_as_classify_does(tiny_model: Path) -> None:
    models = {"v4": variant(tiny_model, region="V4"), "any": variant(tiny_model)}
    (said,) = caveats.of_queries(models, whole_genes())
    assert said.startswith("v4: 10 of 10 reads reach beyond V4, which the model learnt")
    (of_all,) = caveats.of_queries({"v4": models["v4"], "again": models["v4"]}, whole_genes())
    assert of_all == said.removeprefix("v4: ")
    assert caveats.of_queries({"any": models["any"]}, whole_genes()) == []


def test_an_ensemble_of_two_regions_is_held_to_both(tiny_model: Path) -> None:
    one, other = (variant(tiny_model, region=r).checkpoint for r in ("V4", "full"))
    both = Predictor(one, other)
    assert caveats.regions(both) == ("V4", "full")
    (said,) = caveats.of_queries({"both": both}, whole_genes())
    assert "reach beyond V4" in said


def test_runs_that_differ_in_more_than_their_seed_are_warned_of(tiny_model: Path) -> None:
    runs = {f"seed-{seed}": variant(tiny_model, seed, region="V4") for seed in (1, 2)}
    assert caveats.of_runs(runs) == []
    (region,) = caveats.of_runs(runs | {"whole": variant(tiny_model, 1)})
    assert "in region (V4, any):" in region
    (more,) = caveats.of_runs(runs | {"longer": variant(tiny_model, 3, region="V4", config={"hold_out": 0.3})})
    assert "in hold_out (0.2, 0.3):" in more
    ensemble = Predictor(*(run.checkpoint for run in runs.values()))
    (size,) = caveats.of_runs({"one": runs["seed-1"], "two": ensemble})
    assert "in models (1, 2):" in size


def test_a_reference_of_other_names_is_warned_of_with_the_share_of_its_taxa(
    tiny: Predictor, question: Question
) -> None:
    own = set(question.references.values())
    assert caveats.of_reference({"one": tiny}, own) == []
    renamed = {(row[0], row[1]._replace(name="Other"), *row[2:]) if row[1].name == "P0" else row for row in own}
    taxa = {row[:depth] for row in renamed for depth in range(1, 8)}
    lacking = {path for path in taxa if len(path) > 1 and path[1].name == "Other"}
    (said,) = caveats.of_reference({"one": tiny, "same": tiny}, renamed)
    assert said.startswith(f"{100 * len(lacking) / len(taxa):.1f} % of the reference's taxa")
    assert f"({len(lacking)} of {len(taxa)})" in said


def test_right_names_of_taxa_that_the_reference_lacks_are_warned_of() -> None:
    new = "B;P;C;O;F;G;G new"
    clean = outcomes_of((REFERENCE[0], REFERENCE[0], 0.9), (new, REFERENCE[0], 0.9))
    assert caveats.of_unknown({"one": clean}) == []
    odd = outcomes_of((REFERENCE[0], REFERENCE[0], 0.9), (new, new, 0.9), ("B;P;C;O;F;G;G newer", REFERENCE[0], 0.9))
    (said,) = caveats.of_unknown({"one": clean, "other": odd})
    assert said.startswith("other: 1 of 2 queries of a species that the reference lacks are named rightly")


def test_warnings_are_said_and_kept(tiny_model: Path, question: Question) -> None:
    other = {id: (row[0], row[1]._replace(name="Other"), *row[2:]) for id, row in question.references.items()}
    models = [Model(n, variant(tiny_model, config={"hide": h}), True, {}) for n, h in (("a", 0.1), ("b", 0.2))]
    said: list[str] = []
    asked = Question(question.records[:6], question.truth, other, {})
    found = examine(models, asked, Settings(regions=(), importance=0), said.append)
    assert [w for w in said if w.startswith("warning: ")] == [f"warning: {w}" for w in found.warnings]
    assert len(found.warnings) == 3
    for part, warning in zip(
        ("not in the model's tree", "hide (0.1, 0.2)", "named rightly"), found.warnings, strict=True
    ):
        assert part in warning
    assert found.to_json()["warnings"] == found.warnings


def test_swapping_the_only_informative_stretch_costs_most(tiny: Predictor) -> None:
    """Reads that are alike but for their second quarter lose their names by it alone."""
    random = np.random.default_rng(0)
    sequences = {}
    shared = "".join(random.choice(list("ACGT"), 400))
    for s in range(8):
        own = "".join(random.choice(list("ACGT"), 100))
        sequences[f"r{s}"] = shared[:100] + own + shared[200:]
    tree = Taxonomy.from_lineages(lineage(f"B;P;C;O;F;G;S{s}") for s in range(8))
    truth = {f"r{s}": lineage(f"B;P;C;O;F;G;S{s}") for s in range(8)}

    class ByStretch(FixedModel):
        def judge(self, records, strand="auto"):  # type: ignore[no-untyped-def]
            from linnet.decode import LineageCache, descend
            from linnet.predictor import Judged

            place_BN = np.zeros((len(records), len(tree)), np.float32)
            for row, r in enumerate(records):
                shared_with = [
                    sum(a == b for a, b in zip(r.sequence, sequences[f"r{s}"], strict=True)) for s in range(8)
                ]
                best = int(np.argmax(shared_with))
                place_BN[row, tree.nodes_named(f"S{best}")[0]] = 1
            posterior = Posterior(tree, place_BN)
            named = descend(posterior, [r.id for r in records], "+" * len(records), LineageCache(tree))
            return Judged(named, list(range(len(records))), posterior)

    model = ByStretch(tree, np.zeros(len(tree)))
    records = [SequenceRecord(i, s) for i, s in sequences.items()]
    turned = [SequenceRecord(i, reverse_complement(s)) for i, s in sequences.items()]
    for given, strand in ((records, "+"), (turned, "-")):
        swapped = importance(model, given, truth, dict.fromkeys(truth, strand), swaps=2, windows=4)  # type: ignore[arg-type]
        assert swapped is not None
        assert swapped.drop["species"] == (0.0, 1.0, 0.0, 0.0)
        assert swapped.loss["species"] == pytest.approx((0.0, 1.0, 0.0, 0.0))
        assert swapped.drop["genus"] == (0.0,) * 4
        assert swapped.position == ()  # no 16S
    assert importance(model, records[:1], truth, {"r0": "+"}) is None  # type: ignore[arg-type]


def test_windows_of_whole_genes_have_places_in_the_gene_of_e_coli() -> None:
    from linnet.ecoli import GENE
    from linnet.importance import _positions

    assert _positions([GENE, GENE[2:]], 4) == pytest.approx((193, 578, 964, 1349), abs=4)
    assert _positions([GENE, GENE[700:]], 20) == ()


def test_vectors_that_fall_into_groups_stay_in_them_and_few_or_equal_ones_are_not_laid_out() -> None:
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    vectors_NW = np.concatenate([random.normal(0, 0.1, (20, 8)), random.normal(5, 0.1, (20, 8))])
    places = projection.project(vectors_NW)
    assert places is not None
    centres = places[:20].mean(0), places[20:].mean(0)
    apart = np.linalg.norm(centres[0] - centres[1])
    assert apart > 2 * max(np.linalg.norm(places[:20] - centres[0], axis=1).mean(), 0)
    assert projection.project(vectors_NW[:5]) is None
    assert projection.project(np.ones((30, 4))) is None


def test_a_projection_whose_library_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match="umap-learn"):
        projection.check("umap")
    monkeypatch.setitem(sys.modules, "edlib", None)
    with pytest.raises(UserError, match=r"linnet\[report\]"):
        References(["ACGT"])
