"""Code of earlier starter kits runs unchanged: what it imports, how it calls it, and what it gets."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import matplotlib.pyplot as plt
import numpy as np
import pytest
from fastapi import FastAPI

import dtos
import example
import utils
from mipseg.checks import validate_segmentation
from mipseg.errors import ArgumentError, SegmentationError
from mipseg.metrics import dice_score

pytestmark = pytest.mark.interop
FOLDER = Path(example.__file__).parent
IMAGE = np.repeat(np.array([[0, 49, 50], [51, 200, 255]], np.uint8)[:, :, None], 3, axis=2)
MASK = np.array([[True, False, False], [False, True, False]])
# An api.py of an earlier kit, in the order of its calls.
ENDPOINT = """
from fastapi import FastAPI
from dtos import TumorPredictRequestDto, TumorPredictResponseDto
from example import get_threshold_segmentation
from utils import validate_segmentation, encode_request, decode_request

app = FastAPI()

@app.post("/predict", response_model=TumorPredictResponseDto)
def predict_endpoint(request: TumorPredictRequestDto):
    img = decode_request(request)
    segmentation = get_threshold_segmentation(img, 50)
    validate_segmentation(img, segmentation)
    return TumorPredictResponseDto(img=encode_request(segmentation))
"""


async def ask(app: FastAPI) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.post("/predict", json={"img": utils.encode_request(IMAGE)})


def test_an_earlier_endpoint_answers_as_it_did() -> None:
    import asyncio  # noqa: PLC0415

    names: dict[str, Any] = {}
    exec(ENDPOINT, names)  # noqa: S102  # what a team would have in its file
    answer = asyncio.run(ask(names["app"]))
    assert answer.status_code == 200
    mask = utils.decode_request(answer.json()["img"])
    assert mask[:, :, 0].tolist() == [[255, 255, 0], [0, 0, 0]]


def test_a_request_is_decoded_as_text_or_as_an_object_with_img() -> None:
    text = utils.encode_request(IMAGE)
    for request in (text, SimpleNamespace(img=text), dtos.TumorPredictRequestDto(img=text)):
        np.testing.assert_array_equal(utils.decode_request(request), IMAGE)
    assert dtos.TumorPredictResponseDto(img=text).model_dump() == {"img": text}


@pytest.mark.parametrize("show", [True, False])
def test_a_plot_without_a_file_prints_the_dice_and_shows_if_it_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], show: bool
) -> None:
    shown: list[list[str]] = []
    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg" if show else "agg")
    monkeypatch.setattr(plt, "show", lambda: shown.append([axes.get_title() for axes in plt.gcf().axes]))
    reference = np.repeat(MASK[:, :, None], 3, axis=2) * 255
    prediction = np.zeros_like(reference)
    prediction[0, 0] = 255
    utils.plot_prediction(IMAGE, reference, prediction)
    assert capsys.readouterr().out == "Dice Score: 0.6666666666666666\n"  # 2 * 1 / (2 + 1)
    assert shown == ([["MIP", "Reference", "Prediction", "Agreement"]] if show else [])
    plt.close("all")


def test_a_plot_with_a_file_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    utils.plot_prediction(mip=IMAGE, seg=MASK, seg_pred=MASK, file=tmp_path / "figure.png")
    assert capsys.readouterr().out == ""
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_bad_mask_fails_as_an_assertion() -> None:
    with pytest.raises(AssertionError, match="0 and 255"):
        validate_segmentation(IMAGE, IMAGE)
    assert issubclass(SegmentationError, AssertionError)


def test_dice_ignores_alpha() -> None:
    rgb = np.repeat(MASK[:, :, None], 3, axis=2) * np.uint8(255)
    rgba = np.dstack([rgb, np.full(MASK.shape, 255, np.uint8)])
    assert dice_score(rgba, rgba * 0) == 0
    assert dice_score(rgba, rgb) == dice_score(rgb, rgba) == 1
    assert dice_score(rgba, np.full_like(rgba, 255)) == pytest.approx(2 * 2 / (2 + 6))
    assert dice_score(rgba / 255, rgb) == 1  # as matplotlib reads PNGs


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK[:, :, None],
        np.repeat(MASK[:, :, None], 3, axis=2),
        MASK * np.uint8(255),
        (MASK * 255)[:, :, None],
        MASK * 255.0,
        MASK.astype(np.int64) * 255,
    ],
    ids=lambda mask: f"{mask.dtype}{mask.shape}",
)
def test_masks_of_any_kind_are_encoded_as_black_and_white(mask: Any) -> None:
    assert utils.decode_request(utils.encode_request(mask))[:, :, 0].tolist() == [[255, 0, 0], [0, 255, 0]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (MASK * np.float32(1), r"float32 of shape \(2, 3\) and goes from 0 to 1; .*: multiply it by 255$"),
        (np.full((2, 3), 0.3), "from 0.3 to 0.3; .*: multiply it by 255$"),
        (MASK * 256, "int64 .* from 0 to 256; wanted: .* whole numbers from 0 to 255"),
        (MASK * -1, "from -1 to 0; wanted"),
        (MASK * 99.5, "from 0 to 99.5; wanted"),
        (np.full((2, 3), np.nan), "from nan to nan; wanted"),
        (np.zeros((2, 3, 2), np.uint8), r"uint8 of shape \(2, 3, 2\); wanted"),
        (np.zeros((1, 2, 3, 3), np.uint8), r"shape \(1, 2, 3, 3\); wanted"),
        (np.zeros((0, 3), np.uint8), r"shape \(0, 3\); wanted"),
        (MASK.astype(object), "object of shape"),
        (None, "object of shape"),
    ],
    ids=str,
)
def test_what_would_be_encoded_wrongly_is_refused(array: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        utils.encode_request(array)


def test_predict_from_text_to_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "predict", lambda img: example.get_threshold_segmentation(img, 50))
    answer = example.predict_tumor_segmentation(utils.encode_request(IMAGE))
    assert utils.decode_request(answer)[:, :, 0].tolist() == [[255, 255, 0], [0, 0, 0]]


def test_an_image_is_cut_in_two_at_a_share_of_its_range() -> None:
    image = np.array([[10, 20, 30]], np.uint8)
    found = utils.normalize_to_binary(image, 0.4)
    assert (found.dtype.name, found.tolist()) == ("float32", [[0, 1, 1]])
    assert utils.normalize_to_binary(image).tolist() == [[0, 0, 1]]
    assert utils.normalize_to_binary(np.full((1, 2), 7)).tolist() == [[0, 0]]


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True).stdout


def test_api_has_app_host_and_port_and_builds_nothing_at_import() -> None:
    heavy = "{'fastapi', 'uvicorn', 'onnxruntime', 'example', 'matplotlib'}"
    out = run(
        f"import sys, api; print(api.HOST, api.PORT, sorted({heavy} & set(sys.modules)))\n"
        "from api import app, HOST, PORT\n"
        "print(type(app).__name__, app is api.app, '/tumor/predict' in app.openapi()['paths'], hasattr(api, 'other'))\n"
    )
    assert out == "127.0.0.1 9051 []\nFastAPI True True False\n"


@pytest.mark.long
def test_uvicorn_serves_app() -> None:
    out = run(
        "import uvicorn\nconfig = uvicorn.Config('api:app', log_config=None)\nconfig.load()\n"
        "print(type(config.loaded_app).__name__ != '')\n"
    )
    assert out == "True\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, ("127.0.0.1", 9051)), ({"HOST": "0.0.0.0", "PORT": "9052"}, ("0.0.0.0", 9052))],
    ids=["constants", "environment"],
)
def test_api_py_listens_where_host_and_port_say(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[str, int]
) -> None:
    for name in ("HOST", "PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = run(
        "import sys\nfrom mipseg.serving import serve\n"
        "serve.serve = lambda factory, host, port, **rest: print((host, port), rest['root_path'])\n"
        "sys.argv = ['api.py', '--root-path', '/x']\nimport api\napi.main()\n"
    )
    assert out == f"{expected} /x\n"


def test_the_kit_is_imported_by_the_names_that_it_had() -> None:
    source = (FOLDER / "example.py").read_text("utf-8")
    functions = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert {"predict", "get_threshold_segmentation", "predict_tumor_segmentation"} <= functions
    assert re.search(r"^def predict\(img", source, re.MULTILINE)
