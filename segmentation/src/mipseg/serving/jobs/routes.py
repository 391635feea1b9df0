"""`/v1/jobs/{id}`: how a job stands, its files, and its end."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from mipseg.serving.jobs.correction import check_mask
from mipseg.serving.jobs.job import Job, JobAnswer, type_of
from mipseg.serving.jobs.runner import JobRunner
from mipseg.serving.jobs.store import JobStore
from mipseg.serving.media_type import media_type
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

JOBS_PATH = "/v1/jobs"
_PRIVATE = {"Cache-Control": "no-store"}
_MASK: dict[str, Any] = {
    "requestBody": {
        "description": "a mask as large as `mip.png`: 255 where there is tumour, else 0",
        "required": True,
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }
}
JobId = Annotated[str, Path(description="as the upload was answered with")]


def make_job_router(store: JobStore, runner: JobRunner, settings: Settings) -> APIRouter:
    """The routes of jobs.

    Args:
        store: the jobs.
        runner: what works them off.
        settings: `max_pixels`.
    """
    router = APIRouter(tags=["jobs"], prefix=JOBS_PATH)

    @router.get("/{job_id}", response_model=JobAnswer)
    def read_job(job_id: JobId) -> JSONResponse:
        """How a job stands: its state, progress, files, or why it failed."""
        return JSONResponse(answer_of(store.get(job_id), store), headers=_PRIVATE)

    @router.get("/{job_id}/result/{name}", response_class=FileResponse)
    def read_result(job_id: JobId, name: str) -> FileResponse:
        """A file of results: the same bytes as of the command `mipseg segment`."""
        return FileResponse(store.result(job_id, name), media_type=type_of(name), filename=name, headers=_PRIVATE)

    @router.put("/{job_id}/mask", status_code=202, response_model=JobAnswer, openapi_extra=_MASK)
    async def correct_mask(request: Request, job_id: JobId) -> Response:
        """Correct the mask of a volume.

        The job, which has to be done, is queued once more. From the corrected mask of the projection the lesions are
        grown and measured anew, and all files are written again. What the model had not marked becomes manual, what it
        had marked semi-automatic. If that fails, the files from before stay, and `problem` says why.
        """
        if media_type(request) != "image/png":
            raise ProblemError("content-type", "send the mask as image/png")
        job = await run_in_threadpool(correct, job_id, await request.body())
        runner.wake()
        return accepted(request, job, store)

    def correct(job_id: str, mask: bytes) -> Job:
        return store.correct(job_id, check_mask(mask, store.projection(job_id), settings.max_pixels))

    @router.delete("/{job_id}", status_code=204)
    def delete_job(job_id: JobId) -> None:
        """Remove a job with all of its files: one that waits or runs is cancelled, one that has ended is forgotten."""
        runner.remove(job_id)

    return router


def accepted(request: Request, job: Job, store: JobStore) -> Response:
    """The answer to an upload that became a job: where to ask for it."""
    location = f"{request.scope.get('root_path', '')}{JOBS_PATH}/{job.id}"
    return JSONResponse(answer_of(job, store), 202, {"Location": location} | _PRIVATE)


def answer_of(job: Job, store: JobStore) -> object:
    """A job as its client sees it, as JSON."""
    known = job.model_dump(include=JobAnswer.model_fields.keys() - {"expires"})
    if job.state != "done":  # while a correction is made, those from before can't be had
        known["files"] = ()
    return JobAnswer(**known, expires=store.expires(job)).model_dump(mode="json")
