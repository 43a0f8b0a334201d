"""DeepTaxa's encoders: counts, padding, and the same answers as a plain recomputation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from conftest import lineage  # noqa: E402
from deeptaxa_files import READS, vocabulary  # noqa: E402

from linnet.calibrate import Calibration  # noqa: E402
from linnet.checkpoint import Checkpoint, save  # noqa: E402
from linnet.encoders import hybrid  # noqa: E402
from linnet.errors import UserError  # noqa: E402
from linnet.kmers import count_all, log_odds  # noqa: E402
from linnet.model import build, parameters  # noqa: E402
from linnet.predictor import load  # noqa: E402
from linnet.sibling_groups import SiblingGroups  # noqa: E402
from linnet.taxonomy import Taxonomy  # noqa: E402
from linnet.tokens import Bases, Pieces  # noqa: E402

FULL_LENGTH = (2, 129, 349, 997, 2250, 7287, 16909)
V3_V4_AS_THE_CARD_HAS_THEM = (2, 115, 270, 709, 1528, 4529, 8347)


class Vocabulary(Bases):
    """As large as DNABERT-2's; only its size is asked for."""

    size = 4096
    padding = 3


def count(config: hybrid.Config, tokenizer: Bases, labels: tuple[int, ...]) -> int:
    with torch.device("meta"):
        return parameters(build(config, tokenizer, labels))


def test_the_published_configuration_has_the_published_number_of_parameters() -> None:
    assert count(hybrid.Config(), Vocabulary(), FULL_LENGTH) == 76_365_205


def test_the_cards_own_label_table_cannot_give_its_count_for_v3_v4() -> None:
    assert count(hybrid.Config(), Vocabulary(), V3_V4_AS_THE_CARD_HAS_THEM) == 65_221_774 != 75_813_550
    body = count(hybrid.Config(), Vocabulary(), ())
    assert (75_813_550 - body) / 897 == 27_308  # labels that the published figure needs; the table adds up to 15,500


def test_either_branch_alone_has_the_published_number_of_parameters() -> None:
    assert count(hybrid.Config(model_type="cnn"), Vocabulary(), FULL_LENGTH) == 33_407_251
    assert count(hybrid.Config(model_type="cnn", encoding="onehot"), Bases(), FULL_LENGTH) == 25_626_899
    assert count(hybrid.Config(model_type="bert"), Vocabulary(), FULL_LENGTH) == 68_564_755


SMALL = {"max_length": 96, "embed_dim": 10, "num_filters": 4, "hidden_size": 12, "num_hidden_layers": 2,
         "num_attention_heads": 3, "intermediate_size": 20}  # fmt: skip
KINDS = [
    pytest.param(kind, id="-".join(map(str, kind.values())))
    for model_type, encoding in (("hybrid", "bpe"), ("cnn", "bpe"), ("cnn", "onehot"), ("bert", "bpe"))
    for masked in ((False, True) if model_type != "bert" else (False,))
    for layers in ((1, 2, 3) if model_type != "bert" else (1,))
    for kind in [{"model_type": model_type, "encoding": encoding, "mask_padding": masked, "num_conv_layers": layers}]
]


def small(kind: dict[str, object]) -> hybrid.Encoder:
    torch.manual_seed(3)
    config = hybrid.Config(**{**SMALL, **kind})  # type: ignore[arg-type]
    encoder = hybrid.build(config, Bases() if config.encoding == "onehot" else Pieces(vocabulary()))
    for p in encoder.parameters():  # far from zero, biases too, so that what padding adds would show
        torch.nn.init.normal_(p, std=0.5)
    return encoder.double().eval()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_padded_to_what_it_needs_answers_as_one_padded_to_the_window(kind: dict[str, object]) -> None:
    encoder = small(kind)
    random = np.random.default_rng(5)
    lengths = [3, 9, 20, 40, 41, 80, 92, 96]
    rows = [random.integers(0, 4, n) if kind["encoding"] == "onehot" else random.integers(5, 64, n) for n in lengths]
    with torch.inference_mode():
        together = encoder(encoder.batch(rows))
        few = encoder(encoder.batch(rows[:3]))
        for i, row in enumerate(rows):
            ids = np.full(96, encoder.tokenizer.padding)
            ids[: len(row)] = row
            mask = np.arange(96) < len(row)
            window = hybrid.Batch(torch.from_numpy(ids)[None], torch.from_numpy(mask)[None], 96)
            full = encoder(window)[0]
            assert torch.allclose(together[i], full, atol=1e-10), lengths[i]
            if i < 3:
                assert torch.allclose(few[i], full, atol=1e-10), lengths[i]
    assert few.shape == (3, 1, encoder.width)


def test_short_reads_are_not_padded_to_the_window() -> None:
    encoder = small({"model_type": "hybrid"})
    batch = encoder.collate(list(READS.values())[:1])
    assert batch.ids_BL.shape[1] == batch.longest + encoder.padding < 96


def test_new_models_keep_padding_out_of_the_maximum() -> None:
    assert hybrid.Config().mask_padding


def test_the_tree_head_takes_the_same_encoder() -> None:
    tree = Taxonomy.from_lineages([lineage("Bacteria;P1"), lineage("Bacteria;P2"), lineage("Archaea")])
    groups = SiblingGroups(tree)
    encoder = small({"model_type": "hybrid"})
    model = build(encoder.config, encoder.tokenizer, groups)
    assert model(encoder.collate(list(READS.values()))).shape == (4, len(groups))


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_type": "lstm"},
        {"encoding": "onehot"},
        {"kernel_sizes": (3, 4)},
        {"kernel_sizes": (4,)},
        {"num_attention_heads": 5},
        {"hidden_dropout_prob": 1.0},
        {"max_length": 0},
    ],
    ids=str,
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match="Expected"):
        hybrid.Config(**wrong)  # type: ignore[arg-type]


def test_the_true_tokenizer_gives_the_true_count(shared_data: Path) -> None:
    tokenizer = Pieces.from_file(shared_data / "data" / "dnabert2-tokenizer")
    with torch.device("meta"):
        assert parameters(build(hybrid.Config(), tokenizer, FULL_LENGTH)) == 76_365_205


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_tree_head_over_tokens_of_ones_own_reference_is_kept_and_answers(tmp_path: Path, engine: str, genes) -> None:  # type: ignore[no-untyped-def]
    if engine == "openvino":
        pytest.importorskip("openvino")
    sequences, lineages = genes
    tree = Taxonomy.from_lineages(lineages.values())
    groups = SiblingGroups(tree)
    pieces = Pieces.learn(list(sequences.values()), size=128)
    torch.manual_seed(2)
    config = hybrid.Config(**SMALL)  # type: ignore[arg-type]
    model = build(config, pieces, groups).eval()
    made = Checkpoint(
        {"family": "rrna", "kind": "network", "head": "tree", "encoder": asdict(config)},
        {**model.tensors(), "encoder.log_odds_V": log_odds(count_all(list(sequences.values()), 5))},
        tree,
        Calibration.none(groups.levels),
        tokenizer=pieces.json,
    )
    save(made, tmp_path / "m")
    assert (tmp_path / "m" / "tokenizer.json").read_text() == pieces.json
    reads = list(sequences.values())[::7]
    answers = list(load(tmp_path / "m", engine=engine).classify(reads, confidence=0))
    score_MB = model(model.encoder.collate(reads)).detach().numpy().T
    place_BN = groups.place(groups.log_softmax(np.ascontiguousarray(score_MB)))
    for answer, place_N in zip(answers, place_BN, strict=True):
        nodes = [tree.find(answer.lineage[: d + 1])[0] for d in range(len(answer.lineage))]
        assert np.allclose(
            answer.confidence, [place_N[tree.clade(n)].sum() for n in nodes], atol=2e-3
        )  # kept in half precision
