"""linnet names the organism behind a biological sequence, with a confidence at every rank.

import linnet

model = linnet.load()  # the 16S model that comes with linnet, or linnet.load("my-model")
for prediction in model.classify(linnet.read("reads.fasta")):
    print(prediction.record_id, prediction.kept, prediction.kept_confidence)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linnet.errors import UserError
    from linnet.prediction import Posterior, Prediction
    from linnet.predictor import Predictor, load
    from linnet.records import SequenceRecord, read
    from linnet.taxonomy import Lineage, Taxon, Taxonomy

__version__ = "0.1.0"

__all__ = [
    "Lineage",
    "Posterior",
    "Prediction",
    "Predictor",
    "SequenceRecord",
    "Taxon",
    "Taxonomy",
    "UserError",
    "__version__",
    "load",
    "read",
]

_HOME = {
    "Lineage": "taxonomy",
    "Posterior": "prediction",
    "Prediction": "prediction",
    "Predictor": "predictor",
    "SequenceRecord": "records",
    "Taxon": "taxonomy",
    "Taxonomy": "taxonomy",
    "UserError": "errors",
    "load": "predictor",
    "read": "records",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `linnet --version` should not wait for numpy."""
    if name not in _HOME:
        raise AttributeError(f"module 'linnet' has no attribute '{name}'")
    return getattr(import_module(f"linnet.{_HOME[name]}"), name)
