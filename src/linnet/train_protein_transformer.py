"""Training a protein transformer: fit on most proteins, calibrate on the rest, then fit again on all."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linnet import calibrate, devices, fitting, walk
from linnet.calibrate import Calibration, Steps
from linnet.checkpoint import Checkpoint
from linnet.decode import LineageCache
from linnet.encoders import esm
from linnet.errors import require
from linnet.families import protein_transformer
from linnet.families.protein_transformer import ProteinTransformer, Work
from linnet.families.proteins import Views
from linnet.fitting import AfterPass, Keeping, Kept, Log, Recipe
from linnet.prediction import Prediction
from linnet.preparation import HeldOut, digest_of_run
from linnet.protein_preparation import PreparedProteins, Proteins, Rows, capped, prepare
from linnet.taxonomy import Taxonomy

TOGETHER = 64
"""Batches whose proteins are sorted by their length together."""
BLOCK = 32
"""Proteins judged at once."""
CHECKED, JUDGED = 2_000, 5_000
"""Most held-out proteins that a pass is checked on, and that are calibrated and measured on."""


class Measured(Proteins, Protocol):
    """Labelled proteins whose lengths are known: `shards.Shards`, or anything like it."""

    @property
    def lengths(self) -> NDArray[np.int32]:
        """int32 (N,): the residues of each protein."""
        ...


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a protein transformer is trained."""

    model: protein_transformer.Config = field(
        default_factory=lambda: protein_transformer.Config(encoder=esm.Config(lora=8))
    )
    views: Views = field(default_factory=Views)
    recipe: Recipe = field(default_factory=lambda: Recipe(batch=32, learning_rate=3e-4, clip=1.0))
    checkpointing: bool = False
    """Work out the encoder's layers again on the way back: less memory, a third more time."""
    per_taxon: int = 100
    """Proteins of one taxon in a pass at most, drawn anew for each: whole proteomes do not outweigh the rest."""
    hide: float = 0.1
    """Share of steps down the tree in which the right taxon is hidden and stopping is right."""
    hold_out: float = 0.08
    """Share of the proteins set aside at random, to choose the pass, to calibrate and to measure on."""
    hidden_clades: float = 0.02
    """Share of the clades of each level set aside whole, so that their taxa are new."""
    refit: bool = True
    """Fit again on all proteins, for as many passes as the held-out ones found best; the calibration is kept."""
    seed: int = 42
    """Of the split, the first weights and every random choice."""

    def __post_init__(self) -> None:
        require(self.per_taxon >= 1, f"per_taxon {self.per_taxon}", "1 or more")
        for name in ("hide", "hold_out", "hidden_clades"):
            require(0 <= getattr(self, name) <= 0.5, f"{name} {getattr(self, name)}", "0 to 0.5")
        require(0 <= self.seed < 2**32, f"seed {self.seed}", "0 to 4294967295")
        encoder = self.model.encoder
        learns = bool(encoder.lora) or not encoder.weights
        require(learns or not self.checkpointing, "checkpointing of an encoder that does not learn", "adapters")


def train(
    store: Measured,
    taxonomy: Taxonomy,
    config: Config,
    log: Log = lambda _: None,
    *,
    device: str = "cpu",
    keeping: Keeping | None = None,
    split_seed: int | None = None,
    after_pass: AfterPass | None = None,
) -> tuple[Checkpoint, HeldOut]:
    """A calibrated model from labelled proteins.

    Args:
        taxonomy: the tree that the proteins' nodes are of; the model's is what their labels need of it.
        device: as torch names it.
        keeping: where unfinished fits are kept.
        split_seed: of the choice of held-out proteins; None: `config.seed`.
        after_pass: is told of each pass of the first fit.

    Raises:
        UserError: too few proteins to learn from; an encoder that cannot be had.
    """
    device, keeping = devices.own(device), keeping or Keeping()
    seed = config.seed if split_seed is None else split_seed
    prepared = prepare(
        store, taxonomy, hold_out=config.hold_out, hidden_clades=config.hidden_clades, judged=JUDGED, seed=seed, log=log
    )
    held = prepared.held
    checked = np.flatnonzero(prepared.natural & (held.nodes > 0))[:CHECKED]
    lesson = Lesson(store, prepared.first, config, device, (held.chosen[checked], held.nodes[checked]))
    learnt = [p.numel() for p in lesson.model.parameters() if p.requires_grad]
    log(f"{sum(learnt):,} parameters learn, {sum(p.numel() for p in lesson.model.parameters()) - sum(learnt):,} do not")
    settings = _settings(config)
    encoder = _weights_sha256(lesson.model)
    of = digest_of_run(prepared.digest, {**settings, "encoder": encoder}, prepared.fitted)
    found = lesson.fit(log, keeping.file(f"seed-{config.seed}.first", of), after_pass=after_pass)
    checkpoint = lesson.whole.checkpoint()
    del lesson  # an encoder is large

    judge = protein_transformer.load(checkpoint, device)  # what a user will have: plain weights in half precision
    judge.calibration, seen = _calibrate(judge, prepared, config)
    log(f"calibrated on {len(seen):,} held-out proteins")
    held_out = prepared.held_out(_predict(judge, seen, prepared.held_ids()))
    checkpoint, passes = replace(checkpoint, calibration=judge.calibration), found.epoch
    del judge
    if config.refit and not prepared.fitted.all():
        rows = prepared.everything()
        log(f"fitting again on all {len(rows.chosen):,}, for {passes} passes")
        lesson = Lesson(store, rows, config, device)
        lesson.fit(log, keeping.file(f"seed-{config.seed}.again", of), until=passes)
        calibration = checkpoint.calibration.stretch(len(rows.tree.level_bounds) - 2)
        checkpoint = replace(lesson.whole.checkpoint(), calibration=calibration)
    checkpoint.model["training"] = {name: value for name, value in settings.items() if name != "model"}
    checkpoint.origin.update(
        proteins=len(prepared.fitted), labels=len(np.unique(store.nodes[prepared.usable])),
        proteins_sha256=prepared.digest, passes=passes,
        loss_held_out=list(found.checks), seconds=[round(s, 1) for s in found.seconds],
    )  # fmt: skip
    return checkpoint, held_out


class Learner(nn.Module):
    """A protein transformer whose state is what learns of it: frozen weights stay where they came from."""

    def __init__(self, whole: ProteinTransformer) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, batch: tuple[Tensor, Tensor], work: Work) -> Tensor:
        return torch.as_tensor(self.whole(batch, work))

    def train(self, mode: bool = True) -> Learner:
        """As usual, but layers of 4 bits never evaluate: that packs them in a form that has no gradients, and that not
        every width has."""
        super().train(mode)
        for layer in self.whole.encoder.modules():
            if type(layer).__name__ == "Linear4bit":
                layer.training = True
        return self

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Any]:  # type: ignore[override]
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> None:
        for name, p in self.named_parameters():
            if p.requires_grad:
                p.copy_(state_dict[name])


class Lesson:
    """A protein transformer, and the proteins that it learns from.

    Args:
        held: which proteins to check the loss on, and their taxa.
    """

    def __init__(
        self,
        store: Measured,
        rows: Rows,
        config: Config,
        device: str,
        held: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> None:
        self.store, self.rows, self.config, self.device = store, rows, config, device
        self.held = held if held is not None and len(held[0]) else None
        _, self.taxon = np.unique(rows.nodes, return_inverse=True)
        self.lengths = np.minimum(store.lengths[rows.chosen], config.model.encoder.max_length)
        if torch.device(device).type == "cuda":
            torch.cuda.set_device(device)  # where weights of 4 bits are made
        torch.manual_seed(config.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of names that transformers and peft are about to change
            self.whole = ProteinTransformer(config.model, rows.tree).on(device)
            if config.checkpointing:
                body: Any = self.whole.encoder.body
                body.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.model = Learner(self.whole)

    def fit(
        self, log: Log, kept: Kept, until: int | None = None, after_pass: AfterPass | None = None
    ) -> fitting.Fitted:
        random = np.random.default_rng(self.config.seed + 1)
        return fitting.fit(
            self, self.config.recipe, random, log, device=self.device, kept=kept, until=until, after_pass=after_pass
        )

    def groups(self) -> list[dict[str, Any]]:
        """Embeddings have no weight decay."""
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        tables = [p for name, p in named if "_embedding." in name or name.endswith("head.taxa")]
        others = [p for name, p in named if not ("_embedding." in name or name.endswith("head.taxa"))]
        return [{"params": tables, "weight_decay": 0.0}, {"params": others}]

    def order(self, random: np.random.Generator) -> NDArray[np.integer]:
        rows = capped(self.taxon, self.config.per_taxon, random)
        return of_like_length(rows, self.lengths[rows], self.config.recipe.batch, random)

    def loss(self, model: nn.Module, rows: NDArray[np.integer], random: np.random.Generator) -> Tensor:
        views = self.config.views
        decoy = random.random(len(rows)) < views.decoys
        seen = [
            (views.decoy if d else views.draw)(self.store.sequence(int(i)), random)
            for i, d in zip(self.rows.chosen[rows], decoy, strict=True)
        ]
        work = self.whole.work(np.where(decoy, 0, self.rows.nodes[rows]), decoy, self.config.hide, random)
        with self.config.recipe.autocast(self.device):
            return torch.as_tensor(model(self.whole.encoder.collate(seen), work))

    @torch.no_grad()
    def check(self) -> float | None:
        """Mean -ln p of the labels of held-out proteins seen whole; of a new taxon as far as it is known."""
        if self.held is None:
            return None
        sequences, total = [self.store.sequence(int(i)) for i in self.held[0]], 0.0
        for block in _blocks(sequences):
            known = np.zeros(len(block), bool)
            with self.config.recipe.autocast(self.device):
                loss = self.whole.loss([sequences[i] for i in block], self.held[1][block], known)
            total += float(loss) * len(block)
        return total / len(sequences)


def of_like_length(
    rows: NDArray[np.int64], lengths: NDArray[np.integer], batch: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """The rows in another order, in which each run of `batch` has proteins of like length, so that little is padding.

    Rows, in random order already, are sorted by length within blocks of `TOGETHER` batches, and the runs of all blocks
    shuffled; a run that is not full comes last.

    Args:
        lengths: (n,) residues of each row's protein.
    """
    block = np.arange(len(rows)) // (batch * TOGETHER)
    rows = rows[np.lexsort((lengths, block))]
    full = len(rows) // batch * batch
    runs = random.permutation(rows[:full].reshape(-1, batch))
    return np.concatenate([runs.ravel(), rows[full:]])


def _calibrate(model: ProteinTransformer, prepared: PreparedProteins, config: Config) -> tuple[Calibration, list[str]]:
    """Calibration on views of held-out proteins, decoys among them; and views without decoys, to measure on."""
    random = np.random.default_rng(config.seed + 2)
    views, levels = config.views, len(model.taxonomy.level_bounds) - 2
    sequences, held = prepared.held_sequences(), prepared.held
    decoy = random.random(len(sequences)) < views.decoys
    seen = [(views.decoy if d else views.draw)(s, random) for s, d in zip(sequences, decoy, strict=True)]
    nodes, new, natural = np.where(decoy, 0, held.nodes), decoy | held.new, decoy | prepared.natural
    parts = [model.steps([seen[i] for i in block], nodes[block], new[block], natural[block]) for block in _blocks(seen)]
    fitted = calibrate.fit(Steps.join(parts), levels) if parts else Calibration.none(levels)
    return replace(fitted, kmers=config.model.least), [views.draw(s, random) for s in sequences]


def _predict(model: ProteinTransformer, sequences: Sequence[str], ids: Sequence[str]) -> Iterator[Prediction]:
    lineages = LineageCache(model.taxonomy)
    for block in _blocks(sequences):
        walks = walk.descend(model.walker_of([sequences[i] for i in block]))
        yield from walk.predictions(walks, [ids[i] for i in block], lineages)


def _blocks(sequences: Sequence[str]) -> list[NDArray[np.int64]]:
    """Proteins of like length, to be judged together."""
    order: NDArray[np.int64] = np.argsort([len(s) for s in sequences], kind="stable")
    return [order[a : a + BLOCK] for a in range(0, len(order), BLOCK)]


def _settings(config: Config) -> dict[str, Any]:
    """All settings but where the encoder's weights lie."""
    settings = asdict(config)
    settings["model"]["encoder"]["weights"] = ""
    return settings


def _weights_sha256(model: nn.Module) -> str:
    """Digest of the weights before anything is learnt: wherever an encoder lies, it is told from others."""
    h = hashlib.sha256()
    for name, p in model.named_parameters():
        h.update(name.encode() + p.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return h.hexdigest()
