import base64
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

import example
import utils
from mipseg.errors import SegmentationError
from mipseg.report import figure
from tests.ports import free_port

FOLDER = Path(example.__file__).parent
ENVIRONMENT = {**os.environ, "MIPSEG_THREADS": "1"}
IMAGE = np.repeat(np.array([[0, 49, 50], [51, 200, 255]], np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `python api.py` on a free port."""
    port = free_port()
    log = tmp_path_factory.mktemp("api") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "api.py", "--port", str(port)], cwd=FOLDER, env=ENVIRONMENT, stdout=output, stderr=output
        )
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while not answers(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield address
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.long
def test_example_predicts_a_sample_and_saves_a_figure() -> None:
    started = time.time()
    command = [sys.executable, "-W", "error", "example.py"]
    run = subprocess.run(command, cwd=FOLDER, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"\w+: Dice [01]\.\d{3}, figure in prediction\.png\n", run.stdout)
    assert example.FIGURE == FOLDER / "prediction.png"
    assert example.FIGURE.stat().st_mtime >= started - 1
    assert example.FIGURE.read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_the_endpoint_says_in_a_browser_that_it_runs(endpoint: str) -> None:
    page = httpx.get(endpoint)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Your endpoint is running" in page.text


@pytest.mark.long
@pytest.mark.parametrize("path", ["/predict", "/tumor/predict"])
def test_the_endpoint_predicts(endpoint: str, path: str) -> None:
    image = np.full((120, 90, 3), 255, np.uint8)
    image[30:90, 30:60] = 150
    answer = httpx.post(endpoint + path, json={"img": utils.encode_request(image)}, timeout=10)
    assert answer.status_code == 200
    assert list(answer.json()) == ["img"]
    np.testing.assert_array_equal(utils.decode_request(answer.json()["img"]), example.predict(image))


def test_threshold_segmentation_takes_what_is_below() -> None:
    mask = example.get_threshold_segmentation(IMAGE, 50)
    assert mask.dtype == np.uint8
    assert mask[:, :, 0].tolist() == [[255, 255, 0], [0, 0, 0]]
    utils.validate_segmentation(IMAGE, mask)


def test_utils_offers_what_it_says() -> None:
    assert utils.__all__ == [
        "decode_request",
        "dice_score",
        "encode_request",
        "normalize_to_binary",
        "plot_prediction",
        "validate_segmentation",
    ]
    assert all(callable(getattr(utils, name)) for name in utils.__all__)


def test_a_image_survives_encoding() -> None:
    text = utils.encode_request(IMAGE)
    assert Image.open(io.BytesIO(base64.b64decode(text))).mode == "RGB"
    np.testing.assert_array_equal(utils.decode_request(text), IMAGE)


@pytest.mark.parametrize(
    ("reference", "prediction", "dice"),
    [
        ([1, 1, 0, 0], [1, 0, 1, 0], 0.5),  # 2 * 1 / (2 + 2)
        ([1, 1, 1, 0], [1, 0, 0, 0], 0.5),  # 2 * 1 / (3 + 1)
        ([1, 1, 1, 1], [1, 1, 0, 0], 2 / 3),  # 2 * 2 / (4 + 2)
        ([255, 0, 0, 0], [1, 0, 0, 0], 1.0),  # whatever is not zero is tumour
        ([1, 0, 0, 0], [0, 0, 0, 1], 0.0),
        ([1, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 1.0),
    ],
)
def test_dice(reference: Any, prediction: Any, dice: float) -> None:
    assert utils.dice_score(np.reshape(reference, (2, 2)), np.reshape(prediction, (2, 2))) == pytest.approx(dice)


def test_dice_of_different_shapes_is_an_error() -> None:
    with pytest.raises(ValueError, match=re.escape("reference (2, 3), prediction (3, 2)")):
        utils.dice_score(np.zeros((2, 3)), np.zeros((3, 2)))


def test_a_mask_that_is_none_is_refused() -> None:
    with pytest.raises(SegmentationError, match="0 and 255"):
        utils.validate_segmentation(IMAGE, IMAGE)


def test_plot_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Figure] = []
    save = Figure.savefig

    def remember(self: Figure, *arguments: Any, **options: Any) -> None:
        saved.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    mip = np.full((60, 40), 230, np.uint8)
    reference, prediction = np.zeros((60, 40), bool), np.zeros((60, 40), bool)
    reference[10:30, 10:20] = True  # 200 pixels
    prediction[20:40, 10:20] = True  # 200 pixels, 100 of them in the reference
    utils.plot_prediction(mip, reference, prediction, tmp_path / "figure.png")

    image = Image.open(tmp_path / "figure.png")
    assert image.format == "PNG"
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((0, 158, 115), (213, 94, 0), (86, 180, 233)):  # in the panel and the legend
        assert (pixels == colour).all(axis=1).sum() > 500
    assert saved[0].get_suptitle() == "Dice 0.500"
    assert [axes.get_title() for axes in saved[0].axes] == ["MIP", "Reference", "Prediction", "Agreement"]
    legend = [
        (text.get_text(), to_hex(patch.get_facecolor()))
        for text, patch in zip(saved[0].legends[0].get_texts(), saved[0].legends[0].get_patches(), strict=True)
    ]
    assert legend == [("true positive", "#009e73"), ("false positive", "#d55e00"), ("false negative", "#56b4e9")]


def test_agreement_has_its_colours_in_their_places() -> None:
    reference, prediction = np.array([[1, 0, 1, 0]], bool), np.array([[1, 1, 0, 0]], bool)
    colours = figure.agreement_image(np.full((1, 4), 200, np.uint8), reference, prediction)
    assert colours.tolist() == [[[0, 158, 115], [213, 94, 0], [86, 180, 233], [228, 228, 228]]]


def test_serving_loads_no_training_framework() -> None:
    unwanted = {"torch", "monai", "lightning", "matplotlib", "scipy.stats"}
    code = f"import sys, mipseg.serving.app; print(sorted({unwanted} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
