"""The process of `fastnst serve`: its socket, its signals, and clients that are slow to ask or to take an answer."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fastnst.serving.app import Service
from fastnst.serving.logs import log_as_json
from fastnst.serving.settings import KEY, ServeSettings

KEEP_ALIVE = 5  # seconds in which a connection may wait for its next request
HEADERS = 10.0  # seconds in which the headers of a request have to come
DRAIN = 5  # seconds more than a photo may take
log = logging.getLogger("fastnst.serve")


class PatientProtocol(H11Protocol):
    """HTTP, but a connection is dropped whose client takes too long to send headers, or to take what it asked for.

    It is aborted: to close it would wait until the client has taken everything.
    """

    headers_within = HEADERS
    taken_within = 30.0  # what is given to the system at once, a piece of `CHUNK` bytes of a picture
    _headers: asyncio.TimerHandle | None = None
    _taken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` for whatever the client leaves, however little
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        for timer in (self._headers, self._taken):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what was written."""
        super().pause_writing()
        self._taken = self.loop.call_later(self.taken_within, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: all was taken."""
        super().resume_writing()
        if self._taken is not None:
            self._taken.cancel()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, if it was not sent before this answer."""
        before = self.cycle
        super().on_response_complete()
        if self.cycle is before:
            self._expect_request()

    def _expect_request(self) -> None:
        if self._headers is not None:
            self._headers.cancel()
        self._headers = self.loop.call_later(self.headers_within, self._abort_unless_after, self.cycle)

    def _abort_unless_after(self, before: Any) -> None:
        if self.cycle is before:
            self.transport.abort()


class Server(uvicorn.Server):
    """A server that says when it drains, and ends with exit code 0 when it was asked to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C end the server when its requests are done; a second one ends it at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the service after a second signal too; else asyncio would cancel it, with a traceback."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take no more requests."""
        log.info("draining", extra={"about": {"signal": signal.Signals(sig).name}})
        self.force_exit = self._service.draining
        self._service.draining = self.should_exit = True


def run(settings: ServeSettings, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C, and then until the requests that have begun are done.

    Args:
        settings: Of the service.
        listener: A bound socket.

    Raises:
        UserError: There is no such device, or the style cannot be painted there.
    """
    service = Service(settings)
    service.painters.load_usual()  # what is wrong with it is told as other commands tell it
    log_as_json()

    class Protocol(PatientProtocol):
        headers_within = min(HEADERS, settings.upload_seconds)
        taken_within = settings.upload_seconds

    config = uvicorn.Config(
        service.app,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.connections,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.upload_seconds + settings.seconds) + DRAIN,
    )
    host, port = listener.getsockname()[:2]
    if not service.has_key and host not in ("127.0.0.1", "::1"):
        log.warning("other machines may come in without a key: set %s", KEY)
    log.info("starting", extra={"about": {"url": f"http://{host}:{port}", "style": settings.style}})
    asyncio.run(Server(config, service).serve([listener]))
    log.info("stopped")
