import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
pytest.importorskip("onnx", reason="onnx is not installed: uv sync --extra train")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

from mipseg.errors import DatasetError  # noqa: E402
from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training import command_line as module  # noqa: E402
from mipseg.training.config import CONFIGS  # noqa: E402
from mipseg.training.predict import PROBABILITIES, read_probabilities  # noqa: E402
from mipseg.training.runs import Run, load_run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import Options, TimeIsUpError  # noqa: E402


@dataclass
class Called:
    """What the command line called, in order, and how the last training was to be done."""

    work: list[tuple[Any, ...]] = field(default_factory=list)
    options: Options | None = None
    split: Split | None = None
    jobs_and_threads: tuple[int, int | None] | None = None


Call = Callable[..., Called]
REPORT = {
    "dice": {"mean": 0.7724, "interval_95": [0.7386, 0.8031]},
    "patients": 142, "controls": 342, "controls_without_false_lesion": 0.8158,
}  # fmt: skip


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, split: Split) -> Call:
    """Run the command line with everything replaced that works; returns what was called."""
    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(module, "load_dataset", lambda _: split.cases)
    monkeypatch.setattr(module, "read_folds", lambda *_: {c.id: n % 4 for n, c in enumerate(split.cases)})
    called = Called()

    def train_networks(
        networks: list[tuple[Run, int | None]], split: Split, options: Options, *jobs_and_threads: Any
    ) -> None:
        called.work += [("train", run.config.name, fold) for run, fold in networks]
        called.options, called.split, called.jobs_and_threads = options, split, jobs_and_threads

    def note(name: str, answer: Any) -> None:
        def noted(run: Run, split: Split, *others: object) -> Any:
            called.work.append((name, run.config.name, *others))
            return answer

        monkeypatch.setattr(module, name, noted)

    monkeypatch.setattr(module, "train_networks", train_networks)
    note("evaluate", REPORT)
    note("export", Path("models/two"))
    note("measure_robustness", "| table |\n")
    note("draw_failure_cases", "1. list\n")

    def run(*arguments: str) -> Called:
        monkeypatch.setattr(sys, "argv", ["training", *arguments])
        module.main()
        return called

    return run


@pytest.fixture
def two(tmp_path: Path) -> str:
    """A run that is averaged with another."""
    file = tmp_path / "two.toml"
    file.write_text('name = "two"\nensemble = ["unet_v18"]\n')
    return str(file)


def test_run_does_everything_in_order(call: Call, two: str) -> None:
    networks = [("train", name, fold) for name in ("two", "unet_v18") for fold in (*range(4), None)]
    assert call("run", two).work == [*networks, ("evaluate", "two"), ("export", "two")]


def test_what_came_out_is_said(call: Call, two: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call("run", two)
    assert capsys.readouterr().out.splitlines() == [
        "mean Dice 0.772 (0.739 to 0.803) over 142 patients, 82% of 342 controls clean; all measures: "
        f"{tmp_path / 'runs/two/report.json'}",
        "models/two: MIPSEG_MODEL=two serves it",
    ]


def test_what_ships_is_the_default(call: Call) -> None:
    assert call("evaluate").work == [("evaluate", "unet_v20")]


@pytest.mark.parametrize("name", ["refit", "final"])
def test_refit_trains_what_ships_on_all_cases(call: Call, two: str, name: str) -> None:
    assert call(name, two).work == [("train", "two", None), ("train", "unet_v18", None)]


def test_one_fold(call: Call, two: str) -> None:
    called = call("fold", two, "--fold", "3")
    assert called.work == [("train", "two", 3)]
    assert called.options is not None
    assert called.options.deadline == math.inf


def test_patients_without_reference_come_from_the_folder_that_is_named(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unlabelled: list[Case]
) -> None:
    monkeypatch.delenv("MIPSEG_UNLABELLED_DIR", raising=False)
    without = call("refit").split
    assert without is not None
    assert without.unlabelled == []
    for case in unlabelled:
        Image.fromarray(case.image).save(tmp_path / f"{case.id[-1]}.png")
    monkeypatch.setenv("MIPSEG_UNLABELLED_DIR", str(tmp_path))
    split = call("refit").split
    assert split is not None
    assert [case.id for case in split.unlabelled] == ["unlabelled_0", "unlabelled_1"]
    assert (split.unlabelled[1].image == unlabelled[1].image).all()


def test_jobs_and_threads_are_passed_on(call: Call, two: str) -> None:
    assert call("run", two, "--jobs", "12", "--threads", "2").jobs_and_threads == (12, 2)
    assert call("refit", two).jobs_and_threads == (1, None)


def test_device_and_time_are_passed_on(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("mipseg.training.command_line.time.monotonic", lambda: 1000.0)
    options = call("fold", "--fold", "3", "--device", "cuda", "--minutes", "2.5").options
    assert options is not None
    assert options.device.type == "cuda"
    assert options.deadline == 1150


@pytest.mark.parametrize(
    "arguments",
    [
        ["fold"],
        ["evaluate", "--fold", "1"],
        ["refit", "--fold", "1"],
        ["train"],
        ["run", "--minutes", "0"],
        ["run", "--jobs", "0"],
        ["run", "--threads", "-1"],
        ["failure-cases", "--count", "0"],
        ["run", "--device", "x"],
    ],
)
def test_wrong_use(call: Call, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as failed:
        call(*arguments)
    assert failed.value.code == 2


def test_old_names_are_understood_and_not_shown(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call("--help")
    text = capsys.readouterr().out
    assert "failure-cases" in text
    assert not {"worst", "final", "shifts"} & set(text.replace(",", " ").split())


@pytest.mark.parametrize("name", ["failure-cases", "worst"])
def test_failure_cases_prints_its_list(call: Call, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert call(name, "--count", "4").work == [("draw_failure_cases", "unet_v20", 4)]
    assert capsys.readouterr().out == "1. list\n"


@pytest.mark.parametrize("name", ["robustness", "shifts"])
def test_robustness_prints_its_table(call: Call, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert call(name, "--device", "cpu").work == [("measure_robustness", "unet_v20", torch.device("cpu"))]
    assert capsys.readouterr().out == "| table |\n"


def fails(call: Call, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a call ends with."""
    with pytest.raises(SystemExit) as failed:
        call(*arguments)
    assert failed.value.code == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_what_is_wrong_is_one_line(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert fails(call, capsys, "evaluate", str(tmp_path / "no.toml")).startswith("error: can't read ")
    assert fails(call, capsys, "fold", "--fold", "4") == "error: --fold 4: there are folds 0 to 3\n"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fails(call, capsys, "run", "--device", "cuda").startswith("error: --device cuda: PyTorch finds no")

    def fail(*_: object) -> None:
        raise DatasetError("fold 0 is missing")

    monkeypatch.setattr(module, "evaluate", fail)
    assert fails(call, capsys, "evaluate") == "error: fold 0 is missing\n"


def test_who_stopped_before_the_end_can_be_told_by_the_exit_code(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise TimeIsUpError("stopped at step 7 of 9 of fold3")

    monkeypatch.setattr(module, "train_networks", stop)
    with pytest.raises(SystemExit) as stopped:
        call("fold", "--fold", "3", "--minutes", "2")
    assert stopped.value.code == 75
    assert capsys.readouterr().err.endswith("stopped at step 7 of 9 of fold3; the same command goes on\n")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on from the last checkpoints\n"),
        (OSError(28, "No space left on device", "runs/x"), 1, "error: No space left on device: runs/x\n"),
    ],
)
def test_other_ends_are_one_line(
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    line: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "evaluate", fail)
    with pytest.raises(SystemExit) as ended:
        call("evaluate")
    assert (ended.value.code, capsys.readouterr().err) == (code, line)


@pytest.mark.long
def test_an_edited_copy_under_the_same_name_is_trained_and_kept_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, split: Split, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = "channels = [8, 8, 8]\npixel_unshuffle = 4\nimages = 2\nbatch = 2\nunlabelled_fraction = 0.0\n"
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\nlearning_rate = 1e-3\n{tiny}')
    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(module, "load_dataset", lambda _: split.cases)
    monkeypatch.setattr(module, "read_folds", lambda *_: split.folds)
    monkeypatch.setattr(sys, "argv", ["training", "fold", str(file), "--fold", "0", "--device", "cpu"])
    module.main()
    trained = load_run(file, tmp_path / "runs")
    probabilities = trained.network_folder(0) / PROBABILITIES
    assert read_probabilities(probabilities, trained.identity(split, 0))
    file.write_text(f'name = "mine"\nlearning_rate = 5e-4\n{tiny}')
    with pytest.raises(SystemExit) as failed:
        module.main()
    assert failed.value.code == 1
    assert "config.learning_rate is 0.001, not 0.0005" in capsys.readouterr().err
    monkeypatch.delenv("MIPSEG_UNLABELLED_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["training", "fold", str(CONFIGS / "unet_v20.toml"), "--fold", "0"])
    monkeypatch.setattr(module, "train_networks", lambda *_: None)
    module.main()
    assert "MIPSEG_UNLABELLED_DIR names no patients without masks" in capsys.readouterr().err
