"""What the test servers run: `python served_app.py builtin|faulty PORT`."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from mipseg.errors import ImageError
from mipseg.io.codec import encode_request
from mipseg.model.segmenter import load_segmenter
from mipseg.pipeline import segment_image
from mipseg.serving.app import create_app
from mipseg.serving.serve import serve
from mipseg.settings import Settings
from mipseg.types import Image, Mask

PRIVATE = "text-of-the-prediction-function"
SLEEP, RAISE, EXIT, NO_ARRAY, TEXT, SHAPE, GREY, CHANNELS, WRONG_INPUT_ERROR = range(1, 10)
SLEEP_S = 4.0


def faulty_image(fault: int) -> str:
    """The image, in base64, that brings about a fault."""
    image = np.full((8, 8, 3), 255, np.uint8)
    image[0, 0] -= np.uint8(fault)
    return encode_request(image)


def faulty_predict(img: Image) -> Mask:
    """Predict nothing, or fail in the way that the darkness of the first pixel chooses; white is none."""
    fault = 255 - int(img[0, 0, 0])
    if fault == SLEEP:
        time.sleep(SLEEP_S)
    if fault == RAISE:
        raise RuntimeError(PRIVATE)
    if fault == WRONG_INPUT_ERROR:
        raise ImageError(PRIVATE)
    if fault == EXIT:
        sys.exit(PRIVATE)
    mask: Any = np.zeros_like(img)
    if fault == GREY:
        mask[:] = 127
    if fault == CHANNELS:
        mask[0, 0, 0] = 255
    others: dict[int, Any] = {NO_ARRAY: [PRIVATE], TEXT: np.full(img.shape, PRIVATE), SHAPE: mask[1:]}
    result: Mask = others.get(fault, mask)
    return result


def make_app() -> FastAPI:
    """The application that `PREDICT` in the environment names."""
    settings = Settings()
    segmenter = load_segmenter(settings)
    if os.environ["PREDICT"] == "faulty":
        return create_app(faulty_predict, segmenter, settings)
    return create_app(lambda img: segment_image(img, segmenter), segmenter, settings)


if __name__ == "__main__":
    os.environ["PREDICT"] = sys.argv[1]
    here, root_path = str(Path(__file__).parent), os.environ.get("ROOT_PATH", "")
    serve("served_app:make_app", "127.0.0.1", int(sys.argv[2]), app_dir=here, root_path=root_path)
