"""README and docs/settings.md say what is true: the table of settings is that of the code, and the examples run."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from mipjudge.settings import JudgeSettings
from mipseg.client.settings import ClientSettings
from mipseg.settings import Settings
from mipserve.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
README, SETTINGS = ROOT / "README.md", ROOT / "docs/settings.md"
PATHS = {
    "data_dir": "`data/raw/tumor-segmentation`",
    "dir": "`data/judge`",
    "jobs_dir": "`data/jobs`",
    "task_dir": "`segmentation`",
}


def described(settings: type[BaseSettings]) -> dict[str, str]:
    """What the class says of each attribute."""
    lines = (inspect.getdoc(settings) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): ((?:.*\n?)(?:^     +.*\n?)*)", lines, re.MULTILINE)
    return {name: " ".join(text.split()).removesuffix(".") for name, text in entries}


def default(name: str, value: Any) -> str:
    if name in PATHS:
        return PATHS[name]
    if value is None or value is PydanticUndefined or str(value) == "":
        return "-"
    return f"`{int(value) if isinstance(value, bool) else value}`"


def table(settings: type[BaseSettings]) -> list[str]:
    prefix, words = settings.model_config.get("env_prefix", ""), described(settings)
    return [
        f"| `{prefix}{name.upper()}` | {default(name, field.default)} | {words[name]} |"
        for name, field in settings.model_fields.items()
    ]


@pytest.mark.parametrize("settings", [Settings, ServiceSettings, ClientSettings, JudgeSettings])
def test_the_table_of_settings_is_complete_and_fresh(settings: type[BaseSettings]) -> None:
    missing = [row for row in table(settings) if row not in SETTINGS.read_text("utf-8").splitlines()]
    assert missing == []


def test_no_setting_is_listed_that_is_gone() -> None:
    listed = re.findall(r"^\| `((?:MIPSEG|EVAL|TUMOR)_\w+)` \|", SETTINGS.read_text("utf-8"), re.MULTILINE)
    known = [
        f"{settings.model_config.get('env_prefix', '')}{name.upper()}"
        for settings in (Settings, ServiceSettings, ClientSettings, JudgeSettings)
        for name in settings.model_fields
    ]
    assert listed == known


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(from mipseg.*?)```", README.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the README's own lines
    assert names["result"].mask.shape == (*np.asarray(Image.open(names["sample"])).shape[:2], 3)
    assert names["result"].lesions[0].area_px > 0
