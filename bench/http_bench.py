"""`make bench`: latency, throughput, memory and start-up of the service, through real HTTP, as a Markdown table.

The default model and the threshold baseline run one after the other on the same images (phantoms). Nothing else
should run meanwhile; compare numbers within one table only.
"""

import base64
import http.client
import io
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from mipseg.model.runtime import computes_in_bfloat16
from mipseg.phantom import make_phantom
from mipseg.settings import Settings, project_root

HEIGHTS = (489, 991)
CLIENTS = (1, 2, 4, 8)
SHAPES, SHAPE_REQUESTS = 200, 500
WARM_UP, LATENCY_REQUESTS, THROUGHPUT_REQUESTS = 5, 100, 80
BASELINE = "return get_threshold_segmentation(img, 50)"
MODEL = "return segment_image(img, load_segmenter())"


def phantom(height: int) -> npt.NDArray[np.uint8]:
    """A phantom of 400 x `height`."""
    return make_phantom(0, height=height).mip


def body_of(image: npt.NDArray[np.uint8]) -> bytes:
    """A request with an image."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return json.dumps({"img": base64.b64encode(buffer.getvalue()).decode()}).encode()


@contextmanager
def service(task_dir: Path) -> Iterator[tuple[int, psutil.Process, float]]:
    """Run the service; gives its port, its process, and the seconds until `/readyz`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as judge_dir:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "mipserve.server", "--no-reload", "--port", str(port)],
            env=os.environ | {"MIPSEG_API_TASK_DIR": str(task_dir), "MIPSEG_JUDGE_DIR": judge_dir},
            stderr=subprocess.DEVNULL,
        )
        try:
            while not _ready(port):
                if process.poll() is not None or time.perf_counter() - started > 60:
                    sys.exit("the service did not start")
                time.sleep(0.02)
            yield port, psutil.Process(process.pid), time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


def _ready(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def send(port: int, body: bytes, times: int) -> list[float]:
    """Send one request after the other on one connection; gives the seconds of each."""
    connection, seconds = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for _ in range(times):
        started = time.perf_counter()
        connection.request("POST", "/tumor/predict", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - started)
        if response.status != 200:
            sys.exit(f"the service answered {response.status}")
    return seconds


def throughput(port: int, body: bytes, clients: int) -> float:
    """Images per second with so many clients at once."""
    threads = [threading.Thread(target=send, args=(port, body, THROUGHPUT_REQUESTS // clients)) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THROUGHPUT_REQUESTS / (time.perf_counter() - started)


def many_shapes(port: int) -> None:
    """Send `SHAPE_REQUESTS` images of `SHAPES` shapes, from 64 pixels a side up to 2 megapixels."""
    random = np.random.default_rng(0)
    shapes: list[tuple[int, int]] = []
    while len(shapes) < SHAPES:
        height, width = (int(side) for side in np.exp(random.uniform(np.log(64), np.log(4000), 2)))
        if height * width <= Settings().max_pixels:
            shapes.append((height, width))
    image = Image.fromarray(phantom(HEIGHTS[0]))
    for number in range(SHAPE_REQUESTS):
        height, width = shapes[number % SHAPES]
        send(port, body_of(np.asarray(image.resize((width, height)))), 1)


def peak_mb(process: psutil.Process) -> float:
    """Largest resident memory so far, in MiB (Linux), else the present one."""
    status = Path(f"/proc/{process.pid}/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return float(process.memory_info().rss) / 2**20


def measure(task_dir: Path) -> dict[str, str]:
    """All rows for one `example.py`."""
    rows: dict[str, str] = {}
    with service(task_dir) as (port, process, start_up):
        rows["start-up to /readyz"] = f"{start_up:.2f} s"
        for height in HEIGHTS:
            body = body_of(phantom(height))
            send(port, body, WARM_UP)
            seconds = sorted(send(port, body, LATENCY_REQUESTS))
            p50, p99 = statistics.median(seconds), seconds[int(0.99 * len(seconds)) - 1]
            rows[f"400 x {height}, p50 / p99"] = f"{p50 * 1000:.0f} / {p99 * 1000:.0f} ms"
        for clients in CLIENTS:
            rows[f"400 x {HEIGHTS[0]}, clients at once: {clients}"] = (
                f"{throughput(port, body_of(phantom(HEIGHTS[0])), clients):.1f} images/s"
            )
        rows["peak memory, these images"] = f"{peak_mb(process):.0f} MiB"
        many_shapes(port)
        memory = f"{process.memory_info().rss / 2**20:.0f} / {peak_mb(process):.0f} MiB"
        rows[f"memory after {SHAPE_REQUESTS} images of {SHAPES} shapes up to 2 megapixels, now / peak"] = memory
    return rows


def main() -> None:
    """Measure both and print the table."""
    source = project_root() / "segmentation"
    with tempfile.TemporaryDirectory() as folder:
        for name in ("example.py", "utils.py"):
            (Path(folder) / name).write_text((source / name).read_text().replace(MODEL, BASELINE))
        if BASELINE + "\n\n" not in (Path(folder) / "example.py").read_text():
            sys.exit("example.py no longer calls the default model; restore it to compare")
        columns = {"model": measure(source), "threshold baseline": measure(Path(folder))}
    runtime = "bfloat16" if Settings().bfloat16 and computes_in_bfloat16() else "float32"
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {runtime}\n")
    print("| | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for row in columns["model"]:
        print(f"| {row} | " + " | ".join(column[row] for column in columns.values()) + " |")


if __name__ == "__main__":
    main()
