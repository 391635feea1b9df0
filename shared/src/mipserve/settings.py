"""Settings of the service: the command line, else MIPSEG_API_<NAME> in the environment, else `.env`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from mipseg.settings import project_root


class ServiceSettings(BaseSettings):
    """How the service runs.

    Attributes:
        host: address to listen on.
        port: TCP port.
        reload: restart when code changes.
        keep: never end a process that holds the port.
        task_dir: folder with the `example.py` whose `predict` is served; without one, the built-in model is.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_API_", env_file=".env", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    reload: bool = True
    keep: bool = False
    task_dir: Path = Field(default_factory=lambda: project_root() / "segmentation")
