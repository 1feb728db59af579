import json
import re
import resource
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from project import ROOT
from torch.testing import assert_close

from fastnst.exporting.formats import FORMATS
from fastnst.exporting.writers import WRITERS
from fastnst.images.levels import to_array
from fastnst.networks.exported import LARGEST_XML, LOADERS, load_exported
from fastnst.networks.exported_formats import EXPORTED, ExportedFileError
from fastnst.painting.stylizer import Stylizer

NAMES = sorted(WRITERS)
PAGE = ROOT / "docs" / "guides" / "export.md"


@pytest.fixture
def stylizer(dusk) -> Stylizer:
    return Stylizer(dusk[0], weights={"day": 0.25, "night": 0.75}, device="cpu")


def test_every_format_that_is_written_is_run() -> None:
    assert {FORMATS[name].suffix for name in WRITERS} == set(LOADERS) == set(EXPORTED)


@pytest.mark.parametrize("format", NAMES)
def test_an_exported_file_is_called_as_a_style_file(format, exported, stylizer) -> None:
    painter = Stylizer(exported[format])
    assert painter.name == "dusk"
    for size in ((1, 3, 5, 40), (2, 3, 33, 47)):
        photos = torch.rand(size).permute(0, 1, 3, 2)  # not dense, as images from files are not
        assert_close(painter(photos), stylizer(photos), rtol=0, atol=1e-3)
        some = painter(photos, strength=0.4, keep_colors=True)
        assert_close(some, stylizer(photos, strength=0.4, keep_colors=True), rtol=0, atol=1e-3)


@pytest.mark.parametrize("format", NAMES)
def test_threads_may_share_an_exported_file(format, exported, stylizer) -> None:
    painter = Stylizer(exported[format])
    photos = [torch.rand(1, 3, 20 + i, 30) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for photo, stylized in zip(photos, pool.map(painter, photos), strict=True):
            assert_close(stylized, stylizer(photo), rtol=0, atol=1e-3)


@pytest.mark.parametrize("suffix", LOADERS)
def test_a_file_that_cannot_be_run_gets_a_line_that_names_it(suffix, tmp_path, exported, capfd) -> None:
    with pytest.raises(ExportedFileError, match=rf"missing{suffix}: no such file"):
        Stylizer(str(tmp_path / f"missing{suffix}"))
    for content in (b"", b"no graph"):
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(content)
        with pytest.raises(ExportedFileError, match=rf"broken{suffix} is broken, or no {suffix} file: .") as error:
            load_exported(broken)
        assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")  # nothing from the runtime itself


def test_a_file_of_another_program_is_not_run(tmp_path, exported) -> None:
    onnx, openvino = pytest.importorskip("onnx"), pytest.importorskip("openvino")
    model = onnx.load(exported["onnx"])
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    openvino.save_model(openvino.Core().read_model(tmp_path / "other.onnx"), tmp_path / "other.xml")
    for name in ("other.pt", "other.pt2"):
        torch.save({"weights": torch.zeros(3)}, tmp_path / name)
    for suffix in LOADERS:
        with pytest.raises(ExportedFileError, match=f"other{suffix} was not exported by fastnst"):
            load_exported(tmp_path / f"other{suffix}")


def test_a_graph_without_its_weights_is_refused(tmp_path, exported) -> None:
    shutil.copy(exported["openvino"], tmp_path / "alone.xml")
    with pytest.raises(ExportedFileError, match=r"alone\.xml is broken.*bin file"):
        load_exported(tmp_path / "alone.xml")


def test_a_missing_runtime_is_named_with_the_line_that_installs_it(exported, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ExportedFileError, match=r"dusk\.onnx needs onnxruntime: pip install 'fastnst\[onnx\]'"):
        Stylizer(exported["onnx"])
    with pytest.raises(ExportedFileError, match=r"dusk\.xml needs openvino: pip install 'fastnst\[openvino\]'"):
        Stylizer(exported["openvino"])


def test_another_device_is_refused(exported) -> None:
    with pytest.raises(ExportedFileError, match=r"dusk\.pt runs on the CPU, not on cuda"):
        Stylizer(exported["torchscript"], device="cuda")


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:FutureWarning")
def test_the_documents_load_every_format_without_fastnst(
    exported, all_styles, dusk, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in exported["onnx"].parent.iterdir():
        shutil.copy(path, f"great_wave{path.suffix}")
    shutil.copy(all_styles, "paintings.onnx")
    photo = torch.rand(1, 3, 34, 51, generator=torch.Generator().manual_seed(0))
    Image.fromarray(to_array(photo)[0]).save("photo.png")
    expected = to_array(dusk[0].network(torch.from_numpy(read("photo.png")), dusk[1]).detach())[0]
    shutil.copy("photo.png", "photo.jpg")  # Pillow looks at the content, and JPEG would change the pixels
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    assert len(blocks) == 6 and "fastnst." not in "".join(blocks)
    for block in blocks:
        exec(block, names)
    assert capsys.readouterr().out.count("precision") == 4
    for name in ("onnx", "pt2", "torchscript", "openvino"):
        with Image.open(f"{name}.png") as image:
            assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1, name
    mixed = dusk[0].network(torch.from_numpy(read("photo.png")), torch.tensor([[0.6, 0.4]]))
    mixed = torch.from_numpy(read("photo.png")).lerp(mixed, 0.9).detach()
    assert np.abs(read("mixed.png") * 255 - to_array(mixed)[0].transpose(2, 0, 1)).max() <= 1.5


def read(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None] / 255


def test_weights_in_other_files_are_not_read(tmp_path, exported) -> None:
    onnx = pytest.importorskip("onnx")
    for folder, place in (("in", "weights.bin"), ("in", "../weights.bin"), ("in", str(tmp_path / "weights.bin"))):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "stranger.onnx"
        model = onnx.load(exported["onnx"])
        onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        shutil.copy(tmp_path / folder / "weights.bin", tmp_path / "weights.bin")
        outside = onnx.load(path, load_external_data=False)
        for tensor in outside.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = place
        path.write_bytes(outside.SerializeToString())
        with pytest.raises(ExportedFileError, match=r"stranger\.onnx is broken") as error:
            load_exported(path)
        assert "\n" not in str(error.value)
        (tmp_path / folder / "weights.bin").unlink()


def _with_a_bomb(graph: str) -> str:
    """A description of ten entities that hold each other ten times each: ten gigabytes."""
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "0123456789"}">' for i in range(10))
    graph = graph.replace("<net ", f"<!DOCTYPE net [{entities}]><net ", 1)
    return re.sub(r'value="[^"]*dusk[^"]*"', 'value="&e9;"', graph, count=1)


def _beyond_the_weights(graph: str) -> str:
    return re.sub(r'(?<= )offset="\d+"', f'offset="{2**40}"', graph)


def _with_more_than_graphs_have(graph: str) -> str:
    return graph + " " * LARGEST_XML


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (_with_a_bomb, "amplification"),
        (_beyond_the_weights, "bin file"),
        (_with_more_than_graphs_have, r"has 3\.\d MB, and graphs have up to 3 MB"),
    ],
)
def test_an_openvino_graph_of_a_stranger_takes_neither_memory_nor_what_lies_outside(
    tmp_path, exported, changed, message, capfd
) -> None:
    graph = exported["openvino"].read_text()
    assert len(graph) < LARGEST_XML / 10 and changed(graph) != graph
    path = tmp_path / "odd.xml"
    path.write_text(changed(graph))
    shutil.copy(exported["openvino"].with_suffix(".bin"), tmp_path / "odd.bin")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExportedFileError, match=rf"odd\.xml .*{message}") as error:
        load_exported(path)
    assert "\n" not in str(error.value) and capfd.readouterr() == ("", "")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "Log"])
def test_a_graph_that_gives_no_picture_is_told(tmp_path, kind) -> None:
    onnx = pytest.importorskip("onnx")
    sides = [onnx.helper.make_tensor_value_info(name, 1, ["B", 3, "H", "W"]) for name in ("image", "stylized")]
    graph = onnx.helper.make_graph([onnx.helper.make_node(kind, ["image"], ["stylized"])], "g", sides[:1], sides[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, {"fastnst": json.dumps({"name": "odd"})})
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ExportedFileError, match="odd gives no picture of the photo's size"):
        load_exported(tmp_path / "odd.onnx")(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("description", ["[]", "[" * 5000, '{"name": 5}', '{"name": "a", "styles_as_input": 3}', "{}"])
def test_a_description_that_is_none_is_refused(tmp_path, exported, description) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported["onnx"])
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"fastnst": description})
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ExportedFileError, match=r"odd\.onnx"):
        load_exported(tmp_path / "odd.onnx")


@pytest.mark.parametrize("format", ["pt2", "torchscript"])
def test_an_archive_that_grows_is_refused_before_torch_reads_it(tmp_path, exported, format) -> None:
    path = tmp_path / exported[format].name
    shutil.copy(exported[format], path)
    assert load_exported(path).info["name"] == "dusk"
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as odd:
        odd.writestr("dusk/data/bomb", bytes(20_000_000))
    with pytest.raises(ExportedFileError, match="members that are larger than the file"):
        load_exported(path)
