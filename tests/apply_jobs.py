"""Photos for `fastnst apply`, what it would paint, and what it wrote."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastnst.cli import main
from fastnst.painting.jobs import plan
from fastnst.painting.settings import ApplySettings

NOT_UTF8 = os.fsdecode(b"caf\xe9")


def pixels(seed: int = 0, size: tuple[int, int] = (24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def make_photo(path: str, **options: object) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(len(path))).save(path, **options)
    return path


def planned(*photos: str, **settings: object) -> dict[str, str]:
    """Photos and their outputs."""
    jobs = plan(photos, ApplySettings(**{"style": "wave", **settings}))
    return {str(job.photo): str(job.output) for job in jobs}


def fastnst(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--device", "cpu"] if "--" not in words else words)
    return int(stop.value.code)


def files(folder: str = ".") -> set[str]:
    found = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.suffix != ".safetensors"}
