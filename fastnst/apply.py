"""Paint photo and video files: one, many, folders, standard input; each result appears whole or not at all."""

import json
import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.progress import Progress
from torch import Tensor

from fastnst.animation import paint_animation
from fastnst.config import ApplyConfig
from fastnst.devices import choose_device
from fastnst.errors import Interrupted, UserError
from fastnst.exported import LOADERS
from fastnst.images import (
    ANIMATED,
    FORMATS,
    SUFFIXES,
    ImageError,
    Picture,
    check_suffix,
    find_photos,
    format_of,
    read_picture,
    resolve_photo,
    save_picture,
)
from fastnst.levels import from_levels, to_levels
from fastnst.masks import read_mask
from fastnst.pipeline import in_threads
from fastnst.progress import progress_bar
from fastnst.steady import Steady
from fastnst.style_file import file_part
from fastnst.stylize import Stylizer, find_mix
from fastnst.video import is_partial, paint_video, suffix_for
from fastnst.video_reader import VIDEO_SUFFIXES, is_video
from fastnst.video_writer import check_container

STDIO = Path("-")
DEFAULT_SUFFIX = ".png"  # for photos in formats that are read but not written
GPU_READERS = 4  # threads that decode

log = logging.getLogger("fastnst")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """A photo and where its stylized image goes; `-` is standard input or output."""

    photo: Path
    output: Path


def apply(photos: Sequence[str], config: ApplyConfig) -> int:
    """Paint photos.

    Args:
        photos: Files, folders (with what is below them), `sample:NAME`, or `-` for standard input.
        config: See `fastnst.config`.

    Returns:
        How many of them failed; each with a line in the log (or in the JSON).

    Raises:
        ValueError: Nothing was painted: no photo, no such style, or an output that must not be written.
    """
    find_mix(config.style)  # a wrong style is the commonest mistake: say so before anything else
    choose_device(config.device)
    if config.feather is not None and config.mask is None:
        raise ImageError("--feather is the soft edge of a --mask, and there is none")
    # The last fitted mask is kept: the pictures of a video are all of one size.
    mask = lru_cache(1)(read_mask(config.mask, feather=config.feather).fitted) if config.mask else None
    if config.skip_existing and config.force:
        raise ImageError("--skip-existing and --force contradict each other: existing files are left or replaced")
    if config.tile and Path(config.style).suffix in LOADERS:
        raise ImageError(f"{config.style}: exported files paint pictures as a whole; for --tile use the style file")
    if config.tile and config.runtime == "openvino":
        raise ImageError("--tile paints with torch: leave out --runtime openvino")
    jobs = plan(photos, config)
    check(jobs, force=config.force or config.skip_existing, mask=config.mask)
    if config.format and any(is_video(job.photo) for job in jobs):
        log.warning("--format is for photos: videos have that of --output, or their own")
    todo = [job for job in jobs if not (config.skip_existing and job.output.exists())]
    if len(todo) < len(jobs):
        log.info("%d of %d are there already", len(jobs) - len(todo), len(jobs))
    num_done = failures = 0
    with progress_bar(shown=not config.quiet and not config.json) as progress:
        studio = Studio(Stylizer(config.style, device=config.device, runtime=config.runtime), config, mask, progress)
        try:
            for work in _watched(progress, "painting", studio.run(todo), len(todo)):
                num_done += 1
                if work.error is not None:
                    failures += 1
                    log.error("%s", work.error)
                if config.json:
                    print(json.dumps(work.report()), flush=True)
        except KeyboardInterrupt:
            raise Interrupted(f"stopped: {num_done} of {len(todo)} are done; --skip-existing goes on") from None
    if failures and failures == len(jobs):
        raise ImageError(f"none of {failures} photos could be painted" if failures > 1 else "nothing was painted")
    return failures


@dataclass
class Work:
    """A job on its way through the stages, with what the last one made of it.

    Attributes:
        picture: What is to be painted, then what is to be written; None of videos and animations, and when it is done.
        size: Width and height in pixels, once they are known.
        error: Why it goes no further.
        seconds: That the stages took, without waiting for each other.
    """

    job: Job
    source: Path | BytesIO
    picture: Picture | None = None
    size: tuple[int, int] | None = None
    error: str | None = None
    seconds: float = 0.0

    def report(self) -> dict[str, Any]:
        """For `--json`."""
        about: dict[str, Any] = {"photo": str(self.job.photo), "output": str(self.job.output)}
        if self.error is not None:
            about["error"] = self.error
        elif self.size is not None:
            about["width"], about["height"] = self.size
        return {**about, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Studio:
    """Reads, paints and writes; three stages, so that a photo is decoded and one encoded while one is painted.

    Attributes:
        mask: From height and width of a photo to its mask.
        told: What is to be told once.
    """

    stylizer: Stylizer
    config: ApplyConfig
    mask: Callable[[int, int], Tensor] | None
    progress: Progress
    told: list[str] = field(default_factory=list)

    def run(self, jobs: Sequence[Job]) -> Generator[Work, None, None]:
        """The work on the jobs, done or failed, in their order; few pictures are in memory at a time."""
        # A GPU paints faster than one thread decodes. Painting stays in this thread: there Ctrl-C can stop it.
        threads = 1 if self.stylizer.device.type == "cpu" else GPU_READERS
        with (
            closing(in_threads(partial(self._stage, Studio._read), map(_begun, jobs), threads=threads)) as read,
            closing(
                in_threads(
                    partial(self._stage, Studio._write), map(partial(self._stage, Studio._paint), read), complete=True
                )
            ) as done,
        ):
            yield from done

    def _stage(self, stage: Callable[["Studio", Work], None], work: Work) -> Work:
        """The work after a stage, if there was no error before."""
        if work.error is None:
            started = time.perf_counter()
            try:
                stage(self, work)
            except UserError as error:
                work.error = str(error)
            except OSError as error:
                work.error = f"{work.job.photo}: {error}"
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                size = f"{work.size[0]}x{work.size[1]} pixels" if work.size else "its pixels"
                way_out = "--size shrinks it first" if self.config.tile is None else "leave --tile out, or use --size"
                work.error = f"{work.job.photo}: {size} do not fit into memory; {way_out}"
            if work.error is not None:
                work.picture = None
            work.seconds += time.perf_counter() - started
        return work

    def _read(self, work: Work) -> None:
        if not is_video(work.job.photo):
            work.picture = read_picture(work.source, size=self.config.size)
            work.size = work.picture.levels.shape[-1], work.picture.levels.shape[-2]

    def _paint(self, work: Work) -> None:
        job, picture, size, quality = work.job, work.picture, self.config.size, self.config.quality
        if picture is None:
            look = self._moving(work)
            work.size = paint_video(job.photo, job.output, look, size=size, quality=quality, progress=self.progress)
            return
        if picture.frames > 1 and (format := self._format(job)) in ANIMATED:
            if isinstance(work.source, BytesIO):
                work.source.seek(0)
            target = BytesIO() if job.output == STDIO else job.output
            quality = quality or picture.quality or 95
            look = self._moving(work)
            paint_animation(work.source, target, look, size=size, exif=picture.exif, quality=quality, format=format)
            work.picture = None
            _flush(target)
            return
        if self.config.steady and not self.told:
            self.told.append("--steady is for videos and animations: photos are painted without")
            log.warning(self.told[0])
        if picture.frames > 1:
            log.warning("%s: only the first of %d pictures is painted", job.photo, picture.frames)
        work.picture = replace(picture, levels=self._painted(work, picture.levels))

    def _write(self, work: Work) -> None:
        if work.picture is not None:
            target = BytesIO() if work.job.output == STDIO else work.job.output
            save_picture(work.picture, target, quality=self.config.quality, format=self._format(work.job))
            work.picture = None
            _flush(target)

    def _format(self, job: Job) -> str:
        return format_of(job.output, (self.config.format or "png") if job.output == STDIO else None)

    def _moving(self, work: Work) -> Callable[[Tensor], Tensor]:
        """Paints the pictures of one video or animation."""
        if not self.config.steady:
            return partial(self._painted, work)
        steady = Steady(partial(self._painted, work, full=True))  # what stays of the photo must not be blended

        def look(photo: Tensor) -> Tensor:
            painted = steady(from_levels(photo[:, :3]), self._strength(work, photo))
            return torch.cat((to_levels(painted, photo.dtype), photo[:, 3:]), 1)

        return look

    def _painted(self, work: Work, photo: Tensor, *, full: bool = False) -> Tensor:
        """One image `(1, 3 or 4, H, W)`, whole numbers or floats, in the style; if not in full, as strong as wanted."""
        work.size = photo.shape[-1], photo.shape[-2]
        return self.stylizer.paint(
            photo,
            strength=1.0 if full else self._strength(work, photo),
            keep_colors=self.config.keep_colors,
            stroke=self.config.stroke,
            tile=self.config.tile,
            watch=lambda tiles: _watched(self.progress, work.job.photo.name, tiles, len(tiles)),
        )

    def _strength(self, work: Work, photo: Tensor) -> float | Tensor:
        if self.mask is None:
            return self.config.strength
        try:
            mask = self.mask(*photo.shape[-2:])
            return mask if self.config.strength == 1 else self.config.strength * mask
        except ImageError as error:
            raise ImageError(f"{work.job.photo}: {error}") from None


def _begun(job: Job) -> Work:
    """Standard input is read here, in the main thread, where Ctrl-C ends the wait for it."""
    return Work(job, BytesIO(sys.stdin.buffer.read()) if job.photo == STDIO else job.photo)


def _flush(target: Path | BytesIO) -> None:
    """Standard output gets its picture whole."""
    if isinstance(target, BytesIO):
        sys.stdout.buffer.write(target.getvalue())
        sys.stdout.buffer.flush()


def plan(photos: Sequence[str], config: ApplyConfig) -> list[Job]:
    """The jobs that the inputs stand for, with the names of their outputs.

    What was found in a folder and is the output of another job is no photo, so that a folder can be painted again.

    Raises:
        ValueError: No photo; or an output whose format is not known.
    """
    jobs = list(_planned(photos, config))
    named = {resolve_photo(name).resolve() for name in photos}
    places = [(job.photo.resolve(), job.output.resolve()) for job in jobs]
    made = {output for photo, output in places if output != photo}
    return [
        job
        for job, (photo, output) in zip(jobs, places, strict=True)
        if photo not in made or photo in named or output == photo
    ]


def _planned(photos: Sequence[str], config: ApplyConfig) -> Iterator[Job]:
    """One job for each file.

    Without an output, the result stands beside its photo as `photo-style.jpg` (in the current folder for samples).
    An output is a folder if it is one, or if its name has no suffix of a picture.
    """
    found = [job for name in photos for job in _find(name)]
    samples = {resolve_photo(name) for name in photos if name.startswith("sample:")}
    if not found:
        raise ImageError("no photo given: fastnst apply photo.jpg --style wave")
    if config.output == STDIO:
        if len(found) > 1 or config.json or is_video(found[0][0]):
            what = "--json" if config.json else f"{len(found)} photos" if len(found) > 1 else "a video"
            raise ImageError(f"standard output takes one stylized image and nothing else, got {what}")
        yield Job(found[0][0], STDIO)
        return
    if config.output is not None and _is_file_name(config.output):
        if len(photos) > 1 or resolve_photo(photos[0]).is_dir():
            raise ImageError(f"{config.output} is one file, but there may be several photos: give a folder")
        if is_video(found[0][0]):
            check_container(config.output)
        elif (kind := check_suffix(config.output)) != (config.format or kind).upper():
            raise ImageError(f"{config.output} and --format {config.format} contradict each other")
        yield Job(found[0][0], config.output)
        return
    style = file_part(config.style)
    for photo, relative in found:
        suffix = f".{config.format}".replace("jpeg", "jpg") if config.format else relative.suffix
        suffix = suffix if suffix.lower() in FORMATS else DEFAULT_SUFFIX
        suffix = suffix_for(photo) if is_video(photo) else suffix
        if config.output is not None:
            yield Job(photo, config.output / relative.with_suffix(suffix))
        else:
            beside = Path() if photo == STDIO or photo in samples else photo.parent
            yield Job(photo, beside / f"{relative.stem}-{style}{suffix}")


def check(jobs: Sequence[Job], *, force: bool, mask: Path | None = None) -> None:
    """Refuse, before any work, to write over photos, the mask or each other, or without `force` over existing files.

    Raises:
        ValueError: One line that names the file.
    """
    photos = {job.photo.resolve() for job in jobs if job.photo != STDIO}
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.output == STDIO:
            continue
        place = job.output.resolve()
        if place in photos:
            raise ImageError(f"{job.output} is one of the photos: choose another --output")
        if mask and place == mask.resolve():
            raise ImageError(f"{job.output} is the mask: choose another --output")
        if place in taken:
            raise ImageError(f"{taken[place]} and {job.photo} would both become {job.output}: rename one")
        if place.exists() and not force:
            raise ImageError(f"{job.output} exists: --force replaces it")
        taken[place] = job.photo


def _find(name: str) -> Iterator[tuple[Path, Path]]:
    """Photos that an input stands for, each with its path relative to that input."""
    path = resolve_photo(name)
    if name == "-":
        yield STDIO, Path("stdin.png")
    elif path.is_dir():
        photos = [photo for photo in find_photos(path, (*SUFFIXES, *VIDEO_SUFFIXES)) if not is_partial(photo)]
        if not photos:
            raise ImageError(f"no photo or video in {path} or below; looked for {', '.join(SUFFIXES)}")
        yield from ((photo, photo.relative_to(path)) for photo in photos)
    elif path.exists():
        yield path, Path(path.name)
    else:
        raise ImageError(f"{path}: no such file")


def _is_file_name(path: Path) -> bool:
    return path.suffix.lower() in {*FORMATS, *SUFFIXES, *VIDEO_SUFFIXES} and not path.is_dir()


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has a class for CUDA's memory; for the CPU's it has only words, and so have ONNX Runtime and OpenVINO."""
    words = ("allocate memory", "bad_alloc", "bad allocation")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(each in str(error) for each in words)


def _watched(progress: Progress, description: str, items: Iterable[Item], total: int) -> Iterator[Item]:
    """The items, with a line in the progress bar while they last, where there are several."""
    task = progress.add_task(description, total=total, visible=total > 1, state="")
    try:
        for item in items:
            yield item
            progress.advance(task)
    finally:
        progress.remove_task(task)
