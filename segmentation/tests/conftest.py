"""Fixtures for all tests: real servers on free ports, each started once."""

from collections.abc import Iterator

import pytest

from tests.serving.server import Server


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
