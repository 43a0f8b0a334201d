"""Taxonova 26.9: a network over 8-mer frequencies that abstains (PyPI: taxonova).

Its training holds every reference as 65,536 numbers, so that 78,463 V4 reads take 21 GB, and an epoch over them
takes 20 minutes of a core. It is trained as its authors advise for one's own references (--smart_full_data: the
epochs that a fifth of the references choose, then all of them) and calibrated on a twentieth that was set aside;
for a quick run on 7-mers, in larger batches, and for fewer epochs than it would choose.

An unnamed rank is passed as an empty name (`s__`), as in the example that comes with it. Left out, it would be a rank
without a label: every query would then be named down to a species, and its whole lineage be that of the species.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from prepare import RANKS, write_lines
from tool import Answer, Model, Tool, lineage_of_names, named_part, references

QUICK = ("--kmer-length", "7", "--batch_size", "128", "--learning_rate", "5e-4",
         "--skip_scout", "--optimal_epochs", "9")  # fmt: skip
SET_ASIDE = 0.05
SEED = 42


def _train(model: Model) -> list[str]:
    labelled = list(references(model))
    aside = _set_aside([tuple(names) for _, _, names in labelled])
    for name, chosen in ("references.fasta", False), ("aside.fasta", True):
        kept = (reference for n, reference in enumerate(labelled) if (n in aside) == chosen)
        write_lines(model.folder / name, (f">{i} {_header(names)}\n{sequence}" for i, sequence, names in kept))
    how = ["--smart_full_data", *(QUICK if model.quick else [])]
    fit = ["taxonova", "training", "--train_db", "references.fasta", "--model_output", "model.pt", *how]
    held = ["--train_db", "aside.fasta", "--val_split", "1", "--report_json", "calibration.json"]
    calibrate = ["taxonova", "calibrate", "--model_input", "model.pt", *held]
    where = f"cd {shlex.quote(str(model.folder))} && export TAXONOVA_NUM_WORKERS=0"
    return ["bash", "-c", f"{where} && {shlex.join(fit)} && {shlex.join(calibrate)}"]


def _set_aside(lineages: list[tuple[str, ...]]) -> set[int]:
    """Which references to calibrate on: drawn among those whose lineage another reference has too."""
    count = Counter(lineages)
    several = [n for n, lineage in enumerate(lineages) if count[lineage] > 1]
    return set(Random(SEED).sample(several, min(len(several), round(SET_ASIDE * len(lineages)))))


def _header(names: list[str]) -> str:
    named = [*names, *[""] * (len(RANKS) - len(names))]
    return "; ".join(f"{rank[0]}__{name}" for rank, name in zip(RANKS, named, strict=True))


def _classify(model: Model, queries: Path, out: Path) -> list[str]:
    """It writes a log into the folder where it is started."""
    files = ["--input", str(queries), "--model_input", str(model.folder / "model.pt"), "--output", str(out)]
    how = ["--confidence_threshold", "0", "--cpu_threads", "1"]
    return ["env", "-C", str(out.parent), "taxonova", "classification", *files, *how]


def _answers(model: Model, out: Path) -> Iterator[Answer]:
    """Query, then a name and its confidence for each rank; `Unknown` is an empty name."""
    lineages = lineage_of_names(model)
    for line in out.read_text().splitlines()[1:]:
        query, *cells = line.split("\t")
        yield query, *named_part(lineages, zip(cells[::2], map(float, cells[1::2]), strict=True))


def _version() -> str:
    """It cannot say; the Python that runs it can."""
    program = shutil.which("taxonova")
    assert program is not None  # it ran
    with Path(program).open() as script:
        python = script.readline().removeprefix("#!").strip()
    ask = "from importlib.metadata import version; print(version('taxonova'))"
    return f"taxonova {subprocess.check_output([python, '-c', ask], text=True).strip()}"


TAXONOVA = Tool(
    "trained as advised for one's own references, calibrated on a twentieth of them that was set aside (a quick run: "
    "7-mers, 9 epochs); cut 0.8, its own for species (its own for genus is 0.7, above 0.5)",
    _train, _classify, _answers, _version,
    ("taxonova", "PyPI package taxonova; in an environment of its own whose bin is on PATH"), cut=0.8,
)  # fmt: skip
