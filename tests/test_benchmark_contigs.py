"""The contig benchmark: its sets, what it gives the tools, going on where it was stopped, and its tables."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from linnet.errors import UserError
from linnet.gold_standard import GoldStandard
from linnet.prediction import foreign, unreadable
from linnet.taxonomy import Taxon

FOLDER = Path(__file__).parents[1] / "benchmarks" / "contigs"


def load() -> SimpleNamespace:
    """The modules of the benchmark, as they import each other; none stays importable by its bare name."""
    names = [path.stem for path in FOLDER.glob("*.py")]
    sys.path.insert(0, str(FOLDER))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


bench = load()

NODES = """\
1 1 no-rank root
2 1 superkingdom d__Bacteria
3 2 phylum p__P
4 3 class c__C
5 4 order o__O
6 5 family f__F
7 6 genus g__G
8 7 species s__one
9 7 species s__two
"""
PATH = "d__Bacteria;p__P;c__C;o__O;f__F;g__G"


@pytest.fixture
def contig_set(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A set of four contigs: two of a known species, two of one that the reference lacks; c4 has no label."""
    folder = tmp_path / "seed1"
    dump = folder / "taxonomy"
    dump.mkdir(parents=True)
    rows = [line.split() for line in NODES.splitlines()]
    (dump / "nodes.dmp").write_text("".join(f"{t}\t|\t{p}\t|\t{r}\t|\t\t|\n" for t, p, r, _ in rows))
    (dump / "names.dmp").write_text("".join(f"{t}\t|\t{n}\t|\t\t|\tscientific name\t|\n" for t, _, _, n in rows))
    (folder / "gsa_mapping.binning").write_text(
        "@Version:0.9.1\n@SampleID:s\n\n@@SEQUENCEID\tBINID\tTAXID\t_LENGTH\n"
        "c1\tA\t8\t600\nc2\tA\t8\t700\nc3\tB\t9\t800\nc4\tB\t9\t900\n"
    )
    (folder / "split.tsv").write_text(
        f"species\tstatus\tlineage\ns__one\tin_db\t{PATH};s__one\ns__two\tspecies_absent\t{PATH};s__two\n"
    )
    (folder / "depth.tsv").write_text(
        "contig\ta\tb\tc\td\te\n" + "".join(f"c{n}\t1\t2\t3\t4\t5\n" for n in range(1, 5))
    )
    (folder / "contigs.fna").write_text("".join(f">c{n}\nACGT\n" for n in range(1, 5)))
    letters = ";".join(f"{name[0]}_{name}" for name in PATH.split(";"))
    (folder / "mmseqs_taxonomy.tsv").write_text(
        "".join(f"{c}\t8\tspecies\ts__one\t2\t2\t2\t1.000\t{letters};s_s__one\n" for c in ("c1", "c2", "c3"))
    )
    return bench.sets.named("seed1", tmp_path)


def call(contig: str, names: str, score: float = 1.0):  # type: ignore[no-untyped-def]
    ranks = ("domain", "phylum", "class", "order", "family", "genus", "species")
    taxa = tuple(Taxon(rank, name[3:]) for rank, name in zip(ranks, names.split(";"), strict=False))
    return foreign(contig, taxa, (score,))


# ---------------------------------------------------------------------- references


def random_bases(n: int) -> str:
    return bytes(np.random.default_rng(3).choice(np.frombuffer(b"ACGT", np.uint8), n)).decode()


def test_a_strain_differs_as_often_as_it_should_and_never_where_nothing_is_to_differ():
    sequence = random_bases(400_000)
    other = bench.references.strain(sequence, 0.03, 0.0, np.random.default_rng(1))
    assert len(other) == len(sequence)
    share = np.mean([a != b for a, b in zip(sequence, other, strict=True)])
    assert share == pytest.approx(0.03, abs=0.005)
    assert set(other) == set("ACGT")
    assert bench.references.strain(sequence, 0.0, 0.0, np.random.default_rng(1)) == sequence


def test_blocks_of_a_strain_differ_in_their_rate():
    sequence = random_bases(400_000)
    other = bench.references.strain(sequence, 0.03, 0.0, np.random.default_rng(1))
    differs = np.array([a != b for a, b in zip(sequence, other, strict=True)]).reshape(-1, bench.references.BLOCK)
    # With one rate everywhere the counts would spread as a binomial's, by 5.4.
    assert differs.sum(axis=1).std() > 20


def test_blocks_that_a_strain_lacks_leave_one_n():
    sequence = random_bases(400_000)
    other = bench.references.strain(sequence, 0.0, 0.25, np.random.default_rng(1))
    assert other.count("N") == pytest.approx(100, abs=35)
    assert len(other.replace("N", "")) == len(sequence) - 1000 * other.count("N")
    assert all(piece in sequence for piece in other.split("N"))


def test_letters_that_are_no_bases_are_left_alone():
    assert bench.references.strain("N" * 2000 + "R" * 500, 0.3, 0.0, np.random.default_rng(1)) == "N" * 2000 + "R" * 500


def test_references_carry_their_taxid_and_are_the_same_every_time(tmp_path):
    (tmp_path / "G007.fa").write_text(f">x\n{random_bases(5000)}\n>y\n{random_bases(3000)}\n")
    (tmp_path / "seed1").mkdir()
    (tmp_path / "seed1" / "db_genomes.tsv").write_text(
        "genome\ttaxid\taa_substitution_rate\tgene_loss\tfile\nG007\t12\t0.05\t0.1\tG007.fa\n"
    )
    contigs = bench.sets.named("seed1", tmp_path)
    first, second = (list(bench.references.references(contigs, tmp_path)) for _ in range(2))
    assert first == second
    assert [(name, taxid) for name, taxid, _ in first] == [("G007_1", 12), ("G007_2", 12)]


# ---------------------------------------------------------------------- sets


def test_sets_are_known_by_kind_and_number(tmp_path):
    assert bench.sets.named("short3", tmp_path).seed == 3
    assert bench.sets.named("seed5", tmp_path).group == "seed"
    assert bench.sets.named("seed11", tmp_path).group == "development"
    with pytest.raises(UserError, match="no set 'marine'"):
        bench.sets.named("marine", tmp_path)


def test_without_the_simulator_a_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("LINNET_DATA", raising=False)
    with pytest.raises(UserError, match="LINNET_DATA"):
        bench.sets.kit()


def test_a_finished_set_is_not_made_again(contig_set, monkeypatch):
    monkeypatch.delenv("LINNET_DATA", raising=False)
    (contig_set.folder / "done").touch()
    before = sorted(contig_set.folder.iterdir())
    bench.sets.make(contig_set, contig_set.folder, 1, print)
    assert sorted(contig_set.folder.iterdir()) == before


def test_finished_sets_come_in_order(tmp_path):
    for name in ("short1", "seed11", "seed2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "done").touch()
    (tmp_path / "seed3").mkdir()
    assert [found.name for found in bench.sets.finished(tmp_path)] == ["seed2", "seed11", "short1"]


def test_the_truth_of_a_set_tells_species_of_the_reference_from_others(contig_set):
    truth = bench.sets.truth(contig_set)
    assert list(truth.gold.lineages) == ["c1", "c2", "c3", "c4"]
    assert truth.gold.genomes["c3"] == "B"
    assert [lineage[-1].name for lineage in truth.known] == ["one"]


def test_one_thing_is_changed_at_a_time(tmp_path):
    sets = [bench.sets.named(name, tmp_path) for name in ("seed1", "short1")]
    cells = [(c.contigs.name, c.source, c.samples) for c in bench.cells.plan(sets, ("mmseqs", "kraken2"), (5, 1))]
    assert cells == [("seed1", "mmseqs", 5), ("short1", "mmseqs", 5), ("seed1", "kraken2", 5), ("seed1", "mmseqs", 1)]


# ---------------------------------------------------------------------- what the tools get


def test_depths_are_those_of_the_first_samples(contig_set):
    path = bench.cells.depth_table(bench.cells.Cell(contig_set, "mmseqs", 2))
    assert path.read_text().splitlines()[:2] == ["contigname\ta\tb", "c1\t1\t2"]


def test_taxometer_gets_every_contig_and_nothing_behind_those_without_a_label():
    gap = foreign("c3", (Taxon("domain", "Bacteria"), Taxon("class", "C")), ())
    table = bench.taxometer.labels_table([call("c1", "d__Bacteria;p__P"), unreadable("c2", "no label"), gap])
    header, one, two, three = table.splitlines()
    assert (header, one, two) == ("contigs\tpredictions", "c1\td__Bacteria;p__P", "c2\t")
    domain, phylum, cls = three.split("\t")[1].split(";")
    assert (domain, phylum[:3], cls) == ("d__Bacteria", "p__", "c__C")


def test_labels_cover_every_contig(contig_set):
    labels = bench.cells.Data(contig_set).labels(contig_set.folder / "mmseqs_taxonomy.tsv")
    assert {contig: len(label.lineage) for contig, label in labels.items()} == {"c1": 7, "c2": 7, "c3": 7, "c4": 0}


# ---------------------------------------------------------------------- running


def stand_in(folder: Path, body: str):  # type: ignore[no-untyped-def]
    """A command in the place of Taxometer's, which notes each of its runs."""

    def command(vamb: Path, fasta: Path, labels: Path, depth: Path, seed: int, out: Path) -> list[str]:
        return ["sh", "-c", f"echo run >> {folder}/runs; mkdir {out}; {body} > {out}/results_taxometer.tsv"]

    return command


def test_a_run_is_kept_with_its_cost_and_not_repeated(contig_set, monkeypatch):
    cell = bench.cells.Cell(contig_set, "mmseqs", 5)
    monkeypatch.setattr(bench.taxometer, "command", stand_in(contig_set.folder, "echo contigs"))
    monkeypatch.setattr(bench.cells, "labels_table", lambda cell: cell.labels)
    for _ in range(2):
        bench.cells.run(cell, "taxometer", lambda: Path("vamb"))
    assert (contig_set.folder / "runs").read_text() == "run\n"
    assert (contig_set.folder / "taxometer" / "results_taxometer.tsv").read_text() == "contigs\n"
    assert bench.cells.cost(cell, "taxometer").keys() >= {"wall_s", "cpu_s", "peak_mb", "load"}
    assert not (contig_set.folder / "taxometer.part").exists()


def test_a_run_that_fails_is_not_finished(contig_set, monkeypatch):
    cell = bench.cells.Cell(contig_set, "kraken2", 1)
    monkeypatch.setattr(bench.taxometer, "command", stand_in(contig_set.folder, "exit 3"))
    monkeypatch.setattr(bench.cells, "labels_table", lambda cell: cell.labels)
    with pytest.raises(bench.costs.CommandFailed, match="exit 3"):
        bench.cells.run(cell, "taxometer", lambda: Path("vamb"))
    assert not cell.finished("taxometer")
    assert cell.calls("taxometer").parent.name == "taxometer_kraken2_1s"


def test_settings_have_files_of_their_own(contig_set):
    cells = [bench.cells.Cell(contig_set, source, n) for source in bench.cells.SOURCES for n in bench.cells.SAMPLES]
    for run in ("taxometer", *bench.cells.LINNET):
        assert len({cell.calls(run) for cell in cells} | {cell.record(run) for cell in cells}) == 2 * len(cells)


# ---------------------------------------------------------------------- scoring


def finish(cell, run: str, rows: list[str]) -> None:  # type: ignore[no-untyped-def]
    """As if a run had been made."""
    cell.calls(run).parent.mkdir(exist_ok=True)
    cell.calls(run).write_text("contigs\tpredictions\tscores\n" + "".join(row + "\n" for row in rows))
    cell.record(run).parent.mkdir(exist_ok=True)
    cell.record(run).write_text(json.dumps({"wall_s": 2.0, "cpu_s": 1.5, "peak_mb": 100.0, "load": 0.0}))


GENUS, ONE = f"{PATH}\t1;1;1;1;1;0.9", f"{PATH};s__one\t1;1;1;1;1;0.9;0.6"


def test_figures_are_those_counted_by_hand(contig_set, tmp_path):
    cell = bench.cells.Cell(contig_set, "mmseqs", 5)
    finish(cell, "linnet", [f"c1\t{ONE}", f"c2\t{GENUS}", f"c3\t{GENUS}", f"c4\t{GENUS}"])
    finish(cell, "taxometer", [f"c1\t{ONE}", f"c2\t{ONE}", f"c3\t{ONE}", f"c4\t{ONE}"])
    finish(cell, "linnet-taxometer", [])
    found = bench.score.score([cell], tmp_path, lambda _: None)
    row = {row["tool"]: row["ranks"]["species"] for row in found["rows"]}
    # labels: c1 and c2 right, c3 wrong; linnet: c1 right; Taxometer: c1 and c2 right, c3 and c4 wrong, all at 0.6.
    assert row["labels"]["f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert row["linnet"]["f1"] == pytest.approx(2 * 1 / (1 + 4))
    assert row["taxometer"]["f1"] == pytest.approx(2 * 2 / (4 + 4))
    assert row["taxometer-95"]["coverage"] == 0
    assert [row[tool]["wrong_on_absent"] for tool in ("labels", "linnet", "taxometer")] == [0.5, 0.0, 1.0]
    assert (row["linnet"]["harmed"], row["linnet"]["cut"]) == (0.0, 0.5)
    assert row["linnet-taxometer"]["f1"] == 0
    against = {d["b"]: d for d in found["differences"]}
    assert against["labels"]["sets"][0]["species"] == pytest.approx(2 / 5 - 4 / 7)
    assert against["labels"]["ranks"]["species"]["f1"]["difference"] == pytest.approx(2 / 5 - 4 / 7)
    assert against["taxometer"]["genomes"] == 2


def test_scores_are_kept_until_the_calls_are_made_again(contig_set, tmp_path):
    cell = bench.cells.Cell(contig_set, "mmseqs", 5)
    finish(cell, "linnet", [f"c1\t{ONE}"])
    path = tmp_path / "kept.json"
    made = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"times": len(made)}

    os.utime(cell.calls("linnet"), (1, 1))
    os.utime(cell.labels, (1, 1))
    assert [bench.score.remembered(path, [cell], ["linnet"], make)["times"] for _ in range(2)] == [1, 1]
    os.utime(cell.calls("linnet"), (2**33, 2**33))
    assert bench.score.remembered(path, [cell], ["linnet"], make)["times"] == 2


def test_a_genome_of_two_sets_is_drawn_as_two():
    gold = GoldStandard({"c1": (Taxon("domain", "Bacteria"),)}, {"c1": "A"}, {"c1": 600})
    pooled = bench.score.pooled_gold({"seed1": gold, "seed2": gold})
    assert pooled.genomes == {"seed1/c1": "seed1/A", "seed2/c1": "seed2/A"}
    assert pooled.lengths["seed2/c1"] == 600


def test_the_tables_have_mean_and_deviation_of_the_sets(contig_set, tmp_path):
    cell = bench.cells.Cell(contig_set, "mmseqs", 5)
    finish(cell, "linnet", [f"c{n}\t{ONE}" for n in (1, 2)])
    found = bench.score.score([cell], tmp_path, lambda _: None)
    (linnet,) = [row for row in found["rows"] if row["tool"] == "linnet"]
    other = json.loads(json.dumps(linnet)) | {"set": "seed2"}
    other["ranks"]["species"]["f1"] = 1.0
    assert "| linnet | 2 | 1.000 ± 0.000 | 0.500 ± 0.000 | 0.833 ± 0.236 |" in bench.tables.summary_table(
        [linnet, other]
    )
    results = {"machine": "m", "linnet": "0", "quick": False, "skipped": [], "failed": ["It failed."], **found}
    text = bench.tables.render(results | {"toy": [], "scale": None})
    assert "It failed." in text
    assert "**linnet less labels as they come**" in text
    assert "| seed1 | MMseqs2 | 5 | linnet | 0.667 |" in text


# ---------------------------------------------------------------------- the large set


def test_the_tree_of_the_large_set_has_as_many_taxa_as_it_says(monkeypatch):
    monkeypatch.setattr(bench.scale, "TAXA", {"d": 2, "g": 5, "s": 9})
    paths = bench.scale.lineages(np.random.default_rng(1))
    assert [len({path.split(";")[level] for path in paths}) for level in range(3)] == [2, 5, 9]
    assert len({tuple(path.split(";")[:2]) for path in paths}) == 5


def test_the_large_set_has_a_row_and_a_sequence_for_each_contig(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.scale, "TAXA", {"d": 2, "g": 5, "s": 9})
    bench.scale.make(tmp_path / "scale", 40)
    made = json.loads((tmp_path / "scale" / "made.json").read_text())
    sequences = (tmp_path / "scale" / "contigs.fna").read_text().split()[1::2]
    assert sum(map(len, sequences)) == made["bases"]
    assert {len((tmp_path / "scale" / name).read_text().splitlines()) for name in ("labels.tsv", "depth.tsv")} == {41}


def test_a_sequence_has_the_tetranucleotides_of_its_genome():
    shares = np.zeros(256)
    shares[[0, 255]] = 0.25, 0.75
    sequence = bench.scale.sequence(4002, shares.cumsum(), np.random.default_rng(1))
    assert len(sequence) == 4002
    assert set(sequence) == {"A", "T"}
    assert sequence.count("T") / 4002 == pytest.approx(0.75, abs=0.05)
