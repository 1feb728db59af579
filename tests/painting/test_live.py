"""The camera's window, with a video file in the camera's place; SDL's dummy screen, and Xvfb where it is installed."""

import os
import shutil
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import pytest
import torch

from fastnst.base.errors import UserError
from fastnst.cli import main
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting import live
from fastnst.painting.live import Camera, Recording, Window, paint_live
from fastnst.painting.settings import ApplySettings
from fastnst.video.reader import Form, Shot
from fastnst.video.writer import VideoWriter

pygame = pytest.importorskip("pygame")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder has the style `wave` in ./checkpoints and a clip of six pictures, ever brighter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": network}
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**network), info)
    writer = VideoWriter(Path("clip.mp4"), Form(width=64, height=48, rate=Fraction(25), unit=Fraction(1, 25)))
    for number in range(6):
        writer.write(Shot(torch.full((1, 3, 48, 64), 0.1 + 0.1 * number), number, 1))
    writer.finish()
    return tmp_path


def run(**settings: object) -> int:
    return paint_live((), ApplySettings(**{"style": "wave", "camera": ("clip.mp4",), "device": "cpu", **settings}))


def press(monkeypatch: pytest.MonkeyPatch, event: object, *, at: int) -> None:
    """An event comes while the picture of this number is shown."""
    show, shown = Window.show, []

    def pressing(window: Window, *values: object) -> bool:
        shown.append(1)
        if len(shown) == at:
            pygame.event.post(event)
        return show(window, *values)

    monkeypatch.setattr(Window, "show", pressing)


def test_every_picture_is_painted_and_shown_with_its_rate(monkeypatch) -> None:
    captions = []
    monkeypatch.setattr(pygame.display, "set_caption", captions.append)
    assert run() == 6
    assert len(captions) == 6 and captions[-1].startswith("wave: ") and "frames/s" in captions[-1]
    assert not pygame.display.get_init()


@pytest.mark.parametrize(
    "event",
    [
        pygame.event.Event(pygame.QUIT),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE),
    ],
    ids=["closed", "q", "Esc"],
)
def test_it_ends_when_it_is_told_to(event, monkeypatch) -> None:
    press(monkeypatch, event, at=3)
    assert run(steady=True) == 3


def test_other_keys_do_not_end_it(monkeypatch) -> None:
    press(monkeypatch, pygame.event.Event(pygame.KEYDOWN, key=pygame.K_a), at=3)
    assert run() == 6


def test_the_window_shows_the_picture_in_its_shape_whatever_its_own() -> None:
    window = Window("wave")
    picture = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 48, 64)
    assert window.show(picture, "1 frames/s")
    assert pygame.display.get_surface().get_size() == (64, 48)
    assert pygame.display.get_surface().get_at((10, 10))[:3] == (255, 128, 0)
    pygame.display.set_mode((200, 48), pygame.RESIZABLE)
    window._surface = pygame.display.get_surface()
    window.show(picture, "")
    assert [pygame.display.get_surface().get_at((x, 24))[:3] for x in (20, 100)] == [(0, 0, 0), (255, 128, 0)]
    window.close()


def test_what_is_shown_can_be_recorded_with_its_times(monkeypatch) -> None:
    assert run(output=Path("live.mp4")) == 6
    with av.open("live.mp4") as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 6 and times == sorted(set(times))
    with pytest.raises(UserError, match=r"live\.mp4 exists: --force replaces it"):
        run(output=Path("live.mp4"))
    Recording(Path("never.mp4")).close()
    assert not Path("never.mp4").exists()


def test_steady_at_strength_zero_shows_the_photos_as_they_are() -> None:
    run(output=Path("live.mkv"), steady=True, strength=0.0)
    with av.open("live.mkv") as container:
        grey = [frame.to_ndarray(format="rgb24").mean() / 255 for frame in container.decode(video=0)]
    assert grey == pytest.approx([0.1 + 0.1 * number for number in range(6)], abs=0.02)


def test_ctrl_c_is_one_more_way_to_end(monkeypatch) -> None:
    def stop(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Window, "show", stop)
    assert run(output=Path("live.mp4")) == 1
    with av.open("live.mp4") as container:
        assert len(list(container.decode(video=0))) == 1


def test_photos_are_shrunk_and_red_stays_red() -> None:
    writer = VideoWriter(Path("red.mp4"), Form(width=64, height=48, rate=Fraction(25), unit=Fraction(1, 25)))
    writer.write(Shot(torch.tensor([0.8, 0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 48, 64), 0, 1))
    writer.finish()
    (photo,) = Camera("red.mp4", size=32)
    assert photo.shape == (1, 3, 24, 32)
    assert photo.mean((0, 2, 3)).tolist() == pytest.approx([0.8, 0.2, 0.1], abs=0.05)


class FakeCapture:
    """A camera that is faster than whoever looks, and goes away in the end."""

    def __init__(self, _: object) -> None:
        self.number = 0

    def isOpened(self) -> bool:
        return True

    def read(self):
        self.number += 1
        if self.number > 200:
            return False, None
        return True, torch.full((16, 16, 3), min(self.number, 255), dtype=torch.uint8).numpy()

    def release(self) -> None:
        pass


def test_a_camera_gives_its_newest_picture(monkeypatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    seen = []
    for photo in Camera("0"):
        time.sleep(0.005)
        seen.append(round(float(photo.mean()) * 255))
    assert 1 <= len(seen) < 100 and seen == sorted(set(seen))


def test_a_camera_that_falls_silent_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(FakeCapture, "read", lambda self: threading.Event().wait(1) or (False, None))
    monkeypatch.setattr(live, "SILENCE", 0.05)
    with pytest.raises(UserError, match="camera 0: no picture for 0 s"):
        next(iter(Camera("0")))


def test_a_camera_is_let_go_when_nothing_reads_from_it(monkeypatch) -> None:
    reading = threading.Lock()
    free = []

    def read(self):
        with reading:
            time.sleep(0.05)
        return True, torch.zeros(16, 16, 3, dtype=torch.uint8).numpy()

    monkeypatch.setattr(FakeCapture, "read", read)
    monkeypatch.setattr(FakeCapture, "release", lambda self: free.append(not reading.locked()))
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    camera = Camera("0")
    next(iter(camera))
    camera.close()
    assert free == [True]
    assert camera._thread is not None and not camera._thread.is_alive()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--camera", "none.mp4"], "camera none.mp4: cannot be opened"),
        (["--camera"], "camera 0: cannot be opened"),
        (["a.jpg", "--camera", "clip.mp4"], "--camera takes no photos, got a.jpg"),
        (["--camera", "clip.mp4", "-o", "live.png"], "expected a name ending in"),
        (["--camera", "clip.mp4", "-o", "clip.mp4", "--force"], "clip.mp4 is what --camera reads"),
        (["--camera", "clip.mp4", "--mask", "mask.png"], "--mask is for files, not for --camera"),
        (["--camera", "clip.mp4", "--feather", "3"], "--feather is for files, not for --camera"),
        (["--camera", "clip.mp4", "--format", "png"], "--format is for files, not for --camera"),
        (["--camera", "clip.mp4", "--quality", "90"], "--quality is for files, not for --camera"),
        (["--camera", "clip.mp4", "--stroke", "2"], "--stroke is for files, not for --camera"),
        (["--camera", "clip.mp4", "--skip-existing"], "--skip-existing is for files, not for --camera"),
        (["--camera", "clip.mp4", "--json"], "--json is for files, not for --camera"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(words, message, capsys, monkeypatch) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["apply", "--style", "wave", *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_a_screen_one_line_says_so(monkeypatch) -> None:
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    with pytest.raises(UserError, match="there is no screen"):
        Window("wave")
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(UserError, match=r"pip install 'fastnst\[live\]'"):
        Window("wave")


UNDER_XVFB = """
import os, time
import numpy as np, torch
from PIL import ImageGrab
from fastnst.live import Window
window = Window("wave")
red = torch.tensor([0.8, 0.2, 0.0]).view(1, 3, 1, 1).expand(1, 3, 48, 64)
for _ in range(50):  # until the screen has followed
    assert window.show(red, "")
    screen = np.array(ImageGrab.grab(xdisplay=os.environ["DISPLAY"]))
    if (screen == (204, 51, 0)).all(-1).sum() == 48 * 64:
        raise SystemExit
    time.sleep(0.05)
raise AssertionError("the window does not show the picture")
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb is not installed")
def test_a_real_window_opens_under_xvfb() -> None:
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "320x240x24"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as screen:
        display = f":{os.read(read, 8).decode().strip()}"
        environment = {**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11"}
        try:
            subprocess.run([sys.executable, "-c", UNDER_XVFB], env=environment, check=True, timeout=60)
        finally:
            screen.terminate()
    os.close(read)
    os.close(write)
