"""Do strokes follow the photo, or stick to the network's grid? Paint a photo, and the same photo moved by some pixels.

    python records/2026-11-29_no_grid/moved.py great_wave udnie [--photos FOLDER]

In the calmest quarter of each photo: the correlation of the two pictures without their tones (waves up to about 16 px),
where the second is moved back along with the photo (1: strokes follow), and where it is left (1: strokes stay).
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from fastnst import Stylizer
from fastnst.images.photos import sample_photos

MOVES = (1, 2, 3, 4, 8)  # pixels, down and to the right
EDGE = 64  # pixels that are left out at the borders
SMOOTH = 8  # pixels; what is smoother is tone
AROUND = 12  # pixels in which a place is calm or not
CALM = 0.25  # of all places

Grey = NDArray[np.float64]


def strokes(image: Image.Image) -> Grey:
    """A picture without its tones."""
    grey = np.asarray(image.convert("L"), np.float64)
    return grey - gaussian_filter(grey, SMOOTH)


def moved(stylizer: Stylizer, photo: Image.Image) -> list[tuple[float, float]]:
    """For each of `MOVES`, how far the strokes in calm places follow the photo, and how far they stay."""
    width, height = (side - max(MOVES) for side in photo.size)

    def cut(by: int) -> Image.Image:
        return photo.crop((by, by, width + by, height + by))

    activity = gaussian_filter(strokes(cut(0)) ** 2, AROUND)
    calm = activity < np.quantile(activity, CALM)
    first, found = strokes(stylizer(cut(0))), []
    for by in MOVES:
        second = strokes(stylizer(cut(by)))
        there = (slice(EDGE + by, height - EDGE), slice(EDGE + by, width - EDGE))
        here = (slice(EDGE, height - EDGE - by), slice(EDGE, width - EDGE - by))
        wanted = second[here][calm[there]]
        found.append(
            tuple(
                float(np.corrcoef(each, wanted)[0, 1]) for each in (first[there][calm[there]], first[here][calm[there]])
            )
        )
    return found  # type: ignore[return-value]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("styles", nargs="+", help="names or files of trained styles")
    parser.add_argument("--photos", type=Path, help="a folder [the photos that come with scikit-image]")
    asked = parser.parse_args()
    paths = sorted(asked.photos.iterdir()) if asked.photos else list(sample_photos().values())
    photos = [Image.open(path).convert("RGB") for path in paths]
    photos = [photo for photo in photos if min(photo.size) >= 4 * EDGE]
    for style in asked.styles:
        stylizer = Stylizer(style, device="cpu", runtime="torch", precision="float32")
        each = [moved(stylizer, photo) for photo in photos]
        means = [[statistics.fmean(of[place][side] for of in each) for side in (0, 1)] for place in range(len(MOVES))]
        words = (f"{by} px {follow:.2f} {stay:.2f}" for by, (follow, stay) in zip(MOVES, means, strict=True))
        print(f"{style}, {len(photos)} photos: moved by (follow, stay)", *words, sep="; ", flush=True)
