"""`fastnst bench tiles`: photos stylized as a whole and in tiles, compared."""

from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from fastnst.base.boxes import everything, scaled
from fastnst.bench.report import check_output, report
from fastnst.bench.settings import BenchTilesSettings
from fastnst.images.levels import psnr
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.sheet import contact_sheet
from fastnst.images.write import save_image
from fastnst.painting.stylizer import Stylizer

COLUMNS = ("photo", "as a whole", "in tiles", "whole, middle", "tiles, middle")
MIDDLE = 360  # pixels, side of the parts of the sheet


def bench_tiles(settings: BenchTilesSettings) -> dict[str, Any]:
    """Stylize photos, resized to one size, as a whole and in tiles; print a table or JSON.

    They differ in the norms' statistics: of the whole picture, or of pieces of it. See `painting/tiles.py`.

    Returns:
        For each photo the PSNR in dB, and the largest shift of a channel's mean, where the full scale is 1.
    """
    check_output(settings.output, picture=True)
    stylizer = Stylizer(settings.style, device="cpu")
    photos: dict[str, dict[str, float]] = {}
    rows: list[list[Tensor]] = []
    for name in track(settings.photo, console=Console(stderr=True), transient=True, description="painting"):
        photo = _of_size(load_image(resolve_photo(name)), settings.size)
        whole, tiled = (stylizer(photo, tile=tile) for tile in (0, settings.tile))
        photos[name] = compare(whole, tiled)
        rows.append([photo, whole, tiled, _middle(whole), _middle(tiled)])
    result = {"style": settings.style, "size": settings.size, "tile": settings.tile, "photos": photos}
    if settings.output is not None:
        labels = [f"{name}: {row['psnr']:.1f} dB" for name, row in photos.items()]
        save_image(contact_sheet(rows, columns=COLUMNS, labels=labels, side=MIDDLE), settings.output)
    table = Table("", "PSNR, dB", "mean shift", box=None, title=f"in tiles against whole, {settings.size} px")
    for name, row in photos.items():
        table.add_row(name, f"{row['psnr']:.1f}", f"{row['mean_shift']:.4f}")
    report(result, table, output=None, as_json=settings.json)
    return result


def compare(first: Tensor, second: Tensor) -> dict[str, float]:
    """PSNR in dB, and the largest shift of a channel's mean, of images `(1, 3, H, W)` in [0, 1]."""
    shift = (first.mean((0, 2, 3)) - second.mean((0, 2, 3))).abs().max().item()
    return {"psnr": round(psnr(first, second), 2), "mean_shift": round(shift, 5)}


def _of_size(image: Tensor, long_side: int) -> Tensor:
    """The image `(1, 3, H, W)` with this long side."""
    size = (image.shape[-2], image.shape[-1])
    to = (round(size[0] * long_side / max(size)), round(size[1] * long_side / max(size)))
    return scaled(lambda box: image[..., *box], size, to)(everything(to))


def _middle(image: Tensor) -> Tensor:
    top, left = (max(0, side - MIDDLE) // 2 for side in image.shape[-2:])
    return image[..., top : top + MIDDLE, left : left + MIDDLE]
