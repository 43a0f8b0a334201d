"""Walking down a tree step by step, where a model tells the children of one taxon apart at a time.

A walker answers for the taxa that are asked about only, so that a tree of millions is never gone through whole. Its
answers are conditional probabilities, of each child and of stopping at the taxon; products along a path are the
probability that the organism lies in a clade, and those of stopping sum to 1 over all taxa.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from linnet.decode import LineageCache
from linnet.prediction import Prediction, Stopped
from linnet.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Fan:
    """What R taxa, one a row, lead to: for each its children in order, then stopping there.

    Attributes:
        log_F: float (F,), ln p; those of a row sum to 1.
        start: int64 (R + 1,): row r is `log_F[start[r]:start[r + 1]]`, stopping the last of it.
    """

    log_F: NDArray[np.floating]
    start: NDArray[np.int64]

    def row(self, r: int) -> NDArray[np.floating]:
        return self.log_F[self.start[r] : self.start[r + 1]]


class Walker(Protocol):
    """A model at work on B records.

    Attributes:
        taxonomy: the tree.
        forced: whether a taxon with a single child is passed without asking, as if nothing new could be below it.
    """

    taxonomy: Taxonomy
    forced: bool

    def begin(self) -> list[Any]:
        """The state of each of the B records before anything is asked."""
        ...

    def step(self, states: Sequence[Any], nodes: NDArray[np.int64]) -> tuple[Fan, list[Any]]:
        """What the taxa `nodes` lead to, one for each of the states of any records, and the states come to them.

        A state may be used again: none is changed.
        """
        ...


@dataclass(frozen=True)
class Walk:
    """A way down the tree from the root, as far as it was gone.

    Attributes:
        nodes: the taxa passed, without the root.
        clade: ln p of each of their clades.
        stop: ln p of stopping at the root and at each of them, given that it was reached; -inf where that was not
            asked.
        ended: whether the way ends there for good: the last taxon's stopping is part of `log_p`.
    """

    nodes: tuple[int, ...] = ()
    clade: tuple[float, ...] = ()
    stop: tuple[float, ...] = ()
    ended: bool = False

    @property
    def node(self) -> int:
        return self.nodes[-1] if self.nodes else 0

    @property
    def reached(self) -> float:
        """ln p of the clade of the last taxon."""
        return self.clade[-1] if self.clade else 0.0

    @property
    def log_p(self) -> float:
        """ln p of ending at the last taxon, or of its clade where the way has not ended."""
        return self.reached + (self.stop[-1] if self.ended else 0.0)


NEVER = float("-inf")


def descend(walker: Walker, floor: float = 0.0) -> list[Walk]:
    """From the root always to the most probable child, to a leaf or the last taxon at least as probable as `floor`.

    With a floor of 0.5 or more this is the deepest taxon as probable as that: no other path can be.
    """
    tree, states = walker.taxonomy, walker.begin()
    lowest = np.log(floor) if floor > 0 else NEVER
    node, reached = np.zeros(len(states), np.int64), np.zeros(len(states))
    events = _Events(tree)
    going = np.arange(len(states))
    while len(going):
        passing = going[tree.child_count[node[going]] == 1] if walker.forced else going[:0]
        while len(passing):  # through whatever needs no asking
            events.stop(passing, np.full(len(passing), NEVER))
            node[passing] = tree.level_order[tree.child_start[node[passing]]]
            events.come(passing, node[passing], reached[passing])
            passing = passing[tree.child_count[node[passing]] == 1]
        leaf = tree.child_count[node[going]] == 0
        events.stop(going[leaf], np.zeros(np.count_nonzero(leaf)))
        going = going[~leaf]
        if not len(going):
            break
        fan, after = walker.step([states[i] for i in going.tolist()], node[going])
        for i, state in zip(going.tolist(), after, strict=True):
            states[i] = state
        events.stop(going, fan.log_F[fan.start[1:] - 1])
        best, log_p = _best_children(fan)
        log_p += reached[going]
        onward = log_p >= lowest
        going, best, log_p = going[onward], best[onward], log_p[onward]
        node[going], reached[going] = tree.level_order[tree.child_start[node[going]] + best], log_p
        events.come(going, node[going], reached[going])
    return events.walks(len(states))


def top(walker: Walker, k: int = 1, queue: int = 10_000) -> list[list[Walk]]:
    """The k taxa at which each record's organism most probably ends, the most probable first: exact.

    Ways are tried in the order of their probability, which no step can raise, so that an end that comes first in
    that order is the most probable one left (best-first search; Dijkstra 1959).

    Args:
        queue: ways that are kept for a record; of more, the least probable are dropped, and the answer may then
            lack an end less probable than those.
    """
    queues = [_Queue([(0.0, (), _first(walker), state)]) for state in walker.begin()]
    while True:
        asked = [(found, q) for q in queues if (found := q.next(k)) is not None]
        if not asked:
            return [q.ends for q in queues]
        nodes = np.array([walk.node for (walk, _), _ in asked], np.int64)
        fan, states = walker.step([state for (_, state), _ in asked], nodes)
        for row, ((walk, _), q) in enumerate(asked):
            q.add(_children(walker, walk, fan.row(row)), states[row], queue)


def beam(walker: Walker, width: int) -> list[list[Walk]]:
    """Ends found by going on, level by level, with the `width` most probable ways of each record only."""
    first = _first(walker)
    open_ = [[(first, state)] if not first.ended else [] for state in walker.begin()]
    ended: list[list[Walk]] = [[first] if first.ended else [] for _ in open_]
    while any(open_):
        flat = [(i, walk, state) for i, ways in enumerate(open_) for walk, state in ways]
        fan, states = walker.step([state for *_, state in flat], np.array([w.node for _, w, _ in flat], np.int64))
        grown: list[list[tuple[Walk, Any]]] = [[(walk, None) for walk in found] for found in ended]
        for row, (i, walk, _) in enumerate(flat):
            grown[i] += [(new, states[row]) for new in _children(walker, walk, fan.row(row), width)]
        for i, found in enumerate(grown):
            best = sorted(found, key=lambda way: (-way[0].log_p, way[0].nodes))[:width]
            ended[i] = [walk for walk, _ in best if walk.ended]
            open_[i] = [way for way in best if not way[0].ended]
    return ended


def predictions(
    walks: Sequence[Walk], ids: Sequence[str], lineages: LineageCache, strands: Sequence[str] | None = None
) -> Iterator[Prediction]:
    """Uncut predictions of walks: confidence is the probability of each clade, novelty that of stopping there."""
    leaf = lineages.taxonomy.child_count == 0
    for walk, id, strand in zip(walks, ids, strands or "." * len(walks), strict=True):
        sure, least = [1.0], 1.0
        for log_p in walk.clade:
            least = min(least, math.exp(log_p))  # sums round: never let them rise
            sure.append(least)
        novelty = [p * math.exp(log_p) for p, log_p in zip(sure, walk.stop, strict=True)]
        if leaf[walk.node]:
            novelty[-1] = 0.0
        depth = len(walk.nodes)
        yield Prediction(id, lineages[walk.node], tuple(sure[1:]), tuple(novelty), depth, Stopped.NAMED, strand)


# ---------------------------------------------------------------------- steps


def _best_children(fan: Fan) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The number of each row's most probable child, the first of equals, and its ln p."""
    log_F = fan.log_F.astype(np.float64)
    log_F[fan.start[1:] - 1] = NEVER  # stopping
    highest = np.maximum.reduceat(log_F, fan.start[:-1])
    at = np.flatnonzero(log_F == np.repeat(highest, np.diff(fan.start)))
    return at[np.searchsorted(at, fan.start[:-1])] - fan.start[:-1], highest


class _Events:
    """What happens to records as they go down a tree, many at once, to be put together as their ways."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        none = np.empty(0, np.int64)
        self._come: list[tuple[NDArray[Any], ...]] = [(none, none, none)]
        self._stop: list[tuple[NDArray[Any], ...]] = [(none, none)]

    def come(self, records: NDArray[np.int64], nodes: NDArray[np.int64], clade: NDArray[np.float64]) -> None:
        """These have come to taxa whose clades are so probable."""
        self._come.append((records, nodes, clade))

    def stop(self, records: NDArray[np.int64], log_p: NDArray[np.floating]) -> None:
        """To stop where these are is so probable."""
        self._stop.append((records, log_p.astype(np.float64)))

    def walks(self, count: int) -> list[Walk]:
        """The way of each of so many records."""
        of_way, nodes, clade = self._by_record(self._come, count)
        of_stop, log_p = self._by_record(self._stop, count)
        leaf, walks = self._taxonomy.child_count == 0, []
        for i in range(count):
            way, stops = slice(of_way[i], of_way[i + 1]), slice(of_stop[i], of_stop[i + 1])
            passed = tuple(nodes[way])
            walks.append(Walk(passed, tuple(clade[way]), tuple(log_p[stops]), bool(leaf[passed[-1] if passed else 0])))
        return walks

    def _by_record(self, events: list[tuple[NDArray[Any], ...]], count: int) -> list[list[Any]]:
        """Where each record's events begin, and then their columns, each record's in the order they came."""
        records, *columns = (np.concatenate(column) for column in zip(*events, strict=True))
        order = np.argsort(records, kind="stable")
        start = np.searchsorted(records[order], np.arange(count + 1))
        return [start.tolist(), *(column[order].tolist() for column in columns)]


def _stopping(walk: Walk, log_stop: float) -> Walk:
    """The same way, knowing how probable it is to stop at its end."""
    return Walk(walk.nodes, walk.clade, (*walk.stop, log_stop))


def _onward(walker: Walker, walk: Walk, child: int, log_p: float) -> Walk:
    """The way on to a child, and through whatever needs no asking below it; ended where that is a leaf."""
    return _through(walker, Walk((*walk.nodes, child), (*walk.clade, walk.reached + log_p), walk.stop))


def _first(walker: Walker) -> Walk:
    """The way that every record goes without asking."""
    return _through(walker, Walk())


def _through(walker: Walker, walk: Walk) -> Walk:
    tree = walker.taxonomy
    while walker.forced and tree.child_count[walk.node] == 1:
        child = int(tree.children(walk.node)[0])
        walk = Walk((*walk.nodes, child), (*walk.clade, walk.reached), (*walk.stop, NEVER))
    if not tree.child_count[walk.node]:
        return Walk(walk.nodes, walk.clade, (*walk.stop, 0.0), ended=True)
    return walk


def _children(walker: Walker, walk: Walk, log_p: NDArray[np.floating], most: int | None = None) -> list[Walk]:
    """Every way on from a taxon, or the `most` most probable of them; besides, the end there."""
    here = _stopping(walk, float(log_p[-1]))
    ways = [Walk(here.nodes, here.clade, here.stop, ended=True)] if log_p[-1] > NEVER else []
    children, onward = walker.taxonomy.children(walk.node), log_p[:-1].astype(np.float64)
    if most is not None and len(children) > most:
        best = np.argsort(-(walk.reached + onward), kind="stable")[:most]
        children, onward = children[best], onward[best]
    return ways + [_onward(walker, here, c, p) for c, p in zip(children.tolist(), onward.tolist(), strict=True)]


@dataclass
class _Queue:
    """One record's ways, the most probable first.

    Attributes:
        ways: -ln p, the nodes (to order equals), the way, and the state from which it goes on.
        ends: the ends found.
    """

    ways: list[tuple[float, tuple[int, ...], Walk, Any]]
    ends: list[Walk] = field(default_factory=list)

    def add(self, walks: list[Walk], state: Any, most: int) -> None:
        for walk in walks:
            heapq.heappush(self.ways, (-walk.log_p, walk.nodes, walk, state))
        if len(self.ways) > most:
            self.ways = heapq.nsmallest(most, self.ways, key=lambda way: way[:2])

    def next(self, k: int) -> tuple[Walk, Any] | None:
        """The next way to ask about; None when k ends are known, or no way is left."""
        while self.ways and len(self.ends) < k:
            _, _, walk, state = heapq.heappop(self.ways)
            if not walk.ended:
                return walk, state
            self.ends.append(walk)
        return None
