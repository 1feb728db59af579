"""Rules of the project that a test can check."""

import ast
import re
from pathlib import Path

import pytest

import fastnst

PACKAGE = Path(fastnst.__file__).parent
# A module imports only from lower layers. `errors` and `config` import nothing heavy.
LAYERS: dict[str, int] = {
    "errors": 0,
    "files": 0,
    "color_profiles": 0,
    "decoders": 0,
    "deep_color": 0,
    "metadata": 0,
    "levels": 0,
    "pipeline": 1,
    "config": 1,
    "bench_config": 2,
    "bench_report": 1,
    "recipe_files": 1,
    "devices": 1,
    "images": 1,
    "balance": 1,
    "muon": 1,
    "network": 1,
    "schedule": 1,
    "architectures": 1,
    "progress": 1,
    "colors": 1,
    "memory": 1,
    "animation": 2,
    "masks": 2,
    "exported": 1,
    "image_types": 2,
    "exporters": 2,
    "runtime": 2,
    "frames": 4,
    "flow": 2,
    "steady": 3,
    "video_reader": 2,
    "video_writer": 3,
    "video": 4,
    "sheet": 2,
    "loss_network": 2,
    "sources": 2,
    "losses": 3,
    "minimize": 4,
    "alarms": 4,
    "objective": 4,
    "warm_start": 4,
    "compare_report": 4,
    "data": 3,
    "style_file": 2,
    "tiles": 2,
    "run": 4,
    "monitor": 4,
    "stylize": 4,
    "styles": 4,
    "style_trainer": 4,
    "recipe": 5,
    "baseline": 5,
    "train": 5,
    "apply": 5,
    "export": 5,
    "bench": 5,
    "reconstruct": 5,
    "optimize": 6,
    "bench_optimize": 6,
    "bench_video": 6,
    "bench_apply": 7,
    "live": 6,
    "bench_tiles": 5,
    "compare": 6,
    "targets": 6,
    "bench_reference": 6,
    "probe": 6,
    "bench_quality": 7,
    "cli": 8,
    "__main__": 9,
}
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(path: Path) -> set[str]:
    """Names of the package's modules that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastnst."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "fastnst":
            found |= {alias.name for alias in node.names} & LAYERS.keys()
    return found


def test_every_module_has_a_layer() -> None:
    assert {path.stem for path in MODULES} == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_lower_layers(path) -> None:
    wrong = {name for name in imports(path) if LAYERS[name] >= LAYERS[path.stem]}
    assert not wrong


def test_the_network_file_imports_torch_alone() -> None:
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse((PACKAGE / "network.py").read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert modules == {"torch"}


def test_only_images_and_loss_network_architectures_know_255() -> None:
    knowing = {path.stem for path in MODULES if re.search(r"\b255\b", _code_of(path))}
    assert knowing <= {"images", "architectures", "losses"}  # losses: the unit of the papers' total variation


def _code_of(path: Path) -> str:
    """The source without its docstrings and comments."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
    return ast.unparse(tree)


def test_departures_from_the_papers_are_declared_in_the_same_words() -> None:
    declared = [line for path in MODULES for line in path.read_text().splitlines() if "Differs from" in line]
    assert len(declared) >= 5
    assert all(re.search(r"Differs from \w+ et al\. \(20\d\d\)", line) for line in declared), declared
