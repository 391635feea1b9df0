"""What /docs shows is true. `python -m tests.serving.test_openapi` in segmentation/ records the examples anew."""

import base64
import io
import json
import re
from typing import Any

import httpx
import pytest
from PIL import Image

from mipseg.io.codec import decode_request
from mipseg.metrics import dice_score
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.pipeline import segment_image
from mipseg.serving.app import create_app
from mipseg.serving.openapi import EXAMPLES
from mipseg.serving.segment_options import SegmentOptions
from mipseg.settings import Settings
from tests.serving.server import Server

QUALITY = 50  # of the JPEG, so that the example has a tenth of the size of a PNG


@pytest.fixture(scope="module")
def schema(service: Server) -> Any:
    return service.client.get("/openapi.json").json()


def operations(schema: Any) -> list[tuple[str, Any]]:
    return [(path, operation) for path, methods in schema["paths"].items() for operation in methods.values()]


def test_every_route_has_a_title_of_its_own(schema: Any) -> None:
    titles = {path: operation["summary"] for path, operation in operations(schema)}
    assert titles["/tumor/predict"] == "Segment an image"
    assert titles["/livez"] == "The process answers"
    assert len(set(titles.values())) == len(titles) >= 6
    assert not [title for title in titles.values() if re.search(r"\bRoute\b|^\w+$", title)]


def test_every_error_has_the_one_shape(schema: Any) -> None:
    assert "HTTPValidationError" not in json.dumps(schema)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    statuses = {}
    for path, operation in operations(schema):
        errors = {status: answer for status, answer in operation["responses"].items() if status[0] != "2"}
        assert all(answer["content"] == problem and answer["description"] for answer in errors.values())
        statuses[path] = sorted(errors)
    assert statuses["/tumor/predict"] == ["400", "408", "413", "415", "422", "500", "503"]
    assert statuses["/v1/segment"] == ["400", "408", "413", "415", "422", "429", "500", "503", "507"]
    assert statuses["/v1/jobs/{job_id}"] == ["404", "503"]
    assert statuses["/v1/jobs/{job_id}/result/{name}"] == ["404", "409", "503"]
    refused = ["404", "408", "409", "413", "415", "422", "429", "503", "507"]
    assert statuses["/v1/jobs/{job_id}/mask"] == refused
    assert statuses["/readyz"] == ["503"]


def test_uploads_and_jobs_are_described(schema: Any) -> None:
    upload = schema["paths"]["/v1/segment"]["post"]
    form = upload["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert list(form["properties"]) == ["file", *SegmentOptions.model_fields]
    assert form["required"] == ["file"]
    spacing, formats = (form["properties"][name] for name in ("pixel_spacing", "formats"))
    assert (spacing["type"], spacing["examples"]) == ("string", [""])
    assert (formats["type"], formats["default"]) == ("string", "png,nifti,seg,sr")
    answers = {
        status: upload["responses"][status]["content"]["application/json"]["schema"] for status in ("200", "202")
    }
    assert [answer["$ref"].rpartition("/")[2] for answer in answers.values()] == ["SegmentedImage", "JobAnswer"]
    job = schema["components"]["schemas"]["JobAnswer"]["properties"]
    assert job["state"]["enum"] == ["queued", "running", "done", "failed", "cancelled"]
    assert sorted(schema["paths"]["/v1/jobs/{job_id}"]) == ["delete", "get"]
    mask = schema["paths"]["/v1/jobs/{job_id}/mask"]["put"]
    assert list(mask["requestBody"]["content"]) == ["image/png"]
    assert mask["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/JobAnswer")


def test_a_problem_is_what_the_schema_says(service: Server, schema: Any) -> None:
    answer = service.client.post("/tumor/predict", json={"img": "?"})
    assert str(answer.status_code) in schema["paths"]["/tumor/predict"]["post"]["responses"]
    assert sorted(answer.json()) == sorted(schema["components"]["schemas"]["Problem"]["properties"])


@pytest.mark.parametrize("path", ["/tumor/predict", "/tumor/analyze"])
def test_the_examples_are_real(service: Server, schema: Any, path: str) -> None:
    operation = schema["paths"][path]["post"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    answer = service.client.post(path, json=request)
    assert answer.status_code == 200
    found = answer.json()
    assert list(found) == list(shown)
    masks = [decode_request(content["img"]) for content in (shown, found)]
    assert masks[0].any()
    assert dice_score(*masks) > 0.9  # masks in bfloat16 differ by a few pixels
    if path == "/tumor/analyze":
        assert found["classification"]["label"] == shown["classification"]["label"]
        assert len(found["lesions"]) == len(shown["lesions"])
        assert found["model"] == shown["model"]


def record() -> None:
    """Write the answers of the shipped model in float32 to the file of examples."""
    import asyncio  # noqa: PLC0415

    segmenter = Segmenter(MODELS / Settings().model)
    app = create_app(lambda image: segment_image(image, segmenter), segmenter, Settings())
    buffer = io.BytesIO()
    Image.fromarray(make_phantom(2).mip).save(buffer, "JPEG", quality=QUALITY)
    request = {"img": base64.b64encode(buffer.getvalue()).decode()}
    requests = {
        "/tumor/predict": request,
        "/tumor/analyze": request | {"pixel_spacing": [2.0, 2.0]},
    }

    async def ask() -> dict[str, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            answers = {path: await client.post(path, json=body) for path, body in requests.items()}
        return {path: {"request": requests[path], "response": answer.json()} for path, answer in answers.items()}

    EXAMPLES.write_text(json.dumps(asyncio.run(ask()), indent=1) + "\n")


if __name__ == "__main__":
    record()
