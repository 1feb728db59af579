"""`fastnst apply --cluster`: a collection of photos, painted by the actors of a Ray cluster."""

import json
import logging
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import pyarrow.compute as pc

from fastnst.base.errors import Interrupted, UserError
from fastnst.base.files import read_whole
from fastnst.base.progress import progress_bar
from fastnst.cluster.manifest import Entry, read_manifest, with_suffix
from fastnst.cluster.places import Places, address_of
from fastnst.cluster.results import FAILED, FOLDER, Results, rows_of
from fastnst.cluster.spread import Actors, connected, spread
from fastnst.cluster.worker import Item, Make
from fastnst.images.formats import FORMATS, SUFFIXES, ImageError
from fastnst.networks.catalog import find_chosen
from fastnst.networks.style_file import load_style
from fastnst.painting.jobs import DEFAULT_SUFFIX, Job
from fastnst.painting.regions import Regions
from fastnst.painting.settings import ApplySettings
from fastnst.painting.studio import Studio, Work
from fastnst.painting.stylizer import Stylizer

EARLY = 1000  # photos, of which failures are counted as a share from the start
log = logging.getLogger("fastnst")


def paint_collection(photos: Sequence[str], settings: ApplySettings) -> int:
    """Paint what has no result yet, each photo once.

    Args:
        photos: Addresses of folders and photos, or of tables of them.
        settings: Checked by `jobs.check_cluster`.

    Returns:
        Number of photos that failed; each has a row with its error.

    Raises:
        UserError: No photo; a cluster without room; or too many failures: what is painted stays.
        Interrupted: Ctrl-C; finished results stay.
    """
    started = time.perf_counter()
    places, output = Places(), address_of(settings.output or "")
    renamed = partial(with_suffix, formats=FORMATS, format=settings.format, default=DEFAULT_SUFFIX)
    entries = read_manifest(places, photos, output, column=settings.column, suffixes=SUFFIXES, renamed=renamed)
    results = Results(places, output)
    todo, there = _missing(places, entries, results, force=settings.force)
    if len(todo) < len(entries):
        log.info("%d of %d are there already", len(entries) - len(todo), len(entries))
    failures = _paint(todo, there, results, settings, total=len(entries)) if todo else 0
    places.sweep(entry.output for entry in entries)
    if failures and failures == len(entries):
        raise ImageError(f"none of {failures} photos could be painted: {output}/{FOLDER} has their errors")
    seconds = time.perf_counter() - started
    log.info("%s: %d of %d are painted, in %.1f s", output, len(entries) - failures, len(entries), seconds)
    return failures


def _missing(
    places: Places, entries: Sequence[Entry], results: Results, *, force: bool
) -> tuple[list[Entry], set[str]]:
    """The photos without a result or without its row, and the results that are there."""
    output = {entry.output for entry in entries}
    there = set() if force else output & places.find(results.output).keys()
    known = results.known()
    good = set(known.filter(pc.not_equal(known["status"], FAILED))["path"].to_pylist())
    todo = [entry for entry in entries if not (entry.output in there and entry.path in good)]
    results.keep(rows_of(known, set(known["path"].to_pylist()) - {entry.path for entry in todo}))
    return todo, there


def _paint(todo: Sequence[Entry], there: set[str], results: Results, settings: ApplySettings, *, total: int) -> int:
    """Paint on the cluster and keep the rows; the number of failures. `total` also counts what is done already."""
    path, mix = find_chosen(settings.style)
    painter = Painter(settings, read_whole(path), mix)
    actors = Actors(settings.actors, settings.gpus, int(settings.memory * 2**30), settings.in_flight)
    done = failed = 0
    started = time.perf_counter()
    with progress_bar(shown=not settings.quiet and not settings.json) as progress:
        task = progress.add_task("painting", total=len(todo), state="")
        try:
            with connected(), closing(spread(todo, there, painter, actors, force=settings.force)) as tables:
                for rows in tables:
                    results.add(rows)
                    for row in rows.to_pylist():
                        if row["status"] == FAILED:
                            failed += 1
                            log.error("%s: %s", row["path"], row["error"])
                        if settings.json:
                            print(json.dumps(row), flush=True)
                    done += len(rows)
                    state = f"{done / (time.perf_counter() - started):.1f}/s, {failed} failed"
                    progress.update(task, completed=done, state=state)
                    if failed > settings.max_failures * max(total - len(todo) + done, min(total, EARLY)):
                        raise UserError(
                            f"stopped: {failed} photos failed, more than --max-failures "
                            f"{settings.max_failures:g} allows; {results.folder} has their errors"
                        )
        except KeyboardInterrupt:
            raise Interrupted(f"stopped: {done} of {len(todo)} are done; the same command goes on") from None
        finally:
            results.flush()
    return failed


@dataclass(frozen=True)
class Painter:
    """What is sent to each actor; called there, it gives what paints photos.

    Attributes:
        style: Content of the style file, which other machines need not have.
        mix: Weights of its styles.
    """

    settings: ApplySettings
    style: bytes
    mix: dict[str, float] | None

    def __call__(self) -> Make:
        """A studio with the style, in this process."""
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
            file.write(self.style)
            file.flush()
            style = load_style(Path(file.name))
        settings = self.settings
        stylizer = Stylizer(
            style, weights=self.mix, device=settings.device, runtime=settings.runtime, precision=settings.precision
        )
        return partial(_painted, Studio(lambda: Regions([(stylizer, None)]), settings, progress_bar(shown=False)))


class _Photo(BytesIO):
    """The content of a photo, with its name for messages."""

    def __init__(self, item: Item) -> None:
        super().__init__(item.data)
        self.name = item.path


def _painted(studio: Studio, items: Iterator[Item]) -> Iterator[Item]:
    """The items with their results, in their order; the next ones are read meanwhile."""
    begun: deque[Item] = deque()

    def works() -> Iterator[Work]:
        for item in items:
            begun.append(replace(item, data=b""))
            yield Work(Job(Path(item.path), Path(item.output)), _Photo(item), BytesIO(), error=item.error)

    for work in studio.finish(works()):
        item, data = begun.popleft(), work.target.getvalue() if isinstance(work.target, BytesIO) else b""
        yield replace(item, data=data, error=work.error, seconds=item.seconds + work.seconds)
