"""Receiving a file as `multipart/form-data`, within limits of size, time and number, onto disk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mipseg.serving.limits import check_headers, declared_size, too_large
from mipseg.serving.media_type import media_type
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

FIELD = "file"
MAX_AT_ONCE = 8
_MAX_FIELDS, _MAX_FIELD_BYTES = 16, 1024
_FORM_BYTES = 64 * 1024  # of a body, beside its file
_START = "send multipart/form-data with one file in the field `file`"


@dataclass(frozen=True)
class Upload:
    """What came.

    Attributes:
        file: the content, at its start; small ones are in memory, others on disk without a name.
        size: of the file, in bytes.
        options: the other fields and the query.
    """

    file: BinaryIO
    size: int
    options: dict[str, str]

    def head(self) -> bytes:
        """The first bytes."""
        head = self.file.read(16)
        self.file.seek(0)
        return head


class Uploads:
    """Takes so many uploads at once.

    Args:
        settings: `max_upload_bytes` and `upload_deadline_s`.
        check_room: is asked before a file that is too large for an image is received; raises what refuses it.
    """

    def __init__(self, settings: Settings, check_room: Callable[[float], None]) -> None:
        self._settings, self._check_room, self._inside = settings, check_room, 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Upload]:
        """Read a request's body; the file is gone after the context.

        Raises:
            ProblemError: it is too large, too slow, not such a form, or the disk is full.
            ClientDisconnect: its client has gone.
        """
        if self._inside >= MAX_AT_ONCE:
            raise _at_the_door("busy", "too many uploads at once", {"Retry-After": "5"})
        self._inside += 1
        try:
            upload = await self._read(request)
            try:
                yield upload
            finally:
                upload.file.close()
        finally:
            self._inside -= 1

    async def _read(self, request: Request) -> Upload:
        limit = self._settings.max_upload_bytes + _FORM_BYTES
        try:
            _check_kind(request)
            check_headers(request.headers, limit)
            if (declared := declared_size(request.headers)) > self._settings.max_body_bytes:
                await run_in_threadpool(self._check_room, declared)
            async with asyncio.timeout(self._settings.upload_deadline_s):
                parts = MultiPartParser(
                    request.headers,
                    _bounded(request, limit),
                    max_files=1,
                    max_fields=_MAX_FIELDS,
                    max_part_size=_MAX_FIELD_BYTES,
                )
                form = await parts.parse()
        except ProblemError as problem:
            raise _at_the_door(problem.code, problem.detail, problem.headers) from None
        except TimeoutError:
            limit_s = f"{self._settings.upload_deadline_s:g} s"
            raise _at_the_door("body-too-slow", f"the file must arrive within {limit_s}") from None
        except MultiPartException as error:
            raise _at_the_door("invalid-upload", f"{error.message.rstrip('.')}; {_START}") from None
        except OSError:
            raise _at_the_door("disk-full", "there is no room for the file") from None
        file = form.get(FIELD)
        if not isinstance(file, UploadFile) or not file.size:
            await form.close()
            raise ProblemError("invalid-upload", f"there is no file; {_START}")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        return Upload(file.file, file.size, dict(request.query_params) | fields)


def _check_kind(request: Request) -> None:
    if media_type(request) != "multipart/form-data":
        raise ProblemError("content-type", _START)


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The parts of a body until it has more bytes than its limit."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise too_large(max_bytes)
        yield part


def _at_the_door(code: str, detail: str, headers: dict[str, str] | None = None) -> ProblemError:
    """A body that is refused unread; the rest of it is not read, so the connection can't be used again."""
    return ProblemError(code, detail, {"Connection": "close"} | (headers or {}))
