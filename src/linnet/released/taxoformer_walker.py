"""TaxoFormer's published decoder asked one taxon at a time, so that every search of ours can be made with it.

It is fed as it was trained: in a level, CONT in the bins before a name's own, the name's id, PAD in the bins after it.
Of each slot only the ids that can follow are asked about; a name in a later bin costs the CONT of those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as f

from linnet.released.taxoformer_names import ABSENT, CONT, PAD, Mapping
from linnet.released.taxoformer_net import Published, taken_from
from linnet.taxonomy import Taxonomy
from linnet.walk import Fan

ROWS = 64
"""Taxa asked about at once; of more, one lot after the other."""


class Code:
    """Where the N taxa of a tree stand in the published code.

    Args:
        bos: the id that a path is started from.

    Attributes:
        slot_N, token_N: int64, each taxon's slot and id; the root's are -1 and `bos`.
        below_N: int64, the first slot of the next level.
        last_N: int64, the last slot in which a child stands; of a leaf the slot after its own.

    Raises:
        ValueError: a taxon is no name of its level.
    """

    def __init__(self, taxonomy: Taxonomy, mapping: Mapping, bos: int) -> None:
        self.taxonomy, depth = taxonomy, taxonomy.depth
        slots = mapping.places
        found = [(-1, bos)]
        for node, name in enumerate(taxonomy.names):
            if node:
                slot = slots.get((int(depth[node]), name))
                if slot is None:
                    raise ValueError(f"'{name}' is no name of level {depth[node]}")
                found.append((slot, mapping.ids[name]))
        self.slot_N, self.token_N = np.array(found, np.int64).T
        stops = np.array([0] + [mapping.slots[level].stop for level in range(1, 1 + int(depth.max()))], np.int64)
        self.below_N = stops[depth]
        self.last_N = self.slot_N + 1
        inner = taxonomy.level_order[taxonomy.child_count[taxonomy.level_order] > 0]
        if len(inner):
            of_children = self.slot_N[taxonomy.level_order]
            self.last_N[inner] = np.maximum.reduceat(of_children, taxonomy.child_start[inner])


@dataclass(frozen=True)
class State:
    """A record, and keys and values of the start and of the slots fed so far: (layers, 2, heads, T, D / heads)."""

    record: int
    past: Tensor


class PublishedWalker:
    """The published decoder at work on B proteins.

    Args:
        z_BD: the proteins' vectors.
    """

    forced = False

    def __init__(self, network: Published, code: Code, z_BD: Tensor) -> None:
        self.taxonomy, self._code, self._decoder = code.taxonomy, code, network.decoder
        self._heads, self._records = network.config.decoder_heads, len(z_BD)
        self._layers = [one for one in self._decoder.decoder.layers if isinstance(one, nn.TransformerDecoderLayer)]
        self._levels_P = f.pad(network.levels_S, (1, 0)).cpu().numpy()  # of the slot before each position
        with torch.inference_mode():
            self._taken = [taken_from(layer.multihead_attn, z_BD) for layer in self._layers]
            self._nothing = z_BD.new_empty(len(self._layers), 2, self._heads, 0, z_BD.shape[1] // self._heads)

    def begin(self) -> list[State]:
        return [State(record, self._nothing) for record in range(self._records)]

    @torch.inference_mode()
    def step(self, states: Sequence[State], nodes: NDArray[np.int64]) -> tuple[Fan, list[State]]:
        """As `walk.Walker`. A state's slots from the taxon's own on, which led to its siblings, are left out."""
        code, tree = self._code, self.taxonomy
        ends = np.concatenate([[0], np.cumsum(tree.child_count[nodes].astype(np.int64) + 1)])
        log_F, after = np.zeros(ends[-1], np.float32), []
        for a in range(0, len(states), ROWS):
            some, at = states[a : a + ROWS], nodes[a : a + ROWS]
            sizes, known = code.last_N[at] - code.slot_N[at], code.slot_N[at] + 1
            pasts = [state.past[..., :length, :] for state, length in zip(some, known.tolist(), strict=True)]
            hidden_RTD, keys = self._fed([state.record for state in some], at, pasts, int(sizes.max()))
            after += [
                State(state.record, torch.cat([past, keys[row, ..., :size, :]], dim=3))
                for row, (state, past, size) in enumerate(zip(some, pasts, sizes.tolist(), strict=True))
            ]
            for node in np.unique(at[tree.child_count[at] > 0]).tolist():
                rows = np.flatnonzero(at == node)
                log_p_RC = self._asked(hidden_RTD[rows.tolist()], node).cpu().numpy()
                log_F[ends[a + rows][:, None] + np.arange(log_p_RC.shape[1])] = log_p_RC
        return Fan(log_F, ends), after

    def _fed(
        self, records: list[int], nodes: NDArray[np.int64], pasts: list[Tensor], length: int
    ) -> tuple[Tensor, Tensor]:
        """Feed each row its taxon, PAD for the rest of its level and CONT, `length` slots in all.

        Returns:
            vectors (R, length, D), the t-th of which tells of the slot t + 1 after the taxon's, and their keys and
            values (R, layers, 2, heads, length, D / heads).
        """
        code, decoder, device = self._code, self._decoder, self._nothing.device
        at_RT = code.slot_N[nodes][:, None] + np.arange(length)
        tokens_RT = np.where(at_RT < code.below_N[nodes][:, None], PAD, CONT)
        tokens_RT[:, 0] = code.token_N[nodes]
        positions_RT = np.minimum(at_RT + 1, len(self._levels_P) - 1)  # rows that are shorter end in anything
        inputs = (torch.from_numpy(x).to(device) for x in (tokens_RT, positions_RT, self._levels_P[positions_RT]))
        tables = (decoder.token_embedding, decoder.positional_embedding, decoder.level_embedding)
        x_RTD = torch.stack([table(x) for table, x in zip(tables, inputs, strict=True)]).sum(0)

        known = torch.tensor([past.shape[3] for past in pasts])
        most = int(known.max())
        past_R = torch.stack([f.pad(past, (0, 0, 0, most - past.shape[3])) for past in pasts])
        real_RTP = (torch.arange(most) < known[:, None])[:, None].expand(-1, length, -1)
        before_TT = torch.ones(length, length, dtype=torch.bool).tril()
        mask = torch.cat([real_RTP, before_TT.expand(len(pasts), -1, -1)], 2)[:, None].to(device)

        kept = []
        for n, layer in enumerate(self._layers):
            attention = layer.self_attn
            qkv = f.linear(layer.norm1(x_RTD), attention.in_proj_weight, attention.in_proj_bias)
            q, k, v = qkv.view(*qkv.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            kept.append(torch.stack([k, v], 1))
            keys, values = (torch.cat([past_R[:, n, i], new], 2) for i, new in enumerate((k, v)))
            mixed = f.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
            x_RTD = x_RTD + attention.out_proj(mixed.transpose(1, 2).flatten(2)) + self._taken[n][records][:, None]
            x_RTD = x_RTD + layer.linear2(f.gelu(layer.linear1(layer.norm3(x_RTD))))
        return x_RTD, torch.stack(kept, 1)

    def _asked(self, hidden_RTD: Tensor, node: int) -> Tensor:
        """ln p of each child of a taxon and of stopping there (R, children + 1).

        Children that share slot and id share its probability equally; one whose id is ABSENT shares it with stopping.
        """
        code, head = self._code, self._decoder.output_head
        children = self.taxonomy.children(node)
        slots, tokens = code.slot_N[children], code.token_N[children]
        first, last = int(code.below_N[node]), int(slots.max())
        log_p_RC = hidden_RTD.new_empty(len(hidden_RTD), len(children) + 1)
        passed_R1 = hidden_RTD.new_zeros(len(hidden_RTD), 1)
        for slot in sorted({first, *slots.tolist()}):
            here = np.flatnonzero(slots == slot)
            options = [*tokens[here].tolist(), *[CONT] * (slot < last), *[ABSENT] * (slot == first)]
            ids, of, times = np.unique(options, return_inverse=True, return_counts=True)
            rows = torch.from_numpy(ids).to(hidden_RTD.device)
            logits = f.linear(hidden_RTD[:, slot - int(code.slot_N[node]) - 1], head.weight[rows], head.bias[rows])
            shares = torch.from_numpy(np.log(times)).to(logits)
            found = passed_R1 + (logits.float().log_softmax(1) - shares)[:, of]
            log_p_RC[:, here] = found[:, : len(here)]
            if slot == first:
                log_p_RC[:, -1] = found[:, -1]
            passed_R1 = found[:, len(here) : len(here) + 1]
        return log_p_RC
