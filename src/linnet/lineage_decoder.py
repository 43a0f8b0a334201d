"""A transformer that says a lineage taxon by taxon: each step attends to the steps before it and to the protein.

The layers and tables are those of TaxoFormer's decoder (2025, appendix A): token, position and level embeddings, four
pre-norm layers with attention to the encoder's output, and a linear layer onto a bin's tokens; with the published
sizes it has the published 143,570,840 parameters. What it is asked is ours. Its input is a lineage's taxa, without
PAD and CONT; its answer the children of the taxon come to, and stopping there, by a softmax over these alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from linnet.errors import require
from linnet.lineage_code import CONT, FIRST, PAD, STOP, VOCABULARY, LineageCode
from linnet.walk import Fan


@dataclass(frozen=True, kw_only=True)
class Config:
    """The decoder's sizes."""

    width: int = 320
    """Of its vectors; the encoder's are brought to it."""
    layers: int = 4
    """Transformer layers."""
    heads: int = 8
    """Of each attention."""
    dropout: float = 0.1
    """Share of units left out in training."""
    vocabulary: int = VOCABULARY
    """Tokens of a bin."""
    forced: bool = True
    """Whether a taxon with a single child is passed without asking."""

    def __post_init__(self) -> None:
        require(self.width % self.heads == 0, f"width {self.width}", f"a multiple of the {self.heads} heads")
        require(min(self.layers, self.heads) >= 1, f"{self.layers} layers, {self.heads} heads", "1 or more")
        require(0 <= self.dropout < 1, f"dropout {self.dropout}", "0 to 1")


class Attention(nn.Module):
    """Multi-head attention of queries to keys that may have been worked out before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def query(self, x_BTD: Tensor) -> Tensor:
        """(B, heads, T, D / heads)."""
        width = x_BTD.shape[-1]
        return self._split(functional.linear(x_BTD, self.in_proj_weight[:width], self.in_proj_bias[:width]))

    def keys_values(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Each (B, heads, T, D / heads)."""
        width = x_BTD.shape[-1]
        both = functional.linear(x_BTD, self.in_proj_weight[width:], self.in_proj_bias[width:])
        key, value = both.chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None) -> Tensor:
        """(B, T, D); `allowed`, bool, broadcasts to (B, heads, T, keys)."""
        x = functional.scaled_dot_product_attention(query, keys, values, attn_mask=allowed)
        return torch.as_tensor(self.out_proj(x.transpose(1, 2).flatten(2)))

    def _split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.reshape(*x_BTD.shape[:2], self.heads, -1).transpose(1, 2)


class Layer(nn.Module):
    """Attention to the steps so far, attention to the protein, and two linear layers, each after a norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn, self.multihead_attn = Attention(width, heads), Attention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x_BTD: Tensor, past: tuple[Tensor, Tensor] | None, steps: Tensor | None, memory: tuple[Tensor, Tensor],
        real: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # fmt: skip
        """The layer's output (B, T, D), and the keys and values of all steps so far.

        Args:
            past: keys and values of earlier steps.
            steps: bool, which of the steps so far each one may attend to.
            memory, real: keys and values of the protein, and which of them are real.
        """
        normed = self.norm1(x_BTD)
        keys, values = self.self_attn.keys_values(normed)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        x = x_BTD + self.dropout(self.self_attn.attend(self.self_attn.query(normed), keys, values, steps))
        x = x + self.dropout(self.multihead_attn.attend(self.multihead_attn.query(self.norm2(x)), *memory, real))
        inner = self.dropout(functional.gelu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(inner)), (keys, values)


class LineageDecoder(nn.Module):
    """Of a code with S slots and D levels. Memory is the encoder's output (B, M, width), M = 1 for a single vector."""

    def __init__(self, config: Config, slots: int, levels: int) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.positional_embedding = nn.Embedding(slots + 1, config.width)
        self.level_embedding = nn.Embedding(levels + 1, config.width)
        self.layers = nn.ModuleList(Layer(config.width, config.heads, config.dropout) for _ in range(config.layers))
        self.output_head = nn.Linear(config.width, config.vocabulary)
        for table in (self.token_embedding, self.positional_embedding, self.level_embedding, self.output_head):
            nn.init.normal_(table.weight, std=0.02)
        nn.init.zeros_(self.output_head.bias)

    def remember(self, memory: Memory) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the proteins for each layer; worked out once."""
        layers: Iterable[Any] = self.layers
        return [layer.multihead_attn.keys_values(memory.vectors) for layer in layers]

    def forward(
        self,
        taxa: Taxa,
        memory: Sequence[tuple[Tensor, Tensor]],
        real: Tensor | None = None,
        past: Sequence[tuple[Tensor, Tensor]] | None = None,
        known: Tensor | None = None,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Hidden states (B, T, width) after each of the taxa, and the keys and values of all steps so far.

        Args:
            taxa: T taxa of each lineage, in order.
            memory, real: what `remember` gave, and which of the proteins' vectors are real; None: all.
            past: of earlier steps, P of them; then T is 1.
            known: bool (B, P + T), which steps are real; None: all.
        """
        x = self.token_embedding(taxa.token) + self.positional_embedding(taxa.slot) + self.level_embedding(taxa.level)
        length = x.shape[1]
        steps: Tensor | None = None
        if past is None:
            steps = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        elif known is not None:
            steps = known[:, None, None]
        mask = None if real is None else real[:, None, None]
        keys = []
        for n, layer in enumerate(self.layers):
            x, now = layer(x, None if past is None else past[n], steps, memory[n], mask)
            keys.append(now)
        return x, keys

    def log_p(self, hidden_TD: Tensor, asked: Sequence[Asked]) -> Iterator[Tensor]:
        """Of each taxon asked about, ln p of its children and of stopping there, (R, children + 1), for the R of the T
        hidden states that came to it.

        A bin's tokens are rows of the output layer; which bin is told by its position's embedding. Rows are gathered
        for all taxa at once: a slice each would, on the way back, fill as many gradients of the whole table.
        """
        if not asked:
            return
        tokens = [np.concatenate([*(np.arange(a, z) for _, a, z in one.runs), [STOP]]) for one in asked]
        index = torch.from_numpy(np.concatenate(tokens)).to(hidden_TD.device)
        sizes = [len(some) for some in tokens]
        head = self.output_head
        weights, biases = (torch.split(table[index], sizes) for table in (head.weight, head.bias))
        for one, weight, bias in zip(asked, weights, biases, strict=True):
            hidden_RD = hidden_TD[torch.from_numpy(one.rows).to(hidden_TD.device)]
            of_bin = [
                (hidden_RD @ self.positional_embedding.weight[slot])[:, None].expand(-1, z - a)
                for slot, a, z in one.runs
            ]
            of_bin.append(hidden_RD.new_zeros(len(hidden_RD), 1))
            scores = functional.linear(hidden_RD, weight, bias) + torch.cat(of_bin, 1)
            yield torch.log_softmax(scores.float(), 1)


@dataclass(frozen=True)
class Memory:
    """What an encoder says of B proteins: vectors (B, M, width), and bool (B, M), which of them are real; None: all."""

    vectors: Tensor
    real: Tensor | None = None


@dataclass(frozen=True)
class Taxa:
    """Taxa as the decoder's tables have them, int64 of any shape: token, slot (from 1; 0 the root's) and level."""

    token: Tensor
    slot: Tensor
    level: Tensor


@dataclass(frozen=True)
class Asked:
    """One taxon that R steps have come to.

    Attributes:
        rows: int64 (R,), which steps.
        runs: its children, in order: the slot, first token and end of each run of tokens.
    """

    rows: NDArray[np.int64]
    runs: list[tuple[int, int, int]]


class Tables:
    """A code's numbers, ready to be looked up."""

    def __init__(self, code: LineageCode, device: str = "cpu") -> None:
        tree = code.taxonomy
        self.code, self.taxonomy, self.device = code, tree, device
        token, slot = code.token, code.slot + 1
        token[0] = CONT  # the published start token
        self._tables = [x.astype(np.int32) for x in (token, slot, tree.depth)]
        self._place = (tree.level_bounds[tree.depth] + code.position).astype(np.int32)

    def taxa(self, nodes: NDArray[np.integer]) -> Taxa:
        """Of taxa in an array of any shape."""
        return Taxa(*(self._tensor(table[nodes]) for table in self._tables))

    def rows(self, rows_BS: NDArray[np.integer]) -> Taxa:
        """Of whole rows of tokens, PAD and CONT included, each slot seeing those before it, as published."""
        code = self.code
        token = np.concatenate([np.full((len(rows_BS), 1), CONT), rows_BS[:, :-1]], 1)
        slot = np.broadcast_to(np.arange(code.slots), token.shape)
        level = np.broadcast_to(np.concatenate([[0], code.level_of_slot[:-1]]), token.shape)
        return Taxa(*(self._tensor(np.ascontiguousarray(x)) for x in (token, slot, level)))

    def asked(self, nodes_S: NDArray[np.integer]) -> list[Asked]:
        """The taxa that S steps have come to, each once."""
        taxa, of = np.unique(nodes_S, return_inverse=True)
        order = np.argsort(of, kind="stable")
        bounds = np.searchsorted(of[order], np.arange(len(taxa) + 1))
        return [Asked(order[bounds[i] : bounds[i + 1]], self._runs(int(node))) for i, node in enumerate(taxa)]

    def child(self, node: int, child: int) -> int:
        """Which of the children of a taxon another one is."""
        return int(self._place[child]) - int(self.taxonomy.child_start[node])

    def _runs(self, node: int) -> list[tuple[int, int, int]]:
        """Children of one taxon have tokens that follow one another, save where a bin ends among them."""
        code, tree = self.code, self.taxonomy
        level = int(tree.depth[node]) + 1
        left = int(tree.child_count[node])
        at = int(tree.child_start[node]) - int(tree.level_bounds[level]) if left else 0
        runs = []
        while left:
            bin_, within = divmod(at, code.bin_size)
            size = min(left, code.bin_size - within)
            runs.append((int(code.first_slot_L[level]) + bin_ + 1, FIRST + within, FIRST + within + size))
            at, left = at + size, left - size
        return runs

    def _tensor(self, array: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(np.array(array, np.int64)).to(self.device)


# ---------------------------------------------------------------------- training


@dataclass(frozen=True)
class Lessons:
    """What B labels teach: the taxa asked about on each one's way, and the right answers.

    Attributes:
        nodes_BT: int64, the taxa, 0 where a way is shorter.
        asked: the taxa of all S steps; rows are b T + t.
        right: for each of these, which of its children each step goes on to, or their number to stop.
    """

    nodes_BT: NDArray[np.int64]
    asked: list[Asked]
    right: list[NDArray[np.int64]]


def lessons(tables: Tables, nodes: NDArray[np.integer], new: NDArray[np.bool_], forced: bool) -> Lessons:
    """The steps of labels; one that ends early says nothing of what is below it, unless the organism is new there.

    Args:
        nodes: int (B,), the labels.
        new: bool (B,), whether the organism is known to be in none of its label's children.
        forced: whether taxa with a single child are passed without asking.
    """
    tree = tables.taxonomy
    ways: list[list[tuple[int, int]]] = []
    for node, is_new in zip(nodes.tolist(), new.tolist(), strict=True):
        path = [0, *tree.path(node)]
        steps = [(n, tables.child(n, c)) for n, c in zip(path, path[1:], strict=False)]
        if is_new:
            steps.append((node, int(tree.child_count[node])))
        ways.append([(n, right) for n, right in steps if tree.child_count[n] > int(forced)])
    length = max(1, *map(len, ways))
    nodes_BT, right_BT = np.zeros((len(ways), length), np.int64), np.zeros((len(ways), length), np.int64)
    real_BT = np.zeros((len(ways), length), bool)
    for b, way in enumerate(ways):
        for t, (node, right) in enumerate(way):
            nodes_BT[b, t], right_BT[b, t], real_BT[b, t] = node, right, True
    steps_S = np.flatnonzero(real_BT)
    asked = [Asked(steps_S[a.rows], a.runs) for a in tables.asked(nodes_BT.ravel()[steps_S])]
    return Lessons(nodes_BT, asked, [right_BT.ravel()[a.rows] for a in asked])


def path_loss(decoder: LineageDecoder, tables: Tables, memory: Memory, work: Lessons) -> Tensor:
    """Mean over records of -ln p(label): cross-entropies over the children of each taxon and stopping there."""
    hidden, _ = decoder(tables.taxa(work.nodes_BT), decoder.remember(memory), memory.real)
    hidden = hidden.flatten(0, 1)
    total = hidden.new_zeros(())
    for log_p, right in zip(decoder.log_p(hidden, work.asked), work.right, strict=True):
        total = total - log_p.gather(1, torch.from_numpy(right).to(hidden.device)[:, None]).sum()
    return torch.as_tensor(total / len(work.nodes_BT))


def row_loss(decoder: LineageDecoder, tables: Tables, memory: Memory, rows_BS: NDArray[np.integer]) -> Tensor:
    """The published loss: cross-entropy over a bin's whole vocabulary at every slot that is not PAD."""
    hidden, _ = decoder(tables.rows(rows_BS), decoder.remember(memory), memory.real)
    target = torch.from_numpy(np.asarray(rows_BS, np.int64)).to(hidden.device)
    logits = decoder.output_head(hidden).float()
    return torch.as_tensor(functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD))


# ---------------------------------------------------------------------- at work


@dataclass(frozen=True)
class State:
    """A record, and keys and values of the steps that its way has gone: (layers, 2, heads, steps, width / heads)."""

    record: int
    past: Tensor | None = None


class DecoderWalker:
    """The decoder at work on the records of a memory, with the keys and values of earlier steps kept."""

    def __init__(self, decoder: LineageDecoder, tables: Tables, memory: Memory) -> None:
        self.taxonomy, self.forced = tables.taxonomy, decoder.config.forced
        self._decoder, self._tables, self._records = decoder, tables, len(memory.vectors)
        with torch.inference_mode():
            self._memory, self._real = decoder.remember(memory), memory.real

    def begin(self) -> list[State]:
        return [State(record) for record in range(self._records)]

    @torch.inference_mode()
    def step(self, states: Sequence[State], nodes: NDArray[np.int64]) -> tuple[Fan, list[State]]:
        rows = [s.record for s in states]
        memory, real = self._memory, self._real
        if rows != list(range(self._records)):
            memory = [(k[rows], v[rows]) for k, v in memory]
            real = None if real is None else real[rows]
        past, known = _joined([s.past for s in states])
        hidden, keys = self._decoder(self._tables.taxa(nodes[:, None]), memory, real, past, known)
        kept = torch.stack([torch.stack(layer, 1) for layer in keys], 1)  # (B, layers, 2, heads, steps, width / heads)
        if known is not None:
            after = [State(s.record, kept[i, ..., known[i], :]) for i, s in enumerate(states)]
        else:
            after = [State(s.record, kept[i]) for i, s in enumerate(states)]
        start = np.concatenate([[0], np.cumsum(self.taxonomy.child_count[nodes].astype(np.int64) + 1)])
        log_F = np.empty(start[-1], np.float32)
        asked = self._tables.asked(nodes)
        for one, log_p in zip(asked, self._decoder.log_p(hidden[:, 0], asked), strict=True):
            log_F[start[one.rows][:, None] + np.arange(log_p.shape[1])] = log_p.cpu().numpy()
        return Fan(log_F, start), after


def _joined(pasts: Sequence[Tensor | None]) -> tuple[list[tuple[Tensor, Tensor]] | None, Tensor | None]:
    """Keys and values of rows' earlier steps for each layer, and bool (B, steps + 1), which are real; None: all."""
    some = [past for past in pasts if past is not None]
    if not some:
        return None, None
    length = max(past.shape[3] for past in some)
    known = None
    if len(some) < len(pasts) or any(past.shape[3] < length for past in some):
        lengths = torch.tensor([0 if past is None else past.shape[3] for past in pasts])
        known = torch.cat([torch.arange(length) >= length - lengths[:, None], torch.ones(len(pasts), 1) > 0], 1)
        empty = some[0].new_zeros(*some[0].shape[:3], 0, some[0].shape[4])
        filled = (empty if past is None else past for past in pasts)
        some = [functional.pad(past, (0, 0, length - past.shape[3], 0)) for past in filled]
    both = torch.stack(some)
    return [(both[:, n, 0], both[:, n, 1]) for n in range(both.shape[1])], None if known is None else known.to(
        both.device
    )
