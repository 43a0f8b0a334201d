"""JSON lines: everything known of each record, one object a line.

    {"record": "r1", "strand": "+", "stopped": "named", "cut": 2, "lineage": [{"rank": "domain",
     "name": "Bacteria", "confidence": 0.9999}, ...], "novelty": [0.0, ...], "reason": ""}

`lineage` is the whole path, of which the first `cut` taxa are kept. A taxon has a `taxid` where its tree has
them. `novelty` is one longer: the probability of being new below the root, and below each taxon. Of several
models' answer, `agreement` is the share of them whose own path passes each taxon. `flags`, where there are any, say
what is unusual about the record; `neighbours`, where they were asked for, are the references most like it, as
{"reference": "r9", "likeness": 0.98, "lineage": "Bacteria;..."}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TextIO

from linnet.errors import UserError
from linnet.prediction import Neighbour, Prediction, Stopped
from linnet.taxonomy import Lineage, Taxon

_json = json.JSONEncoder(ensure_ascii=False).encode
NEIGHBOURS = True


def write(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Probabilities to six decimals."""
    for prediction in predictions:
        file.write(_line(prediction))


def _line(p: Prediction) -> str:
    """What `json.dumps` makes of the same, in a third of the time: names are put in quotes once a lineage."""
    lineage = _lineage(p.lineage, bool(p.confidence)) % tuple(_numbers(p.confidence))
    agreement = f', "agreement": {_json([round(x, 4) for x in p.agreement])}' if p.agreement else ""
    flags = f', "flags": {_json(p.flags)}' if p.flags else ""
    near = [{"reference": n.reference, "likeness": round(n.likeness, 4), "lineage": n.lineage} for n in p.neighbours]
    neighbours = f', "neighbours": {_json(near)}' if near else ""
    return (
        f'{{"record": {_json(p.record_id)}, "strand": {_json(p.strand)}, "stopped": "{p.stopped.value}", '
        f'"cut": {p.cut}, "lineage": [{lineage}], "novelty": [{", ".join(_numbers(p.novelty))}], '
        f'"reason": {_json(p.reason)}{agreement}{flags}{neighbours}}}\n'
    )


@lru_cache(maxsize=1 << 14)
def _lineage(lineage: Lineage, sure: bool) -> str:
    """The taxa of a lineage, with a `%s` for the confidence of each if `sure`."""
    taxa = []
    for taxon in lineage:
        entry = {"rank": taxon.rank, "name": taxon.name} | ({"taxid": taxon.taxid} if taxon.taxid else {})
        taxon_json = _json(entry).replace("%", "%%")
        taxa.append(taxon_json[:-1] + ', "confidence": %s}' if sure else taxon_json)
    return ", ".join(taxa)


def _numbers(values: tuple[float, ...]) -> list[str]:
    """Each as JSON has `round(x, 6)`: its six decimals, but for zeros at the end, if it is from 0.0001 to 1."""
    texts = ("%.6f " * len(values) % values).split()
    return [t.rstrip("0") if "0.0001" <= t < "1" else _seldom(t) for t in texts]


@lru_cache(maxsize=1 << 7)
def _seldom(text: str) -> str:
    """1.0, 0.0, 1.2e-05: about a hundred numbers."""
    return _json(float(text))


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
        neighbours=tuple(
            Neighbour(str(n["reference"]), float(n["likeness"]), str(n["lineage"])) for n in entry.get("neighbours", ())
        ),
    )
    texts = [prediction.strand, prediction.reason, *(x for t in prediction.lineage for x in (t.rank, t.name))]
    if not all(isinstance(x, str) for x in texts):
        raise ValueError("a strand, reason, rank or name that is not text")
    if not all(isinstance(t.taxid, int | None) for t in prediction.lineage):
        raise ValueError("a taxid that is not a whole number")
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
