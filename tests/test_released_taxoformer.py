"""TaxoFormer's released files: read without running them, and answered as the published code answers."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import taxoformer_files as made  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from linnet.errors import UserError  # noqa: E402
from linnet.released import taxoformer, taxoformer_names  # noqa: E402
from linnet.released import taxoformer_esm as esm  # noqa: E402
from linnet.released import taxoformer_net as net  # noqa: E402

NETWORK = made.numbers(made.network())
ENCODER = made.numbers(made.encoder())


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> taxoformer.Released:
    return taxoformer.read(made.write(tmp_path_factory.mktemp("release")))


@pytest.fixture(scope="module")
def network(released: taxoformer.Released) -> net.Published:
    return net.Published.of(released)


@pytest.fixture(scope="module")
def vectors() -> Any:
    """z of a few proteins, by the plain recomputation."""
    return torch.tensor(np.array([made.pooled(NETWORK, made.states(ENCODER, one)) for one in made.PROTEINS]),
                        dtype=torch.float32)  # fmt: skip


def built(encoder: esm.Encoder | None) -> Any:
    pytest.importorskip("transformers")
    assert encoder is not None
    return esm.build(encoder)


def size(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# numbers


def test_states_and_vectors_are_those_of_a_plain_recomputation(
    released: taxoformer.Released, network: net.Published
) -> None:
    model = built(released.encoder)
    for protein in made.PROTEINS:
        states_BLD = esm.states(model, [protein], released.config.max_seq_len_esm)
        expected_LD = made.states(ENCODER, protein)
        assert states_BLD.shape == (1, min(len(protein), made.LIMIT) + 2, made.D)
        assert np.abs(states_BLD[0].numpy() - expected_LD).max() < 1e-4
        assert np.abs(network.features(states_BLD)[0].numpy() - made.pooled(NETWORK, expected_LD)).max() < 1e-4


def test_batch_mates_change_a_vector_as_published(released: taxoformer.Released, network: net.Published) -> None:
    model = built(released.encoder)
    alone = network.features(esm.states(model, ["GG"], made.LIMIT))[0].numpy()
    beside = network.features(esm.states(model, ["GG", made.PROTEINS[0]], made.LIMIT))[0].numpy()
    padded = made.pooled(NETWORK, made.states(ENCODER, "GG", padding=len(made.PROTEINS[0]) - 2))
    assert np.abs(beside - padded).max() < 1e-4
    assert np.abs(beside - alone).max() > 0.01


def test_letters_are_read_as_esm_2_reads_them() -> None:
    ids, real = esm.residues(["lJx*-", "M" * 2000])
    assert ids[0, :8].tolist() == [0, 4, 3, 24, 3, 30, 2, 1]
    assert list(esm.LETTERS) == made.LETTERS
    assert real.sum(dim=1).tolist() == [7, 1024]
    assert ids[1, [0, 1, 1022, 1023]].tolist() == [0, 20, 20, 2]


def test_logits_are_those_of_a_plain_recomputation(network: net.Published, vectors: Any) -> None:
    random = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, made.V, (len(vectors), 6), generator=random)
    with torch.no_grad():
        found = network.logits(vectors, tokens).numpy()
    for row, z in enumerate(vectors.double().numpy()):
        expected = [made.logits(NETWORK, z, tokens[row, :slot].tolist()) for slot in range(6)]
        assert np.abs(found[row] - np.array(expected)).max() < 1e-4


def test_greedy_takes_the_likeliest_id_of_each_slot(network: net.Published, vectors: Any) -> None:
    found = network.greedy(vectors).tolist()
    for row, z in zip(found, vectors.double().numpy(), strict=True):
        tokens: list[int] = []
        for _ in range(6):
            tokens.append(int(made.logits(NETWORK, z, tokens).argmax()))
        assert row == tokens
    assert len({tuple(row) for row in found}) > 1


def test_the_cache_changes_no_token(network: net.Published) -> None:
    z = torch.randn(50, made.D, generator=torch.Generator().manual_seed(4))
    tokens = network.greedy(z)
    assert (tokens == network.greedy_cached(z)).all()
    assert len({tuple(row) for row in tokens.tolist()}) > 20


def test_published_sizes_have_the_published_parameter_counts() -> None:
    config = taxoformer.Config()
    with torch.device("meta"):
        published = net.Published(config, range(1, 119))
    assert size(published.feature_extractor) == 8_200_960
    assert size(published.decoder) == 143_570_840
    assert size(published) == 151_771_800
    shapes = {name: tuple(parameter.shape) for name, parameter in published.named_parameters()}
    assert shapes == taxoformer.shapes(config)


def test_the_published_encoder_has_the_published_parameter_count() -> None:
    assert sum(math.prod(shape) for shape in esm._shapes(1280, 33, 5120).values()) == 649_400_320
    transformers = pytest.importorskip("transformers")
    config = transformers.EsmConfig(vocab_size=33, hidden_size=1280, num_hidden_layers=33, num_attention_heads=20,
                                    intermediate_size=5120, position_embedding_type="rotary", pad_token_id=1,
                                    mask_token_id=32)  # fmt: skip
    with torch.device("meta"):
        body, whole = transformers.EsmModel(config, add_pooling_layer=False), transformers.EsmForMaskedLM(config)
    assert size(body) - size(body.contact_head) == 649_400_320
    assert size(whole) + 151_771_800 == 802_815_054


# the encoder's files


def places(folder: Path) -> Iterator[tuple[str, Path]]:
    """One encoder in every layout that is read."""
    folder.mkdir()
    heads = {"model_type": "esm", "num_attention_heads": made.ESM_HEADS, "position_embedding_type": "rotary"}
    fair = made.encoder() | made.extras()
    for name, prefix in (("hugging face, as a masked language model", "esm."), ("hugging face, the body", "")):
        (folder / name).mkdir()
        unused = {"lm_head.bias": torch.zeros(33), f"{prefix}embeddings.position_embeddings.weight": torch.zeros(9, 40)}
        save_file(made.as_hugging_face(made.encoder(), prefix) | unused, folder / name / "model.safetensors")
        (folder / name / "config.json").write_text(json.dumps(heads))
        yield name, folder / name
    save_file(fair, folder / "plain.safetensors")
    yield "fair-esm, safetensors", folder / "plain.safetensors"
    renamed = {
        ("encoder." if name.startswith("lm") else "encoder.sentence_encoder.") + name: t for name, t in fair.items()
    }
    settings = argparse.Namespace(encoder_attention_heads=made.ESM_HEADS, token_dropout=True)
    (folder / "fair").mkdir()
    torch.save({"model": renamed, "cfg": {"model": settings}}, folder / "fair" / "esm2_t2.pt")
    torch.save({"model": {}}, folder / "fair" / "esm2_t2-contact-regression.pt")
    yield "fair-esm, .pt", folder / "fair" / "esm2_t2.pt"
    yield "fair-esm, folder", folder / "fair"
    (folder / "parts").mkdir()
    names = sorted(fair)
    for part in (0, 1):
        some = {name: fair[name] for name in names[part::2]}
        save_file(some, folder / "parts" / f"model-0000{part + 1}-of-00002.safetensors")
    yield "safetensors, in parts", folder / "parts"


def test_an_encoder_is_the_same_from_every_file(tmp_path: Path, released: taxoformer.Released) -> None:
    expected = esm.states(built(released.encoder), made.PROTEINS)
    folder = made.write(tmp_path / "release", own_encoder=None)
    assert taxoformer.read(folder).encoder is None
    for name, place in places(tmp_path / "encoders"):
        found = taxoformer.read(folder, place)
        assert (esm.states(built(found.encoder), made.PROTEINS) == expected).all(), name


def test_the_encoders_own_file_says_how_many_heads(tmp_path: Path) -> None:
    for name, place in places(tmp_path / "encoders"):
        if "safetensors" in name:
            with pytest.raises(UserError, match='attention heads.*"esm_heads": NUMBER'):
                esm.read(place)
        else:
            assert esm.read(place).heads == made.ESM_HEADS, name


def test_a_hugging_face_model_gives_its_own_states(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.EsmConfig(vocab_size=33, hidden_size=24, num_hidden_layers=3, num_attention_heads=4,
                                    intermediate_size=50, position_embedding_type="rotary", pad_token_id=1,
                                    mask_token_id=32, layer_norm_eps=1e-5, token_dropout=True,
                                    emb_layer_norm_before=False)  # fmt: skip
    torch.manual_seed(5)
    theirs = transformers.EsmForMaskedLM(config).eval()
    theirs.save_pretrained(tmp_path)
    ids, mask = esm.residues(made.PROTEINS)
    with torch.no_grad():
        expected = theirs.esm(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    assert torch.allclose(esm.states(esm.build(esm.read(tmp_path)), made.PROTEINS), expected, atol=1e-6)


@pytest.mark.parametrize("wrapped", [False, True])
def test_low_rank_factors_are_merged(tmp_path: Path, wrapped: bool) -> None:
    random = torch.Generator().manual_seed(6)
    a, b = torch.randn(made.D, 8, generator=random) * 0.1, torch.randn(8, made.D, generator=random) * 0.1
    layers = ("esm_model.layers.1.self_attn.q_proj", "feature_extractor.q_proj")
    factors = {f"{layer}.lora_{which}": t.clone() for layer in layers for which, t in (("A", a), ("B", b))}
    folder = made.write(tmp_path, more=factors)
    if wrapped:  # as an adapter's own layer keeps the layer it wraps
        state = load_file(folder / "model.safetensors")
        for kind in ("weight", "bias"):
            state[f"{layers[0]}.wrapped.{kind}"] = state.pop(f"{layers[0]}.{kind}")
        save_file(state, folder / "model.safetensors")
    found = taxoformer.read(folder)
    added = (2.0 * a @ b).T.double().numpy()
    encoder = ENCODER | {"layers.1.self_attn.q_proj.weight": ENCODER["layers.1.self_attn.q_proj.weight"] + added}
    pooling = NETWORK | {"feature_extractor.q_proj.weight": NETWORK["feature_extractor.q_proj.weight"] + added}
    states_BLD = esm.states(built(found.encoder), ["MKTAY"])
    expected_LD = made.states(encoder, "MKTAY")
    assert np.abs(states_BLD[0].numpy() - expected_LD).max() < 1e-4
    z = net.Published.of(found).features(states_BLD)[0].numpy()
    assert np.abs(z - made.pooled(pooling, expected_LD)).max() < 1e-4
    assert found.notes == ("model.safetensors: low-rank factors of 2 layers, merged",)


# names


def bins_of(level: int) -> list[int]:
    return [slot for slot, one in enumerate(made.tables()[0]["level_positions"]) if one == level]


def slow_encode(path: tuple[str, ...]) -> list[int]:
    tables = made.tables()[0]
    tokens = [0] * 6
    for level, name in enumerate(path, start=1):
        right = next(slot for slot in bins_of(level) if name in tables["level_mapping"][slot])
        for slot in bins_of(level):
            tokens[slot] = 1 if slot < right else tables["token2id"][name] if slot == right else 0
    if max(bins_of(len(path))) < 5:
        tokens[max(bins_of(len(path))) + 1] = 2
    return tokens


def slow_decode(tokens: list[int]) -> tuple[str, ...]:
    tables, names, done = made.tables()[0], [], set()
    for slot, token in enumerate(tokens):
        level = tables["level_positions"][slot]
        if token == 2:
            break
        known = [name for name in tables["level_mapping"][slot] if tables["token2id"][name] == token]
        if token > 1 and known and level not in done:
            names.append(known[-1])
            done.add(level)
    return tuple(names)


def test_paths_are_encoded_and_decoded_as_published(released: taxoformer.Released) -> None:
    mapping, lost = released.mapping, 0
    for path in made.paths():
        tokens = mapping.encode(path).tolist()
        assert tokens == slow_encode(path)
        assert mapping.decode(tokens) == slow_decode(tokens)
        lost += mapping.decode(tokens) != path
    assert lost == 2 + 6 + 2 + 1  # both Twin, whose id is ABSENT; the six below; both "Foo, bar", hidden; and G V110 a


def test_any_tokens_are_decoded_as_published(released: taxoformer.Released) -> None:
    random = np.random.default_rng(7)
    for tokens in random.integers(0, made.V, (500, 6)).tolist():
        assert released.mapping.decode(tokens) == slow_decode(tokens)


def test_collisions_are_those_that_a_slow_search_finds(released: taxoformer.Released) -> None:
    tables, rows = made.tables()
    ids, slots = tables["token2id"], tables["level_mapping"]
    entries = [(slot, name) for slot, some in enumerate(slots) for name in some if not name.startswith("CONT_")]
    names = {name for _, name in entries}
    children = dict(rows)
    kinds = dict.fromkeys(("same_id", "special", "places", "parents", "unknown", "undecodable"), 0)
    for slot, name in entries:
        later = [other for other in slots[slot][slots[slot].index(name) + 1 :] if ids[other] == ids[name]]
        kinds["same_id"] += bool(later)
        level = tables["level_positions"][slot]
        tokens = [1 if one in bins_of(level) and one < slot else 0 for one in range(6)]
        tokens[slot] = ids[name]
        kinds["undecodable"] += slow_decode(tokens) != (name,)
    for name in names:
        kinds["special"] += ids[name] < 3
        kinds["places"] += sum(name == other for _, other in entries) > 1
        kinds["parents"] += sum(name in some.split(",") for some in children.values()) > 1
    below = {child.strip() for some in children.values() for child in some.split(",")}
    kinds["unknown"] = len(below - names)
    found = taxoformer.collisions(released.mapping)
    assert {kind: getattr(found, kind).number for kind in kinds} == kinds
    assert min(kinds.values()) > 0
    assert (found.entries, found.repeated.examples) == (len(entries), ("Twin",))
    assert found.unknown.examples == ("Foo", "bar")
    assert any("2 names stand in the table of children and in no level" in line for line in found.lines())


def test_a_code_without_collisions_says_so() -> None:
    mapping = taxoformer.Mapping((("A",), ("B", "C")), {"A": 12, "B": 13, "C": 14}, (1, 2), {"A": ("B", "C")})
    assert taxoformer.collisions(mapping).lines() == ["All 3 names can be read back."]


def test_entries_that_stand_for_special_ids_are_no_names(tmp_path: Path) -> None:
    ids = {"<PAD>": 0, "[CONT]": 1, "STOP": 2, "more of level 2": 1, "Padina": 2, "Contia": 1, "A": 12, "B": 13}
    slots = [["<PAD>", "[CONT]", "STOP", "A"], ["Padina", "Contia"], ["more of level 2", "B"]]
    (tmp_path / "m.json").write_text(
        json.dumps({"level_mapping": slots, "level_positions": [1, 2, 2], "token2id": ids})
    )
    (tmp_path / EDGES).write_text("Parent,Children\nA,B\n")
    mapping = taxoformer_names.read(tmp_path / "m.json", tmp_path / EDGES, slots=3, levels=2, vocabulary=40)
    assert mapping.names == (("A",), ("Padina", "Contia"), ("B",))
    assert taxoformer.collisions(mapping).special.examples == ("Padina", "Contia")


def test_a_name_of_another_level_cannot_be_encoded(released: taxoformer.Released) -> None:
    with pytest.raises(UserError, match="'P C0' is no name of level 1"):
        released.mapping.encode(["P C0"])


# the published ways of reading a lineage


def log_softmax(x: made.Array) -> made.Array:
    return x - x.max() - math.log(np.exp(x - x.max()).sum())


def slow_scores(z: made.Array, tokens: list[int]) -> made.Array:
    return np.array([log_softmax(made.logits(NETWORK, z, tokens[:slot])) for slot in range(len(tokens))])


def allowed(parent: str, child: str) -> bool:
    children = dict(made.tables()[1])
    return parent not in children or child in children[parent].split(",")


def test_min_edit_mends_names_that_may_not_follow(
    released: taxoformer.Released, network: net.Published, vectors: Any
) -> None:
    mapping = released.mapping
    astray = ("Viruses", "P C1", "C V10", "G C000", "Twin 0 b")
    late = ("Viruses", "P V1", "C V11", "G V111", "Twin 0 b")  # to be replaced by a name of its level's second bin
    more = torch.randn(30, made.D, generator=torch.Generator().manual_seed(8)) * 3
    for z, greedy in itertools.product(torch.cat([vectors, more]), (astray, late)):
        found = net.min_edit(network, mapping, z, greedy)
        path = ["Viruses"]
        for level, name in enumerate(greedy[1:], start=2):
            if not allowed(path[-1], name):
                tokens = [0] * 6
                for at, one in enumerate(path, start=1):
                    tokens[at - 1] = mapping.ids[one]
                for slot in bins_of(level):
                    tokens[slot] = 1
                scores, best = slow_scores(z.double().numpy(), tokens), []
                for child in dict(made.tables()[1])[path[-1]].split(","):
                    at = [slot for slot in bins_of(level) if child in mapping.names[slot]]
                    best += [(scores[at[0], mapping.ids[child]], child)] if at else []
                name = max(best)[1]
            path.append(name)
        assert found == tuple(path)
        assert all(allowed(*pair) for pair in zip(found, found[1:], strict=False))
    assert net.min_edit(network, mapping, vectors[0], ("Cells", "P C0")) == ("Cells", "P C0")


def every_path(mapping: taxoformer.Mapping, scores: made.Array, topn: int) -> list[tuple[float, tuple[str, ...]]]:
    """All paths of likely names that the table allows, with their sums, by trying each."""
    top = [set(np.argsort(-row)[:topn].tolist()) for row in scores]
    ends: list[tuple[float, tuple[str, ...]]] = []

    def grow(path: tuple[str, ...], score: float, level: int) -> None:
        if level > 5:
            ends.append((score, path))
            return
        slots = bins_of(level)
        names = [(scores[slot, id], mapping.name_of[slot][id]) for slot in slots for id in top[slot]
                 if id > 2 and id in mapping.name_of[slot]]  # fmt: skip
        right = [(s, name) for s, name in names if not path or allowed(path[-1], name)]
        if 2 in top[slots[0]]:
            ends.append((score + scores[slots[0], 2], path))
        elif names and not right:
            ends.append((score, path))
        if not names:
            grow(path, score, level + 1)
        for s, name in right:
            grow((*path, name), score + s, level + 1)

    grow((), 0.0, 1)
    return ends


def test_the_beam_finds_the_best_path_of_likely_names(
    released: taxoformer.Released, network: net.Published, vectors: Any
) -> None:
    lengths = set()
    for z in vectors:
        scores = slow_scores(z.double().numpy(), network.greedy(z[None])[0].tolist())
        for topn in (5, 12, made.V):
            best_score, best = max(every_path(released.mapping, scores, topn))
            found = net.beam(network, released.mapping, z, k=30, topn_bin=topn)
            assert found[0] == (best, pytest.approx(best_score, abs=1e-4))
            assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
            lengths.add(len(best))
    assert len(lengths) > 1


class Fixed:
    """A network that gives the same probabilities whatever came before."""

    def __init__(self, p_SV: list[list[float]]) -> None:
        self.log_p_SV = torch.tensor(p_SV).log()

    def greedy_cached(self, z: Any) -> Any:
        return self.log_p_SV.argmax(dim=1)[None]

    def logits(self, z: Any, tokens: Any) -> Any:
        return self.log_p_SV[None]


def test_the_beam_keeps_three_names_of_a_level_for_each_answer() -> None:
    ids = {name: id for id, name in enumerate("ABCDEFGH", start=3)}
    below = {"A": ("E",), "B": ("F",), "C": ("G",), "D": ("H",)}
    mapping = taxoformer.Mapping((tuple("ABCD"), tuple("EFGH")), ids, (1, 2), below)
    rare = 1e-9
    network: Any = Fixed([[rare, rare, rare, 0.4, 0.3, 0.2, 0.1, *[rare] * 4], [*[rare] * 7, 0.02, 0.06, 0.02, 0.9]])
    one, two = (net.beam(network, mapping, torch.zeros(4), k=k, topn_bin=4) for k in (1, 2))
    assert one == [(("B", "F"), pytest.approx(math.log(0.3 * 0.06)))]
    assert [path for path, _ in two] == [("D", "H"), ("B", "F")]


def test_a_leaf_is_climbed_from_by_name(released: taxoformer.Released) -> None:
    mapping = released.mapping
    whole = ("Viruses", "P V0", "C V01", "G V010", "G V010 b")
    assert net.leaf_reconstruct(mapping, ("Cells", "P C0", "G V010 b")) == whole
    assert net.leaf_reconstruct(mapping, ("Twin",)) == ("Cells", "P C0", "C C01", "Twin")
    assert net.leaf_reconstruct(mapping, ("C C11", "Twin")) == ("Cells", "P C1", "C C11", "Twin")
    assert net.leaf_reconstruct(mapping, ("Twin", "nobody")) == ("Cells", "P C0", "C C01", "Twin")
    assert net.leaf_reconstruct(mapping, ("nobody",)) == ("nobody",)
    circle = taxoformer.Mapping((("A", "B"),), {"A": 12, "B": 13}, (1,), {"A": ("B",), "B": ("A",)})
    assert net.leaf_reconstruct(circle, ("A",)) == ("B", "A")


def test_confidence_is_the_geometric_mean_of_the_names_probabilities(
    released: taxoformer.Released, network: net.Published, vectors: Any
) -> None:
    mapping = released.mapping
    for path in (("Viruses", "P V1", "C V10", "G V100"), ("Cells", "P C0", "C C00", "G C000", "G V111 c")):
        tokens = [mapping.ids[name] for name in path[:4]] + ([2, 0] if len(path) == 4 else [1, mapping.ids[path[4]]])
        scores = slow_scores(vectors[0].double().numpy(), tokens)
        logs = [scores[slot if slot < 4 else 5, mapping.ids[name]] for slot, name in enumerate(path)]
        assert net.confidence(network, mapping, vectors[0], path) == pytest.approx(math.exp(np.mean(logs)), rel=1e-4)
        assert net.confidence(network, mapping, vectors[0], path, levels=2) == pytest.approx(
            math.exp(np.mean(logs[:2])), rel=1e-4
        )
    missing = slow_scores(vectors[0].double().numpy(), [mapping.ids["Cells"], 1, 2, 0, 0, 0])
    alone = math.exp(missing[0, mapping.ids["Cells"]])
    assert net.confidence(network, mapping, vectors[0], ("Cells", "nobody")) == pytest.approx(alone, rel=1e-4)
    assert net.confidence(network, mapping, vectors[0], ("nobody",)) == 0


# what can be wrong with a folder


def weights(**changes: Any) -> Callable[[Path], None]:
    """Weights changed, or left out (None); double underscores stand for points."""

    def damage(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        for name, tensor in changes.items():
            state.pop(name.replace("__", "."), None)
            state |= {} if tensor is None else {name.replace("__", "."): tensor}
        save_file(state, folder / "model.safetensors")

    return damage


def edited(name: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return damage


def setting(**changes: Any) -> Callable[[Path], None]:
    return edited("config.json", lambda content: content.update(changes))


def tables(change: Callable[[Any], None]) -> Callable[[Path], None]:
    return edited("phylo2_mapping.json", change)


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    return lambda folder: (
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content) and None
    )


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def pickled_instead(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


EDGES = "parent_to_child_mapping.csv"
Q1 = "esm_model__layers__0__self_attn__q_proj"
FLAWS: list[tuple[str, Callable[[Path], None], str]] = [
    *((f"no {name}", without(name), f"{name}: no such file") for name in ("config.json", "model.safetensors", "phylo2_mapping.json", EDGES)),
    ("config of something else", text("config.json", "[]"), "config.json: holds a list"),
    ("config cut short", text("config.json", '{"embed'), "config.json: is not JSON"),
    ("width as text", setting(embed_dim="40"), "embed_dim is '40'. Expected a whole number of at least 1"),
    ("no layers", setting(decoder_layers=0), "decoder_layers is 0"),
    ("a true number", setting(decoder_layers=True), "decoder_layers is True"),
    ("dropout as text", setting(dropout="x"), "dropout is 'x'. Expected a number"),
    ("name as number", setting(esm_model_name=3), "esm_model_name is 3. Expected a name"),
    ("heads that do not fit", setting(decoder_heads=3), "embed_dim 40 with 3 decoder_heads"),
    ("start outside", setting(bos_token_id=40), "bos_token_id is 40. Expected less than vocab_size, 40"),
    ("another width", setting(embed_dim=80), r"have shape \(40, 40\). Expected \(40, 80\), by the release's own settings"),
    ("another encoder", setting(esm_model_name="esm2_t33_650M_UR50D"), "2 layers of width 40. Expected esm2_t33_650M_UR50D, 33 layers"),
    ("odd encoder heads", setting(esm_heads=40), "a width of 40 with 40 heads"),
    ("other slots", setting(taxonomy_seq_length=7), "has 6 slots and the levels of 6. Expected 7 of both"),
    ("fewer levels", setting(num_levels=4), "slot 4 belongs to level 5. Expected levels from 1 to 4"),
    ("fewer ids", setting(vocab_size=30), "has the id 3[0-9]. Expected 0 to 29"),
    ("no safetensors", text("model.safetensors", b"\x80\x02}q\x00."), "model.safetensors: is not a safetensors file"),
    ("pickle only", pickled_instead, "as safetensors, not as pytorch_model.bin"),
    ("weights missing", weights(decoder__output_head__bias=None), "has no weights decoder.output_head.bias"),
    ("weights misshapen", weights(decoder__output_head__bias=torch.zeros(3)), r"decoder.output_head.bias have shape \(3,\). Expected \(40,\)"),
    ("no numbers", weights(decoder__output_head__bias=torch.full((40,), math.nan)), "are not all numbers"),
    ("decoder too long", weights(decoder__more__bias=torch.zeros(3)), "do not provide for, 'decoder.more.bias'"),
    ("strange weights", weights(classifier__bias=torch.zeros(3)), "that no TaxoFormer has, 'classifier.bias'"),
    ("encoder with a gap", weights(**{f"{Q1}__bias": None}), "has no weights encoder.layer.0.attention.self.query.bias"),
    ("encoder without letters", weights(esm_model__embed_tokens__weight=None), "has no embedding of residues. Expected embed_tokens.weight"),
    ("encoder misshapen", weights(**{f"{Q1}__bias": torch.zeros(3)}), r"query.bias have shape \(3,\)"),
    ("encoder of other letters", weights(esm_model__embed_tokens__weight=torch.zeros(20, 40)), r"embeds residues as \(20, 40\)"),
    ("two encoders", weights(teacher__embed_tokens__weight=torch.zeros(33, 40)), "two weights that would both be embeddings.word"),
    ("rotary of other heads", weights(**{f"esm_model__layers__{n}__self_attn__rot_emb__inv_freq": torch.ones(2) for n in (0, 1)}), "has 2 rotary frequencies. Expected 1"),
    ("one factor", weights(**{f"{Q1}__lora_A": torch.zeros(40, 8)}), "holds lora_A of .*q_proj alone"),
    ("factors of another rank", weights(**{f"{Q1}__lora_A": torch.zeros(40, 4), f"{Q1}__lora_B": torch.zeros(4, 40)}), r"shape \(40, 4\). Expected \(width, 8\)"),
    ("factors that do not fit", weights(**{f"{Q1}__lora_A": torch.zeros(40, 8), f"{Q1}__lora_B": torch.zeros(8, 41)}), r"\(40, 8\) and \(8, 41\). Expected \(40, r\)"),
    ("factors of nothing", weights(nothing__lora_A=torch.zeros(40, 8), nothing__lora_B=torch.zeros(8, 40)), "factors of nothing, which is no layer"),
    ("no ids", tables(lambda m: m.pop("token2id")), "lacks a dict 'token2id'"),
    ("mapping of something else", text("phylo2_mapping.json", "3"), "lacks a list 'level_mapping'"),
    ("no names", tables(lambda m: m.update(level_mapping=[[]] * 6)), "holds no names"),
    ("a slot of numbers", tables(lambda m: m["level_mapping"].__setitem__(2, [3])), "slot 2 is no list of names"),
    ("a name without id", tables(lambda m: m["token2id"].pop("P C0")), "'P C0' of slot 1 has no id"),
    ("an id as text", tables(lambda m: m["token2id"].update({"P C0": "x"})), "'P C0' has the id 'x'. Expected 0 to 39"),
    ("levels out of order", tables(lambda m: m.update(level_positions=[1, 3, 2, 4, 5, 5])), "slot 2 belongs to level 2"),
    ("levels from nought", tables(lambda m: m.update(level_positions=[0, 1, 2, 3, 4, 4])), "slot 0 belongs to level 0"),
    ("edges of something else", text(EDGES, "a,b\n"), "the header is 'a,b'. Expected Parent,Children"),
    ("children without quotes", text(EDGES, "Parent,Children\nA,B,C\n"), "line 2: 3 columns. Expected 2, children in quotes"),
    ("edges not as text", text(EDGES, b"Parent,Children\n\xff\xfe,B\n"), "cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [pytest.param(d, m, id=name) for name, d, m in FLAWS])
def test_what_is_wrong_is_said(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    folder = made.write(tmp_path)
    damage(folder)
    with pytest.raises(UserError, match=message) as error:
        taxoformer.read(folder)
    assert str(tmp_path) in str(error.value)


class Harmful:
    def __reduce__(self) -> Any:
        return print, ("run",)


def test_encoder_files_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release = made.write(tmp_path / "release", own_encoder=None)

    def refused(path: Path, message: str) -> None:
        with pytest.raises(UserError, match=message) as error:
            taxoformer.read(release, path)
        assert str(tmp_path) in str(error.value)

    refused(tmp_path / "nowhere", "no such file or folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no files of weights")
    torch.save({"model": Harmful()}, tmp_path / "harmful.pt")
    refused(tmp_path / "harmful.pt", "could run code when read; it was not read")
    assert capsys.readouterr().out == ""
    (tmp_path / "cut.pt").write_bytes((tmp_path / "harmful.pt").read_bytes()[:50])
    refused(tmp_path / "cut.pt", "cut short|could run code")
    torch.save([1], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "is not laid out as fair-esm")
    save_file({"other.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    refused(tmp_path / "other.safetensors", "has weights that no ESM-2 has, 'other.weight'")
    for name, place in places(tmp_path / "encoders"):
        if name.startswith("hugging"):
            (place / "config.json").write_text('{"position_embedding_type": "absolute"}')
            refused(place, "position_embedding_type is 'absolute'. Expected 'rotary'")
            (place / "config.json").write_text("{")
            refused(place, "is not JSON")
    with pytest.raises(UserError, match="no such folder"):
        taxoformer.read(tmp_path / "nowhere")


def test_an_encoder_of_its_own_is_taken_first(tmp_path: Path) -> None:
    found = taxoformer.read(made.write(tmp_path), tmp_path / "other")
    assert found.encoder is not None
    assert any("other is not used" in note for note in found.notes)


def test_settings_that_are_missing_are_the_published_ones(tmp_path: Path) -> None:
    folder = made.write(tmp_path)
    setting(bos_token_id=None, trained_steps=9)(folder)
    config, facts = taxoformer._config(folder / "config.json")
    assert (config.bos_token_id, config.pooling_heads, facts["trained_steps"]) == (0, 5, 9)
    published = taxoformer.Config()
    assert (published.vocab_size, published.taxonomy_seq_length, published.num_levels) == (15_000, 118, 37)


def test_a_cell_of_very_many_children_is_read(tmp_path: Path) -> None:
    folder = made.write(tmp_path)
    with (folder / EDGES).open("w", newline="") as file:
        csv.writer(file).writerows([("Parent", "Children"), ("P C0", ",".join(f"child {i}" for i in range(50_000)))])
    before = csv.field_size_limit()
    assert len(taxoformer.read(folder).mapping.children["P C0"]) == 50_000
    assert csv.field_size_limit() == before
