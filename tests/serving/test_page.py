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

GUIDE = ROOT / "docs" / "guides" / "page.md"
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


def listed(name: str) -> list[str]:
    """A list of files of the service worker."""
    found = re.search(rf"const {name} = (\[.*?\]);", (SITE / "service-worker.js").read_text(), re.S)
    assert found is not None
    return list(json.loads(found[1]))


def test_the_first_picture_needs_less_than_seven_megabytes_packed_as_the_guide_says() -> None:
    """Packed as hosts do it: the page, scripts, styles, the runtime and one network, but no graph for large photos."""
    names = [name for name in listed("files") if name not in ("network/measure.onnx", "network/tile.onnx")]
    files = [SITE / ("index.html" if name == "./" else name) for name in names]
    kinds = {path.suffix for path in files}
    assert {".html", ".js", ".css", ".jpg"} <= kinds
    assert {"network/whole.onnx", "network/weights.bin", "ort/runtime.bin"} <= set(names)
    packed = sum(len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in files)
    assert packed <= FIRST_PICTURE
    guide = GUIDE.read_text()
    stated = re.search(r"first picture comes after ([\d.]+) MB", guide)
    assert stated is not None and float(stated[1]) == round(packed / 1e6, 1)


def test_what_is_kept_for_use_without_a_network_is_as_large_as_the_guide_says() -> None:
    names = [*listed("files"), *listed("later")]
    kept = sum((SITE / ("index.html" if name == "./" else name)).stat().st_size for name in names)
    stated = re.search(r"([\d,]+) bytes in all", GUIDE.read_text())
    assert stated is not None and int(stated[1].replace(",", "")) == kept


def test_the_page_names_its_parts_by_relative_addresses() -> None:
    """So that it works in any folder of a host; `web/tests` visits it in one."""
    named = re.findall(r"(?:src|href)=\"([^\"]+)\"", (SITE / "index.html").read_text())
    assert len(named) >= 4 and not [name for name in named if name.startswith("/") or ":" in name]
    assert all((SITE / name.removeprefix("./")).is_file() for name in named if not name.startswith("#"))
    assert not [name for name in (*listed("files"), *listed("later")) if name.startswith("/")]
    for path in (SITE / "assets").glob("*.css"):
        assert not re.findall(r"url\(\s*[\"']?/", path.read_text())


def test_the_page_asks_nobody_else_for_anything() -> None:
    page = (SITE / "index.html").read_text()
    assert "default-src 'none'" in page and "connect-src 'self'" in page
    for path in SITE.rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            addresses = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text()))
            message = {"https://web.dev/cross-origin-isolation-guide/"} if path.parent.name == "ort" else set()
            assert addresses <= {"http://www.w3.org/2000/svg", *message}, (path, addresses)


def test_the_service_worker_keeps_every_file() -> None:
    first, later = listed("files"), listed("later")
    there = set(files_in(SITE)) - {"index.html", "service-worker.js"}
    assert set(first) | set(later) == {"./", *there} and not set(first) & set(later)
    assert {name.partition("/")[0] for name in later} == {"any"}  # which only one's own paintings need


def test_the_service_worker_adds_the_headers_of_the_service() -> None:
    worker = (SITE / "service-worker.js").read_text()
    added = dict(re.findall(r"headers\.set\(\"([\w-]+)\", \"([^\"]+)\"\)", worker))
    assert HEADERS.items() <= added.items()
    assert HEADERS["Permissions-Policy"].startswith("camera=(self), ")  # the photo that the page takes


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
