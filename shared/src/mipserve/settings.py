"""Settings of the service, as MIPSEG_API_<NAME> in the environment or in `.env`; the command line goes before them."""

from pathlib import Path

from mipseg.settings import project_root
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """How the service runs.

    Attributes:
        host: address to listen on.
        port: TCP port.
        reload: restart when code changes.
        keep: never end a process that holds the port.
        task_dir: folder with the `example.py` whose `predict` is served; the built-in model where there is none.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_API_", env_file=".env", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    reload: bool = True
    keep: bool = False
    task_dir: Path = Field(default_factory=lambda: project_root() / "segmentation")
