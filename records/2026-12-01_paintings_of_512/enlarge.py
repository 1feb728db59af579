"""Paintings for a training at 512 px: python enlarge.py PAINTINGS LARGE ENLARGED CROPS.

Those of PAINTINGS, which have 256 px, are enlarged and sharpened. Of each painting in LARGE, whole and in eight places
drawn at random, squares of 320 px or more are kept at 512 px, four copies of each so that they are drawn more often.
"""

import random
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageFilter

SIDE, COPIES, PLACES = 512, 4, 8


def main(paintings: Path, large: Path, enlarged: Path, crops: Path) -> None:
    """Write the folders `enlarged` and `crops`."""
    chance = random.Random(0)
    enlarged.mkdir()
    crops.mkdir()
    for path in sorted(paintings.glob("*.jpg")):
        picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        picture.filter(ImageFilter.UnsharpMask(radius=1.5, percent=120, threshold=0)).save(
            enlarged / path.name, quality=90
        )
    for path in sorted(large.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        scale = SIDE / min(picture.size)
        whole = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
        pieces = [whole]
        for _ in range(PLACES):
            side = chance.randint(320, min(picture.size))
            x, y = chance.randint(0, picture.width - side), chance.randint(0, picture.height - side)
            pieces.append(picture.crop((x, y, x + side, y + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        for number, piece in enumerate(pieces):
            first = crops / f"1_{path.stem}_{number}.png"
            piece.save(first)
            for copy in range(2, COPIES + 1):
                shutil.copy(first, crops / f"{copy}_{path.stem}_{number}.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
