"""Settings of the service: the command line, else MIPSEG_API_<NAME> in the environment, else `.env`."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from mipseg.constants import PORT
from mipseg.settings import KitSettings, ProjectSettings, project_root

INSTALLED = {"site-packages", "dist-packages"}  # what lies in such a folder is nobody's own code


class ServiceSettings(ProjectSettings):
    """How the service runs.

    Attributes:
        host: address to listen on; else HOST of earlier starter kits.
        port: TCP port; else PORT of earlier starter kits.
        root_path: what a proxy in front cuts off the path, such as `/mipseg`.
        reload: load `example.py` again when it is saved, and restart when the service's own code changes.
        keep: never end a process that holds the port.
        force: end any process of this user that holds the port, whatever it is.
        task_dir: folder with the `example.py` whose `predict` is served; without one, the built-in model is.
    """

    model_config = SettingsConfigDict(env_prefix="MIPSEG_API_")

    host: str = "127.0.0.1"
    port: int = Field(PORT, ge=1, le=65535)
    root_path: str = Field("", pattern=r"^(/[\w.~-]+)*$")
    reload: bool = True
    keep: bool = False
    force: bool = False
    task_dir: Path = Field(default_factory=lambda: project_root() / "segmentation")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """After all else, HOST and PORT count."""
        kit = KitSettings().model_dump(exclude_none=True)
        own = super().settings_customise_sources(settings_cls, *sources, **named)
        return *own, InitSettingsSource(settings_cls, kit)

    @model_validator(mode="after")
    def _ends_or_keeps(self) -> Self:
        if self.keep and self.force:
            raise ValueError("keep and force exclude each other")
        return self
