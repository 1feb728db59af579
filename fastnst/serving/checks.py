"""What `fastnst serve` refuses before torch is loaded.

Imports neither torch nor anything that does.
"""

import importlib.util
import socket

from fastnst.base.errors import UserError
from fastnst.networks.catalog import find_chosen, list_styles, names_in
from fastnst.serving.settings import ServeSettings

PACKAGES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
LONGEST_MIX = 500  # characters


def check(settings: ServeSettings) -> None:
    """Check packages and the style.

    Raises:
        UserError: A package is missing, or no such style is served.
    """
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"fastnst serve needs {' and '.join(missing)}: pip install 'fastnst[serve]'")
    find_chosen(settings.style)  # which says what is wrong
    if not is_served(settings.style):
        raise UserError(f"{settings.style} is not served: styles are named as in `fastnst styles`, without a folder")


def served_styles() -> dict[str, list[str]]:
    """The styles that requests may name, by the name of their file: those of `fastnst styles`."""
    found = ((path.stem, names_in(path)) for path in list_styles())
    return {name: names for name, names in found if names}


def is_served(style: str) -> bool:
    """Whether a request may ask for this style or mix: its names are on the list, whatever files there are.

    Example:
        >>> is_served("great_wave"), is_served("scream:0.6,starry_night:0.4"), is_served("../great_wave")
        (True, True, False)
    """
    known = {name for file, names in served_styles().items() for name in (file, *names)}
    terms = [term.strip().rpartition(":")[0] for term in style.split(",")] if ":" in style else [style]
    return len(style) <= LONGEST_MIX and known.issuperset(terms)


def bound(settings: ServeSettings) -> socket.socket:
    """A socket at the address, which does not listen yet.

    Raises:
        UserError: The address is taken, or is none of this machine.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, kind, protocol)
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
        except OSError:
            server.close()
            raise
    except OSError as error:
        raise UserError(f"cannot listen on {where}: {error.strerror}; --host and --port take others") from None
    return server
