"""`fastnst bench look`: judges that no training uses, of stylized photos.

A second loss network measures style and content, with the painting at the size that suits each picture best. Style is
measured twice, by Gram matrices and by moments: a network that was trained on one kind of statistics is flattered by
the same kind, even by another loss network's. Beside it stands an artefact meter: lattices in flat regions, fog,
frames, saturation, and how far the strokes follow the photo. `Look.score` sums up what agrees with the eye. Lower is
better.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from skimage.color import rgb2lab
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.devices import measured_on
from fastnst.base.files import sha256
from fastnst.base.progress import progress_bar
from fastnst.bench.checks import check_look
from fastnst.bench.report import report
from fastnst.bench.settings import BenchLookSettings
from fastnst.images.colors import LUMA
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image, load_on_white
from fastnst.images.sheet import contact_sheet
from fastnst.images.write import save_image
from fastnst.painting.stylizer import Stylizer
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.losses import content_loss, gram_matrix, moment_matrix, moments_loss, style_loss

NETWORK = "squeezenet1_0-caffe"
STYLE_LAYERS = ("relu1", "fire2", "fire4", "fire6", "fire8")
CONTENT_LAYERS = ("fire4", "fire6")
PAINTING_SIZES = (256, 384, 512, 768, 1024)  # pixels, long side
WINDOW = 64  # pixels; where lattices are looked for
LONGEST_WAVE = 16  # pixels; longer ones are strokes
FLAT = 0.25  # of all windows: those in which the photo varies least
BORDER, NEXT_TO_IT = 16, 48  # pixels from the edge
SMOOTH = 4  # pixels; of structure tensors
NEAR = 33  # pixels; side of the squares in which fog is looked for
FAINTEST = 1e-3  # deviation, in pixel values, below which all is equally foggy
COLOR_SIDE = 128  # places along the long side whose colours are compared
# Chosen so that the score agrees with judges, sessions of a vision model, who choose between two pictures
# (records/2026-11-28_the_judge_confirmed). Content, frame, saturation and direction are told; they add nothing to it.
WEIGHTS = {"gram": 1.0, "moments": 1.2, "lattice": 6.0, "fog": 0.8, "color": -0.04}
ALSO_TOLD = ("content", "frame")


class Look(NamedTuple):
    """How one picture looks; all but `color` and `direction` are better when lower.

    Attributes:
        gram: Relative error of the Gram matrices of the judge's features, at the painting's best size.
        moments: Likewise of their means and covariances.
        content: Relative error of its features, each map normalised by mean and deviation: tone and palette are free.
        lattice: Deviation, in pixel values, of narrow peaks in the spectrum of regions that are flat in the photo,
            beyond the photo's own.
        frame: Distance of the border's mean colour from that next to it, beyond the photo's own; of all pictures.
        saturation: Share of the values that are below 1 % or above 99 %.
        direction: Correlation of the structure tensors of picture and photo, from -1 to 1; 1: strokes follow the photo.
        fog: How much of the photo's detail is gone: the logarithm of its local deviation over the picture's, where it
            is above 0; the mean over all places.
        color: How far colours differ: mean deviation of a and b in CIELAB.
    """

    gram: float
    moments: float
    content: float
    lattice: float
    frame: float
    saturation: float
    direction: float
    fog: float
    color: float

    @property
    def score(self) -> float:
        """The sum by `WEIGHTS`."""
        return sum(weight * float(getattr(self, name)) for name, weight in WEIGHTS.items())


def bench_look(settings: BenchLookSettings) -> dict[str, Any]:
    """Judge styles and folders of pictures on the same photos; print a table or JSON, write a sheet.

    Photos are judged as squares from their middle.

    Returns:
        JSON values: for each way its means, and the looks of its pictures.

    Raises:
        UserError: Files that cannot be used, two photos of one name, or a folder that lacks the picture of a photo.
    """
    names, folders = check_look(settings)
    painting = resolve_photo(str(settings.style_image))
    layers = (*STYLE_LAYERS, *CONTENT_LAYERS)
    judge = Judge(LossNetwork(layers, name=NETWORK, weights=settings.judge), painting)
    photos = [middle(load_image(path), settings.size) for path in names.values()]
    ways: dict[str, list[Tensor]] = {}
    with progress_bar(shown=not settings.json) as bar:
        task = bar.add_task("stylizing", total=len(settings.style) * len(photos), state="")
        for style in settings.style:
            stylizer = Stylizer(style, device="cpu")
            ways[style] = [stylizer(photo) for photo in photos]
            bar.advance(task, len(photos))
    for folder, pictures in folders.items():
        ways[folder] = [middle(load_image(pictures[name]), settings.size) for name in names]
    if settings.controls:
        ways |= {"photo": photos, "blurred photo": [blurred(photo) for photo in photos]}
    looks = {way: judge_pictures(judge, pictures, photos) for way, pictures in ways.items()}
    result = {
        "what": f"{len(photos)} photos of {settings.size} px in the style of {painting.name}",
        "judge": {"file": settings.judge.name, "sha256": sha256(settings.judge)},
        "style_image": {"name": painting.name, "sha256": sha256(painting)},
        "weights": WEIGHTS,
        "means": {way: _mean(found) for way, found in looks.items()},
        "pictures": {
            way: {name: _rounded(look) for name, look in zip(names, found, strict=True)} for way, found in looks.items()
        },
        **measured_on(torch.device("cpu")),
    }
    if settings.sheet is not None:
        columns = ["photo", *(f"{way} {result['means'][way]['score']:.2f}" for way in ways)]
        rows = [list(row) for row in zip(photos, *ways.values(), strict=True)]
        save_image(contact_sheet(rows, columns=columns, side=settings.size, title=result["what"]), settings.sheet)
    report(result, _table(result), output=settings.output, as_json=settings.json)
    return result


def middle(image: Tensor, size: int) -> Tensor:
    """The square in the middle of an image `(1, 3, H, W)`, brought to a side in pixels."""
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[..., top : top + side, left : left + side]
    if side == size:
        return square
    return F.interpolate(square, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def blurred(photo: Tensor, radius: int = 7) -> Tensor:
    """A photo `(1, 3, H, W)` without detail: what a judge must not take for a painting."""
    return F.avg_pool2d(F.pad(photo, [radius] * 4, mode="replicate"), 2 * radius + 1, stride=1)


def _rounded(look: Look) -> dict[str, float]:
    return {name: round(value, 4) for name, value in (*look._asdict().items(), ("score", look.score))}


def _mean(looks: Sequence[Look]) -> dict[str, float]:
    rows = [_rounded(look) for look in looks]
    return {name: round(statistics.fmean(row[name] for row in rows), 4) for name in rows[0]}


def _table(result: Mapping[str, Any]) -> Table:
    names = (*WEIGHTS, *ALSO_TOLD, "score")  # the rest stands in the JSON
    table = Table(box=None, title=result["what"])
    table.add_column(overflow="fold")
    for name in names:
        table.add_column(name, no_wrap=True)
    for way, means in result["means"].items():
        table.add_row(way, *(f"{means[name]:.3f}" for name in names))
    return table


class Judge:
    """Content and style errors by a loss network that no training uses.

    Args:
        loss_network: With the layers of `STYLE_LAYERS` and `CONTENT_LAYERS`.
        painting: File of the style image.
    """

    def __init__(self, loss_network: LossNetwork, painting: Path) -> None:
        self._network = loss_network
        with torch.no_grad():
            paintings = [load_on_white(painting, size=size) for size in PAINTING_SIZES]
            self._targets = [self._statistics(image) for image in paintings]

    @torch.no_grad()
    def style(self, picture: Tensor) -> tuple[float, float]:
        """Relative errors of a picture's Gram matrices and moments, each at its best size; `(1, 3, H, W)`.

        Averaged over layers.
        """
        found = self._statistics(picture)
        gram, moments = (
            min(
                statistics.fmean(loss(found[layer][kind], target[layer][kind]).item() for layer in STYLE_LAYERS)
                for target in self._targets
            )
            for kind, loss in enumerate((style_loss, moments_loss))
        )
        return gram, moments

    def _statistics(self, image: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Gram and moment matrix of an image at each layer."""
        features = self._network(image, STYLE_LAYERS)
        return {layer: (gram_matrix(maps), moment_matrix(maps)) for layer, maps in features.items()}

    @torch.no_grad()
    def content(self, picture: Tensor, photo: Tensor) -> float:
        """Relative error of the normalised maps of a picture and its photo, both `(1, 3, H, W)`."""
        maps, wanted = (self._network(image, CONTENT_LAYERS) for image in (picture, photo))
        return statistics.fmean(
            content_loss(F.instance_norm(maps[layer]), F.instance_norm(wanted[layer])).item()
            for layer in CONTENT_LAYERS
        )


def fog(picture: Tensor, photo: Tensor) -> float:
    """How much of a photo's detail a picture has lost, both `(1, 3, H, W)`; see `Look`."""
    found, wanted = (_local_deviation(_grey(image)) for image in (picture, photo))
    return float((wanted / found).log().clamp(min=0).mean())


def _local_deviation(grey: Tensor) -> Tensor:
    """Deviation of an image `(H, W)` in the square around each place."""
    mean, square = (
        F.avg_pool2d(each[None, None], NEAR, 1, NEAR // 2, count_include_pad=False) for each in (grey, grey.square())
    )
    return (square - mean.square()).clamp(min=FAINTEST**2).sqrt()


def color(picture: Tensor) -> float:
    """How far the colours of a picture `(1, 3, H, W)` differ: mean deviation of a and b in CIELAB."""
    small = F.avg_pool2d(picture, max(1, max(picture.shape[-2:]) // COLOR_SIDE))
    lab = rgb2lab(small[0].permute(1, 2, 0).double().numpy())
    return float(lab[..., 1:].std((0, 1)).mean())


def lattice(picture: Tensor, photo: Tensor) -> float:
    """Deviation of what narrow peaks hold in the spectrum of regions that are flat in the photo.

    Peaks are what stands above three times the median of the 9x9 frequencies around it; of waves up to `LONGEST_WAVE`.

    Args:
        picture: `(1, 3, H, W)` in [0, 1], H and W at least twice `WINDOW`.
        photo: Likewise.

    Returns:
        In pixel values; 0 where nothing repeats.
    """
    windows, wanted = (_windows(_grey(image)) for image in (picture, photo))
    spread = wanted.flatten(1).std(1)
    flat = spread.argsort()[: max(4, round(FLAT * len(spread)))]
    taper = torch.hann_window(WINDOW, periodic=False)
    taper = taper[:, None] * taper
    centred = (windows[flat] - windows[flat].mean((1, 2), keepdim=True)) * taper
    power = torch.fft.fft2(centred).abs().square().mean(0) / (taper.square().sum() * WINDOW**2)
    frequency = torch.fft.fftfreq(WINDOW)
    short = (frequency[:, None].square() + frequency.square()).sqrt() >= 1 / LONGEST_WAVE
    around = F.unfold(F.pad(power[None, None], [4] * 4, mode="circular"), 9).median(1).values.view_as(power)
    return float(((power - 3 * around).clamp(min=0) * short).sum().sqrt())


def _windows(grey: Tensor) -> Tensor:
    """Overlapping squares `(N, WINDOW, WINDOW)` of an image `(H, W)`."""
    return grey.unfold(0, WINDOW, WINDOW // 2).unfold(1, WINDOW, WINDOW // 2).flatten(0, 1)


def _grey(image: Tensor) -> Tensor:
    """`(1, 3, H, W)` as `(H, W)`."""
    return torch.einsum("bchw,c->hw", image, torch.tensor(LUMA))


def frame(pictures: Sequence[Tensor], photos: Sequence[Tensor]) -> float:
    """Distance of the border's mean colour from that next to it, over all pictures, beyond the photos' own.

    One photo may have a border of its own; what many pictures have in common is the network's.
    """
    steps = [_step(picture) - _step(photo) for picture, photo in zip(pictures, photos, strict=True)]
    return float(torch.stack(steps).mean(0).norm())


def _step(image: Tensor) -> Tensor:
    """Mean colour of the outermost `BORDER` pixels, less that of the pixels next to them, `(3,)`."""
    height, width = image.shape[-2:]
    rows = torch.minimum(torch.arange(height), torch.arange(height).flip(0))
    columns = torch.minimum(torch.arange(width), torch.arange(width).flip(0))
    inside = torch.minimum(rows[:, None], columns)  # pixels to the nearest edge
    border, next_to_it = inside < BORDER, (inside >= BORDER) & (inside < NEXT_TO_IT)
    return image[0, :, border].mean(1) - image[0, :, next_to_it].mean(1)


def direction(picture: Tensor, photo: Tensor) -> float:
    """Correlation of the orientation of picture and photo, both `(1, 3, H, W)`, where the photo has one."""
    (first, second), (wanted_first, wanted_second) = (_orientation(_grey(image)) for image in (picture, photo))
    lengths = (first.hypot(second), wanted_first.hypot(wanted_second))
    cosine = (first * wanted_first + second * wanted_second) / (lengths[0] * lengths[1]).clamp(min=1e-9)
    weight = lengths[1].sqrt()
    return float((cosine * weight).sum() / weight.sum())


def _orientation(grey: Tensor) -> tuple[Tensor, Tensor]:
    """The structure tensor's `Jxx - Jyy` and `2 Jxy`, whose angle is twice that of the strokes."""
    across = F.pad(grey[:, 1:] - grey[:, :-1], (0, 1))
    down = F.pad(grey[1:] - grey[:-1], (0, 0, 0, 1))
    side = 2 * SMOOTH + 1
    products = torch.stack([across.square() - down.square(), 2 * across * down])[None]
    for _ in range(2):
        products = F.avg_pool2d(F.pad(products, [SMOOTH] * 4, mode="replicate"), side, stride=1)
    return products[0, 0], products[0, 1]


def saturation(picture: Tensor) -> float:
    """Share of the values that are nearly 0 or 1."""
    return float(((picture < 0.01) | (picture > 0.99)).float().mean())


def judge_pictures(judge: Judge, pictures: Sequence[Tensor], photos: Sequence[Tensor]) -> list[Look]:
    """The look of each picture `(1, 3, H, W)` of a photo of the same size; all share one frame."""
    common = frame(pictures, photos)
    return [
        Look(
            *judge.style(picture),
            content=judge.content(picture, photo),
            lattice=max(0.0, lattice(picture, photo) - lattice(photo, photo)),
            frame=common,
            saturation=saturation(picture),
            direction=direction(picture, photo),
            fog=fog(picture, photo),
            color=color(picture),
        )
        for picture, photo in zip(pictures, photos, strict=True)
    ]
