"""The arrows of the design, walked: imports point down the layers, never in a circle, and torch stays above."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "linnet"

LAYERS = (
    {"", "errors", "strings", "taxonomy", "records", "lineages", "ncbi", "prediction", "regions", "split", "formats",
     "inputs", "mates", "options", "outputs", "labels", "depths", "embeddings", "gold_standard", "changes",
     "search_space", "run_times", "accessions", "protein_labels", "shards", "shard_files", "draws",
     "columns", "processes", "machine_code", "ragged", "layers"},
    {"kmers", "sibling_groups", "references", "ranking", "likeness", "taxon_errors", "error_rates", "strata", "projection", "decode", "calibrate", "outcomes", "metrics", "significance", "compact", "baselines",
     "checkpoint", "ecoli", "notices", "rank_scores", "tokens", "contig_transitions", "composition", "spectra", "windows", "overlaps", "neighbours", "label_tree",
     "channel", "belief", "contig_outcomes", "contig_scores", "lineage_code", "taxonomies", "walk", "residues", "compact_lineage",
     "family_trees", "protein_families", "protein_neighbours", "kin", "reference_kin", "neighbour_evidence", "neighbour_gate", "gene_neighbours", "together", "weighed_walk", "protein_flags", "sequence_clusters", "places", "lineage_scores", "protein_groups", "protein_confusions", "protein_figures"},
    {"encoders", "heads", "losses", "model", "families", "network", "compiled", "released", "lineage_decoder", "light_head",
     "devices", "team", "fitting", "gate_fitting", "training_state", "fine_tuning", "teaching"},
    {"predictor", "protein_predictor", "group_by", "preparation", "protein_preparation", "train", "train_network", "train_proteins", "protein_calibration", "gene_calibration", "train_protein_transformer", "trajectories", "protein_examination", "protein_questions", "training_runs", "distil", "tune", "answers", "importance", "run_figures", "examine", "caveats", "embed", "contig_fates", "contig_curves", "contig_examples", "contig_examination", "classify", "correct", "describe", "evaluate", "contig_evaluation", "extract", "report"},
    {"commands", "__main__"},
)  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


def imports(path: Path) -> set[str]:
    """Names of linnet's own modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if exists(name) else node.module for name in known}
    return {name.removeprefix("linnet").lstrip(".") for name in found if name.split(".")[0] == "linnet"}


def exists(name: str) -> bool:
    path = SOURCE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


FILES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
IMPORTS = {module: imports(path) - {module} for module, path in FILES.items()}
IMPORTS[""] = set()  # the front door: public names are imported when asked for, and named for type checkers


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if module.split(".")[0] in names)


def test_every_module_has_its_layer() -> None:
    assert {name.split(".")[0] for name in FILES} == set().union(*LAYERS)


def test_arrows_point_down() -> None:
    upward = [(m, i) for m, targets in IMPORTS.items() for i in targets if layer(i) > layer(m)]
    assert upward == []


def test_no_import_goes_in_a_circle() -> None:
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"circle: {' -> '.join([*above, module])}"
        if module not in done:
            for target in IMPORTS[module]:
                visit(target, (*above, module))
            done.add(module)

    for module in IMPORTS:
        visit(module, ())


def test_no_torch_below_the_models() -> None:
    for module, path in FILES.items():
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [a.name for a in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        if layer(module) < 2:
            assert "torch" not in names, module


def test_classifying_needs_no_torch_and_help_no_numpy() -> None:
    code = "import sys, linnet.classify, linnet.predictor, linnet.evaluate; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_only_commands_print() -> None:
    printing = [
        m for m, path in FILES.items()
        if layer(m) < 4
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]  # fmt: skip
    assert printing == []
