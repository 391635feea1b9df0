"""`mipseg evaluate --endpoint`: numbers that can be worked out by hand."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.endpoints import Pixels, Reply, endpoint, hottest
from tests.report.pages import read_page


def test_an_endpoint_on_the_data_set(mipseg: Command, dataset: Path) -> None:
    with endpoint() as url:
        answer = mipseg("evaluate", dataset, "--endpoint", url, "--json")
    assert (answer.code, answer.stderr) == (0, "")
    found = json.loads(answer.stdout)
    assert found["scores"] == {
        "control_001": 1, "control_002": 0, "patient_001": 1, "patient_002": pytest.approx(2 * 16 / 48),
    }  # fmt: skip
    assert (found["controls"], found["clean_controls"], found["empty_controls"]) == (2, 2, 1)
    assert (found["timings"]["images"], found["timings"]["late"]) == (4, 0)
    assert max(found["seconds"].values()) == found["timings"]["max_s"] < 10
    assert found["comparison"] is None


def test_an_endpoint_on_masks_and_images(mipseg: Command, dataset: Path) -> None:
    labels, images = dataset / "patients/labels", dataset / "patients/imgs"
    with endpoint() as url:
        answer = mipseg("evaluate", labels, "--endpoint", url, "--images", images, "--timings")
        without = mipseg("evaluate", labels, "--endpoint", url)
    assert answer.stdout.startswith("Dice: 0.8333 ")
    assert "seconds per image: median 0." in answer.stdout
    assert "0 of 2 over 10 s" in answer.stdout
    assert (without.code, without.stderr) == (2, "error: there are no images to send; --images names their folder\n")


def test_patients_of_the_data_set_alone(mipseg: Command, dataset: Path) -> None:
    with endpoint() as url:
        answer = mipseg("evaluate", dataset / "patients", "--endpoint", url, "--json")
    assert (answer.code, answer.stderr) == (0, "")
    found = json.loads(answer.stdout)
    assert found["scores"] == {"patient_001": 1, "patient_002": pytest.approx(2 * 16 / 48)}


def test_an_answer_that_cannot_be_used_scores_0_and_is_named(mipseg: Command, dataset: Path) -> None:
    def only_small(image: Pixels) -> Reply:
        return hottest(image) if (image == 0).sum() <= 3 * 16 else (500, b"{}")

    with endpoint(only_small) as url:
        answer = mipseg("evaluate", dataset, "--endpoint", url, "--json")
    assert answer.code == 1
    assert answer.stderr == "failed: patient_002: the answer's status is 500\nerror: 1 of 4 cases failed\n"
    found = json.loads(answer.stdout)
    assert (found["dice"]["mean"], found["scores"]["patient_002"]) == (0.5, 0)


def test_nobody_answers(mipseg: Command, dataset: Path) -> None:
    with endpoint() as url:
        pass
    answer = mipseg("evaluate", dataset, "--endpoint", url)
    message = f"error: nobody answers at {url}/predict; start the endpoint, or check its address\n"
    assert (answer.code, answer.stdout, answer.stderr) == (2, "", message)


def test_page_has_the_numbers_and_the_images(mipseg: Command, dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    with endpoint() as url:
        assert mipseg("evaluate", dataset, "--endpoint", url, "--html", file).code == 0
    page = read_page(file.read_text())
    assert page.facts["Mean Dice"].startswith("0.833 ")
    assert page.facts["Clean controls (no false lesion of 20 px or more)"] == "2 of 2 (100%)"
    assert page.pictures[1:] == [
        "Image of patient_002", "The same with 16 px true positive, 16 px false positive, 0 px false negative",
        "Image of patient_001", "The same with 16 px true positive, 0 px false positive, 0 px false negative",
        "Image of control_002", "The same with 0 px true positive, 4 px false positive, 0 px false negative",
    ]  # fmt: skip
