"""Settings, all with defaults that work; each can be set in the environment as MIPSEG_<NAME> or in `.env`."""

from functools import cache
from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mipseg.constants import MAX_BODY_BYTES, MAX_PIXELS


@cache
def project_root() -> Path:
    """The nearest folder above this file that holds the workspace, else the working directory."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "segmentation" / "example.py").is_file():
            return folder
    return Path.cwd()


def find_env_file() -> Path:
    """The nearest `.env` between the working directory and the project's folder; elsewhere the working directory's."""
    folders = [Path.cwd(), *Path.cwd().parents]
    inside = folders[: folders.index(project_root()) + 1] if project_root() in folders else folders[:1]
    return next((folder / ".env" for folder in inside if (folder / ".env").is_file()), inside[0] / ".env")


class ProjectSettings(BaseSettings):
    """Settings from the environment, else from the project's `.env`; what is empty counts as not set."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look for `.env` when settings are read, and not only in the working directory."""
        if isinstance(dotenv_settings, DotEnvSettingsSource) and dotenv_settings.env_file == ".env":
            dotenv_settings = DotEnvSettingsSource(settings_cls, find_env_file())
        return init_settings, env_settings, dotenv_settings


def describe(error: ValidationError, *, secret: bool = False) -> str:
    """What is wrong with settings or with a file of settings, in one line: `MIPSEG_THREADS: … (given: 'two')`.

    Args:
        error: what pydantic found; settings are named as in the environment.
        secret: whether what was given must not be shown.
    """
    prefixes = {kind.__name__: kind.model_config.get("env_prefix", "") for kind in ProjectSettings.__subclasses__()}
    prefix = prefixes.get(error.title)
    found = []
    for entry in error.errors(include_url=False, include_context=False):
        name = ".".join(map(str, entry["loc"]))
        given = entry["input"]
        shown = "" if secret or not isinstance(given, str | int | float) else f" (given: {str(given)[:40]!r})"
        label = name if prefix is None or not name else f"{prefix}{name}".upper()
        found.append(f"{label}: {entry['msg']}{shown}" if label else entry["msg"])
    return "; ".join(found)


class Settings(ProjectSettings):
    """Where things are and how much of them is allowed.

    Attributes:
        data_dir: the data set's folder (`patients/`, `controls/`).
        unlabelled_dir: a folder with PNGs of more patients, without masks, that training may use, each person
            once; unset: none.
        model: name of a model folder in `mipseg/models`.
        min_patient: below this probability of being a patient the mask is left empty; unset, the model decides. Higher
            values mark less in healthy people and cost some patients their masks.
        bfloat16: compute in bfloat16 where the CPU can and OpenVINO is installed, twice as fast or more; without
            it, masks are alike on every machine.
        threads: CPU threads of one prediction; 0 takes every usable core.
        max_body_bytes: largest HTTP body that is read.
        max_pixels: largest image that is decoded.
        queue_size: requests that may wait while others are predicted.
        deadline_s: seconds until a prediction is given up with 503; the championship's judge waits 10.
        body_deadline_s: seconds in which a request's body must have arrived.
        max_upload_bytes: largest file that `/v1/segment` takes.
        upload_deadline_s: seconds in which a file must have arrived there.
        jobs_dir: folder of the volumes that wait, and of their results; one service at a time uses it.
        max_jobs: volumes that may wait or run at once.
        max_jobs_bytes: bytes on disk that all jobs may take, beside what one unpacks while it runs.
        job_deadline_s: seconds until a job is given up.
        job_lifetime_s: seconds from a job's end until it is forgotten and its files are removed.
        cors_origins: web pages of other origins that may call the service, such as `https://a.org,https://b.org`, or
            `*` for all; empty: none.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_")

    data_dir: Path = Field(default_factory=lambda: project_root() / "data/raw/tumor-segmentation")
    unlabelled_dir: Path | None = None
    model: str = Field("unet_v20", pattern=r"^[\w-]{1,64}$")
    min_patient: float | None = Field(None, ge=0, le=1)
    bfloat16: bool = True
    threads: int = Field(0, ge=0, le=256)
    max_body_bytes: int = Field(MAX_BODY_BYTES, ge=1024)
    max_pixels: int = Field(MAX_PIXELS, ge=1)
    queue_size: int = Field(8, ge=0)
    deadline_s: float = Field(9.0, gt=0)
    body_deadline_s: float = Field(10.0, gt=0)
    max_upload_bytes: int = Field(512 * 2**20, ge=1024)
    upload_deadline_s: float = Field(300.0, gt=0)
    jobs_dir: Path = Field(default_factory=lambda: project_root() / "data/jobs")
    max_jobs: int = Field(8, ge=0)
    max_jobs_bytes: int = Field(10 * 2**30, ge=0)
    job_deadline_s: float = Field(600.0, gt=0)
    job_lifetime_s: float = Field(86400.0, gt=0)
    cors_origins: str = ""


class JudgeFolder(ProjectSettings):
    """What a client and the judge of this machine share.

    Attributes:
        dir: folder of the judge's SQLite database, its phantoms and the local teams' secret.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_JUDGE_")

    dir: Path = Field(default_factory=lambda: project_root() / "data/judge")


class KitSettings(ProjectSettings):
    """HOST and PORT, by which earlier starter kits are told where to listen; None: not set.

    Attributes:
        host: an IP address or `localhost`; any other is ignored, since some shells set HOST to the machine's name.
        port: TCP port.
    """

    host: str | None = None
    port: int | None = Field(None, ge=1, le=65535)

    @field_validator("host")
    @classmethod
    def _ignore_names(cls, host: str | None) -> str | None:
        try:
            return host if host in (None, "localhost") else str(ip_address(host))
        except ValueError:
            return None
