"""Looking up names that are slow or wrong on purpose: the limit holds in a burst, and no team pays for another's."""

import asyncio
from threading import Event

import pytest
from judge_running import Running, assert_problem

from mipjudge import lookups
from mipjudge.errors import RateLimitError, TargetError
from mipjudge.lookups import HourlyLimit, Lookups
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.serving.problems import ProblemError

BAD, GOOD, SLOW = "http://bad.example/", "http://good.example/", "http://slow.example/"


class Names:
    """A name server that knows one name, and does not answer for another until it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.free = Event()

    def resolve(self, host: str, _: int) -> list[str]:
        self.asked.append(host)
        if host == "slow.example":
            self.free.wait(20)
        return ["8.8.8.8"] if host == "good.example" else []


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    monkeypatch.setattr(lookups, "WAIT_S", 0.2)
    return Names()


async def outcome(checks: Lookups, team: str, url: str) -> str:
    """The code of what is raised, else `fine`."""
    try:
        await checks.check(team, url)
    except (TargetError, RateLimitError, ProblemError) as error:
        return error.code
    return "fine"


def test_the_limit_holds_for_a_burst(names: Names) -> None:
    async def burst() -> list[str]:
        checks = Lookups(AddressPolicy(resolver=names.resolve), 3)
        fine = await asyncio.gather(*(outcome(checks, "a", GOOD) for _ in range(20)))
        assert fine == ["fine"] * 20
        found = await asyncio.gather(*(outcome(checks, "a", BAD) for _ in range(20)))
        assert await outcome(checks, "b", GOOD) == "fine"
        return found

    assert sorted(asyncio.run(burst())) == ["too-many-requests"] * 17 + ["unresolvable"] * 3
    assert names.asked.count("bad.example") == 3


def test_the_slow_names_of_one_team_leave_the_threads_to_others(names: Names) -> None:
    async def ask() -> None:
        checks = Lookups(AddressPolicy(resolver=names.resolve), 3)
        slow = [asyncio.create_task(outcome(checks, "a", SLOW)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert await outcome(checks, "b", GOOD) == "fine"
        assert sorted(await asyncio.gather(*slow)) == ["too-many-requests"] * 19 + ["unresolvable"]
        assert await outcome(checks, "a", GOOD) == "too-many-requests"  # the thread is still at it
        names.free.set()
        assert await outcome(checks, "a", GOOD) == "fine"

    asyncio.run(ask())
    assert names.asked == ["slow.example", "good.example", "good.example"]


def test_a_lookup_that_never_began_is_charged_to_nobody(names: Names) -> None:
    async def ask() -> None:
        checks = Lookups(AddressPolicy(resolver=names.resolve), 1)
        slow = [asyncio.create_task(outcome(checks, f"slow {number}", SLOW)) for number in range(8)]
        await asyncio.sleep(0.05)
        assert await outcome(checks, "b", BAD) == "busy"
        assert await asyncio.gather(*slow) == ["unresolvable"] * 8
        names.free.set()
        assert await outcome(checks, "b", BAD) == "unresolvable"  # the first that counts
        assert await outcome(checks, "b", BAD) == "too-many-requests"
        assert names.asked.count("bad.example") == 1

    asyncio.run(ask())


def test_a_name_server_that_does_not_answer_is_given_up(settings: JudgeSettings, names: Names) -> None:
    policy = AddressPolicy(resolver=names.resolve)
    with Running(settings.model_copy(update={"workers": 0}), policy) as judge:
        response = judge.queue(SLOW, judge.team())
        assert_problem(response, 422, "unresolvable")
        assert response.json()["detail"] == "the URL's host could not be looked up in time"
        names.free.set()


def test_bad_names_are_looked_up_only_so_often() -> None:
    now = 0.0
    limit = HourlyLimit(2, lambda: now)
    for _ in range(2):
        limit.check("a")
        limit.count("a")
    with pytest.raises(RateLimitError, match="too many addresses") as error:
        limit.check("a")
    assert error.value.retry_after_s == 3601
    limit.check("b")
    now = 3600.0
    limit.check("a")
