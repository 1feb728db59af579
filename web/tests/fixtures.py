"""Photos for the page's tests, and what `fastnst apply` makes of them: python fixtures.py FOLDER."""

import sys
from contextlib import suppress
from pathlib import Path

import torch
from PIL import Image

from fastnst.cli import main
from fastnst.images.photos import resolve_photo
from fastnst.networks.catalog import find_style_file

folder = Path(sys.argv[1])
udnie = f"{find_style_file('paintings')}:udnie"  # of the file that the page has, not of its own
torch.cpu.get_capabilities = dict  # float32, as the page computes, on processors too that are faster in bfloat16


def photo(name: str, size: tuple[int, int], file: str, **options: object) -> None:
    """A sample photo in RGB, of a size."""
    with Image.open(resolve_photo(f"sample:{name}")) as image:
        image.convert("RGB").resize(size).save(folder / file, **options)


def painted(file: str, result: str, *flags: str) -> None:
    """What the command makes of it."""
    with suppress(SystemExit):
        main(["apply", str(folder / file), "-o", str(folder / result), "--runtime", "torch", "--quiet", *flags])
    assert (folder / result).exists()


photo("coffee", (301, 200), "coffee.png")
photo("astronaut", (260, 260), "astronaut.png")
photo("chelsea", (240, 160), "chelsea.jpg", quality=90)
painted("coffee.png", "coffee-udnie.png", "--style", udnie)
photo("wave", (420, 310), "wave.png")
photo("brick", (300, 200), "brick.png")
painted("coffee.png", "coffee-like-wave.png", "--style", str(folder / "wave.png"), "--instant")
blend = f"{folder / 'wave.png'}:0.3,{folder / 'brick.png'}:0.7"
painted("coffee.png", "coffee-like-both.png", "--style", blend, "--instant", "--strength", "0.8")
painted("coffee.png", "coffee-mix.png", "--style", "udnie:0.6,mondrian:0.4", "--strength", "0.7", "--keep-colors")

photo("wave", (700, 110), "strip.png")
painted("coffee.png", "coffee-like-strip.png", "--style", str(folder / "strip.png"), "--instant")

exif = Image.Exif()
exif[0x0112] = 6
photo("chelsea", (240, 160), "turned.jpg", quality=90, exif=exif)
painted("turned.jpg", "turned-udnie.png", "--style", udnie)
with Image.open(folder / "turned-udnie.png") as image:
    image.transpose(Image.Transpose.ROTATE_180).save(folder / "turned-wrongly.png")
(folder / "broken.jpg").write_bytes((folder / "chelsea.jpg").read_bytes()[:300])
(folder / "notes.txt").write_text("no picture")
Image.new("RGB", (10_000, 10_000), (90, 120, 160)).save(folder / "large.png", compress_level=1)

if "--slow" in sys.argv:
    photo("coffee", (2600, 1733), "big.png")
    painted("big.png", "big-udnie.png", "--style", udnie, "--tile", "1024")
