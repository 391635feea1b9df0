"""Settings of the judge: MIPSEG_JUDGE_<NAME> in the environment, else `.env`, else defaults that work at once."""

import ipaddress
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from mipseg.constants import MAX_BODY_BYTES, PORT, REPLY_DEADLINE_S
from mipseg.http.addresses import is_loopback
from mipseg.settings import JudgeFolder, ProjectSettings, Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = ("127.0.0.0/8", "::1/128")


class JudgeSettings(ProjectSettings):
    """How the judge runs.

    Attributes:
        host: address to listen on.
        port: TCP port.
        dir: folder of the SQLite database, the phantoms and the local teams' secret.
        database_url: such as `postgresql://user@host/name`; empty: SQLite in `MIPSEG_JUDGE_DIR`.
        data_dir: the data set whose patients are the two sets; where it is missing, phantoms are.
        seed: what makes the two sets; keep it secret in a championship on phantoms.
        set_size: most images of a set.
        local: a judge that listens to a loopback address is for this machine's user alone; false behind a proxy.
        allow: networks that are not public but may be called, comma-separated; unset: loopback for a local judge.
        workers: workers in this process; 0: others judge.
        attempts: attempts that a worker has under way; their images take turns.
        concurrency: images that a worker, and one attempt, has under way.
        deadline_s: seconds that an endpoint has for an image.
        max_reply_bytes: largest reply that is read.
        lease_s: seconds after which the attempt of a dead worker is taken over.
        validations_per_hour: of one team; as many evaluations that it cancels before they begin.
        max_waiting: unfinished attempts of one team.
        verify_interval_s: seconds between two connection tests of a team.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_JUDGE_")

    host: str = "127.0.0.1"
    port: int = Field(PORT, ge=1, le=65535)
    dir: Path = Field(default_factory=lambda: JudgeFolder().dir)
    database_url: SecretStr = SecretStr("")
    data_dir: Path = Field(default_factory=lambda: Settings().data_dir)
    seed: int = Field(1945, ge=0)
    set_size: int = Field(200, ge=1, le=10_000)
    local: bool = True
    allow: str | None = None
    workers: int = Field(1, ge=0, le=64)
    attempts: int = Field(4, ge=1, le=64)
    concurrency: int = Field(1, ge=1, le=64)
    deadline_s: float = Field(REPLY_DEADLINE_S, gt=0)
    max_reply_bytes: int = Field(MAX_BODY_BYTES, ge=1024)
    lease_s: float = Field(30.0, gt=0)
    validations_per_hour: int = Field(120, ge=1)
    max_waiting: int = Field(5, ge=1)
    verify_interval_s: float = Field(1.0, ge=0)

    @field_validator("allow")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        for text in (value or "").split(","):
            if text.strip():
                ipaddress.ip_network(text.strip())
        return value

    @property
    def is_local(self) -> bool:
        """Whether this judge is for the user of this machine alone."""
        return self.local and is_loopback(self.host)

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        """Networks that may be called though they are not public."""
        texts = self.allow.split(",") if self.allow is not None else LOOPBACK if self.is_local else ()
        return tuple(ipaddress.ip_network(text.strip()) for text in texts if text.strip())

    @property
    def sqlalchemy_url(self) -> str:
        """The database as SQLAlchemy wants it named."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{(self.dir / 'judge.sqlite3').absolute()}"
        scheme, rest = url.split("://", 1) if "://" in url else (url, "")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url
