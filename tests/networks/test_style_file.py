import json

import pytest
import torch
from safetensors.torch import save_file

from fastnst.networks.catalog import FORMAT_VERSION, StyleFileError, find_style_file, list_styles, read_info
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style, save_style


def info_of(network: TransformationNetwork, name: str = "night") -> dict:
    styles = [{"name": f"{name}{i}" if i else name} for i in range(network.num_styles)]
    return {
        "name": name,
        "styles": styles,
        "network": {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": network.num_styles},
    }


def test_what_is_saved_is_loaded(tiny_network, tmp_path) -> None:
    path = tmp_path / "new" / "night.safetensors"
    save_style(path, tiny_network, {**info_of(tiny_network), "seconds": 12.5})
    style = load_style(path)
    assert style.info["seconds"] == 12.5
    assert style.info["format_version"] == FORMAT_VERSION
    assert style.style_names == ("night",)
    assert not style.network.training
    photo = torch.rand(1, 3, 33, 21)
    assert (style.network(photo) - tiny_network.eval()(photo)).abs().max() < 1 / 255
    assert all(tensor.dtype == torch.float32 for tensor in style.network.state_dict().values())
    assert [p.name for p in path.parent.iterdir()] == ["night.safetensors"]


def test_a_failed_save_leaves_the_old_file_and_nothing_beside_it(tiny_network, tmp_path, monkeypatch) -> None:
    path = tmp_path / "night.safetensors"
    save_style(path, tiny_network, info_of(tiny_network))
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("fastnst.base.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_style(path, tiny_network, info_of(tiny_network, "other"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_no_style_get_one_clear_line(tmp_path) -> None:
    (tmp_path / "text.safetensors").write_text("no tensors here")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    header = json.dumps({"format_version": FORMAT_VERSION + 1})
    earlier = json.dumps({"format_version": 1})
    save_file({"a": torch.zeros(1)}, tmp_path / "earlier.safetensors", metadata={"fastnst": earlier})
    save_file({"a": torch.zeros(1)}, tmp_path / "later.safetensors", metadata={"fastnst": header})
    for name, message in {
        "missing": "no such file",
        "text": "not a style file",
        "foreign": "not one that fastnst wrote",
        "later": "pip install -U",
        "earlier": "no longer reads: train the style again",
    }.items():
        with pytest.raises(StyleFileError, match=message) as error:
            read_info(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(error.value)


def test_weights_that_do_not_fit_the_description_are_refused(tiny_network, tmp_path) -> None:
    path = tmp_path / "night.safetensors"
    wrong = info_of(tiny_network)
    wrong["network"]["half"] = 8
    save_style(path, tiny_network, wrong)
    with pytest.raises(StyleFileError, match="do not fit"):
        load_style(path)


def test_styles_are_found_by_path_then_in_checkpoints_then_shipped(tiny_network, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / "shipped"
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", shipped)
    monkeypatch.setattr("fastnst.networks.catalog.SOURCE_TREE", tmp_path / "nowhere")
    for folder, name in (("shipped", "wave"), ("shipped", "night"), ("checkpoints", "night")):
        save_style(tmp_path / folder / f"{name}.safetensors", tiny_network, info_of(tiny_network, name))
    assert find_style_file("wave") == shipped / "wave.safetensors"
    assert find_style_file("night").resolve() == tmp_path / "checkpoints" / "night.safetensors"
    assert find_style_file("shipped/night.safetensors").resolve() == shipped / "night.safetensors"
    assert [path.stem for path in list_styles()] == ["night", "wave"]
    with pytest.raises(StyleFileError, match="there are: night, wave"):
        find_style_file("waves")


def test_a_picture_in_place_of_a_style_gets_the_line_that_trains_it(tmp_path) -> None:
    picture = tmp_path / "painting.JPG"
    with pytest.raises(StyleFileError, match=r"fastnst train --style .*painting\.JPG"):
        find_style_file(str(picture))
    picture.write_bytes(b"")
    with pytest.raises(StyleFileError, match=r"fastnst train --style .*painting\.JPG"):
        find_style_file(str(picture))
