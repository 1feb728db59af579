"""Draws the strips of the shipped styles and the picture at the top of the README: python docs/pictures/make.py.

With a folder of the paintings as its argument, files called as their styles, also the sheet of any painting at once.
"""

import sys
from pathlib import Path

from PIL import Image, ImageOps

from fastnst import Stylizer
from fastnst.images.photos import resolve_photo
from fastnst.networks.catalog import names_in

HERE = Path(__file__).parent
PAINTED, SHOWN, GAP = 480, 240, 6  # pixels
IN_SHEET = 128  # pixels
# Name, and the part of its height or width where the middle of the square lies.
PHOTOS = {"astronaut": 0.2, "chelsea": 0.3, "coffee": 0.5, "rocket": 0.5, "motorcycle_left": 0.5}
SHARED = ("paintings.safetensors", "drawings.safetensors")
FRONT = ("great_wave", "udnie", "starry_night", "composition_vii", "scream", "woman_with_hat")


def squares() -> list[Image.Image]:
    """The photos, as squares."""
    return [
        ImageOps.fit(
            Image.open(resolve_photo(f"sample:{name}")).convert("RGB"), (PAINTED,) * 2, centering=(middle,) * 2
        )
        for name, middle in PHOTOS.items()
    ]


def strip(photos: list[Image.Image]) -> Image.Image:
    """Photos side by side, at half their size."""
    row = Image.new("RGB", (len(photos) * SHOWN, SHOWN))
    for place, photo in enumerate(photos):
        row.paste(photo.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS), (place * SHOWN, 0))
    return row


def sheet(photos: list[Image.Image], paintings: list[Path]) -> Image.Image:
    """Photos; below, for each painting, each photo three times: at once, by a predicted style, by a trained one."""
    page = Image.new("RGB", (3 * len(photos) * IN_SHEET, (1 + len(paintings)) * IN_SHEET), "white")
    for row, painting in enumerate(paintings, 1):
        ways = [Stylizer(painting), Stylizer(painting, instant=True), Stylizer(painting.stem)]
        for column, photo in enumerate(photos):
            for place, stylizer in enumerate(ways):
                cell = stylizer(photo).resize((IN_SHEET,) * 2, Image.Resampling.LANCZOS)
                page.paste(cell, ((3 * column + place) * IN_SHEET, row * IN_SHEET))
    for column, photo in enumerate(photos):
        page.paste(photo.resize((IN_SHEET,) * 2, Image.Resampling.LANCZOS), ((3 * column + 1) * IN_SHEET, 0))
    return page


def main() -> None:
    """Write the pictures."""
    photos = squares()
    strips = {"photos": strip(photos)}
    for file in SHARED:
        for name in names_in(HERE.parents[1] / "checkpoints" / file):
            stylizer = Stylizer(name)
            strips[name] = strip([stylizer(photo) for photo in photos])
    for name, row in strips.items():
        row.save(HERE / "styles" / f"{name}.jpg", quality=88, optimize=True)
    rows = [strips[name] for name in ("photos", *FRONT)]
    front = Image.new("RGB", (rows[0].width, len(rows) * (SHOWN + GAP) - GAP), "white")
    for place, row in enumerate(rows):
        front.paste(row, (0, place * (SHOWN + GAP)))
    front.save(HERE / "shipped_styles.jpg", quality=88, optimize=True)
    if len(sys.argv) > 1:
        known = names_in(HERE.parents[1] / "checkpoints" / SHARED[0])
        paintings = [path for path in sorted(Path(sys.argv[1]).iterdir()) if path.stem in known]
        sheet(photos, paintings).save(HERE / "any_painting.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
