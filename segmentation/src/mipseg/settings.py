"""Settings, all with defaults that work; each can be set in the environment as MIPSEG_<NAME> or in `.env`."""

from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


@cache
def project_root() -> Path:
    """The nearest folder above this file that holds the workspace, else the working directory."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "segmentation" / "example.py").is_file():
            return folder
    return Path.cwd()


def describe(error: ValidationError, *, secret: bool = False) -> str:
    """What is wrong with settings or with a file of settings, in one line: `MIPSEG_THREADS: ... (given: 'two')`.

    Args:
        error: what pydantic found; settings are named as in the environment.
        secret: whether what was given must not be shown.
    """
    prefixes = {kind.__name__: kind.model_config.get("env_prefix", "") for kind in BaseSettings.__subclasses__()}
    prefix = prefixes.get(error.title)
    found = []
    for entry in error.errors(include_url=False, include_context=False):
        name = ".".join(map(str, entry["loc"]))
        given = entry["input"]
        shown = "" if secret or not isinstance(given, str | int | float) else f" (given: {str(given)[:40]!r})"
        found.append(f"{name if prefix is None else f'{prefix}{name}'.upper()}: {entry['msg']}{shown}")
    return "; ".join(found)


class Settings(BaseSettings):
    """Where things are and how much of them is allowed.

    Attributes:
        data_dir: the data set's folder (`patients/`, `controls/`).
        model: name of a model folder in `mipseg/models`.
        fast: take two of the model's networks only, one of each kind, in about half of the time.
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
        cors_origins: web pages of other origins that may call the service, such as `https://a.org,https://b.org`, or
            `*` for all; empty: none.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_", env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default_factory=lambda: project_root() / "data/raw/tumor-segmentation")
    model: str = Field("unet_v8", pattern=r"^[\w-]{1,64}$")
    fast: bool = False
    min_patient: float | None = Field(None, ge=0, le=1)
    bfloat16: bool = True
    threads: int = Field(0, ge=0, le=256)
    max_body_bytes: int = Field(6 * 2**20, ge=1024)
    max_pixels: int = Field(2_000_000, ge=1)
    queue_size: int = Field(8, ge=0)
    deadline_s: float = Field(9.0, gt=0)
    body_deadline_s: float = Field(10.0, gt=0)
    cors_origins: str = ""


class JudgeFolder(BaseSettings):
    """What a client and the judge of this machine share.

    Attributes:
        dir: folder of the judge's SQLite database, its phantoms and the local teams' secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIPSEG_JUDGE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    dir: Path = Field(default_factory=lambda: project_root() / "data/judge")
