"""Proteins: an ESM-2 and a head that is asked one taxon at a time, TaxoFormer's decoder or the light head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import linnet
from linnet import calibrate, devices, light_head, lineage_decoder
from linnet.calibrate import Calibration, length_feature
from linnet.checkpoint import Checkpoint
from linnet.compact_lineage import CompactLineageNetwork
from linnet.encoders import esm
from linnet.encoders.esm import EsmEncoder
from linnet.errors import UserError, require
from linnet.light_head import LightHead
from linnet.lineage_code import LineageCode
from linnet.lineage_decoder import DecoderWalker, Lessons, LineageDecoder, Memory, Tables
from linnet.residues import WordReader
from linnet.taxonomy import Taxonomy
from linnet.walk import Fan, Walker

KIND = "decoder"
"""Of such a model's checkpoints."""


Head = Literal["decoder", "light"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """A protein transformer."""

    encoder: esm.Config = field(default_factory=esm.Config)
    head: Head = "decoder"
    """decoder: attends to the protein and to the taxa passed; light: the compact model's, without state."""
    decoder: lineage_decoder.Config = field(default_factory=lineage_decoder.Config)
    light: light_head.Config = field(default_factory=light_head.Config)
    least: int = 20
    """Residues that a protein must have to be judged."""

    def __post_init__(self) -> None:
        require(self.head in get_args(Head), f"head {self.head}", "decoder or light")
        require(self.least >= 1, f"least {self.least}", "1 or more")


@dataclass(frozen=True)
class Work:
    """What B labels ask of a head.

    Attributes:
        lesson: the steps down the tree and the right answers, as the head has them.
        hidden: of the decoder's steps, which right answers are taken for unknown, so that stopping is right.
    """

    lesson: Lessons | light_head.Steps
    hidden: Sequence[NDArray[np.bool_]] = ()


class ProteinTransformer(nn.Module):
    """Proteins to the ways of one tree."""

    def __init__(self, config: Config, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.config, self.taxonomy = config, taxonomy
        self.calibration = Calibration.none(len(taxonomy.level_bounds) - 2, config.least)
        self.encoder = EsmEncoder(config.encoder)
        fits = config.encoder.pooling != "published" or self.encoder.width % 5 == 0
        require(fits, f"pooling published of vectors {self.encoder.width} wide", "a multiple of its 5 heads")
        if config.head == "light":
            self.head = LightHead(config.light, taxonomy, self.encoder.width)
            return
        self.tables = Tables(LineageCode(taxonomy, config.decoder.vocabulary))
        width = config.decoder.width
        self.bridge = nn.Linear(self.encoder.width, width) if self.encoder.width != width else nn.Identity()
        self.decoder = LineageDecoder(config.decoder, self.tables.code.slots, self.tables.code.levels)

    def on(self, device: str) -> ProteinTransformer:
        """This model, moved to a device.

        Raises:
            UsageError: that cannot be used.
        """
        if self.config.head == "decoder":
            self.tables.device = device
        with devices.used(device):
            return self.to(device)

    def memory(self, sequences: Sequence[str]) -> Memory:
        """What the head is given: of a decoder all that it attends to, of the light head one vector a protein."""
        return self._memory(self.encoder.collate(sequences))

    def work(
        self,
        nodes: NDArray[np.integer],
        new: NDArray[np.bool_],
        hide: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> Work:
        """What labels teach, as in `lineage_decoder.lessons`.

        Args:
            hide: share of steps below the root in which the right taxon is hidden and stopping is right.
        """
        if self.config.head == "light":
            return Work(self.head.steps(nodes, new, hide, random))
        lesson = lineage_decoder.lessons(self.tables, nodes, new, self.config.decoder.forced)
        hidden = []
        for asked, right in zip(lesson.asked, lesson.right, strict=True):
            taxon = int(lesson.nodes_BT.ravel()[asked.rows[0]])
            drawn = random.random(len(right)) < hide if random is not None else np.zeros(len(right), bool)
            hidden.append(drawn & (taxon > 0) & (right < self.taxonomy.child_count[taxon]))
        return Work(lesson, hidden)

    def forward(self, batch: tuple[Tensor, Tensor], work: Work) -> Tensor:
        """Mean over proteins of -ln p(label).

        Args:
            batch: of `encoder.collate`.
        """
        memory, lesson = self._memory(batch), work.lesson
        if isinstance(lesson, light_head.Steps):
            steps = _on(lesson, memory.vectors.device)
            return light_head.path_loss(self.head.scores(memory.vectors[:, 0], steps).float(), steps)
        total = 0.0 * memory.vectors.sum()  # a batch in which nothing is asked has a gradient too
        answers = self._answers(memory, lesson)
        for log_p, right, hidden in zip(answers, lesson.right, work.hidden, strict=True):
            at = torch.from_numpy(right).to(log_p.device)[:, None]
            if hidden.any():
                gone = torch.from_numpy(hidden).to(log_p.device)[:, None]
                known = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, at, gone)
                log_p = log_p.masked_fill(known, -1e4).log_softmax(1)
                at = torch.where(gone, log_p.shape[1] - 1, at)
            total = total - log_p.gather(1, at).sum()
        return total / len(lesson.nodes_BT)

    def loss(self, sequences: Sequence[str], nodes: NDArray[np.integer], new: NDArray[np.bool_]) -> Tensor:
        """Mean of -ln p(label), nothing hidden."""
        return torch.as_tensor(self(self.encoder.collate(sequences), self.work(nodes, new)))

    @torch.inference_mode()
    def steps(
        self,
        sequences: Sequence[str],
        nodes: NDArray[np.integer],
        new: NDArray[np.bool_],
        natural: NDArray[np.bool_],
    ) -> calibrate.Steps:
        """The uncalibrated scores along labels' ways, to calibrate by; labels as in `work`.

        Args:
            natural: which of the proteins were held out at random.
        """
        lesson, tree = self.work(nodes, new).lesson, self.taxonomy
        memory = self.memory(sequences)
        if isinstance(lesson, light_head.Steps):
            score = self.head.scores(memory.vectors[:, 0], _on(lesson, memory.vectors.device)).cpu().numpy()
            start = np.concatenate([[0], np.cumsum(np.bincount(lesson.step.numpy(), minlength=len(lesson.row)))])
            row, at = lesson.row.numpy(), tree.level_order[lesson.node.numpy()]
            target = lesson.target.numpy() - start[:-1]
        else:
            answers = [log_p.cpu().numpy() for log_p in self._answers(memory, lesson)]
            steps = np.concatenate([np.empty(0, np.int64), *(asked.rows for asked in lesson.asked)])
            row, at = steps // lesson.nodes_BT.shape[1], lesson.nodes_BT.ravel()[steps]
            sizes = [log_p.shape[1] for log_p in answers for _ in log_p]
            score = np.concatenate([np.empty(0, np.float32), *(log_p.ravel() for log_p in answers)])
            start, target = np.cumsum([0, *sizes]), np.concatenate([np.empty(0, np.int64), *lesson.right])
        stopped = target == np.diff(start) - 1
        x = length_feature(self._read(sequences))[row]
        return calibrate.Steps(score, start, target, tree.depth[at].astype(np.int64), x, stopped, natural[row])

    @torch.inference_mode()
    def walker_of(self, sequences: Sequence[str]) -> Walker:
        """The model at work on these proteins, calibrated."""
        memory, residues = self.memory(sequences), self._read(sequences)
        if self.config.head == "light":
            return self._light.walker(memory.vectors[:, 0].float().cpu().numpy(), residues)
        walker = DecoderWalker(self.decoder, self.tables, memory)
        changes_nothing = not any(map(any, self.calibration.by_level))
        return walker if changes_nothing else CalibratedWalker(walker, self.calibration, residues)

    @torch.inference_mode()
    def vectors_of(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """float32 (B, width): the mean of the vectors that the head is given."""
        return np.asarray(_mean(self.memory(sequences)).float().cpu().numpy())

    def _memory(self, batch: tuple[Tensor, Tensor]) -> Memory:
        found = self.encoder(batch)
        if self.config.head == "light":
            return Memory(_mean(found)[:, None])
        return Memory(self.bridge(found.vectors), found.real)

    def _answers(self, memory: Memory, lesson: Lessons) -> Iterator[Tensor]:
        """Of each taxon asked about, ln p (R, children + 1) for the R steps that have come to it."""
        hidden, _ = self.decoder(self.tables.taxa(lesson.nodes_BT), self.decoder.remember(memory), memory.real)
        hidden = hidden.flatten(0, 1)
        yield from self.decoder.log_p(hidden, lesson.asked)

    @property
    def longest(self) -> int:
        """Residues read of a protein, at most."""
        return self.config.encoder.max_length

    def _read(self, sequences: Sequence[str]) -> NDArray[np.int64]:
        """How many residues of each are read."""
        return np.array([min(len(s), self.longest) for s in sequences], np.int64)

    @cached_property
    def _light(self) -> CompactLineageNetwork:
        """The light head in numpy: the compact network without words, whose vectors come from elsewhere."""
        head = {f"head.{name}": t.detach().cpu().numpy() for name, t in self.head.state_dict().items()}
        no_words = {"encoder.embedding": np.empty((0, 0), np.float32)}
        return CompactLineageNetwork({**head, **no_words}, WordReader((), 0), self.taxonomy, self.calibration)

    def checkpoint(self, origin: dict[str, Any] | None = None) -> Checkpoint:
        """All of it, adapters multiplied into the encoder, in half precision: nothing has to be fetched to use it."""
        _plain(self.encoder)
        body = self.encoder.body.config
        encoder = asdict(self.config.encoder) | {
            "weights": "", "revision": "", "lora": 0, "quantised": False, "width": body.hidden_size,
            "layers": body.num_hidden_layers, "heads": body.num_attention_heads, "inner": body.intermediate_size,
        }  # fmt: skip
        described = {
            "family": "proteins",
            "kind": KIND,
            "encoder": "esm",
            "head": self.config.head,
            "config": asdict(self.config) | {"encoder": encoder},
            "pretrained": Path(self.config.encoder.weights).name,
            "linnet": linnet.__version__,
            "torch": torch.__version__,
        }
        tensors = {
            name: t.detach().float().cpu().numpy().astype(np.float16)
            for name, t in self.state_dict().items()
            if t.is_floating_point()
        }
        return Checkpoint(described, tensors, self.taxonomy, self.calibration, origin or {})


class CalibratedWalker:
    """Another walker with its answers calibrated; a state is a record's number and the other's state."""

    def __init__(self, walker: Walker, calibration: Calibration, read_B: NDArray[np.integer]) -> None:
        self.taxonomy, self.forced, self._walker = walker.taxonomy, walker.forced, walker
        self._calibration, self._x_B = calibration, length_feature(read_B)

    def begin(self) -> list[Any]:
        return list(enumerate(self._walker.begin()))

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        records = [record for record, _ in states]
        fan, after = self._walker.step([state for _, state in states], nodes)
        level, x, start = self.taxonomy.depth[nodes], self._x_B[records], fan.start
        t, u, s, v = (np.array(values)[level] for values in self._calibration.by_level)
        scaled = fan.log_F * np.repeat(np.exp(-(t + u * x)), np.diff(start))
        scaled[start[1:] - 1] += s + v * x
        total = np.logaddexp.reduceat(scaled, start[:-1])
        return Fan(scaled - np.repeat(total, np.diff(start)), start), list(zip(records, after, strict=True))


def load(checkpoint: Checkpoint, device: str = "cpu") -> ProteinTransformer:
    """A model from its checkpoint.

    Raises:
        UserError: weights that do not fit its settings; transformers is missing.
        UsageError: the device cannot be used.
    """
    settings = checkpoint.model["config"]
    config = Config(
        encoder=esm.Config(**settings["encoder"]),
        head=settings.get("head", "decoder"),
        decoder=lineage_decoder.Config(**settings["decoder"]),
        light=light_head.Config(**settings.get("light", {})),
        least=settings["least"],
    )
    model = ProteinTransformer(config, checkpoint.taxonomy)
    weights = {name: torch.from_numpy(np.asarray(t, np.float32)) for name, t in checkpoint.tensors.items()}
    missing = {name for name, t in model.state_dict().items() if t.is_floating_point()} - set(weights)
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise UserError(
            f"the model's weights do not fit its settings ({str(error).splitlines()[-1].strip()})",
            remedy="Copy or train the model again.",
        ) from error
    if missing:
        raise UserError(f"the model has no weights {min(missing)}", remedy="Copy or train the model again.")
    model.calibration = checkpoint.calibration
    return model.on(device).eval()


def _mean(memory: Memory) -> Tensor:
    """(B, width): the mean of each protein's vectors."""
    if memory.real is None:
        return memory.vectors.mean(1)
    inside = memory.real[..., None].to(memory.vectors.dtype)
    return (memory.vectors * inside).sum(1) / inside.sum(1)


def _on(steps: light_head.Steps, device: torch.device) -> light_head.Steps:
    moved: dict[str, Any] = {name: t.to(device) for name, t in vars(steps).items() if isinstance(t, Tensor)}
    return replace(steps, **moved)


def _plain(encoder: EsmEncoder) -> None:
    """Make it an encoder of plain weights, in place: those of 4 bits unpacked, adapters multiplied into them."""
    if not encoder.config.quantised:
        encoder.merged()
        return
    from bitsandbytes.functional import dequantize_4bit

    body: Any = encoder.body
    body.state_dict()  # puts weights that an evaluation has packed in another way back
    layers = {name: layer for name, layer in body.named_modules() if type(layer).__name__ == "Linear4bit"}
    for name, layer in layers.items():
        if name.endswith(".base_layer"):
            continue  # within a layer with adapters, which has the same name as a type
        base = layers.get(f"{name}.base_layer", layer)
        weight = dequantize_4bit(base.weight.data, base.weight.quant_state).float()
        if base is not layer:
            weight += layer.get_delta_weight("default")
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=base.bias is not None, device=weight.device)
        linear.weight.data = weight
        if base.bias is not None:
            linear.bias.data = base.bias.data.float()
        body.set_submodule(name, linear)
    if encoder.config.lora:
        encoder.body = body.base_model.model
