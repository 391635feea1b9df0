import json
import re
import shutil
from pathlib import Path

import pytest

from mipseg.errors import ModelError
from mipseg.model.segmenter import MODELS
from mipseg.settings import Settings
from mipseg.training.model_card import (
    CARD,
    NOTES,
    REPORT,
    render_card,
    robustness_table,
    summarise_identities,
    write_card,
)

FOLDERS = sorted(path.parent for path in MODELS.glob(f"*/{CARD}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped model's texts."""
    for name in ("config.json", REPORT, NOTES):
        shutil.copy(MODELS / Settings().model / name, tmp_path / name)
    return tmp_path


def change(folder: Path, **values: object) -> str:
    """The card of a model folder whose report says something else."""
    report = json.loads((folder / REPORT).read_text())
    (folder / REPORT).write_text(json.dumps(report | values))
    return render_card(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_shipped_card_is_fresh(folder: Path) -> None:
    assert (folder / CARD).read_text() == render_card(folder), "stale: uv run python -m mipseg.training.model_card"


def test_there_is_a_shipped_card() -> None:
    assert MODELS / Settings().model in FOLDERS


def test_numbers_come_from_the_report(folder: Path) -> None:
    shipped = render_card(folder)
    assert (
        "| Dice over 142 patients | **mean 0.775** (95 % bootstrap interval 0.750 to 0.800), median 0.813 |" in shipped
    )
    assert "| **0.05** (default) | 0.768 | 74% |" in shipped
    assert "| 1-9 px | 27% of 311 | 49% of 204 |" in shipped
    assert "| Patients by Dice | 0.0 to 0.25: 1; 0.25 to 0.5: 9; 0.5 to 0.75: 40; 0.75 to 1.0: 92 |" in shipped
    other = change(folder, patients=7, lowest_dice={"patient_000": 0.125}, calibration_curve=[])
    assert "| Dice over 7 patients |" in other
    assert "cross-validation: patient_000 0.12." in other
    assert "| 0.96 | 0.99 | 93 |" in shipped
    assert "| 0.96 | 0.99 | 93 |" not in other


def test_lesions_of_a_size_that_none_has(folder: Path) -> None:
    lesions = json.loads((folder / REPORT).read_text())["lesions"]
    lesions["any_overlap"]["ppv_by_px"]["250+"] = {"share": None, "lesions": 0}
    assert "| 250+ px | 96% of 215 | none |" in change(folder, lesions=lesions)


def test_notes_and_robustness_may_be_missing(folder: Path) -> None:
    (folder / NOTES).unlink()
    card = change(folder, robustness=None)
    assert "## Notes on these networks\n\nNone.\n" in card
    assert re.search(r"## Robustness.*It was not measured\.\n", card, re.DOTALL)


def test_identity_of_the_runs_is_shown(folder: Path) -> None:
    fold = {"config_hash": "c" * 64, "data_hash": "d" * 64, "split_hash": "e" * 64, "dirty": False, "commit": "abc"}
    folds = [fold | {"versions": {"torch": "2.1"}}, fold | {"versions": {"torch": "2.2"}, "dirty": True}]
    summary = summarise_identities(folds)
    assert change(folder, identities={"tiny": summary}).endswith(
        f"| tiny | `{'c' * 12}` | `{'d' * 12}` | `{'e' * 12}` | abc, abc with changes | torch 2.1, torch 2.2 |\n"
    )
    outside = summarise_identities([fold | {"versions": {}, "commit": None, "dirty": None}])
    assert change(folder, identities={"tiny": outside}).endswith(f"| `{'e' * 12}` | unknown |  |\n")


def test_robustness_shows_differences_to_the_unchanged_image() -> None:
    measured = {
        "unchanged": {"dice": 0.75, "difference": 0.0, "interval_95": (0.0, 0.0)},
        "mirrored": {"dice": 0.7, "difference": -0.05, "interval_95": (-0.08, 0.01)},
    }
    assert robustness_table(measured).splitlines()[2:] == [
        "| unchanged | 0.750 |  |",
        "| mirrored | 0.700 | -0.050 (-0.080 to +0.010) |",
    ]


def test_folder_without_a_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        write_card(tmp_path)
