"""What every answer must look like."""

import base64
import re
import struct

import httpx
import numpy as np

from tests.serving.images import b64, from_b64, good_png
from tests.serving.server import Server

GOOD = b64(good_png())
JSON = {"content-type": "application/json"}


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> None:
    """The one shape of an error: RFC 9457, small, with a request ID, without anything from inside."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) <= 1024
    content = answer.json()
    assert content.keys() == {"type", "title", "status", "code", "detail", "request_id"}
    assert content["status"] == status
    assert all(content[key] for key in content)
    assert re.fullmatch(r"[a-z0-9-]+", content["code"])
    assert content["request_id"] == answer.headers["x-request-id"]
    assert not re.search(r"Traceback|site-packages|\.py\b|/src/", answer.text)
    if status == 503:
        assert int(answer.headers["retry-after"]) > 0
    if code is not None:
        assert content["code"] == code


def assert_mask(answer: httpx.Response, shape: tuple[int, int]) -> None:
    """A mask: RGB PNG of 8 bits, only 0 and 255, three equal channels, the image's shape, no metadata."""
    assert answer.status_code == 200, answer.text[:300]
    assert answer.json().keys() == {"img"}
    assert answer.headers["x-request-id"]
    assert_mask_png(answer.json()["img"], shape)


def assert_mask_png(img: str, shape: tuple[int, int]) -> None:
    """See `assert_mask`; of a file in base64."""
    mask = from_b64(img)
    assert mask.dtype == np.uint8
    assert mask.shape == (*shape, 3)
    assert set(np.unique(mask)) <= {0, 255}
    assert (mask == mask[:, :, :1]).all()
    assert chunk_names(img) == {"IHDR", "IDAT", "IEND"}


def chunk_names(img: str) -> set[str]:
    """The names of a PNG's chunks."""
    data, place, names = base64.b64decode(img), 8, set()
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        names.add(name.decode())
        place += 12 + length
    assert place == len(data)
    return names


def assert_still_serves(server: Server) -> None:
    """The next good request gets its mask, and the process has not been replaced or ended."""
    assert server.process.poll() is None
    assert_mask(server.client.post("/tumor/predict", json={"img": GOOD}), (96, 80))
