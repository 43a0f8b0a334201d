"""The page of a correction: whole, self-contained, safe whatever stands in the files, and its numbers by hand."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")

from linnet.__main__ import main
from linnet.contig_evaluation import evaluate_contigs, read_calls
from linnet.contig_transitions import Flow, Transitions
from linnet.gold_standard import read_gold_standard, read_lengths

pytestmark = pytest.mark.slow  # models are trained, or whole commands run

EXAMPLES = Path(__file__).parent.parent / "examples"
NASTY = "S<script>alert('&')</script>$x^2"
PATH = "Bacteria;P;C;O;F;G"

# Contig, bases, genome, truth, label before, label after, confidence after.
_ROWS = (
    ("kept", 600, "a", f"{PATH};S", f"{PATH};S", f"{PATH};S", 0.99),
    ("mended", 1500, "a", f"{PATH};S", f"{PATH};T", f"{PATH};S", 0.95),
    ("harmed", 2500, "b", f"{PATH};T", f"{PATH};T", f"{PATH};S", 0.6),
    ("cut-back", 700, "n", f"{PATH};new", f"{PATH};S", f"{PATH}", 0.8),
    ("cut-further", 700, "n", f"{PATH};new", f"{PATH};S", "Bacteria;P;C;O;F", 0.8),
    ("over-named", 900, "n", f"{PATH};new", f"{PATH}", f"{PATH};T", 0.7),
    ("new-genus", 60_000, "m", "Bacteria;P;C;O;F;N;new", "Bacteria;Q", "Bacteria;P;C;O;F", 0.9),
    ("first", 800, "b", f"{PATH};T", "", f"{PATH};T", 0.9),
    ("none", 800, "b", f"{PATH};T", "", "", 0.0),
    ("nasty", 800, "x", f"{PATH};{NASTY}", f"{PATH};{NASTY}", f"{PATH};{NASTY}", 0.9),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The rows as the files of a run, whose known species are S, T and the nasty one."""
    folder = tmp_path_factory.mktemp("contigs")

    def write(name: str, head: str, rows: list[str]) -> str:
        (folder / name).write_text("\n".join([*([head] if head else []), *rows]) + "\n")
        return str(folder / name)

    def cells(label: str) -> str:
        ranks = zip("dpcofgs", label.split(";"), strict=False)
        return ";".join(f"{rank}__{name}" for rank, name in ranks) if label else ""

    def scores(label: str, confidence: float) -> str:
        return ";".join(f"{confidence:.5f}" for _ in label.split(";")) if label else ""

    head = "contig\tchange\trank\told\tnew\tconfidence_before\tconfidence_after\twhy"
    return {
        "corrected": write("corrected.tsv", "contigs\tpredictions\tscores",
                           [f"{c}\t{cells(new)}\t{scores(new, sure)}" for c, *_, new, sure in _ROWS]),
        "--before": write("labels.tsv", "contigs\tpredictions", [f"{r[0]}\t{cells(r[4])}" for r in _ROWS]),
        "--contigs": write("lengths.tsv", "", [f"{r[0]}\t{r[1]}" for r in _ROWS]),
        "--truth": write("truth.tsv", "contig\tgenome\tlineage", [f"{r[0]}\t{r[2]}\t{cells(r[3])}" for r in _ROWS]),
        "--reference": write("known.tsv", "", [f"r{i}\t{cells(f'{PATH};{s}')}" for i, s in enumerate(("S", "T", NASTY))]),
        "--changes": write("changes.tsv", head, [f"{r[0]}\tkept\t\t\t\t\t0.5\twhy <b>{i}</b>" for i, r in enumerate(_ROWS)]),
        "--times": write("times.tsv", "bases\tseconds\tmemory\ttool", ["1000\t2\t3\tt", "10000\t20\t9\tt", "1000\t1\t\tu"]),
        "--resamples": "50",
        "--out": str(folder / "report.html"),
        "--json": str(folder / "report.json"),
    }  # fmt: skip


def command(files: dict[str, str], *more: str, **changed: str) -> list[str]:
    given = files | {f"--{name}": value for name, value in changed.items()}
    table = given.pop("corrected")
    return ["report", "contigs", table, *more, *(word for pair in given.items() for word in pair if pair[1])]


@pytest.fixture(scope="module")
def run(files: dict[str, str]) -> tuple[str, dict]:  # type: ignore[type-arg]
    assert main(command(files)) == 0
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
        if tag != "meta":
            self.open.append(tag)
        self.loaded += [v for name, v in attrs if name in ("src", "href", "xlink:href") and v and v[0] != "#"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag != "meta":
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_whole_loads_nothing_and_shows_names_as_text(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    page, _ = run
    reader = Reader(page)
    assert reader.open == []
    assert reader.loaded == []
    assert not {"script", "b"} & reader.tags
    words = "".join(reader.words)
    assert "why <b>" in words
    assert NASTY[:20] in words
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert "viewBox" in ElementTree.fromstring(svg).attrib


def test_whole_labels_are_judged_as_by_hand(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    _, found = run
    told = {kind: tuple(j.values()) for kind, j in found["judged"].items()}
    assert told == {  # contigs, right before, right now, mended, harmed
        "kept": (2, 2, 2, 0, 0),
        "extended": (1, 1, 0, 0, 1),
        "cut": (2, 0, 2, 2, 0),
        "moved": (3, 1, 2, 2, 1),
        "newly labelled": (1, 0, 1, 0, 0),
        "no label": (1, 0, 0, 0, 0),
    }
    assert {kind: amount["contigs"] for kind, amount in found["kinds"].items()} == {k: n[0] for k, n in told.items()}
    assert found["kinds"]["moved"]["bases"] == 1500 + 2500 + 60_000
    assert [e["contig"] for e in found["surest"]] == ["mended", "new-genus", "harmed"]
    assert [e["contig"] for e in found["most_harmful"]] == ["harmed", "over-named"]
    harm = found["most_harmful"][0]
    assert (harm["old"], harm["new"], harm["true"], harm["confidence"]) == ("T", "S", "T", 0.6)


def test_names_of_unknown_taxa_end_where_a_person_sees_them_end(run: tuple[str, dict]) -> None:  # type: ignore[type-arg]
    _, found = run
    species, genus = found["novel"]["species"], found["novel"]["genus"]
    assert (species["contigs"], species["genomes"], genus["contigs"]) == (3, 1, 1)
    assert species["fates"]["before"] == {"exact": 1, "above": 0, "below": 2, "wrong branch": 0, "no name": 0}
    assert species["fates"]["corrected.tsv"] == {"exact": 1, "above": 1, "below": 1, "wrong branch": 0, "no name": 0}
    assert genus["fates"]["before"]["wrong branch"] == 1
    assert genus["fates"]["corrected.tsv"]["exact"] == 1


def test_bins_of_length_are_judged_as_their_contigs_alone(run: tuple[str, dict], files: dict[str, str]) -> None:  # type: ignore[type-arg]
    _, found = run
    lengths = read_lengths(files["--contigs"])
    gold = read_gold_standard(files["--truth"])
    calls = read_calls(Path(files["corrected"]), lengths)
    assert [(b["low"], b["contigs"]) for b in found["lengths"]] == [(0, 7), (1000, 1), (2000, 1), (50_000, 1)]
    for b in found["lengths"]:
        some = {c: n for c, n in lengths.items() if b["low"] <= n < (b["high"] or 10**9)}
        alone = evaluate_contigs(calls, gold, some, resamples=0)
        for rank in ("genus", "species"):
            told = b["figures"][rank]["corrected.tsv"]
            for name in ("f1", "precision", "coverage"):
                assert told[name]["value"] == getattr(alone.ranks[rank].contigs, name)


def test_figures_are_those_of_evaluate_and_stand_in_the_page(run: tuple[str, dict], files: dict[str, str]) -> None:  # type: ignore[type-arg]
    page, found = run
    words = "".join(Reader(page).words)
    told = found["evaluations"]["corrected.tsv"]["ranks"]["species"]
    # Of 9 names at species... kept, mended, first and nasty are right; harmed and over-named are not.
    assert (told["contigs"]["right"], told["contigs"]["wrong"]) == (4, 2)
    assert told["bases"]["right"] == 600 + 1500 + 800 + 800
    assert set(told["base_intervals"]) == {"precision", "recall", "f1", "coverage"}
    assert f"{100 * told['contigs']['f1']:.1f} (" in words
    assert found["curves"]["species"]["before"]["confident"] is False
    assert found["curves"]["species"]["corrected.tsv"]["confident"] is True
    assert found["scaling"]["t"]["exponent"] == pytest.approx(1)
    assert "u" not in found["scaling"]
    assert all(digest in words for _, _, digest in found["files"])


def test_without_a_truth_the_page_says_what_it_leaves_out_and_is_the_same_again(
    files: dict[str, str], tmp_path: Path
) -> None:
    """Labels down to the phylum only: few drawings."""
    before, after = tmp_path / "before.tsv", tmp_path / "after.tsv"
    before.write_text("contigs\tpredictions\nkept\td__Bacteria;p__P\nmended\td__Bacteria;p__Q\n")
    after.write_text("contigs\tpredictions\nkept\td__Bacteria\nmended\td__Bacteria;p__P\nfirst\td__Bacteria\n")
    pages = []
    for name in ("a.html", "b.html"):
        given = {"corrected": str(after), "before": str(before), "out": str(tmp_path / name)}
        without = dict.fromkeys(("json", "truth", "reference", "changes", "times"), "")
        assert main(command(files | {"corrected": given.pop("corrected")}, **given, **without)) == 0
        pages.append((tmp_path / name).read_text())
    assert pages[0] == pages[1]
    words = "".join(Reader(pages[0]).words)
    for flag in ("--truth", "--reference", "--changes", "--times"):
        assert flag in words
    assert "No truth was given" in words
    assert "right before" not in words
    assert {p.name for p in tmp_path.iterdir()} == {"before.tsv", "after.tsv", "a.html", "b.html"}


def test_names_in_a_drawing_do_not_meet() -> None:
    """Many thin taxa beside one thick: labels of a side stand at least a line and a half apart."""
    from linnet.changes import Kind
    from linnet.report.contigs_sankey import sankey

    nodes = (*(f"taxon {i}" for i in range(12)), "other taxa", "no name")
    flows = tuple(
        Flow(i, i if i % 3 else 13, Kind.KEPT if i % 3 else Kind.CUT, 1 + 5000 * (i == 4), 10) for i in range(13)
    )
    svg = sankey("genus", Transitions(nodes, flows, {}), "contigs")
    places: dict[str, list[float]] = {}
    for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        at = re.search(r"translate\(([\d.]+) ([\d.]+)\)", text.attrib.get("transform", ""))
        y = float(at[2] if at else text.attrib["y"])
        if str(text.text).startswith(("taxon", "other taxa")):
            side = "left" if "end" in text.attrib["style"] else "right"
            places.setdefault(side, []).append(y)
    assert {side: len(ys) for side, ys in places.items()} == {"left": 13, "right": 8}
    for ys in places.values():
        ys.sort()
        assert min(b - a for a, b in zip(ys, ys[1:], strict=False)) >= 17


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"before": ""}, "--before is missing"),
        ({"contigs": ""}, "--contigs is missing"),
        ({"out": "{contigs}"}, "also read"),
        ({"json": "{out}"}, "one file"),
        ({"truth": "{other}"}, "none of the contigs has a true lineage"),
        ({"before": "{other}"}, "has none of the contigs"),
        ({"changes": "{other}"}, "no table of changes"),
        ({"times": "{other}"}, "no table of runs"),
        ({"sequences": "{contigs}"}, "--sequences with 'contigs'"),
        ({"before": "{corrected}.gone"}, "no such file"),
    ],
)
def test_what_cannot_be_done_is_said(
    files: dict[str, str], changed: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.tsv").write_text("contigs\tpredictions\nstranger\td__Bacteria;p__P\n")
    places = {k.lstrip("-"): v for k, v in files.items()} | {"other": f"{tmp_path}/other.tsv"}
    places["out"] = str(tmp_path / "new.html")
    asked = {"out": places["out"], "json": ""} | {name: value.format(**places) for name, value in changed.items()}
    assert main(command(files, **asked)) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new.html").exists()


def test_one_table_twice_and_flags_of_another_family_are_refused(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(files, files["corrected"])) == 2
    assert "named twice" in capsys.readouterr().err
    asked = ["report", "rrna", "--before", files["--before"], "--out", "x.html"]
    assert main(asked) == 2
    assert "--model is missing" in capsys.readouterr().err


def test_times_of_a_correction_are_not_written_over_another_table(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["correct", files["--contigs"], "--labels", files["--before"], "--out", str(tmp_path / "x.tsv")]
    assert main([*asked, "--times", files["--changes"]]) == 1
    assert "another table" in capsys.readouterr().err
    assert main([*asked, "--times", files["--before"]]) == 2
    assert "both read and written" in capsys.readouterr().err
