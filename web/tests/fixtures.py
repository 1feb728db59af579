"""Photos for the page's tests, and what `fastnst apply` makes of them: python fixtures.py FOLDER."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from fastnst.images.photos import resolve_photo

folder = Path(sys.argv[1])


def photo(name: str, size: tuple[int, int], file: str, **options: object) -> None:
    """A sample photo in RGB, of a size."""
    with Image.open(resolve_photo(f"sample:{name}")) as image:
        image.convert("RGB").resize(size).save(folder / file, **options)


def painted(file: str, result: str, *flags: str) -> None:
    """What the command makes of it."""
    command = (sys.executable, "-m", "fastnst", "apply", str(folder / file), "-o", str(folder / result))
    subprocess.run([*command, "--runtime", "torch", "--quiet", *flags], check=True)


photo("coffee", (301, 200), "coffee.png")
photo("astronaut", (260, 260), "astronaut.png")
photo("chelsea", (240, 160), "chelsea.jpg", quality=90)
painted("coffee.png", "coffee-udnie.png", "--style", "udnie")
painted("coffee.png", "coffee-mix.png", "--style", "udnie:0.6,mondrian:0.4", "--strength", "0.7", "--keep-colors")

exif = Image.Exif()
exif[0x0112] = 6
photo("chelsea", (240, 160), "turned.jpg", quality=90, exif=exif)
(folder / "broken.jpg").write_bytes((folder / "chelsea.jpg").read_bytes()[:300])
(folder / "notes.txt").write_text("no picture")
Image.new("RGB", (10_000, 10_000), (90, 120, 160)).save(folder / "large.png", compress_level=1)

if "--slow" in sys.argv:
    photo("coffee", (2600, 1733), "big.png")
    painted("big.png", "big-udnie.png", "--style", "udnie", "--tile", "1024")
