from pathlib import Path

import pytest
from pydantic import ValidationError

from mipjudge.settings import JudgeSettings
from mipseg import settings
from mipseg.client.settings import ClientSettings
from mipseg.settings import JudgeFolder, KitSettings, Settings, describe, find_env_file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with sub-folders, as the one that the package lies in."""
    root = tmp_path / "outside/project"
    (root / "segmentation/src/deep").mkdir(parents=True)
    monkeypatch.setattr(settings, "project_root", lambda: root)
    for name in ("MIPSEG_THREADS", "MIPSEG_MODEL", "MIPSEG_DATA_DIR", "HOST", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return root


@pytest.mark.parametrize("folder", [".", "segmentation", "segmentation/src", "segmentation/src/deep"])
def test_env_is_found_from_any_sub_folder(project: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    (project / ".env").write_text("MIPSEG_THREADS=3\n")
    monkeypatch.chdir(project / folder)
    assert Settings().threads == 3
    monkeypatch.setenv("MIPSEG_THREADS", "4")  # the environment goes before
    assert Settings().threads == 4
    assert Settings(_env_file=None).threads == 4
    monkeypatch.delenv("MIPSEG_THREADS")
    assert Settings(_env_file=None).threads == 0


def test_the_client_and_the_judge_find_it_as_well(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVAL_API_URL", "MIPSEG_JUDGE_SEED", "MIPSEG_JUDGE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (project / ".env").write_text("EVAL_API_URL=https://judge.example\nMIPSEG_JUDGE_SEED=7\nMIPSEG_JUDGE_DIR=here\n")
    monkeypatch.chdir(project / "segmentation/src")
    assert ClientSettings.load().eval_api_url == "https://judge.example"
    assert (JudgeSettings().seed, JudgeSettings().dir, JudgeFolder().dir) == (7, Path("here"), Path("here"))


def test_the_nearest_env_counts_and_none_above_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.parent / ".env").write_text("MIPSEG_THREADS=5\n")
    monkeypatch.chdir(project / "segmentation/src")
    assert Settings().threads == 0
    (project / ".env").write_text("MIPSEG_THREADS=6\nMIPSEG_MODEL=other\n")
    (project / "segmentation/.env").write_text("MIPSEG_THREADS=7\n")
    assert (Settings().threads, Settings().model) == (7, "unet_v20")
    monkeypatch.chdir(project.parent)  # elsewhere it is the working directory's
    assert Settings().threads == 5
    monkeypatch.chdir(project.parent.parent)
    assert Settings().threads == 0
    assert find_env_file() == project.parent.parent / ".env"


def test_what_is_empty_is_not_set(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / ".env").write_text("MIPSEG_MIN_PATIENT=\nMIPSEG_DATA_DIR=\n")
    monkeypatch.setenv("MIPSEG_THREADS", "")
    found = Settings()
    assert (found.threads, found.min_patient) == (0, None)
    assert found.data_dir == project / "data/raw/tumor-segmentation"
    assert "data_dir" not in found.model_fields_set


def test_what_is_wrong_is_told_in_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIPSEG_THREADS", "two")
    monkeypatch.setenv("MIPSEG_DEADLINE_S", "0")
    with pytest.raises(ValidationError) as error:
        Settings(_env_file=None)
    assert describe(error.value) == (
        "MIPSEG_THREADS: Input should be a valid integer, unable to parse string as an integer (given: 'two'); "
        "MIPSEG_DEADLINE_S: Input should be greater than 0 (given: '0')"
    )


@pytest.mark.parametrize(
    ("given", "host"),
    [("0.0.0.0", "0.0.0.0"), ("::1", "::1"), ("localhost", "localhost"), ("laptop", None), ("a.example", None)],
)
def test_host_of_earlier_kits_is_an_address(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: str, host: str | None
) -> None:
    monkeypatch.setenv("HOST", given)
    assert KitSettings(_env_file=None).host == host
    assert KitSettings(_env_file=None).port is None
