"""TaxoFormer's pooling and decoder as published, and the ways its published code reads a lineage from them.

Layers and names: the published code of TaxoFormer (2025), commit 24b056a. Its preference for well-known organisms
where the tree is silent is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as f

from linnet.encoders.pooling import PublishedPooling
from linnet.released.taxoformer import Config, Released
from linnet.released.taxoformer_names import ABSENT, CONT, PAD, Mapping


class Decoder(nn.Module):
    """Embeddings, a stack of pre-norm layers without a norm after it, and a head that is not tied to the embedding."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        d = config.embed_dim
        self.token_embedding = nn.Embedding(config.vocab_size, d)
        self.positional_embedding = nn.Embedding(config.taxonomy_seq_length + 1, d)
        self.level_embedding = nn.Embedding(config.num_levels + 1, d)
        layer = nn.TransformerDecoderLayer(
            d, config.decoder_heads, 4 * d, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, config.decoder_layers)
        self.output_head = nn.Linear(d, config.vocab_size)


class Published(nn.Module):
    """The released network without its encoder; parameters have the names of model.safetensors.

    S slots, V ids of a slot, D entries of a vector, T slots decoded so far.

    Args:
        levels: of each slot, as `Mapping.levels`.
    """

    levels_S: Tensor

    def __init__(self, config: Config, levels: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor = PublishedPooling(config.embed_dim, config.pooling_heads)
        self.decoder = Decoder(config)
        self.register_buffer("levels_S", torch.tensor(list(levels), device="cpu"), persistent=False)

    @classmethod
    def of(cls, released: Released) -> Published:
        """The network of a release, in evaluation mode, sharing its tensors."""
        with torch.device("meta"):
            network = cls(released.config, released.mapping.levels)
        network.load_state_dict(released.weights, assign=True)
        return network.eval().requires_grad_(False)

    def features(self, states_BLD: Tensor) -> Tensor:
        """Vectors z (B, D) of proteins, from the encoder's last states."""
        return torch.as_tensor(self.feature_extractor(states_BLD))

    def logits(self, z_BD: Tensor, tokens_BS: Tensor) -> Tensor:
        """Logits (B, T, V) of each of T <= S slots, given the tokens before it."""
        return torch.as_tensor(self.decoder.output_head(self._hidden(z_BD, tokens_BS[:, :-1])))

    @torch.inference_mode()
    def greedy(self, z_BD: Tensor) -> Tensor:
        """Tokens (B, S): of each slot the likeliest of all V ids, given those before. As published, without a cache."""
        tokens_BT = torch.empty((len(z_BD), 0), dtype=torch.long, device=z_BD.device)
        for _ in range(len(self.levels_S)):
            logits_BV = self.decoder.output_head(self._hidden(z_BD, tokens_BT)[:, -1])
            tokens_BT = torch.cat([tokens_BT, logits_BV.argmax(dim=1, keepdim=True)], dim=1)
        return tokens_BT

    @torch.inference_mode()
    def greedy_cached(self, z_BD: Tensor) -> Tensor:
        """Tokens (B, S) as `greedy` has them; keys and values are kept, and each slot costs one position.

        Attention over one vector is that vector's value, so what a layer takes from z is computed once.
        """
        slots, heads = len(self.levels_S), self.config.decoder_heads
        layers = [layer for layer in self.decoder.decoder.layers if isinstance(layer, nn.TransformerDecoderLayer)]
        taken = [taken_from(layer.multihead_attn, z_BD) for layer in layers]
        shape = (len(layers), 2, len(z_BD), heads, slots, z_BD.shape[1] // heads)
        kept = torch.empty(shape, dtype=z_BD.dtype, device=z_BD.device)
        tokens_BS = torch.empty((len(z_BD), slots), dtype=torch.long, device=z_BD.device)
        for slot in range(slots):
            x_BD = self._embedded(tokens_BS[:, :slot])[:, -1]
            for layer, taken_BD, kept_layer in zip(layers, taken, kept, strict=True):
                attention = layer.self_attn
                qkv = f.linear(layer.norm1(x_BD), attention.in_proj_weight, attention.in_proj_bias)
                parts = qkv.view(len(qkv), 3, heads, -1)
                q_BHE, kept_layer[0, :, :, slot], kept_layer[1, :, :, slot] = parts.unbind(1)
                keys, values = kept_layer[:, :, :, : slot + 1]
                mixed = f.scaled_dot_product_attention(q_BHE[:, :, None], keys, values)
                x_BD = x_BD + attention.out_proj(mixed.flatten(1)) + taken_BD
                x_BD = x_BD + layer.linear2(f.gelu(layer.linear1(layer.norm3(x_BD))))
            tokens_BS[:, slot] = self.decoder.output_head(x_BD).argmax(dim=1)
        return tokens_BS

    def _hidden(self, z_BD: Tensor, tokens_BT: Tensor) -> Tensor:
        """Vectors (B, T + 1, D) after the stack, of the start and of T tokens."""
        x_BTD = self._embedded(tokens_BT)
        ahead_TT = torch.ones(x_BTD.shape[1], x_BTD.shape[1], dtype=torch.bool, device=x_BTD.device).triu(1)
        return torch.as_tensor(self.decoder.decoder(x_BTD, z_BD[:, None], tgt_mask=ahead_TT))

    def _embedded(self, tokens_BT: Tensor) -> Tensor:
        """Inputs (B, T + 1, D): a slot's carries the token before it, that token's level, and its own position."""
        d, t = self.decoder, tokens_BT.shape[1]
        inputs = f.pad(tokens_BT, (1, 0), value=self.config.bos_token_id)
        levels = f.pad(self.levels_S[:t], (1, 0))
        positions = torch.arange(t + 1, device=tokens_BT.device)
        return torch.as_tensor(
            d.token_embedding(inputs) + d.positional_embedding(positions) + d.level_embedding(levels)
        )


def taken_from(attention: nn.MultiheadAttention, z_BD: Tensor) -> Tensor:
    """What attention over the single vector z gives, (B, D), whatever asks."""
    value_DD, bias_D = attention.in_proj_weight[-z_BD.shape[1] :], attention.in_proj_bias[-z_BD.shape[1] :]
    return torch.as_tensor(attention.out_proj(f.linear(z_BD, value_DD, bias_D)))


def min_edit(network: Published, mapping: Mapping, z_D: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    """Greedy names, each that may not follow the one before replaced by the likeliest child that may.

    A name's level is its place among the names, as published, though greedy may have passed a level over. Below a name
    without children in its level, the path ends.

    Args:
        z_D: the protein's vector.
        names: as decoded from `greedy`.
    """
    path: list[str] = []
    for level, name in enumerate(names, start=1):
        if path and not mapping.allows(path[-1], name):
            slots = {child: slot for child in mapping.children[path[-1]]
                     if (slot := mapping.slot(level, child)) is not None}  # fmt: skip
            if not slots:
                break
            tokens_S = _scoring(mapping, path)
            bins = mapping.slots[level]
            tokens_S[bins.start : bins.stop] = CONT
            log_p_SV = log_p(network, z_D, tokens_S[: bins.stop])
            name = max(slots, key=lambda child: log_p_SV[slots[child], mapping.ids[child]])
        path.append(name)
    return tuple(path)


def beam(network: Published, mapping: Mapping, z_D: Tensor, k: int = 1, topn_bin: int = 5
         ) -> list[tuple[tuple[str, ...], float]]:  # fmt: skip
    """The best k paths of likely names along the greedy tokens, with the sums of their log-probabilities.

    Candidates of a level are the names among the `topn_bin` likeliest ids of each of its slots, all given the same
    greedy tokens. Of the paths to a name the best is kept, of the names of a level the best 3 k. A path ends with
    ABSENT's probability where that is among the likeliest ids of the next level's first slot, and for nothing where
    none of the next level's candidates may follow; a level without candidates is passed over.
    """
    log_p_SV = log_p(network, z_D, network.greedy_cached(z_D[None])[0].cpu().numpy())
    top_SN = np.argsort(-log_p_SV, axis=1, kind="stable")[:, :topn_bin]
    alive: dict[tuple[str, ...], float] = {(): 0.0}
    ended: dict[tuple[str, ...], float] = {}
    for bins in mapping.slots.values():
        candidates: dict[str, float] = {}
        for slot in bins:
            for id in map(int, top_SN[slot]):
                name = mapping.name_of[slot].get(id)
                if id not in (PAD, CONT, ABSENT) and name is not None:
                    candidates[name] = max(float(log_p_SV[slot, id]), candidates.get(name, -math.inf))
        stops = ABSENT in top_SN[bins.start]
        if not candidates:
            ended |= {path: score + float(log_p_SV[bins.start, ABSENT]) for path, score in alive.items() if stops}
            continue
        best: dict[str, tuple[float, tuple[str, ...]]] = {}
        for path, score in alive.items():
            allowed = [name for name in candidates if not path or mapping.allows(path[-1], name)]
            if stops or not allowed:
                ended[path] = score + (float(log_p_SV[bins.start, ABSENT]) if stops else 0.0)
            for name in allowed:
                grown = score + candidates[name]
                if name not in best or grown > best[name][0]:
                    best[name] = (grown, (*path, name))
        kept = sorted(best.values(), key=lambda one: (-one[0], one[1]))[: 3 * k]
        alive = {path: score for score, path in kept}
    return sorted((ended | alive).items(), key=lambda one: (-one[1], one[0]))[:k]


def leaf_reconstruct(mapping: Mapping, names: Sequence[str]) -> tuple[str, ...]:
    """The path up from the deepest greedy name that the table has; the published default.

    Of several parents, one among the greedy names, else the first in the alphabet. Without such a name, the greedy
    names as they are.
    """
    deepest = next((name for name in reversed(names) if name in mapping.parents or name in mapping.children), None)
    if deepest is None:
        return tuple(names)
    path = [deepest]
    while above := mapping.parents.get(path[-1]):
        parent = next((name for name in above if name in names), above[0])
        if parent in path:  # a name that is its own ancestor, as homonyms can be
            break
        path.append(parent)
    return tuple(reversed(path))


def confidence(network: Published, mapping: Mapping, z_D: Tensor, names: Sequence[str], levels: int = 7) -> float:
    """Geometric mean of the probabilities of the first names of a path, each given those before it; 0 without any.

    A name's level is its place among the names; one that is not of its level is passed over, as CONT.

    Args:
        levels: how many names are counted; the published figure takes 7.
    """
    tokens_S = _scoring(mapping, names)
    log_p_SV = log_p(network, z_D, tokens_S)
    places = ((mapping.slot(level, name), name) for level, name in enumerate(names, start=1))
    scored = [float(log_p_SV[slot, mapping.ids[name]]) for slot, name in places if slot is not None][:levels]
    return math.exp(sum(scored) / len(scored)) if scored else 0.0


def _scoring(mapping: Mapping, names: Sequence[str]) -> NDArray[np.int64]:
    """Tokens (S,) as the published code scores them: CONT in every bin of a level but the name's own."""
    tokens_S = np.full(len(mapping.levels), PAD, np.int64)
    end = 0
    for level, name in enumerate(names, start=1):
        bins, slot = mapping.slots.get(level, range(end, end)), mapping.slot(level, name)
        tokens_S[bins.start : bins.stop] = CONT
        end = bins.stop
        if slot is not None:
            tokens_S[slot] = mapping.ids[name]
    tokens_S[end : end + 1] = ABSENT
    return tokens_S


@torch.inference_mode()
def log_p(network: Published, z_D: Tensor, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log-probabilities (S, V) of each slot's ids, given the tokens before it."""
    logits = network.logits(z_D[None], torch.from_numpy(tokens)[None].to(z_D.device))[0]
    return np.asarray(logits.float().log_softmax(dim=1).cpu().numpy(), np.float32)
