"""mothur and the RDP classifier: the naive Bayes of Wang et al. 2007, with 100 bootstraps of the query's 8-mers.

To both, references that end in the same name are a class, and a class that has no name for a rank is completed with
placeholders, which are no names in an answer. mothur takes uneven lineages too. It then counts, as references of a
class that ends early, those of all names below it as well: such a class is weighed too low, and more is named.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from prepare import RANKS, write_lines
from tool import Answer, Model, Tool, complete, first_line, lineage_of_names, named_part, references

# ---------------------------------------------------------------------- mothur


def _mothur_train(completed: Callable[[list[str]], list[str]], model: Model) -> list[str]:
    """Classify a single reference: mothur keeps what it has counted for the runs that follow."""
    labelled = list(references(model))
    lines = (f"{i}\t{''.join(f'{name};' for name in completed(names))}" for i, _, names in labelled)
    write_lines(model.folder / "references.tax", lines)
    write_lines(model.folder / "references.fasta", (f">{i}\n{sequence}" for i, sequence, _ in labelled))
    first, sequence, _ = labelled[0]
    write_lines(model.folder / "one.fasta", [f">{first}\n{sequence}"])
    return _mothur(model, model.folder / "one.fasta", model.folder / "one.tsv")


def _mothur(model: Model, queries: Path, out: Path) -> list[str]:
    """mothur takes a hyphen in a path for a list of files: it is given links in the folder of the output."""
    files = "fasta=queries.fasta, reference=model/references.fasta, taxonomy=model/references.tax"
    ask = f"classify.seqs({files}, method=wang, iters=100, cutoff=0, processors=1)"
    links = f"ln -sfn {_quoted(model.folder)} model && ln -sf {_quoted(queries)} queries.fasta"
    command = shlex.quote(f"#set.logfile(name=mothur.log); {ask}")
    answer = f"mv queries.references.wang.taxonomy {_quoted(out)}"
    return ["bash", "-c", f"cd {_quoted(out.parent)} && {links} && mothur {command} && {answer} && rm model queries.*"]


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _mothur_answers(model: Model, out: Path) -> Iterator[Answer]:
    """Names with whole per cents; where they end, mothur repeats the last one as `t17_unclassified`."""
    lineages = lineage_of_names(model)
    for line in out.read_text().splitlines():
        query, lineage = line.split("\t")
        found = re.findall(r"([^;(]+)\((\d+)\);", lineage)
        yield query, *named_part(lineages, ((name, int(percent) / 100) for name, percent in found))


def _mothur_tool(settings: str, completed: Callable[[list[str]], list[str]]) -> Tool:
    return Tool(
        f"classify.seqs, method=wang, 100 bootstraps; {settings}; trained by its first run, whose counts later "
        "runs read; cut 0.8",
        partial(_mothur_train, completed), _mothur, _mothur_answers,
        first_line("bash", "-c", "mothur --version | grep -o -m 1 'version=.*' | sed 's/version=/mothur /'"),
        ("mothur", "Debian package mothur"), cut=0.8,
    )  # fmt: skip


MOTHUR = _mothur_tool("unnamed ranks of references are placeholders", complete)
MOTHUR_UNEVEN = _mothur_tool("lineages of references end where their names do", list)

# ---------------------------------------------------------------------- RDP

JAVA = ["java", "-Xmx8g", "-XX:+UseSerialGC"]
JAR = "/usr/share/rdp-classifier/rdp_classifier.jar"
TRAINER = "edu.msu.cme.rdp.classifier.train.ClassifierTraineeMaker"
PARTS = {
    "bergeyTree": "bergeyTrainingTree.xml",
    "probabilityList": "genus_wordConditionalProbList.txt",
    "probabilityIndex": "wordConditionalProbIndexArr.txt",
    "wordPrior": "logWordPrior.txt",
    "classifierVersion": "unnamed",
}
"""Of a trained model, by the name that its properties file gives them."""


def _rdp_train(model: Model) -> list[str]:
    """Write complete lineages, their tree (number, name, parent's number, depth, rank) and the properties file."""
    parents: dict[str, tuple[str, int]] = {}
    labelled = []
    for i, sequence, names in references(model):
        above = ["Root", *complete(names)]
        parents |= {name: (above[depth], depth) for depth, name in enumerate(above[1:])}
        labelled.append(f">{i}\t{';'.join(above)}\n{sequence}")
    number = {"Root": 0} | {name: n for n, name in enumerate(sorted(parents, key=lambda name: parents[name][1]), 1)}
    tree = (
        f"{number[name]}*{name}*{number[above]}*{depth + 1}*{RANKS[depth]}"
        for name, (above, depth) in sorted(parents.items(), key=lambda item: number[item[0]])
    )
    write_lines(model.folder / "references.fasta", labelled)
    write_lines(model.folder / "tree.txt", ["0*Root*-1*0*rootrank", *tree])
    write_lines(model.folder / "rRNAClassifier.properties", (f"{name}={file}" for name, file in PARTS.items()))
    files = ["-t", str(model.folder / "tree.txt"), "-s", str(model.folder / "references.fasta")]
    return [*JAVA, "-cp", JAR, TRAINER, *files, "-n", "1", "-v", "v1", "-m", "linnet", "-o", str(model.folder)]


def _rdp(model: Model, queries: Path, out: Path) -> list[str]:
    trained = str(model.folder / "rRNAClassifier.properties")
    return [*JAVA, "-jar", JAR, "-t", trained, "-f", "allrank", "-o", str(out), str(queries)]


def _rdp_answers(model: Model, out: Path) -> Iterator[Answer]:
    """Query, strand, then name, rank and confidence of the root and of each rank below it."""
    lineages = lineage_of_names(model)
    for line in out.read_text().splitlines():
        query, _, *cells = line.split("\t")
        found = zip(cells[3::3], map(float, cells[5::3]), strict=True)
        yield query, *named_part(lineages, found)


RDP = Tool(
    "unnamed ranks of references are placeholders; 100 bootstraps; one thread (serial garbage collection); cut 0.8",
    _rdp_train, _rdp, _rdp_answers,
    lambda: "RDP classifier, Debian " + first_line("dpkg-query", "-W", "-f", "${Version}", "rdp-classifier")(),
    ("rdp_classifier", "Debian package rdp-classifier"), cut=0.8,
)  # fmt: skip
