"""Fixtures for all tests: phantoms, the shipped model, and real servers on free ports; each is made once."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import Phantom, make_phantom
from mipseg.settings import Settings
from tests.serving.server import Server

MakePhantom = Callable[..., Phantom]


@pytest.fixture(scope="session")
def phantom() -> MakePhantom:
    """`make_phantom`, which draws each phantom once per test run; to be left unchanged by the tests."""
    return cache(make_phantom)


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    """The shipped model in float32: alike on every machine."""
    return Segmenter(MODELS / Settings().model)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The built-in model behind the default settings."""
    with Server(tmp_path_factory.mktemp("service")) as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="session")
def faulty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A prediction function that the image's first pixel makes fail, behind a short queue and short deadlines."""
    settings = {"MIPSEG_QUEUE_SIZE": "1", "MIPSEG_DEADLINE_S": "1", "MIPSEG_BODY_DEADLINE_S": "1"}
    with Server(tmp_path_factory.mktemp("faulty"), "faulty", settings) as server:
        server.wait_until_ready()
        yield server
