import json

import pytest
from safetensors.torch import save_file

from fastnst.style_file import save_style
from fastnst.styles import print_styles


def test_styles_are_listed_and_foreign_files_are_named(tiny_network, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastnst.style_file.SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr("fastnst.style_file.SOURCE_TREE", tmp_path / "nowhere")
    print_styles(as_json=False)
    assert "no style yet" in capsys.readouterr().out
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "night", "styles": [{"name": "night"}], "network": network, "preview": "x" * 1000}
    save_style(tmp_path / "checkpoints" / "night.safetensors", tiny_network, info)
    save_file(tiny_network.state_dict(), tmp_path / "checkpoints" / "foreign.safetensors")
    print_styles(as_json=True)
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert json.loads(line)["name"] == "night" and "preview" not in json.loads(line)
    assert "foreign.safetensors" in captured.err
    print_styles(as_json=False)
    assert "night" in capsys.readouterr().out


@pytest.mark.parametrize(
    "settings, shown",
    [
        (None, "1.250 (padding zeros)"),
        ({"padding": "replicate", "style_weight": 8.0}, "1.250 "),
        ({"padding": "replicate", "style_weight": 3.0}, "1.250 (style weight 3.0)"),
    ],
)
def test_a_loss_of_another_objective_says_so(settings, shown, tiny_network, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("fastnst.style_file.SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr("fastnst.style_file.SOURCE_TREE", tmp_path / "nowhere")
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "night", "styles": [{"name": "night"}], "network": network, "held_out": {"total": 1.25}}
    info |= {"settings": settings} if settings else {}
    save_style(tmp_path / "checkpoints" / "night.safetensors", tiny_network, info)
    print_styles(as_json=False)
    assert shown in capsys.readouterr().out
