"""Contigs through language models: which tokens are read, how their states are pooled, and a model trained here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet.__main__ import main
from linnet.embeddings import read_embeddings
from linnet.errors import UsageError, UserError
from linnet.records import SequenceRecord, reverse_complement
from linnet.windows import spread

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from linnet.encoders.genome_lm import Config, GenomeLM  # noqa: E402

CONTEXT = 128


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


CONTIGS = [SequenceRecord(f"c{i}", dna(n, i)) for i, n in enumerate((60, 5_003, 700, 299, 2_400))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers drawn at random, and a tokenizer learnt on random DNA, laid out as on the hub."""
    place = tmp_path_factory.mktemp("lm") / "tiny"
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=100, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([dna(500, 100 + i) for i in range(20)], trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    torch.manual_seed(1)
    config = transformers.MistralConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=CONTEXT, initializer_range=0.3,
    )  # fmt: skip
    transformers.MistralForCausalLM(config).save_pretrained(place)
    tokenizer.save(str(place / "tokenizer.json"))
    return place


def states(folder: Path, ids: list[int]) -> Any:
    """The last layer's states of one row of tokens, by itself, from the library."""
    body = transformers.MistralModel.from_pretrained(str(folder), dtype=torch.float32).eval()
    with torch.no_grad():
        return body(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()


def tokens(folder: Path, text: str) -> list[int]:
    return list(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_are_those_of_each_window_read_by_itself(folder: Path, pooling: Any) -> None:
    config = Config(windows=3, window=200, pooling=pooling)
    found = GenomeLM(str(folder), config).vectors(CONTIGS)
    for contig, vector in zip(CONTIGS, found, strict=True):
        by_strand = []
        for text in (contig.sequence, reverse_complement(contig.sequence)):
            rows = [states(folder, tokens(folder, text[w])) for w in spread(len(text), 200, 3)]
            if pooling == "mean":
                by_strand.append(np.concatenate(rows).mean(0))
            else:
                by_strand.append(np.mean([row[-1] for row in rows], axis=0))
        np.testing.assert_allclose(vector, np.mean(by_strand, axis=0), atol=1e-5)


def test_the_published_way_is_the_last_of_the_first_512_tokens_of_the_forward_strand(
    folder: Path, tmp_path: Path
) -> None:
    long = tmp_path / "long"
    shutil.copytree(folder, long)
    config = json.loads((long / "config.json").read_text())
    (long / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
    library = transformers.PreTrainedTokenizerFast(tokenizer_file=str(long / "tokenizer.json"))
    found = GenomeLM(str(long), Config(published=True)).vectors(CONTIGS)
    for contig, vector in zip(CONTIGS, found, strict=True):
        ids = library(contig.sequence, truncation=True, max_length=512)["input_ids"]
        assert len(ids) <= 512
        np.testing.assert_allclose(vector, states(long, ids)[-1], atol=1e-5)


def test_vectors_are_the_same_for_any_batch_and_company(folder: Path) -> None:
    whole = GenomeLM(str(folder), Config(window=150)).vectors(CONTIGS)
    for batch in (1, 200, 1_000):
        small = GenomeLM(str(folder), Config(window=150), batch_tokens=batch)
        np.testing.assert_allclose(small.vectors(CONTIGS), whole, atol=1e-5)
        np.testing.assert_allclose(small.vectors(CONTIGS[2:3]), whole[2:3], atol=1e-5)


def test_a_contig_and_its_other_strand_have_one_vector_unless_only_one_is_read(folder: Path) -> None:
    turned = [SequenceRecord("r", reverse_complement(CONTIGS[4].sequence))]
    both = GenomeLM(str(folder), Config(windows=3, window=400))
    np.testing.assert_allclose(both.vectors(turned), both.vectors(CONTIGS[4:5]), atol=1e-5)
    forward = GenomeLM(str(folder), Config(windows=3, window=400, strands="forward"))
    assert np.abs(forward.vectors(turned) - forward.vectors(CONTIGS[4:5])).max() > 0.01


def test_a_window_of_more_tokens_than_the_model_attends_to_is_read_in_parts(folder: Path) -> None:
    contig = CONTIGS[4]
    ids = tokens(folder, contig.sequence)
    parts = -(-len(ids) // CONTEXT)
    assert parts > 2
    rows = [states(folder, ids[i * len(ids) // parts : (i + 1) * len(ids) // parts]) for i in range(parts)]
    found = GenomeLM(str(folder), Config(strands="forward")).vectors([contig])[0]
    np.testing.assert_allclose(found, np.concatenate(rows).mean(0), atol=1e-5)


def test_gaps_and_ambiguity_codes_are_read_as_bases(folder: Path) -> None:
    lm = GenomeLM(str(folder), Config())
    gap = SequenceRecord("gap", CONTIGS[0].sequence[:30] + "N" * 5_000 + CONTIGS[0].sequence[30:])
    np.testing.assert_allclose(lm.vectors([gap]), lm.vectors(CONTIGS[:1]), atol=1e-5)
    unknown = tokens(folder, "[UNK]")[1]
    assert unknown not in lm._encoded(lm._texts("ACGTRYKMSWN" * 5)[0])[0]


def test_bfloat16_is_close_to_single_precision(folder: Path) -> None:
    exact = GenomeLM(str(folder), Config(window=150)).vectors(CONTIGS)
    rough = GenomeLM(str(folder), Config(window=150), precision="bf16").vectors(CONTIGS)
    assert 0 < np.abs(rough - exact).max() < 0.1


def test_weights_in_several_files_are_the_same_model(folder: Path, tmp_path: Path) -> None:
    body = transformers.MistralForCausalLM.from_pretrained(str(folder))
    body.save_pretrained(tmp_path, max_shard_size="20KB")
    shutil.copy(folder / "tokenizer.json", tmp_path)
    assert (tmp_path / "model.safetensors.index.json").exists() and len(list(tmp_path.glob("*.safetensors"))) > 2
    sharded = GenomeLM(str(tmp_path), Config(window=150))
    assert (sharded.vectors(CONTIGS) == GenomeLM(str(folder), Config(window=150)).vectors(CONTIGS)).all()
    next(tmp_path.glob("model-00002-of-*")).unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        GenomeLM(str(tmp_path))


def test_code_in_the_folder_is_not_run(folder: Path, tmp_path: Path) -> None:
    trapped = tmp_path / "trapped"
    shutil.copytree(folder, trapped)
    sprung = tmp_path / "sprung"
    (trapped / "modeling_trap.py").write_text(
        f"from pathlib import Path\nPath({str(sprung)!r}).touch()\n"
        "from transformers import MistralConfig as C, MistralModel as M\n"
    )
    auto = {"auto_map": {"AutoConfig": "modeling_trap.C", "AutoModel": "modeling_trap.M"}}
    for name in ("config.json", "tokenizer_config.json"):
        path = trapped / name
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | auto))
    found = GenomeLM(str(trapped), Config(window=150)).vectors(CONTIGS)
    assert (found == GenomeLM(str(folder), Config(window=150)).vectors(CONTIGS)).all()
    assert not sprung.exists()


def test_other_models_are_refused(folder: Path, tmp_path: Path) -> None:
    def changed(name: str, **values: Any) -> Path:
        place = tmp_path / name
        shutil.copytree(folder, place)
        config = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps(config | values))
        return place

    with pytest.raises(UserError, match="is a model of type 'llama'"):
        GenomeLM(str(changed("llama", model_type="llama")))
    with pytest.raises(UserError, match="weights are missing, 'layers.2"):
        GenomeLM(str(changed("deeper", num_hidden_layers=3)))
    with pytest.raises(UserError, match="cannot be loaded"):
        GenomeLM(str(changed("wider", hidden_size=64)))
    with pytest.raises(UserError, match="the tokenizer has 100 tokens, the model 50"):
        GenomeLM(str(changed("fewer", vocab_size=50)))
    pickled = changed("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match="has no safetensors.*Pickled weights"):
        GenomeLM(str(pickled))
    broken = changed("broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        GenomeLM(str(broken))
    unread = changed("unread")
    (unread / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="tokenizer.json: cannot be read"):
        GenomeLM(str(unread))
    with pytest.raises(UserError, match="config.json cannot be read"):
        GenomeLM(str(tmp_path / "nowhere"))


def test_models_of_the_hub_are_fetched_as_plain_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked: list[Any] = []

    def fetch(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        assert not any(p.endswith((".py", ".bin", "*", ".pt")) for p in allow_patterns)
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    assert GenomeLM("hf://owner/name@v1").width == 32
    assert asked == [("owner/name", "v1")]

    def fail(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "snapshot_download", fail)
    with pytest.raises(UserError, match=r"hf://owner/name: cannot be fetched \(ConnectionError: no route\)"):
        GenomeLM("hf://owner/name")
    with pytest.raises(UsageError, match="hf://OWNER/REPOSITORY"):
        GenomeLM("hf://name")


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "contigs.fna"
    records = [SequenceRecord(f"c{i}", dna(100 + i, i)) for i in range(70)]
    path.write_text("".join(f">{r.id}\n{r.sequence}\n" for r in records))
    return path


def test_the_command_writes_what_the_model_says(folder: Path, fasta: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.npz"
    command = ["embed", str(fasta), "--encoder", "genome_lm", "--weights", str(folder), "--out", str(out)]
    assert main([*command, "--window", "64", "--windows", "2"]) == 0
    contig = SequenceRecord("c5", dna(105, 5))
    direct = GenomeLM(str(folder), Config(window=64, windows=2)).vectors([contig])
    np.testing.assert_allclose(read_embeddings(out, ["c5"]), direct, rtol=1e-3, atol=1e-3)
    made_by = json.loads(str(np.load(out)["made_by"]))
    assert set(made_by["weights"]) == {"config.json", "model.safetensors", "tokenizer.json"}


@pytest.mark.slow
def test_two_processes_share_the_contigs(folder: Path, fasta: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    command = ["embed", str(fasta), "--encoder", "genome_lm", "--weights", str(folder), "--window", "64", "--out"]
    assert main([*command, str(one)]) == 0
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "linnet"]
    done = subprocess.run(
        [*launch, *command, str(two)], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert one.read_bytes() == two.read_bytes()
    assert not two.with_name("two.npz.parts").exists()
