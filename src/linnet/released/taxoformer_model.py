"""TaxoFormer as a model of ours: what a release becomes as a checkpoint, and such a checkpoint at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import linnet
from linnet import devices
from linnet.calibrate import Calibration
from linnet.checkpoint import Checkpoint
from linnet.errors import UserError
from linnet.released import taxoformer_esm as esm
from linnet.released import taxoformer_names as names_of
from linnet.released import taxoformer_net as net
from linnet.released.taxoformer import Config, Released
from linnet.released.taxoformer_names import CONT, PAD, Count, Way
from linnet.released.taxoformer_walker import Code, PublishedWalker
from linnet.strings import StringArray
from linnet.taxonomy import Taxonomy

TOKENS = 8192
"""Residues of a batch of the encoder."""


@dataclass(frozen=True)
class Tree:
    """The tree of a release's names, and what could not be put into it.

    Attributes:
        orphans: names that no row of the table of children names.
        unreachable: names of whose parents none is in the tree one level up.
    """

    taxonomy: Taxonomy
    orphans: Count
    unreachable: Count

    def lines(self) -> list[str]:
        """One sentence for each kind of what was left out."""
        said = (
            (self.orphans, "have no parent in the table of children"),
            (self.unreachable, "have no parent that is in the tree one level up"),
        )
        return [f"{count.number:,} names {what}, so they are left out of the tree: {count.shown}"
                for count, what in said if count.number]  # fmt: skip


def tree(mapping: names_of.Mapping) -> Tree:
    """Names at their levels below their parents; of several the first in the alphabet that is one level up.

    Raises:
        UserError: there is no name of level 1.
    """
    parents, names = [0], ["root"]
    orphans: list[str] = []
    unreachable: list[str] = []
    above: dict[str, int] = {}
    for level in range(1, 1 + max(mapping.levels)):
        here: dict[str, int] = {}
        for name in dict.fromkeys(name for slot in mapping.slots.get(level, ()) for name in mapping.names[slot]):
            known = mapping.parents.get(name, ())
            parent = 0 if level == 1 else next((above[one] for one in known if one in above), None)
            if parent is None:
                (unreachable if known else orphans).append(name)
                continue
            here[name] = len(parents)
            parents.append(parent)
            names.append(name)
        above = here
    if len(parents) == 1:
        raise UserError("phylo2_mapping.json has no names of level 1", remedy="Download it again.")
    if len(orphans) + len(unreachable) > len(parents):
        raise UserError(
            f"{len(orphans) + len(unreachable):,} of the mapping's names have no parent, {len(parents) - 1:,} have one",
            where="parent_to_child_mapping.csv", expected="the parent of nearly every name",
            remedy="It may be cut short: download it again.",
        )  # fmt: skip
    ranks = np.minimum(np.arange(len(parents)), 1), ("root", "no rank")
    taxids = np.zeros(len(parents), np.int64)
    taxonomy = Taxonomy.from_parents(np.array(parents), StringArray.of(names), ranks, taxids)
    return Tree(taxonomy, Count.of(orphans), Count.of(unreachable))


def ranked(tree: Taxonomy, known: Taxonomy) -> tuple[Taxonomy, int]:
    """The same tree with the ranks and taxids of another, such as NCBI's, and how many taxa have got them.

    A taxon is matched by its name: among those of that name, the one below its parent's match, else the only one.
    """
    match, used = np.zeros(len(tree), np.int64), {0}
    for node in range(1, len(tree)):  # parents come before their children
        named = [n for n in known.nodes_named(tree.names[node]) if n not in used]
        near = [n for n in named if known.parent[n] == match[tree.parent[node]]]
        found = near or named
        if len(found) == 1:
            match[node] = found[0]
            used.add(found[0])
    words = ("root", "no rank", *known.rank_names)
    codes = np.where(match > 0, 2 + known.rank_code[match].astype(np.int64), np.minimum(np.arange(len(tree)), 1))
    taxids = np.where(match > 0, known.taxids[match], 0)
    return Taxonomy.from_parents(tree.parent, tree.names, (codes, words), taxids), int((match > 0).sum())


def checkpoint(released: Released, found: Tree, origin: Mapping[str, Any]) -> Checkpoint:
    """A model folder's content, weights in float32, the encoder's among them.

    Raises:
        UserError: the release leaves its encoder out, and none was given.
    """
    encoder = released.encoder
    if encoder is None:
        name = released.config.esm_model_name
        raise UserError(
            f"the release leaves its encoder out, {name}",
            remedy=f"Give it with --encoder: a folder or file of ESM-2, or hf://facebook/{name}.",
        )
    weights = {f"esm.{name}": tensor for name, tensor in encoder.weights.items()} | released.weights
    description = {
        "family": "proteins",
        "kind": "taxoformer",
        "config": asdict(released.config),
        "encoder": {part: getattr(encoder, part) for part in ("width", "layers", "heads", "inner")},
        "parameters": sum(t.numel() for name, t in weights.items() if not name.endswith("inv_freq")),
        "linnet": linnet.__version__,
        "torch": torch.__version__,
    }
    facts = {
        "system": "TaxoFormer",
        "licence": "not stated in the folder; its publisher's",
        **released.facts,
        "left out of the tree": {"without parent": found.orphans.number, "out of reach": found.unreachable.number},
        **origin,
    }
    return Checkpoint(
        description,
        {name: tensor.numpy() for name, tensor in weights.items()},
        found.taxonomy,
        Calibration.none(int(found.taxonomy.depth.max())),
        facts,
        mapping=released.mapping.to_json(),
    )


class TaxoFormer:
    """A checkpoint of kind `taxoformer` at work; safe to share between threads.

    Args:
        device: as torch names it.

    Attributes:
        filled: proteins so far that were longer than what is read of one.

    Raises:
        UserError: weights that do not fit the settings; transformers is not installed.
        UsageError: the device cannot be used.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        if checkpoint.mapping is None:
            raise UserError("the model has no mapping.json", remedy="Copy or convert the model again.")
        self.config, self.mapping = Config(**checkpoint.model["config"]), names_of.Mapping.from_json(checkpoint.mapping)
        weights = {name: torch.from_numpy(np.asarray(t, np.float32)) for name, t in checkpoint.tensors.items()}
        own = {name.removeprefix("esm."): t for name, t in weights.items() if name.startswith("esm.")}
        rest = {name: t for name, t in weights.items() if not name.startswith("esm.")}
        with torch.device("meta"):
            network = net.Published(self.config, self.mapping.levels)
        try:
            network.load_state_dict(rest, assign=True)
        except RuntimeError as error:
            raise ValueError(str(error).splitlines()[-1].strip()) from error
        encoder = esm.build(esm.encoder(own, "model.safetensors", int(checkpoint.model["encoder"]["heads"])))
        self._code = Code(checkpoint.taxonomy, self.mapping, self.config.bos_token_id)
        with devices.used(device):
            self._network, self._encoder = network.eval().requires_grad_(False).to(device), encoder.to(device)
        self.filled, self._counting = 0, threading.Lock()

    @property
    def longest(self) -> int:
        """Residues read of a protein, at most."""
        return self.config.max_seq_len_esm

    def walker_of(self, sequences: Sequence[str]) -> PublishedWalker:
        """The model at work on these proteins."""
        return PublishedWalker(self._network, self._code, self._vectors(sequences))

    def vectors_of(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """float32 (B, D): z of each protein."""
        return np.asarray(self._vectors(sequences).float().cpu().numpy())

    def said(self, sequences: Sequence[str], way: Way) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
        """Names of each protein as the published code gives them, and how probable the model finds those so far."""
        network, mapping = self._network, self.mapping
        z_BD = self._vectors(sequences)
        greedy_BS = network.greedy_cached(z_BD).cpu().numpy()
        for z_D, tokens_S in zip(z_BD, greedy_BS, strict=True):
            names = mapping.decode(tokens_S)
            if way == "published":
                names = net.leaf_reconstruct(mapping, names)
            elif way == "min-edit":
                names = net.min_edit(network, mapping, z_D, names)
            elif way == "published-beam":
                names = net.beam(network, mapping, z_D)[0][0]
            yield names, probabilities(network, mapping, z_D, names)

    @torch.inference_mode()
    def _vectors(self, sequences: Sequence[str]) -> Tensor:
        """z (B, D). Proteins of one length go together: padding would change what the published pooling gives.

        A stop at a protein's end, as gene callers write it, is no residue.
        """
        limit, sequences = self.longest, [one.rstrip("*") for one in sequences]
        with self._counting:
            self.filled += sum(len(one) > limit for one in sequences)
        rows: dict[int, list[int]] = {}
        for row, one in enumerate(sequences):
            rows.setdefault(min(len(one), limit), []).append(row)
        z_BD = torch.empty(len(sequences), self.config.embed_dim, device=self._encoder.device)
        for length, alike in rows.items():
            batch = max(1, TOKENS // (length + 2))
            for a in range(0, len(alike), batch):
                some = alike[a : a + batch]
                z_BD[some] = self._network.features(esm.states(self._encoder, [sequences[row] for row in some], limit))
        return z_BD


def probabilities(
    network: net.Published, mapping: names_of.Mapping, z_D: Tensor, names: Sequence[str]
) -> tuple[float, ...]:
    """Of each name, how probable the model finds it and those before it; this never rises.

    A name counts with the CONT of the bins before its own. Its level is the first after that of the name before it
    that has it; levels passed over are fed CONT and count nothing. A name of no such level, which the model has no
    way to say, has 0, and those after it.
    """
    tokens_S: NDArray[np.int64] = np.full(len(mapping.levels), PAD, np.int64)
    bins: list[slice] = []
    end = level = 0
    for name in names:
        level = next((one for one in mapping.slots if one > level and (one, name) in mapping.places), -1)
        if level < 0:
            break
        slots, slot = mapping.slots[level], mapping.places[level, name]
        tokens_S[end:slot], tokens_S[slot], end = CONT, mapping.ids[name], slots.stop
        bins.append(slice(slots.start, slot + 1))
    if not bins:
        return (0.0,) * len(names)
    log_p_SV = net.log_p(network, z_D, tokens_S)
    of_token_S = np.take_along_axis(log_p_SV, tokens_S[:, None], 1)[:, 0].astype(np.float64)
    found = np.exp(np.cumsum([of_token_S[one].sum() for one in bins]))
    return (*np.minimum(found, 1.0).tolist(), *(0.0,) * (len(names) - len(bins)))
