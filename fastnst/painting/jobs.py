"""Jobs of `fastnst apply`: the photos that the arguments stand for, and where each result goes.

Imports neither torch nor anything that does, so that bad input is answered at once.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastnst.base.errors import UserError
from fastnst.images.formats import FORMATS, SUFFIXES, ImageError, check_suffix
from fastnst.images.marks import has_mark
from fastnst.images.photos import find_photos, resolve_photo
from fastnst.networks.catalog import file_part, find_chosen, is_exported
from fastnst.painting.settings import ApplySettings
from fastnst.video.formats import (
    VIDEO_SUFFIXES,
    check_container,
    has_video_mark,
    is_partial,
    is_video,
    suffix_for,
)

STDIO = Path("-")
DEFAULT_SUFFIX = ".png"  # for photos in formats that are read but not written

log = logging.getLogger("fastnst")


@dataclass(frozen=True)
class Job:
    """A photo and where its stylized image goes; `-` is standard input or output.

    Attributes:
        error: Why the job cannot be done, if that is known beforehand.
    """

    photo: Path
    output: Path
    error: str | None = None


def plan(photos: Sequence[str], settings: ApplySettings) -> list[Job]:
    """The jobs for the inputs, each checked.

    A photo that is named twice is one job. A file in a folder that is the result of another photo there is left out, so
    that a folder can be stylized again.

    Args:
        photos: Files, folders (with their subfolders), `sample:NAME`, or `-` for standard input.
        settings: Settings of `fastnst apply`.

    Raises:
        UserError: No photo, no such style, contradictory settings, or an output that must not be replaced.
    """
    find_chosen(settings.style)  # first, because an unknown style is the most common mistake
    _check_settings(settings)
    jobs = _without_results(photos, _told_apart(_once(_planned(photos, settings))))
    _check_outputs(jobs, settings)
    if settings.format and any(is_video(job.photo) for job in jobs):
        log.warning("--format is for photos: videos have that of --output, or their own")
    return jobs


def _check_settings(settings: ApplySettings) -> None:
    if settings.feather is not None and settings.mask is None:
        raise ImageError("--feather is the soft edge of a --mask, and there is none")
    if settings.mask is not None and not settings.mask.exists():
        raise ImageError(f"{settings.mask}: no such file")
    if settings.skip_existing and settings.force:
        raise ImageError("--skip-existing and --force contradict each other: existing files are left or replaced")
    if settings.tile and is_exported(settings.style):
        raise ImageError(f"{settings.style}: exported files paint pictures as a whole; for --tile use the style file")
    if settings.tile and settings.runtime == "openvino":
        raise ImageError("--tile paints with torch: leave out --runtime openvino")


def _planned(photos: Sequence[str], settings: ApplySettings) -> Iterator[Job]:
    """One job for each file.

    Without `--output`, the result is written beside its photo as `photo-style.jpg` (in the current folder for
    samples). An output is a folder if it exists as one, or if its name has no suffix of a picture.
    """
    found = list(_find_all(photos))
    samples = {resolve_photo(name) for name in photos if name.startswith("sample:")}
    if not found:
        raise ImageError("no photo given: fastnst apply photo.jpg --style wave")
    if settings.output == STDIO:
        if len(found) > 1 or settings.json or is_video(found[0].photo):
            what = "--json" if settings.json else f"{len(found)} photos" if len(found) > 1 else "a video"
            raise ImageError(f"standard output takes one stylized image and nothing else, got {what}")
        yield replace(found[0], output=STDIO)
        return
    if settings.output is not None and _is_file_name(settings.output):
        if len(photos) > 1 or resolve_photo(photos[0]).is_dir():
            raise ImageError(f"{settings.output} is one file, but there may be several photos: give a folder")
        if is_video(found[0].photo):
            check_container(settings.output)
        elif (kind := check_suffix(settings.output)) != (settings.format or kind).upper():
            raise ImageError(f"{settings.output} and --format {settings.format} contradict each other")
        yield replace(found[0], output=settings.output)
        return
    style = file_part(settings.style)
    for job in found:
        relative, photo = job.output, job.photo
        suffix = f".{settings.format}".replace("jpeg", "jpg") if settings.format else relative.suffix
        suffix = suffix if suffix.lower() in FORMATS else DEFAULT_SUFFIX
        suffix = suffix_for(photo) if is_video(photo) else suffix
        if settings.output is not None:
            yield replace(job, output=settings.output / relative.with_suffix(suffix))
        else:
            beside = Path() if photo == STDIO or photo in samples else photo.parent
            yield replace(job, output=beside / f"{relative.stem}-{style}{suffix}")


def _find_all(names: Sequence[str]) -> Iterator[Job]:
    """The photos of all inputs; of several inputs, a bad one does not stop the others."""
    for name in names:
        try:
            yield from _find(name)
        except UserError as error:
            if len(names) == 1:
                raise
            yield Job(Path(name), Path(Path(name).name), str(error))


def _find(name: str) -> Iterator[Job]:
    """The photos of one input, each with its path relative to the input as its output."""
    path = resolve_photo(name)
    if name == "-":
        yield Job(STDIO, Path("stdin.png"))
    elif path.is_dir():
        photos = [photo for photo in find_photos(path, (*SUFFIXES, *VIDEO_SUFFIXES)) if not is_partial(photo)]
        if not photos:
            raise ImageError(f"no photo or video in {path} or below; looked for {', '.join(SUFFIXES)}")
        yield from (Job(photo, photo.relative_to(path)) for photo in photos)
    elif path.exists():
        yield Job(path, Path(path.name))
    else:
        raise ImageError(f"{path}: no such file")


def _once(jobs: Iterable[Job]) -> list[Job]:
    """The first job of each photo."""
    first: dict[Path, Job] = {}
    for job in jobs:
        first.setdefault(job.photo if job.photo == STDIO else job.photo.resolve(), job)
    return list(first.values())


def _told_apart(jobs: list[Job]) -> list[Job]:
    """Keep the photo's suffix in the name where two photos, such as `a.jpg` and `a.bmp`, would get one output."""
    count = Counter(job.output for job in jobs)

    def own(job: Job) -> Path:
        kind = job.photo.suffix.lower().removeprefix(".")
        return job.output.with_stem(f"{job.output.stem}-{kind}") if count[job.output] > 1 and kind else job.output

    return [replace(job, output=own(job)) for job in jobs]


def _without_results(photos: Sequence[str], jobs: list[Job]) -> list[Job]:
    """The jobs without photos that were found in a folder and are results of these jobs or of earlier ones.

    The name of an earlier result begins with that of a photo beside it, and its metadata say that it is stylized.
    """
    named = {resolve_photo(name).resolve() for name in photos}
    places = [(job.photo.resolve(), job.output.resolve()) for job in jobs]
    made = {output for photo, output in places if output != photo}
    stems = {(photo.parent, photo.stem) for photo, _ in places}

    def is_result(photo: Path) -> bool:
        parts = photo.stem.split("-")
        begins = ("-".join(parts[:count]) for count in range(1, len(parts)))
        if not any((photo.parent, begin) in stems for begin in begins):
            return False
        return has_video_mark(photo) if is_video(photo) else has_mark(photo)

    return [
        job
        for job, (photo, output) in zip(jobs, places, strict=True)
        if photo in named or output == photo or not (photo in made or is_result(photo))
    ]


def _check_outputs(jobs: Sequence[Job], settings: ApplySettings) -> None:
    """Refuse outputs that are photos, the mask or each other's files, or exist (without `--force`), before any work."""
    photos = {job.photo.resolve() for job in jobs if job.photo != STDIO}
    mask = settings.mask.resolve() if settings.mask else None
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.output == STDIO or job.error:
            continue
        place = job.output.resolve()
        if place in photos:
            raise ImageError(f"{job.output} is one of the photos: choose another --output")
        if place == mask:
            raise ImageError(f"{job.output} is the mask: choose another --output")
        if place in taken:
            raise ImageError(f"{taken[place]} and {job.photo} would both become {job.output}: rename one")
        if place.exists() and not (settings.force or settings.skip_existing):
            raise ImageError(f"{job.output} exists: --force replaces it")
        taken[place] = job.photo


def _is_file_name(path: Path) -> bool:
    return path.suffix.lower() in {*FORMATS, *SUFFIXES, *VIDEO_SUFFIXES} and not path.is_dir()
