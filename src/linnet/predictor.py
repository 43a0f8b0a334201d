"""A loaded model: records in, predictions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from linnet import checkpoint as checkpoints
from linnet.baselines import Commonest, Nearest
from linnet.checkpoint import Checkpoint
from linnet.compact import CompactNetwork
from linnet.decode import LineageCache, descend
from linnet.errors import UserError
from linnet.kmers import BLOCK, Strand
from linnet.prediction import DEFAULT_CONFIDENCE, Posterior, Prediction, unreadable
from linnet.records import SequenceRecord, as_records

SHIPPED = Path(__file__).parent / "models" / "rrna"
"""The model that comes with the package."""


class Predictor:
    """A checkpoint ready to classify; safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.taxonomy = checkpoint.taxonomy
        try:
            self._network = _network(checkpoint)
        except (KeyError, ValueError, IndexError) as error:
            raise UserError(
                f"the model's weights do not fit its tree ({error})", remedy="Copy or train the model again."
            ) from error
        self._lineages = LineageCache(self.taxonomy)
        self._blas = ThreadpoolController()

    def classify(
        self,
        records: Iterable[str | SequenceRecord],
        *,
        confidence: float = DEFAULT_CONFIDENCE,
        strand: Strand = "auto",
    ) -> Iterator[Prediction]:
        """One prediction a record, in order, a block at a time.

        Args:
            records: records, or plain sequences, which are named seq1, seq2 ...
            confidence: names are kept while they are at least this probable; `Prediction.recut` moves it.
            strand: of the reads; `auto` decides for each.
        """
        stream = as_records(records)
        while block := list(islice(stream, BLOCK)):
            yield from (p.recut(confidence) for p in self.predict(block, strand))

    def predict(self, records: Sequence[SequenceRecord], strand: Strand = "auto") -> list[Prediction]:
        """Uncut predictions of one block of records.

        Matrix products are done by one thread: more gain little on blocks of this size, cost much on a busy
        machine, and may change the last digits.
        """
        with self._blas.limit(limits=1):
            return self._predict(records, strand)

    def _predict(self, records: Sequence[SequenceRecord], strand: Strand) -> list[Prediction]:
        reading = self._network.reader.read([r.sequence for r in records], strand)
        reasons = [self._refusal(record, int(kmers)) for record, kmers in zip(records, reading.kmers_B, strict=True)]
        readable = [i for i, reason in enumerate(reasons) if not reason]
        named: dict[int, Prediction] = {}
        if readable:
            counts = reading.counts_BV[readable] if len(readable) < len(records) else reading.counts_BV
            posterior = Posterior(self.taxonomy, np.asarray(self._network.place(counts)))
            ids, strands = [records[i].id for i in readable], [reading.strand[i] for i in readable]
            named = dict(zip(readable, descend(posterior, ids, strands, self._lineages), strict=True))
            for i, prediction in named.items():
                if prediction.novelty[0] > 0.5:
                    named[i] = unreadable(prediction.record_id, "unlike anything the model was trained on")
        return [named.get(i) or unreadable(r.id, reasons[i]) for i, r in enumerate(records)]

    def _refusal(self, record: SequenceRecord, kmers: int) -> str:
        """Why a record cannot be judged, or nothing."""
        needed = self.checkpoint.calibration.kmers
        if not record.sequence:
            return "no sequence"
        if kmers < needed:
            k = self._network.reader.k
            if len(record.sequence) - k + 1 < needed:
                return f"{len(record.sequence)} bases; at least {needed + k - 1} are needed"
            return f"{kmers} of its {k}-mers are free of ambiguous bases; at least {needed} are needed"
        return ""


def _network(checkpoint: Checkpoint) -> CompactNetwork | Commonest | Nearest:
    kind = checkpoint.model.get("kind")
    if kind == "compact":
        return CompactNetwork(checkpoint.tensors, checkpoint.taxonomy, checkpoint.calibration)
    if kind == "nearest":
        return Nearest(checkpoint.tensors, checkpoint.taxonomy)
    if kind == "commonest":
        return Commonest(checkpoint.tensors, checkpoint.taxonomy)
    raise UserError(f"a model of kind {kind!r}", expected="compact, nearest or commonest", remedy="Update linnet.")


def load(model: str | Path | None = None) -> Predictor:
    """A model folder, or the model that comes with the package.

    Raises:
        UserError: not a model, or damaged.
    """
    return Predictor(checkpoints.load(SHIPPED if model is None else model))
