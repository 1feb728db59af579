import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from fastnst.base.errors import UserError
from fastnst.base.memory import give_back
from fastnst.images.levels import psnr
from fastnst.networks import runtime as module
from fastnst.networks.network import ConditionalInstanceNorm, TransformationNetwork
from fastnst.networks.runtime import OpenVINONetwork, Runtime
from fastnst.painting.stylizer import Stylizer

CPU, MIX = torch.device("cpu"), torch.tensor([[0.25, 0.75]])
#: Small ones of each kind that there is a preset of.
NETWORKS = {
    "folded": {"half": 4, "quarter": 8, "num_blocks": 1},
    "deep": {"half": 4, "quarter": 8, "eighth": 6, "num_blocks": 2, "num_deep_blocks": 1},
    "calm": {
        "half": 8,
        "quarter": 8,
        "eighth": 6,
        "num_blocks": 1,
        "num_deep_blocks": 1,
        "antialias": 1,
        "skip": 1,
        "fine": 1,
    },
    "full": {"full": 3, "half": 4, "quarter": 8, "num_blocks": 2},
}


def network_of(kind: str) -> TransformationNetwork:
    torch.manual_seed(0)
    network = TransformationNetwork(**NETWORKS[kind], num_styles=2).eval()
    for norm in network.modules():
        if isinstance(norm, ConditionalInstanceNorm):
            torch.nn.init.normal_(norm.scale)
            torch.nn.init.normal_(norm.shift)
    return network


@pytest.fixture
def network() -> TransformationNetwork:
    return network_of("deep")


@pytest.mark.parametrize("kind", NETWORKS)
@torch.inference_mode()
def test_openvino_paints_what_the_network_paints(kind) -> None:
    pytest.importorskip("openvino")
    network = network_of(kind)
    by_openvino = OpenVINONetwork(network, MIX)
    for size in ((1, 3, 16, 16), (2, 3, 33, 47), (1, 3, 64, 128), (1, 3, 45, 61)):
        photos = torch.rand(size).permute(0, 1, 3, 2)  # not dense, as images from files are not
        painted, expected = by_openvino(photos), network(photos, MIX)
        assert expected.std() > 0.1
        assert_close(painted, expected, rtol=0, atol=1e-4)
    card = torch.tensor([1.0, 0.2, 0.0])[:, None, None].expand(1, 3, 40, 50)
    assert torch.equal(by_openvino(card), card)


def test_threads_may_share_a_runtime(network) -> None:
    pytest.importorskip("openvino")
    by_openvino = Runtime(network, MIX, CPU, "openvino")
    photos = [torch.rand(1, 3, 20 + i, 30) for i in range(8)]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        for photo, painted in zip(photos, pool.map(by_openvino, photos), strict=True):
            assert_close(painted, network(photo, MIX), rtol=0, atol=1e-4)


def test_threads_may_share_it_while_memory_is_given_back(network) -> None:
    pytest.importorskip("openvino")
    by_openvino = Runtime(network, MIX, CPU, "openvino")
    photos = [torch.rand(1, 3, 200 if i % 2 else 20, 30 + i % 3) for i in range(40)]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        for photo, painted in zip(photos, pool.map(by_openvino, photos), strict=True):
            assert_close(painted, network(photo, MIX), rtol=0, atol=1e-4)


def own_memory() -> int:
    """Bytes of memory of this process, without the pages of files."""
    give_back()
    about = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(about["RssAnon"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's own memory")
@torch.inference_mode()
def test_the_memory_that_a_large_picture_took_is_given_back_with_the_next_small_one(network) -> None:
    pytest.importorskip("openvino")
    by_openvino = OpenVINONetwork(network, MIX)
    small, large = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 1500, 1500)
    by_openvino(small)
    before = own_memory()
    by_openvino(large)
    held = own_memory() - before
    by_openvino(small)
    assert held > 50e6
    assert own_memory() - before < held / 2


class Counting(OpenVINONetwork):
    """Counts how many were made, and how many pictures they painted."""

    made = painted = 0

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        Counting.made += 1

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        Counting.painted += 1
        return super().__call__(images)


@torch.inference_mode()
def test_openvino_begins_when_the_work_is_worth_its_start(network, monkeypatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(module, "OpenVINONetwork", Counting)
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(module, "PAYS_FROM", 3 * 20 * 30)
    photo = torch.rand(1, 3, 20, 30)
    paint = Runtime(network, MIX, CPU)
    for count in range(1, 7):
        assert_close(paint(photo), network(photo, MIX), rtol=0, atol=1e-4)
        assert Counting.painted == max(0, count - 3)
    assert Counting.made == 1
    Runtime(network, MIX, CPU)(torch.rand(4, 3, 20, 30))  # a large one does not wait
    assert (Counting.made, Counting.painted) == (2, 4)
    for _ in range(6):
        Runtime(network, MIX, CPU, "torch")(photo)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    Runtime(network, MIX, CPU)(torch.rand(4, 3, 20, 30))
    assert (Counting.made, Counting.painted) == (2, 4)


def test_ctrl_c_while_openvino_is_imported_stays_ctrl_c(network, monkeypatch) -> None:
    def interrupted(*_: object, **options: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()  # as pybind11 does

    monkeypatch.setattr(module, "OpenVINONetwork", interrupted)
    monkeypatch.setattr(module, "require", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        Runtime(network, MIX, CPU, "openvino")(torch.rand(1, 3, 20, 30))


def test_a_runtime_that_cannot_be_had_gets_one_line(network, dusk, tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"--runtime openvino paints on the CPU, not on cuda"):
        Runtime(network, MIX, torch.device("cuda"), "openvino")
    with pytest.raises(UserError, match=r"wave\.onnx has a runtime of its own: leave out --runtime torch"):
        Stylizer("wave.onnx", runtime="torch")
    with pytest.raises(UserError, match=r"instant predicts a style from a painting, and wave\.onnx is none"):
        Stylizer("wave.onnx", instant=True)
    with pytest.raises(UserError, match=r"wave\.onnx has a precision of its own: leave out --precision float32"):
        Stylizer("wave.onnx", precision="float32")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"--runtime openvino needs openvino: pip install 'fastnst\[openvino\]'"):
        Stylizer(dusk[0], weights={"day": 1.0}, device="cpu", runtime="openvino")


def test_a_stylizer_paints_the_same_with_every_runtime(dusk) -> None:
    pytest.importorskip("openvino")
    photos = torch.rand(1, 4, 40, 30)
    by_torch, by_openvino = (
        Stylizer(dusk[0], weights={"day": 1.0}, device="cpu", runtime=name) for name in ("torch", "openvino")
    )
    for photo in (photos, (photos * 200).byte(), photos[..., :9, :5]):  # the last smaller than what a network takes
        assert_close(by_openvino(photo), by_torch(photo), rtol=0, atol=1 if photo.dtype == torch.uint8 else 1e-4)
    assert_close(by_openvino(photos, tile=64), by_torch(photos, tile=64), rtol=0, atol=0)  # both by torch


@pytest.mark.parametrize("tile", [0, 128])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_picture_survives_reduced_precision(dtype, tile, photo, monkeypatch) -> None:
    """What CUDA gets, on the CPU: autocast leaves the picture within rounding, and its type as it was."""
    stylizer = Stylizer("great_wave", device="cpu", runtime="torch")
    expected = stylizer(photo, tile=tile)
    monkeypatch.setattr("fastnst.painting.passes.reduced_precision", lambda device: torch.autocast(device.type, dtype))
    painted = stylizer(photo, tile=tile)
    assert painted.dtype == torch.float32
    assert (50 if dtype == torch.float16 else 30) < psnr(painted, expected) < 90
    exact = Stylizer("great_wave", device="cpu", runtime="torch", precision="float32")
    assert torch.equal(exact(photo, tile=tile), expected)


@pytest.mark.parametrize("error", [ImportError("libopenvino.so: no such file\nand more"), RuntimeError("no plugin")])
@torch.inference_mode()
def test_an_openvino_that_cannot_be_used_is_told_once_and_torch_paints(network, monkeypatch, caplog, error) -> None:
    pytest.importorskip("openvino")

    def fail(*_: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(module, "OpenVINONetwork", fail)
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(module, "PAYS_FROM", 0)
    photo = torch.rand(1, 3, 20, 30)
    paint = Runtime(network, MIX, CPU)
    for _ in range(2):
        assert_close(paint(photo), network(photo, MIX), rtol=0, atol=1e-4)
    reason = str(error).partition("\n")[0]
    assert [record.getMessage() for record in caplog.records] == [f"OpenVINO cannot be used, torch paints: {reason}"]
    with pytest.raises(UserError, match=f"--runtime openvino cannot be used: {reason}"):
        Runtime(network, MIX, CPU, "openvino")(photo)


def test_networks_come_and_go_and_signals_still_arrive() -> None:
    """In a process of its own, which crashes if the stack for signals is gone."""
    pytest.importorskip("openvino")
    script = """
import signal, torch
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.runtime import OpenVINONetwork
signal.signal(signal.SIGINT, lambda *_: print("arrived"))
network = TransformationNetwork(half=4, quarter=8, num_blocks=1).eval()
first, second = (OpenVINONetwork(network, torch.ones(1, 1)) for _ in range(2))
del first
del second
signal.raise_signal(signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "arrived\n"), done.stderr


@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.parametrize("kind", NETWORKS)
@torch.inference_mode()
def test_bfloat16_comes_close_and_exact_is_float32(kind, name, monkeypatch) -> None:
    pytest.importorskip(name)
    monkeypatch.setattr(module, "has_bfloat16_units", lambda device: True)
    network, photo = network_of(kind), torch.rand(1, 3, 48, 64)
    runtime = Runtime(network, MIX, CPU, name)
    wanted = network(photo, MIX)
    assert_close(runtime(photo, exact=True), wanted, rtol=0, atol=1e-4)
    painted = runtime(photo)
    assert painted.dtype == torch.float32 and psnr(painted[0], wanted[0]) > 40
    # Where the machine has no such units, OpenVINO stays with float32.
    assert name == "openvino" or (painted - wanted).abs().max() > 1e-3
    assert_close(runtime(photo, exact=True), wanted, rtol=0, atol=1e-4)


def test_only_8_bit_photos_are_painted_in_bfloat16(dusk, monkeypatch) -> None:
    monkeypatch.setattr(module, "has_bfloat16_units", lambda device: True)
    fast, exact = (
        Stylizer(dusk[0], weights={"day": 1.0}, runtime="torch", precision=precision)
        for precision in ("auto", "float32")
    )
    photo = torch.randint(0, 256, (1, 3, 48, 64), dtype=torch.uint8)
    for tile in (None, 32):
        different = (fast.paint(photo, tile=tile).int() - exact.paint(photo, tile=tile).int()).abs()
        assert 0 < different.max() < 12 and different.float().mean() < 1
        for other in (photo.to(torch.uint16) * 257, photo / 255):
            assert torch.equal(fast.paint(other, tile=tile), exact.paint(other, tile=tile))
    # Tiles of other sizes have the same statistics: there is no seam.
    seams = (fast.paint(photo, tile=32).int() - fast.paint(photo, tile=24).int()).abs()
    assert seams.max() <= 1
