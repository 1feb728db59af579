"""The description in the header of a style file, a predictor or a universal network, checked field by field.

A file may be a stranger's: text has no characters that command a terminal, numbers are finite. Imports neither torch
nor anything that does.
"""

import json
from collections.abc import Callable
from typing import Any

from fastnst.base.terminal import shown

LONGEST_HEADER = 2**20  # bytes, tensors' names included; a preview of eight styles takes 130 thousand
LONGEST_NAME = 300  # characters
UNIVERSAL = "universal"  # what a file is, in its header, that is no style but paints like any picture
PREDICTOR = "predictor"  # likewise, of a network and the predictor of its norms
PAINTING_SIDES = range(32, 4097)  # pixels of a painting's short side, from which a predictor predicts


def parsed(header: str) -> dict[str, Any]:
    """The description of a header.

    Raises:
        ValueError: It is no JSON, or a field is not what it should be.
    """
    try:
        info: Any = json.loads(header)
    except RecursionError:
        raise ValueError("brackets in brackets") from None
    if not isinstance(info, dict):
        raise ValueError("no object")
    return info


def check(info: dict[str, Any]) -> None:
    """Check the fields that fastnst uses; others may be anything.

    Raises:
        ValueError: A field is not what it should be; the message names it.
    """
    kind = info.get("kind")
    if kind not in (None, UNIVERSAL, PREDICTOR):
        raise ValueError("kind")
    required = {"name": _is_name, "network": _NETWORKS[kind], "styles": _list_of(_is_style)}
    for name, fits in required.items():
        if name not in info or not fits(info[name]):
            raise ValueError(name)
    for name, fits in _OPTIONAL.items():
        if name in info and not fits(info[name]):
            raise ValueError(name)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return _is_text(value) and 0 < len(value) <= LONGEST_NAME and value.splitlines() == [shown(value)]


def _is_style(value: Any) -> bool:
    return isinstance(value, dict) and _is_name(value.get("name"))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e15  # which what is no number is not


def _is_painting_side(value: Any) -> bool:
    return _is_count(value) and value in PAINTING_SIDES


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_autoencoder(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("encoder") not in ("slim", "vgg19"):
        return False
    channels = value.get("channels", [])
    return _list_of(_is_count)(channels) and len(channels) == 5 and 0 not in channels


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _object_of(*kinds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(any(fits(each) for fits in kinds) for each in value.values())


def _is_nothing(value: Any) -> bool:
    return value is None


def _any_of(*kinds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(fits(value) for fits in kinds)


_NETWORKS: dict[str | None, Callable[[Any], bool]] = {
    None: _is_object,  # compared with the tensors when they are read
    PREDICTOR: _is_object,
    UNIVERSAL: _is_autoencoder,
}
_OPTIONAL: dict[str, Callable[[Any], bool]] = {
    "steps": _is_count,
    "images": _is_count,
    "paintings": _is_count,
    "painting_side": _is_painting_side,
    "seconds": _is_number,
    "held_out": _object_of(_is_number),
    "settings": _is_object,
    "data": _is_object,
    "began_at": _any_of(_is_object, _is_nothing),
    "versions": _object_of(_is_text, _is_nothing),
    "hardware": _is_text,
    "precision": _is_text,
    "license": _is_text,
    "preview": _is_text,
}
