import json
import re
from pathlib import Path
from typing import Any

import pytest

from mipseg.errors import ModelError
from mipseg.model.segmenter import MODELS
from mipseg.settings import Settings
from mipseg.training.card_words import PUBLISHED
from mipseg.training.config import CONFIGS, DEFAULT
from mipseg.training.model_card import (
    CARD,
    FIELDS,
    NOTES,
    REPORT,
    card_report,
    render_card,
    robustness_table,
    summarise_identities,
    write_card,
)

FOLDERS = sorted(path.parent for path in MODELS.glob(f"*/{CARD}"))
FOUND = {"share": 0.27, "lesions": 311}
LESIONS = {
    "sensitivity": 0.61,
    "ppv": 0.72,
    "f1": 0.66,
    "sensitivity_by_px": {"1-9": FOUND, "10-49": FOUND},
    "ppv_by_px": {"1-9": {"share": 0.49, "lesions": 204}, "10-49": {"share": None, "lesions": 0}},
}
REPORT_OF_RUN: dict[str, Any] = {
    "patients": 142,
    "controls": 342,
    "dice": {
        "mean": 0.7754,
        "median": 0.813,
        "interval_95": [0.75, 0.8],
        "deciles": [0.1, 0.904],
        "per_fold": [0.7, 0.81],
        "patients_from": {"0.0": 1, "0.25": 9, "0.5": 40, "0.75": 92},
    },
    "lesions": {"any_overlap": LESIONS, "iou_0.1": LESIONS | {"f1": 0.5}},
    "false_lesion_px": 20,
    "controls_without_false_lesion": 0.74,
    "by_min_patient": [
        {"min_patient": 0.0, "dice": 0.78, "controls_without_false_lesion": 0.6},
        {"min_patient": 0.05, "dice": 0.7754, "controls_without_false_lesion": 0.74},
    ],
    "classification": {"auc": 0.95, "auc_summed_probability": 0.9, "auc_head": 0.92, "brier": 0.08},
    "calibration_curve": [{"predicted": 0.96, "observed": 0.99, "cases": 93}],
    "lowest_dice": {"patient_000": 0.125},
    "dice_of_cases": {"patient_000": 0.125},
}
IDENTITY = {
    "config_hash": "c" * 64,
    "data_hash": "d" * 64,
    "split_hash": "e" * 64,
    "unlabelled_hash": "f" * 64,
    "commit": "abc",
    "dirty": False,
    "versions": {"torch": "2.1"},
}
MEASURED = {
    "unchanged": {"dice": 0.75, "difference": 0.0, "interval_95": (0.0, 0.0)},
    "mirrored": {"dice": 0.7, "difference": -0.05, "interval_95": (-0.08, 0.01)},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The texts of a model folder of two networks."""
    config = {
        "name": "mine",
        "networks": [
            {"file": "network-0.onnx", "sha256": "a" * 64, "run": "mine", "mirrored": False},
            {"file": "network-1.onnx", "sha256": "b" * 64, "run": "other", "mirrored": True},
        ],
        "temperature": 0.4,
        "min_peak": 0.3,
        "min_patient": 0.05,
        "classifier": {"mean": [0] * 5, "scale": [1] * 5, "weights": [0] * 5, "bias": 0},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    architectures = {
        "mine": {
            "encoder": "random",
            "smoothing": 0,
            "channels": [16, 32, 64],
            "pixel_unshuffle": 2,
            "parameters": 1_940_000,
        },
        "other": {
            "encoder": "half",
            "smoothing": 1.0,
            "channels": [8, 16, 32],
            "pixel_unshuffle": 2,
            "parameters": 520_000,
        },
    }
    identities = {"mine": [IDENTITY] * 2, "other": [IDENTITY] * 2}
    report = card_report(REPORT_OF_RUN | {"identities": identities, "robustness": MEASURED}, architectures)
    (tmp_path / REPORT).write_text(json.dumps(report))
    (tmp_path / NOTES).write_text("What was found out.\n")
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
    card = render_card(folder)
    for line in (
        "| Dice over 142 patients | **mean 0.775** (95 % bootstrap interval 0.750 to 0.800), median 0.813 |",
        "| Patients by Dice | 0.0 to 0.25: 1; 0.25 to 0.5: 9; 0.5 to 0.75: 40; 0.75 to 1.0: 92 |",
        "| Mean Dice of the folds | 0.700, 0.810 |",
        "| Controls without a false lesion of 20 px or more | 74% of 342 |",
        "| Lesions of the patients, any overlap | sensitivity 0.61, positive predictive value 0.72, F1 0.66 |",
        "| 0 | 0.780 | 60% |",
        "| **0.05** (default) | 0.775 | 74% |",
        "| 1-9 px | 27% of 311 | 49% of 204 |",
        "| 10-49 px | 27% of 311 | none |",
        "| 0.96 | 0.99 | 93 |",
        "| mirrored | 0.700 | -0.050 (-0.080 to +0.010) |",
    ):
        assert f"{line}\n" in card
    assert "Dice from lowest to highest, in tenths: 0.10, 0.90." in card
    assert "marked in 26% of the controls (20 px or more)" in card
    assert "cross-validation: patient_000 0.12." in card
    assert "## Notes on these networks\n\nWhat was found out.\n" in card
    assert "| Dice over 7 patients |" in change(folder, patients=7)


def test_the_networks_are_described(folder: Path) -> None:
    card = render_card(folder)
    assert card.startswith("# Model card: mine\n")
    assert "- **Networks**: 2 U-Nets" in card
    assert "| `network-0.onnx` | mine | no |\n| `network-1.onnx` | other | yes |\n" in card
    assert "| mine | residual blocks | none | 2 x 2 | 16-32-64 | 1.9 million |\n" in card
    assert "| other | EfficientNet-Lite2 at half of the resolution | 1 px | 2 x 2 | 8-16-32 | 0.5 million |\n" in card
    assert "(temperature 0.4, least peak 0.3, least probability of a tumour 0.05)" in card
    assert "Cross-validation in 2 folds on 142 patients and 342 controls" in card


def rewrite_config(folder: Path, **values: object) -> None:
    """Change what a model folder's configuration says."""
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | values))


def test_one_network_that_sees_both_views_is_one(folder: Path) -> None:
    first, second = json.loads((folder / "config.json").read_text())["networks"]
    rewrite_config(folder, networks=[first, second | {"sha256": first["sha256"]}])
    both = "- **Networks**: one U-Net with BatchNorm, averaged over the image and its mirror image. ONNX"
    assert both in render_card(folder)
    rewrite_config(folder, networks=[first])
    assert "- **Networks**: one U-Net with BatchNorm. ONNX" in render_card(folder)


def own(folder: Path, **identity: object) -> str:
    """The card of one run, with identities that say something else, without line breaks."""
    return " ".join(
        change(folder, ensemble=["mine"], identities={"mine": summarise_identities([IDENTITY | identity])}).split()
    )


def test_a_model_of_own_data_claims_nothing_of_the_published_set(folder: Path) -> None:
    card = own(folder, unlabelled_hash=None)
    assert "## Data 142 patients and 342 controls of the data set that it was trained on. Each patient has" in card
    assert "were chosen on another data set, the published DM-i-AI 2025 set." in card
    assert "Patients without masks" not in card
    assert "Every case is judged by the network that never saw it (mine);" in card
    assert "With the data set in `MIPSEG_DATA_DIR`: `python -m mipseg.training run <your TOML>`. It trains" in card
    assert "organisers" not in card
    assert "make train" not in card


def test_a_model_of_the_published_set_says_so(folder: Path) -> None:
    card = own(folder, data_hash=PUBLISHED)
    assert "## Data The 142 patients and 342 controls of the published DM-i-AI 2025 set that were at hand." in card
    assert "were chosen on these same folds" in card
    assert "Patients without masks are labelled by the network itself in the course of its training." in card
    assert (
        "`make data FROM=<the organisers' repository>`, then `python -m mipseg.training run <your TOML>`, "
        "with the patients without masks in `MIPSEG_UNLABELLED_DIR`."
    ) in card


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (DEFAULT, f"`make train` (`configs/{DEFAULT}.toml`)"),
        ("unet_v18", "`python -m mipseg.training run segmentation/src/mipseg/training/configs/unet_v18.toml`"),
    ],
)
def test_a_configuration_that_ships_is_named(folder: Path, name: str, command: str) -> None:
    assert (CONFIGS / f"{name}.toml").is_file()
    rewrite_config(folder, name=name)
    assert f"`make data FROM=<the organisers' repository>`, then {command}" in own(folder, data_hash=PUBLISHED)


def test_lesions_without_a_number_have_none(folder: Path) -> None:
    nothing = LESIONS | {"sensitivity": None, "f1": None, "ppv": 0.0}
    card = change(folder, lesions={"any_overlap": nothing, "iou_0.1": nothing})
    line = "| Lesions of the patients, any overlap | sensitivity none, positive predictive value 0.00, F1 none |\n"
    assert line in card


def test_notes_and_robustness_may_be_missing(folder: Path) -> None:
    (folder / NOTES).unlink()
    card = change(folder, robustness=None)
    assert "## Notes on these networks\n\nNone.\n" in card
    assert re.search(r"## Robustness.*It was not measured\.\n", card, re.DOTALL)


def test_a_model_folder_keeps_no_list_of_all_cases(folder: Path) -> None:
    report = json.loads((folder / REPORT).read_text())
    assert set(report) == {*FIELDS, "ensemble", "identities", "architectures"}
    assert "dice_of_cases" not in report


def test_a_model_put_together_from_several_trainings_says_so(folder: Path) -> None:
    card = change(folder, identities=None)
    assert "This model was put together from several trainings" in card
    assert "every fold of the runs above" not in card


def test_identity_of_the_runs_is_shown(folder: Path) -> None:
    folds = [IDENTITY, IDENTITY | {"versions": {"torch": "2.2"}, "dirty": True}]
    hashes = [f"`{letter * 12}`" for letter in "cdef"]
    assert change(folder, identities={"mine": summarise_identities(folds)}).endswith(
        f"| mine | {' | '.join(hashes)} | abc, abc with changes | torch 2.1, torch 2.2 |\n"
    )
    unknown: dict[str, Any] = {"versions": {}, "commit": None, "dirty": None, "unlabelled_hash": None}
    outside = summarise_identities([IDENTITY | unknown])
    assert change(folder, identities={"mine": outside}).endswith(
        f"| mine | {' | '.join(hashes[:3])} | `none` | unknown |  |\n"
    )


def test_robustness_shows_differences_to_the_unchanged_image() -> None:
    assert robustness_table(MEASURED).splitlines()[2:] == [
        "| unchanged | 0.750 |  |",
        "| mirrored | 0.700 | -0.050 (-0.080 to +0.010) |",
    ]


def test_folder_without_a_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        write_card(tmp_path)
