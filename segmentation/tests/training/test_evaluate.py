import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

from mipseg.errors import ModelError
from mipseg.io.dataset import Case
from mipseg.metrics import match_lesions
from mipseg.training.config import Config
from mipseg.training.evaluate import evaluate, make_report, read_report
from mipseg.training.model_selection import SearchSpace, cross_validate
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.types import Probability
from tests.training.answers import changed, synthetic_answers, write_answers

SPACE = SearchSpace(temperatures=(0.3, 1.0), min_peaks=(0.5,))


@pytest.fixture(scope="module")
def evaluated(split: Split, config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Any]]:
    """Two runs of known answers that are averaged, and their report."""
    runs, answers = tmp_path_factory.mktemp("runs"), synthetic_answers(split)
    other = write_answers(answers, Run(replace(config, name="other"), runs / "other"), split)
    run = write_answers(answers, Run(config, runs / "tiny", ensemble=(other,)), split)
    return run, evaluate(run, split, SPACE)


def test_report_of_known_answers(split: Split, evaluated: tuple[Run, dict[str, Any]]) -> None:
    run, report = evaluated
    assert report["config"]["name"] == "tiny"
    assert (report["patients"], report["controls"]) == (4, 4)
    # Softened, the doubtful half is worth taking: that is what has to be selected, and the Dice is 1.
    assert report["decoding"] == {"temperature": 0.3, "min_peak": 0.5, "min_patient": 0.05}
    assert report["decoding_of_folds"] == [report["decoding"]] * 2
    assert report["dice"]["mean"] == 1
    assert report["dice"]["interval_95"] == (1, 1)
    assert report["controls_without_false_lesion"] == 1
    lesions = report["lesions"]["any_overlap"]
    assert (lesions["sensitivity"], lesions["ppv"], lesions["f1"]) == (1, 1, 1)
    areas = np.concatenate([match_lesions(c.mask, c.mask).reference_area for c in split.cases if c.has_tumour])
    expected = {"share": 1.0, "lesions": ((areas >= 10) & (areas < 50)).sum()}
    assert lesions["sensitivity_by_px"]["10-49"] == expected
    assert report["classification"]["auc"] == report["classification"]["auc_head"] == 1
    assert sum(group["cases"] for group in report["calibration_curve"]) == 8
    assert {group["observed"] for group in report["calibration_curve"]} == {0, 1}  # no bin with both kinds
    assert json.loads((run.folder / "report.json").read_text()) == json.loads(json.dumps(report))
    assert (run.folder / "report.png").read_bytes().startswith(b"\x89PNG")


def test_dice_is_distributed_as_its_cases(split: Split) -> None:
    def lose(case: Case, old: Probability) -> Probability:
        return np.zeros_like(old) if case.id == "patient_001" else old

    report = make_report(cross_validate(changed(synthetic_answers(split), lose), SPACE), SPACE)
    assert report["dice_of_cases"] == {"patient_000": 1, "patient_002": 1, "patient_001": 0, "patient_003": 1}
    assert list(report["lowest_dice"]) == ["patient_001", "patient_000", "patient_002", "patient_003"]
    # Four values, 0 1 1 1: the lowest third of the way is between the first two.
    assert report["dice"]["deciles"] == pytest.approx([0, 0.3, 0.6, 0.9, *[1] * 7])
    assert report["dice"]["per_fold"] == [1, 0.5]
    assert report["dice"]["patients_from"] == {"0.0": 1, "0.25": 0, "0.5": 0, "0.75": 3}


def test_masks_that_are_all_empty_give_no_number_that_is_none(split: Split, config: Config, tmp_path: Path) -> None:
    empty = replace(split, cases=[replace(case, mask=np.zeros_like(case.mask)) for case in split.cases])
    run = write_answers(synthetic_answers(empty), Run(config, tmp_path), empty)
    report = evaluate(run, empty, SPACE)
    assert report["lesions"]["any_overlap"]["sensitivity"] is None
    json.dumps(report, allow_nan=False)


def test_min_patient_cleans_controls(split: Split) -> None:
    def with_false_lesion(case: Case, old: Probability) -> Probability:
        new = old.copy()
        if not case.has_tumour:
            new[40:46, 40:46] = 0.9
        return new

    space = SearchSpace(min_patients=(0.0, 0.2), min_patient=0.2)  # eight cases give no surer a classifier
    report = make_report(cross_validate(changed(synthetic_answers(split), with_false_lesion), space), space)
    assert report["by_min_patient"] == [
        {"min_patient": 0.0, "dice": 1, "controls_without_false_lesion": 0},
        {"min_patient": 0.2, "dice": 1, "controls_without_false_lesion": 1},
    ]
    assert report["decoding"]["min_patient"] == 0.2
    assert all(decoding["min_patient"] == 0.2 for decoding in report["decoding_of_folds"])
    assert report["controls_without_false_lesion"] == 1
    assert report["dice"]["mean"] == 1


def test_decoding_of_a_fold_does_not_see_its_cases(split: Split) -> None:
    # What is doubtful is tumour in fold 0 and is none in fold 1: soft is right for one, sharp for the other, and each
    # gets the other's decoding.
    def with_false_rim(case: Case, old: Probability) -> Probability:
        rim = ndimage.binary_dilation(case.mask, iterations=2) & ~case.mask
        return np.where(case.mask, 0.99, np.where(rim, 0.4, 0.001)) if split.folds[case.id] == 1 else old

    report = make_report(cross_validate(changed(synthetic_answers(split), with_false_rim), SPACE), SPACE)
    assert [decoding["temperature"] for decoding in report["decoding_of_folds"]] == [1.0, 0.3]
    assert all(dice < 1 for dice in report["dice_of_cases"].values()), report["dice_of_cases"]


def test_report_carries_the_identity_of_every_network(split: Split, evaluated: tuple[Run, dict[str, Any]]) -> None:
    run, report = evaluated
    assert report["identities"] == {
        member.config.name: [member.identity(split, fold).to_json() for fold in (0, 1)] for member in run.members
    }
    assert [member.config.name for member in run.members] == ["tiny", "other"]
    assert read_report(run, split) == json.loads(json.dumps(report))


def test_report_of_other_networks_is_refused(split: Split, evaluated: tuple[Run, dict[str, Any]]) -> None:
    run, _ = evaluated
    changed_run = replace(run, config=replace(run.config, learning_rate=0.5))
    with pytest.raises(
        ModelError, match=r"report\.json belongs to another run .*config\.learning_rate is 0\.003, not 0\.5"
    ):
        read_report(changed_run, split)
    with pytest.raises(ModelError, match=r"report\.json is about tiny, other, not tiny; run `evaluate`"):
        read_report(replace(run, ensemble=()), split)


@pytest.mark.parametrize("content", ["{", "[]", '{"identities": {"tiny": []}}', '{"identities": {"tiny": [{}]}}'])
def test_damaged_report_is_an_error(split: Split, config: Config, tmp_path: Path, content: str) -> None:
    run = Run(config, tmp_path)
    with pytest.raises(ModelError, match=r"report\.json is missing; run `evaluate` first"):
        read_report(run, split)
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ModelError, match=r"report\.json is damaged .*run `evaluate` again"):
        read_report(run, split)
