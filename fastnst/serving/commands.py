"""The command `fastnst serve`."""

from typing import Annotated

from fastnst.base.commands import DONE, Flat
from fastnst.serving.settings import ServeSettings


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
