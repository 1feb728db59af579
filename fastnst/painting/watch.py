"""`fastnst apply --watch`: photos are stylized as they come into folders, each once, also after a restart."""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fastnst.base.errors import Interrupted, UserError
from fastnst.base.progress import progress_bar
from fastnst.images.formats import SUFFIXES
from fastnst.images.photos import resolve_photo
from fastnst.painting.apply import report_on
from fastnst.painting.jobs import Job, plan_watched
from fastnst.painting.settings import ApplySettings
from fastnst.painting.studio import Studio
from fastnst.video.formats import VIDEO_SUFFIXES, is_partial

POLL = 1.0  # seconds; a file that has not changed for so long is complete
log = logging.getLogger("fastnst")
Stamp = tuple[int, int]  # a file's size, and when it was changed


def watch(folders: Sequence[str], settings: ApplySettings) -> None:
    """Stylize what is in the folders and what comes into them, until Ctrl-C.

    A photo whose result exists is left out, so that a restart goes on. One that fails is tried again when it changes.

    Args:
        folders: Checked by `jobs.check_watch`.
        settings: Settings of `fastnst apply`, with an output.

    Raises:
        Interrupted: Ctrl-C; finished results stay.
    """
    settings = replace(settings, skip_existing=True)
    written = failed = 0
    before: dict[Path, Stamp] = {}
    planned: dict[Path, Stamp] = {}
    told: dict[Path, str] = {}
    try:
        with progress_bar(shown=False) as progress:
            studio = Studio.of(settings, progress)
            log.info("watching %s; Ctrl-C ends", " and ".join(folders))
            while True:
                now = _stamps(folders)
                fresh = sorted(path for path, stamp in now.items() if before.get(path) == stamp != planned.get(path))
                before = now
                jobs = dict(_jobs(fresh, folders, settings, told))
                planned |= {path: now[path] for path in jobs}
                for work in studio.run(_missing(jobs.values())):
                    written, failed = written + (work.error is None), failed + (work.error is not None)
                    report_on(work, settings)  # afterwards: whoever reads it may end this at once
                    if work.error is None and not settings.json:
                        log.info("%s", work.job.output)
                time.sleep(POLL)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped: {written} are painted, {failed} failed") from None


def _stamps(folders: Sequence[str]) -> dict[Path, Stamp]:
    """Size and time of all photos and videos in the folders, by their names alone."""
    found: dict[Path, Stamp] = {}
    seen: set[str] = set()
    for folder in folders:
        for path in _files(resolve_photo(folder), seen):
            if path.name.lower().endswith((*SUFFIXES, *VIDEO_SUFFIXES)) and not is_partial(path):
                with suppress(OSError):  # it is gone again
                    about = os.stat(path)
                    found[path] = (about.st_size, about.st_mtime_ns)
    return found


def _files(folder: Path, seen: set[str]) -> Iterator[Path]:
    """Files in the folder and below that are not hidden; folders whose real path was seen are left out."""
    if not _is_new(folder, seen):
        return
    for place, folders, names in os.walk(folder, followlinks=True):
        shown = sorted(name for name in folders if not name.startswith("."))  # the same way each time
        folders[:] = [name for name in shown if _is_new(Path(place, name), seen)]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Whether the folder was not seen so far, by whichever of its paths: a link may lead back."""
    real = os.path.realpath(folder)
    new = real not in seen
    seen.add(real)
    return new


def _jobs(
    photos: Iterable[Path], folders: Sequence[str], settings: ApplySettings, told: dict[Path, str]
) -> Iterator[tuple[Path, Job | None]]:
    """The photos that can be planned, with their jobs. The others are to be tried again; each reason is told once."""
    for photo in photos:
        try:
            yield photo, plan_watched(photo, folders, settings)
            told.pop(photo, None)
        except (UserError, OSError) as error:
            if told.get(photo) != str(error):
                log.error("%s", error)
            told[photo] = str(error)


def _missing(jobs: Iterable[Job | None]) -> list[Job]:
    """The jobs that have no result yet."""
    return [job for job in jobs if job is not None and not job.output.exists()]
