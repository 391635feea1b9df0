"""An endpoint of the championship on loopback, which answers what a test wants."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

Pixels = npt.NDArray[np.uint8]
Reply = tuple[int, bytes]


def masked(pixels: Pixels) -> Reply:
    """The answer that holds these pixels as the mask."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return 200, json.dumps({"img": base64.b64encode(buffer.getvalue()).decode()}).encode()


def hottest(image: Pixels) -> Reply:
    """What is black is tumour."""
    return masked(np.where(image == 0, 255, 0).astype(np.uint8))


@contextmanager
def endpoint(answer: Callable[[Pixels], Reply] = hottest) -> Iterator[str]:
    """Serve; yields the address.

    Args:
        answer: takes the image, (H, W, 3), and gives status and body.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with PillowImage.open(io.BytesIO(base64.b64decode(body["img"]))) as image:
                status, content = answer(np.asarray(image))
            self.send_response(status if self.path == "/predict" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
