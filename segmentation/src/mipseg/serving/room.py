"""Room for the bodies of requests: all of them together, each of them, and how long one may take to arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mipseg.serving.problems import ProblemError


@dataclass(eq=False)
class Body:
    """A body of `size` bytes so far; `deadline` ends its arrival, and `evicted` says that another needed its room."""

    deadline: asyncio.Timeout
    size: int = 0
    evicted: bool = False


class Room:
    """Room for so many bytes at once.

    Bodies take room by what has come of them, not by what they announce, so that slow ones leave room for fast ones.
    When it is full, the body that has been arriving for longest makes way.

    Args:
        size: bytes of all bodies together.
        max_bytes: of one body.
        deadline_s: seconds in which a body must have arrived.
    """

    def __init__(self, size: int, max_bytes: int, deadline_s: float) -> None:
        self._size, self._max_bytes, self._deadline_s = size, max_bytes, deadline_s
        self._held = 0  # bytes of all bodies, arriving or complete
        self._arriving: dict[Body, None] = {}  # in the order of their beginning

    @asynccontextmanager
    async def body(self) -> AsyncIterator[Body]:
        """A body that has its room until the end of this context."""
        body = Body(asyncio.timeout(self._deadline_s))
        try:
            yield body
        finally:
            self._held -= body.size

    @asynccontextmanager
    async def arrival(self, body: Body) -> AsyncIterator[None]:
        """The time in which a body is read.

        Raises:
            ProblemError: it takes too long, or another needs its room.
        """
        self._arriving[body] = None
        try:
            async with body.deadline:
                yield
        except TimeoutError:
            if body.evicted:
                raise ProblemError("busy", "too many requests at once", {"Retry-After": "1"}) from None
            raise ProblemError("body-too-slow", f"the body must arrive within {self._deadline_s:g} s") from None
        finally:
            del self._arriving[body]

    def take(self, body: Body, count: int) -> None:
        """So many more bytes of a body have come.

        Raises:
            ProblemError: it has too many.
        """
        body.size += count
        self._held += count
        if body.size > self._max_bytes:
            raise too_large(self._max_bytes)
        first = next((other for other in self._arriving if not other.evicted), None)
        if self._held > self._size and first is not None:
            first.evicted = True
            self._held -= first.size  # counted as free at once, so that one is enough
            first.size = 0
            first.deadline.reschedule(asyncio.get_running_loop().time())


def too_large(max_bytes: int) -> ProblemError:
    """The error that names the limit of a body."""
    return ProblemError("body-too-large", f"the body may have at most {max_bytes} bytes")
