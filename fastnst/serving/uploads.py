"""A request's body, read within its limits of bytes and time, and what the request asks for.

Nothing is decoded here: of a photo only the first bytes and the header are looked at.
"""

import asyncio
import logging
import os
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, cast

from python_multipart.exceptions import FormParserError
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from fastnst.base.errors import UserError
from fastnst.images.decode import format_in, opened
from fastnst.images.formats import ImageError, PixelLimitError
from fastnst.serving.checks import MOST_WEIGHT, is_served, served_styles
from fastnst.serving.settings import ServeSettings

SPOOLED = 2**20  # bytes of a body in memory; the rest is in a temporary file without a name
LONGEST_FIELD = 1000  # bytes of a form's field
LINGER = 2.0  # seconds in which a refused body is read and dropped, so that the client gets to read the answer
ROOM_AGAIN = 10  # seconds after which a request that cannot be stored may come again
PICTURES = ("photo", "painting")  # files of a form
FORMATS = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}  # that are written
_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")
log = logging.getLogger("fastnst.serve")


class Refusal(Exception):
    """A request that is not served.

    Attributes:
        status: Of the answer, 4xx or 5xx.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


@dataclass(frozen=True)
class Order:
    """What a request asks for.

    Attributes:
        style: A name, or a mix such as `scream:0.6,starry_night:0.4`.
        strength: From 0 to 1.
        keep_colors: Whether to keep the photo's colours.
        size: Longest side in pixels to shrink to first, or None.
        format: A key of `FORMATS`, or None for that of the photo (PNG if that is not written).
        quality: Of JPEG and WebP, or None for the photo's.
    """

    style: str
    strength: float = 1.0
    keep_colors: bool = False
    size: int | None = None
    format: str | None = None
    quality: int | None = None

    @classmethod
    def of(cls, values: Mapping[str, str], *, style: str) -> "Order":
        """An order from the fields of a form or the query of an address.

        Args:
            values: Texts by name.
            style: That of a request that names none.

        Raises:
            Refusal: An unknown field, a value that cannot be used, a style that is not served.
        """
        names = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(names)):
            raise Refusal(400, f"unknown field {unknown[0]!r}; there are: {', '.join((*PICTURES, *names))}")
        order = cls(
            style=values.get("style", style).strip(),
            strength=_number(values, "strength", float, 0, 1, 1.0),
            keep_colors=_switch(values, "keep_colors"),
            size=_number(values, "size", int, 16, 100_000, None),
            format=values.get("format", "").lower().replace("jpg", "jpeg") or None,
            quality=_number(values, "quality", int, 1, 100, None),
        )
        if order.format not in (None, *FORMATS):
            raise Refusal(400, f"format is one of {', '.join(FORMATS)}, got {values['format'][:40]!r}")
        if not is_served(order.style):
            there = ", ".join(sorted({name for each in served_styles().values() for name in each}))
            mixes = f"; a mix is written name:weight,name:weight with weights above 0, up to {MOST_WEIGHT:,.0f}"
            there += mixes if ":" in order.style else ""
            raise Refusal(400, f"no style {order.style[:80]!r}; there are: {there}")
        return order


def _number(values: Mapping[str, str], name: str, kind: type, lowest: float, highest: float, default: Any) -> Any:
    text = values.get(name, "").strip()
    if not text:
        return default
    with suppress(ValueError, OverflowError):
        if lowest <= (number := kind(text)) <= highest:
            return number
    raise Refusal(400, f"{name} is a number from {lowest} to {highest}, got {text[:40]!r}")


def _switch(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in (*_ON, *_OFF):
        raise Refusal(400, f"{name} is true or false, got {text[:40]!r}")
    return text in _ON


@dataclass(frozen=True)
class Upload:
    """The files of a request, to be closed by who has them, and what it asks for.

    Attributes:
        painting: To be painted like, in place of the order's style.
    """

    photo: BinaryIO
    order: Order
    painting: BinaryIO | None = None

    def check(self, settings: ServeSettings) -> None:
        """Look at the pictures, as `check_picture`."""
        for name in PICTURES:
            if (file := getattr(self, name)) is not None:
                check_picture(file, settings, name)

    def close(self) -> None:
        """Close the files."""
        for file in (self.photo, self.painting):
            if file is not None:
                file.close()


async def read_upload(request: Request, settings: ServeSettings) -> Upload:
    """Files and order, from a form, or from a body that is the photo itself. The pictures were not looked at.

    Raises:
        Refusal: Too many bytes (413), too slow (408), not a form (415, 400), a wrong field (400), no room (503).
        ClientDisconnect: The client is gone.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        raise Refusal(415, "a form with a photo is sent as multipart/form-data; see /docs")
    files: dict[str, BinaryIO] = {}
    values: dict[str, str] = {}
    try:
        # The time is taken here, not in `_body`: a generator that waits at a `yield` would be no place to end it.
        async with asyncio.timeout(settings.upload_seconds), aclosing(_body(request, settings)) as body:
            if kind == "multipart/form-data":
                await _read_form(request, body, files, values)
            else:
                files["photo"] = cast(BinaryIO, tempfile.SpooledTemporaryFile(SPOOLED))
                async for chunk in body:
                    files["photo"].write(chunk)
        values = {**request.query_params, **values}
        if "painting" in files and "style" in values:
            raise Refusal(400, "painting and style are two styles: leave one out")
        return Upload(order=Order.of(values, style=settings.style), **files)
    except BaseException as error:
        for file in files.values():
            with suppress(OSError):  # what could not be written is tried again
                file.close()
        if isinstance(error, TimeoutError):
            raise Refusal(408, f"the request did not arrive within {settings.upload_seconds:g} s") from None
        if isinstance(error, OSError):
            log.error("a request cannot be stored in %s: %s", tempfile.gettempdir(), error)
            told = f"the request cannot be stored: {error.strerror or 'no room'}"
            raise Refusal(503, told, {"retry-after": str(ROOM_AGAIN)}) from None
        raise


async def _body(request: Request, settings: ServeSettings) -> AsyncGenerator[bytes, None]:
    """The chunks of the body, within the limit of bytes."""
    most = int(settings.max_megabytes * 1e6)
    too_much = Refusal(413, f"the request has more than {settings.max_megabytes:g} MB")
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > most:
        raise too_much if declared.isdigit() else Refusal(400, "content-length is not a number")
    seen = 0
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            seen += len(chunk)
            if seen > most:
                raise too_much
            yield chunk


async def _read_form(
    request: Request, body: AsyncIterator[bytes], files: dict[str, BinaryIO], values: dict[str, str]
) -> None:
    """Put the files `photo` and `painting` and the other fields of a form into `files` and `values`."""
    refused: list[Refusal | ClientDisconnect] = []

    async def stream() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in body:
                yield chunk
        except (Refusal, ClientDisconnect) as error:  # the parser closes its files for its own kind of error only
            refused.append(error)
            raise MultiPartException(str(error)) from None

    limits = {"max_files": len(PICTURES), "max_fields": 10, "max_part_size": LONGEST_FIELD}
    try:
        async with aclosing(stream()) as chunks:
            form = await MultiPartParser(request.headers, chunks, **limits).parse()
    except (MultiPartException, FormParserError, KeyError, UnicodeError) as error:
        if refused:
            raise refused[0] from None
        raise Refusal(400, f"not a form that can be read ({str(error)[:80]})") from None
    for name, value in form.multi_items():
        if isinstance(value, str):
            values[name] = value
        elif name in PICTURES and name not in files:
            files[name] = value.file
        else:
            await form.close()
            raise Refusal(400, f"the form has a file {name[:40]!r} too many")
    if "photo" not in files:
        raise Refusal(400, "the form has no file `photo`")


def check_picture(file: BinaryIO, settings: ServeSettings, name: str = "photo") -> None:
    """Look at a picture's first bytes and its header.

    Args:
        file: It is left at its beginning.
        settings: Of the service.
        name: Of the picture in messages.

    Raises:
        Refusal: A format that is not on the list (415), too many pixels (413), a broken header (400).
    """
    if file.seek(0, os.SEEK_END) == 0:
        raise Refusal(400, f"the {name} is empty")
    format = format_in(file)
    if format is None or format.lower() not in settings.formats:
        kind = format or "none that is known"
        raise Refusal(415, f"{name}s are {', '.join(settings.formats)}; this is {kind}")
    try:
        with opened(file, max_pixels=most_pixels(settings)):
            pass
    except PixelLimitError as error:
        raise Refusal(413, unnamed(error)) from None
    except ImageError as error:
        raise Refusal(400, unnamed(error)) from None
    finally:
        file.seek(0)


def unnamed(error: UserError) -> str:
    """What an error says of a temporary file, without its name: `None`, or a number."""
    return re.sub(r"^(None|\d+): ", "", str(error))


def most_pixels(settings: ServeSettings) -> int:
    """Pixels that a photo may have."""
    return int(settings.max_megapixels * 1e6)


async def drop_rest(request: Request, settings: ServeSettings) -> None:
    """Read and drop what still comes of a refused body, for a while, so that the answer is not lost with it."""
    if request.scope["fastnst_read"] or "expect" in request.headers:  # which a client sends that waits to be asked
        return
    left = 2 * int(settings.max_megabytes * 1e6)
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(LINGER):
            while left > 0:
                message = await request.receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
