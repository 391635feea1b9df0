"""Waiting for a score: polite polls, and what the user sees meanwhile (on stderr)."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mipseg.client.answers import Attempt, Status
from mipseg.client.errors import ClientError, StoppedError

FIRST_S, SLOWEST_S, GROWTH = 1.0, 5.0, 1.25
MAX_FAILED_POLLS = 6  # in a row; about half a minute when the polls have become slow
LONGEST_PAUSE_S = 60.0


class Watch:
    """A live bar where stderr is a terminal, else a line per change; a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            redirect_stdout=False,  # what is printed there is for scripts
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None, count="")
        self._last = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, attempt: Attempt) -> None:
        """Show where an attempt stands."""
        done, total = attempt.progress or (0, None)
        # Judges that tell no progress get a bar that only moves: a guess at the rest would be no better.
        self._bar.update(self._task, completed=done, total=total, count=f"{done}/{total}" if total else "")
        self._say(describe_state(attempt))

    def trouble(self, error: ClientError) -> None:
        """Show that a poll failed."""
        self._say(f"{error}; trying again")

    def _say(self, text: str) -> None:
        if text != self._last and not self._console.is_terminal:
            self._console.print(text, soft_wrap=True)
        self._bar.update(self._task, description=text)
        self._last = text


def describe_state(attempt: Attempt) -> str:
    """A few words on where an attempt stands."""
    if attempt.status is Status.QUEUED and attempt.position_in_queue is not None:
        return f"queued, position {attempt.position_in_queue}"
    return attempt.status.value


def follow(look: Callable[[], Attempt], attempt: Attempt) -> Attempt:
    """Wait until an attempt is over.

    Args:
        look: asks the judge where the attempt stands.
        attempt: what is known so far.

    Returns:
        The attempt, done or failed.

    Raises:
        ClientError: the judge can't be asked any more; holds the attempt's uuid.
    """
    delay, failed = FIRST_S, 0
    try:
        with Watch() as watch:
            watch.show(attempt)
            while not attempt.over:
                time.sleep(delay)
                delay = min(delay * GROWTH, SLOWEST_S)
                try:
                    attempt, failed = look(), 0
                    watch.show(attempt)
                except ClientError as error:
                    failed += 1
                    if not error.transient or failed > MAX_FAILED_POLLS:
                        raise
                    watch.trouble(error)
                    delay = max(delay, min(error.retry_after or 0.0, LONGEST_PAUSE_S))
    except KeyboardInterrupt:
        stopped = StoppedError()
        stopped.uuid = attempt.uuid
        raise stopped from None
    except ClientError as error:
        error.uuid = attempt.uuid
        raise
    return attempt
