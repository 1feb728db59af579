"""The process of `fastnst serve`: its socket, its signals, and clients that are slow to say what they want."""

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
DRAIN = 5  # seconds more than a photo may take
log = logging.getLogger("fastnst.serve")


class PatientProtocol(H11Protocol):
    """HTTP, but a connection on which no request has begun within `patience` seconds is closed."""

    patience = 30.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._expect_request()

    def _expect_request(self) -> None:
        before = self.cycle
        self.loop.call_later(self.patience, self._close_unless_after, before)

    def _close_unless_after(self, before: Any) -> None:
        if self.cycle is before and not self.transport.is_closing():
            self.transport.close()


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
    """
    log_as_json()
    service = Service(settings)

    class Protocol(PatientProtocol):
        patience = settings.upload_seconds

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
