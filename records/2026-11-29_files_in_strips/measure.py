"""Processor time and peak memory of reading pictures, by the package in each of two folders and by Pillow; writes JSON.

    python measure.py OLD NEW FOLDER > result.json

OLD and NEW are source trees; FOLDER gets the pictures, scikit-image's coffee enlarged to 4,000 x 3,000 px.
"""

import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 3
SHORT_SIDE = 256  # of a photo for training


def main(old: str, new: str, folder: Path) -> None:
    """Measure in processes of their own, in turn."""
    from PIL import Image
    from skimage.data import coffee

    photo = Image.fromarray(coffee())
    for suffix in ("jpg", "png", "tif", "webp"):
        photo.resize((4000, 3000), Image.Resampling.BICUBIC).save(folder / f"large.{suffix}")
    photo.resize((640, 426)).save(folder / "small.jpg", quality=90)
    found: dict[str, dict[str, list[list[float]]]] = {}
    for _ in range(ROUNDS):
        for way, place in {"before": old, "after": new, "pillow": new}.items():
            for picture in ("large.jpg", "large.png", "large.tif", "large.webp", "small.jpg"):
                words = [sys.executable, __file__, way, str(folder / picture)]
                done = subprocess.run(words, env={**os.environ, "PYTHONPATH": place}, capture_output=True, check=True)
                found.setdefault(picture, {}).setdefault(way, []).append(json.loads(done.stdout))
    print(json.dumps(found, indent=1))


def one(way: str, path: Path) -> None:
    """Print seconds of processor time, of one large picture or of 20 small ones, and peak memory in MB."""
    import numpy as np
    from PIL import Image

    from fastnst.images.read import decode_photo, read_picture

    data = path.read_bytes()

    def by_pillow() -> object:
        with Image.open(path) as image:
            return np.array(image)

    def for_training() -> object:
        if way != "pillow":
            return [decode_photo(data, short_side=SHORT_SIDE) for _ in range(20)]
        images = [Image.open(io.BytesIO(data)) for _ in range(20)]
        size = round(640 * SHORT_SIDE / 426), SHORT_SIDE
        return [np.array(image.resize(size, Image.Resampling.LANCZOS)) for image in images]

    reading = (
        for_training if path.stem == "small" else by_pillow if way == "pillow" else lambda: read_picture(path).levels
    )
    reading()  # once more than is counted
    started = time.process_time()
    reading()
    seconds = time.process_time() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        one(sys.argv[1], Path(sys.argv[2]))
