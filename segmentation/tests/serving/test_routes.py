import asyncio
import json
import math
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from mipseg import pipeline
from mipseg.model.segmenter import Segmenter, load_segmenter
from mipseg.phantom import make_phantom
from mipseg.pipeline import segment_image
from mipseg.repair import Repaired, repair
from mipseg.serving.app import create_app
from mipseg.serving.routes import Predict
from mipseg.settings import Settings
from mipseg.types import Intensity, Probability
from tests.serving.answers import GOOD, assert_mask, assert_mask_png, assert_problem
from tests.serving.images import b64, body, from_b64, good_png, save
from tests.serving.server import Server

LARGE = b64(save(make_phantom(2, height=489).mip))


def analyze(service: Server, content: dict[str, Any]) -> dict[str, Any]:
    answer = service.client.post("/tumor/analyze", json=content)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


@pytest.mark.parametrize("img", [GOOD, LARGE])
def test_both_paths_give_the_same_answer(service: Server, img: str) -> None:
    first, second = (service.client.post(path, json={"img": img}) for path in ("/predict", "/tumor/predict"))
    assert first.content == second.content
    assert first.headers["content-type"] == "application/json"
    assert_mask(first, from_b64(img).shape[:2])


def test_the_answer_is_the_segmenter_s_mask(service: Server) -> None:
    image = from_b64(LARGE)
    found = from_b64(service.client.post("/predict", json={"img": LARGE}).json()["img"])
    np.testing.assert_array_equal(found, segment_image(image, load_segmenter()))


@pytest.mark.long
@pytest.mark.hazard("H21")
def test_50_repeats_give_one_answer(service: Server) -> None:
    answers = {service.client.post("/predict", json={"img": GOOD}).content for _ in range(50)}
    assert len(answers) == 1


@pytest.mark.long
@pytest.mark.hazard("H21")
def test_answers_do_not_depend_on_what_came_before(service: Server) -> None:
    images = [b64(good_png(*shape)) for shape in [(96, 80), (1100, 90), (64, 700), (489, 400), (3, 5), (991, 400)]]
    first = [service.client.post("/predict", json={"img": img}).content for img in images]
    second = [service.client.post("/predict", json={"img": img}).content for img in reversed(images)]
    assert first == second[::-1]


def test_16_bit_image_keeps_its_upper_bits(service: Server) -> None:
    high = save(body().astype(np.uint16) << 8 | 77)
    answer = service.client.post("/predict", json={"img": b64(high)})
    assert answer.json() == service.client.post("/predict", json={"img": b64(save(body()))}).json()


def test_analyze_answers_by_its_schema(service: Server) -> None:
    content = analyze(service, {"img": LARGE})
    assert content.keys() == {"img", "classification", "lesions", "model", "warnings"}
    assert_mask_png(content["img"], (489, 400))
    assert content["img"] == service.client.post("/predict", json={"img": LARGE}).json()["img"]
    classification = content["classification"]
    assert classification.keys() == {"label", "probability", "threshold"}
    marked = bool(from_b64(content["img"]).any())
    assert classification["label"] == ("tumor" if marked else "healthy")
    assert 0 <= classification["probability"] <= 1
    config = load_segmenter().config
    assert content["model"] == {"name": config.name, "sha256": config.sha256}
    assert content["warnings"] == []


def two_lesions(_: Segmenter, intensity: Intensity) -> tuple[Probability, float]:
    """A network that sees 4 x 6 pixels of 0.75 and 3 x 4 pixels of 1.0 in every image, and surely a patient."""
    probability = np.zeros(intensity.shape, np.float32)
    probability[200:204, 190:196], probability[109:112, 207:211] = 0.75, 1
    return probability, 9.0


@pytest.mark.parametrize(("spacing", "areas"), [(None, [None, None]), ([2, 2], [96, 48])])
def test_analyze_measures_each_lesion(
    monkeypatch: pytest.MonkeyPatch, spacing: list[float] | None, areas: list[float | None]
) -> None:
    monkeypatch.setattr(Segmenter, "probability", two_lesions)
    image = make_phantom(2).mip.copy()
    image[200:204, 190:196] = 51
    app = create_app(lambda img: img, load_segmenter(), Settings())
    content = {"img": b64(save(image))} | ({} if spacing is None else {"pixel_spacing": spacing})

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return await client.post("/tumor/analyze", json=content)

    answer = asyncio.run(post())
    first, second = answer.json()["lesions"]
    assert first == {
        "id": 1, "bbox": [200, 190, 204, 196], "centroid": [201.5, 192.5], "area_px": 24, "area_mm2": areas[0],
        "mean_intensity": pytest.approx(0.8), "probability": 0.75,
    }  # fmt: skip
    assert (second["id"], second["bbox"], second["area_px"]) == (2, [109, 207, 112, 211], 12)
    assert second["area_mm2"] == areas[1]
    mask = from_b64(answer.json()["img"])
    assert np.count_nonzero(mask) == 3 * 36
    assert (mask[200:204, 190:196] == 255).all()


def predict_warnings(predict: Predict, grey: npt.NDArray[np.uint8]) -> list[str]:
    """What `/predict` warns of, answered by a function."""
    app = create_app(predict, load_segmenter(), Settings())

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return await client.post("/predict", json={"img": b64(save(grey))})

    answer = asyncio.run(post())
    assert answer.status_code == 200
    return str(answer.headers.get("x-input-warning", "")).split(", ")


def test_predict_says_the_repairs_that_were_made_and_makes_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    repairs = list[int]()

    def counted(*args: Any) -> Repaired:
        repairs.append(1)
        return repair(*args)

    monkeypatch.setattr(pipeline, "repair", counted)
    framed = np.pad(255 - make_phantom(2).mip, 20, constant_values=255)  # inverted, in white bars
    assert predict_warnings(lambda img: segment_image(img, load_segmenter()), framed) == ["inverted", "border-removed"]
    assert len(repairs) == 1


@pytest.mark.parametrize(("marked", "warnings"), [(0, ["small"]), (255, ["small", "implausible"])])
def test_predict_claims_no_repairs_by_a_function_that_makes_none(marked: int, warnings: list[str]) -> None:
    framed = np.pad(255 - make_phantom(2, height=90).mip, 4, constant_values=255)
    made = predict_warnings(lambda img: np.full_like(img, marked), framed)
    assert set(made) & {"inverted", "border-removed", "orientation", "scale", "window"} == set()
    assert [code for code in made if code in ("small", "implausible")] == warnings
    upright = predict_warnings(lambda img: np.full_like(img, marked), make_phantom(2).mip)
    assert upright == (["implausible"] if marked else [""])


def test_analyze_warns_in_its_answer(service: Server) -> None:
    assert "uniform" in analyze(service, {"img": b64(save(np.zeros((50, 50), np.uint8)))})["warnings"]


def test_pixel_spacing_may_be_null(service: Server) -> None:
    assert analyze(service, {"img": LARGE, "pixel_spacing": None}) == analyze(service, {"img": LARGE})


@pytest.mark.parametrize("spacing", [
    [1], [1, 2, 3], [], 1, "1,2", {"0": 1, "1": 2}, [0, 1], [1, -1], [1, 101], ["a", "b"], [None, 1], [[1], 1],
    [math.nan, 1], [math.inf, 1], [10**400, 1],
])  # fmt: skip
def test_wrong_pixel_spacing(service: Server, spacing: Any) -> None:
    content = json.dumps({"img": GOOD, "pixel_spacing": spacing})
    answer = service.client.post("/tumor/analyze", content=content, headers={"content-type": "application/json"})
    assert_problem(answer, 422, "invalid-request")
    assert "pixel_spacing" in answer.json()["detail"]


def test_an_unknown_field_is_named(service: Server) -> None:
    answer = service.client.post("/tumor/analyze", json={"img": GOOD, "spacing": [1, 1], "pitch": "secret"})
    assert_problem(answer, 422, "invalid-request")
    wanted = "the body must be a JSON object with: img; unknown: pitch, spacing; known: img, pixel_spacing"
    assert answer.json()["detail"] == wanted


@pytest.mark.parametrize("name", ["Müller", "Mueller", "1985", "a b", "", "x" * 32, "<script>", "a\n"])
def test_what_does_not_look_like_a_field_is_not_repeated(service: Server, name: str) -> None:
    answer = service.client.post("/tumor/analyze", json={"img": GOOD, name: [1, 1]})
    assert_problem(answer, 422, "invalid-request")
    assert answer.json()["detail"] == "the body must be a JSON object with: img"


def test_missing_img_is_named(service: Server) -> None:
    for path in ("/predict", "/tumor/predict", "/tumor/analyze"):
        answer = service.client.post(path, json={})
        assert_problem(answer, 422, "invalid-request")
        assert "img" in answer.json()["detail"]


def test_schema_names_the_bodies(service: Server) -> None:
    paths = service.client.get("/openapi.json").json()["paths"]
    for path, request, response in (
        ("/tumor/predict", {"img"}, "PredictResponse"),
        ("/tumor/analyze", {"img", "pixel_spacing"}, "AnalyzeResponse"),
    ):
        post = paths[path]["post"]
        assert post["requestBody"]["required"]
        schema = post["requestBody"]["content"]["application/json"]["schema"]
        assert schema["properties"].keys() == request
        assert schema["required"] == ["img"]
        answer = post["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": f"#/components/schemas/{response}"}
