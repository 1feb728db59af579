import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from project import ROOT, tracked

from fastnst.cli import app

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "records").rglob("*.md"))]
PAGES += sorted((ROOT / "checkpoints").glob("*.md")) + sorted((ROOT / "configs").glob("*.md"))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), flags=re.M | re.S)


def commands() -> list[str]:
    """Every `fastnst ...` of the shell blocks."""
    text = "\n".join(block for page in PAGES for block in blocks(page, "sh")).replace("\\\n", " ")
    parts = [part.strip() for line in text.splitlines() for part in line.split("#")[0].split("&&")]
    return sorted({part for part in parts if part.startswith("fastnst ")})


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("command", commands())
def test_every_command_in_the_documents_parses(command) -> None:
    words = shlex.split(command)[1:]
    if "--help" not in words:
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), "teal").save("photo.jpg")
    for block in blocks(ROOT / "README.md", "python"):
        exec(block, {})
    with Image.open("out.png") as image:
        assert image.size == (40, 30)


def test_the_two_set_up_commands_stand_in_the_readme_once_and_ci_takes_them_from_there() -> None:
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert len(re.findall(r"^pip install \. && fastnst train .* --budget 5m && fastnst apply .*$", readme, re.M)) == 1
    assert readme.count("pip install -e '.[test]' && pytest") == 1
    assert "README.md | sed 's/--budget 5m/" in ci and "pip install -e '.\\[test\\]' && pytest\" README.md" in ci


def test_the_readme_is_short_and_its_numbers_few() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    table = lines[lines.index("## Numbers") : lines.index("## Compared with what people use today")]
    rows = [line for line in table if line.startswith("| ") and "what was measured" not in line]
    assert len(lines) <= 150 and 4 <= len(rows) <= 8
    assert all("](records/" in row for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_shipped_styles_are_described_and_small() -> None:
    card = (ROOT / "checkpoints" / "README.md").read_text()
    files = tracked("checkpoints/*.safetensors")
    assert files
    for path in files:
        assert f"`{path.stem}`" in card
    assert sum(path.stat().st_size for path in files) < 25e6
