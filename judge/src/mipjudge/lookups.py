"""Looking up the names of teams' endpoints: some are slow or wrong on purpose, and no team pays for another's."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mipjudge.errors import RateLimitError, TargetError
from mipjudge.store import HOUR
from mipjudge.target import AddressPolicy, parse_endpoint
from mipseg.serving.problems import ProblemError

WAIT_S = 5.0  # for a lookup, and for the one before it


class Lookups:
    """Checks addresses, each team's one after another; a team may give so many bad ones an hour.

    Args:
        policy: which addresses may be called.
        most: bad addresses an hour.
    """

    def __init__(self, policy: AddressPolicy, most: int) -> None:
        self._policy, self._bad = policy, HourlyLimit(most)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Threads of their own: a name server that does not answer must not keep requests that need none waiting.
        self._threads = ThreadPoolExecutor(8, "resolve")

    async def check(self, team_id: str, url: str) -> None:
        """Find out whether a team's endpoint may be called.

        Raises:
            TargetError: it may not.
            RateLimitError: too many bad addresses, or an earlier one of the team is still being looked up.
            ProblemError: 503, other teams' lookups take all threads.
        """
        endpoint, turn = parse_endpoint(url), self._turns[team_id]
        try:
            await asyncio.wait_for(turn.acquire(), WAIT_S)
        except TimeoutError:
            raise RateLimitError("an address of this team is still being looked up", int(WAIT_S)) from None
        try:
            self._bad.check(team_id)
            work = self._threads.submit(self._policy.addresses, endpoint)
        except BaseException:
            turn.release()
            raise
        found = asyncio.wrap_future(work)
        found.add_done_callback(lambda done: self._end(team_id, done))
        await asyncio.wait([found], timeout=WAIT_S)
        if found.done():
            found.result()
        elif work.cancel():  # it has not begun
            raise ProblemError("busy", "too many addresses are being looked up", {"Retry-After": str(int(WAIT_S))})
        else:
            raise TargetError("unresolvable", "the URL's host could not be looked up in time")

    def _end(self, team_id: str, done: "asyncio.Future[list[str]]") -> None:
        """Let the team's next lookup begin: not before the thread has ended, since none can be stopped."""
        if not done.cancelled() and isinstance(done.exception(), TargetError):
            self._bad.count(team_id)
        self._turns[team_id].release()


class HourlyLimit:
    """Counts what each team did in the last hour, in this process.

    Args:
        most: times an hour.
        clock: seconds, ever rising.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._times: dict[str, deque[float]] = {}

    def check(self, team_id: str) -> None:
        """Refuse a team that did it too often.

        Raises:
            RateLimitError: says when to come back.
        """
        times, now = self._times.get(team_id, deque()), self._clock()
        while times and times[0] <= now - HOUR:
            times.popleft()
        if len(times) >= self._most:
            raise RateLimitError("too many addresses that can't be called", int(times[0] + HOUR - now) + 1)

    def count(self, team_id: str) -> None:
        """Note that a team did it."""
        self._times.setdefault(team_id, deque(maxlen=self._most)).append(self._clock())
