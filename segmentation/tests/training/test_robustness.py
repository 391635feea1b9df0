import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

import torch

from mipseg.errors import DatasetError
from mipseg.io.dataset import Case
from mipseg.metrics import dice_score
from mipseg.training import robustness as module
from mipseg.training.robustness import SHIFTS, measure_robustness

CPU = torch.device("cpu")


@pytest.fixture
def image():
    """A hot square, off the middle, on a warm body."""
    mask = np.zeros((100, 80), bool)
    mask[20:40, 50:70] = True
    return np.where(mask, 0, 205).astype(np.uint8), mask


def shift(name, image, seed=0):
    return SHIFTS[name](*image, np.random.default_rng(seed))


def test_nothing_is_nothing(image):
    image, mask = shift("none", image)
    assert np.array_equal(image, image[0])
    assert np.array_equal(mask, image[1])


@pytest.mark.parametrize(("top", "expected"), [(4, [0, 75, 255, 255]), (5, [0, 60, 240, 255]), (8, [0, 38, 150, 191])])
def test_window_scales_intensity_and_clips_it(top, expected):
    image = (255 - np.array([[0, 50, 200, 255]])).astype(np.uint8)
    mask = image == 0
    shifted, reference = shift(f"SUV window to {top} instead of 6", (image, mask))
    assert shifted.dtype == np.uint8
    assert (255 - shifted.astype(int)).tolist() == [expected]
    assert reference is mask


@pytest.mark.parametrize(("factor", "shape"), [(0.8, (80, 64)), (1.25, (125, 100))])
def test_rescaled_reference_stays_on_its_image(image, factor, shape):
    image, mask = shift(f"rescaled by {factor:g}", image)
    assert image.shape == mask.shape == shape
    assert mask.dtype == bool
    assert mask.sum() == pytest.approx(400 * factor**2, rel=0.05)
    assert dice_score(image < 100, mask) > 0.97


def test_mirrored_swaps_left_and_right_of_both(image):
    image, mask = shift("mirrored", image)
    assert np.argwhere(mask)[:, 1].min() == 10
    assert (image[mask] == 0).all()


def test_jpeg_changes_a_little(image):
    image, mask = shift("JPEG of quality 75", image)
    assert image.shape == mask.shape
    error = np.abs(image.astype(int) - image[0])
    assert 0 < error.mean() < 5


@pytest.mark.parametrize("sigma", [5, 10])
def test_noise_has_its_sigma_and_is_repeatable(sigma):
    grey = (np.full((200, 200), 128, np.uint8), np.zeros((200, 200), bool))
    first, second, other = (shift(f"noise of {sigma} grey values", grey, seed)[0] for seed in (0, 0, 1))
    assert first.astype(float).std() == pytest.approx(sigma, rel=0.03)
    assert first.astype(float).mean() == pytest.approx(128, abs=0.2)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


class Network:
    def __init__(self, folder):
        self.name = f"{folder.parent.name}/{folder.name}"

    def to(self, _):
        return self


@pytest.fixture
def run(image, run_folder, config, monkeypatch):
    """Two patients and a control; high intensity is the networks' probability, and they note that they were asked."""
    cases = [Case(name, *image) for name in ("patient_a", "patient_b")]
    cases.append(Case("control_c", image[0], np.zeros_like(image[1])))
    asked = []

    def predict(networks, image, _):
        asked.append([network.name for network in networks])
        intensity = (1 - image / 255).astype(np.float32)
        return np.where(intensity > 0.5, intensity, 0), 2.0

    monkeypatch.setattr(module, "FOLDS", 2)
    monkeypatch.setattr(module, "read_folds", lambda _: {"patient_a": 1, "patient_b": 0, "control_c": 0})
    monkeypatch.setattr(module, "load_ema_network", Network)
    monkeypatch.setattr(module, "predict", predict)
    run_folder.mkdir()

    def measure(min_patient=0.5):
        # The classifier is the network's own patient head: logit 2, probability 0.88.
        classifier = {"mean": [0] * 5, "scale": [1] * 5, "weights": [1, 0, 0, 0, 0], "bias": 0}
        choices = {"temperature": 1.0, "min_peak": 0.7, "min_patient": min_patient, "classifier": classifier}
        (run_folder / "report.json").write_text(json.dumps({"choices": choices}))
        table = measure_robustness(cases, replace(config, ensemble=("other",)), run_folder, CPU)
        return table, json.loads((run_folder / "shifts.json").read_text())

    return measure, asked


def test_shifts_are_measured_with_the_shipped_choices(run):
    measure, asked = run
    table, report = measure()
    assert list(report) == list(SHIFTS)
    assert report["none"] == {"dice": 1, "difference": 0, "interval_95": [0, 0]}
    assert report["mirrored"]["dice"] == 1
    # A window to 10 leaves the lesion at 0.6, below the least peak.
    assert report["SUV window to 10 instead of 6"] == {"dice": 0, "difference": -1, "interval_95": [-1, -1]}
    assert table.splitlines()[2:4] == [
        "| none | 1.000 |  |",
        "| SUV window to 4 instead of 6 | 1.000 | +0.000 (+0.000 to +0.000) |",
    ]
    # Each patient is asked of the networks that did not see it, and the control of none.
    members = [[f"run/fold{fold}", f"other/fold{fold}"] for fold in (1, 0)]
    assert asked == [members[0]] * len(SHIFTS) + [members[1]] * len(SHIFTS)


def test_shipped_classifier_empties_masks(run):
    assert run[0](min_patient=0.9)[1]["none"]["dice"] == 0


def test_interval_is_of_the_paired_differences(run, monkeypatch):
    # Both patients lose 0.25, one from 1.0 and one from 0.5: the difference has no spread.
    values = {("patient_a", "none"): 1.0, ("patient_b", "none"): 0.5}
    names = {shift: name for name, shift in SHIFTS.items()}
    monkeypatch.setattr(
        module, "_dice", lambda s, case, *_: values.get((case.id, names[s]), values[(case.id, "none")] - 0.25)
    )
    assert run[0]()[1]["mirrored"] == {"dice": 0.5, "difference": -0.25, "interval_95": [-0.25, -0.25]}


def test_run_must_be_evaluated_first(cases, config, tmp_path):
    with pytest.raises(DatasetError, match="run `evaluate` first"):
        measure_robustness(cases, config, tmp_path, CPU)
