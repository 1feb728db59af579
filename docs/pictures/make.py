"""Draws the strips of the shipped styles and the picture at the top of the README: python docs/pictures/make.py."""

from pathlib import Path

from PIL import Image, ImageOps

from fastnst import Stylizer
from fastnst.images.photos import resolve_photo
from fastnst.networks.catalog import names_in

HERE = Path(__file__).parent
PAINTED, SHOWN, GAP = 480, 240, 6  # pixels
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


if __name__ == "__main__":
    main()
