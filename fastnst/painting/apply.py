"""The work of `fastnst apply`: photo and video files, folders, standard input. Results appear whole or not at all.

torch is loaded when it is needed; see `exported.py`.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from fastnst.base.errors import Interrupted
from fastnst.base.files import pasted
from fastnst.base.progress import progress_bar, watched
from fastnst.images.formats import ImageError
from fastnst.painting.exported import may_be_quick
from fastnst.painting.jobs import STDIO, Job, plan
from fastnst.painting.settings import ApplySettings
from fastnst.painting.studio import Studio, Work
from fastnst.universal.names import find_paintings

log = logging.getLogger("fastnst")


def apply(photos: Sequence[str], settings: ApplySettings) -> int:
    """Stylize photos and videos: `plan`, then `paint`.

    Args:
        photos: Files, folders (with their subfolders), `sample:NAME`, or `-` for standard input.
        settings: Settings of `fastnst apply`.

    Returns:
        Number of photos that failed; each has a line in the log (or in the JSON).

    Raises:
        UserError: Nothing was written: no photo, no such style, or an output that must not be replaced.
        Interrupted: Ctrl-C; finished results stay.
    """
    return paint(plan(photos, settings), settings)


def paint(jobs: Sequence[Job], settings: ApplySettings) -> int:
    """Stylize the photos of the jobs and log what was written; see `apply`."""
    if not may_be_quick(settings):
        import_module("fastnst.painting.regions")  # with torch: it paints nothing, and is not in the seconds

    started = time.perf_counter()
    if settings.device not in ("auto", "cpu"):  # which are always there
        from fastnst.base.devices import choose_device

        choose_device(settings.device)
    todo = [job for job in jobs if job.error or not (settings.skip_existing and job.output.exists())]
    if len(todo) < len(jobs):
        log.info("%d of %d are there already", len(jobs) - len(todo), len(jobs))
    written: list[Path] = []
    failures = 0
    with progress_bar(shown=not settings.quiet and not settings.json) as progress:
        studio = Studio.of(settings, progress)
        try:
            for work in watched(progress, "painting", studio.run(todo), len(todo)):
                if work.error is None:
                    written.append(work.job.output)
                else:
                    failures += 1
                report_on(work, settings)
        except KeyboardInterrupt:
            done = len(written) + failures
            raise Interrupted(f"stopped: {done} of {len(todo)} are done; --skip-existing goes on") from None
    if failures and failures == len(jobs):
        raise ImageError(f"none of {failures} photos could be painted" if failures > 1 else "nothing was painted")
    if written and not settings.json:
        log.info("%s", _told(written, time.perf_counter() - started))
        if paintings := find_paintings(settings.style):
            names = [settings.style] if len(paintings) == 1 else [str(each.path) for each in paintings]
            log.info("a trained style paints better: fastnst train --style %s", " ".join(map(pasted, names)))
    return failures


def report_on(work: Work, settings: ApplySettings) -> None:
    """Log why a job failed, and print the JSON of one that is over."""
    if work.error is not None:
        log.error("%s", work.error)
    if settings.json:
        print(json.dumps(work.report()), flush=True)


def _told(written: Sequence[Path], seconds: float) -> str:
    """The written files, in one line.

    Example:
        >>> _told([Path("out/a.jpg"), Path("out/b/c.jpg")], 3.21)
        'out: 2 pictures in 3.2 s'
    """
    if written == [STDIO]:
        return f"painted in {seconds:.1f} s"
    if len(written) == 1:
        return f"{written[0]}: painted in {seconds:.1f} s"
    folder = os.path.commonpath([path.absolute().parent for path in written])
    return f"{os.path.relpath(folder)}: {len(written)} pictures in {seconds:.1f} s"
