"""Endpoints of teams: one that is perfect, and hostile ones that speak raw bytes."""

import base64
import gzip
import io
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import TracebackType

import numpy as np
import numpy.typing as npt
from PIL import Image

from mipseg.io.dataset import Case
from mipseg.types import BinaryMask
from tests.ports import free_port

Handler = Callable[["Endpoint", socket.socket, bytes], None]


class Endpoint:
    """A server on a free loopback port, at which nobody answers later; counts what it is sent. A context manager.

    Args:
        handler: gets the connection and the request's body; the connection is closed afterwards.
        about: answers to `GET /api`, the last one again and again; without any, that is not found.
    """

    def __init__(self, handler: Handler, *about: bytes) -> None:
        self._handler, self._about = handler, list(about)
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.url = f"http://127.0.0.1:{self.port}/predict"
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = 0

    def __enter__(self) -> "Endpoint":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the thread's accept as well
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                head, body = read_request(connection)
                if head.startswith(b"GET "):
                    connection.sendall(self._say() if head.startswith(b"GET /api ") else answer(b"", "404 Not Found"))
                    return
                self.heads.append(head)
                self.bodies.append(body)
                self._handler(self, connection, body)
            except OSError:
                pass  # the judge hung up

    def _say(self) -> bytes:
        if not self._about:
            return answer(b"{}", "404 Not Found")
        return answer(self._about.pop(0) if len(self._about) > 1 else self._about[0])


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split()[1]) for line in lines if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += receive(connection)
    return head, body


def receive(connection: socket.socket) -> bytes:
    part = connection.recv(1 << 16)
    if not part:
        raise OSError("closed")
    return part


def answer(content: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def reply(data: bytes) -> bytes:
    return json.dumps({"img": base64.b64encode(data).decode()}).encode()


def size(body: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(json.loads(body)["img"]))) as image:
        return image.size


def file_of(body: bytes) -> bytes:
    """The image's file that a request holds."""
    return base64.b64decode(json.loads(body)["img"])


def image_key(body: bytes) -> bytes:
    """The grey image that a request holds, as a key."""
    with Image.open(io.BytesIO(base64.b64decode(json.loads(body)["img"]))) as image:
        return image.convert("L").tobytes()


def sends(make: Callable[[bytes], bytes]) -> Handler:
    """A handler that answers with what `make` makes of the body."""
    return lambda _, connection, body: connection.sendall(make(body))


def perfect(cases: list[Case]) -> Handler:
    """Answers each image of `cases` with its reference mask."""
    masks = {case.image.tobytes(): reply(png(mask_of(case.mask))) for case in cases}
    return sends(lambda body: answer(masks[image_key(body)]))


def mask_of(tumour: BinaryMask) -> npt.NDArray[np.uint8]:
    return np.repeat(tumour[:, :, None].astype(np.uint8) * 255, 3, axis=2)


def empty_mask(body: bytes) -> bytes:
    width, height = size(body)
    return reply(png(np.zeros((height, width, 3), np.uint8)))


def hang(_: Endpoint, connection: socket.socket, __: bytes) -> None:
    connection.settimeout(60)
    connection.recv(1)


def drip(_: Endpoint, connection: socket.socket, __: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def flood(_: Endpoint, connection: socket.socket, __: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _part in range(1024):  # 1 GB
        connection.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")


def cut(_: Endpoint, connection: socket.socket, body: bytes) -> None:
    content = empty_mask(body)
    connection.sendall(answer(content)[: -len(content) // 2])


@cache
def gzip_bomb() -> bytes:
    """1 GB in a megabyte."""
    return gzip.compress(bytes(8 << 20)) * 128


@cache
def image_bomb() -> bytes:
    """A PNG of a few kilobytes that claims 40,000 x 40,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def constant(pixels: npt.NDArray[np.uint8]) -> Handler:
    return sends(lambda _: answer(reply(png(pixels))))


# V2 of the reliability plan, except for the one that refuses connections, which is not a server.
FAULTS: dict[str, tuple[Handler, str]] = {
    "hangs": (hang, "timeout"),
    "drips": (drip, "timeout"),
    "302": (sends(lambda _: answer(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n")), "redirect"),
    "1 GB": (flood, "reply-too-large"),
    "gzip bomb": (sends(lambda _: answer(gzip_bomb(), headers="Content-Encoding: gzip\r\n")), "reply-encoded"),
    "closes": (cut, "cut-off"),
    "500": (sends(lambda _: answer(b"{}", "500 Internal Server Error")), "http-status"),
    "not JSON": (sends(lambda _: answer(b"<html>")), "not-json"),
    "wrong shape": (constant(np.zeros((70, 90, 3), np.uint8)), "invalid-mask"),
    "grey 127": (constant(np.full((90, 70, 3), 127, np.uint8)), "invalid-mask"),
    "image bomb": (sends(lambda _: answer(reply(image_bomb()))), "image-too-large"),
}
