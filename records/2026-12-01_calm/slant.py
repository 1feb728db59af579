"""How far strokes in calm places lean one way.

    python slant.py PHOTOS STYLIZED... > slant.json

Takes a folder of photos and folders of the same photos stylized, under the same names; a file is a painting, all of
which counts. The direction of a place is that of its gradient, weighed by its square and, in photos, by how calm the
place is. The lean is the length of the mean of the doubled angles as unit vectors: 0 for all directions alike, 1 for
one alone.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.images.read import load_image
from fastnst.perception.calm import calmness

SCALES = (1, 2, 4)  # pixels


def lean(image: Tensor, where: Tensor | None, scale: int) -> Tensor:
    """The mean doubled direction `(2,)` of an image `(1, 3, H, W)` whose pixels are means of so many squared."""
    grey = F.avg_pool2d(F.avg_pool2d(image.mean(1, keepdim=True), scale), 3, 1, 1, count_include_pad=False)
    across = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    share = 1 if where is None else F.avg_pool2d(where, scale)[..., 1:-1, 1:-1]
    total = (share * (across.square() + down.square())).sum()
    return torch.stack([(share * (across.square() - down.square())).sum(), (share * 2 * across * down).sum()]) / total


def main() -> None:
    """Print the mean lean of each folder, and of paintings, at three scales."""
    photos = {path.stem: load_image(path) for path in sorted(Path(sys.argv[1]).iterdir())}
    result = {}
    for place in map(Path, sys.argv[2:]):
        found = []
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
            image = load_image(path)
            where = calmness(photos[path.stem]) if place.is_dir() else None
            found.append(torch.stack([lean(image, where, scale) for scale in SCALES]))
        each = torch.stack(found)  # (N, scales, 2)
        result[place.stem] = {
            "n": len(found),
            "mean": [round(float(value), 3) for value in each.norm(dim=2).mean(0)],
            "lowest": [round(float(value), 3) for value in each.norm(dim=2).amin(0)],
            "highest": [round(float(value), 3) for value in each.norm(dim=2).amax(0)],
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
