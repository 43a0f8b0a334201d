"""The page of an examination: whole, self-contained, and safe whatever stands in the files."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import evolve, write_fasta

from linnet.__main__ import main
from linnet.examine import Examination
from linnet.importance import Importance
from linnet.report import rrna_sections as sections
from linnet.report.reading import reading, share, spread
from linnet.run_figures import Spread, spreads
from linnet.taxonomy import Lineage

for _library in ("matplotlib", "sklearn", "edlib"):
    pytest.importorskip(_library)

pytestmark = pytest.mark.slow  # models are trained, or whole commands run

NASTY = "S<script>alert('&')</script>$x^2"


def write_lineages(path: Path, lineages: dict[str, Lineage]) -> Path:
    path.write_text("".join(f"{i}\t{';'.join(f'{t.rank[0]}__{t.name}' for t in row)}\n" for i, row in lineages.items()))
    return path


@pytest.fixture(scope="module")
def files(genes, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """Queries, truth and references as files; one true species and one query have names that are markup."""
    folder = tmp_path_factory.mktemp("report")
    sequences, lineages = genes
    random = np.random.default_rng(0)
    queries = {f"q{i}": evolve(s, 0.06, random) for i, s in list(sequences.items())[::3]}
    truth = {f"q{i}": lineages[i] for i in list(sequences)[::3]}
    first = next(iter(queries))
    truth[first] = (*truth[first][:6], truth[first][6]._replace(name=NASTY))
    queries["without-truth"] = sequences["r00000"]
    ensemble = folder / "ensemble"
    for name in ("a", "b"):
        shutil.copytree(tiny_model, ensemble / name)
    return {
        "--sequences": str(write_fasta(folder / "q.fasta", queries)),
        "--taxonomy": str(write_lineages(folder / "q.tsv", truth)),
        "--reference": str(write_lineages(folder / "r.tsv", lineages)),
        "--reference-sequences": str(write_fasta(folder / "r.fasta", sequences)),
        "--model": str(ensemble),
        "--importance": "12",
        "--out": str(folder / "report.html"),
        "--json": str(folder / "report.json"),
        "--embeddings": str(folder / "vectors.npz"),
    }


def command(files: dict[str, str], *more: str, **changed: str) -> list[str]:
    given = files | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return ["report", "rrna", *(word for pair in given.items() for word in pair if pair[1]), *more]


@pytest.fixture(scope="module")
def run(files: dict[str, str]) -> tuple[str, dict]:  # type: ignore[type-arg]
    """The page and the numbers of an ensemble beside its members."""
    assert main(command(files, "--members")) == 0
    return Path(files["--out"]).read_text(), json.loads(Path(files["--json"]).read_text())


class Reader(HTMLParser):
    """Collects the tags, what they load, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)
        self.loaded += [v for name, v in attrs if name in ("src", "href", "xlink:href") and v and v[0] != "#"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "link", "br", "img"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_whole_and_loads_nothing(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, _ = run
    reader = Reader(page)
    assert reader.open == []
    assert [link for link in reader.loaded if not link.startswith("data:image/png;base64,")] == []
    assert "@import" not in page and "url(http" not in page
    assert len(page) < 3_000_000
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        root = ElementTree.fromstring(svg)
        assert "width" not in root.attrib
        assert "viewBox" in root.attrib
        assert root.iter("{http://www.w3.org/2000/svg}text").__next__().text  # text as text


def test_names_from_files_are_only_text(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, _ = run
    reader = Reader(page)
    assert "script" not in reader.tags
    assert NASTY in "".join(reader.words)


def test_members_are_runs_and_the_ensemble_stands_beside_them(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    _, found = run
    assert list(found["figures"]) == ["ensemble", "a", "b"]
    assert found["averaged"] == ["a", "b"]
    assert found["spread"]["genus"]["accuracy"]["sd"] == 0  # they are copies
    assert found["models"]["ensemble"]["kind"] == "ensemble of 2"
    assert {model["region"] for model in found["models"].values()} == {"any"}
    assert found["warnings"] == []
    assert "1 sequences have no true lineage and were left out." in found["notes"]


def test_the_page_shows_the_numbers_of_the_json(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, found = run
    text = "".join(Reader(page).words)
    for rank, figures in found["figures"]["ensemble"].items():
        assert f"{100 * figures['accuracy']:.1f}" in text, rank
    assert f"{found['counts']['references']:,}" in text
    assert found["models"]["a"]["SHA-256 of the weights"] in text


def test_vectors_go_with_their_ids(run: tuple[str, dict], files: dict[str, str]) -> None:  # type: ignore[type-arg]
    with np.load(files["--embeddings"], allow_pickle=False) as kept:
        assert kept["ids"].shape == (32,)
        assert kept["vectors"].shape == (32, 32)
        assert kept["ids"][0] == "qr00000"


def test_a_second_run_gives_the_same_page(run: tuple[str, dict], files: dict[str, str], tmp_path: Path) -> None:  # type: ignore[type-arg]
    assert main(command(files, "--members", out=str(tmp_path / "again.html"), json="", embeddings="")) == 0
    assert (tmp_path / "again.html").read_text() == run[0]


def test_little_input_still_makes_a_page(files: dict[str, str], tmp_path: Path) -> None:
    """Three queries known to the genus, a model without vectors, no reference sequences."""
    few, truth = tmp_path / "few.fasta", tmp_path / "few.tsv"
    few.write_text("".join(Path(files["--sequences"]).read_text().splitlines(keepends=True)[:6]))
    truth.write_text(
        "qr00000\td__Bacteria;p__P0;g__G000\nqr00003\td__Bacteria\nqr00012\td__Bacteria;p__P0;g__unknown\n"
    )
    out = tmp_path / "few.html"
    asked = command(files, sequences=str(few), taxonomy=str(truth), out=str(out), importance="0", regions="V4",
                    reference_sequences="", json="", embeddings="")  # fmt: skip
    assert main(asked) == 0
    words = "".join(Reader(out.read_text()).words)
    assert "there are too few queries" in words
    assert "Not asked for (--importance 0)." in words
    assert "V4 (0 queries have it)" in words
    assert "--reference-sequences" in words


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"regions": "V4,V17"}, "not a known region"),
        ({"out": "folder/that/is/not/there.html"}, "cannot be written"),
        ({"embeddings": "vectors.txt"}, ".npz"),
        ({"json": "{out}"}, "one file"),
        ({"out": "{taxonomy}"}, "also read"),
        ({"taxonomy": "{none}"}, "none of the queries has a true lineage"),
        ({"reference_sequences": "{sequences}"}, "has none of the references"),
        ({"sequences": "{twice}"}, "there twice"),
        ({"model": "proteins"}, "a model of proteins"),
    ],
)
def test_what_cannot_be_done_is_said(
    files: dict[str, str], changed: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.tsv").write_text("other\td__Bacteria\n")
    (tmp_path / "twice.fasta").write_text(">qr00000\nACGT\n>qr00000\nACGG\n")
    places = {k[2:]: v for k, v in files.items()} | {"none": f"{tmp_path}/none.tsv", "twice": f"{tmp_path}/twice.fasta"}
    places["out"] = str(tmp_path / "new.html")
    resolved = {name: value.format(**places) for name, value in changed.items()}
    asked = {"out": places["out"], "json": "", "embeddings": "", "importance": "0"} | resolved
    assert main(command(files, **asked)) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new.html").exists()


def test_every_key_of_the_json_is_explained(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    explained = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text().partition("## The JSON")[2]
    _, found = run
    figures = next(iter(found["figures"].values()))["genus"]
    settings, strata = found["settings"], found["identity"]["genus"][0]
    for key in (*found, *settings, *figures, *strata, *found["regions"], *found["plane"], *found["importance"]):
        assert f"`{key}`" in explained or f"`{key}." in explained, key


def test_runs_left_out_of_the_means_are_named_in_the_reading(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    said = (
        "32 queries were asked of 2 runs, over which means are taken, and of ensemble, which is left out of the means."
    )
    assert said in "".join(Reader(run[0]).words)


def test_the_title_is_not_the_heading_again(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, _ = run
    assert "<title>linnet report rrna: ensemble</title>" in page
    assert page.count("16S model, examined") == 1


def test_warnings_stand_at_the_top_and_are_only_text(found_by_hand: Examination) -> None:
    from linnet.report.rrna_page import render

    page = render(replace(found_by_hand, warnings=("one", NASTY)), "0", [])
    words = "".join(Reader(page).words)
    assert "Warning: one" in words and f"Warning: {NASTY}" in words
    assert words.index("Warning: one") < words.index("queries were asked")


def test_it_is_said_why_a_section_is_empty(found_by_hand: Examination) -> None:
    def said(section: str, found: Examination) -> str:
        return "".join(Reader(str(getattr(sections, section)(found))).words)

    no_name = replace(found_by_hand, kinship={}, counts=found_by_hand.counts | {"queries without any name": 20})
    assert "No query was given a name." in said("mistakes", no_name)
    assert "No name given is wrong." in said("mistakes", replace(found_by_hand, kinship={}))
    asked = replace(found_by_hand, settings=replace(found_by_hand.settings, importance=9))
    assert "(--importance 0)" in said("gene", found_by_hand)
    assert "Too few queries" in said("gene", asked)
    unknown = Importance(9, 1, {}, {}, {}, {}, {}, ())
    assert "none of the true taxa" in said("gene", replace(asked, importance=unknown))


def test_the_reading_says_nothing_of_what_is_not_defined(found_by_hand: Examination) -> None:
    """Every query of an unknown taxon, every true name a placeholder."""
    of_one = {
        rank: replace(f, n_unknown=f.n, n_placeholders=f.n, acc_known=None, accuracy_named=None)
        for rank, f in found_by_hand.figures["one"].items()
    }
    text = reading(replace(found_by_hand, figures={"one": of_one}, spread=spreads([of_one])))
    assert "100.0 % of them are of a species that the reference lacks, which nobody can name from it." in text
    assert "100.0 % of the true names at species are placeholders." in text
    assert "- %" not in text


def test_one_model_named_twice_is_refused(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(files, "--model", files["--model"])) == 2
    assert "named twice" in capsys.readouterr().err


def test_numbers_are_written_as_per_cent() -> None:
    assert share(None) == "-"
    assert share(0.12345) == "12.3"
    assert spread(Spread(0.5, None)) == "50.0"
    assert spread(Spread(0.5, 0.0123)) == "50.0 ± 1.23"


def test_the_reading_tells_what_the_numbers_are_and_follows_them(found_by_hand: Examination) -> None:
    text = reading(found_by_hand)
    figures = found_by_hand.figures["one"]["species"]
    assert f"At species, {share(found_by_hand.spread['species']['accuracy'].mean)} % of {figures.n:,} queries" in text
    changed = {**found_by_hand.spread["species"], "accuracy": Spread(0.123, 0.01)}
    other = replace(found_by_hand, spread={**found_by_hand.spread, "species": changed})
    assert "At species, 12.3 %" in reading(other)
    assert "standard deviation over runs 1.00" in reading(other)


@pytest.fixture(scope="module")
def found_by_hand(genes, tiny_model: Path) -> Examination:  # type: ignore[no-untyped-def]
    from linnet.examine import Model, Question, Settings, examine
    from linnet.predictor import load
    from linnet.records import record

    sequences, lineages = genes
    records = [record(i, s) for i, s in list(sequences.items())[::5]]
    question = Question(records, lineages, lineages, {})
    model = Model("one", load(tiny_model), True, {"kind": "compact"})  # type: ignore[arg-type]
    return examine([model], question, Settings(regions=(), importance=0))
