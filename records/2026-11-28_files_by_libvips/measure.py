"""Seconds and peak memory of reading and writing files, by two versions of fastnst, in turn.

    python measure.py OLD NEW FOLDER > result.json

OLD and NEW are clones (before: 2894d3d). Each measurement is a process of its own: imports come first and are left
out of the seconds; the peak is the process's, with Python and PyTorch (about 0.4 GB).
"""

import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

SIZES = {"0.25": (612, 408), "12": (4000, 3000), "96": (12000, 8000)}
SUFFIXES = {
    "jpg": ("0.25", "12", "96"),
    "tif": ("0.25", "12", "96"),
    "png": ("0.25", "12"),
    "webp": ("0.25", "12"),
    "gif": ("0.25",),
    "avif": ("0.25",),
}


def one(clone: str, what: str, source: str, target: str) -> None:
    """Read the source, or read it and write the target, and print seconds, peak in MB and a mean of the pixels."""
    sys.path.insert(0, clone)
    from fastnst.images.read import read_picture
    from fastnst.images.write import save_image

    started = time.perf_counter()
    picture = read_picture(Path(source))
    levels = picture.levels
    if what == "write":
        started = time.perf_counter()
        save_image(picture, Path(target))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    mean = float(levels[..., ::7, ::7].float().mean())
    print(json.dumps({"seconds": round(seconds, 3), "peak": peak, "mean": round(mean, 3)}))


def main(old: str, new: str, folder: Path) -> None:
    """Make the files, and measure them."""
    import numpy as np
    from PIL import Image
    from skimage.data import coffee

    Image.MAX_IMAGE_PIXELS = None
    results = {}
    for megapixels, (width, height) in SIZES.items():
        photo = Image.fromarray(np.tile(coffee(), (-(-height // 400), -(-width // 600), 1))[:height, :width])
        for suffix in (name for name, sizes in SUFFIXES.items() if megapixels in sizes):
            source = folder / f"{megapixels}.{suffix}"
            if not source.exists():
                photo.save(source, **({"compress_level": 1} if suffix == "png" else {}))
            for what, clone in itertools.product(("read", "write"), (old, new)):
                words = [sys.executable, __file__, "one", clone, what, str(source), str(folder / f"out.{suffix}")]
                done = subprocess.run(words, capture_output=True, text=True)
                found = json.loads(done.stdout) if done.returncode == 0 else done.stderr[-200:]
                print(f"{what} {suffix} {megapixels} {clone} {found}", file=sys.stderr, flush=True)
                results[f"{what} {suffix} {megapixels} {'old' if clone == old else 'new'}"] = found
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "one":
        one(*sys.argv[2:])
    else:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
