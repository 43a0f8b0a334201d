"""Records in, predictions out: in order, in constant memory, on several threads."""

from __future__ import annotations

import re
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from threadpoolctl import threadpool_limits

from linnet.kmers import Strand
from linnet.prediction import Prediction, Stopped
from linnet.predictor import Predictor
from linnet.protein_predictor import ProteinPredictor
from linnet.records import SequenceRecord
from linnet.taxonomy import CANONICAL, RANKS, Lineage


def classify(
    records: Iterable[SequenceRecord],
    predictor: Predictor | ProteinPredictor,
    *,
    confidence: float,
    strand: Strand = "auto",
    threads: int = 1,
) -> Iterator[Prediction]:
    """One prediction a record, in order; at most `threads` + 1 blocks of records are held.

    Each block is judged by one thread, so that answers do not depend on how many threads there are.
    """
    stream = iter(records)
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads, initializer=_one_core) as pool:
        waiting: deque[Future[list[Prediction]]] = deque()
        try:
            while block := list(islice(stream, predictor.block)):
                waiting.append(pool.submit(predictor.predict, block, strand))
                if len(waiting) > threads:
                    yield from (p.recut(confidence) for p in waiting.popleft().result())
            while waiting:
                yield from (p.recut(confidence) for p in waiting.popleft().result())
        finally:
            for future in waiting:
                future.cancel()


def _one_core() -> None:
    """Keep torch, where a model needs it, from starting threads of its own within the calling one."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def shard(records: Iterable[SequenceRecord], number: int, of: int) -> Iterator[SequenceRecord]:
    """Every `of`-th record, beginning with the `number`-th, counted from 1."""
    return islice(records, number - 1, None, of)


@dataclass
class Summary:
    """What happened to the records, for the last lines of a run."""

    records: int = 0
    at_rank: Counter[str] = field(default_factory=Counter)
    stopped: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    whole_path: list[int] = field(default_factory=lambda: [0, 0])
    """Of several models' answers, how many there were, and on how many uncut paths all models agree."""

    def watch(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Pass predictions on, counting them."""
        for prediction in predictions:
            self.records += 1
            self.stopped[prediction.stopped] += 1
            if prediction.stopped == Stopped.UNREADABLE:
                self.reasons[_kind_of(prediction.reason)] += 1
            if prediction.flags:
                self.flags.update(prediction.flags)
            if prediction.agreement:
                self.whole_path[0] += 1
                self.whole_path[1] += min(prediction.agreement) == 1
            for rank in _ranks(prediction.kept):
                self.at_rank[rank] += 1
            yield prediction

    def lines(self) -> list[str]:
        """Sentences for a person."""
        if not self.records:
            return ["no records"]
        named = ", ".join(f"{rank} {self.at_rank[rank] / self.records:.1%}" for rank in RANKS if self.at_rank[rank])
        lines = [f"{self.records:,} records; named to {named or 'nothing'}"]
        if self.stopped[Stopped.NOVEL]:
            lines.append(f"{self.stopped[Stopped.NOVEL]:,} are probably new to the reference below their last name")
        if self.whole_path[0]:
            share = self.whole_path[1] / self.whole_path[0]
            lines.append(f"all models agree on the whole uncut path of {share:.1%}; 'agreement' in jsonl, tsv and csv "
                         "says where they part")  # fmt: skip
        if self.flags:
            lines.append("to be looked at twice ('flags'): " + ", ".join(f"{n:,} {f}" for f, n in self.flags.items()))
        lines += [f"{n:,} unreadable: {reason}" for reason, n in self.reasons.most_common(5)]
        return lines


@lru_cache(maxsize=1 << 14)
def _ranks(lineage: Lineage) -> frozenset[str]:
    """The canonical ranks that have a name."""
    return frozenset(CANONICAL[taxon.rank] for taxon in lineage if taxon.rank in CANONICAL)


def _kind_of(reason: str) -> str:
    """A reason without its first number, to count alike ones together."""
    return re.sub(r"^\d+", "too few", reason)
