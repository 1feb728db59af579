"""moto's S3 server on loopback that refuses a share of the requests with 503, and counts what was written.

    python store.py --refused 0.02

Prints its address. `GET /_seen` answers how many requests it refused, and how often each key was written with success.
"""

import argparse
import json
import logging
import random
from collections import Counter

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REFUSAL = (
    b"<?xml version='1.0' encoding='UTF-8'?>"
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class Store:
    """A WSGI application.

    Args:
        refused: Share of the requests that are answered with 503.
    """

    def __init__(self, refused: float) -> None:
        self.refused, self.chance = refused, random.Random(0)
        self.refusals, self.written = 0, Counter()
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start):
        """Answer a request."""
        if environ["PATH_INFO"] == "/_seen":
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"refused": self.refusals, "written": self.written}).encode()]
        if self.chance.random() < self.refused:
            self.refusals += 1
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Connection", "close")])
            return [REFUSAL]

        def told(status, headers, *rest):
            if environ["REQUEST_METHOD"] == "PUT" and status.startswith("200"):
                self.written[environ["PATH_INFO"]] += 1
            return start(status, headers, *rest)

        return self.moto(environ, told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--refused", type=float, default=0.02)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, Store(parser.parse_args().refused), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
