"""Any name that a style file can have finds it, alone and in a mix."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from fastnst.networks.catalog import (
    SUFFIX,
    StyleFileError,
    file_part,
    find_chosen,
    find_mix,
    is_exported,
    list_styles,
    usable_name,
)
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style

FULL = ["Photo 12-30", "day.5", "a:b", "night.pt", "[bold]", os.fsdecode(b"caf\xe9")]


def save(path: str, *styles: str) -> Path:
    network = {"half": 4, "quarter": 4, "num_blocks": 1, "num_styles": len(styles)}
    info = {"name": Path(path).stem, "styles": [{"name": style} for style in styles], "network": network}
    save_style(Path(path), TransformationNetwork(**network), info)
    return Path(path)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A current folder in which `full` is a file of styles with names of all kinds; nothing else is shipped."""
    monkeypatch.chdir(tmp_path)
    for place in ("SHIPPED", "SOURCE_TREE"):
        monkeypatch.setattr(f"fastnst.networks.catalog.{place}", tmp_path / "nowhere")
    save("checkpoints/full.safetensors", *FULL)
    return tmp_path


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("wave", "wave"),
        ("Photo 12:30", "Photo 12-30"),
        ("wave.safetensors", "wave"),
        ("starry.pt", "starry.pt"),
        ("-beach", "beach"),
        ("--", "style"),
        ("..", "style"),
        ("", "style"),
        (".hidden", "hidden"),
        ("ends.", "ends"),
        (" spaces ", "spaces"),
        ("day,night", "day-night"),
        ("a/b\\c", "a-b-c"),
        ('a*b?c"d<e>f|g', "a-b-c-d-e-f-g"),
        ("two\nlines", "two-lines"),
        ("Dalí's $HOME", "Dalí's $HOME"),
        ("波", "波"),
    ],
)
def test_the_name_of_a_picture_becomes_one_that_can_be_used(stem, name) -> None:
    assert usable_name(stem) == usable_name(usable_name(stem)) == name
    path = save(f"checkpoints/{name}{SUFFIX}", name)
    assert find_chosen(name) == (path, None)
    for text in (f"{name}:1", f"{name}:0.5,{name}:0.5"):
        assert find_chosen(text) == (path, {name: 1.0})
    assert not is_exported(name)
    assert file_part(name) == name


def test_a_name_that_is_not_utf8_becomes_one_that_can_be_printed_and_pasted() -> None:
    """TensorBoard writes into no folder of such a name, and a terminal cannot show it."""
    name = usable_name(os.fsdecode(b"caf\xe9 noir"))
    assert name.isprintable() and name.startswith("caf") and name.endswith(" noir")
    assert usable_name(name) == name and usable_name(os.fsdecode(b"\xe9"))


def test_usable_names_of_different_pictures_may_be_one() -> None:
    assert usable_name("12:30") == usable_name("12-30")


@pytest.mark.parametrize("name", FULL)
def test_a_style_of_a_file_with_several_is_found_by_any_name(name) -> None:
    assert find_chosen(name) == (Path("checkpoints/full.safetensors"), {name: 1.0})
    path, mix = find_chosen(f"{name}:3,day.5:1")
    assert path == Path("checkpoints/full.safetensors")
    assert mix == ({name: 0.75, "day.5": 0.25} if name != "day.5" else {"day.5": 1.0})


def test_a_file_whose_name_has_a_colon_is_found_and_so_is_a_mix_with_it() -> None:
    """Of an earlier version: none is written now."""
    path = save("checkpoints/Photo 12:30.safetensors", "Photo 12:30")
    assert find_chosen("Photo 12:30") == (path, None)
    assert find_chosen("Photo 12:30:0.5") == (path, {"Photo 12:30": 1.0})
    assert find_chosen(str(path)) == (path, None)


def test_a_path_with_colons_and_commas_is_a_path() -> None:
    path = save("12:30, evening/wave.safetensors", "wave")
    assert find_chosen(str(path)) == (path, None)


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".onnx", ".xml"])
def test_an_exported_file_is_told_from_a_style_that_is_called_like_one(suffix) -> None:
    name = f"starry{suffix}"
    assert is_exported(name)  # as nothing else is called so
    save(f"checkpoints/{name}.safetensors", name)
    assert not is_exported(name) and file_part(name) == name
    assert find_chosen(name)[0].name == f"{name}.safetensors"
    Path(name).write_bytes(b"exported")
    assert is_exported(name) and file_part(name) == "starry"
    assert find_mix(name) == (Path(name), None)
    assert is_exported(Path("elsewhere") / name)


@pytest.mark.parametrize("name", ["wave.jpg", "wave.png"])
def test_a_style_is_found_though_a_picture_beside_is_called_as_it_is(name) -> None:
    """Also where `--name` gave the file its name, and the painting has another."""
    path = save(f"checkpoints/{name}.safetensors", "painting")
    Path(name).write_bytes(b"a picture")
    assert find_chosen(name) == (path, None)


def test_a_style_whose_name_begins_with_a_tilde_is_found() -> None:
    path = save("checkpoints/~beach.safetensors", "~beach")
    assert find_chosen("~beach") == (path, None)
    with pytest.raises(StyleFileError, match="no style named '~no_such_user'"):
        find_chosen("~no_such_user")


@pytest.mark.parametrize("text", ["x" * 300, ",".join(f"style number {number:03}:0.1" for number in range(20))])
def test_a_name_longer_than_any_file_has_is_not_found_in_plain_words(text) -> None:
    with pytest.raises(StyleFileError, match="no style named '"):
        find_chosen(text)


def test_a_long_mix_of_known_styles_is_found() -> None:
    names = [f"style number {number:03} of many" for number in range(20)]
    save("checkpoints/many.safetensors", *names)
    _, mix = find_chosen(",".join(f"{name}:1" for name in names))
    assert mix == {name: pytest.approx(0.05) for name in names}


@pytest.mark.parametrize("text", ["day.5:", ":1", "day.5:0", "day.5:-1", "day.5:nan", "day.5:inf", "day.5:1,", "a:b:c"])
def test_a_mix_that_is_none_says_how_one_is_written(text) -> None:
    with pytest.raises(StyleFileError, match="a mix is written name:weight,name:weight with positive weights, got"):
        find_mix(text)


@pytest.mark.parametrize("name", ["my painting.jpg", "Dalí's $HOME.png", "-beach.JPEG", "[bold]wave.tif"])
def test_a_picture_is_told_the_quoted_line_that_trains_it(name) -> None:
    Path(name).write_bytes(b"a picture")
    with pytest.raises(StyleFileError) as caught:
        find_chosen(name)
    line = str(caught.value).partition("Train it first: ")[2]
    *words, last = shlex.split(line)
    assert words[:3] == ["fastnst", "train", "--style"]
    assert last.removeprefix("./") == name and not last.startswith("-")


def test_styles_with_a_line_break_do_not_break_the_line(capsys) -> None:
    shutil.copy("checkpoints/full.safetensors", "checkpoints/two\nlines.safetensors")
    assert "two\nlines" in {path.stem for path in list_styles()}
    with pytest.raises(StyleFileError) as caught:
        find_mix("nothing")
    assert re.search(r"there are: .*Photo 12-30", str(caught.value))


def test_styles_of_a_file_stand_behind_its_path_and_a_colon() -> None:
    path = save("art/sky.safetensors", "day", "a:b", "night")
    Path("sky.onnx").touch()
    assert find_mix("art/sky.safetensors:night") == (path, {"night": 1})
    assert find_mix("art/sky.safetensors:a:b") == (path, {"a:b": 1})
    assert find_chosen("art/sky.safetensors:day:3,night:1") == (path, {"day": 0.75, "night": 0.25})
    assert find_mix("art/sky.safetensors:a:b:1,day:1, day:2") == (path, {"a:b": 0.25, "day": 0.75})
    assert find_mix("sky.onnx:day") == (Path("sky.onnx"), {"day": 1})
    assert is_exported("sky.onnx:day:0.6,night:0.4") and not is_exported("art/sky.safetensors:night")
    assert not is_exported("missing.onnx:day")
    names = [file_part(style) for style in ("art/sky.safetensors:night", "sky.onnx:day:0.6,night:0.4")]
    assert names == ["night", "day0.6+night0.4"]


def test_what_stands_behind_a_file_and_is_no_style_of_it_is_told() -> None:
    save("art/sky.safetensors", "day", "night")
    with pytest.raises(StyleFileError, match=r"sky\.safetensors has no style 'dawn'; it has: day, night"):
        find_mix("art/sky.safetensors:dawn")
    with pytest.raises(
        StyleFileError, match="a mix is written name:weight,name:weight with positive weights, got 'night'"
    ):
        find_mix("art/sky.safetensors:day:1,night")
    with pytest.raises(StyleFileError, match="got 'day:-1'"):
        find_mix("art/sky.safetensors:day:-1")
    one = save("art/one.safetensors", "one")
    assert find_mix("art/one.safetensors:2") == (one, {"one": 1})  # a weight, of a file with one style
