"""Receiving a file as `multipart/form-data`, within limits of size, time and number, onto disk."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mipseg.serving.limits import check_headers, declared_size
from mipseg.serving.media_type import media_type
from mipseg.serving.problems import ProblemError
from mipseg.serving.room import Body, Room
from mipseg.settings import Settings

FIELD = "file"
_MAX_FIELDS, _MAX_FIELD_BYTES = 16, 1024
_FORM_BYTES = 64 * 1024  # of a body, beside its file
_ROOM = 8  # of the largest at once, on disk
_SPOOL_BYTES = 64 * 1024  # of a file in memory, however many arrive; what has more is on disk
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
    """Takes uploads as long as there is room for them on disk; see `Room`.

    Args:
        settings: `max_upload_bytes` and `upload_deadline_s`.
        check_room: is asked before a file that is too large for an image is received; raises what refuses it.
    """

    def __init__(self, settings: Settings, check_room: Callable[[float], None]) -> None:
        self._settings, self._check_room = settings, check_room
        self._max_bytes = settings.max_upload_bytes + _FORM_BYTES
        self._room = Room(_ROOM * self._max_bytes, self._max_bytes, settings.upload_deadline_s)

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Upload]:
        """Read a request's body; the file is gone after the context.

        Raises:
            ProblemError: it is too large, too slow, not such a form, or the disk is full.
            ClientDisconnect: its client has gone.
        """
        async with self._room.body() as body:
            upload = await self._read(request, body)
            try:
                yield upload
            finally:
                upload.file.close()

    async def _read(self, request: Request, body: Body) -> Upload:
        try:
            _check_kind(request)
            check_headers(request.headers, self._max_bytes)
            if (declared := declared_size(request.headers)) > self._settings.max_body_bytes:
                await run_in_threadpool(self._check_room, declared)
            async with self._room.arrival(body):
                parser = MultiPartParser(
                    request.headers,
                    self._parts(request, body),
                    max_files=1,
                    max_fields=_MAX_FIELDS,
                    max_part_size=_MAX_FIELD_BYTES,
                )
                parser.spool_max_size = _SPOOL_BYTES
                form = await parser.parse()
        except ProblemError as problem:
            raise _at_the_door(problem.code, problem.detail, problem.headers) from None
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

    async def _parts(self, request: Request, body: Body) -> AsyncGenerator[bytes, None]:
        """The parts of a body as they come, which takes their room."""
        async for part in request.stream():
            self._room.take(body, len(part))
            yield part


def _check_kind(request: Request) -> None:
    if media_type(request) != "multipart/form-data":
        raise ProblemError("content-type", _START)


def _at_the_door(code: str, detail: str, headers: dict[str, str] | None = None) -> ProblemError:
    """A body that is refused unread; the rest of it is not read, so the connection can't be used again."""
    return ProblemError(code, detail, {"Connection": "close"} | (headers or {}))
