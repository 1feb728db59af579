"""The commands `fastnst serve` and `fastnst page`."""

import logging
from typing import Annotated

from fastnst.base.commands import DONE, Flat, quieten
from fastnst.serving.settings import PageSettings, ServeSettings

log = logging.getLogger("fastnst")


def serve(*, settings: Annotated[ServeSettings, Flat] = ServeSettings()) -> int:  # noqa: B008
    """Stylize photos over HTTP: POST /v1/stylize. With FASTNST_API_KEY set, requests need that key.

    Args:
        settings: Flags.
    """
    from fastnst.serving.checks import bound, check

    check(settings)
    with bound(settings) as listener:
        from fastnst.serving.server import run

        run(settings, listener)
    return DONE


def page(*, settings: Annotated[PageSettings, Flat] = PageSettings()) -> int:  # noqa: B008
    """Write a web page that stylizes photos in the visitor's browser, for any static host.

    Args:
        settings: Flags.
    """
    from fastnst.base.files import check_folder, check_place, pasted
    from fastnst.serving.page import write_page

    quieten(settings.quiet)
    check_folder(settings.output, force=settings.force)
    check_place(settings.output / "index.html")
    files = write_page(settings.output)
    size = sum((settings.output / file).stat().st_size for file in files) / 1e6
    folder = pasted(settings.output)
    log.info("%s: %d files, %.1f MB; to see it: python -m http.server -d %s", folder, len(files), size, folder)
    return DONE
