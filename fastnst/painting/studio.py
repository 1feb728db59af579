"""`Studio`: reads, paints and writes the pictures of jobs, three at a time.

torch is loaded when it is needed; see `exported.py`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress

from fastnst.base.errors import UserError, in_words
from fastnst.base.memory import is_out_of_memory
from fastnst.base.pipeline import in_threads
from fastnst.base.progress import watched
from fastnst.images.formats import ANIMATED, ImageError, format_of
from fastnst.images.picture import Picture
from fastnst.images.read import read_picture
from fastnst.images.srgb import profile_kind
from fastnst.images.write import check_target, save_image
from fastnst.painting.exported import quick_painter
from fastnst.painting.jobs import STDIO, Job, regions_of
from fastnst.painting.settings import ApplySettings
from fastnst.universal.names import find_paintings
from fastnst.video.formats import is_video

if TYPE_CHECKING:
    from torch import Tensor

    from fastnst.painting.regions import Fitted, Regions
    from fastnst.painting.stylizer import Look
    from fastnst.universal.painter import Memory

GPU_READERS = 4  # threads that decode
log = logging.getLogger("fastnst")


@dataclass
class Work:
    """A job on its way through the stages, with the result of the last stage.

    Attributes:
        source: Where the photo is read from.
        target: Where its stylized image is written to.
        picture: The photo, then its stylized image; None for videos and animations, and when the job is finished.
        size: Width and height in pixels, once they are known.
        error: Why the job failed.
        seconds: Time in the stages, without waiting.
    """

    job: Job
    source: Path | BytesIO
    target: Path | BytesIO
    picture: Picture | None = None
    size: tuple[int, int] | None = None
    error: str | None = None
    seconds: float = 0.0

    def report(self) -> dict[str, Any]:
        """The job's JSON object for `--json`."""
        about: dict[str, Any] = {"photo": str(self.job.photo)}
        if self.job.error is None:
            about["output"] = str(self.job.output)
        if self.error is not None:
            about["error"] = self.error
        elif self.size is not None:
            about["width"], about["height"] = self.size
        return {**about, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Studio:
    """Three stages that run at once: one photo is read while another is stylized and a third is written.

    Attributes:
        load: Makes what paints every picture; called once, when it is first needed.
        quick: Paints photos without torch, and gives None for a photo that needs it; see `exported.py`.
        told: Warnings that are given once.
    """

    load: Callable[[], Regions]
    settings: ApplySettings
    progress: Progress
    quick: Callable[[Picture], Picture | None] | None = None
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: ApplySettings, progress: Progress) -> Studio:
        """A studio with the styles and masks of the settings, read now, so that a wrong one is told before any work."""
        if quick := quick_painter(settings):
            return cls(partial(_regions, settings), settings, progress, quick)
        regions = _regions(settings)
        return cls(lambda: regions, settings, progress)

    @cached_property
    def regions(self) -> Regions:
        """Paints every picture, with torch."""
        return self.load()

    def run(self, jobs: Sequence[Job]) -> Generator[Work, None, None]:
        """The finished or failed jobs, in their order; few pictures are in memory at a time."""
        return self.finish(map(_begun, jobs))

    def finish(self, works: Iterable[Work]) -> Generator[Work, None, None]:
        """The works after all stages, in their order; one with an error is left as it is."""
        # A GPU stylizes faster than one thread decodes. Stylizing stays in this thread, where Ctrl-C can stop it.
        threads = 1 if self.quick or self.regions.device.type == "cpu" else GPU_READERS
        with (
            closing(in_threads(partial(self._stage, Studio._read), works, threads=threads)) as read,
            closing(
                in_threads(
                    partial(self._stage, Studio._write), map(partial(self._stage, Studio._paint), read), complete=True
                )
            ) as done,
        ):
            yield from done

    def _stage(self, stage: Callable[[Studio, Work], None], work: Work) -> Work:
        """Run one stage, unless an earlier one failed."""
        if work.error is None:
            started = time.perf_counter()
            try:
                stage(self, work)
            except UserError as error:
                work.error = str(error)
            except OSError as error:
                work.error = f"{work.job.photo}: {in_words(error)}"
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                size = f"{work.size[0]}x{work.size[1]} pixels" if work.size else "its pixels"
                way_out = "--size shrinks it first" if self.settings.tile is None else "leave --tile out, or use --size"
                work.error = f"{work.job.photo}: {size} do not fit into memory; {way_out}"
            if work.error is not None:
                work.picture = None
            work.seconds += time.perf_counter() - started
        return work

    def _read(self, work: Work) -> None:
        if not is_video(work.job.photo):
            work.picture = read_picture(work.source, size=self.settings.size, max_pixels=self._max_pixels)
            work.size = work.picture.size[1], work.picture.size[0]

    def _paint(self, work: Work) -> None:
        job, picture, size, quality = work.job, work.picture, self.settings.size, self.settings.quality
        if picture is None:
            from fastnst.video.paint import paint_video

            look = self.moving(work)
            work.size = paint_video(
                job.photo,
                job.output,
                look,
                size=size,
                max_pixels=self._max_pixels,
                quality=quality,
                replace=self._replace,
                progress=self.progress,
            )
            return
        if picture.frames > 1 and (format := self._format(job)) in ANIMATED:
            from fastnst.painting.animation import paint_animation

            if isinstance(work.source, BytesIO):
                work.source.seek(0)
            quality = quality or picture.quality or 95
            look = self.moving(work)
            paint_animation(
                work.source,
                work.target,
                look,
                size=size,
                max_pixels=self._max_pixels,
                like=picture,
                quality=quality,
                format=format,
                replace=self._replace,
            )
            work.picture = None
            _flush(work)
            return
        if self.settings.steady and not self.told:
            self.told.append("--steady is for videos and animations: photos are painted without")
            log.warning(self.told[0])
        if picture.frames > 1:
            log.warning("%s: only the first of %d pictures is painted", job.photo, picture.frames)
        check_target(work.target, picture.image, self._format(job))
        if self.quick and (painted := self.quick(picture)):
            work.picture = painted
            return
        with _named(job):
            self.regions.shares(picture.size, 1.0)  # a mask of another shape is told before any work
        shape, strength = (1, picture.image.bands, *picture.size), float(self.settings.strength)
        parts = self.regions.parts(picture.part, shape, picture.dtype, strength=strength, **self._look(work))
        work.picture = picture.painted(parts)

    def _write(self, work: Work) -> None:
        if work.picture is not None:
            keep, profile = self.settings.profile == "keep", work.picture.profile
            if keep and profile and profile_kind(profile) != "RGB":
                log.warning("%s: its profile is not one for RGB pixels: the result is sRGB", work.job.photo)
            save_image(
                work.picture,
                work.target,
                quality=self.settings.quality,
                format=self._format(work.job),
                stylized=True,
                keep_profile=keep,
                replace=self._replace,
            )
            work.picture = None
            _flush(work)

    @property
    def _replace(self) -> bool:
        """Whether to replace a file that appeared after the check."""
        return self.settings.force

    @property
    def _max_pixels(self) -> int:
        return self.settings.max_megapixels * 1_000_000

    def _format(self, job: Job) -> str:
        return format_of(job.output, (self.settings.format or "png") if job.output == STDIO else None)

    def moving(self, work: Work) -> Callable[[Tensor], Tensor]:
        """A function that stylizes the pictures of one video or animation."""
        import torch

        from fastnst.images.levels import from_levels, to_levels
        from fastnst.images.opacity import filled
        from fastnst.video.steady import Steady

        memories = self.regions.memories()  # of paintings; a trained style ignores it
        if not self.settings.steady:
            return partial(self._painted, work, memories)
        steady = Steady(partial(self._painted, work, memories, full=True))  # what stays photo must not be blended

        def look(photo: Tensor) -> Tensor:
            with _named(work.job):
                share = self.regions.share((photo.shape[-2], photo.shape[-1]), float(self.settings.strength))
            painted = steady(filled(from_levels(photo)), share)
            return torch.cat((to_levels(painted, photo.dtype), photo[:, 3:]), 1)

        return look

    def _painted(self, work: Work, memories: list[Memory], photo: Tensor, *, full: bool = False) -> Tensor:
        """A frame `(1, 3 or 4, H, W)`, integers or floats, stylized: in full, or with strength and mask."""
        work.size = photo.shape[-1], photo.shape[-2]
        strength = 1.0 if full else float(self.settings.strength)
        with _named(work.job):
            return self.regions.paint(photo, strength=strength, full=full, memories=memories, **self._look(work))

    def _look(self, work: Work) -> Look:
        return {
            "keep_colors": self.settings.keep_colors,
            "stroke": self.settings.stroke,
            "tile": self.settings.tile,
            "alpha": self.settings.alpha,
            "watch": lambda tiles: watched(self.progress, work.job.photo.name, tiles, len(tiles)),
        }


def _regions(settings: ApplySettings) -> Regions:
    """The styles and masks of the settings."""
    from fastnst.painting.regions import Regions
    from fastnst.painting.stylizer import Stylizer

    masks = [settings.mask, *(region.mask for region in regions_of(settings))]
    fitted = [_fitted(mask, settings) if mask else None for mask in masks]
    styles = [settings.style, *(region.style for region in regions_of(settings))]
    stylizers = [
        Stylizer(
            style,
            device=settings.device,
            runtime=settings.runtime,
            precision=settings.precision,
            instant=settings.instant and bool(find_paintings(style)),
        )
        for style in styles
    ]
    return Regions(list(zip(stylizers, fitted, strict=True)))


def _fitted(mask: Path, settings: ApplySettings) -> Fitted:
    """A mask for a photo of any size. The last is kept: all pictures of a video have one size."""
    from fastnst.images.masks import read_mask

    return lru_cache(1)(read_mask(mask, feather=settings.feather).fitted)


@contextmanager
def _named(job: Job) -> Iterator[None]:
    """Say of which photo an error is."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{job.photo}: {error}") from None


def _begun(job: Job) -> Work:
    """Start a job. Standard input is read here, in the main thread, where Ctrl-C ends the wait for it."""
    source = BytesIO(sys.stdin.buffer.read()) if job.photo == STDIO else job.photo
    return Work(job, source, BytesIO() if job.output == STDIO else job.output, error=job.error)


def _flush(work: Work) -> None:
    """Write a picture for standard output, in one piece."""
    if work.job.output == STDIO and isinstance(work.target, BytesIO):
        sys.stdout.buffer.write(work.target.getvalue())
        sys.stdout.buffer.flush()
