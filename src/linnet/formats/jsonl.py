"""JSON lines: everything known of each record, one object a line.

    {"record": "r1", "strand": "+", "stopped": "named", "cut": 2, "lineage": [{"rank": "domain",
     "name": "Bacteria", "confidence": 0.9999}, ...], "novelty": [0.0, ...], "reason": ""}

`lineage` is the whole path, of which the first `cut` taxa are kept. A taxon has a `taxid` where its tree has
them. `novelty` is one longer: the probability of being new below the root, and below each taxon. Of several
models' answer, `agreement` is the share of them whose own path passes each taxon. `flags`, where there are any, say
what is unusual about the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from linnet.errors import UserError
from linnet.prediction import Prediction, Stopped
from linnet.taxonomy import Taxon


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Probabilities to six decimals."""
    for p in predictions:
        file.write(json.dumps(_object(p), ensure_ascii=False) + "\n")


def _object(p: Prediction) -> dict[str, Any]:
    lineage = []
    for i, taxon in enumerate(p.lineage):
        entry: dict[str, Any] = {"rank": taxon.rank, "name": taxon.name}
        if taxon.taxid:
            entry["taxid"] = taxon.taxid
        if p.confidence:
            entry["confidence"] = round(p.confidence[i], 6)
        lineage.append(entry)
    return {
        "record": p.record_id,
        "strand": p.strand,
        "stopped": p.stopped.value,
        "cut": p.cut,
        "lineage": lineage,
        "novelty": [round(x, 6) for x in p.novelty],
        "reason": p.reason,
        **({"agreement": [round(x, 4) for x in p.agreement]} if p.agreement else {}),
        **({"flags": list(p.flags)} if p.flags else {}),
    }


def recognises(line: str) -> bool:
    return line.startswith("{") and '"lineage"' in line


def read(lines: Iterable[str], path: str) -> Iterator[Prediction]:
    """The predictions written."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _prediction(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"not a prediction ({type(error).__name__}: {error})",
                where=f"{path}, line {number}",
                expected="a line written by 'linnet classify --format jsonl'",
            ) from None


def _prediction(entry: dict[str, Any]) -> Prediction:
    taxa = entry["lineage"]
    prediction = Prediction(
        str(entry["record"]),
        tuple(Taxon(t["rank"], t["name"], t.get("taxid")) for t in taxa),
        tuple(float(t["confidence"]) for t in taxa if "confidence" in t),
        tuple(float(x) for x in entry["novelty"]),
        cut=int(entry["cut"]),
        stopped=Stopped(entry["stopped"]),
        strand=entry["strand"],
        reason=entry["reason"],
        agreement=tuple(float(x) for x in entry.get("agreement", ())),
        flags=tuple(map(str, entry.get("flags", ()))),
    )
    depth = len(prediction.lineage)
    if len(prediction.agreement) not in (0, depth):
        raise ValueError(f"{depth} taxa, {len(prediction.agreement)} agreements")
    if len(prediction.confidence) not in (0, depth) or len(prediction.novelty) != depth + 1:
        raise ValueError(f"{depth} taxa, {len(prediction.confidence)} confidences, {len(prediction.novelty)} novelties")
    if not 0 <= prediction.cut <= depth:
        raise ValueError(f"cut {prediction.cut} of {depth} taxa")
    if not all(0 <= p <= 1 for p in (*prediction.confidence, *prediction.novelty, *prediction.agreement)):
        raise ValueError("a probability outside 0 to 1")
    return prediction
