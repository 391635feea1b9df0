import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from mipseg.command import EXTRAS, errors_in_one_line
from mipseg.errors import DatasetError
from mipseg.settings import Settings, project_root

FOLDER = project_root() / "segmentation"


@pytest.mark.long
@pytest.mark.parametrize(
    "command", [["example.py"], ["api.py"], ["-m", "mipseg.io.dataset", "."]], ids=["example", "api", "data"]
)
def test_a_bad_setting_ends_each_command_in_one_line(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIPSEG_THREADS", "two")
    run = subprocess.run([sys.executable, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    message = "Input should be a valid integer, unable to parse string as an integer (given: 'two')"
    assert run.stderr == f"error: MIPSEG_THREADS: {message}\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "missing", "extra"), [("example.py", "matplotlib", "plot"), ("api.py", "fastapi", "serve")]
)
def test_a_missing_extra_is_named_in_one_line(script: str, missing: str, extra: str) -> None:
    hidden = f"import runpy, sys; sys.modules[{missing!r}] = None; sys.path.insert(0, '.')"
    code = f"{hidden}; runpy.run_path({script!r}, run_name='__main__')"
    run = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    advice = f"`pip install 'mipseg[{extra}]'` brings it, in the project `uv sync`"
    assert run.stderr == f"error: {missing} is missing; {advice}\n"


@pytest.mark.long
def test_training_without_its_extra_ends_in_one_line() -> None:
    code = "import runpy, sys; sys.modules['torch'] = None; runpy.run_module('mipseg.training', run_name='__main__')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    advice = "`pip install 'mipseg[train]'` brings it, in the project `uv sync`"
    assert run.stderr == f"error: torch is missing; {advice}\n"


@pytest.mark.parametrize("command", ["validate", "check_status"])
def test_a_missing_extra_of_the_client_is_named_in_one_line(command: str) -> None:
    code = f"import sys; sys.modules['httpx'] = None; from mipseg.scripts import {command}; {command}()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    advice = "`pip install 'mipseg[judge]'` brings it, in the project `uv sync`"
    assert run.stderr == f"error: httpx is missing; {advice}\n"
    scripts = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts[command.replace("_", "-")] == f"mipseg.scripts:{command}"


def test_a_wrong_data_folder_ends_example_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIPSEG_DATA_DIR", str(tmp_path))
    run = subprocess.run([sys.executable, "example.py"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"error: MIPSEG_DATA_DIR: no patients/imgs and patients/labels in or below {tmp_path}")
    assert run.stderr.count("\n") == 1


def test_each_kind_has_its_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^error: no data$"), errors_in_one_line():
        raise DatasetError("no data")
    monkeypatch.setenv("MIPSEG_BFLOAT16", "perhaps")
    with pytest.raises(SystemExit) as end, errors_in_one_line():
        Settings()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: MIPSEG_BFLOAT16: Input should be a valid boolean")


def test_bugs_and_a_teams_own_imports_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), errors_in_one_line():
        _ = 1 / 0
    with pytest.raises(ModuleNotFoundError), errors_in_one_line():
        import_module("no_such_package")


def test_extras_are_those_of_the_package() -> None:
    text = (FOLDER / "pyproject.toml").read_text()
    for extra, modules in EXTRAS.items():
        assert f"\n{extra} = [" in text
        assert modules
