"""Jobs of `fastnst apply`: the photos that the arguments stand for, and where each result goes.

Imports neither torch nor anything that does, so that bad input is answered at once.
"""

import importlib.util
import itertools
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from fastnst.base.errors import UserError
from fastnst.base.files import check_place
from fastnst.images.formats import FORMATS, SUFFIXES, ImageError, check_suffix
from fastnst.images.metadata import has_mark
from fastnst.images.photos import existing_photo, find_photos, resolve_photo
from fastnst.networks.catalog import file_part, find_chosen, is_exported
from fastnst.painting.settings import ApplySettings
from fastnst.universal.names import check_style, find_paintings, painted_name
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
    """Jobs for the inputs, each checked.

    A photo that is named twice is stylized once. Pictures in a folder that say that they are stylized are left out, so
    that a folder can be stylized again.

    Args:
        photos: Files, folders (with what is below them), `sample:NAME`, or `-` for standard input.
        settings: See the class.

    Raises:
        UserError: No photo, no such style, settings that contradict each other, or an output that must not be written.
    """
    # A wrong style is the commonest mistake: say so before anything else.
    check_style(settings.style, instant=settings.instant)
    _check_settings(settings)
    places = _once(_find_all(photos))
    found = list(places.values())
    if not found:
        raise ImageError("no photo given: fastnst apply photo.jpg --style great_wave")
    jobs = _told_apart(_with_outputs(found, settings))
    _check_outputs(jobs, settings, places.keys() - {"-"})
    if settings.format and any(is_video(job.photo) for job in jobs):
        log.warning("--format is for photos: videos have that of --output, or their own")
    return jobs


def plan_watched(photo: Path, folders: Sequence[str], settings: ApplySettings) -> Job | None:
    """The job for a photo that came into a watched folder; None for one that says that it is stylized.

    The result's name follows from the photo's path alone, so that no other photo can take it, and a restart finds it.

    Args:
        photo: In one of the folders or below.
        folders: Checked by `check_watch`, with the settings.
        settings: With an output, and `skip_existing`.

    Raises:
        UserError: An output that must not be written.
        OSError: A place that cannot be looked at.
    """
    above = os.path.commonpath([os.path.abspath(resolve_photo(folder)) for folder in folders])
    below = Path(os.path.abspath(photo)).relative_to(above)
    output = (settings.output or Path()) / _lasting_name(below, settings.format)
    job = Job(photo, output)
    _check_outputs([job], settings, {os.path.realpath(photo)})
    if output.exists():
        # Where results lie among the photos, another photo must not count as the result of this one.
        if _is_below(output, folders) and not _is_stylized(output):
            raise ImageError(f"{output} is one of the photos: choose another --output")
        return job
    return None if _is_stylized(photo) else job


def _lasting_name(path: Path, format: str | None) -> Path:
    """The path of a result, for that of a photo: no two photos have the same.

    A suffix that the result can keep is kept, any other is followed by one more. One more follows too where a kept one
    stands behind that of another picture, as `a.bmp.png` is the name of the result of `a.bmp`.

    Example:
        >>> [str(_lasting_name(Path(name), None)) for name in ("a.jpg", "a.bmp", "a.bmp.png")]
        ['a.jpg', 'a.bmp.png', 'a.bmp.png.png']
        >>> [str(_lasting_name(Path(name), "jpeg")) for name in ("a.jpg", "a.png", "a.avi")]
        ['a.jpg', 'a.png.jpg', 'a.avi.mp4']
    """
    if is_video(path):
        suffix = suffix_for(path)
    elif format is None or FORMATS.get(path.suffix.lower()) == format.upper():
        suffix = path.suffix if path.suffix.lower() in FORMATS else DEFAULT_SUFFIX
    else:
        suffix = _suffix_of(format)
    inner = Path(path.stem).suffix.lower()
    keeps = suffix == path.suffix and inner not in (*SUFFIXES, *VIDEO_SUFFIXES)
    return path if keeps else path.with_name(path.name + suffix)


def _is_below(file: Path, folders: Sequence[str]) -> bool:
    """Whether the file lies in one of the folders or below."""
    places = (os.path.realpath(resolve_photo(folder)) for folder in folders)
    return any(Path(os.path.realpath(file)).is_relative_to(place) for place in places)


class Region(NamedTuple):
    """A style, and the mask that is white where it is painted."""

    mask: Path
    style: str


def regions_of(settings: ApplySettings) -> list[Region]:
    """The regions that `--region MASK=STYLE` names; the first equals sign behind the name of a file counts.

    Raises:
        ImageError: Not written so, or there is no such mask.
    """
    found = []
    for text in settings.region:
        names = text.split("=")
        cuts = [("=".join(names[:at]), "=".join(names[at:])) for at in range(1, len(names))]
        if not cuts or not all(names):
            raise ImageError(f"a region is written mask.png=style, got {text!r}")
        mask, style = next((cut for cut in cuts if Path(cut[0]).is_file()), cuts[0])
        found.append(Region(existing_photo(mask), style))
    return found


def _check_settings(settings: ApplySettings) -> None:
    regions = regions_of(settings)
    styles = [settings.style, *(region.style for region in regions)]
    for style in styles[1:]:
        check_style(style, instant=settings.instant)
    for name in () if settings.cluster else ("column", "actors", "gpus", "memory", "in_flight", "max_failures"):
        if getattr(settings, name) != getattr(ApplySettings, name):
            raise ImageError(f"--{name.replace('_', '-')} is for --cluster, which is not asked for")
    if settings.feather is not None and settings.mask is None and not regions:
        raise ImageError("--feather is the soft edge of a --mask, and there is none")
    if settings.mask is not None and not settings.mask.exists():
        raise ImageError(f"{settings.mask}: no such file")
    if settings.skip_existing and settings.force:
        raise ImageError("--skip-existing and --force contradict each other: existing files are left or replaced")
    if settings.tile and (exported := [*filter(is_exported, styles)]):
        raise ImageError(f"{exported[0]}: exported files paint pictures as a whole; for --tile use the style file")
    if settings.instant and not any(map(find_paintings, styles)):
        raise ImageError("--instant predicts a style from a painting: --style painting.jpg")
    if settings.alpha is not None and settings.instant:
        raise ImageError("--alpha is for universal style transfer: with --instant take --strength")
    if settings.alpha is not None and not all(map(find_paintings, styles)):
        raise ImageError("--alpha is for paintings; a trained style takes --strength")
    if settings.alpha is not None and settings.strength != 1:
        raise ImageError("--alpha and --strength are two numbers for one thing: leave one out")
    if settings.runtime == "openvino" and not settings.instant and any(map(find_paintings, styles)):
        raise ImageError("--runtime openvino runs trained styles: paintings are painted by torch")
    if settings.tile and settings.runtime == "openvino":
        raise ImageError("--tile paints with torch: leave out --runtime openvino")


def check_watch(folders: Sequence[str], settings: ApplySettings) -> None:
    """Check what `--watch` needs: folders, and another folder for results."""
    check_style(settings.style)
    _check_settings(settings)
    if not folders or not all(resolve_photo(name).is_dir() for name in folders):
        raise ImageError("--watch takes folders: fastnst apply photos/ --watch -o painted/")
    if settings.output is None or settings.output == STDIO or _is_file_name(settings.output):
        raise ImageError("--watch needs a folder for results: -o painted/")
    if settings.force:
        raise ImageError("--watch paints each photo once: leave out --force")


def check_raw(photos: Sequence[str], settings: ApplySettings) -> None:
    """Check what `--frame-size` needs: standard input and output."""
    check_style(settings.style)
    _check_settings(settings)
    if list(photos) not in ([], ["-"]) or settings.output not in (None, STDIO):
        raise ImageError("--frame-size is for raw frames on standard input: fastnst apply - --frame-size 640x480 -o -")
    for name in ("size", "format", "quality", "watch", "json"):
        if getattr(settings, name):
            raise ImageError(f"--{name} and --frame-size contradict each other: frames go out as they came in")


def check_cluster(photos: Sequence[str], settings: ApplySettings) -> None:
    """Check what `--cluster` needs: its packages, a trained style, and an output."""
    for package in ("ray", "fsspec", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            raise ImageError(f"--cluster needs {package}: pip install 'fastnst[cluster]'")
    check_style(settings.style)
    _check_settings(settings)
    if find_paintings(settings.style) or is_exported(find_chosen(settings.style)[0]):
        raise ImageError(f"--cluster paints in trained styles: fastnst train --style {settings.style} makes one")
    if not photos or settings.output in (None, STDIO):
        raise ImageError("--cluster needs photos and a folder: fastnst apply s3://bucket/photos -o s3://bucket/painted")
    for name in ("mask", "region", "steady", "skip_existing"):
        if getattr(settings, name):
            why = "each start does only what is missing" if name == "skip_existing" else "it is for photos by hand"
            raise ImageError(f"--{name.replace('_', '-')} and --cluster do not go together: {why}")


class Found(NamedTuple):
    """A photo that an input stands for.

    Attributes:
        relative: Its path below that input.
        beside: The folder in which its result stands, unless an output is asked for.
        listed: Whether it was found in a folder, and not named itself.
        error: Why it is none.
    """

    photo: Path
    relative: Path
    beside: Path
    listed: bool = False
    error: str | None = None


def _find_all(names: Sequence[str]) -> Iterator[Found]:
    """The photos that the inputs stand for; of several inputs, one that is none does not stop the others."""
    for name in names:
        try:
            yield from _find(name)
        except (UserError, OSError) as error:
            if len(names) == 1:
                raise
            yield Found(Path(name), Path(name), Path(), error=str(error))


def _find(name: str) -> Iterator[Found]:
    """Photos that one input stands for.

    In a folder those that say that they are stylized are left out, unless there are no others.
    """
    path = resolve_photo(name)
    if name == "-":
        yield Found(STDIO, Path("stdin.png"), Path())
    elif path.is_dir():
        photos = [photo for photo in find_photos(path, (*SUFFIXES, *VIDEO_SUFFIXES)) if not is_partial(photo)]
        if not photos:
            raise ImageError(f"no photo or video in {path} or below; looked for {', '.join(SUFFIXES)}")
        kept = [photo for photo in photos if not _is_stylized(photo)] or photos
        if len(kept) < len(photos):
            log.info("%s: %d pictures that are stylized already are left out", path, len(photos) - len(kept))
        yield from (Found(photo, photo.relative_to(path), photo.parent, listed=True) for photo in kept)
    elif path.exists():
        yield Found(path, Path(path.name), Path() if name.startswith("sample:") else path.parent)
    else:
        raise ImageError(f"{path}: no such file")


def _is_stylized(photo: Path) -> bool:
    return (has_video_mark if is_video(photo) else has_mark)(photo)


def _once(photos: Iterable[Found]) -> dict[str, Found]:
    """The first of each photo, by its real path; standard input by `-`."""
    first: dict[str, Found] = {}
    for found in photos:
        first.setdefault("-" if found.photo == STDIO else os.path.realpath(found.photo), found)
    return first


def _with_outputs(photos: Sequence[Found], settings: ApplySettings) -> Iterator[Job]:
    """One job for each photo.

    Without an output, the result stands beside its photo as `photo-style.jpg` (in the current folder for samples).
    An output is a folder if it is one, or if its name has no suffix of a picture.
    """
    output, first = settings.output, photos[0]
    if output == STDIO:
        if len(photos) > 1 or settings.json or is_video(first.photo):
            what = "--json" if settings.json else f"{len(photos)} photos" if len(photos) > 1 else "a video"
            raise ImageError(f"standard output takes one stylized image and nothing else, got {what}")
        yield Job(first.photo, STDIO, first.error)
    elif output is not None and _is_file_name(output):
        if len(photos) > 1 or first.listed:
            raise ImageError(f"{output} is one file, but there may be several photos: give a folder")
        if is_video(first.photo):
            check_container(output)
        elif (kind := check_suffix(output)) != (settings.format or kind).upper():
            raise ImageError(f"{output} and --format {settings.format} contradict each other")
        yield Job(first.photo, output, first.error)
    else:
        if output is not None and output.suffix and not output.exists() and len(photos) == 1 and not first.listed:
            check_suffix(output)  # `out.xyz` is meant as a file
        paintings = find_paintings(settings.style)  # once: this reads the headers of all styles
        style = painted_name(paintings) if paintings else file_part(settings.style)
        for found in photos:
            yield Job(found.photo, Path() if found.error else _output_of(found, settings, style), found.error)


def _output_of(found: Found, settings: ApplySettings, style: str) -> Path:
    """The file that a photo becomes: in the folder asked for, or beside it."""
    suffix = _suffix_of(settings.format) if settings.format else found.relative.suffix
    suffix = suffix if suffix.lower() in FORMATS else DEFAULT_SUFFIX
    suffix = suffix_for(found.photo) if is_video(found.photo) else suffix
    if settings.output is not None:
        return settings.output / found.relative.with_suffix(suffix)
    return found.beside / f"{found.relative.stem}-{style}{suffix}"


def _suffix_of(format: str) -> str:
    return f".{format}".replace("jpeg", "jpg")


def _told_apart(jobs: Iterable[Job]) -> list[Job]:
    """Different names where photos would become the same file, as `a.jpg` and `a.bmp` may, or `a.jpg` of two folders.

    The photo that has the suffix of the file keeps the plain name; the others get their own suffix, or a number.
    """
    jobs = list(jobs)
    names: dict[int, Path] = {}
    taken: set[Path] = set()
    for index, job in sorted(enumerate(jobs), key=lambda each: each[1].photo.suffix != each[1].output.suffix):
        kind, stem = job.photo.suffix.lower().removeprefix("."), job.output.stem
        if job.error or job.output == STDIO:
            continue
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        own = [f"{stem}-{kind}"] if kind and job.photo.suffix != job.output.suffix else []
        places = map(job.output.with_stem, itertools.chain([stem], own, numbered))
        names[index] = next(place for place in places if place not in taken)
        taken.add(names[index])
    return [replace(job, output=names.get(index, job.output)) for index, job in enumerate(jobs)]


def _check_outputs(jobs: Sequence[Job], settings: ApplySettings, photos: Collection[str]) -> None:
    """Refuse, before any work, to overwrite photos or the mask, or without being asked to, existing files."""
    given = [settings.mask] if settings.mask else []
    masks = {os.path.realpath(mask) for mask in (*given, *(region.mask for region in regions_of(settings)))}
    taken: dict[str, Path] = {}
    folders: set[Path] = set()
    for job in jobs:
        if job.output == STDIO or job.error:
            continue
        if job.output.parent not in folders:
            folders.add(job.output.parent)
            check_place(job.output)
        place = os.path.realpath(job.output)
        if place in photos:
            raise ImageError(f"{job.output} is one of the photos: choose another --output")
        if place in masks:
            raise ImageError(f"{job.output} is the mask: choose another --output")
        if place in taken:  # by links, or on a file system that does not tell capitals apart
            raise ImageError(f"{taken[place]} and {job.photo} would both become {job.output}: rename one")
        if os.path.lexists(place) and not (settings.force or settings.skip_existing):
            also = ", --skip-existing leaves it" if len(jobs) > 1 else ""
            raise ImageError(f"{job.output} exists: --force replaces it{also}")
        taken[place] = job.photo


def _is_file_name(path: Path) -> bool:
    return path.suffix.lower() in {*FORMATS, *SUFFIXES, *VIDEO_SUFFIXES} and not path.is_dir()
