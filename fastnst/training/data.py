"""Photos as training batches: a folder, a data set of the Hugging Face Hub, COCO or the sample photos.

Sample i of step k is a pure function of (seed, k, i), whatever the number of workers or processes and wherever
a run was interrupted; processes share the samples of a step. A crop may come in several steps, so that its content
features are computed once. Knows nothing of networks and losses.
"""

import functools
import hashlib
import itertools
import math
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fastnst.images.formats import ImageError
from fastnst.images.levels import Bytes, from_levels
from fastnst.images.read import crop_photo
from fastnst.training.sources import DataError, Photos, find_source

HELD_OUT_SHARE, HELD_OUT_MOST = 0.02, 32
SPARE = 1.25  # the short side of a decoded photo, in sizes of a crop with its margin
ZOOM = 1.3  # the largest window that becomes a crop, in crop sizes
PATIENCE = 50  # unreadable photos in a row
TOGETHER = 31  # photos that take turns until each has come `visits` times; a prime, so that each meets other styles


class Draw(NamedTuple):
    """Identifies a sample: its step if no crop came twice, its number in that step, its size without the margin."""

    step: int
    number: int
    crop: int


class PhotoBatch(NamedTuple):
    """A batch of the loader.

    Attributes:
        photos: `(B, 3, S, S)`; from the training loader an array of uint8, after the transfer to the device float32 in
            [0, 1].
        skipped: Names of unreadable photos that were replaced by others.
        draws: Identifies the samples, if they come again; equal draws are equal photos.
        first: Number of the first of the photos among those of the step.
        of_step: Number of photos of the step, over all processes; 0 if these are all.
    """

    photos: Tensor
    skipped: tuple[str, ...]
    draws: tuple[Draw, ...] = ()
    first: int = 0
    of_step: int = 0

    @property
    def photos_of_step(self) -> int:
        """Number of photos of the step, over all processes."""
        return self.of_step or len(self.photos)


class PhotoDataModule(pl.LightningDataModule):
    """Endless training batches and a few validation photos of one source.

    In a distributed run the trainer needs `use_distributed_sampler=False`: every process draws its own share.

    Args:
        source: A folder (with its subfolders), "coco", "hub:owner/name" or "hub:owner/name:split"; None for
            the sample photos of scikit-image.
        batch_size: Photos per step; several processes share them, as evenly as they divide.
        crop_size: From a step to the side of its crops in pixels; called in the main process, a few steps ahead.
        seed: At least 0; decides which photo and which crop comes when, not which photos are held out.
        workers: Processes that decode; 0 decodes in the main process.
        visits: Number of steps in which each crop comes, see `visited`.
        margin: Pixels around each crop that come with it; where the photo ends, it is mirrored.
        max_photos: Use at most so many photos of the source; by default all of a folder, 20,000 of the Hub.
        eval_size: Side of the validation photos in pixels.
        cache: Folder for the copies of Hub photos; by default `fastnst` in the user's cache folder.

    Attributes:
        start_step: The first step of the training loader; set it before the loader is iterated.
        notice: A line for the user about the source, or empty.
        remote: Whether `prepare_data` may download photos, which can take long.

    Raises:
        DataError: The source is none of these.
    """

    def __init__(
        self,
        source: str | None,
        *,
        batch_size: int,
        crop_size: Callable[[int], int],
        seed: int,
        workers: int,
        visits: int = 1,
        margin: int = 0,
        max_photos: int | None = None,
        eval_size: int = 256,
        cache: Path | None = None,
    ) -> None:
        """See the class."""
        super().__init__()
        self.start_step = 0
        self.batch_size, self.crop_size, self.seed, self.workers = batch_size, crop_size, seed, workers
        self.visits, self.margin, self.eval_size = visits, margin, eval_size
        self.source, self.notice, self._load, self.remote = find_source(source, max_photos, cache)

    def prepare_data(self) -> None:
        """Download Hub photos, once and in one process."""
        self._load()

    @functools.cached_property
    def photos(self) -> Photos:
        """All photos of the source, for training and validation."""
        return self._load()

    @functools.cached_property
    def held_out(self) -> dict[int, Bytes]:
        """The validation photos: index and `(S, S, 3)`, in a fixed order; the same whatever the seed."""
        return _hold_out(self.photos, self.eval_size, self.source)

    @functools.cached_property
    def training(self) -> list[int]:
        """Indices of the photos to train on."""
        names = self.photos.names
        kept = [i for i, name in enumerate(names) if i not in self.held_out and not _is_astronaut(name)]
        if not kept:
            raise DataError(f"{self.source}: at least two photos are needed, one of them is held out; got 1")
        return kept

    @property
    def num_photos(self) -> int:
        """Number of photos to train on."""
        return len(self.training)

    @property
    def held_out_names(self) -> tuple[str, ...]:
        """Names of the validation photos, in the order of the validation loader."""
        return tuple(self.photos.names[index] for index in self.held_out)

    def describe(self) -> dict[str, Any]:
        """Source and counts, for the style file; the hash shows whether a resumed run has the same photos."""
        names = "\n".join(self.photos.names[index] for index in self.training)
        return {
            "source": self.source,
            "photos": self.num_photos,
            "held_out": len(self.held_out),
            "names_sha256": hashlib.sha256(os.fsencode(names)).hexdigest(),
        }

    def state_dict(self) -> dict[str, Any]:
        """For Lightning's checkpoint: the step at which a resumed run starts, and its data."""
        step = self.trainer.global_step if self.trainer else self.start_step
        return {"step": step, "names_sha256": self.describe()["names_sha256"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Start at that step; a DataError if the photos are no longer the same."""
        if state_dict["names_sha256"] != self.describe()["names_sha256"]:
            raise DataError(f"{self.source}: other photos than when the run was started; put them back, or start anew")
        self.start_step = state_dict["step"]

    def first_crops(self, count: int, size: int) -> Tensor:
        """The training's first photos, `(count, 3, size, size)` in [0, 1]."""
        samples = TrainingSamples(self.photos, self.training, self.seed, self.batch_size, self.source)
        return from_levels(samples[[Draw(step, 0, size) for step in range(count)]].photos)

    def train_dataloader(self) -> DataLoader[PhotoBatch]:
        """Endless batches from `start_step` on."""
        rank, processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        samples = TrainingSamples(
            self.photos, self.training, self.seed, self.batch_size, self.source, margin=self.margin
        )
        share = range(rank * self.batch_size // processes, (rank + 1) * self.batch_size // processes)
        if self.batch_size < processes:
            raise DataError(f"{processes} processes need as many photos a step at least, got {self.batch_size}")
        known = functools.partial(visited, visits=self.visits, batch_size=self.batch_size)
        return DataLoader(
            samples,
            sampler=StepSampler(share, self.crop_size, known, start=lambda: self.start_step),
            batch_size=None,  # the sampler's items are batches already
            collate_fn=_for_the_pipe,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=_leave_signals_to_the_main_process,
        )

    def val_dataloader(self) -> DataLoader[PhotoBatch]:
        """The validation photos, up to four at once, always the same."""
        photos = [(photo, ()) for photo in self.held_out.values()]
        return DataLoader(photos, batch_size=min(4, len(photos)), collate_fn=_collate)  # type: ignore[arg-type]

    def on_before_batch_transfer(self, batch: PhotoBatch, dataloader_idx: int) -> PhotoBatch:
        """Make a tensor of the loader's array; see `_for_the_pipe`."""
        return batch._replace(photos=torch.as_tensor(batch.photos))

    def on_after_batch_transfer(self, batch: PhotoBatch, dataloader_idx: int) -> PhotoBatch:
        """Convert uint8 to [0, 1] on the device, which is a quarter of the bytes to transfer."""
        draws = tuple(batch.draws) if self.visits > 1 else ()
        return PhotoBatch(from_levels(batch.photos), tuple(batch.skipped), draws, *batch[3:])


def visited(step: int, visits: int, batch_size: int) -> int:
    """The step whose crops a step reuses if each comes `visits` times; the crops of some steps in a row take turns."""
    together = max(1, TOGETHER // batch_size)
    turns, place = divmod(step, together * visits)
    return turns * together + place % together


class StepSampler(Sampler[list[Draw]]):
    """The draws of one process, a list per step; endless, so it has no length."""

    def __init__(
        self,
        share: range,
        crop_size: Callable[[int], int],
        known: Callable[[int], int],
        *,
        start: Callable[[], int],
    ) -> None:
        """Takes the sample numbers of the process, and from steps to sides and to the steps whose crops they reuse.

        `start` is called when the iteration begins.
        """
        self.share, self.crop_size, self.known, self.start = share, crop_size, known, start

    def __iter__(self) -> Iterator[list[Draw]]:
        """Iterate from the start step."""
        for step in itertools.count(self.start()):
            crop, known = self.crop_size(step), self.known(step)
            yield [Draw(known, index, crop) for index in self.share]


class TrainingSamples(Dataset[PhotoBatch]):
    """Random crops of photos, each a pure function of the seed and its draw."""

    def __init__(
        self, photos: Photos, training: list[int], seed: int, global_batch: int, source: str, *, margin: int = 0
    ) -> None:
        """Takes the photos, the indices of those to use, and the samples per step over all processes."""
        self.photos, self.training, self.seed = photos, training, seed
        self.global_batch, self.source, self.margin = global_batch, source, margin

    def __getitem__(self, draws: list[Draw]) -> PhotoBatch:
        """The batch of several draws of one size."""
        batch = _collate([self.sample(draw) for draw in draws])
        return batch._replace(draws=tuple(draws), first=draws[0].number, of_step=self.global_batch)

    def sample(self, draw: Draw) -> tuple[Bytes, tuple[str, ...]]:
        """A crop with its margin, `(S, S, 3)`, and the names of unreadable photos that it replaces.

        Raises:
            DataError: Too many photos in a row are unreadable.
        """
        skipped: list[str] = []
        epoch, place = divmod(draw.step * self.global_batch + draw.number, len(self.training))
        order = _permutation(self.seed, epoch, len(self.training))
        for attempt in range(min(PATIENCE, len(order))):
            index = self.training[order[(place + attempt) % len(order)]]
            try:
                photo = self.photos.decode(index, round(SPARE * (draw.crop + 2 * self.margin)))
            except ImageError:
                skipped.append(self.photos.names[index])
                continue
            chance = np.random.default_rng((self.seed, 1, draw.step, draw.number)).random(4)
            return _random_crop(photo, draw.crop, self.margin, *chance), tuple(skipped)
        raise DataError(f"{self.source}: {len(skipped)} photos in a row are unreadable, the first is {skipped[0]}")


def _random_crop(photo: Bytes, crop: int, margin: int, zoom: float, across: float, down: float, flip: float) -> Bytes:
    """A square window, 1 to 1.3 crops wide where the photo allows it, placed by four numbers in [0, 1), and its margin.

    The margin lies in the photo where it can; beyond its ends the photo is mirrored. It is not enlarged for the margin:
    networks would learn from photos without fine detail.
    """
    height, width = photo.shape[:2]
    largest = min(height, width, ZOOM * crop)
    with_margin = min(height, width) * crop / (crop + 2 * margin)  # the window that leaves room for its margin
    largest = min(largest, with_margin) if with_margin >= crop else largest
    window = largest if largest < crop else crop + zoom * (largest - crop)
    around = margin * window / crop  # in pixels of the photo
    left, top = (
        place * (side - window) + (1 - 2 * place) * min(around, (side - window) / 2)
        for place, side in ((across, width), (down, height))
    )
    beyond = math.ceil(around)
    mirrored = np.pad(photo, ((beyond, beyond), (beyond, beyond), (0, 0)), "reflect") if beyond else photo
    left, top, side = left + beyond - around, top + beyond - around, window + 2 * around
    square = crop_photo(mirrored, (left, top, left + side, top + side), crop + 2 * margin)
    return square[:, ::-1] if flip < 0.5 else square


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> list[int]:
    order: list[int] = np.random.default_rng((seed, 0, epoch)).permutation(count).tolist()
    return order


def _collate(samples: Iterable[tuple[Bytes, tuple[str, ...]]]) -> PhotoBatch:
    photos, skipped = zip(*samples, strict=True)
    pixels = np.ascontiguousarray(np.stack(photos).transpose(0, 3, 1, 2))  # (B, 3, S, S)
    return PhotoBatch(torch.from_numpy(pixels), tuple(itertools.chain.from_iterable(skipped)))


def _for_the_pipe(batch: Any) -> Any:
    """A batch with an array in place of a tensor, which a worker sends through its pipe.

    A tensor would go through shared memory, of which containers have little, and a socket in a folder among the
    temporary files, which stayed there when the processes were killed.
    """
    return batch._replace(photos=batch.photos.numpy())


def _leave_signals_to_the_main_process(worker: int) -> None:
    """Move a worker out of the process group, to which Ctrl-C and often SIGTERM go: the main process ends the workers.

    SIGTERM itself must still stop a worker (PyTorch sees to that, and gives a worker one thread): multiprocessing waits
    at exit for the workers that it told to terminate.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):  # not on Windows
        os.setpgid(0, 0)


def _is_astronaut(name: str) -> bool:
    """Whether this is scikit-image's photo of Eileen Collins, which is always a validation photo."""
    return Path(name).stem.lower() == "astronaut"


def _hold_out(photos: Photos, size: int, source: str) -> dict[int, Bytes]:
    """The validation photos: 2 % of all, 1 to 32, by the hash of their names; unreadable ones do not count."""
    count = min(HELD_OUT_MOST, max(1, round(HELD_OUT_SHARE * len(photos.names))))
    hashes = [hashlib.sha256(os.fsencode(name)).digest() for name in photos.names]
    order = sorted(range(len(hashes)), key=lambda i: (not _is_astronaut(photos.names[i]), hashes[i]))
    held_out: dict[int, Bytes] = {}
    for index in order:
        if len(held_out) == count:
            break
        try:
            held_out[index] = _centre(photos.decode(index, size), size)
        except ImageError:
            continue
    if not held_out:
        raise DataError(f"{source}: none of {len(order)} photos can be read, the first is {photos.names[0]}")
    return held_out


def _centre(photo: Bytes, size: int) -> Bytes:
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return crop_photo(photo, (left, top, left + side, top + side), size)
