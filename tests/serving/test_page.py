"""The page in the browser as files; `web/tests` visits it with a browser."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from project import ROOT, tracked

from fastnst.cli import main
from fastnst.networks.style_file import load_style
from fastnst.serving.page import HEADERS, SITE
from fastnst.universal.file import load_predictor, painting_side
from fastnst.universal.names import find_network
from fastnst.universal.predictor import numbers_of

FIRST_PICTURE = 7e6  # bytes that are sent before the first picture, on a host that packs nothing


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["page", *words])
    return int(stop.value.code)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_page_is_written_as_it_was_built(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("-o", "my site") == 0
    assert "python -m http.server -d 'my site'" in capsys.readouterr().err
    assert files_in(tmp_path / "my site") == files_in(SITE)
    (tmp_path / "my site" / "mine.txt").write_text("mine")
    assert run("-o", "my site") == 2 and "--force" in capsys.readouterr().err
    assert run("-o", "my site", "--force", "--quiet") == 0
    assert (tmp_path / "my site" / "mine.txt").read_text() == "mine" and capsys.readouterr().err == ""


def test_the_first_picture_needs_less_than_seven_megabytes() -> None:
    files = [path for path in SITE.rglob("*") if path.is_file() and path.name not in ("measure.onnx", "tile.onnx")]
    first = [path for path in files if path.parent.name != "any"]
    assert sum(path.stat().st_size for path in first) < FIRST_PICTURE
    assert gzip.decompress((SITE / "ort" / "runtime.bin").read_bytes())[:4] == b"\0asm"


def test_the_page_asks_nobody_else_for_anything() -> None:
    page = (SITE / "index.html").read_text()
    assert "default-src 'none'" in page and "connect-src 'self'" in page
    for path in SITE.rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            addresses = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text()))
            assert addresses <= {"http://www.w3.org/2000/svg"}, (path, addresses)


def test_the_service_worker_keeps_every_file() -> None:
    text = (SITE / "service-worker.js").read_text()
    first, later = (json.loads(re.search(rf"const {name} = (\[.*?\]);", text, re.S)[1]) for name in ("files", "later"))
    there = set(files_in(SITE)) - {"index.html", "service-worker.js"}
    assert set(first) | set(later) == {"./", *there} and not set(first) & set(later)
    assert {name.partition("/")[0] for name in later} == {"any"}  # which only one's own paintings need


def test_the_network_of_the_page_is_that_of_the_style_file(tmp_path) -> None:
    about = json.loads((SITE / "network" / "network.json").read_text())
    style = load_style("paintings")
    assert about["styles"] == list(style.style_names)
    assert (about["reach"], about["stride"]) == (style.network.reach, style.network.stride)
    weights = np.frombuffer((SITE / "network" / "weights.bin").read_bytes(), np.float16)
    first = style.network.encoder[0].norm.scale.detach().half().numpy().ravel()
    assert first.tobytes() in weights.tobytes()
    assert {path.stem for path in (SITE / "styles").iterdir()} == set(about["styles"])


def test_the_network_for_paintings_is_that_of_the_predictor() -> None:
    about = json.loads((SITE / "any" / "network.json").read_text())
    path = find_network(instant=True)
    network, predictor = load_predictor(path)
    assert (about["painting_side"], about["numbers"]) == (painting_side(path), numbers_of(network))
    stored = (SITE / "any" / "weights.bin").read_bytes()
    for weights in (
        network.encoder[0].conv.weight,
        network.painter.weight,
        predictor.predict.bias,
        predictor.embed[0].bias,
    ):
        assert weights.detach().half().numpy().tobytes() in stored


def test_what_is_built_is_committed_with_its_source() -> None:
    public = {path.relative_to(ROOT / "web" / "public").as_posix(): path.read_bytes() for path in tracked("web/public")}
    built = files_in(SITE)
    assert public and {name: built.get(name) for name in public} == public
    committed = {path.relative_to(SITE).as_posix() for path in tracked("fastnst/serving/site")}
    assert committed == set(built)


def test_the_service_has_the_page_with_the_headers_that_threads_need(server) -> None:
    for path in ("/", "/index.html", "/assets/index.js", "/ort/runtime.bin"):
        answer = server.ask(path)
        assert answer.status == 200
        assert all(answer.headers[name.lower()] == value for name, value in HEADERS.items())
    assert server.ask("/").body == (SITE / "index.html").read_bytes()
    assert server.ask("/ort/runtime.bin").body == (SITE / "ort" / "runtime.bin").read_bytes()
