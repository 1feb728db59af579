"""Rules of the project that a test can check."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from project import ROOT

import fastnst

PACKAGE = Path(fastnst.__file__).parent
# From the ground up: a wing imports from itself and from wings before it in this list, and nothing else of the package.
WINGS = (
    *("base", "images", "networks", "perception", "universal", "video", "cluster"),
    *("painting", "training", "exporting", "baseline", "serving", "bench"),
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "samples" not in path.parts)
# What answers before torch is loaded: names, settings, checks.
LIGHT = [
    path for path in MODULES if path.stem in ("settings", "commands", "checks", "formats", "jobs", "catalog", "names")
]


def imports(path: Path, *, at_start: bool = False) -> set[str]:
    """Modules that a file imports: wherever in the file, or only when it is loaded itself."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def wrong_imports(path: Path, package: Path = PACKAGE) -> set[str]:
    """Imports of a wing's file that lead to a wing after its own, or to none."""
    wing = path.relative_to(package).parts[0]
    allowed = {"__version__", *WINGS[: WINGS.index(wing) + 1]}
    return {name.split(".")[1] for name in imports(path) if name.startswith("fastnst.")} - allowed


def test_every_folder_is_a_wing_and_has_a_place_in_the_list() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == {*WINGS, "samples"}  # samples: style images, and the scripts that draw them
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", "cli"}


def test_the_wings_stand_in_the_guide_for_contributors_in_this_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## The wings\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^- `(\w+)`: ", text, re.MULTILINE)) == WINGS


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_from_wings_before_it_only(wing) -> None:
    wrong = {path.name: names for path in (PACKAGE / wing).rglob("*.py") if (names := wrong_imports(path))}
    assert not wrong


@pytest.mark.parametrize(
    "line",
    [
        "from fastnst.painting.stylizer import Stylizer",
        "import fastnst.bench.report",
        "def later():\n    from fastnst.video import flow",
        "from fastnst.cli import main",
    ],
)
def test_an_import_that_points_the_wrong_way_is_found(line, tmp_path) -> None:
    planted = tmp_path / "networks" / "deep" / "planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(f"from fastnst.base import errors\n{line}\n")
    assert len(wrong_imports(planted, tmp_path)) == 1


@pytest.mark.parametrize("wing", WINGS)
def test_the_docstring_of_a_wing_names_its_modules(wing) -> None:
    told = (PACKAGE / wing / "__init__.py").read_text()
    missing = [path.name for path in (PACKAGE / wing).glob("*.py") if path.stem != "__init__" and path.name not in told]
    assert not missing


def test_the_network_file_imports_torch_alone() -> None:
    assert {name.split(".")[0] for name in imports(PACKAGE / "networks" / "network.py")} == {"torch"}


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_answers_at_once_does_not_wait_for_torch(path) -> None:
    heavy = {"torch", "numpy", "pytorch_lightning", "datasets", "av", "skimage"}
    assert not {name.split(".")[0] for name in imports(path, at_start=True)} & heavy


def test_only_images_architectures_and_losses_know_255() -> None:
    knowing = {path.relative_to(PACKAGE).as_posix() for path in MODULES if re.search(r"\b255\b", _code_of(path))}
    # losses and normalizations: the unit of the papers' total variation
    others = {name for name in knowing if not name.startswith("images/")}
    assert others <= {"perception/architectures.py", "perception/normalizations.py", "perception/losses.py"}


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


def test_what_is_to_be_cited_is_the_version_that_is_here() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == fastnst.__version__


def test_the_public_names_are_these_and_each_is_there() -> None:
    settings = {"ExportSettings", "OptimizeSettings", "TrainSettings"}
    classes = {"LossNetwork", "PerceptualLoss", "PhotoDataModule", "StyleFile", "StyleTrainer", "Stylizer"}
    functions = {"export", "load_style", "optimize", "save_style", "train"}
    assert set(fastnst.__all__) == {*settings, *classes, *functions, "TransformationNetwork", "__version__"}
    assert all(getattr(fastnst, name).__doc__ for name in fastnst.__all__)
