"""TaxoFormer as a model of ours: converted, classified with by every search, and its walker against plain sums."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import taxoformer_files as made  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from linnet import checkpoint, walk  # noqa: E402
from linnet.__main__ import main  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.prediction import Prediction  # noqa: E402
from linnet.predictor import load  # noqa: E402
from linnet.protein_predictor import ProteinPredictor  # noqa: E402
from linnet.records import SequenceRecord  # noqa: E402
from linnet.released import taxoformer, taxoformer_model  # noqa: E402
from linnet.released import taxoformer_net as net  # noqa: E402
from linnet.released.taxoformer_names import ABSENT, CONT, PAD  # noqa: E402
from linnet.released.taxoformer_walker import Code, PublishedWalker  # noqa: E402
from linnet.taxonomy import Taxon, Taxonomy  # noqa: E402

WAYS = ("published", "greedy", "min-edit", "published-beam")
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
DRAWN = ["".join(LETTERS[i] for i in np.random.default_rng(n).integers(0, 20, 10 + 3 * n)) for n in range(3)]
PROTEINS = {
    f"c{i % 2}_{i}": p.replace("-", "").replace(".", "").upper() for i, p in enumerate((*made.PROTEINS, *DRAWN))
}
BIAS = made.network()["decoder.output_head.bias"]
BIAS[ABSENT] -= 3  # the stand-in's weights, drawn at random, would end most paths at once
NETWORK, ENCODER = made.numbers(made.network() | {"decoder.output_head.bias": BIAS}), made.numbers(made.encoder())


def write(folder: Path, own_encoder: str | None = "esm_model.") -> Path:
    return made.write(folder, own_encoder=own_encoder, more={"decoder.output_head.bias": BIAS})


# ---------------------------------------------------------------------- the walker


def many_bins() -> taxoformer.Mapping:
    """Four levels in bins of five names, ids shared within bins, between names and CONT or ABSENT, and across levels."""
    random = np.random.default_rng(0)
    levels = [[f"{'abcd'[level]}{i}" for i in range(n)] for level, n in enumerate((7, 23, 16, 31))]
    levels[2][3] = levels[0][0]  # a homonym one level above and below
    slots, of_slot, ids = [], [], {}
    for level, names in enumerate(levels, start=1):
        for a in range(0, len(names), 5):
            slots.append(tuple(names[a : a + 5]))
            of_slot.append(level)
            for name in slots[-1]:
                ids.setdefault(name, int(random.integers(1, 12)))
    children: dict[str, list[str]] = {}
    for above, below in zip(levels, levels[1:], strict=False):
        for name in below[1:]:  # the first of each level has no parent
            children.setdefault(above[int(random.integers(len(above)))], []).append(name)
    return taxoformer.Mapping(tuple(slots), ids, tuple(of_slot), {p: tuple(c) for p, c in children.items()})


def drawn(mapping: taxoformer.Mapping) -> net.Published:
    config = taxoformer.Config(
        embed_dim=20, vocab_size=14, taxonomy_seq_length=len(mapping.levels), num_levels=max(mapping.levels),
        decoder_layers=2, decoder_heads=4, bos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(1)
    network = net.Published(config, mapping.levels).eval().requires_grad_(False)
    network.decoder.output_head.weight.mul_(4)
    return network


@pytest.fixture(scope="module", params=["stand-in", "many bins"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network, its names, their tree, and vectors of proteins."""
    if request.param == "stand-in":
        released = taxoformer.read(write(tmp_path_factory.mktemp("release")))
        mapping, network = released.mapping, net.Published.of(released)
    else:
        mapping = many_bins()
        network = drawn(mapping)
    z = torch.randn(3, network.config.embed_dim, generator=torch.Generator().manual_seed(2))
    return network, mapping, taxoformer_model.tree(mapping).taxonomy, z


def slow_fan(network: net.Published, mapping: taxoformer.Mapping, tree: Taxonomy, z: Any, node: int) -> list[float]:
    """p of each child and of stopping, every slot asked with all tokens before it gone through anew."""
    path = [tree.names[n] for n in tree.path(node)]
    children = [tree.names[int(n)] for n in tree.children(node)]
    if not children:
        return [1.0]
    bins = mapping.slots[len(path) + 1]
    where = [mapping.slot(len(path) + 1, name) for name in children]
    tokens = [int(t) for t in mapping.encode(path)[: bins.start]]
    found, stop, passed = dict.fromkeys(children, 0.0), 0.0, 1.0
    for slot in range(bins.start, max(s for s in where if s is not None) + 1):
        here = [name for name, s in zip(children, where, strict=True) if s == slot]
        onward = slot < max(s for s in where if s is not None)
        options = [mapping.ids[name] for name in here] + [CONT] * onward + [ABSENT] * (slot == bins.start)
        if here or slot == bins.start:
            padded = torch.tensor([tokens + [PAD] * (len(mapping.levels) - len(tokens))])
            logits = network.logits(z[None], padded)[0, slot].double().numpy()
            total = sum(np.exp(logits[t]) for t in set(options))
            each = {t: np.exp(logits[t]) / total / options.count(t) for t in options}
            for name in here:
                found[name] = passed * each[mapping.ids[name]]
            stop = passed * each[ABSENT] if slot == bins.start else stop
            passed *= each[CONT] if onward else 0.0
        tokens.append(CONT)
    return [*(found[name] for name in children), stop]


def test_steps_with_kept_keys_give_what_whole_paths_give(case: Any) -> None:
    network, mapping, tree, z = case
    walker = PublishedWalker(network, Code(tree, mapping, network.config.bos_token_id), z)
    states = {(b, 0): state for b, state in enumerate(walker.begin())}
    random = np.random.default_rng(3)
    asked = 0
    while states:  # any taxa of any records together, so that rows are of unequal length
        keys = [list(states)[i] for i in random.permutation(len(states))[:9]]
        nodes = np.array([node for _, node in keys])
        fan, after = walker.step([states.pop(key) for key in keys], nodes)
        for row, (b, node) in enumerate(keys):
            expected = slow_fan(network, mapping, tree, z[b], node)
            np.testing.assert_allclose(np.exp(fan.row(row)), expected, atol=2e-6, rtol=2e-4)
            states |= {(b, int(child)): after[row] for child in tree.children(node)}
            asked += 1
    assert asked == 3 * len(tree)


def test_probabilities_of_all_ends_sum_to_1(case: Any) -> None:
    network, mapping, tree, z = case
    walker = PublishedWalker(network, Code(tree, mapping, network.config.bos_token_id), z)
    for ends in walk.top(walker, len(tree)):
        assert sum(np.exp(way.log_p) for way in ends) == pytest.approx(1, abs=1e-5)
        assert len({way.node for way in ends}) == len(ends) == len(tree)


def test_many_taxa_are_asked_in_lots(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network, mapping, tree, z = case
    walker = PublishedWalker(network, Code(tree, mapping, 1), z[[0, 1, 2, 0, 1]])
    whole = walk.beam(walker, 3)
    monkeypatch.setattr("linnet.released.taxoformer_walker.ROWS", 2)
    for ways, same in zip(walk.beam(walker, 3), whole, strict=True):
        assert [way.nodes for way in ways] == [way.nodes for way in same]
        assert [way.log_p for way in ways] == pytest.approx([way.log_p for way in same], abs=1e-5)


# ---------------------------------------------------------------------- the tree


def test_names_stand_below_a_parent_that_is_one_level_up(tmp_path: Path) -> None:
    mapping = taxoformer.read(write(tmp_path)).mapping
    found = taxoformer_model.tree(mapping)
    at = {tuple(taxon.name for taxon in found.taxonomy.lineage(node)) for node in range(1, len(found.taxonomy))}
    lost = {"Foo, bar", "Twin 0 a", "Twin 0 b", "Twin 0 c"}  # cut at the comma; below a row that another hides
    twins = {path for path in made.paths() if "Twin" in path}
    assert at >= set(made.paths()) - twins - {path for path in made.paths() if lost & set(path)}
    assert {path[:4] for path in at if "Twin" in path} == {("Cells", "P C0", "C C01", "Twin")}
    assert ("Viruses", "P V1") in at and ("Viruses", "P V1", "C V11", "G V110", "P V1") in at
    assert found.orphans.number == 4 and found.unreachable.number == 0
    assert all(rank == "no rank" for rank, _, _ in found.taxonomy.lineage(len(found.taxonomy) - 1))


def test_names_get_ranks_and_taxids_of_a_taxonomy() -> None:
    """Homonyms by the parents they stand below; a name that the taxonomy has twice elsewhere gets none."""
    ours = Taxonomy.from_lineages(
        tuple(Taxon("no rank", name) for name in path.split("/"))
        for path in ("Bacteria/Alpha/Twin", "Viruses/Beta/Twin", "Viruses/Nobody", "Viruses/Double")
    )
    theirs = Taxonomy.from_lineages(
        (Taxon("superkingdom", top, i), Taxon("genus", genus, i + 1), Taxon("species", name, i + 2))
        for i, (top, genus, name) in enumerate(
            (
                ("Bacteria", "Alpha", "Twin"),
                ("Viruses", "Beta", "Twin"),
                ("Archaea", "C", "Double"),
                ("Else", "D", "Double"),
            ),
            1,
        )
        for i in (10 * i,)
    )
    found, count = taxoformer_model.ranked(ours, theirs)
    taxa = {
        "/".join(t.name for t in found.lineage(n)): (found.rank(n), int(found.taxids[n])) for n in range(len(found))
    }
    assert taxa == {
        "": ("root", 0), "Bacteria": ("superkingdom", 10), "Bacteria/Alpha": ("genus", 11),
        "Bacteria/Alpha/Twin": ("species", 12), "Viruses": ("superkingdom", 20), "Viruses/Beta": ("genus", 21),
        "Viruses/Beta/Twin": ("species", 22), "Viruses/Nobody": ("no rank", 0), "Viruses/Double": ("no rank", 0),
    }  # fmt: skip
    assert count == 6


def test_what_has_no_parent_one_level_up_is_counted() -> None:
    ids = dict.fromkeys("ABCDEF", 12)
    below = {"A": ("C", "F"), "X": ("D",), "D": ("E",)}
    mapping = taxoformer.Mapping((("A", "B"), ("C", "D"), ("E", "F")), ids, (1, 2, 3), below)
    found = taxoformer_model.tree(mapping)
    assert list(found.taxonomy.names) == ["root", "A", "C", "B"]
    assert found.unreachable.examples == ("D", "E", "F")
    assert found.lines() == [
        "3 names have no parent that is in the tree one level up, so they are left out of the tree: 'D', 'E', 'F'."
    ]


# ---------------------------------------------------------------------- convert, classify, describe


def convert(*arguments: object) -> int:
    return main(["convert", "taxoformer", *map(str, arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted model whose release is gone."""
    folder = tmp_path_factory.mktemp("model")
    write(folder / "release")
    assert convert(folder / "release", "--out", folder / "model") == 0
    for file in (folder / "release").iterdir():
        file.unlink()
    return folder / "model"


@pytest.fixture(scope="module")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("proteins") / "proteins.faa"
    path.write_text("".join(f">{id}\n{sequence}\n" for id, sequence in PROTEINS.items()))
    return path


def predictions(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def classify(proteins: Path, model: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    arguments = [str(proteins), "--model", str(model), "--out", str(out), "--format", "jsonl", "--confidence", "0"]
    assert main(["classify", *arguments, *more]) == 0
    return predictions(out)


@pytest.mark.parametrize("search", ["descend", "end", "beam"])
def test_searches_of_ours_walk_the_published_decoder(proteins: Path, model: Path, tmp_path: Path, search: str) -> None:
    found = classify(proteins, model, tmp_path / "o.jsonl", "--search", search)
    tree = checkpoint.load(model).taxonomy
    assert [one["record"] for one in found] == list(PROTEINS)
    deepest = 0
    for one, sequence in zip(found, PROTEINS.values(), strict=True):
        z = made.pooled(NETWORK, made.states(ENCODER, sequence.rstrip("*")))
        logits = made.logits(NETWORK, z, [])
        domains = [tree.names[int(n)] for n in tree.children(0)]
        tokens = [made.tables()[0]["token2id"][name] for name in domains]
        p = made.softmax(logits[[*tokens, ABSENT]])
        assert one["novelty"][0] == pytest.approx(p[-1], abs=1e-4)
        if one["lineage"]:
            assert one["lineage"][0]["confidence"] == pytest.approx(
                p[domains.index(one["lineage"][0]["name"])], abs=1e-4
            )
            names = [taxon["name"] for taxon in one["lineage"]]
            assert names == [t.name for t in tree.lineage(tree.nodes_named(names[-1])[0])]
            deepest = max(deepest, len(names))
    assert deepest > 2


def slow_confidence(network: net.Published, mapping: taxoformer.Mapping, z: Any, names: Sequence[str]) -> list[float]:
    """The product of each name's probability and those before it, every slot asked with all before it gone through."""
    levels, tokens, found, p, level = mapping.levels, [], [], 1.0, 0

    def asked(token: int) -> float:
        padded = torch.tensor([tokens + [PAD] * (len(levels) - len(tokens))])
        return float(network.logits(z[None], padded)[0, len(tokens)].double().softmax(0)[token])

    for name in names:
        slots = [mapping.slot(one, name) for one in range(level + 1, max(levels) + 1)]
        slot = next((slot for slot in slots if slot is not None), None)
        if slot is None or p == 0:
            p = 0.0
        else:
            tokens += [PAD] * (sum(one <= level for one in levels) - len(tokens))
            level = levels[slot]
            while len(tokens) < slot:
                p *= asked(CONT) if levels[len(tokens)] == level else 1.0
                tokens.append(CONT)
            p *= asked(mapping.ids[name])
            tokens.append(mapping.ids[name])
        found.append(p)
    return found


@pytest.mark.parametrize("search", WAYS)
def test_published_searches_name_what_the_published_code_names(
    proteins: Path, model: Path, tmp_path: Path, search: str
) -> None:
    found = classify(proteins, model, tmp_path / "o.jsonl", "--search", search, "--threads", "2")
    released = taxoformer.read(write(tmp_path / "release"))
    network, mapping = net.Published.of(released), released.mapping
    assert [one["record"] for one in found] == list(PROTEINS)
    for one, sequence in zip(found, PROTEINS.values(), strict=True):
        z = made.pooled(NETWORK, made.states(ENCODER, sequence.rstrip("*")))
        z_D = torch.tensor(z, dtype=torch.float32)
        greedy = mapping.decode(network.greedy(z_D[None])[0].tolist())
        names = {
            "published": net.leaf_reconstruct(mapping, greedy), "greedy": greedy,
            "min-edit": net.min_edit(network, mapping, z_D, greedy), "published-beam": net.beam(network, mapping, z_D)[0][0],
        }[search]  # fmt: skip
        assert [taxon["name"] for taxon in one["lineage"]] == list(names)
        assert {taxon["rank"] for taxon in one["lineage"]} <= {"no rank"}
        if names:
            sure = [taxon["confidence"] for taxon in one["lineage"]]
            assert sure == pytest.approx(slow_confidence(network, mapping, z_D, names), rel=1e-3, abs=1e-6)
            assert sure == sorted(sure, reverse=True)
            assert (one["stopped"], one["cut"]) == ("named", len(names))
        else:
            assert one["reason"] == "the published code gives no name"


def test_a_name_counts_with_the_bins_before_it_and_none_out_of_its_place(case: Any) -> None:
    network, mapping, tree, z = case
    random = np.random.default_rng(4)
    everyone = [name for some in mapping.names for name in some]
    paths = [tuple(tree.names[n] for n in tree.path(int(node))) for node in random.integers(0, len(tree), 40)]
    paths += [path[i + 1 :] for i, path in enumerate(paths[:20]) if len(path) > i + 1]  # levels passed over
    paths += [(*path[:-1], str(random.choice(everyone)), path[-1]) for path in paths[:20] if path] + [("nobody",)]
    zeros = 0
    for row, path in enumerate(paths):
        found = taxoformer_model.probabilities(network, mapping, z[row % 3], path)
        assert found == pytest.approx(slow_confidence(network, mapping, z[row % 3], path), rel=1e-3)
        zeros += 0 in found
    assert 1 < zeros < len(paths)


def test_batch_mates_and_an_ensemble_of_equals_change_nothing(model: Path) -> None:
    records = [SequenceRecord(id, sequence) for id, sequence in PROTEINS.items()]
    predictor = load(model)

    def sure(some: Sequence[Prediction]) -> list[tuple[float, ...]]:
        return [(*p.confidence, *p.novelty) for p in some]

    together = sure(predictor.predict(records))
    for one, record in zip(together, records, strict=True):
        assert sure(predictor.predict([record]))[0] == pytest.approx(one, abs=1e-5)
    for one, other in zip(together, sure(load(model, model).predict(records)), strict=True):
        assert other == pytest.approx(one, abs=1e-5)


def test_proteins_of_a_contig_vote(proteins: Path, model: Path, tmp_path: Path, capsys: Any) -> None:
    table = tmp_path / "groups.tsv"
    table.write_text("".join(f"{id}\t{id.partition('_')[0]}\n" for id in PROTEINS))
    found = classify(proteins, model, tmp_path / "o.jsonl", "--group-by", str(table))
    assert [one["record"] for one in found] == ["c0", "c1"]
    arguments = ["--model", str(model), "--group-by", str(table), "--search", "greedy"]
    assert main(["classify", str(proteins), *arguments]) == 2
    assert "--search greedy for groups of proteins. Expected descend, end or beam." in capsys.readouterr().err


def test_long_proteins_are_said_to_be_cut(proteins: Path, model: Path, tmp_path: Path, capsys: Any) -> None:
    classify(proteins, model, tmp_path / "o.jsonl")
    longer = sum(len(sequence) > made.LIMIT for sequence in PROTEINS.values())
    assert f"{longer} records fill the model's window" in capsys.readouterr().err


def test_what_was_converted_is_said(tmp_path: Path, capsys: Any) -> None:
    release = write(tmp_path / "release", own_encoder=None)
    save_file(made.encoder(), tmp_path / "esm.safetensors")
    assert convert(release, "--encoder", tmp_path / "esm.safetensors", "--out", tmp_path / "model") == 0
    said = capsys.readouterr().err
    for line in taxoformer.collisions(taxoformer.read(release).mapping).lines():
        assert line in said
    assert "4 names have no parent in the table of children, so they are left out of the tree: 'Foo, bar'" in said
    assert "105,600 parameters, 75 taxa" in said
    kept = checkpoint.load(tmp_path / "model")
    assert kept.model["parameters"] == 105_600
    assert set(kept.origin["encoder"]["sha256"]) == {"esm.safetensors"}
    assert set(kept.origin["sha256"]) == set(taxoformer.FILES)
    assert kept.mapping is not None
    assert taxoformer.Mapping.from_json(kept.mapping).to_json() == taxoformer.read(release).mapping.to_json()
    checkpoint.save(kept, tmp_path / "model")  # a model may be written over
    assert "mapping.json" in checkpoint.digests(tmp_path / "model")
    assert main(["describe", str(tmp_path / "model")]) == 0
    said = capsys.readouterr().out
    for part in ("encoder  40,840", "pooling  8280", "decoder  56,480", "trained_steps", "collisions"):
        assert part in said
    assert ["below", "several", "parents", "2", "Twin,", "P", "V1"] in [line.split() for line in said.splitlines()]


def test_the_same_model_with_its_own_encoder_or_another_file_s(model: Path, tmp_path: Path) -> None:
    release = write(tmp_path / "release", own_encoder=None)
    (tmp_path / "esm").mkdir()
    save_file(made.as_hugging_face(made.encoder(), "esm."), tmp_path / "esm" / "model.safetensors")
    assert convert(release, "--encoder", tmp_path / "esm", "--out", tmp_path / "model") == 0
    one, other = checkpoint.load(model).tensors, checkpoint.load(tmp_path / "model").tensors
    assert {k for k in one if not k.endswith("inv_freq")} == set(other)
    assert all((one[name] == other[name]).all() for name in other)


def test_an_encoder_is_fetched_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    asked = []

    def fetch(repository: str, file: str, revision: str | None) -> Path:
        asked.append((repository, file, revision))
        path = tmp_path / "hub" / file
        path.parent.mkdir(exist_ok=True)
        if file == "config.json":
            raise UserError("cannot be fetched")
        save_file(made.as_hugging_face(made.encoder(), "esm."), path)
        return path

    monkeypatch.setattr("linnet.released.source._download", fetch)
    release = write(tmp_path / "release", own_encoder=None)
    assert convert(release, "--encoder", "hf://facebook/esm2@abc", "--out", tmp_path / "model") == 0
    assert asked == [("facebook/esm2", "model.safetensors", "abc"), ("facebook/esm2", "config.json", "abc")]
    assert checkpoint.load(tmp_path / "model").origin["encoder"]["from"] == "hf://facebook/esm2@abc"
    assert convert(release, "--encoder", "hf://facebook", "--out", tmp_path / "model") == 2
    assert "Expected a folder, a file, or hf://OWNER/REPOSITORY[@REVISION]" in capsys.readouterr().err


# ---------------------------------------------------------------------- what can be wrong


def test_a_release_without_its_encoder_asks_for_one(tmp_path: Path, capsys: Any) -> None:
    release = write(tmp_path / "release", own_encoder=None)
    assert convert(release, "--out", tmp_path / "model") == 1
    said = capsys.readouterr().err
    assert "leaves its encoder out, esm2_t2_tiny. Give it with --encoder:" in said
    assert "hf://facebook/esm2_t2_tiny" in said
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["taxoformer", "a", "b"], "2 folders. Expected one release of TaxoFormer at a time"),
        (["taxoformer", "a", "--region", "V4"], "--region for taxoformer. Expected it for deeptaxa. Leave it out."),
        (["deeptaxa", "a", "--taxonomy", "t", "--encoder", "e"], "--encoder for deeptaxa"),
        (["deeptaxa", "a"], "no --taxonomy. Expected --taxonomy TABLE"),
    ],
)
def test_flags_of_another_system_are_refused(tmp_path: Path, capsys: Any, arguments: list[str], message: str) -> None:
    assert main(["convert", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_released_files_are_checked_against_the_sums_beside_them(tmp_path: Path, capsys: Any) -> None:
    release = write(tmp_path / "release")
    (release / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n")
    assert convert(release, "--out", tmp_path / "model") == 1
    assert "is not the file that" in capsys.readouterr().err


def test_a_tree_without_a_first_level_is_refused() -> None:
    with pytest.raises(UserError, match="no names of level 1"):
        taxoformer_model.tree(taxoformer.Mapping((("A",),), {"A": 12}, (2,), {}))


@pytest.mark.parametrize("way", WAYS)
def test_published_searches_of_another_model_are_refused(way: str, proteins: Path, model: Path, capsys: Any) -> None:
    assert main(["classify", str(proteins), "--search", way]) == 2
    assert f"--search {way} asked of a model of genes" in capsys.readouterr().err
    kept = checkpoint.load(model)
    with pytest.raises(UserError, match=f"--search {way} asked of a model that is not TaxoFormer's"):
        ProteinPredictor(replace(kept, model={**kept.model, "kind": "lineage"}), search=way)  # type: ignore[arg-type]
    both = ["--model", str(model), "--model", str(model)]
    assert main(["classify", str(proteins), *both, "--search", way]) == 2
    assert "asked of an ensemble. Expected one model converted from TaxoFormer" in capsys.readouterr().err


def test_settings_that_cannot_be_used_are_refused(proteins: Path, model: Path, capsys: Any) -> None:
    for flag, value in (("--device", "nowhere"), ("--precision", "bf16"), ("--ranks", "published")):
        assert main(["classify", str(proteins), "--model", str(model), flag, value]) == 2
        assert f"{flag}" in capsys.readouterr().err


def test_missing_libraries_are_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        UserError, match=r"'transformers', which is not installed. Install it with: pip install 'linnet\["
    ):
        load(model)


@pytest.mark.parametrize("change", ["no mapping", "another mapping", "no head", "no encoder", "strange settings"])
def test_a_model_that_does_not_fit_together_is_refused(model: Path, change: str) -> None:
    kept = checkpoint.load(model)
    tensors, described, mapping = dict(kept.tensors), dict(kept.model), dict(kept.mapping or {})
    if change == "another mapping":
        mapping["names"] = [[name + "?" for name in some] for some in mapping["names"]]
        mapping["ids"] = {name + "?": id for name, id in mapping["ids"].items()}
    elif change == "no head":
        del tensors["decoder.output_head.bias"]
    elif change == "no encoder":
        tensors = {name: t for name, t in tensors.items() if not name.startswith("esm.")}
    elif change == "strange settings":
        described["config"] = {**described["config"], "more": 1}
    given = None if change == "no mapping" else mapping
    broken = checkpoint.Checkpoint(described, tensors, kept.taxonomy, kept.calibration, kept.origin, mapping=given)
    with pytest.raises(UserError, match="(?i)mapping|fit|esm-2"):
        ProteinPredictor(broken)
