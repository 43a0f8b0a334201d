"""A loaded protein model, or several as one: proteins in, predictions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from linnet import walk
from linnet.checkpoint import Checkpoint, check_one_tree
from linnet.compact_lineage import CompactLineageNetwork
from linnet.decode import LineageCache
from linnet.errors import UsageError, UserError, missing_extra
from linnet.kmers import Strand
from linnet.prediction import DEFAULT_CONFIDENCE, Prediction, foreign, unreadable
from linnet.protein_flags import conflicting_domains, flags_of
from linnet.records import SequenceRecord, as_records
from linnet.released.taxoformer_names import Way
from linnet.residues import WordReader, looks_like_bases
from linnet.taxonomy import Taxon
from linnet.together import Mean, sharing
from linnet.walk import Walk, Walker
from linnet.weighed_walk import WeighedWalker

if TYPE_CHECKING:
    from linnet.families.protein_transformer import ProteinTransformer
    from linnet.released.taxoformer_model import TaxoFormer

Search = Literal["descend", "end", "beam"] | Way
"""Down to the most probable child each time; to the most probable end of all; to the best end that a beam finds. Of a
model converted from TaxoFormer, the ways of its own code too."""
KINDS = ("lineage", "decoder", "taxoformer")
"""Kinds of checkpoint that are models of proteins."""
BEAM = 8


class Network(Protocol):
    """What a checkpoint's kind must offer."""

    @property
    def longest(self) -> int | None:
        """Residues of the longest protein that it knows of, or of what it reads of one; None: not known."""
        ...

    def walker_of(self, sequences: Sequence[str]) -> Walker:
        """The model at work on these proteins."""
        ...

    def vectors_of(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """float32 (B, width): what the head is given of each protein, as one vector."""
        ...


class ProteinPredictor:
    """One checkpoint of a kind in `KINDS`, or an ensemble of several on one tree; safe to share between threads.

    Args:
        device: of models that torch runs, as it names it.

    Attributes:
        block: proteins judged at once; fewer where each takes long, so that all threads have work.

    Raises:
        UserError: weights that do not fit their tree; models on different trees; a published search of another model,
            or of several.
    """

    def __init__(self, *checkpoints: Checkpoint, search: Search = "descend", device: str = "cpu") -> None:
        check_one_tree(checkpoints)
        self.checkpoints, self.checkpoint = checkpoints, checkpoints[0]
        first = checkpoints[0]
        self.taxonomy, self.search = first.taxonomy, search
        kinds = {c.model.get("kind") for c in checkpoints}
        if search in get_args(Way) and (len(checkpoints) > 1 or kinds != {"taxoformer"}):
            what = "an ensemble" if len(checkpoints) > 1 else "a model that is not TaxoFormer's"
            raise UsageError(f"--search {search} asked of {what}", expected="one model converted from TaxoFormer",
                             remedy="Use descend, end or beam.")  # fmt: skip
        self.networks = [_network(c, device) for c in checkpoints]
        self._indices = sharing([n for n in self.networks if isinstance(n, CompactLineageNetwork)])
        self.block = 256 if kinds == {"lineage"} else 16
        self.least = first.calibration.kmers
        known = [n for network in self.networks if (n := network.longest) is not None]
        self._longest = max(known, default=None)
        self._lineages = LineageCache(first.taxonomy)
        self._blas = ThreadpoolController()

    def classify(
        self, records: Iterable[str | SequenceRecord], *, confidence: float = DEFAULT_CONFIDENCE
    ) -> Iterator[Prediction]:
        """One prediction a protein, in order, a block at a time; plain sequences are named seq1, seq2 ..."""
        stream = as_records(records, "protein")
        while block := list(islice(stream, self.block)):
            yield from (p.recut(confidence) for p in self.predict(block))

    def predict(self, records: Sequence[SequenceRecord], strand: Strand = "auto") -> list[Prediction]:
        """Uncut predictions of one block of proteins; a protein has no strand."""
        with self._blas.limit(limits=1, user_api="blas"):
            reasons = [self.refusal(r.sequence) for r in records]
            readable = [i for i, reason in enumerate(reasons) if not reason]
            found = [unreadable(r.id, reason) for r, reason in zip(records, reasons, strict=True)]
            if readable:
                ids, sequences = [records[i].id for i in readable], [records[i].sequence for i in readable]
                published = self.search in get_args(Way)
                if published:
                    named = self._said(sequences, ids)
                else:
                    walker = self.walker(sequences)
                    named = self._flagged(self.named(walker, ids), sequences, walker)
                for i, prediction in zip(readable, named, strict=True):
                    found[i] = prediction
            return found

    def _flagged(self, predictions: Sequence[Prediction], sequences: Sequence[str], walker: Walker) -> list[Prediction]:
        """The predictions, with what is unusual about their proteins."""
        conflicting = np.zeros(len(sequences), bool)
        for one in walker.walkers if isinstance(walker, Mean) else (walker,):
            if isinstance(one, WeighedWalker) and one.kin is not None:
                conflicting |= conflicting_domains(one.kin, self.taxonomy)
        found = [flags_of(s, self._longest, bool(c)) for s, c in zip(sequences, conflicting, strict=True)]
        return [replace(p, flags=flags) if flags else p for p, flags in zip(predictions, found, strict=True)]

    def vectors(self, records: Sequence[SequenceRecord]) -> NDArray[np.float32]:
        """float32 (B, width): the encoder's vector of each protein of one block; of an ensemble the first model's."""
        with self._blas.limit(limits=1, user_api="blas"):
            return self.networks[0].vectors_of([r.sequence for r in records])

    @property
    def filled(self) -> int:
        """Proteins so far that were longer than a model's window; what lay beyond it was not read."""
        return max(getattr(network, "filled", 0) for network in self.networks)

    def named(self, walker: Walker, ids: Sequence[str]) -> list[Prediction]:
        """Uncut predictions of a walker's records."""
        return list(walk.predictions(self._walks(walker), ids, self._lineages))

    def walker(self, sequences: Sequence[str]) -> Walker:
        """The model, or the mean of several, at work on these proteins.

        Raises:
            UsageError: the search is a published one, which asks no walker.
        """
        if self.search in get_args(Way):
            raise UsageError(f"--search {self.search} for groups of proteins", expected="descend, end or beam",
                             remedy="The published ways answer for one protein at a time.")  # fmt: skip
        kin = {id(network.index): network.kin(sequences) for network in self._indices}  # each index is searched once
        walkers = [
            network.walker_of(sequences, kin.get(id(network.index)))
            if isinstance(network, CompactLineageNetwork)
            else network.walker_of(sequences)
            for network in self.networks
        ]
        return walkers[0] if len(walkers) == 1 else Mean(walkers)

    def _said(self, sequences: Sequence[str], ids: Sequence[str]) -> list[Prediction]:
        """Uncut predictions as the published code names them; it says nothing of ranks."""
        network: Any = self.networks[0]  # checked: TaxoFormer
        said = network.said(sequences, self.search)
        return [
            foreign(id, tuple(Taxon("no rank", name) for name in names), sure) if names
            else unreadable(id, "the published code gives no name")
            for id, (names, sure) in zip(ids, said, strict=True)
        ]  # fmt: skip

    def _walks(self, walker: Walker) -> list[Walk]:
        if self.search == "descend":
            return walk.descend(walker)
        ends = walk.top(walker, 1) if self.search == "end" else walk.beam(walker, BEAM)
        return [found[0] for found in ends]

    def refusal(self, sequence: str) -> str:
        """Why a protein cannot be judged, or nothing."""
        if not sequence:
            return "no sequence"
        if looks_like_bases(sequence):
            return "letters of bases; a protein model reads amino acids"
        residues = len(sequence) - sum(map(sequence.count, "X*-."))
        return f"{residues} residues; at least {self.least} are needed" if residues < self.least else ""


def _network(checkpoint: Checkpoint, device: str) -> Network:
    try:
        if checkpoint.model.get("kind") == "taxoformer":
            return _taxoformer(checkpoint, device)
        if checkpoint.model.get("kind") == "decoder":
            return _transformer(checkpoint, device)
        settings = checkpoint.model["config"]["model"]["encoder"]
        reader = WordReader(tuple(settings["ks"]), int(settings["buckets"]))
        return CompactLineageNetwork.kept(checkpoint.tensors, reader, checkpoint.taxonomy, checkpoint.calibration)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"the model's weights do not fit its tree ({error})", remedy="Copy or train the model again."
        ) from error


def _taxoformer(checkpoint: Checkpoint, device: str) -> TaxoFormer:
    try:
        from linnet.released.taxoformer_model import TaxoFormer
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "proteins", "this model") from error
    return TaxoFormer(checkpoint, device)


def _transformer(checkpoint: Checkpoint, device: str) -> ProteinTransformer:
    try:
        from linnet.families import protein_transformer
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra("torch", "proteins", "this model") from error
    return protein_transformer.load(checkpoint, device)
