"""Databases, judges and endpoints for the judge's tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from judge_running import SIZE, OpenDatabase, Running
from PIL import Image
from sqlalchemy import create_engine, make_url, text

from mipjudge.database import Database
from mipjudge.settings import JudgeSettings

POSTGRES = os.environ.get("MIPSEG_TEST_POSTGRES_URL", "")
BACKENDS = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=pytest.mark.skipif(not POSTGRES, reason="MIPSEG_TEST_POSTGRES_URL is not set"),
    ),
]


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database; on PostgreSQL a schema of its own in the given database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'judge.sqlite3'}"
        return
    url = make_url(POSTGRES).set(drivername="postgresql+psycopg")
    name = f"judge_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def open_database(database_url: str) -> Iterator[OpenDatabase]:
    """Opens the test's database, as often as the test has processes to imitate."""
    opened: list[Database] = []

    def open_one(**waits: float) -> Database:
        opened.append(Database(database_url, **waits))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def db(open_database: OpenDatabase) -> Database:
    """The test's database."""
    return open_database()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 42 small patients, so 20 and 20 after `set_size=20`; ten times as many for the full plan."""
    root = tmp_path_factory.mktemp("data")
    for part in ("imgs", "labels"):
        (root / "patients" / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(2 * SIZE + 2):
        image = rng.integers(100, 256, (90, 70), np.uint8)
        mask = np.zeros((90, 70), np.uint8)
        row, column = rng.integers(5, 50, 2)
        mask[row : row + 20, column : column + 12] = 255
        Image.fromarray(image).save(root / f"patients/imgs/patient_{number:03}.png")
        Image.fromarray(mask).save(root / f"patients/labels/segmentation_{number:03}.png")
    return root


@pytest.fixture
def settings(data_dir: Path, tmp_path: Path, database_url: str) -> JudgeSettings:
    """A local judge with short waits, on small patients."""
    return JudgeSettings(
        _env_file=None,
        dir=tmp_path / "judge",
        database_url=database_url,
        data_dir=data_dir,
        set_size=SIZE,
        deadline_s=5.0,
        lease_s=2.0,
        verify_interval_s=0,
    )


@pytest.fixture
def judge(settings: JudgeSettings) -> Iterator[Running]:
    """A running judge."""
    with Running(settings) as running:
        yield running


@pytest.fixture
def idle(settings: JudgeSettings) -> Iterator[Running]:
    """A judge whose attempts stay in the queue."""
    with Running(settings.model_copy(update={"workers": 0})) as running:
        yield running


@pytest.fixture
def public(settings: JudgeSettings) -> Iterator[Running]:
    """A judge that calls public addresses alone and knows no local teams."""
    with Running(settings.model_copy(update={"host": "0.0.0.0", "workers": 0})) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MIPSEG_JUDGE_")]:
        monkeypatch.delenv(name)
