"""`/v1/jobs/{id}`: how a job stands, its files, and its end."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from mipseg.serving.jobs.job import Job, JobAnswer, type_of
from mipseg.serving.jobs.runner import JobRunner
from mipseg.serving.jobs.store import JobStore

JOBS_PATH = "/v1/jobs"
_PRIVATE = {"Cache-Control": "no-store"}
JobId = Annotated[str, Path(description="as the upload was answered with")]


def make_job_router(store: JobStore, runner: JobRunner) -> APIRouter:
    """The routes of jobs.

    Args:
        store: the jobs.
        runner: what works them off.
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
    return JobAnswer(**known, expires=store.expires(job)).model_dump(mode="json")
