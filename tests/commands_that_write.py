"""Every command that writes, with little to do; `{}` is the folder of its result, or the current one for a run."""

import shutil
from pathlib import Path

import av
import numpy as np
from PIL import Image

FAST = ("--runtime", "torch", "--device", "cpu", "--quiet")
SHORT = ("--budget", "2s", "--weights", "5", "--photo", "photo.png", "--network", "live", "--init-from", "none")
SMALL = ("--sizes", "32", "--timed-sizes", "32", "--iterations", "1", "--device", "cpu")
TINY = ("--width", "64", "--height", "48", "--frames", "2")
FRAMES = ("--frame-every", "1", "-o", "b.png")
LAYERS = ("--style-layers", "relu1_2", "--content-layers", "relu1_2")
LITTLE = ("--size", "32", "--iterations", "1", "--quiet")
OUTPUTS = {
    "photo": ("apply", "photo.png", "--style", "wave.png", *FAST, "-o", "{}/o.png"),
    "folder": ("apply", "photos", "--style", "wave.png", *FAST, "-o", "{}/out"),
    "video": ("apply", "clip.mp4", "--style", "wave.png", *FAST, "-o", "{}/o.mp4"),
    "export": ("export", "--style", "great_wave", "--format", "torchscript", "-o", "{}/o.pt", "--quiet"),
    "page": ("page", "-o", "{}/site", "--quiet"),
    "onnx": ("export", "--style", "great_wave", "--format", "onnx", "-o", "{}/o.onnx", "--quiet"),
    "optimize": ("optimize", "photo.png", "--style", "wave.png", "-o", "{}/o.png", *LAYERS, *LITTLE),
    "frames": ("optimize", "photo.png", "--style", "wave.png", "--frames", "{}/o.mp4", *FRAMES, *LAYERS, *LITTLE),
    "texture": ("texture", "wave.png", "-o", "{}/o.png", "--size", "32", "--quiet"),
    "probe": ("probe", "--style", "wave.png", "--data", "photos", "-o", "{}/probe", "--quiet", *SHORT),
    "reconstruct": ("reconstruct", "photo.png", "--kind", "style", "-o", "{}/sheet", *LITTLE),
    "compare": (
        "compare",
        "photo.png",
        "--style",
        "wave.safetensors",
        "--style-image",
        "wave.png",
        "-o",
        "{}/c",
        *SMALL,
        "--quiet",
    ),
    "bench": ("bench", "apply", "-o", "{}/b.json"),
    "bench video": ("bench", "video", "--style", "great_wave_live", *TINY, "-o", "{}/b.json"),
}
RUNS = {
    "train": ("train", "--style", "../wave.png", "--data", "../photos", "--steps", "1", "--quiet"),
    "train-universal": ("train-universal", "--data", "../photos", "--steps", "1", "--quiet"),
    "train-base": ("train-base", "--paintings", "../photos", "--data", "../photos", "--steps", "1", "--quiet"),
}
TRAIN = ("train", "--style", "wave.png", "--data", "photos", "--steps", "1", "--crop-size", "48", "--style-size", "64")
SHALLOW = ("--margin", "16", "--style-layers", "relu1_2", "--content-layers", "relu1_2", "--init-from", "none")
TRAINING = (*TRAIN, *SHALLOW, "--style-weight", "8", "--device", "cpu", "--workers", "0", "--quiet")


def make_inputs(folder: Path, style: Path) -> None:
    """A photo, a folder of two, a style image, a style file and a video, by the names that the commands have."""
    (folder / "photos").mkdir()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8))
    for name in ("photo.png", "wave.png", "photos/1.png", "photos/2.png"):
        picture.save(folder / name)
    shutil.copy(style, folder / "sky.safetensors")
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
