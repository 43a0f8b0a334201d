"""A loaded model, or several as one: records in, predictions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from linnet import checkpoint as checkpoints
from linnet import walk
from linnet.baselines import Commonest, Nearest
from linnet.checkpoint import Checkpoint, check_one_tree
from linnet.compact import CompactNetwork
from linnet.decode import LineageCache, descend
from linnet.errors import UsageError, UserError, torch_for
from linnet.kin import Kin
from linnet.kmers import BLOCK, KmerReader, Reading, Strand
from linnet.prediction import DEFAULT_CONFIDENCE, Neighbour, Posterior, Prediction, unreadable
from linnet.protein_predictor import KINDS, ProteinPredictor, Search
from linnet.rank_scores import RankScores
from linnet.records import SequenceRecord, as_records
from linnet.together import Mean, sharing
from linnet.walk import Walker
from linnet.weighed_walk import WeighedWalker

MODELS = Path(__file__).parent / "models"
"""The models that come with the package, which may be named without a path: `rrna` and `proteins`."""
SHIPPED = MODELS / "rrna"
"""The one that is used where none is named."""

_USUAL = {"letters": "tidy", "precision": "fp32", "device": "cpu", "engine": "auto"}

Ranks = Literal["lineage", "published"]
"""One lineage that exists, or, of models that answer each rank by itself, those answers."""


class Network(Protocol):
    """What a checkpoint's kind must offer."""

    reader: KmerReader

    def place(self, reading: Reading) -> NDArray[np.float32]:
        """float32 (B, N): the posterior over places in the tree."""
        ...


@dataclass(frozen=True, eq=False)
class Judged:
    """One block of records, with the posterior that their predictions were read from.

    Attributes:
        predictions: of each record, uncut.
        rows: the records that could be read, by their number in the block.
        posterior: of these, in their order.
    """

    predictions: list[Prediction]
    rows: list[int]
    posterior: Posterior


class Predictor:
    """One checkpoint, or an ensemble of several on one tree, ready to classify; safe to share between threads.

    Args:
        checkpoints: the models; their posteriors, or with `ranks="published"` their ranks' probabilities, are averaged.
        neighbours: how many of the references most like a record are told with its prediction; of an ensemble those of
            its first model.
        running: settings of models that need torch (`network.Running`): letters, precision, device.

    Attributes:
        block: records judged at once; fewer where each takes long, so that all threads have work.

    Raises:
        UserError: weights that do not fit their tree; models on different trees; `ranks="published"` of a model
            that does not answer each rank by itself.
    """

    def __init__(self, *checkpoints: Checkpoint, ranks: Ranks = "lineage", neighbours: int = 0, **running: Any) -> None:
        self.checkpoints, self.checkpoint = checkpoints, checkpoints[0]
        self.taxonomy, self.ranks = self.checkpoint.taxonomy, ranks
        check_one_tree(checkpoints)
        if ranks == "published":
            _check_labels(checkpoints)
        networks = any(c.model.get("kind") == "network" for c in checkpoints)
        needless = {name: running[name] for name, value in _USUAL.items() if running.get(name, value) != value}
        if needless and not networks:
            asked = ", ".join(f"--{name} {value}" for name, value in needless.items())
            raise UsageError(
                f"{asked} asked of a model of k-mer counts",
                expected="a model that torch runs, as DeepTaxa's are",
                remedy="Leave it out.",
            )
        self._published_letters = running.get("letters") == "published"
        self._networks = [_network(checkpoint, running) for checkpoint in checkpoints]
        self._walkers = [n for n in self._networks if isinstance(n, CompactNetwork)]
        self._walking = len(self._walkers) == len(self._networks)
        self._indices = sharing(self._walkers)
        self._neighbours = neighbours
        if neighbours and not (self._walking and self._walkers[0].index):
            raise UsageError(
                f"{neighbours} neighbours asked of a model that keeps no references",
                expected="a compact model of genes, as 'linnet train rrna' makes them",
                remedy="Leave out --neighbours, or train a model again.",
            )
        self._lineages = LineageCache(self.taxonomy)
        self.block = 32 if networks else BLOCK
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
        while block := list(islice(stream, self.block)):
            yield from (p.recut(confidence) for p in self.predict(block, strand))

    def predict(self, records: Sequence[SequenceRecord], strand: Strand = "auto") -> list[Prediction]:
        """Uncut predictions of one block of records.

        Products of numpy are done by one thread: more gain little on blocks of this size, cost much on a busy
        machine, and may change the last digits.
        """
        with self._blas.limit(limits=1, user_api="blas"):
            reading, rows, reasons = self._read(records, strand)
            answers = self._answers([records[i].id for i in rows], reading) if rows else []
            return _rows(records, rows, answers, reasons)

    def judge(self, records: Sequence[SequenceRecord], strand: Strand = "auto") -> Judged:
        """Uncut predictions of one block of records, and the posterior behind them; of an ensemble its mean.

        Raises:
            UsageError: with `ranks="published"` there is no posterior.
        """
        if self.ranks == "published":
            raise UsageError("a posterior asked of each rank by itself", remedy="Leave out --ranks published.")
        with self._blas.limit(limits=1, user_api="blas"):
            reading, rows, reasons = self._read(records, strand)
            ids = [records[i].id for i in rows]
            if not rows:
                return Judged(_rows(records, rows, [], reasons), rows,
                              self._mean([np.zeros((0, len(self.taxonomy)), np.float32)]))  # fmt: skip
            if self._walking:
                walkers = self._on(reading)
                posterior = self._mean([n.place_by(w) for n, w in zip(self._walkers, walkers, strict=True)])
                answers = self._walked(ids, reading.strand, walkers)
            else:
                places = self._places(reading)
                posterior = self._mean(places)
                answers = self._descended(ids, reading.strand, places, posterior)
            return Judged(_rows(records, rows, answers, reasons), rows, posterior)

    def vectors(self, records: Sequence[SequenceRecord], strand: Strand = "auto") -> NDArray[np.float32] | None:
        """float32 (B, width): what the head is given of each record of one block; of an ensemble the first model's.

        Returns:
            None where the model has no such vectors, as baselines have none.
        """
        network: Any = self._networks[0]
        if not hasattr(network, "vectors"):
            return None
        with self._blas.limit(limits=1, user_api="blas"):
            vectors_BW: NDArray[np.float32] = network.vectors(
                network.reader.read([r.sequence for r in records], strand)
            )
            return vectors_BW

    @property
    def filled(self) -> int:
        """Records so far that filled a model's window; what lay beyond it was not read."""
        return max(getattr(network, "filled", 0) for network in self._networks)

    def _read(self, records: Sequence[SequenceRecord], strand: Strand) -> tuple[Reading, list[int], list[str]]:
        """The records that can be judged, which they are, and of each record why it cannot be, or nothing."""
        reading = self._networks[0].reader.read([r.sequence for r in records], strand)
        reasons = [self._refusal(r, int(kmers)) for r, kmers in zip(records, reading.kmers_B, strict=True)]
        rows = [i for i, reason in enumerate(reasons) if not reason]
        return reading.take(rows), rows, reasons

    def _answers(self, ids: Sequence[str], reading: Reading) -> list[Prediction]:
        if self.ranks == "published":
            readings = [_as_read_by(network.reader, reading) for network in self._networks]
            networks: list[Any] = self._networks  # checked: each has labels
            labels = networks[0].labels
            members = [n.ranks(r) for n, r in zip(networks, readings, strict=True)]
            answers: list[Prediction] = labels.independent(RankScores.mean(members), ids, reading.strand)
            return _with_agreement(answers, [labels.independent(m, ids, reading.strand) for m in members])
        if self._walking:
            return self._walked(ids, reading.strand, self._on(reading))
        places = self._places(reading)
        return self._descended(ids, reading.strand, places, self._mean(places))

    def _on(self, reading: Reading) -> list[WeighedWalker]:
        """Each compact model at work on these records."""
        kin = {id(network.index): network.kin(reading) for network in self._indices}  # each index is searched once
        return [n.walker_of(_as_read_by(n.reader, reading), kin.get(id(n.index))) for n in self._walkers]

    def _walked(
        self, ids: Sequence[str], strands: Sequence[str], walkers: Sequence[WeighedWalker]
    ) -> list[Prediction]:
        """As `_descended`, asking only of the taxa passed."""

        def answers(walker: Walker) -> list[Prediction]:
            return list(walk.predictions(walk.descend(walker), ids, self._lineages, strands))

        found = answers(walkers[0] if len(walkers) == 1 else Mean(walkers))
        if len(walkers) > 1:
            found = _with_agreement(found, [answers(w) for w in walkers])
        if self._neighbours:
            found = [replace(p, neighbours=near) for p, near in zip(found, self._near(walkers[0].kin), strict=True)]
        return _gene_or_none(found)

    def _near(self, kin: Kin | None) -> list[tuple[Neighbour, ...]]:
        """The references most like each record."""
        index = self._walkers[0].index
        assert index is not None and kin is not None  # asked for only where there are any
        return [
            tuple(
                Neighbour(index.ids[r], float(score), ";".join(t.name for t in self._lineages[int(index.nodes[r])]))
                for r, score in zip(references, scores, strict=True)
                if r >= 0
            )
            for references, scores in zip(
                kin.hits.reference_BK[:, : self._neighbours].tolist(),
                kin.score_BK[:, : self._neighbours].tolist(),
                strict=True,
            )
        ]

    def _places(self, reading: Reading) -> list[NDArray[np.float32]]:
        """Each model's (B, N)."""
        return [np.asarray(n.place(_as_read_by(n.reader, reading))) for n in self._networks]

    def _mean(self, places: Sequence[NDArray[np.float32]]) -> Posterior:
        return Posterior(self.taxonomy, places[0] if len(places) == 1 else np.mean(places, axis=0))

    def _descended(
        self,
        ids: Sequence[str],
        strands: Sequence[str],
        places: Sequence[NDArray[np.float32]],
        posterior: Posterior,
    ) -> list[Prediction]:
        """Lineages of the models' mean, and how far each model by itself agrees."""
        answers = descend(posterior, ids, strands, self._lineages)
        if len(places) > 1:
            own = [descend(Posterior(self.taxonomy, p), ids, strands, self._lineages) for p in places]
            answers = _with_agreement(answers, own)
        return _gene_or_none(answers)

    def _refusal(self, record: SequenceRecord, kmers: int) -> str:
        """Why a record cannot be judged, or nothing."""
        needed = self.checkpoint.calibration.kmers
        if not record.sequence:
            return "no sequence"
        if kmers < needed and not self._published_letters:
            k = self._networks[0].reader.k
            if len(record.sequence) - k + 1 < needed:
                return f"{len(record.sequence)} bases; at least {needed + k - 1} are needed"
            return f"{kmers} of its {k}-mers are free of ambiguous bases; at least {needed} are needed"
        return ""


def _gene_or_none(answers: Sequence[Prediction]) -> list[Prediction]:
    """The answers, without names where the record is more probably none of the references' genes."""
    reason = "looks to the model like no gene of its references"
    return [unreadable(p.record_id, reason) if p.novelty[0] > 0.5 else p for p in answers]


def _rows(
    records: Sequence[SequenceRecord], rows: Sequence[int], answers: Sequence[Prediction], reasons: Sequence[str]
) -> list[Prediction]:
    """One prediction a record: the answers to those that could be read, reasons for the others."""
    named = dict(zip(rows, answers, strict=True))
    return [named[i] if i in named else unreadable(r.id, reasons[i]) for i, r in enumerate(records)]


def _as_read_by(reader: KmerReader, reading: Reading) -> Reading:
    """The same reading for a model that counts other k-mers; the strand is the ensemble's."""
    if reader.k == reading.k:
        return reading
    return replace(reader.read(reading.oriented, "forward"), sequences=reading.sequences, strand=reading.strand)


def _with_agreement(answers: Sequence[Prediction], members: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    if len(members) == 1:
        return list(answers)
    return [
        replace(answer, agreement=tuple(
            sum(p.lineage[d : d + 1] == (taxon,) for p in own) / len(members) for d, taxon in enumerate(answer.lineage)
        ))
        for answer, *own in zip(answers, *members, strict=True)
    ]  # fmt: skip


def _check_labels(checkpoints: Sequence[Checkpoint]) -> None:
    labels = [c.labels.labels if c.labels else None for c in checkpoints]
    if None in labels:
        raise UsageError(
            "--ranks published asked of a model that gives lineages",
            expected="models that answer each rank by itself, as DeepTaxa's do",
            remedy="Leave it out.",
        )
    if len(set(labels)) > 1:
        raise UserError("the models were trained on different labels", expected="an ensemble's models to share them")


def _network(checkpoint: Checkpoint, running: dict[str, Any]) -> Network:
    kind = checkpoint.model.get("kind")
    try:
        if kind == "compact":
            return CompactNetwork.kept(checkpoint.tensors, checkpoint.taxonomy, checkpoint.calibration)
        if kind == "nearest":
            return Nearest(checkpoint.tensors, checkpoint.taxonomy)
        if kind == "commonest":
            return Commonest(checkpoint.tensors, checkpoint.taxonomy)
        if kind == "network":
            with torch_for("this model"):
                from linnet import network

                return network.Network(checkpoint, network.Running(**running))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"the model's weights do not fit its tree ({error})", remedy="Copy or train the model again."
        ) from error
    raise UserError(
        f"a model of kind {kind!r}",
        expected="compact, network, nearest, commonest or lineage",
        remedy="Update linnet.",
    )


def load(
    *models: str | Path,
    ranks: Ranks = "lineage",
    search: Search = "descend",
    neighbours: int = 0,
    **running: Any,
) -> Predictor | ProteinPredictor:
    """Model folders, one or an ensemble, or without any the model that comes with the package.

    Args:
        models: a model folder, a folder of them, which is an ensemble, or `rrna` or `proteins`.
        ranks, neighbours, running: of models of genes, as for `Predictor`; models of proteins that torch runs have the
            device.
        search: of models of proteins, as for `ProteinPredictor`.

    Raises:
        UserError: not a model, or damaged; as for `Predictor`.
    """
    folders = [folder for model in models or (SHIPPED,) for folder in members(Path(model))]
    loaded = [checkpoints.load(folder) for folder in folders]
    kinds = {c.model.get("kind") in KINDS for c in loaded}
    if kinds == {False}:
        if search != "descend":
            raise UsageError(f"--search {search} asked of a model of genes", expected="a model of proteins")
        return Predictor(*loaded, ranks=ranks, neighbours=neighbours, **running)
    if len(kinds) > 1:
        raise UserError("models of genes and of proteins together", expected="an ensemble's models to read the same")
    used = {"device"} if any(c.model["kind"] != "lineage" for c in loaded) else set()
    needless = [n for n, value in _USUAL.items() if n not in used and running.get(n, value) != value]
    if ranks != "lineage" or neighbours:
        needless += ["neighbours" if neighbours else "ranks"]
    if needless:
        raise UsageError(f"--{needless[0]} asked of a model of proteins", remedy="Leave it out.")
    return ProteinPredictor(*loaded, search=search, device=running.get("device", "cpu"))


def members(folder: Path) -> list[Path]:
    """The models of an ensemble folder, by name; of anything else itself. `rrna` and `proteins` are the package's own,
    where there is no such folder."""
    if not folder.exists() and (MODELS / folder.name).is_dir() and folder.parent == Path():
        folder = MODELS / folder.name
    if (folder / "model.json").exists() or not folder.is_dir():
        return [folder]
    return sorted(p.parent for p in folder.glob("*/model.json") if not p.parent.name.startswith(".")) or [folder]
