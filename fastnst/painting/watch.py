"""`fastnst apply --watch`: photos are stylized as they come into folders, each once, also after a restart."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fastnst.base.errors import Interrupted, UserError
from fastnst.base.progress import progress_bar
from fastnst.images.formats import SUFFIXES
from fastnst.images.photos import resolve_photo
from fastnst.painting.apply import Studio, report_on, sweep_beside
from fastnst.painting.jobs import Job, plan
from fastnst.painting.settings import ApplySettings
from fastnst.video.formats import VIDEO_SUFFIXES

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
    tried: dict[Path, Stamp] = {}
    try:
        with progress_bar(shown=False) as progress:
            studio = Studio.of(settings, progress)
            log.info("watching %s; Ctrl-C ends", " and ".join(folders))
            while True:
                now = _stamps(folders)
                fresh = {path for path, stamp in now.items() if before.get(path) == stamp != tried.get(path)}
                before = now
                tried |= {path: now[path] for path in fresh}
                for work in studio.run(_jobs(fresh, folders, settings)):
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
    for folder in folders:
        for place, below, names in os.walk(resolve_photo(folder), followlinks=True):
            below[:] = [name for name in below if not name.startswith(".")]
            for name in names:
                if not name.startswith(".") and name.lower().endswith((*SUFFIXES, *VIDEO_SUFFIXES)):
                    try:
                        about = os.stat(path := Path(place, name))
                    except OSError:  # it is gone again
                        continue
                    found[path] = (about.st_size, about.st_mtime_ns)
    return found


def _jobs(fresh: set[Path], folders: Sequence[str], settings: ApplySettings) -> list[Job]:
    """Jobs for the files that are complete and have no result yet."""
    if not fresh:
        return []
    level = log.level
    log.setLevel(logging.ERROR)  # each time, `plan` would tell of all files that it leaves out
    try:
        jobs = plan(folders, settings)
    except UserError as error:  # the only photo is gone again, or two would become one file
        log.error("%s", error)
        return []
    finally:
        log.setLevel(level)
    sweep_beside(jobs)
    return [job for job in jobs if job.photo in fresh and not job.output.exists()]
