"""The contigs of examples/ through the command: better labels, a row each, the same bytes, and errors in a line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from linnet import formats
from linnet.__main__ import main
from linnet.contig_evaluation import evaluate_contigs
from linnet.gold_standard import read_gold_standard
from linnet.labels import predictions, read_labels

pytestmark = pytest.mark.slow  # models are trained, or whole commands run

EXAMPLES = Path(__file__).parent.parent / "examples"
CONTIGS, LABELS, DEPTHS = (EXAMPLES / n for n in ("contigs.fna.gz", "contig_labels.tsv", "contig_depths.tsv"))


def correct(out: Path, *more: str) -> int:
    return main(["correct", str(CONTIGS), "--labels", str(LABELS), "--out", str(out), *more])


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corrected")
    more = [f"--out={folder / name}" for name in ("x.jsonl", "x.kreport", "x.krona")]
    assert correct(folder / "x.tsv", *more, "--depth", str(DEPTHS), "--changes", str(folder / "changes.tsv")) == 0
    return folder


def test_labels_come_back_more_often_right_at_every_rank_and_new_species_less_often_named(corrected: Path) -> None:
    gold = read_gold_standard(EXAMPLES / "contig_truth.tsv", None)
    before = predictions(read_labels(LABELS))
    known = {label.lineage for label in before.values()}
    was = evaluate_contigs(before, gold, known=known, resamples=0)
    now = evaluate_contigs(formats.read_predictions(corrected / "x.tsv"), gold, before=before, known=known, resamples=0)
    for rank, of_rank in now.ranks.items():
        assert of_rank.contigs.f1 > was.ranks[rank].contigs.f1 + 0.04, rank
    assert now.ranks["species"].change.harmed < 0.01
    assert now.ranks["genus"].wrong_on_absent < was.ranks["genus"].wrong_on_absent


def test_every_contig_has_a_row_in_the_order_of_the_fasta(corrected: Path) -> None:
    order = [line.split("\t")[0] for line in (EXAMPLES / "contig_depths.tsv").read_text().splitlines()[1:]]
    for name in ("x.tsv", "changes.tsv"):
        assert [line.split("\t")[0] for line in (corrected / name).read_text().splitlines()[1:]] == order


def test_the_formats_agree(corrected: Path) -> None:
    kept = {id: [t.name for t in p.kept] for id, p in formats.read_predictions(corrected / "x.jsonl").items()}
    assert kept == {id: [t.name for t in p.kept] for id, p in formats.read_predictions(corrected / "x.tsv").items()}
    total = sum(int(line.split("\t")[0]) for line in (corrected / "x.krona").read_text().splitlines())
    assert total == len(kept)


def test_threads_do_not_change_a_byte_and_the_seed_does(corrected: Path, tmp_path: Path) -> None:
    depth = ("--depth", str(DEPTHS))
    correct(tmp_path / "x.tsv", *depth, "--threads", "2", "--changes", str(tmp_path / "changes.tsv"))
    for name in ("x.tsv", "changes.tsv"):
        assert (tmp_path / name).read_bytes() == (corrected / name).read_bytes()
    correct(tmp_path / "x.tsv", *depth, "--seed", "7")
    assert (tmp_path / "x.tsv").read_bytes() != (corrected / "x.tsv").read_bytes()


def test_without_depths_it_works_and_says_that_it_is_weaker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert correct(tmp_path / "x.tsv") == 0
    assert "no depths: contigs of one genome are harder to find" in capsys.readouterr().err
    assert len((tmp_path / "x.tsv").read_text().splitlines()) == 289


def test_short_contigs_keep_their_labels_and_it_is_said(tmp_path: Path) -> None:
    changes = tmp_path / "changes.tsv"
    more = ["--depth", str(DEPTHS), "--min-length", "1000", "--changes", str(changes)]
    assert correct(tmp_path / "x.jsonl", *more) == 0
    found = formats.read_predictions(tmp_path / "x.jsonl")
    rows = [line.split("\t") for line in changes.read_text().splitlines()[1:]]
    assert len(found) == len(rows) == 288
    short = [row for row in rows if row[7] == "fewer than 1000 plain bases: left as it was"]
    assert len(short) == 80
    assert {row[1] for row in short} == {"kept", "no label"}
    labels = read_labels(LABELS).labels
    for contig, *_ in short:
        assert found[contig].kept == (labels[contig].lineage if contig in labels else ())
        assert all(0 < p <= 1 for p in found[contig].confidence)


def test_contigs_without_sequence_are_left_alone(tmp_path: Path) -> None:
    """N only, too short for a tetranucleotide, nothing at all: no name is made up, and no number is not a number."""
    fasta = tmp_path / "c.fna"
    with gzip.open(CONTIGS, "rt") as file:
        fasta.write_text(file.read() + f">n\n{'N' * 5000}\n>tiny\nACG\n>nothing\n\n")
    argv = ["correct", str(fasta), "--labels", str(LABELS), "--depth", str(DEPTHS), "--out", str(tmp_path / "x.jsonl")]
    assert main(argv) == 0
    found = formats.read_predictions(tmp_path / "x.jsonl")
    assert len(found) == 291
    assert not any(found[i].lineage for i in ("n", "tiny", "nothing"))


def test_a_few_labels_are_left_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.tsv"
    few.write_text("".join(LABELS.read_text().splitlines(keepends=True)[:12]))
    argv = ["correct", str(CONTIGS), "--labels", str(few), "--depth", str(DEPTHS), "--out", str(tmp_path / "x.jsonl")]
    assert main(argv) == 0
    assert "too few labels" in capsys.readouterr().err
    found = formats.read_predictions(tmp_path / "x.jsonl")
    labels = read_labels(few).labels
    assert {i: p.kept for i, p in found.items() if p.kept} == {i: x.lineage for i, x in labels.items()}


def test_depths_of_other_contigs_and_samples_without_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = DEPTHS.read_text().splitlines(keepends=True)
    half, none = tmp_path / "half.tsv", tmp_path / "none.tsv"
    half.write_text("".join(rows[:150]))
    none.write_text(rows[0] + "".join(r.split("\t")[0] + "\t0" * r.count("\t") + "\n" for r in rows[1:]))
    assert correct(tmp_path / "x.tsv", "--depth", str(half)) == 1
    assert "139 of 288 contigs have no depth" in capsys.readouterr().err
    assert correct(tmp_path / "a.tsv", "--depth", str(none)) == 0
    assert "cover no contig" in capsys.readouterr().err
    assert correct(tmp_path / "b.tsv") == 0
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_outputs_appear_all_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "x.tsv"
    old.write_text("before")
    few = tmp_path / "bare.tsv"
    few.write_text("".join(f"contig_{i}\td__Bacteria;p__P;c__C\n" for i in range(1, 200)))
    argv = ["correct", str(CONTIGS), "--labels", str(few), "--out", str(old), "--out", str(tmp_path / "x.biobox")]
    assert main(argv) == 1
    assert "no taxids" in capsys.readouterr().err
    assert old.read_text() == "before"
    assert correct(old, "--changes", str(old)) == 2
    assert "written twice" in capsys.readouterr().err
    assert old.read_text() == "before"


@pytest.mark.parametrize("recipe", ["taxometer", "taxdistill"])
def test_published_recipes_are_one_flag_away(recipe: str, tmp_path: Path) -> None:
    assert correct(tmp_path / "x.tsv", "--depth", str(DEPTHS), "--recipe", recipe) == 0
    found = formats.read_predictions(tmp_path / "x.tsv")
    assert len(found) == 288
    assert all(sorted(p.confidence, reverse=True) == list(p.confidence) for p in found.values())


def test_a_teacher_s_vectors_are_taken_and_must_cover_all_contigs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = np.array([f"contig_{n}" for n in range(1, 289)])
    rows = np.random.default_rng(0).normal(size=(288, 16)).astype(np.float16)
    np.savez(tmp_path / "e.npz", ids=ids, rows=rows)
    assert correct(tmp_path / "x.tsv", "--depth", str(DEPTHS), "--teacher", str(tmp_path / "e.npz")) == 0
    np.savez(tmp_path / "e.npz", ids=ids[1:], rows=rows[1:])
    assert correct(tmp_path / "x.tsv", "--teacher", str(tmp_path / "e.npz")) == 1
    assert "1 contigs have no vector, 'contig_1' for one" in capsys.readouterr().err


def test_a_precision_asked_for_is_what_the_confidences_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert correct(tmp_path / "x.tsv", "--depth", str(DEPTHS), "--precision", "0.96") == 0
    said = capsys.readouterr().err.split("right by their own confidence: ")[1].splitlines()[0]
    assert all(float(part.split()[1]) >= 96 for part in said.split(", "))


def test_mistakes_are_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.tsv"
    other.write_text("nobody\t1\tspecies\tX y\td_Bacteria;s_X y\n")
    for code, text, command in (
        (1, "none of the contigs has a label", [str(CONTIGS), "--labels", str(other)]),
        (2, "both read and written", [str(CONTIGS), "--labels", str(LABELS), "--out", str(LABELS)]),
        (2, "both --confidence and --precision",
         [str(CONTIGS), "--labels", str(LABELS), "--confidence", "0.5", "--precision", "0.9"]),
        (1, "no such file", [str(tmp_path / "none.fna"), "--labels", str(LABELS)]),
        (1, "no contig has 99999999 plain bases", [str(CONTIGS), "--labels", str(LABELS), "--min-length", "99999999"]),
    ):  # fmt: skip
        assert main(["correct", *command]) == code
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("linnet: error: ")
        assert text in error
