"""The service's addresses and answers, as an ASGI application. Knows nothing of sockets and signals."""

import asyncio
import hmac
import ipaddress
import logging
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastnst.base.errors import UserError
from fastnst.base.memory import is_out_of_memory
from fastnst.serving.checks import api_key, served_styles
from fastnst.serving.openapi import PAGE_POLICY, describe, page_of
from fastnst.serving.page import HEADERS, SITE
from fastnst.serving.painters import Busy, Painted, Painters
from fastnst.serving.settings import ServeSettings
from fastnst.serving.uploads import FORMATS, Refusal, drop_rest, read_upload, unnamed

CHUNK = 2**16  # bytes of a picture that are sent at once
GONE = 499  # logged where the client is gone before it has its answer; it is never sent
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
log = logging.getLogger("fastnst.serve")


class Service:
    """What the addresses share.

    Args:
        settings: Of the service.

    Attributes:
        draining: Whether no more requests are wanted.
        painters: The threads that paint.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.painters = Painters(settings)
        self.draining = False
        self.metrics = Metrics(self.painters)
        self._key = api_key().encode()
        self._description = describe(settings, with_key=bool(self._key))

    @property
    def has_key(self) -> bool:
        """Whether requests need a key."""
        return bool(self._key)

    @property
    def app(self) -> ASGIApp:
        """The application."""
        painting = [Route("/stylize", self.stylize, methods=["POST"]), Route("/styles", self.styles)]
        routes = [
            Route("/openapi.json", self.openapi),
            Route("/docs", self.docs),
            Route("/livez", self.live),
            Route("/readyz", self.ready),
            Route("/metrics", self.measured),
        ]
        page = StaticFiles(directory=SITE, html=True)
        handlers: Any = {
            HTTPException: _http_error,
            Refusal: self._refused,
            Busy: self._busy,
            ClientDisconnect: _hung_up,
            Exception: _bug,
        }
        app = Starlette(
            routes=[Mount("/v1", routes=painting), *routes, Mount("/", page)],
            exception_handlers=handlers,
            lifespan=self._lifespan,
        )
        return Watch(
            app, self.metrics, {*(f"/v1{route.path}" for route in painting), *(route.path for route in routes)}
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(self.painters.warm_up)
        yield
        await asyncio.to_thread(self.painters.close)

    async def stylize(self, request: Request) -> Response:
        """A photo in, its stylized image out."""
        self._check_key(request)
        client = client_of(request.scope)
        self.painters.check_room(client)  # before a body is read in vain
        upload = await read_upload(request, self.settings)
        about = request.scope["fastnst"]
        about |= {"style": "a painting" if upload.painting else upload.order.style}
        try:
            work = self.painters.take(upload, client)
        except Busy:
            upload.close()
            raise
        gone = asyncio.ensure_future(_gone(request))
        done = asyncio.ensure_future(self.painters.get(work))
        try:
            await asyncio.wait((gone, done), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise ClientDisconnect
            painted = done.result()
        except TimeoutError:
            raise Refusal(504, f"the photo was not painted within {self.settings.seconds:g} s") from None
        except UserError as error:
            raise Refusal(400, unnamed(error)) from None
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            told = "there is not enough memory for the photo now: size shrinks it first"
            raise Refusal(503, told, {"retry-after": str(self.painters.seconds)}) from None
        finally:
            for task in (gone, done):
                task.cancel()
            self.painters.drop(work)
        about |= {"width": painted.size[0], "height": painted.size[1], "painting": round(painted.seconds, 3)}
        self.metrics.painting.observe(painted.seconds)
        headers = {
            "content-length": str(len(painted.data)),
            "content-disposition": f'inline; filename="stylized.{painted.format}"',
            "cache-control": "no-store",
        }
        return PictureResponse(_chunks(painted), headers=headers, media_type=FORMATS[painted.format])

    async def styles(self, request: Request) -> Response:
        """The styles that requests may name."""
        self._check_key(request)
        files = [{"file": name, "styles": styles} for name, styles in served_styles().items()]
        return JSONResponse({"default": self.settings.style, "files": files})

    async def openapi(self, _: Request) -> Response:
        """The description for programs."""
        return JSONResponse(self._description)

    async def docs(self, _: Request) -> Response:
        """The description for people."""
        return HTMLResponse(page_of(self._description), headers={"content-security-policy": PAGE_POLICY})

    async def live(self, _: Request) -> Response:
        """Whether the process answers."""
        return PlainTextResponse("alive\n")

    async def ready(self, _: Request) -> Response:
        """Whether more requests are wanted."""
        return PlainTextResponse("draining\n", 503) if self.draining else PlainTextResponse("ready\n")

    async def measured(self, _: Request) -> Response:
        """Numbers for Prometheus."""
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def _check_key(self, request: Request) -> None:
        if not self._key:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.strip().encode(), self._key):
            raise Refusal(401, "a key is needed: Authorization: Bearer KEY", {"www-authenticate": "Bearer"})

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        if error.status != 504:
            await drop_rest(request, self.settings)
        return _error(request, error.status, str(error), error.headers)

    async def _busy(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Busy)
        await drop_rest(request, self.settings)
        return _error(request, 429, str(error), {"retry-after": str(error.seconds)})


def client_of(scope: Scope) -> str:
    """Whose request it is: an address, or of IPv6 the network of its first 64 bits, all of which one client may have.

    Behind a proxy that uvicorn trusts, it is the address in `X-Forwarded-For`.

    Example:
        >>> client_of({"client": ("192.0.2.7", 4000)}), client_of({"client": ("2001:db8::1:2:3:4", 4000)})
        ('192.0.2.7', '2001:db8::/64')
        >>> client_of({"client": ("::ffff:192.0.2.7", 4000)}), client_of({"client": None})
        ('192.0.2.7', '')
    """
    text: str = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a proxy may write any text
        return text
    if address.version == 4:
        return text
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))


class PictureResponse(StreamingResponse):
    """An answer in pieces, in one task: Starlette's waits for the end of the connection in a second one.

    That one told of a coroutine that was never awaited where the server ended in the moment in which it began. It is
    not needed: the server drops what is sent to a client that is gone.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all pieces."""
        await self.stream_response(send)


async def _gone(request: Request) -> None:
    """Wait until the client is gone; its body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _chunks(painted: Painted) -> AsyncIterator[bytes]:
    """The file in pieces, each sent when the client has taken those before."""
    data = memoryview(painted.data)
    for start in range(0, len(data), CHUNK):
        yield bytes(data[start : start + CHUNK])


def _error(request: Request, status: int, message: str, headers: dict[str, str]) -> Response:
    about = request.scope["fastnst"]
    message = message.encode(errors="backslashreplace").decode()  # text of a request may hold half a character
    about |= {"error": message}
    return JSONResponse({"error": message, "request_id": about["request_id"]}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, error.detail, dict(error.headers or {}))


async def _hung_up(request: Request, _: Exception) -> Response:
    return _error(request, GONE, "the client hung up", {})


async def _bug(request: Request, _: Exception) -> Response:
    return _error(request, 500, "a fault in the service; its log says more", {})


class Metrics:
    """Numbers that Prometheus asks for."""

    def __init__(self, painters: Painters) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "fastnst_requests", "Requests, by address and status", ["address", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "fastnst_request_seconds",
            "Time from a request to the end of its answer",
            ["address"],
            registry=self.registry,
        )
        self.painting = Histogram(
            "fastnst_painting_seconds", "Time of painting, without waiting", registry=self.registry
        )
        for name, text, read in (
            ("fastnst_waiting", "Photos that wait", lambda: painters.waiting),
            ("fastnst_painting", "Photos that are painted now", lambda: painters.painting),
        ):
            Gauge(name, text, registry=self.registry).set_function(read)


class Watch:
    """Around the application: a request id, a line in the log and numbers for each request; an answer to bugs.

    Args:
        app: The application.
        metrics: Where numbers go.
        addresses: Those that there are; all others are one in the numbers.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, addresses: set[str]) -> None:
        self._app, self._metrics, self._addresses = app, metrics, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or start and stop."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 0
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["fastnst"] = about = {"request_id": request_id}
        scope["fastnst_read"] = False  # whether the whole body was read

        async def ask() -> Message:
            message = await receive()
            scope["fastnst_read"] |= not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = list(message.get("headers", ()))
                named = {name for name, _ in own}  # a page of its own kind has a policy of its own
                more = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff"), *_HEADERS]
                message = {**message, "headers": own + [each for each in more if each[0] not in named]}
            await send(message)

        try:
            await self._app(scope, ask, answer)
        except Exception:
            log.exception("a bug", extra={"about": about})  # which `_bug` has answered
        finally:
            address = scope["path"] if scope["path"] in self._addresses else "other"
            seconds = perf_counter() - started
            self._metrics.requests.labels(address, str(status)).inc()
            self._metrics.seconds.labels(address).observe(seconds)
            if address not in ("/livez", "/readyz", "/metrics"):  # which are asked for all the time
                client = (scope.get("client") or ("",))[0]
                facts = {"method": scope["method"], "path": scope["path"], "status": status, "client": client}
                log.info("request", extra={"about": {**about, **facts, "seconds": round(seconds, 3)}})
