"""`POST /v1/segment`: a file of any kind, as it lies on a disk; images are answered at once, volumes become jobs."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mipseg.io.arrays import image_of_intensity, image_of_probability
from mipseg.io.codec import encode_request, is_image
from mipseg.model.segmenter import Segmenter
from mipseg.pipeline import analyze_bytes
from mipseg.serving import memory
from mipseg.serving.jobs.job import Job, JobAnswer
from mipseg.serving.jobs.routes import accepted
from mipseg.serving.jobs.runner import JobRunner
from mipseg.serving.jobs.store import JobStore
from mipseg.serving.prediction_queue import PredictionQueue
from mipseg.serving.room import too_large
from mipseg.serving.routes import CLIENT_GONE, Findings, answer_in_queue, departure, findings, respond
from mipseg.serving.segment_options import SegmentOptions, read_options
from mipseg.serving.uploads import FIELD, Upload, Uploads
from mipseg.settings import Settings
from mipseg.types import Spacing

SEGMENT_PATHS = ("/v1/segment", "/v1/segment/")  # a redirect would have large files sent twice
_PNG = "iVBORw0KGgoAAAANSUhEUg…"  # how each begins


class SegmentedImage(Findings):
    """What was found in an image, and the images to show."""

    kind: Literal["image"] = "image"
    shape: tuple[int, int] = Field(description="rows, columns", examples=[[489, 400]])
    spacing_mm: Spacing | None = Field(description="between rows and between columns, as given", examples=[[2.0, 2.0]])
    image: str = Field(
        description="PNG in base64, 8-bit grey, dark is hot: the image after what was repaired", examples=[_PNG]
    )
    mask: str = Field(description="PNG in base64, RGB: white is tumour, black is none", examples=[_PNG])
    probability: str = Field(
        description="PNG in base64, 8-bit grey: 255 times the tumour probability, rounded", examples=[_PNG]
    )
    temperature: float = Field(
        description="by which the model softens probabilities before it expects a Dice of a mask"
    )


def make_segment_router(
    segmenter: Segmenter, queue: PredictionQueue, store: JobStore, runner: JobRunner, settings: Settings
) -> APIRouter:
    """The route for uploads.

    Args:
        segmenter: the built-in model, for images.
        queue: where predictions run.
        store: takes volumes.
        runner: is told of them.
        settings: limits.
    """
    router = APIRouter(tags=["tumour segmentation"])
    uploads = Uploads(settings, store.check_room)

    def answer_image(data: bytes, spacing: Spacing | None) -> JSONResponse:
        result = analyze_bytes(data, segmenter, spacing, settings.max_pixels)
        response = SegmentedImage(
            shape=result.seen.shape,
            spacing_mm=spacing,
            image=encode_request(image_of_intensity(result.seen)),
            mask=encode_request(result.mask),
            probability=encode_request(image_of_probability(result.probability)),
            temperature=segmenter.config.temperature,
            **findings(result, segmenter).model_dump(),
        )
        memory.give_back(result.tumour.size)
        return respond(response.model_dump(), result.warnings)

    def keep_volume(upload: Upload, options: SegmentOptions) -> Job:
        return store.add(upload.file, upload.size, options.of_volume())

    responses: dict[int | str, Any] = {202: {"model": JobAnswer, "description": "A volume: a job at `Location`"}}

    @router.post(SEGMENT_PATHS[1], include_in_schema=False)
    @router.post(SEGMENT_PATHS[0], response_model=SegmentedImage, responses=responses, openapi_extra=_form_schema())
    async def segment_upload(request: Request) -> Response:
        """Segment a file with the built-in model: images are answered at once, volumes become a job."""
        try:
            async with uploads.receive(request) as upload:
                options, has_image = read_options(upload.options), is_image(upload.head())
                options.check_fits(is_image=has_image)
                if not has_image:
                    async with departure(request) as gone:
                        job = await run_in_threadpool(keep_volume, upload, options)
                    if gone.done():  # nobody will ever ask for the job
                        await run_in_threadpool(runner.remove, job.id)
                        return Response(status_code=CLIENT_GONE)
                    runner.wake()
                    return accepted(request, job, store)
                data = _read_image(upload, settings.max_body_bytes)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        return await answer_in_queue(request, queue, lambda: answer_image(data, options.pixel_spacing))

    return router


def _read_image(upload: Upload, max_bytes: int) -> bytes:
    if upload.size > max_bytes:
        raise too_large(max_bytes)
    return upload.file.read()


def _form_schema() -> dict[str, Any]:
    # The route reads the body itself, within its own limits; the schema is stated by hand.
    schema = SegmentOptions.model_json_schema()
    file = {"type": "string", "format": "binary", "description": "PNG, JPEG, NIfTI, MHA, NRRD, or a ZIP of DICOM files"}
    # An empty field counts as none: what Swagger UI sends of options that nobody filled in.
    options = {name: option | {"examples": [""]} for name, option in schema["properties"].items()}
    form = {**schema, "properties": {FIELD: file, **options}, "required": [FIELD]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}
