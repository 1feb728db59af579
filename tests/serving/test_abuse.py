"""What the service does with clients that are broken, slow or mean: they get 4xx, and others are served."""

import json
import random
import re
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image


def status_of(connection: socket.socket) -> int:
    """The status of the answer, 0 if the connection was closed without one."""
    with suppress(ConnectionResetError):
        return int([*connection.recv(4096).split(b" ", 2), b"0", b"0"][1])
    return 0


def head(length: int | None, *lines: str) -> bytes:
    size = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join(["POST /v1/stylize HTTP/1.1", "Host: x", *size, *lines, "", ""]).encode()


def bomb(width: int, height: int) -> bytes:
    """A PNG file of one colour, whose size is mostly in its header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(autouse=True)
def others_are_served(server, coffee):
    """After each attack the server paints, has nothing left to do, and no more files open or on the disk."""
    server.stylize(coffee)
    before = server.open_files()
    yield
    assert server.stylize(coffee).status == 200
    deadline = time.monotonic() + 15
    while server.open_files() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.open_files() <= before + 2  # but for a connection that stays open for a while
    assert server.measured("fastnst_waiting") == server.measured("fastnst_painting") == 0
    assert not list(server.temporary.iterdir())
    assert "Traceback" not in "".join(server.lines)


def test_too_many_bytes_are_413_declared_or_not(server) -> None:
    with server.connect() as connection:
        connection.sendall(head(10**12))  # nothing is sent
        assert status_of(connection) == 413
    answer = server.stylize(b"\xff\xd8\xff" + bytes(2_000_000))
    assert answer.status == 413 and answer.error == "the request has more than 1 MB"
    assert server.form(bytes(2_000_000)).status == 413
    with server.connect() as connection:
        connection.sendall(head(None, "Transfer-Encoding: chunked"))
        with suppress(OSError):
            for _ in range(40):
                connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        assert status_of(connection) == 413


def test_a_length_that_is_none_is_refused(server) -> None:
    for length in ("-1", "ten", "1e3", "1, 2"):
        with server.connect() as connection:
            connection.sendall(head(None, f"Content-Length: {length}"))
            assert status_of(connection) == 400


def test_too_many_pixels_are_413_before_they_are_decoded(server) -> None:
    file = bomb(30_000, 30_000)
    assert len(file) < 10_100
    started = time.perf_counter()
    answer = server.stylize(file)
    assert answer.status == 413 and "30000 x 30000 are 900 megapixels" in answer.error
    assert time.perf_counter() - started < 5


def test_other_formats_are_415(server, coffee) -> None:
    photo = Image.open(BytesIO(coffee))
    for format in ("GIF", "TIFF", "BMP", "PPM", "ICO", "AVIF"):
        file = BytesIO()
        photo.save(file, format)
        answer = server.stylize(file.getvalue())
        assert answer.status == 415 and answer.error.startswith("photos are jpeg, png, webp; this is ")
    for text in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.4", b"push graphic-context", b"MZ"):
        assert server.stylize(text).status == 415
    answer = server.stylize(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert answer.status == 415 and answer.error.endswith("this is HEIF")
    assert server.stylize(b"photo=x", content_type="application/x-www-form-urlencoded").status == 415


def test_an_empty_body_and_a_broken_form_are_400(server, coffee) -> None:
    assert server.stylize(b"").status == 400
    whole = b'--edge\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + coffee
    for kind, body in (
        ("multipart/form-data", whole),
        ("multipart/form-data; boundary=", whole),
        ("multipart/form-data; boundary=other", whole),
        ("multipart/form-data; boundary=edge", b"nothing of a form"),
        ("multipart/form-data; boundary=edge", whole.replace(b"photo", b"picture") + b"\r\n--edge--\r\n"),
        ("multipart/form-data; boundary=edge", whole.replace(b"; filename=", b"; file=") + b"\r\n--edge--\r\n"),
        ("multipart/form-data; boundary=edge", (whole + b"\r\n") * 3 + b"--edge--\r\n"),
        ("multipart/form-data; boundary=edge", whole.replace(b'"; filename="a"', b"") + b"\r\n--edge--\r\n"),
    ):
        assert server.ask("/v1/stylize", body, content_type=kind).status == 400, kind


def test_a_slow_body_is_408_and_others_do_not_wait_for_it(server, coffee) -> None:
    slow = [server.connect() for _ in range(20)]
    for connection in slow:
        connection.sendall(head(5000, "Content-Type: image/jpeg") + coffee[:100])
    started = time.perf_counter()
    while time.perf_counter() - started < 1.5:
        assert server.stylize(coffee).status == 200
        for connection in slow:
            connection.sendall(b"x")
    assert [status_of(connection) for connection in slow] == [408] * 20
    assert time.perf_counter() - started < 10
    for connection in slow:
        connection.close()


def test_a_form_that_still_comes_is_400_if_it_is_refused_and_408_if_it_is_slow(server, coffee) -> None:
    part = b'--edge\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + coffee + b"\r\n"
    begin = head(100_000, "Content-Type: multipart/form-data; boundary=edge") + part
    with server.connect() as refused, server.connect() as slow:
        refused.sendall(begin + part * 2)
        slow.sendall(begin)
        assert status_of(refused) == 400 and status_of(slow) == 408


def test_clients_that_do_not_read_do_not_keep_their_connections(faulty) -> None:
    before, slow, most = faulty.open_files(), [], 59  # one below its limit
    for number in range(most):  # some answers end within what the system holds for a connection, some just above
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", faulty.port))
        last = 3_600_000 * (number + 1) // most
        close = "Connection: close\r\n" if number % 2 else ""
        get = f"GET /ort/runtime.bin HTTP/1.1\r\nHost: x\r\n{close}Range: bytes=0-{last}\r\n\r\n"
        connection.sendall(get.encode())
        slow.append(connection)
    time.sleep(0.5)  # until they are begun
    deadline = time.monotonic() + 15
    while faulty.open_files() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    for connection in slow:
        connection.close()
    assert faulty.open_files() <= before and time.monotonic() < deadline
    assert faulty.ask("/livez").status == 200


def test_the_time_of_headers_ends_with_them_also_of_a_request_that_was_sent_before_an_answer(faulty, coffee) -> None:
    file = BytesIO()
    Image.open(BytesIO(coffee)).save(file, "WEBP")  # whose answer takes longer than headers may
    with faulty.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + head(file.tell()) + file.getvalue())
        answers = b""
        while more := connection.recv(2**16):
            answers += more
    assert b"HTTP/1.1 200" in answers and b"HTTP/1.1 504" in answers
    time.sleep(1)  # until its thread is done


def test_slow_headers_end_with_the_connection(server, coffee) -> None:
    slow = [server.connect() for _ in range(20)]
    started = time.perf_counter()
    closed = False
    while not closed and time.perf_counter() - started < 10:
        assert server.stylize(coffee).status == 200
        try:
            for connection in slow:
                connection.sendall(b"X: y\r\n" if connection.getsockname()[1] % 2 else b"P")
                connection.setblocking(False)
                with suppress(BlockingIOError):
                    closed = connection.recv(1) is not None or closed
                connection.setblocking(True)
        except OSError:
            closed = True
        time.sleep(0.2)
    assert closed
    for connection in slow:
        connection.close()


def test_a_length_that_is_too_short_or_too_long_harms_nobody(server, coffee) -> None:
    with server.connect() as connection:
        connection.sendall(head(len(coffee) - 500) + coffee)  # the rest looks like another request
        assert status_of(connection) in (200, 400)
    with server.connect() as connection:
        connection.sendall(head(len(coffee) + 500) + coffee)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection) in (0, 400, 408)


def test_clients_that_hang_up_leave_nothing(server, coffee) -> None:
    for length in (0, 10, len(coffee) // 2, len(coffee)) * 15:
        with server.connect() as connection:
            connection.sendall(head(len(coffee)) + coffee[:length])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
    time.sleep(0.5)
    hung_up = [line for line in map(json.loads, list(server.lines)) if line.get("status") == 499]
    assert hung_up and {line["error"] for line in hung_up} == {"the client hung up"}


def test_as_many_connections_as_may_be_open_are_503_in_plain_text_until_one_is_closed(start, coffee) -> None:
    server = start("--connections", "3")
    count = 'fastnst_requests_total{address="/v1/stylize",status="503"}'
    with server.connect(), server.connect():
        time.sleep(0.3)  # until they are accepted
        answers = [server.stylize(coffee) for _ in range(2)]
    for answer in answers:
        assert answer.status == 503 and answer.body == b"Service Unavailable"
        assert answer.headers["content-type"].startswith("text/plain")
        assert not {"retry-after", "x-request-id"} & set(answer.headers)
    deadline = time.monotonic() + 10
    while (status := server.stylize(coffee).status) == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 200 and count not in server.ask("/metrics").body.decode()
    lines = [json.loads(line) for line in list(server.lines)]
    assert [line["message"] for line in lines if line["level"] == "warning"] == ["Exceeded concurrency limit."] * 2
    assert not [line for line in lines if line.get("status") == 503]
    told = json.loads(server.ask("/openapi.json").body)["paths"]["/v1/stylize"]["post"]["responses"]["503"]
    assert "3 connections are open" in told["description"] and "text/plain" in told["content"]


def test_a_broken_request_line_is_400(server) -> None:
    for line in (
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        bytes(200_000),
    ):
        with server.connect() as connection:
            with suppress(OSError):
                connection.sendall(line)
            assert status_of(connection) in (0, 400)
    with server.connect() as connection:
        connection.sendall(b"GET\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert b"text/plain" in answer and answer.endswith(b"\r\n\r\nInvalid HTTP request received.")


def test_damaged_files_are_answered_one_by_one(server, coffee) -> None:
    chance = random.Random(0)
    photo = Image.open(BytesIO(coffee))
    files = []
    for format in ("JPEG", "PNG", "WEBP"):
        file = BytesIO()
        photo.save(file, format)
        for _ in range(60):
            data = bytearray(file.getvalue())
            for _ in range(chance.randrange(1, 30)):
                data[chance.randrange(4, len(data))] = chance.randrange(256)
            files.append(bytes(data[: chance.randrange(8, len(data) + 1)]))
    with ThreadPoolExecutor(2) as pool:  # as many as may paint and wait
        statuses = [answer.status for answer in pool.map(server.stylize, files)]
    assert set(statuses) <= {200, 400, 413, 415} and statuses.count(400) > 60
    told = [line["error"] for line in map(json.loads, list(server.lines)) if line.get("status") == 400]
    assert not [error for error in told if re.match(r"None|\d+:", error)]


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/../../etc/passwd", "//etc/passwd"]
)
def test_no_path_leads_out(path, server) -> None:
    with server.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert status_of(connection) == 404


def test_photos_that_go_with_the_process_leave_no_lines_but_json(start, coffee) -> None:
    server = start(faults="import gc; gc.disable()")  # so that what went wrong with a photo keeps it until the end
    damaged = coffee[:20] + b"junk" + coffee[20 : len(coffee) // 2]  # libvips warns of the junk as it closes the file
    assert [server.stylize(damaged).status for _ in range(5)] == [400] * 5
    assert server.stop() == 0
    assert [json.loads(line) for line in server.lines][-1]["message"] == "stopped"


SLOW = """
import time
from fastnst.serving.painters import Painters
paint = Painters._paint
Painters._paint = lambda *args: (time.sleep(0.5), paint(*args))[1]
"""


def status_from(server, address: str, photo: bytes, *lines: str) -> int:
    """The status of the answer to a client at another address of the loopback."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60, source_address=(address, 0)) as connection:
        connection.sendall(head(len(photo), "Connection: close", *lines) + photo)
        return status_of(connection)


@pytest.mark.long
def test_a_client_of_many_requests_leaves_the_queue_to_others(start, coffee) -> None:
    server = start("--queue", "3", "--photos-per-client", "2", faults=SLOW)  # a place for each of the other two
    with ThreadPoolExecutor(14) as pool:
        many = [pool.submit(server.stylize, coffee) for _ in range(12)]
        while not server.measured("fastnst_painting"):
            time.sleep(0.01)
        others = [pool.submit(status_from, server, f"127.0.0.{number}", coffee) for number in (2, 3)]
        answers, statuses = [each.result() for each in many], [each.result() for each in others]
    assert statuses == [200, 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused and {answer.status for answer in answers} == {200, 429}
    for answer in refused:
        assert answer.error == "too many photos of one client: 2 may wait or be painted at once"
        assert int(answer.headers["retry-after"]) >= 1
    assert server.measured('fastnst_requests_total{address="/v1/stylize",status="429"}') == len(refused)
    description = json.loads(server.ask("/openapi.json").body)["paths"]["/v1/stylize"]["post"]["responses"]["429"]
    assert "2 of one client" in description["description"]
    assert [server.stylize(coffee).status for _ in range(3)] == [200] * 3  # one after another


@pytest.mark.long
def test_clients_behind_a_proxy_on_the_machine_are_told_apart(start, coffee) -> None:
    server = start("--photos-per-client", "1", faults=SLOW)

    def statuses(address: str, *named: str) -> list[int]:
        with ThreadPoolExecutor(len(named)) as pool:
            return sorted(
                pool.map(lambda name: status_from(server, address, coffee, f"X-Forwarded-For: {name}"), named)
            )

    assert statuses("127.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1") == [200] * 3
    assert 429 in statuses("127.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8::3")
    assert 429 in statuses("127.0.0.2", "192.0.2.1", "192.0.2.2", "192.0.2.3")  # which is no proxy that is trusted
