import numpy as np

from mipseg.training.failure_cases import draw_failure_cases


def test_worst_patients_are_listed_and_drawn(answered, change_answers, cases, config, monkeypatch):
    drawn = {}

    def note(image, reference, prediction, file):
        drawn[file.name] = (image, reference, prediction)

    monkeypatch.setattr("mipseg.training.failure_cases.plot_prediction", note)
    half = np.arange(128)[:, None] < np.median(np.argwhere(cases[2].mask)[:, 0])

    def lose(name, old):
        return np.where({"patient_001": True, "patient_002": half}.get(name, False), 0.001, old).astype(np.float16)

    change_answers(lose)
    lines = draw_failure_cases(cases, config, answered, 2).splitlines()
    areas = [int(case.mask.sum()) for case in cases]
    found = int((cases[2].mask & ~half).sum())
    assert lines == [
        f"1. patient_001: Dice 0.000, reference {areas[1]} px, predicted 0 px",
        f"2. patient_002: Dice {2 * found / (areas[2] + found):.3f}, reference {areas[2]} px, predicted {found} px",
    ]
    assert list(drawn) == ["01_patient_001.png", "02_patient_002.png"]
    image, reference, prediction = drawn["02_patient_002.png"]
    assert np.array_equal(image, cases[2].image)
    assert np.array_equal(reference, cases[2].mask)
    assert np.array_equal(prediction, cases[2].mask & ~half)


def test_images_of_an_earlier_call_are_removed(answered, cases, config):
    (answered / "worst").mkdir()
    (answered / "worst/09_patient_009.png").write_bytes(b"old")
    draw_failure_cases(cases, config, answered, 1)
    (image,) = (answered / "worst").iterdir()
    assert image.name == "01_patient_000.png"
    assert image.read_bytes().startswith(b"\x89PNG")
