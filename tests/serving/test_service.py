"""What the service answers to those who mean well."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
from io import BytesIO
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from project import ROOT

from fastnst.cli import main
from fastnst.images.photos import resolve_photo
from fastnst.painting.stylizer import Stylizer
from fastnst.serving.painters import Painters
from fastnst.serving.settings import ServeSettings, UploadFormat
from fastnst.serving.uploads import Order, Upload

GUIDE = ROOT / "docs" / "guides" / "service.md"


@pytest.mark.parametrize("way", ["body", "form"])
def test_a_photo_comes_back_as_apply_paints_it(way, server, coffee, sky, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", sky.parent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coffee.jpg").write_bytes(coffee)
    look = ("--strength", "0.7", "--keep-colors", "--size", "64", "--runtime", "torch", "--quiet")
    with pytest.raises(SystemExit):
        main(["apply", "coffee.jpg", "--style", "day:0.3,night:0.7", "-o", "coffee.png", *look])
    values = {"style": "day:0.3,night:0.7", "strength": "0.7", "keep_colors": "true", "size": "64", "format": "png"}
    if way == "form":
        answer = server.form(coffee, **values)
    else:
        answer = server.stylize(coffee, "?" + "&".join(f"{name}={value}" for name, value in values.items()))
    assert answer.status == 200 and answer.headers["content-type"] == "image/png"
    with Image.open("coffee.png") as expected:
        assert np.array_equal(np.asarray(answer.image), np.asarray(expected))


def test_the_answer_has_the_format_of_the_photo_and_the_usual_style(server, coffee, sky) -> None:
    answer = server.stylize(coffee)
    assert answer.image.format == "JPEG" and answer.image.size == (90, 60)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["cache-control"] == "no-store"
    assert server.stylize(coffee, "?format=webp").image.format == "WEBP"
    photo = np.asarray(Image.open(BytesIO(coffee)))
    expected = Stylizer(sky, weights={"day": 1}, device="cpu")(photo)
    painted = np.asarray(server.stylize(coffee, "?format=png").image)
    assert np.abs(painted.astype(int) - expected).max() <= 1  # libjpeg and Pillow's decode alike, but for a level


def test_a_photo_is_painted_like_a_painting_as_apply_instant_does(server, coffee, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coffee.jpg").write_bytes(coffee)
    with Image.open(resolve_photo("sample:wave")) as painting:
        painting.resize((300, 400)).save("painting.png")
    look = ("--instant", "--strength", "0.8", "--runtime", "torch", "--quiet")
    with pytest.raises(SystemExit):
        main(["apply", "coffee.jpg", "--style", "painting.png", "-o", "coffee.png", *look])
    painting = (tmp_path / "painting.png").read_bytes()
    answer = server.form(coffee, painting=painting, strength="0.8", format="png")
    with Image.open("coffee.png") as expected:
        apart = np.asarray(answer.image).astype(int) - np.asarray(expected)
    assert answer.status == 200 and np.abs(apart).max() <= 1  # threads add up statistics in another order
    assert server.log_of(answer)["style"] == "a painting"
    tiny = BytesIO()
    Image.new("RGB", (5, 40), "red").save(tiny, "PNG")
    assert server.form(coffee, painting=tiny.getvalue()).status == 200


def test_a_painting_is_kept_within_the_limits_of_photos(server, coffee) -> None:
    file = BytesIO()
    Image.new("RGB", (1000, 600)).save(file, "PNG")
    for fields, status, message in (
        ({"painting": coffee, "style": "day"}, 400, "painting and style are two styles: leave one out"),
        ({"painting": b""}, 400, "the painting is empty"),
        ({"painting": b"%PDF-1.4"}, 415, "paintings are jpeg, png, webp; this is none that is known"),
        ({"painting": file.getvalue()}, 413, "megapixels"),
        ({"painting": coffee[:200]}, 400, ""),
        ({"painting": bytes(2_000_000)}, 413, "the request has more than 1 MB"),
        ({"paintings": coffee}, 400, "the form has a file 'paintings' too many"),
        ({"painting": "wave.jpg"}, 400, "unknown field 'painting'"),
    ):
        answer = server.form(coffee, **fields)
        assert answer.status == status and message in answer.error, (fields, answer)


def test_precision_float32_is_painted_in_float32_on_every_processor(sky, coffee, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", sky.parent)
    monkeypatch.setattr("fastnst.networks.runtime.has_bfloat16_units", lambda device: True)
    monkeypatch.chdir(tmp_path)
    pictures = []
    for precision in ("float32", "auto"):
        settings = ServeSettings(style="day", threads=1, device="cpu", runtime="torch", precision=precision)
        painters = Painters(settings)
        work = painters.take(Upload(BytesIO(coffee), Order("day", format="png")))
        pictures.append(np.asarray(Image.open(BytesIO(asyncio.run(painters.get(work)).data))))
        painters.close()
    exact = Stylizer("day", device="cpu", precision="float32")(np.asarray(Image.open(BytesIO(coffee))))
    assert np.abs(pictures[0].astype(int) - exact).max() <= 1 and np.any(pictures[0] != pictures[1])


def test_the_guide_names_the_other_formats_that_can_be_read() -> None:
    (told,) = re.findall(r"^- `--formats` takes (.*?) too", GUIDE.read_text(), flags=re.M)
    assert (*ServeSettings().formats, *re.findall("`(.*?)`", told)) == get_args(UploadFormat)


def test_no_other_origin_is_let_in(server, coffee) -> None:
    answer = server.stylize(coffee, Origin="https://example.org")
    assert answer.status == 200 and not [name for name in answer.headers if name.startswith("access-control")]
    with server.connect() as connection:
        connection.sendall(b"OPTIONS /v1/stylize HTTP/1.1\r\nHost: x\r\nOrigin: https://example.org\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 405")


def test_a_photo_is_turned_upright(server, coffee) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    Image.open(BytesIO(coffee)).save(file, "JPEG", exif=exif)
    assert server.stylize(file.getvalue()).image.size == (60, 90)


def test_styles_health_numbers_and_documents(server, coffee) -> None:
    styles = json.loads(server.ask("/v1/styles").body)
    assert styles["default"] == "day" and {"file": "sky", "styles": ["day", "night"]} in styles["files"]
    assert not [each for each in styles["files"] if each["file"].startswith("base_")]
    assert server.ask("/livez").body == b"alive\n" and server.ask("/readyz").body == b"ready\n"
    before = server.measured("fastnst_painting_seconds_count")
    server.stylize(coffee)
    assert server.measured("fastnst_painting_seconds_count") == before + 1
    assert server.measured("fastnst_waiting") == server.measured("fastnst_painting") == 0
    numbers = re.findall(r"^# TYPE (\w+)", server.ask("/metrics").body.decode(), flags=re.M)
    (told,) = re.findall(r"^\| `GET /metrics` .*", GUIDE.read_text(), flags=re.M)
    assert {name for name in numbers if not name.endswith("_created")} == set(re.findall(r"`(fastnst_\w+)`", told))
    page = server.ask("/docs")
    assert b"/v1/stylize" in page.body and b"<script" not in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_description_names_the_addresses_and_answers_that_there_are(server, coffee) -> None:
    document = json.loads(server.ask("/openapi.json").body)
    for path, operations in document["paths"].items():
        for method in operations:
            answer = server.ask(path, b"" if method == "post" else None)
            assert str(answer.status) in operations[method]["responses"], (path, answer)
    operation = document["paths"]["/v1/stylize"]["post"]
    fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    named = {parameter["name"] for parameter in operation["parameters"]}
    assert set(fields) == {"photo", "painting", *named}
    unknown = server.stylize(coffee, "?sytle=day").error
    assert all(name in unknown for name in fields)
    assert server.ask("/nothing").status == 404 and server.ask("/v1/stylize").status == 405


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?style=../../etc/passwd", "no style '../../etc/passwd'; there are: "),
        ("?style=checkpoints/sky.safetensors", "no style"),
        ("?style=day:1,../night:1", "no style"),
        ("?style=" + "day:1," * 200 + "night:1", "no style"),
        ("?style=sky", "sky has several styles, choose or mix: day, night"),
        ("?style=day:x", "a mix is written name:weight"),
        ("?style=day:" + "x" * 300 + ".png", "a mix is written name:weight"),
        ("?style=day:" + "x" * 300 + ".onnx", "a mix is written name:weight"),
        ("?style=day:1e308,night:1e308", "a mix is written name:weight"),
        ("?style=day:nan,night:1", "a mix is written name:weight"),
        ("?style=day:%00", "a mix is written name:weight"),
        ("?strength=2", "strength is a number from 0 to 1, got '2'"),
        ("?strength=nan", "strength is a number"),
        ("?size=1e9", "size is a number from 16 to 100000"),
        ("?quality=0", "quality is a number from 1 to 100"),
        ("?keep_colors=maybe", "keep_colors is true or false"),
        ("?format=exe", "format is one of jpeg, png, webp, got 'exe'"),
    ],
)
def test_a_wrong_field_is_told_with_400(query, message, server, coffee) -> None:
    answer = server.stylize(coffee, query)
    assert answer.status == 400 and message in answer.error


@pytest.mark.parametrize("style", [r"\ud800", r"day:\ud800", r"day:1,\ud800:1", r"day\x00:1"])
def test_text_that_no_answer_can_hold_is_told_with_400(style, server, coffee) -> None:
    answer = server.form(coffee, charset="unicode_escape", style=style)
    assert answer.status == 400 and "no style" in answer.error
    answer = server.form(coffee, charset="unicode_escape", **{style: "1"})
    assert answer.status == 400 and "unknown field" in answer.error


def test_every_request_has_an_id_in_answer_and_log(server, coffee) -> None:
    named = server.stylize(coffee, X_Request_ID="mine-1")
    assert named.headers["x-request-id"] == "mine-1"
    made = server.stylize(coffee, "?size=1", X_Request_ID="not { mine")
    assert re.fullmatch("[0-9a-f]{16}", made.headers["x-request-id"])
    assert json.loads(made.body)["request_id"] == made.headers["x-request-id"]
    server.ask("/livez")
    good, bad = server.log_of(named), server.log_of(made)
    assert (good["status"], good["style"], good["width"], good["height"]) == (200, "day", 90, 60)
    assert bad["status"] == 400 and "size is a number" in bad["error"]
    server.log_of(server.stylize(coffee))  # whatever was logged before it is there now
    lines = [json.loads(line) for line in server.lines]
    assert len([line for line in lines if line.get("request_id") == "mine-1"]) == 1
    assert all({"time", "level", "message"} <= set(line) for line in lines)
    assert not [line for line in lines if line.get("path") == "/livez"]


def test_a_key_is_asked_for_where_there_is_one(start, coffee) -> None:
    server = start(key=" secret\n")  # as a file holds it
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X_API_Key": "wrong"}, {"Authorization": "Basic secret"}):
        answer = server.stylize(coffee, **headers)
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert server.ask("/v1/styles").status == 401
    assert server.stylize(coffee, Authorization="Bearer secret").status == 200
    assert server.stylize(coffee, X_API_Key="secret").status == 200
    assert server.ask("/livez").status == server.ask("/docs").status == 200
    assert "security" in json.loads(server.ask("/openapi.json").body)["paths"]["/v1/stylize"]["post"]
    assert server.stop() == 0 and "secret" not in "".join(server.lines)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("line", re.findall(r"^curl .*", GUIDE.read_text(), flags=re.M))
def test_curl_as_the_guide_calls_it_brings_a_picture(line, server, coffee, tmp_path) -> None:
    for name in ("photo.jpg", "painting.jpg"):
        (tmp_path / name).write_bytes(coffee)
    command = shlex.split(line.replace("http://127.0.0.1:8000", server.url).replace("starry_night", "night"))
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    with Image.open(tmp_path / "out.jpg") as painted:
        assert painted.size == (90, 60)


def test_the_client_of_the_guide_in_python_works(server, coffee, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(coffee)
    (block,) = re.findall(r"^```python no-run\n(.*?)^```", GUIDE.read_text(), flags=re.M | re.S)
    assert len(block.splitlines()) <= 10
    exec(block.replace("http://127.0.0.1:8000", server.url).replace("starry_night", "night"), {})
    with Image.open("out.jpg") as painted:
        assert painted.size == (90, 60)
