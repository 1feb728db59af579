"""What `fastnst serve` refuses before torch is loaded.

Imports neither torch nor anything that does.
"""

import importlib.util
import os
import socket
from contextlib import suppress

from fastnst.base.errors import UserError
from fastnst.networks.catalog import find_chosen, list_styles, names_in
from fastnst.networks.exported_formats import require
from fastnst.serving.settings import KEY, ServeSettings

PACKAGES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
LONGEST_MIX = 500  # characters
MOST_WEIGHT = 1e6  # of a style in a mix; the sum of a few hundred is still a number


def check(settings: ServeSettings) -> None:
    """Check packages, the style and the key.

    Raises:
        UserError: A package is missing, no such style is served, or the key is one that nobody can send.
    """
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"fastnst serve needs {' and '.join(missing)}: pip install 'fastnst[serve]'")
    if settings.runtime == "openvino":
        require(("openvino",), "--runtime openvino")
    if os.environ.get(KEY) and not api_key():  # to go on without a key would let in everyone
        raise UserError(f"{KEY} holds blanks only: unset it, or give a key")
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
    if style in known or ":" not in style:
        return style in known
    terms = [term.strip().rpartition(":") for term in style.split(",")]
    return len(style) <= LONGEST_MIX and all(name in known and _is_weight(weight) for name, _, weight in terms)


def _is_weight(text: str) -> bool:
    with suppress(ValueError):
        return 0 < float(text) <= MOST_WEIGHT
    return False


def api_key() -> str:
    """The key that requests need, or nothing. A file from which it comes may end with a line break."""
    return os.environ.get(KEY, "").strip()


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
