"""Contact sheets: rows of images with captions. Knows nothing of where the images come from."""

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fastnst.images.levels import to_array, to_tensor

_INK, _PAPER = "#222222", "white"
_SMALLEST = 64  # pixels; captions of narrower images would be columns of letters


def contact_sheet(
    rows: Sequence[Sequence[Tensor]],
    *,
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
    side: int = 256,
    title: str = "",
) -> Tensor:
    """Images in rows on white, with captions, which are wrapped if they are long.

    All columns are as wide as the widest image, but at least `side / 2`, and a row is as high as its highest image.
    The font, Pillow's own, holds ASCII; any other letter of a caption is drawn as a box.

    Args:
        rows: Images `(1, 3, H, W)`, sRGB in [0, 1], of any size, shrunk or enlarged; rows may differ in length.
        columns: A caption above each column, or none.
        labels: A line above each row, or none.
        side: Longest side of each image on the sheet, in pixels, at least 64.
        title: A line above everything.

    Returns:
        The sheet `(1, 3, H, W)` in [0, 1], on the CPU, rounded to what a file of 8 bits holds.

    Raises:
        ValueError: A row is empty, an image has another shape, or there are more or fewer captions than places.
    """
    _check(rows, columns, labels, side)
    cells = [[_cell(image, side) for image in row] for row in rows]
    width = max(side // 2, *(cell.width for row in cells for cell in row))
    margin, num_columns = max(8, side // 12), max(map(len, rows))
    whole = num_columns * (width + margin) - margin
    size = max(11, side // 15)  # of the letters

    bands: list[tuple[int, list[Image.Image]]] = []  # the space above, and what stands side by side
    if title:
        bands.append((margin, [_text(title, whole, size * 3 // 2)]))
    if columns:
        bands.append((margin, [_text(caption, width, size, centred=True) for caption in columns]))
    for index, row in enumerate(cells):
        if labels:
            bands.append((margin, [_text(labels[index], whole, size)]))
        captioned = labels or (columns and index == 0)
        bands.append((margin // 3 if captioned else margin, row))

    heights = [max(piece.height for piece in pieces) for _, pieces in bands]
    sheet = Image.new("RGB", (whole + 2 * margin, sum(heights) + sum(space for space, _ in bands) + margin), _PAPER)
    top = 0
    for height, (space, pieces) in zip(heights, bands, strict=True):
        for index, piece in enumerate(pieces):  # in the middle of its place, or across all of them
            left = margin + index * (width + margin) + max(0, width - piece.width) // 2
            sheet.paste(piece, (left, top + space + (height - piece.height) // 2))
        top += space + height
    return to_tensor(np.array(sheet))


def _check(rows: Sequence[Sequence[Tensor]], columns: Sequence[str], labels: Sequence[str], side: int) -> None:
    if side < _SMALLEST:
        raise ValueError(f"side must be at least {_SMALLEST} pixels, got {side}")
    if min(map(len, rows), default=0) == 0:
        raise ValueError(f"expected at least one image in each row, got {[len(row) for row in rows]}")
    for image in (image for row in rows for image in row):
        if image.ndim != 4 or image.shape[:2] != (1, 3) or image.numel() == 0:
            raise ValueError(f"expected images (1, 3, H, W), got {tuple(image.shape)}")
    if columns and len(columns) != max(map(len, rows)):
        raise ValueError(f"expected {max(map(len, rows))} captions of columns, got {len(columns)}")
    if labels and len(labels) != len(rows):
        raise ValueError(f"expected {len(rows)} labels of rows, got {len(labels)}")


def _cell(image: Tensor, side: int) -> Image.Image:
    """The image with its longest side brought to `side` pixels."""
    scale = side / max(image.shape[-2:])
    size = [max(1, round(length * scale)) for length in image.shape[-2:]]
    return Image.fromarray(to_array(F.interpolate(image.detach().float(), size, mode="bicubic", antialias=True))[0])


def _text(text: str, width: int, size: int, *, centred: bool = False) -> Image.Image:
    """A text of this width in pixels, as high as its lines need it."""
    font = ImageFont.load_default(size)
    lines, leading = _wrapped(text, font, width - 2), size * 4 // 3
    band = Image.new("RGB", (width, leading * len(lines)), _PAPER)
    draw = ImageDraw.Draw(band)
    for index, line in enumerate(lines):
        place = (width / 2, index * leading) if centred else (1, index * leading)  # some letters begin left of 0
        draw.text(place, line, _INK, font, anchor="ma" if centred else "la")
    return band


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Lines at most `width` pixels wide, broken at spaces, and inside a word only if it is wider than a line."""
    lines = [""]
    for word in text.split():
        if font.getlength(joined := f"{lines[-1]} {word}".strip()) <= width:
            lines[-1] = joined
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line] or [""]
