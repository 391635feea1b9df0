"""`POST /predict` and `/tumor/predict`, `POST /tumor/analyze`: from body to answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mipseg.checks import validate_segmentation
from mipseg.constants import MAX_SPACING_MM
from mipseg.errors import ModelError
from mipseg.http.json_body import REQUEST_PARTS, JsonError, read_json
from mipseg.io.codec import decode, decode_base64, encode_request
from mipseg.model.segmenter import Segmenter
from mipseg.pipeline import Result, analyze_bytes, noting_warnings, warnings_about
from mipseg.repair import InputWarning
from mipseg.serving import memory
from mipseg.serving.media_type import media_type
from mipseg.serving.prediction_queue import PredictionQueue
from mipseg.serving.problems import ProblemError, repeatable
from mipseg.settings import Settings
from mipseg.types import Image, Mask

Body = TypeVar("Body", bound=BaseModel)
Predict = Callable[[Image], Mask]
Millimetres = Annotated[float, Field(gt=0, le=MAX_SPACING_MM)]
CLIENT_GONE = 499  # nobody reads this status but the log and the metrics; nginx uses it too
_log = structlog.get_logger()


class PredictRequest(BaseModel):
    """An image."""

    img: str = Field(description="PNG or JPEG in base64: a MIP-PET, air white, hot black, at most 2 megapixels")


class PredictResponse(BaseModel):
    """A mask."""

    img: str = Field(description="PNG in base64, RGB, the image's shape: white is tumour, black is none")


class AnalyzeRequest(PredictRequest):
    """An image and, if known, the size of its pixels."""

    model_config = ConfigDict(extra="forbid")

    pixel_spacing: tuple[Millimetres, Millimetres] | None = Field(
        None, description="mm between rows and between columns; about 2 x 2 is assumed without it"
    )


class Classification(BaseModel):
    """Is there a tumour?"""

    label: str = Field(description="`tumor` where the mask marks any, else `healthy`")
    probability: float = Field(description="calibrated probability that the image shows a tumour")
    threshold: float = Field(description="the operating point: below this probability the mask is empty")


class LesionResponse(BaseModel):
    """One component of the mask."""

    id: int = Field(description="1 is the largest")
    bbox: tuple[int, int, int, int] = Field(description="first row, first column, row and column behind the last")
    centroid: tuple[float, float] = Field(description="row, column")
    area_px: int
    area_mm2: float | None = Field(description="null without pixel_spacing")
    mean_intensity: float = Field(description="mean intensity, 0 (air) to 1 (top of the SUV window)")
    probability: float = Field(description="mean tumour probability of its pixels")


class ModelResponse(BaseModel):
    """Which model answered."""

    name: str
    sha256: str


class Findings(BaseModel):
    """What was found in an image."""

    classification: Classification
    lesions: list[LesionResponse]
    model: ModelResponse
    warnings: list[str] = Field(
        description="what was repaired and what is doubtful, also in X-Input-Warning; none for a plain MIP-PET"
    )


class AnalyzeResponse(Findings, PredictResponse):
    """The mask with classification results."""


def make_router(predict: Predict, segmenter: Segmenter, queue: PredictionQueue, settings: Settings) -> APIRouter:
    """The routes of the task.

    Args:
        predict: (H, W, 3) uint8 image -> (H, W, 3) uint8 mask; a team's own, or one around `segmenter`.
        segmenter: the built-in model.
        queue: where predictions run.
        settings: the limit of pixels.
    """
    router = APIRouter(tags=["tumour segmentation"])

    def segment(body: bytes) -> JSONResponse:
        decoded = decode(decode_base64(_parse(PredictRequest, body).img), settings.max_pixels)
        with noting_warnings() as noted:
            mask = _call(predict, decoded.image)
        response = respond({"img": encode_request(mask)}, warnings_about(decoded, mask, noted))
        memory.give_back(mask[..., 0].size)
        return response

    def analyze(body: bytes) -> JSONResponse:
        request = _parse(AnalyzeRequest, body)
        data = decode_base64(request.img)
        result = analyze_bytes(data, segmenter, request.pixel_spacing, settings.max_pixels)
        response = AnalyzeResponse(img=encode_request(result.mask), **findings(result, segmenter).model_dump())
        memory.give_back(result.tumour.size)
        return respond(response.model_dump(), result.warnings)

    @router.post("/predict", include_in_schema=False)
    @router.post("/predict/", include_in_schema=False)  # Starlette would redirect, and clients do not repeat a POST
    @router.post("/tumor/predict/", include_in_schema=False)
    @router.post("/tumor/predict", response_model=PredictResponse, openapi_extra=_body_schema(PredictRequest))
    async def predict_route(request: Request) -> Response:
        """Segment an image: the mask has the image's shape and is white where there is tumour."""
        return await _answer(request, queue, segment)

    @router.post("/tumor/analyze/", include_in_schema=False)
    @router.post("/tumor/analyze", response_model=AnalyzeResponse, openapi_extra=_body_schema(AnalyzeRequest))
    async def analyze_route(request: Request) -> Response:
        """Segment an image with the built-in model, classify it, and measure each lesion."""
        return await _answer(request, queue, analyze)

    return router


def findings(result: Result, segmenter: Segmenter) -> Findings:
    """What was found in an image, as every answer says it."""
    return Findings(
        classification=Classification(label=result.label, probability=result.has_tumour, threshold=result.threshold),
        lesions=[LesionResponse(**asdict(lesion)) for lesion in result.lesions],
        model=ModelResponse(name=segmenter.config.name, sha256=segmenter.config.sha256),
        warnings=list(result.warnings),
    )


def respond(content: dict[str, Any], warnings: Sequence[InputWarning]) -> JSONResponse:
    """An answer whose header and log line name what was repaired and what is doubtful."""
    if not warnings:
        return JSONResponse(content)
    _log.info("input_warnings", codes=list(warnings))
    return JSONResponse(content, headers={"X-Input-Warning": ", ".join(warnings)})


async def _answer(request: Request, queue: PredictionQueue, work: Callable[[bytes], JSONResponse]) -> Response:
    """Predict what a JSON body asks for."""
    kind = media_type(request)
    if kind not in ("", "application/json"):
        raise ProblemError("content-type", "send Content-Type: application/json")
    body = await request.body()
    return await answer_in_queue(request, queue, lambda: work(body))


async def answer_in_queue(request: Request, queue: PredictionQueue, work: Callable[[], JSONResponse]) -> Response:
    """Make an answer when the queue lets it, unless the client leaves meanwhile.

    Args:
        request: whose body has been read.
        queue: where predictions run.
        work: predicts and makes the answer.
    """
    prediction = asyncio.ensure_future(queue.run(work))
    try:
        async with departure(request) as gone:
            await asyncio.wait([prediction, gone], return_when=asyncio.FIRST_COMPLETED)
        return prediction.result() if prediction.done() else Response(status_code=CLIENT_GONE)
    finally:
        prediction.cancel()


@asynccontextmanager
async def departure(request: Request) -> AsyncIterator["asyncio.Task[None]"]:
    """Watch a client whose body has been read; the task is done once it has left.

    uvicorn notices that only while somebody waits for more of the request: where much came at once, it stops reading.
    """
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        yield gone
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _call(predict: Predict, image: Image) -> Mask:
    try:
        mask = predict(image.copy())
    except ModelError:
        raise
    except (Exception, SystemExit) as error:  # its own InputError as well: what it says is not about the request
        _log.exception("predict_failed")
        detail = "the prediction function raised an error; see the log"
        raise ProblemError("prediction-failed", detail) from error
    validate_segmentation(image, mask)
    return mask


def _parse(kind: type[Body], body: bytes) -> Body:
    wanted = ", ".join(name for name, field in kind.model_fields.items() if field.is_required())
    if not body:
        raise ProblemError("invalid-request", f"the body is empty; it must be a JSON object with: {wanted}")
    try:
        content = read_json(body, REQUEST_PARTS)
    except JsonError as error:
        raise ProblemError("invalid-json", f"the body: {error}") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ProblemError("invalid-request", _advice(kind, wanted, error)) from None


def _advice(kind: type[BaseModel], wanted: str, error: ValidationError) -> str:
    """What is wrong with a body, without its values."""
    names = {str(e["loc"][0]) for e in error.errors() if e["loc"]}
    known = sorted(names & kind.model_fields.keys())
    unknown = repeatable(names - kind.model_fields.keys())
    advice = f"the body must be a JSON object with: {wanted}"
    if known:
        advice += f"; check: {', '.join(known)}"
    if unknown:
        advice += f"; unknown: {', '.join(unknown)}; known: {', '.join(kind.model_fields)}"
    return advice


def _body_schema(kind: type[BaseModel]) -> dict[str, Any]:
    # The routes read the body themselves, so that its limits and errors are ours; the schema is stated by hand.
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
