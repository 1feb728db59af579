"""Tiles of a network: how far it sees, boxes and scales of a picture, and the statistics of the whole."""

from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_networks import NETWORKS, image_of, network_of, reader
from torch import Tensor
from torch.testing import assert_close

from fastnst.base.boxes import Box, cut, everything, in_blocks, scaled, widened, within
from fastnst.images.levels import to_array, to_tensor
from fastnst.networks.network import TransformationNetwork
from fastnst.painting.tiles import PIECE, normalised_as, painted, pieces

STYLE = torch.ones(1, 1)


def tiled(network: TransformationNetwork, photo: Tensor, side: int, reach: int | None = None) -> Tensor:
    size = photo.shape[-2:]
    paint: Callable[[Tensor], Tensor] = lambda image: network(image, STYLE)  # noqa: E731
    far = network.reach if reach is None else reach
    return in_blocks(painted(paint, reader(photo), size, reach=far, stride=network.stride), side)(everything(size))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_reach_is_as_far_as_a_pixel_sees(name) -> None:
    network = normalised_as(network_of(name), image_of(40, 40), STYLE).double()
    for norm in network.norms:
        norm.statistics = tuple(each.double() for each in norm.statistics)
    seen = []
    for place in range(200, 200 + network.stride):
        photo = torch.rand(4, 3, 16, 400, dtype=torch.float64, requires_grad=True)  # in one, some ReLU is open
        network(photo)[..., place].sum().backward()
        touched = photo.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        seen += [place - int(touched[0]), int(touched[-1]) - place]
    assert network.reach - 1 <= max(seen) <= network.reach


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("size", "side"), [((150, 131), 64), ((97, 203), 50), ((128, 160), 40), ((17, 300), 101)])
def test_tiled_is_whole_with_the_same_statistics(name, size, side) -> None:
    """Odd sizes and even ones, tiles that do not fit the stride, pictures and tiles smaller than the reach."""
    photo = image_of(*size)
    network = normalised_as(network_of(name), image_of(64, 80), STYLE)
    whole = network(photo, STYLE)
    assert whole.std() > 0.05
    for reach in (network.reach, network.reach + 1, 2 * network.reach):
        assert (tiled(network, photo, side, reach) - whole).abs().max() < 1e-5


def test_with_less_overlap_there_are_seams() -> None:
    network = normalised_as(network_of("folded, deep"), image_of(64, 64), STYLE)
    photo = image_of(150, 131)
    assert (tiled(network, photo, 64, network.reach // 2) - network(photo, STYLE)).abs().max() > 1e-4


def test_own_statistics_change_nothing_and_those_of_another_image_do() -> None:
    network, photo, other = network_of("folded, deep"), image_of(50, 61), image_of(40, 40) ** 2
    usual = network(photo, STYLE)
    assert_close(normalised_as(network, photo, STYLE)(photo, STYLE), usual, rtol=0, atol=1e-5)
    assert (normalised_as(network, other, STYLE)(photo, STYLE) - usual).abs().max() > 0.01
    assert torch.equal(network(photo, STYLE), usual)  # the network itself is as it was


def test_given_statistics_go_with_a_style_for_each_image() -> None:
    network = network_of("folded", num_styles=2)
    photos, styles = torch.cat([image_of(30, 40), image_of(30, 40).flip(3)]), torch.eye(2)
    fixed = normalised_as(network, photos, styles[:1])
    assert_close(fixed(photos, styles)[1:], fixed(photos[1:], styles[1:]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "side"), [((100, 30), 33), ((5, 5), 8), ((64, 64), 64), ((65, 64), 64)])
def test_boxes_are_the_picture_once_and_about_equal(size, side) -> None:
    count = torch.zeros(size)
    for box in cut(size, side):
        count[box] += 1
        assert max(count[box].shape) <= side
    assert (count == 1).all()
    heights = {part.stop - part.start for part, _ in cut(size, side)}
    assert max(heights) - min(heights) <= 1


def test_boxes_are_widened_as_far_as_the_picture_goes() -> None:
    box: Box = (slice(10, 20), slice(50, 60))
    wide = widened(box, 7, (64, 62), multiple=4)
    assert wide == (slice(0, 27), slice(40, 62))
    assert within(box, wide) == (slice(10, 20), slice(10, 20))


@pytest.mark.parametrize("to", [(30, 41), (15, 16), (99, 100), (60, 41), (60, 80)])
def test_scaled_is_pillows_lanczos_whatever_the_boxes(to) -> None:
    size = (60, 80)
    photo = to_array(image_of(*size))[0]
    picture = scaled(reader(to_tensor(photo)), size, to)
    whole = picture(everything(to))
    expected = np.array(Image.fromarray(photo).resize(to[::-1], Image.Resampling.LANCZOS))
    assert (whole - to_tensor(expected)).abs().max() < 2 / 255  # Pillow rounds to bytes twice
    for side in (7, 50):
        assert (in_blocks(picture, side)(everything(to)) - whole).abs().max() < 1e-5


def test_boxes_of_a_scaled_picture_ask_for_no_more_than_they_need() -> None:
    asked = []

    def picture(box: Box) -> Tensor:
        asked.append([part.stop - part.start for part in box])
        return torch.zeros(1, 3, *asked[-1])

    for rows, columns in product((slice(0, 10), slice(40, 50)), (slice(0, 10), slice(90, 100))):
        assert scaled(picture, (200, 400), (50, 100))((rows, columns)).shape == (1, 3, 10, 10)
    assert max(max(sides) for sides in asked) <= 10 * 4 + 3 * 4


def test_pieces_come_from_all_over_a_picture() -> None:
    size = (700, 900)
    rows, columns = torch.meshgrid(*(torch.arange(length) / length for length in size), indexing="ij")
    places = torch.stack([rows, columns, rows])[None]
    found = pieces(reader(places), size, 25)
    assert found.shape == (25, 3, PIECE, PIECE)
    for axis in (0, 1):
        corners = sorted((found[:, axis, 0, 0] * size[axis]).round().int().tolist())
        assert corners[0] == 0 and corners[-1] == size[axis] - PIECE
        assert max(after - before for before, after in pairwise(corners)) < PIECE
    assert torch.equal(pieces(reader(places), size, 60), places)  # no more pixels than 60 pieces
    assert pieces(reader(places[..., :20, :]), (20, 900), 1).shape == (1, 3, 20, PIECE)


def test_pieces_have_the_statistics_of_the_whole() -> None:
    """Closer to those than a thumbnail, as far as noise of several scales can tell."""
    network, photo = network_of("folded, deep"), image_of(900, 800)
    whole = network(photo, STYLE)
    thumbnail = scaled(reader(photo), (900, 800), (225, 200))(everything((225, 200)))
    errors = [
        (normalised_as(network, sample, STYLE)(photo, STYLE) - whole).square().mean().sqrt()
        for sample in (pieces(reader(photo), (900, 800), 30), thumbnail)
    ]
    assert errors[0] < 0.02 and errors[0] < errors[1] / 4
    strips = normalised_as(network, photo[..., :16, :].repeat(2, 1, 1, 1), STYLE)
    assert all(norm.statistics[1].isfinite().all() for norm in strips.norms)
