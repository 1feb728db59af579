"""A contact sheet: each image in its place, and captions where they disturb nothing."""

from itertools import pairwise

import pytest
import torch
from PIL import ImageFont
from torch import Tensor
from torch.testing import assert_close

from fastnst.images.read import load_image
from fastnst.images.sheet import _wrapped, contact_sheet
from fastnst.images.write import save_image

RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 0.8, 0.0), (0.0, 0.0, 1.0)
LONG = "a caption that is much longer than its column and/with_a_word_that_is_longer_than_any_column_of_such_a_sheet"


def plain(colour: tuple[float, float, float], height: int = 64, width: int = 64) -> Tensor:
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, height, width)


def box_of(sheet: Tensor, colour: tuple[float, float, float]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of a colour, which must fill the whole box."""
    found = (sheet[0] - torch.tensor(colour)[:, None, None]).abs().amax(0) < 0.01  # (H, W)
    down, across = found.any(1).nonzero(), found.any(0).nonzero()
    left, top, right, bottom = int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1
    assert found[top:bottom, left:right].all()
    return left, top, right, bottom


def size_of(box: tuple[int, int, int, int]) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def ink(sheet: Tensor) -> Tensor:
    """Where there is something grey and dark, `(H, W)`: letters, but not the plain colours of these tests."""
    return (sheet[0].amax(0) < 0.7) & (sheet[0].amax(0) - sheet[0].amin(0) < 0.1)


def lines_of(found: Tensor) -> list[tuple[int, int]]:
    """First and last row of each stretch of rows that hold something, `(H, W)`."""
    rows = [False, *found.any(1).tolist(), False]
    edges = [index for index, (before, after) in enumerate(pairwise(rows)) if before != after]
    return list(zip(edges[::2], edges[1::2], strict=True))


def test_each_image_lands_in_its_row_and_column() -> None:
    sheet = contact_sheet([[plain(RED), plain(GREEN)], [plain(BLUE)]], side=64)
    red, green, blue = (box_of(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert size_of(red) == size_of(green) == size_of(blue) == (64, 64)
    assert (red[1], red[0]) == (green[1], blue[0])
    gap = green[0] - red[2]
    assert gap == blue[1] - red[3] == red[0] == red[1] > 0  # all margins are one
    assert sheet.shape == (1, 3, 2 * 64 + 3 * gap, 2 * 64 + 3 * gap)
    assert (sheet[..., blue[1] :, green[0] :] == 1).all()  # the row that is shorter ends in paper
    assert sheet.dtype == torch.float32


def test_images_keep_their_shape_and_stand_in_the_middle() -> None:
    sheet = contact_sheet([[plain(RED, 400, 100), plain(GREEN, 20, 40)], [plain(BLUE, 90, 180)]], side=80)
    red, green, blue = (box_of(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert (size_of(red), size_of(green), size_of(blue)) == ((20, 80), (80, 40), (80, 40))
    assert red[1] + red[3] == green[1] + green[3]
    assert red[0] + red[2] == blue[0] + blue[2]
    assert blue[1] - red[3] == red[1]  # the second row is no higher than its image


def test_columns_of_narrow_images_leave_room_for_captions() -> None:
    sheet = contact_sheet([[plain(RED, 1000, 1), plain(GREEN, 1000, 1)]], side=100)
    red, green = box_of(sheet, RED), box_of(sheet, GREEN)
    assert size_of(red) == (1, 100)
    assert green[0] - red[0] > 50


def test_a_photo_of_the_right_size_is_not_changed(photo: Tensor) -> None:
    sheet = contact_sheet([[photo]], side=96)
    margin = (sheet.shape[-1] - 96) // 2
    assert_close(sheet[..., margin:-margin, margin:-margin], photo, atol=0.51 / 255, rtol=0)


def test_captions_are_dark_and_stand_above_their_images() -> None:
    rows = [[plain(RED), plain(GREEN)], [plain(BLUE)]]
    sheet = contact_sheet(rows, columns=("one", "two"), labels=("first", "second"), title="Title", side=96)
    red, green, blue = (box_of(sheet, colour) for colour in (RED, GREEN, BLUE))  # whole: no letter on an image
    letters = ink(sheet)
    title, columns, first, second = lines_of(letters)
    assert title[1] < columns[0] and columns[1] < first[0] and first[1] <= red[1]
    assert red[3] <= second[0] and second[1] <= blue[1]
    assert red[1] - first[1] == blue[1] - second[1] < second[0] - red[3]  # nearer to their own row
    assert letters[slice(*first)].any(0).sum() < letters[slice(*second)].any(0).sum()  # the longer word
    for image in (red, green):
        above = letters[columns[0] : columns[1], image[0] : image[2]]
        left, right = above.any(0).nonzero()[[0, -1], 0].tolist()
        assert abs(left + right + 1 - 96) <= 3  # in the middle
    assert not letters[columns[0] : columns[1], red[2] : green[0]].any()


@pytest.mark.parametrize("side", [64, 96, 256])
def test_long_captions_are_wrapped_and_touch_nothing(side: int) -> None:
    rows = [[plain(RED), plain(GREEN)], [plain(BLUE)]]
    sheet = contact_sheet(rows, columns=(LONG, LONG), labels=(LONG, LONG), title=LONG, side=side)
    red, green, blue = (box_of(sheet, colour) for colour in (RED, GREEN, BLUE))
    letters = ink(sheet)
    assert not letters[:, : red[0]].any() and not letters[:, green[2] :].any()  # the margins stay white
    assert len(lines_of(letters[: red[1]])) > 4
    assert len(lines_of(letters[red[3] : blue[1]])) >= 2
    captions = contact_sheet(rows, columns=(LONG, LONG), side=side)
    red, green = box_of(captions, RED), box_of(captions, GREEN)
    letters = ink(captions)
    assert len(lines_of(letters)) >= 3
    assert not letters[:, red[2] : green[0]].any()
    assert torch.equal(letters[:, red[0] : red[2]], letters[:, green[0] : green[2]])
    assert not letters[:, [red[0], red[2] - 1]].any()  # a letter that is cut would reach the edge


def test_wrapping_loses_no_letter_and_makes_no_line_too_wide() -> None:
    font = ImageFont.load_default(16)
    lines = _wrapped(LONG, font, 120)
    assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
    assert max(font.getlength(line) for line in lines) <= 120
    assert lines[0] == "a caption that is"
    assert _wrapped("two\nlines \t here", font, 1000) == ["two lines here"]
    assert _wrapped("", font, 100) == [""]


def test_a_sheet_can_be_saved(tmp_path, photo: Tensor) -> None:
    sheet = contact_sheet([[photo, photo.half()]], labels=["a photo"], side=64)
    save_image(sheet, tmp_path / "sheet.png")
    assert torch.equal(load_image(tmp_path / "sheet.png"), sheet)


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([], {}, r"at least one image in each row, got \[\]"),
        ([[plain(RED)], []], {}, r"at least one image in each row, got \[1, 0\]"),
        ([[plain(RED)[0]]], {}, r"\(1, 3, H, W\), got \(3, 64, 64\)"),
        ([[plain(RED)[:, :1]]], {}, r"\(1, 3, H, W\), got \(1, 1, 64, 64\)"),
        ([[plain(RED)[..., :0]]], {}, r"\(1, 3, H, W\), got \(1, 3, 64, 0\)"),
        ([[plain(RED)], [plain(RED)] * 2], {"columns": ["one"]}, "expected 2 captions of columns, got 1"),
        ([[plain(RED)], [plain(RED)] * 2], {"labels": ["one"] * 3}, "expected 2 labels of rows, got 3"),
        ([[plain(RED)]], {"side": 63}, "side must be at least 64 pixels, got 63"),
    ],
)
def test_what_is_wrong_is_told(rows: list[list[Tensor]], options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        contact_sheet(rows, **options)  # type: ignore[arg-type]
